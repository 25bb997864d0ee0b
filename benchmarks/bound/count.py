"""How often the compiled code is gone through: a run of the drop-in, counted and printed as JSON.

    python count.py COUNTER STRETCHES FLAGS...

COUNTER is visits.c as a shared library. STRETCHES is a JSON file of stretches without a jump in the module that
renders: the address of the first instruction of each, and the bytes there that may be moved (loops.movable). The JSON
that is printed has the steps of the region of interest, and how often each stretch was gone through.
"""

import ctypes
import json
import os
import sys


def main():
    counter, stretches, *flags = sys.argv[1:]
    library = ctypes.CDLL(counter)
    library.visits_begin.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p, ctypes.c_int]
    library.visits_begin.argtypes += [ctypes.c_void_p] * 3
    from nanobragg_py.cli import dropin
    from nanobragg_py.render.backends import cpu_renderer

    module, _ = cpu_renderer()
    path = os.path.realpath(module.__file__)
    with open("/proc/self/maps") as maps:
        lines = [line.split() for line in maps if line.rstrip().endswith(path)]
    base = int(lines[0][0].split("-")[0], 16)
    (text,) = [line[0] for line in lines if "x" in line[1]]
    start, end = [int(word, 16) for word in text.split("-")]
    with open(stretches) as file:
        places = json.load(file)
    heads = (ctypes.c_int * len(places))(*[place + base - start for place, _ in places])
    moved = (ctypes.c_int * len(places))(*[bytes_there for _, bytes_there in places])
    visits = (ctypes.c_long * len(places))()
    copy = (ctypes.c_ubyte * (end - start))()
    render = module.render
    steps = []

    def counted(job, *arguments, **named):
        fast_min, fast_max, slow_min, slow_max = job.roi
        steps.append(job.steps_per_pixel * (fast_max - fast_min + 1) * (slow_max - slow_min + 1))
        if library.visits_begin(start, end - start, copy, len(places), heads, moved, visits):
            raise SystemExit("code cannot be changed here")
        try:
            return render(job, *arguments, **named)
        finally:
            library.visits_end()

    module.render = counted
    output, sys.stdout = os.dup(1), None
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    status = dropin.main(["nanoBragg", *flags, "-nonoise", "-nopgm", "-threads", "1"])
    with os.fdopen(output, "w") as file:
        json.dump({"steps": sum(steps), "visits": list(visits)}, file)
    return status


if __name__ == "__main__":
    sys.exit(main())
