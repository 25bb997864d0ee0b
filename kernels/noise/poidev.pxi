# The reference's Poisson deviates, byte for byte: `poidev`, and what draws a block of pixels with it.
#
# The reference draws pixel after pixel, and how many deviates a pixel takes hangs on their values. What does not hang
# on that was worked out before (poidev_ahead.pxi). Comparisons are made with bounds first, and again with the
# reference's own arithmetic where they fall between the bounds.
#
# Part of poisson.pyx, as poidev_ahead.pxi, which it includes.

from libc.math cimport exp, fabsf, floorf, sqrt

include "poidev_ahead.pxi"

# ---- means below 12 ------------------------------------------------------------------------------------------------

cdef inline int count_deviates(Poidev *s, int place, float limit, float *count) noexcept nogil:
    """Count deviates until their product is not above `limit`; returns the place behind them."""
    cdef float product = 1.0
    cdef int k = 0
    while True:
        if place >= s.stream.end:
            place = refill(s, place)
        product *= s.stream.u[place]
        place += 1
        if not product > limit:
            break
        k += 1
    count[0] = k
    return place


cdef inline int dark_run(Poidev *s, int place, int *i) noexcept nogil:
    """Counts of 0 from pixel i on, up to the next that may count something, RUN at most; moves i on."""
    cdef int k
    memset(&s.count[i[0]], 0, RUN * sizeof(float))
    k = nb_lowest_bit(nb_loud(&s.stream.path[place], &s.way[i[0]]) | 1 << RUN)
    i[0] += k
    return place + k


cdef inline int faint_run(Poidev *s, int first, int *i, const float *mean) noexcept nogil:
    """Counts from pixel i on, whose mean is below 12, up to one that is DARK or BRIGHT or lacks deviates; moves i on.

    As `count_deviates` for the limit exp(-mean), but by logarithms: products are above it while the path is short of a
    target, unless this is missed by the doubt or less.
    """
    cdef Py_ssize_t place = first, last = s.stream.end - AHEAD, pixel = i[0], k
    cdef const uint32_t *path
    cdef uint32_t target
    while True:
        if s.many:
            shuffle(&s.stream, MORE_STEPS)
        else:
            shuffle(&s.stream, STEPS)
        path = &s.stream.path[place]
        target = path[0] + <uint32_t>s.way[pixel]
        k = nb_short_of(path + 1, target)  # branches would be foretold wrongly
        if k == 16:
            while path[k + 1] < target and k < MANY:
                k += 1
        if path[k + 1] < target + 2 * <uint32_t>DOUBT_UNITS:
            place = count_deviates(s, <int>place, <float>exp(-<double>mean[pixel]) if mean[pixel] > 0.0 else 1.0,
                                   &s.count[pixel])
            last = 0  # the places may have moved
        else:
            s.count[pixel] = k
            place += k + 1
        pixel += 1
        if place > last or s.way[pixel] < DARK or s.way[pixel] == BRIGHT:
            break
    i[0] = <int>pixel
    return <int>place


# ---- means from 12 to 1e6 ------------------------------------------------------------------------------------------

cdef inline int look_ahead(Poidev *s, int place, int pairs) noexcept nogil:
    """See that s.trial covers the pairs at place and place + 2; returns where `place` is now."""
    if place + 2 >= s.trial.end[place & 1]:
        while s.stream.end - place < 2 * pairs:
            place = refill(s, place)
        trials(s, place, pairs)
    return place


cdef inline float log_factorial(Poidev *s, float k) noexcept nogil:
    """float32 ln Gamma(k+1) as nb_gammln has it, for whole k from 0 to 2^24."""
    cdef double x = <float>(k + 1.0), v
    cdef float high
    if k < TABLE:
        high = s.gamma[<int>k + 1]
        if high != high:
            high = s.gamma[<int>k + 1] = nb_gammln(<float>x)
        return high
    v = stirling(x, nb_log(x), 1.0 / x)
    high = <float>(v + v * DOUBT)
    return high if high == <float>(v - v * DOUBT) else nb_gammln(<float>x)


