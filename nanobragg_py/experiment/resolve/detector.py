"""The detector's size, its conventions and its place in the laboratory."""

from math import isfinite, isnan

from ...constants import CONVENTIONS
from ...errors import OptionError
from ...vectors import cross, dot, length, rotate_axis, rotate_xyz, unit
from ..resolved import UNASKED, ResolvedDetector
from .finite import CENTRES, DIRECTIONS, DISTANCES, SIZES, out_of_reach
from .steps import INT_MAX, ceil_to_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SMALLEST = 2.2250738585072014e-308
#: what decides the number of pixels, in the template of a sentence
SIZE = "{detsize_f+detsize_s}, {fpixels+spixels} or {pixel_size}"


#: what of the frame a named convention gives, and the option that gives it under CUSTOM
OF_FRAME = (
    ("beam.direction", "beam_vector"),
    ("detector.fast", "fdet_vector"),
    ("detector.slow", "sdet_vector"),
    ("detector.normal", "odet_vector"),
    ("frame.twotheta_axis", "twotheta_axis"),
    ("beam.polarization_axis", "polar_vector"),
    ("sampling.spindle", "spindle_axis"),
    ("detector.pivot", "pivot"),
)
#: what the middle of a detector follows from
EXTENT = ("detector.detsize_f", "detector.detsize_s", "pixel_size")
AXES = ("detector.fast", "detector.slow", "detector.normal")
ROTATIONS = ("detector_rotx", "detector_roty", "detector_rotz", "twotheta")


class Frame:
    """The unit vectors of a convention, before the detector is rotated."""

    __slots__ = ("beam", "fast", "normal", "pivot", "polar", "slow", "spindle", "twotheta_axis")
    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...


def detector_size(options: "Any", slack: float = 0.5, origins: "Any" = UNASKED) -> "tuple[Any, Any, Any, Any]":
    """Sizes in m and counts of pixels along fast and slow: (detsize_f, detsize_s, fpixels, spixels).

    slack: part of a pixel that may be missing from the last one.
    """
    pixel = options.pixel_size
    for count, edge, axis in (("fpixels", "detsize_f", "fast"), ("spixels", "detsize_s", "slow")):
        if getattr(options, count):
            origins.filled(f"detector.{count}", count, "pixel_size")
            origins.follows(f"detector.{edge}", count, "pixel_size")
            why = f"{{{count}}} decides the number of pixels along {axis}"
            origins.void("detpixels-overrides-detsize", why, edge)
        else:
            origins.follows(f"detector.{count}", count, edge, "pixel_size")
    detsize_f = pixel * options.fpixels if options.fpixels else options.detsize_f
    detsize_s = pixel * options.spixels if options.spixels else options.detsize_s
    in_pixels = (detsize_f / pixel, detsize_s / pixel)
    extent = f"{detsize_f * 1000:g} x {detsize_s * 1000:g} mm in pixels of {pixel * 1000:g} mm"
    if in_pixels[0] * in_pixels[1] > INT_MAX or max(in_pixels) > INT_MAX:
        raise OptionError(f"a detector of {{extent}} has more than {INT_MAX} pixels; change {SIZE}", extent=extent)
    fpixels, spixels = (ceil_to_int(count - slack) for count in in_pixels)
    if fpixels < 1 or spixels < 1:
        raise OptionError(f"a detector of {{extent}} has no pixels; change {SIZE}", extent=extent)
    return detsize_f, detsize_s, fpixels, spixels


def orient(options: "Any", warn: "Any", origins: "Any" = UNASKED) -> "Any":
    """The `Frame` that the convention or the vector flags give; warns when the normal has to be made up."""
    frame = Frame()
    if options.convention == "CUSTOM":
        vectors: Any = (
            options.beam_vector,
            options.fdet_vector,
            options.sdet_vector,
            options.odet_vector,
            options.twotheta_axis,
            options.polar_vector,
            options.spindle_axis,
        )
        frame.pivot = options.pivot
        for quantity, option in OF_FRAME:
            origins.filled(quantity, option, when=("convention",))
    else:
        *vectors, frame.pivot = CONVENTIONS[options.convention]
        for quantity, _ in OF_FRAME:
            origins.taken(quantity, "convention", note=f"convention {options.convention}")
        why = f"convention {options.convention} has "
        origins.void("convention-overrides-vectors", why + "vectors of its own", *(o for _, o in OF_FRAME[:-1]))
        origins.void("convention-overrides-pivot", f"{why}pivot {frame.pivot}", "pivot")
    origins.void(
        "pix0_vector-unused", "the detector's origin follows from the distance and the beam centre", "pix0_vector"
    )
    beam, fast, slow, normal, twotheta_axis, polar, spindle = (tuple(float(x) for x in v) for v in vectors)
    check_directions((("beam_vector", beam), ("fdet_vector", fast), ("sdet_vector", slow)))
    frame.beam = unit(beam)
    frame.fast = unit(fast)
    frame.slow = unit(slow)
    frame.normal = unit(normal)
    if length(normal) != 1.0:
        warn("the detector's normal is not a unit vector; the cross product of its fast and slow axes is used instead")
        frame.normal = normal_of(frame.fast, frame.slow)
        origins.follows("detector.normal", "detector.normal", "detector.fast", "detector.slow")
    frame.twotheta_axis = twotheta_axis  # used as given, whatever its length
    frame.polar = unit(polar)
    frame.spindle = unit(spindle)
    return frame


