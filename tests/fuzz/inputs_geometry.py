"""Inputs with detectors of other programs: CrystFEL's geometry, experiment lists, NXmx."""

import functools
import json
import shlex
import tempfile
from pathlib import Path

from breaking import broken_text, broken_value
from harness import Input, kind
from inputs_images import damaged, made
from inputs_programs import CELL

LINE = f"{CELL} -default_F 10 -N 3 -oversample 1 -seed 1 -lambda 1"
GEOM = """; two panels
photon_energy = 12400 eV
adu_per_photon = 1
clen = 0.06 m
coffset = 0.001
res = 200
rigid_group_all = a,b
rigid_group_collection_whole = all
mask_good = 0x0
bad_edge/panel = b
bad_edge/min_fs = 0
bad_edge/max_fs = 1
bad_edge/min_ss = 0
bad_edge/max_ss = 1
bad_spot/min_x = -2
bad_spot/max_x = 2
bad_spot/min_y = -2
bad_spot/max_y = 2
a/dim0 = %
a/min_fs = 0
a/max_fs = 5
a/min_ss = 0
a/max_ss = 3
a/corner_x = -7
a/corner_y = -2
a/fs = +0.999998x +0.002y
a/ss = -0.002x +0.999998y
b/min_fs = 6
b/max_fs = 11
b/min_ss = 0
b/max_ss = 3
b/corner_x = 1.5
b/corner_y = -2
b/fs = x
b/ss = y -0.01z
b/res = 150
b/coffset = 0.002
"""
WORDS = ("a/no_index = 1", "b/coffset = 1e160", "res = 0", "clen = /entry/distance", "max_fs", "z", "dim2 = ss")


def asked(numbers, name, data):
    """The Input: the file by the program, with or without flags that fit, or by the library."""
    if numbers.random() < 0.4:
        return Input("library", ["detector", name], {name: data})
    words = shlex.split(LINE) + numbers.choice(([], ["-distance", "60"], ["-trace_pixel", "1", "2"], ["-curved_det"]))
    return Input("nanoBragg", ["-geometry", name, *words, "-noprogress", "-threads", "1"], {name: data})


@kind("geom")
def geom(numbers):
    return asked(numbers, "d.geom", broken_text(numbers, GEOM, words=WORDS))


@functools.cache
def detectors():
    """{name: bytes}: an experiment list of two panels, and an NXmx file, both small."""
    import images

    from nanobragg_py.files.image import read_image

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        picture = images.render(folder, "-detpixels_f", "9", "-detpixels_s", "7", "-pixel", "5")
        images.tool("convert", picture, "--out", folder / "d.h5")
        assert read_image(folder / "d.h5").shape == (7, 9)
        whole = json.loads(made()["A.expt"])
        (panel,) = whole["detector"][0]["panels"]
        panel["image_size"] = [9, 7]
        panel["pixel_size"] = [5.0, 5.0]
        beside = [x + 60.0 * f for x, f in zip(panel["origin"], panel["fast_axis"], strict=True)]
        other = {**panel, "name": "two", "origin": beside}
        whole["detector"][0]["panels"].append(other)
        return {"d.expt": json.dumps(whole).encode(), "d.h5": (folder / "d.h5").read_bytes()}


@kind("list")
def experiment_list(numbers):
    data = json.dumps(broken_value(numbers, json.loads(detectors()["d.expt"])))
    return asked(numbers, "d.expt", data.encode("utf-8", "surrogatepass"))


@kind("nexus")
def nexus(numbers):
    return asked(numbers, "d.h5", damaged(numbers, detectors()["d.h5"]))
