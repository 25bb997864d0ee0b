"""Every kernel variant through NVRTC: logs, registers, spills, shared memory, instructions of the inner loop."""

import json
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import combinations
from pathlib import Path

import cuda_tools
import numpy as np
import pytest

from nanobragg_py.experiment.load import load_args
from nanobragg_py.kernels.loops.job import TRANSFORMS, Job
from nanobragg_py.render.gpu import structs
from nanobragg_py.render.gpu.variants import FOLDER, HEADERS, Variant, all_variants, options, source

BUDGETS = json.loads((Path(__file__).parent / "budgets.json").read_text())
#: kernels without choices, and whether products and sums are kept apart
PLAIN = {"rotation": False, "statistics": False, "pixels": True}
REPRESENTATIVES = ("square_555-constant", "gauss-tricubic-curved-single")
MOST_SPILLED = ()
VARIANTS = {variant.name: variant for variant in all_variants()}


@cache
def compiler(major):
    return cuda_tools.Nvrtc(major)


@cache  # tests share what they compile
def compile_one(name, major, architecture):
    """(cubin, what it uses) of a variant, or of a kernel without choices."""
    file, macros = ("intensity", VARIANTS[name].macros) if name in VARIANTS else (name, ())
    return compiler(major).compile(source(file), options(macros, PLAIN.get(file, False)), architecture)


def compile_all(jobs):
    """Compile (name, major, architecture), two at a time, and hold them to their budgets."""
    with ThreadPoolExecutor(2) as pool:
        for (name, *_), (_, used) in zip(jobs, pool.map(lambda job: compile_one(*job), jobs), strict=True):
            assert used["registers"] > 0, name
            assert_within(name if name in PLAIN else "intensity", used)


def assert_within(file, used):
    """The budgets of kernels; what is spilled is so beside the innermost loop, see `test_instructions_of_a_step`."""
    for what, limit in BUDGETS["resources"][file].items():
        assert used[what] <= limit, f"{file}: {what} {used[what]}, and the budget is {limit}"


def test_variants_cover_every_choice():
    assert len(VARIANTS) == 12 * len(TRANSFORMS)
    assert {variant.macros for variant in VARIANTS.values()} >= {
        Variant(kind=TRANSFORMS.index("tophat"), structure=2, curved=True, single=True).macros,
        Variant(kind=TRANSFORMS.index("square_555"), structure=0).macros,
    }


def pairs(name):
    """Every two of a variant's choices."""
    return {*combinations(enumerate(VARIANTS[name].macros), 2)}


def covering(chosen):
    """Names of variants with every two choices that go together: those given, and what is missing."""
    chosen = list(dict.fromkeys(chosen))
    seen = set().union(*map(pairs, chosen))
    while missing := {name: len(pairs(name) - seen) for name in VARIANTS if not pairs(name) <= seen}:
        chosen.append(max(missing, key=missing.get))
        seen |= pairs(chosen[-1])
    return chosen


#: variants that are compiled to the end each time; the others are, too, with -m gpu_golden_full
SOME = covering([*BUDGETS["step"], *REPRESENTATIVES, *MOST_SPILLED])


def test_variants():
    assert set().union(*map(pairs, SOME)) == set().union(*map(pairs, VARIANTS)) and len(SOME) < len(VARIANTS) / 3
    compile_all([(name, 12, 90) for name in SOME])


def test_the_text_of_every_variant():
    for variant in VARIANTS.values():
        compiler(12).check(source("intensity"), options(variant.macros), 90)


@pytest.mark.gpu_golden_full
def test_every_other_variant():
    compile_all([(name, 12, 90) for name in VARIANTS if name not in SOME])


