"""An experiment for tests of the library that looks like nothing in particular and renders at once."""

from nanobragg_py import Crystal, Detector, Experiment, StructureFactors

FLAT = StructureFactors(default_F=100.0)


def small(**fields):
    """The experiment, with some fields changed."""
    made = Experiment(
        Crystal.from_cell(100, 110, 120, cells=(5, 6, 7)),
        detector=Detector.flat((24, 20), 1e-3, 0.1),
        structure_factors=FLAT,
    )
    return made.replace(fields)
