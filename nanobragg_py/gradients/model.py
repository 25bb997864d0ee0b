"""How the numbers of the loops follow from an experiment's fields, in numpy and for complex fields as well.

`nanobragg_py.experiment.resolve` works the same numbers out once, in the reference's order of arithmetic, for real
fields, with warnings and checks. Here are the formulas alone, analytic, so that a field with an imaginary step gives
its derivative to the last bits (W. Squire and G. Trapp, SIAM Review 40 (1998), 110). Decisions (signs, which branch,
how many steps) are taken from the resolved experiment. Tests hold the two against each other.
"""

from __future__ import annotations

from copy import copy
from math import e
from typing import Any

import numpy as np

from ..experiment.options_map import to_options
from ..experiment.resolve.detector import centres, detector_size, orient
from ..kernels.loops.job import derivatives_by

#: components of vectors: the alternating tensor, for products that are analytic
_CROSS = np.zeros((3, 3, 3))
_CROSS[0, 1, 2] = _CROSS[1, 2, 0] = _CROSS[2, 0, 1] = 1.0
_CROSS[0, 2, 1] = _CROSS[2, 1, 0] = _CROSS[1, 0, 2] = -1.0


def cross(u: Any, v: Any) -> Any:
    """The vector product."""
    return np.einsum("ijk,...j,...k->...i", _CROSS, u, v)


def length(v: Any) -> Any:
    """The root of the sum of squares, without a conjugate."""
    return np.sqrt((v * v).sum(axis=-1))


def unit(v: Any) -> Any:
    """A vector over its length; one of length 0 stays."""
    size = length(v)
    return v if not np.all(size.real > 0.0) else v / size[..., None]


def turn(axis: Any, angle: Any) -> Any:
    """Matrices of right-handed rotations about unit axes, (..., 3, 3); an axis of another length distorts, as there."""
    axis, angle = np.asarray(axis), np.asarray(angle)[..., None, None]
    skew = np.einsum("ikj,...k->...ij", _CROSS, axis)
    outer = axis[..., :, None] * axis[..., None, :]
    return np.cos(angle) * np.eye(3) + np.sin(angle) * skew + (1.0 - np.cos(angle)) * outer


def turn_xyz(angles: Any) -> Any:
    """The matrix of rotations about x, then y, then z."""
    x, y, z = (turn(axis, angle) for axis, angle in zip(np.eye(3), angles, strict=True))
    return z @ y @ x


def small_turn(vector: Any) -> Any:
    """The rotation by a vector, to first order."""
    return np.eye(3) + np.einsum("ikj,k->ij", _CROSS, vector)


