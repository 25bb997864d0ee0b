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


def usage_text(table: "Any") -> str:
    """The usage text of a `Table`: every flag but those of older documents, with a final newline.

    It is at most `WIDTH` columns wide.
    """
    lines = [HEADS[table.program]]
    for group in table.groups:
        rules = [rule for rule in table.rules if rule.group == group and rule.action != "retired"]
        if rules:
            lines.append(f"{group}:\n")
            lines.extend(_entry(rule) for rule in rules)
            lines.append("\n")
    lines.append(FOOTS[table.program])
    return "".join(lines)


def _entry(rule):
    """The lines of one rule: spellings and value on the left, help on the right, or below where the left is long."""
    left = f"  {', '.join(rule.names)} {rule.metavar}".rstrip()
    lines = [left]
    if len(left) < COLUMN - 1:
        lines[0] = left.ljust(COLUMN)
    else:
        lines.append(" " * COLUMN)
    for word in rule.help.split():
        if len(lines[-1]) + len(word) > WIDTH:
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * COLUMN)
        lines[-1] += word + " "
    lines[-1] = lines[-1].rstrip()
    return "\n".join(lines) + "\n"
