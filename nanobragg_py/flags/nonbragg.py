"""nonBragg's flag table: every rule of its command line, in the order in which the reference tries them.

Where the two programs mean the same, the rows are nanoBragg's (nanobragg_py/flags/nanobragg.py), with other words where
those do not fit, and the options have the same names and defaults. `Rule` says what a row says.
"""

from .nanobragg import RULES as NANOBRAGG_RULES
from .options import DEFAULTS as NANOBRAGG_DEFAULTS
from .parser import INERT, OWN, OptionRecord, Rule, Table, switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CURVE = "Curve"
SAMPLE = "Sample"
BEAM = "Beam"
DETECTOR = "Detector"
SAMPLING = "Sampling"
EXTRACTION = "F from an image"
OUTPUT = "Output"
HEADER = "Header of the images"

#: the order in which people are shown the groups
GROUPS = (CURVE, SAMPLE, BEAM, DETECTOR, SAMPLING, EXTRACTION, OUTPUT, HEADER, INERT, OWN)

_ROWS = {rule.name: rule for rule in NANOBRAGG_RULES}


def same(*names):
    """nanoBragg's rules of these names."""
    return [_ROWS[name] for name in names]


def like(name, **changes):
    """nanoBragg's rule of this name with another heading, text or constants."""
    return _ROWS[name].but(**changes)


RULES = (
    like("-samplesize", group=SAMPLE, help="edge of a cube (default 0.1)"),
    Rule(
        SAMPLE,
        "-thickness -sample_x -sample_thick",
        "mm",
        "sample_x",
        "edge along the beam; -thicksteps fires it as well",
        needles="-sample_thick -sample_x -thick",
    ),
    like("-sample_y", group=SAMPLE, help="edge across the beam"),
    like("-sample_z", group=SAMPLE, help="the other edge across the beam"),
    like("-density", group=SAMPLE, help="density (default 1)"),
    Rule(SAMPLE, "-molecules -sample_molecules", "number", "molecules", "molecules in the sample, instead of -density"),
    like("-MW", group=SAMPLE, help="molecular weight, g/mol (default 18)"),
    Rule(SAMPLE, "-molecular_weight", "number", "molecular_weight", "the same as -MW", needles="-molecular"),
    like("-Xbeam", help="direct beam along fast; pivot beam"),
    like("-Ybeam", help="direct beam along slow; pivot beam"),
    like("-Xclose", help="point nearest the sample along fast; pivot sample"),
    like("-Yclose", help="point nearest the sample along slow; pivot sample"),
    like("-ORGX", help="the same as -Xclose; pivot sample"),
    like("-ORGY", help="the same as -Yclose; pivot sample"),
    like("-pivot", help="what detector rotations leave in place"),
    like("-fdet_vector", help="direction of the fast axis (default 0 0 1)", sets=()),
    like("-sdet_vector", help="direction of the slow axis (default 0 -1 0)", sets=()),
    like("-odet_vector", group=INERT, help="the normal is the vector product of the axes, whatever this says", sets=()),
    like("-beam_vector", help="direction of the beam (default 1 0 0)", sets=()),
    like("-polar_vector", help="direction of the E-vector (default 0 0 1)", sets=()),
    like("-spindle_axis", group=INERT, help="nothing is rotated", sets=()),
    like("-twotheta_axis", help="axis of -twotheta (default 0 1 0); fires -twotheta too: give it first", sets=()),
    like("-pix0_vector", group=INERT, help="the detector's origin follows from the others", sets=()),
    *same("-distance", "-close_distance"),
    Rule(BEAM, "-source_distance", "mm", "source_distance", "of sources that are made up (default 10000)"),
    *same("-twotheta", "-detector_rotx", "-detector_roty", "-detector_rotz", "-detsize"),
    Rule(DETECTOR, "-detsize_x", "mm", "detsize_f", "edge along fast"),
    Rule(DETECTOR, "-detsize_y", "mm", "detsize_s", "edge along slow"),
    *same("-detpixels", "-detpixels_f", "-detpixels_s", "-curved_det", "-pixel", "-point_pixel"),
    switch(OUTPUT, "-Fmap", (("map", True),), "pixels are F, not photons"),
    *same("-polar", "-nopolar"),
    like("-oversample", help="sub-pixels along a pixel's edge (default 1)"),
    *same("-roi", "-lambda", "-energy", "-fluence", "-flux", "-exposure"),
    like("-beamsize", help="edge of the square beam, which clips the sample (default 0.1)"),
    *same(
        "-dispersion",
        "-dispsteps",
        "-divergence",
        "-hdivrange",
        "-vdivrange",
        "-hdivstep",
        "-hdivsteps",
        "-vdivstep",
        "-vdivsteps",
    ),
    like("-divsteps", help="number of directions, both ways"),
    like("-round_div", help="cut the grid of directions to an ellipse (default)"),
    like("-square_div", help="leave it as it is"),
    like("-adc", metavar="ADU"),
    Rule(EXTRACTION, "-gain", "number", "gain", "pixel value per photon of the -img file (default 1)", "ADU"),
    like("-phi", group=HEADER, help="spindle angle at the start"),
    like("-osc", group=HEADER, help="spindle rotation during the image"),
    like("-phistep", group=HEADER, help="step of the rotation"),
    like("-phisteps", group=HEADER),
    like("-img", group=EXTRACTION, help="take F, and the geometry, from this image"),
    Rule(
        EXTRACTION,
        "-ignore",
        "truncated",
        "ignore",
        "a pixel value to leave out, 0 to 65535; may be given again",
        "ADU",
        action="append",
    ),
    like("-stolout", group=EXTRACTION, help="the curve that is found (output.stol)"),
    like("-stol", group=CURVE, help="the curve: rows of sin(theta)/lambda (1/A) and F, in electrons a molecule"),
    like("-4stol", group=CURVE, help="the same, of 4 sin(theta)/lambda"),
    like("-Q", group=CURVE, help="the same, of 4 pi sin(theta)/lambda"),
    *same("-sourcefile", "-floatfile", "-intfile"),
    like("-pgmfile", sets=()),
    *same("-noisefile", "-nonoise"),
    like("-nopgm", group=INERT, help="the picture is written all the same"),
    switch(INERT, "-noreject", (("reject", False),), "nothing is rejected in any case"),
    *same("-scale"),
    like("-pgmscale", sets=()),
    *same("-coherent", "-printout", "-noprogress", "-progress", "-printout_pixel"),
    like("-seed", group=OUTPUT),
    *same("-compat", "-threads", "-noise_rng", "-timing", "-version", "-help"),
)

