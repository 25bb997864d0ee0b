"""The reference's random numbers in plain Python, one at a time, from their descriptions: what tests compare with.

float32 quantities are numpy.float32; the functions are those of the C library, which is what the reference calls.
"""

import ctypes
import math

import numpy as np

f32 = np.float32
MODULUS = 2**31 - 1

_libm = ctypes.CDLL(None)
_libm.powf.restype = ctypes.c_float
_libm.powf.argtypes = [ctypes.c_float, ctypes.c_float]


def minimal_standard(x):
    """16807 x mod 2^31-1 by Schrage's method, which tells 0 and 2^31-1 apart, as C does."""
    k = x // 127773
    x = 16807 * (x - k * 127773) - 2836 * k
    return x + MODULUS if x < 0 else x


class Shuffled:
    """The table of 32 numbers; `seed` is the stream's variable, and assigning to it starts another stream."""

    def __init__(self):
        self.table = [0] * 32
        self.last = 0
        self.seed = 0

    def deviate(self):
        if self.seed <= 0 or self.last == 0:
            self.seed = max(1, -self.seed)
            for i in range(39, -1, -1):
                self.seed = minimal_standard(self.seed)
                if i < 32:
                    self.table[i] = self.seed
            self.last = self.table[0]
        self.seed = minimal_standard(self.seed)
        i = self.last // (1 + (MODULUS - 1) // 32)
        self.last, self.table[i] = self.table[i], self.seed
        return min(f32(1.0 / MODULUS * self.last), f32(1 - 1.2e-7))

    def rotation(self, spread):
        """Nine numbers: a rotation about a random axis by spread * (1-r^2)^(1/3)."""
        r1, r2, r3 = (2.0 * float(self.deviate()) - 1.0 for _ in range(3))
        rho = math.sqrt(1.0 - r2 * r2)
        angle = float(f32(spread) * f32(_libm.powf(1.0 - r3 * r3, 1.0 / 3.0)))
        x, y, z = rho * math.sin(math.pi * r1), rho * math.cos(math.pi * r1), r2
        c, s = math.cos(angle), math.sin(angle)
        t = 1.0 - c
        return (
            c + t * (x * x), t * x * y - s * z, t * x * z + s * y,
            t * x * y + s * z, c + t * (y * y), t * y * z - s * x,
            t * x * z - s * y, t * y * z + s * x, c + t * (z * z),
        )  # fmt: skip


def log_gamma(x):
    x = float(x)
    base = x + 5.5
    base -= (x + 0.5) * math.log(base)
    series = 1.000000000190015
    for i, c in enumerate(
        (76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2,
         -0.5395239384953e-5)
    ):  # fmt: skip
        series += c / (x + i + 1)
    return f32(-base + math.log(2.5066282746310005 * series / x))


def rejection_constants(mean):
    """float32 sqrt(2 mean), ln mean, and mean ln mean - ln Gamma(mean+1)."""
    log_mean = f32(math.log(float(mean)))
    return f32(math.sqrt(2.0 * float(mean))), log_mean, mean * log_mean - log_gamma(f32(float(mean) + 1.0))


def acceptance(count, y, log_mean, norm):
    """The Poisson probability of a count over its Lorentzian envelope."""
    exponent = count * log_mean - log_gamma(f32(float(count) + 1.0)) - norm
    return f32(0.9 * (1.0 + float(y * y)) * math.exp(float(exponent)))


def accepted(mean, y, deviate):
    """What a trial says: -1 (not even a count), 0 or 1."""
    width, log_mean, norm = rejection_constants(mean)
    count = width * y + mean
    return -1 if count < 0 else int(not deviate > acceptance(np.floor(count), y, log_mean, norm))


class Poisson:
    """Counts for float32 means, in turn; fresh at the start, as a program is."""

    def __init__(self, stream):
        self.stream = stream
        self.spare = None
        self.limit = f32(0)
        self.limit_of = f32(-1)

    def normal(self):
        if self.spare is not None:
            result, self.spare = self.spare, None
            return result
        while True:
            v, w = (f32(2.0 * float(self.stream.deviate()) - 1.0) for _ in range(2))
            q = v * v + w * w
            if 0 < q < 1:
                break
        factor = f32(math.sqrt(-2.0 * math.log(float(q)) / float(q)))
        self.spare = v * factor
        return w * factor

    def count(self, mean):
        mean = f32(mean)
        if mean > 1e6:
            return f32(float(mean) + math.sqrt(float(mean)) * float(self.normal()))
        if mean < 12:
            if mean != self.limit_of:
                self.limit_of = mean
                self.limit = f32(math.exp(-max(float(mean), -700.0)))
            count, product = -1, f32(1)
            while True:
                count += 1
                product *= self.stream.deviate()
                if not product > self.limit:
                    return f32(count)
        self.limit_of = mean
        if mean != mean:
            self.stream.deviate()
            self.stream.deviate()
            return mean
        width, log_mean, norm = rejection_constants(mean)
        while True:
            y = f32(math.tan(math.pi * float(self.stream.deviate())))
            count = width * y + mean
            if count < 0:
                continue
            count = np.floor(count)
            if not self.stream.deviate() > acceptance(count, y, log_mean, norm):
                return count


def noise(means, seed, adc, stream=None):
    """16-bit pixels, photons and overloads of a sequence of means. seed: the negated -seed."""
    stream = stream or Shuffled()
    stream.seed = seed
    poisson = Poisson(stream)
    pixels, photons, overloads = [], 0.0, 0
    with np.errstate(all="ignore"):
        for mean in means:
            count = float(poisson.count(mean))
            photons += count
            value = count + adc
            if value > 65535.0:
                value = 65535.0
                overloads += 1
            pixels.append(int(value) & 0xFFFF if value > -(2**31) - 1 else 0)
    return np.array(pixels, np.uint16), photons, overloads


def detector_counts(means, seeds, errors):
    """Counts of means that the flicker of the source and the detector's calibration change.

    seeds: of the counts and the flicker, and of the calibration: negated. errors: relative, of flicker and calibration.
    """
    stream = Shuffled()
    poisson = Poisson(stream)
    variables, counts = list(seeds), []
    with np.errstate(all="ignore"):
        for mean in means:
            changed = float(mean)
            for i, error in enumerate(errors):
                if error > 0.0:
                    stream.seed = variables[i]
                    changed *= 1.0 + error * float(poisson.normal())
                    variables[i] = stream.seed
            stream.seed = variables[0]
            counts.append(poisson.count(changed))
            variables[0] = stream.seed
    return np.array(counts, np.float32)
