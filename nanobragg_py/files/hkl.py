"""Structure factors: h k l F text, and the dump file that saves reading it again.

The table is a dense box: axis h outermost, each axis one layer longer than its range, the last layer 0. Its Buffer has
a pad before the first element (see `table_pad`), so that the kernels may look up an index one below the box.
"""

import os
import stat

from ..errors import NanoBraggError
from ..kernels.files.hkltext import HklRows, fill_inside, fill_outside
from ..kernels.memory.buffers import Buffer
from ..records import REQUIRED, Record
from .atomic import write_file
from .reading import cannot_read, fill, open_input, read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST_TABLE = 2**31 - 1
#: a table with more bytes than the first and more than so many places a row is not made, or saved, without a word
_SCATTERED = 2**28
_ROOM = 1000
_SPACE = b" \t\n\v\f\r"
# more than six integers take
_HEAD = 4096
_HKL_ADVICE = "give the structure factors with -hkl FILE"
_DUMP_ADVICE = "remove it, or write it anew by giving the structure factors with -hkl FILE"


class NotEnoughIndices(NanoBraggError):
    """A file without a single row; `report_lines` are what the reference prints about it on standard output."""

    def __init__(self, message: str, report_lines: "Any") -> None:
        super().__init__(message)
        self.report_lines: Any = report_lines


class HklReport:
    """What reading a text said on the way.

    non_integer: list of (axis, value, row), rows counted from 0: one WARNING of the reference each. used: the rows that
    entered the table. It is smaller than the count of rows when the reading as integers stopped before the end, which
    the reference does not say: an index written as 1.5, and just so as 1.0, ends it. rows: all that were read. columns:
    of the first line. stopped: (line, its text) where the reading of rows ended before the text did, or None.
    scattered: the size in bytes of a table that is out of all proportion to its rows, or 0. replaced: rows that gave an
    index another amplitude than an earlier row; first_replaced: (h, k, l) of the first of them, or None.
    """

    def __init__(self) -> None:
        self.non_integer: list[Any] = []
        self.used = self.rows = self.replaced = 0
        self.first_replaced: Any = None
        self.columns: Any = 4
        self.stopped: Any = None
        self.scattered: Any = 0

    def sentences(self, path: "Any") -> "list[Any]":
        """What the user should know and the reference does not say, of the file at `path`."""
        name, reasons = os.fsdecode(path), []
        if self.columns != 4:
            reasons.append(f"its lines have {self.columns} columns, and nanoBragg's rows are the four of h k l F")
        if self.used < self.rows:
            reasons.append(f"an index of row {self.used + 1} is not written as a whole number, which ends the reading")
        if self.stopped is not None:
            reasons.append(f"line {self.stopped[0]}, {self.stopped[1]!r}, ends the reading")
        repeated = []
        if self.replaced:
            index = " ".join(map(str, self.first_replaced))
            repeated.append(
                f"{name}: {self.replaced} row{'' if self.replaced == 1 else 's'} with another amplitude for an index "
                f"that an earlier row has, the first of them {index}; the last one counts, as in the C program; for "
                f"their mean: nanobragg-py hkl {name} --out FIXED.hkl"
            )
        if not reasons:
            return repeated
        factors = f"{self.used} structure factor{'' if self.used == 1 else 's'}"
        rows = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        return [f"{name}: {rows}, {factors}; {'; '.join(reasons)}; {_mending(name)}", *repeated]


def _mending(name):
    return f"to read it as it is meant: nanobragg-py hkl {name} --out FIXED.hkl, and then -hkl FIXED.hkl"


class HklTable(Record):
    """A dense box of amplitudes.

    bounds: (hmin, hmax, kmin, kmax, lmin, lmax). values: Buffer of `table_shape(bounds)`. count: how many rows were
    read, as reported. default_F: amplitude of every index that is not in the box.
    """

    _fields = {"bounds": REQUIRED, "values": REQUIRED, "count": 0, "default_F": 0.0}
    #: a file has one table, of no wavelength in particular
    wavelengths = ()


def table_shape(bounds: "Any") -> "tuple[Any, Any, Any]":
    """The shape of the table for (hmin, hmax, kmin, kmax, lmin, lmax)."""
    h_min, h_max, k_min, k_max, l_min, l_max = bounds
    return h_max - h_min + 2, k_max - k_min + 2, l_max - l_min + 2


def table_pad(shape: "Any") -> "Any":
    """How many elements the kernels may read before the table: -1 on every axis."""
    _, k_extent, l_extent = shape
    return k_extent * l_extent + l_extent + 1


def table_limit() -> "Any":
    """The bytes that a table may have whose rows are few; the environment variable NANOBRAGG_TABLE_LIMIT gives GiB."""
    given = os.environ.get("NANOBRAGG_TABLE_LIMIT", "")
    if not given:
        return _SCATTERED
    try:
        limit = float(given)
    except ValueError:
        limit = -1.0
    if not limit >= 0.0:
        raise NanoBraggError(f"NANOBRAGG_TABLE_LIMIT is {given!r}; it takes GiB, such as 4")
    return min(limit * 2**30, 2.0**62)