def check_directions(vectors: "Any") -> None:
    """Raise for a vector of length 0 among (option, vector) pairs."""
    for option, vector in vectors:
        if length(vector) == 0.0:
            raise OptionError(f"{{{option}}} does not take 0 0 0; give a direction")


def normal_of(fast: int, slow: int) -> "Any":
    """The detector's normal from its axes."""
    normal = unit(cross(fast, slow))
    if length(normal) == 0.0:
        raise OptionError("{fdet_vector} and {sdet_vector} are parallel; give two different directions")
    return normal


def _beam_centre(options, detsize_f, detsize_s, Xclose, Yclose, origins):
    """Xbeam, Ybeam as the header lists them, and Fbeam, Sbeam along the fast and slow axes, m."""
    pixel = options.pixel_size
    convention = options.convention
    default_X, default_Y = Xclose, Yclose
    middle = EXTENT if convention in ("ADXV", "MOSFLM", "DENZO") else None
    origins.filled("detector.Xbeam", "Xbeam", "convention", *(middle or ("detector.Xclose",)))
    origins.filled("detector.Ybeam", "Ybeam", "convention", *(middle or ("detector.Yclose",)))
    if convention == "ADXV":
        default_X, default_Y = (detsize_f + pixel) / 2.0, (detsize_s - pixel) / 2.0
    elif convention in ("MOSFLM", "DENZO"):
        default_X, default_Y = (detsize_s + pixel) / 2.0, (detsize_f + pixel) / 2.0
    Xbeam = default_X if isnan(options.Xbeam) else options.Xbeam
    Ybeam = default_Y if isnan(options.Ybeam) else options.Ybeam
    if convention == "ADXV":
        return Xbeam, Ybeam, Xbeam, detsize_s - Ybeam
    if convention == "MOSFLM":
        return Xbeam, Ybeam, Ybeam + 0.5 * pixel, Xbeam + 0.5 * pixel
    if convention == "DENZO":
        return Xbeam, Ybeam, Ybeam + 0.0 * pixel, Xbeam + 0.0 * pixel
    return Xbeam, Ybeam, Xbeam, Ybeam


def centres(options: "Any", detsize_f: "Any", detsize_s: "Any", origins: "Any" = UNASKED) -> "tuple[Any, Any, Any]":
    """Before the detector is swung: the point nearest the sample and the beam spot, (fast, slow), m, and Xclose,
    Yclose, Xbeam, Ybeam as the convention has them."""
    pixel = options.pixel_size
    Fclose = detsize_f / 2.0 if isnan(options.ORGX) else (options.ORGX - 0.5) * pixel
    Sclose = detsize_s / 2.0 if isnan(options.ORGY) else (options.ORGY - 0.5) * pixel
    Xclose = Fclose if isnan(options.Xclose) else options.Xclose
    Yclose = Sclose if isnan(options.Yclose) else options.Yclose
    for name, origin in (("Xclose", "ORGX"), ("Yclose", "ORGY")):
        origins.filled(f"detector.{name}", name, origin, *EXTENT)
    Xbeam, Ybeam, Fbeam, Sbeam = _beam_centre(options, detsize_f, detsize_s, Xclose, Yclose, origins)
    if options.convention == "CUSTOM":
        Fclose, Sclose = Xbeam, Ybeam
    return (Fclose, Sclose), (Fbeam, Sbeam), (Xclose, Yclose, Xbeam, Ybeam)


def region(options: "Any", fpixels: "Any", spixels: "Any") -> "tuple[Any, Any, Any, Any]":
    """The inclusive bounds of the region of interest; without -roi they reach one past the end, as the reference's."""
    xmin, xmax, ymin, ymax = options.roi
    return (
        0 if xmin < 0 else xmin,
        fpixels if xmax < 0 else xmax,
        0 if ymin < 0 else ymin,
        spixels if ymax < 0 else ymax,
    )


