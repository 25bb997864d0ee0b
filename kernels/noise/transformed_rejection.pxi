# Counts of bright pixels: trials of transformed rejection (PTRS, nb_poisson.h) for a list of pixels at a time.
# Part of philox.pyx.

cdef void squeeze(int n, nb_in mean, nb_inu x0, nb_inu x1, nb_inu x2, nb_inu x3, nb_out drawn) noexcept nogil:
    """The counts that trials propose, -1 where the squeeze leaves them open."""
    cdef int i
    cdef double u, us, v, k
    cdef nb_ptrs ptrs
    for i in range(n):
        ptrs = nb_ptrs_of(mean[i])
        u = nb_ptrs_u(x0[i], x1[i])
        v = nb_uniform(x2[i], x3[i])
        us = nb_ptrs_us(u)
        k = nb_ptrs_count(mean[i], ptrs, u, us)
        drawn[i] = k if nb_ptrs_squeezed(ptrs, us, v) else -1.0


cdef void weigh(int n, nb_in mean, nb_inu x0, nb_inu x1, nb_inu x2, nb_inu x3, nb_out drawn) noexcept nogil:
    """For trials that the squeeze leaves open: the counts, -1 for those rejected, -2 for what `weigh_one` is to see."""
    cdef int i
    cdef double u, us, v, k, margin
    cdef nb_ptrs ptrs
    for i in range(n):
        ptrs = nb_ptrs_of(mean[i])
        u = nb_ptrs_u(x0[i], x1[i])
        v = nb_uniform(x2[i], x3[i])
        us = nb_ptrs_us(u)
        k = nb_ptrs_count(mean[i], ptrs, u, us)
        margin = nb_ptrs_margin(mean[i], ptrs, us, v, k if k > 10.0 else 10.0)
        margin = k if margin >= 0.0 else -1.0
        drawn[i] = margin if (k >= 10.0) & (us >= 0.013) else -2.0


cdef double weigh_one(double mean, uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3) noexcept nogil:
    cdef nb_ptrs ptrs = nb_ptrs_of(mean)
    cdef double u = nb_ptrs_u(x0, x1)
    cdef double us = nb_ptrs_us(u), k = nb_ptrs_count(mean, ptrs, u, us)
    return k if nb_ptrs_accepted(mean, ptrs, us, nb_uniform(x2, x3), k) else -1.0


cdef int one_trial(Scratch *s, int listed, uint32_t draw, uint64_t pixel, uint32_t low, uint32_t high) noexcept nogil:
    """Trial number `draw` of the pixels listed; those that it rejects stay in the list; returns how many."""
    cdef int i, j, rest = 0, left = 0
    for j in range(listed):
        i = s.where[j]
        s.x0[j] = draw
        s.x1[j] = <uint32_t>(pixel + i)
        s.x2[j] = <uint32_t>((pixel + i) >> 32)
        s.x3[j] = NB_PHILOX_PIXEL
    scramble(s, padded(listed), low, high)
    squeeze(padded(listed), s.mean, s.x0, s.x1, s.x2, s.x3, s.drawn)
    for j in range(listed):
        i = s.where[j]
        s.value[i] = s.drawn[j]
        s.where[rest] = i
        s.mean[rest] = s.mean[j]
        s.x0[rest] = s.x0[j]
        s.x1[rest] = s.x1[j]
        s.x2[rest] = s.x2[j]
        s.x3[rest] = s.x3[j]
        rest += s.drawn[j] < 0.0
    weigh(padded(rest), s.mean, s.x0, s.x1, s.x2, s.x3, s.drawn)
    for j in range(rest):
        i = s.where[j]
        if s.drawn[j] == -2.0:
            s.drawn[j] = weigh_one(s.mean[j], s.x0[j], s.x1[j], s.x2[j], s.x3[j])
        s.value[i] = s.drawn[j]
        s.where[left] = i
        s.mean[left] = s.mean[j]
        left += s.drawn[j] < 0.0
    return left


cdef double take_bright(int n, nb_ini kind, nb_in value, nb_outi count) noexcept nogil:
    """Values of BRIGHT pixels to counts; returns the sum of what exceeds TOP."""
    cdef int i
    cdef int64_t large = 0
    cdef double k, excess = 0.0
    for i in range(n):
        k = value[i] if value[i] < 1073741824.0 else 1073741824.0
        k = k if kind[i] == BRIGHT else 0.0
        large += k > TOP
        count[i] = <int>k if kind[i] == BRIGHT else count[i]
    if large > 0:
        for i in range(n):
            if kind[i] == BRIGHT and value[i] > TOP:
                excess += value[i] - TOP
    return excess


cdef double draw_bright(Scratch *s, int n, nb_inf image, uint64_t pixel, uint32_t low, uint32_t high) noexcept nogil:
    """s.count of the pixels that are BRIGHT; returns the sum of what exceeds TOP."""
    cdef int i, j, found = nb_list_kind(padded(n), s.kind, BRIGHT, s.where), listed = 0
    cdef uint32_t draw = 0
    for j in range(found):
        i = s.where[j]
        s.mean[listed] = image[i]
        s.where[listed] = i
        if image[i] < NB_POISSON_NORMAL:
            listed += 1
        else:
            s.value[i] = nb_poisson(image[i], pixel + i, low, high)
    while listed >= FEW:
        listed = one_trial(s, listed, draw, pixel, low, high)
        draw += 1
    for j in range(listed):
        i = s.where[j]
        s.value[i] = nb_poisson_ptrs(s.mean[j], draw, pixel + i, low, high)
    return take_bright(n, s.kind, s.value, s.count)
