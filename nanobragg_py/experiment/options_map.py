"""Between the library's records and the options of the command line: the table of fields says what becomes what.

Here is what depends on more than one field: the cell, the misset angles, and what files state on the command line.
"""

from __future__ import annotations

import functools
from typing import Any

from ..errors import FieldError
from ..flags.options import DEFAULTS, Options
from .fields import rows_of
from .panels import SHARED
from .parts import Beam, Crystal, Detector, Sampling


@functools.cache
def mapped_rows(cls: Any) -> tuple[Any, Any]:
    """The rows of a part's class that say themselves how they become options, and those that count under CUSTOM."""
    rows = rows_of(cls)
    return (
        tuple(row for row in rows if row.way is not None and not row.custom),
        tuple(row for row in rows if row.custom),
    )


def to_options(
    beam: Any, detector: Any, crystal: Any, sampling: Any, default_F: float = 0.0, physics: str = "exact"
) -> Any:
    """The Options that state the same as the parts; raises FieldError for vectors without CUSTOM.

    physics: "exact" or "reference". What the command line reads from files (matrix, structure factors, sources, mask)
    is not in them.
    """
    options = Options(default_F=default_F, physics=physics)
    for part in (beam, detector, crystal, sampling):
        kind: Any = type(part)
        mapped, custom = mapped_rows(kind)
        for row in mapped:
            for option, value in row.to_options(getattr(part, row.name)).items():
                setattr(options, option, value)
        for row in custom:
            value = getattr(part, row.name)
            if value is None:
                continue
            if detector.convention != "CUSTOM":
                raise FieldError(
                    f'{row.full_name} counts only with detector.convention = "CUSTOM"; set that, or leave it None',
                    fields=(row.full_name,),
                )
            (option,) = row.options
            setattr(options, option, value)
    if beam.spectrum is not None:
        options.spectrum_file = "beam.spectrum"
    if detector.roi is not None:
        options.roi = detector.roi
    if crystal.lengths is not None:
        options.user_cell = True
        options.cell_lengths, options.cell_angles = crystal.lengths, crystal.angles
    if crystal.domains is not None:
        options.domain_file = "crystal.domains"
    if crystal.missets == "random":
        options.misset_mode = "random"
        options.misset_seed = -crystal.misset_seed
    elif crystal.missets is not None:
        options.misset_mode = "angles"
        options.misset = crystal.missets
    return options


def from_options(
    options: Any,
    matrix: Any = None,
    sources: Any = None,
    mask: Any = None,
    roi: Any = None,
    missets: Any = None,
    panels: Any = None,
    spectrum: Any = None,
    domains: Any = None,
) -> Any:
    """The parts that an Options states: (Beam, Detector, Crystal, Sampling).

    matrix: nine floats as of an orientation matrix file, or None. sources: the rows of a source file, or None. mask:
    the pixels of the mask image, or None. roi: what the options' region came to. missets: the angles that a random
    misset came to, used where it has no seed of its own. panels: Panels, or None. spectrum: wavelengths and weights of
    a spectrum file, or None. domains: `Domains`, or None. Raises FieldError for values that the records do not take.
    """
    values = {}
    for cls in (Beam, Detector, Crystal, Sampling):
        mapped, custom = mapped_rows(cls)
        values[cls] = {row.name: row.from_options(options) for row in mapped}
        if options.convention == "CUSTOM":
            values[cls] |= {row.name: row.from_options(options) for row in custom}
    beam, detector, crystal, _ = values.values()
    beam["sources"], beam["spectrum"] = sources, spectrum
    if max(options.roi) >= 0:
        detector["roi"] = roi
    detector["mask"] = mask
    if options.fpixels:
        detector["detsize_f"] = DEFAULTS["detsize_f"]
    if options.spixels:
        detector["detsize_s"] = DEFAULTS["detsize_s"]
    if panels is not None:
        values[Detector] = {**{name: x for name, x in detector.items() if name in SHARED}, "panels": panels}
    if options.user_cell and options.cell_lengths[0] != 0.0:
        from .resolve.crystal import cell_constants

        crystal["lengths"], crystal["angles"] = cell_constants(options)
    if options.physics != "exact":
        crystal["cells"] = tuple(int(n) for n in crystal["cells"])
    if domains is not None:
        rows = memoryview(domains.rotations).tolist()
        threes = [tuple(rows[i : i + 3]) for i in range(0, 9 * domains.count, 3)]
        crystal["domains"] = tuple(tuple(threes[i : i + 3]) for i in range(0, 3 * domains.count, 3))
        crystal["domain_weights"] = domains.weights
    if matrix is not None:
        factor = 1e-10 / options.wavelength
        crystal["matrix"] = tuple(tuple(x * factor for x in matrix[i : i + 3]) for i in (0, 3, 6))
    if options.misset_mode == "random" and options.misset_seed is not None:
        crystal["missets"], crystal["misset_seed"] = "random", -options.misset_seed
    elif options.misset_mode == "random":
        crystal["missets"] = missets
    elif options.misset_mode == "angles":
        crystal["missets"] = options.misset
    return tuple(cls(**given) for cls, given in values.items())
