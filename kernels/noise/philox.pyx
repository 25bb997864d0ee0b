# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Poisson noise from the counter-based stream of nb_philox.h.

A pixel's count depends on its mean, its place and the seed. It is that of `nb_poisson` in nb_poisson.h, which does one
pixel at a time. Here chunks of pixels are worked out in vector loops: the random words; for faint pixels the comparison
with sums of probabilities; for bright ones the trials. What these leave open goes to the scalar functions.

The loops are compiled for several instruction-set levels (nb_levels.h), without contraction: same counts at all.
"""

from cython.parallel cimport prange
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from nanobragg_py.kernels.formulas.formulas cimport nb_in, nb_inf, nb_ini, nb_out, nb_outf, nb_outi

cdef extern from "nb_poisson.h" nogil:
    enum:
        NB_PHILOX_GROUP
        NB_PHILOX_PIXEL
        NB_PHILOX_SHARE
        NB_PHILOX_ROUNDS
        NB_POISSON_MOST
    uint32_t NB_PHILOX_STEP_LOW
    uint32_t NB_PHILOX_STEP_HIGH
    double NB_POISSON_PTRS
    double NB_POISSON_NORMAL
    double NB_POISSON_WORD
    ctypedef struct nb_ptrs:
        pass
    void nb_philox_round(uint32_t *x0, uint32_t *x1, uint32_t *x2, uint32_t *x3, uint32_t low, uint32_t high)
    void nb_philox(uint32_t *x, uint32_t low, uint32_t high)
    double nb_uniform(uint32_t high, uint32_t low)
    double nb_exp(double x)
    double nb_poisson_small(double mean, uint32_t word, uint64_t pixel, uint32_t low, uint32_t high)
    nb_ptrs nb_ptrs_of(double mean)
    double nb_ptrs_u(uint32_t x0, uint32_t x1)
    double nb_ptrs_us(double u)
    double nb_ptrs_count(double mean, nb_ptrs s, double u, double us)
    bint nb_ptrs_squeezed(nb_ptrs s, double us, double v)
    double nb_ptrs_margin(double mean, nb_ptrs s, double us, double v, double k)
    bint nb_ptrs_accepted(double mean, nb_ptrs s, double us, double v, double k)
    double nb_poisson_ptrs(double mean, uint32_t draw, uint64_t pixel, uint32_t low, uint32_t high)
    double nb_poisson(double mean, uint64_t pixel, uint32_t low, uint32_t high)

cdef extern from *:
    """
    #ifdef __AVX512F__
    #include <immintrin.h>
    #endif
    typedef unsigned int *__restrict nb_outu;
    typedef const unsigned int *__restrict nb_inu;
    typedef unsigned short *__restrict nb_outh;

    /* where: the places of the n pixels (a multiple of 16) that are of a kind; returns how many. Room for 16 more. */
    static inline int nb_list_kind(int n, const int *kind, int wanted, int *where)
    {
        int i, listed = 0;
    #ifdef __AVX512F__
        __m512i place = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        for (i = 0; i < n; i += 16) {
            __mmask16 mask = _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(kind + i), _mm512_set1_epi32(wanted));
            _mm512_storeu_si512(where + listed, _mm512_maskz_compress_epi32(mask, place));
            listed += __builtin_popcount(mask);
            place = _mm512_add_epi32(place, _mm512_set1_epi32(16));
        }
    #else
        for (i = 0; i < n; i++) {
            where[listed] = i;
            listed += kind[i] == wanted;
        }
    #endif
        return listed;
    }
    """
    int nb_list_kind(int n, const int *kind, int wanted, int *where) noexcept nogil
    ctypedef uint32_t *nb_outu
    ctypedef const uint32_t *nb_inu
    ctypedef unsigned short *nb_outh

cdef enum:
    CHUNK = 256          # pixels worked out together
    STEPS = 4            # sums of probabilities compared with in one go
    ZERO = 0             # kinds of pixels: the word settles that there is no photon
    OPEN = 1             # a mean below 10, not settled
    BRIGHT = 2
    TOP = 65535          # the largest pixel
    PAD = 16             # vector loops over lists run to a multiple of this, and lists are made PAD pixels at a time
    FEW = 6              # pixels that are left to the scalar function


cdef struct Scratch:
    # of one chunk
    uint32_t x0[CHUNK]          # counters, then random words
    uint32_t x1[CHUNK]
    uint32_t x2[CHUNK]
    uint32_t x3[CHUNK]
    int word[CHUNK + 8]         # 31 bits for every pixel
    float confined[CHUNK]       # means, see `confine`
    int kind[CHUNK]
    int count[CHUNK]            # photons, 2^30 at most
    # of the pixels listed
    int where[CHUNK + PAD]
    double mean[CHUNK]
    double u[CHUNK]
    double term[CHUNK]          # the probability of k photons
    double sum[CHUNK]           # and of k at most
    double above[CHUNK]         # how many sums the deviate may exceed, given more bits
    double drawn[CHUNK]         # how many it does exceed; of bright pixels, what a trial gives
    double value[CHUNK]         # counts of the bright pixels, by place in the chunk


cdef inline int padded(int n) noexcept nogil:
    return (n + PAD - 1) & -PAD


# ---- random words --------------------------------------------------------------------------------------------------

cdef inline void one_round(int n, nb_outu x0, nb_outu x1, nb_outu x2, nb_outu x3, uint32_t low,
                           uint32_t high) noexcept nogil:
    cdef int i
    for i in range(n):
        nb_philox_round(&x0[i], &x1[i], &x2[i], &x3[i], low, high)


cdef void scramble(Scratch *s, int n, uint32_t low, uint32_t high) noexcept nogil:
    """n counters to random words; round by round, as the compiler then makes vectors of it."""
    cdef int _round
    for _round in range(NB_PHILOX_ROUNDS):
        one_round(n, s.x0, s.x1, s.x2, s.x3, low, high)
        low += NB_PHILOX_STEP_LOW
        high += NB_PHILOX_STEP_HIGH


cdef inline void deal(int groups, nb_inu x0, nb_inu x1, nb_inu x2, nb_inu x3, nb_outi word) noexcept nogil:
    cdef int i
    for i in range(groups):
        word[4 * i] = <int>(x0[i] >> 1)
        word[4 * i + 1] = <int>(x1[i] >> 1)
        word[4 * i + 2] = <int>(x2[i] >> 1)
        word[4 * i + 3] = <int>(x3[i] >> 1)


cdef void group_words(Scratch *s, int n, uint64_t pixel, uint32_t low, uint32_t high) noexcept nogil:
    """s.word: 31 bits for n pixels from `pixel` on, and for those before it in its group."""
    cdef uint64_t first = pixel // NB_PHILOX_SHARE
    cdef int i, groups = (<int>(pixel % NB_PHILOX_SHARE) + n + NB_PHILOX_SHARE - 1) // NB_PHILOX_SHARE
    for i in range(groups):
        s.x0[i] = 0
        s.x1[i] = <uint32_t>(first + i)
        s.x2[i] = <uint32_t>((first + i) >> 32)
        s.x3[i] = NB_PHILOX_GROUP
    scramble(s, groups, low, high)
    deal(groups, s.x0, s.x1, s.x2, s.x3, s.word)


# ---- faint pixels --------------------------------------------------------------------------------------------------

cdef int settle(int n, nb_inf image, nb_ini word, nb_outf mean, nb_outi kind) noexcept nogil:
    """mean: between 0 (also for what is no number) and that of the first BRIGHT pixel. kind: of every pixel; returns
    all kinds found, combined by `or`.

    A word below exp(-mean) means no photon. So does one below the first terms of the series, which are never larger and
    settle most pixels that can be settled; the rest of them count none when they are drawn. The margin is for rounding.
    """
    cdef int i, k, open = 0
    cdef float m, limit
    for i in range(n):
        m = image[i] if image[i] > <float>0.0 else <float>0.0
        m = m if m < <float>NB_POISSON_PTRS else <float>NB_POISSON_PTRS
        limit = <float>1.0 - m * (<float>1.0 - m * (<float>0.5 - m * <float>(1.0 / 6.0)))
        k = <float>word[i] >= limit * <float>(NB_POISSON_WORD * (1.0 - 1e-6)) - <float>2.0
        k = BRIGHT if m >= <float>NB_POISSON_PTRS else k
        mean[i] = m
        kind[i] = k
        open |= k
    return open


cdef int64_t more_sums(int n, int k, nb_in mean, nb_in u, nb_out term, nb_out sum, nb_out count,
                       nb_out above) noexcept nogil:
    """Compare with the sums for k .. k+STEPS-1 photons; returns how many deviates exceed them all."""
    cdef int i
    cdef int64_t left = 0
    cdef double p, t, c, a
    cdef double inverse0 = 1.0 / (k + 1), inverse1 = 1.0 / (k + 2), inverse2 = 1.0 / (k + 3), inverse3 = 1.0 / (k + 4)
    for i in range(n):
        p, t, c, a = term[i], sum[i], count[i], above[i]
        c += 1.0 if u[i] >= t else 0.0
        a += 1.0 if u[i] + 1.0 > t else 0.0
        p = p * (mean[i] * inverse0)
        t = t + p
        c += 1.0 if u[i] >= t else 0.0
        a += 1.0 if u[i] + 1.0 > t else 0.0
        p = p * (mean[i] * inverse1)
        t = t + p
        c += 1.0 if u[i] >= t else 0.0
        a += 1.0 if u[i] + 1.0 > t else 0.0
        p = p * (mean[i] * inverse2)
        t = t + p
        c += 1.0 if u[i] >= t else 0.0
        a += 1.0 if u[i] + 1.0 > t else 0.0
        left += u[i] >= t
        p = p * (mean[i] * inverse3)
        term[i] = p
        sum[i] = t + p
        count[i] = c
        above[i] = a
    return left


cdef int64_t open_cases(int n, nb_in count, nb_in above) noexcept nogil:
    cdef int i
    cdef int64_t found = 0
    for i in range(n):
        found += count[i] != above[i]
    return found


cdef inline void first_terms(int n, nb_in mean, nb_out term, nb_out sum, nb_out count, nb_out above) noexcept nogil:
    cdef int i
    for i in range(n):
        term[i] = nb_exp(-mean[i]) * NB_POISSON_WORD
        sum[i] = term[i]
        count[i] = 0.0
        above[i] = 0.0


cdef void draw_faint(Scratch *s, int n, nb_inf mean, nb_ini word, uint64_t pixel, uint32_t low,
                     uint32_t high) noexcept nogil:
    """s.count of the pixels that are OPEN, from confined means (one of 0 counts nothing). See nb_poisson_small."""
    cdef int i, j, k = 0, listed = nb_list_kind(padded(n), s.kind, OPEN, s.where), m = padded(listed)
    for j in range(listed):
        i = s.where[j]
        s.mean[j] = mean[i]
        s.u[j] = word[i]
    for j in range(listed, m):
        s.mean[j] = 0.0
        s.u[j] = 0.0
    first_terms(m, s.mean, s.term, s.sum, s.drawn, s.above)
    while m > 0 and more_sums(m, k, s.mean, s.u, s.term, s.sum, s.drawn, s.above) > 0 and k + STEPS < NB_POISSON_MOST:
        k += STEPS
    for j in range(listed):
        i = s.where[j]
        s.count[i] = <int>s.drawn[j]
    if open_cases(listed, s.drawn, s.above) > 0:
        for j in range(listed):
            if s.drawn[j] != s.above[j]:
                i = s.where[j]
                s.count[i] = <int>nb_poisson_small(s.mean[j], <uint32_t>word[i], pixel + i, low, high)


include "transformed_rejection.pxi"


# ---- pixels --------------------------------------------------------------------------------------------------------

cdef int convert_whole(int n, int pedestal, nb_ini count, nb_outh out) noexcept nogil:
    """Pixels for a pedestal that is a whole number from 0 to 65535; returns how many are clipped."""
    cdef int i, clipped = 0, k
    for i in range(n):
        k = count[i] + pedestal
        clipped += k > TOP
        out[i] = <unsigned short>(k if k < TOP else TOP)
    return clipped


cdef int convert(int n, double adc, nb_ini count, nb_outh out) noexcept nogil:
    """For any pedestal, as C converts numbers: towards 0, and below that modulo 65536."""
    cdef int i, clipped = 0
    cdef double t
    for i in range(n):
        t = count[i] + adc
        clipped += t > TOP
        t = t if t < TOP else <double>TOP
        t = t if t > -2147483649.0 else 0.0
        out[i] = <unsigned short><int>t
    return clipped


cdef int64_t total(int n, nb_ini count) noexcept nogil:
    """The sum of the counts up to TOP."""
    cdef int i, sum = 0
    for i in range(n):
        sum += count[i] if count[i] < TOP else TOP
    return sum


cdef double draw_row(int n, const float *image, double adc, uint64_t pixel, uint32_t low, uint32_t high,
                     unsigned short *out, long *overloads) noexcept nogil:
    """A row's pixels, the first of which has the index `pixel`; returns the sum of the counts."""
    cdef Scratch s
    cdef int begin = 0, length, open
    cdef double photons = 0.0
    cdef bint whole = 0.0 <= adc <= TOP and adc == <int>adc
    cdef const int *word
    overloads[0] = 0
    while begin < n:
        length = CHUNK if n - begin > CHUNK else n - begin
        word = &s.word[(pixel + begin) % NB_PHILOX_SHARE]
        group_words(&s, length, pixel + begin, low, high)
        memset(s.kind, 0, sizeof(s.kind))
        open = settle(length, image + begin, word, s.confined, s.kind)
        memset(s.count, 0, sizeof(s.count))
        if open & OPEN:
            draw_faint(&s, length, s.confined, word, pixel + begin, low, high)
        if open & BRIGHT:
            photons += draw_bright(&s, length, image + begin, pixel + begin, low, high)
        if open > 0:
            photons += total(length, s.count)
        if whole:
            overloads[0] += convert_whole(length, <int>adc, s.count, out + begin)
        else:
            overloads[0] += convert(length, adc, s.count, out + begin)
        begin += length
    return photons


