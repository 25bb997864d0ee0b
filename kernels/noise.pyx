# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Poisson noise, byte for byte the reference's, and the conversion of counts to 16-bit pixels.

The reference draws pixel after pixel from one serial generator, and every decision hangs on the decision before. What
can be done ahead is done ahead, in vector loops: the congruential numbers (every lane jumps LANES steps at once), the
products of consecutive deviates that faint pixels compare with exp(-mean), the tangents and logarithms that bright ones
need at any place of the stream. What is left serial is the shuffle, a few cycles for each deviate, and the processor
works on it while it consumes older deviates.

Results are the reference's because each float32 quantity is: a vector function is bracketed, and where its float32 is in
doubt the C library decides, as it does in the reference.
"""

from libc.math cimport M_PI, exp, floor, floorf, log, sqrt, tan
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset

from nanobragg_py.kernels.nb cimport nb_inf, nb_outf
from nanobragg_py.kernels.random cimport Ran1, seed_variable
from nanobragg_py.kernels.rng cimport *

cdef extern from *:
    """
    typedef unsigned int *__restrict nb_outu;
    typedef const unsigned int *__restrict nb_inu;
    typedef unsigned char *__restrict nb_outb;
    typedef unsigned short *__restrict nb_outh;
    #define nb_lowest_bit(n) __builtin_ctz(n)
    """
    ctypedef uint32_t *nb_outu
    ctypedef const uint32_t *nb_inu
    ctypedef uint8_t *nb_outb
    ctypedef unsigned short *nb_outh
    int nb_lowest_bit(uint32_t n) noexcept nogil

cdef enum:
    LANES = 64         # deviates made at a time
    STEPS = 4          # deviates shuffled at a time
    PRODUCTS = 8       # products of 1 .. 8 deviates are kept for every place of the stream
    CAPACITY = 1024
    RUN = 32           # dark pixels looked at together
    BLOCK = 256        # pixels whose constants are worked out together
    TABLE = 4096       # ln Gamma of whole numbers up to this is looked up
    WINDOW = 64        # places of the stream whose tangents are worked out together at most
    AHEAD = LANES + 32  # deviates kept in stock, so that nobody waits for the shuffle

# float32 brackets: relative half-widths, far above the errors of the vector functions and far below 2^-24
cdef double DOUBT = 1.0 / (1 << 40)


cdef struct Stream:
    uint32_t lane[LANES]        # the next LANES numbers of the congruential generator
    uint32_t stride             # 16807^LANES mod 2^31-1
    uint32_t table[NB_RAN1_ENTRIES]
    uint8_t entry[NB_RAN1_ENTRIES]  # for each entry of the table, the entry that its number points to
    size_t next                 # the entry to draw from
    uint32_t number[LANES]      # numbers that are being shuffled, the entries they point to, and what is drawn
    uint8_t number_entry[LANES]
    uint32_t drawn[LANES]
    int shuffled                # how many of LANES are
    int first                   # the place in u of the next unread deviate
    int end                     # deviates in u[0]
    float u[PRODUCTS][CAPACITY + 16]  # u[k][i]: float32 product of the k+1 deviates from place i


cdef struct Window:
    # places begin .. end-1 of the stream
    int begin
    int end
    float first[WINDOW]
    float second[WINDOW]


cdef struct State:
    Stream stream
    bint fresh                  # no pixel has set the reference's static exponential yet
    bint spare_ready            # a normal deviate is left over
    float spare
    bint table_ready
    Window trial                # y = tan(pi u), and ln of (next u)/(0.9(1+y^2))
    Window polar                # Box-Muller factor for the pair of deviates from here, 0 outside the circle
    float gamma[TABLE + 1]      # ln Gamma(k)
    # constants of one block of pixels
    float limit[BLOCK]          # exp(-mean), or -1 for means of 12 and more
    float count[BLOCK + RUN]
    uint32_t bit[RUN]           # 1 << i
    float dark[BLOCK + RUN]     # the block's means, with something behind them to read
    float mean[BLOCK]           # of the pixels between 12 and 1e6 only
    float width[BLOCK]          # sqrt(2 mean)
    float log_mean[BLOCK]
    float norm[BLOCK]


# ---- uniform deviates ----------------------------------------------------------------------------------------------

cdef void congruential(nb_outu lane, uint32_t stride, nb_outu number, nb_outb entry) noexcept nogil:
    """The next LANES numbers x -> 16807 x mod 2^31-1, and the table entry each will point to."""
    cdef int i
    cdef uint32_t x, s
    cdef uint64_t product
    for i in range(LANES):
        x = lane[i]
        number[i] = x
        entry[i] = <uint8_t>(x >> 26)
        product = <uint64_t>x * stride
        s = <uint32_t>(product & 0x7fffffff) + <uint32_t>(product >> 31)
        lane[i] = (s & 0x7fffffff) + (s >> 31)


cdef inline void shuffle(Stream *s) noexcept nogil:
    """Draw STEPS more numbers. The dependent chain is one byte load a number; the numbers follow beside it."""
    cdef size_t j = s.next, k
    cdef int i, done = s.shuffled
    if done == LANES:
        return
    for i in range(done, done + STEPS):
        k = s.entry[j]
        s.entry[j] = s.number_entry[i]
        s.drawn[i] = s.table[j]
        s.table[j] = s.number[i]
        j = k
    s.next = j
    s.shuffled = done + STEPS


cdef void deviates(nb_inu drawn, nb_outf u) noexcept nogil:
    cdef int i
    for i in range(LANES):
        u[i] = nb_ran1_deviate(<int32_t>drawn[i])


cdef void multiply(nb_inf u, nb_outf p1, nb_outf p2, nb_outf p3, nb_outf p4, nb_outf p5, nb_outf p6,
                   nb_outf p7) noexcept nogil:
    """Products of 2 .. 8 consecutive deviates, in the order of the stream."""
    cdef int i
    cdef float p
    for i in range(LANES):
        p = u[i] * u[i + 1]
        p1[i] = p
        p = p * u[i + 2]
        p2[i] = p
        p = p * u[i + 3]
        p3[i] = p
        p = p * u[i + 4]
        p4[i] = p
        p = p * u[i + 5]
        p5[i] = p
        p = p * u[i + 6]
        p6[i] = p
        p7[i] = p * u[i + 7]


cdef void produce(Stream *s) noexcept nogil:
    """Append LANES deviates: those whose shuffling began last time."""
    cdef int p
    while s.shuffled < LANES:
        shuffle(s)
    deviates(s.drawn, &s.u[0][s.end])
    p = s.end - (PRODUCTS - 1) if s.end >= PRODUCTS else 0
    multiply(&s.u[0][p], &s.u[1][p], &s.u[2][p], &s.u[3][p], &s.u[4][p], &s.u[5][p], &s.u[6][p], &s.u[7][p])
    s.end += LANES
    congruential(s.lane, s.stride, s.number, s.number_entry)
    s.shuffled = 0


cdef int make_room(State *s) noexcept nogil:
    """Move the unread deviates to the front."""
    cdef Stream *t = &s.stream
    cdef int k, unread = t.end - t.first
    for k in range(PRODUCTS):
        memmove(&t.u[k][0], &t.u[k][t.first], unread * sizeof(float))
    s.trial.begin -= t.first
    s.trial.end -= t.first
    s.polar.begin -= t.first
    s.polar.end -= t.first
    t.end = unread
    t.first = 0
    return 0


cdef int refill(State *s, int place) noexcept nogil:
    """Append deviates, all before `place` being spent; returns where `place` is now."""
    s.stream.first = place
    if s.stream.end + LANES > CAPACITY:
        make_room(s)
    produce(&s.stream)
    return s.stream.first


cdef void begin_stream(Stream *s, nb_ran1 shared, int64_t seed) noexcept nogil:
    """Take over from the scalar generator as soon as its numbers are in the range that never is left again."""
    cdef int i
    cdef int64_t x
    cdef uint64_t stride = 1
    cdef bint regular = False
    s.first = 0
    s.end = 0
    while not regular:
        regular = 0 < seed < NB_RAN1_MODULUS and shared.last > 0
        for i in range(NB_RAN1_ENTRIES):
            regular = regular and 0 < shared.table[i]
        if not regular:
            s.u[0][s.end] = nb_ran1_next(&shared, &seed)
            s.end += 1
    x = seed
    for i in range(LANES):
        x = nb_ran1_step(x)
        s.lane[i] = <uint32_t>x
        stride = stride * 16807 % NB_RAN1_MODULUS
    s.stride = <uint32_t>stride
    for i in range(NB_RAN1_ENTRIES):
        s.table[i] = <uint32_t>shared.table[i]
        s.entry[i] = <uint8_t>(shared.table[i] >> 26)
    s.next = <size_t>(shared.last >> 26)
    congruential(s.lane, s.stride, s.number, s.number_entry)


# ---- constants of a block of pixels ---------------------------------------------------------------------------------

cdef void bracket_exponentials(int n, nb_inf mean, nb_outf low, nb_outf high) noexcept nogil:
    cdef int i
    cdef float x
    cdef double e
    for i in range(n):
        x = mean[i] if mean[i] > <float>0.0 else <float>0.0
        x = x if x < <float>12.0 else <float>12.0
        e = nb_exp(-<double>x)
        low[i] = <float>(e - e * DOUBT)
        high[i] = <float>(e + e * DOUBT)


cdef int exponentials(int n, nb_inf mean, nb_outf low, nb_outf limit) noexcept nogil:
    """limit = float32 exp(-mean) for means below 12 (1 where the mean is negative), else -1. Returns how many are -1."""
    cdef int i, doubtful = 0, bright = 0
    bracket_exponentials(n, mean, low, limit)
    for i in range(n):
        doubtful += low[i] != limit[i]
        bright += not mean[i] < <float>12.0
        limit[i] = limit[i] if mean[i] < <float>12.0 else <float>-1.0
    if doubtful > 0:
        for i in range(n):
            if limit[i] >= 0.0:
                limit[i] = <float>exp(-<double>mean[i])
    return bright


cdef inline double lanczos(double x) noexcept nogil:
    """ln Gamma(x) as nb_gammln has it, in one fraction: relative error below 1e-13 for x > 12."""
    cdef double a = x + 1.0, b = x + 2.0, c = x + 3.0, d = x + 4.0, e = x + 5.0, f = x + 6.0
    cdef double ab = a * b, cd = c * d, ef = e * f, abcd = ab * cd
    cdef double whole = abcd * ef
    cdef double series = ((NB_LANCZOS_1 * b + NB_LANCZOS_2 * a) * (cd * ef) + (NB_LANCZOS_3 * d + NB_LANCZOS_4 * c) * (ab * ef)
                          + (NB_LANCZOS_5 * f + NB_LANCZOS_6 * e) * abcd)
    series = 1.000000000190015 + series / whole
    return (x + 0.5) * nb_log(x + 5.5) - (x + 5.5) + nb_log(2.5066282746310005 * series / x)


cdef void rejection_constants(State *s, int n) noexcept nogil:
    """sqrt(2 mean), ln mean and mean ln mean - ln Gamma(mean+1) of s.mean[:n]."""
    cdef int i, doubtful = 0
    cdef double x, l, low, high
    for i in range(n):
        s.width[i] = <float>sqrt(2.0 * s.mean[i])
        l = nb_log(s.mean[i])
        s.log_mean[i] = <float>(l + l * DOUBT)
        doubtful += <float>(l - l * DOUBT) != s.log_mean[i]
        x = lanczos(<float>(s.mean[i] + 1.0))
        s.norm[i] = <float>(x + x * DOUBT)
        doubtful += <float>(x - x * DOUBT) != s.norm[i]
    if doubtful > 0:
        for i in range(n):
            s.log_mean[i] = <float>log(s.mean[i])
            s.norm[i] = nb_gammln(<float>(s.mean[i] + 1.0))
    for i in range(n):
        s.norm[i] = s.mean[i] * s.log_mean[i] - s.norm[i]


cdef void gamma_table(State *s) noexcept nogil:
    """s.gamma[k] = ln Gamma(k) for whole k."""
    cdef int k
    cdef double x
    for k in range(1, TABLE + 1):
        x = lanczos(k)
        s.gamma[k] = <float>(x + x * DOUBT)
        if <float>(x - x * DOUBT) != s.gamma[k]:
            s.gamma[k] = nb_gammln(<float>k)
    for k in range(1, 13):
        s.gamma[k] = nb_gammln(<float>k)
    s.table_ready = True


cdef inline float log_factorial(State *s, float k) noexcept nogil:
    """float32 ln Gamma(k+1) as nb_gammln has it, for whole k from 0 to 2^24."""
    cdef double x, v
    cdef float low, high
    if k < TABLE:
        return s.gamma[<int>k + 1]
    x = <float>(k + 1.0)
    # Stirling's series; Lanczos's formula is within 2e-10 of it
    v = (x - 0.5) * nb_log(x) - x + 0.91893853320467274 + 1.0 / (12.0 * x)
    low = <float>(v - v * DOUBT)
    high = <float>(v + v * DOUBT)
    return high if low == high else nb_gammln(<float>x)


cdef void tangents(State *s, int place, int n) noexcept nogil:
    """s.trial for n places of the stream from `place`; n+1 deviates have to be there."""
    cdef int i, doubtful = 0
    cdef double t
    cdef nb_inf u = &s.stream.u[0][place]
    cdef nb_outf y = s.trial.first
    cdef nb_outf l = s.trial.second
    for i in range(n):
        t = nb_tan_pi(u[i])
        y[i] = <float>(t + t * DOUBT)
        doubtful += <float>(t - t * DOUBT) != y[i]
    if doubtful > 0:
        for i in range(n):
            y[i] = <float>tan(M_PI * u[i])
    for i in range(n):
        l[i] = nb_log_rough(u[i + 1] / (<float>0.9 * (<float>1.0 + y[i] * y[i])))
    s.trial.begin = place
    s.trial.end = place + n


cdef void polar_factors(State *s, int place, int n) noexcept nogil:
    """s.polar for n places of the stream from `place`; n+1 deviates have to be there."""
    cdef int i, doubtful = 0
    cdef double f, r
    cdef float v, w, q
    cdef nb_inf u = &s.stream.u[0][place]
    cdef nb_outf factor = s.polar.first
    cdef nb_outf square = s.polar.second
    for i in range(n):
        v = <float>(2.0 * u[i] - 1.0)
        w = <float>(2.0 * u[i + 1] - 1.0)
        q = v * v + w * w
        square[i] = q
        r = q if 0.0 < q < 1.0 else 0.5
        f = sqrt(-2.0 * nb_log(r) / r)
        factor[i] = <float>(f + f * DOUBT)
        doubtful += <float>(f - f * DOUBT) != factor[i]
    for i in range(n):
        if not 0.0 < square[i] < 1.0:
            factor[i] = 0.0
        elif doubtful > 0:
            factor[i] = <float>sqrt(-2.0 * log(square[i]) / square[i])
    s.polar.begin = place
    s.polar.end = place + n


# ---- counts --------------------------------------------------------------------------------------------------------

cdef inline int faint(State *s, int place, float limit, float *count) noexcept nogil:
    """Count deviates until their product is not above `limit`; returns the place behind them."""
    cdef Stream *t = &s.stream
    cdef int k
    cdef float product
    if limit > <float>0.75 and t.u[0][place] <= limit:
        count[0] = 0.0
        return place + 1
    # the products fall, so the number of those above the limit is the place of the first that is not
    k = (((t.u[0][place] > limit) + (t.u[1][place] > limit)) + ((t.u[2][place] > limit) + (t.u[3][place] > limit)))
    if limit < <float>0.3:
        k += (((t.u[4][place] > limit) + (t.u[5][place] > limit)) + ((t.u[6][place] > limit) + (t.u[7][place] > limit)))
    if k == (8 if limit < <float>0.3 else 4):
        product = t.u[k - 1][place]
        place += k
        while True:
            if place >= t.end:
                place = refill(s, place)
            product *= t.u[0][place]
            if not product > limit:
                break
            place += 1
            k += 1
        count[0] = k
        return place + 1
    count[0] = k
    return place + k + 1


cdef inline int rejected(State *s, int place, int i, int window, float *count) noexcept nogil:
    """`poidev` for pixel i of the block's list of means from 12 to 1e6; returns the place behind its last deviate."""
    cdef Window *w = &s.trial
    cdef float mean = s.mean[i], width = s.width[i], log_mean = s.log_mean[i], norm = s.norm[i]
    cdef float k, y, margin
    while True:
        if place >= w.end or place < w.begin:
            while s.stream.end - place <= window:
                place = refill(s, place)
            tangents(s, place, window)
        y = w.first[place - w.begin]
        k = width * y + mean
        if k < 0.0:
            place += 1
            continue
        if k < 16777216.0:
            k = <int>k
            margin = (k * log_mean - log_factorial(s, k)) - norm - w.second[place - w.begin]
            place += 2
            if margin > 1e-4:
                break
            if margin < -1e-4:
                continue
        else:
            k = floorf(k)
            place += 2
        if not s.stream.u[0][place - 1] > nb_acceptance(k, y, log_mean, norm):
            break
    count[0] = k
    return place


