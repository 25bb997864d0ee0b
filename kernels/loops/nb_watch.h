/* Signals while loops run, and portions of work for the threads of a team.
 *
 * Python handles a signal where its main thread looks for one, and loops have let go of the interpreter's lock. The
 * thread that called a loop is the first of its team: it looks now and then, and the others hear from it that the work
 * is to be dropped. A portion may take minutes; so threads ask within it, by the steps that they have done.
 */
#ifndef NB_WATCH_H
#define NB_WATCH_H

#include "nb_threads.h"

#define NB_WORK 1000000      /* steps between two looks at the clock: from a millisecond to a tenth of a second */
#define NB_LOOK_EVERY 0.1    /* seconds between two looks for signals */
#define NB_SPIN 1e-4         /* seconds after which who waits for others goes to sleep, */
#define NB_NAP 200000        /* nanoseconds at a time */

typedef struct nb_watch {
    int (*look)(void *caller); /* takes the interpreter's lock and looks: 1 where a signal has raised an exception */
    void *caller;
    double looked;
    long taken;      /* portions that threads have taken, */
    int ended, stop; /* threads that found no more of them; 1: the work is to be dropped */
} nb_watch;

static inline int nb_stopped(nb_watch *w)
{
    return __atomic_load_n(&w->stop, __ATOMIC_RELAXED);
}

/* Look for signals, if it is time: true where the work is to be dropped. */
static inline int nb_look(nb_watch *w)
{
    double now;
    if (NB_THREAD == 0 && !nb_stopped(w) && (now = nb_now()) - w->looked > NB_LOOK_EVERY) {
        if (w->look(w->caller)) __atomic_store_n(&w->stop, 1, __ATOMIC_RELAXED);
        w->looked = nb_now();
    }
    return nb_stopped(w);
}

/* The same after so many steps. counted: of this thread, since it last looked. */
static inline int nb_dropped(nb_watch *w, long *counted, long steps)
{
    *counted += steps;
    if (*counted < NB_WORK) return 0;
    *counted = 0;
    return nb_look(w);
}

/* A thread's next portion, from 0 on. */
static inline long nb_take(nb_watch *w)
{
    return __atomic_fetch_add(&w->taken, 1, __ATOMIC_RELAXED);
}

/* The same for `portions` of an image that nobody has written to: by turns from as many stretches of it as there are
 * threads; no more of them are left where it is `portions`. Of two threads that touch the same page first, which may
 * have 2 MiB, both clear one, and the one that is later throws its own away. */
static inline long nb_take_apart(nb_watch *w, long portions)
{
    long stretches = NB_TEAM, length = (portions + stretches - 1) / stretches, n, portion;
    do {
        n = nb_take(w);
        portion = n % stretches * length + n / stretches;
    } while (n < length * stretches && portion >= portions); /* the last stretches are shorter */
    return n < length * stretches ? portion : portions;
}

/* A thread has found no more portions. The first one, which alone can look, waits here for those that are at theirs. */
static inline void nb_leave(nb_watch *w)
{
    struct timespec nap = {0, NB_NAP};
    double begin;
    __atomic_fetch_add(&w->ended, 1, __ATOMIC_RELEASE);
    if (NB_THREAD != 0) return;
    begin = nb_now();
    while (__atomic_load_n(&w->ended, __ATOMIC_ACQUIRE) < NB_TEAM)
        if (nb_now() - begin > NB_SPIN) {
            nanosleep(&nap, NULL);
            nb_look(w);
        }
}

#endif
