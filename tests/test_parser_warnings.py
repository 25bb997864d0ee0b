"""What is said of a command line: flags that are none, the nearest ones, and everything else that is warned about."""

import json
import os
import random
import shlex

import pytest
from parser_model import ROOT, random_line

from nanobragg_py.flags.nanobragg import nearest_flag, parse, unknown_flags, warning_sentences


@pytest.mark.parametrize(
    ("token", "nearest"),
    [
        ("-lamda", "-lambda"),
        ("-detpixel", "-detpixels"),
        ("-hdivrnage", "-hdivrange"),
        ("-close-distance", "-close_distance"),
        ("-xbeam", "-Xbeam"),
        ("-n", "-N"),
        ("--N", "-N"),
        ("-verison", "-version"),
        ("--thread=4", "-threads"),
        ("-interp", "-interpolate"),
        ("-polarization", "-polar"),
        ("-detector_thickness", "-detector_thick"),
        ("-foo", None),
        ("-hdivs", "-hdivstep"),
        ("-" + "x" * 100, None),
        ("-", None),
    ],
)
def test_nearest_flag(token, nearest):
    assert nearest_flag(token) == nearest


def test_unknown_flags():
    argv = ["-lamda", "1", "-5", "-.5e3", "-inf", "-hkl", "-file.hkl", "-info", "-phi", "-foo", "-hdiv", "-osc"]
    assert unknown_flags(argv) == [("-lamda", "-lambda"), ("-info", None), ("-foo", None)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-foo 3 -N 2", ["-foo is not a nanoBragg flag and was ignored"]),
        ("-lamda 3", ["-lamda is not a nanoBragg flag and was ignored; did you mean -lambda?"]),
        ("-hdiv 2 bar", [
            "-hdiv is a flag of older documents and was ignored; use -hdivrange",
            "bar belongs to no flag and was ignored",
        ]),
        ("-xdet_vector 1 -foo", [
            "-xdet_vector is a flag of older documents and was ignored; use -fdet_vector",
            "-foo is not a nanoBragg flag and was ignored",
        ]),
        ("x.hkl -N 5 6 -7", [f"{word} belongs to no flag and was ignored" for word in ("x.hkl", "6", "-7")]),
        ("-phisteps", ["-phisteps needs a value after it and was ignored"]),
        ("-N 3 -misset 1 2", ["-misset needs 3 values after it and was ignored"]),
        ("-compat c -curved_det", ["-curved_det needs a value after it and was ignored"]),
        ("-curved_det 1", []),
        ("-phisteps 1e3", ["-phisteps takes a whole number and reads '1e3' as 1"]),
        ("-distance 90mm -phi abc", [
            "-distance takes a number and reads '90mm' as 90",
            "-phi takes a number and reads 'abc' as 0",
        ]),
        ("-misset_seed 7 -phi 12", ["-misset_seed fires -misset too, which takes a number and reads '-phi' as 0"]),
        ("-misset_seed 7 -misset random", []),
        ("-matrix A.mat -misset_seed 7", []),
        ("-pivot detector", ["-pivot takes beam or sample and ignored 'detector'"]),
        ("-detector_abs infinite -fluence inf -misset random", []),
        ("-cell 1 2 3 90 90 90 -misset 1 2 3 -roi 1 2 3 4 -hkl - -trace_pixel 1 2 -compat c", []),
        ("", []),
    ],
)  # fmt: skip
def test_warnings(line, expected):
    argv = shlex.split(line)
    events = []
    parse(argv, None, events)
    assert warning_sentences(argv, events) == expected
    assert warning_sentences(argv) == expected


def test_random_lines_can_all_be_warned_about():
    rng = random.Random(5)
    for _ in range(300):
        line = random_line(rng)
        assert len(warning_sentences(line)) <= 2 * len(line)


def golden_cases():
    with open(os.path.join(ROOT, "golden", "cases.json"), encoding="utf-8") as file:
        return json.load(file)


def test_golden_lines():
    said = {}
    for case in golden_cases():
        argv = shlex.split(case["args"])
        events = []
        given = parse([*argv, "-compat", "c"] if case["mode"] == "c" else argv, None, events)
        assert given.compat == ("c" if case["mode"] == "c" else "spec")
        if "parser" not in case["tags"] and warning_sentences(argv):
            said[case["id"]] = warning_sentences(argv)
    assert said == {}
