"""The methods of an `Experiment` that write its images, and write and read itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike


class Storable:
    """What `nanobragg_py.Experiment` inherits."""

    def to_smv(
        self,
        path: str | os.PathLike[str],
        image: ArrayLike,
        scale: float | None = None,
        adc: float = 40.0,
        offset: float | None = None,
    ) -> None:
        """Write an image of this experiment as SMV (ADSC), with the reference's header.

        image: (slow, fast); uint16 (of `add_noise`) is written as it is, float32 as image * scale + adc, rounded and
        clipped to 0..65535. scale: None: such that the largest value becomes 55000, as the program does. offset: counts
        of no photon, told as ADC_OFFSET, where dxtbx looks for it (and else takes 1); None: not, as the program.
        Raises NanoBraggError when the file cannot be written; nothing half-written stays behind.
        """
        from .images import to_smv

        to_smv(self, path, image, scale, adc, offset)

    def to_cbf(
        self,
        path: str | os.PathLike[str],
        image: ArrayLike,
        full: bool = False,
        *,
        gain: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        """Write an image of this experiment as CBF with a header as Pilatus detectors write it, beam, detector and
        rotation in it; floats are rounded to whole photons.

        full: a full imgCIF header, from which DIALS takes the polarization as well; detectors that are turned always
        have one. gain: counts a photon, offset: counts of no photon, as the header is to say (of images out of a
        `Response`, or of `add_noise` with its adc). Raises NanoBraggError as `to_smv`.
        """
        from .images import to_cbf

        to_cbf(self, path, image, full, gain=gain, offset=offset)

    def to_nexus(
        self,
        path: str | os.PathLike[str],
        images: Any,
        compression: str = "gzip",
        *,
        gain: float = 1.0,
        offset: float = 0.0,
        sensor_material: str = "Si",
    ) -> None:
        """Write images of this experiment as one NXmx file, with its geometry; panels are modules of their own.

        images: one as of `render`, or a sequence of them, each an oscillation after the one before. Pixels keep their
        type. compression: "gzip", "lz4", "bslz4" or "none". gain: counts a photon, offset: counts of no photon, as the
        file is to say. sensor_material: "Si", "CdTe" or "GaAs", from which DIALS works out how far photons go in it.
        Raises NanoBraggError, also without h5py.
        """
        from .images import to_nexus

        to_nexus(self, path, images, compression, gain=gain, offset=offset, material=sensor_material)

    def to_dict(self, tables: str = "embed") -> dict[str, Any]:
        """The experiment as plain dicts, lists and numbers, fields at their defaults left out.

        tables: what to do with structure factors and mask: "embed" (compressed, as text) or "omit".
        """
        from ..experiment.serialize import to_dict

        return to_dict(self, tables)

    @classmethod
    def from_dict(cls, values: dict[str, Any], folder: str | os.PathLike[str] | None = None) -> Self:
        """The experiment of `to_dict`, or of a table of a TOML or JSON file; see docs/library.md for the keys.

        folder: what relative file names in it are relative to. Raises FieldError that names an unknown key.
        """
        from ..experiment.serialize import from_dict

        return from_dict(cls, values, folder)

    def write(self, path: str | os.PathLike[str], tables: str = "files") -> None:
        """Write the experiment as TOML or JSON, by the file's ending.

        tables: "files": structure factors and mask go into .npy files beside it, named in it; "embed"; "omit".
        """
        from ..experiment.serialize import write

        write(self, path, tables)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The experiment of a TOML or JSON file; NanoBraggError, naming file and key, for what is wrong in it."""
        from ..experiment.serialize import read

        return read(cls, path)
