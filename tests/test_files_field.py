"""Orientations, curves, sources, masks, float images and tables as people have them: what is read, and what is said.

The drop-in reads them as the C program does; where that is not what the file means, it says so.
"""

import copy
import gzip
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from images import geometry, tool

from nanobragg_py import Background, Experiment, NanoBraggWarning
from nanobragg_py.batch.tables import read_table
from nanobragg_py.files.image import read_image
from nanobragg_py.files.matrix import read_matrix
from nanobragg_py.files.orientations import dials, mosflm, xds
from nanobragg_py.files.oriented import OrientedCrystal
from nanobragg_py.orientation import b_matrix, random_rotations

BIN = Path(sys.executable).parent
CELL = (40.0, 50.0, 60.0, 80.0, 95.0, 110.0)
CRYSTAL = OrientedCrystal(A=random_rotations(1, 5)[0] @ b_matrix(*CELL), geometry=geometry())
SMALL = shlex.split("-default_F 100 -N 5 -distance 80 -detpixels 20 -pixel 2 -lambda 1.1 -oversample 1 -seed 1 -nopgm")
ORTHOGONAL = shlex.split("-cell 40 40 40 90 90 90")


def run(program, folder, *words):
    return subprocess.run([BIN / program, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=60)


# ---- orientation matrices ------------------------------------------------------------------------------------------

LINES = mosflm.mosflm_text(CRYSTAL, 1.1e-10).splitlines()
A = np.array([[float(line[i : i + 12]) for i in (0, 12, 24)] for line in LINES[:3]])


def nine(matrix):
    return "".join(" ".join(f"{x:.8f}" for x in row) + "\n" for row in matrix)


REST = "\n".join([*LINES[3:], ""])
MATRICES = {
    "whole": (nine(A) + REST, None),
    "nine numbers": (nine(A), None),
    "transposed": (nine(A.T) + REST, "states one of 40 50 60 80 95 110; its rows and columns are exchanged"),
    "another wavelength": (nine(A / 1.1) + REST, "it was made for a wavelength of 1 A"),
    "U and A exchanged": ("\n".join([*LINES[4:7], LINES[3], *LINES[:3], *LINES[7:]]), "makes a cell of 1.1 1.1 1.1 90"),
    "U": ("\n".join(LINES[4:7]), "an orientation matrix has a*, b* and c* in its columns"),
    "real vectors": (nine(np.linalg.inv(A / 1.1).T), "an orientation matrix has a*, b* and c* in its columns"),
    "per metre": (nine(A * 1e10), "an orientation matrix has a*, b* and c* in its columns"),
    "left-handed": (nine(-A), "are left-handed"),
    "missets": (
        "\n".join([*LINES[:3], " 1.0 2.0 -3.5", *LINES[4:]]),
        "the missetting angles 1 2 -3.5 of a.mat are not",
    ),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_matrices_that_are_not_meant(tmp_path, kind):
    text, says = MATRICES[kind]
    (tmp_path / "a.mat").write_text(text)
    status, _, err = tool("matrix", "a.mat", "--wavelength", "1.1", folder=tmp_path)
    done = run("nanoBragg", tmp_path, "-mat", "a.mat", *SMALL)
    assert (status, done.returncode) == (0, 0)
    for said in (err, done.stderr):
        assert (said == "") if says is None else (says in said and said.count("\n") == 1), said


@pytest.mark.parametrize("wavelength", ["0", "", "1e-320", "-1", "nan", "1e308"])
def test_matrices_with_wavelengths_that_are_none(tmp_path, wavelength):
    (tmp_path / "a.mat").write_text(nine(A))
    done = run("nanoBragg", tmp_path, "-mat", "a.mat", *SMALL, "-lambda", wavelength)
    assert "defect" not in done.stderr and done.returncode in (0, 9), done.stderr
    assert (done.returncode == 0) == bool(list(tmp_path.glob("*.bin"))), done.stderr


def test_flat_matrices_are_no_cells(tmp_path):
    said = []
    (tmp_path / "a.mat").write_text(nine([A[0], A[1], A[0] + A[1]]))
    assert len(read_matrix(tmp_path / "a.mat", said.append, 1.1)) == 9 and said == []


@pytest.mark.parametrize(
    ("name", "text"), [("a.expt", dials.expt_text(CRYSTAL)), ("GXPARM.XDS", xds.xparm_text(CRYSTAL))]
)
def test_orientations_of_other_programs_are_no_matrices(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    done = run("nanoBragg", tmp_path, "-mat", name, *SMALL)
    assert done.returncode == 9 and f"to make one: nanobragg-py matrix {name} --out FIXED.mat" in done.stderr


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (gzip.compress(dials.expt_text(CRYSTAL).encode()), "is compressed; unpack it"),
        (dials.expt_text(CRYSTAL).encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
        (b"\x89HDF\r\n\x1a\n", "is no DIALS .expt, no XPARM.XDS and no matrix: it begins with 0 numbers"),
        (b"MTZ \0\0", "is an MTZ file"),
    ],
)
def test_what_is_no_orientation(tmp_path, data, says):
    (tmp_path / "a.x").write_bytes(data)
    status, _, err = tool("matrix", "a.x", folder=tmp_path)
    assert status == 2 and f"a.x {says}" in err and err.count("\n") == 1


# ---- experiment lists ----------------------------------------------------------------------------------------------

EXPT = json.loads(dials.expt_text(CRYSTAL))


def written(path, content):
    path.write_text(json.dumps(content))
    return path


def nested():
    """Groups within groups, each turned and moved."""
    content = copy.deepcopy(EXPT)
    root = content["detector"][0]["hierarchy"]
    inner = {
        **copy.deepcopy(root),
        "origin": [1.0, 2.0, -50.0],
        "fast_axis": [0.0, 1.0, 0.0],
        "slow_axis": [-1.0, 0.0, 0.0],
    }
    root |= {
        "origin": [5.0, 0.0, -10.0],
        "fast_axis": [0.0, 0.0, 1.0],
        "slow_axis": [0.0, 1.0, 0.0],
        "children": [inner],
    }
    return content


def test_groups_within_groups(tmp_path):
    content = nested()
    found = dials.read_expt(written(tmp_path / "a.expt", content)).geometry
    panel, root = content["detector"][0]["panels"][0], content["detector"][0]["hierarchy"]
    origin, rotation = np.array(panel["origin"]), np.array([panel["fast_axis"], panel["slow_axis"]]).T
    for group in (root["children"][0], root):
        turn = np.array([group["fast_axis"], group["slow_axis"], np.cross(group["fast_axis"], group["slow_axis"])]).T
        origin, rotation = turn @ origin + group["origin"], turn @ rotation
    frame = found.frame("imgcif")
    assert frame @ np.array(found.origin) * 1000 == pytest.approx(origin)
    assert np.stack([frame @ np.array(found.fast), frame @ np.array(found.slow)], axis=1) == pytest.approx(rotation)


def test_several_experiments_and_scans_that_vary(tmp_path):
    content = copy.deepcopy(EXPT)
    content["crystal"].append(copy.deepcopy(content["crystal"][0]))
    content["crystal"][1]["real_space_a"][0] += 1.0
    content["experiment"].append({**content["experiment"][0], "crystal": 1})
    written(tmp_path / "a.expt", content)
    status, first, err = tool("matrix", "a.expt", folder=tmp_path)
    assert status == 0 and "a.expt has 2 experiments, of which number 0 is taken; --index takes another" in err
    status, second, err = tool("matrix", "a.expt", "--index", "1", folder=tmp_path)
    assert (status, err) == (0, "") and second != first
    content = copy.deepcopy(EXPT)
    content["crystal"][0]["A_at_scan_points"] = [[0.02, 0, 0, 0, 0.02, 0, 0, 0, 0.02]] * 2
    written(tmp_path / "b.expt", content)
    assert "varies over its scan" in tool("matrix", "b.expt", folder=tmp_path)[2]


# ---- SMV -----------------------------------------------------------------------------------------------------------


def smv(path, pixels, order="<", **keys):
    slow, fast = pixels.shape
    fields = {"HEADER_BYTES": "  512", "DIM": 2, "BYTE_ORDER": {"<": "little_endian", ">": "big_endian"}[order]}
    fields |= {
        "TYPE": "unsigned_short",
        "SIZE1": fast,
        "SIZE2": slow,
        "PIXEL_SIZE": 1,
        "DISTANCE": 100,
        "WAVELENGTH": 1,
    }
    fields |= {"BEAM_CENTER_X": slow / 2, "BEAM_CENTER_Y": fast / 2, **keys}
    text = "{\n" + "".join(f"{key}={value};\n" for key, value in fields.items()) + "}\f"
    path.write_bytes(text.encode().ljust(512) + pixels.astype(pixels.dtype.newbyteorder(order)).tobytes())


@pytest.mark.parametrize("words", ["long_integer", "unsigned_integer", "signed_integer", "long long"])
def test_integers_of_every_name(tmp_path, words):
    pixels = np.arange(600).reshape(20, 30).astype("i8" if words == "long long" else "i4")
    smv(tmp_path / "a.img", pixels, TYPE=words)
    assert np.array_equal(read_image(tmp_path / "a.img").pixels, pixels)


def test_images_of_noisify_with_32_bits_are_read(tmp_path):
    np.full((20, 30), 7e4, np.float32).tofile(tmp_path / "in.bin")
    words = "-floatfile in.bin -detpixels_x 30 -detpixels_y 20 -seed 1 -bits 32 -nonoise"
    assert run("noisify", tmp_path, *words.split()).returncode == 0
    assert np.array_equal(read_image(tmp_path / "intimage.img").pixels, np.full((20, 30), 65535))


@pytest.mark.parametrize(
    ("kind", "order", "says"),
    [
        ("u2", "<", None),
        ("u4", "<", "a.img says that its pixels are unsigned_long, and they are read as unsigned 16-bit"),
        ("f4", "<", "a.img says that its pixels are float, and they are read"),
        ("u2", ">", "a.img says that its pixels are big_endian, and they are read"),
    ],
)
def test_masks_of_other_pixels(tmp_path, kind, order, says):
    name = {"u2": "unsigned_short", "u4": "unsigned_long", "f4": "float"}[kind]
    smv(tmp_path / "a.img", np.ones((20, 30), kind), order, TYPE=name)
    done = run(
        "nanoBragg", tmp_path, "-mask", "a.img", *ORTHOGONAL, *shlex.split("-default_F 10 -N 5 -seed 1 -oversample 1")
    )
    assert done.returncode == 0
    assert done.stderr == "" if says is None else says in done.stderr


def test_masks_that_are_gzip(tmp_path):
    (tmp_path / "a.img.gz").write_bytes(gzip.compress(b"x" * 100))
    done = run("nanoBragg", tmp_path, "-mask", "a.img.gz", *ORTHOGONAL, *SMALL)
    assert done.returncode == 0 and "a.img.gz is gzip, and no SMV image; unpack it; -mask is ignored" in done.stderr


@pytest.mark.parametrize("word", ["info", "view", "convert"])
def test_beam_centres_far_off(tmp_path, word):
    smv(tmp_path / "a.img", np.ones((20, 30), "u2"), BEAM_CENTER_X=150, BEAM_CENTER_Y=100, PIXEL_SIZE=0.1)
    out = [] if word == "info" else ["--out", "o.png" if word == "view" else "o.cbf"]
    status, _, err = tool(word, "a.img", *out, folder=tmp_path)
    assert status == 0 and "lies off the detector of 3 x 2 mm" in err
    done = run("nanoBragg", tmp_path, "-img", "a.img", *ORTHOGONAL, *shlex.split("-default_F 10 -N 5 -oversample 1"))
    assert "a.img has its beam centre at 150 100 mm, far off its detector of 3 x 2 mm" in done.stderr


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("PIXEL_SIZE", 100, "pixel size is 100 mm"),
        ("WAVELENGTH", 12398, "wavelength is 12398 A"),
        ("DISTANCE", 0.1, "distance"),
    ],
)
def test_units_of_headers(tmp_path, key, value, says):
    smv(tmp_path / "a.img", np.ones((20, 30), "u2"), BEAM_CENTER_X=0, BEAM_CENTER_Y=0, **{key: value})
    assert says in (err := tool("info", "a.img", folder=tmp_path)[2]) and "which is unusual" in err


