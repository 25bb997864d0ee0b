"""What flag tables are made of: rules, the conversions of their values, and the options that they set."""

#: Conversions by a constant: the value kept is ``number * factor / divisor``, and one of the two is 1. The reference
#: divides by 1000 here and multiplies by 1e-6 there, and the last bit of the result depends on which.
UNITS = {
    "number": (1.0, 1.0),
    "deg": (1.0, DEGREES_PER_RADIAN),
    "mm": (1.0, 1000.0),
    "mrad": (1.0, 1000.0),
    "percent": (1.0, 100.0),
    "um": (1e-6, 1.0),
    "um_water": (1.0, 1e6),
    "A": (1.0, 1e10),
    "A_dmin": (1e-10, 1.0),
    "g/cm3": (1e6, 1.0),
}

#: what people are shown for a value of each conversion
METAVARS = {
    None: "",
    "number": "X",
    "deg": "DEG",
    "mm": "MM",
    "mrad": "MRAD",
    "percent": "PERCENT",
    "um": "UM",
    "um_water": "UM",
    "um_float32": "UM",
    "A": "ANGSTROM",
    "A_dmin": "ANGSTROM",
    "g/cm3": "G/CM3",
    "eV": "EV",
    "int": "N",
    "truncated": "N",
    "cells": "N",
    "seed": "N",
    "count": "N",
    "word": "FILE",
}

#: the largest whole number an own flag takes: it has to fit a C int
MAX_COUNT = 2147483647

#: the headings that every program's table has
INERT = "Read, but without effect on the image"
OWN = "Flags of nanobragg_py, which the reference ignores"


cdef class Rule:
    """One rule of a table.

    group: the heading it is shown under. names: the spellings people are shown; the first names the rule.
    convert: how each value is read: a key of `UNITS`; "um_float32" (micrometres, kept as a float32 number of metres);
    "int"; "truncated" (a number, cut to an int); "cells" (an int, kept as a float); "seed" (an int, negated); "eV";
    "word" (as it is); "count" (strictly a whole number from 0 to `MAX_COUNT`); "choice" (strictly one of choices); None
    when there is no value.
    dests: the options that receive it: a single value goes to each of them, several go there as a tuple.
    help, metavar: for people. sets: (option, constant) pairs set besides, before the value is.
    values: how many tokens have to follow for the rule to fire (rules of older documents fire without).
    needles: what tokens are compared with; often shorter than the names (``-mat`` for ``-matrix``).
    match: "has" (the token contains a needle), "is" (it equals one), "own" (it equals one, a second dash in front
    allowed) or "bare" (it contains one, whether or not it begins with a dash; the token itself is the value, and no
    other rule sees it). Where the reference asks for a needle and a length, the length is the needle's, which is "is".
    action: "set"; "append" (the value goes to the end of the tuple that the option is); "words" (the value is the last
    of `choices` that the token contains, and stays what it was, or what `sets` says, if it contains none); or the name
    of the rule where it needs code of its own in the parser.
    first_pass: tried before the other rules, whatever those stop. stop: once it fired, later rules are not tried.
    """

    cdef readonly str group, help, metavar, match, action
    cdef readonly object convert
    cdef readonly tuple names, dests, sets, needles, choices
    cdef readonly int values
    cdef readonly bint first_pass, stop

    def __init__(
        self,
        group,
        names,
        convert,
        dests,
        help,
        metavar=None,
        sets=(),
        values=1,
        needles=None,
        match="has",
        action="set",
        first_pass=False,
        stop=False,
        choices=(),
    ):
        self.group = group
        self.names = tuple(names.split())
        self.convert = convert
        self.dests = tuple(dests.split())
        self.help = help
        self.metavar = METAVARS[convert] if metavar is None else metavar
        self.sets = sets
        self.values = values if convert is not None and match != "bare" else 0
        self.needles = tuple(needles.split()) if needles else self.names
        self.match = match
        self.action = action
        self.first_pass = first_pass
        self.stop = stop
        self.choices = choices

    @property
    def name(self):
        """The spelling that names the rule."""
        return self.names[0]

    def __repr__(self):
        return f"<Rule {self.name}>"


def switch(group, names, sets, help, **more):
    """A rule without values: it sets constants."""
    return Rule(group, names, None, "", help, sets=sets, **more)


def own(name, convert, dest, help, metavar=None):
    """A flag of our own: exact, and strict about its values.

    convert: None for a switch, which sets dest to True; "choice", with the words in metavar (``a|b``); "count"; "word"
    (a file's name); or a key of `UNITS`, for a finite number. metavar: a word a value, where there are several.
    """
    if convert is None:
        return switch(OWN, name, ((dest, True),), help, match="own")
    choices = tuple(metavar.split("|")) if convert == "choice" else ()
    values = len(metavar.split()) if metavar else 1
    return Rule(OWN, name, convert, dest, help, metavar, values=values, match="own", choices=choices)


class OptionRecord:
    """Options as attributes; every one has its default. Mutable, since later flags override earlier ones.

    A program's class of options has `defaults`, a dict, as an attribute of the class, and takes no other names. They
    are no slots, since a hundred of these take longer to make than all that is done with them in a run.
    """

    defaults = {}

    def __init__(self, **values):
        held = self.__dict__
        held.update(self.defaults)
        held.update(values)
        if len(held) > len(self.defaults):
            raise TypeError(f"no such option: {', '.join([name for name in values if name not in self.defaults])}")

    def __setattr__(self, name, value):
        if name not in self.defaults:
            raise AttributeError(f"no such option: {name}")
        self.__dict__[name] = value

    def __repr__(self):
        changed = ((k, getattr(self, k)) for k in self.defaults)
        shown = ", ".join([f"{k}={v!r}" for k, v in changed if v is not self.defaults[k]])
        return f"{type(self).__name__}({shown})"
