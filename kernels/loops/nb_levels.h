/* Loops that are compiled once for each instruction-set level, beside one copy of what calls them.
 *
 * Cython makes one C file of a source, which setup.py compiles once for the module, with NB_LEVELS, and once for each
 * level, with NB_LEVEL. Static functions that nothing refers to are left out by the compiler before it works on them:
 * in the module's unit that is all the loops, which are called through a table; in a level's unit all but them, as only
 * nb_fill_loops, which fills the table, is referred to.
 */
#ifndef NB_LEVELS_H
#define NB_LEVELS_H

#include <string.h>

#ifdef Py_PYTHON_H /* the source has it: the addresses of its loops into its table */
__attribute__((unused)) static void nb_fill_loops(void *loops);
#endif

#ifdef NB_LEVEL

#define NB_JOINED(a, b) a##b
#define NB_FILL_OF(level) NB_JOINED(nb_loops_, level)
__attribute__((visibility("hidden"))) void NB_FILL_OF(NB_LEVEL)(void *loops);
void NB_FILL_OF(NB_LEVEL)(void *loops)
{
    nb_fill_loops(loops);
}

/* the module's initialiser, which all else hangs on, is the other unit's */
#undef PyMODINIT_FUNC
#define PyMODINIT_FUNC __attribute__((unused)) static PyObject *
#define NB_LEVELS(level)

#endif

#ifndef NB_LEVELS
#define NB_LEVELS(level)
#endif

#define NB_DECLARED(level) __attribute__((visibility("hidden"))) void nb_loops_##level(void *loops);
NB_LEVELS(NB_DECLARED)
#undef NB_DECLARED

/* Fill the table with the loops of a level; 0 where they were not compiled. */
__attribute__((unused)) static int nb_choose(const char *level, void *loops)
{
#define NB_CHOSEN(known)             \
    if (strcmp(level, #known) == 0) { \
        nb_loops_##known(loops);     \
        return 1;                    \
    }
    NB_LEVELS(NB_CHOSEN)
#undef NB_CHOSEN
    (void)level;
    (void)loops;
    return 0;
}

#endif
