"""The host module on the emulated device: shapes, bands, statistics, precisions, buffers."""

from itertools import pairwise

import numpy as np
import pytest

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.render.simulate import simulate

BASE = "-default_F 100 -cell 90 100 110 80 95 100 -lambda 1 -distance 100 -pixel 0.5 -nointerpolate"
FIELDS = ("pixels", "mean", "rms", "rmsd", "maximum", "solid_angle")


def load(words):
    return load_args(f"{BASE} {words}".split())


def both(words, **options):
    """The images and statistics of the CPU and of the emulated GPU."""
    loaded = load(words)
    cpu = simulate(loaded.experiment, loaded.table)
    gpu = simulate(loaded.experiment, loaded.table, backend="gpu", **options)
    return np.asarray(cpu[0]), cpu[1], np.asarray(gpu[0]), gpu[1]


def assert_same(words, rtol=1e-6, **options):
    expected, cpu, image, gpu = both(words, **options)
    np.testing.assert_allclose(image, expected, rtol=rtol, atol=1e-9 * expected.max(initial=0.0))
    for name in FIELDS:
        assert getattr(gpu, name) == pytest.approx(getattr(cpu, name), rel=max(rtol, 1e-6)), name
    assert gpu.maximum_pixel == cpu.maximum_pixel
    return image


@pytest.mark.parametrize("fast", [1, 2, 127, 128, 129, 255, 256, 257, 300, 513])
def test_widths_that_no_block_divides(emulated, fast):
    assert assert_same(f"-N 5 -detpixels_x {fast} -detpixels_y 3").shape == (3, fast)


@pytest.mark.parametrize("orientations", [1, 2, 63, 64, 65, 129])
def test_chunks_that_no_orientation_count_divides(emulated, orientations):
    assert_same(f"-N 3 -detpixels 20 -mosaic_spread 1 -mosaic_domains {orientations}")


def test_one_pixel(emulated):
    assert assert_same("-N 5 -detpixels 1").shape == (1, 1)


def test_empty_region_of_interest(emulated):
    image, statistics = simulate(load("-N 5 -detpixels 9 -roi 7 3 7 3").experiment, backend="gpu")
    assert not np.asarray(image).any()
    assert statistics.pixels == 0 and statistics.maximum == 0.0 and statistics.maximum_pixel is None


def test_region_of_interest_leaves_the_rest_alone(emulated):
    image = assert_same("-N 5 -detpixels 40 -roi 5 30 7 20")
    outside = image.copy()
    outside[7:21, 5:31] = 0.0
    assert image.any() and not outside.any()


@pytest.mark.parametrize(
    "words",
    [
        "-N 4",
        "-Na 5 -Nb 7 -Nc 12",
        "-N 5 -round_xtal",
        "-N 5 -gauss_xtal",
        "-N 5 -tophat_spots -mosaic_spread 20 -mosaic_domains 8",
        "-N 5 -curved_det -dispersion 5 -dispsteps 3",
        "-N 5 -dispersion 5 -dispsteps 3 -phi 10 -osc 1 -phisteps 30",
        "-N 5 -dmin 2.5 -dispersion 20 -dispsteps 3",
        "-N 5 -oversample 2 -oversample_omega -oversample_polar -detector_thick 100 -detector_abs 200 -thicksteps 2",
        "-N 5 -oversample 2 -oversample_thick -detector_thick 100 -detector_abs 200 -thicksteps 3",
        "-N 5 -point_pixel -nopolar -water 100",
    ],
)
@pytest.mark.parametrize("precision", ["double", "single"])
def test_both_precisions(emulated, words, precision):
    if "oversample" not in words:
        words += " -oversample 4"
    if precision == "double":
        assert_same(f"{words} -detpixels 48")
        return
    expected, _, image, _ = both(f"{words} -detpixels 48", precision="single")
    expected, image = expected.astype(float), image.astype(float)  # the sum of squares is beyond float32
    np.testing.assert_allclose(image, expected, rtol=1e-3, atol=2e-5 * expected.max())
    assert np.linalg.norm(image - expected) < 1e-5 * np.linalg.norm(expected)


