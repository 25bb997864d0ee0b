"""The errors that users cause. Each message is one sentence that names the flag or the file and says what to do."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


#: an environment variable: errors that no reader has foreseen show where they come from
DEBUG = "NANOBRAGG_DEBUG"


class NanoBraggError(Exception):
    """Something the user can mend; ``str(error)`` is one clear sentence.

    The drop-in prints it after ``ERROR:`` on standard error and exits with `status` (9, as the reference does); the
    modern tools exit with 2.
    """

    status = 9


class UsageError(NanoBraggError):
    """Neither structure factors nor a cell to render: the usage text is the answer."""


class FieldError(NanoBraggError, ValueError):
    """A value that a field of the library's records, or an argument of its functions, does not take.

    fields: the names of the fields in question, such as ``detector.distance``, as far as they are known.
    """

    def __init__(self, message: str, fields: "Any" = ()) -> None:
        super().__init__(message)
        self.fields: Any = tuple(fields)


class Sentence(str):
    """A sentence about options, in which every front end has its own names for them.

    template: names an option in braces, ``"{distance} does not take 0"``; options that go together with a plus,
    ``{detsize_f+detsize_s}``; a value of a switch, ``{round_div=False}``; what its numbers are given in,
    ``{distance.unit}``. values: by name, what other braces stand for, with a format where there is one (``{mu:g}``).

    As a str it names flags, as the drop-in does; `named` names whatever its argument makes of options.
    """

    #: what flags options have: a function from a tuple of options and a value or None to a name and the unit of its
    #: values; the table of flags (nanobragg_py.flags.nanobragg) states it
    flag_name: "Any" = None
    template: str
    values: "Any"

    def __new__(cls, template: "Any", **values: "Any") -> "Any":
        self = super().__new__(cls, template.format_map(_Names(cls.flag_name, values)))
        self.template = template
        self.values = values
        return self

    def __reduce__(self) -> "Any":
        return _sentence, (self.template, self.values)

    def named(self, name_of: "Any") -> "Any":
        """The text. name_of: from a tuple of options, and a value or None, to what they are called and their unit."""
        return self.template.format_map(_Names(name_of, self.values))

    @property
    def options(self) -> "Any":
        """The options that the sentence speaks of."""
        found = []

        def name_of(options, value):
            found.extend(options)
            return "", ""

        self.named(name_of)
        return tuple(dict.fromkeys(found))


def _sentence(template, values):
    return Sentence(template, **values)


class _Name(str):
    """What a front end calls options; unit: what their numbers are given in there."""

    unit = ""


class _Names(dict):
    """What the braces of a template stand for."""

    def __init__(self, name_of, values):
        super().__init__(values)
        self.name_of = name_of

    def __missing__(self, key):
        options, _, value = key.partition("=")
        text, unit = self.name_of(tuple(options.split("+")), value or None)
        name = _Name(text)
        name.unit = unit
        return name


class OptionError(NanoBraggError):
    """Options that make no image. Its sentence is a `Sentence`, whose template and values it is raised with."""

    def __init__(self, template: "Any", **values: "Any") -> None:
        super().__init__(template)
        self.values: Any = values

    @property
    def sentence(self) -> "Any":
        """What is wrong, as a `Sentence`."""
        return Sentence(self.args[0], **self.values)

    def __str__(self) -> str:
        return str(self.sentence)


class NothingToRender(OptionError, UsageError):
    """Options without structure factors or without a crystal."""