cdef inline int normal(State *s, int place, int window, float mean, float *count) noexcept nogil:
    """`poidev` above 1e6: a normal deviate, by the polar method; returns the place behind its last deviate."""
    cdef Window *w = &s.polar
    cdef float factor, deviate
    if s.spare_ready:
        s.spare_ready = False
        deviate = s.spare
    else:
        while True:
            if place >= w.end or place < w.begin:
                while s.stream.end - place <= window:
                    place = refill(s, place)
                polar_factors(s, place, window)
            factor = w.first[place - w.begin]
            place += 2
            if factor != 0.0:
                break
        s.spare = <float>(2.0 * s.stream.u[0][place - 2] - 1.0) * factor
        s.spare_ready = True
        deviate = <float>(2.0 * s.stream.u[0][place - 1] - 1.0) * factor
    count[0] = <float>(mean + sqrt(<double>mean) * deviate)
    return place


cdef void first_pixels(State *s, int n, const float *mean) noexcept nogil:
    """Until some mean sets it, the reference's static exponential is 0 and stands for a mean of -1."""
    cdef int i
    for i in range(n):
        if mean[i] == -1.0:
            s.limit[i] = 0.0
        elif not mean[i] > 1.0e6:
            s.fresh = False
            return


cdef bint is_dark(int n, nb_inf mean) noexcept nogil:
    cdef int i, dark = 0
    for i in range(n):
        dark += mean[i] < <float>0.125
    return dark == n