def _fit_mask(mask, pixels, remark):
    """The mask as a buffer of exactly `pixels` uint16; it has another size when flags or -img changed the detector."""
    if mask is None:
        return None
    flags = memoryview(mask).cast("B")
    missing = 2 * pixels - len(flags)
    if missing > 0:
        remark("the mask has fewer pixels than the detector; those beyond its end are skipped")
        return memoryview(bytes(flags) + bytes(missing)).cast("H")
    return flags[: 2 * pixels].cast("H")


def place_detector(
    options: "Any", frame: "Any", thickness: "Any", mask: "Any", remark: "Any", origins: "Any" = UNASKED
) -> "Any":
    """The `ResolvedDetector`, swung and rotated into place.

    frame: what `orient` gave. thickness: (layers, thickness, layer thickness, mu). mask: the -mask image's buffer of
    uint16, or None.
    """
    size = detsize_f, detsize_s, fpixels, spixels = detector_size(options, origins=origins)
    near, spot, centre = centres(options, detsize_f, detsize_s, origins)
    if options.convention == "CUSTOM" or frame.pivot == "beam":
        origins.follows("detector.centre", "detector.Xbeam", "detector.Ybeam", "pixel_size")
        if options.convention != "CUSTOM":
            why = f"convention {options.convention} places the detector by {{Xbeam}} and {{Ybeam}}"
            origins.void("centre-unused", why, "Xclose", "Yclose", "ORGX", "ORGY")
    else:
        origins.follows("detector.centre", "ORGX", "ORGY", *EXTENT)
        why = f"convention {options.convention} places the detector by {{ORGX}} and {{ORGY}}"
        origins.void("centre-unused", why, "Xbeam", "Ybeam", "Xclose", "Yclose")
    origins.filled("detector.roi", "roi", "detector.fpixels", "detector.spixels")
    _note_place(options, origins)
    layers, thick, thickstep, mu = thickness
    return swing_detector(
        options,
        frame,
        size,
        near,
        spot,
        centre,
        thickness=thick,
        thickstep=thickstep,
        thicksteps=layers,
        mu=mu,
        convention=options.convention,
        mask=_fit_mask(mask, fpixels * spixels, remark),
        mask_name=options.mask_file if mask is not None else None,
    )


def _note_place(options, origins):
    """What the axes of a detector, its distances and its origin come from."""
    turns = [name for name in ROTATIONS if getattr(options, name)]
    if turns:
        for axis in AXES:
            origins.follows(axis, axis, *turns, *(("frame.twotheta_axis",) if options.twotheta else ()))
    if not options.twotheta:
        origins.void("no-twotheta", "there is no {twotheta}", "twotheta_axis")
    # of axes that need not be square to each other the centre counts, too
    custom = ("detector.centre", *AXES) if options.convention == "CUSTOM" else ()
    place = ("detector.normal", "beam.direction", *custom)
    if isnan(options.close_distance):
        origins.filled("detector.distance", "distance", *place)
        origins.follows("detector.close_distance", "close_distance", "distance", *place)
    else:
        origins.filled("detector.close_distance", "close_distance", *place)
        origins.follows("detector.distance", "close_distance", *place)
        origins.void("close_distance-overrides-distance", "{close_distance} decides the distance", "distance")
    distances = ("detector.distance", "detector.close_distance")
    origins.follows("detector.origin", "detector.centre", *distances, *place, *AXES, "detector.pivot")
    for name in ("Fbeam", "Sbeam", "Fclose", "Sclose"):
        origins.follows(f"detector.{name}", "detector.origin")
    for name in ("ORGX", "ORGY"):
        origins.follows(f"detector.{name}", "detector.origin", "pixel_size")


