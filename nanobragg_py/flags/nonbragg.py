"""nonBragg's flag table: every rule of its command line, in the order in which the reference tries them.

See nanobragg_py/flags/nanobragg.py, whose machinery this is, and `Rule` for what a row says. Where the two programs
mean the same, the options have the same names and defaults. Rows that are the same stand in both tables: a program that
starts does not read the other's.
"""

from math import pi

from .options import DEFAULTS as NANOBRAGG_DEFAULTS
from .parser import INERT, OWN, OptionRecord, Rule, Table, own, switch

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


def _vector(group, name, help):
    """A rule that reads a laboratory vector into the option of its name."""
    return Rule(group, name, "number", name[1:], help, "X Y Z", values=3)


def _curve(name, factor, help):
    """A rule that names the curve's file; factor makes 1/m of its abscissae."""
    return Rule(CURVE, name, "word", "stol_file", help, sets=(("stol_mult", factor),), match="is")


_BEAM_PIVOT = (("pivot", "beam"),)
_SAMPLE_PIVOT = (("pivot", "sample"),)

RULES = (
    Rule(SAMPLE, "-samplesize -sample_size", "mm", "sample_x sample_y sample_z", "edge of a cube (default 0.1)"),
    Rule(
        SAMPLE,
        "-thickness -sample_x -sample_thick",
        "mm",
        "sample_x",
        "edge along the beam; -thicksteps fires it as well",
        needles="-sample_thick -sample_x -thick",
    ),
    Rule(SAMPLE, "-sample_y -sample_width -width", "mm", "sample_y", "edge across the beam"),
    Rule(
        SAMPLE,
        "-sample_z -sample_height -height",
        "mm",
        "sample_z",
        "the other edge across the beam",
        needles="-sample_z -sample_heigh -heigh",
    ),
    Rule(SAMPLE, "-density -sample_density", "g/cm3", "density", "density (default 1)", needles="-density -sample_den"),
    Rule(SAMPLE, "-molecules -sample_molecules", "number", "molecules", "molecules in the sample, instead of -density"),
    Rule(SAMPLE, "-MW", "number", "molecular_weight", "molecular weight, g/mol (default 18)", match="is"),
    Rule(SAMPLE, "-molecular_weight", "number", "molecular_weight", "the same as -MW", needles="-molecular"),
    Rule(DETECTOR, "-Xbeam", "mm", "Xbeam", "direct beam along fast; pivot beam", sets=_BEAM_PIVOT),
    Rule(DETECTOR, "-Ybeam", "mm", "Ybeam", "direct beam along slow; pivot beam", sets=_BEAM_PIVOT),
    Rule(DETECTOR, "-Xclose", "mm", "Xclose", "point nearest the sample along fast; pivot sample", sets=_SAMPLE_PIVOT),
    Rule(DETECTOR, "-Yclose", "mm", "Yclose", "point nearest the sample along slow; pivot sample", sets=_SAMPLE_PIVOT),
    Rule(DETECTOR, "-ORGX", "number", "ORGX", "the same as -Xclose; pivot sample", "PIXELS", sets=_SAMPLE_PIVOT),
    Rule(DETECTOR, "-ORGY", "number", "ORGY", "the same as -Yclose; pivot sample", "PIXELS", sets=_SAMPLE_PIVOT),
    Rule(
        DETECTOR,
        "-pivot",
        "word",
        "pivot",
        "what detector rotations leave in place",
        "beam|sample",
        action="words",
        choices=("sample", "beam"),
    ),
    _vector(DETECTOR, "-fdet_vector", "direction of the fast axis (default 0 0 1)"),
    _vector(DETECTOR, "-sdet_vector", "direction of the slow axis (default 0 -1 0)"),
    _vector(INERT, "-odet_vector", "the normal is the vector product of the axes, whatever this says"),
    _vector(BEAM, "-beam_vector", "direction of the beam (default 1 0 0)"),
    _vector(BEAM, "-polar_vector", "direction of the E-vector (default 0 0 1)"),
    _vector(INERT, "-spindle_axis", "nothing is rotated"),
    _vector(DETECTOR, "-twotheta_axis", "axis of -twotheta (default 0 1 0); fires -twotheta too: give it first"),
    _vector(INERT, "-pix0_vector", "the detector's origin follows from the others"),
    Rule(DETECTOR, "-distance", "mm", "distance", "sample to detector along the beam (default 100)", sets=_BEAM_PIVOT),
    Rule(DETECTOR, "-close_distance", "mm", "close_distance", "the same along the normal", sets=_SAMPLE_PIVOT),
    Rule(BEAM, "-source_distance", "mm", "source_distance", "of sources that are made up (default 10000)"),
    Rule(DETECTOR, "-twotheta", "deg", "twotheta", "swing of the detector; pivot sample", sets=_SAMPLE_PIVOT),
    Rule(DETECTOR, "-detector_rotx", "deg", "detector_rotx", "rotate the detector about x"),
    Rule(DETECTOR, "-detector_roty", "deg", "detector_roty", "rotate the detector about y"),
    Rule(DETECTOR, "-detector_rotz", "deg", "detector_rotz", "rotate the detector about z"),
    Rule(DETECTOR, "-detsize", "mm", "detsize_f detsize_s", "edge of a square detector (default 102.4)", match="is"),
    Rule(DETECTOR, "-detsize_x", "mm", "detsize_f", "edge along fast"),
    Rule(DETECTOR, "-detsize_y", "mm", "detsize_s", "edge along slow"),
    Rule(DETECTOR, "-detpixels", "int", "fpixels spixels", "pixels along both edges; overrides -detsize", match="is"),
    Rule(DETECTOR, "-detpixels_f -detpixels_x", "int", "fpixels", "pixels along fast"),
    Rule(DETECTOR, "-detpixels_s -detpixels_y", "int", "spixels", "pixels along slow"),
    switch(DETECTOR, "-curved_det", (("curved_det", True),), "every pixel at the same distance", action="curved_det"),
    Rule(DETECTOR, "-pixel", "mm", "pixel_size", "edge of a pixel (default 0.1)"),
    switch(DETECTOR, "-point_pixel", (("point_pixel", True),), "solid angle without the obliquity of the pixel"),
    switch(OUTPUT, "-Fmap", (("map", True),), "pixels are F, not photons"),
    Rule(
        BEAM,
        "-polar",
        "number",
        "polarization",
        "Kahn factor, -1 to 1; polarization on (default 0)",
        sets=(("nopolar", False),),
        match="is",
    ),
    switch(BEAM, "-nopolar", (("nopolar", True),), "polarization off"),
    Rule(SAMPLING, "-oversample", "int", "oversample", "sub-pixels along a pixel's edge (default 1)"),
    Rule(DETECTOR, "-roi", "int", "roi", "render only these pixels, all inclusive", "FMIN FMAX SMIN SMAX", values=4),
    Rule(BEAM, "-lambda -wavelength", "A", "wavelength", "wavelength (default 1)", needles="-lambda -wave"),
    Rule(BEAM, "-energy", "eV", "wavelength", "wavelength from the photon energy"),
    Rule(BEAM, "-fluence", "number", "fluence", "photons per square metre (default 1.26e29)", "PH/M2"),
    Rule(BEAM, "-flux", "number", "flux", "photons per second; with -exposure and -beamsize sets the fluence", "PH/S"),
    Rule(BEAM, "-exposure", "number", "exposure", "exposure time (default 1)", "S"),
    Rule(BEAM, "-beamsize", "mm", "beamsize", "edge of the square beam, which clips the sample (default 0.1)"),
    Rule(BEAM, "-dispersion", "percent", "dispersion", "full range of wavelengths"),
    Rule(BEAM, "-dispsteps", "int", "dispsteps", "wavelengths in that range"),
    Rule(BEAM, "-divergence", "mrad", "hdivrange vdivrange", "full range of beam directions, both ways"),
    Rule(BEAM, "-hdivrange", "mrad", "hdivrange", "the same, horizontally"),
    Rule(BEAM, "-vdivrange", "mrad", "vdivrange", "the same, vertically"),
    Rule(BEAM, "-hdivstep", "mrad", "hdivstep", "step between horizontal directions", match="is"),
    Rule(BEAM, "-hdivsteps", "int", "hdivsteps", "number of horizontal directions"),
    Rule(BEAM, "-vdivstep", "mrad", "vdivstep", "step between vertical directions", match="is"),
    Rule(BEAM, "-vdivsteps", "int", "vdivsteps", "number of vertical directions"),
    Rule(BEAM, "-divsteps", "int", "hdivsteps vdivsteps", "number of directions, both ways"),
    switch(BEAM, "-round_div", (("round_div", True),), "cut the grid of directions to an ellipse (default)"),
    switch(BEAM, "-square_div", (("round_div", False),), "leave it as it is"),
    Rule(OUTPUT, "-adc", "number", "adc_offset", "pixel value of zero photons (default 40)", "ADU"),
    Rule(EXTRACTION, "-gain", "number", "gain", "pixel value per photon of the -img file (default 1)", "ADU"),
    Rule(HEADER, "-phi", "deg", "phi0", "spindle angle at the start", match="is"),
    Rule(HEADER, "-osc", "deg", "osc", "spindle rotation during the image"),
    Rule(HEADER, "-phistep", "deg", "phistep", "step of the rotation", match="is"),
    Rule(HEADER, "-phisteps", "int", "phisteps", "number of steps"),
    Rule(EXTRACTION, "-img", "word", "img_file", "take F, and the geometry, from this image", first_pass=True),
    Rule(
        EXTRACTION,
        "-ignore",
        "truncated",
        "ignore",
        "a pixel value to leave out, 0 to 65535; may be given again",
        "ADU",
        action="append",
    ),
    Rule(EXTRACTION, "-stolout", "word", "stolout_file", "the curve that is found (output.stol)"),
    _curve("-stol", 1e10, "the curve: rows of sin(theta)/lambda (1/A) and F, in electrons a molecule"),
    _curve("-4stol", 1e10 / 4, "the same, of 4 sin(theta)/lambda"),
    _curve("-Q", 1e10 / pi / 4, "the same, of 4 pi sin(theta)/lambda"),
    Rule(BEAM, "-sourcefile", "word", "source_file", "x-ray sources: lines of x y z weight wavelength"),
    Rule(OUTPUT, "-floatfile -floatimage", "word", "float_file", "raw image of 4-byte floats (floatimage.bin)"),
    Rule(OUTPUT, "-intfile -intimage", "word", "int_file", "image without noise (intimage.img)"),
    Rule(OUTPUT, "-pgmfile -pgmimage", "word", "pgm_file", "greyscale picture (image.pgm)"),
    Rule(
        OUTPUT,
        "-noisefile -noiseimage",
        "word",
        "noise_file",
        "image with photon noise (noiseimage.img)",
        sets=(("write_noise", True),),
    ),
    switch(OUTPUT, "-nonoise", (("write_noise", False),), "no image with noise"),
    switch(INERT, "-nopgm", (("write_pgm", False),), "the picture is written all the same"),
    switch(INERT, "-noreject", (("reject", False),), "nothing is rejected in any case"),
    Rule(OUTPUT, "-scale", "number", "scale", "scale of the image without noise (default: automatic)"),
    Rule(OUTPUT, "-pgmscale", "number", "pgm_scale", "scale of the greyscale picture"),
    switch(INERT, "-coherent", (("coherent", True),), "coherent sources"),
    switch(OUTPUT, "-printout", (("printout", True),), "print every pixel"),
    switch(OUTPUT, "-noprogress", (("progress", False),), "no progress meter"),
    switch(OUTPUT, "-progress", (("progress", True),), "progress meter (default)"),
    Rule(OUTPUT, "-printout_pixel", "int", "printout_pixel", "print this pixel only", "FAST SLOW", values=2),
    Rule(OUTPUT, "-seed", "seed", "seed", "of the noise (default: the time)"),
    own("-compat", "choice", "compat", "c: reproduce the defects of the reference as well (default spec)", "c|spec"),
    own("-threads", "count", "threads", "threads (0: OMP_NUM_THREADS, or else every core; the default)"),
    own("-noise_rng", "choice", "noise_rng", "random numbers of the noise (default ran1)", "ran1|philox"),
    own("-timing", None, "timing", "print how long each stage took"),
    own("-version", None, "show_version", "print the version and stop"),
    own("-help -h", None, "show_help", "print this text and stop"),
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

    defaults = DEFAULTS


def flag_name(options: "Any", value: "Any" = None) -> "Any":
    """What options, or a value that a switch gives them, are called here, and their unit; see `Sentence`."""
    from .names import flag_name

    return flag_name(RULES, options, value, {("wavelength",): "-lambda (or -energy)"})


TABLE = Table("nonBragg", RULES, NonBraggOptions, GROUPS)
