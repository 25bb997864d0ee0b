"""The crystal: from cell constants, orientation matrix and misset angles to the two dual lattices, and its size."""

from math import atan2, ceil, cos, floor, isfinite, pi, sin, sqrt

from ...constants import AVOGADRO
from ...errors import OptionError
from ...vectors import cross, dot, length, rotate_all, scale, with_length
from ..physics import whole_cells
from ..resolved import SPOTS, UNASKED, ResolvedCrystal
from .detector import SMALLEST
from .steps import ceil_to_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: g/m^3, of every crystal: what the printed molecular weight is estimated with
CRYSTAL_DENSITY = 1.2e6
#: a triple product smaller than this part of the lengths' product is no lattice
SINGULAR = 1e-12
#: the mosaic rotations are drawn in single precision
LARGEST_FLOAT = 3.4e38
#: the cell vectors of both lattices
VECTORS = ("a", "b", "c", "a_star", "b_star", "c_star")
#: options of the crystal's edges and of its numbers of cells, along a, b and c
SAMPLES = ("sample_x", "sample_y", "sample_z")
COUNTS = ("Na", "Nb", "Nc")
#: what is to be said of a seed that nobody gave
CLOCK = "seeded by the clock: another one every second"


def _clip(sines, cosines):
    """Sines and cosines beyond 1 in size set to 1, as the reference does: a cosine loses its sign in that case."""
    if _within(1.0, sines, cosines):
        return sines, cosines
    return (
        tuple(min(max(s, -1.0), 1.0) for s in sines),
        tuple(1.0 if c * c > 1.0 else c for c in cosines),
    )


def _within(bound, sines, cosines):
    """Whether three sines and three cosines are all no larger than a bound; nan is not."""
    (s, t, u), (x, y, z) = sines, cosines
    return -bound <= min(s, t, u, x, y, z) and max(s, t, u, x, y, z) <= bound and s + t + u + x + y + z < 7.0 * bound


def _check_angles(sines, cosines, what, labels, warn):
    """Warn, with the numbers, when a sine or cosine is out of bounds by more than rounding."""
    if not _within(1.0000001, sines, cosines) and any(abs(x) > 1.0000001 for x in (*sines, *cosines)):
        numbers = [x for pair in zip(sines, cosines, strict=True) for x in pair]
        lines = [f"{label} = {x:.25g}" for label, x in zip(labels, numbers, strict=True)]
        warn(f"{what} angles whose sines or cosines exceed 1 are impossible", lines)


CELL_LABELS = ("sin_alpha", "cos_alpha", "sin_beta ", "cos_beta ", "sin_gamma", "cos_gamma")
RECIPROCAL_LABELS = (
    "sin(alpha_star)",
    "cos(alpha_star)",
    "sin(beta_star) ",
    "cos(beta_star) ",
    "sin(gamma_star)",
    "cos(gamma_star)",
)


def reciprocal_cell(lengths: "Any", angles: "Any", warn: "Any") -> "tuple[Any, Any, Any, Any]":
    """The reciprocal cell vectors, 1/Angstrom, of a cell in its standard orientation, and the cell's volume.

    lengths: Angstrom. angles: radians. a* lies along x and b* in the x-y plane. As in the reference the z component
    of c* has sin gamma* where sin gamma would be exact, so cells that are not orthogonal come out slightly distorted.
    Returns (a*, b*, c*, volume).
    """
    a, b, c = lengths
    alpha, beta, gamma = angles
    half_sum = (alpha + beta + gamma) / 2
    skew = abs(sin(half_sum) * sin(half_sum - alpha) * sin(half_sum - beta) * sin(half_sum - gamma))
    volume = 2.0 * a * b * c * sqrt(skew)
    if volume <= 0.0:
        warn(f"a unit cell cannot have a volume of {volume:g} A^3")
        volume = SMALLEST
    star_volume = 1.0 / volume

    stars: tuple[Any, ...]
    stars = (b * c * sin(alpha) * star_volume, c * a * sin(beta) * star_volume, a * b * sin(gamma) * star_volume)
    if any(star <= 0.0 for star in stars):
        warn("reciprocal cell lengths cannot be {:g} {:g} {:g} 1/A".format(*stars))
        stars = tuple(abs(star) or SMALLEST for star in stars)
    a_star, b_star, c_star = stars

    sines = (a * star_volume / b_star / c_star, b * star_volume / a_star / c_star, c * star_volume / a_star / b_star)
    cosines = (
        (cos(beta) * cos(gamma) - cos(alpha)) / (sin(beta) * sin(gamma)),
        (cos(gamma) * cos(alpha) - cos(beta)) / (sin(gamma) * sin(alpha)),
        (cos(alpha) * cos(beta) - cos(gamma)) / (sin(alpha) * sin(beta)),
    )
    # the last label is misspelt in the reference, whose lines are an interface
    _check_angles(sines, cosines, "reciprocal cell", (*RECIPROCAL_LABELS[:5], "cos9gamma_star)"), warn)
    sines, cosines = _clip(sines, cosines)
    # the reference takes sine and cosine of the angle again, through atan2, only for printing
    cos_alpha, cos_beta, cos_gamma = cosines
    sin_gamma = sines[2]
    return (
        (a_star, 0.0, 0.0),
        (b_star * cos_gamma, b_star * sin_gamma, 0.0),
        (
            c_star * cos_beta,
            c_star * (cos_alpha - cos_beta * cos_gamma) / sin_gamma,
            c_star * volume / (a * b * c * sin_gamma),
        ),
        volume,
    )


