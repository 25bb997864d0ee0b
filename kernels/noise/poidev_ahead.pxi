# What Poisson deviates need that can be worked out ahead, in vector loops; `poidev` has the serial rest.
#
# These are the constants of the means of a block of pixels, and whatever depends on the deviates of the stream alone.
#
# Every float32 quantity is the reference's. A vector function is bracketed: where it rounds to the same float32 from a
# little below and from a little above, that is the reference's, too; else the C library decides, as in the reference.
#
# Part of poisson.pyx, as ran1_ahead.pxi, which it includes.

from libc.math cimport M_PI, log, sqrt, tan
from libc.string cimport memmove, memset

from nanobragg_py.kernels.formulas.formulas cimport nb_in, nb_inf, nb_ini, nb_out, nb_outf, nb_outi

include "ran1_ahead.pxi"

cdef extern from *:
    """
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif
    /* relative: far above the errors of nb_log, nb_tan_pi and square roots, far below 2^-24 */
    #define NB_DOUBT (1.0 / (1LL << 40))
    /* absolute, of ln Gamma: Lanczos's formula and Stirling's series differ by 1.6e-10 from 13 on */
    #define NB_DOUBT_GAMMA 4e-10
    /* relative, of ln Gamma from its value at mean+1 (weigh_large): 2^-37 was found */
    #define NB_DOUBT_SERIES (1.0 / (1LL << 36))
    /* of sums of nb_log_units: MANY times their error, and what the reference rounds */
    #define NB_DOUBT_UNITS 32
    /* absolute: ten times the error of nb_log_rough */
    #define NB_DOUBT_GAP 1e-4f

    /* Bit i: whether pixel i of 16 may count something if those before it count nothing: whether step i of the path is
     * shorter than its way and twice the doubt. By hand, as compilers make a poor job of gathering bits. */
    static inline unsigned int nb_loud(const unsigned int *path, const int *way)
    {
    #ifdef __SSE2__
        const __m128i doubt = _mm_set1_epi32(2 * NB_DOUBT_UNITS);
        __m128i short_[4];
        int i;
        for (i = 0; i < 4; i++)
            short_[i] = _mm_cmpgt_epi32(
                _mm_add_epi32(_mm_loadu_si128((const __m128i *)(way + 4 * i)), doubt),
                _mm_sub_epi32(_mm_loadu_si128((const __m128i *)(path + 4 * i + 1)),
                              _mm_loadu_si128((const __m128i *)(path + 4 * i))));
        return (unsigned int)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(short_[0], short_[1]),
                                                               _mm_packs_epi32(short_[2], short_[3])));
    #else
        unsigned int i, mask = 0;
        for (i = 0; i < 16; i++)
            mask |= ((path[i + 1] - path[i]) - (unsigned int)(way[i] + 2 * NB_DOUBT_UNITS)) >> 31 << i;
        return mask;
    #endif
    }

    /* How many of the next 16 steps of the path lie before the target: as many as the first of them, as it ascends. */
    static inline unsigned int nb_short_of(const unsigned int *path, unsigned int target)
    {
    #ifdef __SSE2__
        const __m128i end = _mm_set1_epi32((int)target);
        __m128i short_[4];
        int i;
        for (i = 0; i < 4; i++)
            short_[i] = _mm_cmpgt_epi32(end, _mm_loadu_si128((const __m128i *)(path + 4 * i)));
        return (unsigned int)__builtin_ctz(
            ~(unsigned int)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(short_[0], short_[1]),
                                                             _mm_packs_epi32(short_[2], short_[3]))));
    #else
        unsigned int i, n = 0;
        for (i = 0; i < 16; i++)
            n += (path[i] - target) >> 31; /* not path[i] < target: gcc 12 for aarch64 makes -n of that sum */
        return n;
    #endif
    }
    """
    uint32_t nb_loud(const uint32_t *path, const int *way) noexcept nogil
    uint32_t nb_short_of(const uint32_t *path, uint32_t target) noexcept nogil
    int nb_lowest_bit "__builtin_ctz"(uint32_t n) noexcept nogil
    double DOUBT "NB_DOUBT"
    double DOUBT_GAMMA "NB_DOUBT_GAMMA"
    double DOUBT_SERIES "NB_DOUBT_SERIES"
    int32_t DOUBT_UNITS "NB_DOUBT_UNITS"
    float DOUBT_GAP "NB_DOUBT_GAP"

