"""The command line: which rules fire, what they read, what is said about the rest."""

import locale
import math
import os
import random
import subprocess
import sys

import pytest
from parser_model import (
    MODEL,
    ODD_WORDS,
    REFERENCE_RULES,
    RETIRED_RULES,
    ROOT,
    RTD,
    atof,
    atoi,
    changed,
    model,
    options,
    random_line,
    same,
)

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.flags import nanobragg as flags
from nanobragg_py.flags import page, parser, usage
from nanobragg_py.flags.nanobragg import matching_rules, parse, prescan
from nanobragg_py.flags.options import DEFAULTS, Options

OWN_RULES = [rule for rule in flags.RULES if rule.group == flags.OWN]


@pytest.mark.parametrize("compat", ["spec", "c"])
def test_agrees_with_the_model_on_random_lines(compat):
    rng = random.Random(20170517)
    for _ in range(2500):
        line = random_line(rng)
        given, expected = parse(line, Options(compat=compat)), model(line, compat)
        wrong = {k: (getattr(given, k), v) for k, v in expected.items() if not same(getattr(given, k), v)}
        assert not wrong, line
        assert prescan(line) == (expected["mask_file"], expected["img_file"]), line


@pytest.mark.parametrize("word", ODD_WORDS)
def test_numbers_as_c_reads_them(word):
    assert same(parse(["-fluence", word]).fluence, atof(word))
    assert same(parse(["-phisteps", word]).phisteps, atoi(word))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-fluence 0x64", {"fluence": 100.0}),
        ("-fluence 5x", {"fluence": 5.0}),
        ("-fluence abc", {"fluence": 0.0}),
        ("-fluence -inf", {"fluence": -math.inf}),
        ("-phisteps 44.9", {"phisteps": 44}),
        ("-phisteps 1e3x", {"phisteps": 1}),
        ("-phisteps 99999999999", {"phisteps": 1215752191}),
        ("-phisteps 99999999999999999999", {}),
        ("-phisteps -99999999999999999999", {"phisteps": 0}),
        ("-seed 42", {"seed": -42}),
        ("-mosaic_seed -42", {"mosaic_seed": 42}),
        ("-seed -2147483648", {"seed": -2147483648}),
        ("-energy 0", {"wavelength": math.inf}),
    ],
)
def test_numbers(line, expected):
    assert changed(line) == expected


