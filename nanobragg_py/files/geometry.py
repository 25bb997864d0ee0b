"""Where beam, spindle and detector are, and the frames in which other programs want to hear of it.

All frames are right-handed and rotate the crystal right-handedly about the spindle:

- laboratory: that of the nanoBragg convention in use (docs/flags.md); the beam is along x (MOSFLM, DENZO) or z.
- mosflm: x along the beam, z along the spindle.
- xds: z along the beam, x along the spindle. This is how XDS is usually set up; its files name their own directions.
- imgcif: x along the spindle, z towards the source (CBF, DIALS).
- mcstas: z along the beam, x against the spindle (NeXus); imgcif turned by half a turn about y.
"""

from math import degrees

import numpy as np

from ..constants import CONVENTIONS
from ..errors import NanoBraggError
from ..records import REQUIRED, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: m; stands for a sensor without thickness, which NeXus does not know and dxtbx refuses
THIN = 1e-9
#: cosine of the angle between spindle and beam that still counts as a right one
SQUARE = 1e-6


class Geometry(Record):
    """Beam, spindle, detector and the rotation of one image; vectors are in the laboratory frame.

    wavelength: m. beam: unit vector along which it travels. spindle: unit vector. phi0, osc: radians. exposure: s.
    fast, slow: unit vectors. origin: outer corner of the first pixel, m; None when nothing is known of the detector.
    pixel_size: m. fpixels, spixels: pixels along fast and slow. thickness: of the sensor, m. curved: a detector that is
    no plane. convention: the nanoBragg convention of the frame.
    """

    _fields = {
        "wavelength": REQUIRED,
        "beam": REQUIRED,
        "spindle": REQUIRED,
        "phi0": 0.0,
        "osc": 0.0,
        "exposure": 1.0,
        "fast": None,
        "slow": None,
        "origin": None,
        "pixel_size": 0.0,
        "fpixels": 0,
        "spixels": 0,
        "thickness": 0.0,
        "curved": False,
        "convention": "CUSTOM",
    }

    @property
    def normal(self) -> "Any":
        """Unit vector along the detector's normal, away from the sample (numpy, shape (3,))."""
        normal = np.cross(self.fast, self.slow)
        return normal if np.dot(normal, self.origin) >= 0 else -normal

    @property
    def sensor_thickness(self) -> "Any":
        """The sensor's thickness for files that must have one, m; 1 nm where it has none."""
        return max(self.thickness, THIN)

    @property
    def thick(self) -> "Any":
        """Whether the sensor has a thickness that a file would have to tell of."""
        return self.thickness > THIN

    @property
    def oblique(self) -> bool:
        """Whether the spindle misses the right angle to the beam."""
        return bool(abs(np.dot(_unit(self.beam), _unit(self.spindle))) > SQUARE)

    @property
    def close_distance(self) -> float:
        """From the sample to the nearest point of the detector's plane, m."""
        return float(np.dot(self.origin, self.normal))

    @property
    def distance(self) -> "Any":
        """From the sample to the detector along the beam, m; NanoBraggError when the beam misses it."""
        along = float(np.dot(self.beam, self.normal))
        if along <= 1e-9:
            raise NanoBraggError("the direct beam never meets the detector, so there is no beam centre to write")
        return self.close_distance / along

    @property
    def beam_centre(self) -> "tuple[Any, Any]":
        """Where the direct beam meets the detector, from the origin along fast and slow, m; raises as `distance`."""
        spot = self.distance * np.asarray(self.beam) - self.origin
        return float(spot @ np.asarray(self.fast)), float(spot @ np.asarray(self.slow))

    def plane_position(self, directions: "Any") -> "tuple[Any, Any]":
        """Where rays from the sample meet the detector's plane: (fast, slow), m; nan for those that do not.

        directions: shape (..., 3), of any length.
        """
        along = directions @ self.normal
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(along > 0, self.close_distance / along, np.nan)
        return (
            t * (directions @ np.asarray(self.fast)) - np.dot(self.origin, self.fast),
            t * (directions @ np.asarray(self.slow)) - np.dot(self.origin, self.slow),
        )

    def positions(self, fast: "Any", slow: "Any") -> "Any":
        """Points of the detector, m, laboratory frame, shape (..., 3), from distances along fast and slow, m."""
        fast, slow = np.asarray(fast)[..., None], np.asarray(slow)[..., None]
        if not self.curved:
            return np.asarray(self.origin) + fast * np.asarray(self.fast) + slow * np.asarray(self.slow)
        # as the renderer bends it: about the slow axis by one length, then about the fast axis by the other
        flat = np.asarray(self.origin) + fast * np.asarray(self.fast) + slow * np.asarray(self.slow)
        y, z = flat[..., 1] / self.distance, flat[..., 2] / self.distance
        start = np.broadcast_to(self.distance * np.asarray(self.beam), flat.shape)
        return _turn(_turn(start, np.asarray(self.slow), y), np.asarray(self.fast), z)

    def frame(self, name: str) -> "Any":
        """The rotation from the laboratory frame into the frame `name` (module docstring), shape (3, 3).

        Raises NanoBraggError when the spindle is along the beam.
        """
        return frame_rotation(name, self.beam, self.spindle)

    def in_mosflm(self) -> "Any":
        """The same in the frame of the MOSFLM convention, in which geometries out of files are told.

        Raises NanoBraggError when the spindle is along the beam.
        """
        rotation = self.frame("mosflm")

        def turned(vector):
            return tuple((np.round(rotation @ np.asarray(vector, float), 15) + 0.0).tolist())

        plane = (
            {} if self.origin is None else {name: turned(getattr(self, name)) for name in ("fast", "slow", "origin")}
        )
        return self.replace(beam=turned(self.beam), spindle=turned(self.spindle), convention="MOSFLM", **plane)

    def next(self, steps: int) -> "Any":
        """The geometry `steps` oscillations later."""
        return self.replace(phi0=self.phi0 + steps * self.osc)

    def centres(self) -> "list[Any]":
        """The beam centre as the conventions have it: rows (name, what, (x, y), unit)."""
        fast, slow = self.beam_centre
        pixel = self.pixel_size
        height = self.spixels * pixel
        origin = self.frame("imgcif") @ np.asarray(self.origin)
        near_fast, near_slow = -np.dot(self.origin, self.fast), -np.dot(self.origin, self.slow)
        return [
            ("ADXV", "from the lower left, fast and up", _mm(fast, height - slow), "mm"),
            ("MOSFLM", "slow, fast, to pixel centres", _mm(slow - pixel / 2, fast - pixel / 2), "mm"),
            ("DENZO", "slow, fast", _mm(slow, fast), "mm"),
            ("XDS", "ORGX ORGY, of the near point", (near_fast / pixel + 0.5, near_slow / pixel + 0.5), "pixels"),
            ("DIALS", "fast, slow", _mm(fast, slow), "mm"),
            ("DIALS origin", "x y z of the first pixel's corner", _mm(*origin), "mm"),
            (
                "pixels",
                "fast, slow, counted from 0 at the first pixel's corner",
                (fast / pixel, slow / pixel),
                "pixels",
            ),
        ]