cdef enum:
    BLOCK = DRAWN  # pixels whose constants are worked out together
    PAD = 8       # vector loops run to a multiple of this
    PAIRS = 32    # pairs of deviates worked out together at most
    AHEAD = 2 * PAIRS  # deviates in stock when a pixel's turn comes; more than RUN + MANY
    TABLE = 4096  # ln Gamma is looked up below this
    RUN = 16      # pixels that are tried at a time for counting nothing
    MANY = 40     # counts that short sums of logarithms settle
    DARK = 40000  # Poidev.way of a mean of 0.21: below, RUN pixels are worth a try
    BRIGHT = 1 << 29  # Poidev.way of means of 12 and more
    FAR = 950000  # Poidev.way of a mean of 5
    MIDDLE = 3500  # the mean from which on counts may well leave the table


cdef struct Pairs:
    # what was worked out of the pairs of deviates at places i, i+1 of the stream, for even i before end[0] and odd i
    # before end[1]
    int end[2]
    float first[ROW]
    float second[ROW]


cdef struct Poidev:
    Stream stream
    int place                   # of the next deviate
    bint many                   # the pixels of the block have means of more than 5, by and large
    bint fresh                  # no pixel has set the reference's static exponential yet
    bint spare_ready            # a normal deviate is left over
    float spare
    Pairs trial                 # first: y = tan(pi u); second: ln of v/(0.9(1+y^2))
    Pairs polar                 # first: Box-Muller factor, 0 outside the unit circle
    float even[PAIRS]           # the deviates u, v of each pair, and results
    float odd[PAIRS]
    float high[PAIRS]
    float low[PAIRS]
    float gamma[TABLE + 1]      # ln Gamma(k), nan where nobody has asked yet
    float count[BLOCK + RUN]    # the block's result
    uint32_t bit[32]            # 1 << i
    # constants of a block of pixels
    int way[BLOCK + RUN]        # how far a pixel's deviates have to go along stream.path, less DOUBT_UNITS; or BRIGHT
    # the pixels with means from 12 to 1e6
    int where[BLOCK + PAD]      # in the block
    float mean[BLOCK + PAD]
    float width[BLOCK + PAD]    # sqrt(2 mean)
    float log_mean[BLOCK + PAD]
    float norm[BLOCK + PAD]     # mean ln mean - ln Gamma(mean+1)
    float slope[BLOCK + PAD]    # width/mean
    float noise[BLOCK + PAD]    # what rounding to float32 can change an exponent by
    float scratch[2][BLOCK + PAD]
    double base[BLOCK + PAD]    # mean+1
    double inverse[BLOCK + PAD]  # 1/base
    double log_base[BLOCK + PAD]


cdef inline void begin_poidev(Poidev *s, nb_ran1 shared, int64_t seed) noexcept nogil:
    cdef int i
    memset(s, 0, sizeof(Poidev))
    memset(s.gamma, 0xff, sizeof(s.gamma))  # nan
    s.gamma[TABLE] = nb_gammln(TABLE)  # a bound for all that lies beyond
    begin_stream(&s.stream, shared, seed)
    for i in range(32):
        s.bit[i] = <uint32_t>1 << i
    s.fresh = True


cdef inline int refill(Poidev *s, int place) noexcept nogil:
    """Append deviates, all before `place` being spent; returns where `place` is now."""
    cdef int k, shift
    if s.stream.end + LANES > CAPACITY:
        shift = place & ~1  # even places stay even
        memmove(&s.trial.first[0], &s.trial.first[shift], (s.stream.end - shift) * sizeof(float))
        memmove(&s.trial.second[0], &s.trial.second[shift], (s.stream.end - shift) * sizeof(float))
        memmove(&s.polar.first[0], &s.polar.first[shift], (s.stream.end - shift) * sizeof(float))
        for k in range(2):
            s.trial.end[k] -= shift
            s.polar.end[k] -= shift
        forget(&s.stream, shift)
        place -= shift
    append_deviates(&s.stream)
    return place


