r"""Metrics on the outputs of a batch: the symmetric matrices M in Jᵀ M J, one for each batch.

With the outputs z of a batch, all their numbers in one vector, M is

- *curvature*: ∂²ℓ/∂z² of the batch's loss, by automatic differentiation;
- *squared slopes*: Σ_n c_n Σ_k s_nk s_nkᵀ, for vectors s_nk on the outputs of sample n, such as slopes of its loss.

Neither has a term between two samples of a batch, where the loss is a mean over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, vjp
from torch.utils import _pytree

from ..errors import UserError
from ..models.samples import Batch
from .layerwise.output import output_hessian
from .risk import Risk, flat

Rebuilt = Callable[[Tensor], Any]
"""Makes a model's outputs of a vector of their numbers."""


def as_vector(outputs: Any) -> tuple[Tensor, Rebuilt]:
    """All floating-point numbers of a model's outputs as one vector, and what makes outputs of such a vector."""
    leaves, structure = _pytree.tree_flatten(outputs)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    if not places:
        raise UserError("the model's outputs have no floating-point tensor")
    shapes = [leaves[i].shape for i in places]

    def rebuilt(z: Tensor) -> Any:
        others = list(leaves)
        for i, part, shape in zip(places, z.split([shape.numel() for shape in shapes]), shapes, strict=True):
            others[i] = part.view(shape)
        return _pytree.tree_unflatten(others, structure)

    return flat(leaves[i] for i in places), rebuilt


def slope_at(risk: Risk, batch: Batch, z: Tensor, rebuilt: Rebuilt) -> Tensor:
    """The gradient of a batch's loss with respect to its outputs."""
    leaf = z.detach().requires_grad_()
    value = risk.output_loss(rebuilt(leaf), batch[1])
    if not value.requires_grad:
        return torch.zeros_like(z)
    return torch.autograd.grad(value, leaf, materialize_grads=True)[0].detach()


@dataclass(frozen=True)
class Curvature:
    """The second derivative of a batch's loss with respect to its outputs."""

    def product(
        self, risk: Risk, batch: Batch, z: Tensor, rebuilt: Rebuilt, *, functional: bool
    ) -> Callable[[Tensor], Tensor]:
        """M u as a function of u.

        Args:
            risk: has the loss.
            batch: whose outputs z are.
            z: without a graph.
            rebuilt: makes outputs of them.
            functional: by transforms, so that many u are taken at once.
        """
        if functional:

            def loss(z: Tensor) -> Tensor:
                return risk.output_loss(rebuilt(z), batch[1])

            pulled = vjp(grad(loss), z)[1]  # a symmetric matrix

            def transformed(u: Tensor) -> Tensor:
                moved: Tensor = pulled(u)[0]
                return moved

            return transformed
        leaf = z.detach().requires_grad_()
        slope = torch.autograd.grad(risk.output_loss(rebuilt(leaf), batch[1]), leaf, create_graph=True)[0]

        def product(u: Tensor) -> Tensor:
            if not slope.requires_grad:
                return torch.zeros_like(z)
            return torch.autograd.grad(slope, leaf, u, retain_graph=True, materialize_grads=True)[0]

        return product

    def slope(self, risk: Risk, batch: Batch, z: Tensor, at: Tensor, rebuilt: Rebuilt) -> Tensor:  # noqa: ARG002
        """A vector at outputs `at` whose derivative, at those of the operator, is M."""
        return slope_at(risk, batch, at, rebuilt)

    def matrices(self, risk: Risk, batch: Batch, outputs: Tensor) -> Tensor:
        """M as a matrix of each sample: for outputs (B, ...) of F entries each, (B, F, F)."""
        with torch.enable_grad():
            leaf = outputs.detach().requires_grad_()
            value = risk.output_loss(leaf, batch[1])
            if not value.requires_grad:
                return leaf.new_zeros(len(leaf), leaf[0].numel(), leaf[0].numel())
            slope = torch.autograd.grad(value, leaf, create_graph=True)[0]
            return output_hessian(slope, leaf)


@dataclass(frozen=True)
class SquaredSlopes:
    """Sums of squares of vectors on the outputs of each sample.

    Args:
        slopes: for a batch and its outputs the vectors, shape (k, numbers), and a factor for each sample, shape (B,).
    """

    slopes: Callable[[Batch, Tensor, Rebuilt], tuple[Tensor, Tensor]]

    def product(
        self,
        risk: Risk,  # noqa: ARG002
        batch: Batch,
        z: Tensor,
        rebuilt: Rebuilt,
        *,
        functional: bool,  # noqa: ARG002
    ) -> Callable[[Tensor], Tensor]:
        """M u as a function of u."""
        slopes, factors = self.slopes(batch, z.detach(), rebuilt)
        sizes = _sizes(rebuilt(z), len(factors))

        def product(u: Tensor) -> Tensor:
            along = _by_sample(slopes * u, sizes, len(factors)) * factors  # (k, B)
            return (slopes * _spread(along, sizes)).sum(0)

        return product

    def slope(self, risk: Risk, batch: Batch, z: Tensor, at: Tensor, rebuilt: Rebuilt) -> Tensor:
        """M times the outputs `at`."""
        return self.product(risk, batch, z, rebuilt, functional=False)(at)

    def matrices(self, risk: Risk, batch: Batch, outputs: Tensor) -> Tensor:  # noqa: ARG002
        """M as a matrix of each sample: for outputs (B, ...) of F entries each, (B, F, F)."""
        with torch.enable_grad():
            z, rebuilt = as_vector(outputs)
            slopes, factors = self.slopes(batch, z.detach(), rebuilt)
        rows = slopes.reshape(len(slopes), len(outputs), -1)
        return torch.einsum("kbf,kbg,b->bfg", rows, rows, factors.to(rows))


Metric = Curvature | SquaredSlopes


def _sizes(outputs: Any, count: int) -> list[int]:
    """How many numbers of each tensor of the outputs belong to one sample."""
    leaves = [leaf for leaf in _pytree.tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    for leaf in leaves:
        if count > 1 and (not leaf.ndim or len(leaf) != count):
            raise UserError(
                f"the loss of each sample by itself is needed, and the outputs of {count} samples have the shape "
                f"{tuple(leaf.shape)}; let the first axis be that of the samples"
            )
    return [leaf.numel() // count for leaf in leaves]


def _by_sample(vectors: Tensor, sizes: list[int], count: int) -> Tensor:
    """The sum over the numbers of each sample: (k, numbers) to (k, B)."""
    parts = vectors.split([size * count for size in sizes], dim=1)
    return torch.stack([part.reshape(len(vectors), count, -1).sum(2) for part in parts]).sum(0)


def _spread(values: Tensor, sizes: list[int]) -> Tensor:
    """A number of each sample at all of its outputs: (k, B) to (k, numbers)."""
    parts = [values[:, :, None].expand(-1, -1, size).reshape(len(values), -1) for size in sizes]
    return torch.cat(parts, dim=1)
