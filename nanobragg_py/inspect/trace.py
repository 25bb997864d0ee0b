"""One pixel with every quantity on the way to it, from the very functions that render.

`trace_pixel` sends the pixel through the sequential loop with a `Recorder` listening, and compares what comes out with
the rendered image. The quantities, their units and their order stand in trace_quantities.py.
"""

import os
import time
from array import array

from ..constants import R_E_SQR
from ..errors import NanoBraggError
from ..kernels.loops.job import Job
from ..kernels.loops.sequential import Sequential
from ..records import REQUIRED, Record
from ..render.backends import cpu_renderer, is_sequential
from ..render.simulate import new_image
from ..vectors import DEGREES_PER_RADIAN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SCHEMA = "nanobragg-trace/1"

#: a pixel with more steps than this is not traced
MAX_STEPS = 100_000
#: the rendered pixel may differ by this part of its value, or of what it would be with every step on a lattice point
RELATIVE = 1e-6
OF_CEILING = 1e-12


class Trace(Record):
    """What happened to one pixel.

    slow, fast: which. compat: "spec" or "c". setup: dict of name -> value. subpixels: a list of dicts; each has under
    "sources" a list of dicts, and each of those under "steps" one. pixel: dict. Names and order are those of
    `trace_quantities.QUANTITIES`, values are numbers, tuples of numbers, or words.
    """

    _fields = {
        "slow": REQUIRED,
        "fast": REQUIRED,
        "compat": REQUIRED,
        "setup": REQUIRED,
        "subpixels": REQUIRED,
        "pixel": REQUIRED,
    }

    def steps(self) -> "Iterator[Any]":
        """Every phi step and mosaic domain, in the order of the sum."""
        for subpixel in self.subpixels:
            for source in subpixel["sources"]:
                yield from source["steps"]

    def header(self, flags: "Any") -> "list[Any]":
        """The comment lines that say what was traced. flags: the nanoBragg command line, a list of words."""
        from shlex import join

        from .. import __version__

        return [
            f"# program: nanobragg_py {__version__}",
            f"# compat: {self.compat}",
            f"# pixel: {self.slow} {self.fast}",
            f"# flags: {join(flags)}",
        ]

    def lines(self, flags: "Any", prefix: str = "TRACE") -> "Any":
        """The trace as text: the comment lines, then a line a quantity, each with the prefix in front.

        With another prefix than TRACE the phi steps are in the manner of older programs: one line a step with
        ``name=value`` pairs (see `phi_pairs`), and the quantities of the step in lines like all others.
        """
        lines = self.header(flags) + trace_lines(prefix, self.setup)
        for subpixel in self.subpixels:
            lines += trace_lines(prefix, subpixel)
            for source in subpixel["sources"]:
                lines += trace_lines(prefix, source)
                for step in source["steps"]:
                    lines += step_lines(prefix, step)
        return lines + trace_lines(prefix, self.pixel)

    def phi_lines(self, flags: "Any", prefix: str = "TRACE") -> "list[str]":
        """The comment lines and the lines of the phi steps and domains alone."""
        if prefix == "TRACE":
            return self.header(flags) + [line for step in self.steps() for line in trace_lines("TRACE_PHI", step)]
        return self.header(flags) + [phi_pairs(prefix, step) for step in self.steps()]

    def as_dict(self, flags: "Any") -> "dict[Any, Any]":
        """The trace for JSON (docs/trace.md has the schema)."""
        from .. import __version__

        return {
            "schema": SCHEMA,
            "program": "nanobragg_py",
            "version": __version__,
            "flags": list(flags),
            "compat": self.compat,
            "host": os.uname().nodename,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "slow": self.slow,
            "fast": self.fast,
            "per_phi_entries": [phi_entry(step) for step in self.steps()],
            "setup": self.setup,
            "subpixels": self.subpixels,
            "pixel": self.pixel,
        }


def trace_lines(word: str, quantities: "Any") -> "list[str]":
    """A line for each quantity that is one, in their order."""
    lines = []
    for name, value in quantities.items():
        if name in ("sources", "steps") and isinstance(value, list):
            continue
        for row in value if isinstance(value, list) else [value]:
            lines.append(f"{word}: {name} {value_text(row)}")
    return lines


def phi_entry(step: "Any") -> "dict[Any, Any]":
    """What older programs tell of a phi step, under their names."""
    return {
        "phi_tic": step["phi_step"],
        "phi_deg": step["phi_deg"],
        "k_frac": step["hkl_frac"][1],
        "F_latt_b": step["F_latt_b"],
        "F_latt": step["F_latt"],
    }


