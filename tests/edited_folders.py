"""A job whose folder of images tests edit."""

from pathlib import Path

from nanobragg_py.batch import Output, run

JOB = """
repeat = 6
[experiment]
flags = "-cell 50 60 70 90 90 90 -N 3 -default_F 100 -detpixels 16 -pixel 1 -distance 80 -fluence 1e27 -oversample 1"
[random]
"crystal.orientation" = "uniform"
"""


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def rendered(job, folder, rank=(0, 1), said=None):
    output = Output(folder, per_file=2)
    return run(job, output, workers=1, rank=rank, complain=(said if said is not None else []).append)
