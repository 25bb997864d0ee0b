"""What the system says of a file, in words."""

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_REASONS = {
    errno.ENOENT: "no such file",
    errno.EISDIR: "it is a directory",
    errno.ENOTDIR: "part of its path is not a directory",
    errno.EACCES: "permission denied",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOSPC: "no space left on device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than the limit",
    errno.EROFS: "the file system is read-only",
    errno.EPIPE: "nobody reads from the pipe any more",
    errno.ELOOP: "too many symbolic links",
}


def file_name(path: "Any") -> "Any":
    """`path`, which may be str, bytes or a path object, as str; raises OSError for what can be no name."""
    name = os.fsdecode(path)
    if "\0" in name:
        raise OSError(errno.EINVAL, "the name has a NUL in it")
    return name


def reason(error: "Any") -> "Any":
    """What went wrong, in words."""
    return _REASONS.get(error.errno) or error.strerror or str(error)
