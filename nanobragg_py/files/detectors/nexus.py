"""The detector of an NXmx file: each of its modules is a panel.

NXmx names the sensor's material and thickness but not its attenuation, so panels have no sensor here.
"""

from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..extras import need
from ..heaps import check_heaps
from ..nexus_read import module_plane, rotation_of, text_of, wavelength_of
from ..panels import PanelGeometry, Plane

MAGIC = b"\x89HDF\r\n\x1a\n"


def read(path: Any) -> PanelGeometry:
    """The PanelGeometry of an NXmx file, in the McStas frame; NanoBraggError where it tells too little."""
    h5py = need("h5py", "hdf5", "HDF5 files")
    check_heaps(path)
    try:
        with h5py.File(path, "r") as file:
            return geometry_of(h5py, file)
    except NanoBraggError as error:
        raise NanoBraggError(f"{path}: {error}") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise NanoBraggError(f"{path} states no usable detector: {error}") from None


def geometry_of(h5py: Any, file: Any) -> PanelGeometry:
    """The PanelGeometry of an open file."""
    found: list[Any] = []
    file.visititems(
        lambda name, group: (
            found.append(group)
            if isinstance(group, h5py.Group) and text_of(group.attrs.get("NX_class", "")) == "NXdetector_module"
            else None
        )
    )
    if not found:
        raise NanoBraggError("it has no NXdetector_module, which is how NXmx states where panels are")
    entries = [group for group in file.values() if text_of(group.attrs.get("NX_class", "")) == "NXentry"]
    if not entries:
        raise NanoBraggError("it has no NXentry, in which NXmx states beam and rotation")
    entry = entries[0]
    panels = []
    for module in found:
        plane = module_plane(entry, module)
        slow, fast = (int(x) for x in np.asarray(module["data_size"]).ravel()[-2:])
        corner = None
        if "data_origin" in module:
            corner = tuple(int(x) for x in np.asarray(module["data_origin"]).ravel()[-2:])
        panels.append(
            Plane(
                name=module.name.rpartition("/")[2],
                fpixels=fast,
                spixels=slow,
                corner=corner,
                pixel_size=plane["pixel_size"],
                **{name: tuple(map(float, plane[name])) for name in ("origin", "fast", "slow")},
            )
        )
    wavelength = None
    for place in ("instrument/beam", "sample/beam"):
        if f"{place}/incident_wavelength" in entry:
            wavelength = wavelength_of(entry[place], 0)
            if not wavelength > 0.0:
                raise NanoBraggError(f"its {place}/incident_wavelength is none")
            break
    spindle = tuple(float(x) for x in rotation_of(entry, 0)[0])
    return PanelGeometry(beam=(0.0, 0.0, 1.0), spindle=spindle, panels=tuple(panels), wavelength=wavelength)