cdef int quiet_run(nb_inf u, nb_inf mean, nb_inu bit) noexcept nogil:
    """How many of the next RUN pixels surely count nothing, up to the first that is not sure.

    exp(-mean) > 1 - mean, so these need no exponential.
    """
    cdef int i
    cdef uint32_t unsure = 0
    for i in range(RUN):
        unsure |= 0 if (mean[i] if mean[i] > <float>0.0 else <float>0.0) + u[i] < <float>0.999999 else bit[i]
    return nb_lowest_bit(unsure) if unsure != 0 else RUN


cdef void draw_dark(State *s, int n, const float *mean) noexcept nogil:
    """`draw` for means below 1/8, where most pixels take one deviate and count nothing. n: a multiple of RUN."""
    cdef int i = 0, k, place = s.stream.first
    while i < n:
        if s.stream.end - place < AHEAD:
            place = refill(s, place)
        shuffle(&s.stream)
        k = quiet_run(&s.stream.u[0][place], &mean[i], s.bit)
        if k > n - i:
            k = n - i
        memset(&s.count[i], 0, RUN * sizeof(float))
        place += k
        i += k
        if k < RUN and i < n:
            place = faint(s, place, <float>exp(-<double>mean[i]), &s.count[i])
            i += 1
    s.stream.first = place


