"""Command lines of the program, and what tests ask of one that fails."""

import shlex

CELL = "-cell 50 60 70 90 90 90"
CRYSTAL = f"{CELL} -default_F 100"
SMALL = "-detpixels 8 -pixel 1 -oversample 1 -N 3 -seed 1"
IMAGES = {"floatimage.bin", "intimage.img", "image.pgm", "noiseimage.img"}


def words(line):
    return shlex.split(line)


def assert_one_sentence(done, *names, status=9):
    """One ERROR line on standard error, which says what it is about; no traceback."""
    assert done.returncode == status, done.stderr
    errors = [line for line in done.stderr.splitlines() if not line.startswith("WARNING:")]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("ERROR: ")
    assert "Traceback" not in done.stderr
    for name in names:
        assert name in errors[0]


def left(folder):
    return {path.name for path in folder.iterdir()}
