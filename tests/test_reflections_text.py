"""Structure factors in the columns of text that people have: what the tool reads, and what the drop-in says of them."""

import gzip
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from images import tool

from nanobragg_py import NanoBraggError, StructureFactors

INPUTS = Path(__file__).parent.parent / "golden" / "inputs"
REAL = np.loadtxt(INPUTS / "cro_1orc_2A.hkl")[:400]
PROGRAM = Path(sys.executable).with_name("nanoBragg")


def rows(path):
    return {tuple(map(int, words[:3])): float(words[3]) for words in map(str.split, path.read_text().splitlines())}


@pytest.fixture
def converted(tmp_path):
    """What the tool makes of a text: ({index: F}, standard error)."""

    def convert(text, *words, name="a.hkl"):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(data)
        status, _, err = tool("hkl", name, *words, "--out", "o.hkl", folder=tmp_path)
        assert status == 0, err
        return rows(tmp_path / "o.hkl"), err

    return convert


WANTED = {(int(h), int(k), int(l)): F for h, k, l, F in REAL}


def lines(form, table=REAL):
    return "".join(form(int(h), int(k), int(l), F) for h, k, l, F in table)


def savetxt(h, k, l, F):
    return f"{h:.18e} {k:.18e} {l:.18e} {F:.18e}\n"


