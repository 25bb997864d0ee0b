# The taps of a point spread, and how far a source reaches.
# Part of spread.pyx, which includes it: in a .pxd these functions would be inlined, and lose their vectors.


# ---- kernels -------------------------------------------------------------------------------------------------------

cdef void gaussian_kernel(const Spread *p, double *kernel, double *error) noexcept nogil:
    """`integrate_gauss_over_pixel`. error: scratch, four times 2 reach + 1."""
    cdef Py_ssize_t side = 2 * p.reach + 1, i, j
    cdef double h = (1.0 / p.width) / 2.0, x
    cdef double *right = error
    cdef double *left = error + side
    cdef double *upper = error + 2 * side
    cdef double *lower = error + 3 * side
    cdef double a, b, c, d, scale = sqrt(log(16.0) / log(2.0))
    for i in range(side):
        x = (i - p.reach) / p.width
        right[i] = erf(2.0 * (x + h) * sqrt(log(2.0)))
        left[i] = erf(2.0 * (x - h) * sqrt(log(2.0)))
        upper[i] = erf((x + h) * sqrt(log(16.0)))
        lower[i] = erf((x - h) * sqrt(log(16.0)))
    for j in range(side):
        for i in range(side):
            a = 0.125 * (right[i] * upper[j] * scale)
            b = 0.125 * (right[i] * lower[j] * scale)
            c = 0.125 * (left[i] * upper[j] * scale)
            d = 0.125 * (left[i] * lower[j] * scale)
            kernel[j * side + i] = a - b - c + d


