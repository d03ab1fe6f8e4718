r"""Operators that see the model through the first derivative of its outputs alone.

    A = Σ_b w_b J_bᵀ M_b J_b / Σ_b w_b  -  K Kᵀ

with the Jacobian J_b of a batch's outputs, a metric M_b on them (`output_metrics.py`), and, where the operator is
centred, a K of few columns that is taken once (`centre`). A product is J v, the metric times that, and Jᵀ of the
result.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap

from ..errors import UserError
from ..models.samples import Batch
from .derivative_check import Compared, Method, checked_method
from .layered import LayeredOperator
from .layerwise.accumulator import BLOCK, Accumulator
from .layerwise.chain import Chain
from .output_metrics import Curvature, Metric, as_vector, slope_at
from .risk import Risk, flat

_SLACK = 64  # unit roundoffs of K Kᵀ that its subtraction may leave


class OutputOperator(LayeredOperator):
    """A mean over batches of Jᵀ M J. A subclass gives it a name, and a metric that is not the loss's curvature."""

    inner_terms = False
    is_centred: bool = False
    _centre: Tensor | None = None

    # ── what a kind may define ───────────────────────────────────────────────────────────────────────────────────

    @property
    def metric_on_outputs(self) -> Metric:
        """M; here the second derivative of the loss."""
        return Curvature()

    def centre(self) -> Tensor:
        """K, of shape (n, c), float64."""
        raise NotImplementedError

    # ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────

    def checked_method(self, wanted: Method | None) -> Method:
        """The way of taking products that agrees with differences of the outputs, and is that of a symmetric matrix.

        Raises:
            UserError: there is none, or the loss has a part that no output has.
        """
        confirm_through_outputs(self.risk)
        compared = Compared(self._slope, f"the {self.name} matrix", "the outputs", self._rounding, self.fault)
        return checked_method(self.risk, self.product_of_batch, wanted, compared)

    def _slope(self, batch: Batch, offset: Tensor) -> Tensor:
        """Jᵀ at the parameters, of the metric's slope at the outputs of moved ones."""
        with self.risk.session():
            z, rebuilt = as_vector(self.risk.outputs(batch[0]))
            with self.risk.moved(offset):
                at = as_vector(self.risk.outputs(batch[0]))[0].detach()
            slope = self.metric_on_outputs.slope(self.risk, batch, z.detach(), at, rebuilt)
            return pulled_back(self.risk, z, slope)

    def fault(self, method: Method) -> str | None:
        """What speaks against a method whose products agree with differences of the outputs; here asymmetry."""
        inputs, targets, _ = next(iter(self.risk.data.evenly_spaced(2).weighted()))
        pair = torch.stack([self.risk.random_direction(seed=seed) for seed in (0, 1)], dim=1)
        small = pair.T @ self.product_of_batch((inputs, targets), pair, method=method)
        lost = self.risk.roundoff * self._rounding((inputs, targets)) * float(pair.norm())
        if float((small - small.T).abs().max()) <= self.risk.roundoff**0.5 * float(small.abs().max()) + _SLACK * lost:
            return None
        return "gives another matrix than its transpose"

    def _rounding(self, batch: Batch) -> float:
        """The length of Jᵀ w, for w of the size that slopes of the loss have where nothing in them cancels."""
        return length_without_cancellation(self.risk, batch) if isinstance(self.metric_on_outputs, Curvature) else 0.0

    # ── products ─────────────────────────────────────────────────────────────────────────────────────────────────

    def product_of_batch(
        self,
        batch: Batch,
        V: Tensor,
        place: int | None = None,  # noqa: ARG002
        *,
        method: Method | None = None,
    ) -> Tensor:
        """Jᵀ M J of one batch times V, nothing taken off: shape (n, k) to (n, k)."""
        with self.risk.session():
            if (method or self.method) == "forward-over-reverse":
                return self._forward(batch, V.detach())
            return self._double_backward(batch, V.detach())

    def _forward(self, batch: Batch, V: Tensor) -> Tensor:
        point = {name: tensor.detach() for name, tensor in self.risk.parameters().items()}
        z, rebuilt = as_vector(self.risk.outputs(batch[0], point))

        def outputs(parameters: dict[str, Tensor]) -> Tensor:
            return as_vector(self.risk.outputs(batch[0], parameters))[0]

        transposed = vjp(outputs, point)[1]
        metric = self.metric_on_outputs.product(self.risk, batch, z, rebuilt, functional=True)

        def product(v: Tensor) -> Tensor:
            moved = jvp(outputs, (point,), (self.risk.unflatten(v),))[1]
            pulled = transposed(metric(moved))[0]
            return flat(pulled[name] for name in self.layout.names)

        return vmap(product, in_dims=1, out_dims=0)(V).T

    def _double_backward(self, batch: Batch, V: Tensor) -> Tensor:
        tensors = list(self.risk.parameters().values())
        z, rebuilt = as_vector(self.risk.outputs(batch[0]))
        if not z.requires_grad:
            return torch.zeros_like(V)
        w = torch.zeros_like(z, requires_grad=True)
        transposed = torch.autograd.grad(z, tensors, w, create_graph=True, materialize_grads=True)  # linear in w
        metric = self.metric_on_outputs.product(self.risk, batch, z.detach(), rebuilt, functional=False)
        used = [i for i, part in enumerate(transposed) if part.requires_grad]
        columns = []
        for v in V.T:
            parts = self.risk.parts_of(v)
            directions = [parts[i].view_as(transposed[i]) for i in used]
            moved = torch.autograd.grad([transposed[i] for i in used], w, directions, retain_graph=True)[0]
            bent = metric(moved)
            columns.append(flat(torch.autograd.grad(z, tensors, bent, retain_graph=True, materialize_grads=True)))
        return torch.stack(columns, dim=1)

    def _summed(self, V: Tensor, *, keep: bool) -> Tensor:
        total = super()._summed(V, keep=keep)
        if not self.is_centred:
            return total
        K = self._kept_centre() if keep else self.centre()
        return total - K @ (K.T @ V.double())

    def arithmetic_error(self, seed: int = 0) -> float:
        """That of any mean, and what taking K Kᵀ off a sum that is hardly larger leaves of rounding."""
        error = super().arithmetic_error(seed)
        if not self.is_centred:
            return error
        K = self.with_dtype(torch.float64)._kept_centre()
        return error + _SLACK * float(np.finfo(np.float64).eps) * float(K.square().sum())

    # ── the whole matrix ─────────────────────────────────────────────────────────────────────────────────────────

    def add_layers(self, chain: Chain, batch: Batch, share: float, accumulator: Accumulator) -> None:
        """Add Dᵀ M D of a batch, times its share in the mean."""
        inputs = batch[0]
        assert isinstance(inputs, Tensor)
        chain.pull_back(
            inputs, lambda outputs: self.metric_on_outputs.matrices(self.risk, batch, outputs) * share, accumulator
        )

    def finished(self, matrix: Tensor) -> Tensor:
        """The sum over all batches without K Kᵀ, in place, and symmetric to the last bit."""
        if not self.is_centred:
            return matrix
        K, size = self._kept_centre(), len(matrix)
        for start in range(0, size, BLOCK):
            stop = min(start + BLOCK, size)
            matrix[start:stop, :stop] -= K[start:stop] @ K[:stop].T
            inner = matrix[start:stop, start:stop]
            matrix[start:stop, start:stop] = torch.tril(inner) + torch.tril(inner, -1).T
            matrix[:start, start:stop] = matrix[start:stop, :start].T
        return matrix

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _over(self, risk: Risk) -> None:
        super()._over(risk)
        self._centre = None

    def _kept_centre(self) -> Tensor:
        if self._centre is None:
            self._centre = self.centre()
        return self._centre


