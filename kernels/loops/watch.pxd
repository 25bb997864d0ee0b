# Signals while loops run: see nb_watch.h.

from nanobragg_py.kernels.loops.threads cimport nb_now

cdef extern from "nb_watch.h" nogil:
    ctypedef struct nb_watch:
        int (*look)(void *caller) noexcept nogil
        void *caller
        double looked
        long taken
        int ended
        int stop
    bint nb_stopped(nb_watch *w)
    bint nb_look(nb_watch *w)
    bint nb_dropped(nb_watch *w, long *counted, long steps)
    long nb_take(nb_watch *w)
    long nb_take_apart(nb_watch *w, long portions)
    void nb_leave(nb_watch *w)

cdef extern from "Python.h" nogil:
    ctypedef struct PyThreadState:
        pass
    PyThreadState *PyThreadState_Get() noexcept
    PyThreadState *PyEval_SaveThread() noexcept
    void PyEval_RestoreThread(PyThreadState *state) noexcept
    int check_signals "PyErr_CheckSignals"() noexcept


cdef inline int look_for_signals(void *caller) noexcept nogil:
    # an exception stays the caller's, which raises it when its loop has ended
    PyEval_RestoreThread(<PyThreadState *>caller)
    cdef int raised = check_signals() != 0
    PyEval_SaveThread()
    return raised


cdef inline void begin_watch(nb_watch *w) noexcept:
    """Before a loop, with the interpreter's lock held."""
    w.look = look_for_signals
    w.caller = PyThreadState_Get()
    w.looked = nb_now()
    w.stop = 0
    begin_portions(w)


cdef inline void begin_portions(nb_watch *w) noexcept nogil:
    """Portions are taken from number 0 on."""
    w.taken = 0
    w.ended = 0


cdef inline int end_watch(nb_watch *w) except -1:
    """Raise what a signal has raised; when a loop has ended, with the lock."""
    return -1 if w.stop else 0