cdef struct Loops:
    # of the level that was chosen
    double (*draw_row)(int n, const float *image, double adc, uint64_t pixel, uint32_t low, uint32_t high,
                       unsigned short *out, long *overloads) noexcept nogil

include "../loops/levels.pxi"


cdef void fill_loops "nb_fill_loops"(void *table) noexcept:
    (<Loops *>table).draw_row = draw_row


def draw_rows(const float[:, ::1] image, unsigned short[:, ::1] out, Py_ssize_t first, double adc, Py_ssize_t fast_min,
              Py_ssize_t fast_max, uint64_t seed, int threads):
    """Noise for some rows of an image; returns (photons, overloads): the sum of counts, the pixels clipped.

    image: (rows, fast), mean counts. out: pixels, of the same shape: count + adc, clipped at 65535 and truncated, from
    fast_min to fast_max (inclusive), 0 elsewhere. first: number of the first row in the whole image.
    """
    cdef Py_ssize_t row, rows = image.shape[0], fast = image.shape[1]
    cdef Py_ssize_t low = max(fast_min, 0), high = min(fast_max + 1, fast)
    cdef uint32_t key_low = <uint32_t>seed, key_high = <uint32_t>(seed >> 32)
    cdef double *photons
    cdef long *overloads
    cdef double sum = 0.0
    cdef long clipped = 0
    if out.shape[0] != rows or out.shape[1] != fast:
        raise ValueError("the image and its noise must have the same shape")
    if rows == 0 or low >= high:
        if rows > 0 and fast > 0:
            memset(&out[0, 0], 0, rows * fast * sizeof(unsigned short))
        return 0.0, 0
    photons = <double *>malloc(rows * sizeof(double))
    overloads = <long *>malloc(rows * sizeof(long))
    if photons == NULL or overloads == NULL:
        free(photons)
        free(overloads)
        raise MemoryError("no memory for the noise image")
    for row in prange(rows, nogil=True, schedule="dynamic", chunksize=2, num_threads=max(threads, 1)):
        if low > 0 or high < fast:
            memset(&out[row, 0], 0, fast * sizeof(unsigned short))
        photons[row] = loops.draw_row(<int>(high - low), &image[row, low], adc, <uint64_t>(first + row) * fast + low,
                                      key_low, key_high, &out[row, low], &overloads[row])
    for row in range(rows):  # in the order of the rows: the sum does not depend on threads
        sum += photons[row]
        clipped += overloads[row]
    free(photons)
    free(overloads)
    return sum, clipped


def poisson(double mean, uint64_t pixel, uint64_t seed):
    """The count of one pixel: what `draw_rows` gives, from the scalar functions alone."""
    return nb_poisson(mean, pixel, <uint32_t>seed, <uint32_t>(seed >> 32))


def philox(counter, key):
    """Philox4x32-10: the four words of a counter (4 words) and a key (2 words)."""
    cdef uint32_t x[4]
    cdef int i
    for i in range(4):
        x[i] = counter[i]
    nb_philox(x, key[0], key[1])
    return x[0], x[1], x[2], x[3]
