"""Options from which no image can follow, found before anything is computed."""

import os
from math import isfinite

from ...errors import NanoBraggError

#: options that must be finite numbers, and the flags that set them
FINITE = {
    "pixel_size": "-pixel",
    "distance": "-distance",
    "detsize_f": "-detsize_f",
    "detsize_s": "-detsize_s",
    "detector_rotx": "-detector_rotx",
    "detector_roty": "-detector_roty",
    "detector_rotz": "-detector_rotz",
    "twotheta": "-twotheta",
    "fdet_vector": "-fdet_vector",
    "sdet_vector": "-sdet_vector",
    "odet_vector": "-odet_vector",
    "beam_vector": "-beam_vector",
    "polar_vector": "-polar_vector",
    "spindle_axis": "-spindle_axis",
    "twotheta_axis": "-twotheta_axis",
    "detector_thick": "-detector_thick",
    "detector_mu": "-detector_abs",
    "wavelength": "-lambda (or -energy)",
    "fluence": "-fluence",
    "flux": "-flux",
    "exposure": "-exposure",
    "beamsize": "-beamsize",
    "polarization": "-polar",
    "dispersion": "-dispersion",
    "hdivrange": "-hdivrange",
    "hdivstep": "-hdivstep",
    "vdivrange": "-vdivrange",
    "vdivstep": "-vdivstep",
    "sample_x": "-xtal_x",
    "sample_y": "-xtal_y",
    "sample_z": "-xtal_z",
    "cell_lengths": "-cell",
    "cell_angles": "-cell",
    "misset": "-misset",
    "mosaic_spread": "-mosaic",
    "fudge": "-fudge",
    "phi0": "-phi",
    "osc": "-osc",
    "phistep": "-phistep",
    "dmin": "-dmin",
    "water": "-water",
    "default_F": "-default_F",
    "scale": "-scale",
    "pgm_scale": "-pgmscale",
    "adc_offset": "-adc",
}
#: options that are nan when not given, and otherwise must be finite
FINITE_OR_UNSET = {
    "close_distance": "-close_distance",
    "Xbeam": "-Xbeam",
    "Ybeam": "-Ybeam",
    "Xclose": "-Xclose",
    "Yclose": "-Yclose",
    "ORGX": "-ORGX",
    "ORGY": "-ORGY",
}
#: options whose negative values make no physical sense; the reference renders them all the same
POSITIVE = {
    "pixel_size": "-pixel",
    "wavelength": "-lambda (or -energy)",
    "distance": "-distance",
    "close_distance": "-close_distance",
    "fluence": "-fluence",
}


def check_numbers(options):
    """Raise for options that are no finite numbers, or are 0 where nothing could be rendered."""
    for fields, may_be_unset in ((FINITE, False), (FINITE_OR_UNSET, True)):
        for name, flag in fields.items():
            value = getattr(options, name)
            for number in value if isinstance(value, tuple) else (value,):
                if not isfinite(number) and not (may_be_unset and number != number):
                    raise NanoBraggError(f"{flag} does not take {number}; give a finite number")
    if options.wavelength == 0.0:
        raise NanoBraggError("-lambda (or -energy) does not take 0; give a wavelength in Angstrom")
    if options.pixel_size == 0.0:
        raise NanoBraggError("-pixel does not take 0; give the size of a pixel in mm")


def remark_on_signs(options, remark):
    """Tell of values that make no physical sense and are rendered all the same."""
    for name, flag in POSITIVE.items():
        if getattr(options, name) < 0.0:
            remark(f"{flag} is negative, which makes no physical sense; the image is rendered all the same")


def _physical_memory():
    """Bytes of memory that this machine has; infinite where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")


def check_memory(sources, phisteps, domains, layers):
    """Raise before lists and tables are begun that this machine cannot hold; the sizes of their entries are rough."""
    available = _physical_memory()
    for needed, what, flags in (
        (400 * sources, f"{sources} sources", "-hdivsteps, -vdivsteps or -dispsteps"),
        ((72 * domains + 100) * phisteps, f"{phisteps} phi steps of {domains} domains", "-phisteps or -mosaic_domains"),
        (100 * layers, f"{layers} sensor layers", "-detector_thicksteps"),
    ):
        if needed > available:
            raise NanoBraggError(
                f"{what} need {needed / 2**30:.3g} GiB and this machine has {available / 2**30:.3g}; reduce {flags}"
            )
