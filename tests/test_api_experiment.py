"""The library's experiment: making, changing and rendering one, and what it says of bad values."""

import ast
import math
import os
import pickle
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import nanobragg_py
from nanobragg_py import (
    Beam,
    Crystal,
    Detector,
    Experiment,
    FieldError,
    NanoBraggError,
    Sampling,
    StructureFactors,
    add_noise,
    random_rotations,
    rotation_to_missets,
)

FLAT = StructureFactors(default_F=100.0)


def small(**fields):
    made = Experiment(
        Crystal.from_cell(100, 110, 120, cells=(5, 6, 7)),
        detector=Detector.flat((24, 20), 1e-3, 0.1),
        structure_factors=FLAT,
    )
    return made.replace(fields)


# ---- making --------------------------------------------------------------------------------------------------------


def test_parts_are_what_the_command_line_makes():
    words = "-cell 100 110 120 90 95 90 -N 5 -lambda 1.2 -distance 150 -pixel 1 -detpixels 20 -default_F 100 -xds"
    words += " -mosaic 0.5 -mosaic_domains 4 -phi 1 -osc 0.5 -phisteps 3 -oversample 2 -misset 10 20 30"
    theirs = Experiment.from_args(words)
    angles = tuple(x / nanobragg_py.vectors.DEGREES_PER_RADIAN for x in (10.0, 20.0, 30.0, 0.5, 1.0, 95.0))
    ours = Experiment(
        Crystal.from_cell(
            100, 110, 120, 90, 95, 90, cells=(5, 5, 5), missets=angles[:3], mosaic_spread=angles[3], mosaic_domains=4
        ).replace(angles=(math.pi / 2, angles[5], math.pi / 2)),
        Beam(wavelength=1.2e-10),
        Detector.flat(20, 1e-3, 0.15, convention="XDS"),
        Sampling(phi0=angles[4], osc=angles[3], phisteps=3, oversample=2),
        FLAT,
        "reference",
    )
    assert ours.replace({"crystal.angles": theirs.crystal.angles}) == theirs
    assert np.array_equal(ours.render(), theirs.render())


@pytest.mark.parametrize("convention", ["MOSFLM", "DENZO", "ADXV", "XDS", "DIALS", "CUSTOM"])
def test_flat_detector_has_its_beam_centre(convention):
    detector = Detector.flat((30, 20), 1e-3, 0.1, beam_centre=(0.012, 0.009), convention=convention)
    resolved = Experiment(Crystal.from_cell(100), detector=detector, structure_factors=FLAT).resolved.detector
    assert (resolved.Fbeam, resolved.Sbeam) == pytest.approx((0.012, 0.009))
    assert (resolved.fpixels, resolved.spixels, resolved.distance) == (30, 20, pytest.approx(0.1))


def test_crystal_from_vectors_and_UB_agree():
    U = nanobragg_py.random_rotations(1, seed=3)[0]
    cell = (50, 60, 70, 80, 95, 100)
    A = U @ nanobragg_py.b_matrix(*cell)
    vectors = np.linalg.inv(A)
    for crystal in (Crystal.from_UB(U, cell), Crystal.from_matrix(A), Crystal.from_vectors(*vectors)):
        resolved = small(crystal=crystal).resolved.crystal
        assert np.allclose([resolved.a, resolved.b, resolved.c], vectors * 1e-10, rtol=1e-12)
        assert np.allclose(np.transpose([resolved.a_star, resolved.b_star, resolved.c_star]), A, rtol=1e-9)
        assert resolved.lengths == pytest.approx(cell[:3])


def test_matrix_does_not_depend_on_the_wavelength():
    crystal = Crystal.from_UB(np.eye(3), (50, 60, 70, 90, 90, 90))
    for wavelength in (1e-10, 1.2345e-10):
        resolved = small(crystal=crystal, beam__wavelength=wavelength).resolved.crystal
        assert resolved.lengths == pytest.approx((50, 60, 70), rel=1e-12)


def test_rotated_crystal():
    U = nanobragg_py.random_rotations(1, seed=9)[0]
    turned = small().replace(crystal=small().crystal.rotated(U)).resolved.crystal
    plain = small().resolved.crystal
    assert np.allclose(turned.a, U @ plain.a) and np.allclose(turned.c_star, U @ plain.c_star)