def test_numbers_do_not_follow_the_locale():
    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        for name in ("de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "sv_SE.UTF-8", "de_DE"):
            try:
                locale.setlocale(locale.LC_NUMERIC, name)
            except locale.Error:
                continue
            assert changed("-fluence 1.5") == {"fluence": 1.5}
            return
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
    pytest.skip("no locale with a decimal comma is installed")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-matrix A.mat", {"matrix_file": "A.mat"}),
        ("--distance 90", {"distance": 0.09}),
        ("--my-lambda 1.5", {"wavelength": 1.5 / 1e10}),
        (
            "-twotheta_axis 20 0 1",
            {"twotheta_axis": (20.0, 0.0, 1.0), "twotheta": 20 / RTD, "convention": "CUSTOM", "pivot": "sample"},
        ),
        ("-twotheta_axis 20 0", {"twotheta": 20 / RTD, "pivot": "sample"}),
        ("-misset_seed 7", {"misset_seed": -7}),
        (
            "-misset_seed 7 -phi 12",
            {"misset_seed": -7, "misset": (7 / RTD, 0.0, 12 / RTD), "misset_mode": "angles", "phi0": 12 / RTD},
        ),
        ("-misset_seed strand 2 3", {"misset_mode": "random"}),
        ("-misset random -misset 1 2 3", {"misset": (1 / RTD, 2 / RTD, 3 / RTD), "misset_mode": "angles"}),
        ("-misset 1 2 3 -misset random", {"misset": (1 / RTD, 2 / RTD, 3 / RTD), "misset_mode": "random"}),
        ("-misset 1 2", {}),
        ("-detector_thicksteps 3", {"detector_thicksteps": 3}),
        ("-detector_thick 300", {"detector_thick": 300 * 1e-6}),
        ("-detector_thickness 300", {}),
        ("-detector_absorb 200", {"detector_mu": 1.0 / (200 * 1e-6)}),
        ("-detector_thick 300 -detector_abs inf", {"detector_mu": 0.0}),
        ("-detector_thick 300 -detector_abs 0", {"detector_mu": 0.0}),
        ("-detector_thick 300 -detector_abs 5inf", {"detector_mu": 0.0}),
        ("-oversample_thick 3", {"oversample_thick": True}),
        ("-oversample_omega 3 -oversample 2", {"oversample_omega": True, "oversample": 2}),
        ("-oversample_what 3", {"oversample": 3}),
        ("-phi 3", {"phi0": 3 / RTD}),
        ("-phistep 3", {"phistep": 3 / RTD}),
        ("-phisteps 3", {"phisteps": 3}),
        ("--phi 3", {}),
        ("-mosaic 3", {"mosaic_spread": 3 / RTD}),
        ("-mosaicity 3", {"mosaic_spread": 3 / RTD}),
        ("-mosaic_spread 3", {"mosaic_spread": 3 / RTD}),
        ("-mosaic_domains 3", {"mosaic_domains": 3}),
        ("-mosaic_seed 3", {"mosaic_seed": -3}),
        ("-polar 0.5", {"polarization": 0.5}),
        ("-polarization 0.5", {}),
        ("-nopolar -polar 0.5", {"polarization": 0.5}),
        ("-polar 0.5 -nopolar", {"polarization": 0.5, "nopolar": True}),
        ("-detsize 50", {"detsize_f": 0.05, "detsize_s": 0.05}),
        ("-detsize_f 50", {"detsize_f": 0.05}),
        ("-detsize_fast 50", {"detsize_f": 0.05}),
        ("-detpixels 7 -detpixels_y 8", {"fpixels": 7, "spixels": 8}),
        ("-printout_pixel 5 6", {"printout": True, "printout_pixel": (5, 6)}),
        ("-printout_pixel 5", {"printout": True}),
        ("-noprogress", {"progress": False}),
        ("-noprogress -progress", {}),
        ("-stolout x", {"stolout_file": "x"}),
        ("-stol x", {"stol_file": "x"}),
        ("-Q x", {"stol_file": "x", "stol_mult": 1e10 / math.pi / 4}),
        ("-Qx x", {}),
        ("-N 5", {"Na": 5.0, "Nb": 5.0, "Nc": 5.0}),
        ("--N 5", {}),
        ("-Nab 5", {"Na": 5.0}),
        ("-N 5 -Nb 6", {"Na": 5.0, "Nb": 6.0, "Nc": 5.0}),
        ("-Nb 6 -N 5", {"Na": 5.0, "Nb": 5.0, "Nc": 5.0}),
        ("-width 2", {"sample_y": 0.002}),
        ("-height 2", {"sample_z": 0.002}),
        ("-nopgm -pgmscale 3", {"pgm_scale": 3.0}),
        ("-nonoise -noisefile n", {"noise_file": "n"}),
        ("-pgmfile p -nopgm", {"pgm_file": "p", "write_pgm": False}),
        ("-roi 1 2 3 -4", {"roi": (1, 2, 3, -4)}),
        ("-roi 1 2 3", {}),
        ("-pivot beam_or_sample", {}),
        ("-pivot sample -pivot neither", {"pivot": "sample"}),
        ("-Xclose 1 -Xbeam 2", {"Xclose": 0.001, "Xbeam": 0.002}),
        ("-pix0_vector_mm 1 2 3", {"pix0_vector": (1.0, 2.0, 3.0), "convention": "CUSTOM"}),
        ("-fdet_vector 1 2 3 -xds", {"fdet_vector": (1.0, 2.0, 3.0), "convention": "XDS", "pivot": "sample"}),
        ("-lambda 3 -energy 6199.21", {"wavelength": 2.0 / 1e10}),
        ("-phisteps", {}),
        ("-hkl -phi 3", {"hkl_file": "-phi", "phi0": 3 / RTD}),
        ("-foo 3 bar", {}),
        ("", {}),
    ],
)
def test_rules(line, expected):
    assert changed(line) == expected


