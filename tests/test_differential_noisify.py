"""Random command lines and images, run by the reference noisify and by ours: every byte and every line.

NOISIFY_C names the reference as users have it. NOISIFY_RANDOM_LINES says how many lines to try in each mode (default
60). In the default mode nothing is drawn that docs/noisify.md lists as a difference; `-compat c` gets everything.
"""

import os
import random
import shlex

import numpy as np
import pytest

from nanobragg_py.flags.noisify import TABLE
from nanobragg_py.inspect import golden

COUNT = int(os.environ.get("NOISIFY_RANDOM_LINES", "60"))


class Lines:
    """A stream of (tokens, float image, header or None)."""

    def __init__(self, seed, wild):
        self.draw = random.Random(seed)
        self.pixels = np.random.default_rng(seed)
        self.wild = wild

    def image(self):
        draw, pixels = self.draw, self.pixels
        fast, slow = (draw.choice([1, 2, 7, 16, 23, 33, 48, 70]) for _ in range(2))
        kind = draw.randrange(8)
        scale = 10.0 ** draw.uniform(-2.0, 5.0)
        image = {
            0: lambda: pixels.gamma(0.5, 2.0, (slow, fast)) * scale,
            1: lambda: np.full((slow, fast), scale),
            2: lambda: np.where(pixels.random((slow, fast)) < 0.03, pixels.random((slow, fast)) * 30.0 * scale, 0.0),
            3: lambda: pixels.poisson(min(scale, 1e4), (slow, fast)),
            4: lambda: np.zeros((slow, fast)),
            5: lambda: np.round(pixels.random((slow, fast)) * 3.0) * scale,
            6: lambda: pixels.exponential(scale, (slow, fast)) * (np.arange(fast) % 5 == 0),
            7: lambda: 10.0 ** pixels.uniform(-3.0, 7.0, (slow, fast)),
        }[kind]()
        image = image.astype(np.float32)
        if self.wild and draw.random() < 0.2:
            for value in (-1.0, -3.5, np.nan, np.inf, -np.inf, 1e38, 1e-40, -0.0):
                if draw.random() < 0.4:
                    image.flat[draw.randrange(image.size)] = value
        return image

    def number(self, *choices):
        return f"{self.draw.choice(choices):g}"

    def line(self):
        draw, image = self.draw, self.image()
        slow, fast = image.shape
        words, header = ["-floatfile", "in.bin", "-seed", str(draw.choice([1, 2, 77, 123456, 0, 2147483646]))], None
        size = draw.randrange(6)
        if size == 1:
            words += ["-detpixels_x", str(fast)]
        elif size == 2:
            words += ["-detpixels_x", str(max(1, fast - draw.randrange(3))), "-detpixels_y", str(slow)]
        elif size == 3:
            words += ["-detpixels_y", str(slow)]
        elif size == 4:
            header = b"{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\n"
            header += f"SIZE1={fast};\nSIZE2={slow};\nPIXEL_SIZE={self.number(0.1, 0.3)};\n".encode()
            header += f"DISTANCE={self.number(90, 123.5)};\nBEAM_CENTER_X=1.5;\nBEAM_CENTER_Y=2.25;\n}}\f".encode()
            header = header.ljust(512) + bytes(2 * fast * slow)
            words += ["-header", "head.img"]
        options = [
            (0.5, ["-calibration", self.number(0, 0.01, 0.1, 0.5)]),
            (0.4, ["-flicker", self.number(0.02, 0.2, 0)]),
            (0.4, ["-readout_noise", self.number(0.5, 3, 0)]),
            (0.3, ["-calib_seed", str(draw.choice([5, 99, 0, 31415]))]),
            (0.3, ["-adc", self.number(0, 10.5, 40, 1000)]),
            (0.3, ["-gain", self.number(1.8, 0.1, 30)]),
            (0.3, ["-scale", self.number(0.01, 2, 50)]),
            (0.2, ["-bits", draw.choice(["16", "32", "8"])]),
            (0.2, ["-pixel", self.number(0.05, 0.172)]),
            (0.1, ["-fluence", self.number(1e29, 2e28)]),
            (0.2, ["-nopgm"]),
            (0.3, ["-nonoise"]),
            (0.2, ["-Xbeam", self.number(1, -3.5)]),
            (0.2, ["-distance", self.number(200, 55.5), "-lambda", self.number(0.9795, 2), "-osc", "0.1"]),
            (0.1, ["-noisefile", "n.img", "-intimage", "i.img"]),
            (0.05, ["-flicker"]),
            (0.1, ["-quantum_gain", "3"]),
        ]
        if self.wild:
            options += [
                (0.2, ["-adc", self.number(-10, -1e5, -0.5)]),
                (0.1, ["-gain", self.number(-2, 1e9, 0)]),
                (0.2, ["-seed", str(-draw.choice([1, 5, 2147483646, 2147483647, 2147483648]))]),
                (0.2, ["-calib_seed", str(-draw.choice([1, 5, 2147483647]))]),
                (0.05, ["-seed", "2147483647"]),
                (0.1, ["-scale", self.number(-1, 1e-30)]),
            ]
        if draw.random() < 0.5:
            kind = draw.choice(["gauss", "fiber"])
            options.append((1.0, ["-psf", kind]))
            options.append((0.8, ["-psf_fwhm", self.number(20, 46, 150, 400, 2000)]))
            # the reference crashes at an automatic Gaussian radius of a pixel below 0.01 photons
            options.append(
                (0.95 if kind == "gauss" else 0.5, ["-psf_radius", str(draw.choice([1, 2, 3, 5, 9, 17, 40]))])
            )
            if self.wild:
                options.append((0.1, ["-psf_radius", str(draw.choice([-1, -7]))]))
        draw.shuffle(options)
        for share, tokens in options:
            if draw.random() < share:
                words += tokens
        if "32" in words:  # how gcc -O3 converts these there is not how it does elsewhere
            image[np.isnan(image) | np.isinf(image)] = 0.0
        elif np.isinf(image).any():  # which of two nan a sum keeps is not said
            image[np.isnan(image)] = 0.0
        return words, image, header


