"""Usage texts, made from the flag tables."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WIDTH = 100
#: column at which the help starts
COLUMN = 36

#: what comes before the flags, for each program
HEADS = {
    "nanoBragg": """\
Usage: nanoBragg -mat FILE -hkl FILE [flag [value ...]] ...
   or: nanoBragg -cell A B C ALPHA BETA GAMMA -default_F X [flag [value ...]] ...

Simulates the diffraction image of a crystal of few unit cells. It needs a unit cell (-mat or -cell)
and structure factors (-hkl, a dump file of an earlier run, or -default_F). Later flags override
earlier ones; flags it does not know are ignored with a warning.

""",
    "noisify": """\
Usage: noisify -floatfile FILE [flag [value ...]] ...

Makes of a float image what a detector records: photon noise, point spread, flicker, calibration and
read-out noise, gain and offset. Later flags override earlier ones; flags it does not know are
ignored with a warning.

""",
    "nonBragg": """\
Usage: nonBragg -stol FILE [flag [value ...]] ...

Simulates the scattering of amorphous material, a liquid or a gas, from its curve F(sin(theta)/lambda).
Later flags override earlier ones; flags it does not know are ignored with a warning.

""",
}

FOOTS = {
    "nanoBragg": """\
docs/flags.md of the nanobragg_py sources describes how flags are read, and each one in detail.
""",
    "noisify": """\
docs/noisify.md of the nanobragg_py sources describes each one in detail.
""",
    "nonBragg": """\
docs/nonbragg.md of the nanobragg_py sources describes each one in detail.
""",
}


def usage_text(table: "Any", width: int = WIDTH) -> str:
    """The usage text of a `Table`: every flag but those of older documents, with a final newline.

    It is at most `width` columns wide, or as wide as a flag and a word of its help. Where a spelling stands in two
    rows, both fire, and the first has it here.
    """
    lines, seen = [_within(HEADS[table.program], width)], set()
    for group in table.groups:
        rules = [rule for rule in table.rules if rule.group == group and rule.action != "retired"]
        if rules:
            lines.append(f"{group}:\n")
            for rule in rules:
                names = [name for name in rule.names if name not in seen] or rule.names
                seen.update(names)
                lines.append(_entry(rule, names, width))
            lines.append("\n")
    lines.append(_within(FOOTS[table.program], width))
    return "".join(lines)


def _within(text, width):
    """Text whose lines are broken between words where they are longer than `width`."""
    lines = []
    for line in text.split("\n"):
        if len(line) <= width:
            lines.append(line)
            continue
        lines.append("")
        for word in line.split():
            if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return "\n".join(lines)


def _entry(rule, names, width):
    """The lines of one rule: spellings and value on the left, help on the right, or below where the left is long."""
    left = f"  {', '.join(names)} {rule.metavar}".rstrip()
    lines = [left]
    if len(left) < COLUMN - 1:
        lines[0] = left.ljust(COLUMN)
    else:
        lines.append(" " * COLUMN)
    for word in rule.help.split():
        if len(lines[-1]) + len(word) > width and lines[-1].strip():
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * COLUMN)
        lines[-1] += word + " "
    lines[-1] = lines[-1].rstrip()
    return "\n".join(lines) + "\n"
