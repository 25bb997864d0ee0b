"""What a run keeps in its folder: which job it is, what is done, and at the end the manifest.

Every worker notes a unit in a journal of its own after the unit's file has its name; a line that was cut off counts for
nothing. When all units are noted, the manifest is put together from the journals in the order of the images, and the
folder of the journals goes. So a run that is killed anywhere leaves whole files and notes, and the next one goes on.

    job.json        the job and how it is written; another job is refused
    images.h5       with HDF5: all images as one data set
    manifest.jsonl  one image a line, written last
    .work/          a folder for each worker: its journal, and the file that it is writing
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from .. import __version__
from ..errors import NanoBraggError
from ..files.atomic import cannot_write, write_file
from ..files.reading import cannot_read
from .images import Maker
from .output import DATASET, Output, digest, write_unit, write_virtual

JOB, MANIFEST, ALL_IMAGES, WORK = "job.json", "manifest.jsonl", "images.h5", ".work"
JOURNAL = "journal.jsonl"
#: of names that `nanobragg_py.files.atomic` gives to files while it writes them
PART = ".part"


def identity(maker: Maker, output: Output) -> dict[str, Any]:
    """What a folder's images depend on: job, format, program version, and the first and last experiment's content."""
    job = maker.job
    content = hashlib.sha256(job.canonical().encode())
    for index in sorted({0, len(job) - 1}):
        experiment = maker.experiment(index)[0]
        content.update(json.dumps(experiment.to_dict("omit"), sort_keys=True).encode())
        for table in (experiment.structure_factors.values, experiment.detector.mask):
            if table is not None:
                content.update(memoryview(table).cast("B"))
    shape = maker.experiment(0)[0].shape
    return {
        "program": f"nanobragg_py {__version__}",
        "images": len(job),
        "slow": shape[0],
        "fast": shape[1],
        **output.settings(),
        "seed": maker.seed,
        "content": content.hexdigest(),
        "job": job.values,
    }


class Store:
    """A folder of images. Making one takes possession of the folder for a job, or recognises it.

    Raises NanoBraggError when the folder holds another job's images, or files that are shorter than they were written.
    """

    def __init__(self, maker: Maker, output: Output):
        self.maker, self.output, self.job = maker, output, maker.job
        text = json.dumps(identity(maker, output), indent=1, default=str) + "\n"
        try:
            os.makedirs(output.folder, exist_ok=True)
        except OSError as error:
            raise cannot_write(output.folder, error, "give another folder with --out") from None
        if os.path.exists(self.path(JOB)):
            if read_text(self.path(JOB)) != text:
                raise NanoBraggError(
                    f"{output.folder} holds images of another job, or of this one written otherwise; "
                    "give another folder with --out, or remove it"
                )
        else:
            if any(not name.startswith(".") and not name.endswith(PART) for name in os.listdir(output.folder)):
                raise NanoBraggError(f"{output.folder} has files of something else; give an empty folder with --out")
            write_file(self.path(JOB), text.encode())

    def path(self, name):
        """A file of the folder."""
        return os.path.join(self.output.folder, name)

    # ---- what is done ----------------------------------------------------------------------------------------------

    def finished(self) -> bool:
        """Whether the manifest is there, which is written last."""
        return os.path.exists(self.path(MANIFEST))

    def done(self) -> dict[int, tuple[str, int]]:
        """The units that are there: where each one's note is, as (journal, position).

        Raises NanoBraggError for a file that is shorter or longer than it was when it was noted.
        """
        found = {}
        for journal in self._journals():
            try:
                with open(journal, "rb") as file:
                    position = 0
                    for line in file:
                        if line.endswith(b"\n"):
                            note = json.loads(line)
                            if self._is_whole(note["file"], note["bytes"]):
                                found[note["unit"]] = journal, position
                        position += len(line)
            except FileNotFoundError:
                continue  # another process has finished the run and tidied up
        return found

    def _journals(self):
        work = self.path(WORK)
        try:
            return sorted(os.path.join(work, name, JOURNAL) for name in os.listdir(work))
        except FileNotFoundError:
            return []

    def _is_whole(self, name, size):
        try:
            present = os.path.getsize(self.path(name))
        except FileNotFoundError:
            return False
        if present != size:
            raise NanoBraggError(
                f"{self.path(name)} is {'cut short' if present < size else 'not as written'}: it has {present} bytes, "
                f"and {size} were written; remove it, and the same command renders it again"
            )
        return True

    def missing(self) -> list[int]:
        """The units that are not there yet; with a manifest, those whose files have gone."""
        if not self.finished():
            done = self.done()
            return [unit for unit in range(self.output.units(self.job)) if unit not in done]
        gone, last = [], None
        for entry in manifest(self.output.folder):
            if entry["file"] != last and not self._is_whole(entry["file"], entry["bytes"]):
                gone.append(entry["index"] // self.output.per_file)
            last = entry["file"]
        if gone:
            self._reopen(set(gone))
        return gone

    def _reopen(self, gone):
        """Turn the manifest back into notes, for a run that has lost files."""
        writer = Writer(self.maker, self.output)
        entries: list[dict] = []
        for entry in manifest(self.output.folder):
            size = entry.pop("bytes")
            entries.append(entry)
            unit = entry["index"] // self.output.per_file
            if entry["index"] == self.output.indices(self.job, unit)[-1]:
                if unit not in gone:
                    writer.note(unit, entry["file"], size, entries)
                entries = []
        writer.close()
        os.unlink(self.path(MANIFEST))

    # ---- the end ---------------------------------------------------------------------------------------------------

    def finish(self) -> int:
        """Write manifest and virtual data set if every unit is there; returns how many are not."""
        if self.finished():
            self._tidy()
            return 0
        done = self.done()
        units = self.output.units(self.job)
        if len(done) < units:
            # perhaps another process was quicker, and the journals are gone
            return 0 if self.finished() else units - len(done)
        try:
            writer = Writer(self.maker, self.output)
            temporary = writer.path(MANIFEST)
            with open(temporary, "w", encoding="utf-8") as file:
                for unit in range(units):
                    file.writelines(lines_of(*done[unit]))
            if self.output.format == "hdf5":
                self._write_virtual(writer.path(ALL_IMAGES), units)
                os.replace(writer.path(ALL_IMAGES), self.path(ALL_IMAGES))
            os.replace(temporary, self.path(MANIFEST))
        except OSError as error:
            # another process may have done the same, and tidied up under our feet
            if not self.finished():
                raise cannot_write(self.path(MANIFEST), error) from None
        self._tidy()
        return 0

    def _write_virtual(self, path, units):
        names = [self.output.file_name(self.job, unit) for unit in range(units)]
        counts = [len(self.output.indices(self.job, unit)) for unit in range(units)]
        shapes = {}
        for name in (names[0], names[-1]):
            with opened(self.path(name)) as file:
                shapes[name] = file[DATASET].shape[1:], file[DATASET].dtype
        if len(set(shapes.values())) > 1:
            raise NanoBraggError(f"{names[0]} and {names[-1]} have images of different sizes; use --format smv or cbf")
        write_virtual(path, names, counts, *shapes[names[0]])

    def _tidy(self):
        shutil.rmtree(self.path(WORK), ignore_errors=True)
        for name in os.listdir(self.output.folder):
            if name.startswith(JOB) and name.endswith(PART):
                with suppress(OSError):
                    os.unlink(self.path(name))


class Writer:
    """A worker's hand: renders units, gives them their names, and notes them in its journal."""

    def __init__(self, maker: Maker, output: Output):
        self.maker, self.output = maker, output
        host = socket.gethostname()
        self.folder = os.path.join(output.folder, WORK, f"{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            if not os.path.exists(os.path.join(output.folder, JOB)):
                raise NanoBraggError(f"{output.folder} is not to be seen from {host}; give a folder that all share")
            os.makedirs(self.folder)
            self._journal = open(self.path(JOURNAL), "ab", buffering=0)  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise cannot_write(self.folder, error) from None

    def path(self, name: str) -> str:
        """A file of the worker's own folder."""
        return os.path.join(self.folder, name)

    def unit(self, unit: int, progress: Any = None) -> None:
        """Render a unit, put its file in its place, note it."""
        name = self.output.file_name(self.maker.job, unit)
        temporary = self.path(name)
        try:
            records = write_unit(self.output, self.maker, unit, temporary, progress)
            size = os.path.getsize(temporary)
            os.replace(temporary, os.path.join(self.output.folder, name))
            self.note(unit, name, size, records)
        except OSError as error:
            raise cannot_write(os.path.join(self.output.folder, name), error) from None

    def note(self, unit: int, name: str, size: int, records: list[dict]) -> None:
        """Add a unit's line to the journal."""
        line = json.dumps({"unit": unit, "file": name, "bytes": size, "records": records}, separators=(",", ":"))
        self._journal.write(line.encode() + b"\n")

    def close(self) -> None:
        """Close the journal; it stays."""
        self._journal.close()


def lines_of(journal: str, position: int) -> list[str]:
    """The manifest's lines of a unit that is noted in a journal."""
    with open(journal, "rb") as file:
        file.seek(position)
        note = json.loads(file.readline())
    return [json.dumps({**entry, "bytes": note["bytes"]}) + "\n" for entry in note["records"]]


def read_text(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise cannot_read(path, error) from None


# ---- reading back --------------------------------------------------------------------------------------------------


def manifest(folder: str | os.PathLike) -> Iterator[dict[str, Any]]:
    """The lines of a folder's manifest as dicts, in the order of the images.

    index: of the image. file, at: where it is. sha256: of its pixels in image order, little-endian. parameters,
    statistics: dicts. bytes: the size of the file. Raises NanoBraggError without a manifest.
    """
    path = os.path.join(folder, MANIFEST)
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError:
                    raise NanoBraggError(f"{path}, line {number} is damaged; remove the folder and run again") from None
    except OSError as error:
        raise cannot_read(path, error, "a run writes it when it is complete") from None


def opened(path):
    """An HDF5 file for reading; NanoBraggError for one that is cut short or none."""
    from ..files.extras import need

    h5py = need("h5py", "batch", "HDF5 files")
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401 (reading some files needs that it is there)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if not os.path.exists(path):
            raise cannot_read(path, FileNotFoundError(2, os.strerror(2))) from None
        raise NanoBraggError(f"{path} is damaged or cut short: {str(error).partition('(')[2].rstrip(')')}") from None


def verify(folder: str | os.PathLike) -> int:
    """Read every image of a finished run and compare its pixels with the manifest's SHA-256; returns how many.

    Raises NanoBraggError that names the first file that is missing, cut short or changed. SMV images of floats, which
    are scaled, and CBF images of floats, which are rounded, are only read.
    """
    from ..files.image import read_image

    count, name, file = 0, None, None
    for entry in manifest(folder):
        path = os.path.join(folder, entry["file"])
        if entry["file"].endswith(".h5"):
            if entry["file"] != name:
                if file is not None:
                    file.close()
                name, file = entry["file"], opened(path)
            try:
                pixels = file[DATASET][entry["at"]]
            except (OSError, KeyError, ValueError) as error:
                raise NanoBraggError(f"{path} is damaged or cut short, image {entry['index']}: {error}") from None
        else:
            pixels = read_image(path).pixels
            if "noise_seed" not in entry["parameters"]:
                count += 1
                continue
            pixels = pixels.astype(np.uint16)
        if digest(pixels) != entry["sha256"]:
            raise NanoBraggError(
                f"{path}: the pixels of image {entry['index']} are not those that were written; remove it and run again"
            )
        count += 1
    if file is not None:
        file.close()
    return count