def misset_angles(rotation: "Any") -> "tuple[Any, Any, Any]":
    """The rotations about x, y and z, radians, that make up a rotation matrix (reference: umat2misset).

    rotation: nine floats, row-major. The rows are normalised twice over, as there.
    """
    rows = [rotation[0:3], rotation[3:6], rotation[6:9]]
    for _ in range(2):
        sizes = [length(row) for row in rows]
        rows = [tuple(x / size for x in row) for row, size in zip(rows, sizes, strict=True)]
    (xx, xy, _), (yx, yy, _), (zx, zy, zz) = rows
    if zx * zx < 1.0:
        return atan2(zy, zz), atan2(-zx, sqrt(zy * zy + zz * zz)), atan2(yx, xx)
    return pi, pi / 2, atan2(xy, -yy)


def cell_constants(options: "Any") -> "tuple[Any, Any]":
    """Lengths and angles from -cell, with what it left out filled in: b and c as a, angles 90 degrees."""
    a, b, c = options.cell_lengths
    lengths = (a, a if b <= 0.0 else b, a if c <= 0.0 else c)
    return lengths, tuple(pi / 2 if angle <= 0.0 else angle for angle in options.cell_angles)


def _sines_and_cosines(vectors, sizes, dual_sizes, volume):
    """Sines and cosines of the angles between a lattice's vectors; dual_sizes: the lengths of the dual lattice's."""
    a, b, c = sizes
    sines = (dual_sizes[0] * volume / b / c, dual_sizes[1] * volume / a / c, dual_sizes[2] * volume / a / b)
    cosines = (
        dot(vectors[1], vectors[2]) / b / c,
        dot(vectors[0], vectors[2]) / a / c,
        dot(vectors[0], vectors[1]) / a / b,
    )
    return sines, cosines


def dual_lattices(stars: "Any", cell: "Any" = None) -> "tuple[Any, Any, Any, Any]":
    """Both lattices from approximate reciprocal vectors, and the two volumes: (direct, reciprocal, V, V*).

    stars: a*, b*, c*, 1/Angstrom. cell: None, or the (lengths, volume) of a cell that is to be made to fit. The
    reciprocal vectors are computed anew from the direct ones, so that the two lattices are dual to rounding: without a
    cell exactly so, with one up to a common factor, the volume of the (distorted) direct vectors over the cell's.
    """
    a_star, b_star, c_star = stars
    products = [cross(b_star, c_star), cross(c_star, a_star), cross(a_star, b_star)]
    star_volume = dot(a_star, products[0])
    if cell is not None:
        lengths, volume = cell
        products = [with_length(v, size / volume) for v, size in zip(products, lengths, strict=True)]
        star_volume = 1.0 / volume
    volume = 1.0 / star_volume
    a, b, c = direct = tuple(scale(v, volume) for v in products)
    reciprocal = tuple(scale(v, star_volume) for v in (cross(b, c), cross(c, a), cross(a, b)))
    return direct, reciprocal, volume, star_volume


