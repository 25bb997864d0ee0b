"""Real amplitudes as files of several kinds, and what becomes of them by gemmi's operations."""

from pathlib import Path

import numpy as np
import pytest
from images import tool

gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed")
REAL = np.loadtxt(Path(__file__).parent.parent / "golden" / "inputs" / "cro_1orc_2A.hkl")
CELL = (34.77, 39.17, 48.31, 90.0, 90.0, 90.0)
GROUP = gemmi.SpaceGroup("P 21 21 21")


def asymmetric_unit(d_min=4.0):
    """Indices of the asymmetric unit and real amplitudes."""
    hkl = gemmi.make_miller_array(gemmi.UnitCell(*CELL), GROUP, d_min)
    real = {tuple(map(int, row[:3])): row[3] for row in REAL}
    there = [index for index in map(tuple, hkl.tolist()) if index in real]
    return np.array(there), np.float32([real[index] for index in there])


HKL, F = asymmetric_unit()
SIGMA = np.float32(F / 10 + 1)


def mtz(path, columns, hkl=HKL, batches=0, first=(), valm=None):
    """An MTZ file. columns: (label, type, values); first: those of them that stand before H K L."""
    data = gemmi.Mtz()
    data.spacegroup = GROUP
    data.add_dataset("HKL_base")
    ordered = [column for column in columns if column[0] in first]
    ordered += [(axis, "H", hkl[:, i]) for i, axis in enumerate("HKL")]
    ordered += [column for column in columns if column[0] not in first]
    for label, kind, _ in ordered:
        data.add_column(label, kind)
    data.set_cell_for_all(gemmi.UnitCell(*CELL))
    for number in range(batches):
        batch = gemmi.Mtz.Batch()
        batch.number = number + 1
        data.batches.append(batch)
    if valm is not None:
        data.valm = valm
    data.set_data(np.column_stack([values for _, _, values in ordered]).astype(np.float32))
    data.write_to_file(str(path))
    return path


def expanded(hkl, plus, minus=None):
    """{index: F} by gemmi's own operations, index by index."""
    found = {}
    for index, value, mate in zip(hkl.tolist(), plus, plus if minus is None else minus, strict=True):
        for operation in GROUP.operations():
            turned = operation.apply_to_hkl(index)
            found[tuple(-x for x in turned)] = float(mate)
            found.setdefault(tuple(turned), float(value))
    for index, value in zip(hkl.tolist(), plus, strict=True):
        for operation in GROUP.operations():
            found[tuple(operation.apply_to_hkl(index))] = float(value)
    return found


def run_hkl(folder, name, *words):
    """Run the tool on a file of the folder: (status, {index: F}, standard error)."""
    status, _, err = tool("hkl", name, *words, "--out", "o.hkl", folder=folder)
    text = (folder / "o.hkl").read_text() if status == 0 else ""
    rows = {tuple(map(int, line.split()[:3])): float(line.split()[3]) for line in text.splitlines()}
    return status, rows, err
