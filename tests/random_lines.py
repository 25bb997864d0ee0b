"""Random command lines that the reference can render, over most of its flags, and the input files they name.

Left out is what makes the reference crash, take its time from the clock, or read memory that is not its own.
"""

import random
import shlex
import shutil
from pathlib import Path

INPUTS = Path(__file__).parent.parent / "golden" / "inputs"
FILES = ("A.mat", "full8.hkl", "holes6.hkl", "sources.txt", "ice.stol")
FAST, SLOW = 12, 10


def write_inputs(folder, seed=1):
    """The input files of the random lines, into a folder."""
    for name in FILES:
        shutil.copy(INPUTS / name, folder)
    numbers = random.Random(seed)
    header = (
        f"HEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\nSIZE1={FAST};\nSIZE2={SLOW};\n"
        "PIXEL_SIZE=1.5;\nDISTANCE=120.5;\nWAVELENGTH=1.25;\nBEAM_CENTER_X=8.25;\nBEAM_CENTER_Y=7.5;\nPHI=3.5;\n"
        "OSC_RANGE=1.5;\n"
    )
    pixels = b"".join(numbers.choice((0, 1, 7, 7, 300)).to_bytes(2, "little") for _ in range(FAST * SLOW))
    data = b"{\n" + header.encode() + b"}\f"
    (Path(folder) / "mask.img").write_bytes(data.ljust(512) + pixels)
    (Path(folder) / "header.img").write_bytes(data.replace(b"PHI=3.5", b"PHI=0").ljust(512) + pixels)


