"""docs/flags.md, made from the flag table: ``python -m nanobragg_py.flags.page docs/flags.md``."""

import sys

from .parser import matching_rules
from .rules import GROUPS, RULES

HEAD = """\
# Flags of the drop-in

This page is made from the flag table in nanobragg_py/flags/rules.py; after a change there, run
`python -m nanobragg_py.flags.page docs/flags.md`.

## How a command line is read

- Tokens are read from left to right. One that begins with `-` is compared with **every** rule below, in the order of
  the table in nanobragg_py/flags/rules.py, and all that fit fire, unless one of them stops the rest. A token fits a
  rule when it *contains* the rule's needle, anywhere (`-matrix` and `--mat` fit `-mat`), or, where the tables say
  "only", when it *is* the needle.
- The values of a flag are the tokens right behind it, whatever they look like. They are not used up: each is looked at
  as a possible flag in its turn.
- A rule whose values do not all follow on the line does not fire.
- What comes later on the line overrides what came before.
- Numbers are read as C's `atof` and `atoi` read them: the longest beginning of the token that is a number, 0 if there
  is none. `3deg` is 3, `abc` is 0; where a whole number is wanted, `44.9` is 44 and `1e3` is 1; elsewhere `0x64`, `inf`
  and `nan` are numbers too.
- The image headers that `-img` and `-mask` name are read before all of this: first the mask's, then the image's. Every
  flag overrides them, wherever it stands.

This is how the original program reads its command line, and scripts depend on it. Where nanobragg_py can tell that a
token did not do what was meant, it says so on standard error, once per token, and goes on: tokens with a dash that no
rule fits, flags that lack values, words that belong to no flag, values that were read as another number than they say.
Flags that only nanobragg_py has are stricter: they are accepted with one dash or two, have to be spelled exactly, and a
bad value is an error.

## Traps

- `-misset_seed` contains `-misset`: when three tokens follow it, they become missetting angles. Put it last on the
  line, or in front of `-misset`.
- `-twotheta_axis` contains `-twotheta`: the swing becomes the axis's first number. Put `-twotheta` behind it.
- Every vector flag, `-spindle_axis` among them, leaves the named convention for CUSTOM, in which the other vectors have
  the defaults listed here; a convention named later on the line takes the vectors back.
- A named convention (MOSFLM if none is named) decides the pivot as well, whatever `-pivot` and other flags said: sample
  for XDS and DIALS, beam for the rest. Only convention CUSTOM keeps the pivot that flags set.
- `-mosaic_seed` and `-misset_seed` do not follow `-seed`.
- With `-compat c`, `-curved_det` as the last token is ignored.

In the tables, "sets" names the options (nanobragg_py.flags.options) that a flag changes, kept in metres, radians and
seconds.
"""


def page():
    """The text of docs/flags.md."""
    parts = [HEAD]
    for group in GROUPS:
        parts.append(f"\n## {group}\n\n| flag | fits | sets | meaning |\n|---|---|---|---|\n")
        parts.extend(_row(rule) for rule in RULES if rule.group == group)
    return "".join(parts)


def _row(rule):
    spellings = "<br>".join(f"`{name} {rule.metavar}".rstrip() + "`" for name in rule.names)
    needles = ", ".join(f"`{needle}`" for needle in rule.needles)
    fits = needles if rule.match == "has" else f"only {needles}"
    cells = (spellings, fits, _sets(rule), f"{rule.help}{_also(rule)}")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _sets(rule):
    return ", ".join([f"`{dest}`" for dest in rule.dests] + [f"`{name}` = {value}" for name, value in rule.sets])


def _also(rule):
    """The other rules that the spellings of this one fire, where the help does not say so already."""
    others = []
    for name in rule.names:
        for other in matching_rules(name):
            if other.name != rule.name and f"{other.name} " not in f"{rule.help} " and other.name not in others:
                others.append(other.name)
            if other is rule and rule.stop:
                break
    return f"; fires {', '.join(f'`{name}`' for name in others)} too" if others else ""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m nanobragg_py.flags.page docs/flags.md")
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(page())
