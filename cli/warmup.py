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
    from ..render.backends import level_module, short_waits, team_size, threads_remark

    if threads == 0 and (remark := threads_remark()) is not None:
        warn(remark)
    os.environ.update(short_waits(os.environ))  # OpenMP's library reads them when it is loaded, with the loops
    module = level_module(loops)[0]
    for name in others:
        level_module(name)
    # some of them: on a large machine all would take longer than a small image
    module.start_threads(min(team_size(threads), EARLY_THREADS))
