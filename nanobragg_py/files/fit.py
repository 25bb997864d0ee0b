"""Pixels in the type that a format takes: scaled, rounded and clipped where they must be, and not without a word."""

from typing import Any

import numpy as np

#: what is written for --integer
WHOLE = np.int32


def fit(
    found: Any, name: str, pixels: Any, scale: float | None = None, offset: Any = None, integer: bool = False
) -> Any:
    """The pixels of an image in a type that an ImageFormat takes: (array, sentences, clauses).

    name: of the image, for the sentences. scale, offset: pixels become scale * I + offset, None for as they are.
    integer: round to 32-bit whole numbers. The sentences say what became of this image; the clauses what files of this
    format have no room for.
    """
    kinds = [np.dtype(kind) for kind in found.kinds]
    whole = integer or (bool(kinds) and all(kind.kind in "iu" for kind in kinds))
    scaled = pixels
    if scale is not None or offset is not None:
        scaled = pixels * np.float64(1.0 if scale is None else scale) + (offset or 0.0)
    if whole:
        return _rounded(name, scaled, kinds[-1] if kinds and kinds[-1].kind in "iu" else np.dtype(WHOLE))
    if scaled is pixels and (not kinds or pixels.dtype in kinds):
        return pixels, [], []
    if scaled is pixels and pixels.dtype.kind in "iu":
        low, high = int(pixels.min()), int(pixels.max())
        for kind in kinds:
            if kind.kind in "iu" and np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return pixels.astype(kind), [], []
    result = scaled.astype(np.float32)
    digits = pixels.dtype.kind in "iu" and scaled is pixels and not np.array_equal(result, pixels)
    return result, [], ["whole numbers of more than 24 bits"] if digits else []


def _rounded(name, pixels, kind):
    said, lost = [], []
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    result = pixels
    if pixels.dtype.kind == "f":
        finite = np.isfinite(pixels)
        wrong = int(pixels.size - np.count_nonzero(finite))
        if wrong:
            said.append(f"{wrong} pixels of {name} are no numbers and become 0")
        values = np.where(finite, pixels, 0.0)
        result = np.floor(values + 0.5)
        if not np.array_equal(result, values):
            lost.append("fractions of a photon, and pixels are rounded")
    clipped = int(np.count_nonzero((result < low) | (result > high)))
    if clipped:
        said.append(f"{clipped} pixels of {name} do not fit between {low} and {high} and are clipped")
    result = np.clip(result, low, high).astype(kind)
    if pixels.any() and not result.any():
        said.append(f"all pixels of {name} become 0; give a larger --scale")
    return result, said, lost
