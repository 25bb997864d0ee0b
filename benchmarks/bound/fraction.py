"""The least time that this machine can take for a workload's loops, from its units and what the loops ask of them."""

import json
import math
import os
import platform
import subprocess
import sys
import tempfile

from . import loops, units

HERE = os.path.dirname(os.path.abspath(__file__))
#: rows of the image that are counted, at these parts of the way from its first row to its last
ROWS = (0.6,)
#: the same where spots end, and rows differ
MANY_ROWS = tuple(part / 8 + 1 / 16 for part in range(8))
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
        stretches = loops.stretches(code)
        self.contents = loops.contents(code, stretches)
        self.places = os.path.join(folder, "stretches.json")
        with open(self.places, "w") as file:
            json.dump([(code[first][0], loops.movable(code, first, end)) for first, end in stretches], file)

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
        lines += ["  in equal parts: " + ", ".join(self._pairs(width))]
        return "\n".join(lines)

    def _pairs(self, width):
        """What pairs of kinds come to: with units of their own, more than either alone."""
        pairs = [("fma", "add"), ("fma", "logic"), ("add", "logic"), ("fma", "round"), ("add", "shuffle")]
        mixes = {f"{a} and {b}": {(a, width, ""): 1, (b, width, ""): 1} for a, b in pairs}
        speeds = units.measure_units(units.compile_units(self.level, self._folder.name, mixes))
        return [f"{name} {1.0 / speeds[name, 'mix']:.2f}" for name in mixes if (name, "mix") in speeds]

    def program(self, counts):
        """What measures the units, for a workload's `counted`, as `speeds` takes it."""
        return units.compile_units(self.level, self._folder.name, mixes(counts))

    def speeds(self, program=None):
        """{(kind, width): nanoseconds}, measured now."""
        return units.measure_units(program or self.units)

    def counted(self, flags, folder):
        """{(kind, width, place): instructions a step} of a workload. flags: a list of words.

        What rows take, that is the difference between some and twice as many.
        """
        total, steps, pixels = {}, 0, int(flags[flags.index("-detpixels") + 1])
        fast, rows = [0, pixels - 1], 4  # a whole portion, see kernels/loops/render.pyx
        places = [int(part * pixels) for part in (MANY_ROWS if "-gauss_xtal" in flags else ROWS)]
        if "-roi" in flags:
            *fast, first, last = (int(word) for word in flags[flags.index("-roi") + 1 :][:4])
            rows, places = (last - first + 1) // 2, [first]
        for row in places:
            for last, sign in ((row + 2 * rows - 1, 1), (row + rows - 1, -1)):
                region = [str(word) for word in (*fast, row, last)]
                command = [sys.executable, "-P", os.path.join(HERE, "count.py"), self.counter, self.places, *flags]
                done = subprocess.run([*command, "-roi", *region], cwd=folder, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
                found = json.loads(done.stdout)
                steps += sign * found["steps"]
                for times, content in zip(found["visits"], self.contents, strict=True):
                    for key, number in content.items() if times else ():
                        total[key] = total.get(key, 0) + sign * times * number
        return {key: number / steps for key, number in total.items() if number > 0}


def mixes(counts):
    """{unit: {(kind, width, place): number}}: what of `Bounds.counted` each unit has to do.

    Floating-point arithmetic with roundings and conversions; everything that vector units do; divisions and roots;
    loads and gathers; stores; all instructions, as such that do nothing; and everything as it is.
    """
    found = {unit: {} for unit in ("arithmetic", "vector", "divider", "loads", "stores", "instructions", "together")}

    def add(unit, key, number):
        found[unit][key] = found[unit].get(key, 0) + number

    for (kind, width, place), number in counts.items():
        if kind in loops.ARITHMETIC:
            add("arithmetic", (kind, width, ""), number)
        if kind in loops.WORK and place != "store":
            add("vector", (kind, width, ""), number)
        if kind.startswith(("divide", "root")):
            add("divider", (kind, width, ""), number)
        if kind == "gather":
            add("loads", (kind, width, ""), number)
        elif place:
            add(f"{place}s", ("move" if width else "scalar", width, place), number)
        add("instructions", ("scalar", "", ""), number)
        add("together", (kind, width, place), number)
    return found


def bound(counts, speeds, touched=0.0):
    """(nanoseconds a step at least, the unit that takes them), from `Bounds.counted` and `Bounds.speeds`.

    Units work side by side, so the busiest counts. touched: nanoseconds that the system takes to clear memory, a step,
    which come on top.
    """
    times = unit_times(counts, speeds)
    times.pop("together", None)
    unit = max(times, key=times.get)
    if unit == "vector" and times["arithmetic"] > 0.98 * times["vector"]:  # which is a part of it
        unit = "arithmetic"
    return max(times.values()) + touched, unit


def unit_times(counts, speeds):
    """{unit: nanoseconds a step}: measured with its mix, but never more than its kinds one by one take."""
    found = {}
    for unit, content in mixes(counts).items():
        if (unit, "mix") in speeds:
            alone = [number * speeds.get((kind, width), math.inf) for (kind, width, _), number in content.items()]
            found[unit] = min(sum(content.values()) * speeds[unit, "mix"], sum(alone))
    return found


def touch_time(shape, first, last, speeds):
    """Nanoseconds that the system takes to clear the pages of a float32 image that a loop is first to write, in rows
    `first` to `last`. Small images are there before it (kernels/memory/buffers.pyx)."""
    slow, fast = shape
    if slow * fast * 4 < HUGE // 4:
        return 0.0
    pages = (last + 1) * fast * 4 // -HUGE * -1 - first * fast * 4 // HUGE
    if (last + 1 - first) * fast * 4 < HUGE:
        pages = 1  # new_image of nanobragg_py/render/simulate.py sees to that
    return pages * HUGE * speeds["touch huge", ""]
