# The loops of the level that runs, a table of the type Loops, and the choice among those of this build: nb_levels.h.
# Part of every source whose loops are compiled for each level, which includes it.

cdef extern from "nb_levels.h":
    bint nb_choose(const char *level, void *loops)

cdef Loops loops


def choose(str level):
    """Have the loops of an instruction-set level run; False where this build has none."""
    return nb_choose(level.encode(), &loops)
