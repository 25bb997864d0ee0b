"""Completion scripts and man pages of every program, made from the flag tables and the tools' parsers.

``python -m nanobragg_py.cli.pages FOLDER`` writes them below FOLDER where shells and man look for them; setup.py does
that when the package is built. ``nanobragg-py completion SHELL`` prints the scripts.
"""

import os
import sys
from typing import Any

from .. import __version__
from ..flags.page import TABLES
from ..flags.usage import HEADS
from ..records import REQUIRED, Record
from .main import DESCRIPTION, TOOLS, build_parser

SHELLS = ("bash", "zsh", "fish", "tcsh")


class Option(Record):
    """An option. names: its spellings. metavar: of its values, "" without any. help. choices: words it takes."""

    _fields = {"names": REQUIRED, "metavar": "", "help": "", "choices": ()}


class Program(Record):
    """A program or subcommand. summary: one line. usage: lines. about, more: text. options: of Option. words: those
    that it takes without an option. tools: Programs below it.
    """

    _fields = {
        "name": REQUIRED,
        "summary": REQUIRED,
        "usage": (),
        "about": "",
        "more": "",
        "options": (),
        "words": (),
        "tools": (),
    }


def programs() -> list[Any]:
    """Every program that is installed."""
    found = [drop_in(table) for table in TABLES.values()]
    tools = [tool(name) for name in TOOLS]
    found.append(
        Program(
            name="nanobragg-py",
            summary=DESCRIPTION.partition(". ")[0],
            usage=("nanobragg-py SUBCOMMAND [OPTION ...] [-- FLAG ...]",),
            about=DESCRIPTION.strip(),
            options=options_of(build_parser(None)),
            tools=tuple(tools),
        )
    )
    compare = next(each for each in tools if each.name == "compare")
    return [*found, compare.replace(name="nb-compare", usage=("nb-compare [OPTION ...] [-- FLAG ...]",))]


def drop_in(table: Any) -> "Program":
    """The Program of a flag table."""
    usage, _, about = HEADS[table.program].strip().partition("\n\n")
    options = [
        Option(names=rule.names, metavar=rule.metavar, help=rule.help, choices=rule.choices)
        for group in table.groups
        for rule in table.rules
        if rule.group == group and rule.action != "retired" and rule.match != "bare"
    ]
    lines = [line.partition(":")[2].strip() for line in usage.splitlines()]
    summary = " ".join(about.partition(". ")[0].split())
    return Program(name=table.program, summary=summary, usage=tuple(lines), about=about.strip(), options=tuple(options))


def tool(name: str) -> "Program":
    """The Program of a subcommand."""
    parser = build_parser(name)._subparsers._group_actions[0].choices[name]
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return Program(
        name=name,
        summary=TOOLS[name][1],
        usage=(usage,),
        about=parser.description.strip(),
        more=(parser.epilog or "").strip(),
        options=options_of(parser),
        words=tuple(
            str(word) for action in parser._actions if not action.option_strings for word in action.choices or ()
        ),
    )


def options_of(parser: Any) -> Any:
    """The Options of an argparse parser."""
    return tuple(
        Option(
            names=tuple(action.option_strings),
            metavar="" if action.nargs == 0 else metavar_of(action),
            help=parser._get_formatter()._expand_help(action) if action.help else "",
            choices=tuple(map(str, action.choices or ())),
        )
        for action in parser._actions
        if action.option_strings
    )


def metavar_of(action: Any) -> Any:
    if action.metavar is None and action.choices:
        return "|".join(map(str, action.choices))
    metavar = action.metavar or action.dest.upper()
    return " ".join(metavar) if isinstance(metavar, tuple) else metavar


# ---- man pages -----------------------------------------------------------------------------------------------------


def man_page(program: Any, command: Any = None) -> str:
    """The text of a man page of section 1. command: what is typed, where it is more than the name."""
    command = command or program.name
    title = command.replace(" ", "-")
    lines = [
        f'.TH {roff(title.upper())} 1 "" "nanobragg_py {__version__}" "User Commands"',
        ".SH NAME",
        f"{roff(title)} \\- {roff(program.summary)}",
        ".SH SYNOPSIS",
        # a line of its own for each, of which those that are long are broken between words
        "\n.br\n".join(map(roff, program.usage)),
        ".SH DESCRIPTION",
        *paragraphs(program.about),
    ]
    if program.tools:
        lines.append(".SH SUBCOMMANDS")
        for each in program.tools:
            page = f"{roff(command)}\\-{roff(each.name)}(1)"
            lines += [".TP", f"\\fB{roff(each.name)}\\fR", f"{roff(each.summary)}; see {page}"]
    if program.options:
        lines.append(".SH OPTIONS")
    for option in program.options:
        words = ", ".join(f"\\fB{roff(name)}\\fR" for name in option.names)
        value = option.metavar or "|".join(option.choices)
        lines += [".TP", f"{words} {roff(value)}".rstrip(), roff(option.help)]
    if program.more:
        lines += [".SH NOTES", ".nf", *map(roff, program.more.splitlines()), ".fi"]
    return "\n".join(lines) + "\n"


