"""How many instructions the innermost loops have, for any compiler: a Markdown table.

    python benchmarks/bound/listing.py [aarch64-linux-gnu-gcc]

Compiles kernels/loops/sums.h as setup.py does, and takes the loops apart with the objdump that belongs to the compiler.
Of each function the loop counts whose arithmetic is on full vectors. A cell has the instructions
a step takes, all of them, and those that are work for the vector units.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bound import loops

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = (
    "-O3 -g0 -fno-math-errno -fno-trapping-math -fno-tree-loop-distribute-patterns -fschedule-insns -fsched-pressure"
)
UNIT = """#include "sums_single.h"
void *entries[] = {nb_sum_flat, nb_sum_flat_nearest, nb_sum_indices, nb_sum_single, nb_sum_single_nearest};
void ask(void) { nb_ask_for_turns(); }
"""
FUNCTION = re.compile(r"^[0-9a-f]+ <(nb_[a-z0-9_]+)[^>]*>:$")
IN_PARTS = ("%zmm", "%ymm")  # what is done part by part (kernels/loops/sums.h)
IN_TURNS = re.compile("nb_flat_(weighted_)?(square_[a-z0-9]+|round)")  # in turns (kernels/loops/nb_parts.h)
BY_SUMS = re.compile("nb_flat_(weighted_)?gauss")  # indices are rounded by additions, where processors gain by it
TARGETS = {  # a compiler's machine: [(name, flags, doubles a vector, full vectors)]
    "x86_64": [
        ("AVX-512", "-march=x86-64-v4 -mprefer-vector-width=512", 8, IN_PARTS[0]),
        ("AVX2", "-march=x86-64-v3", 4, IN_PARTS[1]),
    ],
    "aarch64": [("NEON", "", 2, r"\bv[0-9]+\.(2d|4s|16b)|\bq[0-9]")],
}
#: as in bound.loops, for aarch64
ARM_KINDS = [
    ("divide", r"f(div|sqrt)$"),
    ("round", r"frint[a-z]$"),
    ("load", r"ld[a-z0-9]+$"),
    ("store", r"st[a-z0-9]+$"),
    (
        "arithmetic",
        r"f(add|sub|mul|mla|mls|abs|abd|neg|m?nm?add|madd|msub|min|max|minnm|maxnm|cm[a-z]+|cvt[a-z0-9]*|[sr]qrt[a-z]+)$",
    ),
    (
        "logic",
        r"(and|orr|eor|bic|bif|bit|bsl|orn|shl|sshr|ushr|add|sub|dup|mov|movi|zip[12]|uzp[12]|xtn2?|ext|scvtf|ucvtf|ins|umov)$",
    ),
]


def kind_of(machine, mnemonic, operands):
    if machine == "x86_64":
        kind, width, _, _ = loops.kind_of(mnemonic, operands)
        return "other" if not width else kind.split()[0]
    vector = re.search(r"\bv[0-9]+\.|\b[qds][0-9]+\b", operands)
    if not vector:
        return "other"
    return next((kind for kind, pattern in ARM_KINDS if re.match(pattern, mnemonic)), "logic")


def listing(compiler, flags, full, lanes):
    """{function: [(its loop's (mnemonic, operands), pixels of a turn)]}."""
    objdump = compiler.removesuffix("gcc") + "objdump" if compiler.endswith("-gcc") else "objdump"
    include = [f"-I{ROOT}/kernels/{folder}" for folder in ("formulas", "loops")]
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "unit.c"), os.path.join(folder, "unit.o")
        with open(source, "w") as file:
            file.write(UNIT)
        command = [compiler, *FLAGS.split(), *flags.split(), "-fPIC", *include, "-c", source, "-o", target]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        text = subprocess.run([objdump, "-d", "--no-show-raw-insn", target], capture_output=True, text=True).stdout
    found, name, code = {}, None, []
    for line in [*text.splitlines(), "0 <nb_end>:"]:
        function, match = FUNCTION.match(line), loops.LINE.match(line)
        if function:
            if name:
                among = full == IN_PARTS[1]
                turns, by_sums = among and IN_TURNS.fullmatch(name), among and BY_SUMS.fullmatch(name)
                found[name] = over_vectors(code, full, lanes, turns, by_sums)
            name, code = function[1], []
        elif match:
            words = match[2].split(None, 1)
            code.append((int(match[1], 16), words[0], words[1] if len(words) > 1 else ""))
    return found


def over_vectors(code, full, lanes, turns, by_sums):
    """The loops over vectors, as `full` finds them in operands: [(instructions, pixels of a turn)].

    That is one, the shortest whose arithmetic is on full vectors; where a transform is done part by part, all loops
    that have full vectors count, and where the parts may take turns, the loop that has them all.
    """
    # aarch64 jumps with b.ne, cbnz and tbz, whose target comes last
    pairs = loops.innermost(
        [
            (at, f"j{name}", words.split(",")[-1].strip()) if is_jump(name) else (at, name, words)
            for at, name, words in code
        ]
    )
    bodies = [[words[1:] for words in code if first <= words[0] <= last] for first, last in pairs]
    full_words = [sum(re.search(full, words) is not None for _, words in body) for body in bodies]
    if full in IN_PARTS:
        found = [(body, counted_up(body) // 8) for body, words in zip(bodies, full_words, strict=True) if words]
        if turns:  # all parts are in one loop, which has most of a step; the others are for a part at a time
            return [max((body for body in found if body[1]), key=lambda body: len(body[0]) / body[1])]
        return [body for body in found if not any(name == "vroundpd" for name, _ in body[0])] if by_sums else found
    bodies = [body for body, found in zip(bodies, full_words, strict=True) if found > len(body) / 2]
    body = min(bodies, key=len, default=None)
    return [] if body is None else [(body, pixels(body, full, lanes))]


def counted_up(body):
    """Bytes of doubles that a turn of a loop goes on."""
    most = 0
    for name, words in body:
        match = re.match(r"\$0x([0-9a-f]+),(%r[a-z0-9]+)$", words)
        if match and name in ("add", "sub"):
            step = int(match[1], 16) if name == "add" else 2**64 - int(match[1], 16)  # gcc subtracts -128
            # it counts doubles, or numbers of half the size beside them
            scales = [re.search(rf"{match[2]},(\d)\)", words) for _, words in body if re.search("%[yz]mm", words)]
            scale = max([int(found[1]) for found in scales if found], default=1)
            most = max(most, step * scale if step < 2**32 else 0)
    return most


def pixels(body, full, lanes):
    """Pixels of a turn: as many as are stored, not on the stack."""
    found = 0
    for name, words in body:
        if re.search(r"\bsp\b|%rsp|%rbp", words) or not re.search(full, words):
            continue
        if name.startswith("st"):
            found += 1 + name.startswith("stp")
        elif re.search(r"\)$", words):
            found += 1
    return lanes * max(found, 1)


def is_jump(name):
    return name.startswith("j") or re.match(r"(b|b\.[a-z]+|cbn?z|tbn?z)$", name) is not None


#: the loops that are shown, and what the table calls them
SHOWN = {"flat": "", "flat_nearest": ", table"}
WORK = ("arithmetic", *(kind for kind in loops.WORK if kind != "estimate"), "divide", "root")


def counts(compiler):
    """{column: {row: (instructions a step, those that are work for the vector units)}}."""
    triple = subprocess.run([compiler, "-dumpmachine"], capture_output=True, text=True, check=True).stdout
    machine = triple.split("-")[0]
    found = {}
    for target, flags, width, full in TARGETS[machine]:
        column = found[f"{target} ({width})"] = {}
        for function, bodies in listing(compiler, flags, full, width).items():
            match = re.fullmatch(r"nb_(flat_nearest_single|flat_nearest|flat_single|flat|weighted)_(.*)", function)
            if match and match[1] in SHOWN and bodies:
                work = sum(sum(kind_of(machine, *words) in WORK for words in body) / steps for body, steps in bodies)
                column[match[2] + SHOWN[match[1]]] = sum(len(body) / steps for body, steps in bodies), work
    return found


def main():
    columns = {}
    for compiler in sys.argv[1:] or [name for name in ("gcc", "aarch64-linux-gnu-gcc") if shutil.which(name)]:
        columns.update(counts(compiler))
    rows = [row for row in sorted({*columns[next(iter(columns))]}) if all(row in column for column in columns.values())]
    print("| loop | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for row in rows:
        cells = [column.get(row) for column in columns.values()]
        print(f"| {row} | " + " | ".join("-" if c is None else f"{c[0]:.1f}, {c[1]:.1f}" for c in cells) + " |")


if __name__ == "__main__":
    main()