cdef inline int rejected(Poidev *s, int place, int j, int pairs, float *count) noexcept nogil:
    """A count for pixel j of the list; returns the place behind its last deviate."""
    cdef float mean = s.mean[j], width = s.width[j], log_mean = s.log_mean[j], norm = s.norm[j], k, y, gap
    while True:
        place = look_ahead(s, place, pairs)
        y = s.trial.first[place]
        k = width * y + mean
        if k < 0.0:
            place += 1
            continue
        place += 2
        if k < <float>16777216.0:
            k = <int>k
            gap = (k * log_mean - log_factorial(s, k)) - norm - s.trial.second[place - 2]
            if gap > DOUBT_GAP:
                break
            if gap < -DOUBT_GAP:
                continue
        else:
            k = floorf(k)
        if not s.stream.u[place - 1] > nb_acceptance(k, y, log_mean, norm):
            break
    count[0] = k
    return place


cdef inline float trial_count(const Poidev *s, int place, int j) noexcept nogil:
    """The count that the Lorentzian deviate at `place` stands for, before it is rounded down."""
    return s.width[j] * s.trial.first[place] + s.mean[j]


cdef inline float weigh(const Poidev *s, int place, int j) noexcept nogil:
    """How far the logarithms of a trial are apart (positive: accept), for pixel j, of mean <= MIDDLE.

    0 or nan when `rejected` has to decide.
    """
    cdef float k = trial_count(s, place, j), top = TABLE - 1, gap
    cdef int n = <int>((k if k > <float>0.0 else <float>0.0) if k < top else top)
    gap = (n * s.log_mean[j] - s.gamma[n + 1]) - s.norm[j] - s.trial.second[place]
    # beyond the table the probability has fallen further still
    return gap if k >= <float>0.0 and (k < top or gap < <float>-8.0) else <float>0.0


cdef inline float weigh_roughly(const Poidev *s, int place, int j) noexcept nogil:
    """`weigh` for means above MIDDLE where a series about the mean will do; else 0.

    The exponent is -mean ((1+q) ln(1+q) - q), with q = count/mean - 1, as far as rounding to a whole number (which can
    change it by q) and to float32 let one say. Beyond q = 0.2 it only serves as a bound, and nothing is accepted.
    """
    cdef float y = s.trial.first[place], slope = s.slope[j], q = y * slope, p, gap
    p = (q if q > <float>-0.2 else <float>-0.2) if q < <float>0.2 else <float>0.2
    gap = p * (<float>(1.0 / 3.0) - p * (<float>(1.0 / 6.0) - p * <float>0.1)) - <float>1.0
    gap = <float>0.5 * s.mean[j] * p * p * gap - s.trial.second[place]
    return gap if fabsf(gap) > s.noise[j] + <float>2.5 * fabsf(p) and q > <float>-0.9 else <float>0.0


cdef inline float weigh_large(const Poidev *s, int place, int j) noexcept nogil:
    """`weigh` for means above MIDDLE: ln Gamma from its value at mean+1, for counts within 8 % of the mean."""
    cdef float mean = s.mean[j], k = trial_count(s, place, j)
    cdef float bottom = mean * <float>0.92, top = mean * <float>1.08, high, gap
    cdef int n = <int>((k if k > bottom else bottom) if k < top else top)
    cdef double x = n + 1.0, t = (x - s.base[j]) * s.inverse[j], w = t * t, l, v
    l = (t - 0.5 * w) + (w * t) * ((1.0 / 3.0 - t * 0.25) + w * ((0.2 - t * (1.0 / 6.0)) + w * (1.0 / 7.0 - t * 0.125)))
    v = (x - 0.5) * (s.log_base[j] + l) - x + (0.91893853320467274 + (1.0 - t) * s.inverse[j] * (1.0 / 12.0))
    high = <float>(v + v * DOUBT_SERIES)
    gap = (n * s.log_mean[j] - high) - s.norm[j] - s.trial.second[place]
    if high != <float>(v - v * DOUBT_SERIES):
        gap = 0.0
    return gap if (bottom < k and k < top) or (gap < <float>-8.0 and k >= <float>0.0) else <float>0.0


cdef inline bint sure(float first, float second, float third) noexcept nogil:
    return fabsf(first) > DOUBT_GAP and fabsf(second) > DOUBT_GAP and fabsf(third) > DOUBT_GAP


