"""Random experiments of the library, over most of its fields, small enough to render by the hundred."""

import math
import random

import numpy as np

from nanobragg_py import Beam, Crystal, Detector, Experiment, Sampling, StructureFactors, random_rotations
from nanobragg_py.orientation import b_matrix

#: vectors of a frame of its own: beam, fast, slow, normal, axis of twotheta, polarization, spindle
FRAME = ((0, 0, 1), (1, 0, 0), (0, -1, 0), (0, 0, 1), (0.0, 0.8, 0.6), (0.1, 0.9, 0.0), (0.3, -0.4, 0.5))


class Experiments:
    """A stream of experiments; the same seed gives the same stream."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, probability):
        return self.random.random() < probability

    def between(self, low, high):
        return self.random.uniform(low, high)

    def some(self, probability, **fields):
        """The fields, each value made by its function, in that share of cases."""
        return {name: make() for name, make in fields.items()} if self.chance(probability) else {}

    def experiment(self):
        custom = self.chance(0.2)
        return Experiment(
            crystal=self.crystal(),
            beam=self.beam(custom),
            detector=self.detector(custom),
            sampling=self.sampling(custom),
            structure_factors=self.structure_factors(),
        )

    def cell(self):
        lengths = [self.between(30, 120) for _ in range(3)]
        angles = [90.0, 90.0, 90.0]
        if self.chance(0.6):
            angles = [self.between(75, 110) for _ in range(3)]
        return *lengths, *angles

    def angles(self, size=math.pi):
        return tuple(self.between(-size, size) for _ in range(3))

    def crystal(self):
        fields = {
            "cells": tuple(self.random.randint(1, 9) for _ in range(3)),
            **self.some(0.3, missets=self.angles),
            **self.some(0.1, sample_size=lambda: tuple(self.between(1e-8, 1e-7) for _ in range(3))),
            **self.some(0.3, shape=lambda: self.random.choice(("square", "round", "gauss"))),
            **self.some(0.2, fudge=lambda: self.between(0.5, 2)),
            **self.some(
                0.3,
                mosaic_spread=lambda: self.between(0, 0.03),
                mosaic_domains=lambda: self.random.randint(2, 6),
                mosaic_seed=lambda: self.random.randint(0, 10**6),
            ),
        }
        if self.chance(0.15):
            fields.update(missets="random", misset_seed=self.random.randint(1, 10**6))
        cell = self.cell()
        if self.chance(0.4):
            U = random_rotations(1, self.random.randint(0, 10**6))[0]
            if self.chance(0.3):
                return Crystal(
                    lengths=cell[:3],
                    angles=tuple(math.radians(x) for x in cell[3:]),
                    matrix=U @ b_matrix(*cell),
                    **fields,
                )
            return Crystal.from_UB(U, cell, **fields)
        return Crystal.from_cell(*cell, **fields)

    def beam(self, custom):
        fields = {
            "wavelength": self.between(0.6e-10, 2e-10),
            "fluence": 10.0 ** self.between(24, 30),
            "polarization": self.between(-1, 1),
            **self.some(0.1, polarized=lambda: False),
            **self.some(0.2, flux=lambda: self.between(1e12, 1e15), exposure=lambda: self.between(0.1, 2)),
            **self.some(
                0.2, dispersion=lambda: self.between(0, 0.02), dispersion_steps=lambda: self.random.randint(2, 4)
            ),
            **self.some(0.15, hdivrange=lambda: self.between(0, 4e-3), hdivsteps=lambda: self.random.randint(2, 3)),
            **self.some(0.15, vdivrange=lambda: self.between(0, 4e-3), vdivsteps=lambda: self.random.randint(2, 3)),
            **self.some(0.2, round_divergence=lambda: False),
        }
        if custom:
            fields.update(direction=FRAME[0], polarization_axis=FRAME[5])
        if self.chance(0.15):
            up = (lambda x, y: (x, y, -10.0)) if custom else (lambda x, y: (-10.0, x, y))
            rows = [(*up(*self.angles(0.02)[:2]), 1.0, self.between(0.9e-10, 1.1e-10)) for _ in range(3)]
            fields["sources"] = [*rows, (None, None, None, None, None)]
        return Beam(**fields)

    def detector(self, custom):
        shape = fast, slow = self.random.randint(1, 16), self.random.randint(1, 14)
        pixel = self.between(0.3e-3, 3e-3)
        centre = lambda: self.between(-0.005, 0.03)  # noqa: E731
        fields = {
            "distance": self.between(0.03, 0.3),
            **self.some(0.1, close_distance=lambda: self.between(0.03, 0.3)),
            **self.some(0.3, rotations=lambda: self.angles(0.4)),
            **self.some(0.3, twotheta=lambda: self.between(-0.6, 0.6)),
            **self.some(0.3, Xbeam=centre, Ybeam=centre),
            **self.some(0.1, Xclose=centre, Yclose=centre),
            **self.some(0.15, ORGX=lambda: self.between(-5, 20), ORGY=lambda: self.between(-5, 20)),
            **self.some(
                0.2,
                thickness=lambda: self.between(0, 5e-4),
                thicksteps=lambda: self.random.randint(1, 4),
                mu=lambda: self.random.choice((0.0, self.between(500, 5000))),
            ),
            **self.some(0.1, curved=lambda: True),
            **self.some(0.1, point_pixel=lambda: True),
            **self.some(0.15, roi=lambda: (0, self.random.randint(0, 20), self.random.randint(0, 2), 9)),
            **self.some(0.15, mask=lambda: np.array(self.random.choices((0, 1), k=fast * slow)).reshape(slow, fast)),
        }
        if custom:
            fields.update(convention="CUSTOM", fast=FRAME[1], slow=FRAME[2], normal=FRAME[3], twotheta_axis=FRAME[4])
            fields.update(self.some(0.5, pivot=lambda: self.random.choice(("beam", "sample"))))
        else:
            fields["convention"] = self.random.choice(("MOSFLM", "XDS", "DIALS", "DENZO", "ADXV"))
        if self.chance(0.15) and "mask" not in fields:
            return Detector(pixel_size=pixel, detsize_f=pixel * fast * 1.01, detsize_s=pixel * slow * 0.99, **fields)
        return Detector(fpixels=shape[0], spixels=shape[1], pixel_size=pixel, **fields)

    def sampling(self, custom):
        sweep = {}
        if self.chance(0.3):
            sweep = {"phi0": self.between(0.01, 1), **self.some(0.8, osc=lambda: self.between(0, 0.1))}
            sweep.update(self.some(0.8, phisteps=lambda: self.random.randint(1, 4)))
        return Sampling(
            oversample=self.random.choice((1, 1, 2, 3)),
            **sweep,
            **self.some(0.1, oversample_omega=lambda: True),
            **self.some(0.1, oversample_polar=lambda: True),
            **self.some(0.2, dmin=lambda: self.between(1e-10, 5e-10)),
            **self.some(0.2, water=lambda: self.between(1e-6, 1e-4)),
            **self.some(0.6, interpolate=lambda: False),
            **({"spindle": FRAME[6]} if custom else {}),
        )

    def structure_factors(self):
        if self.chance(0.4):
            return StructureFactors(default_F=self.between(1, 300))
        extent = self.random.choice((3, 12))
        numbers = np.random.default_rng(self.random.randint(0, 2**32))
        hkl = numbers.integers(-extent, extent + 1, (300, 3))
        F = numbers.uniform(0, 200, 300)
        default_F = self.random.choice((0.0, self.between(0, 50)))
        return StructureFactors.from_arrays(hkl, F, default_F, F000=self.random.choice((None, 500.0)))
