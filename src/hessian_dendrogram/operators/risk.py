r"""The mean loss over weighted batches, as a function of parameters of its own.

For samples (x_i, y_i), i = 1..N, and parameters θ (n of them, flattened in the order of the layout),

    L(θ) = (1/N) Σ_i ℓ(f_θ(x_i), y_i),

where `loss(model(inputs), targets)` gives the mean of ℓ over the samples of a batch. Batches b of n_b samples add up as
L = Σ_b w_b ℓ_b / Σ_b w_b with w_b = n_b, so ragged batches count by their size. `weight=` replaces n_b where the loss
is a mean over something else, such as the tokens that are not ignored.

What a risk is asked before it is trusted is in `trial.py` (what does the loss depend on?) and `loss_check.py` (is it a
mean?).

Longer than other files: whatever evaluates the user's functions is here, and nowhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map

from ..errors import UserError, user_errors
from ..layout import Layout
from ..models import samples
from ..models.samples import Batch, Data
from .data import Weight, WeightedData
from .interception import Interception, Observations, Rules
from .library_settings import put_in, settings_for
from .parameters import parameter_layout
from .stand_in import StandIn, named_tensors

_TYPES = torch.float32, torch.float64
_ONE_AT_A_TIME = threading.RLock()  # modules have one set of tensors at a time

Loss = Callable[[Any, Tensor], Tensor]


class Risk:
    """The mean of `loss(model(inputs), targets)` over all samples in `data`.

    It has its own weights, and evaluates the model with them as the model was when it was given, in `eval()` mode;
    later changes to the model do not reach it. While it is evaluated, no other thread may use the model.

    Args:
        model: any `nn.Module`; a tuple of inputs is passed as `model(*inputs)`, a dict as `model(**inputs)`.
        loss: `loss(outputs, targets)`, a scalar: the mean over the batch's samples, or over its weight.
        data: a tensor pair, a `Dataset`, a `DataLoader` or an iterable of batches (see `hessian_dendrogram.samples`).
        parameters: names or patterns (`"conv1.*"`) of the parameters to take; default all that are not frozen.
        weight: gives what a batch's targets weigh, where that is not their number of samples.
        dtype: floating-point type of weights and floating inputs; default the parameters' own.
        device: default the parameters' own.
        batch_size: samples in one pass, for data that does not come in batches.

    Attributes:
        layout: which named parameter owns each of the n indices.
        left_out: names of the model's parameters that are not among them.
        data: the samples with their weights, counted once they have been checked.
        hooks_on_gradients: whether the user put hooks on gradients of parameters, which have no part in this.
        rules: what the calls of the model and the loss need (see `interception`).
        reaches_users: whether they reach the user's own tensors.
        roundoff: the unit roundoff of the coarsest arithmetic in them.
        roundoff_in_float64: the same, of an evaluation in float64, where there was one.
        functions: names of the torch functions that they call.

    Raises:
        UserError: no parameters, or some that are complex or have no values; no such device or type.
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
    ) -> None:
        if not isinstance(model, nn.Module):
            raise UserError(f"model must be a torch.nn.Module, got {samples.describe(model)}")
        self.layout, self.left_out = parameter_layout(model, parameters)
        names = self.layout.names
        by_name = dict(model.named_parameters())
        self.dtype = _checked_dtype(dtype or _common([by_name[name].dtype for name in names], "dtype"), dtype)
        self.device = _checked_device(device or _common([by_name[name].device for name in names], "device"))
        self._base = StandIn(model, loss, dtype=self.dtype, device=self.device, trainable=names, widest=True)
        self._own = self._base.in_type(self.dtype)
        self._settings = settings_for(self._own.model, self.dtype)
        self.data = WeightedData(samples.reusable(data), weight, self.dtype, self.device, batch_size)
        self.hooks_on_gradients = any(bool(by_name[name]._backward_hooks) for name in names)
        # The user's own tensors, for functions that hold them, and do not find them through the model.
        self._users = {id(tensor): (name, tensor) for name, tensor in named_tensors(model).items()}
        self._held: dict[str, Tensor] = {}
        self._observations: Observations | None = None
        self.rules, self.reaches_users = Rules(substitute=True), False
        self.roundoff, self.functions = torch.finfo(self.dtype).eps / 2, frozenset[str]()
        self.roundoff_in_float64 = 0.0

    # ── of one kind with others ──────────────────────────────────────────────────────────────────────────────────

    def take_over(self, other: Risk) -> None:
        """What evaluations of another risk, of the same model, loss and data, have shown holds for this one, too."""
        self.functions |= other.functions
        self.reaches_users |= other.reaches_users
        self.rules = replace(self.rules, rewrite=self.rules.rewrite or other.rules.rewrite)
        self.roundoff_in_float64 = max(self.roundoff_in_float64, other.roundoff_in_float64)
        if other.dtype == torch.float64:
            self.roundoff_in_float64 = max(self.roundoff_in_float64, other.roundoff)
        if self.dtype == torch.float64:
            self.roundoff = max(self.roundoff, self.roundoff_in_float64)

    def in_type(self, dtype: torch.dtype) -> Self:
        """The same risk, of the model as it was given, in another floating-point type; evaluate it before it is used.

        Raises:
            UserError: the model cannot have that type.
        """
        other = self.of(replace(self.data, dtype=_checked_dtype(dtype, dtype)))
        other.dtype, other._own = dtype, self._base.in_type(dtype)
        kernels = [one for one in self._settings if one[1] != "dtype"]  # as they were when the model was given
        other._settings = [*settings_for(other._own.model, dtype), *kernels]
        other.roundoff = torch.finfo(dtype).eps / 2
        return other

    def of(self, data: WeightedData) -> Self:
        """The same mean over other samples."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.data = data
        return other

    def from_tensor(self, first: int) -> Self:
        """The same mean as a function of the tensors of the layout from one on, the others held where they are."""
        other = self.of(self.data)
        other._held = self._held | {name: self._own.tensors[name].detach() for name in self.layout.names[:first]}
        other.layout = Layout(self.layout.names[first:], self.layout.shapes[first:])
        return other

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied: what the model and the loss share would come apart."""
        raise UserError(
            "an operator can be neither pickled nor copied; make another of the model, the loss and the data"
        )

    def forget_users(self) -> None:
        """Spare evaluations the search for the user's own tensors, once it is known that none is reached."""
        if not self.reaches_users:
            self.rules, self._users = replace(self.rules, substitute=False), {}

    @property
    def is_coarse(self) -> bool:
        """Whether arithmetic in float32, or coarser, is left where float64 is asked for."""
        return self.roundoff_in_float64 > torch.finfo(torch.float64).eps

    @property
    def model(self) -> nn.Module:
        """The model, which has the risk's weights while it is evaluated alone."""
        return self._own.model

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self._own.loss

    def name_of(self, tensor: Tensor) -> str | None:
        """The name of a tensor of the user's own model; `None` for any other."""
        return self._users[id(tensor)][0] if id(tensor) in self._users else None

    # ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────

    def parameters(self) -> dict[str, Tensor]:
        """The risk's own parameters, in the order of the layout."""
        return {name: self._own.tensors[name] for name in self.layout.names}

    def parts_of(self, v: Tensor) -> tuple[Tensor, ...]:
        """The parts of a flat vector that belong to each tensor of the layout."""
        return torch.split(v, np.diff(self.layout.offsets).tolist())

    def unflatten(self, v: Tensor) -> dict[str, Tensor]:
        """The same in the shapes of the tensors, by name."""
        return {
            name: part.view(shape)
            for name, shape, part in zip(self.layout.names, self.layout.shapes, self.parts_of(v), strict=True)
        }

    def touched(self, V: Tensor) -> list[str]:
        """Names of the tensors that some column of V moves."""
        moves = torch.stack([(part != 0).any() for part in self.parts_of(V)]).tolist()
        return [name for name, moved in zip(self.layout.names, moves, strict=True) if moved]

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
        """The same risk at other parameters, for a while: the own ones plus a vector of shape (n,)."""
        tensors = self.parameters()
        values = [tensor.data for tensor in tensors.values()]
        try:
            for tensor, part in zip(tensors.values(), self.unflatten(offset).values(), strict=True):
                tensor.data = tensor.data + part
            yield
        finally:
            for tensor, value in zip(tensors.values(), values, strict=True):
                tensor.data = value

    # ── the loss ─────────────────────────────────────────────────────────────────────────────────────────────────

    def batch_loss(self, batch: Batch, parameters: dict[str, Tensor] | None = None) -> Tensor:
        """The mean loss of a batch, at the risk's own parameters or at others, by name."""
        with self.evaluation(parameters):
            return _scalar(self.loss(self._outputs(batch[0]), batch[1]))

    def outputs(self, inputs: samples.Inputs, parameters: dict[str, Tensor] | None = None) -> Any:
        """What the model gives for a batch's inputs, at the risk's own parameters or at others, by name."""
        with self.evaluation(parameters):
            return self._outputs(inputs)

    def _outputs(self, inputs: samples.Inputs) -> Any:
        def fresh(tensor: Tensor) -> Tensor:  # what a model does to its inputs stays with this evaluation
            return tensor.detach().requires_grad_() if tensor.requires_grad else tensor.detach()

        return samples.call(self.model, samples.map_inputs(fresh, inputs))

    @contextmanager
    def evaluation(self, parameters: dict[str, Tensor] | None = None) -> Iterator[None]:
        """What stands around a call of the user's functions at the risk's own parameters, or at others."""
        given = nullcontext() if parameters is None else self._own.given(self._held | parameters)
        with self.session(), given, self._intercepted(parameters):
            yield

    def gradient_of_batch(self, batch: Batch) -> Tensor:
        """The gradient of one batch's own mean loss: shape (n,)."""
        with self.session(), user_errors("the loss has no gradient"):
            value = self.batch_loss(batch)
            tensors = list(self.parameters().values())
            if not value.requires_grad:
                return flat(torch.zeros_like(tensor) for tensor in tensors)
            gradient = torch.autograd.grad(value, tensors, materialize_grads=True)
        return flat(gradient).detach()

    def loss_sees_parameters(self, outputs: Any, targets: Tensor) -> bool:
        """Whether the loss of outputs that depend on nothing still depends on the parameters, as a penalty does."""
        own = {id(tensor) for tensor in self.parameters().values()}
        outputs = tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, outputs)
        return any(id(leaf) in own for leaf in graph_leaves(self.output_loss(outputs, targets)))

    def output_loss(self, outputs: Any, targets: Tensor) -> Tensor:
        """The loss of given outputs, for assembly layer by layer."""
        with self._intercepted():
            return _scalar(self.loss(outputs, targets))

    @contextmanager
    def session(self) -> Iterator[None]:
        """What every evaluation stands in: the risk's tensors in the modules, and attention written out."""
        with _ONE_AT_A_TIME:
            if self._own.is_installed:
                yield
                return
            modes = torch.inference_mode(False), torch.enable_grad(), torch.autocast(self.device.type, enabled=False)
            own = self._own.installed(), put_in(self._settings)
            with modes[0], modes[1], modes[2], _plain_attention(), own[0], own[1], self._intercepted():
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


