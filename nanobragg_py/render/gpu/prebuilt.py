"""Kernels that were compiled when the wheel was built (packaging/gpu_kernels.py): no compiler is wanted for these.

The file is a ZIP archive of machine code: `sm_90/DIGEST`, where the digest is of the kernel's text, with its headers,
and of its options, so that code of another text is never taken.
"""

import hashlib
import os
import zipfile
from typing import Any

from .variants import FOLDER, source

#: where it is, if it is there
FILE = os.path.join(FOLDER, "kernels.zip")


def digest(file: str, macros: Any, exact: bool) -> str:
    """What a kernel's code is known by."""
    return hashlib.sha256(repr((source(file), tuple(macros), exact)).encode()).hexdigest()[:20]


class Prebuilt:
    """The kernels for a device. capability: of it, such as "86", which takes code for 80 to 86."""

    def __init__(self, capability: str, path: str | None = None) -> None:
        self._archive: Any = None
        self._folder = ""
        try:
            archive = zipfile.ZipFile(path or FILE)
        except (OSError, zipfile.BadZipFile):
            return  # the package was built without
        major, minor = divmod(int(capability), 10) if capability.isdigit() else (0, 0)
        names = {name.partition("/")[0] for name in archive.namelist()}
        built = sorted(int(name[3:]) for name in names)
        fitting = [number for number in built if number // 10 == major and number % 10 <= minor]
        if fitting:
            self._archive, self._folder = archive, f"sm_{fitting[-1]}"

    @property
    def any(self) -> bool:
        """Whether there is something for this device."""
        return self._archive is not None

    def code(self, file: str, macros: Any, exact: bool) -> bytes | None:
        """Machine code of kernels/loops/`file`.cu, or None."""
        if self._archive is None:
            return None
        try:
            return bytes(self._archive.read(f"{self._folder}/{digest(file, macros, exact)}"))
        except (KeyError, zipfile.BadZipFile, OSError):
            return None