class Lines:
    """A stream of command lines; the same seed gives the same stream."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, probability):
        return self.random.random() < probability

    def number(self, low, high, zero=0.0):
        """A number as a user would type it; sometimes 0."""
        if self.chance(zero):
            return "0"
        return f"{self.random.uniform(low, high):.{self.random.randint(1, 6)}g}"

    def numbers(self, count, low, high):
        return [self.number(low, high) for _ in range(count)]

    def whole(self, low, high):
        return str(self.random.randint(low, high))

    def pick(self, *choices):
        return self.random.choice(choices)

    def line(self):
        """The tokens of one command line."""
        groups = [
            *self.crystal(),
            *self.structure_factors(),
            *self.beam(),
            *self.detector(),
            *self.sampling(),
            *self.output(),
        ]
        groups = self.sensible(groups)
        self.random.shuffle(groups)
        # -misset_seed fires -misset with what follows it, so all of it stays at the end
        groups += [["-seed", self.whole(1, 10**6)]]
        if any(group[:2] == ["-misset", "random"] for group in groups):
            groups.insert(0, ["-misset_seed", self.whole(1, 10**6), "-misset", "random"])
        if self.chance(0.05):
            groups.append(["-curved_det"])
        return [word for group in groups for word in group]

    @staticmethod
    def sensible(groups):
        """The groups without combinations of which the reference makes nothing that could be compared."""
        groups = [group for group in groups if group]
        words = {word for group in groups for word in group}
        if words & {"-printout", "-printout_pixel"}:
            # values of steps that were left out are what lay in memory; ten digits of a Gaussian's tail are rounding
            left_out = ("-dmin", "-tophat_spots", "-binary_spots", "-gauss_xtal")
            groups = [group for group in groups if group[0] not in left_out]
        if "-round_xtal" in words:
            # a pixel exactly in the direct beam is the rounding of 1e-16 there, between nothing and everything
            groups = [group for group in groups if "beam" not in group[0] and "close" not in group[0]]
            groups.append(["-Xbeam", "3.217", "-Ybeam", "2.894"])
        if any(group[0] == "-beam_vector" and "-fdet_vector" in group for group in groups):
            # the vectors of a whole frame; one more alone would lay the detector along the beam, out of reach
            groups = [group for group in groups if group[0] not in ("-beam_vector", "-odet_vector") or len(group) > 4]
        if "-osc" in words:
            # a step larger than the range makes no phi step at all, and an image of nan
            groups = [group for group in groups if group[0] != "-phistep"]
        if "-hkl" in words and not words & {"-nointerpolate"}:
            # its interpolation warning has no line feed and swallows whatever is printed next
            groups = [group for group in groups if group[0] not in ("-printout", "-printout_pixel")]
            groups.append(["-noprogress"])
        return groups

    def crystal(self):
        groups = []
        if self.chance(0.25):
            groups.append(["-mat", "A.mat"])
        if not groups or self.chance(0.2):
            lengths = self.numbers(self.random.randint(1, 3), 20, 150)
            angles = []
            if len(lengths) == 3 and self.chance(0.7):
                angles = [self.pick("90", self.number(70, 110)) for _ in range(self.random.randint(1, 3))]
            groups.append(["-cell", *lengths, *angles])
        if self.chance(0.3):
            groups.append(["-misset", *self.numbers(3, -180, 180)] if self.chance(0.7) else ["-misset", "random"])
        if self.chance(0.5):
            groups.append(["-N", self.whole(1, 8)])
        elif self.chance(0.8):
            groups.append(["-Na", self.whole(1, 30), "-Nb", self.whole(1, 12), "-Nc", self.whole(1, 12)])
        else:
            groups.append(["-xtalsize", self.number(1e-5, 1e-4)])
        for probability, *words in (
            (0.3, self.pick("-round_xtal", "-square_xtal", "-gauss_xtal", "-tophat_spots", "-binary_spots")),
            (0.15, "-fudge", self.number(0.3, 3)),
            (0.1, "-mosaic", self.number(0.1, 3, zero=0.2)),
            (0.1, "-mosaic_spread", self.number(0.1, 3), "-mosaic_domains", self.whole(1, 12)),
            (0.05, "-mosaic_seed", self.whole(1, 10**6)),
            (0.05, self.pick("-xtal_x", "-sample_y", "-xtal_height", "-samplesize"), self.number(1e-5, 2e-4)),
        ):
            if self.chance(probability):
                groups.append(words)
        return groups

    def structure_factors(self):
        groups = []
        if self.chance(0.6):
            groups.append(["-hkl", self.pick("full8.hkl", "holes6.hkl")])
        if not groups or self.chance(0.4):
            groups.append(["-default_F", self.number(1, 300)])
        if self.chance(0.3):
            groups.append([self.pick("-interpolate", "-nointerpolate")])
        return groups

    def beam(self):
        groups = [self.pick(["-lambda", self.number(0.5, 3)], ["-energy", self.number(5000, 15000)], [])]
        for probability, *words in (
            (0.3, "-fluence", self.pick("1e24", "1e26", "1e28", "1.2345e27")),
            (0.15, "-flux", self.number(1e15, 1e19)),
            (0.1, "-exposure", self.number(0.1, 3, zero=0.1)),
            (0.1, "-beamsize", self.number(0.001, 1)),
            (0.25, "-polar", self.number(-1, 1)),
            (0.05, "-nopolar"),
            (0.15, "-dispersion", self.number(0.1, 3), "-dispsteps", self.whole(1, 4)),
            (0.03, "-dispersion", self.number(0.1, 3)),
            (0.1, "-divergence", self.number(0.1, 5)),
            (0.08, "-hdivrange", self.number(0.1, 5), "-hdivsteps", self.whole(1, 4)),
            (0.08, "-vdivrange", self.number(0.1, 5), "-vdivsteps", self.whole(1, 4)),
            (0.05, "-divsteps", self.whole(2, 3)),
            (0.05, "-hdivrange", "2", "-hdivstep", self.pick("0.5", "0.9", "1")),
            (0.1, self.pick("-round_div", "-square_div")),
            (0.1, "-sourcefile", "sources.txt"),
        ):
            if self.chance(probability):
                groups.append(words)
        return groups

    def detector(self):
        groups = [["-pixel", self.number(0.3, 3)]]
        sized = self.random.random()
        if sized < 0.15:
            # the sizes come from the header, and the flags must not change them
            groups = [["-mask", "mask.img"], self.pick([], ["-img", "header.img"])]
        elif sized < 0.3:
            groups.append(["-detpixels", self.whole(1, 14)])
        else:
            groups += [["-detpixels_x", self.whole(1, 16)], ["-detpixels_y", self.whole(1, 14)]]
        if self.chance(0.1):
            # another frame altogether; the axis of polarization stays behind, along the beam
            groups.append(shlex.split("-beam_vector 0 0 1 -fdet_vector 1 0 0 -sdet_vector 0 -1 0 -odet_vector 0 0 1"))
        for probability, *words in (
            (0.7, "-distance", self.number(30, 300)),
            (0.1, "-close_distance", self.number(30, 300)),
            (0.35, self.pick("-mosflm", "-xds", "-adxv", "-denzo", "-dials")),
            (0.15, "-pivot", self.pick("sample", "beam")),
            (0.15, "-Xbeam", self.number(-5, 20), "-Ybeam", self.number(-5, 20)),
            (0.1, "-Xclose", self.number(-5, 20), "-Yclose", self.number(-5, 20)),
            (0.1, "-ORGX", self.number(-5, 20), "-ORGY", self.number(-5, 20)),
            (0.15, "-twotheta", self.number(-40, 40)),
            (0.1, "-detector_rotx", self.number(-30, 30)),
            (0.1, "-detector_roty", self.number(-30, 30)),
            (0.1, "-detector_rotz", self.number(-30, 30)),
            (0.1, "-beam_vector", *self.pick(["1", "0", "0"], ["0.99", "0.02", "0.01"])),
            (0.05, "-fdet_vector", *self.numbers(3, -1, 1)),
            (0.05, "-sdet_vector", *self.numbers(3, -1, 1)),
            (0.05, "-odet_vector", *self.pick(["1", "0", "0"], ["0.99", "0.02", "0.01"])),
            (0.05, "-polar_vector", *self.numbers(3, -1, 1)),
            (0.1, "-spindle_axis", *self.numbers(3, -1, 1)),
            (0.05, "-twotheta_axis", *self.pick(["0", "1", "0"], ["0", "0", "-1"])),
            (0.15, "-detector_thick", self.number(10, 900, zero=0.1)),
            (0.1, "-detector_abs", self.pick(self.number(10, 900), "inf", "0")),
            (0.15, "-detector_thicksteps", self.whole(1, 4)),
            (0.08, "-curved_det", "-noprogress"),
            (0.08, "-point_pixel"),
            (0.2, "-roi", self.whole(-2, 6), self.whole(3, 16), self.whole(-2, 5), self.whole(2, 16)),
        ):
            if self.chance(probability):
                groups.append(words)
        return groups

    def sampling(self):
        groups = [["-oversample", self.whole(1, 3)]] if self.chance(0.98) else []
        for probability, *words in (
            (0.12, "-oversample_thick"),
            (0.12, "-oversample_polar"),
            (0.12, "-oversample_omega"),
            (0.3, "-phi", self.pick("0", "0", "-1", self.number(-20, 20))),
            (0.3, "-osc", self.pick("0", "2", self.number(0.1, 5))),
            (0.3, "-phisteps", self.whole(0, 6)),
            (0.1, "-phistep", self.number(0.5, 2)),
            (0.12, "-dmin", self.number(1.5, 8)),
            (0.12, "-water", self.number(1, 100)),
        ):
            if self.chance(probability):
                groups.append(words)
        return groups

    def output(self):
        groups = []
        for probability, *words in (
            (0.1, "-scale", self.number(0.01, 100)),
            (0.1, "-pgmscale", self.number(0.01, 100)),
            (0.15, "-adc", self.number(-10, 100, zero=0.3)),
            (0.2, "-nonoise"),
            (0.2, "-nopgm"),
            (0.05, "-printout"),
            (0.05, "-printout_pixel", self.whole(0, 8), self.whole(0, 6)),
            (0.2, "-noprogress"),
            (0.1, "-floatfile", "f.bin"),
            (0.1, "-intimage", "i.img"),
            (0.1, "-pgmfile", "p.pgm"),
            (0.1, "-noisefile", "n.img"),
            (0.05, "-stol", "ice.stol"),
            (0.05, "-dump", "other_dump.bin"),
            (0.05, "-coherent"),
        ):
            if self.chance(probability):
                groups.append(words)
        return groups
