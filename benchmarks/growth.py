"""What the cost of a step should not depend on, and how it grows with it: `benchmarks/run.py --scaling`."""

import array
import math
import os

BASE = "-cell 100 100 100 90 90 90 -lambda 1 -distance 100 -pixel 0.1 -N 5 -seed 1"
CONSTANT = f"-default_F 100 {BASE}"

#: side of the cube of reflections that is given as a dump file: as text it would have gigabytes
DUMPED = 465


def tall(rows):
    """Flags of an image of so many rows of 256 pixels about the beam."""
    return f"-detpixels_x 256 -detpixels_y {rows} -Xbeam 12.8 -Ybeam {0.05 * rows:g}"


#: What the cost of a step should not depend on. Fewer domains or wavelengths have more pixels, so that every loop is
#: long beside what a process does once, a fiftieth of a millisecond. The cell of "reflections" grows with their number
#: n (a cube of them), so that the detector sees most of them, and the gather reaches all over the table.
SCALING = {
    "pixels a side": [(2**n, f"{CONSTANT} -detpixels {2**n} -oversample 1 -nonoise -nopgm") for n in range(8, 15)],
    "mosaic domains": [
        (n, f"{CONSTANT} {tall(rows)} -oversample 1 -mosaic 0.5 -mosaic_domains {n} -nonoise -nopgm")
        for n, rows in ((10, 4096), (100, 1024), (1000, 256), (10000, 64), (100000, 16))
    ],
    "wavelengths": [
        (n, f"{CONSTANT} {tall(rows)} -oversample 1 -dispersion 1 -dispsteps {n} -nonoise -nopgm")
        for n, rows in ((1, 4096), (10, 4096), (100, 1024), (1000, 256))
    ],
    "reflections": [
        (
            side**3,
            f"-hkl cube.hkl {BASE} -cell {side * 1.09:g} {side * 1.09:g} {side * 1.09:g} 90 90 90 -detpixels 1024 "
            "-oversample 1 -nonoise -nopgm",
        )
        for side in (21, 47, 101, 215)
    ]
    + [(DUMPED**3, f"{BASE} -cell 500 500 500 90 90 90 -detpixels 1024 -oversample 1 -nonoise -nopgm")],
    "panels": [
        (n, f"-geometry panels.geom {CONSTANT.replace('-pixel 0.1 ', '')} -oversample 1 -nonoise -nopgm")
        for n in (1, 4, 16, 64, 256)
    ],
}
#: pixels a side of the images whose peak memory is measured
MEMORY = (1024, 2048, 4096, 8192, 16384)


def write_cube(folder, count):
    """`count` reflections, a cube of odd side around the origin: cube.hkl, or, from DUMPED on, Fdump.bin."""
    side = round(count ** (1 / 3))
    half = side // 2
    span = range(-half, half + 1)
    if side >= DUMPED:
        row = array.array("d", [50 + (13 * l) % 100 for l in span] + [0]).tobytes()
        with open(os.path.join(folder, "Fdump.bin"), "wb") as file:
            file.write(f"{-half} {half} {-half} {half} {-half} {half}\n\f".encode())
            for _ in range(side + 1):
                file.write(row * (side + 1))
        return
    with open(os.path.join(folder, "cube.hkl"), "w") as file:
        for h in span:
            for k in span:
                file.writelines([f"{h} {k} {l} {50 + (7 * h + 11 * k + 13 * l) % 100}\n" for l in span])


def write_panels(folder, count):
    """panels.geom: 1024 x 1024 pixels of 0.1 mm as a square of `count` panels."""
    across = math.isqrt(count)
    side = 1024 // across
    lines = ["photon_energy = 12398.42 eV", "clen = 0.1 m", "res = 10000", "dim0 = ss", "dim1 = fs"]
    for number in range(count):
        slow, fast = divmod(number, across)
        name = f"p{number}"
        lines += [f"{name}/min_fs = 0", f"{name}/max_fs = {side - 1}", f"{name}/fs = +1.0x", f"{name}/ss = +1.0y"]
        lines += [f"{name}/min_ss = {side * number}", f"{name}/max_ss = {side * (number + 1) - 1}"]
        lines += [f"{name}/corner_x = {fast * side - 512}", f"{name}/corner_y = {slow * side - 512}"]
    with open(os.path.join(folder, "panels.geom"), "w") as file:
        file.write("\n".join(lines) + "\n")


def growth(rest):
    """Tables of how costs grow, in Markdown, with the largest cost of a step over the smallest."""
    lines = []
    for what, series in rest["scaling"].items():
        spread = max(ns for _, ns in series) / min(ns for _, ns in series)
        lines += [f"| {what} | " + " | ".join(str(n) for n, _ in series) + " | most over least |"]
        lines += ["|---" * (len(series) + 2) + "|"]
        lines += ["| ns a step | " + " | ".join(f"{ns:.2f}" for _, ns in series) + f" | {spread:.2f} |", ""]
    series = rest["memory_by_side"]
    lines += ["| pixels a side | " + " | ".join(str(side) for side, _ in series) + " |"]
    lines += ["|---" * (len(series) + 1) + "|"]
    lines += ["| peak memory, MB | " + " | ".join(f"{megabytes:.0f}" for _, megabytes in series) + " |"]
    least = series[0]
    cells = [f"{(mb - least[1]) * 1e6 / (side**2 - least[0] ** 2):.1f}" for side, mb in series[1:]]
    return "\n".join([*lines, "| bytes a pixel more | - | " + " | ".join(cells) + " |"])
