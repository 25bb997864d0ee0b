# The rows of an image's point spread: portions of the outputs, each of them one thread's.
# Part of spread.pyx, which includes it.

# what a portion of the outputs is
cdef enum:
    GATHERED = 0   # a row
    SCATTERED = 1  # a band of rows
    EXACT = 2      # a row, tap by tap


# ---- one output ----------------------------------------------------------------------------------------------------

cdef inline int own_radius(const Spread *p, Py_ssize_t at) noexcept nogil:
    cdef int r = p.one_radius if p.radius == NULL else p.radius[at]
    return r if r < p.reach else p.reach


cdef inline float add_tap(const Spread *p, float sum, float photons, int r, Py_ssize_t dx,
                          Py_ssize_t dy) noexcept nogil:
    cdef double k
    if dx * dx + dy * dy > <Py_ssize_t>r * r:
        return sum
    k = p.kernel[(p.reach + dy) * (2 * p.reach + 1) + p.reach + dx]
    return <float>(sum + photons * k) if k != 0.0 else sum


cdef float exact_pixel(const Spread *p, Py_ssize_t y, Py_ssize_t x, long *counted) noexcept nogil:
    """One output, tap by tap: for the first column, and for images with infinities and nan, of which 0 is no share."""
    cdef Py_ssize_t reach = p.reach, y0, x0, at, first = x - reach, last = x + reach
    cdef float sum = 0.0, photons
    cdef int r
    for y0 in range(max(0, y - 1 - reach if x == 0 else y - reach), min(p.slow, y + reach + 1)):
        if nb_dropped(p.watch, counted, p.fast):
            return 0.0
        x0 = max(first, 0)
        while x0 < p.fast:
            if x0 > last:
                if x > 0:
                    break
                if x0 < p.fast - reach:
                    x0 = p.fast - reach
            at = y0 * p.fast + x0
            photons = p.image[at]
            if not photons <= <float>0.0:
                r = own_radius(p, at)
                sum = add_tap(p, sum, photons, r, x - x0, y - y0)
                if x == 0 and y > 0:
                    sum = add_tap(p, sum, photons, r, p.fast - x0, y - 1 - y0)
            x0 = x0 + 1
    return sum


cdef void exact_row(const Spread *p, Py_ssize_t y, long *counted) noexcept nogil:
    cdef Py_ssize_t x
    for x in range(p.fast):
        p.out[y * p.fast + x] = exact_pixel(p, y, x, counted)
        if nb_stopped(p.watch):
            return


# ---- gathering -----------------------------------------------------------------------------------------------------

cdef struct Padded:
    double *photons   # of each source, 0 where there is nothing to spread, with zeros around each row
    double *square    # of each source's radius; NULL with one radius
    Py_ssize_t stride
    int margin        # zeros before each row, and the largest |dx| of a tap
    int least         # the smallest radius


cdef void pad_row(const Spread *p, const Padded *q, Py_ssize_t y) noexcept nogil:
    cdef double *row = q.photons + y * q.stride
    cdef const float *image = p.image + y * p.fast
    cdef Py_ssize_t x, at
    memset(row, 0, q.stride * sizeof(double))
    for x in range(p.fast):
        row[q.margin + x] = image[x] if image[x] > <float>0.0 else <float>0.0
    if q.square != NULL:
        row = q.square + y * q.stride
        for x in range(q.stride):
            row[x] = -1.0
        for x in range(p.fast):
            at = own_radius(p, y * p.fast + x)
            row[q.margin + x] = <double>at * at


