"""What the benchmarks of noisify and nonBragg print is what docs/ have: the same columns, the same rows in order."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def module_of(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(line):
    return [cell.strip() for cell in line.strip("|\n").split("|")]


@pytest.mark.parametrize("name", ["noisify", "nonbragg"])
def test_tables_are_those_of_the_docs(name):
    module = module_of(name)
    lines = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8").splitlines()
    begin = lines.index(module.table_row(module.COLUMNS))
    rows = [cells(line) for line in lines[begin + 2 : begin + 2 + len(module.WORKLOADS)]]
    assert lines[begin + 1] == f"|{'---|' * len(module.COLUMNS)}"
    named = 1 if name == "noisify" else 2
    assert [row[:named] for row in rows] == [[str(x) for x in work[:named]] for work in module.WORKLOADS.values()]
    assert all(len(row) == len(module.COLUMNS) for row in rows)
    assert not lines[begin + 2 + len(module.WORKLOADS)].startswith("|")


def test_point_spreads_on_two_threads_are_timed():
    module = module_of("noisify")
    module.SIDE = 64
    result = module.measure_spread("Q8", 1, 2)
    assert module.spread_row(result, 2).startswith("| fiber, radius 10 | ") and result["ratio"] > 0.0


def test_loops_on_two_threads_are_timed():
    module = module_of("nonbragg")
    module.SIDE = 32
    result = module.measure_threads(module.WORKLOADS["B6"], 1, 2)
    assert list(result) == ["1 thread", "2 threads", "ratio"] and result["ratio"] > 0.0
