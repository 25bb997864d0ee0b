"""``nanobragg-py compare-traces``: where two traces part."""

import json
import os
from math import inf
from typing import Any

from ...errors import NanoBraggError
from ...files.atomic import check_writable, write_file
from ...inspect.trace import value_text
from ...inspect.trace_compare import GRADES, TOLERANCE, compare_traces, place, read_trace, worst

DESCRIPTION = """\
Compares two traces of one pixel, as nanobragg-py trace and other programs write them (any line that
begins with TRACE, TRACE_C, TRACE_PY, ...): a line for every quantity with its largest absolute and
relative difference, one for every phi step and mosaic domain, and the first divergence in the order
of computation. Relative differences are graded: pass (up to the tolerance), minor (below 1e-4),
divergent (below 1e-2), critical. Those of vectors are relative to the largest component.
"""
EPILOG = """\
exit status: 0 when nothing diverges, 1 when something does, 2 for files that cannot be compared

example:
  nanobragg-py compare-traces c.trace spec.trace --markdown summary.md
"""
SCHEMA = "nanobragg-compare-traces/1"
#: with more phi steps than this, only those that do not pass are printed
SHOWN_STEPS = 40


def add_arguments(parser: Any) -> None:
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("a", metavar="A", help="a file with TRACE lines")
    parser.add_argument("b", metavar="B", help="another one")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="X",
        help="relative difference up to which a quantity passes (default %(default)g)",
    )
    parser.add_argument("--all", action="store_true", help="a line for every single pair, in the order of A")
    parser.add_argument("--json", metavar="FILE", help="write everything as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write what is printed as a Markdown page")


def run(args: Any) -> int:
    if args.flags is not None:
        raise NanoBraggError("compare-traces renders nothing; drop -- and what follows it")
    if not 0.0 <= args.tolerance < inf:
        raise NanoBraggError(f"--tolerance is {args.tolerance}; it must be a number from 0 on")
    for flag, name in (("--json", args.json), ("--markdown", args.markdown)):
        if name is not None:
            check_writable(name, f"give another name with {flag}")
    comparison = compare_traces(read_trace(args.a), read_trace(args.b), args.tolerance)
    sections = [("Quantities", quantity_rows(comparison, args.all)), ("Phi steps", step_rows(comparison))]
    if args.json is not None:
        write_file(args.json, os.fsencode(json.dumps(as_dict(comparison), indent=1) + "\n"))
    if args.markdown is not None:
        write_file(args.markdown, os.fsencode("\n".join(markdown_lines(comparison, sections)) + "\n"))
    print("\n".join(text_lines(comparison, sections)))
    return 0 if comparison.first_divergence is None else 1


# ---- what is said, as tables of text -------------------------------------------------------------------------------


def quantity_rows(comparison: Any, single: bool) -> Any:
    """The table of quantities: title row first."""
    rows = [("quantity", "pairs", "absolute", "relative", "grade", "where")]
    groups = [(pair.name, [pair]) for pair in comparison.pairs] if single else comparison.by_name()
    for name, pairs in groups:
        bad = worst(pairs)
        where = place(bad.where) if single or bad.grade != "pass" else ""
        rows.append((name, str(len(pairs)), f"{bad.absolute:.3g}", f"{bad.relative:.3g}", bad.grade, where))
    return rows


def step_rows(comparison: Any) -> Any:
    """The table of phi steps and domains, or nothing."""
    steps = comparison.by_step()
    rows = [("phi step", "domain", "pairs", "relative", "grade", "of")]
    for (phi_step, domain), pairs in steps:
        bad = worst(pairs)
        if len(steps) <= SHOWN_STEPS or bad.grade != "pass":
            name = bad.name if bad.relative > 0.0 else ""
            rows.append((str(phi_step), str(domain), str(len(pairs)), f"{bad.relative:.3g}", bad.grade, name))
    return rows if len(rows) > 1 else []


