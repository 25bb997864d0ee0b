"""What a run keeps in its folder: which job it is, what is done, and at the end the manifest.

Every worker notes a unit in a journal of its own after the unit's file has its name; a line that was cut off counts for
nothing. When all units are noted, the manifest is put together from the journals in the order of the images, and the
folder of the journals goes. So a run that is killed anywhere leaves whole files and notes, and the next one goes on.

    job.json        the job and how it is written; another job is refused
    images.h5       with HDF5: all images as one data set
    images.zarr     with Zarr: the group, whose shards are the units
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
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from .. import __version__
from ..errors import NanoBraggError
from ..files.atomic import cannot_write, write_file
from ..files.panels import panel_places
from ..files.reading import cannot_read, check_regular
from .hdf5 import DATASET, check_same, scene_of, write_master, write_virtual
from .images import Maker, stored_shape
from .notes import ALL_IMAGES, JOB, MANIFEST, Damaged, entry_of, fits, note_of
from .output import NEXUS, ZARR, Output, place_unit, write_unit
from .readback import opened, read_text, shows
from .zarrs import GROUP, finish_zarr

WORK, JOURNAL = ".work", "journal.jsonl"
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
    for background in job.backgrounds:
        curve = background.resolved(maker.experiment(0)[0]).curve
        for column in (curve.x, curve.F):
            content.update(memoryview(column).cast("B"))
    shape = stored_shape(maker.experiment(0)[0])
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

    complain: told of lines that no run has written, which count for nothing. Raises NanoBraggError when the folder
    holds another job's images, or files that are shorter than they were written.
    """

    def __init__(self, maker: Maker, output: Output, complain: Callable[[str], Any] = lambda sentence: None) -> None:
        self.maker, self.output, self.job = maker, output, maker.job
        self.complain: Callable[[str], Any] = complain
        output.check_room(maker)
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

    def path(self, name: str) -> Any:
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
        found: dict[int, tuple[str, int]] = {}
        wrong: dict[int, NanoBraggError] = {}
        for journal in self._journals():
            if os.path.exists(journal) and not os.path.isfile(journal):
                self.complain(f"{journal} is no file; what it was about is rendered again")
                continue
            try:
                with open(journal, "rb") as file:
                    position = 0
                    for number, line in enumerate(file, 1):
                        if line.endswith(b"\n") and (note := self._note(journal, number, line)) is not None:
                            try:
                                if self._is_whole(note["file"], note["bytes"]):
                                    found[note["unit"]] = journal, position
                            except NanoBraggError as error:
                                wrong[note["unit"]] = error
                        position += len(line)
            except FileNotFoundError:
                continue  # another process has finished the run and tidied up
            except OSError as error:
                raise cannot_read(journal, error) from None
        # a unit that was rendered again has the note of its first file, too
        for unit, fault in wrong.items():
            if unit not in found:
                raise fault
        return found

    def _note(self, journal, number, line):
        """The note of a line, if it is one; else None."""
        try:
            return note_of(line, self.output, self.job)
        except Damaged as error:
            self.complain(f"{journal}, line {number} {error}; what it was about is rendered again")
            return None

    def _journals(self):
        work = self.path(WORK)
        try:
            return sorted(os.path.join(work, name, JOURNAL) for name in os.listdir(work))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _is_whole(self, name, size):
        try:
            present = os.path.getsize(self.path(name))
        except OSError:  # a link that leads nowhere, too
            return False
        if not os.path.isfile(self.path(name)):
            raise NanoBraggError(f"{self.path(name)} is no file; remove it, and the same command renders it again")
        if present != size:
            raise NanoBraggError(
                f"{self.path(name)} is {'cut short' if present < size else 'not as written'}: it has {present} bytes, "
                f"and {size} were written; remove it, and the same command renders it again"
            )
        return True

    def missing(self) -> Missing:
        """The units that are not there yet; with a manifest, those whose files or lines have gone."""
        units = self.output.units(self.job)
        if not self.finished():
            return Missing(units, self.done().keys())
        there, damaged = bytearray(len(self.job)), False
        last = None
        for entry in self._entries(self.complain):
            if entry is None:
                damaged = True
                continue
            if entry["file"] != last:
                last, whole = entry["file"], self._is_whole(entry["file"], entry["bytes"])
            there[entry["index"]] = whole
        gone = {index // self.output.per_file for index, here in enumerate(there) if not here}
        if gone or damaged:
            self._reopen(gone)
        return Missing(units, range(units), gone)

    def _entries(self, complain):
        """The entries of the manifest that fit the job, and None for each line that does not."""
        path = self.path(MANIFEST)
        check_regular(path)
        try:
            with open(path, "rb") as file:
                for number, line in enumerate(file, 1):
                    try:
                        entry = entry_of(line)
                        if entry["index"] >= len(self.job) or not fits(entry, entry["index"], self.output, self.job):
                            raise Damaged("is of no image of the job")
                    except Damaged as error:
                        complain(f"{path}, line {number} {error}; what it was about is rendered again")
                        entry = None
                    yield entry
        except OSError as error:
            raise cannot_read(path, error) from None

    def _reopen(self, gone):
        """Turn the manifest back into notes, for a run that has lost files."""
        writer = Writer(self.maker, self.output)
        units: dict[int, dict[int, dict]] = {}
        for entry in self._entries(lambda sentence: None):
            if entry is None:
                continue
            unit = entry["index"] // self.output.per_file
            size = entry.pop("bytes")
            entries = units.setdefault(unit, {})
            entries[entry["index"]] = entry
            indices = self.output.indices(self.job, unit)
            if len(entries) == len(indices):
                del units[unit]
                if unit not in gone:
                    writer.note(unit, entry["file"], size, [entries[index] for index in indices])
        writer.close()
        os.unlink(self.path(MANIFEST))

    # ---- the end ---------------------------------------------------------------------------------------------------

    def finish(self) -> int:
        """Write manifest and virtual data set if every unit is there; returns how many are not."""
        if self.finished():
            if (self.output.many or self.output.format == ZARR) and not shows(self.output.folder, len(self.job)):
                name = GROUP if self.output.format == ZARR else ALL_IMAGES
                self.complain(f"{self.path(name)} does not show the images; it is written again")
                try:
                    self._show(Writer(self.maker, self.output), again=True)
                except OSError as error:
                    raise cannot_write(error.filename2 or self.path(name), error) from None
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
            self._show(writer)
            os.replace(temporary, self.path(MANIFEST))
        except OSError as error:
            # another process may have done the same, and tidied up under our feet
            if not self.finished():
                raise cannot_write(self.path(MANIFEST), error) from None
        self._tidy()
        return 0

    def _show(self, writer, again=False):
        """Write what shows all images as one. again: where it is, it is not as it was written."""
        if self.output.format == ZARR:
            self._finish_zarr(again)
        elif self.output.many:
            self._write_virtual(writer.path(ALL_IMAGES), self.output.units(self.job))
            if os.path.isdir(self.path(ALL_IMAGES)):
                raise NanoBraggError(f"{self.path(ALL_IMAGES)} is a folder; remove it, and the same command goes on")
            os.replace(writer.path(ALL_IMAGES), self.path(ALL_IMAGES))

    def _finish_zarr(self, again):
        experiment, _, noise = self.maker.experiment(0)
        output, dtype = self.output, self.maker.dtype(noise)
        shape = (len(self.job), *stored_shape(experiment))
        places = None if experiment.detector.panels is None else panel_places(experiment.detector.panels)
        finish_zarr(output.folder, shape, dtype, output.per_file, output.compression, self.job, places, again)

    def _write_virtual(self, path, units):
        names = [self.output.file_name(self.job, unit) for unit in range(units)]
        counts = [len(self.output.indices(self.job, unit)) for unit in range(units)]
        shapes = {}
        for name in (names[0], names[-1]):
            with opened(self.path(name)) as file:
                shapes[name] = file[DATASET].shape[1:], file[DATASET].dtype
        if len(set(shapes.values())) > 1:
            raise NanoBraggError(f"{names[0]} and {names[-1]} have images of different sizes; use --format smv or cbf")
        if self.output.format == NEXUS:
            experiment = self.maker.experiment(0)[0]
            write_master(path, names, counts, *shapes[names[0]], self._geometries(names), self.job, experiment)
        else:
            write_virtual(path, names, counts, *shapes[names[0]], self.job)

    def _geometries(self, names):
        """The Geometry of every image: that of a file's first image, and the angles and wavelengths that files tell."""
        found = []
        known: Any = None
        for unit, name in enumerate(names):
            index = self.output.indices(self.job, unit)[0]
            experiment = self.maker.experiment(index)[0]
            first, panels = scene_of(experiment, None).geometry, experiment.detector.panels
            known = known or (first, panels)
            check_same(*known, first, panels, index)
            with opened(self.path(name)) as file:
                for phi, wavelength in zip(file["phi"][()], file["labels/wavelength"][()], strict=True):
                    found.append(first.replace(phi0=float(np.radians(phi)), wavelength=float(wavelength)))
        return found

    def _tidy(self):
        shutil.rmtree(self.path(WORK), ignore_errors=True)
        for name in os.listdir(self.output.folder):
            if name.startswith(JOB) and name.endswith(PART):
                with suppress(OSError):
                    os.unlink(self.path(name))


class Missing:
    """Units that are not there, without a list: of `units`, those not among `done`, or those `gone`."""

    def __init__(self, units: Any, done: Any, gone: Any = ()) -> None:
        self.units, self.done, self.gone = units, done, gone

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(self.gone)) if self.gone else (unit for unit in range(self.units) if unit not in self.done)

    def of_rank(self, rank: int, ranks: int) -> Iterator[int]:
        """Those that fall to a rank."""
        return (unit for unit in self if unit % ranks == rank)

    def __len__(self) -> int:
        return len(self.gone) if self.gone else self.units - len(self.done)


