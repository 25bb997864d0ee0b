"""The errors that users cause. Each message is one sentence that names the flag or the file and says what to do."""


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
    """A value that a field of the library's records, or an argument of its functions, does not take."""


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


def sentence_of(error, words):
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
