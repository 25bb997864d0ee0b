"""Zarr: the groups that nanobragg-py batch writes, for reading; batch/zarrs.py writes them."""

import logging
import os
import re
from typing import Any

import numpy as np

from ...errors import NanoBraggError
from ..extras import need
from ..registry import Image, ImageFormat
from ..source import ZARR_GROUP

ZARR = ("zarr", "zarr", "Zarr arrays")
# zarr logs what it cannot read, with a traceback, and goes on; what matters of that is raised when it is wanted
for _name in ("zarr", "asyncio"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
#: what nanobragg-py batch calls the array
ARRAY = "images"


def read(source: Any) -> Any:
    group = need(*ZARR).open_group(source.path, mode="r")
    array = group.get(ARRAY)
    if array is None or getattr(array, "ndim", 0) != 3:
        raise NanoBraggError(f"{source.name} has no array {ARRAY} of several images; give one of nanobragg-py batch")
    at = source.pick(array.shape[0])
    # where nothing is, an array has zeros
    shard = f"{ARRAY}/c/{at // (array.shards or array.chunks)[0]}/0/0"
    if not os.path.exists(os.path.join(source.path, shard)):
        raise NanoBraggError(f"{source.name}: {shard} is not there, which has image {at}; run the batch again")
    slow, fast = array.shape[1:]
    source.check_pixels(slow, fast)
    items = [("array", f"{ARRAY} of shape {' x '.join(map(str, array.shape))}")]
    for name, label in group.get("labels", {}).members() if "labels" in group else ():
        items.append((name, f"{np.asarray(label[at]).ravel().tolist()} {label.attrs.get('units', '')}".rstrip()))
    return Image(
        name=source.name,
        kind="zarr",
        shape=(slow, fast),
        pixels=None if source.header_only else np.ascontiguousarray(array[at]),
        items=tuple(items),
        count=array.shape[0],
    )


FORMAT = ImageFormat(
    name="zarr",
    title="Zarr",
    suffixes=(".zarr",),
    magic=re.compile(re.escape(ZARR_GROUP)),
    read=read,
    needs=ZARR,
)
