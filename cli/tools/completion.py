"""``nanobragg-py completion``: scripts that make a shell complete flags, options and file names."""

from typing import Any

DESCRIPTION = """\
Prints a script that makes a shell complete the flags and options of all programs of nanobragg_py.
Packages install these scripts where shells look for them; where that is not so, put the line of
your shell into its start-up file.
"""
EPILOG = """\
examples:
  bash:  source <(nanobragg-py completion bash)
  zsh:   source <(nanobragg-py completion zsh)       (after compinit)
  fish:  nanobragg-py completion fish | source
  tcsh:  nanobragg-py completion tcsh > ~/.nanobragg.tcsh; source ~/.nanobragg.tcsh
"""
SHELLS = ("bash", "fish", "tcsh", "zsh")


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=SHELLS, help="for which shell")


def run(args: Any) -> int:
    from ..pages import completion, programs

    every = programs()
    print("\n".join(completion(args.shell, program, every) for program in every), end="")
    return 0
