# A stream of the reference's uniform deviates, made in blocks.
#
# Three of the four steps from seed to deviate are vector loops: the congruential numbers (every lane jumps LANES
# numbers at once), their conversion to float32, and the logarithms whose sums tell how many deviates a faint pixel
# takes. The shuffle between them is serial: each number says where the next is taken from. It is done in small pieces
# while older deviates are consumed, so that the processor can do both at the same time.
#
# Part of poisson.pyx, so that gcc may inline all of it.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memmove

from nanobragg_py.kernels.formulas.formulas cimport nb_inf, nb_outf
from nanobragg_py.kernels.noise.nb_random cimport *

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
    LANES = 128          # deviates made at a time
    STEPS = 4            # numbers shuffled at a time
    MORE_STEPS = 8       # and where most pixels take more
    CAPACITY = 512
    ROW = CAPACITY + 16  # path has one more
    ORIGIN = 1024        # where path starts: it stays positive when a doubt is subtracted


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
    int end                          # deviates in u
    float u[ROW]
    uint32_t path[ROW]               # path[i]: ORIGIN + the sum of nb_log_units of the deviates before place i


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


cdef inline void shuffle(Stream *s, int steps) noexcept nogil:
    """`steps` more numbers, unless fewer are left. The dependent chain is one byte load a number."""
    cdef const uint32_t *number = &s.number[s.shuffled]
    cdef const uint8_t *entry = &s.number_entry[s.shuffled]
    cdef uint32_t *drawn = &s.drawn[s.shuffled]
    cdef size_t j = s.next, k
    cdef int i
    if s.shuffled + steps > LANES:
        return
    for i in range(steps):
        k = s.entry[j]
        s.entry[j] = entry[i]
        drawn[i] = s.table[j]
        s.table[j] = number[i]
        j = k
    s.next = j
    s.shuffled += steps


cdef inline void convert_numbers(nb_inu drawn, nb_outf u) noexcept nogil:
    cdef int i
    for i in range(LANES):
        u[i] = nb_ran1_deviate(<int32_t>drawn[i])


cdef inline void logarithms(nb_inf u, nb_outu units) noexcept nogil:
    cdef int i
    for i in range(LANES):
        units[i] = nb_log_units(u[i])


cdef inline void add_up(uint32_t *path) noexcept nogil:
    """path[1:LANES+1] from units to their sums."""
    cdef int _piece, _i
    cdef uint32_t sum = path[0]
    for _piece in range(LANES // 8):
        for _i in range(8):  # unrolled
            path += 1
            sum += path[0]
            path[0] = sum


cdef inline void append_deviates(Stream *s) noexcept nogil:
    """LANES deviates more; there must be room."""
    while s.shuffled < LANES:
        shuffle(s, STEPS)
    convert_numbers(s.drawn, &s.u[s.end])
    logarithms(&s.u[s.end], &s.path[s.end + 1])
    add_up(&s.path[s.end])
    s.end += LANES
    congruential(s.lane, s.stride, s.number, s.number_entry)
    s.shuffled = 0


cdef inline void forget(Stream *s, int places) noexcept nogil:
    """Drop the first deviates."""
    cdef int i
    cdef uint32_t dropped = s.path[places] - ORIGIN
    s.end -= places
    memmove(&s.u[0], &s.u[places], s.end * sizeof(float))
    memmove(&s.path[0], &s.path[places], (s.end + 1) * sizeof(uint32_t))
    for i in range(s.end + 1):
        s.path[i] -= dropped


cdef inline void begin_stream(Stream *s, nb_ran1 shared, int64_t seed) noexcept nogil:
    """Take over from the scalar generator once its numbers are all in 1 .. 2^31-2, a range they then never leave."""
    cdef int i
    cdef int64_t x
    cdef uint64_t stride = 1
    cdef bint regular = False
    s.end = 0
    s.path[0] = ORIGIN
    while not regular:
        regular = 0 < seed < NB_RAN1_MODULUS and shared.last > 0
        for i in range(NB_RAN1_ENTRIES):
            regular = regular and shared.table[i] > 0
        if not regular:
            s.u[s.end] = nb_ran1_next(&shared, &seed)
            s.path[s.end + 1] = s.path[s.end] + nb_log_units(s.u[s.end])
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
