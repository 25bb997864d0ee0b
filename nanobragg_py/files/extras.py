"""Libraries that only some installations have."""

from importlib import import_module

from ..errors import NanoBraggError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def need(module: "Any", extra: "Any", purpose: str) -> "Any":
    """The imported `module`; NanoBraggError that names the extra to install when it is missing.

    purpose: what it is needed for, as in "NeXus files need h5py".
    """
    try:
        return import_module(module)
    except ImportError:
        name = module.partition(".")[0].replace("PIL", "pillow")
        raise NanoBraggError(f"{purpose} need {name}: pip install 'nanobragg-py[{extra}]'") from None