def slow_device(monkeypatch, steps_a_second, multiprocessors=1):
    """A device that is cut into bands sooner; renderers are made anew."""
    from nanobragg_py.render import backends
    from nanobragg_py.render.gpu import renderer
    from nanobragg_py.render.gpu.hardware import Hardware

    known = renderer.hardware_of
    monkeypatch.setattr(Hardware, "rate", lambda *_: steps_a_second)
    monkeypatch.setattr(
        renderer, "hardware_of", lambda *device: known(*device).replace(multiprocessors=multiprocessors)
    )
    monkeypatch.setattr(backends, "_gpu_renderers", {})


def test_bands_do_not_change_the_image(emulated, monkeypatch):
    from nanobragg_py.render.gpu import bands

    loaded = load("-N 5 -oversample 1 -detpixels 50")
    whole, together = simulate(loaded.experiment, backend="gpu")
    done = []
    with monkeypatch.context() as patch:
        slow_device(patch, 450 / bands.SECONDS)  # nine rows at a time
        image, apart = simulate(loaded.experiment, backend="gpu", progress=done.append)
    assert done == [400, 800, 1250, 1650, 2050, 2500]
    assert np.array_equal(np.asarray(image), np.asarray(whole))
    assert apart.rmsd == pytest.approx(together.rmsd, rel=1e-12)
    assert (apart.maximum, apart.maximum_pixel) == (together.maximum, together.maximum_pixel)


@pytest.mark.emulation
def test_little_memory_does_not_change_the_image(emulated, monkeypatch):
    import emulated_cupy

    loaded, done = load("-N 5 -oversample 1 -detpixels 50"), []
    whole, _ = simulate(loaded.experiment, backend="gpu")
    monkeypatch.setattr(emulated_cupy, "MEMORY", emulated_cupy.Memory.used + 2000)  # and the image before
    image, _ = simulate(loaded.experiment, backend="gpu", progress=done.append)
    assert len(done) > 1
    assert np.array_equal(np.asarray(image), np.asarray(whole))


#: what pixels carry from a launch to the next: sums, and corrections that are those of the first sub-step
CARRYING = [
    "-mosaic_spread 1 -mosaic_domains 300",
    "-N 5 -dispersion 5 -dispsteps 3 -osc 1 -phisteps 70 -oversample 2",
    "-dmin 2.5 -dispersion 20 -dispsteps 5",
    "-oversample 2 -detector_thick 100 -detector_abs 200 -thicksteps 3 -dispersion 20 -dispsteps 3",
    "-oversample 2 -oversample_omega -oversample_polar -oversample_thick -detector_thick 100 -detector_abs 200"
    " -thicksteps 2 -dispersion 20 -dispsteps 3",
    "-curved_det -oversample 3 -osc 1 -phisteps 70",
    "-interpolate -hkl {hkl} -oversample 2",
]


@pytest.mark.parametrize("words", CARRYING)
def test_work_that_is_cut_adds_up_the_same(launched, monkeypatch, tmp_path, words):
    """Orientations, sources, sub-pixels and layers in several launches: the image is the same to the bit."""
    (tmp_path / "a.hkl").write_text("".join(f"{h} {h - 1} {h + 1} {10 + h}\n" for h in range(-4, 5)))
    loaded = load("-N 3 -detpixels 20 " + words.format(hkl=tmp_path / "a.hkl"))
    whole, together = simulate(loaded.experiment, loaded.table, backend="gpu")
    slow_device(monkeypatch, 1.0)
    launched.clear()
    done = []
    image, apart = simulate(loaded.experiment, loaded.table, backend="gpu", progress=done.append)
    launches = [grid for name, grid in launched if name == "nb_intensity"]
    assert len(launches) == len(done) > 4 and done == sorted(done) and done[-1] == 400
    assert {grid[1] for grid in launches} == {10}  # two bands of ten blocks; eight is the least
    assert np.array_equal(np.asarray(image), np.asarray(whole)) and np.asarray(whole).any()
    for name in ("pixels", "maximum", "maximum_pixel", "not_interpolated"):
        assert getattr(apart, name) == getattr(together, name)
    for name in FIELDS:
        assert getattr(apart, name) == pytest.approx(getattr(together, name), rel=1e-12)


