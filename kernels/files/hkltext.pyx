# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Structure-factor text to a dense table, each number parsed once.

The rules are those of C's ``fscanf`` (as glibc has it), because scripts depend on where it stops: the reference reads
the file first as ``%lg %lg %lg %lg``, which decides the number of rows and the ranges, and then as ``%d %d %d %lg``,
which fills the table. As long as the indices are plain integers the two readings agree, and one pass serves both;
from the first row where they may differ, the rest of the file is read twice as well.
"""

from libc.stdint cimport int32_t, uint64_t
from libc.stdlib cimport free, malloc, strtod

from nanobragg_py.kernels.memory.buffers cimport Buffer, page_alloc, page_free

cdef extern from "<math.h>" nogil:
    double ceil(double)
    bint isnan(double)

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
    DENSE = 8

cdef struct Row:
    double F
    int32_t h
    int32_t k
    int32_t l


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


cdef class HklRows:
    """The rows of a structure-factor text.

    text: Buffer of format B that holds the file; length: bytes of it that count, at least one less than it has.

    Attributes: count, rows in the first reading. bounds: (hmin, hmax, kmin, kmax, lmin, lmax), which are 10^9 and -10^9
    for an axis without a number. non_integer: list of (axis, value, row) of indices that are no integers, rows counted
    from 0. out_of_range: the first such entry whose index is beyond 10^9 and cannot be one, or None. end: where in the
    text the first reading stopped, at the start of what is no row. replaced: rows that `fill` entered over another
    amplitude, and first_replaced: (h, k, l) of the first of them, or None.

    Raises MemoryError.
    """

    cdef Buffer text
    cdef Row* rows
    cdef size_t rows_bytes
    cdef Py_ssize_t plain
    cdef const char* rest
    cdef int[3] lowest
    cdef int[3] highest
    cdef readonly Py_ssize_t count
    cdef readonly list non_integer
    cdef readonly tuple out_of_range
    cdef readonly Py_ssize_t end
    cdef readonly Py_ssize_t replaced
    cdef readonly tuple first_replaced

    def __cinit__(self, Buffer text not None, Py_ssize_t length):
        cdef int axis
        if length < 0 or length >= text.nbytes:
            raise ValueError("the text needs room for one byte more")
        self.text = text
        (<char*>text.data)[length] = 0
        self.rows = NULL
        # the shortest row, with its separators, has eight bytes; pages of rows that stay unused cost nothing
        self.rows_bytes = (<size_t>length // 8 + 1) * sizeof(Row)
        self.rows = <Row*>page_alloc(self.rows_bytes, False)
        if self.rows == NULL:
            raise MemoryError(f"no memory for {length // 8} rows")
        for axis in range(3):
            self.lowest[axis] = LARGEST_INDEX
            self.highest[axis] = -LARGEST_INDEX
        self.non_integer = []
        self.out_of_range = self.first_replaced = None
        self.replaced = 0
        with nogil:
            self.read_plain_rows()
        self.read_other_rows()

    def __dealloc__(self):
        page_free(self.rows, self.rows_bytes)

    cdef void read_plain_rows(self) noexcept nogil:
        """Read rows as long as both readings agree on them."""
        cdef const char* s = <const char*>self.text.data
        cdef const char* start
        cdef Row* row = self.rows
        cdef int h_min = LARGEST_INDEX, k_min = LARGEST_INDEX, l_min = LARGEST_INDEX
        cdef int h_max = -LARGEST_INDEX, k_max = -LARGEST_INDEX, l_max = -LARGEST_INDEX
        cdef Row* end = self.rows + self.rows_bytes // sizeof(Row)
        cdef const char* F_start
        while True:
            start = s
            if row == end:
                break
            s = plain_integer(s, &row.h)
            if s == NULL:
                break
            s = plain_integer(s, &row.k)
            if s == NULL:
                break
            s = plain_integer(s, &row.l)
            if s == NULL:
                break
            F_start = s
            s = plain_number(F_start, &row.F)
            if s == NULL:
                s = any_number(F_start, &row.F)
                if s == NULL:
                    break
            h_min = min(h_min, row.h)
            h_max = max(h_max, row.h)
            k_min = min(k_min, row.k)
            k_max = max(k_max, row.k)
            l_min = min(l_min, row.l)
            l_max = max(l_max, row.l)
            row += 1
        self.rest = start
        self.plain = row - self.rows
        self.count = self.plain
        self.lowest[0], self.lowest[1], self.lowest[2] = h_min, k_min, l_min
        self.highest[0], self.highest[1], self.highest[2] = h_max, k_max, l_max

    cdef int read_other_rows(self) except -1:
        """The first reading of the rest of the file."""
        cdef const char* s = self.rest
        cdef double[4] value
        cdef int column
        while True:
            self.end = s - <const char*>self.text.data
            for column in range(4):
                s = any_number(s, &value[column])
                if s == NULL:
                    return 0
            for column in range(3):
                # the reference's test, which lets no fraction pass but is not quite a test for integers
                if value[column] != ceil(value[column] - 0.4):
                    self.non_integer.append(("hkl"[column], value[column], self.count))
                if isnan(value[column]):
                    continue
                if not -LARGEST_INDEX <= value[column] <= LARGEST_INDEX:
                    if self.out_of_range is None:
                        self.out_of_range = ("hkl"[column], value[column], self.count)
                    continue
                if self.lowest[column] > value[column]:
                    self.lowest[column] = <int>value[column]
                if self.highest[column] < value[column]:
                    self.highest[column] = <int>value[column]
            self.count += 1

    @property
    def bounds(self):
        return (self.lowest[0], self.highest[0], self.lowest[1], self.highest[1], self.lowest[2], self.highest[2])

    def fill(self, Buffer table not None, double empty=0.0):
        """Enter the rows of the second reading into `table`, of the shape that `bounds` ask for; later rows win.

        empty: what all of the table holds before.

        Returns their number, which is smaller than `count` where the second reading stopped early.

        Raises IndexError, with (h, k, l), for a row whose indices the first reading never saw: an l index with a
        decimal point leaves its fraction to be read as F, and the columns behind it shift.
        """
        cdef double* box = <double*>table.data
        cdef const char* s = self.rest
        cdef int h_min = self.lowest[0], k_min = self.lowest[1], l_min = self.lowest[2]
        cdef Py_ssize_t h_stride, k_stride, entered = self.plain
        cdef long long h, k, l
        cdef double F
        cdef double* place
        cdef Py_ssize_t first = -1
        if table.ndim != 3 or table.shape != self.table_shape() or table.format != "d":
            raise ValueError(f"the table needs the shape {self.table_shape()} and format d")
        k_stride = table.extent[2]
        h_stride = table.extent[1] * k_stride
        # to look at a table afterwards, in its order, costs next to nothing; to look at each place before it is written
        # to, a tenth of the whole reading
        if self.plain < table.extent[0] * h_stride // DENSE or not self.enter_each_once(table, empty):
            first = self.enter_counting(table, empty)
        self.first_replaced = None if first < 0 else (self.rows[first].h, self.rows[first].k, self.rows[first].l)
        while True:
            s = any_integer(s, &h)
            if s != NULL:
                s = any_integer(s, &k)
            if s != NULL:
                s = any_integer(s, &l)
            if s != NULL:
                s = any_number(s, &F)
            if s == NULL:
                return entered
            if not (h_min <= h <= self.highest[0] and k_min <= k <= self.highest[1] and l_min <= l <= self.highest[2]):
                raise IndexError((h, k, l))
            place = box + (h - h_min) * h_stride + (k - k_min) * k_stride + (l - l_min)
            if place[0] != empty and place[0] != F:
                self.first_replaced = self.first_replaced or (h, k, l)
                self.replaced += 1
            place[0] = F
            entered += 1

    cdef bint enter_each_once(self, Buffer table, double empty) noexcept:
        """Enter the plain rows; True if no two of them have the same place, and otherwise the table is as before."""
        cdef double* box = <double*>table.data
        cdef double* line
        cdef Py_ssize_t k_stride = table.extent[2], h_stride = table.extent[1] * table.extent[2]
        cdef Py_ssize_t h, k, l, filled = 0
        cdef int h_min = self.lowest[0], k_min = self.lowest[1], l_min = self.lowest[2]
        cdef Row* row = self.rows
        with nogil:
            for _ in range(self.plain):
                box[(row.h - h_min) * h_stride + (row.k - k_min) * k_stride + (row.l - l_min)] = row.F
                filled -= row.F != empty
                row += 1
            for h in range(table.extent[0] - 1):
                for k in range(table.extent[1] - 1):
                    line = box + h * h_stride + k * k_stride
                    for l in range(k_stride - 1):
                        filled += line[l] != empty
        if filled != 0:
            fill_inside(table, empty)
        return filled == 0

    cdef Py_ssize_t enter_counting(self, Buffer table, double empty) noexcept:
        """Enter the plain rows and count those that replace another amplitude: the number of the first one, or -1."""
        cdef double* box = <double*>table.data
        cdef double* place
        cdef Py_ssize_t k_stride = table.extent[2], h_stride = table.extent[1] * table.extent[2]
        cdef Py_ssize_t i, first = -1
        cdef int h_min = self.lowest[0], k_min = self.lowest[1], l_min = self.lowest[2]
        cdef Row* row = self.rows
        with nogil:
            for i in range(self.plain):
                place = box + (row.h - h_min) * h_stride + (row.k - k_min) * k_stride + (row.l - l_min)
                if place[0] != empty and place[0] != row.F:
                    first = i if self.replaced == 0 else first
                    self.replaced += 1
                place[0] = row.F
                row += 1
        return first

    def table_shape(self):
        """The shape of the table: each range, and one layer more."""
        return tuple([<Py_ssize_t>self.highest[axis] - self.lowest[axis] + 2 for axis in range(3)])


def fill_inside(Buffer table not None, double value):
    """Set everything but the last layer of each axis of a three-dimensional float64 table to `value`."""
    cdef double* row
    cdef Py_ssize_t h, k, l
    cdef Py_ssize_t k_extent = table.extent[1], l_extent = table.extent[2]
    if table.ndim != 3 or table.format != "d":
        raise ValueError("the table needs three dimensions and format d")
    with nogil:
        for h in range(table.extent[0] - 1):
            for k in range(k_extent - 1):
                row = <double*>table.data + (h * k_extent + k) * l_extent
                for l in range(l_extent - 1):
                    row[l] = value


def fill_outside(Buffer table not None, double value):
    """Set the last layer of each axis, and the pad before the table, to `value`."""
    cdef double* box = <double*>table.data
    cdef double* row
    cdef Py_ssize_t h, k, l
    cdef Py_ssize_t h_extent = table.extent[0], k_extent = table.extent[1], l_extent = table.extent[2]
    if table.ndim != 3 or table.format != "d":
        raise ValueError("the table needs three dimensions and format d")
    with nogil:
        for l in range(-table.pad, 0):
            box[l] = value
        for h in range(h_extent):
            for k in range(k_extent):
                row = box + (h * k_extent + k) * l_extent
                if h == h_extent - 1 or k == k_extent - 1:
                    for l in range(l_extent):
                        row[l] = value
                else:
                    row[l_extent - 1] = value
