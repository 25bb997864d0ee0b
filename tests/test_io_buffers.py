"""The memory that images and tables live in."""

import pickle

import numpy as np
import pytest

from nanobragg_py.kernels.memory.buffers import Buffer
from nanobragg_py.render.simulate import HUGE_PIXELS, new_image


@pytest.mark.parametrize("format", "fdHBiq")
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4), (1000, 1000), (0,), (0, 4)])
@pytest.mark.parametrize("pad", [0, 1, 17])
def test_numpy_sees_it_without_a_copy(format, shape, pad):
    buffer = Buffer(shape, format, pad=pad)
    array = np.asarray(buffer)
    assert (array.dtype, array.shape, array.flags.c_contiguous) == (np.dtype(format), shape, True)
    assert (buffer.shape, buffer.format, buffer.nbytes, len(buffer)) == (shape, format, array.nbytes, shape[0])
    assert not array.any()
    assert array.ctypes.data % 64 == 0
    assert buffer.pad >= pad and buffer.pad * buffer.itemsize % 64 == 0
    array[...] = 3
    assert bytes(buffer) == np.full(shape, 3, format).tobytes()


def test_outlives_its_name():
    view = memoryview(Buffer((500, 500), "i"))
    array = np.asarray(Buffer((500, 500), "d"))
    assert view[499, 499] == 0 and array.sum() == 0.0


def test_an_int_is_a_shape_and_dirty_memory_is_allowed():
    assert Buffer(5).shape == (5,)
    assert Buffer(5).format == "d"
    assert len(bytes(Buffer(100_000, "d", zero=False))) == 800_000


@pytest.mark.parametrize(
    "shape, format, error",
    [
        ((-1,), "d", ValueError),
        ((), "d", ValueError),
        ((1, 2, 3, 4), "d", ValueError),
        ((3,), "x", ValueError),
        ((3,), "dd", ValueError),
        ((2**31, 2**31, 2**31), "B", MemoryError),
        ((2**62,), "d", MemoryError),
        ((2**60 - 1,), "B", MemoryError),
        ((2**44,), "d", MemoryError),
        ((2**70,), "d", OverflowError),
        (("3",), "d", TypeError),
    ],
)
def test_impossible_requests(shape, format, error):
    with pytest.raises(error):
        Buffer(shape, format)


def test_impossible_pads():
    with pytest.raises(ValueError, match="pad"):
        Buffer(3, "d", pad=-1)
    with pytest.raises(MemoryError):
        Buffer(3, "d", pad=2**62)
    with pytest.raises(MemoryError):
        Buffer(2**50, "d", pad=2**50)


def test_is_not_pickled_silently_empty():
    with pytest.raises(TypeError, match="pass its bytes"):
        pickle.dumps(Buffer(3))


@pytest.mark.parametrize("first, last", [(992, 1055), (200, 300), (0, 255), (255, 257), (1, 256), (0, 2047)])
def test_a_region_lies_in_one_huge_page_where_it_fits(first, last):
    """As the image's memory begins at the border of one."""
    width = 2048
    image = new_image((2048, width), (100, 200, first, last))
    begin, end = (image.pad + row * width + column for row, column in ((first, 100), (last, 200)))
    pages = 1 + end // HUGE_PIXELS - begin // HUGE_PIXELS
    assert pages == (1 if end - begin < HUGE_PIXELS - 16 else -(-(last + 1) * width // HUGE_PIXELS))
    array = np.asarray(image)
    assert array.shape == (2048, width) and not array.any()
