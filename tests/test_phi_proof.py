"""The rotation about the spindle: fresh at every step, and wrong in exactly the reference's way under `-compat c`.

docs/phi.md tells the story. The reference's own images of these cases are among the goldens (c_phi_...).
"""

import json
import math
import shlex
from pathlib import Path

import numpy as np
import pytest
from plain import Plain, read_factors, rotation
from transcripts import replay

from nanobragg_py.experiment.load import load_args
from nanobragg_py.inspect.trace import trace_pixel
from nanobragg_py.render.simulate import simulate

ROOT = Path(__file__).parent.parent
INPUTS = ROOT / "golden" / "inputs"
SUPERVISOR = ROOT.parent / "shared" / "supervisor"
CASES = {case["id"]: case for case in json.loads((ROOT / "golden" / "cases.json").read_text())}

CRYSTAL = "-mat A.mat -hkl full8.hkl -default_F 20 -N 4 -oversample 1 -fluence 1e26 -lambda 1 -distance 100 -pixel 1"
SMALL = f"{CRYSTAL} -detpixels 6 -Xbeam 12 -Ybeam 9"
SWEEPS = {
    "from_zero": "-phi 0 -osc 2 -phisteps 4",
    "through_zero": "-phi -0.5 -osc 1 -phistep 0.25",
    "down_to_zero": "-phi -1 -osc 1.5 -phistep 0.5",
    "not_at_zero": "-phi 33 -osc 1 -phisteps 3",
    "one_step": "-phi 0 -osc 1 -phisteps 1",
    "tilted_spindle": "-spindle_axis 0.3 0.5 1 -phi 0 -osc 3 -phisteps 3",
    "mosaic": "-phi 0 -osc 2 -phisteps 3 -mosaic 1 -mosaic_domains 3",
    "sources": "-phi 0 -osc 2 -phisteps 3 -divergence 5 -divsteps 2 -dispersion 1 -dispsteps 2",
    "subpixels": "-phi 0 -osc 2 -phisteps 3 -oversample 2",
    "layers": "-phi 0 -osc 2 -phisteps 2 -detector_thick 300 -detector_abs 200 -thicksteps 2 -polar 0.7",
    "dmin": "-phi 0 -osc 2 -phisteps 3 -dmin 8 -divergence 20 -divsteps 2",
    "everything": "-phi -1 -osc 2 -phistep 1 -mosaic 1 -mosaic_domains 2 -oversample 2 -divergence 5 -divsteps 2 "
    "-detector_thick 300 -detector_abs 200 -thicksteps 2 -polar 0.7 -water 0.4",
    "weighted": "-phi 0 -osc 2 -phisteps 2 -oversample 2 -oversample_omega -oversample_polar -oversample_thick "
    "-detector_thick 300 -detector_abs 200 -thicksteps 2",
}


def loaded(flags, folder=INPUTS):
    return load_args(shlex.split(flags), str(folder))


def traced(flags, slow, fast, compat, folder=INPUTS):
    case = loaded(flags, folder)
    return trace_pixel(case.experiment, case.table, slow, fast, compat)


def rendered(flags, compat, folder=INPUTS):
    case = loaded(flags, folder)
    return np.asarray(simulate(case.experiment, case.table, compat=compat)[0])


def vectors(step, names="rot_a_angstroms rot_b_angstroms rot_c_angstroms"):
    return np.array([step[name] for name in names.split()])


RECIPROCAL = "rot_a_star_A_inv rot_b_star_A_inv rot_c_star_A_inv"


# ---- the vectors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_step_is_rotated_afresh(sweep):
    flags = f"{SMALL} {SWEEPS[sweep]}"
    case = loaded(flags)
    sampling, crystal = case.experiment.sampling, case.experiment.crystal
    cell = np.array([crystal.a, crystal.b, crystal.c]) * 1e10
    matrices = np.asarray(crystal.mosaic_rotations).reshape(-1, 3, 3) if crystal.mosaic_spread > 0 else [np.eye(3)]
    for slow, fast in [(0, 0), (3, 2)]:
        steps = list(trace_pixel(case.experiment, case.table, slow, fast).steps())
        assert steps or "dmin" in flags
        for step in steps:
            phi = sampling.phi0 + sampling.phistep * step["phi_step"]
            assert step["phi_deg"] == pytest.approx(math.degrees(phi), rel=1e-14)
            turn = matrices[step["mosaic_domain"]] @ rotation(sampling.spindle, phi)
            np.testing.assert_allclose(vectors(step), cell @ turn.T, rtol=0, atol=1e-12 * abs(cell).max())


