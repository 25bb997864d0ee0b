"""What surprises people about a command line: rules of the reference program that nobody expects, where they apply.

All of it is reproduced on purpose; here it is said. Every oddity is a pair of an id and a sentence.
"""

from math import degrees, pi, prod
from typing import Any

from ..experiment.parts import VECTOR_OPTIONS
from ..kernels.loops.job import by_product, photons_kept

#: rules of `nanobragg_py.experiment.origins.Void` that are no surprise, or told of in other words
PLAIN = {"inert", "not-written", "misset-random", "pix0_vector-unused", "convention-overrides-pivot"}


def oddities(options: Any, history: Any, loaded: Any, voids: Any) -> Any:
    """The (id, sentence) pairs of a command line.

    options: as the flags left them. history: every Setting, in order. loaded: the `Loaded` experiment, or None where
    there is none; what can be told without is told all the same. voids: (rule, options, reason) triples, of options
    that do not enter the image.
    """
    last = {setting.option: setting for setting in history}
    found = [
        *_double_firing(history),
        *_void(voids, last),
        *_convention(options, last, loaded),
        *_files(options, last),
        *_crystal(options, last, loaded),
        *_seeds(options, last),
        *_corrections(options, last, loaded),
        *_defects(options, loaded),
    ]
    return found


def oddities_of_physics(options: Any, history: Any, loaded: Any) -> Any:
    """Those of an experiment that no command line states: what the reference's physics makes of it."""
    if options.physics == "exact":
        return []
    last = {setting.option: setting for setting in history}
    return [*_crystal(options, last, loaded), *_corrections(options, last, loaded)]


def flag(last: Any, option: Any) -> str:
    """How an option was set, for a sentence."""
    return str(last[option].origin)


def by_flag(last: Any, *options: Any) -> list[Any]:
    """Those of the options that a flag set."""
    return [option for option in options if option in last and last[option].origin.kind == "flag"]


def _double_firing(history):
    """Tokens that set more than their name says."""
    for setting in history:
        token = setting.origin.name
        if setting.origin.kind != "flag":
            continue
        if setting.option == "misset" and "misset_seed" in token:
            angles = " ".join(f"{degrees(angle):g}" for angle in setting.value)
            yield (
                "misset_seed-fires-misset",
                f"{token} contains -misset, so the three values behind it became missetting angles as well "
                f"({angles} deg); put it last on the line, or a -misset of your own behind it",
            )
        if setting.option == "twotheta" and "twotheta_axis" in token:
            yield (
                "twotheta_axis-fires-twotheta",
                f"{token} contains -twotheta, so the first number of the axis became a swing of "
                f"{degrees(setting.value):g} deg; put -twotheta behind it",
            )


def _void(voids, last):
    """Flags whose values something else makes void."""
    for name, options, why in voids:
        said = dict.fromkeys(flag(last, option) for option in by_flag(last, *options))
        if said and name not in PLAIN:
            yield name, f"{', '.join(said)} has no effect: {why}"


def _convention(options, last, loaded):
    pivot = loaded.experiment.detector.pivot if loaded is not None else options.pivot
    if pivot != options.pivot and by_flag(last, "pivot"):
        yield (
            "convention-overrides-pivot",
            f"convention {options.convention} pivots the detector around the {pivot}, whatever "
            f"{flag(last, 'pivot')} says; only convention CUSTOM keeps the pivot of the flags",
        )
    if options.convention == "CUSTOM" and "convention" in last:
        vectors = by_flag(last, *VECTOR_OPTIONS)
        unset = [f"-{name}" for name in VECTOR_OPTIONS if name not in vectors]
        yield (
            "vector-selects-custom",
            f"{flag(last, 'convention')} leaves the named conventions for CUSTOM, whose beam centre is the near point"
            + (f" and whose other vectors ({', '.join(unset)}) have MOSFLM's or their own defaults" if unset else ""),
        )
    if "pix0_vector" in last:
        yield (
            "pix0_vector-unused",
            f"the values of {flag(last, 'pix0_vector')} are read and never used: the origin follows from the distance "
            "and the beam centre; all that the flag does is to select convention CUSTOM",
        )


def _files(options, last):
    """Files that are read in vain, or written over."""
    if options.stol_file is not None and options.physics != "exact":
        yield (
            "stol-unused",
            f"{options.stol_file} of {flag(last, 'stol_file')} has to exist and is read, and the image does not "
            "depend on it",
        )
    if options.hkl_file is not None and by_flag(last, "dump_file"):
        yield ("dump-overwritten", f"{options.dump_file} is written anew from {options.hkl_file}, whatever it held")