cdef inline int reject_run(Poidev *s, int place, int j, int last, int pairs) noexcept nogil:
    """Counts for pixels j .. last-1 of the list, which are neighbours in the image; returns the place behind them.

    Whether a trial is accepted nobody can predict, least of all the processor. So two trials are weighed at a time, the
    second for this pixel and for the next, and the outcome is picked without a branch.
    """
    cdef float *count = &s.count[s.where[j]] - j
    cdef float first, same, other
    cdef bint large, known
    cdef int accepted
    while j < last:
        while s.stream.end - place < AHEAD:
            place = refill(s, place)
        shuffle(&s.stream, STEPS)
        large = s.mean[j] > <float>MIDDLE
        known = False
        if j + 1 < last and large == (s.mean[j + 1] > <float>MIDDLE):
            place = look_ahead(s, place, pairs)
            if large:
                if s.noise[j] < <float>0.2:
                    first = weigh_roughly(s, place, j)
                    same = weigh_roughly(s, place + 2, j)
                    other = weigh_roughly(s, place + 2, j + 1)
                    known = sure(first, same, other)
                if not known:
                    first = weigh_large(s, place, j)
                    same = weigh_large(s, place + 2, j)
                    other = weigh_large(s, place + 2, j + 1)
                    known = sure(first, same, other)
            else:
                first = weigh(s, place, j)
                same = weigh(s, place + 2, j)
                other = weigh(s, place + 2, j + 1)
                known = sure(first, same, other)
        if not known:
            place = rejected(s, place, j, pairs, &count[j])
            j += 1
            continue
        count[j] = <int>trial_count(s, place, j)
        accepted = first > <float>0.0
        same = other if first > <float>0.0 else same
        j += accepted
        count[j] = <int>trial_count(s, place + 2, j)
        j += same > <float>0.0
        place += 4
    return place


# ---- means above 1e6 -----------------------------------------------------------------------------------------------

cdef inline int normal(Poidev *s, int place, int pairs, float mean, float *count) noexcept nogil:
    """mean + sqrt(mean) * a normal deviate, by the polar method; returns the place behind its last deviate."""
    cdef float factor, deviate
    if s.spare_ready:
        s.spare_ready = False
        deviate = s.spare
    else:
        while True:
            if place >= s.polar.end[place & 1]:
                while s.stream.end - place < 2 * pairs:
                    place = refill(s, place)
                normals(s, place, pairs)
            factor = s.polar.first[place]
            place += 2
            if factor != 0.0:
                break
        s.spare = <float>(2.0 * s.stream.u[place - 2] - 1.0) * factor
        s.spare_ready = True
        deviate = <float>(2.0 * s.stream.u[place - 1] - 1.0) * factor
    count[0] = <float>(mean + sqrt(<double>mean) * deviate)
    return place


# ---- a block of pixels ---------------------------------------------------------------------------------------------

cdef inline int first_pixels(Poidev *s, int n, const float *mean) noexcept nogil:
    """The reference's static exponential is 0, and stands for a mean of -1, until some pixel sets it.

    Draws the pixels before that one and returns how many they are.
    """
    cdef int i
    for i in range(n):
        while s.stream.end - s.place < AHEAD:
            s.place = refill(s, s.place)
        if mean[i] == -1.0:
            s.place = count_deviates(s, s.place, 0.0, &s.count[i])
        elif mean[i] > 1.0e6:
            s.place = normal(s, s.place, PAIRS, mean[i], &s.count[i])
        else:
            s.fresh = False
            return i
    return n


cdef inline void draw(Poidev *s, int n, const float *mean) noexcept nogil:
    """s.count[:n]: Poisson deviates of the means, n <= BLOCK."""
    cdef int i = 0, j = 0, k, pairs, bright, listed = 0, place
    if s.fresh:
        i = first_pixels(s, n, mean)
    place = s.place
    bright = find_ways(n, mean, s.way)
    s.many = s.way[n // 2] > DARK and go_far(n, s.way)
    for k in range(n, n + RUN):
        s.way[k] = BRIGHT
    pairs = PAIRS if bright > n // 4 else PAIRS // 4
    if bright > 0:
        listed = list_bright(s, i, n, mean)
        rejection_constants(s, listed)
    while i < n:
        while s.stream.end - place < AHEAD:
            place = refill(s, place)
        if s.way[i] < DARK:
            k = i + RUN
            place = dark_run(s, place, &i)
            shuffle(&s.stream, RUN)
            if i == k or s.way[i] == BRIGHT:
                continue
        if s.way[i] < BRIGHT:
            place = faint_run(s, place, &i, mean)
        elif mean[i] > <float>1.0e6:
            place = normal(s, place, pairs, mean[i], &s.count[i])
            i += 1
        else:
            k = j + 1
            while k < listed and s.where[k] == i + k - j:
                k += 1
            place = reject_run(s, place, j, k, pairs)
            i += k - j
            j = k
    s.place = place