def _initial_lattice(options, physics, matrix, missets, warn, origins):
    """a*, b*, c* in the crystal's orientation, the cell they are to be made to fit, and the misset angles.

    The cell is None or (lengths, volume). missets: a function that gives the misset angles, or None. Raises
    ZeroDivisionError for vectors that span no volume.
    """
    cell = stars = None
    given = ("matrix_file", "wavelength") if matrix is not None else ("matrix_file",)
    if options.user_cell:
        origins.follows("crystal.lattice", "cell_lengths", "cell_angles", "user_cell", *given)
        origins.filled("crystal.lengths", "cell_lengths", "crystal.lattice")
        origins.filled("crystal.angles", "cell_angles", "crystal.lattice")
    if options.user_cell and not physics.cell:
        lengths, angles = cell_constants(options)
        *stars, volume = reciprocal_cell(lengths, angles, lambda *text: warn("cell", *text))
        cell = lengths, volume
    if matrix is not None:
        if not options.user_cell:
            origins.taken("crystal.lattice", *given)
            origins.follows("crystal.lengths", "crystal.lattice")
            origins.follows("crystal.angles", "crystal.lattice")
            origins.void("cell-of-matrix", "the cell is that of {matrix_file}", "cell_lengths", "cell_angles")
        # a mosflm matrix is in units of 1/wavelength
        stars = [scale(matrix[i::3], 1e-10 / options.wavelength) for i in range(3)]
    if options.user_cell and physics.cell:
        from .exact import placed, setting

        exact = setting(*cell_constants(options))
        stars = exact if stars is None else placed(exact, stars)
    angles = missets()
    if origins is not UNASKED:
        turned = ("crystal.lattice",) if angles is None else ("crystal.lattice", "crystal.missets")
        for name in VECTORS:
            origins.follows(f"crystal.{name}", *turned)
    if angles is not None:
        stars = rotate_all(stars, *angles)
    a_star, b_star, c_star = stars
    box = length(a_star) * length(b_star) * length(c_star)
    if not abs(dot(a_star, cross(b_star, c_star))) > SINGULAR * box:
        raise ZeroDivisionError
    return stars, cell, angles


def _resolve_lattice(options, physics, matrix, missets, warn, origins):
    """The fields of `ResolvedCrystal` that describe its lattices, and a, b, c in Angstrom.

    The arguments are those of `_initial_lattice`. Raises ZeroDivisionError where there is no lattice.
    """
    stars, cell, misset = _initial_lattice(options, physics, matrix, missets, warn, origins)
    direct, reciprocal, volume, star_volume = dual_lattices(stars, cell)
    sizes = tuple(length(v) for v in direct)
    star_sizes = tuple(length(v) for v in reciprocal)
    angles = []
    for name, labels, values in (
        ("cell", CELL_LABELS, (direct, sizes, star_sizes, volume)),
        ("reciprocal cell", RECIPROCAL_LABELS, (reciprocal, star_sizes, sizes, star_volume)),
    ):
        sines, cosines = _sines_and_cosines(*values)
        _check_angles(sines, cosines, name, labels, lambda *text: warn("lattice", *text))
        angles.append(tuple(map(atan2, *_clip(sines, cosines))))
    a, b, c = (scale(v, 1e-10) for v in direct)
    a_star, b_star, c_star = reciprocal
    numbers = (*a, *b, *c, *a_star, *b_star, *c_star, volume)
    if not all(map(isfinite, numbers)) or 0.0 in (*sizes, *star_sizes):
        raise ZeroDivisionError
    fields = {
        "a": a,
        "b": b,
        "c": c,
        "a_star": a_star,
        "b_star": b_star,
        "c_star": c_star,
        "lengths": sizes,
        "angles": angles[0],
        "reciprocal_lengths": star_sizes,
        "reciprocal_angles": angles[1],
        "volume": volume,
        "missets": misset,
    }
    return fields, direct


