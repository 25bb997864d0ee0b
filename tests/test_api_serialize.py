"""Experiments in dicts and in TOML and JSON files: units, files of other programs, and what is wrong in them."""

import json
import math
import tomllib

import numpy as np
import pytest

from nanobragg_py import Crystal, Detector, Experiment, FieldError, NanoBraggError, StructureFactors
from nanobragg_py.experiment.serialize import field_value, to_toml

CELL = "[crystal]\nlengths = [50, 60, 70]\n"
FLAT = "[structure_factors]\ndefault_F = 100\n"


def read(tmp_path, text, name="job.toml"):
    (tmp_path / name).write_text(text)
    return Experiment.read(tmp_path / name)


def with_table(**fields):
    table = StructureFactors.from_arrays([[1, 2, 3], [-1, 0, 1]], [10.0, 20.0], 3.0)
    detector = Detector.flat(16, 1e-3, 0.1, mask=np.eye(16, dtype=int))
    return Experiment(Crystal.from_cell(50, 60, 70), detector=detector, structure_factors=table).replace(fields)


def test_what_is_left_out_has_its_default(tmp_path):
    made = read(tmp_path, CELL + FLAT)
    assert made == Experiment(Crystal.from_cell(50, 60, 70), structure_factors=StructureFactors(default_F=100.0))
    assert made.to_dict()["structure_factors"] == {"default_F": 100.0}
    assert "beam" not in made.to_dict()


def test_words_with_units(tmp_path):
    made = read(
        tmp_path,
        f'{FLAT}[beam]\nwavelength = "12 keV"\nsize = "50 um"\n[detector]\ndistance = "150 mm"\n'
        'rotations = ["1 deg", 0, "2 mrad"]\n[sampling]\nosc = "0.1 deg"\ndmin = "2 A"\n'
        f'{CELL}angles = ["90 deg", "95 deg", 1.5]\nmissets = "random"\nmisset_seed = 3\n',
    )
    assert made.beam.wavelength == pytest.approx(12.39842e-10 / 12)
    assert made.beam.size == pytest.approx(50e-6)
    assert made.detector.distance == pytest.approx(0.15)
    assert made.detector.rotations == pytest.approx((math.radians(1), 0.0, 0.002))
    assert made.sampling.osc == pytest.approx(math.radians(0.1)) and made.sampling.dmin == pytest.approx(2e-10)
    assert made.crystal.angles == pytest.approx((math.pi / 2, math.radians(95), 1.5))
    assert made.crystal.missets == "random"


def test_energy_is_the_programs():
    program = Experiment.from_args("-cell 10 10 10 -default_F 1 -energy 9500").beam.wavelength
    assert field_value("beam", "wavelength", "9500 eV") == pytest.approx(program, rel=1e-15)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("beam", "wavelength", "1 deg"),
        ("sampling", "osc", "1 mm"),
        ("detector", "distance", "100"),
        ("beam", "size", "1 in"),
    ],
)
def test_wrong_units(part, field, value):
    with pytest.raises(FieldError, match=f"{part}.{field} is '{value}'; its unit must be one of"):
        field_value(part, field, value)


def test_tables_beside_the_file(tmp_path):
    made = with_table()
    made.write(tmp_path / "a.toml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mask.npy", "a.structure_factors.npy", "a.toml"]
    assert np.load(tmp_path / "a.mask.npy").shape == (16, 16)
    (tmp_path / "moved").mkdir()
    for path in list(tmp_path.glob("a.*")):
        path.rename(tmp_path / "moved" / path.name)
    assert Experiment.read(tmp_path / "moved" / "a.toml") == made


def test_tables_left_out(tmp_path):
    with_table().write(tmp_path / "a.json", tables="omit")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert Experiment.read(tmp_path / "a.json") == with_table(
        detector__mask=None, structure_factors=StructureFactors(default_F=3.0)
    )


