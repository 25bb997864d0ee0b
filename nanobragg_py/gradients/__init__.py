"""Derivatives of images by what an experiment states: `Experiment.vjp`, `jvp` and `derivative_images`.

The loops (kernels/loops/gradient.pyx) give derivatives by the numbers that they know: cell vectors, sources, the
detector's place, factors. `model` states how those follow from an experiment's fields, for complex numbers too, and
`changes` differentiates that by complex steps. `modes` puts the two together, so that all modes share one map.
"""
