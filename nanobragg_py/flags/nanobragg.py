"""nanoBragg's flag table: every rule of its command line, in the order in which the reference tries them.

The table drives the parser, the usage text, docs/flags.md and whatever else needs to know flags. A token of the command
line that begins with ``-`` is compared with every rule, and several may fire; see `Rule` for what a row says.
"""

from math import pi

from ..errors import Sentence
from .options import Options
from .parser import INERT, OWN, Rule, Table, own, switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CRYSTAL = "Crystal"
FACTORS = "Structure factors"
BEAM = "Beam"
DETECTOR = "Detector"
SAMPLING = "Sampling"
OUTPUT = "Output"
RANDOM = "Random numbers"
RETIRED = "Flags of older documents: ignored, with a warning"

#: the order in which people are shown the groups
GROUPS = (CRYSTAL, FACTORS, BEAM, DETECTOR, SAMPLING, OUTPUT, RANDOM, INERT, OWN, RETIRED)


def _retired(name, metavar, help):
    """A name that only older documents know; metavar tells how many words belonged to it."""
    return Rule(RETIRED, name, "number", "", help, metavar, values=len(metavar.split()), match="own", action="retired")


def _vector(group, name, help):
    """A rule that reads a laboratory vector into the option of its name and leaves the named conventions."""
    return Rule(group, name, "number", name[1:], f"{help}; convention CUSTOM", "X Y Z", sets=_CUSTOM, values=3)


_BEAM_PIVOT = (("pivot", "beam"),)
_SAMPLE_PIVOT = (("pivot", "sample"),)
_CUSTOM = (("convention", "CUSTOM"),)
_PGM_ON = (("write_pgm", True),)
_NOISE_ON = (("write_noise", True),)