@pytest.mark.parametrize(("domains", "phisteps", "detpixels"), [(1000, 100, 1024), (1000, 1000, 1024), (1, 1, 8192)])
def test_every_launch_fills_the_device(domains, phisteps, detpixels):
    """An H100 and a GeForce, and jobs of many steps a pixel: eight blocks a multiprocessor, and time for Ctrl-C."""
    from nanobragg_py.kernels.loops.job import Job
    from nanobragg_py.render.gpu.bands import SECONDS, cut_work
    from nanobragg_py.render.gpu.hardware import Hardware

    job = Job(load(f"-detpixels {detpixels} -oversample 1 -osc 1 -phisteps {phisteps}"
                   f" -mosaic_spread 1 -mosaic_domains {domains}").experiment)
    for hardware in (
        Hardware(name="H100", multiprocessors=132, clock=1.98e9, lanes=128, ratio=2),
        Hardware(name="RTX 5090", multiprocessors=170, clock=2.41e9, lanes=128, ratio=64),
    ):
        segments, rate = detpixels // 256, hardware.rate("double")
        cut = cut_work(detpixels, segments, job, hardware, rate)
        assert cut.bands[0][0] == 0 and cut.bands[-1][1] == detpixels
        assert cut.slices[0][0] == 0 and cut.slices[-1][1] == job.pieces
        for pairs in (cut.bands, cut.slices):
            assert all(one[1] == other[0] for one, other in pairwise(pairs))
        assert min(end - first for first, end in cut.bands) * segments >= 8 * hardware.multiprocessors
        largest = max(end - begin for begin, end in cut.slices) / job.pieces
        seconds = cut.rows * detpixels * job.steps_per_pixel * largest / rate
        assert seconds <= 1.1 * SECONDS


@pytest.mark.emulation
def test_no_memory(emulated, monkeypatch):
    import emulated_cupy

    loaded = load("-N 5 -oversample 1 -detpixels 50")
    for more, sentence in ((10, "has not enough memory for this"), (1600, "has no memory left for a row of 50 pixels")):
        monkeypatch.setattr(emulated_cupy, "MEMORY", emulated_cupy.Memory.used + more)
        with pytest.raises(NanoBraggError, match=sentence):
            simulate(loaded.experiment, backend="gpu")


def test_results_are_the_same_on_every_run(emulated):
    loaded = load("-N 5 -detpixels 70 -water 10")
    first, second = (simulate(loaded.experiment, backend="gpu") for _ in range(2))
    assert np.array_equal(np.asarray(first[0]), np.asarray(second[0]))
    assert first[1].replace(seconds=0.0) == second[1].replace(seconds=0.0)


def test_spread_of_a_nearly_flat_image(emulated):
    """A sum of squares less the square of the sum would lose all its digits here."""
    _, cpu, image, gpu = both("-default_F 1e-4 -N 1 -water 1000 -detpixels 100 -pixel 0.01 -nopolar")
    assert image.std() < 1e-3 * image.mean()
    exact = image.astype(np.float64)
    assert gpu.rmsd == pytest.approx(np.sqrt(((exact - exact.mean()) ** 2).sum() / (exact.size - 1)), rel=1e-9)
    assert gpu.rmsd == pytest.approx(cpu.rmsd, rel=1e-9)


@pytest.mark.parametrize("words", ["", "-oversample 2 -oversample_omega", "-phi 1 -osc 1 -phisteps 3"])
def test_pixels_that_float32_can_hardly_hold(emulated, words):
    """Far from a Gaussian spot: subnormal float32 numbers, which the device's arithmetic takes for 0."""
    expected, cpu, image, gpu = both(f"-gauss_xtal -N 10 -detpixels 200 {words}")
    tiny = (expected != 0) & (expected < np.finfo(np.float32).tiny)
    assert tiny.mean() > 0.0015
    assert (image == expected).mean() > 0.999
    assert np.array_equal(image[tiny], expected[tiny])
    assert gpu.pixels == cpu.pixels


def test_an_image_of_faint_pixels_alone(emulated):
    """Statistics and integer pixels of what the device's arithmetic takes for 0."""
    expected, cpu, image, gpu = both("-N 5 -detpixels 20 -fluence 1e-14")
    assert 0 < expected.max() < np.finfo(np.float32).tiny
    assert np.array_equal(image, expected)
    assert (gpu.maximum, gpu.maximum_pixel) == (cpu.maximum, cpu.maximum_pixel)
    assert gpu.mean == pytest.approx(cpu.mean, rel=1e-12)


