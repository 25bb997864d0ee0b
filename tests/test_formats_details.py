"""What files say of polarization, spectrum, sensor, gain and offset, and what dxtbx makes of it."""

import json
import os
import re
import subprocess

import numpy as np
import pytest

from nanobragg_py import Beam, Crystal, Detector, Experiment, StructureFactors

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

PYTHON = os.environ.get("NANOBRAGG_DXTBX")
needs_dxtbx = pytest.mark.skipif(not PYTHON, reason="NANOBRAGG_DXTBX does not name a Python that has dxtbx")

READ = """
import json, sys
from dxtbx.model.experiment_list import ExperimentListFactory
found = []
for name in sys.argv[1:]:
    experiment = ExperimentListFactory.from_filenames([name])[0]
    panel, beam = experiment.detector[0], experiment.beam
    found.append({
        "fraction": beam.get_polarization_fraction(), "normal": beam.get_polarization_normal(),
        "wavelength": beam.get_wavelength(), "thickness": panel.get_thickness(), "material": panel.get_material(),
        "mu": panel.get_mu(), "gain": panel.get_gain(), "trusted": panel.get_trusted_range(),
    })
    from cctbx.eltbx import attenuation_coefficient
    if panel.get_material():
        table = attenuation_coefficient.get_table(panel.get_material())
        found[-1]["table"] = table.mu_at_angstrom(beam.get_wavelength()) / 10
print(json.dumps(found))
"""


def still(axis=(0, 0, 1), beam=(), **detector):
    return Experiment(
        Crystal.from_cell(50, 60, 70, cells=(5, 5, 5)),
        Beam(**{"polarization": 0.6, "polarization_axis": axis, "direction": (1, 0, 0), **dict(beam)}),
        Detector(
            convention="CUSTOM", fpixels=24, spixels=20, pixel_size=1e-3, distance=0.1, Xclose=0.012, Yclose=0.01,
            fast=(0, 0, 1), slow=(0, -1, 0), normal=(1, 0, 0), pivot="beam", **detector,
        ),
        structure_factors=StructureFactors(default_F=100.0),
    )  # fmt: skip


def counts(experiment):
    return np.arange(np.prod(experiment.shape), dtype=np.uint16).reshape(experiment.shape)


def cif(path):
    text = path.read_bytes().partition(b"_array_data.data")[0].decode()
    return dict(re.findall(r"^(_diffrn_radiation\.\S+) (\S+)\r$", text, flags=re.MULTILINE)), text


@pytest.mark.parametrize(("axis", "stokes", "angle"), [
    ((0, 0, 1), (1, 0.6, 0, 0), 0.0),
    ((0, 1, 0), (1, -0.6, 0, 0), -90.0),
    ((0, 1, 1), (1, 0, 0.6, 0), 45.0),
    ((0.3, 0, 1), (1, 0.6, 0, 0), 0.0),  # what is along the beam does not count
])  # fmt: skip
def test_polarization(tmp_path, axis, stokes, angle):
    experiment = still(axis)
    experiment.to_nexus(tmp_path / "a.nxs", counts(experiment))
    with h5py.File(tmp_path / "a.nxs") as file:
        found = file["entry/instrument/beam/incident_polarization_stokes"][()]
    # x and y of McStas are against z and y of the laboratory
    assert np.abs(found) == pytest.approx(np.abs(stokes), abs=1e-12)
    assert found[1] == pytest.approx(stokes[1], abs=1e-12)
    experiment.to_cbf(tmp_path / "a_00001.cbf", counts(experiment), full=True)
    values, _ = cif(tmp_path / "a_00001.cbf")
    assert float(values["_diffrn_radiation.polarizn_source_ratio"]) == pytest.approx(0.8)
    assert abs(float(values["_diffrn_radiation.polarizn_source_norm"])) == pytest.approx(abs(angle), abs=1e-9)
    experiment.to_cbf(tmp_path / "b_00001.cbf", counts(experiment))
    assert b"# Polarization 0.8\r" in (tmp_path / "b_00001.cbf").read_bytes()