# ---- changing ------------------------------------------------------------------------------------------------------


def test_replace_works_out_what_follows():
    one = small()
    more = one.replace({"crystal.mosaic_spread": 0.01, "sampling.oversample": 3}, crystal__mosaic_domains=7)
    assert one.resolved.sampling.steps == 1 * one.resolved.sampling.oversample**2
    assert more.resolved.sampling.steps == 7 * 9
    assert len(memoryview(more.resolved.crystal.mosaic_rotations)) == 7 * 9
    assert more.crystal.cells == one.crystal.cells and one.crystal.mosaic_domains is None
    moved = one.replace(detector__ORGX=3.0, detector__convention="XDS")
    assert pytest.approx(3.0) == moved.resolved.detector.ORGX


def test_replace_whole_parts_and_fields_of_them():
    made = small().replace({"beam.polarization": 0.5}, beam=Beam(wavelength=2e-10))
    assert Beam(wavelength=2e-10, polarization=0.5) == made.beam


def test_frozen():
    with pytest.raises(AttributeError):
        small().beam.wavelength = 1.0
    with pytest.raises(AttributeError):
        small().beam = Beam()
    mask = np.ones((20, 24), np.uint16)
    made = small(detector__mask=mask)
    mask[:] = 0
    assert made.detector.mask.all() and not made.detector.mask.flags.writeable


def test_equality_and_hash():
    mask = np.ones((20, 24), np.uint16)
    assert small(detector__mask=mask) == small(detector__mask=mask.copy())
    assert hash(small(detector__mask=mask)) == hash(small(detector__mask=mask.copy()))
    other = mask.copy()
    other[3, 3] = 0
    assert small(detector__mask=mask) != small(detector__mask=other)
    assert small() != small(beam__wavelength=1.1e-10)
    table = [
        StructureFactors.from_arrays([[1, 2, 3]], [F], default_F) for F, default_F in ((1, 0), (1, 2), (3, 0), (1, 0))
    ]
    assert table[0] == table[3] and table[0] != table[1] and table[0] != table[2]


def test_masks_of_any_whole_numbers():
    wanted = np.zeros((20, 24), bool)
    wanted[4:9, 5:20] = True
    images = [small(detector__mask=wanted.astype(kind)).render() for kind in (bool, np.uint8, np.int64, np.uint16)]
    assert all(np.array_equal(image, images[0]) for image in images)
    assert np.array_equal(images[0] > 0, wanted)