def test_rotation(emulated):
    """The device's cells are the host's."""
    from nanobragg_py.kernels.loops.job import Job
    from nanobragg_py.render.gpu import Renderer

    lines = [
        "-phi 10 -osc 5 -phisteps 7 -mosaic_spread 3 -mosaic_domains 5",
        "-phi 20 -osc 5 -phisteps 3",
        "-misset 10 20 30 -mosaic_spread 3 -mosaic_domains 9",
    ]
    jobs = [Job(load(f"-N 5 -detpixels 4 {line}").experiment) for line in lines]
    cells, first = Renderer().inputs(jobs)["cells"].get(), 0
    for job, orientations in zip(jobs, (35, 3, 9), strict=True):
        expected = np.asarray(job.orientations)[:, :orientations]
        found = cells[first : first + 9 * job.stride].reshape(9, -1)[:, :orientations]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15 * np.abs(expected).max())
        first += 9 * job.stride
    assert first == cells.size


def test_arrays_are_described_as_data(emulated):
    from nanobragg_py.kernels.loops.job import Job
    from nanobragg_py.render.gpu.arrays import band_arrays, image_arrays, pack
    from nanobragg_py.render.gpu.bands import Cut
    from nanobragg_py.render.gpu.structs import CARRIED, STATISTICS
    from nanobragg_py.render.gpu.variants import Variant

    loaded = load("-N 5 -detpixels 12 -mosaic_spread 3 -mosaic_domains 5")
    job = Job(loaded.experiment)
    packed = pack([job, job])  # what both have is there once
    assert packed.data.nbytes - packed.inputs == 8 * (11 + 1 + 45)
    assert (packed.cells, packed.orientations) == (2 * 9 * job.stride, 5)
    assert image_arrays(5, 12, False)[0].nbytes == 4 * 5 * 12
    variant = Variant(kind=0, structure=0)
    cut = Cut(bands=[(0, 300), (300, 600)], slices=[(0, 2)])
    sizes = {array.name: array.nbytes for array in band_arrays(cut, 2, variant)}
    assert sizes == {name: STATISTICS.itemsize * n for name, n in (("total", 1), ("partials", 600), ("level0", 3))}
    many = {array.name: array.nbytes for array in band_arrays(cut, 2, variant, 3)}
    assert many == {name: 3 * size for name, size in sizes.items()}
    assert band_arrays(cut.replace(slices=[(0, 1), (1, 2)]), 2, variant)[-1].nbytes == 600 * 256 * CARRIED.itemsize


@pytest.mark.parametrize("precision", ["double", "single"])
def test_orientations_out_of_reach_are_left_out(emulated, tmp_path, precision):
    """As on the CPU: with infinite structure factors, a spot's zero that is added in vain would leave nan."""
    (tmp_path / "a.hkl").write_text("".join(f"{h} {k} {l} 10\n" for h in (-9, 9) for k in (-9, 9) for l in (-9, 9)))
    loaded = load(f"-tophat_spots -N 30 -pixel 0.1 -detpixels 40 -hkl {tmp_path / 'a.hkl'} -oversample 1")
    np.asarray(loaded.table)[...] = 1e200
    image, _ = simulate(loaded.experiment, loaded.table, backend="gpu", precision=precision)
    assert (np.asarray(image) == 0).mean() > 0.4


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("shape", ["-N 5", "-N 20 -gauss_xtal", "-N 10 -tophat_spots", "-N 5 -curved_det"])
def test_the_nearest_structure_factor(emulated, tmp_path, shape, precision):
    """Tables that indices leave on both sides, each with a value of its own."""
    indices = [(h, k, l) for h in range(-2, 3) for k in range(1, 4) for l in range(-5, 0)]
    rows = [f"{h} {k} {l} {(h * 7 + k * 3 + l + 60) % 50 + 1}\n" for h, k, l in indices]
    (tmp_path / "a.hkl").write_text("".join(rows))
    words = f"{shape} -detpixels 60 -pixel 0.8 -oversample 3 -mosaic_spread 2 -mosaic_domains 70"
    loaded = load(f"{words} -hkl {tmp_path / 'a.hkl'}")
    expected, _ = simulate(loaded.experiment, loaded.table)
    assert (np.asarray(expected) > 0).mean() > 0.3
    image, _ = simulate(loaded.experiment, loaded.table, backend="gpu", precision=precision)
    expected, image = np.asarray(expected), np.asarray(image)
    if precision == "double":
        np.testing.assert_allclose(image, expected, rtol=1e-6, atol=1e-9 * expected.max())
    else:
        assert np.linalg.norm(image - expected) < 1e-4 * np.linalg.norm(expected)
