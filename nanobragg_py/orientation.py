"""Orientations of crystals: rotation matrices, misset angles, U and B, and uniform random rotations.

Matrices are numpy float64 arrays of shape (3, 3) that act on column vectors in the laboratory frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, cos, hypot, pi, radians, sin, sqrt
from typing import TYPE_CHECKING

from .errors import FieldError
from .vectors import cross, dot, rotate_axis, rotate_xyz, unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

#: how far a product U^T U may be from the identity: beside its diagonal, and on it
SKEWED, STRETCHED = 1e-6, 1.1e-5
_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def missets_to_rotation(missets: Sequence[float]) -> np.ndarray:
    """The rotation matrix of misset angles: about the laboratory's x, then y, then z, radians."""
    import numpy as np

    angles = [float(angle) for angle in missets]
    if len(angles) != 3:
        raise FieldError("missets must be three angles, radians")
    return np.array([rotate_xyz(axis, *angles) for axis in _AXES]).T


def rotation_to_missets(rotation: ArrayLike) -> tuple[float, float, float]:
    """The misset angles, radians, of a rotation matrix; FieldError for a matrix that is no proper rotation."""
    import numpy as np

    matrix = np.asarray(rotation, dtype=float)
    rows = matrix.tolist()
    # plain floats: every image of a batch comes here, and numpy takes its time with nine numbers
    if matrix.shape != (3, 3) or not _is_orthogonal(rows):
        raise FieldError("rotation must be a 3 x 3 matrix whose columns are orthogonal unit vectors")
    if dot(rows[0], cross(rows[1], rows[2])) < 0.0:
        raise FieldError("rotation must be proper; its determinant is -1, a reflection")
    return missets_of_rows(rows)


def missets_of_rows(rows: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """The misset angles, radians, of a rotation matrix, given as its rows, which is known to be one."""
    (_, xy, xz), (_, yy, yz), (zx, zy, zz) = rows
    about_x = atan2(zy, zz)
    about_y = atan2(-zx, hypot(zy, zz))
    # z from what x leaves, which is exact where y is near 90 degrees and x alone is not
    sine, cosine = sin(about_x), cos(about_x)
    return about_x, about_y, atan2(sine * xz - cosine * xy, cosine * yy - sine * yz)


def _is_orthogonal(rows):
    """Whether the columns of a matrix are orthogonal unit vectors; nan is not."""
    a, b, c = zip(*rows, strict=True)
    return all(abs(dot(v, v) - 1.0) <= STRETCHED for v in (a, b, c)) and all(
        abs(dot(one, other)) <= SKEWED for one, other in ((a, b), (b, c), (c, a))
    )


def axis_rotation(axis: Sequence[float], angle: float) -> np.ndarray:
    """The right-handed rotation by `angle` radians about an axis of any length (Rodrigues' formula)."""
    import numpy as np

    x, y, z = (float(component) for component in axis)
    direction = unit((x, y, z))
    return np.array([rotate_axis(e, direction, angle) for e in _AXES]).T


def random_rotations(count: int, seed: int, start: int = 0) -> np.ndarray:
    """Rotations drawn uniformly over all orientations: float64 array of shape (count, 3, 3).

    Rotation i depends on the seed and on start + i alone, so that any split of a series gives the same rotations.
    Uniform unit quaternions from three uniform deviates: K. Shoemake, "Uniform random rotations", Graphics Gems III
    (1992), 124. The deviates are 53-bit fractions of numpy's Philox4x64 stream with the seed as its key, one counter
    value a rotation.
    """
    import numpy as np

    if count < 0 or start < 0 or not 0 <= seed < 2**64:
        raise FieldError("count and start cannot be below 0, and seed must be from 0 to 2**64 - 1")
    stream = np.random.Philox(key=seed, counter=start)
    words = stream.random_raw(4 * count).reshape(count, 4)
    u = (words[:, :3] >> np.uint64(11)) * 2.0**-53
    low, high = np.sqrt(1.0 - u[:, 0]), np.sqrt(u[:, 0])
    x, y = low * np.sin(2 * pi * u[:, 1]), low * np.cos(2 * pi * u[:, 1])
    z, w = high * np.sin(2 * pi * u[:, 2]), high * np.cos(2 * pi * u[:, 2])
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.ascontiguousarray(np.moveaxis(np.array(rows), 2, 0))


def b_matrix(a: float, b: float, c: float, alpha: float = 90.0, beta: float = 90.0, gamma: float = 90.0) -> np.ndarray:
    """The reciprocal cell as a matrix: columns a*, b*, c* in 1/Angstrom, a* along x and b* in the x-y plane.

    a, b, c: Angstrom. alpha, beta, gamma: degrees. Busing & Levy, Acta Cryst. 22 (1967), 457, without the reference
    program's distortion of cells that are not orthogonal. Raises FieldError for what is no cell.
    """
    import numpy as np

    sizes = [float(x) for x in (a, b, c)]
    cosines = [cos(radians(x)) if x != 90.0 else 0.0 for x in (alpha, beta, gamma)]
    ca, cb, cg = cosines
    squared = 1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg
    if min(sizes) <= 0.0 or not squared > 0.0:
        numbers = " ".join(f"{x:g}" for x in (a, b, c, alpha, beta, gamma))
        raise FieldError(f"cell {numbers} is no unit cell; give lengths in Angstrom and angles in degrees")
    metric = np.diag(sizes)
    metric = metric @ np.array([[1.0, cg, cb], [cg, 1.0, ca], [cb, ca, 1.0]]) @ metric
    # the reciprocal metric is B^T B, and B its upper triangular Cholesky factor
    return np.linalg.cholesky(np.linalg.inv(metric)).T


def split_UB(A: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """U (a rotation) and B (as of `b_matrix`) of an orientation matrix with columns a*, b*, c*, 1/Angstrom."""
    import numpy as np

    A = np.asarray(A, dtype=float)
    with np.errstate(all="ignore"):
        if A.shape != (3, 3) or not np.linalg.det(A) > 0.0:
            raise FieldError("A must be a 3 x 3 matrix whose columns are right-handed; its determinant is not above 0")
        try:
            B = np.linalg.cholesky(A.T @ A).T
        except np.linalg.LinAlgError:
            B = None
    if B is None or not np.isfinite(B).all():
        raise FieldError("A has columns that are next to parallel, or numbers too large for a cell")
    return A @ np.linalg.inv(B), B


def cell_of(A: ArrayLike) -> tuple[float, float, float, float, float, float]:
    """The unit cell (a, b, c, alpha, beta, gamma), Angstrom and degrees, of an orientation matrix in 1/Angstrom."""
    import numpy as np

    direct = np.linalg.inv(np.asarray(A, dtype=float))
    a, b, c = (sqrt(v @ v) for v in direct)
    al, be, ga = (
        float(np.degrees(np.arccos(np.clip(direct[i] @ direct[j] / size, -1, 1))))
        for i, j, size in ((1, 2, b * c), (0, 2, a * c), (0, 1, a * b))
    )
    return a, b, c, al, be, ga