KINDS = {
    "plain": lambda h, k, l, F: f"{h} {k} {l} {F}\n",
    "savetxt": savetxt,
    "floats": lambda h, k, l, F: f"{h:.1f} {k:.1f} {l:.1f} {F}\n",
    "fortran": lambda h, k, l, F: f"{h} {k} {l} {F:.10e}\n".replace("e", "D"),
    "lower-case d": lambda h, k, l, F: f"{h} {k} {l} {F:.10e}\n".replace("e", "d"),
    "sigma": lambda h, k, l, F: f"{h} {k} {l} {F} {F / 10 + 1:.2f}\n",
    "seven columns": lambda h, k, l, F: f"{h} {k} {l} {F} 1.5 120.0 1\n",
    "comma": lambda h, k, l, F: f"{h},{k},{l},{F}\n",
    "comma and blank": lambda h, k, l, F: f"{h}, {k}, {l}, {F}, 3\n",
    "semicolon": lambda h, k, l, F: f"{h};{k};{l};{F}\n",
    "tab": lambda h, k, l, F: f"{h}\t{k}\t{l}\t{F}\n",
    "decimal comma": lambda h, k, l, F: f"{h} {k} {l} {str(F).replace('.', ',')}\n",
    "excel": lambda h, k, l, F: f"{h};{k};{l};{str(F).replace('.', ',')};1,5\n",
    "all decimal commas": lambda h, k, l, F: f"{h},0 {k},0 {l},0 {str(F).replace('.', ',')}\n",
    "windows": lambda h, k, l, F: f"{h} {k} {l} {F}\r\n",
    "old macintosh": lambda h, k, l, F: f"{h} {k} {l} {F}\r",
    "blank lines": lambda h, k, l, F: f"\n  {h} {k} {l} {F}\n \n",
    "comments": lambda h, k, l, F: f"# next\n! another\n{h} {k} {l} {F} # at {h}\n",
    "quoted": lambda h, k, l, F: f'"{h}","{k}","{l}","{F}"\n',
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_every_kind(converted, kind):
    found, err = converted(lines(KINDS[kind]))
    assert found == pytest.approx(WANTED, rel=1e-9)
    assert ("left out" in err) == (kind in ("sigma", "seven columns", "comma and blank", "excel"))


def test_plain_numbers_are_exactly_rounded(converted):
    numbers = np.random.default_rng(1)
    values = (numbers.random(2000) * 10.0 ** numbers.integers(-12, 12, 2000)).tolist()
    found, err = converted("".join(f"{i} 0 -1 {value!r}\n" for i, value in enumerate(values)))
    assert found == {(i, 0, -1): value for i, value in enumerate(values)} and err == ""


def test_numpy_and_csv_writers(converted, tmp_path):
    np.savetxt(tmp_path / "n.txt", REAL, header="h k l F")
    assert converted((tmp_path / "n.txt").read_bytes())[0] == WANTED
    csv = ",h,k,l,phase,F,sigF\n" + "".join(
        f"{i},{h:.0f},{k:.0f},{l:.0f},45.0,{F},2.0\n" for i, (h, k, l, F) in enumerate(REAL)
    )
    found, err = converted(csv)
    assert found == WANTED and "amplitudes from column F; left out: phase" in err
    assert converted(csv, "--label", "phase")[0] == dict.fromkeys(WANTED, 45.0)


@pytest.mark.parametrize("wrap", ["utf-8-sig", "utf-16", "gzip", "gzip with a mark"])
def test_marks_and_gzip(converted, wrap):
    text = lines(KINDS["plain"])
    data = gzip.compress(text.encode(wrap.replace("gzip with a mark", "utf-8-sig").replace("gzip", "ascii")))
    if not wrap.startswith("gzip"):
        data = text.encode(wrap)
    assert converted(data)[0] == WANTED


def shelx(table, end="   0   0   0    0.00    0.00   0\n"):
    return "".join(f"{h:4d}{k:4d}{l:4d}{F:8.2f}{s:8.2f}{1:4d}\n" for h, k, l, F, s in table) + end


def test_shelx_columns_that_touch(converted):
    table = [(1, 2, 3, 99999.99, 12.5), (-10, -12, -130, 4000.25, 3.0), (4, -105, -112, -1000.5, 1000.25)]
    found, err = converted(shelx(table) + "TITL what follows the end\nCELL 0.7 10 10 10 90 90 90\n")
    assert found == {(h, k, l): F for h, k, l, F, _ in table} and "SHELX's fixed columns" in err
    squares, _ = converted(shelx(table), "--intensities")
    assert squares[1, 2, 3] == pytest.approx(99999.99**0.5) and squares[4, -105, -112] == 0.0
    # the last index and the intensity without a blank between them
    touching = [(1, 2, 3, 12345.67, 1.0), (1, 2, 4, 123456.7, 1.0)]
    text = "".join(f"{h:4d}{k:4d}{l:4d}{f'{F:8.2f}'[:8]}{s:8.2f}\n" for h, k, l, F, s in touching)
    assert converted(text)[0] == {(1, 2, 3): 12345.67, (1, 2, 4): 123456.7}


def test_a_row_of_zeros_in_the_middle_is_a_row(converted):
    text = shelx([(1, 0, 0, 10.0, 1.0)]) + shelx([(2, 0, 0, 20.0, 1.0)], end="")
    assert converted(text)[0] == {(1, 0, 0): 10.0, (0, 0, 0): 0.0, (2, 0, 0): 20.0}


def test_repeated_rows_are_merged_and_said(converted):
    found, err = converted("1 2 3 100\n1 2 3 110\n-1 2 3 7\n")
    assert found == {(1, 2, 3): 105.0, (-1, 2, 3): 7.0}
    assert "3 rows, 2 of them unique" in err and "plain means" in err
    found, err = converted("h k l F sigF\n1 2 3 100 1\n1 2 3 110 2\n")
    assert found == {(1, 2, 3): pytest.approx((100 + 110 / 4) / 1.25)} and "1/sigma^2" in err


def test_missing_numbers_are_left_out(converted):
    found, err = converted("h,k,l,F\n1,2,3,\n1,2,4,nan\n1,2,5,?\n1,2,6,8\n")
    assert found == {(1, 2, 6): 8.0} and "3 rows without a number are left out" in err


def test_intensities_by_name_are_not_amplitudes(converted, tmp_path):
    (tmp_path / "i.csv").write_text("h,k,l,I,sigI\n1,2,3,400,1\n")
    status, _, err = tool("hkl", "i.csv", "--out", "o.hkl", folder=tmp_path)
    assert status == 2 and "column I of i.csv holds intensities; add --intensities" in err
    assert converted("h,k,l,I,sigI\n1,2,3,400,1\n", "--intensities")[0] == {(1, 2, 3): 20.0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 2 3 4\n1 2 3.5 4\n", "line 2: l is '3.5', no Miller index"),
        ("1 2 3 4\n1 2 x 4\n", "line 2: l is 'x', no number"),
        ("1 2 3 4\n\n1 2 3\n", "line 3: '1 2 3' has 3 of the columns h k l F"),
        ("1 2 3 4\nEND\n", "line 2: 'END' has 1 of the columns"),
        ("# h k l F\n1,5\n1 2 3 4\n", "line 2: '1,5' has 2 of the columns h k l F"),
        ("h;k;l;F\n7\n1;2;3;4\n", "line 2: '7' has 1 of the columns h k l F"),
        ("1 2 3 ********\n", "line 1: F is '********', no number"),
        ("1 2 3 4\n1 2 1e9 4\n", "line 2: l is '1e9', no Miller index"),
        ("prose\nand more\n", "not enough HKL indices in a.hkl"),
        ("", "not enough HKL indices in a.hkl"),
        ("1 2 3 nan\n", "a.hkl has no reflection with a number"),
        ("0 0 0 1\n3000 3000 300 1\n", "a.hkl has h from 0 to 3000"),
        (b"\x1f\x8b\x08\x00 not gzip", "a.hkl is gzip that is cut off or damaged"),
        (b"\xff\xfe1 \x002\x00 ", "a.hkl"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, text, says):
    (tmp_path / "a.hkl").write_bytes(text if isinstance(text, bytes) else text.encode())
    status, _, err = tool("hkl", "a.hkl", "--out", "o.hkl", folder=tmp_path)
    assert status == 2 and says in err and err.count("\n") == 1
    assert not (tmp_path / "o.hkl").exists()


def test_the_library_reads_the_same_and_warns(tmp_path):
    (tmp_path / "a.hkl").write_text("h,k,l,F\n1,2,3,100\n1,2,3,110\n")
    with pytest.warns(UserWarning, match="2 rows, 1 of them unique"):
        factors = StructureFactors.read(tmp_path / "a.hkl")
    assert np.asarray(factors.values)[0, 0, 0] == 105.0
    (tmp_path / "s.hkl").write_text(lines(savetxt))
    assert StructureFactors.read(tmp_path / "s.hkl") == StructureFactors.from_arrays(REAL[:, :3], REAL[:, 3])


# ---- the drop-in ---------------------------------------------------------------------------------------------------

SMALL = shlex.split("-cell 40 40 40 90 90 90 -N 5 -lambda 1 -distance 100 -detpixels 30 -pixel 2 -oversample 1 -seed 1")


def program(folder, *words, **environment):
    return subprocess.run(
        [PROGRAM, *words], cwd=folder, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("savetxt", "400 rows, 0 structure factors; an index of row 1 is not written as a whole number"),
        ("floats", "400 rows, 0 structure factors; an index of row 1"),
        ("fortran", "1 row, 1 structure factor; line 1, "),
        ("sigma", "its lines have 5 columns, and nanoBragg's rows are the four of h k l F"),
        ("decimal comma", "line 1, "),
    ],
)
def test_the_drop_in_says_what_it_got(tmp_path, kind, says):
    (tmp_path / "x.hkl").write_text(lines(KINDS[kind]))
    done = program(tmp_path, "-hkl", "x.hkl", *SMALL)
    assert done.returncode == 0
    assert says in done.stderr and "nanobragg-py hkl x.hkl --out FIXED.hkl" in done.stderr


def test_the_drop_in_is_silent_where_all_is_well(tmp_path):
    (tmp_path / "x.hkl").write_text(lines(KINDS["plain"]) + "\n\n")
    done = program(tmp_path, "-hkl", "x.hkl", *SMALL)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "line"), [("# h k l F\n1 2 3 4\n", "line 1 is '# h k l F'"), ("\ufeff1 2 3 4\n", "line 1 is ")]
)
def test_a_file_without_rows_is_named_with_its_first_line(tmp_path, text, line):
    (tmp_path / "x.hkl").write_text(text, encoding="utf-8")
    done = program(tmp_path, "-hkl", "x.hkl", *SMALL)
    assert done.returncode == 9 and line in done.stderr and "nanobragg-py hkl x.hkl" in done.stderr