# ---- constants of a block of pixels --------------------------------------------------------------------------------

cdef inline int find_ways(int n, nb_inf mean, nb_outi way) noexcept nogil:
    """Poidev.way. Returns how many means are 12 or more, or no numbers."""
    cdef int i, bright = 0
    cdef float x
    for i in range(n):
        x = mean[i] if mean[i] < <float>12.0 else <float>12.0
        x = x if x > <float>0.0 else <float>0.0
        x = x * <float>(1.4426950408889634 * 131072.0) - <float>DOUBT_UNITS  # -log2(exp(-mean)) in nb_log_units
        way[i] = <int>x if mean[i] < <float>12.0 else BRIGHT
        bright += not mean[i] < <float>12.0
    return bright


cdef inline bint go_far(int n, nb_ini way) noexcept nogil:
    """Whether the pixels' ways are longer than FAR in the mean; those of BRIGHT count nothing."""
    cdef int i, sum = 0
    for i in range(n):
        sum += way[i] if way[i] < BRIGHT else 0
    return sum > n * FAR


cdef inline double stirling(double x, double log_x, double inverse) noexcept nogil:
    """ln Gamma(x) for x >= 13, within 2e-10 of nb_gammln before rounding."""
    cdef double w = inverse * inverse
    w = inverse * (1.0 / 12.0 - w * (1.0 / 360.0 - w * (1.0 / 1260.0)))
    return (x - 0.5) * log_x - x + (0.91893853320467274 + w)  # ln sqrt(2 pi)


cdef inline void bracket_logarithms(int n, nb_inf mean, nb_outf log_mean, nb_outf low, nb_out base, nb_out inverse,
                                    nb_out log_base) noexcept nogil:
    cdef int i
    cdef double l, x
    for i in range(n):
        l = nb_log(mean[i])
        log_mean[i] = <float>(l + l * DOUBT)
        low[i] = <float>(l - l * DOUBT)
        x = <float>(mean[i] + 1.0)
        base[i] = x
        inverse[i] = 1.0 / x
        log_base[i] = nb_log(x)


cdef inline void bracket_gammas(int n, nb_in base, nb_in inverse, nb_in log_base, nb_outf gamma,
                                nb_outf low) noexcept nogil:
    cdef int i
    cdef double v
    for i in range(n):
        v = stirling(base[i], log_base[i], inverse[i])
        gamma[i] = <float>(v + (v * DOUBT + DOUBT_GAMMA))
        low[i] = <float>(v - (v * DOUBT + DOUBT_GAMMA))


cdef inline void rejection_constants(Poidev *s, int n) noexcept nogil:
    """The constants of s.mean[:n]."""
    cdef int i, padded = (n + PAD - 1) // PAD * PAD
    cdef nb_outf gamma = s.scratch[0]
    cdef nb_outf low = s.scratch[1]
    for i in range(n, padded):
        s.mean[i] = 12.0
    bracket_logarithms(padded, s.mean, s.log_mean, low, s.base, s.inverse, s.log_base)
    for i in range(n):
        if s.log_mean[i] != low[i]:
            s.log_mean[i] = <float>log(s.mean[i])
    bracket_gammas(padded, s.base, s.inverse, s.log_base, gamma, low)
    for i in range(n):
        if gamma[i] != low[i]:
            gamma[i] = nb_gammln(<float>(s.mean[i] + 1.0))
    for i in range(padded):
        s.width[i] = <float>sqrt(2.0 * s.mean[i])
        s.noise[i] = s.mean[i] * s.log_mean[i]
        s.norm[i] = s.noise[i] - gamma[i]
        s.slope[i] = s.width[i] / s.mean[i]
        # Three of the exponent's terms are of this size, and each is rounded: 3.5 units in the last place. The constant
        # is for what the series of weigh_roughly leaves out.
        s.noise[i] = <float>0.005 + s.noise[i] * <float>(3.5 / (1 << 23))


