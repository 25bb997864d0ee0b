"""Between the library's records and the options of the command line: one table, the metadata of the fields.

The few fields that are not one option each are dealt with here: the vectors, which count under CUSTOM only, the cell,
the misset angles, the seeds (options hold them negated), and what is True in one place and False in the other.
"""

from __future__ import annotations

import dataclasses
import functools
import re

from ..errors import FieldError
from ..flags.options import DEFAULTS, Options
from .parts import Beam, Crystal, Detector, Sampling

#: fields that state a vector, with their options; only CUSTOM uses them
VECTORS = {
    ("beam", "direction"): "beam_vector",
    ("beam", "polarization_axis"): "polar_vector",
    ("detector", "fast"): "fdet_vector",
    ("detector", "slow"): "sdet_vector",
    ("detector", "normal"): "odet_vector",
    ("detector", "twotheta_axis"): "twotheta_axis",
    ("sampling", "spindle"): "spindle_axis",
}
#: what the flags in the resolver's messages are called here
FIELD_OF_FLAG = {
    "-cell": "crystal.lengths (or crystal.angles)",
    "-mat": "crystal.matrix",
    "-xtalsize": "crystal.sample_size",
    "-mosaic": "crystal.mosaic_spread",
    "-mosaic_domains": "crystal.mosaic_domains",
    "-mosaic_seed": "crystal.mosaic_seed",
    "-detsize": "detector.detsize_f (or detsize_s)",
    "-detpixels": "detector.fpixels (or spixels)",
    "-pixel": "detector.pixel_size",
    "-distance": "detector.distance",
    "-close_distance": "detector.close_distance",
    "-detector_rotx": "detector.rotations",
    "-detector_roty": "detector.rotations",
    "-detector_rotz": "detector.rotations",
    "-twotheta": "detector.twotheta",
    "-detector_thick": "detector.thickness",
    "-detector_thicksteps": "detector.thicksteps",
    "-detector_abs": "detector.mu",
    "-fdet_vector": "detector.fast",
    "-sdet_vector": "detector.slow",
    "-beam_vector": "beam.direction",
    "-lambda": "beam.wavelength",
    "-energy": "its energy",
    "-flux": "beam.flux",
    "-fluence": "beam.fluence",
    "-exposure": "beam.exposure",
    "-beamsize": "beam.size",
    "-dispsteps": "beam.dispersion_steps",
    "-hdivrange": "beam.hdivrange",
    "-hdivstep": "beam.hdivstep",
    "-hdivsteps": "beam.hdivsteps",
    "-vdivrange": "beam.vdivrange",
    "-vdivstep": "beam.vdivstep",
    "-vdivsteps": "beam.vdivsteps",
    "-square_div": "beam.round_divergence = False",
    "-sourcefile": "beam.sources",
    "-osc": "sampling.osc",
    "-phistep": "sampling.phistep",
    "-phisteps": "sampling.phisteps",
    "-oversample": "sampling.oversample",
    "-oversample_thick": "sampling.oversample_thick",
    "-backend": "backend",
    "-compat": "compat",
    "-device": "device",
    "-mask": "detector.mask",
    "-hkl": "structure_factors",
    "-default_F": "structure_factors.default_F",
}
_FLAG = re.compile(r"(?<![\w-])-[A-Za-z][A-Za-z_]*")


def field_message(message):
    """A sentence of the resolver with the fields' names for the flags'."""
    return _FLAG.sub(lambda found: FIELD_OF_FLAG.get(found[0], found[0]), message)


@functools.cache
def plain_fields(cls):
    """The fields of a part's class that stand for one option each: (name, option, `Unset` or None)."""
    return tuple(
        (field.name, field.metadata["option"], field.metadata["unset"])
        for field in dataclasses.fields(cls)
        if field.metadata["option"] is not None
    )


