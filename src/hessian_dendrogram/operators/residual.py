r"""The Hessian without its Gauss-Newton part: what second derivatives of the model do.

    R = H - G = Σ_b w_b Σ_i (∂ℓ_b/∂z_i) ∂²z_i/∂θ∂θᵀ / Σ_b w_b

It is the Hessian of Σ_i s_i z_i(θ) with the slopes s = ∂ℓ/∂z held where they are, and is taken as such: a difference of
the two would lose the digits that they share where the residuals of the loss are small.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import grad, jvp, vmap

from ..models.samples import Batch
from .derivative_check import Compared, Method, checked_method
from .layered import LayeredOperator
from .layerwise.accumulator import Accumulator
from .layerwise.chain import Chain
from .output_metrics import as_vector, slope_at
from .outputs import confirm_through_outputs, pulled_back
from .risk import differentiated, flat


class Residual(LayeredOperator):
    """The Hessian minus the Gauss-Newton matrix of `loss(model(inputs), targets)`, a mean over all samples in `data`.

    The loss must depend on the parameters through the outputs alone. Arguments, attributes and errors are those of
    `MeanOperator`.
    """

    name = "residual"
    output_term = False
    goes_by_tensors = True

    def checked_method(self, wanted: Method | None) -> Method:
        """The way whose products agree with finite differences of what reverse mode makes of held slopes."""
        confirm_through_outputs(self.risk)
        compared = Compared(self._slope, "the residual matrix", "the Jacobian")
        return checked_method(self.risk, self.product_of_batch, wanted, compared)

    def _slope(self, batch: Batch, offset: Tensor) -> Tensor:
        """Jᵀ at moved parameters, of the slope at those of the operator."""
        with self.risk.session():
            z, rebuilt = as_vector(self.risk.outputs(batch[0]))
            slope = slope_at(self.risk, batch, z, rebuilt)
            with self.risk.moved(offset):
                return pulled_back(self.risk, as_vector(self.risk.outputs(batch[0]))[0], slope)

    def product_of_batch(
        self,
        batch: Batch,
        V: Tensor,
        place: int | None = None,  # noqa: ARG002
        *,
        method: Method | None = None,
    ) -> Tensor:
        """The residual matrix of one batch's own mean loss times V: shape (n, k) to (n, k)."""
        with self.risk.session():
            if (method or self.method) == "forward-over-reverse":
                return self._forward_over_reverse(batch, V.detach())
            return self._double_backward(batch, V.detach())

    def _forward_over_reverse(self, batch: Batch, V: Tensor) -> Tensor:
        point = {name: tensor.detach() for name, tensor in self.risk.parameters().items()}
        slope = slope_at(self.risk, batch, *as_vector(self.risk.outputs(batch[0], point)))

        def held(parameters: dict[str, Tensor]) -> Tensor:
            return (as_vector(self.risk.outputs(batch[0], parameters))[0] * slope).sum()

        touched = self.risk.touched(V)  # what nothing moves has no tangents to carry along

        def product(v: Tensor) -> Tensor:
            parts = self.risk.unflatten(v)
            start, along = ({name: given[name] for name in touched} for given in (point, parts))
            tangent = jvp(lambda moved: grad(held)(point | moved), (start,), (along,))[1]
            return flat(tangent[name] for name in self.layout.names)

        if not touched:
            return torch.zeros_like(V)

        return vmap(product, in_dims=1, out_dims=0)(V).T

    def _double_backward(self, batch: Batch, V: Tensor) -> Tensor:
        tensors = list(self.risk.parameters().values())
        z, rebuilt = as_vector(self.risk.outputs(batch[0]))
        if not z.requires_grad:
            return torch.zeros_like(V)
        slope = slope_at(self.risk, batch, z, rebuilt)
        gradient = torch.autograd.grad(z, tensors, slope, create_graph=True, materialize_grads=True)
        dense = [part.to_dense() if part.is_sparse else part for part in gradient]
        return differentiated(self.risk, dense, V)

    def add_layers(self, chain: Chain, batch: Batch, share: float, accumulator: Accumulator) -> None:
        """Add the terms inside of the layers, times the batch's share in the mean."""
        inputs, targets = batch
        assert isinstance(inputs, Tensor)
        chain.propagate(
            inputs, lambda outputs: self.risk.output_loss(outputs, targets) * share, accumulator, with_output=False
        )
