"""Where the tools' programs begin: before anything is imported that takes time, Ctrl-C ends them without a word."""

import _signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def quiet() -> None:
    """Let SIGINT end the process as it ends a C program, until `catch_signals`; what is ignored stays so."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def tools() -> "Any":
    """``nanobragg-py``; returns the exit status."""
    quiet()
    from .main import main

    return main()


def compare() -> "Any":
    """``nb-compare``: the compare tool under the name that scripts know."""
    sys.argv[1:1] = ["compare"]
    return tools()
