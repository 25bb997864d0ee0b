"""The lines that a folder of images keeps, read as if somebody had edited them.

A line is what a run wrote or it counts for nothing: JSON of the keys and kinds that are written, for a unit and images
that the job has, under the names that it gives them. Nothing else is followed, so that no line can lead out of the
folder.
"""

from __future__ import annotations

import json
from typing import Any

#: what says which job a folder is of, and what is written last, one image a line
JOB, MANIFEST = "job.json", "manifest.jsonl"
#: with HDF5, what shows all images as one data set
ALL_IMAGES = "images.h5"


class Damaged(ValueError):
    """A line that no run has written; the text says what is wrong, after "it"."""


def entry_of(line: bytes) -> dict[str, Any]:
    """The entry of a line of the manifest; raises Damaged."""
    entry = _dict_of(line)
    _check_record(entry)
    if not _whole(entry.get("bytes")):
        raise Damaged("has no number of bytes")
    return entry


def note_of(line: bytes, output: Any, job: Any) -> dict[str, Any]:
    """The note of a line of a journal, which must fit the job and its layout; raises Damaged."""
    note = _dict_of(line)
    unit = note.get("unit")
    if not _whole(unit) or unit >= output.units(job):
        raise Damaged(f"is of a unit {unit!r}, which the job has not")
    if note.get("file") != output.file_name(job, unit) or not _whole(note.get("bytes")):
        raise Damaged(f"does not name the file of unit {unit} and its bytes")
    records, indices = note.get("records"), output.indices(job, unit)
    if not isinstance(records, list) or len(records) != len(indices):
        raise Damaged(f"does not have the images of unit {unit}")
    for record, index in zip(records, indices, strict=True):
        _check_record(record)
        if not fits(record, index, output, job):
            raise Damaged(f"does not have image {index} where it must be")
    return note


def fits(record: dict[str, Any], index: int, output: Any, job: Any) -> bool:
    """Whether a record is of image `index`, in the file and at the place that the layout gives it."""
    unit = index // output.per_file
    return (record["index"], record["file"], record["at"]) == (
        index,
        output.file_name(job, unit),
        index - unit * output.per_file,
    )


def _dict_of(line):
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # no JSON, or no UTF-8
        raise Damaged("is no JSON") from None
    if not isinstance(value, dict):
        raise Damaged("is no object")
    return value


def _check_record(record):
    if not isinstance(record, dict):
        raise Damaged("has something else than an image")
    for key in ("index", "at"):
        if not _whole(record.get(key)):
            raise Damaged(f"has no {key}")
    name, digest = record.get("file"), record.get("sha256")
    # of Zarr, a path below the folder
    if (
        not isinstance(name, str)
        or "\0" in name
        or any(part != part.strip(".") or not part for part in name.split("/"))
    ):
        raise Damaged("has no name of a file in the folder")
    if not isinstance(digest, str) or len(digest) != 64:
        raise Damaged("has no sha256")
    if not isinstance(record.get("dtype"), str):
        raise Damaged("has no dtype")
    for key in ("parameters", "statistics"):
        if not isinstance(record.get(key), dict):
            raise Damaged(f"has no {key}")


def _whole(value):
    return type(value) is int and 0 <= value < 2**63