def swing_detector(
    options: "Any",
    frame: "Any",
    size: "Any",
    near: "Any",
    spot: "Any",
    centre: "Any",
    signed: bool = False,
    **more: "Any",
) -> "Any":
    """A `ResolvedDetector`, from its place before it is swung and rotated.

    frame: a `Frame`. size: what `detector_size` gave. near, spot: along fast and slow, the point nearest the sample,
    from which pivot sample starts, and the beam spot, from which pivot beam does. centre: Xclose, Yclose, Xbeam, Ybeam
    as the convention has them. signed: let the distance along the normal have the sign that follows. more: fields.
    """
    (Fclose, Sclose), (Fbeam, Sbeam), (Xclose, Yclose, Xbeam, Ybeam) = near, spot, centre
    detsize_f, detsize_s, fpixels, spixels = size
    pixel = options.pixel_size
    beam, fast, slow, normal = frame.beam, frame.fast, frame.slow, frame.normal
    rotations = (options.detector_rotx, options.detector_roty, options.detector_rotz)
    twotheta = options.twotheta

    # how much of the detector's normal distance lies along the beam
    ratio = dot(beam, rotate_xyz(normal, *rotations))
    if ratio == 0.0:
        ratio = SMALLEST
    close_distance = options.close_distance
    if isnan(close_distance):
        close_distance = ratio * options.distance if signed else abs(ratio * options.distance)
    if close_distance == 0.0:
        option = "distance" if isnan(options.close_distance) else "close_distance"
        raise OptionError(f"{{{option}}} does not take 0, where the sample is; give a distance in {{{option}.unit}}")
    distance = close_distance / ratio

    if frame.pivot == "sample":
        origin = tuple(-Fclose * fast[i] - Sclose * slow[i] + close_distance * normal[i] for i in range(3))
        origin = rotate_axis(rotate_xyz(origin, *rotations), frame.twotheta_axis, twotheta)
    fast, slow, normal = (
        rotate_axis(rotate_xyz(v, *rotations), frame.twotheta_axis, twotheta) for v in (fast, slow, normal)
    )
    if frame.pivot == "beam":
        origin = tuple(-Fbeam * fast[i] - Sbeam * slow[i] + distance * beam[i] for i in range(3))

    # from here on everything follows from where the first pixel has come to lie
    Fclose = -dot(origin, fast)
    Sclose = -dot(origin, slow)
    close_distance = dot(origin, normal)
    distance = close_distance / ratio
    from_origin = tuple(distance * beam[i] - origin[i] for i in range(3))
    Fbeam = dot(fast, from_origin)
    Sbeam = dot(slow, from_origin)
    followed = (*dials_origin_of(origin), distance, *from_origin, Fclose, Sclose, Fbeam, Sbeam)
    if not all(isfinite(x) for x in (*followed, *centre)):
        given = (options.close_distance, options.distance)
        raise out_of_reach(
            (
                (max(abs(x) for x in given if not isnan(x)), DISTANCES),
                (max(abs(x) for x in centre), CENTRES),
                (max(detsize_f, detsize_s), SIZES),
                (length(frame.twotheta_axis), DIRECTIONS),
            )
        )
    return placed_detector(
        options,
        beam,
        (fast, slow, normal),
        origin,
        size,
        pixel,
        (distance, close_distance),
        (Fbeam, Sbeam),
        curved=bool(options.curved_det),
        pivot=frame.pivot,
        twotheta=twotheta,
        Xbeam=Xbeam,
        Ybeam=Ybeam,
        Xclose=Xclose,
        Yclose=Yclose,
        roi=region(options, fpixels, spixels),
        **more,
    )


def dials_origin_of(origin: "Any") -> "Any":
    """A detector's origin in mm and in the frame of DIALS."""
    return tuple(1000.0 * dot(origin, axis) for axis in ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)))


def placed_detector(
    options: "Any",
    beam: "Any",
    axes: "Any",
    origin: "Any",
    size: "Any",
    pixel: float,
    distances: "Any",
    spot: "Any",
    **more: "Any",
) -> "ResolvedDetector":
    """The `ResolvedDetector` whose first pixel's corner lies at `origin`.

    beam: its direction. axes: fast, slow, normal. size: edges in m and pixels, fast and slow. pixel: its edge, m.
    distances: along the beam and along the normal, m. spot: where the beam hits it, fast and slow, m. more: fields.
    """
    fast, slow, normal = axes
    detsize_f, detsize_s, fpixels, spixels = size
    Fclose, Sclose = -dot(origin, fast), -dot(origin, slow)
    return ResolvedDetector(
        fast=fast,
        slow=slow,
        normal=normal,
        origin=origin,
        fpixels=fpixels,
        spixels=spixels,
        pixel_size=pixel,
        detsize_f=detsize_f,
        detsize_s=detsize_s,
        distance=distances[0],
        close_distance=distances[1],
        point_pixel=bool(options.point_pixel),
        Fbeam=spot[0],
        Sbeam=spot[1],
        Fclose=Fclose,
        Sclose=Sclose,
        ORGX=Fclose / pixel + 0.5,
        ORGY=Sclose / pixel + 0.5,
        dials_origin=dials_origin_of(origin),
        beam_in_detector_frame=(dot(beam, fast), dot(beam, slow), dot(beam, normal)),
        **more,
    )
