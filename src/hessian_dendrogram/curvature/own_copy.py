"""An operator's own copy of a model and its loss, in one floating-point type.

The copy is made by `copy.deepcopy` over tensors that have been converted one by one: real floating-point tensors to the
wanted type, complex ones to the complex type of the same precision, integers and booleans as they are. So nothing is
lost that a model's own `.to` would lose (imaginary parts) or refuse (a type that it swallows), tensors that are no
parameters follow too, and a loss that holds the model holds the copy.

What `deepcopy` refuses in a model is mended where it can be: tensors with a graph (the `weight` that old weight
normalisation, spectral normalisation and pruning compute anew, kept activations) are copied without it; locks, open
files and the like are shared with the user's model. Where even that fails the model itself is shared, and its tensors
are handed to it at every evaluation (`torch.func.functional_call`).
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import UserError

logger = logging.getLogger(__name__)

_COMPLEX = {torch.float64: torch.complex128}  # of any coarser type: complex64, whose halves are float32


def type_of_that_precision(found: torch.dtype, wanted: torch.dtype) -> torch.dtype:
    """The type that a tensor of type `found` is converted to where a real floating-point type is asked for."""
    if found.is_complex:
        return _COMPLEX.get(wanted, torch.complex64)
    return wanted if found.is_floating_point else found


@dataclass(frozen=True)
class OwnCopy:
    """A model and a loss that belong to an operator.

    Attributes:
        model: in `eval()` mode, but for a shared one.
        loss: a copy where it is a module, else the user's own function.
        tensors: parameters and buffers by name, shared ones under their first; those of `model`, but for a shared one.
        is_shared: the model is the user's own, which takes these tensors at every evaluation.
    """

    model: nn.Module
    loss: Callable[..., Any]
    tensors: dict[str, Tensor]
    is_shared: bool = False

    def parameters(self, names: Sequence[str]) -> dict[str, Tensor]:
        """The named ones."""
        return {name: self.tensors[name] for name in names}

    def has_type(self, dtype: torch.dtype) -> bool:
        """Whether every tensor has the type that goes with this one."""
        return all(type_of_that_precision(tensor.dtype, dtype) == tensor.dtype for tensor in self.tensors.values())


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, shared ones under their first."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def own_copy(
    model: nn.Module,
    loss: Callable[..., Any],
    *,
    dtype: torch.dtype,
    device: torch.device,
    trainable: Sequence[str],
    tensors: dict[str, Tensor] | None = None,
    widest: bool = False,
) -> OwnCopy:
    """Copy a model and its loss.

    Args:
        model: the original.
        loss: copied along where it is a module.
        dtype: what floating-point tensors are converted to.
        device: where the copy lives.
        trainable: names of the parameters that require gradients in the copy; no other tensor does.
        tensors: take these instead of the model's own.
        widest: keep tensors that are more precise than `dtype` as they are.

    Raises:
        UserError: a parameter has no values yet, or the model changes the type of its tensors back.
    """
    sources = named_tensors(model) if tensors is None else tensors
    for name, tensor in sources.items():
        if nn.parameter.is_lazy(tensor) or tensor.is_meta:
            raise UserError(
                f"{name} has no values yet ({type(tensor).__name__} on {tensor.device}); "
                "call the model once on a batch, or load its weights"
            )

    def convert(tensor: Tensor) -> Tensor:
        wanted = type_of_that_precision(tensor.dtype, dtype)
        if widest:
            wanted = torch.promote_types(wanted, tensor.dtype)
        return tensor.detach().to(device, wanted, copy=True)

    own: dict[str, Tensor] = {}
    memo: dict[int, Any] = {}
    for name, original in named_tensors(model).items():
        twin = convert(sources[name])
        if isinstance(original, nn.Parameter):
            twin = nn.Parameter(twin, requires_grad=name in trainable)
        own[name] = memo[id(original)] = twin
    if isinstance(loss, nn.Module):
        for tensor in named_tensors(loss).values():
            memo.setdefault(id(tensor), _alike(convert(tensor), tensor))
    memo |= _reloaded(model)
    with _Copying(convert):
        try:
            twin_model, twin_loss = _deep_copies(model, loss, memo)
        except Exception as error:
            logger.info("the model cannot be copied (%s); it is evaluated with the operator's weights put in", error)
            return OwnCopy(model, loss, own, is_shared=True)
    found = named_tensors(twin_model)
    if any(found.get(name) is not tensor for name, tensor in own.items()):
        own = _converted_in_place(found, own, trainable)
    return OwnCopy(twin_model.eval(), twin_loss, own)


def _reloaded(model: nn.Module) -> dict[int, nn.Module]:
    """Copies of compiled modules, by the `id` of each: `deepcopy` would leave them the parameters of the original."""
    copies: dict[int, nn.Module] = {}
    inside: set[int] = set()
    for part in model.modules():
        if isinstance(part, torch.jit.ScriptModule) and id(part) not in inside:
            memory = io.BytesIO()
            with warnings.catch_warnings(action="ignore"):  # that compiled modules are deprecated
                torch.jit.save(part, memory)
                memory.seek(0)
                copies[id(part)] = torch.jit.load(memory)  # type: ignore[no-untyped-call]
            inside |= {id(below) for below in part.modules()}
    return copies


def _alike(twin: Tensor, original: Tensor) -> Tensor:
    """The twin as a parameter where the original is one, requiring a gradient where the original, a leaf, does."""
    needs = original.requires_grad and original.is_leaf
    return nn.Parameter(twin, requires_grad=needs) if isinstance(original, nn.Parameter) else twin.requires_grad_(needs)


def _deep_copies(model: nn.Module, loss: Callable[..., Any], memo: dict[int, Any]) -> tuple[nn.Module, Any]:
    both = model, loss if isinstance(loss, nn.Module) else None
    try:
        twins = copy.deepcopy(both, dict(memo))
    except Exception:
        shared = _share_what_cannot_be_copied(both, memo)
        twins = copy.deepcopy(both, memo)
        logger.info("shared with the model, since they cannot be copied: %s", ", ".join(shared))
    return twins[0], twins[1] or loss


def _share_what_cannot_be_copied(modules: Sequence[nn.Module | None], memo: dict[int, Any]) -> list[str]:
    """Note in the memo every attribute of a module that `deepcopy` refuses as its own copy; return their names."""
    everyone = [(name, part) for module in modules if module for name, part in module.named_modules()]
    trial = memo | {id(part): part for _, part in everyone}
    shared = []
    for name, part in everyone:
        for attribute, value in vars(part).items():
            try:
                copy.deepcopy(value, dict(trial))
            except Exception:
                memo[id(value)] = trial[id(value)] = value
                shared.append(f"{name}.{attribute}".lstrip("."))
    return shared


def _converted_in_place(
    found: dict[str, Tensor], wanted: dict[str, Tensor], trainable: Sequence[str]
) -> dict[str, Tensor]:
    """The tensors of a copy that made its own, as compiled modules do, once they have the wanted types and values."""
    with torch.no_grad():
        for name, tensor in wanted.items():
            twin = found.get(name)
            if twin is None or twin.shape != tensor.shape:
                raise UserError(f"the model cannot be copied: its copy has no tensor {name!r} of the same shape")
            twin.data = tensor.data
            twin.requires_grad_(name in trainable)
            if twin.dtype != tensor.dtype:
                raise UserError(
                    f"{name} stays {twin.dtype} where {tensor.dtype} was asked for; pass dtype={twin.dtype}"
                )
    return found


class _Copying(TorchFunctionMode):
    """While active, `deepcopy` converts tensors, with or without a graph."""

    def __init__(self, convert: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._convert = convert

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__:
            return _alike(self._convert(args[0]), args[0])
        return func(*args, **(kwargs or {}))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """A user's own model in `eval()` mode; afterwards every module has the attributes that it had before."""
    before = [(module, dict(vars(module))) for module in model.modules()]
    try:
        for module, _ in before:
            module.__dict__["training"] = False
        yield
    finally:
        for module, attributes in before:
            module.__dict__.clear()
            module.__dict__.update(attributes)
