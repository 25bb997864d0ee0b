"""`nanobragg-py golden make` and `check`: sets of reference results that users keep of their own command lines."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from transcripts import replay

from nanobragg_py.cli.main import main
from nanobragg_py.errors import NanoBraggError
from nanobragg_py.inspect.golden_set import inputs_folder, read_cases

GOLDEN = Path(__file__).parent.parent / "golden"
BASE = "-N 5 -detpixels 16 -pixel 1 -oversample 1 -seed 1"
CASES = [
    {"id": "still", "args": f"-mat A.mat -hkl full8.hkl {BASE}"},
    {"id": "named", "args": f"-cell 50 60 70 -default_F 9 -floatfile 'my file.bin' -nonoise {BASE}"},
    {"id": "reread", "args": f"-mat A.mat {BASE}", "before": [f"-mat A.mat -hkl full8.hkl {BASE}"]},
    {"id": "defects", "args": f"-mat A.mat -hkl full8.hkl -osc 1 -phisteps 3 {BASE}", "mode": "c"},
    {"id": "fails", "args": f"-mat A.mat {BASE}", "tags": ["error"]},
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with cases.json and its input files."""
    for name in ("A.mat", "full8.hkl"):
        shutil.copy(GOLDEN / "inputs" / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    write(CASES)
    return tmp_path


def write(cases, name="cases.json"):
    Path(name).write_text(json.dumps(cases))


def golden(action, *words, cases="cases.json", folder="kept"):
    return main(["golden", action, cases, folder, *words])


def script(name, text):
    Path(name).write_text(f"#!/bin/sh\n{text}\n")
    Path(name).chmod(0o755)
    return f"./{name}"


def test_make_and_check(folder, capsys):
    assert golden("make") == 0
    assert golden("check", "--exact") == 0
    assert "5 of 5 cases agree" in capsys.readouterr().out
    assert sorted(os.listdir("kept")) == sorted(["manifest.json", *(f"{case['id']}.npz" for case in CASES)])
    manifest = json.loads(Path("kept/manifest.json").read_text())
    assert manifest["cases"]["fails"]["exit_status"] == 9
    assert set(manifest["cases"]["named"]["files"]) == {"my file.bin", "intimage.img", "image.pgm"}
    assert manifest["inputs"]["A.mat"] == hashlib.sha256(Path("A.mat").read_bytes()).hexdigest()
    with np.load("kept/still.npz") as archive:
        data = archive["floatimage.bin"].tobytes()
    assert manifest["cases"]["still"]["files"]["floatimage.bin"] == {
        "bytes": 16 * 16 * 4,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_our_own_set(capsys):
    ids = ["still_cubic", "hkl_dump_reread", "c_phi_carryover", "error_no_hkl", "mask_roi"]
    assert main(["golden", "check", str(GOLDEN / "cases.json"), str(GOLDEN), "--only", *ids]) == 0
    said = capsys.readouterr()
    assert "5 of 5 cases agree" in said.out


def test_another_program(program, folder, capsys):
    assert golden("make", "--only", "still", "defects") == 0
    ours = script("ours", f'exec {program[0]} "$@" -fluence 1e28')
    assert golden("check", "--only", "still", "--program", ours) == 1
    said = capsys.readouterr().out
    assert "still: DIFFERS" in said and "0 of 1 cases agree" in said
    assert "pixels are out of tolerance, the worst of them pixel" in said
    assert "correlation       1.000000000" in said and "sum ratio         0.0794" in said
    # another program is not told to have our -compat c
    echo = script("echo", f'echo "$@" > {folder}/flags; exec {program[0]} "$@"')
    golden("check", "--only", "defects", "--program", echo)
    assert "-compat" not in Path("flags").read_text()
    assert golden("check", "--only", "still", "--program", script("fails", "exit 5")) == 1
    assert "exit status 5, not 0" in capsys.readouterr().out


def test_what_changed_since(folder, capsys):
    assert golden("make") == 0
    changed = [dict(case) for case in CASES]
    changed[0]["args"] += " -threads 1"
    write(changed)
    assert golden("check") == 1
    said = capsys.readouterr().out
    assert "still: DIFFERS\n  its args changed since the set was made" in said and "4 of 5 cases agree" in said
    write(CASES)
    with open("A.mat", "a") as file:
        file.write("a remark\n")
    assert golden("check", "--only", "still") == 1
    assert "the input A.mat changed since the set was made" in capsys.readouterr().out


def test_an_archive_that_changed(folder, capsys):
    assert golden("make", "--only", "still") == 0
    with np.load("kept/still.npz") as archive:
        members = dict(archive)
    members["image.pgm"] = members["image.pgm"].copy()
    members["image.pgm"][-1] ^= 1
    with open("kept/still.npz", "wb") as file:
        np.savez_compressed(file, **members)
    assert golden("check", "--only", "still") == 1
    said = capsys.readouterr().out
    assert "its archive does not have the sha256 sums of the manifest" in said
    assert "image.pgm differs: 1 bytes" in said
    Path("kept/still.npz").write_bytes(b"nothing of the kind")
    assert golden("check", "--only", "still") == 2
    Path("kept/still.npz").unlink()
    assert golden("check", "--only", "still") == 2
    assert "still.npz is missing" in capsys.readouterr().err


def test_a_set_without_manifest(folder, capsys):
    assert golden("make", "--only", "still") == 0
    Path("kept/manifest.json").unlink()
    assert golden("check", "--only", "still") == 0
    assert "sha256 sums are not checked" in capsys.readouterr().err
    Path("kept/manifest.json").write_text("[]")
    assert golden("check", "--only", "still") == 2


def test_a_case_that_is_new(folder, capsys):
    assert golden("make", "--only", "still") == 0
    shutil.copy("kept/still.npz", "kept/named.npz")
    assert golden("check", "--only", "named") == 1
    assert "the set was made without this case" in capsys.readouterr().out


def test_a_set_is_not_replaced_by_accident(folder, capsys):
    assert golden("make", "--only", "still") == 0
    assert golden("make", "--only", "still") == 2
    assert "--force" in capsys.readouterr().err
    assert golden("make", "--only", "still", "--force") == 0


def test_where_inputs_are(folder):
    assert inputs_folder("cases.json") == Path(".")
    assert inputs_folder(GOLDEN / "cases.json") == GOLDEN / "inputs"
    assert inputs_folder("cases.json", folder) == folder
    assert [case["inputs"] for case in read_cases("cases.json")][:3] == [
        ["A.mat", "full8.hkl"],
        [],
        ["A.mat", "full8.hkl"],
    ]


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ({}, "has to hold a list"),
        ([], "has to hold a list"),
        (["x"], "has to hold a list"),
        ([{"args": ""}], 'case 1 of bad.json lacks "id"'),
        ([{"id": "a"}], 'case 1 of bad.json lacks "args"'),
        ([{"id": "a", "args": 3}], 'lacks "args", which has to be a string'),
        ([{"id": "../a", "args": ""}], "an id that is no file name"),
        ([{"id": "a", "args": ""}, {"id": "a", "args": ""}], "two cases with the id a"),
        ([{"id": "a", "args": "'"}], "cannot be split into words"),
        ([{"id": "a", "args": "", "mode": "x"}], 'the mode "x"'),
        ([{"id": "a", "args": "", "inputs": "A.mat"}], '"inputs" that is no list'),
        ([{"id": "a", "args": "", "input": []}], 'a key "input"'),
        ([{"id": "a", "args": "-mat ../A.mat"}], "names ../A.mat"),
    ],
)
def test_bad_cases(cases, said, folder):
    write(cases, "bad.json")
    with pytest.raises(NanoBraggError) as caught:
        read_cases("bad.json")
    assert said in str(caught.value)


