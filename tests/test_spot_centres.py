"""At lattice points, where formulas cancel, every way to a pixel gives the same, `-compat c` the reference's (D6)."""

import os
import random
import subprocess

import numpy as np
import pytest

from nanobragg_py.experiment.load import load_args
from nanobragg_py.inspect.trace import trace_pixel
from nanobragg_py.kernels.loops.job import SHAPES
from nanobragg_py.render.simulate import simulate

ROUND = (
    "-default_F 10 -cell 100 100 100 90 90 90 -N 8 -round_xtal -detpixels 21 -pixel 1 -distance 100 -lambda 0.9 "
    "-oversample 1"
)


def image_of(words, **keywords):
    loaded = load_args(words.split())
    return np.array(simulate(loaded.experiment, loaded.table, **keywords)[0])


def random_line(numbers, shape):
    """The beam hits the centre of a pixel, or of a sub-pixel, and there the lattice point 0 0 0 lies."""
    side, oversample = numbers.choice(((11, 1), (21, 1), (11, 3), (20, 2)))
    words = [
        f"-default_F {numbers.choice((1, 10))} -cell {numbers.choice(('100 100 100 90 90 90', '40 50 60 80 95 100'))}",
        f"-Na {numbers.randint(1, 9)} -Nb {numbers.randint(1, 9)} -Nc {numbers.randint(1, 9)}",
        f"-{shape}_{'spots' if shape == 'tophat' else 'xtal'} -detpixels {side} -oversample {oversample}",
        f"-pixel {numbers.choice((0.1, 0.2, 1))} -distance {numbers.choice((50, 100, 200))}",
        f"-lambda {numbers.choice((0.9, 1, 1.5))} -phi {numbers.choice((0, 3))}",
    ]
    if side == 20:  # the middle of a pixel all the same
        words.append("-oversample 1 -Xbeam {0} -Ybeam {0}".format(10.5 * float(words[3].split()[1])))
    if numbers.random() < 0.4:
        words.append(f"-fudge {numbers.choice((0.5, 2))}")
    if numbers.random() < 0.4:
        words.append("-misset 10 20 30")
    if numbers.random() < 0.3:
        words.append("-osc 1 -phisteps 2 -mosaic 0.5 -mosaic_domains 3")
    return " ".join(words)


LINES = [random_line(random.Random(f"{shape} {n}"), shape) for shape in SHAPES for n in range(12)]


@pytest.mark.parametrize("words", LINES)
def test_every_way_to_the_pixel(words):
    loaded = load_args(words.split())
    for compat in ("spec", "c"):
        image = image_of(words, compat=compat)
        brightest = np.unravel_index(image.argmax(), image.shape)
        middle = image.shape[0] // 2, image.shape[1] // 2
        for slow, fast in {tuple(map(int, brightest)), middle}:  # a trace that ends elsewhere is an error
            trace = trace_pixel(loaded.experiment, loaded.table, slow, fast, compat=compat)
            least = 1e-7 * float(image.max())
            assert trace.pixel["I_pixel_final"] == pytest.approx(image[slow, fast], rel=1e-5, abs=least)
    double, single = image_of(words), image_of(words, precision="single")
    assert np.abs(single - double).max() <= 1e-5 * double.max()


def test_the_centre_of_a_round_crystals_spot():
    spec, reference = image_of(ROUND), image_of(ROUND, compat="c")
    assert spec[11, 11] == spec.max() > 1000 and reference[11, 11] == 0.0
    apart = spec != reference
    assert apart.sum() == 1 and not np.isnan(reference).any()


def test_statistics_with_marked_pixels():
    loaded = load_args(ROUND.split())
    found = []
    for threads in (1, 3):
        image, stats = simulate(loaded.experiment, None, compat="c", threads=threads)
        values = np.asarray(image).astype(float)
        assert stats.mean == pytest.approx(values.mean(), rel=1e-6)
        assert stats.maximum == values.max()
        assert np.asarray(image)[stats.maximum_pixel] == stats.maximum
        found.append((np.asarray(image).tobytes(), stats.mean, stats.rms, stats.rmsd, stats.solid_angle))
    assert found[0] == found[1]


