"""The program at the command line: bad input, interruption, odd outputs, terminals."""

import os
import resource
import signal
import subprocess

import pytest
from program_lines import CELL, CRYSTAL, IMAGES, SMALL, assert_one_sentence, left, words

TABLE = "1 2 3 40\n-1 -2 -3 50\n2 2 2 60\n"
HEADER = b"{\nHEADER_BYTES=512;\nSIZE1=8;\nSIZE2=8;\nPIXEL_SIZE=1;\nDISTANCE=100;\nTYPE=unsigned_short;\n}\f"


# ---- bad values of flags -------------------------------------------------------------------------------------------

BAD_VALUES = {
    "-lambda 0": "-lambda",
    "-lambda nan": "-lambda",
    "-lambda inf": "-lambda",
    "-lambda wrong": "-lambda",
    "-energy 0": "-energy",
    "-energy nan": "-energy",
    "-pixel 0": "-pixel",
    "-pixel nan": "-pixel",
    "-pixel inf": "-pixel",
    "-distance nan": "-distance",
    "-distance inf": "-distance",
    "-distance 0": "-distance",
    "-close_distance inf": "-close_distance",
    "-detsize nan": "-detsize",
    "-detsize inf": "-detsize",
    "-cell nan 60 70 90 90 90": "-cell",
    "-cell 50 inf 70 90 90 90": "-cell",
    "-cell 50 60 70 90 nan 90": "-cell",
    "-fluence nan": "-fluence",
    "-phi nan": "-phi",
    "-osc inf": "-osc",
    "-twotheta nan": "-twotheta",
    "-mosaic_spread nan": "-mosaic",
    "-default_F nan": "-default_F",
    "-misset nan 0 0": "-misset",
    "-water inf": "-water",
    "-scale nan": "-scale",
    "-adc nan": "-adc",
    "-Xbeam inf": "-Xbeam",
    "-dispersion nan": "-dispersion",
    "-hdivrange inf": "-hdivrange",
    "-beam_vector nan 0 0": "-beam_vector",
    "-beam_vector 0 0 0": "-beam_vector",
    "-fdet_vector 0 0 0": "-fdet_vector",
    "-detector_thick nan": "-detector_thick",
    "-detpixels 0 -detsize 0": "-det",
    "-detpixels -5 -detsize -1": "-det",
    "-detpixels 100000": "-detpixels",
    "-detpixels_x 1000000000 -detpixels_y 10": "-detpixels",
    "-detpixels 2147483647": "-detpixels",
    "-pixel 1e-12 -detsize 1000 -detpixels 0": "-",
    "-mosaic_spread 1 -mosaic_domains 2147483647": "-mosaic_domains",
    "-phisteps 2147483647": "-phisteps",
    "-distance 1e160": "-distance",
    "-close_distance 1e200": "-close_distance",
    "-energy 1e308": "-energy",
    "-lambda 1e-300": "-lambda",
    "-Xbeam 1e160": "-Xbeam",
    "-pixel 1e160": "-pixel",
    "-detector_thick 1e308": "-detector_thick",
    "-dispersion 1e308 -dispsteps 3": "-dispersion",
    "-water 1e160": "-water",
    "-cell 1e-300 1e-300 1e-300 90 90 90": "-cell",
    "-cell 1e20 1e20 1e20 90 90 90": "-cell",
    "-threads many": "-threads",
    "-threads -1": "-threads",
    "-compat d": "-compat",
    "-backend abacus": "-backend",
}


@pytest.mark.parametrize("line", BAD_VALUES)
def test_bad_value(line, runner):
    done = runner(*words(f"{CRYSTAL} {SMALL} -detpixels 8 {line}"))
    assert_one_sentence(done, BAD_VALUES[line])
    assert left(runner.folder) == set()


@pytest.mark.parametrize("line", ["-lambda -1", "-distance -100", "-pixel -1", "-fluence -1"])
def test_negative_value_never_crashes(line, runner):
    """The reference renders some of them; what matters is one clear word, and no crash."""
    done = runner(*words(f"{CRYSTAL} {SMALL} {line}"))
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert_one_sentence(done)
        assert left(runner.folder) == set()
    else:
        assert "negative" in done.stderr
        assert left(runner.folder) == IMAGES


@pytest.mark.parametrize("line", [CELL, "-default_F 10", "", "-hkl"])
def test_nothing_to_render_gives_the_usage(line, runner):
    done = runner(*words(line))
    assert done.returncode == 9
    assert "Usage: nanoBragg" in done.stdout
    assert "Traceback" not in done.stderr
    assert left(runner.folder) == set()


# ---- bad files -----------------------------------------------------------------------------------------------------