def to_options(beam, detector, crystal, sampling, default_F=0.0):
    """The Options that state the same as the parts; raises FieldError for vectors without CUSTOM.

    What the command line reads from files (matrix, structure factors, sources, mask) is not in them.
    """
    options = Options(default_F=default_F)
    parts = {"beam": beam, "detector": detector, "crystal": crystal, "sampling": sampling}
    for part in parts.values():
        for name, option, unset in plain_fields(type(part)):
            value = getattr(part, name)
            setattr(options, option, unset.value if value is None else value)
    custom = detector.convention == "CUSTOM"
    for (part, name), option in VECTORS.items():
        value = getattr(parts[part], name)
        if value is None:
            continue
        if not custom:
            raise FieldError(
                f'{part}.{name} counts only with detector.convention = "CUSTOM"; set that, or leave it None'
            )
        setattr(options, option, value)
    if detector.pivot is not None:
        if not custom:
            raise FieldError('detector.pivot counts only with detector.convention = "CUSTOM"; leave it None')
        options.pivot = detector.pivot
    options.nopolar = not beam.polarized
    options.detector_rotx, options.detector_roty, options.detector_rotz = detector.rotations
    if detector.roi is not None:
        options.roi = detector.roi
    if crystal.lengths is not None:
        options.user_cell = True
        options.cell_lengths, options.cell_angles = crystal.lengths, crystal.angles
    if crystal.missets == "random":
        options.misset_mode = "random"
        options.misset_seed = -crystal.misset_seed
    elif crystal.missets is not None:
        options.misset_mode = "angles"
        options.misset = crystal.missets
    options.Na, options.Nb, options.Nc = (float(n) for n in crystal.cells)
    options.sample_x, options.sample_y, options.sample_z = crystal.sample_size
    options.mosaic_seed = -crystal.mosaic_seed
    options.interpolate = 2 if sampling.interpolate is None else int(sampling.interpolate)
    return options


def _plain_values(cls, options):
    values = {}
    for name, option, unset in plain_fields(cls):
        value = getattr(options, option)
        values[name] = None if unset is not None and unset.test(value) else value
    return values


def from_options(options, matrix=None, sources=None, mask=None, roi=None, missets=None):
    """The parts that an Options states: (Beam, Detector, Crystal, Sampling).

    matrix: nine floats as of an orientation matrix file, or None. sources: the rows of a source file, or None. mask:
    the pixels of the mask image, or None. roi: what the options' region came to. missets: the angles that a random
    misset came to, used where it has no seed of its own. Raises FieldError for values that the records do not take.
    """
    values = {cls: _plain_values(cls, options) for cls in (Beam, Detector, Crystal, Sampling)}
    beam, detector, crystal, sampling = values.values()
    parts = {"beam": beam, "detector": detector, "sampling": sampling}
    if options.convention == "CUSTOM":
        for (part, name), option in VECTORS.items():
            parts[part][name] = getattr(options, option)
        detector["pivot"] = options.pivot
    beam["polarized"] = not options.nopolar
    beam["sources"] = sources
    detector["rotations"] = (options.detector_rotx, options.detector_roty, options.detector_rotz)
    if max(options.roi) >= 0:
        detector["roi"] = roi
    detector["mask"] = mask
    if options.fpixels:
        detector["detsize_f"] = DEFAULTS["detsize_f"]
    if options.spixels:
        detector["detsize_s"] = DEFAULTS["detsize_s"]
    if options.user_cell and options.cell_lengths[0] != 0.0:
        from .resolve.crystal import cell_constants

        crystal["lengths"], crystal["angles"] = cell_constants(options)
    if matrix is not None:
        factor = 1e-10 / options.wavelength
        crystal["matrix"] = tuple(tuple(x * factor for x in matrix[i : i + 3]) for i in (0, 3, 6))
    if options.misset_mode == "random" and options.misset_seed is not None:
        crystal["missets"], crystal["misset_seed"] = "random", -options.misset_seed
    elif options.misset_mode == "random":
        crystal["missets"] = missets
    elif options.misset_mode == "angles":
        crystal["missets"] = options.misset
    crystal["cells"] = tuple(max(1, int(n)) for n in (options.Na, options.Nb, options.Nc))
    crystal["sample_size"] = tuple(max(0.0, x) for x in (options.sample_x, options.sample_y, options.sample_z))
    crystal["mosaic_seed"] = -options.mosaic_seed
    sampling["interpolate"] = None if options.interpolate == 2 else bool(options.interpolate)
    if sampling["phisteps"] == 0:
        sampling["phisteps"] = 1
    return tuple(cls(**given) for cls, given in values.items())
