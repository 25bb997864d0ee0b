"""The least time that this machine can take for a workload's loops, from its units and what the loops ask of them."""

import json
import os
import platform
import subprocess
import sys
import tempfile

from . import loops, units

HERE = os.path.dirname(os.path.abspath(__file__))
#: rows of the image that are counted, at these parts of the way from its first row to its last
ROWS = (0.3, 0.6)
LANES = {"x": 2, "y": 4, "z": 8}  # numbers of eight bytes
WIDEST = {"base": "x", "v3": "y", "v4": "z"}
#: bytes that the system clears at once
HUGE = 1 << 21


class Bounds:
    """What is needed for bounds: programs that are compiled once, in a folder that goes with the object.

    level: of the instruction set that the installed package takes, "base", "v3" or "v4". reason: a sentence where there
    can be no bounds, else None.
    """

    def __init__(self):
        self.reason = None
        self._folder = tempfile.TemporaryDirectory()
        folder = self._folder.name
        self.module, self.level = self._module()
        if platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux":
            self.reason = "no bounds: instructions are counted on x86-64 Linux only"
            return
        code = loops.disassemble(self.module)
        if code is None:
            self.reason = "no bounds: there is no objdump, which takes the loops apart"
            return
        self.units = units.compile_units(self.level, folder)
        self.counter = os.path.join(folder, "visits.so")
        source = os.path.join(HERE, "visits.c")
        if (
            self.units is None
            or subprocess.run(["cc", "-O2", "-fPIC", "-shared", source, "-o", self.counter]).returncode
        ):
            self.reason = f"no bounds: there is no compiler that knows {self.level}"
            return
        self.loops = loops.innermost(code)
        self.contents = loops.contents(code, self.loops)
        self.places = os.path.join(folder, "loops.json")
        with open(self.places, "w") as file:
            json.dump(self.loops, file)

    def _module(self):
        """The path of the compiled module that renders, and its level."""
        code = "from nanobragg_py.render import backends; module, level = backends.cpu_renderer(); "
        code += "print(module.__file__, level, sep=chr(10))"
        command = [sys.executable, "-P", "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    def describe(self):
        """Lines that say what the units do, or why there is nothing to say."""
        if self.reason:
            return self.reason
        width = WIDEST[self.level]
        lines = [f"{self.level}: billions of instructions a second, {8 * LANES[width]} bytes each, at best"]
        lines += [f"  {kind}: {1.0 / ns:.2f}" for (kind, of), ns in self.speeds().items() if of == width]
        return "\n".join(lines)

    def speeds(self):
        """{(kind, width): nanoseconds}, measured now."""
        return units.measure_units(self.units)

    def counted(self, flags, folder):
        """{(kind, width): instructions a step} of a workload's loops. flags: a list of words."""
        total, steps, pixels = {}, 0, int(flags[flags.index("-detpixels") + 1])
        for part in ROWS:
            given = flags
            if "-roi" not in flags:  # a whole portion of rows, see kernels/loops/render.pyx
                row = int(part * pixels)
                given = [*flags, "-roi", "0", str(pixels - 1), str(row), str(row + 3)]
            elif steps:
                break
            command = [sys.executable, "-P", os.path.join(HERE, "count.py"), self.counter, self.places, *given]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
            found = json.loads(done.stdout)
            steps += found["steps"]
            for times, content in zip(found["visits"], self.contents, strict=True):
                for key, number in content.items():
                    total[key] = total.get(key, 0) + times * number
        return {key: number / steps for key, number in total.items()}


def bound(counts, speeds, touched=0.0):
    """(nanoseconds a step at least, the unit that takes them), from `Bounds.counted` and `Bounds.speeds`.

    Units work side by side, so the busiest counts: floating-point arithmetic with roundings and conversions; everything
    that vector units do, at the rate of their simplest instruction; shuffles; divisions and roots; loads and gathers;
    stores; all instructions, at the rate at which the processor takes in such as do nothing. touched: bytes of memory
    a step that the system has to clear, times nanoseconds each, which come on top.
    """
    times = dict.fromkeys(("arithmetic", "vector", "shuffles", "divider", "loads", "stores", "instructions"), 0.0)
    for (kind, width), number in counts.items():
        if (kind, width) not in speeds:
            continue
        time = number * speeds[kind, width]
        if kind in ("arithmetic", "round", "convert", "estimate"):
            times["arithmetic"] += time
            # how many of the simplest instructions it counts for
            times["vector"] += (
                time / speeds["arithmetic", width] * min(speeds["logic", width], speeds["arithmetic", width])
            )
        elif kind in ("logic", "shuffle"):
            times["vector"] += number * speeds["logic", width]
        if kind == "shuffle":
            times["shuffles"] += time
        elif kind.startswith(("divide", "root")):
            times["divider"] += time
        elif kind in ("load", "gather"):
            times["loads"] += time
        elif kind == "store":
            times["stores"] += time
        elif kind == "all":
            times["instructions"] += time
    unit = max(times, key=times.get)
    return times[unit] + touched, unit


def touch_time(shape, first, last, speeds):
    """Nanoseconds that the system takes to clear the pages of a float32 image that a loop is first to write, in rows
    `first` to `last`. Small images are there before it (kernels/memory/buffers.pyx)."""
    slow, fast = shape
    if slow * fast * 4 < HUGE // 4:
        return 0.0
    pages = (last + 1) * fast * 4 // -HUGE * -1 - first * fast * 4 // HUGE
    return pages * HUGE * speeds["touch huge", ""]
