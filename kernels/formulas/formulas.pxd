"""The formula headers as Cython sees them."""

cdef extern from "nb_common.h" nogil:
    double nb_rint(double x)
    double nb_nearest(double x)
    double nb_floor(double x)
    double nb_dot(const double *u, const double *v)
    void nb_cross(const double *u, const double *v, double *w)

cdef extern from "nb_cell.h" nogil:
    void nb_rotate_cell(const double *cell, const double *spindle, double phi, const double *domain, bint inside,
                        double *out)
    void nb_rotate_axis(const double *v, const double *axis, double cosphi, double sinphi, double *out)
    void nb_rotate_matrix(const double *v, const double *u, double *out)
    double nb_cell_volume(const double *cell)
    void nb_dual_cell(const double *cell, double volume, double *dual)

cdef extern from "shapes/shapes.h" nogil:
    enum:
        NB_SHAPE_COUNT
        NB_KIND_COUNT
        NB_BY_SHAPE
    const char *nb_shape_names[NB_SHAPE_COUNT][3]
    const bint nb_shape_by_product[NB_SHAPE_COUNT]
    const char *nb_kind_names[NB_KIND_COUNT]
    ctypedef struct nb_crystal:
        double cells[3]
        double fudge
        bint reference
        double axes[3][3]
        double scale
        double gauss_width
        double tophat_cutoff
    ctypedef struct nb_lattice:
        double reach[3]
        double limit
    int nb_row_between(double P, double Q, double R, double along, double step, double off, double t0, double t1,
                       double inv0, double inv1, double least, double most)
    double nb_row_distance(double P, double Q, double R, double along, double step, double off, double t0, double t1,
                           double inv0, double inv1)
    double nb_lattice_sqr(int kind, const nb_lattice *c, double h, double k, double l)
    bint nb_has_single(int kind)
    double nb_amplitude(int kind, const nb_lattice *c, double h, double k, double l, double *axis)
    int nb_set_constants(int shape, const nb_crystal *x, nb_lattice *c)
    double nb_spot_photons(int shape, const nb_crystal *x)
    double nb_spot_ends(int shape, const nb_lattice *c, double brightest, double *form)

cdef extern from "nb_structure.h" nogil:
    ctypedef struct nb_box:
        double low[3]
        double high[3]
        double stride[2]
        double offset
        double safe_low[3]
        double safe_high[3]
    int nb_box_element(const nb_box *b, double h0, double k0, double l0)
    int nb_box_safe(const nb_box *b, double h, double k, double l)
    int nb_box_corner(const nb_box *b, double h, double k, double l)
    double nb_tricubic(const double *corner, int plane, int row, const double *wh, const double *wk,
                       const double *wl)
    void nb_cubic_weights(double t, double *w0, double *w1, double *w2, double *w3)

cdef extern from "nb_geometry.h" nogil:
    void nb_sincos(double x, double *s, double *c)
    void nb_curve(const double *beam, const double *fast, const double *slow, double distance,
                  double *x, double *y, double *z)
    void nb_curve_slope(const double *beam, const double *fast, const double *slow, double distance, double y, double z,
                        const double *dbeam, const double *dfast, const double *dslow, double ddistance, double dy,
                        double dz, double *out)
    double nb_solid_angle(double inv, double area, double close_distance, int point_pixel)
    double nb_capture(int layer, double absorption, double obliquity)
    double nb_polarization(double kahn, double c, double e, double b)
    double nb_polarization_slopes(double kahn, double c, double e, double b, double *slope)
    double nb_capture_slope(int layer, double absorption, double obliquity, double *slope)

cdef extern from "nb_job.h" nogil:
    enum:
        NB_CONSTANT
        NB_NEAREST
        NB_TRICUBIC
        NB_SOURCE_SIZE
        NB_SOURCE_WEIGHT
    ctypedef struct nb_job:
        double fast[3]
        double slow[3]
        double normal[3]
        double origin[3]
        double beam[3]
        double pixel, subpixel, distance, close_distance
        double first_depth, thickstep, absorption, deepening
        int fpixels, spixels, fast_min, fast_max, slow_min, slow_max
        int oversample, layers, curved, point_pixel
        int sensor, polarized, weight_thick, weight_polar, weight_omega, weight_source, sources_join, tables
        double kahn, dmin
        int sources, orientations, phisteps, domains
        int lattice_kind, structure_kind, single
        double background, default_F, scale, diffuse
        nb_lattice lattice
        nb_box box
    ctypedef struct nb_cut:
        long long pieces
    nb_cut nb_cut_of(const nb_job *p)

cdef extern from "nb_single.h" nogil:
    double NB_SINGLE_SHIFT

cdef extern from "nb_pointers.h" nogil:
    ctypedef double *nb_out
    ctypedef const double *nb_in
    ctypedef float *nb_outf
    ctypedef const float *nb_inf
    ctypedef int *nb_outi
    ctypedef const int *nb_ini
