"""Beam and detector out of flags and out of headers, in the frames of other programs."""

import numpy as np
import pytest
from images import CONVENTIONS, FLAGS, geometry, render

from nanobragg_py.errors import NanoBraggError
from nanobragg_py.experiment.header_geometry import header_geometry
from nanobragg_py.experiment.load import load_args
from nanobragg_py.files.geometry import check_series, frame_rotation
from nanobragg_py.files.smv_read import read_smv
from nanobragg_py.inspect.describe import spacing
from nanobragg_py.kernels.loops.job import Job
from nanobragg_py.kernels.loops.sequential import Sequential


def in_space(described):
    """Everything of a Geometry that has a direction, in the imgcif frame."""
    rotation = described.frame("imgcif")
    vectors = (described.origin, described.fast, described.slow, described.beam, described.spindle)
    return np.array([rotation @ np.asarray(v) for v in vectors])


@pytest.mark.parametrize("name", ["mosflm", "xds", "imgcif", "mcstas"])
def test_frames(name):
    rng = np.random.default_rng(3)
    for _ in range(20):
        beam, spindle = rng.normal(size=(2, 3))
        rotation = frame_rotation(name, beam, spindle)
        assert np.allclose(rotation @ rotation.T, np.eye(3)) and np.linalg.det(rotation) > 0
        along, across = {"mosflm": (0, 2), "xds": (2, 0), "imgcif": (2, 0), "mcstas": (2, 0)}[name]
        there = rotation @ beam / np.linalg.norm(beam)
        assert abs(there[along]) == pytest.approx(1.0) and (there[along] < 0) == (name == "imgcif")
        assert np.sign((rotation @ spindle)[across]) == (-1 if name == "mcstas" else 1)


def test_spindle_along_the_beam():
    with pytest.raises(NanoBraggError, match="spindle is along the beam"):
        frame_rotation("xds", (1, 0, 0), (-2, 0, 0))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("twotheta", ["0", "12", "-7.5"])
def test_header_tells_the_geometry(tmp_path, convention, twotheta):
    flags = (f"-{convention}", "-twotheta", twotheta)
    path = render(tmp_path, *flags)
    read, known = header_geometry(read_smv(path, header_only=True)), geometry(*flags)
    if convention == "dials" and twotheta == "0":
        # its header is that of the XDS convention, whose spindle is another
        known = geometry("-xds")
    # six digits in the header
    assert in_space(read) == pytest.approx(in_space(known), abs=1e-7)
    for name in ("wavelength", "phi0", "osc", "pixel_size", "fpixels", "spixels"):
        assert getattr(read, name) == pytest.approx(getattr(known, name), rel=1e-6)
    assert read.distance == pytest.approx(known.distance, rel=1e-5)
    assert read.beam_centre == pytest.approx(known.beam_centre, abs=2e-6)


@pytest.mark.parametrize(
    "flags",
    [
        ("-detector_rotx", "5"),
        ("-detector_roty", "5"),
        ("-detector_rotz", "5"),
        ("-fdet_vector", "0", "0.6", "0.8", "-sdet_vector", "0", "-0.8", "0.6"),
    ],
)
def test_header_that_cannot_tell(tmp_path, flags):
    path = render(tmp_path, *flags)
    with pytest.raises(NanoBraggError, match="tilted or turned"):
        header_geometry(read_smv(path, header_only=True))


def test_centres_are_those_of_the_header(tmp_path):
    for convention in CONVENTIONS:
        header = read_smv(render(tmp_path, f"-{convention}"), header_only=True)
        centres = {name: xy for name, _, xy, _ in geometry(f"-{convention}").centres()}
        for name, keys in (
            ("ADXV", ("ADXV_CENTER_X", "ADXV_CENTER_Y")),
            ("MOSFLM", ("MOSFLM_CENTER_X", "MOSFLM_CENTER_Y")),
            ("DENZO", ("DENZO_X_BEAM", "DENZO_Y_BEAM")),
            ("XDS", ("XDS_ORGX", "XDS_ORGY")),
        ):
            assert centres[name] == pytest.approx([header.header_value(key) for key in keys], rel=1e-5)


def test_headers_of_other_programs(tmp_path):
    path = tmp_path / "other.img"
    keys = "SIZE1=90;SIZE2=70;PIXEL_SIZE=0.5;DISTANCE=80;WAVELENGTH=1.1;BEAM_CENTER_X=15;BEAM_CENTER_Y=21;PHI=3;"
    path.write_bytes(("{\nHEADER_BYTES=512;\n" + keys.replace(";", ";\n") + "}\f").encode().ljust(512))
    read = header_geometry(read_smv(path, header_only=True))
    assert in_space(read) == pytest.approx(in_space(geometry()))
    tilted = tmp_path / "tilted.img"
    tilted.write_bytes(path.read_bytes().replace(b"PHI=3", b"TWOTHETA=1"))
    with pytest.raises(NanoBraggError, match="has a TWOTHETA, and nothing says about which axis"):
        header_geometry(read_smv(tilted, header_only=True))
    path.write_bytes(path.read_bytes().replace(b"WAVELENGTH", b"WAVELANGTH"))
    with pytest.raises(NanoBraggError, match=r"other\.img has no WAVELENGTH"):
        header_geometry(read_smv(path, header_only=True))


@pytest.mark.parametrize("flags", [(), ("-twotheta", "20", "-xds"), ("-curved_det", "1"), ("-detector_rotx", "8")])
def test_positions_and_spacings_are_the_renderers(flags):
    loaded = load_args([*FLAGS, *flags])
    loop = Sequential(Job(loaded.experiment, loaded.table))
    known = geometry(*flags)
    for slow, fast in ((3, 80), (35, 45), (69, 0)):
        loop.pixel(slow, fast)
        at = (np.array([fast + 0.5]) * known.pixel_size, np.array([slow + 0.5]) * known.pixel_size)
        assert known.positions(*at)[0] == pytest.approx(np.array(loop.position), abs=1e-12)
        assert spacing(known, *at)[0] == pytest.approx(0.5e10 / loop.stol, rel=1e-9)
        if not known.curved:
            direction = known.positions(*at)
            assert known.plane_position(direction)[0][0] == pytest.approx(at[0][0])
            assert known.plane_position(direction)[1][0] == pytest.approx(at[1][0])


def test_beam_that_misses():
    with pytest.raises(NanoBraggError, match="never meets"):
        geometry("-xds", "-twotheta", "100").beam_centre  # noqa: B018


def test_series():
    first = geometry()
    check_series([first.next(i) for i in range(5)], "abcde")
    check_series([first.replace(osc=0.0)] * 3, "abc")
    with pytest.raises(NanoBraggError, match=r"c begins at phi 31\.5 and not at 31 degrees"):
        check_series([first, first.next(1), first.next(3)], "abc")
    with pytest.raises(NanoBraggError, match="b has another geometry than a"):
        check_series([first, geometry("-distance", "81").next(1)], "ab")