# ---- bad values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"beam.wavelength": -1.0}, "beam.wavelength is -1; it must be above 0"),
        ({"beam.wavelength": "long"}, "beam.wavelength is 'long'; it must be a number"),
        ({"beam.fluence": math.inf}, "beam.fluence is inf; it must be a finite number"),
        ({"beam.polarized": 3}, "beam.polarized is 3; it must be true or false"),
        ({"beam.sources": []}, "beam.sources must be rows"),
        ({"beam.sources": [(1, 2, 3)]}, r"beam.sources\[0\] is \(1, 2, 3\); it must be 5 numbers"),
        ({"beam.sources": [(0, 0, 0, 1, None)]}, "source 1 of the beam.sources lies in the sample"),
        ({"beam.direction": (0, 0, 1)}, 'beam.direction counts only with detector.convention = "CUSTOM"'),
        ({"detector.distance": 0}, "detector.distance is 0"),
        ({"detector.fpixels": 2.5}, "detector.fpixels is 2.5; it must be a whole number"),
        ({"detector.fpixels": 10**6, "detector.spixels": 10**6}, "more than 2147483647 pixels"),
        ({"detector.convention": "xds"}, "detector.convention is 'xds'; it must be one of"),
        ({"detector.pivot": "beam"}, "detector.pivot counts only"),
        ({"detector.roi": (0, 1, 2)}, "detector.roi is .* it must be 4 numbers"),
        ({"detector.mask": np.ones((3, 4), int)}, r"detector.mask has the shape \(3, 4\); the detector has \(20, 24\)"),
        ({"detector.mask": np.ones((20, 24))}, "detector.mask must be an array of whole numbers"),
        ({"crystal.cells": (0, 1, 1)}, "crystal.cells is 0; it must be at least 1"),
        ({"crystal.lengths": (10, 10, -1)}, "crystal.lengths is -1; it must be above 0"),
        ({"crystal.lengths": None}, "crystal.lengths is missing"),
        ({"crystal.shape": "cube"}, "crystal.shape is 'cube'; it must be one of square, round, gauss, tophat"),
        ({"crystal.missets": "random"}, "crystal.misset_seed is needed"),
        ({"crystal.matrix": np.ones((2, 3))}, "crystal.matrix must be a 3 x 3 matrix"),
        ({"crystal.matrix": np.ones((3, 3))}, "crystal.matrix"),
        ({"sampling.oversample": 0}, "sampling.oversample is 0; it must be at least 1"),
        (
            {"sampling.osc": 0.1, "sampling.phistep": 0.5, "sampling.phisteps": None, "sampling.dmin": -1},
            "sampling.dmin",
        ),
        ({"sampling.mosaic": 1}, "Sampling has no field 'mosaic'; did you mean crystal.mosaic_spread?"),
        ({"sampling.zzz": 1}, "Sampling has no field 'zzz'; its fields are oversample"),
        ({"crystal.mosaic_domain": 1}, "Crystal has no field 'mosaic_domain'; did you mean mosaic_domains?"),
        ({"wavelength": 1}, "an experiment has no field 'wavelength'; did you mean beam.wavelength?"),
        ({"detectr.distance": 1}, "an experiment has no field 'detectr'; did you mean detector?"),
        ({"nois": 1}, "an experiment has no field 'nois'; its fields are"),
        ({"crystal": 5}, "crystal is 5; it must be a nanobragg_py.Crystal"),
        ({"structure_factors.default_F": math.nan}, "structure_factors.default_F is nan"),
        ({"structure_factors": StructureFactors()}, "give structure_factors or structure_factors.default_F"),
    ],
)
def test_bad_fields_are_named(fields, says):
    with pytest.raises(FieldError, match=says) as caught:
        small(**fields)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"backend": "cuda"}, "backend is 'cuda'; it must be one of cpu, gpu, auto"),
        ({"compat": "d"}, "compat is 'd'"),
        ({"threads": -1}, "threads is -1"),
        ({"out": np.zeros((24, 20), np.float32)}, r"out is float32 of shape \(24, 20\)"),
        ({"out": np.zeros((20, 24))}, "out is float64"),
        ({"out": np.zeros((20, 48), np.float32)[:, ::2]}, "C-contiguous"),
        ({"out": [1]}, "out is list"),
        ({"on_device": True}, 'on_device needs backend "gpu"'),
    ],
)
def test_bad_arguments_of_render(arguments, says):
    with pytest.raises(FieldError, match=says):
        small().render(**arguments)


def test_command_line_errors_name_the_flag():
    with pytest.raises(NanoBraggError, match=r"-hkl|-default_F"):
        Experiment.from_args("-cell 10 10 10")
    with pytest.raises(NanoBraggError, match=r"absent\.hkl"):
        Experiment.from_args(["-cell", "10", "10", "10", "-hkl", "absent.hkl"])


def followed(experiment):
    """What follows from an experiment, with the mosaic domains' rotations by their values."""
    resolved = experiment.resolved
    rotations = memoryview(resolved.crystal.mosaic_rotations).tolist()
    return resolved.replace(crystal=resolved.crystal.replace(mosaic_rotations=rotations))


TURNED = [
    {},
    {"crystal.mosaic_spread": 0.01, "crystal.mosaic_domains": 7},
    {"crystal.lengths": (30.0, 41.0, 52.0), "crystal.angles": (1.4, 1.5, 1.9)},
    {"physics": "reference", "crystal.angles": (0.1, 0.1, 3.0)},  # with warnings of its own
    {"crystal.matrix": ((0.02, 0.001, 0.0), (0.0, 0.015, 0.002), (0.003, 0.0, 0.01)), "crystal.lengths": None},
    {"crystal.sample_size": (1e-6, 2e-3, 1e-6), "beam.size": 1e-4, "detector.thickness": 1e-4},
    {"beam.flux": 1e12, "sampling.oversample": 1, "crystal.cells": (200, 200, 201)},
    {"sampling.oversample": 1, "crystal.cells": (200, 200, 200)},  # 720 sub-pixels, or 721
]


