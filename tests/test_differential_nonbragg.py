"""Random command lines and curves, run by the reference nonBragg and by ours: every file and every line.

NONBRAGG_C names the reference as users have it. NONBRAGG_RANDOM_LINES says how many lines to try in each mode (default
40). In the default mode nothing is drawn that docs/nonbragg.md lists as a difference; `-compat c` gets what it covers.
"""

import os
import random
import shlex

import numpy as np
import pytest

from nanobragg_py.flags.nonbragg import TABLE
from nanobragg_py.inspect import golden

COUNT = int(os.environ.get("NONBRAGG_RANDOM_LINES", "40"))
SEED = int(os.environ.get("NONBRAGG_RANDOM_SEED", "20260705"))


class Lines:
    """A stream of (tokens, {name: bytes} of input files)."""

    def __init__(self, seed, wild):
        self.draw = random.Random(seed)
        self.wild = wild

    def number(self, low, high):
        return f"{self.draw.uniform(low, high):.5g}"

    def curve(self):
        draw = self.draw
        rows = draw.choice([1, 2, 3, 4, 5, 9, 20, 60, 300])
        top = draw.choice([0.1, 0.3, 0.6, 1.2])
        if draw.random() < 0.6:
            x = np.linspace(0.0 if draw.random() < 0.7 else 0.03, top, rows)
        else:
            x = np.sort(np.unique(np.round([draw.uniform(-0.02, top) for _ in range(rows)], 5)))
        level = draw.choice([2.5, 8.0, 40.0])
        F = level * (1.0 + draw.choice([0.3, 1.5]) * np.sin(draw.uniform(5, 60) * x)) + 0.1 * x
        pairs = [(f"{a:.7g}", f"{f:.6g}") for a, f in zip(x, F, strict=True)]
        if draw.random() < 0.15 and len(pairs) > 2:
            pairs[draw.randrange(len(pairs))] = (pairs[0][0] if self.wild else "", "")[0:0] or pairs[0]
            pairs = list(dict(pairs).items())
        if self.wild and draw.random() < 0.4 and len(pairs) > 3:
            for _ in range(draw.randrange(1, 4)):
                i, j = draw.randrange(len(pairs)), draw.randrange(len(pairs))
                pairs[i], pairs[j] = pairs[j], pairs[i]
        separator = draw.choice([" ", "\t", ",", "  ;", ":", " ! "])
        end = draw.choice(["\n", "\n", "\r\n"])
        text = end.join(f"{a}{separator}{f}{draw.choice(['', '', ' word'])}" for a, f in pairs) + end
        if self.wild and draw.random() < 0.2:
            text = "# prose\n" + text
        if draw.random() < 0.2:
            text = " \n" + text
        return text.encode()

    def image(self):
        draw = self.draw
        fast, slow = draw.choice([(20, 31), (48, 40), (64, 64)])
        pixel = draw.choice([1.0, 0.5, 2.0])
        pixels = np.random.default_rng(draw.randrange(1000)).poisson(60.0, (slow, fast)).astype("<u2")
        header = "{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\n"
        header += f"SIZE1={fast};\nSIZE2={slow};\nPIXEL_SIZE={pixel:g};\nDISTANCE={self.number(50, 120)};\n"
        if draw.random() < 0.5:
            header += f"WAVELENGTH={self.number(0.8, 1.5)};\nBEAM_CENTER_X={self.number(5, 20)};\nBEAM_CENTER_Y=12;\n"
        if draw.random() < 0.3:
            header += "ORGX=10;\nORGY=12.5;\n"
        if draw.random() < 0.3:
            header += "CLOSE_DISTANCE=77;\nPHI=12;\nOSC_RANGE=0.5;\n"
        data = (header + "}\f").encode().ljust(512) + pixels.tobytes()
        # what the reference does with a row of pixels more than there are is nobody's business (N7)
        size = [pixel / 1000.0 * n / (pixel / 1000.0) for n in (fast, slow)]
        return data if [int(np.ceil(n)) for n in size] == [fast, slow] else None

    def sources(self):
        draw = self.draw
        rows = []
        for _ in range(draw.randrange(1, 7)):
            row = ["-10", self.number(-0.1, 0.1), self.number(-0.1, 0.1)]
            row += [self.number(-0.2, 2), f"{draw.uniform(0.8, 1.3):.4g}e-10"]
            rows.append(" ".join(row[: draw.choice([3, 4, 5, 5, 5])]))
        return ("\n".join(rows) + "\n").encode()

    def line(self):
        draw = self.draw
        files = {"curve.stol": self.curve()}
        image = self.image() if draw.random() < 0.15 else None
        words = [draw.choice(["-stol", "-stol", "-stol", "-4stol", "-Q"]), "curve.stol", "-seed", "3"]
        pixel = draw.choice(["1", "1.7", "0.8", "2.3", "4"])
        options = [
            (0.7, ["-fluence", draw.choice(["1e20", "3e16", "1e24", "1e18"])]),
            (0.4, ["-lambda", self.number(0.7, 2)]),
            (0.1, ["-energy", self.number(6000, 14000)]),
            (0.3, ["-distance", self.number(30, 300)]),
            (0.1, ["-close_distance", self.number(30, 300)]),
            (0.3, ["-Xbeam", self.number(-5, 80)]),
            (0.3, ["-Ybeam", self.number(-5, 80)]),
            (0.1, ["-Xclose", self.number(-5, 80)]),
            (0.1, ["-ORGY", self.number(-5, 80)]),
            (0.15, ["-twotheta", self.number(-40, 40)]),
            (0.1, ["-detector_rotx", self.number(-20, 20)]),
            (0.1, ["-detector_roty", self.number(-20, 20)]),
            (0.1, ["-detector_rotz", self.number(-90, 90)]),
            (0.1, ["-pivot", draw.choice(["beam", "sample", "both"])]),
            (0.1, ["-beam_vector", "1", self.number(-0.1, 0.1), self.number(-0.1, 0.1)]),
            (0.1, ["-polar_vector", self.number(-0.1, 0.1), self.number(-1, 1), "1"]),
            (0.05, ["-fdet_vector", "0.01", "0.02", "1"]),
            (0.1, ["-twotheta_axis", "0", self.number(-1, 1), "1"]),
            (0.1, ["-curved_det", "1"]),
            (0.1, ["-point_pixel"]),
            (0.08, ["-Fmap"]),
            (0.3, ["-polar", self.number(-1, 1)]),
            (0.15, ["-nopolar"]),
            (0.3, ["-oversample", str(draw.choice([1, 2, 3]))]),
            (0.15, ["-roi", *(str(draw.randrange(-2, 45)) for _ in range(4))]),
            (0.2, ["-dispersion", self.number(0, 40), "-dispsteps", str(draw.randrange(0, 12))]),
            (0.15, ["-divergence", self.number(0, 60), "-divsteps", str(draw.randrange(0, 5))]),
            (0.1, ["-hdivrange", self.number(0, 60), "-hdivstep", self.number(5, 30)]),
            (0.1, ["-square_div"]),
            (0.1, ["-source_distance", self.number(100, 5000)]),
            (0.3, ["-thickness", self.number(0.01, 3)]),
            (0.1, ["-samplesize", self.number(0.01, 0.4)]),
            (0.1, ["-sample_y", self.number(0.01, 0.4)]),
            (0.2, ["-density", self.number(0.001, 3)]),
            (0.1, ["-molecules", "1e15"]),
            (0.2, ["-MW", self.number(10, 300)]),
            (0.1, ["-flux", "1e12", "-exposure", self.number(0.1, 2), "-beamsize", self.number(0.01, 0.3)]),
            (0.1, ["-phi", self.number(0, 90), "-osc", self.number(0, 2)]),
            (0.05, ["-phisteps", "3"]),
            (0.2, ["-adc", self.number(0, 100)]),
            (0.15, ["-scale", self.number(0.001, 10)]),
            (0.15, ["-pgmscale", self.number(0.001, 10)]),
            (0.3, ["-nonoise"]),
            (0.2, ["-noprogress"]),
            (0.05, ["-printout_pixel", "3", "4"]),
            (0.1, ["-thicksteps", "2", "-hdiv", "3", "-mosflm", "-cell", "10", "10", "10"]),
            (0.05, ["-floatimage", "f.bin", "-intfile", "i.img"]),
        ]
        if image is None:
            words += ["-pixel", pixel, "-detpixels_f", str(draw.randrange(5, 60))]
            words += draw.choice([["-detpixels_y", str(draw.randrange(5, 60))], ["-detsize_y", self.number(20, 70)]])
        else:
            files["in.img"] = image
            words += ["-img", "in.img"]
            options = [each for each in options if each[1][0] != "-roi" or self.wild]
            options += [(0.3, ["-gain", self.number(0.5, 3)]), (0.3, ["-ignore", "60", "-ignore", "65597"])]
        if draw.random() < 0.1:
            files["sources.txt"] = self.sources()
            words += ["-sourcefile", "sources.txt"]
        draw.shuffle(options)
        for share, tokens in options:
            if draw.random() < share:
                words += tokens
        return words, files


