r"""Hessian of a mean loss over the parameters of a model: H = ∂²L/∂θ∂θᵀ, with L as in `risk.py`.

A product H v is the derivative of the gradient along v, forward-mode over reverse-mode (Pearlmutter 1994), for a block
of vectors at a time; or reverse mode twice, one vector at a time, on a graph of the gradient that is built once and
kept while it fits in memory. Which is faster depends on the model; `take_fastest` measures it. A model without
forward-mode derivatives takes the second.

Whether the products are right is found out in `derivative_check.py`; chains of layers with known rules are assembled by
`layerwise/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import grad, jvp, vmap

from ..models.samples import Batch
from .derivative_check import HESSIAN, Method, checked_method
from .layered import LayeredOperator
from .layerwise.accumulator import Accumulator
from .layerwise.chain import Chain
from .outputs import length_without_cancellation
from .risk import Risk, differentiated, flat

_GRAPH_MEMORY = 2**30  # bytes of kept gradient graphs


class Hessian(LayeredOperator):
    """The Hessian of `loss(model(inputs), targets)`, a mean over all samples in `data`.

    The operator has its own weights, and evaluates the model with them as the model was when it was given, in `eval()`
    mode; later changes to the model do not reach it. Frozen parameters (`requires_grad=False`) are left out, shared
    ones counted once. The data is read at every product and must not change; while one is taken, no other thread may
    use the model. Arguments, attributes and errors are those of `MeanOperator`.
    """

    name = "hessian"
    goes_by_tensors = True
    _may_measure_graphs = True

    def checked_method(self, wanted: Method | None) -> Method:
        """The way whose products agree with finite differences of the gradient."""
        return checked_method(self.risk, self.product_of_batch, wanted, replace(HESSIAN, rounding=self._rounding))

    def _rounding(self, batch: Batch) -> float:
        """How long a gradient would be that is rounding alone; 0 where the loss is not one of the outputs alone."""
        with suppress(Exception):
            return length_without_cancellation(self.risk, batch)
        return 0.0

    def add_layers(self, chain: Chain, batch: Batch, share: float, accumulator: Accumulator) -> None:
        """Add the Hessian of a batch's own mean loss, times its share in the mean."""
        inputs, targets = batch
        assert isinstance(inputs, Tensor)
        chain.propagate(inputs, lambda outputs: self.risk.output_loss(outputs, targets) * share, accumulator)

    # ── products ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _over(self, risk: Risk) -> None:
        super()._over(risk)
        self._graphs: dict[int, list[Tensor]] = {}
        self._graph_bytes = 0

    def product_of_batch(
        self, batch: Batch, V: Tensor, place: int | None = None, *, method: Method | None = None
    ) -> Tensor:
        """The Hessian of one batch's own mean loss times V: shape (n, k) to (n, k)."""
        with self.risk.session():
            if (method or self.method) == "forward-over-reverse":
                return self._forward_over_reverse(batch, V.detach())
            return self._double_backward(batch, V.detach(), place)

    def _forward_over_reverse(self, batch: Batch, V: Tensor) -> Tensor:
        point = {name: tensor.detach() for name, tensor in self.risk.parameters().items()}
        touched = self.risk.touched(V)  # what nothing moves has no tangents to carry along

        def gradient(moved: dict[str, Tensor]) -> dict[str, Tensor]:
            slopes: dict[str, Tensor] = grad(lambda given: self.risk.batch_loss(batch, given))(point | moved)
            return slopes

        def product(v: Tensor) -> Tensor:
            parts = self.risk.unflatten(v)
            start, along = ({name: given[name] for name in touched} for given in (point, parts))
            tangent = jvp(gradient, (start,), (along,))[1]
            return flat(tangent[name] for name in self.layout.names)

        if not touched:
            return torch.zeros_like(V)

        return vmap(product, in_dims=1, out_dims=0)(V).T

    def _gradient(self, batch: Batch, place: int | None) -> list[Tensor]:
        """The gradient with its graph, kept where those of all batches fit in the memory set aside for them."""
        if place is not None and place in self._graphs:
            return self._graphs[place]
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        tensors = list(self.risk.parameters().values())

        def gradient_with_graph() -> Sequence[Tensor]:
            value = self.risk.batch_loss(batch)
            if not value.requires_grad:
                return [torch.zeros_like(tensor) for tensor in tensors]
            gradient = torch.autograd.grad(value, tensors, create_graph=True, materialize_grads=True)
            return [part.to_dense() if part.is_sparse else part for part in gradient]

        if place is None or not self._may_measure_graphs:
            return list(gradient_with_graph())
        try:
            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                gradient = gradient_with_graph()
        except RuntimeError:  # transforms of torch.func inside the model refuse these hooks
            self._may_measure_graphs = False
            return list(gradient_with_graph())
        if self._graph_bytes <= _GRAPH_MEMORY:
            self._graphs[place] = list(gradient)
            self._graph_bytes += sum(sizes.values())
            if self._graph_bytes > _GRAPH_MEMORY:  # all or none: data may come in another order every time
                self._graphs.clear()
        return list(gradient)

    def _double_backward(self, batch: Batch, V: Tensor, place: int | None = None) -> Tensor:
        return differentiated(self.risk, self._gradient(batch, place), V)
