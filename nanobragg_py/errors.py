"""The errors that users cause. Each message is one sentence that names the flag or the file and says what to do."""


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
