"""What options are called on the command line: the flags that set them, and the units these take."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: options of which people know another flag than the first that sets them
SPOKEN = {
    ("wavelength",): "-lambda (or -energy)",
    ("sample_x",): "-xtal_x",
    ("sample_y",): "-xtal_y",
    ("sample_z",): "-xtal_z",
    ("sample_x", "sample_y", "sample_z"): "-xtalsize",
}
#: the units of values, in words, by how the rule converts them
WORDS = {
    "A": "Angstrom",
    "A_dmin": "Angstrom",
    "deg": "degrees",
    "mm": "mm",
    "mrad": "mrad",
    "percent": "percent",
    "um": "um",
    "um_water": "um",
}


def rule_of(rules: "Any", options: "Any", value: "Any" = None) -> "Any":
    """The rule that sets these options, to this value where there is one, and as little else as can be; or None.

    rules: of a table. options: a tuple of names. value: a constant, in the words of the program.
    """
    # every image of a job may be warned of, and names the same options
    key = id(rules), options, value
    if key not in _known:
        _known[key] = rules, _rule_of(rules, options, value)
    return _known[key][1]


#: what `rule_of` found: {(id of rules, options, value): (rules, rule)}
_known: "dict[Any, Any]" = {}


def _rule_of(rules, options, value):
    best, wanted = None, set(options)
    for rule in rules:
        if rule.dests:
            fits = value is None and wanted.issubset(rule.dests)
        else:
            constants = dict(rule.sets)
            fits = wanted.issubset(constants) and (value is None or str(constants[options[0]]) == value)
        if fits and (best is None or _others(rule) < _others(best)):
            best = rule
    return best


def _others(rule):
    """How many options a rule sets; constants that it sets besides count for less than values."""
    return bool(rule.convert is None), len(rule.dests), len(rule.sets)


def flag_name(rules: "Any", options: "Any", value: "Any" = None, spoken: "Any" = SPOKEN) -> "tuple[Any, Any]":
    """What options, or a value that a switch gives them, are called on the command line, and their unit there.

    spoken: names that go before the rules'.
    """
    rule = rule_of(rules, options, value)
    if rule is None:
        # each by its own flag; what no flag of this program sets keeps its name
        found = ((option, rule_of(rules, (option,))) for option in options)
        return ", ".join(option if rule is None else rule.name for option, rule in found), ""
    return (rule.name if value is not None else spoken.get(options, rule.name)), WORDS.get(rule.convert, "")