@pytest.mark.parametrize("program", ["nanoBragg", "nonBragg"])
@pytest.mark.parametrize(
    ("key", "flag"), [("PIXEL_SIZE", "-pixel"), ("WAVELENGTH", "-lambda (or -energy)"), ("DISTANCE", "-distance")]
)
def test_values_of_headers_are_named_as_there(tmp_path, program, key, flag):
    smv(tmp_path / "a.img", np.ones((20, 30), "u2"), **{key: 0})
    (tmp_path / "c.stol").write_text("0 3\n0.2 4\n0.5 3\n")
    words = [*ORTHOGONAL, "-default_F", 10, "-N", 5, "-seed", 1] if program == "nanoBragg" else ["-stol", "c.stol"]
    done = run(program, tmp_path, "-img", "a.img", *words)
    assert done.returncode == 9 and done.stderr.startswith(f"ERROR: {key} of a.img does not take 0")
    done = run(program, tmp_path, "-img", "a.img", *words, flag.split()[0], "-0.0")
    assert done.returncode == 9 and done.stderr.startswith(f"ERROR: {flag} does not take 0")


# ---- float images --------------------------------------------------------------------------------------------------


def test_noisify_names_the_header_and_what_is_no_float_image(tmp_path):
    image = np.ones((20, 30), np.float32)
    image.tofile(tmp_path / "a.bin")
    np.save(tmp_path / "a.npy", image)
    np.savetxt(tmp_path / "a.txt", image)
    (tmp_path / "a.gz").write_bytes(gzip.compress(image.tobytes()))
    smv(tmp_path / "a.img", image.astype("u2"))
    size = shlex.split("-detpixels_x 30 -detpixels_y 20 -seed 1 -nonoise")
    assert run("noisify", tmp_path, "-floatfile", "a.bin", *size).stderr == ""
    for name, kind in (("a.npy", "an npy file"), ("a.txt", "text"), ("a.gz", "a gzip file"), ("a.img", "an SMV image")):
        assert f"{name} begins as {kind} does" in run("noisify", tmp_path, "-floatfile", name, *size).stderr
    smv(tmp_path / "h.img", np.ones((20, 60), "u2"))
    done = run("noisify", tmp_path, "-floatfile", "a.bin", "-header", "h.img", "-seed", 1)
    assert "a.bin has 600 values for 60 x 20 pixels (SIZE1 and SIZE2 of h.img); the others are 0" in done.stderr
    smv(tmp_path / "h.img", np.ones((20, 3000), "u2"))
    done = run("noisify", tmp_path, "-floatfile", "a.bin", "-header", "h.img", "-seed", 1)
    assert done.returncode == 9 and "correct SIZE1 and SIZE2 of h.img" in done.stderr