def flat(parts: Iterable[Tensor]) -> Tensor:
    """The parts one after another, each flattened; gradients of some embeddings are sparse."""
    return torch.cat([(part.to_dense() if part.is_sparse else part).reshape(-1) for part in parts])


def differentiated(risk: Risk, gradient: Sequence[Tensor], V: Tensor) -> Tensor:
    """The derivative of vᵀ gradient, whose parts have their graphs, for each column v of V: shape (n, k)."""
    tensors = list(risk.parameters().values())
    touched = set(risk.touched(V))
    curved = [
        i
        for i, (name, part) in enumerate(zip(risk.layout.names, gradient, strict=True))
        if part.requires_grad and name in touched
    ]
    if not curved:
        return torch.zeros_like(V)
    columns = []
    for v in V.T.contiguous():  # in one piece: backward kernels would copy what is scattered, again and again
        parts = list(risk.unflatten(v).values())
        product = torch.autograd.grad(
            [gradient[i] for i in curved],
            tensors,
            [parts[i] for i in curved],
            retain_graph=True,
            materialize_grads=True,
        )
        columns.append(flat(product))
    return torch.stack(columns, dim=1)


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
            f"the parameters are {dtype}, too coarse to differentiate; pass dtype=torch.float64, which holds them"
        )
    raise UserError(f"a curvature operator needs the floating-point type torch.float32 or torch.float64, got {dtype}")


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


def graph_leaves(value: Tensor) -> list[Tensor]:
    """The tensors that require a gradient and have no graph of their own, below a result."""
    if value.grad_fn is None:
        return [value] if value.requires_grad else []
    leaves, seen, waiting = [], {value.grad_fn}, [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if (variable := getattr(node, "variable", None)) is not None:
            leaves.append(variable)
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                waiting.append(below)
    return leaves
