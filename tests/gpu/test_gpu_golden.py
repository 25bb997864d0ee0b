"""Every golden case through `-backend gpu` on the emulated device, with the gates of the CPU.

A case for every variant of the kernels and for every flag is always run; the others with ``-m gpu_golden_full``.
"""

import json
import queue
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import one_process
import pytest

from nanobragg_py.inspect import golden

FOLDER = Path(__file__).parent
GOLDEN = FOLDER.parent.parent / "golden"
CASES = json.loads((GOLDEN / "cases.json").read_text())
PROGRAM = [sys.executable, str(FOLDER / "run_emulated.py"), "-backend", "gpu"]
REFUSAL = "-compat c makes pixels depend on those before them"

#: cases of which a gate cannot be met, as on the CPU (tests/test_golden.py): id -> share of pixels the same to the bit
KNOWN = {"N_1000_even_odd": 0.99}


#: cases of defects D2 and D4, which depend on the order of steps and which the GPU backend refuses
REFUSED = {
    "c_interpolate_leaves_range",
    "c_oversample_omega_polar",
    "c_thick_oversampled",
    "c_tophat_interpolate",
    "c_tophat_os_omega",
    "c_water_os_all",
}


@pytest.fixture(scope="module")
def results(request):
    """id -> the result that is being worked out, of the cases that were asked for: two of them run at a time.

    Each of the two is one process for many cases, as on a device (tests/gpu/test_gpu_device.py); programs of their own
    are what test_sanitizers and tests/gpu/test_gpu_first_run.py start.
    """
    wanted = {item.callspec.params["case"]["id"] for item in request.session.items if item.function is test_golden}
    servers = [one_process.started(emulated=True) for _ in range(2)]
    idle = queue.SimpleQueue()
    for words, _ in servers:
        idle.put(words)

    def run(case):
        words = idle.get()
        try:
            return golden.run_case([*words, "-backend", "gpu"], case, GOLDEN / "inputs")
        finally:
            idle.put(words)

    with ThreadPoolExecutor(len(servers)) as pool:
        yield {case["id"]: pool.submit(run, case) for case in CASES if case["id"] in wanted}
    for _, process in servers:
        process.kill()
        process.communicate()


def variant_words(line):
    """What decides which kernel a line takes: shape, cells of a square one, table, interpolation, curvature."""
    cells = {int(number) for number in re.findall(r" -N[abc]? (\d+)", line)}
    square = "555" if cells == {5} else "small" if max(cells, default=1) <= 6 else "general"
    named = r" (-(?:\w+_xtal|\w+_spots|interpolate|nointerpolate|hkl|curved_det|precision))(?= |$)"
    return (square, *sorted({*re.findall(named, line)}))


def representatives():
    """Ids of cases that between them have every flag, mode and variant of the whole set, the longest lines first."""
    chosen, seen = set(), set()
    for case in sorted(CASES, key=lambda case: -len(case["args"])):
        words = case["args"].split()
        shown = {word for word in words if re.match(r"-[A-Za-z]", word)} | {case["mode"], variant_words(case["args"])}
        if not shown <= seen:
            chosen.add(case["id"])
            seen |= shown
    return chosen


#: of those, and one whose pixels are in part subnormal float32 numbers, which a device's arithmetic takes for 0
REPRESENTATIVES = representatives() | {"shape_gauss_faint"}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case["id"], marks=() if case["id"] in REPRESENTATIVES else pytest.mark.gpu_golden_full)
        for case in CASES
    ],
)
def test_golden(case, results):
    check(case, results[case["id"]].result())


def check(case, result):
    """What a case's result has to be on a GPU, emulated or not."""
    if case["id"] in REFUSED:
        assert result.exit_status == 9
        assert REFUSAL in result.errors
        return
    reference = golden.load(GOLDEN / f"{case['id']}.npz")
    found = golden.compare(result, reference, golden.case_arguments(case), KNOWN.get(case["id"], golden.IDENTICAL))
    assert [line for line in found.differences if not forgiven(line, found)] == []


def forgiven(difference, found):
    """The reference's noise is one serial stream: the last bit of one pixel decides what all later ones draw."""
    return found.differing > 0 and ("photons on noise image" in difference or difference.startswith("noiseimage.img"))


#: between them, every part of the kernels
SANITIZED = [
    "everything",
    "interpolate_leaves_range",
    "mask_roi",
    "shape_gauss_mosaic_phi",
    "thick_oversampled",
    "roi_row",
]


@pytest.fixture(scope="module")
def sanitized():
    """Environment of a build under the address and undefined-behaviour sanitizers."""
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return {
        "NANOBRAGG_EMULATED_FLAGS": "-fsanitize=address,undefined -fno-sanitize-recover=all -O1",
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0",
    }


@pytest.mark.parametrize("name", SANITIZED)
def test_sanitizers(name, sanitized):
    (case,) = [case for case in CASES if case["id"] == name]
    result = golden.run_case(PROGRAM, case, GOLDEN / "inputs", environment=sanitized)
    assert "runtime error" not in result.errors and "AddressSanitizer" not in result.errors
    reference = golden.load(GOLDEN / f"{case['id']}.npz")
    assert golden.compare(result, reference, golden.case_arguments(case)).differences == []
