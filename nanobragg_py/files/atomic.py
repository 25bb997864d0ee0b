"""Output files that appear whole or not at all.

A file is written beside its target under a name that ends in ``.part`` (parts.py) and takes the target's name when it
is complete, so that a program that is killed, or a full disk, never leaves half an image under a name that somebody
reads. What is not a regular file (a pipe, a terminal, ``/dev/null``), and the file that a shell has made our standard
output, is written directly.
"""

import errno
import os
import stat

from ..errors import NanoBraggError
from ..process import hold, release
from .failures import file_name, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# one system call writes at most this much; a little less keeps to whole pages
_CHUNK = 0x7FFF0000

# names of open files: a file of that name takes nobody's place
_DESCRIPTORS = ("/dev/fd/", "/dev/std", "/proc/")
# when a directory lets us write to the file in it but create none beside it
_NO_TEMPORARY = (errno.EACCES, errno.EPERM, errno.EROFS)


def url_refusal(path: "Any") -> "Any":
    """The NanoBraggError for a URL, None for a path: outputs are files, and ``s3:`` would become the name of a folder.

    A URL has a scheme of two letters or more and ``://``, and no folder of that name is there.
    """
    name = os.fsdecode(path)
    scheme, found, _ = name.partition("://")
    if not found or len(scheme) < 2 or not scheme.isalnum() or os.path.lexists(f"{scheme}:"):
        return None
    return NanoBraggError(
        f"cannot write {name}: it is a URL, and outputs are files; write into a folder and copy that (fsspec's "
        "filesystem(...).put, aws s3 cp --recursive), or mount the store"
    )


def cannot_write(path: "Any", error: "Any", advice: str = "") -> "Any":
    """The NanoBraggError for a file that could not be written; advice: a clause that says what to do."""
    if error.errno == errno.ENOENT and (refusal := url_refusal(path)) is not None:
        return refusal
    why = reason(error)
    if error.errno == errno.ENOENT:
        why = "its directory does not exist"
    return NanoBraggError(f"cannot write {os.fsdecode(path)}: {why}{'; ' if advice else ''}{advice}")


def check_writable(path: "Any", advice: str = "") -> None:
    """Raise NanoBraggError where `path` cannot be written, as far as that can be told without writing.

    To be called before the work whose result is to be written. Nothing is created.
    """
    try:
        path = file_name(path)
        status = _status(path)
        if status is not None:
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            allowed = os.access(path, os.W_OK)
        else:
            folder = os.path.dirname(os.path.realpath(path))
            if not os.path.basename(path):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            os.stat(os.path.join(folder, ""))
            allowed = os.access(folder, os.W_OK | os.X_OK)
        if not allowed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cannot_write(path, error, advice) from None


def _status(path):
    """The status of the file behind `path`, or None if there is none yet."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _is_standard_stream(status):
    """Whether a file is one that the shell has redirected our output to: renaming would take its name away."""
    for descriptor in (1, 2):
        try:
            stream = os.fstat(descriptor)
        except OSError:
            continue
        if os.path.samestat(stream, status):
            return True
    return False


class OutputFile:
    """A context manager around one output file; leaving it without an exception makes the file appear.

    path: str or bytes; a symbolic link is followed, and an existing file's permissions are kept. advice: a clause for
    the error message that says what to do.

    Raises NanoBraggError when the file cannot be created, written or renamed. On any exception (KeyboardInterrupt too)
    the target stays as it was. No fsync: what is guaranteed is about programs that stop, not about power cuts.
    """

    def __init__(self, path: "Any", advice: str = "") -> None:
        self.path: Any = path
        self.advice: str = advice
        self._descriptor = -1
        self._part = None
        self._replaces = False

    def __enter__(self) -> "Any":
        try:
            self._open()
        except OSError as error:
            self._abandon()
            raise cannot_write(self.path, error, self.advice) from None
        except BaseException:
            self._abandon()
            raise
        return self

    def _open(self):
        path = file_name(self.path)
        status = _status(path)
        flags = os.O_WRONLY | os.O_CLOEXEC
        if status is not None and (
            not stat.S_ISREG(status.st_mode) or path.startswith(_DESCRIPTORS) or _is_standard_stream(status)
        ):
            self._descriptor = os.open(path, flags | os.O_TRUNC)
            return
        if status is not None and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not os.path.basename(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        from .parts import Part

        hold()
        try:
            self._part = Part(os.path.realpath(path))
        except OSError as error:
            if status is not None and error.errno in _NO_TEMPORARY:
                # a file that may be written in a directory that may not
                self._descriptor = os.open(path, flags | os.O_TRUNC)
                return
            raise
        finally:
            release()
        self._descriptor = self._part.descriptor
        if status is not None:
            self._replaces = True
            self._keep_permissions(status)

    def _keep_permissions(self, status):
        own = os.fstat(self._descriptor)
        try:
            if stat.S_IMODE(own.st_mode) != stat.S_IMODE(status.st_mode):
                os.fchmod(self._descriptor, stat.S_IMODE(status.st_mode))
            if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
                os.fchown(self._descriptor, status.st_uid, status.st_gid)
        except OSError:
            return  # somebody else's file becomes ours, and some file systems keep no permissions

    def write(self, data: "Any") -> None:
        """Write all of `data`, any C-contiguous buffer."""
        view = memoryview(data)
        if view.nbytes == 0:
            return
        view = view.cast("B")
        try:
            written = 0
            while written < len(view):
                written += os.write(self._descriptor, view[written : written + _CHUNK])
        except OSError as error:
            raise cannot_write(self.path, error, self.advice) from None

    def __exit__(self, kind: "Any", error: "Any", traceback: "Any") -> "Any":
        hold()
        try:
            if kind is None:
                if self._part is not None:
                    # a copy, whose end tells of what could not be written (NFS, quotas); the lock stays
                    os.close(os.dup(self._descriptor))
                    self._part.take_place(self._replaces)
                self._close()
        except OSError as failure:
            raise cannot_write(self.path, failure, self.advice) from None
        finally:
            self._abandon()
            release()
        return False

    def _close(self):
        descriptor, self._descriptor = self._descriptor, -1
        if self._part is not None:
            self._part.close()
        elif descriptor >= 0:
            os.close(descriptor)

    def _abandon(self):
        """Remove what has not become the target and close what is open; errors would hide the one on its way."""
        if self._part is not None:
            self._part.abandon()
        try:
            self._close()
        except OSError:
            return


def write_file(path: "Any", *parts: "Any", advice: str = "") -> None:
    """Write the `parts`, buffers or bytes, one after the other, as the file `path`; raises NanoBraggError."""
    with OutputFile(path, advice) as file:
        for part in parts:
            file.write(part)