cdef void draw(State *s, int n, const float *mean) noexcept nogil:
    """s.count[:n]: Poisson deviates of the means."""
    cdef int i, j = 0, window
    cdef int place
    cdef int bright
    if not s.fresh and is_dark(n, mean):
        memcpy(s.dark, mean, n * sizeof(float))
        draw_dark(s, n, s.dark)
        return
    bright = exponentials(n, mean, s.dark, s.limit)
    if s.fresh:
        first_pixels(s, n, mean)
    if bright > 0:
        for i in range(n):
            if s.limit[i] < 0.0 and not mean[i] > 1.0e6:
                s.mean[j] = mean[i]
                j += 1
        rejection_constants(s, j)
        if not s.table_ready:
            gamma_table(s)
    window = WINDOW if bright > n // 4 else WINDOW // 4
    place = s.stream.first
    j = 0
    for i in range(n):
        if s.stream.end - place < AHEAD:
            place = refill(s, place)
        shuffle(&s.stream)
        if s.limit[i] >= 0.0:
            place = faint(s, place, s.limit[i], &s.count[i])
        elif mean[i] > 1.0e6:
            place = normal(s, place, window, mean[i], &s.count[i])
        else:
            place = rejected(s, place, j, window, &s.count[i])
            j += 1
    s.stream.first = place