def compare(words, image, header, theirs, ours, folder, flags, **environment):
    """The comparison of the two programs; None where the reference crashed, or did what C does not define."""
    results = []
    for name, command, own in (("theirs", theirs, []), ("ours", ours, flags)):
        place = folder / name
        place.mkdir(parents=True)
        image.tofile(place / "in.bin")
        if header is not None:
            (place / "head.img").write_bytes(header)
        results.append(golden.run(command, [*own, *words], place, environment))
    undefined = "psf_radius = -2147483648" in results[0].output or "below 0, or no numbers" in results[1].errors
    if results[0].exit_status < 0 or undefined:
        return None
    return golden.compare(results[1], results[0], words, table=TABLE)


@pytest.mark.parametrize("mode", ["default", "c"])
def test_random_lines(mode, noisify, tmp_path):
    path = os.environ.get("NOISIFY_C")
    if not path:
        pytest.skip("NOISIFY_C does not name a reference program")
    lines, failed, left_out = Lines(20260704, mode == "c"), [], 0
    for number in range(COUNT):
        words, image, header = lines.line()
        folder = tmp_path / str(number)
        threads = str(1 + number % 3)
        flags = ["-compat", "c"] if mode == "c" else []
        found = compare(words, image, header, [os.path.abspath(path)], noisify, folder, flags, OMP_NUM_THREADS=threads)
        if found is None:
            left_out += 1
        elif found.differences:
            failed.append(f"{folder} {shlex.join(words)}\n    " + "\n    ".join(found.differences))
    assert not failed, f"{len(failed)} of {COUNT} lines:\n" + "\n".join(failed)
    assert left_out <= 0.2 * COUNT, "so few lines are left that this says little"
