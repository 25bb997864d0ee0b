"""What this machine does in a second at best: a C program that is made here, compiled and run.

Each unit is a loop over independent instructions on registers, whose time is per instruction: of one kind and width,
or a mix of kinds in the proportions of a workload, evenly spread. What has units of its own is done beside the rest (on
AMD's Zen additions beside multiplications), what shares them is not (on Intel's processors), and a mix shows it. The
first touch of memory has a time per byte. All take turns, and the fastest of many short bursts of each counts, so that
neighbours on the machine do not. Numbers too small for an exponent count as 0: one that a shift makes and a
multiply-add reads costs Intel's processors a hundred cycles.
"""

import os
import re
import shutil
import subprocess

WIDTHS = {"x": ("xmm", "xmm"), "y": ("ymm", "xmm"), "z": ("zmm", "ymm")}
#: kind: instruction in AT&T order, {r} the register's name, {h} that of half the width, {i} a number, {s} what may lie
#: in memory; a second form for plain SSE2
FORMS = {
    "fma": ("vfmadd213pd {s},%{r}15,%{r}{i}", None),
    "multiply": ("vmulpd {s},%{r}15,%{r}{i}", "mulpd {s},%xmm{i}"),
    "add": ("vaddpd {s},%{r}15,%{r}{i}", "addpd {s},%xmm{i}"),
    "extreme": ("vmaxpd {s},%{r}15,%{r}{i}", "maxpd {s},%xmm{i}"),
    "compare": ("vcmpltpd {s},%{r}15,%{r}{i}", "cmpltpd {s},%xmm{i}"),
    "logic": ("vandpd {s},%{r}15,%{r}{i}", "andpd {s},%xmm{i}"),
    "shift": ("vpsrlq $52,%{r}15,%{r}{i}", "psrlq $52,%xmm{i}"),
    "whole": ("vpaddq {s},%{r}15,%{r}{i}", "paddq {s},%xmm{i}"),
    "blend": ("vblendvpd %{r}13,{s},%{r}15,%{r}{i}", None),
    "shuffle": ("vshufpd $1,{s},%{r}15,%{r}{i}", "shufpd $1,{s},%xmm{i}"),
    "round": ("vroundpd $8,{s},%{r}{i}", "roundpd $8,{s},%xmm{i}"),
    "reduce": (None, None),
    "scale": (None, None),
    "convert": ("vcvtdq2ps {s},%{r}{i}", "cvtdq2ps {s},%xmm{i}"),
    "widen": ("vcvtps2pd %{h}15,%{r}{i}", "cvtps2pd %xmm15,%xmm{i}"),
    "narrow": ("vcvtpd2ps %{r}15,%{h}{i}", "cvtpd2ps %xmm15,%xmm{i}"),
    "estimate": ("vrsqrtps {s},%{r}{i}", "rsqrtps {s},%xmm{i}"),
    "divide double": ("vdivpd {s},%{r}15,%{r}{i}", "divpd {s},%xmm{i}"),
    "divide single": ("vdivps {s},%{r}15,%{r}{i}", "divps {s},%xmm{i}"),
    "root double": ("vsqrtpd {s},%{r}{i}", "sqrtpd {s},%xmm{i}"),
    "root single": ("vsqrtps {s},%{r}{i}", "sqrtps {s},%xmm{i}"),
    "gather": ("vpcmpeqd %{r}13,%{r}13,%{r}13; vgatherdpd %{r}13,(%[at],%xmm12,8),%{r}{i}", None),
    "load": ("vmovapd {m},%{r}{i}", "movapd {m},%xmm{i}"),
    "store": ("vmovapd %{r}{i},{m}", "movapd %xmm{i},{m}"),
}
WIDE = {  # AVX-512 has other words for some
    "round": "vrndscalepd $8,{s},%zmm{i}",
    "reduce": "vreducepd $0,{s},%zmm{i}",
    "scale": "vscalefpd {s},%zmm15,%zmm{i}",
    "compare": "vcmpltpd {s},%zmm15,%k1",
    "blend": "vblendmpd {s},%zmm15,%zmm{i}%{{%k1%}}",
    "gather": "kxnorb %k1,%k1,%k1; vgatherdpd (%[at],%ymm12,8),%zmm{i}%{{%k1%}}",
    "estimate": "vrsqrt14pd {s},%zmm{i}",
}
#: what only mixes have: registers renamed, and general registers
REST = {
    ("move", ""): ("vmovapd %{r}15,%{r}{i}", "movapd %xmm15,%xmm{i}"),
    ("scalar", "load"): ("movq {m},%r8", "movq {m},%r8"),
    ("scalar", "store"): ("movq %r8,{m}", "movq %r8,{m}"),
}
#: what only has to be taken in: a zero that needs no unit. A "nop" would not do: of one byte, more come together than
#: Intel's processors keep decoded, and Zen 4 takes in two as one.
NOTHING = "xorl %r8d,%r8d"
START = """#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <xmmintrin.h>
static double memory[512] __attribute__((aligned(64)));
static const unsigned long long one = 0x3f8000003f800000; /* 1 as two floats, 0.0078 as a double */
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
static double touch(size_t bytes, int advice)
{
    char *data = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    double begin, end;
    if (data == MAP_FAILED) return 0.0;
    madvise(data, bytes, advice);
    begin = now();
    for (size_t i = 0; i < bytes; i += 4096) ((volatile char *)data)[i] = 1;
    end = now();
    munmap(data, bytes);
    return (end - begin) / bytes;
}
"""
#: instructions of a burst, how many times fewer of slow kinds; of a loop over one kind or a mix; bursts of each
BURST = 96000
SLOW = 8
INDEPENDENT = 12
MIXED = 600
TURNS = 40


