"""Orientations out of and into the files of DIALS, XDS and MOSFLM: there and back, and the same image."""

import json

import numpy as np
import pytest
from images import FLAGS, geometry

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.load import load_args
from nanobragg_py.files.geometry import convention_geometry
from nanobragg_py.files.orientations import dials, mat, mosflm, xds
from nanobragg_py.files.oriented import OrientedCrystal
from nanobragg_py.orientation import axis_rotation, b_matrix, random_rotations
from nanobragg_py.render.simulate import simulate

CELL = (40.0, 50.0, 60.0, 80.0, 95.0, 110.0)
GIVEN = ("mosflm", "xds", "adxv", "dials", "tilted")


def crystal(name="mosflm", seed=5):
    flags = ("-detector_rotx", "4", "-twotheta", "8") if name == "tilted" else (f"-{name}",)
    return OrientedCrystal(A=random_rotations(1, seed)[0] @ b_matrix(*CELL), geometry=geometry(*flags))


def same_place(one, other, tolerance):
    """Two crystals in the same orientation to beam, spindle and detector."""
    assert other.in_frame("imgcif") == pytest.approx(one.in_frame("imgcif"), abs=tolerance * np.abs(one.A).max())
    for name in ("origin", "fast", "slow", "beam", "spindle"):
        mine, theirs = (c.geometry.frame("imgcif") @ np.asarray(getattr(c.geometry, name)) for c in (one, other))
        assert theirs == pytest.approx(mine, abs=tolerance)
    for name in ("wavelength", "phi0", "osc", "pixel_size", "fpixels", "spixels"):
        assert getattr(other.geometry, name) == pytest.approx(getattr(one.geometry, name), rel=1e-6)


@pytest.mark.parametrize("name", GIVEN)
def test_dials_and_back(tmp_path, name):
    path = tmp_path / "one.expt"
    path.write_text(dials.expt_text(crystal(name)))
    same_place(crystal(name), dials.read_expt(path), 1e-12)


@pytest.mark.parametrize("name", GIVEN)
def test_xds_and_back(tmp_path, name):
    path = tmp_path / "XPARM.XDS"
    path.write_text(xds.xparm_text(crystal(name)))
    same_place(crystal(name), xds.read_xparm(path), 1e-6)


def old_xparm(crystal):
    """The file as XDS wrote it before 2010: no name, the detector before the crystal."""
    lines = xds.xparm_text(crystal).splitlines()
    start, beam, cell, *axes, segment, place, fast, slow, normal = lines[1:12]
    orgx, orgy, distance = place.split()
    size = " ".join(segment.split()[1:])
    return "\n".join([start, beam, size, f"{distance} {orgx} {orgy}", fast, slow, normal, cell, *axes]) + "\n"


@pytest.mark.parametrize("name", GIVEN)
def test_xds_before_2010(tmp_path, name):
    from images import tool

    path = tmp_path / "XPARM.XDS"
    path.write_text(old_xparm(crystal(name)))
    same_place(crystal(name), xds.read_xparm(path), 1e-6)
    (tmp_path / "GXPARM.XDS").write_text(xds.xparm_text(crystal(name)).replace("XPARM", "GXPARM"))
    old, new = (tool("matrix", tmp_path / file, "--to", "mosflm") for file in ("XPARM.XDS", "GXPARM.XDS"))
    assert old[0] == 0 and old == new


@pytest.mark.parametrize(
    ("line", "text", "says"),
    [
        (3, "200.0 10.0", "line 4 of XPARM.XDS does not have the 3 numbers"),
        (8, "nan 1 2", "line 9 of XPARM.XDS does not have the 3 numbers"),
        (7, "1e400 40 50 60 80 95 110", "line 8 of XPARM.XDS does not have the 7 numbers"),
        (2, "0 70 0.5 0.5", "no usable wavelength, directions, pixels"),
        (7, "400 40 50 60 80 95 110", "space group"),
    ],
)
def test_broken_xds_before_2010(tmp_path, line, text, says):
    from images import tool

    lines = old_xparm(crystal()).splitlines()
    lines[line] = text
    (tmp_path / "XPARM.XDS").write_text("\n".join(lines))
    status, _, err = tool("matrix", "XPARM.XDS", folder=tmp_path)
    assert status == 2 and says in err and err.count("\n") == 1


@pytest.mark.parametrize("convention", ["MOSFLM", "XDS", "DIALS", "ADXV"])
def test_mat_and_back(tmp_path, convention):
    path = tmp_path / "A.mat"
    there = crystal().moved(convention_geometry(convention, 1.1e-10))
    path.write_text(mat.mat_text(there, 1.1e-10))
    back = mat.read_mat(path, 1.1e-10, convention).moved(crystal().geometry)
    assert pytest.approx(crystal().A, rel=1e-14) == back.A


