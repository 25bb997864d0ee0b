# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Structure-factor text to a dense table, each number parsed once.

The rules are those of C's ``fscanf`` (as glibc has it), because scripts depend on where it stops: the reference reads
the file first as ``%lg %lg %lg %lg``, which decides the number of rows and the ranges, and then as ``%d %d %d %lg``,
which fills the table. As long as the indices are plain integers the two readings agree, and one pass serves both;
from the first row where they may differ, the rest of the file is read twice as well.
"""

from libc.stdint cimport int32_t, uint64_t
from libc.stdlib cimport free, malloc, strtod

from nanobragg_py.kernels.memory.buffers cimport Buffer, page_alloc, page_free

cdef extern from "<math.h>" nogil:
    double ceil(double)
    bint isnan(double)

include "fscanf.pxi"

cdef enum:
    DENSE = 8

cdef struct Row:
    double F
    int32_t h
    int32_t k
    int32_t l


cdef class HklRows:
    """The rows of a structure-factor text.

    text: Buffer of format B that holds the file; length: bytes of it that count, at least one less than it has.

    Attributes: count, rows in the first reading. bounds: (hmin, hmax, kmin, kmax, lmin, lmax), which are 10^9 and -10^9
    for an axis without a number. non_integer: list of (axis, value, row) of indices that are no integers, rows counted
    from 0. out_of_range: the first such entry whose index is beyond 10^9 and cannot be one, or None. end: where in the
    text the first reading stopped, at the start of what is no row. replaced: rows that `fill` entered over another
    amplitude, and first_replaced: (h, k, l) of the first of them, or None.

    Raises MemoryError.
    """

    cdef Buffer text
    cdef Row* rows
    cdef size_t rows_bytes
    cdef Py_ssize_t plain
    cdef const char* rest
    cdef int[3] lowest
    cdef int[3] highest
    cdef readonly Py_ssize_t count
    cdef readonly list non_integer
    cdef readonly tuple out_of_range
    cdef readonly Py_ssize_t end
    cdef readonly Py_ssize_t replaced
    cdef readonly tuple first_replaced

    def __cinit__(self, Buffer text not None, Py_ssize_t length):
        cdef int axis
        if length < 0 or length >= text.nbytes:
            raise ValueError("the text needs room for one byte more")
        self.text = text
        (<char*>text.data)[length] = 0
        self.rows = NULL
        # the shortest row, with its separators, has eight bytes; pages of rows that stay unused cost nothing
        self.rows_bytes = (<size_t>length // 8 + 1) * sizeof(Row)
        self.rows = <Row*>page_alloc(self.rows_bytes, False)
        if self.rows == NULL:
            raise MemoryError(f"no memory for {length // 8} rows")
        for axis in range(3):
            self.lowest[axis] = LARGEST_INDEX
            self.highest[axis] = -LARGEST_INDEX
        self.non_integer = []
        self.out_of_range = self.first_replaced = None
        self.replaced = 0
        with nogil:
            self.read_plain_rows()
        self.read_other_rows()

    def __dealloc__(self):
        page_free(self.rows, self.rows_bytes)

    cdef void read_plain_rows(self) noexcept nogil:
        """Read rows as long as both readings agree on them."""
        cdef const char* s = <const char*>self.text.data
        cdef const char* start
        cdef Row* row = self.rows
        cdef int h_min = LARGEST_INDEX, k_min = LARGEST_INDEX, l_min = LARGEST_INDEX
        cdef int h_max = -LARGEST_INDEX, k_max = -LARGEST_INDEX, l_max = -LARGEST_INDEX
        cdef Row* end = self.rows + self.rows_bytes // sizeof(Row)
        cdef const char* F_start
        while True:
            start = s
            if row == end:
                break
            s = plain_integer(s, &row.h)
            if s == NULL:
                break
            s = plain_integer(s, &row.k)
            if s == NULL:
                break
            s = plain_integer(s, &row.l)
            if s == NULL:
                break
            F_start = s
            s = plain_number(F_start, &row.F)
            if s == NULL:
                s = any_number(F_start, &row.F)
                if s == NULL:
                    break
            h_min = min(h_min, row.h)
            h_max = max(h_max, row.h)
            k_min = min(k_min, row.k)
            k_max = max(k_max, row.k)
            l_min = min(l_min, row.l)
            l_max = max(l_max, row.l)
            row += 1
        self.rest = start
        self.plain = row - self.rows
        self.count = self.plain
        self.lowest[0], self.lowest[1], self.lowest[2] = h_min, k_min, l_min
        self.highest[0], self.highest[1], self.highest[2] = h_max, k_max, l_max

    cdef int read_other_rows(self) except -1:
        """The first reading of the rest of the file."""
        cdef const char* s = self.rest
        cdef double[4] value
        cdef int column
        while True:
            self.end = s - <const char*>self.text.data
            for column in range(4):
                s = any_number(s, &value[column])
                if s == NULL:
                    return 0
            for column in range(3):
                # the reference's test, which lets no fraction pass but is not quite a test for integers
                if value[column] != ceil(value[column] - 0.4):
                    self.non_integer.append(("hkl"[column], value[column], self.count))
                if isnan(value[column]):
                    continue
                if not -LARGEST_INDEX <= value[column] <= LARGEST_INDEX:
                    if self.out_of_range is None:
                        self.out_of_range = ("hkl"[column], value[column], self.count)
                    continue
                if self.lowest[column] > value[column]:
                    self.lowest[column] = <int>value[column]
                if self.highest[column] < value[column]:
                    self.highest[column] = <int>value[column]
            self.count += 1

    @property
    def bounds(self):
        return (self.lowest[0], self.highest[0], self.lowest[1], self.highest[1], self.lowest[2], self.highest[2])

    def fill(self, Buffer table not None, double empty=0.0):
        """Enter the rows of the second reading into `table`, of the shape that `bounds` ask for; later rows win.

        empty: what all of the table holds before.

        Returns their number, which is smaller than `count` where the second reading stopped early.

        Raises IndexError, with (h, k, l), for a row whose indices the first reading never saw: an l index with a
        decimal point leaves its fraction to be read as F, and the columns behind it shift.
        """
        cdef double* box = <double*>table.data
        cdef const char* s = self.rest
        cdef int h_min = self.lowest[0], k_min = self.lowest[1], l_min = self.lowest[2]
        cdef Py_ssize_t h_stride, k_stride, entered = self.plain
        cdef long long h, k, l
        cdef double F
        cdef double* place
        cdef Py_ssize_t first = -1
        if table.ndim != 3 or table.shape != self.table_shape() or table.format != "d":
            raise ValueError(f"the table needs the shape {self.table_shape()} and format d")
        k_stride = table.extent[2]
        h_stride = table.extent[1] * k_stride
        # to look at a table afterwards, in its order, costs next to nothing; to look at each place before it is written
        # to, a tenth of the whole reading
        if self.plain < table.extent[0] * h_stride // DENSE or not self.enter_each_once(table, empty):
            first = self.enter_counting(table, empty)
        self.first_replaced = None if first < 0 else (self.rows[first].h, self.rows[first].k, self.rows[first].l)
        while True:
            s = any_integer(s, &h)
            if s != NULL:
                s = any_integer(s, &k)
            if s != NULL:
                s = any_integer(s, &l)
            if s != NULL:
                s = any_number(s, &F)
            if s == NULL:
                return entered
            if not (h_min <= h <= self.highest[0] and k_min <= k <= self.highest[1] and l_min <= l <= self.highest[2]):
                raise IndexError((h, k, l))
            place = box + (h - h_min) * h_stride + (k - k_min) * k_stride + (l - l_min)
            if place[0] != empty and place[0] != F:
                self.first_replaced = self.first_replaced or (h, k, l)
                self.replaced += 1
            place[0] = F
            entered += 1

    cdef bint enter_each_once(self, Buffer table, double empty) noexcept:
        """Enter the plain rows; True if no two of them have the same place, and otherwise the table is as before."""
        cdef double* box = <double*>table.data
        cdef double* line
        cdef Py_ssize_t k_stride = table.extent[2], h_stride = table.extent[1] * table.extent[2]
        cdef Py_ssize_t h, k, l, filled = 0
        cdef int h_min = self.lowest[0], k_min = self.lowest[1], l_min = self.lowest[2]
        cdef Row* row = self.rows
        with nogil:
            for _ in range(self.plain):
                box[(row.h - h_min) * h_stride + (row.k - k_min) * k_stride + (row.l - l_min)] = row.F
                filled -= row.F != empty
                row += 1
            for h in range(table.extent[0] - 1):
                for k in range(table.extent[1] - 1):
                    line = box + h * h_stride + k * k_stride
                    for l in range(k_stride - 1):
                        filled += line[l] != empty
        if filled != 0:
            fill_inside(table, empty)
        return filled == 0

    cdef Py_ssize_t enter_counting(self, Buffer table, double empty) noexcept:
        """Enter the plain rows and count those that replace another amplitude: the number of the first one, or -1."""
        cdef double* box = <double*>table.data
        cdef double* place
        cdef Py_ssize_t k_stride = table.extent[2], h_stride = table.extent[1] * table.extent[2]
        cdef Py_ssize_t i, first = -1
        cdef int h_min = self.lowest[0], k_min = self.lowest[1], l_min = self.lowest[2]
        cdef Row* row = self.rows
        with nogil:
            for i in range(self.plain):
                place = box + (row.h - h_min) * h_stride + (row.k - k_min) * k_stride + (row.l - l_min)
                if place[0] != empty and place[0] != row.F:
                    first = i if self.replaced == 0 else first
                    self.replaced += 1
                place[0] = row.F
                row += 1
        return first

    def table_shape(self):
        """The shape of the table: each range, and one layer more."""
        return tuple([<Py_ssize_t>self.highest[axis] - self.lowest[axis] + 2 for axis in range(3)])


def fill_inside(Buffer table not None, double value):
    """Set everything but the last layer of each axis of a three-dimensional float64 table to `value`."""
    cdef double* row
    cdef Py_ssize_t h, k, l
    cdef Py_ssize_t k_extent = table.extent[1], l_extent = table.extent[2]
    if table.ndim != 3 or table.format != "d":
        raise ValueError("the table needs three dimensions and format d")
    with nogil:
        for h in range(table.extent[0] - 1):
            for k in range(k_extent - 1):
                row = <double*>table.data + (h * k_extent + k) * l_extent
                for l in range(l_extent - 1):
                    row[l] = value


def fill_outside(Buffer table not None, double value):
    """Set the last layer of each axis, and the pad before the table, to `value`."""
    cdef double* box = <double*>table.data
    cdef double* row
    cdef Py_ssize_t h, k, l
    cdef Py_ssize_t h_extent = table.extent[0], k_extent = table.extent[1], l_extent = table.extent[2]
    if table.ndim != 3 or table.format != "d":
        raise ValueError("the table needs three dimensions and format d")
    with nogil:
        for l in range(-table.pad, 0):
            box[l] = value
        for h in range(h_extent):
            for k in range(k_extent):
                row = box + (h * k_extent + k) * l_extent
                if h == h_extent - 1 or k == k_extent - 1:
                    for l in range(l_extent):
                        row[l] = value
                else:
                    row[l_extent - 1] = value
