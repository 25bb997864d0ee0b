"""Orientation matrices as mosflm writes them: nine numbers, and whatever follows them is ignored."""

from math import isfinite

from ..errors import OptionError
from .reading import BYTE_ORDER_MARK, cannot_read
from .scan import scan_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_matrix(path: "Any", complain: "Any" = None) -> "Any":
    """The nine numbers of an orientation matrix, row-major; None when the file cannot be opened.

    Rows are laboratory x, y, z; columns are a*, b*, c* times the wavelength in Angstrom (dimensionless). Numbers may
    touch, as those of fixed-width columns do where one has a sign, and a byte order mark may stand before them.
    complain: called with a sentence on a file whose first lines have six and four numbers, as XPARM.XDS had before 2010
    and no matrix file has. Raises NanoBraggError for a file without nine finite numbers at its beginning.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(65536)
    except IsADirectoryError as error:
        raise cannot_read(path, error, "give an orientation matrix file") from None
    except (OSError, ValueError):
        return None
    values = []
    position = len(BYTE_ORDER_MARK) if text.startswith(BYTE_ORDER_MARK) else 0
    for _ in range(9):
        value, end = scan_number(text, position)
        if end == position:
            sentence = f"{{matrix_file}} {{file}} begins with {len(values)} numbers; an orientation matrix has 9"
            raise OptionError(sentence, file=path)
        if not isfinite(value):
            sentence = "{matrix_file} {file} has {value} as one of its numbers; an orientation matrix has 9 finite ones"
            raise OptionError(sentence, file=path, value=value)
        values.append(value)
        position = end
    if complain is not None and [len(line.split()) for line in text.split(b"\n", 2)[:2]] == [6, 4]:
        complain(
            f"-mat {path} begins as an XPARM.XDS file does, and its first nine numbers are no orientation matrix; "
            f"to make one: nanobragg-py matrix {path} --out FIXED.mat"
        )
    return tuple(values)