RULES = (
    Rule(CRYSTAL, "-Na", "cells", "Na", "unit cells along a (default 1)", stop=True),
    Rule(CRYSTAL, "-Nb", "cells", "Nb", "unit cells along b (default 1)", stop=True),
    Rule(CRYSTAL, "-Nc", "cells", "Nc", "unit cells along c (default 1)", stop=True),
    Rule(CRYSTAL, "-N", "cells", "Na Nb Nc", "unit cells along each of a, b and c", match="is", stop=True),
    Rule(
        CRYSTAL,
        "-cell",
        "number",
        "user_cell cell_lengths cell_angles",
        "unit cell, in Angstrom and degrees",
        "A [B C [ALPHA BETA GAMMA]]",
        action="cell",
    ),
    Rule(
        CRYSTAL,
        "-misset",
        "word",
        "",
        "draw a random orientation (any word that contains rand)",
        "random",
        sets=(("misset_mode", "random"),),
        action="misset_random",
        stop=True,
    ),
    Rule(
        CRYSTAL,
        "-misset",
        "deg",
        "misset",
        "rotate the crystal about x, then y, then z, in degrees",
        "RX RY RZ",
        sets=(("misset_mode", "angles"),),
        values=3,
    ),
    Rule(CRYSTAL, "-samplesize -sample_size", "mm", "sample_x sample_y sample_z", "crystal edges, instead of -N"),
    Rule(CRYSTAL, "-sample_x -sample_thick", "mm", "sample_x", "crystal edge along a, instead of -Na"),
    Rule(CRYSTAL, "-sample_y -sample_width -width", "mm", "sample_y", "crystal edge along b, instead of -Nb"),
    Rule(
        CRYSTAL,
        "-sample_z -sample_height -height",
        "mm",
        "sample_z",
        "crystal edge along c, instead of -Nc",
        needles="-sample_z -sample_heigh -heigh",
    ),
    Rule(CRYSTAL, "-xtalsize -xtal_size", "mm", "sample_x sample_y sample_z", "the same as -samplesize"),
    Rule(CRYSTAL, "-xtal_x -xtal_thick", "mm", "sample_x", "the same as -sample_x"),
    Rule(CRYSTAL, "-xtal_y -xtal_width -width", "mm", "sample_y", "the same as -sample_y"),
    Rule(
        CRYSTAL,
        "-xtal_z -xtal_height -height",
        "mm",
        "sample_z",
        "the same as -sample_z",
        needles="-xtal_z -xtal_heigh -heigh",
    ),
    Rule(
        INERT, "-density -sample_density", "g/cm3", "density", "density of the crystal", needles="-density -sample_den"
    ),
    Rule(INERT, "-MW", "number", "molecular_weight", "molecular weight", match="is"),
    Rule(INERT, "-molecular_weight", "number", "molecular_weight", "the same as -MW", needles="-molec"),
    Rule(DETECTOR, "-Xbeam", "mm", "Xbeam", "beam centre, X of the convention; pivot beam", sets=_BEAM_PIVOT),
    Rule(DETECTOR, "-Ybeam", "mm", "Ybeam", "beam centre, Y of the convention; pivot beam", sets=_BEAM_PIVOT),
    Rule(DETECTOR, "-Xclose", "mm", "Xclose", "X of the point nearest the sample; pivot sample", sets=_SAMPLE_PIVOT),
    Rule(DETECTOR, "-Yclose", "mm", "Yclose", "Y of the point nearest the sample; pivot sample", sets=_SAMPLE_PIVOT),
    Rule(DETECTOR, "-ORGX", "number", "ORGX", "XDS origin along fast; pivot sample", "PIXELS", sets=_SAMPLE_PIVOT),
    Rule(DETECTOR, "-ORGY", "number", "ORGY", "XDS origin along slow; pivot sample", "PIXELS", sets=_SAMPLE_PIVOT),
    Rule(
        DETECTOR,
        "-pivot",
        "word",
        "pivot",
        "what detector rotations leave in place; a named convention overrides it",
        "beam|sample",
        action="words",
        choices=("sample", "beam"),
    ),
    switch(DETECTOR, "-mosflm", (("convention", "MOSFLM"), *_BEAM_PIVOT), "MOSFLM's axes and beam centre (default)"),
    switch(DETECTOR, "-xds", (("convention", "XDS"), *_SAMPLE_PIVOT), "XDS's axes and origin; pivot sample"),
    switch(DETECTOR, "-adxv", (("convention", "ADXV"), *_BEAM_PIVOT), "ADXV's axes and beam centre; pivot beam"),
    switch(DETECTOR, "-denzo", (("convention", "DENZO"), *_BEAM_PIVOT), "DENZO's axes and beam centre; pivot beam"),
    switch(DETECTOR, "-dials", (("convention", "DIALS"), *_BEAM_PIVOT), "DIALS's axes and origin; pivot sample"),
    _vector(DETECTOR, "-fdet_vector", "direction of the fast axis (default 0 0 1)"),
    _vector(DETECTOR, "-sdet_vector", "direction of the slow axis (default 0 -1 0)"),
    _vector(DETECTOR, "-odet_vector", "normal, pointing away from the sample (default 1 0 0)"),
    _vector(BEAM, "-beam_vector", "direction of the beam (default 1 0 0)"),
    _vector(BEAM, "-polar_vector", "direction of the E-vector (default 0 0 1)"),
    _vector(SAMPLING, "-spindle_axis", "axis of the phi rotation (default 0 0 1)"),
    _vector(DETECTOR, "-twotheta_axis", "axis of -twotheta (default 0 1 0); fires -twotheta too: give it first"),
    _vector(DETECTOR, "-pix0_vector", "the vector itself has no effect"),
    Rule(DETECTOR, "-distance", "mm", "distance", "sample to detector along the beam (default 100)", sets=_BEAM_PIVOT),
    Rule(DETECTOR, "-close_distance", "mm", "close_distance", "the same along the normal", sets=_SAMPLE_PIVOT),
    Rule(
        DETECTOR,
        "-detector_abs",
        "um",
        "detector_mu",
        "attenuation depth of the sensor; inf or 0: no sensor",
        "UM|inf",
        action="detector_abs",
    ),
    Rule(DETECTOR, "-detector_thick", "um", "detector_thick", "thickness of the sensor (default 0)", match="is"),
    Rule(DETECTOR, "-detector_thicksteps", "int", "detector_thicksteps", "layers of the sensor"),
    Rule(DETECTOR, "-thicksteps", "int", "detector_thicksteps", "the same"),
    Rule(DETECTOR, "-twotheta", "deg", "twotheta", "swing of the detector; pivot sample", sets=_SAMPLE_PIVOT),
    Rule(DETECTOR, "-detector_rotx", "deg", "detector_rotx", "rotate the detector about x"),
    Rule(DETECTOR, "-detector_roty", "deg", "detector_roty", "rotate the detector about y"),
    Rule(DETECTOR, "-detector_rotz", "deg", "detector_rotz", "rotate the detector about z"),
    Rule(DETECTOR, "-detsize", "mm", "detsize_f detsize_s", "edge of a square detector (default 102.4)", match="is"),
    Rule(DETECTOR, "-detsize_f", "mm", "detsize_f", "edge along fast"),
    Rule(DETECTOR, "-detsize_s", "mm", "detsize_s", "edge along slow"),
    Rule(DETECTOR, "-detpixels", "int", "fpixels spixels", "pixels along both edges; overrides -detsize", match="is"),
    Rule(DETECTOR, "-detpixels_f -detpixels_x", "int", "fpixels", "pixels along fast"),
    Rule(DETECTOR, "-detpixels_s -detpixels_y", "int", "spixels", "pixels along slow"),
    switch(DETECTOR, "-curved_det", (("curved_det", True),), "every pixel at the same distance", action="curved_det"),
    Rule(DETECTOR, "-pixel", "mm", "pixel_size", "edge of a pixel (default 0.1)"),
    switch(DETECTOR, "-point_pixel", (("point_pixel", True),), "solid angle without the obliquity of the pixel"),
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
    switch(SAMPLING, "-oversample_thick", (("oversample_thick", True),), "absorption of every sub-step", stop=True),
    switch(SAMPLING, "-oversample_polar", (("oversample_polar", True),), "polarization of every sub-step", stop=True),
    switch(SAMPLING, "-oversample_omega", (("oversample_omega", True),), "solid angle of every sub-step", stop=True),
    Rule(SAMPLING, "-oversample", "int", "oversample", "sub-pixels along a pixel's edge (default: automatic)"),
    Rule(DETECTOR, "-roi", "int", "roi", "render only these pixels, all inclusive", "FMIN FMAX SMIN SMAX", values=4),
    Rule(BEAM, "-lambda -wavelength", "A", "wavelength", "wavelength (default 1)", needles="-lambda -wave"),
    Rule(BEAM, "-energy", "eV", "wavelength", "wavelength from the photon energy"),
    Rule(BEAM, "-fluence", "number", "fluence", "photons per square metre (default 1.26e29)", "PH/M2"),
    Rule(BEAM, "-flux", "number", "flux", "photons per second; with -exposure and -beamsize sets the fluence", "PH/S"),
    Rule(BEAM, "-exposure", "number", "exposure", "exposure time (default 1)", "S"),
    Rule(BEAM, "-beamsize", "mm", "beamsize", "edge of the square beam (default 0.1)"),
    Rule(SAMPLING, "-mosaic", "deg", "mosaic_spread", "mosaic spread, isotropic; 90 for a powder", match="is"),
    Rule(
        SAMPLING,
        "-mosaicity -mosaic_spread",
        "deg",
        "mosaic_spread",
        "the same as -mosaic",
        needles="-mosaici -mosaic_spr",
    ),
    Rule(
        SAMPLING,
        "-mosaic_domains",
        "int",
        "mosaic_domains",
        "mosaic domains (default 10, with -mosaic)",
        needles="-mosaic_dom",
    ),
    Rule(BEAM, "-dispersion", "percent", "dispersion", "full range of wavelengths"),
    Rule(BEAM, "-dispsteps", "int", "dispsteps", "wavelengths in that range"),
    Rule(BEAM, "-divergence", "mrad", "hdivrange vdivrange", "full range of beam directions, both ways"),
    Rule(BEAM, "-hdivrange", "mrad", "hdivrange", "the same, horizontally"),
    Rule(BEAM, "-vdivrange", "mrad", "vdivrange", "the same, vertically"),
    Rule(BEAM, "-hdivstep", "mrad", "hdivstep", "step between horizontal directions", match="is"),
    Rule(BEAM, "-hdivsteps", "int", "hdivsteps", "number of horizontal directions"),
    Rule(BEAM, "-vdivstep", "mrad", "vdivstep", "step between vertical directions", match="is"),
    Rule(BEAM, "-vdivsteps", "int", "vdivsteps", "number of vertical directions"),
    Rule(BEAM, "-divsteps", "int", "hdivsteps vdivsteps", "both numbers"),
    switch(BEAM, "-round_div", (("round_div", True),), "directions within an ellipse (default)"),
    switch(BEAM, "-square_div", (("round_div", False),), "directions within a rectangle"),
    Rule(OUTPUT, "-adc", "number", "adc_offset", "pixel value of zero photons (default 40)"),
    Rule(SAMPLING, "-phi", "deg", "phi0", "spindle angle at the start (default 0)", match="is"),
    Rule(SAMPLING, "-osc", "deg", "osc", "spindle rotation during the image (default 0)"),
    Rule(SAMPLING, "-phistep", "deg", "phistep", "step of the spindle", match="is"),
    Rule(SAMPLING, "-phisteps", "int", "phisteps", "number of steps"),
    Rule(SAMPLING, "-dmin", "A_dmin", "dmin", "leave out what diffracts beyond this resolution"),
    Rule(CRYSTAL, "-mat", "word", "matrix_file", "orientation matrix as MOSFLM writes it"),
    Rule(FACTORS, "-hkl", "word", "hkl_file", "structure factors: lines of h k l F, space group P1"),
    Rule(FACTORS, "-default_F", "number", "default_F", "amplitude of every index not in the file (default 0)"),
    Rule(
        FACTORS,
        "-dump",
        "word",
        "dump_file",
        "binary copy of the -hkl file, read without -hkl (Fdump.bin)",
        sets=(("dump_named", True),),
    ),
    Rule(DETECTOR, "-img", "word", "img_file", "take the geometry from the header of this image", first_pass=True),
    Rule(
        DETECTOR,
        "-mask",
        "word",
        "mask_file",
        "leave out the pixels that are 0 in this image; its header counts as with -img",
        first_pass=True,
    ),
    Rule(INERT, "-stolout", "word", "stolout_file", "name of a file that is not written"),
    Rule(
        INERT,
        "-stol",
        "word",
        "stol_file",
        "amorphous scattering against sin(theta)/lambda; the file has to exist",
        sets=(("stol_mult", 1e10),),
        match="is",
    ),
    Rule(
        INERT,
        "-4stol",
        "word",
        "stol_file",
        "the same, 4 sin(theta)/lambda",
        sets=(("stol_mult", 1e10 / 4),),
        match="is",
    ),
    Rule(
        INERT,
        "-Q",
        "word",
        "stol_file",
        "the same, 4 pi sin(theta)/lambda",
        sets=(("stol_mult", 1e10 / pi / 4),),
        match="is",
    ),
    Rule(BEAM, "-sourcefile", "word", "source_file", "x-ray sources: lines of x y z weight wavelength"),
    Rule(OUTPUT, "-floatfile -floatimage", "word", "float_file", "raw image of 4-byte floats (floatimage.bin)"),
    Rule(OUTPUT, "-intfile -intimage", "word", "int_file", "image without noise (intimage.img)"),
    Rule(OUTPUT, "-pgmfile -pgmimage", "word", "pgm_file", "greyscale picture (image.pgm)", sets=_PGM_ON),
    Rule(
        OUTPUT,
        "-noisefile -noiseimage",
        "word",
        "noise_file",
        "image with photon noise (noiseimage.img)",
        sets=_NOISE_ON,
    ),
    switch(OUTPUT, "-nonoise", (("write_noise", False),), "no image with noise"),
    switch(OUTPUT, "-nopgm", (("write_pgm", False),), "no greyscale picture"),
    Rule(OUTPUT, "-scale", "number", "scale", "scale of the image without noise (default: automatic)"),
    Rule(OUTPUT, "-pgmscale", "number", "pgm_scale", "scale of the greyscale picture", sets=_PGM_ON),
    switch(INERT, "-coherent", (("coherent", True),), "coherent sources"),
    switch(OUTPUT, "-printout", (("printout", True),), "print every pixel"),
    switch(OUTPUT, "-noprogress", (("progress", False),), "no progress meter"),
    switch(OUTPUT, "-progress", (("progress", True),), "progress meter (default)"),
    switch(
        FACTORS,
        "-interpolate",
        (("interpolate", 1),),
        "interpolate between indices (default: if Na, Nb or Nc is below 3)",
    ),
    switch(FACTORS, "-nointerpolate", (("interpolate", 0),), "use the nearest index"),
    switch(CRYSTAL, "-round_xtal", (("shape", "round"),), "spots of an ellipsoidal crystal"),
    switch(CRYSTAL, "-square_xtal", (("shape", "square"),), "spots of a parallelepiped crystal (default)"),
    switch(CRYSTAL, "-gauss_xtal", (("shape", "gauss"),), "Gaussian spots"),
    switch(CRYSTAL, "-tophat_spots -binary_spots", (("shape", "tophat"),), "top-hat spots"),
    Rule(CRYSTAL, "-fudge", "number", "fudge", "width of the spots (default 1)"),
    Rule(OUTPUT, "-printout_pixel", "int", "printout_pixel", "print this pixel only", "FAST SLOW", values=2),
    Rule(RANDOM, "-seed", "seed", "seed", "of the noise (default: the time)"),
    Rule(RANDOM, "-mosaic_seed", "seed", "mosaic_seed", "of the mosaic domains (default 12345678)"),
    Rule(
        RANDOM,
        "-misset_seed",
        "seed",
        "misset_seed",
        "of -misset random (default: the time); fires -misset too: put it last",
    ),
    Rule(SAMPLING, "-water", "um_water", "water", "background of so much water"),
    own(
        "-physics",
        "choice",
        "physics",
        "exact: without what the reference gets wrong (default reference)",
        "exact|reference",
    ),
    own("-spot_width", "choice", "spot_width", "of Gaussian and top-hat spots (default exact)", "exact|simtbx"),
    own("-mosaic_model", "choice", "mosaic_model", "how domains are spread (default cap)", "cap|gauss"),
    own("-spectrum", "word", "spectrum_file", "of the beam: lines of a wavelength (A) and its weight", "FILE"),
    own("-aniso_mosaic", "deg", "mosaic_spreads", "normal mosaic spreads about a*, towards b*, and c*", "A B C"),
    own("-domain_file", "word", "domain_file", "rotations of the mosaic domains: rows of 9 numbers, a weight", "FILE"),
    own("-compat", "choice", "compat", "c: reproduce the defects of the reference as well (default spec)", "c|spec"),
    own("-threads", "count", "threads", "threads (0: OMP_NUM_THREADS, or else every core; the default)"),
    own("-backend", "choice", "backend", "where to compute (default cpu)", "cpu|gpu|auto"),
    own("-device", "count", "device", "which GPU (default 0)"),
    own("-precision", "choice", "precision", "of the lattice transform (default double)", "double|single"),
    own("-noise_rng", "choice", "noise_rng", "random numbers of the noise (default ran1)", "ran1|philox"),
    own("-trace_pixel", "count", "trace_pixel", "print how this pixel comes about", "SLOW FAST"),
    own("-geometry", "word", "geometry_file", "panels of a DIALS .expt, CrystFEL .geom or NXmx file", "FILE"),
    own("-timing", None, "timing", "print how long each stage took"),
    own("-version", None, "show_version", "print the version and stop"),
    own("-help -h", None, "show_help", "print this text and stop"),
    _retired("-detsize_x", "MM", "use -detsize_f"),
    _retired("-detsize_y", "MM", "use -detsize_s"),
    _retired("-xdet_vector", "X Y Z", "use -fdet_vector"),
    _retired("-ydet_vector", "X Y Z", "use -sdet_vector"),
    _retired("-zdet_vector", "X Y Z", "use -odet_vector"),
    _retired("-hdiv", "MRAD", "use -hdivrange"),
    _retired("-vdiv", "MRAD", "use -vdivrange"),
    _retired("-dispstep", "N", "use -dispsteps"),
    _retired("-source_distance", "MM", "sources are at 10 m; use -sourcefile to place them"),
)

TABLE = Table("nanoBragg", RULES, Options, GROUPS)
#: the table's methods under the names by which they are known, as nanoBragg's command line is read everywhere
parse = TABLE.parse
matching_rules = TABLE.matching_rules
nearest_flag = TABLE.nearest_flag
unknown_flags = TABLE.unknown_flags
warning_sentences = TABLE.warning_sentences


def flag_name(options: "Any", value: "Any" = None) -> "Any":
    """What options, or a value that a switch gives them, are called, and the unit of their values; see `Sentence`."""
    from .names import flag_name

    return flag_name(RULES, options, value)


Sentence.flag_name = staticmethod(flag_name)


def prescan(argv: "Any") -> "tuple[Any, Any]":
    """The first pass: ``(mask_file, img_file)``, names or None, whose headers count before any flag does."""
    found = TABLE.prescan(argv)
    return found["mask_file"], found["img_file"]