def scattered(bounds: "Any", rows: "Any") -> "Any":
    """The bytes of a table out of all proportion to its rows and above the limit; otherwise 0."""
    shape = table_shape(bounds)
    elements = shape[0] * shape[1] * shape[2]
    # two comparisons, so that the environment is looked at only where there is a doubt
    doubtful = 8 * elements > _SCATTERED and elements > _ROOM * rows
    return 8 * elements if doubtful and 8 * elements > table_limit() else 0


def new_table(path: "Any", bounds: "Any", zero: bool = True, rows: "Any" = None) -> "Any":
    """A table for the bounds; raises NanoBraggError where no computer, or not this one, can hold it.

    rows: how many it is for, to refuse one that is out of all proportion; None: whatever it is for.
    """
    shape = table_shape(bounds)
    elements = shape[0] * shape[1] * shape[2]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    ranges = ", ".join(f"{axis} from {bounds[2 * i]} to {bounds[2 * i + 1]}" for i, axis in enumerate("hkl"))
    if elements > _LARGEST_TABLE or 8 * (elements + table_pad(shape)) > memory:
        raise NanoBraggError(
            f"{os.fsdecode(path)} has {ranges}, and a table of {elements * 8 / 2**30:.3g} GiB is too large; "
            "look for an index that does not belong there"
        )
    if rows is not None and scattered(bounds, rows):
        raise NanoBraggError(
            f"{os.fsdecode(path)} has {ranges}, and {rows} rows would take a table of {elements * 8 / 2**30:.3g} GiB; "
            "look for an index that does not belong there, or raise the limit: NANOBRAGG_TABLE_LIMIT=GiB"
        )
    try:
        return Buffer(shape, "d", zero, table_pad(shape))
    except MemoryError:
        raise NanoBraggError(
            f"no memory for the {elements * 8 / 2**30:.3g} GiB of the table that {os.fsdecode(path)} asks for"
        ) from None


def read_hkl(path: "Any", default_F: float = 0.0, report: "Any" = None) -> "HklTable":
    """Read structure factors from text: rows of h, k, l and F, separated by any white space.

    path: str or bytes. default_F: amplitude of the indices that the file lacks. report: an `HklReport` to fill in.

    The rules are the reference's, which reads twice. The first reading takes four numbers at a time until something is
    none; it decides the ranges (fractions are cut off) and the count. The second takes three integers and a number at a
    time and fills the table, later rows over earlier ones. What the integers leave (the ``.5`` of an l of 1.5) is read
    as the next column.

    Returns an `HklTable`. Raises NotEnoughIndices for a file without rows, NanoBraggError for one that cannot be
    read, for indices beyond 10^9, a range too large for memory, and rows that the second reading would put outside the
    ranges (where the reference writes into memory that is not its own).
    """
    name = os.fsdecode(path)
    try:
        with open_input(path) as file:
            text, length = read_whole(file)
        rows = HklRows(text, length)
    except OSError as error:
        raise cannot_read(path, error, _HKL_ADVICE) from None
    except MemoryError:
        raise NanoBraggError(f"cannot read {name}: it does not fit into memory") from None
    if report is not None:
        report.non_integer, report.rows = rows.non_integer, rows.count
        report.columns = len(_first_line(text, length).split()) or 4
        report.stopped = _line_at(text, length, rows.end)
    if rows.out_of_range is not None:
        axis, value, row = rows.out_of_range
        raise NanoBraggError(f"{name}, row {row + 1}: {axis} = {value:g} is no Miller index; correct the row")
    bounds = rows.bounds
    if any(bounds[2 * axis] > bounds[2 * axis + 1] for axis in range(3)):
        stopped = _line_at(text, length, rows.end)
        line = "" if stopped is None else f", and line {stopped[0]} is {stopped[1]!r}; {_mending(name)}"
        raise NotEnoughIndices(
            f"not enough HKL indices in {name}; its rows should be h k l F{line}",
            tuple(f"{axis}: {bounds[2 * i]} - {bounds[2 * i + 1]}" for i, axis in enumerate("hkl")),
        )
    # places that nobody writes to take no memory, which is so unless they are to have an amplitude
    table = new_table(path, bounds, rows=None if default_F == 0.0 else rows.count)
    if report is not None:
        report.scattered = scattered(bounds, rows.count)
    if default_F != 0.0:
        fill_inside(table, default_F)
    try:
        used = rows.fill(table, default_F)
    except IndexError as error:
        shifted = " ".join(map(str, error.args[0]))
        raise NanoBraggError(
            f"{name}: an index that is not an integer shifts the columns behind it, and row {shifted} is then "
            "outside the table; write the indices as integers"
        ) from None
    if report is not None:
        report.used, report.replaced, report.first_replaced = used, rows.replaced, rows.first_replaced
    return HklTable(bounds=bounds, values=table, count=rows.count, default_F=default_F)


def _first_line(text, length):
    """The first line that is not empty, if it is short enough to be one row."""
    lines = bytes(memoryview(text)[: min(length, _HEAD)]).lstrip(_SPACE).splitlines()
    return lines[0] if len(lines) > 1 else b""


