"""What the exact physics works out otherwise than the reference: the cell's setting, random orientations, spots.

Nothing here is imported by a run that keeps to the reference.
"""

from math import cos, pi, sin, sqrt

from ...vectors import cross, dot, scale, unit
from ..resolved import SPOTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: squared half width of a ball of volume 1: where top-hats end that scatter what their crystal does
BALL = (3.0 / (4.0 * pi)) ** (2.0 / 3.0)
#: of -spot_width: the width of Gaussians and the cut-off of top-hats, of (Na h, Nb k, Nc l)
SPOT_WIDTHS = {"exact": (2.0 / pi, BALL), "simtbx": (SPOTS["gauss_width"], SPOTS["tophat_cutoff"])}


def setting(lengths: "Any", angles: "Any") -> "Any":
    """The reciprocal vectors, 1/Angstrom, of a cell with a* along x and b* in the x-y plane.

    W. R. Busing & H. A. Levy, Acta Cryst. 22 (1967), 457. lengths: Angstrom. angles: radians. Raises
    ZeroDivisionError for what is no cell.
    """
    a, b, c = lengths
    # the nearest double to pi/2 stands for a right angle
    ca, cb, cg = (0.0 if angle == pi / 2 else cos(angle) for angle in angles)
    sa, sb, sg = (sin(angle) for angle in angles)
    squared = 1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg
    if not squared > 0.0 or min(sa, sb, sg) <= 0.0 or min(lengths) <= 0.0:
        raise ZeroDivisionError
    part = sqrt(squared)  # of a b c that the volume is
    cos_beta, cos_gamma = (cg * ca - cb) / (sg * sa), (ca * cb - cg) / (sa * sb)
    return (
        (sa / (a * part), 0.0, 0.0),
        (sb / (b * part) * cos_gamma, 1.0 / (b * sa), 0.0),
        (sg / (c * part) * cos_beta, -ca / (c * sa), 1.0 / c),
    )


def placed(stars: "Any", matrix_stars: "Any") -> "Any":
    """The reciprocal vectors of a setting, turned to where those of an orientation matrix have theirs.

    a* keeps the direction of the matrix's, and a* and b* their plane.
    """
    first = unit(matrix_stars[0])
    third = unit(cross(matrix_stars[0], matrix_stars[1]))
    second = cross(third, first)
    if dot(third, matrix_stars[2]) < 0.0:  # a left-handed matrix stays one
        stars = (*stars[:2], (*stars[2][:2], -stars[2][2]))
    return tuple(
        tuple(x * u + y * v + z * w for u, v, w in zip(first, second, third, strict=True)) for x, y, z in stars
    )


def frame_of(crystal: "Any") -> "tuple[Any, Any, Any]":
    """Unit vectors of a `ResolvedCrystal`: along a*, at right angles to it towards b*, and at right angles to both."""
    first = unit(crystal.a_star)
    third = unit(cross(crystal.a_star, crystal.b_star))
    return first, cross(third, first), third


def uniform_rotation(deviates: "Any") -> "tuple[Any, ...]":
    """A rotation matrix, row-major, from three uniform deviates: uniform over all orientations.

    The quaternion of K. Shoemake, "Uniform random rotations", Graphics Gems III (1992), 124.
    """
    u, v, w = deviates
    low, high = sqrt(1.0 - u), sqrt(u)
    x, y = low * sin(2.0 * pi * v), low * cos(2.0 * pi * v)
    z, w = high * sin(2.0 * pi * w), high * cos(2.0 * pi * w)
    return (
        *(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
        *(2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)),
        *(2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
    )


def spots(cells: "Any", width: str) -> "dict[str, Any]":
    """The fields of a `ResolvedCrystal` that say how wide spots are that have one profile in all directions."""
    gauss_width, tophat_cutoff = SPOT_WIDTHS[width]
    axes = tuple(
        scale(axis, n) for axis, n in zip(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), cells, strict=True)
    )
    return {"spot_axes": axes, "spot_scale": 1.0, "gauss_width": gauss_width, "tophat_cutoff": tophat_cutoff}
