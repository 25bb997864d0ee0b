"""docs/fields.md, made from the table of fields: ``python -m nanobragg_py.experiment.reference docs/fields.md``."""

import sys

from ..flags.nanobragg import RULES
from .parts import FIELDS

HEAD = """\
# Fields of an experiment

What `Beam`, `Detector`, `Crystal`, `Sampling` and `StructureFactors` take, made by `make docs` from the table in
nanobragg_py/experiment/. The same names are the keys of TOML and JSON files. In both, a number in m may be
given as `"0.1 mm"` (m, cm, mm, um, nm, A, pm), an angle as `"0.3 deg"` (rad, mrad, deg), several as `"10 20 30 deg"`, a
time as `"50 fs"`, and the wavelength as `"12 keV"` (eV, keV, MeV) or by `energy = "12 keV"`. Values that would be usual
in another unit, such as a distance of 100 m, are warned of.
`None` means "not given". Beside the parts stands `physics`, `"exact"` (the default) or `"reference"`
([differences](differences.md#the-exact-physics)), which is the flag `-physics`. Flags are those that set the same;
[flags.md](flags.md) describes them.
"""


def page() -> str:
    """The text of the page."""
    parts = [HEAD]
    for part in dict.fromkeys(row.part for row in FIELDS if row.part != "structure_factors"):
        parts.append(_table(part))
    return "".join([*parts, _table("structure_factors")])


def _table(part):
    head = f"\n## {part}\n\n| field | default | unit | flags | meaning |\n|---|---|---|---|---|\n"
    return head + "".join(_row(row) for row in FIELDS if row.part == part)


def _row(row):
    flags = dict.fromkeys(
        rule.name for rule in RULES if set(row.options) & ({*rule.dests} or {name for name, _ in rule.sets})
    )
    name = f"`{row.name}`" if row.name else "(the table)"
    cells = (name, f"`{row.default!r}`", row.unit, ", ".join(f"`{flag}`" for flag in flags), row.meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m nanobragg_py.experiment.reference docs/fields.md")
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(page())