def headline(comparison: Any) -> Any:
    """What was compared."""
    lines = []
    for letter, trace in (("A", comparison.a), ("B", comparison.b)):
        told = [trace.comments[key] for key in ("program",) if key in trace.comments]
        told += [f"compat {trace.comments['compat']}"] if "compat" in trace.comments else []
        lines.append(f"{letter}: {trace.path}" + (f" ({', '.join(told)})" if told else ""))
    lines.append(f"{len(comparison.pairs)} pairs, tolerance {comparison.tolerance:g}")
    if any("flags" not in trace.comments for trace in (comparison.a, comparison.b)):
        lines.append("not every trace names its flags, so whether they are the same was not checked")
    converted = {f"{pair.name} ({pair.remark})": None for pair in comparison.pairs if pair.remark}
    if converted:
        lines.append(f"taken for 1/A, as the names say: {', '.join(converted)}")
    for letter, names in (("A", comparison.only_a), ("B", comparison.only_b)):
        if names:
            lines.append(f"only in {letter}: {' '.join(names)}")
    return lines


def conclusion(comparison: Any) -> list[Any]:
    """The first divergence, with both values."""
    first = comparison.first_divergence
    if first is None:
        return ["first divergence: None"]
    where = place(first.where)
    return [
        f"first divergence: {first.name}" + (f" at {where}" if where else ""),
        f"  A: {value_text(first.a)}",
        f"  B: {value_text(first.b)}",
        f"  relative difference {first.relative:.3g}, {first.grade}; the worst of all is {comparison.grade}",
    ]


def text_lines(comparison: Any, sections: Any) -> list[str]:
    lines = headline(comparison)
    for _, rows in sections:
        if rows:
            lines += ["", *columns(rows)]
    return [*lines, "", *conclusion(comparison)]


def columns(rows: Any) -> list[Any]:
    """Rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def markdown_lines(comparison: Any, sections: Any) -> list[str]:
    lines = ["# Comparison of two traces", ""]
    lines += [f"- {line}" for line in headline(comparison)]
    for title, rows in sections:
        if rows:
            lines += ["", f"## {title}", "", table_row(rows[0]), "|---" * len(rows[0]) + "|"]
            lines += [table_row(row) for row in rows[1:]]
    return [*lines, "", "## Result", "", "```", *conclusion(comparison), "```"]


def table_row(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


# ---- JSON ----------------------------------------------------------------------------------------------------------


def as_dict(comparison: Any) -> dict[Any, Any]:
    """The comparison for JSON; docs/trace.md describes it."""
    first = comparison.first_divergence
    counts = dict.fromkeys(GRADES, 0)
    for pair in comparison.pairs:
        counts[pair.grade] += 1
    return {
        "schema": SCHEMA,
        "a": {"file": comparison.a.path, **comparison.a.comments},
        "b": {"file": comparison.b.path, **comparison.b.comments},
        "tolerance": comparison.tolerance,
        "pairs": len(comparison.pairs),
        "grades": counts,
        "grade": comparison.grade,
        "first_divergence": None if first is None else pair_dict(first),
        "quantities": [{"name": name, "pairs": len(pairs), **extent(pairs)} for name, pairs in comparison.by_name()],
        "phi_steps": [
            {"phi_step": phi_step, "mosaic_domain": domain, "pairs": len(pairs), "worst": worst(pairs).name}
            | extent(pairs)
            for (phi_step, domain), pairs in comparison.by_step()
        ],
        "divergences": [pair_dict(pair) for pair in comparison.pairs if pair.grade != "pass"],
        "only_in_a": list(comparison.only_a),
        "only_in_b": list(comparison.only_b),
    }


def extent(pairs: Any) -> dict[Any, Any]:
    """How far pairs differ."""
    bad = worst(pairs)
    return {"absolute": finite(bad.absolute), "relative": finite(bad.relative), "grade": bad.grade}


def pair_dict(pair: Any) -> dict[Any, Any]:
    return {
        "name": pair.name,
        "where": pair.where,
        "a": [finite(value) for value in pair.a],
        "b": [finite(value) for value in pair.b],
        "absolute": finite(pair.absolute),
        "relative": finite(pair.relative),
        "grade": pair.grade,
    }


def finite(value: Any) -> Any:
    """JSON has neither nan nor infinity; they become null."""
    return None if isinstance(value, float) and value - value != 0.0 else value
