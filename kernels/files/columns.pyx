# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Numbers in columns of a text file, by the reference's rules (docs/nonbragg.md)."""

from libc.math cimport NAN
from libc.string cimport memchr, memcpy, strcspn, strspn

from nanobragg_py.kernels.memory.buffers cimport Buffer, Borrowed

cdef extern from "nb_strtod.h":
    double nb_strtod(const char *text, char **end) noexcept

cdef enum:
    LONGEST = 10239  # a longer line is cut, and goes on as the next

cdef const char *DELIMITERS = b" \t,;:!"
cdef const char *NUMBER = b"0123456789-+.EGeg"


cdef bint is_number(const char *text) noexcept:
    """Whether a number stands there: no word that begins with inf or nan."""
    cdef char *end = NULL
    nb_strtod(text, &end)
    if end == text:
        return False
    return not ((end[-1] | 32) in b"fny" and (b"a" <= (end[0] | 32) <= b"z" or end[0] == b"_"))


def read_columns(text, Py_ssize_t length, int columns, bint numbers_only=False):
    """The rows of a table: a Buffer of float64 of shape (columns, rows); nan for what is missing behind a row's end.

    text: buffer of bytes. length: how many of them count. numbers_only: leave out rows that do not begin with a number;
    by the reference's rules they are rows of zeros.
    """
    cdef Borrowed bytes_ = Borrowed(text, "B")
    cdef const char *data = <const char *>bytes_.data
    cdef char line[LONGEST + 1]
    cdef const char *token
    cdef const char *stop
    cdef Py_ssize_t at = 0, size, rows = 0, room = 256, i
    cdef Buffer table = Buffer((room, columns), "d", zero=False), more
    cdef double *row
    cdef int column
    while at < length:
        stop = <const char *>memchr(data + at, 10, length - at)
        size = length - at if stop == NULL else stop - (data + at) + 1
        size = min(size, LONGEST)
        memcpy(line, data + at, size)
        line[size] = 0
        at += size
        token = line + strspn(line, DELIMITERS)
        if token[0] == 10 and token[1] == 0:
            continue
        if numbers_only and not is_number(token):
            continue
        if rows == room:
            more = Buffer((2 * room, columns), "d", zero=False)
            memcpy(more.data, table.data, table.nbytes)
            table = more
            room *= 2
        row = <double *>table.data + rows * columns
        rows += 1
        for column in range(columns):
            row[column] = NAN
        for column in range(columns):
            row[column] = nb_strtod(token, NULL)
            token += strspn(token, NUMBER)
            if token[0] == 10 and token[1] == 0:
                break
            token += strcspn(token, DELIMITERS)
            token += strspn(token, DELIMITERS)
            if token[0] == 10 and token[1] == 0:
                break
    more = Buffer((columns, max(rows, 1)), "d", zero=False)
    for column in range(columns):
        for i in range(rows):
            (<double *>more.data)[column * rows + i] = (<double *>table.data)[i * columns + column]
    return more, rows
