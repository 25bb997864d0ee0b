"""The resolved experiment as a list of quantities: what is shown, in which words and units. resolve says where from."""

import functools
from typing import Any

from ..constants import BRIGHTEST
from ..experiment.fields import FIELDS, find
from ..flags.names import rule_of
from ..flags.nanobragg import RULES
from ..flags.parser import INERT, OWN
from ..records import REQUIRED, Record


class Row(Record):
    """A line of the list. quantity: as `nanobragg_py.experiment.origins` names it. unit: None: the field's."""

    _fields = {"quantity": REQUIRED, "name": REQUIRED, "unit": None}


def _rows(prefix, **names):
    """Rows of fields of one record, by their names there."""
    return [Row(f"{prefix}.{field}", name or field.replace("_", " ")) for field, name in names.items()]


def _steps(prefix, what, unit):
    """The rows of a number of steps, their range and their size."""
    return [
        Row(f"{prefix}.steps", f"{what} steps", ""),
        Row(f"{prefix}.range", f"{what} range", unit),
        Row(f"{prefix}.step", f"{what} step", unit),
    ]


SECTIONS = {
    "beam": [
        *_rows("beam", direction="beam direction", wavelength="", fluence="", flux="", exposure="", size="beam size"),
        *_rows("beam", polarized="", polarization="Kahn factor", polarization_axis="E-vector"),
        *_steps("grid.hdiv", "horizontal divergence", "rad"),
        *_steps("grid.vdiv", "vertical divergence", "rad"),
        *_steps("grid.dispersion", "dispersion", "of the wavelength"),
        *_rows("beam", divergence_steps="", sources=""),
    ],
    "detector": [
        *_rows("detector", convention="", pivot="", fpixels="pixels along fast", detsize_f="size along fast"),
        *_rows("detector", spixels="pixels along slow", detsize_s="size along slow", pixel_size=""),
        *_rows("detector", distance="", close_distance="", fast="fast axis", slow="slow axis", normal=""),
        Row("detector.origin", "origin (pix0)", "m"),
        *(Row(f"options.detector_rot{axis}", f"detector rot{axis}", "rad") for axis in "xyz"),
        *_rows("detector", twotheta="", Xbeam="", Ybeam="", Xclose="", Yclose=""),
        *(Row(f"detector.{name}", name, "m") for name in ("Fbeam", "Sbeam", "Fclose", "Sclose")),
        *_rows("detector", ORGX="", ORGY="", curved="", point_pixel=""),
        Row("detector.thicksteps", "sensor layer steps"),
        Row("detector.thickness", "sensor layer range", "m"),
        Row("detector.thickstep", "sensor layer step", "m"),
        *_rows("detector", mu="attenuation coefficient", roi="roi (fast, slow)"),
        Row("options.mask_file", "mask"),
        Row("options.img_file", "image whose header counts"),
    ],
    "crystal": [
        Row("crystal.lengths", "cell lengths", "A"),
        Row("crystal.angles", "cell angles", "rad"),
        Row("crystal.volume", "cell volume", "A^3"),
        *(Row(f"crystal.{name}", name, "m") for name in "abc"),
        *(Row(f"crystal.{name}_star", f"{name}*", "1/A") for name in "abc"),
        Row("crystal.missets", "misset", "rad"),
        *(
            row
            for at, axis in enumerate("abc")
            for row in (
                Row(f"crystal.cells.{at}", f"cells along {axis}", ""),
                Row(f"crystal.size.{at}", f"size along {axis}", "m"),
            )
        ),
        *_rows("crystal", shape="", fudge="", mosaic_spread="", mosaic_domains=""),
        Row("options.mosaic_seed", "mosaic seed"),
    ],
    "structure factors": [
        Row("structure_factors.table", "table"),
        Row("structure_factors.count", "reflections read"),
        Row("structure_factors.bounds", "bounds of h, k, l"),
        *_rows("structure_factors", default_F="default F"),
    ],
    "sampling": [
        *_rows("sampling", oversample="", oversample_thick="", oversample_polar="", oversample_omega=""),
        *_rows("sampling", phi0="phi start", phisteps="phi steps", osc="phi range", phistep="phi step"),
        *_rows("sampling", spindle="spindle axis", dmin="", interpolate="", water=""),
        Row("sampling.steps", "steps per pixel and layer"),
    ],
    "output": [
        Row("options.float_file", "float image"),
        Row("options.int_file", "integer image"),
        Row("output.scale", "integer scale"),
        Row("options.pgm_file", "PGM"),
        Row("output.pgm_scale", "PGM scale"),
        Row("options.noise_file", "noise image"),
        Row("setup.noise_seed", "noise seed"),
        Row("options.adc_offset", "zero-photon level"),
        Row("options.compat", "defects of the reference (compat)"),
        Row("options.threads", "threads"),
        Row("options.backend", "backend"),
        Row("options.device", "device"),
        Row("options.precision", "precision"),
        Row("options.noise_rng", "random numbers of the noise"),
        Row("options.printout", "pixels printed"),
        Row("options.printout_pixel", "the only pixel printed (fast, slow)"),
        Row("options.trace_pixel", "pixel traced (slow, fast)"),
        Row("options.progress", "progress meter"),
        Row("options.timing", "times printed"),
        Row("options.show_help", "help instead of images"),
        Row("options.show_version", "version instead of images"),
    ],
}