def _line_at(text, length, position):
    """The number and the text of the line of the first thing that is not white space from `position` on, or None."""
    view = memoryview(text)
    rest = bytes(view[position : min(length, position + _HEAD)])
    skipped = len(rest) - len(rest.lstrip(_SPACE))
    if skipped == len(rest):
        return None
    start = position + skipped
    number = 1 + sum(bytes(view[at : min(at + 2**20, start)]).count(b"\n") for at in range(0, start, 2**20))
    before = bytes(view[max(0, start - _HEAD) : start]).rpartition(b"\n")[2]
    after = bytes(view[start : min(length, start + _HEAD)]).splitlines()[0]
    line = (before + after).strip().decode("latin-1")
    return number, line if len(line) <= 40 else line[:37] + "..."


def write_dump(path: "Any", structure_factors: "Any") -> None:
    """Write the dump file of a table; raises NanoBraggError when it cannot be written."""
    header = " ".join(str(bound) for bound in structure_factors.bounds) + "\n\f"
    write_file(path, header.encode(), structure_factors.values)


def read_dump(path: "Any", default_F: float = 0.0) -> "HklTable":
    """Read a dump file: six integers, white space, and the table's float64 values in the machine's byte order.

    All white space behind the integers is skipped, as the reference does, even bytes of the first value that look like
    it; the file is then too short by as many, and 0 stands for what is missing. default_F: amplitude outside the table
    (its holes are already filled). The last layer of each axis is set to 0 whatever the file says.

    Returns an `HklTable`, whose count is the number of indices in the box. Raises NanoBraggError for a file that
    cannot be read, is no dump file, or is shorter than its ranges ask for.
    """
    name = os.fsdecode(path)
    try:
        with open_input(path) as file:
            room = bytearray(_HEAD)
            head = bytes(room[: fill(file, memoryview(room))])
            scanned = _scan_bounds(head)
            if scanned is None:
                raise NanoBraggError(f"{name} is no dump file of structure factors; {_DUMP_ADVICE}")
            bounds, start = scanned
            shape = table_shape(bounds)
            if min(shape) < 2:
                raise NanoBraggError(f"{name} is no dump file, its ranges of indices are empty; {_DUMP_ADVICE}")
            body = head[start:].lstrip(_SPACE)
            skipped = len(head) - start - len(body)
            while not body and (more := file.read(_HEAD)):
                body = more.lstrip(_SPACE)
                skipped += len(more) - len(body)
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                # before memory is taken for what is not there
                _check_length(name, 8 * shape[0] * shape[1] * shape[2], status.st_size - start - skipped, skipped)
            table = new_table(path, bounds)
            view = memoryview(table).cast("B")
            body = body[: len(view)]
            view[: len(body)] = body
            _check_length(name, len(view), len(body) + fill(file, view[len(body) :]), skipped)
    except OSError as error:
        raise cannot_read(path, error, _DUMP_ADVICE) from None
    fill_outside(table, 0.0)
    h_extent, k_extent, l_extent = table.shape
    count = (h_extent - 1) * (k_extent - 1) * (l_extent - 1)
    return HklTable(bounds=bounds, values=table, count=count, default_F=default_F)


def _check_length(name, wanted, present, skipped):
    # a newline and a form feed belong there; what was skipped beyond them was taken from the first value
    missing = wanted - present - max(0, skipped - 2)
    if missing > 0:
        raise NanoBraggError(f"{name} is cut off, {missing} bytes are missing; {_DUMP_ADVICE}")


def _scan_bounds(head):
    """Six integers as ``%d`` reads them at the start of the bytes `head`, and the position behind them, or None."""
    bounds = []
    position = 0
    for _ in range(6):
        start = position = len(head) - len(head[position:].lstrip(_SPACE))
        if head[position : position + 1] in (b"-", b"+"):
            position += 1
        while head[position : position + 1].isdigit():
            position += 1
        if not head[start:position].lstrip(b"+-").isdigit() or position - start > 11:
            return None
        bounds.append(int(head[start:position]))
    return tuple(bounds), position


def kernel_table(structure_factors: "Any", in_place: bool = False) -> "Any":
    """The table as the kernels want it: default_F in the last layer of each axis and in the pad before the table.

    With those, an index that is clamped to one step outside the box finds default_F like any other outside. in_place:
    the table may be changed (its dump file has been written). Otherwise it is copied, unless default_F is 0 and it is
    right as it is.

    Returns a Buffer of float64 of the table's shape, or None without a table.
    """
    if structure_factors.bounds is None:
        return None
    values, default_F = structure_factors.values, structure_factors.default_F
    shape = table_shape(structure_factors.bounds)
    fits = isinstance(values, Buffer) and values.pad >= table_pad(shape)
    if fits and default_F == 0.0:
        return values
    if not (fits and in_place):
        try:
            table = Buffer(shape, "d", False, table_pad(shape))
        except MemoryError as error:
            raise NanoBraggError(str(error)) from None
        memoryview(table).cast("B")[:] = memoryview(values).cast("B")
        values = table
    fill_outside(values, default_F)
    return values