cdef void gather_row(const Spread *p, const Padded *q, Py_ssize_t y, long *counted) noexcept nogil:
    """Outputs of row y. The first has sources beyond the right edge besides, and is done again, tap by tap."""
    cdef nb_floats sum[NB_CHAINS]
    cdef Py_ssize_t x, y0, dy, last = min(p.slow - 1, y + p.reach), taps, n, at
    cdef int half
    cdef const double *tap
    x = 0
    while x < p.fast:
        memset(sum, 0, sizeof(sum))
        for y0 in range(max(0, y - p.reach), last + 1):
            dy = y - y0
            half = min(p.extent[p.reach + dy], q.margin)
            if half < 0:
                continue
            taps = 2 * half + 1
            if nb_dropped(p.watch, counted, taps * NB_BLOCK):
                return
            # from the source to the left of the output, which is spread by dx = half, to the right
            tap = p.kernel + (p.reach + dy) * (2 * p.reach + 1) + p.reach + half
            at = y0 * q.stride + q.margin + x - half
            if q.square == NULL or <Py_ssize_t>half * half + dy * dy <= <Py_ssize_t>q.least * q.least:
                nb_gather_row(sum, q.photons + at, tap, taps)
            else:
                nb_gather_row_within(sum, q.photons + at, q.square + at, tap, <double>(dy * dy), taps)
        n = min(<Py_ssize_t>NB_BLOCK, p.fast - x)
        memcpy(p.out + y * p.fast + x, sum, n * sizeof(float))
        x += NB_BLOCK
    p.out[y * p.fast] = exact_pixel(p, y, 0, counted)


# ---- scattering ----------------------------------------------------------------------------------------------------

cdef void scatter_band(const Spread *p, Py_ssize_t begin, Py_ssize_t end, long *counted) noexcept nogil:
    """Outputs of rows begin to end - 1."""
    cdef Py_ssize_t y0, x0, y, first, last, side = 2 * p.reach + 1
    cdef float *band = p.band + threadid() * p.band_size
    cdef const double *tap
    cdef const float *photons
    cdef const int *half
    cdef float *out
    cdef int r
    memset(band, 0, (end - begin) * p.stride * sizeof(float))
    for y0 in range(max(0, begin - 1 - p.reach), min(p.slow, end + p.reach)):
        if nb_dropped(p.watch, counted, p.fast):
            return
        photons = p.image + y0 * p.fast
        for x0 in range(p.fast):
            if not photons[x0] > <float>0.0:
                continue
            r = own_radius(p, y0 * p.fast + x0)
            if nb_dropped(p.watch, counted, SOURCE + (end - begin) * r):
                return
            half = p.half + <Py_ssize_t>r * r + r - y0  # of row 0
            tap = p.kernel + (p.reach - y0) * side + p.reach
            first = max(begin, y0 - r)
            last = min(end - 1, y0 + r)
            if first <= last:
                nb_scatter(band + (first - begin) * p.stride + x0, p.stride, tap + first * side, side, half + first,
                           last - first + 1, <int>x0, <int>(p.fast - 1 - x0), photons[x0])
            if x0 + r >= p.fast:  # one step beyond the right edge, after its other taps
                for y in range(max(1, begin, y0 - r + 1), min(end, y0 + r + 2)):
                    if p.fast - x0 <= half[y - 1]:
                        out = band + (y - begin) * p.stride
                        out[0] = <float>(out[0] + photons[x0] * tap[(y - 1) * side + p.fast - x0])
    for y in range(begin, end):
        memcpy(p.out + y * p.fast, band + (y - begin) * p.stride, p.fast * sizeof(float))


# ---- portions ------------------------------------------------------------------------------------------------------

cdef void take_portions(const Spread *p, const Padded *q, int kind, Py_ssize_t portions,
                        Py_ssize_t height) noexcept nogil:
    cdef Py_ssize_t y = nb_take_apart(p.watch, portions + 1) - 1
    cdef long counted = 0
    while y < portions and not nb_stopped(p.watch):
        if y < 0:
            p.lost[0] = lost_photons(p)
        elif kind == GATHERED:
            gather_row(p, q, y, &counted)
        elif kind == SCATTERED:
            scatter_band(p, y * height, min(p.slow, (y + 1) * height), &counted)
        else:
            exact_row(p, y, &counted)
        y = nb_take_apart(p.watch, portions + 1) - 1
    nb_leave(p.watch)


cdef void add_to_all(Py_ssize_t n, double share, nb_outf out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = <float>(out[i] + share)
