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

Before anything is computed, `trial.py` looks at what the loss depends on, `loss_check.py` whether it is a mean, and
`derivative_check.py` whether the products are right.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import grad, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from .. import samples
from ..errors import UserError, user_errors
from ..samples import Batch, Data
from .arithmetic import arithmetic_error
from .dense import MEMORY_BUDGET, AssemblyMethod, Plan, assemble_layerwise, check_chain, plan_assembly
from .derivative_check import METHODS, Method, checked_method
from .interception import ExactSums, Interception, Observations, Rules
from .layers.chain import Chain, NotAChainError
from .loss_check import checked_loss
from .operator import CurvatureOperator
from .parameters import parameter_layout
from .stand_in import StandIn, named_tensors, type_of_that_precision
from .trial import graph_leaves, look_at

logger = logging.getLogger(__name__)

_CHECKED_SAMPLES = 256
_GRAPH_MEMORY = 2**30  # bytes of kept gradient graphs
_TYPES = torch.float32, torch.float64
_ONE_AT_A_TIME = threading.RLock()  # modules have one set of tensors at a time

Loss = Callable[[Any, Tensor], Tensor]
Weight = Callable[[Tensor], Tensor | float]


class Hessian(CurvatureOperator):
    """The Hessian of `loss(model(inputs), targets)`, a mean over all samples in `data`.

    The operator has its own weights, and evaluates the model with them as the model was when it was given, in `eval()`
    mode; later changes to the model do not reach it. Frozen parameters (`requires_grad=False`) are left out, shared
    ones counted once. The data is read at every product and must not change; while one is taken, no other thread may
    use the model.

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
        checks_of: a Hessian of the same model, loss and data at other weights: that the loss is a mean, and which
            products are right, is taken over from it instead of being found out again.

    Attributes:
        left_out: names of the model's parameters that the matrix does not cover.
        num_samples: N.
        model: the model, which has the operator's weights while it is evaluated alone.
        loss: the loss.
        assembled_by: the way `to_dense` last took.
        method: the way products are computed.
        rules: what the calls of the model and the loss need (see `interception`).
        roundoff: the unit roundoff of the coarsest arithmetic in them.
        functions: names of the torch functions that they call.

    Raises:
        UserError: no samples or parameters; parameters that are complex or have no values; a loss that is no scalar,
            not finite, not deterministic, no mean over samples, or that depends on tensors which are not the
            operator's; no second derivative, or a wrong one.
    """

    _may_measure_graphs = True

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
        checks_of: Hessian | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise UserError(f"model must be a torch.nn.Module, got {samples.describe(model)}")
        if method is not None and method not in METHODS:
            raise UserError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
        self.layout, self.left_out = parameter_layout(model, parameters)
        names = self.layout.names
        by_name = dict(model.named_parameters())
        self.dtype = _checked_dtype(dtype or _common([by_name[name].dtype for name in names], "dtype"), dtype)
        self.device = _checked_device(device or _common([by_name[name].device for name in names], "device"))
        self._base = StandIn(model, loss, dtype=self.dtype, device=self.device, trainable=names, widest=True)
        self._own = self._base.in_type(self.dtype)
        self._weight, self._batch_size = weight, batch_size
        self.data = samples.reusable(data)
        if self.left_out:
            logger.info("%d of the model's parameters are left out: %s", len(self.left_out), ", ".join(self.left_out))
        if any(by_name[name]._backward_hooks for name in names):
            logger.warning("hooks on the gradients of parameters have no part in the Hessian of the loss")
        self._graphs: dict[int, list[Tensor]] = {}
        self._graph_bytes = 0
        # The user's own tensors, for functions that hold them, and do not find them through the model.
        self._users = {id(tensor): (name, tensor) for name, tensor in named_tensors(model).items()}
        self._observations: Observations | None = None
        self.rules, self.reaches_users = Rules(substitute=True), False
        self.roundoff, self.functions = torch.finfo(self.dtype).eps / 2, frozenset[str]()
        self._roundoff_in_float64 = 0.0
        if checks_of is not None:
            self.take_over(checks_of)
        self._look_at_first_batch()
        twin = self if checks_of is not None else self._twin_in_float64()
        if checks_of is None:
            self.num_samples, self._total_weight = checked_loss(twin)
            twin.num_samples, twin._total_weight = self.num_samples, self._total_weight
            self.method: Method = checked_method(twin, method)
            self.take_over(twin)
        else:
            self.num_samples, self._total_weight = checks_of.num_samples, checks_of._total_weight
            self.method = method or checks_of.method
        if twin is not self:
            self._confirm_method()
        if self._is_coarse and checks_of is None:
            logger.info(
                "some of the arithmetic in the model or the loss stays coarser than float64 (unit roundoff %.1g); "
                "error bounds take that into account",
                self._roundoff_in_float64,
            )
        if not self.reaches_users:
            self.rules, self._users = replace(self.rules, substitute=False), {}

    @property
    def model(self) -> nn.Module:
        """The model, which has the operator's weights while it is evaluated alone."""
        return self._own.model

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self._own.loss

    def _look_at_first_batch(self) -> None:
        """Find out what evaluations need."""
        batch = next(self.batches(), None)
        if batch is None:
            raise UserError("the data has no samples; a mean loss needs at least one")
        look_at(self, batch, with_gradient=True)

    @property
    def _is_coarse(self) -> bool:
        """Whether arithmetic in float32, or coarser, is left where float64 is asked for."""
        return self._roundoff_in_float64 > torch.finfo(torch.float64).eps

    def _confirm_method(self) -> None:
        """Take a product in the own type: kernels of one type may lack a derivative that those of another have."""
        batch = samples.take(next(self.batches()), slice(0, 2))
        v = torch.ones(self.shape[0], 1, dtype=self.dtype, device=self.device)
        try:
            self.product_of_batch(batch, v)
        except Exception as error:
            if self.method == "double-backward":
                return  # of a part of a batch, perhaps; it was checked on whole ones
            logger.info("products take reverse mode twice, one vector at a time: in %s %s", self.dtype, error)
            self.method = "double-backward"

    def name_of(self, tensor: Tensor) -> str | None:
        """The name of a tensor of the user's own model; `None` for any other."""
        return self._users[id(tensor)][0] if id(tensor) in self._users else None

    def take_over(self, other: Hessian) -> None:
        """What another Hessian's evaluations have shown holds for this one's, too."""
        self.functions |= other.functions
        self.reaches_users |= other.reaches_users
        self.rules = replace(self.rules, rewrite=self.rules.rewrite or other.rules.rewrite)
        self._roundoff_in_float64 = max(self._roundoff_in_float64, other._roundoff_in_float64)
        if other.dtype == torch.float64:
            self._roundoff_in_float64 = max(self._roundoff_in_float64, other.roundoff)
        if self.dtype == torch.float64:
            self.roundoff = max(self.roundoff, self._roundoff_in_float64)

    def _twin_in_float64(self) -> Self:
        """This Hessian in float64 for the checks; itself where it is that already, or the model cannot be."""
        try:
            return self.with_dtype(torch.float64)
        except UserError as error:
            logger.warning("the checks are made in %s, since float64 cannot be had: %s", self.dtype, error)
            return self

    def with_dtype(self, dtype: torch.dtype) -> Self:
        """The same Hessian, of the model as it was given, with products in another floating-point type.

        Raises:
            UserError: the model cannot be evaluated in that type.
        """
        if dtype == self.dtype:
            return self
        other = self._copy()
        other.__dict__.pop("plan", None)
        other.dtype = _checked_dtype(dtype, dtype)
        other._own = self._base.in_type(dtype)
        other.roundoff = torch.finfo(dtype).eps / 2
        other._look_at_first_batch()
        other.take_over(self)
        if dtype != torch.float64 and hasattr(other, "method"):  # in float64 it was checked
            other._confirm_method()
        return other

    def _copy(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._graphs, other._graph_bytes = {}, 0
        return other

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied: what the model and the loss share would come apart."""
        raise UserError("a Hessian can be neither pickled nor copied; make another of the model, the loss and the data")

    def evenly_spaced_batches(self) -> list[Batch]:
        """At most 256 samples, evenly spaced in the data, in its batches; those of weight zero left out."""
        if self.num_samples <= _CHECKED_SAMPLES:
            return list(self.batches())
        places = torch.arange(_CHECKED_SAMPLES) * self.num_samples // _CHECKED_SAMPLES
        batches: list[Batch] = []
        first = 0
        for batch in self.batches():
            rows = places[(places >= first) & (places < first + samples.count(batch))] - first
            first += samples.count(batch)
            if len(rows) and self.batch_weight(part := samples.take(batch, rows.to(self.device))):
                batches.append(part)
        return batches

    def for_error_check(self) -> Hessian:
        """The Hessian of 256 samples, evenly spaced in the data, where there are more: the same arithmetic on each."""
        if self.num_samples <= _CHECKED_SAMPLES:
            return self
        batches = self.evenly_spaced_batches()
        if not batches:
            return self
        other = self._copy()
        other.data, other.num_samples = batches, sum(map(samples.count, batches))
        other._total_weight = sum(map(other.batch_weight, batches))
        return other

    def arithmetic_error(self, seed: int = 0) -> float:
        """A bound on ‖E‖₂ for what arithmetic inside the model that is coarser than float64 does to the matrix."""
        return arithmetic_error(self.with_dtype(torch.float64), seed)

    def describe(self) -> dict[str, object]:
        """Operator, number of samples and way of computing, for a spectrum's provenance."""
        return {
            "operator": "hessian",
            "samples": self.num_samples,
            "dtype": str(self.dtype).removeprefix("torch."),
            "products_by": self.method,
            **({"assembled_by": self.assembled_by} if self.assembled_by else {}),
            "left_out": list(self.left_out),
            **({"roundoff": self._roundoff_in_float64} if self._is_coarse else {}),
        }

    # ── the whole matrix ─────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def plan(self) -> Plan:
        """How `to_dense` assembles the matrix, and why."""
        with self.session():
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
        if self.plan.method == "products":
            with self.session():
                self._check_chain(self.plan.chain)
        try:
            matrix = assemble_layerwise(
                self, self.plan.chain, self.plan.bytes_per_sample, memory_budget=memory_budget, progress=progress
            )
        except NotAChainError as error:
            if method == "layerwise":
                raise UserError(f"this Hessian cannot be assembled layerwise: {error}") from None
            logger.info("assembled by products: %s", error)
            return super().to_dense(progress=progress)
        self.assembled_by = "layerwise"
        return matrix

    def _check_chain(self, chain: Chain) -> None:
        try:
            check_chain(self, chain)
        except NotAChainError as error:
            raise UserError(f"this Hessian cannot be assembled layerwise: {error}") from None

    # ── products ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _products(self, V: Tensor) -> Tensor:
        total = torch.zeros(V.shape, dtype=torch.float64, device=self.device)  # float32 batches add up in float64
        for place, (inputs, targets, share) in enumerate(self.weighted_batches()):
            total += self.product_of_batch((inputs, targets), V, place) * share
        return total.to(self.dtype)

    def product_of_batch(
        self, batch: Batch, V: Tensor, place: int | None = None, *, method: Method | None = None
    ) -> Tensor:
        """The Hessian of one batch's own mean loss times V: shape (n, k) to (n, k).

        Args:
            batch: as `batches` gives them.
            V: vectors.
            place: of the batch in the data; with it, the graph of its gradient can be kept for later products.
            method: default the operator's own.
        """
        with self.session():
            if (method or self.method) == "forward-over-reverse":
                return self._forward_over_reverse(batch, V.detach())
            return self._double_backward(batch, V.detach(), place)

    def gradient_of_batch(self, batch: Batch) -> Tensor:
        """The gradient of one batch's own mean loss: shape (n,)."""
        with self.session(), user_errors("the loss has no gradient"):
            value = self.batch_loss(batch)
            tensors = list(self.parameters().values())
            if not value.requires_grad:
                return _flat(torch.zeros_like(tensor) for tensor in tensors)
            gradient = torch.autograd.grad(value, tensors, materialize_grads=True)
        return _flat(gradient).detach()

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
        seconds: dict[Method, float] = {}
        for method in METHODS:
            trial = self._copy()
            trial.method = method
            try:
                for _ in range(2):
                    start = time.perf_counter()
                    trial.matmat(V).sum().item()  # waits for a GPU
                    seconds[method] = time.perf_counter() - start
            except Exception:  # without this derivative; the other method was checked
                seconds.pop(method, None)
        logger.info(
            "products of %d vectors: %s", columns, ", ".join(f"{name} {s:.3g} s" for name, s in seconds.items())
        )
        return min(seconds, key=seconds.__getitem__, default=self.method)

    def _forward_over_reverse(self, batch: Batch, V: Tensor) -> Tensor:
        point = {name: tensor.detach() for name, tensor in self.parameters().items()}

        def product(v: Tensor) -> Tensor:
            gradient = grad(lambda parameters: self.batch_loss(batch, parameters))
            tangent = jvp(gradient, (point,), (self._unflatten(v),))[1]
            return _flat(tangent[name] for name in self.layout.names)

        return vmap(product, in_dims=1, out_dims=0)(V).T

    def _gradient(self, batch: Batch, place: int | None) -> list[Tensor]:
        """The gradient with its graph, kept where those of all batches fit in the memory set aside for them."""
        if place is not None and place in self._graphs:
            return self._graphs[place]
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        tensors = list(self.parameters().values())

        def gradient_with_graph() -> Sequence[Tensor]:
            value = self.batch_loss(batch)
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
        tensors = list(self.parameters().values())
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
            columns.append(_flat(product))
        return torch.stack(columns, dim=1)

    # ── the loss ─────────────────────────────────────────────────────────────────────────────────────────────────

    def parameters(self) -> dict[str, Tensor]:
        """The operator's own parameters, in the order of the layout."""
        return {name: self._own.tensors[name] for name in self.layout.names}

    def parts_of(self, v: Tensor) -> tuple[Tensor, ...]:
        """The parts of a flat vector that belong to each tensor of the layout."""
        return torch.split(v, np.diff(self.layout.offsets).tolist())

    def _unflatten(self, v: Tensor) -> dict[str, Tensor]:
        return {
            name: part.view(shape)
            for name, shape, part in zip(self.layout.names, self.layout.shapes, self.parts_of(v), strict=True)
        }

    def random_direction(self, seed: int) -> Tensor:
        """A Gaussian vector, each part of its tensor's own size, or of the smallest other: shape (n,)."""
        tensors = [tensor.detach().reshape(-1) for tensor in self.parameters().values()]
        generator = torch.Generator().manual_seed(seed)
        sizes = [float(tensor.double().square().mean().sqrt()) if len(tensor) else 0.0 for tensor in tensors]
        smallest = min((size for size in sizes if size), default=1.0)
        return torch.cat(
            [
                torch.randn(len(tensor), generator=generator, dtype=torch.float64).to(tensor) * (size or smallest)
                for tensor, size in zip(tensors, sizes, strict=True)
            ]
        )

    @contextmanager
    def moved(self, offset: Tensor) -> Iterator[None]:
        """The same Hessian at other parameters, for a while: the own ones plus a vector of shape (n,)."""
        tensors = self.parameters()
        values = [tensor.data for tensor in tensors.values()]
        try:
            for tensor, part in zip(tensors.values(), self._unflatten(offset).values(), strict=True):
                tensor.data = tensor.data + part
            yield
        finally:
            for tensor, value in zip(tensors.values(), values, strict=True):
                tensor.data = value

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
            moved = tensor.detach().to(self.device, type_of_that_precision(tensor.dtype, self.dtype))
            return moved.requires_grad_(tensor.requires_grad)

        for inputs, targets in samples.batches(self.data, self._batch_size):
            batch = samples.map_inputs(move, inputs), move(targets)
            if self.batch_weight(batch):  # a mean over nothing, all targets ignored, would be 0/0
                yield batch

    def batch_weight(self, batch: Batch) -> float:
        """What a batch weighs in the mean.

        Raises:
            UserError: it is negative, or not finite.
        """
        if self._weight is None:
            return samples.count(batch)
        with user_errors("weight= cannot be evaluated"), ExactSums():
            weight = float(self._weight(batch[1]))
        if not 0 <= weight < float("inf"):
            raise UserError(f"weight= must give numbers >= 0, got {weight}")
        return weight

    def batch_loss(self, batch: Batch, parameters: dict[str, Tensor] | None = None) -> Tensor:
        """The mean loss of a batch, at the operator's own parameters or at others, by name."""
        inputs, targets = batch

        def fresh(tensor: Tensor) -> Tensor:  # what a model does to its inputs stays with this evaluation
            return tensor.detach().requires_grad_() if tensor.requires_grad else tensor.detach()

        inputs = samples.map_inputs(fresh, inputs)
        given = nullcontext() if parameters is None else self._own.given(parameters)
        with self.session(), given, self._intercepted(parameters):
            outputs = samples.call(self.model, inputs)
            return _scalar(self.loss(outputs, targets))

    def loss_sees_parameters(self, outputs: Tensor, targets: Tensor) -> bool:
        """Whether the loss of outputs that depend on nothing still depends on the parameters, as a penalty does."""
        own = {id(tensor) for tensor in self.parameters().values()}
        return any(id(leaf) in own for leaf in graph_leaves(self.output_loss(outputs.detach(), targets)))

    def output_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of given outputs, for assembly layer by layer."""
        with self._intercepted():
            return _scalar(self.loss(outputs, targets))

    @contextmanager
    def session(self) -> Iterator[None]:
        """What every evaluation stands in: the operator's tensors in the modules, and attention written out."""
        with _ONE_AT_A_TIME:
            if self._own.is_installed:
                yield
                return
            modes = torch.inference_mode(False), torch.enable_grad(), torch.autocast(self.device.type, enabled=False)
            with modes[0], modes[1], modes[2], _plain_attention(), self._own.installed(), self._intercepted():
                yield

    @contextmanager
    def watched(self, observations: Observations) -> Iterator[None]:
        """Note what evaluations show, for a while."""
        self._observations = observations
        try:
            yield
        finally:
            self._observations = None

    @contextmanager
    def ruled(self, rules: Rules) -> Iterator[None]:
        """Evaluate by other rules for a while."""
        before, self.rules = self.rules, rules
        try:
            yield
        finally:
            self.rules = before

    @contextmanager
    def _intercepted(self, parameters: Mapping[str, Tensor] | None = None) -> Iterator[None]:
        """What stands around a call of the user's functions."""
        if not self.rules and self._observations is None:
            yield
            return
        tensors = self._own.tensors | dict(parameters or {})
        twins = {key: tensors[name] for key, (name, _) in self._users.items()}
        with Interception(self.rules, twins, self._observations):
            yield


def _flat(parts: Iterable[Tensor]) -> Tensor:
    """The parts one after another, each flattened; gradients of some embeddings are sparse."""
    return torch.cat([(part.to_dense() if part.is_sparse else part).reshape(-1) for part in parts])


def _scalar(value: Tensor) -> Tensor:
    return value.reshape(()) if isinstance(value, Tensor) and value.numel() == 1 else value


def _checked_device(device: torch.device | str) -> torch.device:
    try:
        return torch.zeros(1, device=device).device
    except Exception as error:
        raise UserError(f"device {str(device)!r} cannot be used: {str(error).splitlines()[0]}") from None


def _checked_dtype(dtype: torch.dtype, asked: torch.dtype | None) -> torch.dtype:
    if dtype in _TYPES:
        return dtype
    if dtype in (torch.bfloat16, torch.float16) and asked is None:
        raise UserError(
            f"the parameters are {dtype}, too coarse for a Hessian; pass dtype=torch.float64, which holds them exactly"
        )
    raise UserError(f"a Hessian needs the floating-point type torch.float32 or torch.float64, got {dtype}")


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
