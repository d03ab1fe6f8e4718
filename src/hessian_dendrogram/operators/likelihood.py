"""Distributions of labels whose Fisher matrix is known, and which of them a loss is the likelihood of."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError
from .metrics import Bernoulli, Identity, OutputFunction, Softmax, rows_of
from .output_metrics import Curvature, as_vector
from .risk import Risk

FAMILIES: dict[str, OutputFunction] = {"categorical": Softmax(), "bernoulli": Bernoulli(), "gaussian": Identity()}
"""Their Fisher matrices are those of metrics on the outputs, which are the natural parameters."""


def family_of(risk: Risk) -> str:
    """The distribution whose Fisher matrix a loss has as its second derivative, times a factor for each row.

    It is asked at random outputs of the size of one, for a function of the outputs shows everywhere what it is.

    Raises:
        UserError: there is none.
    """
    inputs, targets, _ = next(iter(risk.data.evenly_spaced(8).weighted()))
    with risk.session(), torch.no_grad():
        z, rebuilt = as_vector(risk.outputs(inputs))
    generator = torch.Generator().manual_seed(0)
    z, u, w = (torch.randn(len(z), generator=generator, dtype=torch.float64).to(z) for _ in range(3))
    with risk.session():
        product = Curvature().product(risk, (inputs, targets), z, rebuilt, functional=False)
        bent = [product(u), product(w)]
        outputs = rebuilt(z)
        for axis in (None, 1):
            for name, function in FAMILIES.items():
                try:
                    rows = rows_of(outputs, axis)
                    theirs = [_bent(function, rows, rows_of(rebuilt(v), axis)) for v in (u, w)]
                    pairs = [(rows_of(rebuilt(one), axis), other) for one, other in zip(bent, theirs, strict=True)]
                except UserError:
                    continue
                if _is_multiple(pairs, risk.roundoff**0.5):
                    return name
    raise UserError(
        "the loss is not the negative log-likelihood of a categorical, Bernoulli or Gaussian distribution whose "
        "natural parameters are the outputs; give distribution=, a name or a function with draws="
    )


def _bent(function: OutputFunction, rows: Tensor, v: Tensor) -> Tensor:
    """∂²f/∂z² v for each row."""
    with torch.enable_grad():
        leaf = rows.detach().requires_grad_()
        slope = torch.autograd.grad(function.function(leaf).sum(), leaf, create_graph=True)[0]
        return torch.autograd.grad(slope, leaf, v)[0].detach()


def _is_multiple(pairs: list[tuple[Tensor, Tensor]], tolerance: float) -> bool:
    """Whether the first of each pair is, row by row, a factor >= 0 times the second; the same one in all pairs."""
    square = sum((theirs.square().sum(-1) for _, theirs in pairs), torch.zeros(()))
    factors = sum(((ours * theirs).sum(-1) for ours, theirs in pairs), torch.zeros(())) / square
    if not bool((factors >= -tolerance * factors.abs().max()).all()) or not float(factors.abs().max()):
        return False
    apart = max(float((ours - factors[..., None] * theirs).norm()) for ours, theirs in pairs)
    return apart <= tolerance * max(float(ours.norm()) for ours, _ in pairs)
