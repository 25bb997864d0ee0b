"""The flag tables in the pages of docs/: ``python -m nanobragg_py.flags.page docs/flags.md docs/noisify.md``.

A page says where its flags go: what stands between a line ``<!-- flags of PROGRAM -->`` and the line
``<!-- end of flags -->`` is made anew; the rest is written by hand.
"""

import sys
from typing import Any

from . import nanobragg, noisify, nonbragg

TABLES = {table.program: table for table in (nanobragg.TABLE, noisify.TABLE, nonbragg.TABLE)}
BEGIN, BEGIN_END, END = "<!-- flags of ", " -->\n", "<!-- end of flags -->\n"


def renewed(text: Any) -> str:
    """The text of a page with its flag tables made anew; raises ValueError for one without the two lines."""
    head, begin, rest = text.partition(BEGIN)
    program, end_of_line, rest = rest.partition(BEGIN_END)
    _, end, tail = rest.partition(END)
    if not (begin and end_of_line and end and program in TABLES):
        raise ValueError(f"no line {BEGIN}PROGRAM{BEGIN_END.rstrip()} with a line {END.rstrip()} below")
    return "".join([head, begin, program, end_of_line, tables(TABLES[program]), "\n", end, tail])


def tables(table: Any) -> str:
    """The rules of a `Table`, a Markdown table for each group."""
    parts = []
    for group in table.groups:
        parts.append(f"\n## {group}\n\n| flag | fits | sets | meaning |\n|---|---|---|---|\n")
        parts.extend(_row(table, rule) for rule in table.rules if rule.group == group)
    return "".join(parts)


def _row(table, rule):
    spellings = "<br>".join(f"`{name} {rule.metavar}".rstrip() + "`" for name in rule.names)
    needles = ", ".join(f"`{needle}`" for needle in rule.needles)
    fits = f"only {needles}" if rule.match in ("is", "own") else needles
    cells = (spellings, fits, _sets(rule), f"{rule.help}{_also(table, rule)}")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _sets(rule):
    return ", ".join([f"`{dest}`" for dest in rule.dests] + [f"`{name}` = {value}" for name, value in rule.sets])


def _also(table, rule):
    """The other rules that the spellings of this one fire, where the help does not say so already."""
    others = []
    for name in rule.names:
        for other in table.matching_rules(name):
            if other.name != rule.name and f"{other.name} " not in f"{rule.help} " and other.name not in others:
                others.append(other.name)
            if other is rule and rule.stop:
                break
    return f"; fires {', '.join(f'`{name}`' for name in others)} too" if others else ""


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m nanobragg_py.flags.page docs/flags.md ...")
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        try:
            text = renewed(text)
        except ValueError as error:
            sys.exit(f"{name} has {error}")
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