@pytest.mark.skipif("NANOBRAGG_C" not in os.environ, reason="NANOBRAGG_C does not name the reference program")
@pytest.mark.parametrize("words", [ROUND, *(line for line in LINES if "-round_xtal" in line)])
def test_as_the_reference(words, tmp_path):
    command = [os.environ["NANOBRAGG_C"], *words.split(), "-nonoise", "-nopgm", "-floatfile", "c.bin"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    expected, found = np.fromfile(tmp_path / "c.bin", np.float32), image_of(words, compat="c").ravel()
    assert np.abs(found - expected).max() <= 3e-7 * expected.max()


def on_the_sphere(shape, number):
    """A line on which the middle of a pixel sees a lattice point h k l, other than 0 0 0, and that pixel.

    The wavelength is the one that puts the point on the Ewald sphere, and the detector is shifted until the beam it
    scatters meets the middle of a pixel: all of it as exact as numbers can be written.
    """
    numbers = random.Random(f"{shape} {number}")
    counts = " ".join(f"-N{axis} {numbers.randint(2, 9)}" for axis in "abc")
    misset = " ".join(str(numbers.randint(0, 90)) for _ in "xyz")
    words = (
        f"-default_F 10 -cell {numbers.choice(('100 100 100 90 90 90', '40 50 60 80 95 100'))} {counts} "
        f"-{shape}_{'spots' if shape == 'tophat' else 'xtal'} -misset {misset} "
        "-detpixels 9 -pixel 0.1 -distance 100 -oversample 1"
    )
    crystal = load_args(f"{words} -lambda 1".split()).experiment.crystal
    axes = np.linalg.inv(1e10 * np.array([crystal.a, crystal.b, crystal.c])).T
    while True:
        index = [numbers.randint(-9, 9) for _ in "hkl"]
        q = index @ axes
        wavelength = float(-2.0 * q[0] / (q @ q)) if any(index) else 0.0  # the beam goes along x
        scattered = np.array([1.0, 0.0, 0.0]) + wavelength * q
        if wavelength > 0.2 and scattered[0] > 0.5:
            break
    words += f" -lambda {wavelength!r} -pivot sample"
    slow, fast = numbers.randrange(2, 7), numbers.randrange(2, 7)

    def miss(X, Y):
        detector = load_args(f"{words} -Xbeam {X!r} -Ybeam {Y!r}".split()).experiment.detector
        axes = [np.array(axis) for axis in (detector.fast, detector.slow)]
        pixel = (fast + 0.5) * detector.pixel_size * axes[0] + (slow + 0.5) * detector.pixel_size * axes[1]
        place = np.array(detector.origin) + pixel
        return np.array([(scattered * (place[0] / scattered[0]) - place) @ axis for axis in axes])

    at_origin = miss(0.0, 0.0)
    moves = np.column_stack([miss(1.0, 0.0) - at_origin, miss(0.0, 1.0) - at_origin])
    X, Y = np.linalg.solve(moves, -at_origin)
    assert np.abs(miss(float(X), float(Y))).max() < 1e-14
    return f"{words} -Xbeam {float(X)!r} -Ybeam {float(Y)!r}", (slow, fast), index


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("shape", SHAPES)
def test_exact_reflections_have_one_value(shape, number):
    """Renderer, trace, single precision, and -compat c, away from 0 0 0."""
    words, (slow, fast), index = on_the_sphere(shape, number)
    loaded = load_args(words.split())
    image = image_of(words)
    trace = trace_pixel(loaded.experiment, loaded.table, slow, fast)
    assert trace.pixel["I_pixel_final"] == pytest.approx(image[slow, fast], rel=1e-6)
    (step,) = trace.steps()
    assert [round(x) for x in step["hkl_frac"]] == index
    cells = np.prod(loaded.experiment.crystal.cells)
    top = 0.723601254558268 * cells if shape == "round" else cells
    assert abs(step["F_latt"]) == pytest.approx(top, rel=1e-9)
    single = image_of(words, precision="single")
    assert np.abs(single - image).max() <= 1e-5 * image.max()
    beside = np.delete(image_of(words, compat="c").ravel(), slow * 9 + fast)
    assert beside == pytest.approx(np.delete(image.ravel(), slow * 9 + fast), rel=1e-6, abs=1e-7 * float(image.max()))