def jobs_of(major, oldest):
    """What is compiled for architectures: for the oldest of each generation and two that are bought much, or others."""
    architectures = compiler(major).architectures()
    assert min(architectures) == {12: 70, 13: 75}[major] and max(architectures) >= 120
    first = {min(each for each in architectures if each // 10 == one // 10) for one in architectures}
    first |= {75, 90}
    chosen = [each for each in architectures if (each in first) == oldest]
    return [(name, major, architecture) for architecture in chosen for name in (*REPRESENTATIVES, *PLAIN)]


@pytest.mark.parametrize("major", [12, 13])
def test_every_generation(major):
    compile_all(jobs_of(major, True))


@pytest.mark.gpu_golden_full
@pytest.mark.parametrize("major", [12, 13])
def test_every_other_architecture(major):
    compile_all(jobs_of(major, False))


def test_a_number_that_is_no_transform_does_not_compile():
    for number in (-1, len(TRANSFORMS)):
        with pytest.raises(cuda_tools.CompilerError, match="none of the lattice transforms"):
            compiler(12).compile(source("intensity"), options(Variant(kind=number, structure=0).macros), 80)


def test_a_mistake_is_found():
    for look in (compiler(12).compile, compiler(12).check):
        with pytest.raises(cuda_tools.CompilerError, match="error"):
            look(source("rotation").replace("nb_rotate_cell", "nb_rotate_sell"), options(), 80)
        with pytest.raises(cuda_tools.CompilerError, match="never referenced"):
            text = source("rotation").replace("double turned[9];", "double turned[9]; int unused;")
            look(text, options(), 80)


@cache
def flushed_without_care():
    """Whether a plain conversion would flush."""
    text = source("intensity").replace("nb_float(photons)", "(float)photons")
    flushed, _ = compiler(12).compile(text, options(VARIANTS["gauss-constant"].macros), 80)
    return any(".FTZ." in opcode for opcode, _ in cuda_tools.disassemble(flushed)[0])


@pytest.mark.parametrize("architecture", [80, 90, 120])
@pytest.mark.parametrize("file", ["intensity", "pixels"])
def test_faint_pixels_are_kept(file, architecture):
    """CuPy has subnormal float32 numbers flushed: in arithmetic, but not where a pixel is made or read."""
    cubin, _ = compile_one({"intensity": "gauss-constant", "pixels": "pixels"}[file], 12, architecture)
    opcodes = {opcode for opcode, _ in cuda_tools.disassemble(cubin)[0] if opcode.startswith("F2F")}
    if file == "intensity":
        assert opcodes == {"F2F.F32.F64", "F2F.F64.F32"}
        assert flushed_without_care()
    else:  # the integer of a pixel may be made by way of a flushed one
        assert "F2F.F64.F32" in opcodes and not any(opcode.startswith("F2F.FTZ.F64") for opcode in opcodes)


@pytest.mark.parametrize("architecture", [80, 90])
@pytest.mark.parametrize("name", BUDGETS["step"])
def test_instructions_of_a_step(name, architecture):
    """What docs/gpu.md says of the cost: instructions of the innermost loop, for each of the pixels of a thread."""
    cubin, _ = compile_one(name, 12, architecture)
    opcodes = cuda_tools.innermost_loop(cubin)
    steps = VARIANTS[name].pixels * cuda_tools.TURN
    counts = cuda_tools.count_pipes(opcodes)
    assert counts["FP64"] > 0
    assert not any(opcode.startswith(("LDL", "STL")) for opcode in opcodes)
    budget = BUDGETS["step"][name]
    assert len(opcodes) <= budget["instructions"] * steps
    for unit in ("FP64", "FP32", "conversion"):
        assert counts[unit] <= budget[unit] * steps, unit


# ---- parameter structs ---------------------------------------------------------------------------------------------

#: struct -> the file that declares it, a kernel that includes that file, and the dtype that the host module has for it
STRUCTS = {
    "nb_job": ("nb_job.h", "intensity", None),
    "nb_lattice": ("shapes.h", "intensity", None),
    "nb_box": ("nb_structure.h", "intensity", None),
    "nb_shot": ("nb_job.h", "intensity", structs.SHOT),
    "nb_carried": ("intensity.cu", "intensity", structs.CARRIED),
    "nb_statistics": ("nb_statistics.h", "intensity", structs.STATISTICS),
    "nb_noise_row": ("pixels.cu", "pixels", structs.NOISE_ROW),
    "nb_noise_how": ("pixels.cu", "pixels", structs.NOISE_HOW),
}
MACROS = {"intensity": VARIANTS["square_555-constant"].macros, "pixels": ()}


def find(name):
    """A header, or a file of kernels, wherever it is."""
    return next(path for place in (FOLDER, *HEADERS) if (path := Path(place) / name).exists())


def declaration(name):
    """The C text that declares a struct, and the names of its fields."""
    text = re.sub(r"/\*.*?\*/", "", find(STRUCTS[name][0]).read_text(), flags=re.S)
    body = re.search(r"typedef struct \{([^}]*)\} " + name + ";", text)[1]
    return text, re.findall(r"(\w+)(?:\[\d+\])*\s*[,;]", body)


@cache
def layout(name):
    """Size of a struct and offsets of its fields, as gcc compiles it for the modules that fill it in."""
    text, fields = declaration(name)
    if STRUCTS[name][0].endswith(".cu"):
        text = re.search(r"typedef struct \{[^}]*\} " + name + ";", text)[0]
    values = ", ".join([f"(int)sizeof({name})", *(f"(int)offsetof({name}, {field})" for field in fields)])
    program = f"#include <stddef.h>\n#include <stdio.h>\n{text}\nint main(void)\n{{ int i, n[] = {{{values}}};\n"
    program += "for (i = 0; i < (int)(sizeof n / sizeof *n); i++) printf(\"%d \", n[i]); return 0; }\n"
    with tempfile.TemporaryDirectory() as folder:
        command = ["gcc", "-x", "c", "-", *(f"-I{place}" for place in HEADERS), "-lm", "-o", f"{folder}/layout"]
        subprocess.run(command, input=program, text=True, check=True)
        size, *offsets = map(int, subprocess.run([f"{folder}/layout"], capture_output=True, check=True).stdout.split())
    return size, dict(zip(fields, offsets, strict=True))


def assertions(name, size, offsets):
    """C text that does not compile when a struct is laid out otherwise."""
    lines = [f'static_assert(sizeof({name}) == {size}, "size of {name}");']
    lines += [
        f'static_assert(__INTADDR__(&(({name} *)0)->{field}) == {offset}, "{name}.{field}");'
        for field, offset in offsets.items()
    ]
    return "\n".join(lines)


@pytest.mark.compiler
@pytest.mark.parametrize("name", STRUCTS)
def test_structs_are_laid_out_alike(name):
    """By gcc, by NVRTC, and in the host module's dtypes."""
    _, file, dtype = STRUCTS[name]
    size, offsets = layout(name)
    assert len(offsets) >= 2
    for major in (12, 13):
        compiler(major).check(source(file) + assertions(name, size, offsets), options(MACROS[file]), 80)
    with pytest.raises(cuda_tools.CompilerError, match="static assertion failed"):
        compiler(12).check(source(file) + assertions(name, size + 8, offsets), options(MACROS[file]), 80)
    if name == "nb_shot":  # the job's bytes come first
        offsets = {field: offset - offsets["cell"] for field, offset in offsets.items() if field != "job"}
        size -= layout("nb_job")[0]
    if dtype is not None:
        assert (dtype.itemsize, {field: dtype.fields[field][1] for field in dtype.names}) == (size, offsets)


@pytest.mark.compiler
def test_the_job_is_passed_whole():
    words = "-default_F 100 -cell 90 90 90 90 90 90 -N 3 -detpixels 4"
    job = Job(load_args(words.split()).experiment)
    size, offsets = layout("nb_job")
    assert size == len(job.params)
    shot = structs.shot_bytes(job, (1, 2, 3, -1, 5), (6, 7, 8.5))
    tail = np.frombuffer(shot[size:], structs.SHOT)[0]
    assert shot[:size] == job.params and len(shot) == layout("nb_shot")[0]
    assert [tail[name] for name in structs.SHOT.names[2:]] == [1, 2, 3, -1, 5, job.stride, job.domains_turn, 6, 7, 8.5]
    assert tail["cell"].tolist() == list(job.rotation[0]) and tail["spindle"].tolist() == list(job.rotation[1])
    assert np.frombuffer(job.params, "i4", 2, offsets["fpixels"]).tolist() == [4, 4]
    assert np.frombuffer(job.params, "f8", 1, offsets["default_F"]).tolist() == [100.0]


def test_headers_change_the_text(monkeypatch, tmp_path):
    """CuPy looks at the text alone to find a kernel that it compiled before."""
    from nanobragg_py.render.gpu import variants

    for place in HEADERS:
        for path in Path(place).glob("*.h"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(variants, "HEADERS", (str(tmp_path),))
    before = variants.source("rotation")
    with open(tmp_path / "nb_cell.h", "a") as file:
        file.write("\n")
    assert variants.source("rotation") != before
