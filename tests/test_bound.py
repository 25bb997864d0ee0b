"""The bound that benchmarks print: what is counted of the compiled loops (benchmarks/bound)."""

import json
import os
import subprocess
import sys

import pytest

BENCHMARKS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "benchmarks")
sys.path.insert(0, BENCHMARKS)

import run  # noqa: E402
from bound import fraction, loops, units  # noqa: E402


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("vfmadd213pd 0x40(%rsp),%zmm1,%zmm2", ("fma", "z", 1, 0)),
        ("vmulpd %ymm1,%ymm2,%ymm3", ("multiply", "y", 0, 0)),
        ("vsubsd %xmm1,%xmm2,%xmm3", ("add", "x", 0, 0)),
        ("vcmpltpd %zmm1,%zmm2,%k1", ("compare", "z", 0, 0)),
        ("vandpd (%rax){1to8},%zmm2,%zmm3", ("logic", "z", 1, 0)),
        ("vpsllq $0x34,%ymm1,%ymm1", ("shift", "y", 0, 0)),
        ("vrndscalepd $0x4,%zmm3,%zmm4", ("round", "z", 0, 0)),
        ("vcvttpd2dqy %ymm1,%xmm1", ("narrow", "y", 0, 0)),
        ("vcvtdq2ps %ymm1,%ymm2", ("convert", "y", 0, 0)),
        ("vcvtps2pd %xmm1,%ymm2", ("widen", "y", 0, 0)),
        ("vmaxpd (%rax),%ymm1,%ymm2", ("extreme", "y", 1, 0)),
        ("vpaddq %ymm1,%ymm2,%ymm3", ("whole", "y", 0, 0)),
        ("vblendvpd %ymm1,%ymm2,%ymm3,%ymm4", ("blend", "y", 0, 0)),
        ("vmovapd %zmm1,%zmm2{%k1}", ("blend", "z", 0, 0)),
        ("vmovapd %zmm1,%zmm2", ("move", "z", 0, 0)),
        ("vgatherdpd (%rax,%ymm1,8),%zmm2{%k1}", ("gather", "z", 0, 0)),
        ("vdivpd %zmm1,%zmm2,%zmm3", ("divide double", "z", 0, 0)),
        ("sqrtps %xmm1,%xmm2", ("root single", "x", 0, 0)),
        ("vrsqrt14pd %zmm1,%zmm2", ("estimate", "z", 0, 0)),
        ("vmovapd (%rax),%zmm1", ("move", "z", 1, 0)),
        ("vmovapd %zmm1,0x40(%rax,%rdx,8)", ("move", "z", 0, 1)),
        ("vbroadcastsd %xmm1,%zmm2", ("shuffle", "z", 0, 0)),
        ("vextractf64x4 $0x1,%zmm1,%ymm2", ("shuffle", "z", 0, 0)),
        ("add $0x40,%rax", ("scalar", "", 0, 0)),
        ("lea 0x0(,%rdx,8),%rax", ("scalar", "", 0, 0)),
    ],
)
def test_kinds(text, kind):
    assert loops.kind_of(*text.split(None, 1)) == kind


def test_innermost_loops():
    listing = [(0, "nop"), (1, "nop"), (2, "nop"), (3, "jne 2"), (4, "je 9"), (5, "jmp 1"), (6, "nop"), (7, "jb 6")]
    code = [(address, *[*text.split(), ""][:2]) for address, text in listing]
    assert loops.innermost(code) == [(2, 3), (6, 7)]


def test_stretches_without_a_jump():
    """What is jumped over is a stretch of its own, and so is what a return ends; what only fills up is none."""
    listing = [(0, "push"), (1, "je 4"), (2, "mov"), (3, "jmp 0"), (4, "ret"), (5, "nopw"), (6, "mov"), (7, "ret")]
    code = [(address, *[*text.split(), ""][:2]) for address, text in listing]
    assert loops.stretches(code) == [(0, 2), (2, 4), (4, 5), (6, 8)]


def test_contents_of_stretches():
    texts = ["vmulpd (%rax),%ymm1,%ymm2", "vmovapd %ymm2,(%rcx)", "add $0x40,%rax", "cmp %rax,%rcx", "jne 0"]
    code = [(address, *text.split(None, 1)) for address, text in enumerate(texts)]
    counts = {("multiply", "y", "load"): 1, ("move", "y", "store"): 1, ("scalar", "", ""): 2}
    assert loops.contents(code, [(0, 5)]) == [counts]


def test_what_may_be_moved_for_a_jump():
    """Whole instructions of five bytes or more, none that goes elsewhere or means a place beside it."""
    texts = ["push %rbx", "mov %rax,%rdx", "vmulpd (%rax),%ymm1,%ymm2", "jne 0", "lea 0x8(%rip),%rax", "ret"]
    code = [(place, *(text.split(None, 1) + [""])[:2]) for place, text in zip((0, 1, 4, 8, 10, 17), texts, strict=True)]
    assert [loops.movable(code, *of) for of in ((0, 4), (2, 4), (1, 3), (0, 2), (4, 6))] == [8, 0, 7, 0, 0]


