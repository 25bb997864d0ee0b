"""Memory: buffers that Python, numpy and typed memoryviews see without a copy."""

import sys

# Cython's memoryviews, which the compiled modules share, ask collections.abc to know them as sequences and do without
# where it is not to be had. Nothing here needs that, and the import would take two milliseconds of a small run.
_absent = "collections.abc" not in sys.modules
if _absent:
    sys.modules["collections.abc"] = None  # type: ignore[assignment]
try:
    from . import shared as shared  # type: ignore[attr-defined]
finally:
    if _absent:
        del sys.modules["collections.abc"]