def phi_pairs(prefix: str, step: "Any") -> str:
    """The same as a line: ``TRACE_C_PHI phi_tic=0 phi_deg=0 k_frac=... F_latt_b=... F_latt=...``."""
    return f"{prefix}_PHI " + " ".join(f"{name}={value_text(value)}" for name, value in phi_entry(step).items())


def step_lines(prefix: str, step: "Any") -> "list[str]":
    """The lines of a phi step and domain in the text of a trace."""
    if prefix == "TRACE":
        return trace_lines("TRACE_PHI", step)
    lines = trace_lines(prefix, step)
    behind = next(i for i, line in enumerate(lines, 1) if line.startswith(f"{prefix}: F_latt "))
    return [*lines[:behind], phi_pairs(prefix, step), *lines[behind:]]


def value_text(value: "Any") -> str:
    """Numbers with 15 significant digits, blanks between those of a vector."""
    if isinstance(value, tuple):
        return " ".join(map(value_text, value))
    return value if isinstance(value, str) else f"{value:.15g}"


class Recorder:
    """Listens to a `Sequential` while it works out a pixel, and keeps what it hears.

    loop: the Sequential; its attributes hold the values in use when one of the methods is called.
    """

    def __init__(self, loop: "Any", experiment: "Any") -> None:
        self.loop: Any = loop
        self.sampling: Any = experiment.sampling
        self.domains: Any = experiment.crystal.mosaic_domains
        self.close_distance: Any = experiment.detector.close_distance
        self.background: Any = experiment.water_background
        self.subpixels: list[Any] = []
        self.loops_sum: Any = self.background

    def subpixel(self, layer: int, sub_slow: int, sub_fast: int) -> None:
        """A position on the detector is reached."""
        loop = self.loop
        self.subpixels.append(
            {
                "layer": layer,
                "subpixel_slow": sub_slow,
                "subpixel_fast": sub_fast,
                "Fdet_Sdet_Odet_meters": (loop.fast, loop.slow, loop.depth),
                "pixel_pos_meters": loop.position,
                "R_distance_meters": loop.airpath,
                "diffracted_vec": loop.diffracted_direction,
                "obliquity_factor": self.close_distance / loop.airpath,
                "parallax_factor": loop.cos_normal,
                "omega_in_use": loop.omega,
                "capture_in_use": loop.capture,
                "sources": [],
            }
        )

    def source(self, index: int, passed: "Any") -> None:
        """A source begins; passed: it is within the resolution cut."""
        loop = self.loop
        self.subpixels[-1]["sources"].append(
            {
                "source": index,
                "incident_vec": loop.incident_direction,
                "lambda_meters": loop.wavelength,
                "lambda_angstroms": loop.wavelength * 1e10,
                "scattering_vec_A_inv": scaled(loop.scattering_vector, 1e-10),
                "stol_A_inv": loop.stol * 1e-10,
                "cos_2theta": loop.cos_2theta,
                "passes_dmin": int(passed),
                "polar_in_use": loop.polar,
                **self.of_source(),
                "steps": [],
            }
        )

    def of_source(self) -> "dict[str, Any]":
        """What there is to tell where sources do not count alike, or what is diffuse joins each one's sum."""
        loop, more = self.loop, {}
        if loop.weighs_sources:
            more["source_weight"] = loop.weight
        if loop.diffuse > 0.0:
            more["diffuse"] = loop.diffuse
            self.loops_sum += loop.diffuse * self.step_weight()
        return more

    def step(self, orientation: "Any", contribution: "Any", total: "Any") -> None:
        """A phi step and domain is done."""
        loop = self.loop
        phi_step, domain = divmod(orientation, self.domains)
        cell, star = scaled(loop.cell_vectors, 1e10), scaled(loop.reciprocal_vectors, 1e-10)
        axes = loop.F_latt_axes
        step = {
            "phi_step": phi_step,
            "mosaic_domain": domain,
            "phi_deg": (self.sampling.phi0 + self.sampling.phistep * phi_step) * DEGREES_PER_RADIAN,
            "rot_a_angstroms": cell[0:3],
            "rot_b_angstroms": cell[3:6],
            "rot_c_angstroms": cell[6:9],
            "rot_a_star_A_inv": star[0:3],
            "rot_b_star_A_inv": star[3:6],
            "rot_c_star_A_inv": star[6:9],
            "V_actual": loop.volume * 1e30,
            "hkl_frac": (loop.h, loop.k, loop.l),
            "hkl_rounded": (int(loop.h0), int(loop.k0), int(loop.l0)),
            "F_latt_a": axes[0],
            "F_latt_b": axes[1],
            "F_latt_c": axes[2],
            "F_latt": loop.F_latt,
            "F_latt_sqr": loop.F_latt_sqr,
        }
        if loop.F_latt != 0.0 or self.background != 0.0:
            if loop.interpolated:
                self.neighbourhood(step)
            step["F_cell"] = loop.F_cell
            self.loops_sum += loop.F_cell * loop.F_cell * loop.F_latt_sqr * self.step_weight()
        step["contribution"] = contribution
        step["I_running"] = total
        self.subpixels[-1]["sources"][-1]["steps"].append(step)

    def neighbourhood(self, step: "Any") -> None:
        """The 4 x 4 x 4 structure factors around the step's indices, and their weights."""
        (step["interpolation_weights_h"], step["interpolation_weights_k"], step["interpolation_weights_l"]), rows = (
            self.loop.neighbourhood
        )
        h, k, l = (int(index // 1.0) - 1 for index in step["hkl_frac"])
        step["F_neighbours"] = [(h + row // 4, k + row % 4, l, *values) for row, values in enumerate(rows)]

    def step_weight(self) -> "Any":
        """The corrections that are made at every step."""
        weight = self.loop.weight
        if self.sampling.oversample_thick:
            weight *= self.loop.capture
        if self.sampling.oversample_polar:
            weight *= self.loop.polar
        if self.sampling.oversample_omega:
            weight *= self.loop.omega
        return weight


def trace_pixel(
    experiment: "Any", table: "Any", slow: int, fast: int, compat: str = "spec", image: "Any" = None
) -> "Any":
    """Trace one pixel of an experiment: a `Trace`.

    table: as for `simulate`. slow, fast: the pixel, counted from 0. compat: as for `simulate`. image: the rendered
    image, a float32 buffer (slow, fast); None renders that pixel.

    Raises NanoBraggError for a pixel that is not rendered, for too many steps, and when the traced value is not the
    rendered one, which would be a defect of this program.
    """
    check_traceable(experiment, slow, fast)
    defects = compat == "c"
    job = Job(experiment, table, defects=defects)
    loop = Sequential(job, defects=defects)
    loop.catch_up(slow, fast)
    first = not loop.executed and job.first_orientations is not None
    recorder = loop.recorder = Recorder(loop, experiment)
    value = loop.pixel(slow, fast)
    pixel = pixel_quantities(experiment, loop, value)
    if is_sequential(experiment.sampling, compat):
        # the defects weigh and interpolate in an order that the parallel loops do not have
        del pixel["I_before_scaling_loops"]
    else:
        pixel["I_before_scaling_loops"] = recorder.loops_sum
    if image is not None:
        pixel["I_pixel_image"] = memoryview(image)[slow, fast]
    elif first or is_sequential(experiment.sampling, compat):
        pixel["I_pixel_image"] = array("f", [value])[0]
    else:
        pixel["I_pixel_image"] = rendered_pixel(experiment, table, slow, fast, defects, value)
    trace = Trace(
        slow=slow,
        fast=fast,
        compat=compat,
        setup=setup_quantities(experiment),
        subpixels=recorder.subpixels,
        pixel=pixel,
    )
    check_value(trace, experiment)
    return trace


def check_traceable(experiment: "Any", slow: int, fast: int) -> None:
    """Raise NanoBraggError for a pixel that the experiment does not render, or that has too many steps to be read."""
    if experiment.amorphous is not None:
        raise NanoBraggError("the curve of -stol scatters beside the crystal; trace the pixel without it")
    if experiment.crystals:
        raise NanoBraggError(
            f"this image is the sum of {len(experiment.crystals)} crystals, each with its own steps; trace one, with "
            "Experiment.trace(slow, fast, crystal=0)"
        )
    detector = experiment.detector
    if not (0 <= slow < detector.spixels and 0 <= fast < detector.fpixels):
        raise NanoBraggError(
            f"pixel slow {slow}, fast {fast} is not on the detector, which has {detector.spixels} (slow) by "
            f"{detector.fpixels} (fast) pixels, counted from 0"
        )
    fast_min, fast_max, slow_min, slow_max = detector.roi
    if not (slow_min <= slow <= slow_max and fast_min <= fast <= fast_max):
        raise NanoBraggError(
            f"pixel slow {slow}, fast {fast} is outside the region of interest, slow {slow_min} to {slow_max} and fast "
            f"{fast_min} to {fast_max}; change -roi or the pixel"
        )
    if detector.mask is not None and memoryview(detector.mask)[slow * detector.fpixels + fast] == 0:
        raise NanoBraggError(
            f"pixel slow {slow}, fast {fast} is masked by {detector.mask_name}; trace it without -mask"
        )
    steps = experiment.sampling.steps * detector.thicksteps
    if steps > MAX_STEPS:
        raise NanoBraggError(
            f"a pixel has {steps} steps here, too many to be read (the limit is {MAX_STEPS}); use fewer of -phisteps, "
            "-mosaic_domains, -oversample, -dispsteps, -divsteps or -detector_thicksteps"
        )


def rendered_pixel(experiment: "Any", table: "Any", slow: int, fast: int, defects: "Any", value: "Any") -> "Any":
    """The pixel's value from the parallel loops, float32; `value` where with `-compat c` they leave it to this one."""
    detector = experiment.detector.replace(roi=(fast, fast, slow, slow))
    job = Job(experiment.replace(detector=detector), table, defects=defects)
    renderer, _ = cpu_renderer()
    image = new_image(job.shape)
    renderer.render(job, image, exact=(lambda *_: value) if defects else None)
    return memoryview(image)[slow, fast]


def check_value(trace: "Any", experiment: "Any") -> None:
    """The trace explains the image only if it ends with the image's value."""
    pixel, crystal = trace.pixel, experiment.crystal
    traced, rendered = pixel["I_pixel_final"], pixel["I_pixel_image"]
    if array("f", [traced])[0] == rendered or (traced != traced and rendered != rendered):
        return
    top = crystal.cells[0] * crystal.cells[1] * crystal.cells[2]
    ceiling = sum(step.get("F_cell", 0.0) ** 2 for step in trace.steps()) * top * top
    ceiling *= R_E_SQR * experiment.beam.fluence * crystal.share / experiment.sampling.steps
    ceiling *= pixel["capture_fraction"] * pixel["polar"] * pixel["omega_pixel"]
    if not abs(traced - rendered) <= max(RELATIVE * abs(traced), OF_CEILING * ceiling):
        raise NanoBraggError(
            f"the trace of pixel slow {trace.slow}, fast {trace.fast} ends with {traced:.9g}, but the image has "
            f"{rendered:.9g}; this is a defect of nanobragg_py, please report the command line"
        )


def setup_quantities(experiment: "Any") -> "dict[Any, Any]":
    """What is the same for every pixel."""
    beam, detector, crystal, sampling = experiment.beam, experiment.detector, experiment.crystal, experiment.sampling
    return {
        "convention": detector.convention,
        "fdet_vec": detector.fast,
        "sdet_vec": detector.slow,
        "odet_vec": detector.normal,
        "beam_vec": beam.direction,
        "polar_vec": beam.polarization_axis,
        "spindle_axis": sampling.spindle,
        "distance_meters": detector.distance,
        "close_distance_meters": detector.close_distance,
        "pixel_size_meters": detector.pixel_size,
        "Fbeam_Sbeam_meters": (detector.Fbeam, detector.Sbeam),
        "Fclose_Sclose_meters": (detector.Fclose, detector.Sclose),
        "pix0_vector_meters": detector.origin,
        "a_angstroms": scaled(crystal.a, 1e10),
        "b_angstroms": scaled(crystal.b, 1e10),
        "c_angstroms": scaled(crystal.c, 1e10),
        "a_star_A_inv": crystal.a_star,
        "b_star_A_inv": crystal.b_star,
        "c_star_A_inv": crystal.c_star,
        "V_cell": crystal.volume,
        "Na_Nb_Nc": crystal.cells,
        "shape": crystal.shape,
        "fudge": crystal.fudge,
        "interpolate": int(sampling.interpolate),
        "layers": detector.thicksteps,
        "oversample": sampling.oversample,
        "sources": len(beam.sources),
        "phisteps": sampling.phisteps,
        "mosaic_domains": crystal.mosaic_domains,
        "oversample_thick": int(sampling.oversample_thick),
        "oversample_polar": int(sampling.oversample_polar),
        "oversample_omega": int(sampling.oversample_omega),
    }


def pixel_quantities(experiment: "Any", loop: "Any", value: "Any") -> "dict[Any, Any]":
    """What follows from the sum; the sum of the parallel loops and the image's value are filled in by the caller."""
    return {
        "I_background": experiment.water_background,
        "I_before_scaling": loop.intensity,
        "I_before_scaling_loops": None,
        "r_e_sqr": R_E_SQR,
        "fluence_photons_per_m2": experiment.beam.fluence,
        "steps": experiment.sampling.steps,
        "capture_fraction": loop.capture,
        "polar": loop.polar,
        "omega_pixel": loop.omega,
        "I_pixel_final": value,
        "I_pixel_image": None,
    }


def scaled(values: "Any", factor: "Any") -> "Any":
    """A tuple of numbers, each times a factor."""
    return tuple(factor * value for value in values)