def test_what_each_unit_has_to_do():
    counts = {("fma", "y", "load"): 10, ("add", "y", ""): 3, ("logic", "y", ""): 4, ("divide double", "y", ""): 2}
    counts |= {("shuffle", "y", "store"): 1, ("scalar", "", "load"): 5}
    assert fraction.mixes(counts) == {
        "arithmetic": {("fma", "y", ""): 10, ("add", "y", ""): 3},
        "vector": {("fma", "y", ""): 10, ("add", "y", ""): 3, ("logic", "y", ""): 4},
        "divider": {("divide double", "y", ""): 2},
        "loads": {("move", "y", "load"): 10, ("scalar", "", "load"): 5},
        "stores": {("move", "y", "store"): 1},
        "instructions": {("scalar", "", ""): 25},
        "together": counts,
    }


def test_busiest_unit():
    speeds = {"arithmetic": 2.0, "vector": 1.0, "divider": 16.0, "instructions": 0.5}
    speeds = {(unit, "mix"): ns for unit, ns in speeds.items()}
    counts = {("fma", "y", ""): 6, ("add", "y", ""): 4, ("logic", "y", ""): 4, ("scalar", "", ""): 6}
    assert fraction.bound(counts, speeds) == (20.0, "arithmetic")
    assert fraction.bound({**counts, ("logic", "y", ""): 14}, speeds) == (24.0, "vector")
    assert fraction.bound({**counts, ("divide double", "y", ""): 2}, speeds, touched=3.0) == (35.0, "divider")
    assert fraction.bound({**counts, ("scalar", "", ""): 46}, speeds) == (30.0, "instructions")


def test_a_mix_takes_no_longer_than_its_kinds_one_by_one():
    """Where the mix was measured while a neighbour had the unit."""
    speeds = {("arithmetic", "mix"): 1.0, ("vector", "mix"): 9.0}
    counts = {("fma", "y", "load"): 6, ("logic", "y", ""): 4}
    assert fraction.unit_times(counts, speeds) == {"arithmetic": 6.0, "vector": 90.0}
    speeds |= {("fma", "y"): 0.5, ("logic", "y"): 0.25}
    assert fraction.unit_times(counts, speeds) == {"arithmetic": 3.0, "vector": 4.0}


def test_a_bound_above_a_time_reached_is_named():
    counts, speeds = {("fma", "y", ""): 4}, {("arithmetic", "mix"): 1.0, ("vector", "mix"): 1.0}
    flags = ["-detpixels", "8"]
    found = run.fraction(flags, 100, 500e-9, counts, speeds)
    assert (found["fraction"], found["unit"]) == (pytest.approx(0.8), "arithmetic")
    assert run.fraction(flags, 100, 300e-9, counts, speeds)["unit"] == "arithmetic (measured too high)"


def test_mixes_have_the_kinds_in_their_parts():
    lines = units.mix({("fma", "y", ""): 2.0, ("add", "y", "load"): 1.0}, "v3")
    assert len(lines) == units.MIXED
    adds = [line for line in lines if line.startswith("vaddpd")]
    assert len(adds) == units.MIXED // 3 and all("(%[at]),%ymm15,%ymm" in line for line in adds)
    assert all(sum(line.startswith("vaddpd") for line in lines[i : i + 3]) == 1 for i in range(0, len(lines), 3))


def test_units_are_measured_in_mixes(tmp_path):
    """Every kind of instruction is one that the assembler knows, and each unit's share has a time."""
    level = fraction.Bounds().level
    counts = {
        (kind, width, place): 1.0
        for kind, width in units.measured(level, {})
        if width
        for place in ("", "load", "store")
    }
    program = units.compile_units(level, str(tmp_path), fraction.mixes(counts))
    if program is None:
        pytest.skip(f"no compiler that knows {level}")
    speeds = units.measure_units(program)
    assert {name for name, of in speeds if of == "mix"} == set(fraction.mixes(counts)) and min(speeds.values()) > 0.0


def test_every_step_is_counted(tmp_path):
    """An image of 256 x 2 pixels and 10 domains: three distances from whole numbers for each step, vector by vector."""
    bounds = fraction.Bounds()
    if bounds.reason:
        pytest.skip(bounds.reason)
    flags = "-default_F 100 -cell 100 100 100 90 90 90 -lambda 1 -distance 100 -pixel 0.1 -N 5 -detpixels_x 256 "
    flags += "-detpixels_y 2 -oversample 1 -mosaic 0.5 -mosaic_domains 10 -nonoise -nopgm"
    command = [sys.executable, "-P", os.path.join(BENCHMARKS, "bound", "count.py"), bounds.counter, bounds.places]
    done = subprocess.run([*command, *flags.split()], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["steps"] == 256 * 2 * 10
    if bounds.level == "base":
        pytest.skip("its loops are not counted")
    width = fraction.WIDEST[bounds.level]
    counted = list(zip(bounds.contents, found["visits"], strict=True))
    # AVX-512 has an instruction for the distance; with AVX2 its sign is taken off, and where parts take turns two of a
    # tile's are idle
    kind, idle = ("logic", (0, 2 * 2)) if bounds.level == "v3" else ("reduce", (0,))
    times = sum(content.get((kind, width, place), 0) * visits for content, visits in counted for place in ("", "load"))
    assert times in [3 * (found["steps"] // fraction.LANES[width] + turns) for turns in idle]