@pytest.mark.parametrize("compat", ["spec", "c"])
@pytest.mark.parametrize("sweep", SWEEPS)
def test_real_and_reciprocal_vectors_are_dual(sweep, compat):
    trace = traced(f"{SMALL} {SWEEPS[sweep]}", 3, 2, compat)
    star = vectors(trace.setup, "a_star_A_inv b_star_A_inv c_star_A_inv")
    for step in trace.steps():
        np.testing.assert_allclose(vectors(step) @ vectors(step, RECIPROCAL).T, np.eye(3), rtol=0, atol=1e-12)
        assert step["V_actual"] == pytest.approx(trace.setup["V_cell"], rel=1e-12)
        # the rotation that takes a, b, c along takes a*, b*, c* along
        turn = vectors(step).T @ star
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), rtol=0, atol=1e-12)
        np.testing.assert_allclose(vectors(step, RECIPROCAL), star @ turn.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "sweep", [name for name in SWEEPS if name not in ("not_at_zero", "one_step", "down_to_zero", "through_zero")]
)
def test_the_defect_repeats_the_step_before_zero(sweep):
    trace = traced(f"{SMALL} {SWEEPS[sweep]}", 3, 2, "c")
    steps = list(trace.steps())
    domains = trace.setup["mosaic_domains"]
    stale = [(i, step) for i, step in enumerate(steps) if step["phi_deg"] == 0.0]
    assert stale
    per_sweep = trace.setup["phisteps"] * domains
    for i, step in stale:
        before = steps[i - domains] if i >= domains else steps[per_sweep - domains + i]
        assert before["mosaic_domain"] == step["mosaic_domain"]
        assert before["phi_deg"] != 0.0
        assert np.array_equal(vectors(step), vectors(before))


def test_the_first_sweep_of_the_image_begins_unrotated():
    first = next(traced(f"{SMALL} {SWEEPS['from_zero']}", 0, 0, "c").steps())
    assert np.array_equal(
        vectors(first), vectors(traced(SMALL, 0, 0, "spec").setup, "a_angstroms b_angstroms c_angstroms")
    )


def test_phi_through_zero_from_below():
    flags = f"{SMALL} {SWEEPS['through_zero']}"
    steps = list(traced(flags, 3, 2, "c").steps())
    assert [step["phi_deg"] for step in steps] == pytest.approx([-0.5, -0.25, 0.0, 0.25], abs=1e-14)
    assert np.array_equal(vectors(steps[2]), vectors(steps[1]))
    fresh = list(traced(flags, 3, 2, "spec").steps())
    assert np.array_equal(
        vectors(fresh[2]), vectors(traced(flags, 3, 2, "spec").setup, "a_angstroms b_angstroms c_angstroms")
    )


# ---- the images ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compat", ["spec", "c"])
@pytest.mark.parametrize("sweep", SWEEPS)
def test_images_against_the_plain_sum(sweep, compat):
    flags = f"{SMALL} {SWEEPS[sweep]}"
    case = loaded(flags)
    plain = Plain(case.experiment, read_factors(INPUTS / "full8.hkl"), defects=compat == "c")
    expected = np.array([[plain.pixel(slow, fast) for fast in range(6)] for slow in range(6)])
    image, _ = simulate(case.experiment, case.table, compat=compat)
    assert expected.max() > 0
    np.testing.assert_allclose(np.asarray(image), expected, rtol=2e-7, atol=1e-9 * expected.max())


@pytest.mark.parametrize("compat", ["spec", "c"])
@pytest.mark.parametrize("sweep", SWEEPS)
def test_traces_against_the_plain_sum(sweep, compat):
    case = loaded(f"{SMALL} {SWEEPS[sweep]}")
    plain = Plain(case.experiment, read_factors(INPUTS / "full8.hkl"), defects=compat == "c")
    for slow in range(4):
        for fast in range(6):
            expected = plain.pixel(slow, fast)
            if (slow, fast) in [(0, 0), (0, 1), (2, 5), (3, 2)]:
                trace = trace_pixel(case.experiment, case.table, slow, fast, compat)
                assert trace.pixel["I_pixel_final"] == pytest.approx(expected, rel=1e-9, abs=0)
                assert len(list(trace.steps())) == len(plain.orientations)


@pytest.mark.parametrize("sweep", ["not_at_zero", "one_step"])
def test_nothing_changes_without_a_second_step_at_zero(sweep):
    flags = f"{CRYSTAL} -detpixels 40 {SWEEPS[sweep]}"
    assert np.array_equal(rendered(flags, "spec").view(np.uint32), rendered(flags, "c").view(np.uint32))


