"""An `Explanation` as text: what ``nanobragg-py explain`` prints."""

from typing import Any

from ..experiment.fields import FIELDS
from ..flags.options import DEFAULTS

#: units in which nanobragg_py.flags.options keeps its numbers: those of the fields, and of what is no field
OPTION_UNITS = {
    **{name: row.unit for row in FIELDS for name in row.options if row.unit and not name.endswith("_file")},
    **{"detector_thickstep": "m", "density": "g/m^3", "molecular_weight": "g/mol"},
}
DIGITS = 12


def shown(value: Any, unit: str = "") -> Any:
    """A value for people."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        text = " ".join(shown(item) for item in value)
    elif isinstance(value, float):
        text = f"{value + 0.0:.{DIGITS}g}"
    else:
        text = str(value)
    return f"{text} {unit}".rstrip()


def text_lines(explanation: Any) -> list[str]:
    """The whole explanation as lines of text."""
    lines = []
    headers = [setting for setting in explanation.history if setting.origin.kind == "header"]
    if headers:
        lines.append("Headers, read before any flag")
        lines += [f"  {s.origin.name}: {setting_text(explanation, s)}" for s in headers]
        lines.append("")
    if explanation.tokens:
        lines.append("Tokens")
    for token in explanation.tokens:
        lines += token_lines(explanation, token)
    for title, sentences in (
        ("Warnings", explanation.warnings),
        ("Oddities", [text for _, text in explanation.oddities]),
    ):
        if sentences:
            lines += ["", title]
            lines += [f"  - {sentence}" for sentence in sentences]
    width = max((len(q.name) for q in explanation.quantities), default=0)
    section = None
    for quantity in explanation.quantities:
        if quantity.section != section:
            section = quantity.section
            lines += ["", section.capitalize()]
        value = shown(quantity.value, quantity.unit)
        lines.append(f"  {quantity.name:<{width}}  {value:<28}  [{quantity.source_text}]")
    if explanation.unused:
        what = "Options" if explanation.tokens else "Fields"
        lines += ["", f"{what} that do not enter the image here"]
        lines += [f"  {', '.join(options)}: {reason}" for options, reason in explanation.unused]
    if explanation.physics is not None:
        lines += ["", "What -physics exact changes"]
        lines += [f"  {effect_text(effect)}" for effect in explanation.physics] or ["  nothing"]
    return lines[1:] if lines[:1] == [""] else lines


def effect_text(effect: Any) -> str:
    """What a choice of the exact physics does to the image."""
    name = effect.about if effect.id == "all" else f"{effect.id}, {effect.about}"
    if effect.changed is None:
        return f"{name}: {effect.note}"
    about = "about " if effect.coarse else ""
    text = f"{name}: pixels change by {about}{effect.changed:.2g} of their sum"
    if effect.ratio is None or f"{effect.ratio:.3g}" == "1":
        return text
    return f"{text}, which becomes {about}{effect.ratio:.3g} times as large"


def token_lines(explanation: Any, token: Any) -> list[str]:
    """A token with the values it reads, and one line for each rule; nothing for a token that is only a value."""
    if token.outcome == "value":
        return []
    # the longest of the values that its rules read are shown behind it
    words = max((firing.words for firing in token.firings), key=len, default=())
    lines = [f"{token.position + 1:4}  {' '.join((token.text, *words))}"]
    if not token.firings:
        hint = f"; did you mean {token.nearest}?" if token.nearest else ""
        what = "no rule fits it" if token.text.startswith("-") else "it belongs to no flag"
        return [*lines, f"        ignored: {what}{hint}"]
    for firing in token.firings:
        lines += [f"        {line}" for line in firing_lines(explanation, firing)]
    return lines


def firing_lines(explanation: Any, firing: Any) -> list[str]:
    if firing.outcome == "short":
        return [f"{firing.rule}: ignored, fewer than {firing.needed} tokens follow"]
    if firing.outcome == "stopped":
        return [f"{firing.rule}: fits too, but is not tried any more"]
    if firing.outcome == "passed":
        return [f"{firing.rule}: does not fire here"]
    if not firing.settings:
        return [f"{firing.rule}: fires and sets nothing"]
    lines = [f"{firing.rule}: {setting_text(explanation, setting)}" for setting in firing.settings]
    if firing.inert:
        lines[-1] += " (without effect on the image)"
    return lines


def setting_text(explanation: Any, setting: Any) -> str:
    """`option = value`, with what it replaced and what replaced it where that was different."""
    text = f"{setting.option} = {shown(setting.value, OPTION_UNITS.get(setting.option, ''))}"
    if setting.option not in DEFAULTS:
        return text
    before, after = explanation.overrides(setting), explanation.overridden_by(setting)
    if before is not None and before.value != setting.value:
        text += f", overrides {shown(before.value)} of {before.origin}"
    if after is not None and after.value != setting.value:
        text += f", OVERRIDDEN by {after.origin}"
    return text
