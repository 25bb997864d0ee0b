"""What is said beside the errors that users cause: warnings, what a name is near to, what nobody has foreseen."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