def paragraphs(text: Any) -> list[Any]:
    """Lines of text, blank lines between them as paragraphs."""
    return [roff(line) if line.strip() else ".PP" for line in text.splitlines()]


def roff(text: Any) -> Any:
    """Text that troff leaves as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{text}" if text.startswith(".") else text


# ---- completion ----------------------------------------------------------------------------------------------------


def flags(program: Any) -> list[Any]:
    return [name for option in program.options for name in option.names]


def with_choices(program: Any) -> list[Any]:
    """[(name, choices), ...] of the options that take one of some words."""
    return [(name, option.choices) for option in program.options if option.choices for name in option.names]


def variable(name: str) -> str:
    return "_" + "".join(letter if letter.isalnum() else "_" for letter in name)


def bash(program: Any, nested: Any = ()) -> str:
    """A script for bash. nested: the Program whose flags may follow ``--``."""
    name, function = program.name, variable(program.name)
    lines = [f"# bash completion of {name}", f"{function}()", "{"]
    lines.append('    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words="" tool="" i')
    if nested:
        lines += [
            "    for ((i = 1; i < COMP_CWORD; i++)); do",
            f'        [[ "${{COMP_WORDS[i]}}" == -- ]] && {{ {variable(nested.name)}; return; }}',
            "    done",
        ]
    lines.append('    case "$before" in')
    lines += [f'        {each}) words="{" ".join(choices)}" ;;' for each, choices in with_choices(program)]
    lines += ["    esac", f'    [[ -z $words && $word == -* ]] && words="{" ".join(flags(program))}"']
    if program.tools:
        names = " ".join(each.name for each in program.tools)
        lines += [
            "    tool=${COMP_WORDS[1]}",
            f'    ((COMP_CWORD == 1)) && words="{names} {" ".join(flags(program))}"',
            '    ((COMP_CWORD > 1)) && case "$tool" in',
        ]
        for each in program.tools:
            lines.append(f"        {each.name})")
            other = f' || words="{" ".join(each.words)}"' if each.words else ""
            lines.append(f'            [[ $word == -* ]] && words="{" ".join(flags(each))}"{other}')
            if with_choices(each):
                lines.append('            case "$before" in')
                lines += [f'                {o}) words="{" ".join(c)}" ;;' for o, c in with_choices(each)]
                lines.append("            esac")
            lines.append("            ;;")
        lines.append("    esac")
    lines += ['    COMPREPLY=($(compgen -W "$words" -- "$word"))', "}"]
    lines.append(f"complete -o default -F {function} {name}")
    return "\n".join(lines) + "\n"


def zsh(program: Any, nested: Any = ()) -> str:
    """A script for zsh, to be found by compinit, or sourced after it."""

    def described(each):
        return [
            f"    {quoted(name.replace(':', chr(92) + ':') + ':' + option.help.replace(':', ' '))}"
            for option in each.options
            for name in option.names
        ]

    def offered(function, each):
        """The function that offers the flags of a program, and words behind those that take them."""
        lines = [f"{function}() {{", "  local -a found", "  local before=${words[CURRENT-1]}"]
        lines += after(each)
        lines += ["  [[ $PREFIX == -* ]] || { _files; return }", "  found=(", *described(each), "  )"]
        return [*lines, "  _describe flag found || _files", "}"]

    def after(each, indent="  "):
        return [
            f"{indent}[[ $before == {name} ]] && {{ compadd -- {' '.join(choices)}; return }}"
            for name, choices in with_choices(each)
        ]

    function = variable(program.name)
    lines = [f"#compdef {program.name}"]
    if nested:
        # a name of its own, since that program's script may be there as well
        lines += offered(f"{function}_behind", nested)
    if not program.tools:
        lines += offered(f"{function}_flags", program)
    lines += [f"{function}() {{", "  local -a found", "  local before=${words[CURRENT-1]}"]
    if nested:
        lines.append(f"  (( ${{words[(i)--]}} < CURRENT )) && {{ {function}_behind; return }}")
    if program.tools:
        lines += ["  if (( CURRENT == 2 )); then"]
        lines += ["    [[ $PREFIX == -* ]] && found=(", *described(program), "    ) || found=("]
        lines += [f"    {quoted(each.name + ':' + each.summary)}" for each in program.tools]
        lines += ["    )", "    _describe subcommand found", "    return", "  fi", "  case ${words[2]} in"]
        for each in program.tools:
            lines += [f"  {each.name})", *after(each, "    ")]
            if each.words:
                lines.append(f"    [[ $PREFIX == -* ]] || {{ compadd -- {' '.join(each.words)}; return }}")
            lines += ["    found=(", *described(each), "    ) ;;"]
        lines += ["  esac", "  [[ $PREFIX == -* ]] && _describe option found || _files", "}"]
    else:
        lines += [f"  {function}_flags", "}"]
    # compinit calls it by the name of the file
    lines += [f'if [[ "$funcstack[1]" == _{program.name} ]]; then', f'  {function} "$@"', "else"]
    return "\n".join([*lines, f"  compdef {function} {program.name}", "fi"]) + "\n"


def fish(program: Any, nested: Any = ()) -> str:
    """A script for fish."""
    lines = [f"# fish completion of {program.name}"]
    condition = "not contains -- -- (commandline -opc)"
    if program.tools:
        names = " ".join(each.name for each in program.tools)
        none_yet = f"not __fish_seen_subcommand_from {names}"
        for each in program.tools:
            about = quoted(each.summary)
            lines.append(f"complete -c {program.name} -f -n '{none_yet}' -a {each.name} -d {about}")
        for each in program.tools:
            seen = f"{condition}; and __fish_seen_subcommand_from {each.name}"
            lines += fish_options(program.name, each, seen)
            if each.words:
                lines.append(f"complete -c {program.name} -f -n {quoted(seen)} -a {quoted(' '.join(each.words))}")
    lines += fish_options(program.name, program, condition if nested or program.tools else "")
    if nested:
        lines += fish_words(program.name, nested, "contains -- -- (commandline -opc)")
    return "\n".join(lines) + "\n"


def fish_words(command: Any, program: Any, condition: Any) -> Any:
    """Flags as words, which is what they are to fish behind ``--``."""
    lines = []
    for option in program.options:
        for name in option.names:
            lines.append(f"complete -c {command} -n {quoted(condition)} -a {quoted(name)} -d {quoted(option.help)}")
            if option.choices:
                behind = f"{condition}; and test (commandline -opc)[-1] = {name}"
                lines.append(f"complete -c {command} -f -n {quoted(behind)} -a {quoted(' '.join(option.choices))}")
    return lines


def fish_options(command: Any, program: Any, condition: Any) -> Any:
    lines = []
    for option in program.options:
        for name in option.names:
            kind = "-l" if name.startswith("--") else "-s" if len(name) == 2 else "-o"
            words = f"complete -c {command} {kind} {name.lstrip('-')} -d {quoted(option.help)}"
            if condition:
                words += f" -n {quoted(condition)}"
            if option.choices:
                words += f" -x -a {quoted(' '.join(option.choices))}"
            elif option.metavar:
                words += " -r"
            lines.append(words)
    return lines


def tcsh(program: Any, nested: Any = ()) -> str:
    """A script for tcsh."""
    words = [f"complete {program.name}"]
    words += [f"'n/{name}/({' '.join(choices)})/'" for name, choices in with_choices(program)]
    if nested:
        words += [f"'n/{name}/({' '.join(choices)})/'" for name, choices in with_choices(nested)]
    if program.tools:
        taken: dict[str, list[str]] = {}
        for each in program.tools:
            if each.words:
                taken[each.name] = list(each.words)
            for name, choices in with_choices(each):
                taken[name] = [*taken.get(name, ()), *(word for word in choices if word not in taken.get(name, ()))]
        words += [f"'n/{name}/({' '.join(choices)})/'" for name, choices in taken.items()]
        words.append(f"'p/1/({' '.join(each.name for each in program.tools)})/'")
        options = sorted({name.lstrip("-") for each in program.tools for name in flags(each) if name.startswith("--")})
        words.append(f"'c/--/({' '.join(options)})/'")
    long = sorted(name[2:] for name in flags(program) if name.startswith("--") and not program.tools)
    if long:
        words.append(f"'c/--/({' '.join(long)})/'")
    single = sorted({name[1:] for each in (program, nested) if each for name in flags(each) if name[1] != "-"})
    words.append(f"'c/-/({' '.join(single)})/'")
    return " ".join([*words, "'p/*/f/'"]) + "\n"


def quoted(text: Any) -> Any:
    """A word for a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


