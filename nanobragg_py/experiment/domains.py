"""Mosaic domains of somebody's own: their rotations, and how much each counts."""

from math import acos, sqrt

from ..errors import NanoBraggError
from ..kernels.memory.buffers import Buffer
from ..records import REQUIRED, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: rows of a matrix may be off by so much from unit vectors at right angles
WITHIN = 1e-6
#: products of the rows of a rotation with each other
UNIT = (1.0, 0.0, 0.0, 1.0, 0.0, 1.0)


class Domains(Record):
    """rotations: buffer of count*9 float64, row-major matrices. count: how many. largest_angle: of them, radians.

    weights: a number each, or None where all count alike.
    """

    _fields = {"rotations": REQUIRED, "count": REQUIRED, "largest_angle": REQUIRED, "weights": None}


def domains_of(rows: "Any", weights: "Any" = None) -> "Domains":
    """The `Domains` of rows of nine numbers, rotations row-major, and a weight for each, or None."""
    rotations = Buffer(9 * len(rows), "d", zero=False)
    values: Any = memoryview(rotations)
    largest = 0.0
    for number, row in enumerate(rows):
        for i, value in enumerate(row):
            values[9 * number + i] = value
        # the larger of two estimates: near no rotation the trace is 3 but for rounding
        sine = sqrt((row[7] - row[5]) ** 2 + (row[2] - row[6]) ** 2 + (row[3] - row[1]) ** 2) / 2.0
        cosine = (row[0] + row[4] + row[8] - 1.0) / 2.0
        largest = max(largest, sine, acos(max(-1.0, min(1.0, cosine))) if cosine < 0.9 else 0.0)
    alike = weights is None or min(weights) == max(weights)
    return Domains(rotations, len(rows), largest, None if alike else tuple(weights))


def is_rotation(row: "Any") -> bool:
    """Whether nine numbers, row-major, are a rotation."""
    rows = row[0:3], row[3:6], row[6:9]
    products = [sum(u[k] * v[k] for k in range(3)) for i, u in enumerate(rows) for v in rows[i:]]
    a, b, c, d, e, f, g, h, i = row
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return determinant > 0.0 and all(abs(x - unit) <= WITHIN for x, unit in zip(products, UNIT, strict=True))


def read_domains(path: str) -> "Domains":
    """The `Domains` of a text file: a row a domain, nine numbers, row by row of its matrix, and a weight (1 without).

    Raises NanoBraggError that names the row for what is no rotation or no weight.
    """
    from ..files.table import read_table

    rotations, weights = [], []
    for number, row in enumerate(read_table(path, 10), 1):
        weight = 1.0 if row[9] != row[9] else row[9]
        if not is_rotation(row[:9]):
            raise NanoBraggError(
                f"row {number} of {path} is no rotation; it needs the nine numbers of a matrix, whose rows are at "
                "right angles and of length 1"
            )
        if not 0.0 <= weight < 1e300:
            raise NanoBraggError(f"row {number} of {path} has a weight of {weight:g}; give one of 0 or more")
        rotations.append(row[:9])
        weights.append(weight)
    if not max(weights) > 0.0:
        raise NanoBraggError(f"the weights in {path} are all 0; give at least one domain a weight")
    return domains_of(rotations, weights)