# ---- pixels --------------------------------------------------------------------------------------------------------

cdef bint small_counts(int n, nb_inf count, float limit) noexcept nogil:
    cdef int i, small = 0
    for i in range(n):
        small += count[i] < limit
    return small == n


cdef int convert_small(int n, nb_inf count, int pedestal, nb_outh out) noexcept nogil:
    """Whole counts that cannot overflow; returns their sum."""
    cdef int i, k, total = 0
    for i in range(n):
        k = <int>count[i]
        total += k
        out[i] = <unsigned short>(k + pedestal)
    return total


cdef double convert(int n, nb_inf count, double adc, double sum, nb_outh out, long *overloads) noexcept nogil:
    """Counts to 16-bit pixels; returns `sum` plus the counts, added in image order."""
    cdef int i
    cdef double t
    # Whole numbers to this point, and a pedestal in 1/1024ths: sums are exact in any order and every precision.
    if 0.0 <= adc < 65535.0 and floor(adc * 1024.0) == adc * 1024.0 and small_counts(n, count, <float>(65535.0 - adc)) and sum < 1e13:
        return sum + convert_small(n, count, <int>adc, out)
    for i in range(n):
        sum += count[i]
        t = count[i] + adc
        if t > 65535.0:
            t = 65535.0
            overloads[0] += 1
        out[i] = <unsigned short><int>t if t > -2147483649.0 else 0  # 0 also where it is not a number
    return sum