BINARY = bytes(range(256)) * 8
BAD_FILES = {
    "hkl_missing": ("-hkl table.hkl", None),
    "hkl_empty": ("-hkl table.hkl", b""),
    "hkl_blank": ("-hkl table.hkl", b"\n\n  \n"),
    "hkl_binary": ("-hkl table.hkl", BINARY),
    "hkl_text": ("-hkl table.hkl", b"h k l F\n"),
    "hkl_short_row": ("-hkl table.hkl", b"1 2 3\n"),
    "hkl_huge_range": ("-hkl table.hkl", b"1 2 3 40\n2000000000 2 3 40\n-2000000000 -7 5 1\n"),
    "hkl_wide_range": ("-hkl table.hkl", b"-90000 -90000 -90000 40\n90000 90000 90000 40\n"),
    "hkl_nan_index": ("-hkl table.hkl", b"nan nan nan 40\n"),
    "hkl_inf_index": ("-hkl table.hkl", b"inf 1 1 40\n1 1 1 4\n"),
    "mat_missing": ("-mat a.mat", None),
    "mat_empty": ("-mat a.mat", b""),
    "mat_binary": ("-mat a.mat", BINARY),
    "mat_truncated": ("-mat a.mat", b"0.02 0 0\n0 0.02\n"),
    "mat_text": ("-mat a.mat", b"no numbers at all\n"),
    "mat_singular": ("-mat a.mat", b"0.02 0 0\n0.02 0 0\n0 0 0.02\n"),
    "mat_zero": ("-mat a.mat", b"0 0 0\n0 0 0\n0 0 0\n"),
    "mat_nan": ("-mat a.mat", b"0.02 0 0\n0 nan 0\n0 0 0.02\n"),
    "mat_inf": ("-mat a.mat", b"0.02 0 0\n0 inf 0\n0 0 0.02\n"),
    "source_missing": ("-sourcefile sources.txt", None),
    "source_empty": ("-sourcefile sources.txt", b""),
    "source_blank": ("-sourcefile sources.txt", b"\n \n"),
    "source_zero_wavelength": ("-sourcefile sources.txt", b"-10 0 0 1 0\n"),
    "source_inf": ("-sourcefile sources.txt", b"inf 0 0 1 1e-10\n"),
    "source_inf_wavelength": ("-sourcefile sources.txt", b"-10 0 0 1 inf\n"),
    "source_in_the_sample": ("-sourcefile sources.txt", b"0 0 0 1 1e-10\n"),
    "stol_missing": ("-stol water.stol", None),
    "stol_empty": ("-stol water.stol", b""),
    "dump_empty": ("-dump old.bin -default_F 0", b""),
    "dump_binary": ("-dump old.bin -default_F 0", BINARY),
    "dump_text": ("-dump old.bin -default_F 0", b"what is this\n"),
    "dump_truncated": ("-dump old.bin -default_F 0", b"-2 2 -2 2 -2 2\n\f" + b"\0" * 100),
    "dump_reversed": ("-dump old.bin -default_F 0", b"2 -2 2 -2 2 -2\n\f" + b"\0" * 2000),
    "dump_huge": ("-dump old.bin -default_F 0", b"-90000 90000 -90000 90000 -90000 90000\n\f" + b"\0" * 100),
    "hkl_is_a_folder": ("-hkl .", b""),
    "mat_is_a_folder": ("-mat .", b""),
    "source_is_a_folder": ("-sourcefile .", b""),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file(name, runner):
    line, content = BAD_FILES[name]
    flag, file = words(line)[:2]
    crystal = "-default_F 100" if name.startswith("mat") else CRYSTAL
    if content is not None and file != ".":
        (runner.folder / file).write_bytes(content)
    before = left(runner.folder)
    done = runner(*words(f"{crystal} {SMALL} {line}"))
    assert_one_sentence(done)
    assert file in done.stderr or flag in done.stderr
    assert left(runner.folder) == before


@pytest.mark.parametrize("flag", ["-img", "-mask"])
@pytest.mark.parametrize("content", [None, BINARY, b"no header" * 99], ids=["missing", "binary", "text"])
def test_header_that_is_none_is_left_out(flag, content, runner):
    """As the reference does: a message, and then as if not given."""
    if content is not None:
        (runner.folder / "other.img").write_bytes(content)
    done = runner(*words(f"{CRYSTAL} {SMALL} {flag} other.img"))
    assert done.returncode == 0, done.stderr
    assert "other.img" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("flag", ["-img", "-mask"])
@pytest.mark.parametrize("content", [b"", b"{\nHEADER_BYTES=512;\n", HEADER], ids=["empty", "short", "no_pixels"])
def test_truncated_header(flag, content, runner):
    (runner.folder / "other.img").write_bytes(content)
    done = runner(*words(f"{CRYSTAL} {SMALL} {flag} other.img"))
    assert_one_sentence(done, "other.img")
    assert left(runner.folder) == {"other.img"}


@pytest.mark.parametrize("size", [b"-8", b"0", b"99999999999", b"nan"])
def test_mask_of_no_sensible_size(size, runner):
    (runner.folder / "m.img").write_bytes(HEADER.replace(b"SIZE1=8", b"SIZE1=" + size).ljust(512) + b"\1" * 128)
    done = runner(*words(f"{CRYSTAL} -oversample 1 -mask m.img"))
    assert_one_sentence(done, "m.img")
    assert left(runner.folder) == {"m.img"}


def test_truncated_mask(runner):
    (runner.folder / "m.img").write_bytes(HEADER.ljust(512) + b"\1" * 50)
    done = runner(*words(f"{CRYSTAL} -oversample 1 -mask m.img"))
    assert_one_sentence(done, "m.img")
    assert left(runner.folder) == {"m.img"}


@pytest.mark.parametrize("pixels", [3, 9, 40])
def test_mask_of_another_size_than_the_detector(pixels, runner):
    (runner.folder / "m.img").write_bytes(HEADER.ljust(512) + b"\1" * 128)
    done = runner(*words(f"{CRYSTAL} -oversample 1 -mask m.img -detpixels {pixels}"))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "mask" in done.stderr or pixels < 8  # a larger mask is read as far as it is needed


# ---- outputs that cannot be written --------------------------------------------------------------------------------


OUTPUTS = {"-floatfile": "f.bin", "-intfile": "i.img", "-pgmfile": "p.pgm", "-noisefile": "n.img"}


@pytest.mark.parametrize("flag", OUTPUTS)
@pytest.mark.parametrize("place", ["absent/x", ".", "table.hkl/x"])
def test_unwritable_output(flag, place, runner):
    (runner.folder / "table.hkl").write_text(TABLE)
    done = runner(*words(f"{CRYSTAL} {SMALL} -hkl table.hkl {flag} {place}"))
    assert_one_sentence(done, place)
    assert left(runner.folder) == {"table.hkl"}


@pytest.mark.parametrize("flag", OUTPUTS)
def test_disk_without_room(flag, runner):
    done = runner(*words(f"{CRYSTAL} {SMALL} {flag} /dev/full"))
    assert_one_sentence(done, "/dev/full")


def test_file_size_limit(runner):
    """The float image does not fit: it must not be there in part, nor what was to follow."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))

    done = runner(*words(f"{CRYSTAL} {SMALL} -detpixels 50"), preexec_fn=limit)
    assert_one_sentence(done, "floatimage.bin")
    assert left(runner.folder) == set()


def test_failed_run_leaves_old_files_alone(runner):
    for name in IMAGES:
        (runner.folder / name).write_bytes(b"precious")
    done = runner(*words(f"{CRYSTAL} {SMALL} -hkl absent.hkl"))
    assert_one_sentence(done, "absent.hkl")
    assert {name: (runner.folder / name).read_bytes() for name in IMAGES} == dict.fromkeys(IMAGES, b"precious")


def test_output_to_devices(runner):
    done = runner(*words(f"{CRYSTAL} {SMALL} -floatfile /dev/null -intfile /dev/null -nopgm -nonoise"))
    assert done.returncode == 0, done.stderr
    assert left(runner.folder) == set()


def test_image_on_standard_output(runner):
    """Lines and image on one stream, as the reference has it."""
    plain = runner.result(*words(f"{CRYSTAL} {SMALL} -nonoise -nopgm -noprogress"))
    done = subprocess.run(
        [*runner.program, *words(f"{CRYSTAL} {SMALL} -nonoise -nopgm -noprogress -floatfile /dev/stdout")],
        cwd=runner.folder,
        capture_output=True,
    )
    assert done.returncode == 0
    assert plain.files["floatimage.bin"] in done.stdout


@pytest.mark.parametrize(
    "name", ["a b c.bin", "-minus.bin", "umlaut-ä.bin", os.fsdecode(b"odd-\xff\xfe.bin"), "new\nline.bin"]
)
def test_odd_file_names(name, runner):
    done = runner(*words(f"{CRYSTAL} {SMALL} -nonoise -nopgm"), "-floatfile", name)
    assert done.returncode == 0, done.stderr
    assert name in left(runner.folder)
    assert f"writing {name} as 64 4-byte floats" in done.stdout


def test_odd_input_name(runner):
    name = os.fsdecode(b"my data \xff.hkl")
    (runner.folder / name).write_text(TABLE)
    done = runner(*words(f"{CELL} {SMALL} -nonoise -nopgm -hkl"), name)
    assert done.returncode == 0, done.stderr
    assert f"re-reading {name}" in done.stdout
