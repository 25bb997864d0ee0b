"""``nanobragg-py <subcommand>``: the modern command beside the drop-in. One module a subcommand, in cli/tools/.

A tool module has ``add_arguments(parser)``, which also sets ``description`` and ``epilog``, and ``run(args)``, which
returns the exit status. What follows ``--`` on the command line is an ordinary nanoBragg command line; the tool finds it,
as a list of tokens, in ``args.flags``.
"""

import argparse
import sys

from .. import __version__
from ..errors import NanoBraggError

#: name: (module in cli/tools, one line of help)
TOOLS = {
    "trace": ("trace", "every quantity on the way to one pixel"),
    "compare-traces": ("compare_traces", "where two traces part"),
    "compare": ("compare", "run two programs on one command line and compare everything they write"),
    "explain": ("explain", "what a nanoBragg command line means, flag by flag"),
    "golden": ("golden", "make and check sets of reference results"),
    "hkl": ("hkl", "structure factors from and to files of other programs"),
    "matrix": ("matrix", "orientation matrices from and to files of other programs"),
    "convert": ("convert", "images to formats of other programs"),
    "view": ("view", "a picture of an image"),
    "info": ("info", "header, statistics and beam centre of an image"),
    "batch": ("batch", "render many images"),
}

USAGE_STATUS = 2


def main(argv=None):
    """Run the program; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    own, flags = argv, None
    if "--" in argv:
        at = argv.index("--")
        own, flags = argv[:at], argv[at + 1 :]
    name = next((word for word in own if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="nanobragg-py", description="Tools around nanoBragg images; arguments after -- are nanoBragg's own flags."
    )
    parser.add_argument("--version", action="version", version=f"nanobragg-py {__version__}")
    tools = parser.add_subparsers(metavar="subcommand", required=True)
    for tool, (module, summary) in TOOLS.items():
        sub = tools.add_parser(tool, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if tool == name:
            run = __import__(f"nanobragg_py.cli.tools.{module}", fromlist=["run"])
            run.add_arguments(sub)
            sub.set_defaults(run=run.run)
    args = parser.parse_args(own)
    args.flags = flags
    try:
        return args.run(args)
    except NanoBraggError as error:
        print(f"nanobragg-py {name}: {error}", file=sys.stderr)
        return USAGE_STATUS
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print(f"nanobragg-py {name}: interrupted", file=sys.stderr)
        return 130


def compare_main():
    """``nb-compare``: the compare tool under the name that scripts know."""
    return main(["compare", *sys.argv[1:]])
