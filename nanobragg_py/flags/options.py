"""What a command line (and the headers it names) said, in SI units, before anything follows from anything.

The names and the values that mean "not given" (nan, -1, None) are those that the rules of the flag table and the
defaults of `resolve` are written against; the reference program uses the same sentinels, so a user who gives one of
them as a value (``-osc -1``) gets the same result from both.
"""

from .parser import OptionRecord

NAN = float("nan")

#: every option with its default; see docs/flags.md for the flags that set them
DEFAULTS = {
    # detector
    "convention": "MOSFLM",  # ADXV MOSFLM DENZO XDS DIALS CUSTOM
    "pivot": "beam",  # beam, sample
    "pixel_size": 0.1e-3,
    "distance": 100.0e-3,
    "close_distance": NAN,
    "detsize_f": 102.4e-3,
    "detsize_s": 102.4e-3,
    "fpixels": 0,
    "spixels": 0,
    "detector_rotx": 0.0,
    "detector_roty": 0.0,
    "detector_rotz": 0.0,
    "twotheta": 0.0,
    "Xbeam": NAN,
    "Ybeam": NAN,
    "Xclose": NAN,
    "Yclose": NAN,
    "ORGX": NAN,
    "ORGY": NAN,
    "fdet_vector": (0.0, 0.0, 1.0),
    "sdet_vector": (0.0, -1.0, 0.0),
    "odet_vector": (1.0, 0.0, 0.0),
    "beam_vector": (1.0, 0.0, 0.0),
    "polar_vector": (0.0, 0.0, 1.0),
    "spindle_axis": (0.0, 0.0, 1.0),
    "twotheta_axis": (0.0, 1.0, 0.0),
    "pix0_vector": None,  # read, and overwritten later by everything
    "curved_det": False,
    "point_pixel": False,
    "detector_thick": 0.0,
    "detector_thickstep": -1.0,
    "detector_thicksteps": -1,
    "detector_mu": -1.0,
    "roi": (-1, -1, -1, -1),  # xmin xmax ymin ymax
    "mask_file": None,
    "img_file": None,
    # beam
    "wavelength": 1.0e-10,
    "fluence": 125932015286227086360700780544.0,
    "flux": 0.0,
    "exposure": 1.0,
    "beamsize": 1e-4,
    "polarization": 0.0,
    "nopolar": False,
    "dispersion": 0.0,
    "dispstep": -1.0,
    "dispsteps": -1,
    "hdivrange": -1.0,
    "hdivstep": -1.0,
    "hdivsteps": -1,
    "vdivrange": -1.0,
    "vdivstep": -1.0,
    "vdivsteps": -1,
    "round_div": True,
    "source_file": None,
    # crystal
    "Na": 1.0,
    "Nb": 1.0,
    "Nc": 1.0,
    "sample_x": 0.0,
    "sample_y": 0.0,
    "sample_z": 0.0,
    "density": None,  # read, without effect
    "molecular_weight": None,  # read, without effect
    "user_cell": False,
    "cell_lengths": (0.0, 0.0, 0.0),  # Angstrom
    "cell_angles": (0.0, 0.0, 0.0),  # radians
    "misset_mode": "none",  # none, angles, random
    "misset": (0.0, 0.0, 0.0),
    "matrix_file": None,
    "mosaic_spread": -1.0,
    "mosaic_domains": -1,
    "shape": "square",
    "fudge": 1.0,
    # seeds, negated as the generator wants them; None: the time
    "seed": None,
    "mosaic_seed": -12345678,
    "misset_seed": None,
    # sampling
    "oversample": -1,
    "oversample_thick": False,
    "oversample_polar": False,
    "oversample_omega": False,
    "phi0": 0.0,
    "osc": -1.0,
    "phistep": -1.0,
    "phisteps": -1,
    "dmin": 0.0,
    "interpolate": 2,  # 0 off, 1 on, 2 decide
    "water": 0.0,
    # structure factors
    "hkl_file": None,
    "dump_file": "Fdump.bin",
    "dump_named": False,
    "default_F": 0.0,
    "stol_file": None,
    "stol_mult": 1e10,
    "stolout_file": "output.stol",  # read, without effect
    "coherent": False,  # read, without effect
    # outputs
    "float_file": "floatimage.bin",
    "int_file": "intimage.img",
    "pgm_file": "image.pgm",
    "noise_file": "noiseimage.img",
    "write_pgm": True,
    "write_noise": True,
    "scale": 0.0,
    "pgm_scale": 0.0,
    "adc_offset": 40.0,
    "printout": False,
    "printout_pixel": (-1, -1),  # fast slow
    "progress": True,
    # our own
    "physics": "reference",  # reference, exact
    "spot_width": "exact",  # exact, simtbx
    "mosaic_model": "cap",  # cap, gauss
    "mosaic_spreads": None,  # about three axes
    "domain_file": None,
    "compat": "spec",  # spec, c
    "threads": 0,  # 0: OMP_NUM_THREADS, else every core this process may use
    "backend": "cpu",  # cpu, gpu, auto
    "device": 0,
    "precision": "double",  # double, single
    "noise_rng": "ran1",  # ran1, philox
    "timing": False,
    "spectrum_file": None,
    "trace_pixel": None,  # (slow, fast)
    "geometry_file": None,
    "show_version": False,
    "show_help": False,
}


class Options(OptionRecord):
    """The options of a command line of nanoBragg."""

    defaults = DEFAULTS
