"""nanobragg_py: X-ray diffraction images of nanocrystals, a drop-in replacement for nanoBragg.

The names below are loaded when they are first used, so that the drop-in program, which needs none of them, starts at
once, and ``import nanobragg_py`` costs nothing.
"""

import os
import sys

__version__ = "0.1.0"

#: public names and the modules they come from
_PUBLIC = {
    "Background": "render.amorphous",
    "Beam": "experiment.parts",
    "Crystal": "experiment.parts",
    "Detector": "experiment.parts",
    "Experiment": "api",
    "FieldError": "errors",
    "NanoBraggError": "errors",
    "NanoBraggWarning": "hints",
    "Panel": "experiment.panels",
    "Response": "render.response",
    "Sampling": "experiment.parts",
    "Statistics": "render.simulate",
    "StructureFactors": "experiment.resolved",
    "add_noise": "render.images",
    "axis_rotation": "orientation",
    "b_matrix": "orientation",
    "cell_of": "orientation",
    "gauss_spectrum": "experiment.spectra",
    "missets_to_rotation": "orientation",
    "read_panels": "files.detectors.read",
    "random_rotations": "orientation",
    "rotation_to_missets": "orientation",
    "sase_spectrum": "experiment.spectra",
    "split_UB": "orientation",
    "two_colour_spectrum": "experiment.spectra",
}

__all__ = ["__version__", *_PUBLIC]

#: for type checkers, which take it for true, without the cost of the module typing
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .api import Experiment as Experiment
    from .errors import FieldError as FieldError
    from .errors import NanoBraggError as NanoBraggError
    from .experiment.panels import Panel as Panel
    from .experiment.parts import Beam as Beam
    from .experiment.parts import Crystal as Crystal
    from .experiment.parts import Detector as Detector
    from .experiment.parts import Sampling as Sampling
    from .experiment.resolved import StructureFactors as StructureFactors
    from .experiment.spectra import gauss_spectrum as gauss_spectrum
    from .experiment.spectra import sase_spectrum as sase_spectrum
    from .experiment.spectra import two_colour_spectrum as two_colour_spectrum
    from .files.detectors.read import read_panels as read_panels
    from .hints import NanoBraggWarning as NanoBraggWarning
    from .orientation import axis_rotation as axis_rotation
    from .orientation import b_matrix as b_matrix
    from .orientation import cell_of as cell_of
    from .orientation import missets_to_rotation as missets_to_rotation
    from .orientation import random_rotations as random_rotations
    from .orientation import rotation_to_missets as rotation_to_missets
    from .orientation import split_UB as split_UB
    from .render.amorphous import Background as Background
    from .render.images import add_noise as add_noise
    from .render.response import Response as Response
    from .render.simulate import Statistics as Statistics


def __getattr__(name: str) -> "Any":
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *_PUBLIC})


def _find_spec(name: str, path: "Any" = None, target: "Any" = None) -> "Any":
    """Python's last resort for a module: some compiled ones of subpackages have one file, which startup.py knows."""
    if not name.startswith(f"{__name__}.") or name.count(".") == 1:
        return None
    from .startup import find_spec

    return find_spec(name)


if not os.path.isdir(f"{__path__[0]}/kernels"):
    from .checkout import step_aside

    step_aside(sys.modules[__name__])
elif "_finder" not in globals():  # the package may be loaded again
    _finder = type(sys.implementation)(find_spec=_find_spec)  # type: ignore[call-arg]
    sys.meta_path.append(_finder)