def _resolve_size(edges, options, samples, whole, origins):
    """Numbers of cells along a, b and c: from the sample's size where it was given, at least 1.

    whole: cut them to whole numbers.
    """
    cells = []
    for axis, edge, sample, of_sample, of_count in zip(range(3), edges, samples, SAMPLES, COUNTS, strict=True):
        count = getattr(options, of_count)
        if sample > 0:
            origins.follows(f"crystal.cells.{axis}", of_sample, "crystal.lattice", "beamsize")
            origins.void(
                "size-overrides-cells", f"{{{of_sample}}} decides the number of cells along {'abc'[axis]}", of_count
            )
            if sample / edge > 1e15:
                raise OptionError(
                    "a crystal of {edge:g} mm has too many unit cells; reduce {sample_x+sample_y+sample_z}",
                    edge=sample * 1000,
                )
            count = float(ceil(sample / edge))
        else:
            count = floor(count) if whole else count
            if origins is not UNASKED:
                origins.taken(f"crystal.cells.{axis}", of_count)
        if origins is not UNASKED:
            origins.follows(f"crystal.size.{axis}", of_sample, f"crystal.cells.{axis}", "crystal.lattice")
        cells.append(float(count) if count > 1.0 else 1.0)
    return tuple(cells)


def resolve_mosaic(options: "Any", warn: "Any", origins: "Any" = UNASKED, own: "Any" = None) -> "tuple[Any, Any]":
    """The mosaic spread, radians, and the number of domains: (spread, domains).

    own: the `Domains` of somebody's own, or None.
    """
    spread, domains = options.mosaic_spread, options.mosaic_domains
    if own is not None:
        if max(spread, domains) > 0 or options.mosaic_spreads is not None:
            raise OptionError(
                "{domain_file} says how domains are turned; leave {mosaic_spread}, {mosaic_domains} and "
                "{mosaic_spreads} out"
            )
        origins.follows("crystal.mosaic_spread", "domain_file", note="the largest angle")
        origins.follows("crystal.mosaic_domains", "domain_file")
        origins.void("domains-of-file", "{domain_file} has the domains", "mosaic_spread", "mosaic_domains")
        return own.largest_angle, own.count
    if options.mosaic_spreads is not None:
        if spread >= 0.0:
            raise OptionError("{mosaic_spreads} stand in for {mosaic_spread}; give one of them")
        spread = max(options.mosaic_spreads)
        origins.follows("crystal.mosaic_spread", "mosaic_spreads", "mosaic_spread", note="the largest of three")
        origins.follows("crystal.mosaic_domains", "mosaic_domains", "mosaic_spreads")
        origins.void("three-spreads", "{mosaic_spreads} are normal", "mosaic_model")
    else:
        origins.steps("crystal", mosaic_spread="mosaic_spread", mosaic_domains="mosaic_domains")
    if spread > LARGEST_FLOAT:
        raise OptionError("{mosaic_spread} does not take a number this large; give a spread in {mosaic_spread.unit}")
    if domains <= 0:
        if spread < 0.0:
            return 0.0, 1
        if spread == 0.0:
            return spread, 1
        warn("a mosaic spread needs more than one mosaic domain; 10 are rendered")
        return spread, 10
    if spread < 0.0:
        warn("mosaic domains without a mosaic spread are all alike; one is rendered")
        return 0.0, 1
    if spread == 0.0:
        warn("mosaic domains with a mosaic spread of zero are all alike; one is rendered")
        return spread, 1
    return spread, domains


def domain_axes(options: "Any", mosaic: "Any", crystal: "Any") -> "Any":
    """The axes about which domains are rotated normally, as long as the standard deviations; None for another model.

    Three spreads are about a*, about the axis at right angles to it towards b*, and about the one at right angles to
    both, so that three that are equal are isotropic whatever the cell.
    """
    if options.mosaic_spreads is not None:
        from .exact import frame_of

        return tuple(scale(v, x) for v, x in zip(frame_of(crystal), options.mosaic_spreads, strict=True))
    if options.mosaic_model != "gauss":
        return None
    spread = mosaic[0]
    return ((spread, 0.0, 0.0), (0.0, spread, 0.0), (0.0, 0.0, spread))