def instruction(kind, width, place, level, number):
    """The text of an instruction of a kind, the `number`th of its kind; None where the level has none."""
    if (kind, place) in REST:
        form, plain = REST[kind, place]
    elif kind in ("move", "scalar") or place == "store":
        form, plain = FORMS["store" if place == "store" else "load"] if kind != "scalar" else (NOTHING, NOTHING)
    else:
        form, plain = FORMS[kind]
    form = WIDE.get(kind, form) if width == "z" and place != "store" else plain if level == "base" else form
    if form is None:
        return None
    register, half = WIDTHS[width or "x"]
    # loads from other places than stores, which they would wait for
    memory = f"{64 * (number % 32) + (2048 if place == 'store' else 0)}(%[at])"
    source = memory if place == "load" else f"%{half if kind == 'widen' else register}14"
    return form.format(r=register, h=half, i=number % INDEPENDENT, m=memory, s=source)


def mix(counts, level):
    """Instructions in the proportions of {(kind, width, place): number}, evenly spread: a list of texts."""
    total = sum(counts.values())
    owed, used, lines = dict.fromkeys(counts, 0.5), dict.fromkeys(counts, 0), []
    while len(lines) < MIXED:
        for key, number in counts.items():
            owed[key] += number / total
        key = max(owed, key=owed.get)
        owed[key] -= 1.0
        lines.append(instruction(*key, level, used[key]))
        used[key] += 1
    return lines


def measured(level, mixes):
    """{(kind, width): texts of instructions}, of the kinds on their own and, as (name, "mix"), of mixes.

    Where there are mixes, of kinds that they have.
    """
    known = {
        name: {key: number for key, number in counts.items() if number and instruction(*key, level, 0) is not None}
        for name, counts in mixes.items()
    }
    wanted = {(kind, width) for counts in known.values() for kind, width, _ in counts}
    found = {}
    for kind in FORMS:
        for width in {"base": "x", "v3": "xy", "v4": "xyz"}[level]:
            place = kind if kind in ("load", "store") else ""
            lines = [instruction(kind, width, place, level, i) for i in range(INDEPENDENT)]
            if None not in lines and (not mixes or (kind, width) in wanted):
                found[kind, width] = lines
    found["all", ""] = [NOTHING] * INDEPENDENT
    return found | {(name, "mix"): mix(counts, level) for name, counts in known.items() if counts}


