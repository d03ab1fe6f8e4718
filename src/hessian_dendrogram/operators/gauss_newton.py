r"""The generalised Gauss-Newton matrix of a mean loss.

With the outputs z = f_θ(x), their Jacobian J = ∂z/∂θ and the loss of a batch ℓ(z, y),

    G = Σ_b w_b J_bᵀ (∂²ℓ/∂z²) J_b / Σ_b w_b

is the Hessian without the term that has second derivatives of the model (Schraudolph 2002). It is positive semidefinite
where ℓ is convex in z. A product is J v, the loss' second derivative times that, and Jᵀ of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, jvp, vjp, vmap
from torch.utils import _pytree

from ..errors import UserError
from ..models.samples import Batch
from .derivative_check import METHODS, Method
from .mean import MeanOperator
from .risk import flat


class GaussNewton(MeanOperator):
    """The Gauss-Newton matrix of `loss(model(inputs), targets)`, a mean over all samples in `data`.

    The loss must depend on the parameters through the outputs alone. Arguments, attributes and errors are those of
    `MeanOperator`.
    """

    name = "gauss-newton"

    def checked_method(self, wanted: Method | None) -> Method:
        """A way of taking products, in which they are those of a symmetric matrix.

        Raises:
            UserError: there is none, or the loss has a part that no output has.
        """
        inputs, targets, _ = next(iter(self.risk.data.evenly_spaced(2).weighted()))
        with self.risk.session():
            if self.risk.loss_sees_parameters(self.risk.outputs(inputs), targets):
                raise UserError(
                    "the loss depends on the parameters not only through the outputs, as a penalty does, which has no "
                    "part in a Gauss-Newton matrix; leave it out"
                )
        pair = torch.stack([self.risk.random_direction(seed=seed) for seed in (0, 1)], dim=1)
        reasons = []
        for method in (wanted,) if wanted else METHODS:
            try:
                small = pair.T @ self.product_of_batch((inputs, targets), pair, method=method)
            except Exception as error:
                reasons.append(f"{method} says {type(error).__name__}: {' '.join(str(error).split())[:200]}")
                continue
            if float((small - small.T).abs().max()) <= self.risk.roundoff**0.5 * float(small.abs().max()):
                return method
            reasons.append(f"{method} gives another matrix than its transpose")
        raise UserError(f"products of the Gauss-Newton matrix cannot be had: {'; '.join(reasons)}")

    def product_of_batch(
        self,
        batch: Batch,
        V: Tensor,
        place: int | None = None,  # noqa: ARG002
        *,
        method: Method | None = None,
    ) -> Tensor:
        """The Gauss-Newton matrix of one batch's own mean loss times V: shape (n, k) to (n, k)."""
        with self.risk.session():
            if (method or self.method) == "forward-over-reverse":
                return self._forward_over_reverse(batch, V.detach())
            return self._double_backward(batch, V.detach())

    def _forward_over_reverse(self, batch: Batch, V: Tensor) -> Tensor:
        point = {name: tensor.detach() for name, tensor in self.risk.parameters().items()}
        z, rebuilt = _as_vector(self.risk.outputs(batch[0], point))

        def outputs(parameters: dict[str, Tensor]) -> Tensor:
            return _as_vector(self.risk.outputs(batch[0], parameters))[0]

        transposed = vjp(outputs, point)[1]

        def loss(z: Tensor) -> Tensor:
            return self.risk.output_loss(rebuilt(z), batch[1])

        curvature = vjp(grad(loss), z)[1]  # a symmetric matrix

        def product(v: Tensor) -> Tensor:
            moved = jvp(outputs, (point,), (self.risk.unflatten(v),))[1]
            pulled = transposed(*curvature(moved))[0]
            return flat(pulled[name] for name in self.layout.names)

        return vmap(product, in_dims=1, out_dims=0)(V).T

    def _double_backward(self, batch: Batch, V: Tensor) -> Tensor:
        tensors = list(self.risk.parameters().values())
        z, rebuilt = _as_vector(self.risk.outputs(batch[0]))
        if not z.requires_grad:
            return torch.zeros_like(V)
        w, leaf = torch.zeros_like(z, requires_grad=True), z.detach().requires_grad_()
        transposed = torch.autograd.grad(z, tensors, w, create_graph=True, materialize_grads=True)  # linear in w
        slope = torch.autograd.grad(self.risk.output_loss(rebuilt(leaf), batch[1]), leaf, create_graph=True)[0]
        used = [i for i, part in enumerate(transposed) if part.requires_grad]
        columns = []
        for v in V.T:
            parts = self.risk.parts_of(v)
            directions = [parts[i].view_as(transposed[i]) for i in used]
            moved = torch.autograd.grad([transposed[i] for i in used], w, directions, retain_graph=True)[0]
            bent = torch.zeros_like(z)
            if slope.requires_grad:
                bent = torch.autograd.grad(slope, leaf, moved, retain_graph=True, materialize_grads=True)[0]
            columns.append(flat(torch.autograd.grad(z, tensors, bent, retain_graph=True, materialize_grads=True)))
        return torch.stack(columns, dim=1)


def _as_vector(outputs: Any) -> tuple[Tensor, Callable[[Tensor], Any]]:
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