def test_no_dump_of_gigabytes_without_a_word(tmp_path):
    (tmp_path / "x.hkl").write_text("0 0 0 100\n700 700 700 100\n1 1 1 50\n")
    done = program(tmp_path, "-hkl", "x.hkl", *SMALL)
    assert done.returncode == 0 and not (tmp_path / "Fdump.bin").exists()
    assert "3 rows so far apart that Fdump.bin would have 2.58 GiB, and it is not written" in done.stderr
    image = (tmp_path / "floatimage.bin").read_bytes()
    (tmp_path / "x.hkl").write_text("0 0 0 100\n1 1 1 50\n")
    assert program(tmp_path, "-hkl", "x.hkl", *SMALL, "-nointerpolate").returncode == 0
    assert (tmp_path / "floatimage.bin").read_bytes() == image and any(image)
    kept = (tmp_path / "Fdump.bin").read_bytes()
    (tmp_path / "x.hkl").write_text("0 0 0 100\n700 700 700 100\n1 1 1 50\n")
    assert "the one that lies there is of another run" in program(tmp_path, "-hkl", "x.hkl", *SMALL).stderr
    assert (tmp_path / "Fdump.bin").read_bytes() == kept


def test_the_limit_can_be_raised(tmp_path):
    (tmp_path / "x.hkl").write_text("0 0 0 100\n400 400 400 100\n")
    limited = program(tmp_path, "-hkl", "x.hkl", *SMALL, "-default_F", "5")
    assert limited.returncode == 9 and "raise the limit: NANOBRAGG_TABLE_LIMIT=GiB" in limited.stderr
    assert not (tmp_path / "Fdump.bin").exists() and "WARNING" not in limited.stderr
    raised = program(tmp_path, "-hkl", "x.hkl", *SMALL, NANOBRAGG_TABLE_LIMIT="1")
    assert (raised.returncode, raised.stderr) == (0, "")
    assert (tmp_path / "Fdump.bin").stat().st_size > 402**3 * 8
    wrong = program(tmp_path, "-hkl", "x.hkl", *SMALL, NANOBRAGG_TABLE_LIMIT="much")
    assert wrong.returncode == 9 and "NANOBRAGG_TABLE_LIMIT is 'much'; it takes GiB" in wrong.stderr


