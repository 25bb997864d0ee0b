"""Kernels that were compiled when the wheel was built (packaging/gpu_kernels.py): no compiler is wanted for these.

The file is a ZIP archive with a member for each architecture (`sm_90`), which is a ZIP archive of machine code itself,
compressed as a whole: kernels are much alike, and take a third of what they would one by one. A kernel is named by the
digest of its text, with its headers, and of its options, so that code of another text is never taken.
"""

import hashlib
import io
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
        major, minor = divmod(int(capability), 10) if capability.isdigit() else (0, 0)
        try:
            with zipfile.ZipFile(path or FILE) as whole:
                built = sorted(int(name[3:]) for name in whole.namelist())
                fitting = [number for number in built if number // 10 == major and number % 10 <= minor]
                if fitting:
                    self._archive = zipfile.ZipFile(io.BytesIO(whole.read(f"sm_{fitting[-1]}")))
        except Exception:
            return  # built without, damaged, or this Python cannot decompress it: the compiler serves

    @property
    def any(self) -> bool:
        """Whether there is something for this device."""
        return self._archive is not None

    def code(self, file: str, macros: Any, exact: bool) -> bytes | None:
        """Machine code of kernels/loops/`file`.cu, or None."""
        if self._archive is None:
            return None
        try:
            return bytes(self._archive.read(digest(file, macros, exact)))
        except (KeyError, zipfile.BadZipFile):
            return None
