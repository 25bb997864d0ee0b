"""Images as they are read, of any format that the registry knows."""

from ..errors import NanoBraggError
from .registry import format_of_bytes
from .source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_image(path: "Any", shape: "Any" = None, header_only: bool = False) -> "Any":
    """Read an image of any format, which its first bytes tell; compressed files (gzip, bzip2, xz) are unfolded.

    path: a name; ``x.h5#12`` is image 12, counted from 0, of a file that holds many, of which x.h5 alone is the first.
    shape: (slow, fast), which bare floats need. header_only: leave the pixels alone.
    Returns an Image (files/registry.py). Raises NanoBraggError for what cannot be read.
    """
    source = Source(path, shape, header_only)
    found = format_of_bytes(source.name, source.start)
    try:
        return found.read(source)
    except NanoBraggError:
        raise
    except MemoryError:
        raise NanoBraggError(f"cannot read {source.name}: it does not fit into memory") from None
    except Exception as error:  # libraries fail at damaged files in as many ways as these are damaged
        words = " ".join(str(error).split()) or type(error).__name__
        raise NanoBraggError(f"{source.name} is no usable {found.title} file: {words}") from error
