"""Observations of XDS: XDS_ASCII.HKL, merged or not, what XSCALE writes, and INTEGRATE.HKL, read with gemmi."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from .reflections import Reflections, gemmi_module, in_one_sentence, miller_indices, plain_file

#: first lines; INTEGRATE.HKL says what it is on its own
STARTS = (b"!FORMAT=XDS_ASCII", b"!OUTPUT_FILE=INTEGRATE.HKL")


def read_xds_ascii(path: Any) -> Any:
    """The Reflections of an XDS file: intensities; misfits, of negative sigma, are left out."""
    gemmi = gemmi_module()
    name = os.fspath(path)
    with plain_file(path, ".hkl") as plain, in_one_sentence(name, plain):
        xds = gemmi.read_xds_ascii(plain)
        group = gemmi.find_spacegroup_by_number(xds.spacegroup_number)
        if group is None:
            raise NanoBraggError(f"{name} has no SPACE_GROUP_NUMBER from 1 to 230; correct its header")
        hkl = np.array(xds.miller_array).reshape(-1, 3)
        intensity, sigma = np.array(xds.iobs_array, dtype=float), np.array(xds.sigma_array, dtype=float)
        cell = tuple(map(float, xds.cell_constants))
    good = sigma > 0.0
    if not good.any():
        raise NanoBraggError(f"{name} has no observation with a positive sigma; give one with reflections")
    notes = ["amplitudes from the intensities IOBS"]
    if not good.all():
        notes.append(f"{np.count_nonzero(~good)} misfits (negative sigma) are left out")
    warnings: tuple[str, ...] = ()
    if xds.generated_by == "INTEGRATE":
        warnings = ("these observations are not scaled; XDS_ASCII.HKL of the same data is",)
    return Reflections(
        hkl=miller_indices(name, hkl[good]),
        values=intensity[good],
        sigma=sigma[good],
        intensities=True,
        unmerged=True,
        group=group,
        cell=cell,
        notes=tuple(notes),
        warnings=warnings,
    )