def test_mosflm_columns(tmp_path):
    path = tmp_path / "mosflm.mat"
    path.write_text(mosflm.mosflm_text(crystal("xds"), 1.1e-10))
    lines = path.read_text().splitlines()
    assert [len(line) for line in lines] == [36, 36, 36, 36, 36, 36, 36, 72, 36]
    rows = np.array([[float(line[i : i + 12]) for i in (0, 12, 24)] for line in lines[:7]])
    U, cell = rows[4:7], [float(lines[7][i : i + 12]) for i in range(0, 72, 12)]
    assert pytest.approx(np.eye(3), abs=1e-6) == U @ U.T
    assert cell == pytest.approx(CELL, abs=1e-4)
    # what MOSFLM does with them: A = lambda U B
    assert rows[:3] == pytest.approx(1.1 * U @ b_matrix(*cell), abs=2e-8)
    read = mat.read_mat(path, 1.1e-10).moved(crystal("xds").geometry)
    assert pytest.approx(crystal("xds").A, abs=1e-8) == read.A


def test_missets_of_a_file_are_spoken_of(tmp_path):
    path, said = tmp_path / "mosflm.mat", []
    lines = mosflm.mosflm_text(crystal(), 1e-10).splitlines()
    path.write_text("\n".join([*lines[:3], " 1.000 0.000 -2.500", *lines[4:]]))
    mat.read_mat(path, 1e-10, complain=said.append)
    assert said == [f"the missetting angles 1 0 -2.5 of {path} are not applied"]


def image(*flags):
    without = FLAGS[FLAGS.index("-default_F") :]
    loaded = load_args([*without, *flags], write_dump=False)
    return np.asarray(simulate(loaded.experiment, loaded.table)[0])


def test_the_same_image_from_every_file(tmp_path):
    """One crystal, through every format, gives one image; in the frame of another convention as well."""
    start = crystal()
    path = tmp_path / "A.mat"

    def rendered(oriented, convention="MOSFLM", *flags):
        there = oriented.moved(convention_geometry(convention, 1.1e-10))
        path.write_text(mat.mat_text(there, 1.1e-10))
        return image("-mat", str(path), *flags)

    expected = rendered(start)
    assert expected.max() > 100 * np.median(expected)
    (tmp_path / "A.expt").write_text(dials.expt_text(start))
    (tmp_path / "XPARM.XDS").write_text(xds.xparm_text(start))
    (tmp_path / "mosflm.mat").write_text(mosflm.mosflm_text(start, 1.1e-10))
    close = {"rtol": 0, "atol": 1e-3 * expected.max()}
    assert np.allclose(rendered(dials.read_expt(tmp_path / "A.expt")), expected, rtol=1e-5)
    assert np.allclose(rendered(xds.read_xparm(tmp_path / "XPARM.XDS")), expected, **close)
    assert np.allclose(rendered(mat.read_mat(tmp_path / "mosflm.mat", 1.1e-10)), expected, **close)
    # the MOSFLM convention's beam centre, 15 and 21 mm, is 21.25 along fast and 15.25 along slow

    orgs = ("-ORGX", str(21.25 / 0.5 + 0.5), "-ORGY", str(15.25 / 0.5 + 0.5))
    assert np.allclose(rendered(start, "XDS", "-xds", *orgs), expected, rtol=1e-4, atol=1e-6 * expected.max())
    wrong = start.replace(A=axis_rotation((0, 0, 1), 0.02) @ start.A)
    assert not np.allclose(rendered(wrong), expected, **close)


def test_cell_and_mat_give_the_same_image(tmp_path):
    """nanoBragg's own -cell and -misset, for a cell that it does not distort."""
    from images import tool

    expected = image("-cell", "40", "50", "60", "-misset", "10", "20", "30")
    name = tmp_path / "A.mat"
    words = ["--cell", 40, 50, 60, 90, 90, 90, "--missets", 10, 20, 30, "--wavelength", 1.1, "--out", name]
    assert tool("matrix", *words)[0] == 0
    assert np.allclose(image("-mat", str(name)), expected, rtol=1e-5)


# ---- goniometers and detectors of DIALS ----------------------------------------------------------------------------


def experiment():
    return json.loads(dials.expt_text(crystal()))


def read(tmp_path, content):
    path = tmp_path / "given.expt"
    path.write_text(json.dumps(content))
    return dials.read_expt(path)


