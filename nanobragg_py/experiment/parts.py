"""The parts of an experiment as users state them: beam, detector, crystal and sampling.

These records say what is wanted; what follows from them (reciprocal vectors, the place of the first pixel, numbers of
steps) is worked out by `nanobragg_py.experiment.resolve`, the same code that serves the command line, and is found in
`Experiment.resolved`. Every field therefore stands for one option of the program, `None` meaning "not given".

SI units: metres, seconds, radians; photons/m^2 for the fluence. Cell lengths are in Angstrom and orientation matrices
in 1/Angstrom, as the field (and the reference program) has them. Vectors are in the laboratory frame of the detector's
convention, in which every axis is a coordinate axis (`nanobragg_py.constants.CONVENTIONS`).

The modules beam, detector, crystal and sampling have a part each.
"""

from __future__ import annotations

from .beam import Beam
from .checks import vector
from .crystal import Crystal
from .detector import Detector
from .fields import FIELDS
from .sampling import Sampling

#: the parts by the names that experiments, files and messages give them
PARTS = {"beam": Beam, "detector": Detector, "crystal": Crystal, "sampling": Sampling}
# rows in the parts' order, whichever module was imported first
FIELDS.sort(key=lambda row: ("structure_factors", *PARTS).index(row.part))
#: the options of the vectors that count under CUSTOM
VECTOR_OPTIONS = tuple(row.options[0] for row in FIELDS if row.custom and row.check is vector)