def resolve_crystal(
    options: "Any",
    physics: "Any",
    samples: "Any",
    random: "Any",
    misset_seed: "Any",
    matrix: "Any",
    mosaic: "Any",
    warn: "Any",
    origins: "Any" = UNASKED,
) -> "tuple[Any, Any]":
    """The `ResolvedCrystal`, but for its mosaic rotations, and its vectors a, b, c in Angstrom.

    physics: a `Physics`. samples: the sample's sizes along a, b and c, m, as clipped by the beam; 0 where not given.
    matrix: nine floats, row-major, the columns a*, b*, c* times the wavelength in Angstrom, or None. mosaic: what
    `resolve_mosaic` gave. warn: called with the place of the warning in the report, its text, and lines that follow it.
    """

    def missets():
        if options.misset_mode == "random":
            note = CLOCK if options.misset_seed is None else None
            origins.follows("crystal.missets", "misset_mode", "misset_seed", note=note)
            origins.void("misset-random", "the orientation is random", "misset")
            if physics.misset:
                from .exact import uniform_rotation

                return misset_angles(uniform_rotation(memoryview(random.deviates(3, misset_seed))))
            # 90 is meant as degrees and taken as radians; the reference's orientations depend on it
            return misset_angles(random.random_rotation(90.0, misset_seed))
        origins.void("misset_seed-unused", "no random orientation is asked for", "misset_seed")
        if options.misset_mode == "angles":
            origins.filled("crystal.missets", "misset", when=("misset_mode",))
            return tuple(options.misset)
        origins.taken("crystal.missets", "misset_mode")
        origins.void("misset-none", "nothing turns the crystal", "misset")
        return None

    if matrix is None and not options.user_cell:
        raise OptionError(
            "cannot read the orientation matrix {file}; give one that exists, or {cell_lengths+cell_angles}",
            file=options.matrix_file,
        )
    try:
        lattice, cell_vectors = _resolve_lattice(options, physics, matrix, missets, warn, origins)
    except ZeroDivisionError:
        if matrix is None:
            lengths, angles = cell_constants(options)
            values = " ".join(f"{x:g}" for x in (*lengths, *(angle * 180 / pi for angle in angles)))
            raise OptionError(
                "{cell_lengths+cell_angles} {values} is no unit cell; give lengths in Angstrom and angles in degrees",
                values=values,
            ) from None
        raise OptionError(
            "{matrix_file} {file} is no orientation matrix: its reciprocal vectors span no volume; correct it",
            file=options.matrix_file,
        ) from None
    origins.follows("crystal.volume", "crystal.lattice")
    edges = [length(lattice[name]) for name in "abc"]
    cells = _resolve_size(edges, options, samples, whole_cells(options.shape, physics), origins)
    size = tuple(edge * count for edge, count in zip(edges, cells, strict=True))
    spread, domains = mosaic
    if domains == 1:
        origins.void("one-domain", "there is one mosaic domain", "mosaic_seed")
    crystal = ResolvedCrystal(
        **lattice,
        cells=cells,
        shape=options.shape,
        fudge=options.fudge,
        **_spots(options, physics, cells, lattice),
        mosaic_spread=spread,
        mosaic_domains=domains,
        domains_turn=physics.domains,
        random_misset=options.misset_mode == "random",
        molecular_weight=size[0] * size[1] * size[2] * CRYSTAL_DENSITY * AVOGADRO / (cells[0] * cells[1] * cells[2]),
        size=size,
    )
    return crystal, cell_vectors


def _spots(options, physics, cells, lattice):
    """The fields of `ResolvedCrystal` about the width of spots."""
    if physics.spots:
        from .exact import spots

        return spots(cells, options.spot_width)
    volume = cells[0] * cells[1] * cells[2]
    axes = tuple(lattice[name] for name in ("a_star", "b_star", "c_star"))
    return {"spot_axes": axes, "spot_scale": volume * volume, **SPOTS}


def recommended_oversampling(size: "Any", wavelength: "Any", distance: "Any", pixel_size: float) -> "tuple[Any, Any]":
    """Sub-pixels a side that resolve the peaks of a crystal whose edges are `size`: (number, reciprocal pixel, m)."""
    reciprocal_pixel = wavelength * distance / pixel_size
    if reciprocal_pixel == 0.0:
        return 1, reciprocal_pixel
    return max(ceil_to_int(3.0 * max(size) / reciprocal_pixel), 1), reciprocal_pixel