class Details(Record):
    """What files tell of beam, sensor and pixels beside a Geometry, as far as it is known.

    polarization: Kahn factor, or None where it is not known or none counts. polarization_axis: of the E-vector, in the
    laboratory. spectrum: () or (wavelengths, m, weights). material: of the sensor, as NeXus calls it. gain: counts a
    photon. offset: counts of no photons. mask: None, or array (slow, fast), 0 for pixels that are left out.
    """

    _fields = {
        "polarization": None,
        "polarization_axis": (0.0, 0.0, 1.0),
        "spectrum": (),
        "material": "Si",
        "gain": 1.0,
        "offset": 0.0,
        "mask": None,
    }

    @property
    def fraction(self) -> float:
        """The part of the photons that is polarized along the axis, as DIALS has it: 0.5 of a beam that is not."""
        return (1.0 + self.polarization) / 2.0

    def e_vector(self, geometry: "Any", frame: str) -> "Any":
        """The unit E-vector, across the beam, in a frame of `Geometry.frame`; NanoBraggError where it is along it."""
        beam = _unit(geometry.beam)
        across = np.asarray(self.polarization_axis, float) - np.dot(self.polarization_axis, beam) * beam
        if np.linalg.norm(across) < 1e-9:
            raise NanoBraggError("the polarization axis is along the beam; give another")
        return geometry.frame(frame) @ _unit(across)


def experiment_details(experiment: "Any", **more: "Any") -> "Details":
    """The Details of a resolved experiment; more: those that it does not know, by name."""
    beam = experiment.beam
    detector = experiment.detector
    mask = None if experiment.panels or detector.mask is None else np.frombuffer(detector.mask, np.uint16)
    return Details(
        mask=None if mask is None else mask.reshape(detector.spixels, detector.fpixels),
        polarization=beam.polarization if beam.polarized else None,
        polarization_axis=beam.polarization_axis,
        spectrum=spectrum_of(beam),
        **more,
    )