@pytest.mark.parametrize(
    ("line", "lengths", "angles"),
    [
        ("-cell 45", (45.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ("-cell 1 2 3 90 100", (1.0, 2.0, 3.0), (90 / RTD, 100 / RTD, 0.0)),
        ("-cell 1 2 3 90 100 110 120", (1.0, 2.0, 3.0), (90 / RTD, 100 / RTD, 110 / RTD)),
        ("-cell 1 2 -3 90 100 110", (1.0, 2.0, 0.0), (0.0, 0.0, 0.0)),
        ("-cell 1 2 3 90 90 90 -cell 4 5 -N 2", (4.0, 5.0, 3.0), (90 / RTD, 90 / RTD, 90 / RTD)),
        ("-cell -N 3", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    ],
)
def test_cell_is_read_step_by_step(line, lengths, angles):
    given = options(line)
    assert (given.user_cell, given.cell_lengths, given.cell_angles) == (True, lengths, angles)


def test_cell_without_a_value_is_not_given():
    assert changed("-cell") == {}


def test_cell_stops_later_rules_only_when_cut_short():
    assert options("-cell-water 1 2 3").water == 0
    assert options("-cell-water 1 2 3 4 5 6").water == 1e-6


def test_headers_are_found_wherever_they_stand():
    assert prescan(["-img", "a", "x", "-mask", "b", "--img", "c", "-mask"]) == ("b", "c")
    assert prescan(["img", "a", "-oversample_thick-mask", "b"]) == ("b", None)
    assert prescan([]) == (None, None)
    given = options("-img a -oversample_thick-mask b")
    assert (given.img_file, given.mask_file) == ("a", "b")


def test_flags_apply_to_options_that_headers_filled():
    given = Options(distance=0.5, wavelength=2e-10)
    assert parse(["-distance", "90"], given) is given
    assert (given.distance, given.wavelength) == (0.09, 2e-10)


def test_curved_detector_as_last_token():
    assert options("-N 2 -curved_det").curved_det
    assert not options("-compat c -curved_det").curved_det
    assert options("-compat c -curved_det 1").curved_det
    assert options("-curved_det -compat c").curved_det
    assert not options("-curved_det", compat="c").curved_det


def test_file_names_survive_any_bytes():
    name = os.fsdecode(b"caf\xe9-\xff.hkl")
    assert os.fsencode(parse(["-hkl", name]).hkl_file) == b"caf\xe9-\xff.hkl"
    assert prescan(["-mask", name]) == (name, None)


@pytest.mark.parametrize("token", ["a\0b", "\ud800"])
def test_tokens_no_command_line_can_hold(token):
    with pytest.raises(NanoBraggError, match="on the command line"):
        parse(["-hkl", token])


def test_every_rule_sets_known_options():
    for rule in flags.RULES:
        assert set(rule.dests) | {name for name, _ in rule.sets} <= set(DEFAULTS), rule
        assert rule.group in flags.GROUPS and rule.help and rule.names, rule
        assert rule.convert in parser.METAVARS or rule.convert == "choice", rule


def test_every_option_but_two_can_be_set():
    # these are read by nothing the reference knows, and its defaults stand
    missing = {"detector_thickstep", "dispstep"}
    assert {name for rule in flags.RULES for name in (*rule.dests, *dict(rule.sets))} == set(DEFAULTS) - missing


def test_every_spelling_fires_its_own_rule():
    for rule in flags.RULES:
        for name in (*rule.names, *rule.needles):
            assert rule in matching_rules(name), name


def test_the_table_has_the_rules_of_the_model_in_order():
    listed = [(set(rule.needles), rule.values) for rule in REFERENCE_RULES if not rule.first_pass]
    expected = [
        (set(needles.split()), 0 if values == "1 with -compat c" else values) for needles, _, values, *_ in MODEL
    ]
    assert listed == expected


@pytest.mark.parametrize("rule", OWN_RULES + RETIRED_RULES, ids=lambda rule: rule.name)
def test_own_and_retired_flags_leave_the_reference_alone(rule):
    for token in (rule.name, "-" + rule.name):
        assert matching_rules(token) == [rule]
        for needles, how, *_ in MODEL:
            for needle in needles.split():
                assert not (token == needle if how == "is" else needle in token and how in ("has", len(token)))
        assert "-img" not in token and "-mask" not in token


@pytest.mark.parametrize("rule", OWN_RULES, ids=lambda rule: rule.name)
def test_own_flags_are_exact(rule):
    for token in (rule.name + "x", rule.name[:-1], "---" + rule.name[1:], "-x" + rule.name):
        assert rule not in matching_rules(token)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-compat c", {"compat": "c"}),
        ("--compat c -compat spec", {}),
        ("-threads 3", {"threads": 3}),
        ("-threads 0", {}),
        ("-backend auto", {"backend": "auto"}),
        ("-device 2", {"device": 2}),
        ("-precision single", {"precision": "single"}),
        ("-noise_rng philox", {"noise_rng": "philox"}),
        ("-trace_pixel 685 1039", {"trace_pixel": (685, 1039)}),
        ("-timing --version -help", {"timing": True, "show_version": True, "show_help": True}),
    ],
)
def test_own_flags(line, expected):
    assert changed(line) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-compat x", ["-compat", "'x'", "c or spec"]),
        ("-compat C", ["'C'"]),
        ("-compat", ["-compat", "lacks a value", "c or spec"]),
        ("-geometry", ["-geometry", "lacks a value", "give it the name of a file"]),
        ("-spectrum", ["-spectrum", "lacks a value", "give it the name of a file"]),
        ("-threads -3", ["-threads", "'-3'", "whole number from 0"]),
        ("-threads 1.5", ["'1.5'"]),
        ("-threads 99999999999", ["'99999999999'"]),
        ("-threads ²", ["whole number"]),
        ("--threads -N 3", ["--threads", "'-N'"]),
        ("-backend foo", ["-backend", "'foo'", "cpu or gpu or auto"]),
        ("-device x", ["-device"]),
        ("-precision half", ["double or single"]),
        ("-noise_rng mt", ["ran1 or philox"]),
        ("-trace_pixel 5", ["-trace_pixel", "lacks a value", "SLOW FAST"]),
        ("-trace_pixel 5 y", ["-trace_pixel", "'y'", "2 whole numbers"]),
    ],
)
def test_bad_values_of_own_flags(line, said):
    with pytest.raises(NanoBraggError) as error:
        options(line)
    for words in said:
        assert words in str(error.value)