cdef class PoissonNoise:
    """Noise of one image, drawn row block by row block from one serial stream.

    ran1: the generator whose table earlier streams may have loaded (it is copied: this is the last stream of a run).
    seed: the negated -seed. photons: sum of all counts so far. overloads: pixels clipped so far.
    """

    cdef State *state
    cdef readonly double photons
    cdef readonly long overloads

    def __cinit__(self, Ran1 ran1, seed):
        cdef int i
        self.state = <State *>malloc(sizeof(State))
        if self.state == NULL:
            raise MemoryError("no memory for the noise generator")
        memset(self.state, 0, sizeof(State))
        begin_stream(&self.state.stream, ran1.shared, seed_variable(seed))
        self.state.fresh = True
        for i in range(RUN):
            self.state.bit[i] = <uint32_t>1 << i

    def __dealloc__(self):
        free(self.state)

    def apply(self, const float[:, ::1] image, unsigned short[:, ::1] out, double adc, Py_ssize_t fast_min,
              Py_ssize_t fast_max):
        """Draw the next rows: image (rows, fast) of mean counts, out of the same shape.

        Pixels from fast_min to fast_max (inclusive) get count + adc, clipped at 65535 and truncated; the others get 0 and
        draw nothing.
        """
        cdef Py_ssize_t row, begin, n, fast = image.shape[1], low = max(fast_min, 0), high = min(fast_max + 1, fast)
        cdef long overloads = 0
        cdef double photons = self.photons
        if out.shape[0] != image.shape[0] or out.shape[1] != fast:
            raise ValueError("the image and its noise must have the same shape")
        with nogil:
            for row in range(image.shape[0]):
                if low > 0 or high < fast:
                    memset(&out[row, 0], 0, fast * sizeof(unsigned short))
                begin = low
                while begin < high:
                    n = min(BLOCK, high - begin)
                    draw(self.state, n, &image[row, begin])
                    photons = convert(n, self.state.count, adc, photons, &out[row, begin], &overloads)
                    begin += n
        self.photons = photons
        self.overloads += overloads
