"""Every golden case of noisify, run by the installed program in an empty folder: level by level, and on threads."""

import json
from pathlib import Path

import pytest

from nanobragg_py.flags.noisify import TABLE
from nanobragg_py.inspect import golden
from nanobragg_py.kernels.loops.job import processor_level
from nanobragg_py.render.backends import LEVELS

FOLDER = Path(__file__).parent.parent / "golden" / "noisify"
CASES = json.loads((FOLDER / "cases.json").read_text())
AVAILABLE = LEVELS[: LEVELS.index(processor_level()) + 1]


def check(case, program, **environment):
    result = golden.run_case(program, case, FOLDER / "inputs", environment=environment)
    reference = golden.load(FOLDER / f"{case['id']}.npz")
    assert golden.compare(result, reference, golden.case_arguments(case), table=TABLE).differences == []


@pytest.mark.parametrize("level", AVAILABLE[::-1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case, level, noisify):
    check(case, noisify, NANOBRAGG_ISA=level, OMP_NUM_THREADS="1")


@pytest.mark.parametrize("threads", ["2", "7"])
@pytest.mark.parametrize("case", [case for case in CASES if "psf" in case["tags"]], ids=lambda case: case["id"])
def test_threads(case, threads, noisify):
    check(case, noisify, OMP_NUM_THREADS=threads)
