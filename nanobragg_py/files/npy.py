"""Arrays of numpy: pixels alone."""

from io import BytesIO

import numpy as np

from .atomic import write_file


def write_npy(path, pixels):
    """Write an array as an npy file; NanoBraggError where that cannot be done."""
    memory = BytesIO()
    np.save(memory, pixels, allow_pickle=False)
    write_file(path, memory.getbuffer())
