"""Images as functions of torch's tensors, with gradients. Needs torch."""

from __future__ import annotations

from typing import Any

import torch

from .errors import FieldError
from .gradients.values import image_and_pullback


def render(experiment: Any, threads: int = 0, **tensors: torch.Tensor) -> torch.Tensor:
    """The image of an `Experiment` some of whose fields are tensors: (slow, fast), of panels a stack; photons a pixel.

    tensors: fields as of `Experiment.vjp`, with two underscores or in a dict: ``crystal__lengths=tensor``,
    ``**{"crystal.lengths": tensor}``; values in the fields' units. crystal.rotation is the vector of a turn about the
    crystal as it stands. threads: as of `Experiment.render`. The image has the tensors' dtype and device; it is
    computed in float64, on the CPU.

    Gradients flow to the tensors once: FieldError for a second derivative, for names that do not exist or apply, and
    for values that make no experiment.
    """
    if not tensors:
        raise FieldError("no tensors are given; name fields, such as crystal__rotation=torch.zeros(3)")
    _ = experiment.shape  # panels of several sizes have none
    names = [name.replace("__", ".") for name in tensors]
    given = [torch.as_tensor(tensor) for tensor in tensors.values()]
    return _Image.apply(experiment, names, threads, *given)


class _Image(torch.autograd.Function):
    @staticmethod
    def forward(ctx, experiment, names, threads, *tensors):
        values = {name: t.detach().cpu().double().numpy() for name, t in zip(names, tensors, strict=True)}
        image, ctx.pullback = image_and_pullback(experiment, values, threads)
        ctx.names = names
        ctx.save_for_backward(*tensors)
        dtype = tensors[0].dtype
        for tensor in tensors[1:]:
            dtype = torch.promote_types(dtype, tensor.dtype)
        dtype = dtype if dtype.is_floating_point else torch.float64
        return torch.from_numpy(image).to(tensors[0].device, dtype)

    @staticmethod
    def backward(ctx, weights):
        return None, None, None, *_Gradient.apply(ctx.pullback, ctx.names, weights, *ctx.saved_tensors)


class _Gradient(torch.autograd.Function):
    """The gradient as a function of the tensors, so that whoever differentiates it again is told."""

    @staticmethod
    def forward(ctx, pullback, names, weights, *tensors):
        gradient = pullback(weights.detach().cpu().double().numpy())
        return tuple(
            torch.from_numpy(gradient[name]).to(t.device, t.dtype) for name, t in zip(names, tensors, strict=True)
        )

    @staticmethod
    def backward(ctx, *_):
        raise FieldError("images have first derivatives only; leave out what differentiates the gradient again")
