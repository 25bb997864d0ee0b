"""Where the spots of a crystal fall, from the geometry of diffraction alone."""

from math import ceil, radians
from typing import Any

import numpy as np

from ..errors import NanoBraggError
from ..files.geometry import experiment_geometry
from ..vectors import rotate_axis
from .describe import corner_resolution

#: as many indices are looked at, at most
LIMIT = 200_000_000
#: the spindle turns by at most this between two looks at a reflection
STEP = radians(0.5)


def rotation_about(axis: Any, angle: float) -> Any:
    """The matrix of a right-handed rotation, shape (3, 3)."""
    return np.array([rotate_axis(e, axis, angle) for e in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))]).T


def amplitudes(factors: Any, hkl: Any) -> Any:
    """Structure-factor amplitudes of indices (n, 3): those of the table, and default_F outside it."""
    values = np.full(len(hkl), float(factors.default_F))
    if factors.bounds is not None:
        low, high = np.array(factors.bounds).reshape(3, 2).T
        table = np.asarray(factors.values)
        inside = ((hkl >= low) & (hkl <= high)).all(axis=1)
        values[inside] = table[tuple((hkl[inside] - low).T)]
    return values


def predict(experiment: Any, dmin: float = 0.0) -> tuple[Any, Any, Any]:
    """The spots that an Experiment puts on its detector.

    A reflection counts when its amplitude is not 0 and it meets the Ewald sphere between phi and phi + osc, or comes as
    close to it as the crystal's size, mosaic spread, divergence and dispersion reach. dmin: Angstrom; finer spacings
    are left out. Returns (hkl, fast, slow): int array (n, 3) and positions in pixels, 0 at the first pixel's corner.

    Of several crystals in one image the spots of each follow one another, once for each orientation. Of panels
    positions are in the image that holds all of them; `predict_panels` has those in each.
    Raises NanoBraggError for a curved detector and where there are more reflections than can be looked at.
    """
    if experiment.panels:
        numbers, hkl, fast, slow = predict_panels(experiment, dmin)
        corners = np.array(experiment.panel_corners).reshape(-1, 2)[numbers]
        return hkl, fast + corners[:, 1], slow + corners[:, 0]
    return _on_one(experiment, dmin)


def _on_one(experiment, dmin):
    """`predict` for a detector that is one."""
    if experiment.crystals:
        lattices = {(one.crystal.a, one.crystal.b, one.crystal.c): one for one in experiment.single_crystals}
        several = zip(*(_on_one(one, dmin) for one in lattices.values()), strict=True)
        together = [np.concatenate(values) for values in several]
        return together[0], together[1], together[2]
    geometry = experiment_geometry(experiment)
    if geometry.curved:
        raise NanoBraggError("spots cannot be predicted on a curved detector")
    crystal, beam, sampling = experiment.crystal, experiment.beam, experiment.sampling
    wavelength = geometry.wavelength * 1e10
    longest = 1.0 / max(corner_resolution(geometry), dmin, experiment.sampling.dmin * 1e10, wavelength / 2.0)
    A = np.array([crystal.a_star, crystal.b_star, crystal.c_star]).T
    limits = [int(longest * size * 1e10) + 1 for size in (np.linalg.norm(v) for v in (crystal.a, crystal.b, crystal.c))]
    total = np.prod([2.0 * limit + 1.0 for limit in limits])
    if total > LIMIT:
        raise NanoBraggError(f"{total:.2g} reflections are too many to predict; give --dmin")
    # half the width of a spot in reciprocal space: where sinc^2 of the crystal's size has fallen to a seventh, and what
    # grows with the distance from 0
    size_width = 0.7e-10 / min(crystal.size)
    spread = crystal.mosaic_spread + max(beam.hdivrange, beam.vdivrange) / 2.0 + beam.dispersion / 2.0
    incident = np.asarray(geometry.beam) / wavelength
    count = max(2, ceil(sampling.osc / STEP) + 1) if sampling.osc else 1
    angles = geometry.phi0 + np.linspace(0.0, sampling.osc, count)
    turns = [(angle, rotation_about(geometry.spindle, angle)) for angle in angles]
    k, l = np.meshgrid(*(np.arange(-limit, limit + 1) for limit in limits[1:]), indexing="ij")
    found = []
    for h in range(-limits[0], limits[0] + 1):
        hkl = np.column_stack([np.full(k.size, h), k.ravel(), l.ravel()])
        q = hkl @ A.T
        length = np.linalg.norm(q, axis=1)
        near = (length <= longest) & (length > 0)
        hkl, q, length = hkl[near], q[near], length[near]
        hit, direction = _reflecting(q, incident, turns, np.asarray(geometry.spindle), size_width + spread * length)
        found.append((hkl[hit], direction[hit]))
    hkl, directions = (np.concatenate(part) for part in zip(*found, strict=True))
    fast, slow = (x / geometry.pixel_size for x in geometry.plane_position(directions))
    keep = (fast >= 0) & (fast < geometry.fpixels) & (slow >= 0) & (slow < geometry.spixels)
    keep &= amplitudes(experiment.structure_factors.at(experiment.beam.wavelength), hkl) != 0.0
    return hkl[keep], fast[keep], slow[keep]


def predict_panels(experiment: Any, dmin: float = 0.0) -> tuple[Any, Any, Any, Any]:
    """The spots that an Experiment puts on each of its panels: (panel, hkl, fast, slow).

    panel: (n,) int, from 0; the rest as of `predict`, positions in pixels of the panel.
    """
    found = [_on_one(one, dmin) for one in experiment.single_panels]
    numbers = np.repeat(np.arange(len(found)), [len(hkl) for hkl, _, _ in found])
    hkl, fast, slow = (np.concatenate(values) for values in zip(*found, strict=True))
    return numbers, hkl, fast, slow


def _reflecting(q, incident, turns, spindle, width):
    """Which reciprocal vectors reflect on the way through `turns`, (angle, matrix) pairs, and into which direction."""
    radius = np.linalg.norm(incident)
    best = np.full(len(q), np.inf)
    direction = np.zeros_like(q)
    before = angle_before = None
    for angle, turn in turns:
        ray = incident + q @ turn.T
        off = np.linalg.norm(ray, axis=1) - radius
        closer = np.abs(off) < best
        best[closer], direction[closer] = np.abs(off[closer]), ray[closer]
        if before is not None:
            crossed = before * off < 0
            part = (before[crossed] / (before[crossed] - off[crossed]))[:, None]
            best[crossed] = 0.0
            begin = np.full((len(part), 1), angle_before)
            direction[crossed] = _ray_on_sphere(q[crossed], incident, spindle, begin + part * (angle - angle_before))
        before, angle_before = off, angle
    return best <= width, direction


def _ray_on_sphere(q, incident, spindle, angles):
    """The rays of reciprocal vectors that meet the sphere near these angles, (n, 1): Newton's method, twice."""
    along = (q @ spindle)[:, None] * spindle
    across, sideways = q - along, np.cross(spindle, q)
    radius = np.linalg.norm(incident)
    for _ in range(2):
        ray = incident + along + np.cos(angles) * across + np.sin(angles) * sideways
        slope = (ray * (np.cos(angles) * sideways - np.sin(angles) * across)).sum(axis=1, keepdims=True)
        off = ((ray * ray).sum(axis=1, keepdims=True) - radius**2) / 2.0
        angles = angles - off / np.where(slope == 0.0, 1.0, slope)
    return incident + along + np.cos(angles) * across + np.sin(angles) * sideways
