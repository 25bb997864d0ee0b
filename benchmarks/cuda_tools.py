"""NVRTC and nvdisasm from NVIDIA's packages on PyPI: what the kernels compile to, without a GPU.

Wanted: nvidia-cuda-nvrtc-cu12, nvidia-cuda-nvrtc (CUDA 13) and nvidia-cuda-nvdisasm.
"""

import ctypes
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

#: libraries by their major version
LIBRARIES = {12: "cuda_nvrtc/lib/libnvrtc.so.12", 13: "cu13/lib/libnvrtc.so.13"}
NVDISASM = "cu13/bin/nvdisasm"

#: what the compilers say of architectures that they will drop; every other line of a log is an error
EXPECTED = re.compile(r"\s*$|nvrtc: warning: Architectures prior to .* are deprecated|ptxas (info|\s+\.) ")

#: orientations of a turn of the innermost loop (kernels/loops/intensity.cu)
TURN = 2

#: which unit of a multiprocessor executes an instruction, by the beginning of its name
PIPES = {
    "FP64": ("DFMA", "DADD", "DMUL", "DSETP", "DMNMX"),
    "FP32": ("FFMA", "FADD", "FMUL", "FSETP", "FMNMX", "FSEL", "FCHK"),
    "conversion": ("FRND", "F2F", "F2I", "I2F", "MUFU"),
    "load": ("LDS", "LDG", "LDC", "ULDC", "LDL", "LD.", "LDCU"),
    "store": ("STS", "STG", "STL"),
    "control": ("BRA", "BSSY", "BSYNC", "EXIT", "CALL", "RET", "BAR", "WARPSYNC"),
}


def cupys(options, architecture):
    """Compiler options as CuPy hands them on: it flushes subnormal float32 numbers, whatever its caller says."""
    return (*options, "-ftz=true", f"-arch=sm_{architecture}", "--device-as-default-execution-space")


class CompilerError(Exception):
    """The log of a compilation that failed, or that had something to say."""


def find(name):
    """A file of NVIDIA's packages."""
    import nvidia

    for folder in nvidia.__path__:
        path = Path(folder) / name
        if path.exists():
            return path
    raise FileNotFoundError(f"{name} of NVIDIA's packages; pip install 'nanobragg-py[test]'")


class Nvrtc:
    """The run-time compiler. major: of CUDA, 12 or 13."""

    def __init__(self, major):
        self._library = ctypes.CDLL(str(find(LIBRARIES[major])))

    def architectures(self, oldest=70):
        """Compute capabilities it compiles for, as numbers such as 90."""
        count = ctypes.c_int()
        self._library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
        numbers = (ctypes.c_int * count.value)()
        self._library.nvrtcGetSupportedArchs(numbers)
        return [number for number in numbers if number >= oldest]

    def compile(self, code, options, architecture):
        """Machine code by CuPy's options, and what it uses: (cubin, dict of registers, spilled and shared bytes).

        Raises CompilerError.
        """
        cubin, log = self._compile(code, [*cupys(options, architecture), "--ptxas-options=-v"], "CUBIN")
        return cubin, resources(log)

    def check(self, code, options, architecture):
        """Raise CompilerError for what is wrong with the text, or is warned of: a tenth of what compiling takes."""
        self._compile(code, [*cupys(options, architecture), "-dlto"], "LTOIR")

    def _compile(self, code, words, what):
        """(what is made, the log); CompilerError where that says anything of its own."""
        program = ctypes.c_void_p()
        self._library.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"kernel.cu", 0, None, None)
        status = self._library.nvrtcCompileProgram(
            program, len(words), (ctypes.c_char_p * len(words))(*[word.encode() for word in words])
        )
        log = self._text(program, "ProgramLog").decode()
        strange = [line for line in log.splitlines() if not EXPECTED.match(line)]
        made = b"" if status else self._text(program, what)
        self._library.nvrtcDestroyProgram(ctypes.byref(program))
        if status or strange:
            raise CompilerError("\n".join(strange) or log)
        return made, log

    def _text(self, program, what):
        size = ctypes.c_size_t()
        getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        getattr(self._library, f"nvrtcGet{what}")(program, text)
        return text.value if what == "ProgramLog" else text.raw


def resources(log):
    """Most registers, spilled bytes (stores and loads) and shared bytes of the kernels that a log of ptxas -v names."""
    return {
        "registers": most(log, r"Used (\d+) registers"),
        "spilled": most(log, r"(\d+) bytes spill stores") + most(log, r"(\d+) bytes spill loads"),
        "shared": most(log, r"(\d+) bytes smem"),
    }


def most(log, pattern):
    """The largest number that a pattern finds; 0: none."""
    return max(map(int, re.findall(pattern, log)), default=0)


def disassemble(cubin):
    """The instructions of a cubin, (opcode, operands) each, and its labels: name -> index of the instruction."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([str(find(NVDISASM)), "-c", file.name], capture_output=True, text=True, check=True).stdout
    instructions, labels = [], {}
    for line in text.splitlines():
        label = re.match(r"\s*(\.L_\w+):", line)
        if label:
            labels[label[1]] = len(instructions)
        found = re.search(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)\s*(.*?);", line)
        if found:
            instructions.append((found[1], found[2]))
    return instructions, labels


def innermost_loop(cubin):
    """Opcodes of the innermost loop over orientations: the one with most arithmetic.

    Without NOPs, with which NVRTC 12.9 pads FP64 instructions for sm_120 (NVRTC 13 does not).
    """
    instructions, labels = disassemble(cubin)
    loops = []
    for end, (opcode, operands) in enumerate(instructions):
        target = re.search(r"\((\.L_\w+)\)", operands) if opcode.startswith("BRA") else None
        if target and labels.get(target[1], end + 1) <= end:
            loops.append((labels[target[1]], end + 1))
    inner = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    bodies = [[opcode for opcode, _ in instructions[begin:end] if opcode != "NOP"] for begin, end in inner]
    return max(bodies, key=lambda body: sum(pipe(opcode) in ("FP64", "FP32") for opcode in body))


def pipe(opcode):
    """The unit that executes an instruction; what is in no list is integer work."""
    return next((name for name, begins in PIPES.items() if opcode.startswith(begins)), "integer")


def count_pipes(opcodes):
    """How many instructions go to each unit."""
    return Counter(map(pipe, opcodes))