def _crystal(options, last, loaded):
    if loaded is None:
        return
    crystal, factors = loaded.experiment.crystal, loaded.experiment.structure_factors
    if options.hkl_file is None and factors.bounds is not None:
        named = "named by a flag" if by_flag(last, "dump_file") else "left by an earlier run"
        yield (
            "dump-reused",
            f"without -hkl the structure factors come from the file {options.dump_file} that lies here ({named}); "
            "remove it if they are not the ones you mean",
        )
    if options.user_cell and any(angle not in (0.0, pi / 2) for angle in options.cell_angles):
        given = " ".join(f"{x:g}" for x in map(degrees, options.cell_angles))
        made = " ".join(f"{x:g}" for x in map(degrees, crystal.angles))
        if given != made:
            yield (
                "cell-distorted",
                f"a cell of -cell that is not orthogonal comes out slightly distorted: angles {given} deg became "
                f"{made} deg; an orientation matrix (-mat) avoids that",
            )
    if crystal.random_misset:
        yield (
            "random-misset-cap",
            "a random misset is a rotation by up to 90 radians, not 90 degrees, about a random axis",
        )
    if options.interpolate > 1 and any(getattr(options, f"sample_{axis}") > 0 for axis in "xyz"):
        counts = " ".join(f"{getattr(options, f'N{axis}'):g}" for axis in "abc")
        yield (
            "interpolation-judged-early",
            "whether to interpolate structure factors is decided by the numbers of cells from before the sample's "
            f"size made them ({counts}); -interpolate or -nointerpolate decides for good",
        )
    if by_product(crystal.shape) and len(set(crystal.cells)) + (max(crystal.cells) > 1) > 1:
        yield (
            "width-by-product",
            f"the width of {crystal.shape} spots scales with the product of all three numbers of cells along every "
            "axis, not with each axis's own",
        )
    kept = photons_kept(crystal) if crystal.fudge > 0.0 else 1.0
    if not 0.99 < kept < 1.01:
        # fudge is the square of a factor on widths
        restoring = crystal.fudge * kept ** (2.0 / 3.0)
        yield (
            "photons-of-the-shape",
            f"{crystal.shape} spots are {kept:.3g} times as bright, summed over a spot, as those of a crystal of "
            f"{prod(crystal.cells):g} cells; -fudge {restoring:.6g} restores the sum",
        )


def _seeds(options, last):
    if options.misset_mode == "random" and options.misset_seed is None:
        follows = ", and does not follow -seed" if "seed" in last else ""
        yield (
            "misset_seed-from-clock",
            f"the random orientation is seeded by the clock{follows}: another one every second; give -misset_seed",
        )
    if "mosaic_seed" not in last and "seed" in last and options.mosaic_spread > 0:
        yield (
            "mosaic_seed-fixed",
            "the mosaic domains do not follow -seed; they have a seed of their own, -mosaic_seed",
        )
    if options.seed is None and options.write_noise:
        yield ("seed-from-clock", "the noise is seeded by the clock: another image every second; give -seed")


def _corrections(options, last, loaded):
    if options.nopolar and options.oversample_polar:
        yield (
            "polarization-on",
            f"{flag(last, 'oversample_polar')} switches polarization on, in spite of {flag(last, 'nopolar')}",
        )
    if options.water > 0:
        yield ("water-scaled-twice", "the water background is scaled by fluence and r_e^2 twice over")
    if loaded is None:
        return
    beam, detector = loaded.experiment.beam, loaded.experiment.detector
    if options.source_file is not None and len({source[3] for source in beam.sources}) > 1:
        yield (
            "weights-unused",
            f"the weights in {options.source_file} differ, and the image does not depend on them",
        )
    if options.oversample_thick and detector.thickness == 0.0:
        yield (
            "no-sensor",
            f"{flag(last, 'oversample_thick')} without a sensor (-detector_thick) makes an empty image",
        )
    layers, asked = detector.thicksteps, options.detector_thick
    if asked > 0.0 and abs(layers * detector.thickstep / asked - 1.0) > 1e-6:
        yield (
            "thicker-sensor",
            f"the {layers} layers of the sensor are {layers * detector.thickstep * 1e6:g} um thick together, and not "
            f"the {asked * 1e6:g} um of {flag(last, 'detector_thick')}: each has the thickness between the middles of "
            "n layers, of which there are n - 1",
        )
    if not options.oversample_thick and detector.thicksteps > 1:
        yield (
            "last-layer",
            "the capture fraction of the last sensor layer multiplies the sum over all layers; -oversample_thick gives "
            "each layer its own",
        )
    fast, slow = detector.roi[1], detector.roi[3]
    if by_flag(last, "roi") and (fast >= detector.fpixels or slow >= detector.spixels):
        yield (
            "roi-beyond",
            f"{flag(last, 'roi')} reaches beyond the last pixel ({detector.fpixels - 1} {detector.spixels - 1}); the "
            "bounds are inclusive, and what lies outside is left out",
        )


def _defects(options, loaded):
    """What -compat c brings back, where it matters."""
    if options.compat != "c" or loaded is None:
        return
    sampling = loaded.experiment.sampling
    phis = [sampling.phi0 + sampling.phistep * i for i in range(sampling.phisteps)]
    if sampling.phisteps > 1 and 0.0 in phis:
        yield (
            "compat-c-phi",
            f"under -compat c phi step {phis.index(0.0)}, where phi is exactly 0, uses the orientation of the step "
            "before it in the loop (D1)",
        )
    weighted = [name for name in ("thick", "polar", "omega") if getattr(options, f"oversample_{name}")]
    if weighted:
        names = ", ".join(f"-oversample_{name}" for name in weighted)
        yield ("compat-c-running-sum", f"under -compat c {names} multiplies the running sum at every step (D2)")
    if sampling.interpolate:
        yield (
            "compat-c-interpolation",
            "under -compat c the first pixel whose indices leave the table's range ends interpolation for the rest of "
            "the image (D4)",
        )
