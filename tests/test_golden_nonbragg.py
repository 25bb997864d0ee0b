"""Every golden case of nonBragg, run by the installed program in an empty folder: level by level, and on threads."""

import json
from pathlib import Path

import pytest

from nanobragg_py.flags.nonbragg import TABLE
from nanobragg_py.inspect import golden
from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.render.backends import LEVELS

FOLDER = Path(__file__).parent.parent / "golden" / "nonbragg"
CASES = json.loads((FOLDER / "cases.json").read_text())
AVAILABLE = LEVELS[: LEVELS.index(processor_level()) + 1]


def check(case, program, **environment):
    result = golden.run_case(program, case, FOLDER / "inputs", environment=environment)
    reference = golden.load(FOLDER / f"{case['id']}.npz")
    assert golden.compare(result, reference, golden.case_arguments(case), table=TABLE).differences == []
    return result


@pytest.mark.parametrize("level", AVAILABLE[::-1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case, level, nonbragg):
    check(case, nonbragg, NANOBRAGG_ISA=level, OMP_NUM_THREADS="1")


@pytest.mark.parametrize("case", CASES[::7], ids=lambda case: case["id"])
def test_threads(case, nonbragg):
    files = [check(case, nonbragg, OMP_NUM_THREADS=threads).files for threads in ("1", "2", "7")]
    assert files[0] == files[1] == files[2]
