"""What this machine does in a second at best: a C program that is made here, compiled and run.

Each unit is a loop over independent instructions of one kind on registers of one width, whose time is per instruction;
and the first touch of memory, whose time is per byte. The fastest of several short bursts counts, so that neighbours on
the machine do not.
"""

import os
import re
import shutil
import subprocess

WIDTHS = {"x": ("xmm", 2), "y": ("ymm", 4), "z": ("zmm", 8)}
#: kind: instruction in AT&T order, {r} the register's name and {i} its number; a second form for plain SSE2
FORMS = {
    "arithmetic": ("vfmadd213pd %{r}14,%{r}15,%{r}{i}", "mulpd %xmm15,%xmm{i}"),
    "logic": ("vandpd %{r}14,%{r}15,%{r}{i}", "andpd %xmm15,%xmm{i}"),
    "shuffle": ("vshufpd $1,%{r}14,%{r}15,%{r}{i}", "shufpd $1,%xmm15,%xmm{i}"),
    "round": ("vroundpd $8,%{r}15,%{r}{i}", "roundpd $8,%xmm15,%xmm{i}"),
    "convert": ("vcvtdq2ps %{r}15,%{r}{i}", "cvtdq2ps %xmm15,%xmm{i}"),
    "divide double": ("vdivpd %{r}14,%{r}15,%{r}{i}", "divpd %xmm15,%xmm{i}"),
    "divide single": ("vdivps %{r}14,%{r}15,%{r}{i}", "divps %xmm15,%xmm{i}"),
    "root double": ("vsqrtpd %{r}15,%{r}{i}", "sqrtpd %xmm15,%xmm{i}"),
    "root single": ("vsqrtps %{r}15,%{r}{i}", "sqrtps %xmm15,%xmm{i}"),
    "gather": ("vpcmpeqd %{r}13,%{r}13,%{r}13; vgatherdpd %{r}13,(%[at],%xmm12,8),%{r}{i}", None),
    "load": ("vmovapd {offset}(%[at]),%{r}{i}", "movapd {offset}(%[at]),%xmm{i}"),
    "store": ("vmovapd %{r}{i},{offset}(%[at])", "movapd %xmm{i},{offset}(%[at])"),
}
WIDE = {  # AVX-512 has other words for some
    "round": "vrndscalepd $8,%zmm15,%zmm{i}",
    "gather": "kxnorb %k1,%k1,%k1; vgatherdpd (%[at],%ymm12,8),%zmm{i}%{{%k1%}}",
    "estimate": "vrsqrt14pd %zmm15,%zmm{i}",
}
NARROW = {"estimate": ("vrsqrtps %{r}15,%{r}{i}", "rsqrtps %xmm15,%xmm{i}")}
START = """#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
static double memory[512] __attribute__((aligned(64)));
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
TURNS = 8000
INDEPENDENT = 12


def source(level):
    """The C program for a level's registers."""
    widths = {"base": "x", "v3": "xy", "v4": "xyz"}[level]
    functions, calls = [], []
    for kind in [*FORMS, *NARROW]:
        for width in widths:
            register = WIDTHS[width][0]
            form, plain = {**FORMS, **NARROW}[kind]
            form = WIDE.get(kind, form) if width == "z" else plain if level == "base" else form
            if form is None:
                continue
            lines = [form.format(r=register, i=i, offset=64 * i) for i in range(INDEPENDENT)]
            functions.append(loop(f"unit{len(calls)}", lines, level, register))
            calls.append((kind, width, f"unit{len(calls)}()"))
    functions.append(loop("issue", ["nop"] * INDEPENDENT, level, "xmm"))
    calls.append(("all", "", "issue()"))
    calls.append(("touch small", "", "touch(1 << 20, MADV_NOHUGEPAGE)"))
    calls.append(("touch huge", "", "touch(1 << 24, MADV_HUGEPAGE)"))
    prints = [
        f"best = 1.0; for (int i = 0; i < 12; ++i) {{ t = {call}; best = t < best ? t : best; }} "
        f'printf("{kind};{width};%.6g\\n", best * 1e9);'
        for kind, width, call in calls
    ]
    return (
        START
        + "\n".join(functions)
        + "\nint main(void)\n{\n    double t, best;\n    "
        + "\n    ".join(prints)
        + "\n}\n"
    )


def loop(name, lines, level, register):
    """A C function that returns seconds an instruction; registers hold ordinary numbers, indices are 0."""
    setup = (
        [f"movsd %[one],%xmm{i}; unpcklpd %xmm{i},%xmm{i}" for i in range(16)]
        if level == "base"
        else [f"vbroadcastsd %[one],%{register if register != 'xmm' else 'ymm'}{i}" for i in range(16)]
    )
    clear = "pxor %xmm12,%xmm12" if level == "base" else "vpxor %xmm12,%xmm12,%xmm12"
    body = quoted(lines)
    before = quoted([*setup, clear])
    clobbers = ", ".join(f'"xmm{i}"' for i in range(16))
    return f"""static double {name}(void)
{{
    unsigned long long one = 0x3f8000003f800000; /* 1 as two floats, 0.0078 as a double */
    double begin;
    __asm__ volatile({before}: : [one] "m"(one) : {clobbers});
    begin = now();
    for (long i = 0; i < {TURNS}; ++i)
        __asm__ volatile({body}: : [at] "r"(memory) : "memory", {clobbers}{', "k1"' if "k1" in body else ""});
    return (now() - begin) / ({TURNS}.0 * {len(lines)});
}}"""


def quoted(lines):
    """Instructions as C strings; a % is doubled, but for those of %[operand], %{ and %}."""
    return "".join(f'"{re.sub(r"%(?![{}[])", "%%", text)}\\n\\t"\n        ' for text in lines)


def compile_units(level, folder):
    """The path of the program for a level, or None where there is no compiler that knows it."""
    compiler = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")
    if compiler is None:
        return None
    text, program = os.path.join(folder, f"units_{level}.c"), os.path.join(folder, f"units_{level}")
    with open(text, "w") as file:
        file.write(source(level))
    flags = [] if level == "base" else [f"-march=x86-64-{level}"]
    done = subprocess.run([compiler, "-O2", *flags, text, "-o", program], capture_output=True, text=True)
    return None if done.returncode else program


def measure_units(program):
    """{(kind, width): nanoseconds an instruction or, of touch, a byte}."""
    found = {}
    for line in subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines():
        kind, width, time = line.split(";")
        found[kind, width] = float(time)
    return found