def test_events_say_what_each_token_did():
    events = []
    argv = ["-twotheta_axis", "20", "0", "1", "-phisteps"]
    parse(argv, None, events)
    seen = [(position, token, rule.name, words, changes) for position, token, rule, words, changes in events]
    axis = [("convention", "CUSTOM"), ("twotheta_axis", (20.0, 0.0, 1.0))]
    swing = [("pivot", "sample"), ("twotheta", 20 / RTD)]
    assert seen == [
        (0, "-twotheta_axis", "-twotheta_axis", ("20", "0", "1"), axis),
        (0, "-twotheta_axis", "-twotheta", ("20",), swing),
        (4, "-phisteps", "-phisteps", (), None),
    ]


def test_events_of_a_cell_hold_the_words_read():
    events = []
    parse(["-cell", "1", "2", "-N", "3"], None, events)
    assert [event[3] for event in events] == [("1", "2"), ("3",)]


def test_usage_shows_every_flag_in_100_columns():
    text = usage.usage_text(flags.TABLE)
    assert max(map(len, text.splitlines())) <= 100
    assert text.endswith("\n") and "docs/flags.md" in text.splitlines()[-1]
    seen = set()
    for rule in (rule for group in flags.TABLE.groups for rule in flags.RULES if rule.group == group):
        # a spelling of two rows (-width) stands in the first
        names = [name for name in rule.names if name not in seen] or rule.names
        line = f"\n  {', '.join(names)} {rule.metavar}".rstrip()
        assert (line in text) == (rule.group != flags.RETIRED), rule
        if rule.group != flags.RETIRED:
            seen.update(names)
    shown = [word.strip(",") for line in text.splitlines() if line.startswith("  -") for word in line.split()]
    assert shown.count("-width") == 1 and shown.count("-xtal_y") == 1


def test_usage_on_a_narrow_terminal():
    text = usage.usage_text(flags.TABLE, 70)
    assert max(map(len, text.splitlines())) <= 70
    assert text.split() == usage.usage_text(flags.TABLE).split()


@pytest.mark.parametrize("name", ["flags.md", "noisify.md", "nonbragg.md"])
def test_flags_page_is_current(name):
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
        text = file.read()
    assert text == page.renewed(text), f"run: python -m nanobragg_py.flags.page docs/{name}"


def test_the_command_line_imports_little():
    code = """if True:
        import sys
        before = set(sys.modules)
        import nanobragg_py.flags.nanobragg, nanobragg_py.flags.usage
        print(*set(sys.modules) - before)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heavy = "numpy re argparse dataclasses logging typing pathlib subprocess tempfile inspect enum difflib json"
    assert not set(done.stdout.split()) & set(heavy.split())