class Model:
    """The numbers of an experiment's loops as functions of its fields.

    The functions take a dict with some of the fields, by their dotted names, complex or not; the others are as the
    experiment has them. Besides those of `Experiment.replace` there are crystal.rotation, a rotation vector in the
    laboratory about the crystal as it stands, detector.origin, where the first pixel's corner is, m, or each panel's,
    and beam.source_weights, relative to what they are.

    Of a detector of panels the model is that of one of them, of the first until `on_panel` says of which.
    """

    def __init__(self, experiment: Any) -> None:
        self.experiment = experiment
        self.resolved = experiment.resolved
        self.panel = 0 if self.resolved.panels else None
        self.options = to_options(
            experiment.beam,
            experiment.detector,
            experiment.crystal,
            experiment.sampling,
            experiment.structure_factors.default_F,
            experiment.physics,
        )
        self.frame = orient(self.options, lambda text: None)

    def on_panel(self, number: int) -> Model:
        """The same on another panel."""
        other = copy(self)
        other.panel, other.resolved = number, self.resolved.replace(detector=self.resolved.panels[number])
        return other

    # ---- crystal ---------------------------------------------------------------------------------------------------

    def stars(self, values: dict[str, Any]) -> tuple[Any, Any]:
        """Approximate reciprocal vectors (rows, 1/A) as cell or matrix state them, and the cell to fit, or None."""
        crystal = self.experiment.crystal
        matrix = values.get("crystal.matrix", crystal.matrix)
        cell = stars = None
        if crystal.lengths is not None:
            sizes = np.asarray(values.get("crystal.lengths", crystal.lengths))
            angles = np.asarray(values.get("crystal.angles", crystal.angles))
            if self.resolved.physics.cell:
                stars = setting(sizes, angles)
                return (stars if matrix is None else stars @ axes_of(np.asarray(matrix).T)), None
            stars, volume = reciprocal_cell(sizes, angles)
            cell = sizes, volume
        if matrix is not None:
            stars = np.asarray(matrix).T
        return stars, cell

    def lattice(self, values: dict[str, Any]) -> tuple[Any, Any]:
        """Direct and reciprocal vectors (rows, A and 1/A) before missets and rotation."""
        stars, cell = self.stars(values)
        products = np.array([cross(stars[1], stars[2]), cross(stars[2], stars[0]), cross(stars[0], stars[1])])
        star_volume = (stars[0] * products[0]).sum()
        if cell is not None:
            sizes, volume = cell
            products = products / length(products)[:, None] * (sizes / volume)[:, None]
            star_volume = 1.0 / volume
        direct = products / star_volume
        a, b, c = direct
        return direct, np.array([cross(b, c), cross(c, a), cross(a, b)]) * star_volume

    def cell(self, values: dict[str, Any]) -> Any:
        """a, b, c (rows, m) before phi and mosaic rotations."""
        return self.oriented(values, self.lattice(values)[0]) * 1e-10

    def oriented(self, values: dict[str, Any], vectors: Any) -> Any:
        """Vectors (rows) turned as missets and rotation have it."""
        missets = values.get("crystal.missets", self.resolved.crystal.missets)
        if missets is not None:
            vectors = vectors @ turn_xyz(missets).T
        if "crystal.rotation" in values:
            vectors = vectors @ small_turn(values["crystal.rotation"]).T
        return vectors

    def shape(self, values: dict[str, Any]) -> Any:
        """The numbers that nb_S_by_shape (kernels/formulas/shapes/) has derivatives by.

        The three numbers of cells, or of Gaussian spots the quadratic form hh, hk, hl, kk, kl, ll and the height's
        binary logarithm.
        """
        crystal = self.resolved.crystal
        cells = np.asarray(values.get("crystal.cells", crystal.cells))
        if derivatives_by(crystal.shape) == "cells":  # nothing of the cell
            return cells
        height = (cells[0] * cells[1] * cells[2]) ** 2
        factor = -2.0 * np.log2(e) / crystal.gauss_width * crystal.fudge
        if self.resolved.physics.spots:
            products = np.diag(cells**2) * factor
        else:
            _, stars = self.lattice(values)
            products = stars @ stars.T * (factor * height)
        form = [products[i, j] * (1.0 if i == j else 2.0) for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))]
        return np.array([*form, np.log2(height)])

    def turns(self, values: dict[str, Any]) -> Any:
        """The matrices that turn the cell, (orientations, 3, 3): phi steps, and within one mosaic domains."""
        sampling, crystal = self.resolved.sampling, self.resolved.crystal
        step = sampling.phistep
        if "sampling.osc" in values:
            step = values["sampling.osc"] * (sampling.phistep / sampling.osc)
        phi = values.get("sampling.phi0", sampling.phi0) + step * np.arange(sampling.phisteps)
        spins = turn(np.asarray(sampling.spindle), phi)
        if not crystal.mosaic_spread > 0.0:
            return spins
        domains = np.frombuffer(crystal.mosaic_rotations)[: 9 * crystal.mosaic_domains].reshape(-1, 3, 3)
        if self.experiment.crystal.mosaic_spreads is not None:
            domains = self.spread_domains(values, domains)
        elif "crystal.mosaic_spread" in values:
            domains = scaled_rotations(domains, values["crystal.mosaic_spread"] / crystal.mosaic_spread)
        order = "pij,djk->pdik" if crystal.domains_turn else "dij,pjk->pdik"
        pair = (spins, domains) if crystal.domains_turn else (domains, spins)
        return np.einsum(order, *pair).reshape(-1, 3, 3)

    def spread_domains(self, values: dict[str, Any], domains: Any) -> Any:
        """The rotations of domains that are normal about three axes of the crystal, which orientation and cell turn."""
        spreads = np.asarray(self.experiment.crystal.mosaic_spreads)
        # about the third axis by the right hand, on whatever side of it c* is
        stars = self.oriented(values, self.lattice(values)[1])
        axes = axes_of(np.array([stars[0], stars[1], cross(stars[0], stars[1])]))
        drawn = rotation_vectors(domains) @ axes.real.T / np.where(spreads > 0.0, spreads, 1.0)
        vectors = (drawn * values.get("crystal.mosaic_spreads", spreads)) @ axes
        angles = length(vectors)
        return turn(vectors / np.where(angles.real > 0.0, angles, 1.0)[:, None], angles)

    # ---- beam ------------------------------------------------------------------------------------------------------

    def direction(self, values: dict[str, Any]) -> Any:
        """The unit vector that the beam travels along."""
        return unit(np.asarray(values.get("beam.direction", self.resolved.beam.direction)))

    def sources(self, values: dict[str, Any]) -> Any:
        """Rows of incident direction, 1/wavelength, E vector, B vector and weight, (sources, 11)."""
        beam = self.resolved.beam
        count = len(beam.sources)
        direction = self.direction(values)
        incident = -np.asarray(beam.source_directions)
        polar = np.asarray(beam.polarization_axis)
        if "beam.direction" in values:
            if beam.divergence_steps < 0:
                made = [row[0] is None for row in self.experiment.beam.sources]
                incident = np.where(np.array(made)[:, None], direction, incident)
            else:
                h, v = np.array(beam.divergence_deviations).T
                vertical = unit(cross(direction, polar))
                incident = np.einsum("sij,sjk,k->si", turn(vertical, h), turn(polar, v), direction)
                incident = np.repeat(unit(incident), len(beam.wavelength_steps), axis=0)
        wavelengths = np.array([source[4] for source in beam.sources])
        if "beam.spectrum" in values:
            wavelengths = np.tile(values["beam.spectrum"][0], count // len(beam.wavelength_steps))
        if "beam.wavelength" in values:
            wavelengths = wavelengths * (values["beam.wavelength"] / beam.wavelength)
        B = unit_rows(cross(polar, incident))
        E = unit_rows(cross(incident, B))
        weights = np.asarray(values.get("beam.source_weights", np.ones(count)))
        if "beam.spectrum" in values:
            shares = values["beam.spectrum"][1] / np.asarray(self.experiment.beam.spectrum[1])
            weights = weights * np.tile(shares, count // len(beam.wavelength_steps))
        if self.resolved.physics.weights:  # divided by their sum
            weights = weights / (weights * np.asarray(beam.relative_weights or np.ones(count))).mean()
        return np.concatenate([incident, (1.0 / wavelengths)[:, None], E, B, weights[:, None]], axis=1)

    # ---- detector --------------------------------------------------------------------------------------------------

    def detector(self, values: dict[str, Any]) -> dict[str, Any]:
        """Where the detector is: origin, fast, slow, normal, beam, distance, close_distance, m."""
        if self.panel is not None:
            return self._panel(values)
        options, frame, resolved = self.options, self.frame, self.resolved.detector
        near, spot, _ = centres(options, *detector_size(options)[:2])
        beam = self.direction(values)
        rotations = values.get("detector.rotations", self.experiment.detector.rotations)
        swing = turn(frame.twotheta_axis, values.get("detector.twotheta", options.twotheta))
        placed = turn_xyz(rotations)
        axes = np.array([frame.fast, frame.slow, frame.normal])
        ratio = beam @ (placed @ axes[2])
        if options.close_distance == options.close_distance:
            close = values.get("detector.close_distance", options.close_distance)
        else:
            close = ratio * values.get("detector.distance", options.distance)
            close = close if close.real >= 0.0 else -close
        turned = axes @ (swing @ placed).T
        if frame.pivot == "sample":
            origin = swing @ placed @ (-near[0] * axes[0] - near[1] * axes[1] + close * axes[2])
        else:
            origin = -spot[0] * turned[0] - spot[1] * turned[1] + close / ratio * beam
        if "detector.origin" in values:
            origin = origin + (values["detector.origin"] - np.asarray(resolved.origin))
        close = origin @ turned[2]
        return {
            "origin": origin,
            "fast": turned[0],
            "slow": turned[1],
            "normal": turned[2],
            "beam": beam,
            "distance": close / ratio,
            "close_distance": close,
        }

    def _panel(self, values: dict[str, Any]) -> dict[str, Any]:
        """The same of a panel, which states its own place; the beam does not move it."""
        resolved, beam = self.resolved.detector, self.direction(values)
        origin, normal = np.asarray(resolved.origin), np.asarray(resolved.normal)
        if "detector.origin" in values:
            origin = values["detector.origin"][self.panel]
        close = origin @ normal
        return {
            "origin": origin,
            "fast": np.asarray(resolved.fast),
            "slow": np.asarray(resolved.slow),
            "normal": normal,
            "beam": beam,
            "distance": np.asarray(resolved.distance),  # which curves detectors, and panels are flat
            "close_distance": close,
        }


def unit_rows(v: Any) -> Any:
    """Every row over its length; rows of length 0 stay."""
    size = length(v)
    return v / np.where(size.real > 0.0, size, 1.0)[:, None]


def reciprocal_cell(sizes: Any, angles: Any) -> tuple[Any, Any]:
    """The reference's reciprocal vectors (rows, 1/A) of a cell, and its volume, as `resolve.crystal` has them."""
    a, b, c = sizes
    alpha, beta, gamma = angles
    half = (alpha + beta + gamma) / 2.0
    skew = np.sin(half) * np.sin(half - alpha) * np.sin(half - beta) * np.sin(half - gamma)
    volume = 2.0 * a * b * c * np.sqrt(skew if skew.real > 0.0 else -skew)
    a_star, b_star, c_star = (
        b * c * np.sin(alpha) / volume,
        c * a * np.sin(beta) / volume,
        a * b * np.sin(gamma) / volume,
    )
    cos_alpha = (np.cos(beta) * np.cos(gamma) - np.cos(alpha)) / (np.sin(beta) * np.sin(gamma))
    cos_beta = (np.cos(gamma) * np.cos(alpha) - np.cos(beta)) / (np.sin(gamma) * np.sin(alpha))
    cos_gamma = (np.cos(alpha) * np.cos(beta) - np.cos(gamma)) / (np.sin(alpha) * np.sin(beta))
    sin_gamma = c / (volume * a_star * b_star)
    zero = 0.0 * volume
    return np.array(
        [
            [a_star, zero, zero],
            [b_star * cos_gamma, b_star * sin_gamma, zero],
            [
                c_star * cos_beta,
                c_star * (cos_alpha - cos_beta * cos_gamma) / sin_gamma,
                c_star * volume / (a * b * c * sin_gamma),
            ],
        ]
    ), volume


def setting(sizes: Any, angles: Any) -> Any:
    """Busing and Levy's reciprocal vectors (rows, 1/A) of a cell, as `resolve.exact` has them."""
    a, b, c = sizes
    (ca, cb, cg), sa = np.cos(angles), np.sin(angles[0])
    part = np.sqrt(1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg)
    zero = 0.0 * part
    return np.array(
        [
            [sa / (a * part), zero, zero],
            [(ca * cb - cg) / (sa * b * part), 1.0 / (b * sa), zero],
            [(cg * ca - cb) / (sa * c * part), -ca / (c * sa), 1.0 / c],
        ]
    )


def axes_of(stars: Any) -> Any:
    """Unit vectors (rows) along a*, towards b* in the plane of both, and along their normal on c*'s side."""
    first = unit(stars[0])
    third = unit(cross(stars[0], stars[1]))
    side = 1.0 if (third @ stars[2]).real > 0.0 else -1.0
    return np.array([first, cross(third, first), side * third])


def rotation_vectors(matrices: Any) -> Any:
    """Of rotations by less than half a turn: their axes, as long as the angle."""
    skew = (matrices - matrices.transpose(0, 2, 1)) / 2.0
    axes = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
    sines = length(axes)
    angles = np.arctan2(sines, (np.trace(matrices, axis1=1, axis2=2) - 1.0) / 2.0)
    return axes * (angles / np.where(sines > 0.0, sines, 1.0))[:, None]


def scaled_rotations(matrices: Any, factor: Any) -> Any:
    """Rotations about the same axes by angles that are `factor` times as large."""
    skew = (matrices - matrices.transpose(0, 2, 1)) / 2.0
    axes = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
    sines = length(axes)
    angles = np.arctan2(sines, (np.trace(matrices, axis1=1, axis2=2) - 1.0) / 2.0)
    return turn(axes / np.where(sines > 0.0, sines, 1.0)[:, None], angles * factor)
