"""Temporary files beside a target: their names, and whose they are.

The name is the target's with ``.nanobragg-N.part``, N being the first number that is free. The file is locked for as
long as its process lives, by the system's advisory lock (flock): a file that can be locked was left by a process that
was killed, and is removed by the next one that writes the same target. Where a file system has no such locks, what was
left stays. Only names of this form are touched, and only those beside the target that is written.
"""

import os

from ..kernels.files.imagefile import exchange, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: what a library writes under a name of its own while the part holds the lock
DATA = ".data"


class Part:
    """A temporary file for `target` (an absolute path), created and locked. path: its name. descriptor: open to write.

    Raises OSError.
    """

    __slots__ = ("descriptor", "path", "target")

    def __init__(self, target: "Any") -> None:
        self.target: Any = target
        self.path: Any = None
        self.descriptor: Any = -1
        number = 0
        while self.path is None:
            path = part_name(target, number)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                if not remove_if_left(path):
                    number += 1
                continue
            locked = lock(descriptor)
            if os.fstat(descriptor).st_nlink == 0 or locked is False:
                # another process took it for left, in the moment before it was locked
                os.close(descriptor)
                continue
            self.path, self.descriptor = path, descriptor
        # those that two runs at a time have left
        while remove_if_left(part_name(target, number + 1)):
            number += 1

    def take_place(self, replaces: "Any") -> None:
        """Give the file the target's name. replaces: whether there is one already."""
        if not (replaces and self._exchange()):
            os.rename(self.path, self.target)
            self.path = None

    def _exchange(self):
        """Swap the file with the one it replaces, which is then the temporary one; False where that cannot be done.

        A rename onto an existing file makes ext4 write the new one to disk at once, which takes longer than everything
        else that is done with it.
        """
        try:
            old = os.open(self.target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        # under the temporary name the old one must not look as if it had been left
        try:
            if not lock(old) or not exchange(os.fsencode(self.path), os.fsencode(self.target)):
                return False
            path, self.path = self.path, None
            os.unlink(path)
            return True
        finally:
            os.close(old)

    def close(self) -> None:
        """Close the descriptor, and with it the lock; the error of a last write is raised here."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def abandon(self) -> None:
        """Remove what has not become the target; errors would hide the one on its way."""
        path, self.path = self.path, None
        for name in () if path is None else (path + DATA, path):
            try:
                os.unlink(name)
            except OSError:
                continue
        try:
            self.close()
        except OSError:
            return


def part_name(target: "Any", number: "Any") -> "Any":
    """The name of a target's temporary file, which is the longer one; file names may have 255 bytes."""
    folder, name = os.path.split(target)
    while len(os.fsencode(name)) > 220:
        name = name[:-1]
    return os.path.join(folder, f"{name}.nanobragg-{number}.part")


def remove_if_left(path: "Any") -> bool:
    """Remove a temporary file whose process is gone; whether it was there and no longer is."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # it never was, its process has just removed it, or it is somebody else's
        return False
    try:
        if not lock(descriptor) or not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return False
        if os.path.exists(path + DATA):
            os.unlink(path + DATA)
        os.unlink(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