def spectrum_of(beam: "Any") -> "Any":
    """(wavelengths, m, weights) of a resolved beam; () where it has one wavelength."""
    return (beam.wavelength_steps, spectrum_weights(beam)) if len(beam.wavelength_steps) > 1 else ()


def spectrum_weights(beam: "Any") -> "tuple[float, ...]":
    """The weights of a grid's wavelengths, which add up to 1; they are the same in every direction."""
    count = len(beam.wavelength_steps)
    weights = beam.relative_weights[:count] or (1.0,) * count
    return tuple(weight / sum(weights) for weight in weights)


def _mm(*values):
    return tuple(float(value) * 1000.0 for value in values)


def _unit(vector):
    return np.asarray(vector, float) / np.linalg.norm(vector)


def _turn(vectors, axis, angles):
    """Vectors (..., 3), each turned by its own angle about a unit vector (Rodrigues' formula)."""
    cosine, sine = np.cos(angles)[..., None], np.sin(angles)[..., None]
    return vectors * cosine + np.cross(axis, vectors) * sine + axis * (vectors @ axis)[..., None] * (1 - cosine)


def frame_rotation(name: str, beam: "Any", spindle: "Any") -> "Any":
    """The rotation into the frame `name` from one in which beam and spindle are these directions, shape (3, 3)."""
    beam = np.asarray(beam, float) / np.linalg.norm(beam)
    across = np.asarray(spindle, float) - np.dot(spindle, beam) * beam
    if np.linalg.norm(across) < 1e-6 * np.linalg.norm(spindle):
        raise NanoBraggError("the spindle is along the beam, which no other program understands; change -spindle_axis")
    across /= np.linalg.norm(across)
    upright = np.cross(beam, across)
    rows = {
        "mosflm": (beam, np.cross(across, beam), across),
        "xds": (across, upright, beam),
        "imgcif": (across, -upright, -beam),
        "mcstas": (-across, -upright, beam),
    }
    return np.array(rows[name])


def convention_geometry(convention: "Any", wavelength: "Any") -> "Geometry":
    """A Geometry without a detector: the beam and the spindle of a named nanoBragg convention. wavelength: m."""
    vectors = CONVENTIONS[convention]
    return Geometry(
        wavelength=wavelength,
        beam=tuple(map(float, vectors[0])),
        spindle=tuple(map(float, vectors[6])),
        convention=convention,
    )


def experiment_geometry(experiment: "Any") -> "Geometry":
    """The Geometry of an Experiment."""
    beam, detector, sampling = experiment.beam, experiment.detector, experiment.sampling
    return Geometry(
        wavelength=beam.wavelength,
        beam=beam.direction,
        spindle=sampling.spindle,
        phi0=sampling.phi0,
        osc=sampling.osc,
        exposure=beam.exposure,
        thickness=detector.thickness,
        **detector_plane(detector),
    )


def detector_plane(detector: "Any") -> "dict[Any, Any]":
    """The fields of a Geometry that a resolved detector states."""
    return {
        "fast": detector.fast,
        "slow": detector.slow,
        "origin": detector.origin,
        "pixel_size": detector.pixel_size,
        "fpixels": detector.fpixels,
        "spixels": detector.spixels,
        "curved": detector.curved,
        "convention": detector.convention,
    }


def check_series(geometries: "Any", names: "Any") -> None:
    """Raise NanoBraggError unless the images are one sweep: the same but for phi, which goes on where it stopped.

    Stills, which do not rotate, need only be the same.
    """
    first = geometries[0]
    for index, (geometry, name) in enumerate(zip(geometries, names, strict=True)):
        if geometry.replace(phi0=first.phi0) != first:
            raise NanoBraggError(
                f"{name} has another geometry than {names[0]}, so they are no series; convert them one by one"
            )
        wanted = first.phi0 + index * first.osc
        # headers have six digits, and phi in degrees may have grown large
        if abs(geometry.phi0 - wanted) > max(1e-5 * max(abs(wanted), abs(geometry.phi0)), 0.01 * first.osc, 1e-9):
            raise NanoBraggError(
                f"{name} begins at phi {degrees(geometry.phi0):g} and not at {degrees(wanted):g} degrees, so it does "
                f"not follow on {names[max(index - 1, 0)]}; sort the images, or convert them one by one"
            )