class Quantity(Record):
    """One value of the resolved experiment.

    section: one of `SECTIONS`. name, value, unit: in SI, but for what crystallographers have in Angstrom. source:
    default, flag, header, matrix (the file of -mat) or derived. origins: (option, who set it) of the options that it
    is or follows from, the one that it is in front. note: what is to be said besides, or None.
    """

    _fields = {
        "section": REQUIRED,
        "name": REQUIRED,
        "value": REQUIRED,
        "unit": "",
        "source": "derived",
        "origins": (),
        "note": None,
    }

    @property
    def source_text(self) -> str:
        """The source in words."""
        if self.source == "matrix":
            text = "matrix of " + ", ".join(str(o) for name, o in self.origins if name == "matrix_file")
        elif self.source != "derived":
            text = ", ".join(dict.fromkeys(str(origin) for _, origin in self.origins if origin.kind == self.source))
        else:
            given = dict.fromkeys(str(origin) for _, origin in self.origins if origin.kind != "default")
            text = "derived from " + (", ".join(given) or "defaults")
        return f"{text}; {self.note}" if self.note else text


def quantities(origins: Any, set_by: Any, sections: Any = None) -> list[Quantity]:
    """The list of `Quantity`. origins: a settled `Origins`. set_by: from an option's name to who set it.

    sections: what is listed, in the manner of `SECTIONS`; None: that.
    """
    note_outputs(origins)
    void = origins.void_options()
    found = []
    for section, rows in (sections or SECTIONS).items():
        for row in [*rows, *_own_rows(section)]:
            origin = origins.of(row.quantity)
            # what only void options say is of no interest, nor what the structure factors have no table for
            if not origin.options or void.issuperset(origin.options):
                continue
            found.append(_quantity(section, row, origin, origins, set_by))
    return found


def _quantity(section, row, origin, origins, set_by):
    part, _, name = row.quantity.partition(".")
    field = find(part, name)
    value = origins.value(row.quantity)
    options = tuple((option, set_by(option)) for option in origin.options)
    source = origin.how
    if source == "given":
        source = "matrix" if origin.options[0] == "matrix_file" else options[0][1].kind
    unit = row.unit
    if unit is None:
        unit = field.unit if field else ""
    if row.quantity == "beam.sources":
        value = len(value)
    return Quantity(section, row.name, value, unit, source, options, origin.note)


@functools.cache
def _own_rows(section):
    """Rows of what flags of our own set and `SECTIONS` does not list: fields, and, with the output, the others."""
    part = section.replace(" ", "_")
    found = []
    if section == "output":
        listed = {row.quantity for rows in SECTIONS.values() for row in rows}
        listed |= {f"options.{option}" for field in FIELDS for option in field.options}
        for rule in RULES:
            for option in dict.fromkeys((*rule.dests, *dict(rule.sets))):
                if rule.group == OWN and f"options.{option}" not in listed:
                    found.append(Row(f"options.{option}", option.replace("_", " ")))
    for field in FIELDS:
        rule = rule_of(RULES, field.options) if field.part == part else None
        if rule is not None and rule.group == OWN:
            found.append(Row(f"options.{field.options[0]}", field.name.replace("_", " "), field.unit))
    return tuple(found)


def note_outputs(origins: Any) -> None:
    """Note what the images that are written come from, and what of the options is for none."""
    options = origins.options
    inert = {name: None for rule in RULES if rule.group == INERT for name in (*rule.dests, *dict(rule.sets))}
    if options.stol_file is not None and options.physics == "exact":
        scattering = ("stol_file", "stol_mult", "density", "molecular_weight")
        origins.follows("options.stol_file", *scattering, "water", "sample_x", "sample_y", "sample_z", "beamsize")
        inert = {name: None for name in inert if name not in scattering}
    origins.void("inert", "it is read, and nothing depends on it", *inert)
    for name, meaning in (("scale", f"{BRIGHTEST:g} over the maximum"), ("pgm_scale", "by the spread of the pixels")):
        value = getattr(options, name)
        note = None if value > 0 else meaning
        origins.taken(f"output.{name}", name, note=note, value=value if value > 0 else None)
    for switch, file, *others in (
        ("write_pgm", "pgm_file", "pgm_scale"),
        ("write_noise", "noise_file", "seed", "noise_rng"),
    ):
        if getattr(options, switch):
            origins.taken(f"options.{file}", file, switch)
        else:
            origins.taken(f"options.{file}", switch, value=None)
            origins.void("not-written", f"{{{switch}=False}} leaves that image out", file, *others)
    if options.physics != "exact":
        origins.void("reference", "{physics=exact} alone needs the file to be named", "dump_named")
    if options.threads == 0:
        origins.taken("options.threads", "threads", note="as many as may be used")
    if options.backend == "cpu":
        origins.void("no-gpu", "nothing is computed on a GPU", "device")
    if not options.printout:
        origins.void("no-printout", "it needs {printout=True}", "printout_pixel")
