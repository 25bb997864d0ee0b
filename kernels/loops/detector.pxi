# A resolved detector, or a panel of one, as the loops' arguments have it.
# Part of job.pyx and amorphous.pyx, which call their arguments nb_panel and include vectors.pxi before.


cdef set_panel(nb_panel *p, detector, int oversample):
    """Where pixels are, and which of them are rendered."""
    set_vector(p.fast, detector.fast)
    set_vector(p.slow, detector.slow)
    set_vector(p.origin, detector.origin)
    p.oversample = oversample
    p.pixel = detector.pixel_size
    p.subpixel = p.pixel / oversample
    p.distance = detector.distance
    p.close_distance = detector.close_distance
    p.fpixels = detector.fpixels
    p.spixels = detector.spixels
    p.fast_min = max(detector.roi[0], 0)
    p.fast_max = min(detector.roi[1], p.fpixels - 1)
    p.slow_min = max(detector.roi[2], 0)
    p.slow_max = min(detector.roi[3], p.spixels - 1)
    p.curved = detector.curved
    p.point_pixel = detector.point_pixel


cdef set_sensor(nb_panel *p, detector):
    """What lies behind them."""
    set_vector(p.normal, detector.normal)
    p.first_depth = detector.first_depth
    p.deepening = detector.deepening
    p.thickstep = detector.thickstep
    p.absorption = detector.thickstep * detector.mu
    p.layers = detector.thicksteps
    p.sensor = detector.thickness != 0.0