@pytest.mark.parametrize("fields", TURNED)
def test_another_orientation_is_as_good_as_new(fields):
    """`replace` works out what follows from orientation and fluence alone, and that is what a new experiment has."""
    base = small(**{"crystal.angles": None} | fields)
    for number, rotation in enumerate(random_rotations(20, 3)):
        changes = {"crystal.missets": rotation_to_missets(rotation), "beam.fluence": 1e24 + number}
        turned = base.replace(changes)
        short = turned.resolved.detector is base.resolved.detector
        # the last bit of a crystal's size can ask for a sub-pixel more
        assert short == (turned.resolved.sampling == base.resolved.sampling)
        parts = turned.crystal, turned.beam, turned.detector, turned.sampling, turned.structure_factors
        new = Experiment(*parts, physics=turned.physics)
        assert turned == new and turned.warnings == new.warnings
        assert followed(turned) == followed(new)
        assert pickle.loads(pickle.dumps(turned)) == new
    again = turned.replace(crystal__missets=None)
    assert followed(again) == followed(base.replace(beam__fluence=turned.beam.fluence))


def test_orientations_that_the_short_way_does_not_know():
    base = small(crystal__missets=(0.0, 0.1, 0.2))
    random = base.replace(crystal__missets="random", crystal__misset_seed=3)
    assert random.resolved.crystal.random_misset and random.resolved.crystal.missets != (0.0, 0.1, 0.2)
    assert followed(random.replace(crystal__missets=(0.0, 0.1, 0.2))) == followed(base)
    with pytest.raises(FieldError, match=r"crystal\.missets"):
        base.replace(crystal__missets=(0.0, math.inf, 0.0))
    with pytest.raises(FieldError, match=r"sampling\.water and the fluence"):
        base.replace(sampling__water=10.0).replace(beam__fluence=1e307)


def test_warnings_are_kept():
    assert any("impossible" in text for text in small(crystal__angles=(0.1, 0.1, 3.0), physics="reference").warnings)
    assert any("mosaic domain" in text for text in small(crystal__mosaic_spread=0.01).warnings)


# ---- rendering -----------------------------------------------------------------------------------------------------


def test_render_into_a_buffer():
    made = small(detector__roi=(3, 9, 2, 7))
    image = made.render()
    assert image.dtype == np.float32 and image.shape == made.shape == (20, 24)
    out = np.full((20, 24), 7.0, np.float32)
    assert made.render(out=out) is not None and np.array_equal(out, image)
    shared = memoryview(bytearray(4 * 20 * 24)).cast("B").cast("f", (20, 24))
    made.render(out=shared)
    assert np.array_equal(np.asarray(shared), image)
    assert not image[0].any() and image[2:8, 3:10].all()


def test_statistics():
    image, statistics = small().simulate()
    assert statistics.pixels == image.size
    assert statistics.mean == pytest.approx(image.mean(dtype=float))
    assert statistics.maximum == image.max()
    assert image[statistics.maximum_pixel] == image.max()


def test_progress_and_threads():
    seen = []
    image = small().render(threads=1, progress=seen.append)
    assert seen[-1] == image.size
    assert np.array_equal(small().render(threads=3), image)


def test_an_error_in_progress_comes_through():
    def stop(done):
        raise KeyError("enough")

    with pytest.raises(KeyError):
        small().render(progress=stop)


