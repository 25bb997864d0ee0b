"""``nanobragg-py explain``: what a nanoBragg command line means, flag by flag."""

import json
from typing import Any

from ...errors import NanoBraggError
from ...inspect.explain import explain

DESCRIPTION = """\
For each token of a nanoBragg command line: the rules it fires, the values they read, what it
overrides and what overrides it. Then what is odd about the line, and the experiment that
follows from it, in SI units, each value with its source; and what -physics exact would change
in the image, by coarse images of both, which take a second or two. Files are read as the
drop-in reads them, from the current directory; nothing is written.
"""
EPILOG = """\
exit status: 0; 2 if no experiment follows from the command line (the tokens are explained all the same)

example:
  nanobragg-py explain -- -cell 40 50 60 90 90 90 -default_F 100 -xds -pivot beam
"""


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print JSON instead of text (docs/explain.md describes it)")


def run(args: Any) -> int:
    if not args.flags:
        raise NanoBraggError("there is nothing to explain; give nanoBragg's flags after --")
    explanation = explain(args.flags, physics=True)
    if args.json:
        print(json.dumps(explanation.as_dict(), indent=1))
    else:
        print(explanation)
    if explanation.error is not None:
        raise NanoBraggError(f"nothing would be rendered: {explanation.error}")
    return 0