def test_no_polarization(tmp_path):
    experiment = still(beam={"polarized": False})
    experiment.to_nexus(tmp_path / "a.nxs", counts(experiment))
    experiment.to_cbf(tmp_path / "a_00001.cbf", counts(experiment), full=True)
    with h5py.File(tmp_path / "a.nxs") as file:
        assert "incident_polarization_stokes" not in file["entry/instrument/beam"]
    assert "polarizn" not in cif(tmp_path / "a_00001.cbf")[1]


@pytest.mark.parametrize("damage", ["variant", "weights", "stokes"])
def test_details_that_make_no_sense(tmp_path, damage):
    """They are left out. A variant that leads back to what it is one of has no end."""
    from nanobragg_py.files.image import read_image

    experiment = still(beam={"spectrum": ([0.98e-10, 1e-10], [1.0, 1.0])})
    experiment.to_nexus(tmp_path / "a.nxs", counts(experiment))
    assert len(read_image(tmp_path / "a.nxs").details.spectrum[0]) == 2
    with h5py.File(tmp_path / "a.nxs", "r+") as file:
        beam = file["entry/instrument/beam"]
        if damage == "variant":
            del beam["incident_wavelength_spectrum_weights"]
            beam["incident_wavelength_spectrum"].attrs["variant"] = "incident_wavelength"
        elif damage == "weights":
            beam["incident_wavelength_spectrum_weights"][...] = 0.0
        else:
            beam["incident_polarization_stokes"][...] = 0.0
    image = read_image(tmp_path / "a.nxs")
    assert image.geometry.wavelength == pytest.approx(0.99e-10)
    assert image.details is None or not image.details.spectrum


def test_an_axis_that_depends_on_itself(tmp_path):
    """Of a still, whose spindle turns by nothing and may be any that it depends on."""
    from nanobragg_py.files.image import read_image

    experiment = still()
    experiment.to_nexus(tmp_path / "a.nxs", counts(experiment))
    omega = "/entry/sample/transformations/omega"
    with h5py.File(tmp_path / "a.nxs", "r+") as file:
        file[omega].attrs["depends_on"] = omega
    image = read_image(tmp_path / "a.nxs")
    assert image.geometry is None and image.no_geometry.endswith(f"its axis {omega} depends on itself")


def test_spectrum(tmp_path):
    wavelengths, weights = [0.98e-10, 1e-10, 1.03e-10], [1.0, 2.0, 1.0]
    experiment = still(beam={"spectrum": (wavelengths, weights), "hdivrange": 1e-3, "hdivsteps": 3})
    experiment.to_nexus(tmp_path / "a.nxs", counts(experiment))
    with h5py.File(tmp_path / "a.nxs") as file:
        beam = file["entry/instrument/beam"]
        assert beam["incident_wavelength"][()] == pytest.approx(1.0025)
        assert beam["incident_wavelength"].attrs["variant"] == "incident_wavelength_spectrum"
        assert beam["incident_wavelength_spectrum"][()] == pytest.approx([0.98, 1.0, 1.03])
        assert beam["incident_wavelength_spectrum_weights"][()] == pytest.approx([0.25, 0.5, 0.25])
    experiment.to_cbf(tmp_path / "a_00001.cbf", counts(experiment), full=True)
    assert "wavelength_2 1 1\r" in cif(tmp_path / "a_00001.cbf")[1]
    from nanobragg_py.files.image import read_image

    assert read_image(tmp_path / "a_00001.cbf").geometry.wavelength == pytest.approx(1.0025e-10)
    assert read_image(tmp_path / "a.nxs").geometry.wavelength == pytest.approx(1.0025e-10)


def test_gain_offset_and_sensor(tmp_path):
    experiment = still(thickness=320e-6, mu=3e3)
    told = {"gain": 2.5, "offset": 30.0}
    experiment.to_nexus(tmp_path / "a.nxs", counts(experiment), **told, sensor_material="CdTe")
    with h5py.File(tmp_path / "a.nxs") as file:
        data, detector = file["entry/data"], file["entry/instrument/detector"]
        photons = (data["data"][0] + data["offset"][()]) * data["scaling_factor"][()]
        assert photons == pytest.approx((counts(experiment) - 30.0) / 2.5)
        assert detector["sensor_material"][()] == b"CdTe"
        assert detector["sensor_thickness"][()] == pytest.approx(320e-6)
        assert detector["saturation_value"][()] == 65535
    experiment.to_cbf(tmp_path / "a_00001.cbf", counts(experiment), full=True, **told)
    assert re.search(r"image 1 linear 2.5 0 30 65535 -1\r", cif(tmp_path / "a_00001.cbf")[1])