def test_two_threads_render_different_experiments():
    table = StructureFactors.from_arrays(np.random.default_rng(0).integers(-9, 9, (999, 3)), np.arange(999.0), 3.0)
    made = [small(crystal__missets=(0.1 * i, 0.2, 0.3), structure_factors=table) for i in range(12)]
    wanted = [one.replace(structure_factors=pickle.loads(pickle.dumps(table))).render(threads=1) for one in made]
    found = [None] * len(made)

    def work(first):
        for i in range(first, len(made), 4):
            found[i] = made[i].add_noise(made[i].render(threads=2), seed=i), made[i].render(threads=1)

    workers = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for i, (noisy, image) in enumerate(found):
        assert np.array_equal(image, wanted[i])
        assert np.array_equal(noisy, add_noise(wanted[i], seed=i))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_process_does_not_wait_for_ever():
    code = """if True:
        import os
        from nanobragg_py import Crystal, Detector, Experiment, StructureFactors
        detector = Detector.flat(64, 1e-3, 0.1)
        one = Experiment(Crystal.from_cell(100), detector=detector, structure_factors=StructureFactors(default_F=1))
        image = one.render(threads=2)
        child = os.fork()
        if not child:
            os._exit(not (one.render(threads=2) == image).all())
        raise SystemExit(os.waitpid(child, 0)[1])
    """
    # its own session, so that a hanging child can be ended with it
    running = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], start_new_session=True)
    try:
        assert running.wait(60) == 0
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def test_other_threads_run_while_it_renders():
    """With the interpreter's switching off, another thread runs only if rendering lets go of the lock."""
    made = small(sampling__oversample=20, crystal__mosaic_spread=0.01, crystal__mosaic_domains=300)
    begin, ran = threading.Event(), []

    def other():
        begin.wait()
        ran.append(True)

    worker = threading.Thread(target=other)
    worker.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60.0)
    try:
        begin.set()
        made.render(threads=1)
        while_rendering = bool(ran)
    finally:
        sys.setswitchinterval(interval)
        worker.join()
    assert while_rendering


# ---- noise and files -----------------------------------------------------------------------------------------------


def test_noise_and_smv_are_the_programs(runner):
    line = "-cell 100 100 100 -N 5 -default_F 100 -pixel 1 -detpixels 20 -seed 7 -adc 12 -roi 2 15 3 18"
    words = shlex.split(line)
    result = runner.result(*words)
    made = Experiment.from_args(words)
    image = made.render()
    assert image.tobytes() == result.files["floatimage.bin"]
    noisy = made.add_noise(image, seed=7, adc=12)
    assert noisy.tobytes() == result.files["noiseimage.img"][512:]
    made.to_smv(runner.folder / "noise.img", noisy)
    made.to_smv(runner.folder / "int.img", image, adc=12)
    assert (runner.folder / "noise.img").read_bytes() == result.files["noiseimage.img"]
    assert (runner.folder / "int.img").read_bytes() == result.files["intimage.img"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"stream": "mt19937"}, "stream is 'mt19937'; it must be one of ran1, philox"),
        ({"image": np.zeros(5)}, "image has the shape"),
    ],
)
def test_bad_noise(arguments, says):
    with pytest.raises(FieldError, match=says):
        add_noise(**{"image": np.zeros((3, 3)), **arguments})


def test_smv_of_another_shape(tmp_path):
    with pytest.raises(FieldError, match="image has the shape"):
        small().to_smv(tmp_path / "a.img", np.zeros((3, 3), np.float32))
    assert not list(tmp_path.iterdir())


# ---- the package ---------------------------------------------------------------------------------------------------


def test_import_is_light():
    """Importing the package brings nothing in; the public names come when they are used."""
    code = """if True:
        import sys
        before = set(sys.modules)
        import nanobragg_py
        brought = set(sys.modules) - before
        assert brought == {"nanobragg_py"}, brought
        for name in nanobragg_py.__all__:
            getattr(nanobragg_py, name)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_type_checkers_see_the_public_names():
    tree = ast.parse(Path(nanobragg_py.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    own = [node for node in block.body if node.level]
    seen = {name.asname: node.module for node in own for name in node.names}
    assert seen == nanobragg_py._PUBLIC


def test_public_names_are_documented():
    for name in nanobragg_py.__all__:
        thing = getattr(nanobragg_py, name)
        if name == "__version__":
            continue
        assert thing.__doc__ and len(thing.__doc__) > 40, name
        if isinstance(thing, type):
            for member, value in vars(thing).items():
                if not member.startswith("_") and callable(value):
                    assert value.__doc__, f"{name}.{member}"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = nanobragg_py.nonsense


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("detector.distance", 1e157),
        ("detector.pixel_size", 1e157),
        ("beam.wavelength", 1e-300),
        ("crystal.lengths", (1e25, 1e25, 1e25)),
        ("sampling.water", 1e150),
        ("beam.dispersion", 2.0),
    ],
)
def test_absurd_numbers_are_errors_of_the_field_and_not_the_end_of_the_process(field, value):
    with pytest.raises(NanoBraggError) as error:
        small(**{field: value}).render()
    assert "\n" not in str(error.value)
