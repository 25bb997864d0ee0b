"""The bound that benchmarks print: what is counted of the compiled loops (benchmarks/bound)."""

import json
import os
import subprocess
import sys

import pytest

BENCHMARKS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "benchmarks")
sys.path.insert(0, BENCHMARKS)

from bound import fraction, loops  # noqa: E402


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("vfmadd213pd 0x40(%rsp),%zmm1,%zmm2", ("arithmetic", "z", 1, 0)),
        ("vmulpd %ymm1,%ymm2,%ymm3", ("arithmetic", "y", 0, 0)),
        ("vsubsd %xmm1,%xmm2,%xmm3", ("arithmetic", "x", 0, 0)),
        ("vcmpltpd %zmm1,%zmm2,%k1", ("arithmetic", "z", 0, 0)),
        ("vandpd (%rax){1to8},%zmm2,%zmm3", ("logic", "z", 1, 0)),
        ("vpsllq $0x34,%ymm1,%ymm1", ("logic", "y", 0, 0)),
        ("vrndscalepd $0x4,%zmm3,%zmm4", ("round", "z", 0, 0)),
        ("vcvttpd2dqy %ymm1,%xmm1", ("convert", "y", 0, 0)),
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


def test_busiest_unit():
    speeds = {("arithmetic", "y"): 2.0, ("logic", "y"): 1.0, ("divide double", "y"): 16.0, ("all", ""): 0.5}
    counts = {("arithmetic", "y"): 10, ("logic", "y"): 4, ("all", ""): 20}
    assert fraction.bound(counts, speeds) == (20.0, "arithmetic")
    assert fraction.bound({**counts, ("logic", "y"): 14}, speeds) == (24.0, "vector")
    assert fraction.bound({**counts, ("divide double", "y"): 2}, speeds, touched=3.0) == (35.0, "divider")
    assert fraction.bound({**counts, ("all", ""): 60}, speeds) == (30.0, "instructions")


def test_every_step_is_counted(tmp_path):
    """An image of 256 x 2 pixels and 10 domains: the loop over a tile has as many turns as vectors of steps."""
    bounds = fraction.Bounds()
    if bounds.reason:
        pytest.skip(bounds.reason)
    flags = "-default_F 100 -cell 100 100 100 90 90 90 -lambda 1 -distance 100 -pixel 0.1 -N 5 -detpixels_x 256 "
    flags += "-detpixels_y 2 -oversample 1 -mosaic 0.5 -mosaic_domains 10 -nonoise -nopgm"
    command = [sys.executable, "-P", os.path.join(BENCHMARKS, "bound", "count.py"), bounds.counter, bounds.places]
    done = subprocess.run([*command, *flags.split()], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["steps"] == 256 * 2 * 10
    turns = found["steps"] // fraction.LANES[fraction.WIDEST[bounds.level]]
    counted = [content for content, times in zip(bounds.contents, found["visits"], strict=True) if times == turns]
    rounds = "logic" if bounds.level == "base" else "round"
    assert [content for content in counted if content.get((rounds, fraction.WIDEST[bounds.level]), 0) >= 3]
