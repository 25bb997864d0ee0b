"""Images of tensors: gradients by torch and by jax, checked by their own checks. They run where the two are."""

import numpy as np
import pytest

from nanobragg_py import Beam, Crystal, Detector, Experiment, FieldError, Sampling, StructureFactors


def experiment():
    span = np.arange(-3, 4)
    hkl = np.stack(np.meshgrid(span, span, span, indexing="ij"), -1).reshape(-1, 3)
    F = np.random.default_rng(1).uniform(50.0, 150.0, len(hkl))
    return Experiment(
        Crystal.from_cell(30.0, 33.0, 36.0, 85.0, 95.0, 100.0, missets=(0.1, 0.2, 0.3), cells=(3, 3, 3)),
        Beam(wavelength=1.0e-10, fluence=1e27),
        Detector.flat((6, 5), 2e-3, 0.06),
        Sampling(oversample=1, interpolate=False),
        StructureFactors.from_arrays(hkl, F, default_F=1.0),
    )


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs torch")


def test_torch_gradcheck(torch):
    from nanobragg_py.torch import render

    e = experiment()

    def image(rotation, lengths, F):
        return render(e, crystal__rotation=rotation, crystal__lengths=lengths, **{"structure_factors.F": F})

    rotation = torch.tensor([0.2, -0.1, 0.3], dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor(e.crystal.lengths, dtype=torch.float64, requires_grad=True)
    box = np.asarray(e.structure_factors.values).reshape(8, 8, 8)[:-1, :-1, :-1]
    F = torch.tensor(box, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda r, x: image(r, x, F), (rotation, lengths), eps=1e-6, atol=1e-5, rtol=1e-5)
    F.requires_grad_(True)
    image(rotation, lengths, F).sum().backward()
    unit = torch.zeros_like(F)
    unit[3, 4, 2] = 1e-3
    with torch.no_grad():
        slope = (image(rotation, lengths, F + unit).sum() - image(rotation, lengths, F - unit).sum()) / 2e-3
    assert float(F.grad[3, 4, 2]) == pytest.approx(float(slope), rel=1e-6, abs=1e-9)


def test_torch_dtype_and_second_derivatives(torch):
    from nanobragg_py.torch import render

    e = experiment()
    rotation = torch.zeros(3, requires_grad=True)
    image = render(e, crystal__rotation=rotation)
    assert image.dtype == torch.float32
    assert np.array_equal(image.detach().numpy(), e.render(threads=1))
    (gradient,) = torch.autograd.grad(image.sum(), rotation, create_graph=True)
    assert gradient.dtype == torch.float32
    with pytest.raises(FieldError, match="images have first derivatives only"):
        gradient.sum().backward()
    with pytest.raises(FieldError, match="no tensors are given"):
        render(e)
    with pytest.raises(FieldError, match=r"crystal\.cells cannot be given another value"):
        render(e, crystal__cells=torch.ones(3))


def test_jax_check_grads():
    jax = pytest.importorskip("jax", reason="needs jax")
    from jax.test_util import check_grads

    from nanobragg_py.jax import render

    jax.config.update("jax_enable_x64", True)
    e = experiment()

    def image(rotation, distance):
        return render(e, crystal__rotation=rotation, detector__distance=distance)

    at = jax.numpy.array([0.2, -0.1, 0.3]), jax.numpy.array(0.06)
    check_grads(image, at, order=1, modes=["rev"], atol=1e-4, rtol=1e-4, eps=1e-6)
    by_grad = jax.jit(jax.grad(lambda *x: image(*x).sum(), argnums=1))(*at)
    moved = e.replace(crystal=e.crystal)
    pullback = moved.vjp(["detector.distance"], threads=1)[1]
    assert np.isfinite(by_grad) and np.isfinite(pullback(np.ones(e.shape))["detector.distance"])
    with pytest.raises(FieldError, match="no arrays are given"):
        render(e)