@pytest.mark.parametrize("sweep", ["from_zero", "through_zero", "mosaic", "sources", "subpixels"])
def test_the_defect_changes_the_image(sweep):
    flags = f"{CRYSTAL} -detpixels 40 {SWEEPS[sweep]}"
    fresh, stale = rendered(flags, "spec"), rendered(flags, "c")
    assert (fresh != stale).mean() > 0.99


def test_one_step_at_zero_is_the_still():
    still = f"{CRYSTAL} -detpixels 40"
    assert np.array_equal(rendered(still, "spec"), rendered(f"{still} -phi 0 -osc 5 -phisteps 1", "spec"))


def test_the_mean_of_single_steps_is_the_sweep():
    steps = 5
    flags = f"{CRYSTAL} -detpixels 40 -phi 0 -osc 1 -phisteps {steps}"
    singles = [
        rendered(f"{CRYSTAL} -detpixels 40 -phi {i / steps} -osc 0 -phisteps 1", "spec").astype(float)
        for i in range(steps)
    ]
    expected = np.mean(singles, axis=0)
    np.testing.assert_allclose(rendered(flags, "spec"), expected, rtol=1e-6, atol=1e-9 * expected.max())


def test_the_reference_images_of_the_defect_are_among_the_goldens():
    names = {"c_phi_carryover", "c_phi_carryover_through_zero", "c_phi_dmin", "c_phi_sources_subpixels"}
    assert {CASES[name]["mode"] for name in names} == {"c"}


# ---- the supervisor's case: a large crystal whose inputs are not ours to publish -------------------------------------

F_LATT = (
    1.38208252716592,
    1.09860741704307,
    0.679724660042308,
    0.155482072719562,
    -0.430675460925897,
    -1.02559631818979,
    -1.57135079979647,
    -2.01093178282,
    -2.29416161853174,
    -2.38319665299058,
)
SUPERVISOR_NUMBERS = {
    "spec": {"F_latt": F_LATT, "I_before_scaling": 807189.76867733, "I_pixel_final": 2.46470731e-07},
    "c": {
        "F_latt": (F_LATT[-1], *F_LATT[1:]),
        "I_before_scaling": 943654.80923755,
        "I_pixel_final": 2.88139542684698e-07,
    },
}


@pytest.fixture(scope="module")
def supervisor():
    """The command line of the case, without its region of interest."""
    if not SUPERVISOR.is_dir():
        pytest.skip(f"the supervisor's case is not there ({SUPERVISOR})")
    flags = json.loads((SUPERVISOR / "cases.json").read_text())[0]["args"]
    return flags.partition(" -roi ")[0]


@pytest.mark.parametrize("compat", ["spec", "c"])
def test_supervisor_pixel(supervisor, compat):
    trace = traced(supervisor, 685, 1039, compat, SUPERVISOR)
    steps = list(trace.steps())
    expected = SUPERVISOR_NUMBERS[compat]
    assert [step["F_latt"] for step in steps] == pytest.approx(expected["F_latt"], rel=1e-6)
    assert {step["F_cell"] for step in steps} == {190.27}
    assert trace.setup["V_cell"] == pytest.approx(24682.2566301, rel=1e-11)
    assert trace.pixel["I_before_scaling"] == pytest.approx(expected["I_before_scaling"], rel=1e-6)
    assert trace.pixel["I_pixel_final"] == pytest.approx(expected["I_pixel_final"], rel=1e-6, abs=0)
    assert trace.pixel["omega_pixel"] == pytest.approx(4.20412684465831e-07, rel=1e-12, abs=0)
    assert trace.pixel["polar"] == pytest.approx(0.91463969894451, rel=1e-12)
    assert trace.subpixels[0]["R_distance_meters"] == pytest.approx(0.253416334111961, rel=1e-12)
    if compat == "spec":
        assert steps[0]["hkl_frac"][1] == pytest.approx(-0.589167636095365, rel=1e-12)
    for step in steps:
        np.testing.assert_allclose(vectors(step) @ vectors(step, RECIPROCAL).T, np.eye(3), rtol=0, atol=1e-12)
        assert step["V_actual"] == pytest.approx(trace.setup["V_cell"], rel=1e-12)


def test_what_the_defect_does_to_the_whole_image(supervisor):
    fresh, stale = (rendered(supervisor, compat, SUPERVISOR).astype(float).ravel() for compat in ("spec", "c"))
    assert np.corrcoef(fresh, stale)[0, 1] == pytest.approx(0.9966, abs=0.5e-4)
    assert fresh.sum() / stale.sum() == pytest.approx(1.0041, abs=0.5e-4)


def test_transcripts_of_the_page(tmp_path):
    replay("docs/phi.md", tmp_path)