cdef inline uint32_t bright_mask(nb_ini way, nb_inf mean, nb_inu bit) noexcept nogil:
    """Which of 32 pixels `poidev` treats by rejection."""
    cdef int i
    cdef uint32_t mask = 0
    for i in range(32):
        mask |= bit[i] & -<uint32_t>((way[i] == BRIGHT) & (not mean[i] > <float>1.0e6))
    return mask


cdef inline int list_bright(Poidev *s, int begin, int n, const float *mean) noexcept nogil:
    """s.where and s.mean: the pixels that `poidev` treats by rejection. Returns how many."""
    cdef int i, j = 0
    cdef uint32_t mask
    while begin + 32 <= n:
        mask = bright_mask(&s.way[begin], mean + begin, s.bit)
        while mask != 0:
            i = begin + nb_lowest_bit(mask)
            s.where[j] = i
            s.mean[j] = mean[i]
            j += 1
            mask &= mask - 1
        begin += 32
    for i in range(begin, n):
        s.where[j] = i
        s.mean[j] = mean[i]
        j += (s.way[i] == BRIGHT) & (not mean[i] > <float>1.0e6)
    return j


# ---- what the deviates ahead will be needed for ---------------------------------------------------------------------

cdef inline void split(int n, nb_inf u, nb_outf even, nb_outf odd) noexcept nogil:
    cdef int i
    for i in range(n):
        even[i] = u[2 * i]
        odd[i] = u[2 * i + 1]


cdef inline void tangents(int n, nb_inf u, nb_outf y, nb_outf low) noexcept nogil:
    cdef int i
    cdef double t
    for i in range(n):
        t = nb_tan_pi(u[i])
        y[i] = <float>(t + t * DOUBT)
        low[i] = <float>(t - t * DOUBT)


cdef inline void rough_logarithms(int n, nb_inf v, nb_inf y, nb_outf l) noexcept nogil:
    cdef int i
    for i in range(n):
        l[i] = nb_log_rough(v[i] / (<float>0.9 * (<float>1.0 + y[i] * y[i])))


cdef inline void trials(Poidev *s, int place, int pairs) noexcept nogil:
    """s.trial for pairs of deviates from `place`."""
    cdef int i
    split(pairs, &s.stream.u[place], s.even, s.odd)
    tangents(pairs, s.even, s.high, s.low)
    for i in range(pairs):
        if s.high[i] != s.low[i]:
            s.high[i] = <float>tan(M_PI * s.even[i])
    rough_logarithms(pairs, s.odd, s.high, s.low)
    for i in range(pairs):
        s.trial.first[place + 2 * i] = s.high[i]
        s.trial.second[place + 2 * i] = s.low[i]
    s.trial.end[place & 1] = place + 2 * pairs


cdef inline void polar_factors(int n, nb_outf v, nb_outf w, nb_outf high, nb_outf low) noexcept nogil:
    """Deviates from 0 to 1 -> -1 to 1, and Box-Muller factors, 0 outside the unit circle."""
    cdef int i
    cdef double f, r, inside
    cdef float q
    for i in range(n):
        v[i] = <float>(2.0 * v[i] - 1.0)
        w[i] = <float>(2.0 * w[i] - 1.0)
    for i in range(n):
        q = v[i] * v[i] + w[i] * w[i]
        r = q if q > <float>0.0 else <float>1.0
        inside = 1.0 if r < 1.0 else 0.0
        f = inside * sqrt(-2.0 * (inside * nb_log(r)) / r)
        high[i] = <float>(f + f * DOUBT)
        low[i] = <float>(f - f * DOUBT)


cdef inline void normals(Poidev *s, int place, int pairs) noexcept nogil:
    """s.polar for pairs of deviates from `place`."""
    cdef int i
    cdef float q
    split(pairs, &s.stream.u[place], s.even, s.odd)
    polar_factors(pairs, s.even, s.odd, s.high, s.low)
    for i in range(pairs):
        if s.high[i] != s.low[i]:
            q = s.even[i] * s.even[i] + s.odd[i] * s.odd[i]
            s.high[i] = <float>sqrt(-2.0 * log(q) / q)
        s.polar.first[place + 2 * i] = s.high[i]
    s.polar.end[place & 1] = place + 2 * pairs
