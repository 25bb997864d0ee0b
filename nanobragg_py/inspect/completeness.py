"""Which structure factors a detector needs, and which of them a table has."""

from typing import Any

import numpy as np

from ..errors import NanoBraggError
from ..records import REQUIRED, Record

SHELLS = 8
#: as many indices are looked at, at most
LIMIT = 200_000_000


class Completeness(Record):
    """What of the indices with spacings from `dmin` up is there.

    dmin: Angstrom. limits: the largest h, k, l needed. bounds: of the table. shells: rows (from d, to d, needed,
    present), coarse spacings first; missing: int array (n, 3) of the first indices that are not there.
    """

    _fields = {
        "dmin": REQUIRED,
        "limits": REQUIRED,
        "bounds": REQUIRED,
        "shells": REQUIRED,
        "missing": REQUIRED,
    }

    @property
    def needed(self) -> Any:
        return sum(shell[2] for shell in self.shells)

    @property
    def present(self) -> Any:
        return sum(shell[3] for shell in self.shells)


def completeness(hkl: Any, A: Any, dmin: Any, bounds: Any, listed: Any = 5) -> "Completeness":
    """The Completeness of a list of indices.

    hkl: int array (n, 3) of the indices that are there. A: orientation or B matrix, columns a*, b*, c*, 1/Angstrom.
    dmin: Angstrom. bounds: of the table, for the report. listed: how many missing indices to name, coarse ones first.
    """
    direct = np.linalg.inv(A)
    limits = [int(np.linalg.norm(v) / dmin) for v in direct]
    extent = [2 * limit + 1 for limit in limits]
    if np.prod(np.array(extent, float)) > LIMIT:
        raise NanoBraggError(f"a detector that reaches {dmin:.3g} A needs too many indices to count; give -dmin")
    present = np.zeros(extent, bool)
    inside = (np.abs(hkl) <= limits).all(axis=1)
    present[tuple((hkl[inside] + limits).T)] = True
    # shells of equal volume in reciprocal space, so of about equally many indices
    edges = np.cbrt(np.linspace(0.0, dmin**-3.0, SHELLS + 1))
    edges[-1] = np.nextafter(1.0 / dmin, np.inf)
    needed_in, present_in = np.zeros(SHELLS, np.int64), np.zeros(SHELLS, np.int64)
    k, l = np.meshgrid(*(np.arange(-limit, limit + 1) for limit in limits[1:]), indexing="ij")
    missing, lengths = [], []
    for h in range(-limits[0], limits[0] + 1):
        rows = np.column_stack([np.full(k.size, h), k.ravel(), l.ravel()])
        length = np.linalg.norm(rows @ A.T, axis=1)
        near = (length > 0) & (length < edges[-1])
        there = present[h + limits[0]].ravel()[near]
        rows, length = rows[near], length[near]
        needed_in += np.histogram(length, edges)[0]
        present_in += np.histogram(length[there], edges)[0]
        missing.append(rows[~there])
        lengths.append(length[~there])
    every = np.concatenate(missing)
    first = every[np.argsort(np.concatenate(lengths), kind="stable")[:listed]]
    spacings = [np.inf, *(1.0 / edges[1:])]
    shells = [
        (float(spacings[i]), float(spacings[i + 1]), int(needed_in[i]), int(present_in[i])) for i in range(SHELLS)
    ]
    return Completeness(dmin=dmin, limits=tuple(limits), bounds=tuple(bounds), shells=tuple(shells), missing=first)
