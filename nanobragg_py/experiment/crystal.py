"""The crystal as users state it; `nanobragg_py.experiment.parts` says what the fields of all parts have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import pi, radians
from typing import TYPE_CHECKING, Any

from ..errors import FieldError
from ..kernels.loops.job import SHAPES
from ..orientation import b_matrix, missets_to_rotation, rotation_to_missets
from .checks import (
    cell_counts,
    choice,
    count,
    finite,
    flag,
    matrix,
    nonnegative,
    numbers,
    positive,
    rotations,
    seed,
    size_list,
    vector,
    weight_list,
)
from .fields import CELLS, EDGES, NEGATED, NEGATIVE, NONE, NOT_POSITIVE, field, rows_of
from .part import Part, Vector
from .units import DEGREES, MICRONS, SMALL_DEGREES

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .resolved import StructureFactors


def amplitudes(name: str, value: Any) -> Any:
    """A StructureFactors."""
    from .resolved import StructureFactors

    if not isinstance(value, StructureFactors):
        raise FieldError(f"{name} is {value!r:.40}; it must be a nanobragg_py.StructureFactors")
    return value


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Crystal(Part):
    """The crystal; made with `from_cell`, `from_matrix`, `from_vectors` or `from_UB`.

    One of lengths and matrix is needed; with both, the matrix gives directions and the cell the lengths. With lengths
    alone the orientation is the reference's: a* along x, b* in the x-y plane, slightly distorted for cells that are
    not orthogonal, as there.
    """

    lengths: Vector | None = field("cell_lengths", numbers(3, positive), "A", "a, b, c of the unit cell", way=None)
    angles: Vector | None = field(
        "cell_angles", numbers(3, positive), "rad", "alpha, beta, gamma", way=None, usual=DEGREES
    )
    matrix: ArrayLike | None = field("matrix_file", matrix, "1/A", "3 x 3, columns a*, b*, c* at phi = 0", way=None)
    missets: Vector | str | None = field(
        "misset",
        lambda name, x: x if x == "random" else numbers(3)(name, x),
        "rad",
        'rotations about the laboratory\'s x, then y, then z, applied to cell or matrix; or "random", drawn as -misset '
        "random does, which is not uniform (see `nanobragg_py.random_rotations`)",
        way=None,
        usual=DEGREES,
    )
    misset_seed: int | None = field("misset_seed", seed, "", 'of missets = "random"', way=None)
    cells: Vector = field(
        "Na Nb Nc",
        cell_counts,
        "",
        "unit cells along a, b and c; for square crystals, and in the reference's physics, whole ones, cut if need be",
        way=CELLS,
    )
    sample_size: Vector = field(
        "sample_x sample_y sample_z",
        numbers(3, nonnegative),
        "m",
        "edges along a, b and c, which override cells where they are not 0, clipped by the beam's size",
        way=EDGES,
        usual=MICRONS,
    )
    shape: str = field("shape", choice(*SHAPES), "", f"one of {', '.join(SHAPES)}")
    fudge: float = field("fudge", finite, "", "width of the spots")
    spot_width: str = field(
        "spot_width",
        choice("exact", "simtbx"),
        "",
        "of gauss and tophat: exact, so that they scatter what a crystal of their cells does, or as in simtbx",
    )
    mosaic_spread: float | None = field(
        "mosaic_spread", nonnegative, "rad", "mosaic spread, isotropic; None: 0", unset=NEGATIVE, usual=SMALL_DEGREES
    )
    mosaic_domains: int | None = field(
        "mosaic_domains", count, "", "mosaic domains; None: 10 with a spread", unset=NOT_POSITIVE
    )
    mosaic_seed: int = field("mosaic_seed", seed, "", "of the domains' rotations", way=NEGATED)
    mosaic_model: str = field(
        "mosaic_model",
        choice("cap", "gauss"),
        "",
        "cap: rotations up to the spread, as in the reference; gauss: normal, the spread being the standard deviation "
        "about each axis",
    )
    mosaic_spreads: Vector | None = field(
        "mosaic_spreads",
        numbers(3, nonnegative),
        "rad",
        "instead of mosaic_spread: normal rotations with three standard deviations, about a*, the axis at right angles "
        "to it towards b*, and the axis at right angles to both, which is c*'s in orthogonal cells",
        unset=NONE,
        usual=SMALL_DEGREES,
    )
    domains: ArrayLike | None = field(
        "domain_file",
        rotations,
        "",
        "rotations of mosaic domains of your own, (n, 3, 3), of the crystal at phi = 0 in the laboratory's frame; "
        "instead of mosaic_spread and mosaic_domains",
        way=None,
    )
    domain_weights: Sequence[float] | None = field(
        "", weight_list, "", "how much each of domains counts; None: all alike", way=None
    )
    block_sizes: ArrayLike | None = field(
        "",
        size_list,
        "",
        "sizes of mosaic blocks, (n, 3) or (n,) numbers of unit cells; cells says how many the whole has, whose "
        "photons stay the same",
        way=None,
    )
    block_weights: Sequence[float] | None = field(
        "", weight_list, "", "how many blocks there are of each of block_sizes; None: as many of each", way=None
    )
    block_sigma: float = field(
        "",
        nonnegative,
        "",
        "instead of block_sizes: lognormal sizes with the median cells; the standard deviation of their logarithm",
        way=None,
        default=0.0,
    )
    block_drawn: bool = field(
        "",
        flag,
        "",
        "each mosaic domain has one size, drawn with mosaic_seed, rather than all of them: it costs less",
        way=None,
        default=False,
    )
    scale: float = field(
        "", positive, "", "how often the crystal's photons count, beside others in one image", way=None, default=1.0
    )
    structure_factors: StructureFactors | None = field(
        "",
        amplitudes,
        "",
        "a `nanobragg_py.StructureFactors` of its own, of another material; None: the experiment's",
        way=None,
    )

    def _complete(self):
        if self.lengths is None and self.matrix is None:
            raise FieldError("crystal.lengths is missing; give a unit cell or crystal.matrix")
        if self.lengths is not None and self.angles is None:
            object.__setattr__(self, "angles", (pi / 2, pi / 2, pi / 2))
        if self.lengths is None and self.angles is not None:
            raise FieldError("crystal.angles needs crystal.lengths beside it")
        self._complete_mosaic()
        if self.missets == "random" and self.misset_seed is None:
            raise FieldError('crystal.misset_seed is needed with crystal.missets = "random"')

    def _complete_mosaic(self):
        """What domains and blocks do not go together with."""
        if self.mosaic_spreads is not None and self.mosaic_spread is not None:
            raise FieldError("crystal.mosaic_spreads stand in for crystal.mosaic_spread; give one of them")
        if self.domains is not None:
            for name in ("mosaic_spread", "mosaic_domains", "mosaic_spreads"):
                if getattr(self, name) is not None:
                    raise FieldError(f"crystal.domains says how domains are turned; leave crystal.{name} out")
        if self.domain_weights is not None and len(self.domain_weights) != len(self.domains or ()):
            raise FieldError(
                f"crystal.domain_weights has {len(self.domain_weights)} numbers; give one for each of "
                f"{len(self.domains or ())} crystal.domains"
            )
        if self.block_sizes is not None and self.block_sigma > 0.0:
            raise FieldError("crystal.block_sigma stands in for crystal.block_sizes; give one of them")
        if self.block_weights is not None and len(self.block_weights) != len(self.block_sizes or ()):
            raise FieldError(
                f"crystal.block_weights has {len(self.block_weights)} numbers; give one for each of "
                f"{len(self.block_sizes or ())} crystal.block_sizes"
            )

    @property
    def beyond_flags(self) -> tuple[str, ...]:
        """Names of fields that no flag states, where they are not at their defaults."""
        blocks = ("block_sizes", "block_weights", "block_sigma", "block_drawn")
        names = ("domain_weights", *blocks, "scale", "structure_factors")
        rows = {row.name: row.default for row in rows_of(type(self))}
        return tuple(name for name in names if getattr(self, name) != rows[name])

    @classmethod
    def from_cell(
        cls,
        a: float,
        b: float | None = None,
        c: float | None = None,
        alpha: float = 90.0,
        beta: float = 90.0,
        gamma: float = 90.0,
        *,
        rotation: ArrayLike | None = None,
        **more: Any,
    ) -> Crystal:
        """A crystal from its unit cell as -cell takes it: Angstrom and degrees; b and c default to a.

        rotation: a 3 x 3 rotation matrix that turns the crystal from its standard setting. more: further fields.
        """
        if rotation is not None:
            more["missets"] = rotation_to_missets(rotation)
        lengths = (a, a if b is None else b, a if c is None else c)
        # numbers are degrees here, and words say what they are
        angles: Any = tuple(
            x if isinstance(x, str) else pi / 2 if x == 90.0 else radians(x) for x in (alpha, beta, gamma)
        )
        return cls(lengths=lengths, angles=angles, **more)

    @classmethod
    def from_matrix(cls, A: ArrayLike, **more: Any) -> Crystal:
        """A crystal from its matrix A = UB: 3 x 3, columns a*, b*, c* in 1/Angstrom. more: further fields."""
        return cls(matrix=A, **more)

    @classmethod
    def from_vectors(cls, a: ArrayLike, b: ArrayLike, c: ArrayLike, **more: Any) -> Crystal:
        """A crystal from its real-space cell vectors, Angstrom, in the laboratory frame. more: further fields."""
        import numpy as np

        rows = np.array([vector(f"crystal.{name}", v) for name, v in (("a", a), ("b", b), ("c", c))])
        try:
            return cls(matrix=np.linalg.inv(rows), **more)
        except np.linalg.LinAlgError:
            raise FieldError(
                "crystal.a, crystal.b and crystal.c span no volume; give three different directions"
            ) from None

    @classmethod
    def from_UB(cls, U: ArrayLike, cell: Sequence[float], **more: Any) -> Crystal:
        """A crystal from a rotation U, 3 x 3, and its cell (a, b, c, alpha, beta, gamma), Angstrom and degrees.

        B is that of `nanobragg_py.b_matrix` (Busing & Levy, Acta Cryst. 22, 457, 1967; a* along x). more: further
        fields.
        """
        import numpy as np

        return cls(matrix=np.asarray(U, float) @ b_matrix(*cell), **more)

    def rotated(self, rotation: ArrayLike) -> Crystal:
        """The crystal turned, as it stands, by a 3 x 3 rotation matrix in the laboratory.

        Raises FieldError for missets that are drawn.
        """
        if self.missets == "random":
            raise FieldError(
                'crystal.missets is "random"; give the angles to turn the crystal from', fields=("crystal.missets",)
            )
        if self.missets is not None:
            import numpy as np

            rotation_to_missets(rotation)  # it is one
            missets: Any = self.missets
            rotation = np.asarray(rotation, dtype=float) @ missets_to_rotation(missets)
        return self.replace(missets=rotation_to_missets(rotation), misset_seed=None)


def replaced(crystals: Sequence[Crystal], changes: dict[str, Any]) -> tuple[Crystal, ...]:
    """The crystals with some fields changed, {"number.field": value}, numbers from 0.

    Raises FieldError for a number that none of them has, or a name that is no field.
    """
    made = list(crystals)
    fields: dict[int, dict[str, Any]] = {}
    for name, value in changes.items():
        number, _, field = name.partition(".")
        if not (number.isdecimal() and field) or int(number) >= len(made):
            have = f"0 to {len(made) - 1} are there" if made else "there are none"
            raise FieldError(f"more_crystals.{name} is no field of a crystal beside the first; numbers {have}")
        fields.setdefault(int(number), {})[field] = value
    for number_of, values in fields.items():
        try:
            made[number_of] = made[number_of].replace(**values)
        except TypeError as error:
            raise FieldError(str(error)) from None
    return tuple(made)