def test_an_old_xparm_as_matrix_is_spoken_of(tmp_path):
    numbers = "1 -60.0 0.5 0.999997 0.002362 -0.00021\n0.98 0.0026 -0.0023 1.020408\n1024 1024 0.172 0.172\n"
    (tmp_path / "XPARM.XDS").write_text(numbers)
    done = program(tmp_path, "-mat", "XPARM.XDS", "-default_F", "5", *SMALL)
    assert "begins as an XPARM.XDS file does" in done.stderr and "nanobragg-py matrix XPARM.XDS" in done.stderr


def test_batch_says_it_too(tmp_path):
    from nanobragg_py.batch.images import Maker

    (tmp_path / "x.hkl").write_text(lines(KINDS["floats"]))
    flags = shlex.join(["-hkl", "x.hkl", *SMALL])
    (tmp_path / "j.toml").write_text(f'[experiment]\nflags = "{flags}"\n[[vary]]\n"-phi" = [1, 2]\n')
    maker = Maker(tmp_path / "j.toml")
    maker.check()
    said = [sentence for sentence in maker.warnings if "0 structure factors; an index of row 1" in sentence]
    assert len(said) == 1


def test_from_arrays_keeps_the_limit():
    with pytest.raises(NanoBraggError, match=r"2 rows would take a table of 8\.05 GiB"):
        StructureFactors.from_arrays([[0, 0, 0], [1024, 1024, 1024]], [1.0, 2.0])