@needs_dxtbx
@pytest.mark.parametrize("axis", [(0, 0, 1), (0, 1, 0), (0, 1, 2)])
def test_dxtbx_knows_what_was_simulated(tmp_path, axis):
    experiment = still(axis, thickness=320e-6, mu=2e3)
    experiment.to_cbf(tmp_path / "a_00001.cbf", counts(experiment), full=True, gain=1.7)
    experiment.to_nexus(tmp_path / "a.nxs", counts(experiment))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    names = [tmp_path / "a_00001.cbf", tmp_path / "a.nxs"]
    done = subprocess.run([PYTHON, "-c", READ, *names], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    cbf, nexus = json.loads(done.stdout.splitlines()[-1])
    assert cbf["fraction"] == pytest.approx(0.8)
    # dxtbx: x along the spindle (z of ours), y along ours; the E-vector is across the normal
    e = np.array([axis[2], axis[1], 0]) / np.hypot(axis[1], axis[2])
    assert np.dot(cbf["normal"], e) == pytest.approx(0.0, abs=1e-9)
    assert np.linalg.norm(cbf["normal"]) == pytest.approx(1.0)
    assert cbf["gain"] == pytest.approx(1.7)
    assert cbf["trusted"][1] == 65535 and nexus["trusted"][1] == 65535
    assert nexus["thickness"] == pytest.approx(0.32) and nexus["material"] == "Si"
    assert nexus["mu"] == pytest.approx(nexus["table"])


SHOTS = """
seed = 5
repeat = 4
random."crystal.orientation" = "uniform"
random."beam.spectrum" = { sase = { bandwidth = 0.002, spike = 2e-4, wavelengths = 20, jitter = 0.001 } }
experiment.flags = "-physics exact -lambda 1.3 -cell 40 50 60 90 90 90 -default_F 100 -N 5 -detpixels 24 -pixel 1
    -distance 80 -fluence 1e28"
"""
SPECTRA = """
import json, sys
from dxtbx.format.nexus import BeamFactory, NXmxReader
from dxtbx.model.experiment_list import ExperimentListFactory
reader = BeamFactory(NXmxReader(sys.argv[1]).entries[0].instruments[0].beams[0])
found = [reader.read_models(number)[1] for number in range(4)]
beams = [each.beam.get_wavelength() for each in ExperimentListFactory.from_filenames([sys.argv[1]])]
energies, weights = ([list(getattr(each, f"get_{what}")()) for each in found] for what in ("energies_eV", "weights"))
print(json.dumps([energies, weights, beams]))
"""


def shots(folder):
    """A batch whose images each have a spectrum of their own, in two files: (master file, spectra)."""
    from nanobragg_py.batch import Output, manifest, run

    (folder / "job.toml").write_text(SHOTS.replace("1\n    -distance", "1 -distance"))
    assert run(folder / "job.toml", Output(str(folder / "out"), "nexus", per_file=3)) == 0
    return folder / "out" / "images.h5", [np.array(e["parameters"]["beam.spectrum"]) for e in manifest(folder / "out")]


def test_a_spectrum_for_every_image(tmp_path):
    """NXmx has the mean of each as its wavelength, and the spectra as a variant of two dimensions."""
    from nanobragg_py.files.image import read_image

    master, spectra = shots(tmp_path)
    means = [wavelengths @ weights / weights.sum() for wavelengths, weights in spectra]
    with h5py.File(master) as file:
        beam = file["entry/instrument/beam"]
        assert beam["incident_wavelength"][()] == pytest.approx(np.array(means) * 1e10)
        key = beam["incident_wavelength"].attrs["variant"]
        assert beam[key].shape == (4, 20) and beam[key].attrs["units"] == "angstrom"
        assert beam[key][()] == pytest.approx(np.array([each[0] for each in spectra]) * 1e10)
        parts = np.array([weights / weights.sum() for _, weights in spectra])
        assert beam[f"{key}_weights"][()] == pytest.approx(parts)
    assert len(set(means)) == 4
    for number, mean in enumerate(means):
        assert read_image(f"{master}#{number}").geometry.wavelength == pytest.approx(mean)


@needs_dxtbx
def test_a_spectrum_for_every_image_in_dxtbx(tmp_path):
    """dxtbx finds the spectra, and takes the images for stills that each have a beam of their own."""
    master, spectra = shots(tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([PYTHON, "-c", SPECTRA, master], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    energies, weights, beams = json.loads(done.stdout.splitlines()[-1])
    for each, energy, weight, beam in zip(spectra, energies, weights, beams, strict=True):
        assert energy == pytest.approx(12398.4198 / (each[0] * 1e10), rel=1e-6)
        assert weight == pytest.approx(each[1] / each[1].sum())
        assert beam == pytest.approx(each[0] @ each[1] / each[1].sum() * 1e10)


def test_spectra_of_other_programs(tmp_path):
    """A spectrum in the place of the wavelength, of all images or of each, is read as its mean."""
    from nanobragg_py.files.image import read_image

    experiment = still()
    experiment.to_nexus(tmp_path / "a.h5", [experiment.render()] * 2)
    for wavelengths, weights, means in (
        ([0.98, 1.0, 1.02], [1.0, 1.0, 2.0], [1.005, 1.005]),
        ([0.98, 1.0, 1.02], [[1.0, 1.0, 2.0], [2.0, 1.0, 1.0]], [1.005, 0.995]),
        ([[0.98, 1.0], [1.1, 1.2]], [[1.0, 1.0], [1.0, 3.0]], [0.99, 1.175]),
    ):
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            beam = file["entry/instrument/beam"]
            for name in [name for name in beam if name.startswith("incident_wavelength")]:
                del beam[name]
            beam["incident_wavelength"], beam["incident_wavelength_weights"] = wavelengths, weights
            beam["incident_wavelength"].attrs["units"] = "angstrom"
        for number, mean in enumerate(means):
            assert read_image(f"{tmp_path}/a.h5#{number}").geometry.wavelength == pytest.approx(mean * 1e-10)


def test_a_rotation_has_one_wavelength(tmp_path):
    """What would be taken for one beam is refused where it is several."""
    from nanobragg_py.batch import Output, run
    from nanobragg_py.errors import NanoBraggError

    text = SHOTS.replace("1\n    -distance", "1 -osc 1 -distance")
    (tmp_path / "job.toml").write_text(text)
    with pytest.raises(NanoBraggError, match="image 1 has another beam or detector than those before it"):
        run(tmp_path / "job.toml", Output(str(tmp_path / "out"), "nexus"))


@pytest.mark.parametrize("flags", ["", "-phi 12.3456 -osc 0.123456 -Xbeam 31.2345 -Ybeam 33.4567 -distance 123.456"])
def test_offset_in_smv(tmp_path, flags):
    """Where dxtbx looks for it in nanoBragg's headers; without one the header is the program's."""
    from nanobragg_py.files.formats.smv import header_fields
    from nanobragg_py.files.image import read_image

    experiment = Experiment.from_args(f"-lambda 1.23456 -cell 40 50 60 -default_F 9 -N 5 -detpixels 64 {flags}")
    image = experiment.add_noise(experiment.render())
    for name, offset in (("a_1.img", 40.0), ("b_1.img", None)):
        experiment.to_smv(tmp_path / name, image, offset=offset)
        found = read_image(tmp_path / name)
        assert np.array_equal(found.pixels, image) and (b"ADC_OFFSET=40;" in found.smv.header) == (offset is not None)
    told, bare = (header_fields(read_image(tmp_path / name).smv.header) for name in ("a_1.img", "b_1.img"))
    assert told.pop("ADC_OFFSET") == "40" and int(told.pop("HEADER_BYTES")) in (512, 1024)
    assert bare.pop("HEADER_BYTES").strip() == "512" and told == bare


@pytest.mark.parametrize("axis", [(0, 0, 1), (0, 1, 2)])
def test_convert_keeps_what_nexus_states(tmp_path, axis):
    """Into NXmx all of it, into CBF what there is room for; what there is none for is said."""
    from images import tool

    spectrum = ([0.98e-10, 1e-10, 1.03e-10], [1.0, 2.0, 1.0])
    experiment = still(axis, beam={"spectrum": spectrum}, thickness=320e-6, mu=2e3)
    experiment.to_nexus(tmp_path / "a.nxs", counts(experiment), gain=2.5, offset=30.0, sensor_material="CdTe")
    assert tool("convert", tmp_path / "a.nxs", "--out", tmp_path / "b.nxs")[0] == 0
    with h5py.File(tmp_path / "a.nxs") as one, h5py.File(tmp_path / "b.nxs") as other:
        names = [f"entry/instrument/beam/{name}" for name in one["entry/instrument/beam"]]
        for name in [*names, "entry/data/scaling_factor", "entry/data/offset"]:
            assert other[name][()] == pytest.approx(one[name][()])
        assert other["entry/instrument/detector/sensor_material"][()] == b"CdTe"
    status, _, said = tool("convert", tmp_path / "a.nxs", "--out", tmp_path / "b_1.cbf")
    assert status == 0 and "no room for the spectrum, of which their short header has the mean" in said
    assert b"# Polarization 0.8" in (tmp_path / "b_1.cbf").read_bytes()
    status, _, said = tool("convert", tmp_path / "a.nxs", "--out", tmp_path / "b_1.img")
    assert status == 0 and "no room for the spectrum, of which they have the mean" in said


@pytest.mark.parametrize("place", ["pixel_mask", "detectorSpecific/pixel_mask"])
def test_convert_keeps_the_mask(tmp_path, place):
    """Also that of a detector's own file; other formats are said to have no room for it."""
    from images import tool

    from nanobragg_py.files.image import read_image

    experiment = still()
    mask = np.ones(experiment.shape, np.uint16)
    mask[3:7, 5:20] = 0
    masked = experiment.replace({"detector.mask": mask})
    masked.to_nexus(tmp_path / "a.nxs", [counts(experiment)] * 3)
    if place != "pixel_mask":
        with h5py.File(tmp_path / "a.nxs", "r+") as file:
            bad = file["entry/instrument/detector/pixel_mask"][()]
            del file["entry/instrument/detector/pixel_mask"]
            file[f"entry/instrument/detector/{place}"] = bad * 8  # another of its bits
    read = [read_image(f"{tmp_path}/a.nxs#{number}", header_only=True).details.mask for number in range(3)]
    assert all(np.array_equal(one, mask) for one in read)
    assert read[0] is read[2]  # thousands of images have one
    assert tool("convert", tmp_path / "a.nxs", "--out", tmp_path / "b.nxs")[0] == 0
    with h5py.File(tmp_path / "b.nxs") as file:
        assert np.array_equal(file["entry/instrument/detector/pixel_mask"], 1 - mask)
    for ending in ("cbf", "img", "tif", "npy"):
        status, _, said = tool("convert", f"{tmp_path}/a.nxs#1", "--out", tmp_path / f"c_1.{ending}")
        assert status == 0 and "files have no room for the mask" in said, said
    experiment.to_nexus(tmp_path / "a.nxs", [counts(experiment)])
    assert read_image(tmp_path / "a.nxs").details.mask is None
    assert "the mask" not in tool("convert", tmp_path / "a.nxs", "--out", tmp_path / "d_1.cbf")[2]


def test_a_mask_of_another_size_is_none(tmp_path):
    from nanobragg_py.files.image import read_image

    experiment = still()
    experiment.to_nexus(tmp_path / "a.nxs", [counts(experiment)])
    with h5py.File(tmp_path / "a.nxs", "r+") as file:
        file["entry/instrument/detector/pixel_mask"] = np.ones((3, 4), np.uint32)
    assert read_image(tmp_path / "a.nxs").details.mask is None