def source(level, mixes):
    """The C program for a level's registers. mixes: {name: {(kind, width, place): number}}."""
    functions, calls = [], []
    for key, lines in measured(level, mixes).items():
        functions.append(loop(f"unit{len(calls)}", lines, level))
        calls.append((*key, f"unit{len(calls)}()"))
    calls.append(("touch small", "", "touch(1 << 20, MADV_NOHUGEPAGE)"))
    calls.append(("touch huge", "", "touch(1 << 24, MADV_HUGEPAGE)"))
    turn = [f"t = {call}; best[{i}] = t < best[{i}] ? t : best[{i}];" for i, (*_, call) in enumerate(calls)]
    prints = [f'printf("{kind};{width};%.6g\\n", best[{i}] * 1e9);' for i, (kind, width, _) in enumerate(calls)]
    begin = [
        f"double t, best[{len(calls)}];",
        "_mm_setcsr(_mm_getcsr() | 0x8040);",  # numbers too small for an exponent are 0, read or made
        "for (int i = 0; i < 512; ++i) memcpy(memory + i, &one, 8);",
        f"for (int i = 0; i < {len(calls)}; ++i) best[i] = 1.0;",
        f"for (int turn = 0; turn < {TURNS}; ++turn) {{",
    ]
    main = "\n    ".join([*begin, *turn, "}", *prints])
    return START + "\n".join(functions) + f"\nint main(void)\n{{\n    {main}\n}}\n"


def loop(name, lines, level):
    """A C function that returns seconds an instruction; registers hold ordinary numbers, indices are 0."""
    register = {"base": "xmm", "v3": "ymm", "v4": "zmm"}[level]
    setup = (
        [f"movsd %[one],%xmm{i}; unpcklpd %xmm{i},%xmm{i}" for i in range(16)]
        if level == "base"
        else [f"vbroadcastsd %[one],%{register}{i}" for i in range(16)]
    )
    clear = "pxor %xmm12,%xmm12" if level == "base" else "vpxor %xmm12,%xmm12,%xmm12"
    body = quoted(lines)
    before = quoted([*setup, clear])
    clobbers = ", ".join([f'"xmm{i}"' for i in range(16)] + ['"r8"'])
    slow = len(lines) == INDEPENDENT and re.search("div|sqrt|gather", lines[0])
    turns = BURST // (SLOW if slow else 1) // len(lines)
    return f"""static double {name}(void)
{{
    double begin;
    __asm__ volatile({before}: : [one] "m"(one) : {clobbers});
    begin = now();
    for (long i = 0; i < {turns}; ++i)
        __asm__ volatile({body}: : [at] "r"(memory) : "memory", {clobbers}{', "k1"' if "k1" in body else ""});
    return (now() - begin) / ({turns}.0 * {len(lines)});
}}"""


def quoted(lines):
    """Instructions as C strings; a % is doubled, but for those of %[operand], %{ and %}."""
    return "".join(f'"{re.sub(r"%(?![{}[])", "%%", text)}\\n\\t"\n        ' for text in lines)


def compile_units(level, folder, mixes=None):
    """The path of the program for a level, or None where there is no compiler that knows it."""
    compiler = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")
    if compiler is None:
        return None
    text, program = os.path.join(folder, f"units_{level}.c"), os.path.join(folder, f"units_{level}")
    with open(text, "w") as file:
        file.write(source(level, mixes or {}))
    flags = [] if level == "base" else [f"-march=x86-64-{level}"]
    done = subprocess.run([compiler, "-O2", *flags, text, "-o", program], capture_output=True, text=True)
    return None if done.returncode else program


def measure_units(program):
    """{(kind, width) or (name, "mix"): nanoseconds an instruction or, of touch, a byte}."""
    found = {}
    for line in subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines():
        kind, width, time = line.split(";")
        found[kind, width] = float(time)
    return found
