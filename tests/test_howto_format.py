"""docs/architecture.md, "Add a file format": done with one file, and everything knows the format."""

import fabio
import numpy as np
import pytest
from howto import Tree
from images import FLAGS, render

from nanobragg_py.files.image import read_image
from nanobragg_py.files.registry import image_formats

JOB = """
repeat = 2
seed = 1
[experiment]
flags = "-cell 50 60 70 90 90 90 -N 3 -default_F 100 -detpixels 24 -pixel 1 -distance 80 -fluence 1e27"
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("howto"), "format.patch").overlay()


def test_one_file(tree):
    assert tree.touched == ["nanobragg_py/files/formats/edf.py"] and "edf" not in image_formats()


def test_there_and_back(tree, tmp_path):
    image = render(tmp_path)
    expected = read_image(image).pixels
    status, out, said = tree.tool("convert", "image.img", "--out", "a.edf", cwd=tmp_path)
    assert (status, out) == (0, "") and "EDF files have no room for beam, detector and rotation" in said
    assert np.array_equal(fabio.open(str(tmp_path / "a.edf")).data, expected)
    words = ("convert", "a.edf", "--out", "b.img", "--", *FLAGS)
    assert tree.tool(*words, cwd=tmp_path) == (0, "", "")
    assert np.array_equal(read_image(tmp_path / "b.img").pixels, expected)
    # as fabio writes it, and what is cut off
    fabio.edfimage.EdfImage(data=expected.astype(np.int32)).write(str(tmp_path / "f.edf"))
    assert tree.tool("convert", "f.edf", "--out", "f.npy", cwd=tmp_path) == (0, "", "")
    assert np.array_equal(np.load(tmp_path / "f.npy"), expected)
    (tmp_path / "cut.edf").write_bytes((tmp_path / "a.edf").read_bytes()[:2000])
    status, _, said = tree.tool("info", "cut.edf", cwd=tmp_path)
    assert status == 2 and "cut.edf is no usable EDF file" in said and said.count("\n") == 1


def test_what_shows_it(tree, tmp_path):
    render(tmp_path)
    assert tree.tool("convert", "image.img", "--to", "edf", cwd=tmp_path)[0] == 0
    status, out, _ = tree.tool("info", "image.edf", cwd=tmp_path)
    assert status == 0 and out.startswith("image.edf: EDF, 90 x 70 pixels (fast x slow), uint16")
    status, _, said = tree.tool("view", "image.edf", "--out", "a.png", "--", *FLAGS, cwd=tmp_path)
    assert (status, said) == (0, "") and (tmp_path / "a.png").exists()
    assert tree.tool("compare", "--images", "image.edf", "image.img", "--exact", cwd=tmp_path)[0] == 0


def test_help_and_messages_name_it(tree, tmp_path):
    assert "{cbf,edf," in tree.tool("convert", "--help")[1]
    assert "{cbf,edf," in tree.tool("batch", "--help")[1]
    assert "EDF" in tree.tool("info", "--help")[1]
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04".ljust(100))
    assert "is a zip archive, which is not read here; give one of CBF, EDF" in tree.tool("info", tmp_path / "a.zip")[2]


def test_batch_writes_it(tree, tmp_path):
    (tmp_path / "job.toml").write_text(JOB)
    status, out, _ = tree.tool("batch", "job.toml", "--out", "out", "--format", "edf", "--workers", "1", cwd=tmp_path)
    assert (status, out) == (0, "2 images in out, described in out/manifest.jsonl\n")
    assert fabio.open(str(tmp_path / "out" / "image_000002.edf")).data.dtype == np.uint16
    assert tree.tool("batch", "--verify", "out", cwd=tmp_path)[0] == 0
