"""What our programs see to before they work: descriptors 0 to 2 are open, and a signal to end is an exception.

SIGTERM and SIGHUP, which would end the process where it stands, then unwind it like Ctrl-C, so that nothing unfinished
stays behind. The library itself touches neither; only programs call these functions.
"""

# the module signal makes enumerations of its names, and threading much else, which takes a millisecond
import _signal
import _thread
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: what a program says that a signal has ended
INTERRUPTED = "interrupted; no unfinished file was left behind"
_ENDING = tuple(getattr(_signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(_signal, name))
#: signals are handled in this thread alone
_MAIN = _thread.get_ident()
_held = [0]
_pending = []
#: the signal that was raised as `Stopped`, and seconds after which it is raised again where it was swallowed
_raised = []
_AGAIN = 0.01


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end. status: the exit status that says so, 128 and the signal's number."""

    def __init__(self, number: "Any") -> None:
        super().__init__(number)
        self.status: Any = 128 + number


def status_of(interrupt: "Any") -> "Any":
    """The exit status for a KeyboardInterrupt, which may be a `Stopped`."""
    return getattr(interrupt, "status", 128 + _signal.SIGINT)


def open_descriptors() -> None:
    """Open what is closed of the descriptors 0 to 2, to the null device.

    A file that is opened later would get such a number, and what the program prints would land in it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest number that is free, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def catch_signals() -> None:
    """Have SIGINT, SIGTERM and SIGHUP raise `Stopped`, the first of them; those that are ignored stay so (nohup)."""
    for number in _ENDING:
        if _signal.getsignal(number) in (_signal.SIG_DFL, _signal.default_int_handler):
            _signal.signal(number, _stop)
    sys.unraisablehook = _swallowed


def stopped_by(error: "Any") -> "Any":
    """What ended a program: the signal where one was raised, since libraries make errors of their own of it."""
    return Stopped(_raised[0]) if _raised and not isinstance(error, KeyboardInterrupt) else error


def _swallowed(unraisable):
    """What Python calls for an exception where none can be raised, as in the callbacks of weak references."""
    if isinstance(unraisable.exc_value, Stopped):
        # not from here, where it would be swallowed again
        _signal.signal(_signal.SIGALRM, lambda *_: _stop(_raised[0], None))
        _signal.setitimer(_signal.ITIMER_REAL, _AGAIN)
    else:
        sys.__unraisablehook__(unraisable)


def ignore_signals() -> None:
    """From here on nothing is left to be undone: the program ends by itself."""
    for number in _ENDING:
        if _signal.getsignal(number) is _stop:
            _signal.signal(number, _signal.SIG_IGN)


def _stop(number, frame):
    # a second one would come in the way of the clearing up
    ignore_signals()
    if _held[0]:
        _pending.append(number)
    else:
        _raise(number)


def _raise(number):
    _raised.append(number)
    raise Stopped(number)


def hold() -> None:
    """Put a signal off until `release`: what is between the two happens as a whole. They nest."""
    if _thread.get_ident() == _MAIN:
        _held[0] += 1


def release() -> None:
    """The end of what `hold` began; raises `Stopped` if there was a signal meanwhile."""
    if _thread.get_ident() != _MAIN:
        return
    _held[0] -= 1
    if _pending and not _held[0]:
        _raise(_pending.pop())
