# Loops that are compiled for each instruction-set level: see nb_levels.h.

cdef extern from "nb_levels.h":
    bint nb_choose(const char *level, void *loops)
