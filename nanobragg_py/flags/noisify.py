"""noisify's flag table: every rule of its command line, in the order in which the reference tries them.

See nanobragg_py/flags/nanobragg.py, whose machinery this is, and `Rule` for what a row says.
"""

from .parser import INERT, OWN, OptionRecord, Rule, Table, own, switch

INPUT = "Input"
NOISE = "Noise"
SPREAD = "Point spread"
OUTPUT = "Output"
HEADER = "Header of the images"

#: the order in which people are shown the groups
GROUPS = (INPUT, NOISE, SPREAD, OUTPUT, HEADER, INERT, OWN)

NAN = float("nan")

#: every option with its default; lengths are in metres, other numbers as the flags take them
DEFAULTS = {
    "input_file": None,
    "header_file": None,
    "xpixels": 0,  # fast
    "ypixels": 0,  # slow
    "detsize_x": 102.4e-3,
    "detsize_y": 102.4e-3,
    "pixel_size": 0.1e-3,
    "fluence": 125932015286227086360700780544.0,
    "scale": 1.0,
    "gain": 1.0,
    "adc_offset": 40.0,
    "readout": 0.0,
    "flicker": 0.0,
    "calibration": 0.03,
    "seed": None,  # negated; None: the time
    "calib_seed": 123456789,  # negated, or, if nobody gave one, not
    "psf": None,  # gauss, fiber
    "psf_fwhm": 4.600000102072954e-05,  # a float32
    "psf_radius": 0,  # 0: automatic
    "bits": 16,
    "int_file": "intimage.img",
    "pgm_file": "image.pgm",
    "noise_file": "noiseimage.img",
    "write_noise": True,
    "write_pgm": True,
    "wavelength": 1.0,  # Angstrom
    "distance": 100.0e-3,
    "Xbeam": -1e99,  # this and less: the middle of the detector
    "Ybeam": -1e99,
    "phi": 0.0,
    "osc": 1.0,
    "badpix_seed": None,  # read, without effect
    "hotpix_seed": None,
    # our own
    "compat": "spec",  # spec, c
    "threads": 0,  # 0: OMP_NUM_THREADS, else every core this process may use
    "psf_method": "exact",  # exact, fft
    "timing": False,
    "show_version": False,
    "show_help": False,
}


class NoisifyOptions(OptionRecord):
    """The options of a command line of noisify."""

    defaults = DEFAULTS


RULES = (
    Rule(
        INPUT,
        "floatimage.bin",
        "word",
        "input_file",
        "a token with these letters anywhere is the input, even one that an output was to be named",
        "",
        match="bare",
    ),
    Rule(HEADER, "-lambda", "number", "wavelength", "wavelength (default 1)", "ANGSTROM"),
    Rule(HEADER, "-Xbeam", "mm", "Xbeam", "beam centre (default: the middle)"),
    Rule(HEADER, "-Ybeam", "mm", "Ybeam", "beam centre (default: the middle)"),
    Rule(HEADER, "-distance", "mm", "distance", "sample to detector (default 100)"),
    Rule(INPUT, "-detsize", "mm", "detsize_x detsize_y", "edges, where no pixel counts can be had", match="is"),
    Rule(INPUT, "-detsize_x", "mm", "detsize_x", "edge along fast"),
    Rule(INPUT, "-detsize_y", "mm", "detsize_y", "edge along slow"),
    Rule(INPUT, "-detpixels", "int", "xpixels ypixels", "pixels along both edges (default: guessed)", match="is"),
    Rule(INPUT, "-detpixels_x", "int", "xpixels", "pixels along fast"),
    Rule(INPUT, "-detpixels_y", "int", "ypixels", "pixels along slow"),
    Rule(INPUT, "-pixel", "mm", "pixel_size", "edge of a pixel (default 0.1)"),
    Rule(
        SPREAD,
        "-psf",
        "word",
        "psf",
        "kind of point spread (default: none)",
        "gauss|fiber",
        sets=(("psf", None),),
        match="is",
        action="words",
        choices=("gauss", "fiber"),
    ),
    Rule(
        SPREAD,
        "-psf_radius",
        "truncated",
        "psf_radius",
        "pixels around a pixel that get some of its photons (default 0: automatic)",
        needles="-psf_rad",
    ),
    Rule(
        SPREAD,
        "-psf_fwhm -psf_width -psf_size",
        "um_float32",
        "psf_fwhm",
        "full width at half maximum (default 46)",
        needles="-psf_si -psf_fw -psf_wi",
    ),
    Rule(INPUT, "-fluence", "number", "fluence", "scales the input; 1.26e29, the default, stands for 1", "PH/M2"),
    Rule(INPUT, "-floatfile -floatimage -bin", "word", "input_file", "raw image of 4-byte floats, photons per pixel"),
    Rule(INPUT, "-header", "word", "header_file", "take sizes and geometry from this SMV image, and copy its header"),
    Rule(OUTPUT, "-pgmfile -pgmimage", "word", "pgm_file", "greyscale picture (image.pgm)"),
    Rule(OUTPUT, "-intfile -intimage", "word", "int_file", "image without noise (intimage.img)"),
    Rule(OUTPUT, "-bits", "int", "bits", "of a pixel of the images: 16 (default) or 32"),
    Rule(OUTPUT, "-noisefile -noiseimage", "word", "noise_file", "image with noise (noiseimage.img)"),
    switch(OUTPUT, "-nonoise", (("write_noise", False),), "no image with noise"),
    switch(OUTPUT, "-nopgm", (("write_pgm", False),), "no greyscale picture"),
    Rule(
        NOISE,
        "-readout_noise -readnoise",
        "number",
        "readout",
        "read-out noise, root mean square (default 0)",
        "ADU",
        needles="-readout -readnoi",
    ),
    Rule(NOISE, "-flicker", "number", "flicker", "relative error of the source from pixel to pixel (default 0)"),
    Rule(NOISE, "-calibration", "number", "calibration", "relative error of each pixel (default 0.03)"),
    Rule(INPUT, "-scale", "number", "scale", "factor that makes photons of the input (default 1)"),
    Rule(NOISE, "-seed", "seed", "seed", "of all but calibration (default: the time)"),
    Rule(NOISE, "-calib_seed", "seed", "calib_seed", "of calibration"),
    Rule(INERT, "-badpix_seed", "seed", "badpix_seed", "read, and not used"),
    Rule(INERT, "-hotpix_seed", "seed", "hotpix_seed", "read, and not used"),
    Rule(OUTPUT, "-adc", "number", "adc_offset", "pixel value of zero photons (default 40)", "ADU"),
    Rule(OUTPUT, "-gain", "number", "gain", "pixel value per photon (default 1)", "ADU"),
    Rule(HEADER, "-phi", "number", "phi", "spindle angle at the start (default 0)", "DEG"),
    Rule(HEADER, "-osc", "number", "osc", "spindle rotation during the image (default 1)", "DEG"),
    own("-compat", "choice", "compat", "c: negative pixels as the reference has them (default spec: 0)", "c|spec"),
    own("-threads", "count", "threads", "threads (0: OMP_NUM_THREADS, or else every core; the default)"),
    own("-psf_method", "choice", "psf_method", "fft: point spread by Fourier transform (default exact)", "exact|fft"),
    own("-timing", None, "timing", "print how long each stage took"),
    own("-version", None, "show_version", "print the version and stop"),
    own("-help -h", None, "show_help", "print this text and stop"),
)

TABLE = Table("noisify", RULES, NoisifyOptions, GROUPS)
