"""Images as functions of jax's arrays, with gradients in reverse mode. Needs jax."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from .errors import FieldError
from .gradients.values import image_and_pullback, with_values


def render(experiment: Any, threads: int = 0, **arrays: Any) -> jax.Array:
    """The image of an `Experiment` some of whose fields are arrays: (slow, fast), of panels a stack; photons a pixel.

    arrays: fields as of `Experiment.vjp`, with two underscores or in a dict: ``crystal__lengths=array``,
    ``**{"crystal.lengths": array}``; values in the fields' units. crystal.rotation is the vector of a turn about the
    crystal as it stands. threads: as of `Experiment.render`. The image is float64 where jax has that enabled, else
    float32; it is computed in float64, by a callback, so that `jit` and `grad` work. Derivatives are first ones in
    reverse mode.

    Raises FieldError for names that do not exist or apply.
    """
    if not arrays:
        raise FieldError("no arrays are given; name fields, such as crystal__rotation=jax.numpy.zeros(3)")
    names = [name.replace("__", ".") for name in arrays]
    dtype = np.float64 if jax.config.jax_enable_x64 else np.float32
    shape = jax.ShapeDtypeStruct(experiment.shape, dtype)

    def values_of(values):
        return {name: np.asarray(value, dtype=np.float64) for name, value in zip(names, values, strict=True)}

    def host_image(*values):
        return with_values(experiment, values_of(values)).render(threads=threads, dtype="float64").astype(dtype)

    def host_gradient(weights, *values):
        gradient = image_and_pullback(experiment, values_of(values), threads)[1](np.asarray(weights, dtype=np.float64))
        return tuple(gradient[name].astype(value.dtype) for name, value in zip(names, values, strict=True))

    @jax.custom_vjp
    def image(*values):
        return jax.pure_callback(host_image, shape, *values)

    def forward(*values):
        return image(*values), values

    def backward(values, weights):
        shapes = tuple(jax.ShapeDtypeStruct(value.shape, value.dtype) for value in values)
        return jax.pure_callback(host_gradient, shapes, weights, *values)

    image.defvjp(forward, backward)
    return image(*(jax.numpy.asarray(array, dtype) for array in arrays.values()))
