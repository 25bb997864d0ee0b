"""Orientation matrices as mosflm writes them: nine numbers, and whatever follows them is ignored.

What follows in MOSFLM's files, missetting angles, U and the cell, is good for a check.
"""

from math import acos, degrees, isfinite, sqrt

from ..errors import OptionError
from ..vectors import cross, dot
from .reading import BYTE_ORDER_MARK, cannot_read
from .scan import scan_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Angstrom; no crystal's cell has other edges
EDGES = (2.0, 5000.0)
#: relative difference of edges, and degrees, that rounding does not make
SAME, ANGLE = 0.01, 0.5
#: a*, b*, c* that span less than this part of the product of their lengths lie in a plane
FLAT = 1e-9
#: where the cell begins in MOSFLM's files, and how many numbers they have up to its end
_CELL, _ALL = 21, 27


def read_matrix(path: "Any", complain: "Any" = None, wavelength: "Any" = None) -> "Any":
    """The nine numbers of an orientation matrix, row-major; None when the file cannot be opened.

    Rows are laboratory x, y, z; columns are a*, b*, c* times the wavelength in Angstrom (dimensionless). Numbers may
    touch, as those of fixed-width columns do where one has a sign, and a byte order mark may stand before them.
    complain: called with sentences on a file whose numbers make no crystal's cell, or another one than it states, on
    missetting angles, which are not applied, and on one whose first lines have six and four numbers, as XPARM.XDS had
    before 2010. wavelength: Angstrom, which the cell follows from; None: no such checks.
    Raises NanoBraggError for a file without nine finite numbers at its beginning.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(65536)
    except IsADirectoryError as error:
        raise cannot_read(path, error, "give an orientation matrix file") from None
    except (OSError, ValueError):
        return None
    text = text.removeprefix(BYTE_ORDER_MARK)
    numbers, position = [], 0
    while len(numbers) < _ALL:
        value, end = scan_number(text, position)
        if end == position:
            break
        numbers.append(value)
        position = end
    values = numbers[:9]
    bad = next((value for value in values if not isfinite(value)), None)
    if bad is not None:
        sentence = "{matrix_file} {file} has {value} as one of its numbers; an orientation matrix has 9 finite ones"
        raise OptionError(sentence, file=path, value=bad)
    if len(values) < 9:
        sentence = f"{{matrix_file}} {{file}} begins with {len(values)} numbers; an orientation matrix has 9"
        if text.lstrip().startswith((b"{", b"XPARM.XDS", b"GXPARM.XDS")):
            sentence += "; to make one: nanobragg-py matrix {file} --out FIXED.mat"
        raise OptionError(sentence, file=path)
    if complain is not None:
        if [len(line.split()) for line in text.split(b"\n", 2)[:2]] == [6, 4]:
            complain(
                f"-mat {path} begins as an XPARM.XDS file does, and its first nine numbers are no orientation matrix; "
                f"to make one: nanobragg-py matrix {path} --out FIXED.mat"
            )
        elif wavelength is not None:
            for sentence in matrix_remarks(path, numbers, wavelength):
                complain(sentence)
    return tuple(values)


def matrix_remarks(path: "Any", numbers: "Any", wavelength: "Any") -> "list[str]":
    """Sentences on a matrix file that may be, and mostly is not meant.

    numbers: its first ones. wavelength: Angstrom.
    """
    said = []
    if any(numbers[9:12]):
        angles = " ".join(f"{angle:g}" for angle in numbers[9:12])
        said.append(f"the missetting angles {angles} of {path} are not applied")
    made = _cell_of(numbers[:9], wavelength)
    if made is None:
        return said  # there is an error for that
    stated = numbers[_CELL:_ALL]
    if len(numbers) == _ALL and min(stated[:3]) > EDGES[0] and all(5.0 < angle < 175.0 for angle in stated[3:]):
        if not _alike(made, stated):
            what = f"{path} makes a cell of {_words(made)} at {wavelength:g} A, and states one of {_words(stated)}"
            transposed = _cell_of([numbers[i] for i in (0, 3, 6, 1, 4, 7, 2, 5, 8)], wavelength)
            said.append(f"{what}; {_reason(made, transposed, stated, wavelength)}")
    elif not all(EDGES[0] <= edge <= EDGES[1] for edge in made[:3]):
        said.append(
            f"{path} makes a cell of {_words(made)}; an orientation matrix has a*, b* and c* in its columns, in 1/A, "
            "times the wavelength"
        )
    if dot(numbers[0:3], cross(numbers[3:6], numbers[6:9])) < 0.0:
        said.append(f"the axes of {path} are left-handed; the image is that of the crystal's mirror image")
    return said


def _reason(made, transposed, stated, wavelength):
    """Why a cell is not the one that is stated, or what to do."""
    if transposed is not None and _alike(transposed, stated):
        return "its rows and columns are exchanged"
    ratio = stated[0] / made[0]
    if _alike([edge * ratio for edge in made[:3]] + made[3:], stated):
        return f"it was made for a wavelength of {wavelength * ratio:.5g} A"
    return "its first nine numbers should be a*, b* and c* in columns, times the wavelength"


def _alike(one, other):
    edges = all(abs(a - b) <= SAME * abs(b) for a, b in zip(one[:3], other[:3], strict=True))
    return edges and all(abs(a - b) <= ANGLE for a, b in zip(one[3:], other[3:], strict=True))


def _words(cell):
    return " ".join(f"{value:.4g}" for value in cell)


def _cell_of(rows, wavelength):
    """The cell, Angstrom and degrees, of the matrix of reciprocal vectors, or None where they span no volume."""
    if wavelength == 0.0:
        return None
    stars = [[rows[axis + 3 * i] / wavelength for i in range(3)] for axis in range(3)]
    volume = dot(stars[0], cross(stars[1], stars[2]))
    sizes = [sqrt(dot(star, star)) for star in stars]
    if not isfinite(volume) or not abs(volume) > FLAT * sizes[0] * sizes[1] * sizes[2]:
        return None
    axes = [[x / volume for x in cross(stars[(i + 1) % 3], stars[(i + 2) % 3])] for i in range(3)]
    edges = [sqrt(dot(axis, axis)) for axis in axes]
    angles = []
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        product = edges[j] * edges[k]
        if not isfinite(product) or product == 0.0:
            return None
        angles.append(degrees(acos(max(-1.0, min(1.0, dot(axes[j], axes[k]) / product)))))
    return [*edges, *angles]
