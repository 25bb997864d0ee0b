"""The loops of a compiled module, from its disassembly: what instructions they have, and of what kind."""

import re
import shutil
import subprocess

#: kinds of vector instructions by what their names look like, without the v that AVX puts before them; the first that
#: fits counts. What none fits is "logic": bits.
KINDS = [
    ("gather", r"p?gather"),
    ("divide double", r"div[ps]d"),
    ("divide single", r"div[ps]s"),
    ("root double", r"sqrt[ps]d"),
    ("root single", r"sqrt[ps]s"),
    ("estimate", r"(rsqrt|rcp)"),
    ("reduce", r"reduce[ps]"),
    ("scale", r"scalef[ps]"),
    ("round", r"(round|rndscale)[ps]"),
    ("convert", r"cvtt?(dq2ps|ps2dq)"),
    ("widen", r"cvt(ps|dq|ss)2[ps]d"),
    ("narrow", r"cvt"),
    ("fma", r"fn?m(add|sub)[0-9a-z]*[ps][sd]$"),
    ("multiply", r"mul[ps][sd]$"),
    ("add", r"(add(sub)?|sub|hadd|getexp|getmant)[ps][sd]$"),
    ("extreme", r"(min|max|range)[ps][sd]$"),
    ("compare", r"(u?comi|cmp[a-z_]*)[ps][sd]$"),
    ("blend", r"p?blend"),
    ("move", r"(mov(?!ddup|s[lh]dup|mskp)|lddqu|broadcast|pbroadcast|pmov(?![sz]x|mskb))"),
    ("shuffle", r"(perm|p?shuf|p?unpck|p?extr|p?insr|insert|palign|align|compress|expand|movddup|movs[lh]dup|pack)"),
    ("shift", r"ps[lr][la]"),
    ("whole", r"p(add|sub|mul|min|max|cmp|abs)"),
]
#: kinds of floating-point arithmetic, and all that vector units do without the divider
ARITHMETIC = ("fma", "multiply", "add", "extreme", "compare", "round", "reduce", "scale", "convert", "widen", "narrow")
ARITHMETIC = (*ARITHMETIC, "estimate")
WORK = (*ARITHMETIC, "logic", "shift", "whole", "blend", "shuffle")
VECTOR = re.compile(r"%([xyz])mm")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(.*)$")
#: what goes elsewhere, and bytes of a jump to anywhere
LEAVES = ("j", "call", "ret", "ud2", "hlt", "loop", "xbegin", "rex")
JUMP = 5
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
    if kind == "move" and not memory:
        if name.startswith(("broadcast", "pbroadcast")):
            kind = "shuffle"
        elif "{" in operands:  # under a mask
            kind = "blend"
    width = max(widths)
    if kind not in ("logic", "move", "shuffle") and re.search(r"[a-z]s[sd]$", name):
        width = "x"
    return kind, width, int(memory and not stores and kind != "gather"), int(stores)


def stretches(code):
    """[(first, end)]: the code, cut into pieces that are gone through from `code[first]` to before `code[end]`.

    One ends with each jump, call and return, and one begins where a jump or call goes to.
    """
    places = {address: number for number, (address, _, _) in enumerate(code)}
    begins = {0}
    for number, (_, mnemonic, operands) in enumerate(code):
        if mnemonic.startswith(("j", "call", "ret", "ud2", "hlt")):
            begins.add(number + 1)
            target = operands.split()[0] if operands else ""
            if re.fullmatch("[0-9a-f]+", target):
                begins.add(places.get(int(target, 16), 0))
    begins = sorted(begins - {len(code)})
    found = []
    for first, end in zip(begins, [*begins[1:], len(code)], strict=True):
        while first < end and code[first][1].startswith(("nop", "xchg", "data16", "cs")):
            first += 1  # what fills up to where a function begins
        if first < end:
            found.append((first, end))
    return found


def contents(code, stretches):
    """For each stretch a dict {(kind, width, "", "load" or "store"): instructions}.

    A conditional jump is none: processors take it in together with the comparison before it.
    """
    found = []
    for first, end in stretches:
        counts = {}
        for _, mnemonic, operands in code[first:end]:
            if mnemonic.startswith("j") and mnemonic != "jmp":
                continue
            kind, width, loads, stores = kind_of(mnemonic, operands)
            key = kind, width, "store" if stores else "load" if loads else ""
            counts[key] = counts.get(key, 0) + 1
        found.append(counts)
    return found


def movable(code, first, end):
    """Bytes of the instructions at the head of a stretch that have room for a jump of five bytes and would do the same
    elsewhere; 0 where there are none."""
    for number in range(first, end):
        _, mnemonic, operands = code[number]
        if mnemonic.startswith(LEAVES) or "(%rip)" in operands or number + 1 == len(code):
            return 0
        if code[number + 1][0] - code[first][0] >= JUMP:
            return code[number + 1][0] - code[first][0]
    return 0
