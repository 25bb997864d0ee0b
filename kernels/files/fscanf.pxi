# What C's fscanf reads (as glibc has it): where the items of %d and %lg end, and their values.
#
# Part of hkltext.pyx, which includes it: its loop over rows has all of it inlined, which a .pxd of a module of its own
# would not allow.

cdef extern from *:
    """
    #include <locale.h>
    #include <string.h>

    /* the powers of ten that float64 holds exactly */
    static const double nb_pow10[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
                                      1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    /* strtod reads the decimal point of the locale, which a host program may have set; files always have a full stop */
    static const char *nb_decimal_point(void) { return localeconv()->decimal_point; }    """
    const double* nb_pow10
    const char* nb_decimal_point() noexcept nogil

cdef enum:
    SHORT_ITEM = 512
    LARGEST_INDEX = 1000000000


cdef inline bint is_space(char c) noexcept nogil:
    return c == 32 or 9 <= c <= 13


cdef inline bint is_digit(char c) noexcept nogil:
    return 48 <= c <= 57


cdef inline bint is_hex_digit(char c) noexcept nogil:
    return is_digit(c) or 97 <= (c | 32) <= 102


cdef inline const char* plain_integer(const char* s, int32_t* value) noexcept nogil:
    """The end of an integer that ``%d`` and ``%lg`` read alike, or NULL if the next token is anything else."""
    cdef bint negative = False
    cdef const char* first
    cdef int32_t number
    while is_space(s[0]):
        s += 1
    if s[0] == 45 or s[0] == 43:
        negative = s[0] == 45
        s += 1
    first = s
    number = 0
    while is_digit(s[0]) and s - first < 9:
        number = 10 * number + (s[0] - 48)
        s += 1
    # what may follow: anything that continues neither reading (a digit, point, exponent, or the x of 0x would)
    if s == first or is_digit(s[0]) or s[0] == 46 or (s[0] | 32) == 101 or (s[0] | 32) == 120:
        return NULL
    value[0] = -number if negative else number
    return s


cdef inline const char* plain_number(const char* s, double* value) noexcept nogil:
    """The end of a decimal number whose float64 one multiplication or division gives exactly rounded, or NULL.

    Clinger's fast path: an integer up to 2^53 and a power of ten up to 10^22 are exact, so their product or quotient is
    rounded once.
    """
    cdef bint negative = False, negative_exponent
    cdef const char* first
    cdef const char* point = NULL
    cdef uint64_t digits = 0
    cdef int count, exponent = 0, power = 0
    while is_space(s[0]):
        s += 1
    if s[0] == 45 or s[0] == 43:
        negative = s[0] == 45
        s += 1
    first = s
    while is_digit(s[0]):
        digits = 10 * digits + <uint64_t>(s[0] - 48)
        s += 1
    count = <int>min(s - first, 20)
    if s[0] == 46:
        s += 1
        point = s
        while is_digit(s[0]):
            digits = 10 * digits + <uint64_t>(s[0] - 48)
            s += 1
        count += <int>min(s - point, 20)
        exponent = -<int>min(s - point, 20)
    if count == 0 or count > 19:
        return NULL
    if (s[0] | 32) == 101:
        s += 1
        negative_exponent = s[0] == 45
        if s[0] == 45 or s[0] == 43:
            s += 1
        first = s
        while is_digit(s[0]) and s - first < 4:
            power = 10 * power + (s[0] - 48)
            s += 1
        if s == first or is_digit(s[0]):
            return NULL
        exponent += -power if negative_exponent else power
    elif (s[0] | 32) == 120:
        return NULL
    # numbers written with a fixed number of digits end in zeros that only look like precision
    while digits > <uint64_t>1 << 53 and digits % 10 == 0:
        digits //= 10
        exponent += 1
    if digits > <uint64_t>1 << 53 or exponent > 22 or exponent < -22:
        return NULL
    value[0] = <double>digits
    value[0] = value[0] / nb_pow10[-exponent] if exponent < 0 else value[0] * nb_pow10[exponent]
    if negative:
        value[0] = -value[0]
    return s


cdef const char* word_end(const char* s, const char* word) noexcept nogil:
    """The end of `word`, given in lower case, at s in any case; NULL if it is not there."""
    while word[0] != 0:
        if (s[0] | 32) != word[0]:
            return NULL
        s += 1
        word += 1
    return s


cdef const char* item_end(const char* s) noexcept nogil:
    """The end of what ``%lg`` takes from s, where a number or its sign begins, as its input item; NULL if it gives up.

    The item is everything that could begin a number, even where what comes next spoils it: ``1e+`` is an item, of value
    1, and a row goes on behind it.
    """
    cdef const char* first
    cdef const char* rest
    cdef bint hexadecimal = False, point = False, exponent = False, digit = False
    cdef char exponent_letter = 101
    if s[0] == 45 or s[0] == 43:
        s += 1
    if (s[0] | 32) == 110:
        return word_end(s, "nan")
    if (s[0] | 32) == 105:
        rest = word_end(s, "inf")
        if rest != NULL and (rest[0] | 32) == 105:
            return word_end(rest, "inity")
        return rest
    first = s
    if s[0] == 48 and (s[1] | 32) == 120:
        hexadecimal = True
        exponent_letter = 112
        s += 2
        first = s
    while True:
        if is_digit(s[0]) or (hexadecimal and not exponent and is_hex_digit(s[0])):
            digit = True
        elif exponent and ((s - 1)[0] | 32) == exponent_letter and (s[0] == 45 or s[0] == 43):
            pass
        elif digit and not exponent and (s[0] | 32) == exponent_letter:
            exponent = True
            point = True
        elif s[0] == 46 and not point:
            point = True
        else:
            return s if s > first else NULL
        s += 1


cdef const char* any_number(const char* s, double* value) noexcept nogil:
    """The end of what ``%lg`` reads at s, or NULL where it fails."""
    cdef const char* end = plain_number(s, value)
    cdef const char* point
    cdef char[SHORT_ITEM] short_item
    cdef char* item = short_item
    cdef char* converted
    cdef size_t length, i, j, n = 0
    if end != NULL:
        return end
    while is_space(s[0]):
        s += 1
    end = item_end(s)
    if end == NULL:
        return NULL
    length = end - s
    point = nb_decimal_point()
    if length + 16 > SHORT_ITEM:
        item = <char*>malloc(length + 16)
        if item == NULL:
            return NULL
    for i in range(length):
        if s[i] != 46:
            item[n] = s[i]
            n += 1
            continue
        for j in range(8):
            if point[j] == 0:
                break
            item[n] = point[j]
            n += 1
    item[n] = 0
    value[0] = strtod(item, &converted)
    if converted == item:
        end = NULL
    if item != short_item:
        free(item)
    return end


cdef const char* any_integer(const char* s, long long* value) noexcept nogil:
    """The end of what ``%d`` reads at s, or NULL; a number beyond any index comes out as the first such."""
    cdef bint negative = False
    cdef const char* first
    cdef long long number = 0
    while is_space(s[0]):
        s += 1
    if s[0] == 45 or s[0] == 43:
        negative = s[0] == 45
        s += 1
    first = s
    while is_digit(s[0]):
        number = min(10 * number + (s[0] - 48), <long long>LARGEST_INDEX + 1)
        s += 1
    if s == first:
        return NULL
    value[0] = -number if negative else number
    return s