#: shell -> where its scripts go below the prefix; {} is the program
PLACES = {
    "bash": "share/bash-completion/completions/{}",
    "zsh": "share/zsh/site-functions/_{}",
    "fish": "share/fish/vendor_completions.d/{}.fish",
    "tcsh": "share/nanobragg_py/{}.tcsh",
}


def completion(shell: Any, program: Any, every: Any) -> Any:
    """The script of a program for a shell. every: all programs."""
    takes_flags = program.tools or program.name == "nb-compare"
    nested = next(each for each in every if each.name == "nanoBragg") if takes_flags else ()
    script = {"bash": bash, "zsh": zsh, "fish": fish, "tcsh": tcsh}[shell](program, nested)
    return (bash(nested) + script) if shell == "bash" and nested else script


def files() -> Any:
    """{path below the prefix: text} of everything."""
    every = programs()
    found = {}
    for program in every:
        found[f"share/man/man1/{program.name}.1"] = man_page(program)
        for each in program.tools:
            found[f"share/man/man1/{program.name}-{each.name}.1"] = man_page(each, f"{program.name} {each.name}")
        for shell in SHELLS:
            found[PLACES[shell].format(program.name)] = completion(shell, program, every)
    return found


def write(folder: Any) -> None:
    """Write everything below a folder."""
    for name, text in files().items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    write(sys.argv[1])
