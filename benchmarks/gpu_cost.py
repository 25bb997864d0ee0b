"""The cost of a step on a GPU, on paper: instructions of the innermost loop and the bounds that follow.

python benchmarks/gpu_cost.py prints the table of docs/gpu.md. No GPU is needed; see cuda_tools.py for what is.
"""

import cuda_tools

from nanobragg_py.render.gpu.variants import all_variants, options, source

#: what NVIDIA's data sheets and programming guide say: numbers in FP64 and FP32 (not tensor cores) a clock and
#: multiprocessor; multiprocessors and their clock (boost), GHz
DEVICES = {
    80: {"name": "A100 SXM", "FP64": 32, "FP32": 64, "multiprocessors": 108, "clock": 1.41},
    90: {"name": "H100 SXM", "FP64": 64, "FP32": 128, "multiprocessors": 132, "clock": 1.98},
    120: {"name": "RTX 5090", "FP64": 2, "FP32": 128, "multiprocessors": 170, "clock": 2.41},
}
#: in a clock, a multiprocessor converts to or from float64, issues instructions (counted by lane), and reads bytes of
#: shared memory
CONVERSIONS, ISSUED, SHARED = 16, 128, 128
#: bytes that a thread reads from shared memory for an orientation
ROW = 72

SHOWN = (
    "square_555-constant",
    "square_555-constant-single",
    "square_555-nearest",
    "square_general-constant",
    "round-constant",
    "gauss-constant",
)


def count(compiler, variant, architecture):
    """Instructions for one pixel and orientation by unit, and all of them."""
    cubin, _ = compiler.compile(source("intensity"), options(variant.macros), architecture)
    opcodes = cuda_tools.innermost_loop(cubin)
    steps = variant.pixels * cuda_tools.TURN
    counts = cuda_tools.count_pipes(opcodes)
    each = {unit: counts[unit] / steps for unit in (*cuda_tools.PIPES, "integer")}
    return each, len(opcodes) / steps, variant.pixels


def bounds(architecture, counts, total, pixels):
    """1e9 steps a second that each unit allows."""
    device = DEVICES[architecture]
    cycles = device["multiprocessors"] * device["clock"]
    found = {
        "FP64": cycles * device["FP64"] / counts["FP64"],
        "conversions": cycles * CONVERSIONS / counts["conversion"],
        "issue": cycles * ISSUED / total,
        "shared memory": cycles * SHARED * pixels / ROW,
    }
    if counts["FP32"]:
        found["FP32"] = cycles * device["FP32"] / counts["FP32"]
    return found


def table():
    """Lines of the table in docs/gpu.md."""
    compiler = cuda_tools.Nvrtc(12)
    variants = {variant.name: variant for variant in all_variants()}
    lines = [
        "| kernel | device | FP64 | FP32 | conversion | integer | load | all | bound, Gstep/s | by |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in SHOWN:
        for architecture, device in DEVICES.items():
            counts, total, pixels = count(compiler, variants[name], architecture)
            limit, unit = min((value, key) for key, value in bounds(architecture, counts, total, pixels).items())
            numbers = [counts[key] for key in ("FP64", "FP32", "conversion", "integer", "load")]
            cells = [name, device["name"], *(f"{number:g}" for number in (*numbers, total)), f"{limit:.0f}", unit]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
