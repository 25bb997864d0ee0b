"""Experiments as plain dicts, and as TOML and JSON files.

A file has one table for each part, whose keys are the fields of `nanobragg_py.experiment.parts`; what is not in it has
its default. Lengths and angles are in the fields' units, or words with a unit of their own: ``"0.1 deg"``, ``"1.2 A"``,
``"12 keV"``. Tables of numbers (structure factors, mask) stand in files of their own that are named, or are embedded
as compressed text.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import zlib
from typing import Any

import numpy as np

from ..errors import FieldError, NanoBraggError
from ..hints import meant
from .fields import FIELDS, find
from .parts import PARTS, Detector
from .resolved import StructureFactors
from .units import in_unit

TABLES = ("files", "embed", "omit")
#: fields of a panel whose units are those of another field of the detector
LIKE = {"origin": "distance"}


def field_value(part: str, field: str, value: Any) -> Any:
    """A value with its words turned into numbers: ``field_value("sampling", "osc", "0.1 deg")`` is 0.0017...

    Lists are gone through. Raises FieldError, naming the field, for a unit that does not belong there.
    """
    row = find(part, field)
    return value if row is None else in_unit(row, value)


# ---- dicts ---------------------------------------------------------------------------------------------------------


def to_dict(experiment: Any, tables: str = "embed", beside: Any = None) -> dict[str, Any]:
    """An `Experiment` as plain values; see its `to_dict`. beside: with tables "files", called with a table's name and
    array, writes it and returns the file's name."""
    if tables not in TABLES or (tables == "files" and beside is None):
        allowed = TABLES if beside is not None else TABLES[1:]
        raise FieldError(f"tables is {tables!r}; it must be one of {', '.join(allowed)}")
    made: dict[str, Any] = {} if experiment.physics == "exact" else {"physics": experiment.physics}
    for name in PARTS:
        values = _part_to_plain(getattr(experiment, name), tables, beside)
        if values:
            made[name] = values
    if experiment.more_crystals:
        numbered = enumerate(experiment.more_crystals, 2)
        others = [_part_to_plain(crystal, tables, beside, str(number)) for number, crystal in numbered]
        made["crystal"] = [made["crystal"], *others]
    values = _factors_to_plain(experiment.structure_factors, "structure_factors", tables, beside)
    if values:
        made["structure_factors"] = values
    return made


def _factors_to_plain(factors, name, tables, beside):
    """StructureFactors as a dict; name: of a file for the table."""
    values = {"default_F": factors.default_F} if factors.default_F else {}
    if factors.bounds is not None and tables != "omit":
        array = np.asarray(factors.values)
        values["bounds"], values["count"] = list(factors.bounds), factors.count
        if factors.wavelengths:
            values["wavelengths"] = list(factors.wavelengths)
        values["values"] = _array_to_plain(name, array, tables, beside)
    return values


def _part_to_plain(part, tables, beside, number=""):
    """A part as a dict of what is not at its default. number: of a crystal beside the first, in a file's name."""
    values = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name == "mask":
            if value is not None and tables != "omit":
                values["mask"] = _array_to_plain("mask", value, tables, beside)
        elif field.name == "structure_factors":
            if value is not None:
                name = f"structure_factors.crystal{number}"
                values["structure_factors"] = _factors_to_plain(value, name, tables, beside)
        elif field.name == "panels":
            if value is not None:
                values["panels"] = [_panel_to_plain(panel, tables, beside) for panel in value]
        elif value != field.default:
            values[field.name] = _plain(value)
    return values


def _panel_to_plain(panel, tables, beside):
    """A Panel as a dict of what is not at its default."""
    values = {}
    for field in dataclasses.fields(panel):
        value = getattr(panel, field.name)
        if field.name == "mask":
            if value is not None and tables != "omit":
                values["mask"] = _array_to_plain(f"mask.{panel.name}", value, tables, beside)
        elif field.default is dataclasses.MISSING or value != field.default:
            values[field.name] = _plain(value)
    return values


def _panels_from_plain(value, folder):
    """The fields of Panels in a list of dicts, or those of a geometry file that is named."""
    if isinstance(value, str):
        return Detector.read(_located(value, folder)).panels
    if not isinstance(value, list) or not all(isinstance(panel, dict) for panel in value):
        raise FieldError("detector.panels must be the name of a geometry file, or a list of tables of fields")
    made = []
    for panel in value:
        given = {key: field_value("detector", LIKE.get(key, key), x) for key, x in panel.items() if key != "mask"}
        if panel.get("mask") is not None:
            given["mask"] = _array_from_plain("panel.mask", panel["mask"], folder)
        made.append(given)
    return made