# ---- sources and curves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["1.0", "0.1", "12398", "1.0D-10"])
def test_wavelengths_of_sources_are_in_metres(tmp_path, word):
    (tmp_path / "s.txt").write_text(f"-10 0 0 1 1e-10\n-10 0 0 1 {word}\n")
    done = run("nanoBragg", tmp_path, "-sourcefile", "s.txt", *ORTHOGONAL, *SMALL)
    assert (
        done.returncode == 0
        and f"source 2 of s.txt has a wavelength of {float(word.replace('D-10', '')):g} m" in done.stderr
    )
    (tmp_path / "c.stol").write_text("0 3\n0.2 4\n0.5 3\n")
    done = run("nonBragg", tmp_path, "-sourcefile", "s.txt", "-stol", "c.stol", "-detpixels", 20, "-pixel", 2)
    assert "source 2 of s.txt has a wavelength" in done.stderr


def test_prose_above_sources_is_explained(tmp_path):
    (tmp_path / "s.txt").write_text("x y z weight wavelength\n-10 0 0 1 1e-10\n")
    done = run("nanoBragg", tmp_path, "-sourcefile", "s.txt", *ORTHOGONAL, *SMALL)
    assert done.returncode == 9 and "as every line does that begins with no number" in done.stderr


X = np.linspace(0.0, 0.5, 60)
CURVE = [(x, 3 + 5 * np.exp(-(((x - 0.16) / 0.05) ** 2))) for x in X.tolist()]
PLAIN = "".join(f"{x:.7f} {F:.7f}\n" for x, F in CURVE)
CURVES = {
    "plain": (PLAIN, None),
    "commas": (PLAIN.replace(" ", ","), None),
    "blanks after commas": (PLAIN.replace(" ", ", "), None),
    "sigma": (PLAIN.replace("\n", " 0.1\n"), None),
    "a mark": ("\ufeff" + PLAIN, None),
    "names": ("stol F\n" + PLAIN, None),
    "decimal commas": (PLAIN.replace(".", ","), "where a comma separates columns; write decimal points"),
    "semicolons": (PLAIN.replace(".", ",").replace(" ", ";"), "where a comma separates columns; write decimal points"),
    "Fortran": (
        "".join(f"{x:.7E} {F:.7E}\n".replace("E", "D") for x, F in CURVE),
        "of which what stands before the letter",
    ),
    "Fortran's F": (
        "".join(f"{x:.7f} {F:.7E}\n".replace("E", "D") for x, F in CURVE),
        "of which what stands before the letter",
    ),
    "carriage returns": (PLAIN.replace("\n", "\r"), "end in carriage returns alone"),
    "counted": ("".join(f"{i} {line}\n" for i, line in enumerate(PLAIN.splitlines())), "rows of c.stol lie within"),
    "Q": ("".join(f"{x * 4 * np.pi:.7f} {F:.7f}\n" for x, F in CURVE), "10 of the 60 rows of c.stol lie within"),
}