#: defaults of options of its own, and of those that have another than nanoBragg's (nanobragg_py/flags/options.py)
OTHER_DEFAULTS = {
    "ignore": (),
    "gain": 1.0,
    "sample_x": 1e-4,
    "sample_y": 1e-4,
    "sample_z": 1e-4,
    "density": 1e6,  # g/m^3
    "molecular_weight": 18.0,
    "molecules": 0.0,
    "source_distance": 10.0,
    "odet_vector": None,  # read, without effect
    "spindle_axis": None,  # read, without effect
    "map": False,
    "reject": True,  # read, without effect
}
#: every option with its default, in SI units: what the rules set, and what no flag sets any more
DEFAULTS = {
    option: OTHER_DEFAULTS.get(option, NANOBRAGG_DEFAULTS.get(option))
    for rule in RULES
    for option in (*rule.dests, *dict(rule.sets), "dispstep")
}


class NonBraggOptions(OptionRecord):
    """The options of a command line of nonBragg."""

    __slots__ = tuple(DEFAULTS)
    defaults = DEFAULTS


def flag_name(options: "Any", value: "Any" = None) -> "Any":
    """What options, or a value that a switch gives them, are called here, and their unit; see `Sentence`."""
    from .names import flag_name

    return flag_name(RULES, options, value, {("wavelength",): "-lambda (or -energy)"})


TABLE = Table("nonBragg", RULES, NonBraggOptions, GROUPS)