class Writer:
    """A worker's hand: renders units, gives them their names, and notes them in its journal."""

    def __init__(self, maker: Maker, output: Output) -> None:
        self.maker, self.output = maker, output
        host = socket.gethostname()
        self.folder: Any = os.path.join(output.folder, WORK, f"{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
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
        temporary = self.path(os.path.basename(name))
        try:
            records = write_unit(self.output, self.maker, unit, temporary, progress)
            size = os.path.getsize(temporary)
            place_unit(self.output, self.maker.job, unit, temporary)
            self.note(unit, name, size, records)
        except OSError as error:
            raise cannot_write(os.path.join(self.output.folder, name), error) from None

    def note(self, unit: int, name: str, size: int, records: list[dict]) -> None:
        """Add a unit's line to the journal."""
        line = json.dumps({"unit": unit, "file": name, "bytes": size, "records": records}, separators=(",", ":"))
        data = memoryview(line.encode() + b"\n")
        end = os.path.getsize(self.path(JOURNAL))
        try:
            while data:
                data = data[self._journal.write(data) :]
        except BaseException:
            # half a line would spoil the next one
            os.truncate(self.path(JOURNAL), end)
            raise

    def close(self) -> None:
        """Close the journal; it stays."""
        self._journal.close()


def remove_unfinished(folder: str, pid: int) -> None:
    """Remove what a worker of this machine that is gone was writing; its journal stays, unless it is empty."""
    work = os.path.join(folder, WORK)
    begin = f"{socket.gethostname()}-{pid}-"
    for name in os.listdir(work) if os.path.isdir(work) else ():
        if not name.startswith(begin):
            continue
        own = os.path.join(work, name)
        with suppress(OSError):
            for file in os.listdir(own):
                path = os.path.join(own, file)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                elif file != JOURNAL or os.path.getsize(path) == 0:
                    os.unlink(path)
            os.rmdir(own)


def lines_of(journal: str, position: int) -> list[str]:
    """The manifest's lines of a unit that is noted in a journal."""
    with open(journal, "rb") as file:
        file.seek(position)
        note = json.loads(file.readline())
    return [json.dumps({**entry, "bytes": note["bytes"]}) + "\n" for entry in note["records"]]