def _plain(value):
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def _array_to_plain(name, array, tables, beside):
    if tables == "files":
        return beside(name, array)
    # little-endian whatever the machine
    code = array.dtype.newbyteorder("<").str
    packed = zlib.compress(np.ascontiguousarray(array, dtype=code).tobytes(), 6)
    return {"dtype": code, "shape": list(array.shape), "zlib": base64.b64encode(packed).decode()}


def _array_from_plain(name, value, folder):
    """An array that `_array_to_plain` embedded or a file holds."""
    if isinstance(value, str):
        path = _located(value, folder)
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise NanoBraggError(f"{name}: cannot read {path} as an .npy file: {error}") from None
    try:
        data = zlib.decompress(base64.b64decode(value["zlib"], validate=True))
        return np.frombuffer(data, dtype=np.dtype(value["dtype"])).reshape(value["shape"])
    except (KeyError, TypeError, ValueError, zlib.error):
        raise FieldError(f"{name} must be the name of an .npy file, or a table of dtype, shape and zlib") from None


def _located(name, folder):
    return name if folder is None else os.path.join(os.fspath(folder), name)


def from_dict(cls: Any, values: dict[str, Any], folder: Any = None) -> Any:
    """An Experiment of class `cls`; see `Experiment.from_dict`."""
    if not isinstance(values, dict):
        raise FieldError(f"an experiment is a table of {', '.join((*PARTS, 'structure_factors'))}, not {values!r}")
    values = dict(values)
    physics = values.pop("physics", "exact")
    for name in values:
        if name not in PARTS and name != "structure_factors":
            hint = meant(name, (*PARTS, "structure_factors", "physics"), "the parts are")
            raise FieldError(f"{name} is no part of an experiment; {hint}")
        several = name == "crystal" and isinstance(values[name], list) and values[name]
        for table in values[name] if several else (values[name],):
            if not isinstance(table, dict):
                raise FieldError(f"{name} is {table!r}; it must be a table of fields")
    parts: dict[str, Any] = {}
    for name in PARTS:
        given = values.get(name, {})
        if isinstance(given, list):
            parts[name] = [_part_from_plain(name, each, folder) for each in given]
        else:
            parts[name] = _part_from_plain(name, given, folder)
    factors = factors_from_dict(values.get("structure_factors", {}), folder)
    return cls(**parts, structure_factors=factors, physics=physics)


def _part_from_plain(name, values, folder):
    """The part of a name with the fields of a dict."""
    given, part = dict(values), PARTS[name]
    names = list(vars(part)["__dataclass_fields__"])  # beam.energy among them
    for field in given:
        if field not in names:
            hint = meant(field, names, f"those of {name} are", {row.name: row.full_name for row in FIELDS})
            raise FieldError(f"{name}.{field} is no field; {hint}")
    mask, panels, factors = (given.pop(field, None) for field in ("mask", "panels", "structure_factors"))
    given = {field: field_value(name, field, value) for field, value in given.items()}
    if isinstance(given.get("spectrum"), str):
        given["spectrum"] = _located(given["spectrum"], folder)
    if mask is not None:
        given["mask"] = _mask_from_plain(mask, folder)
    if panels is not None:
        given["panels"] = _panels_from_plain(panels, folder)
    if factors is not None:
        if not isinstance(factors, dict):
            raise FieldError(f"{name}.structure_factors is {factors!r}; it must be a table of fields")
        given["structure_factors"] = factors_from_dict(factors, folder)
    return part(**given)


def _mask_from_plain(value, folder):
    """A mask: embedded, an .npy file, or an SMV image."""
    if isinstance(value, str) and not value.endswith(".npy"):
        from ..files.smv_read import read_smv

        return np.asarray(read_smv(_located(value, folder)).data)
    return _array_from_plain("detector.mask", value, folder)


