# cython: boundscheck=False, wraparound=False, cdivision=True
"""A stream of the reference's uniform deviates, made in blocks.

Three of the four steps from seed to deviate are vector loops: the congruential numbers (every lane jumps LANES numbers
at once), their conversion to float32, and the products of consecutive deviates that Poisson noise compares with an
exponential. The shuffle between them is serial: each number says where the next is taken from. It is done in small
pieces while older deviates are consumed, so that the processor can do both at the same time.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memmove

from nanobragg_py.kernels.nb cimport nb_inf, nb_outf
from nanobragg_py.kernels.rng cimport *

cdef extern from *:
    """
    typedef unsigned int *__restrict nb_outu;
    typedef const unsigned int *__restrict nb_inu;
    typedef unsigned char *__restrict nb_outb;
    """
    ctypedef uint32_t *nb_outu
    ctypedef const uint32_t *nb_inu
    ctypedef uint8_t *nb_outb

cdef enum:
    LANES = 64           # deviates made at a time
    STEPS = 4            # numbers shuffled at a time
    PRODUCTS = 8         # products of 1 .. 8 deviates are kept for every place of the stream
    CAPACITY = 512
    ROW = CAPACITY + 16  # rows that lie a power of two apart compete for the same lines of the cache


cdef struct Stream:
    uint32_t lane[LANES]             # the next LANES numbers of the congruential generator
    uint32_t stride                  # 16807^LANES mod 2^31-1
    uint32_t table[NB_RAN1_ENTRIES]
    uint8_t entry[NB_RAN1_ENTRIES]   # for each number in the table, the entry that it points to
    size_t next                      # the entry to draw from
    uint32_t number[LANES]           # the numbers that enter the table next, and the entries they point to
    uint8_t number_entry[LANES]
    uint32_t drawn[LANES]            # what comes out
    int shuffled                     # how many of LANES have
    int end                          # deviates in u[0]
    int multiplied                   # u[4] to u[7] are there before this place
    float u[PRODUCTS][ROW]           # u[k][i]: float32 product of the k+1 deviates from place i, for i < end - 7


cdef inline void congruential(nb_outu lane, uint32_t stride, nb_outu number, nb_outb entry) noexcept nogil:
    cdef int i
    cdef uint32_t x, s
    cdef uint64_t product
    for i in range(LANES):
        x = lane[i]
        number[i] = x
        entry[i] = <uint8_t>(x >> 26)
        product = <uint64_t>x * stride
        s = <uint32_t>(product & NB_RAN1_MODULUS) + <uint32_t>(product >> 31)
        lane[i] = (s & NB_RAN1_MODULUS) + (s >> 31)


cdef inline void shuffle(Stream *s) noexcept nogil:
    """STEPS more numbers, unless all are done. The dependent chain is one byte load a number."""
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


cdef inline void convert_numbers(nb_inu drawn, nb_outf u) noexcept nogil:
    cdef int i
    for i in range(LANES):
        u[i] = nb_ran1_deviate(<int32_t>drawn[i])


cdef inline void multiply(nb_inf u, nb_outf p1, nb_outf p2, nb_outf p3) noexcept nogil:
    """Products of 2 .. 4 consecutive deviates, in the order of the stream."""
    cdef int i
    cdef float p
    for i in range(LANES):
        p = u[i] * u[i + 1]
        p1[i] = p
        p = p * u[i + 2]
        p2[i] = p
        p3[i] = p * u[i + 3]


cdef inline void multiply_on(nb_inf u, nb_inf p3, nb_outf p4, nb_outf p5, nb_outf p6, nb_outf p7) noexcept nogil:
    """Products of 5 .. 8 deviates."""
    cdef int i
    cdef float p
    for i in range(LANES):
        p = p3[i] * u[i + 4]
        p4[i] = p
        p = p * u[i + 5]
        p5[i] = p
        p = p * u[i + 6]
        p6[i] = p
        p7[i] = p * u[i + 7]


cdef inline void append_deviates(Stream *s) noexcept nogil:
    """LANES deviates more; there must be room."""
    cdef int i = s.end - (PRODUCTS - 1) if s.end >= PRODUCTS else 0
    while s.shuffled < LANES:
        shuffle(s)
    convert_numbers(s.drawn, &s.u[0][s.end])
    multiply(&s.u[0][i], &s.u[1][i], &s.u[2][i], &s.u[3][i])
    s.end += LANES
    congruential(s.lane, s.stride, s.number, s.number_entry)
    s.shuffled = 0


cdef inline void long_products(Stream *s, int place) noexcept nogil:
    """See that products of 5 .. 8 deviates from `place` are there; many pixels never ask for them.

    LANES + 7 deviates have to follow `place`.
    """
    cdef int i = place
    if place >= s.multiplied:
        multiply_on(&s.u[0][i], &s.u[3][i], &s.u[4][i], &s.u[5][i], &s.u[6][i], &s.u[7][i])
        s.multiplied = place + LANES


cdef inline void forget(Stream *s, int places) noexcept nogil:
    """Drop the first deviates of u."""
    cdef int k
    for k in range(PRODUCTS):
        memmove(&s.u[k][0], &s.u[k][places], (s.end - places) * sizeof(float))
    s.end -= places
    s.multiplied -= places


cdef inline void begin_stream(Stream *s, nb_ran1 shared, int64_t seed) noexcept nogil:
    """Take over from the scalar generator once its numbers are all in 1 .. 2^31-2, a range they then never leave."""
    cdef int i
    cdef int64_t x
    cdef uint64_t stride = 1
    cdef bint regular = False
    s.end = 0
    s.multiplied = 0
    while not regular:
        regular = 0 < seed < NB_RAN1_MODULUS and shared.last > 0
        for i in range(NB_RAN1_ENTRIES):
            regular = regular and shared.table[i] > 0
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
    s.shuffled = 0
