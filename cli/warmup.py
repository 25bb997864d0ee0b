"""What programs that render do while there is still nothing to render."""

import os

from .console import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: threads that are started before there is work for them
EARLY_THREADS = 8


def import_loops(threads: int, loops: "Any", *others: "Any") -> None:
    """Import compiled modules of the kernels, and start threads of the loops before there is work for them.

    threads: how many the user wants; 0: as many as there should be. loops, others: names of modules by level.
    """
    from ..render.backends import level_module, team_size, threads_remark

    if threads == 0 and (remark := threads_remark()) is not None:
        warn(remark)
    # OpenMP's threads wait for each other in a busy loop, by default for so long that on a machine with other work the
    # one that is waited for does not get a processor. The library reads this when it is loaded, with the loops.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    module = level_module(loops)[0]
    for name in others:
        level_module(name)
    # some of them: on a large machine all would take longer than a small image
    module.start_threads(min(team_size(threads), EARLY_THREADS))