def factors_from_dict(values: dict[str, Any], folder: Any = None) -> StructureFactors:
    """The table [structure_factors]: what `to_dict` made; or file, a name, with the arguments of
    `reflections.read`; or model, a name, with those of `models.from_model`."""
    from . import structure_factors

    given = dict(values)
    default_F = given.pop("default_F", 0.0)
    kinds = [key for key in ("values", "file", "model") if key in given]
    if len(kinds) > 1:
        raise FieldError(f"structure_factors has {' and '.join(kinds)}; give one of them")
    try:
        if "file" in given:
            return StructureFactors.read(_located(given.pop("file"), folder), default_F, **given)
        if "model" in given:
            if "d_min" not in given:
                raise FieldError("structure_factors.model needs structure_factors.d_min, its resolution in Angstrom")
            return StructureFactors.from_model(_located(given.pop("model"), folder), default_F=default_F, **given)
        if "values" in given:
            array = _array_from_plain("structure_factors.values", given.pop("values"), folder)
            bounds = tuple(given.pop("bounds", ()))
            if len(bounds) != 6 or not all(isinstance(bound, int) for bound in bounds):
                raise FieldError("structure_factors.bounds must be hmin, hmax, kmin, kmax, lmin and lmax")
            count = given.pop("count", 0)
            wavelengths = tuple(given.pop("wavelengths", ()))
            table = structure_factors.padded(array, bounds, len(wavelengths))
            factors = StructureFactors(bounds, table, count, default_F, wavelengths)
        else:
            factors = StructureFactors(default_F=default_F)
    except TypeError as error:
        raise FieldError(f"structure_factors: {str(error).partition(') ')[2] or error}") from None
    if given:
        raise FieldError(f"structure_factors.{next(iter(given))} is no field; give file, model or default_F")
    return factors


# ---- files ---------------------------------------------------------------------------------------------------------


def write(experiment: Any, path: Any, tables: str = "files") -> None:
    """Write an `Experiment` as TOML or JSON; see its `write`."""
    from ..files.atomic import write_file

    path = os.fspath(path)
    stem, ending = os.path.splitext(path)
    if ending not in (".toml", ".json"):
        raise FieldError(f"{path} ends in {ending or 'nothing'}; an experiment is written as .toml or .json")

    def beside(name, array):
        import io

        file = io.BytesIO()
        np.save(file, np.ascontiguousarray(array))
        name = f"{stem}.{name}.npy"
        write_file(name, file.getbuffer())
        return os.path.basename(name)

    values = to_dict(experiment, tables, beside)
    text = to_toml(values) if ending == ".toml" else json.dumps(values, indent=1) + "\n"
    write_file(path, text.encode())


def read(cls: Any, path: Any) -> Any:
    """The Experiment in a TOML or JSON file; see `Experiment.read`."""
    path = os.fspath(path)
    values = read_table(path)
    try:
        return from_dict(cls, values, os.path.dirname(path) or None)
    except FieldError as error:
        raise FieldError(f"{path}: {error}") from None


def read_table(path: str) -> dict[str, Any]:
    """The content of a TOML or (by its ending) JSON file; NanoBraggError, with the place, for what is neither."""
    import tomllib

    from ..files.reading import cannot_read, check_ends

    kind = "JSON" if path.lower().endswith(".json") else "TOML"
    try:
        with open(path, "rb") as file:
            check_ends(file)
            data = file.read()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        values = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise cannot_read(path, error) from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise NanoBraggError(f"{path}, line {line} is no text in UTF-8; save it as that") from None
    except ValueError as error:
        raise NanoBraggError(f"{path} is no {kind}: {error}") from None
    if not isinstance(values, dict):
        raise NanoBraggError(f"{path} holds no table of fields")
    return values


def to_toml(values: dict[str, Any]) -> str:
    """TOML of a dict of words and of tables whose values are words, numbers, lists, or tables of them on one line."""
    lines = []
    tables = []
    for name, value in values.items():
        if isinstance(value, dict):
            tables.append((f"[{name}]", value))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [(f"[[{name}]]", table) for table in value]
        else:
            lines.append(f"{name} = {_toml_value(value)}")
    for title, table in tables:
        lines.append(title)
        lines += [f"{key} = {_toml_value(value)}" for key, value in table.items()]
        lines.append("")
    return "\n".join(lines)


def _toml_value(value):
    if value is None:
        return "nan"  # a default within a row of sources; TOML has no null
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml_value(entry)}" for key, entry in value.items()) + " }"
    return "[" + ", ".join(_toml_value(entry) for entry in value) + "]"
