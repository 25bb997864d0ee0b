"""Options from which no image can follow, found before anything is computed."""

from math import isfinite

from ...errors import OptionError, Sentence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: options that must be finite numbers
FINITE = (
    *("pixel_size", "distance", "detsize_f", "detsize_s", "detector_rotx", "detector_roty", "detector_rotz"),
    *("twotheta", "fdet_vector", "sdet_vector", "odet_vector", "beam_vector", "polar_vector", "spindle_axis"),
    *("twotheta_axis", "detector_thick", "detector_mu", "wavelength", "fluence", "flux", "exposure", "beamsize"),
    *("polarization", "dispersion", "hdivrange", "hdivstep", "vdivrange", "vdivstep", "sample_x", "sample_y"),
    *("sample_z", "cell_lengths", "cell_angles", "misset", "mosaic_spread", "fudge", "phi0", "osc", "phistep"),
    *("dmin", "water", "default_F", "scale", "pgm_scale", "adc_offset"),
)
#: options that are nan when not given, and otherwise must be finite
FINITE_OR_UNSET = ("close_distance", "Xbeam", "Ybeam", "Xclose", "Yclose", "ORGX", "ORGY")
#: options whose negative values make no physical sense; the reference renders them all the same
#: bytes that are asked for before they are taken (nanobragg_py.memory)
LARGE = 2**28
POSITIVE = ("pixel_size", "wavelength", "distance", "close_distance", "fluence")


def check_numbers(options: "Any", finite: "Any" = FINITE) -> None:
    """Raise for options that are no finite numbers, or are 0 where nothing could be rendered.

    finite: the options that have to be.
    """
    for names, may_be_unset in ((finite, False), (FINITE_OR_UNSET, True)):
        for name in names:
            value = getattr(options, name)
            for number in value if isinstance(value, tuple) else (value,):
                if not isfinite(number) and not (may_be_unset and number != number):
                    raise OptionError(f"{{{name}}} does not take {number}; give a finite number")
    if options.wavelength == 0.0:
        raise OptionError("{wavelength} does not take 0; give a wavelength in {wavelength.unit}")
    if options.pixel_size == 0.0:
        raise OptionError("{pixel_size} does not take 0; give the size of a pixel in {pixel_size.unit}")


def remark_on_signs(options: "Any", remark: "Any") -> None:
    """Tell of values that make no physical sense and are rendered all the same."""
    for name in POSITIVE:
        if getattr(options, name) < 0.0:
            text = f"{{{name}}} is negative, which makes no physical sense; the image is rendered all the same"
            remark(Sentence(text))


def check_memory(sources: "Any", phisteps: int, domains: int, layers: int) -> None:
    """Raise before lists and tables are begun that this machine cannot hold; the sizes of their entries are rough."""
    for needed, what, which in (
        (400 * sources, f"{sources} sources", "{hdivsteps}, {vdivsteps} or {dispsteps}"),
        (
            (72 * domains + 100) * phisteps,
            f"{phisteps} phi steps of {domains} domains",
            "{phisteps} or {mosaic_domains}",
        ),
        (100 * layers, f"{layers} sensor layers", "{detector_thicksteps}"),
    ):
        if needed > LARGE:
            from ...memory import shortage

            if said := shortage(needed):
                raise OptionError(f"{what} need {said}, or reduce {which}")
