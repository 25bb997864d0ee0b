"""The innermost loops of a compiled module, from its disassembly: what instructions they have, and of what kind."""

import re
import shutil
import subprocess

#: kinds of vector instructions by what their names look like, without the v that AVX puts before them; the first that
#: fits counts. What none fits is "logic": bits, whole numbers, choices by a mask.
KINDS = [
    ("gather", r"p?gather"),
    ("divide double", r"div[ps]d"),
    ("divide single", r"div[ps]s"),
    ("root double", r"sqrt[ps]d"),
    ("root single", r"sqrt[ps]s"),
    ("estimate", r"(rsqrt|rcp)"),
    ("round", r"(round|rndscale|reduce)[ps]"),
    ("convert", r"cvt"),
    ("move", r"(mov(?!ddup|s[lh]dup|mskp)|lddqu|broadcast|pbroadcast|pmov(?![sz]x|mskb))"),
    ("shuffle", r"(perm|p?shuf|p?unpck|p?extr|p?insr|insert|palign|align|compress|expand|movddup|movs[lh]dup|pack)"),
    (
        "arithmetic",
        r"(f?n?m(add|sub)[0-9a-z]*|add(sub)?|sub|mul|min|max|u?comi|cmp[a-z_]*|hadd|getexp|getmant|scalef)[ps][sd]$",
    ),
]
VECTOR = re.compile(r"%([xyz])mm")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(.*)$")
PREFIXES = {"repz", "rep", "repnz", "lock", "notrack", "bnd", "data16", "cs", "nopw"}


def disassemble(path):
    """[(address, mnemonic, operands)] of a module, in order; None where there is no objdump."""
    if shutil.which("objdump") is None:
        return None
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True).stdout
    found = []
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            words = match[2].split(None, 1)
            while len(words) > 1 and words[0] in PREFIXES:
                words = words[1].split(None, 1)
            found.append((int(match[1], 16), words[0], words[1] if len(words) > 1 else ""))
    return found


def innermost(code):
    """[(first, last)] addresses of the loops that have none inside: from a backward jump's target to the jump."""
    ends = {}
    for address, mnemonic, operands in code:
        if mnemonic.startswith("j"):
            target = operands.split()[0]
            if re.fullmatch("[0-9a-f]+", target) and int(target, 16) <= address:
                ends[int(target, 16)] = address  # the last jump to it
    found = []
    for first, last in sorted(ends.items()):
        while found and found[-1][1] >= last:  # that one has this one inside
            found.pop()
        found.append((first, last))
    return found


def kind_of(mnemonic, operands):
    """(kind, width, loads, stores) of an instruction; the width is x, y or z, and "" where it is no vector's."""
    widths = VECTOR.findall(operands)
    memory = "(" in operands and not mnemonic.startswith(("lea", "nop", "prefetch"))
    stores = memory and bool(re.search(r"\)(\{[^}]*\})*$", operands))
    if not widths or mnemonic.startswith("j"):
        return "scalar", "", int(memory and not stores), int(stores)
    name = mnemonic.removeprefix("v")
    kind = next((kind for kind, pattern in KINDS if re.match(pattern, name)), "logic")
    if kind == "move" and name.startswith(("broadcast", "pbroadcast")) and not memory:
        kind = "shuffle"
    width = max(widths)
    if kind not in ("logic", "move", "shuffle") and re.search(r"[a-z]s[sd]$", name):
        width = "x"
    return kind, width, int(memory and not stores and kind != "gather"), int(stores)


def contents(code, loops):
    """For each loop a dict {(kind, width): instructions}, with ("load", width), ("store", width) and ("all", "")."""
    found, at = [], 0
    places = {address: number for number, (address, _, _) in enumerate(code)}
    for first, last in loops:
        counts = {}
        for at in range(places[first], places[last] + 1):
            kind, width, loads, stores = kind_of(*code[at][1:])
            for key, number in (((kind, width), 1), (("load", width), loads), (("store", width), stores)):
                if number:
                    counts[key] = counts.get(key, 0) + number
            counts["all", ""] = counts.get(("all", ""), 0) + 1
        found.append(counts)
    return found
