# One thread's workspace, and what it renders at a time.
# Part of render.pyx, which includes it: in a .pxd these functions would be inlined, and lose their vectors.


from nanobragg_py.kernels.loops.watch cimport nb_dropped, nb_watch

cdef extern from "sums.h" nogil:
    enum:
        BLOCK "NB_BLOCK"          # orientations whose P, Q, R are worked out together
        PQR_ROWS "NB_PQR_ROWS"

cdef enum:
    BLOCKS = 4       # as many as these are kept from tile to tile
    TILE = 256       # pixels a tile: eight arrays of doubles stay in a 32 kB first-level cache
    VECTOR = 8       # orientations whose P, Q, R are worked out are a multiple of this (the arrays are padded)
    SHARED_FROM = 4  # wavelengths of one direction, from which on what they share is worked out apart
    STRETCH = 64     # pixels for which it is asked whether a spot is near
    LANES = 16       # tiles are filled up to a multiple of this
    STATISTICS = 5   # sum, sum of squares, solid angle, maximum, steps outside the interpolation range


cdef struct Portion:
    # what a thread renders at a time: rows slow to slow_end - 1, columns fast to fast_end - 1
    int slow, slow_end, fast, fast_end


cdef struct Scratch:
    # one thread's workspace: arrays of TILE doubles
    double *place      # 0, 1, 2, ...
    double *ones       # 1, 1, 1, ...
    double *x          # diffracted unit vector
    double *y
    double *z
    double *inv        # 1/airpath
    double *acc        # the pixel's sum
    double *part       # the sum of one source and sub-step, where it has to be weighted
    double *omega
    double *factor     # solid angle times polarization
    double *capture
    double *polar
    double *passed     # 1 where dmin lets a source pass
    double *qx         # scattering vector
    double *qy
    double *qz
    double *h
    double *k
    double *l
    double *weight
    double *cubic      # 12 * TILE
    double *pqr        # PQR_ROWS * BLOCK, of `blocks` that many, where they stay from tile to tile,
    double *blocks
    const nb_job *kept  # if they are of this job, or of none where this is NULL,
    const double *kept_sources  # these sources,
    int kept_members   # and so many of them
    double *waves      # as pqr, of wavelengths that share a direction
    double fast[3]     # unit vector along the fast axis
    double length      # of p.fast: not 1 when a two-theta axis that is no unit vector has turned the detector
    double unit        # 1/(a length that no airpath exceeds)
    double along       # of the tile: first pixel's place along the fast axis from the foot of the perpendicular, m,
    double off         # the perpendicular squared, m^2, and a pixel's step, m
    double step
    long work          # steps since signals were looked for, as in nb_watch.h,
    bint dropped       # and whether there was one that ends the work
    nb_watch *watch
    double *sum        # over the tiles of a strip, pixel by pixel: values,
    double *squares    # their squares,
    double *angle      # solid angles,
    float *top         # and the largest value
    int *element
    long outside       # of the portion: steps that left the range of interpolation
    int real           # of the tile: pixels that are no spare lanes,
    bint cut           # whether `passed` counts,
    const unsigned short *mask  # and the mask, or NULL
    Portion portion    # what is being rendered
    double *precise    # where pixels go before they are rounded, or NULL
    int row            # the pixel that was worked out elsewhere (-1: none), and its value
    int column
    float value

cdef enum:
    ARRAYS = 24
    SCRATCH_DOUBLES = (ARRAYS + 12) * TILE + (BLOCKS + 1) * PQR_ROWS * BLOCK + TILE + 320  # with these, whole pages


cdef void lay_out(Scratch *w, double *memory, nb_watch *watch) noexcept nogil:
    cdef int i
    # place and inv begin a page, acc and part lie half a page further: see nb_parts.h
    w.place = memory
    w.x = memory + TILE
    w.y = memory + 2 * TILE
    w.z = memory + 3 * TILE
    w.inv = memory + 4 * TILE
    w.acc = memory + 5 * TILE
    w.omega = memory + 6 * TILE
    w.part = memory + 7 * TILE
    w.capture = memory + 8 * TILE
    w.polar = memory + 9 * TILE
    w.passed = memory + 10 * TILE
    w.qx = memory + 11 * TILE
    w.qy = memory + 12 * TILE
    w.qz = memory + 13 * TILE
    w.h = memory + 14 * TILE
    w.k = memory + 15 * TILE
    w.l = memory + 16 * TILE
    w.weight = memory + 17 * TILE
    w.sum = memory + 18 * TILE
    w.squares = memory + 19 * TILE
    w.angle = memory + 20 * TILE
    w.top = <float *>(memory + 21 * TILE)
    w.ones = memory + 22 * TILE
    w.factor = memory + 23 * TILE
    w.cubic = memory + ARRAYS * TILE
    w.pqr = w.cubic + 12 * TILE
    w.blocks = w.pqr
    w.waves = w.blocks + BLOCKS * PQR_ROWS * BLOCK
    w.kept = NULL
    w.element = <int *>(w.waves + PQR_ROWS * BLOCK)
    w.outside = 0
    w.watch = watch
    w.work = 0
    w.dropped = False
    w.precise = NULL
    w.row = -1
    w.column = -1
    w.value = 0.0
    for i in range(TILE):
        w.place[i] = i
        w.ones[i] = 1.0


cdef void aim(Scratch *w, const nb_job *p) noexcept nogil:
    """What the thread has to know of a detector, or of one of its panels, before it renders there."""
    cdef int i
    w.length = sqrt(nb_dot(p.fast, p.fast))
    for i in range(3):
        w.fast[i] = p.fast[i] / w.length
    w.unit = 1.0 / (sqrt(nb_dot(p.origin, p.origin)) + p.pixel * p.fpixels * w.length
                    + p.pixel * p.spixels * sqrt(nb_dot(p.slow, p.slow))
                    + fabs(p.first_depth) + fabs(p.layers * p.thickstep))


cdef void fill(int n, double value, nb_out a) noexcept nogil:
    cdef int i
    for i in range(n):
        a[i] = value


cdef void copy(int n, nb_in source, nb_out out) noexcept nogil:
    cdef int i
    for i in range(n):
        out[i] = source[i]


cdef bint drop(Scratch *w, Py_ssize_t steps) noexcept nogil:
    """Whether the work is to be dropped, because of a signal; asked where so many steps have been done."""
    if not w.dropped:
        w.dropped = nb_dropped(w.watch, &w.work, steps)
    return w.dropped
