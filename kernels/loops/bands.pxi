# How images are cut into the work of threads: panels, bands of rows, portions.
# Part of render.pyx, which includes it.


cdef struct Panel:
    # an image to be rendered, of a detector or of one of its panels, and what is known of its pixels
    const nb_job *p
    const double *sources
    const long long *tables
    const double *cells
    const double *table
    const unsigned short *mask
    Py_ssize_t stride
    float *image
    Py_ssize_t pitch   # of its rows, in pixels
    double *unrounded  # float64 pixels besides, or NULL
    int lines          # rows of a portion,
    int length         # its pixels along a row,
    int across         # and how many of them lie side by side
    double cost        # of these, s, about
    int row            # the next one to be rendered
    double sum
    double squares
    double top
    double angle
    double clock
    long pixels
    long outside
    Portion best       # with the largest value


cdef struct Stretch:
    # rows of a panel that are rendered between two looks at the progress meter, among others of a band
    Panel *panel
    int row
    int row_end
    Py_ssize_t first   # of its portions, among those of the band
    double cost


cdef Py_ssize_t items_of(const Stretch *stretch) noexcept nogil:
    """How many portions the rows have."""
    cdef int lines = stretch.panel.lines
    return <Py_ssize_t>((stretch.row_end - stretch.row + lines - 1) // lines) * stretch.panel.across


cdef void choose_portion(Portion *item, const Stretch *stretch, Py_ssize_t number) noexcept nogil:
    """Portion `number` of a stretch, line by line."""
    cdef const Panel *panel = stretch.panel
    cdef int end = panel.p.fast_max + 1
    item.slow = stretch.row + <int>(number // panel.across) * panel.lines
    item.slow_end = min(item.slow + panel.lines, stretch.row_end)
    item.fast = panel.p.fast_min + <int>(number % panel.across) * panel.length
    item.fast_end = min(item.fast + panel.length, end)


cdef int cut(Panel *panel, Job job, float[:, :] image, double[:, ::1] precise) except -1:
    """A panel before any of it is rendered."""
    cdef const nb_job *p = &job.p
    cdef int width = p.fast_max - p.fast_min + 1
    cdef double cost
    memset(panel, 0, sizeof(Panel))
    if precise is not None:
        if precise.shape[0] != image.shape[0] or precise.shape[1] != image.shape[1]:
            raise ValueError(f"the float64 image is {precise.shape[0]} x {precise.shape[1]}")
        panel.unrounded = &precise[0, 0]
    if image.shape[0] != p.spixels or image.shape[1] != p.fpixels:
        raise ValueError(f"image is {image.shape[0]} x {image.shape[1]}, the detector {p.spixels} x {p.fpixels}")
    if image.shape[1] > 1 and image.strides[1] != sizeof(float) or image.strides[0] % <Py_ssize_t>sizeof(float):
        raise ValueError("pixels of a row of the image do not follow one another")
    panel.pitch = image.strides[0] // <Py_ssize_t>sizeof(float)
    panel.p = p
    panel.sources = job.source_data
    panel.tables = job.tables_data
    panel.cells = job.orientation_data
    panel.stride = job.stride
    panel.table = job.table_data
    panel.mask = job.mask_data
    panel.row = p.slow_min
    panel.lines = 1
    if width <= 0 or p.slow_max < p.slow_min:
        return 0
    panel.image = &image[0, 0]
    # A portion is one tile, or several rows where a pixel has little to sum. It must not depend on the threads, which
    # would change the order in which the statistics are summed.
    cost = 1.5e-9 * job.steps_per_pixel + 4e-9
    if cost * width < 20e-6:
        panel.lines = <int>(20e-6 / (cost * width)) + 1
        panel.length = width
    else:
        panel.length = TILE if cost > 20e-9 else 8 * TILE
    panel.across = (width + panel.length - 1) // panel.length
    panel.cost = cost * width * panel.lines
    return 0


cdef tuple found_of(const Panel *panel, double top):
    """What is known of a panel that has been rendered. top: the largest value of all panels."""
    where = find_first(panel) if panel.top == top > 0.0 else None
    return (panel.sum, panel.squares, panel.pixels, panel.top, where, panel.angle, panel.outside, panel.clock)


cdef int replace_marked(const Portion *item, const Panel *panel, exact, double *statistics) except -1:
    """Have `exact` work out the pixels of a portion that are no numbers, and the portion's statistics anew."""
    cdef int slow, fast
    cdef float value
    cdef float *row
    statistics[0] = statistics[1] = statistics[3] = 0.0
    for slow in range(item.slow, item.slow_end):
        row = panel.image + slow * panel.pitch
        for fast in range(item.fast, item.fast_end):
            if row[fast] != row[fast]:
                row[fast] = exact(slow, fast)
            value = row[fast]
            statistics[0] += value
            statistics[1] += value * value
            statistics[3] = value if value > statistics[3] else statistics[3]
    return 0


cdef tuple find_first(const Panel *panel):
    """(slow, fast) of the first pixel that has the largest value."""
    cdef const Portion *item = &panel.best
    cdef int slow, fast
    cdef float value = <float>panel.top
    cdef const float *row
    for slow in range(item.slow, item.slow_end):
        row = panel.image + slow * panel.pitch
        for fast in range(item.fast, item.fast_end):
            if row[fast] == value:
                return slow, fast
    return None