cdef double corner(const double *quarter, Py_ssize_t n, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """The integral up to the corner (i + 1/2, j + 1/2), odd in both."""
    cdef double sign = 1.0
    if i < 0:
        i = -1 - i
        sign = -sign
    if j < 0:
        j = -1 - j
        sign = -sign
    return sign * quarter[j * n + i]


cdef void fiber_kernel(const Spread *p, double *kernel, double *quarter) noexcept nogil:
    """`integrate_fiber_over_pixel`: a Moffat function of exponent -3/2. quarter: scratch, (reach + 1)^2."""
    cdef Py_ssize_t side = 2 * p.reach + 1, n = p.reach + 1, i, j, dx, dy
    cdef double x, y
    cdef long counted = 0
    for j in range(n):
        if nb_dropped(p.watch, &counted, 4 * n):
            return
        for i in range(n):
            x = i + 0.5
            y = j + 0.5
            quarter[j * n + i] = atan((x * y) / (p.g * sqrt(p.g * p.g + x * x + y * y))) / 2.0 / M_PI
    for j in range(side):
        if nb_dropped(p.watch, &counted, side):
            return
        dy = j - p.reach
        for i in range(side):
            dx = i - p.reach
            kernel[j * side + i] = (corner(quarter, n, dx, dy) - corner(quarter, n, dx, dy - 1)
                                    - corner(quarter, n, dx - 1, dy) + corner(quarter, n, dx - 1, dy - 1))


cdef void fill_kernel(const Spread *p, double *kernel, double *scratch) noexcept nogil:
    if p.kind == FIBER:
        fiber_kernel(p, kernel, scratch)
    else:
        gaussian_kernel(p, kernel, scratch)


cdef void trim_kernel(const Spread *p, double *kernel, int *extent) noexcept nogil:
    """Take away the taps beyond the radius, and find each row's `extent`."""
    cdef Py_ssize_t side = 2 * p.reach + 1, i, j
    cdef int64_t dx, dy, square = <int64_t>p.reach * p.reach
    for j in range(side):
        dy = j - p.reach
        extent[j] = -1
        for i in range(side):
            dx = i - p.reach
            if dx * dx + dy * dy > square:
                kernel[j * side + i] = 0.0
            elif kernel[j * side + i] != 0.0 and (dx if dx > 0 else -dx) > extent[j]:
                extent[j] = <int>(dx if dx > 0 else -dx)


# ---- how far a source reaches --------------------------------------------------------------------------------------

cdef int radius_of(double steps, int limit) noexcept nogil:
    """1 + steps rounded up, as an int from 1 to limit; 1 where that is no number."""
    if steps != steps:
        steps = 0.0
    steps = 1.0 + ceil(steps)
    steps = steps if steps > 1.0 else 1.0
    return <int>steps if steps < limit else limit


cdef double exact_steps(const Spread *p, double photons) noexcept nogil:
    """The distance in pixels beyond which a tenth of a source's Poisson error falls."""
    cdef double lost = sqrt(photons) / 10.0
    if p.kind == GAUSS:
        return sqrt(-log(lost / photons) / log(16.0)) * p.width
    return p.g * (photons / lost)


cdef void rough_steps(const Spread *p, int n, nb_inf photons, nb_outd steps) noexcept nogil:
    """The same in vectors, within 1e-12 of itself; 0 and less count as one photon."""
    cdef int i
    cdef double x, factor = p.width / sqrt(log(16.0)), g = 10.0 * p.g
    if p.kind == GAUSS:
        for i in range(n):
            x = photons[i] if photons[i] > <float>1e-37 else 1.0
            x = 2.302585092994046 + 0.5 * nb_log(x)
            steps[i] = sqrt(x if x > 0.0 else 0.0) * factor
    else:
        for i in range(n):
            x = photons[i] if photons[i] > <float>1e-37 else 1.0
            steps[i] = g * sqrt(x)


cdef void find_radii(const Spread *p, int n, nb_inf photons, double *steps, nb_outr radius) noexcept nogil:
    """The radius of each of n sources, 0 where there is nothing to spread. steps: scratch."""
    cdef int i
    cdef double away, limit = p.limit
    rough_steps(p, n, photons, steps)
    for i in range(n):
        if photons[i] <= <float>0.0:
            radius[i] = 0
            continue
        away = steps[i] - <double><int64_t>(steps[i] if steps[i] < limit else limit)
        # next to a whole number, or to the root of 0, or with an infinity or nan: the reference's own arithmetic
        if (1e-9 < away < 1.0 - 1e-9 and steps[i] < limit and photons[i] < <float>3e38 and photons[i] > <float>1e-37
                and (p.kind == FIBER or photons[i] > <float>0.011)):
            radius[i] = <int>steps[i] + 2
            if radius[i] > p.limit:
                radius[i] = p.limit
        else:
            radius[i] = radius_of(exact_steps(p, photons[i]), p.limit)


cdef double escaping(const Spread *p, double photons, double share) noexcept nogil:
    """Photons of a source that fall beyond its radius; share: of that radius (see `shares`)."""
    if p.kind == GAUSS:
        return photons * share
    return photons * p.g / share


cdef double share_of(const Spread *p, int radius) noexcept nogil:
    cdef double square = radius
    if p.kind == GAUSS:
        square = square / p.width
        return exp(-log(16.0) * (square * square))
    return sqrt(p.g * p.g + square * square)


cdef struct Sources:  # what a row has of them
    int64_t count
    double radii    # sums
    double squares
    int least       # radii
    int most
    bint finite


cdef void look_over(const Spread *p, Py_ssize_t y, Sources *row) noexcept nogil:
    cdef Py_ssize_t i
    cdef const float *photons = p.image + y * p.fast
    cdef int r, least = p.limit, most = 0, count = 0, present
    cdef int64_t radii = 0, squares = 0
    cdef bint finite = True
    for i in range(p.fast):
        present = not photons[i] <= <float>0.0
        finite &= (photons[i] < <float>3.4e38) | (1 - present)
        r = p.one_radius if p.radius == NULL else p.radius[y * p.fast + i]
        r = r if r < p.reach else p.reach
        least = r if present and r < least else least
        r = r if present else 0
        most = r if r > most else most
        count += present
        radii += r
        squares += <int64_t>r * r
    row.count, row.radii, row.squares, row.least, row.most, row.finite = count, radii, squares, least, most, finite


cdef Sources add_up(const Sources *row, Py_ssize_t rows, int limit) noexcept nogil:
    cdef Sources all
    cdef Py_ssize_t y
    memset(&all, 0, sizeof(all))
    all.least = limit
    all.finite = True
    for y in range(rows):
        all.count += row[y].count
        all.radii += row[y].radii
        all.squares += row[y].squares
        all.least = min(all.least, row[y].least)
        all.most = max(all.most, row[y].most)
        all.finite &= row[y].finite
    return all


cdef double lost_photons(const Spread *p) noexcept nogil:
    """What falls outside the sources' radii, added in image order."""
    cdef Py_ssize_t i
    cdef double lost = 0.0, share = share_of(p, p.one_radius)
    cdef int r
    for i in range(p.slow * p.fast):
        if p.image[i] <= <float>0.0:
            continue
        if p.radius != NULL:
            r = p.radius[i]
            if p.share[r] == 0.0:
                p.share[r] = share_of(p, r)
            share = p.share[r]
        lost += escaping(p, p.image[i], share)
    return lost
