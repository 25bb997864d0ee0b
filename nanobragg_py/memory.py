"""How much memory this process may take: asked before much of it is taken.

Linux gives out memory that it does not have, and ends the process that uses it. A sentence has to come before that.
"""

import functools
import os

from .errors import NanoBraggError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

#: an environment variable: GiB that one thing (an image, a list of sources, a table) may take
VARIABLE = "NANOBRAGG_MEMORY_LIMIT"
#: bytes that nobody asks about
FREE = 2**28
#: which control groups this process is in, and where they are
GROUPS, GROUP_ROOT = "/proc/self/cgroup", "/sys/fs/cgroup"


def shortage(needed: "Any") -> str:
    """What to say of so many bytes in one place where they are more than this process may take; else "".

    It goes on after "need ...": ``160 GiB, and this machine has 23.5; NANOBRAGG_MEMORY_LIMIT=GiB raises the limit``.
    Raises NanoBraggError where the environment variable says nothing.
    """
    if needed <= FREE:
        return ""
    available, whose = memory_limit()
    if needed <= available:
        return ""
    return f"{needed / 2**30:.3g} GiB, and {whose} {available / 2**30:.3g}; {VARIABLE}=GiB raises the limit"


def memory_limit() -> "tuple[float, str]":
    """Bytes that this process may take, and whose limit that is: the least of the machine's memory, of that of the
    control group (of a container, or a job of a queue) and of `ulimit -v`, if the environment says nothing."""
    given = os.environ.get(VARIABLE, "")
    if given:
        try:
            gib = float(given)
        except ValueError:
            gib = -1.0
        if not gib >= 0.0:
            raise NanoBraggError(f"{VARIABLE} is {given!r}; it takes GiB, such as 16")
        return gib * 2.0**30, f"{VARIABLE} allows"
    return min(
        (physical_memory(), "this machine has"),
        (group_memory(), "the control group of this process may have"),
        (address_space(), "ulimit -v lets this process have"),
    )


def physical_memory() -> float:
    """Bytes of memory that this machine has; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def group_memory() -> float:
    """Bytes that the control groups of this process may take together; infinite where there is no limit."""
    limits = []
    try:
        with open(GROUPS) as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeError):
        return float("inf")
    for line in lines:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers:
            root, name = GROUP_ROOT, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = f"{GROUP_ROOT}/memory", "memory.limit_in_bytes"
        else:
            continue
        # what holds for a group holds for those within it; in a container its own group is the root
        parts = [part for part in path.split("/") if part]
        for count in range(len(parts) + 1):
            try:
                with open(os.path.join(root, *parts[:count], name)) as file:
                    limits.append(float(file.read()))
            except (OSError, ValueError):  # the word max, too
                continue
    return min(limits, default=float("inf"))


def address_space() -> float:
    """Bytes that the limit on a process's address space allows; infinite where there is none."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit
    except ImportError:
        return float("inf")
    limit, _ = getrlimit(RLIMIT_AS)
    return float("inf") if limit == RLIM_INFINITY else float(limit)


def within_memory(function: "Function") -> "Function":
    """A function of the library whose MemoryError is a NanoBraggError, as its other errors are."""

    @functools.wraps(function)
    def within(*args, **keywords):
        try:
            return function(*args, **keywords)
        except MemoryError as error:
            said = " ".join(str(error).split())
            raise NanoBraggError(
                f"there is not enough memory{f' ({said})' if said else ''}; give fewer pixels, phi steps, domains, "
                "sources or parameters"
            ) from None

    return within  # type: ignore[return-value]