def test_files_of_other_programs(tmp_path):
    (tmp_path / "F.hkl").write_text("1 2 3 10\n-1 0 1 20\n")
    header = b"{\nHEADER_BYTES=512;\nSIZE1=16;\nSIZE2=16;\n}\f".ljust(512)
    (tmp_path / "m.img").write_bytes(header + np.eye(16, dtype=np.uint16).tobytes())
    made = read(
        tmp_path,
        f'{CELL}[detector]\nmask = "m.img"\npixel_size = 1e-3\n[structure_factors]\nfile = "F.hkl"\ndefault_F = 3\n',
    )
    assert made == with_table()


def test_toml_is_what_the_standard_library_reads():
    values = {
        "one": {"a": 1, "b": -0.0, "c": 1e-300, "d": True, "e": 'x "y" \\ \n \x7f é', "f": [[1.5, None], []]},
        "two": {"g": {"h": [1, 2], "i": "j"}},
    }
    found = tomllib.loads(to_toml(values))
    nan = found["one"]["f"][0].pop()
    assert nan != nan
    values["one"]["f"][0].pop()
    assert found == values
    assert math.copysign(1.0, found["one"]["b"]) == -1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[crystal\n", r"job\.toml is no TOML: .*line 1"),
        (CELL + FLAT + "[noise]\nseed = 1\n", "noise is no part of an experiment; the parts are beam"),
        ("noise = 1\n" + CELL, "noise is no part"),
        ("beam = 1\n" + CELL, "beam is 1; it must be a table of fields"),
        (
            CELL + FLAT + "[beam]\nwavelenght = 1\n",
            "beam.wavelenght is no field; did you mean wavelength",
        ),
        (CELL + FLAT + "[beam]\nwavelength = -1\n", "beam.wavelength is -1; it must be above 0"),
        (CELL + FLAT + '[detector]\ndistance = "far"\n', "detector.distance is 'far'; it must be a number"),
        (CELL + "[structure_factors]\nfile = 'absent.mtz'\n", r"absent\.mtz"),
        (CELL + "[structure_factors]\nfile = 'a'\nmodel = 'b'\n", "structure_factors has file and model; give one"),
        (CELL + "[structure_factors]\nmodel = 'm.pdb'\n", "structure_factors.model needs structure_factors.d_min"),
        (CELL + "[structure_factors]\nfiel = 'a.hkl'\n", "structure_factors.fiel is no field"),
        (CELL + "[structure_factors]\nvalues = 'x.npy'\n", r"structure_factors.values: cannot read .*x\.npy"),
        (
            CELL
            + '[structure_factors]\nbounds = [0, 1, 0, 1, 0, 1]\nvalues = { dtype = "<f8", shape = [1], zlib = "?" }\n',
            "structure_factors.values must be the name of an .npy file, or a table",
        ),
        (CELL + FLAT + "[detector]\nmask = 'absent.img'\n", r"absent\.img"),
    ],
)
def test_bad_files_name_the_key(text, says, tmp_path):
    with pytest.raises(NanoBraggError, match=says) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_bad_json_and_other_files(tmp_path):
    with pytest.raises(NanoBraggError, match=r"a\.json is no JSON: .*line 1"):
        read(tmp_path, "{", "a.json")
    with pytest.raises(NanoBraggError, match=r"a\.json holds no table"):
        read(tmp_path, "[1]", "a.json")
    with pytest.raises(NanoBraggError, match=r"absent\.toml"):
        Experiment.read(tmp_path / "absent.toml")
    with pytest.raises(FieldError, match=r"a\.txt ends in \.txt"):
        with_table().write(tmp_path / "a.txt")
    with pytest.raises(FieldError, match="tables is 'none'"):
        with_table().to_dict(tables="none")


def test_table_of_another_shape(tmp_path):
    values = json.loads(json.dumps(with_table().to_dict()))
    values["structure_factors"]["bounds"][0] -= 1
    with pytest.raises(FieldError, match=r"structure_factors\.values has the shape"):
        Experiment.from_dict(values)