def length_without_cancellation(risk: Risk, batch: Batch) -> float:
    """The length of Jᵀ w, for w of the size that slopes of the loss have where nothing in them cancels.

    Slopes such as p - 1, of a probability p near 1, have the rounding of numbers of size 1, however small they are.
    """
    with risk.session():
        z, rebuilt = as_vector(risk.outputs(batch[0]))
        random = torch.randn(len(z), generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(z)
        return float(pulled_back(risk, z, slope_at(risk, batch, random, rebuilt)).norm())


def pulled_back(risk: Risk, z: Tensor, w: Tensor) -> Tensor:
    """Jᵀ w for outputs z that have a graph: shape (n,)."""
    tensors = list(risk.parameters().values())
    if not z.requires_grad:
        return flat(torch.zeros_like(tensor) for tensor in tensors)
    return flat(torch.autograd.grad(z, tensors, w, materialize_grads=True, retain_graph=True)).detach()


def confirm_through_outputs(risk: Risk) -> None:
    """Refuse a loss that depends on the parameters not only through the outputs."""
    inputs, targets, _ = next(iter(risk.data.evenly_spaced(2).weighted()))
    with risk.session():
        if risk.loss_sees_parameters(risk.outputs(inputs), targets):
            raise UserError(
                "the loss depends on the parameters not only through the outputs, as a penalty does, which has no "
                "part in this matrix; leave it out"
            )
