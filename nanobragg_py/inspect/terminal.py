"""Pictures in terminals: the protocols of kitty and of iTerm2, and sixels."""

import base64
import os
from typing import Any

from ..files.extras import need
from ..files.formats.png import png_bytes

PROTOCOLS = ("kitty", "iterm", "sixel")
KITTY_CHUNK = 4096
SIXEL_COLOURS = 64
ESCAPE = b"\x1b"


def detect(environment: Any = os.environ) -> str | None:
    """The protocol that the terminal says it speaks, by its environment variables; None if it says nothing."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if "KITTY_WINDOW_ID" in environment or "kitty" in term or program.lower() == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    if "sixel" in term or term.split("-")[0] in ("mlterm", "foot", "yaft", "contour"):
        return "sixel"
    return None


def terminal_bytes(picture: Any, protocol: int) -> Any:
    """What to write to a terminal so that it shows a pillow picture."""
    if protocol == "sixel":
        return sixel_bytes(picture)
    data = base64.b64encode(png_bytes(picture))
    if protocol == "iterm":
        return ESCAPE + b"]1337;File=inline=1:" + data + b"\x07\n"
    chunks = [data[start : start + KITTY_CHUNK] for start in range(0, len(data), KITTY_CHUNK)]
    pieces = []
    for number, chunk in enumerate(chunks):
        keys = b"a=T,f=100," if number == 0 else b""
        more = b"1" if number < len(chunks) - 1 else b"0"
        pieces.append(ESCAPE + b"_G" + keys + b"m=" + more + b";" + chunk + ESCAPE + b"\\")
    return b"".join(pieces) + b"\n"


def sixel_bytes(picture: Any) -> Any:
    """A picture as sixels: rows of six pixels' height, each colour drawn over the row in turn (DEC STD 070)."""
    need("PIL.Image", "images", "pictures")
    import numpy as np

    indexed = picture.convert("RGB").quantize(SIXEL_COLOURS)
    pixels = np.asarray(indexed)
    palette = np.array(indexed.getpalette()[: 3 * SIXEL_COLOURS]).reshape(-1, 3) * 100 // 255
    out = [ESCAPE + b'Pq"1;1;%d;%d' % (pixels.shape[1], pixels.shape[0])]
    out += [b"#%d;2;%d;%d;%d" % (number, *colour) for number, colour in enumerate(palette.tolist())]
    for top in range(0, pixels.shape[0], 6):
        band = pixels[top : top + 6]
        weights = (1 << np.arange(len(band)))[:, None]
        for colour in np.unique(band).tolist():
            row = ((band == colour) * weights).sum(axis=0) + 63
            out.append(b"#%d" % colour + _shortened(row) + b"$")
        out.append(b"-")
    return b"".join(out) + ESCAPE + b"\\\n"


def _shortened(row):
    """A row of sixels with runs written as counts."""
    import numpy as np

    ends = np.flatnonzero(np.diff(row, append=-1)) + 1
    starts = np.concatenate([[0], ends[:-1]])
    return b"".join(
        b"!%d%c" % (end - start, row[start]) if end - start > 3 else bytes([row[start]]) * int(end - start)
        for start, end in zip(starts, ends, strict=True)
    )
