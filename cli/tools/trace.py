"""``nanobragg-py trace``: every quantity on the way to one pixel."""

import json
import os
import sys
from typing import Any

from ...errors import NanoBraggError
from ...experiment.load import load_args
from ...files.atomic import check_writable, write_file
from ...inspect.trace import trace_pixel

DESCRIPTION = """\
Every quantity on the way to one pixel, in the order in which it is worked out, one a line:
TRACE: name value..., and TRACE_PHI: for what belongs to one phi step and mosaic domain. The values
come from the functions that render, and the last one is compared with the rendered pixel.
docs/trace.md lists the names and units. Input files are read from the current directory; no image
is written. -compat c among the flags traces the reference's known defects as well.
"""
EPILOG = """\
exit status: 0; 2 for a pixel or flags that cannot be traced

example:
  nanobragg-py trace --pixel 30 12 -- -cell 40 50 60 90 90 90 -default_F 100 -N 5 -detpixels 64
"""

PREFIXES = ("TRACE", "TRACE_PY", "TRACE_C")
#: what older programs call the modes of -compat
PHI_MODES = {"spec": "spec", "c-parity": "c"}


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "--pixel", nargs=2, type=int, required=True, metavar=("SLOW", "FAST"), help="the pixel, counted from 0"
    )
    parser.add_argument(
        "--panel", metavar="NAME", help="of -geometry: the panel that the pixel is on, by name or by number from 0"
    )
    parser.add_argument("--json", metavar="FILE", help="write the trace as JSON as well")
    parser.add_argument("--phi-log", metavar="FILE", help="write the TRACE_PHI lines to a file of their own as well")
    parser.add_argument("--out", metavar="FILE", help="write the trace there and not to standard output")
    parser.add_argument(
        "--prefix",
        choices=PREFIXES,
        default="TRACE",
        help="first word of the lines; TRACE_PY and TRACE_C write phi steps as older programs do, one a line",
    )
    parser.add_argument(
        "--phi-mode",
        choices=tuple(PHI_MODES),
        help="spec: every phi step is rotated afresh; c-parity: as -compat c among the flags",
    )
    parser.add_argument(
        "--emit-rot-stars", action="store_true", help="for scripts that ask for them; rotated vectors are always there"
    )
    parser.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="for scripts that say it; a trace is in float64 always",
    )


def run(args: Any) -> int:
    if not args.flags:
        raise NanoBraggError("there is nothing to trace; give nanoBragg's flags after --")
    for flag, name in (("--json", args.json), ("--phi-log", args.phi_log), ("--out", args.out)):
        if name is not None:
            check_writable(name, f"give another name with {flag}")
    loaded = load_args(args.flags, complain=warn)
    if args.dtype == "float32":
        warn("--dtype float32 is taken for float64, in which every trace is")
    compat = PHI_MODES[args.phi_mode] if args.phi_mode else loaded.options.compat
    experiment, slow, fast = place_of(loaded.experiment, args)
    trace = trace_pixel(experiment, loaded.table, slow, fast, compat)
    if args.json is not None:
        write_file(args.json, as_bytes(json.dumps(plain(trace.as_dict(args.flags)), indent=1)))
    if args.phi_log is not None:
        write_file(args.phi_log, as_bytes("\n".join(trace.phi_lines(args.flags, args.prefix))))
    text = "\n".join(trace.lines(args.flags, args.prefix))
    if args.out is not None:
        write_file(args.out, as_bytes(text))
    else:
        print(text)
    return 0


def place_of(experiment: Any, args: Any) -> tuple[Any, int, int]:
    """The experiment of the panel that the pixel is on, and where it is there."""
    if not experiment.panels:
        if args.panel is not None:
            raise NanoBraggError("--panel is for detectors of several panels; give -geometry among the flags")
        return (experiment, *args.pixel)
    from ...render.panels import on_panel

    slow, fast = args.pixel
    return on_panel(experiment, slow, fast, args.panel)


def warn(sentence: str) -> None:
    print(f"WARNING: {sentence}", file=sys.stderr)


def as_bytes(text: Any) -> Any:
    """With the file names' own bytes, and a line feed at the end."""
    return os.fsencode(text + "\n")


def plain(value: Any) -> Any:
    """JSON has neither nan nor infinity; they become null."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float) and value - value != 0.0:
        return None
    return value
