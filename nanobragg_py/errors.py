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


class NanoBraggWarning(UserWarning):
    """Something that is rendered all the same and was perhaps not meant."""


def warn_caller(sentence: str) -> None:
    """A Python warning that points at the line outside the package from which it was called."""
    import sys
    import warnings

    package, level = __name__.partition(".")[0], 2
    frame: Any = sys._getframe(1)
    # what dataclasses generate, an __init__ say, has the globals of the module it is for
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    warnings.warn(sentence, NanoBraggWarning, stacklevel=level)


def meant(name: str, known: "Any", listing: str = "there are", elsewhere: "Any" = ()) -> str:
    """What to say after a name that is not known: "did you mean ...?", or all that are.

    Alike are names that share most letters in their order (difflib), and those of which one begins or ends the other:
    orientatoin is orientation, mosaic is mosaic_spread. listing: what comes before a list of all. elsewhere: {name:
    what to call it} of what it could be instead.
    """
    own, elsewhere = dict(zip(known, known, strict=True)), dict(elsewhere)
    last = name.rpartition(".")[2]  # crystal.fluence is beam.fluence
    if last in elsewhere:
        return f"did you mean {elsewhere[last]}?"
    for names, cutoff in ((own, 0.75), (elsewhere, 0.75), (own, 0.6)):
        called = {key.lower(): word for key, word in names.items()}
        if (found := _alike(name.lower(), called, cutoff)) is not None:
            return f"did you mean {called[found]}?"
    return f"{listing} {', '.join(known)}"


def _alike(name, names, cutoff):
    import difflib

    near = difflib.get_close_matches(name, names, 1, cutoff)
    if not near and len(name) > 2:
        near = [word for word in names if word.startswith(name) or word.endswith(name)]
    return near[0] if near else None


#: what the errors of Python and of libraries say of a file, the most special first
_SAYINGS = (
    (RecursionError, "it is nested too deeply"),
    (MemoryError, "it needs more memory than there is"),
    (UnicodeError, "it has bytes that are no text"),
    (OverflowError, "it has a number that is too large"),
    (ZeroDivisionError, "it has a 0 where there can be none"),
    (KeyError, "it lacks {text}"),
    (LookupError, "it lacks something, or names what is not there ({text})"),
    (ValueError, "it has a value that makes no sense ({text})"),
    (TypeError, "it has a value of another kind than it must be ({text})"),
)


def sentence_of(error: "Any", words: "Any") -> str:
    """The sentence for an error that no reader has foreseen: what is wrong and in which file.

    words: of the command line; those that are files are named. An error of the system names its own file.
    """
    import os

    text = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f" {os.fsdecode(error.filename)}"
        return f"cannot read or write{where or ' a file'}: {error.strerror}"
    files = [word for word in words if os.path.isfile(word)]
    if isinstance(error, MemoryError) and not files:
        return "there is not enough memory; give smaller numbers"
    saying = next((saying for kind, saying in _SAYINGS if isinstance(error, kind)), "it cannot be read ({text})")
    what = f"cannot make sense of {' or '.join(files) or 'the arguments'}: {saying.format(text=text)}"
    return f"{what}; correct it, or see with --debug where this was found"
