r"""Hessian of a mean loss over the parameters of a model.

For samples (x_i, y_i), i = 1..N, and parameters θ (n of them, flattened in the order of the layout),

    L(θ) = (1/N) Σ_i ℓ(f_θ(x_i), y_i),        H = ∂²L/∂θ∂θᵀ,

where `loss(model(inputs), targets)` gives the mean of ℓ over the samples of a batch. Batches b of n_b samples add up as
L = Σ_b w_b ℓ_b / Σ_b w_b with w_b = n_b, so ragged batches count by their size. `weight=` replaces n_b where the loss
is a mean over something else, such as the tokens that are not ignored.

A product H v is the derivative of the gradient along v, forward-mode over reverse-mode (Pearlmutter 1994), for a block
of vectors at a time; or reverse mode twice, one vector at a time, on a graph of the gradient that is built once and
kept while it fits in memory. Which is faster depends on the model; `Hessian.fastest_method` measures it. A model
without forward-mode derivatives takes the second.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from .. import samples
from ..errors import UserError
from ..samples import Batch, Data
from .dense import MEMORY_BUDGET, AssemblyMethod, Plan, assemble_layerwise, plan_assembly
from .loss_check import checked_loss
from .operator import CurvatureOperator
from .parameters import parameter_layout

logger = logging.getLogger(__name__)

_CHECKED_SAMPLES = 256
_GRAPH_MEMORY = 2**30  # bytes of kept gradient graphs

Loss = Callable[[Any, Tensor], Tensor]
Weight = Callable[[Tensor], Tensor | float]
Method = Literal["forward-over-reverse", "double-backward"]


class Hessian(CurvatureOperator):
    """The Hessian of `loss(model(inputs), targets)`, a mean over all samples in `data`.

    The operator keeps its own copy of the model, in `eval()` mode; later changes to the model do not reach it. Frozen
    parameters (`requires_grad=False`) are left out, shared ones counted once.

    Args:
        model: any `nn.Module`; a tuple of inputs is passed as `model(*inputs)`, a dict as `model(**inputs)`.
        loss: `loss(outputs, targets)`, a scalar: the mean over the batch's samples, or over its weight.
        data: a tensor pair, a `Dataset`, a `DataLoader` or an iterable of batches (see `hessian_dendrogram.samples`).
        parameters: names or patterns (`"conv1.*"`) of the parameters to take; default all that are not frozen.
        weight: gives what a batch's targets weigh, where that is not their number of samples.
        dtype: floating-point type of weights, floating inputs and products; default the parameters' own.
        device: default the parameters' own.
        batch_size: samples in one pass, for data that does not come in batches.
        method: how products are computed; default forward-over-reverse where the model supports it.

    Attributes:
        left_out: names of the model's parameters that the matrix does not cover.
        num_samples: N.
        model: the operator's copy of the model, in `eval()` mode.
        loss: the loss.
        assembled_by: the way `to_dense` last took.
        method: the way products are computed.

    Raises:
        UserError: no samples or parameters; a loss that is no scalar, not finite, not deterministic, or no mean over
            samples.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        data: Data,
        *,
        parameters: Sequence[str] | None = None,
        weight: Weight | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        batch_size: int = 512,
        method: Method | None = None,
    ) -> None:
        self.layout, self.left_out = parameter_layout(model, parameters)
        names = self.layout.names
        by_name = dict(model.named_parameters())
        self.dtype = dtype or _common([by_name[name].dtype for name in names], "dtype")
        self.device = torch.device(device or _common([by_name[name].device for name in names], "device"))
        if not self.dtype.is_floating_point:
            raise UserError(f"a Hessian needs real floating-point parameters, got {self.dtype}")
        self._original = copy.deepcopy(model).eval()
        for name, parameter in self._original.named_parameters():
            parameter.requires_grad_(name in names)
        self._original_loss, self._weight, self._batch_size = loss, weight, batch_size
        self.model: nn.Module
        self.loss: Loss
        self.model, self.loss = self._converted(self.dtype)
        self.data = samples.reusable(data)
        if self.left_out:
            logger.info("%d of the model's parameters are left out: %s", len(self.left_out), ", ".join(self.left_out))
        self._graphs: dict[int, list[Tensor]] = {}
        self._graph_bytes = 0
        with _plain_attention(), torch.enable_grad():
            self.num_samples, self._total_weight = checked_loss(self)
            self.method: Method = method or self._supported_method()

    def with_dtype(self, dtype: torch.dtype) -> Self:
        """The same Hessian, of the model as it was given, with products in another floating-point type."""
        if dtype == self.dtype:
            return self
        other = self._copy()
        other.__dict__.pop("plan", None)
        other.dtype = dtype
        other.model, other.loss = self._converted(dtype)
        return other

    def _copy(self) -> Self:
        other = copy.copy(self)
        other._graphs, other._graph_bytes = {}, 0
        return other

    def _converted(self, dtype: torch.dtype) -> tuple[nn.Module, Loss]:
        """The model, and a loss that is a module with tensors of its own, in another floating-point type."""
        loss = self._original_loss
        if isinstance(loss, nn.Module):
            loss = copy.deepcopy(loss).to(self.device, dtype)
        return copy.deepcopy(self._original).to(self.device, dtype), loss

    def for_error_check(self) -> Hessian:
        """The Hessian of 256 samples, evenly spaced in the data, where there are more: the same arithmetic on each."""
        if self.num_samples <= _CHECKED_SAMPLES:
            return self
        places = torch.arange(_CHECKED_SAMPLES) * self.num_samples // _CHECKED_SAMPLES
        batches: list[Batch] = []
        first = 0
        for batch in samples.batches(self.data, self._batch_size):
            if not self.batch_weight(batch):
                continue
            rows = places[(places >= first) & (places < first + samples.count(batch))] - first
            first += samples.count(batch)
            if len(rows):
                batches.append(samples.take(batch, rows))
        other = self._copy()
        other.data, other.num_samples = batches, _CHECKED_SAMPLES
        other._total_weight = sum(other.batch_weight(batch) for batch in batches)
        return other if other._total_weight > 0 else self

    def describe(self) -> dict[str, object]:
        """Operator, number of samples and way of computing, for a spectrum's provenance."""
        return {
            "operator": "hessian",
            "samples": self.num_samples,
            "dtype": str(self.dtype).removeprefix("torch."),
            "products_by": self.method,
            **({"assembled_by": self.assembled_by} if self.assembled_by else {}),
            "left_out": list(self.left_out),
        }

    # ── the whole matrix ─────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def plan(self) -> Plan:
        """How `to_dense` assembles the matrix, and why."""
        return plan_assembly(self)

    def to_dense(
        self, *, method: AssemblyMethod | None = None, memory_budget: int = MEMORY_BUDGET, progress: bool = False
    ) -> Tensor:
        """The whole matrix, symmetric to the last bit: shape (n, n), float64.

        Args:
            method: `"layerwise"` propagation or `"products"`; default the one that `plan` chooses.
            memory_budget: bytes that layerwise propagation may use beside the matrix, half of them for the columns of
                one pass and half for rows that wait to be multiplied.
            progress: show a bar with the time left.

        Raises:
            UserError: `"layerwise"` was asked for and the model is no chain of layers with rules.
        """
        if method == "layerwise" and self.plan.chain is None:
            raise UserError(f"this Hessian cannot be assembled layerwise: {self.plan.reason}")
        if (method or self.plan.method) == "products" or self.plan.chain is None:
            return super().to_dense(progress=progress)
        self.assembled_by = "layerwise"
        return assemble_layerwise(
            self, self.plan.chain, self.plan.bytes_per_sample, memory_budget=memory_budget, progress=progress
        )

    # ── products ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _products(self, V: Tensor) -> Tensor:
        total = torch.zeros(V.shape, dtype=torch.float64, device=self.device)  # float32 batches add up in float64
        for place, (inputs, targets, share) in enumerate(self.weighted_batches()):
            total += self.product_of_batch((inputs, targets), V, place) * share
        return total.to(self.dtype)

    def product_of_batch(self, batch: Batch, V: Tensor, place: int | None = None) -> Tensor:
        """The Hessian of one batch's own mean loss times V: shape (n, k) to (n, k).

        `place` is the batch's place in the data; with it, the graph of its gradient can be kept for later products.
        """
        with _plain_attention(), torch.enable_grad():
            if self.method == "forward-over-reverse":
                return self._forward_over_reverse(batch, V.detach())
            return self._double_backward(batch, V.detach(), place)

    def fastest_method(self, columns: int = 8) -> Method:
        """Time a block of products by each method that this model supports, a second time each: the quickest one.

        Set it as `method` before many products. It is the machine's choice: another day may choose differently, and the
        last digits of products follow.

        Args:
            columns: vectors in the block.
        """
        if self.method == "double-backward":
            return self.method
        V = torch.ones(self.shape[0], columns, dtype=self.dtype, device=self.device)
        methods: tuple[Method, ...] = ("forward-over-reverse", "double-backward")
        seconds: dict[Method, float] = {}
        for method in methods:
            trial = self._copy()
            trial.method = method
            try:
                for _ in range(2):
                    start = time.perf_counter()
                    trial.matmat(V).sum().item()  # waits for a GPU
                    seconds[method] = time.perf_counter() - start
            except (RuntimeError, NotImplementedError):
                seconds.pop(method, None)
        logger.info(
            "products of %d vectors: %s", columns, ", ".join(f"{name} {s:.3g} s" for name, s in seconds.items())
        )
        return min(seconds, key=seconds.__getitem__, default=self.method)

    def _forward_over_reverse(self, batch: Batch, V: Tensor) -> Tensor:
        point = {name: tensor.detach() for name, tensor in self._parameters().items()}

        def product(v: Tensor) -> Tensor:
            gradient = grad(lambda parameters: self.batch_loss(batch, parameters))
            tangent = jvp(gradient, (point,), (self._unflatten(v),))[1]
            return torch.cat([tangent[name].reshape(-1) for name in self.layout.names])

        return vmap(product, in_dims=1, out_dims=0)(V).T

    def _gradient(self, batch: Batch, place: int | None) -> list[Tensor]:
        """The gradient with its graph, kept where those of all batches fit in the memory set aside for them."""
        if place is not None and place in self._graphs:
            return self._graphs[place]
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            gradient = torch.autograd.grad(
                self.batch_loss(batch), list(self._parameters().values()), create_graph=True, materialize_grads=True
            )
        if place is not None and self._graph_bytes <= _GRAPH_MEMORY:
            self._graphs[place] = list(gradient)
            self._graph_bytes += sum(sizes.values())
            if self._graph_bytes > _GRAPH_MEMORY:  # all or none: data may come in another order every time
                self._graphs.clear()
        return list(gradient)

    def _double_backward(self, batch: Batch, V: Tensor, place: int | None = None) -> Tensor:
        tensors = list(self._parameters().values())
        gradient = self._gradient(batch, place)
        curved = [i for i, part in enumerate(gradient) if part.requires_grad]
        columns = []
        for v in V.T:
            parts = list(self._unflatten(v).values())
            product: Sequence[Tensor] = [torch.zeros_like(tensor) for tensor in tensors]
            if curved:
                product = torch.autograd.grad(
                    [gradient[i] for i in curved],
                    tensors,
                    [parts[i] for i in curved],
                    retain_graph=True,
                    materialize_grads=True,
                )
            columns.append(torch.cat([part.reshape(-1) for part in product]))
        return torch.stack(columns, dim=1)

    # ── the loss ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _parameters(self) -> dict[str, Tensor]:
        by_name = dict(self.model.named_parameters())
        return {name: by_name[name] for name in self.layout.names}

    def _unflatten(self, v: Tensor) -> dict[str, Tensor]:
        parts = torch.split(v, np.diff(self.layout.offsets).tolist())
        return {
            name: part.view(shape)
            for name, shape, part in zip(self.layout.names, self.layout.shapes, parts, strict=True)
        }

    def weighted_batches(self, most: int | None = None) -> Iterator[tuple[samples.Inputs, Tensor, float]]:
        """Inputs, targets and share in the mean loss of each batch; of at most `most` samples where that is given."""
        for batch in self.batches():
            length = samples.count(batch)
            for start in range(0, length, most or length):
                part = samples.take(batch, slice(start, start + (most or length)))
                if weight := self.batch_weight(part):
                    yield (*part, weight / self._total_weight)

    def batches(self) -> Iterator[Batch]:
        """The data as it comes, on the device and in the dtype; batches of weight zero are left out."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

        for inputs, targets in samples.batches(self.data, self._batch_size):
            batch = samples.map_inputs(move, inputs), move(targets)
            if self.batch_weight(batch):  # a mean over nothing, all targets ignored, would be 0/0
                yield batch

    def batch_weight(self, batch: Batch) -> float:
        """What a batch weighs in the mean."""
        return float(self._weight(batch[1])) if self._weight else samples.count(batch)

    def batch_loss(self, batch: Batch, parameters: dict[str, Tensor] | None = None) -> Tensor:
        """The mean loss of a batch, at the model's own parameters or at others."""
        inputs, targets = batch
        if parameters is None:
            return self.loss(samples.call(self.model, inputs), targets)
        if isinstance(inputs, Tensor):
            inputs = (inputs,)
        arguments, keywords = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
        return self.loss(functional_call(self.model, parameters, arguments, keywords), targets)

    def _supported_method(self) -> Method:
        """Forward-over-reverse, unless a small trial shows that the model has no such derivative, or a wrong one.

        A kernel's forward-mode derivative can be missing or, in some releases of torch, wrong without a word, so a
        product over two samples is compared with one by reverse mode alone.
        """
        batch = samples.take(next(self.batches()), slice(0, 2))
        generator = torch.Generator().manual_seed(0)
        V = torch.randn(self.shape[0], 2, generator=generator, dtype=torch.float64).to(self.device, self.dtype)
        try:
            forward = self._forward_over_reverse(batch, V)
        except (RuntimeError, NotImplementedError) as error:
            return self._fall_back(f"says: {str(error).strip().splitlines()[0]}")
        try:
            reverse = self._double_backward(batch, V)
        except (RuntimeError, NotImplementedError):
            return "forward-over-reverse"  # nothing to compare with
        # Rounding alone stays far below the square root of the precision.
        if (forward - reverse).norm() > torch.finfo(self.dtype).eps ** 0.5 * reverse.norm().clamp(min=1e-30):
            return self._fall_back("disagrees with reverse mode; one of this torch's derivatives is wrong")
        return "forward-over-reverse"

    def _fall_back(self, reason: str) -> Method:
        logger.info("products take reverse mode twice, one vector at a time: forward mode %s", reason)
        return "double-backward"


def _common(values: Sequence[Any], what: str) -> Any:
    if len(set(values)) > 1:
        raise UserError(
            f"the parameters differ in their {what} ({', '.join(sorted(set(map(str, values))))}); pass {what}="
        )
    return values[0]


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention written out: the fused kernels have no second derivatives."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