def test_bad_arguments(folder, capsys):
    Path("text.json").write_text("no JSON")
    for said, words in (
        ("cannot read absent.json", ["make", "absent.json", "kept"]),
        ("text.json is no JSON file", ["make", "text.json", "kept"]),
        ("has no case other", ["make", "cases.json", "kept", "--only", "other"]),
        ("there is no folder kept", ["check", "cases.json", "kept"]),
        ("there is no folder nowhere", ["make", "cases.json", "kept", "--inputs", "nowhere"]),
        ("--exact belongs to check", ["make", "cases.json", "kept", "--exact"]),
        ("--force belongs to make", ["check", "cases.json", "kept", "--force"]),
        ("no program that can be run", ["make", "cases.json", "kept", "--program", "absent"]),
        ("no flags after --", ["make", "cases.json", "kept", "--", "-N", "3"]),
    ):
        assert main(["golden", *words]) == 2
        assert said in capsys.readouterr().err
    write([{"id": "a", "args": "-hkl absent.hkl"}])
    assert golden("make") == 2
    assert "case a needs absent.hkl, which is not there" in capsys.readouterr().err


def test_documented_transcript(tmp_path):
    replay("docs/golden.md", tmp_path)


@pytest.mark.parametrize(
    "args",
    [
        "-floatfile /tmp/elsewhere.bin",
        "-intfile ../int.img",
        "-noisefile a/../../noise.img",
        "-pgmfile /elsewhere.pgm",
        "-dump ../Fdump.bin",
        "-hkl ../x.hkl",
        "-mat /etc/passwd",
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_cases_stay_in_their_folder(args, before, folder, capsys):
    line = f"-mat A.mat -hkl full8.hkl {BASE}"
    case = (
        {"id": "one", "args": line, "before": [f"{line} {args}"]} if before else {"id": "one", "args": f"{line} {args}"}
    )
    write([{**case, "inputs": ["A.mat", "full8.hkl"]}])
    assert golden("make") == 2
    assert "outside of its folder" in capsys.readouterr().err
    assert not Path("kept").exists()


def test_cases_that_are_trusted(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere.bin"
    write(
        [{"id": "one", "args": f"-mat A.mat -hkl full8.hkl {BASE} -floatfile {elsewhere} -nonoise -pgmfile /dev/null"}]
    )
    assert golden("make") == 2
    assert not elsewhere.exists()
    assert golden("make", "--allow-outside") == 0
    assert elsewhere.exists()


@pytest.mark.parametrize("change", ["files", "sha256", "cases", "inputs", "entry", "nested", "bytes"])
def test_a_damaged_manifest(change, folder, capsys):
    write(CASES[:1])
    assert golden("make") == 0
    path = Path("kept/manifest.json")
    value = json.loads(path.read_text())
    entry = value["cases"]["still"]
    if change == "files":
        del entry["files"]
    elif change == "sha256":
        entry["files"]["intimage.img"] = {}
    elif change == "entry":
        value["cases"]["still"] = 5
    elif change in ("cases", "inputs"):
        value[change] = []
    path.write_text(
        {"nested": "[" * 100_000, "bytes": "\udcff"}.get(change, json.dumps(value)), errors="surrogateescape"
    )
    assert golden("check") == 2
    assert "cannot be read as a manifest" in capsys.readouterr().err