def test_fixed_and_setting_rotations(tmp_path):
    fixed, setting = axis_rotation((0, 0, 1), 0.7), axis_rotation((0, 1, 0), 0.1)
    content = experiment()
    content["goniometer"][0].update(
        fixed_rotation=fixed.ravel().tolist(), setting_rotation=setting.ravel().tolist(), rotation_axis=[1, 0, 0]
    )
    got = read(tmp_path, content)
    assert pytest.approx(setting @ fixed @ crystal().in_frame("imgcif")) == got.A
    assert got.geometry.spindle == pytest.approx(setting[:, 0])


def test_several_axes(tmp_path):
    content = experiment()
    content["goniometer"] = [
        {
            "axes": [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]],
            "angles": [10.0, 20.0, 30.0, 5.0],
            "names": ["phi", "kappa", "omega", "tilt"],
            "scan_axis": 2,
        }
    ]
    got = read(tmp_path, content)
    turn = np.radians
    fixed = axis_rotation((0, 1, 0), turn(20)) @ axis_rotation((0, 0, 1), turn(10))
    setting = axis_rotation((0, 0, 1), turn(5))
    assert pytest.approx(setting @ fixed @ crystal().in_frame("imgcif")) == got.A
    assert got.geometry.spindle == pytest.approx(setting[:, 0])


def test_a_detector_moved_as_a_whole(tmp_path):
    content = experiment()
    turn = axis_rotation((0.3, 0.5, 0.8), 0.4)
    content["detector"][0]["hierarchy"].update(
        fast_axis=turn[:, 0].tolist(), slow_axis=turn[:, 1].tolist(), origin=[1.0, 2.0, 3.0]
    )
    got, before = read(tmp_path, content).geometry, read(tmp_path, experiment()).geometry
    assert got.origin == pytest.approx(turn @ before.origin + np.array([1, 2, 3]) / 1000.0)
    assert got.slow == pytest.approx(turn @ before.slow)


def test_stills_and_newer_scans(tmp_path):
    content = experiment()
    content["experiment"][0].update(goniometer=-1, scan=-1)
    assert read(tmp_path, content).geometry.spindle == (1.0, 0.0, 0.0)
    content = experiment()
    content["scan"] = [{"image_range": [1, 3], "properties": {"oscillation": [5.0, 5.25, 5.5]}}]
    assert np.degrees(read(tmp_path, content).geometry.osc) == pytest.approx(0.25)


def test_several_panels_are_left_out(tmp_path):
    content = experiment()
    content["detector"][0]["panels"] *= 2
    assert read(tmp_path, content).geometry.origin is None


def test_space_groups(tmp_path):
    group = crystal().replace(space_group=96)
    (tmp_path / "a.expt").write_text(dials.expt_text(group))
    assert dials.read_expt(tmp_path / "a.expt").space_group == 96
    (tmp_path / "XPARM.XDS").write_text(xds.xparm_text(group))
    assert xds.read_xparm(tmp_path / "XPARM.XDS").space_group == 96


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no DIALS experiment list"),
        ("{}", "it has no experiments"),
        ('{"experiment": [{}]}', "lacks a usable crystal or beam"),
        (
            '{"experiment": [{"beam": 0, "crystal": 0}], "beam": [{}], "crystal": [{}]}',
            "lacks a usable crystal or beam",
        ),
    ],
)
def test_bad_experiments(tmp_path, text, message):
    path = tmp_path / "bad.expt"
    path.write_text(text)
    with pytest.raises(NanoBraggError, match=message):
        dials.read_expt(path)


def test_no_such_experiment(tmp_path):
    path = tmp_path / "one.expt"
    path.write_text(dials.expt_text(crystal()))
    with pytest.raises(NanoBraggError, match="has 1 experiments, counted from 0; there is none of number 1"):
        dials.read_expt(path, 1)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "", r"line 2 of .* does not have the 6 numbers"),
        (3, "1 40 50 60 90 90 ninety", "line 4 of .* 7 numbers"),
        (7, "1 90 70 0.5 0.4", "pixels of 0.5 x 0.4 mm"),
        (0, "something else", "no XPARM.XDS file"),
        (2, "0 0 0 1", "no usable wavelength, directions"),
    ],
)
def test_bad_xparm(tmp_path, line, text, message):
    path = tmp_path / "XPARM.XDS"
    lines = xds.xparm_text(crystal()).splitlines()
    lines[line] = text
    path.write_text("\n".join(lines))
    with pytest.raises(NanoBraggError, match=message):
        xds.read_xparm(path)


def test_flat_crystals():
    with pytest.raises(NanoBraggError, match="span no volume"):
        crystal().replace(A=np.ones((3, 3)))


def test_files_that_describe_detectors_need_one():
    bare = crystal().replace(geometry=convention_geometry("MOSFLM", 1e-10))
    with pytest.raises(NanoBraggError, match="describes a detector"):
        xds.xparm_text(bare)
    assert json.loads(dials.expt_text(bare))["detector"] == []