@pytest.mark.parametrize("kind", CURVES)
def test_curves_that_are_not_meant(tmp_path, monkeypatch, kind):
    text, says = CURVES[kind]
    monkeypatch.chdir(tmp_path)
    Path("c.stol").write_text(text, newline="", encoding="utf-8")
    words = shlex.split("-stol c.stol -lambda 1 -distance 100 -detpixels 40 -pixel 1 -nonoise -fluence 1e20")
    done = run("nonBragg", tmp_path, *words)
    assert done.returncode == 0
    if says is not None:
        assert says in done.stderr
        with pytest.warns(NanoBraggWarning, match=says):
            Background("c.stol").render(Experiment.from_args([*ORTHOGONAL, *SMALL, "-lambda", "1"]))
        return
    assert done.stderr == ""
    image = np.fromfile("floatimage.bin", np.float32)
    Path("c.stol").write_text(PLAIN)
    run("nonBragg", tmp_path, *words)
    assert np.array_equal(image, np.fromfile("floatimage.bin", np.float32))


# ---- tables and job files ------------------------------------------------------------------------------------------

TABLES = {
    "commas": "-phi,-lambda\n1,1.5\n2,1.25\n",
    "semicolons": "-phi;-lambda\n1;1,5\n2;1,25\n",
    "tabs": "-phi\t-lambda\n1\t1.5\n2\t1.25\n",
    "tabs and commas": "-phi\t-lambda\n1,0\t1,5\n2,0\t1,25\n",
    "what Excel writes": "sep=;\r\n-phi;-lambda\r\n1;1,5\r\n2;1,25\r\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_spreadsheets(tmp_path, kind, encoding):
    (tmp_path / "T.CSV").write_text(TABLES[kind], encoding=encoding, newline="")
    assert read_table(str(tmp_path / "T.CSV")) == {"-phi": [1, 2], "-lambda": [1.5, 1.25]}


def test_several_numbers_with_decimal_commas(tmp_path):
    (tmp_path / "t.csv").write_text("-misset;flags\n1,5 2 -3,25;-N 5\n")
    assert read_table(str(tmp_path / "t.csv")) == {"-misset": [[1.5, 2.0, -3.25]], "flags": ["-N 5"]}


@pytest.mark.parametrize("name", ["job.toml", "job.json", "JOB.JSON"])
def test_job_files_in_utf_16(tmp_path, name):
    from nanobragg_py.batch.jobs import read_job

    job = {"toml": "repeat = 3\n", "json": '{"repeat": 3}'}[name.lower().rpartition(".")[2]]
    (tmp_path / name).write_text(job, encoding="utf-16")
    assert len(read_job(tmp_path / name)) == 3


def test_job_files_in_latin_1(tmp_path):
    (tmp_path / "job.toml").write_bytes("repeat = 3\n# Größe\n".encode("latin-1"))
    status, _, err = tool("batch", "job.toml", "--out", "o", folder=tmp_path)
    assert status == 2 and "job.toml, line 2 is no text in UTF-8; save it as that" in err
