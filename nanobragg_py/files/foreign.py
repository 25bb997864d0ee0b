"""Files that people take for images, and that are not read here, told by their first bytes."""

import re
from typing import Any

#: what it is, and the pattern of its beginning
FOREIGN = (
    ("an EDF image", re.compile(rb"\s*\{\s*(EDF_|HeaderID|;?\s*Image\s*=)")),
    ("an R-AXIS image", re.compile(rb"R-?AXIS")),
    ("a MAR345 image", re.compile(rb"\xd2\x04\0\0|\0\0\x04\xd2")),
    ("a Bruker image", re.compile(rb"FORMAT :")),
    ("an Oxford Diffraction image", re.compile(rb"OD SAPPHIRE")),
    ("a zip archive", re.compile(rb"PK\x03\x04")),
    ("a 7z archive", re.compile(rb"7z\xbc\xaf")),
    ("a zstd file", re.compile(rb"\x28\xb5\x2f\xfd")),
    ("a file of compress", re.compile(rb"\x1f[\x9d\xa0]")),
    ("a tar archive", re.compile(rb".{257}ustar", re.DOTALL)),
    ("a JPEG picture", re.compile(rb"\xff\xd8\xff|\0\0\0\x0cjP  ")),
    ("a PDF file", re.compile(rb"%PDF")),
    ("an MTZ file", re.compile(rb"MTZ ")),
    ("a pickle", re.compile(rb"\x80[\x02-\x05]")),
    ("a Fit2D mask", re.compile(rb"M\0\0\0A\0\0\0S\0\0\0K\0\0\0")),
    ("an Esperanto image", re.compile(rb"ESPERANTO FORMAT")),
    ("a web page", re.compile(rb"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)),
    ("a pointer of Git LFS to a file, and not the file", re.compile(rb"version https://git-lfs")),
)


def foreign_kind(start: Any) -> Any:
    """What a file is that begins with the bytes `start`; None for what nothing is known of."""
    return next((kind for kind, pattern in FOREIGN if pattern.match(start)), None)