def run(command, words, files, folder, **environment):
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    result = golden.run(command, words, folder, environment)
    # the reference writes foreign memory behind its pictures (N4)
    for name, data in result.files.items():
        if data.startswith(b"P5\n"):
            head = data.split(b"\n", 4)
            fast, slow = map(int, head[1].split())
            pixels = len(data) - len(head[4]) + fast * slow
            result.files[name] = data[:pixels]
    # the sign of a nan is no interface
    return result.replace(lines=[line.replace("-nan", "nan") for line in result.lines])


@pytest.mark.parametrize("mode", ["default", "c"])
def test_random_lines(mode, nonbragg, tmp_path):
    path = os.environ.get("NONBRAGG_C")
    if not path:
        pytest.skip("NONBRAGG_C does not name a reference program")
    lines, failed = Lines(SEED, mode == "c"), []
    for number in range(COUNT):
        words, files = lines.line()
        folder = tmp_path / str(number)
        flags = ["-compat", "c"] if mode == "c" else []
        theirs = run([os.path.abspath(path)], words, files, folder / "theirs")
        ours = run(nonbragg, [*flags, *words], files, folder / "ours", OMP_NUM_THREADS=str(1 + number % 3))
        if theirs.exit_status < 0:
            continue
        found = golden.compare(ours, theirs, words, table=TABLE)
        if found.differences:
            failed.append(f"{folder} {shlex.join(words)}\n    " + "\n    ".join(found.differences))
    assert failed == []
