"""Real files of structure factors, each value compared with what gemmi reads: opt-in, by the folder they lie in.

NANOBRAGG_REAL_REFLECTIONS names the folder; the test data of gemmi (tests/*.mtz, *.hkl, *sf.ent, *.cif, *.HKL in its
repository) are a beginning.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from images import tool

from nanobragg_py import NanoBraggError
from nanobragg_py.experiment.reflections import kind_of

gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed")

FOLDER = os.environ.get("NANOBRAGG_REAL_REFLECTIONS")
FILES = sorted(path for path in Path(FOLDER).rglob("*") if path.is_file()) if FOLDER else []
pytestmark = pytest.mark.skipif(not FILES, reason="NANOBRAGG_REAL_REFLECTIONS names no folder of files")


def mean(values):
    """What gemmi merges: {index of its asymmetric unit: intensity}."""
    values.merge_in_place(gemmi.DataType.Mean)
    return {tuple(map(int, index)): value for index, value in zip(values.miller_array, values.value_array, strict=True)}


def theirs(path, kind, column, intensities):
    """{index: number} as gemmi reads a column, and whether they are intensities."""
    read = gemmi.Intensities()
    if kind == "xds":
        read.import_xds(gemmi.read_xds_ascii(str(path)))
        return mean(read), True
    if kind == "mtz":
        mtz = gemmi.read_mtz_file(str(path))
        if len(mtz.batches):
            read.import_mtz(mtz, gemmi.DataType.Unmerged)
            return mean(read), True
        hkl, numbers = mtz.make_miller_array(), np.array(mtz.column_with_label(column), dtype=float)
    else:
        document = gemmi.cif.read(str(path))
        block = next((block for block in document if block.find_loop(f"_refln_{column}").get_loop()), None)
        if block is not None:
            hkl = [[int(x) for x in row] for row in block.find("_refln_", ["index_h", "index_k", "index_l"])]
            numbers = [gemmi.cif.as_number(word) for word in block.find_loop(f"_refln_{column}")]
        else:
            blocks = [block for block in gemmi.as_refln_blocks(document) if block.default_loop is not None]
            if blocks[0].is_unmerged():
                read.import_refln_block(blocks[0], gemmi.DataType.Unmerged)
                return mean(read), True
            hkl, numbers = blocks[0].make_miller_array(), blocks[0].make_float_array(column)
    return {tuple(map(int, index)): float(x) for index, x in zip(hkl, numbers, strict=True)}, intensities


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_file(path, tmp_path):
    try:
        kind = kind_of(str(path))
    except NanoBraggError:
        pytest.skip("it cannot be read")
    status, _, err = tool("hkl", path, "--out", "o.hkl", folder=tmp_path)
    intensities = status == 2 and "add --intensities" in err
    if intensities:
        status, _, err = tool("hkl", path, "--intensities", "--out", "o.hkl", folder=tmp_path)
    assert status in (0, 2)
    if status == 2:
        assert err.count("\n") == 1
        pytest.skip(f"the tool says: {err.strip()}")
    if kind not in ("mtz", "mmcif", "xds"):
        pytest.skip("gemmi does not read it")
    column = re.search(
        r": (?:not merged yet: )?(?:amplitudes|intensities) from (?:column|item|the intensities) (\S+)", err
    )
    assert column, err
    wanted, squares = theirs(path, kind, column[1], intensities)
    ours = {}
    for line in (tmp_path / "o.hkl").read_text().splitlines():
        h, k, l, F = line.split()
        ours[int(h), int(k), int(l)] = float(F)
    compared = 0
    for index, value in wanted.items():
        if np.isfinite(value):
            expected = max(value, 0.0) ** 0.5 if squares else value
            assert ours[index] == pytest.approx(expected, rel=1e-5, abs=1e-6), index
            assert ours[tuple(-x for x in index)] == ours[index]
            compared += 1
    assert compared
