"""Three-component vectors as plain tuples of floats: the few operations that setting up an experiment needs.

Every function keeps the reference program's order of arithmetic (its functions of nearly the same names), so that the
results are the same to the last bit, the sign of a zero included: that sign shows in the printed lines.
"""

from math import cos, sin, sqrt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: degrees in a radian, from the C library's M_1_PI as the reference has it
DEGREES_PER_RADIAN = 180.0 * 0.31830988618379067154


def dot(u: "Any", v: "Any") -> "Any":
    """The inner product of two vectors."""
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def cross(u: "Any", v: "Any") -> "tuple[Any, Any, Any]":
    """The vector product u x v."""
    return (
        u[1] * v[2] - u[2] * v[1],
        u[2] * v[0] - u[0] * v[2],
        u[0] * v[1] - u[1] * v[0],
    )


def length(v: "Any") -> "Any":
    """The Euclidean length of a vector."""
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])


def unit(v: "Any") -> "tuple[Any, Any, Any]":
    """The vector divided by its length (reference: unitize); the zero vector stays zero."""
    size = length(v)
    if size == 0.0:
        return (0.0, 0.0, 0.0)
    return (v[0] / size, v[1] / size, v[2] / size)


def scale(v: "Any", factor: "Any") -> "tuple[Any, Any, Any]":
    """The vector times a number."""
    return (factor * v[0], factor * v[1], factor * v[2])


def with_length(v: "Any", new_length: "Any") -> "Any":
    """The vector stretched to a new length (reference: vector_rescale); a zero vector stays zero."""
    old_length = length(v)
    if old_length <= 0.0:
        old_length = 1.0
    return scale(v, new_length / old_length)


def rotate_axis(v: "Any", axis: "Any", angle: float) -> "tuple[Any, Any, Any]":
    """The vector rotated by `angle` radians, right-handed, about the unit vector `axis` (Rodrigues' formula).

    The axis is used as given: one that is not a unit vector gives the reference's distorted result.
    """
    sine = sin(angle)
    cosine = cos(angle)
    along = (axis[0] * v[0] + axis[1] * v[1] + axis[2] * v[2]) * (1.0 - cosine)
    return (
        axis[0] * along + v[0] * cosine + (-axis[2] * v[1] + axis[1] * v[2]) * sine,
        axis[1] * along + v[1] * cosine + (+axis[2] * v[0] - axis[0] * v[2]) * sine,
        axis[2] * along + v[2] * cosine + (-axis[1] * v[0] + axis[0] * v[1]) * sine,
    )


def rotate_xyz(v: "Any", angle_x: float, angle_y: float, angle_z: float) -> "tuple[Any, Any, Any]":
    """The vector rotated about the laboratory's x, then y, then z axis, in radians (reference: rotate)."""
    return rotate_all((v,), angle_x, angle_y, angle_z)[0]


def rotate_all(vectors: "Any", angle_x: float, angle_y: float, angle_z: float) -> "list[tuple[Any, Any, Any]]":
    """Several vectors rotated as of `rotate_xyz`.

    The products with zero are the reference's: they decide the sign of zero components.
    """
    cosine_x, sine_x = cos(angle_x), sin(angle_x)
    cosine_y, sine_y = cos(angle_y), sin(angle_y)
    cosine_z, sine_z = cos(angle_z), sin(angle_z)
    turned = []
    for x, y, z in vectors:
        if angle_x != 0:
            x, y, z = x, y * cosine_x + z * -sine_x, y * sine_x + z * cosine_x
        if angle_y != 0:
            x, y, z = x * cosine_y + y * 0.0 + z * sine_y, y, x * -sine_y + y * 0.0 + z * cosine_y
        if angle_z != 0:
            x, y, z = x * cosine_z + y * -sine_z, x * sine_z + y * cosine_z, z
        turned.append((x, y, z))
    return turned
