"""Weights into a model, once every name, shape, kind of number and number has been found to be one that it can have."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor, nn

from ..errors import NotFiniteError, UserError
from ..store import Run
from ..texts import escaped, shortened

logger = logging.getLogger(__name__)


def load_weights(model: nn.Module, run: Run, step: int) -> None:
    """Load the state stored at a checkpoint into a model.

    Raises:
        UserError: the names or shapes differ, the message gives the first few differences; or some are not finite.
    """
    names = names_in_state(model)
    state = {names.get(name, name): torch.from_numpy(array) for name, array in run.weights(step).items()}
    try:
        fit_state(model, state, f"the checkpoint at step {step} of {escaped(run.path)}")
    except NotFiniteError as error:
        raise NotFiniteError(f"{error}; every other step can be analysed, by --at") from None


def load_last_weights(model: nn.Module, run: Run) -> int:
    """Load the latest checkpoint whose weights are finite, and give its step.

    Raises:
        UserError: as `load_weights`, where there is none.
    """
    problem: NotFiniteError | None = None
    for step in reversed(run.steps()):
        try:
            load_weights(model, run, step)
        except NotFiniteError as error:
            problem = error
        else:
            if problem:
                logger.warning("%s; step %d is taken for the last", problem, step)
            return step
    raise problem or UserError(f"{escaped(run.path)} has no checkpoint")


def fit_state(model: nn.Module, state: dict[str, Tensor], what: str) -> None:
    """Copy a state dict into a model after comparing every name, shape and kind of number.

    Copying would take the codes of quantised weights for numbers, and leave out the imaginary part of complex ones.

    Raises:
        UserError: the names, shapes or kinds differ; the message gives the first few differences.
        NotFiniteError: numbers are infinite or NaN where those of the untrained model are not.
    """
    own = model.state_dict()
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{shortened(name)} is not in the model" for name in state if name not in own]
    problems += [
        f"{name} is {_kind(state[name])}, the model's {_kind(tensor)}: quantised, or of another kind"
        for name, tensor in own.items()
        if name in state and _family(state[name]) != _family(tensor)
    ]
    problems += [
        f"{name} has shape {tuple(state[name].shape)}, the model's {tuple(own[name].shape)}"
        for name in own
        if name in state and not state[name].is_nested and own[name].shape != state[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(f"{what} does not fit the model: {'; '.join(problems[:3])}{more}")
    constants = constants_of(model)
    model.load_state_dict(state)
    confirm_finite(model, constants, what)


def names_in_state(model: nn.Module) -> dict[str, str]:
    """The names of parameters in the model's state dict, where they are not those of `named_parameters`."""
    called = {id(tensor): name for name, tensor in model.named_parameters()}
    state = model.state_dict(keep_vars=True)
    held = {id(tensor): name for name, tensor in state.items()}
    return {name: held[key] for key, name in called.items() if name not in state and key in held}


def constants_of(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of an untrained model that are not finite, as those of a mask are."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if not _is_finite(tensor)}


def confirm_finite(model: nn.Module, constants: dict[str, Tensor], what: str) -> None:
    """Refuse numbers that are not finite, also those that became so in the model's precision.

    Args:
        model: with the weights in it.
        constants: what `constants_of` gave before.
        what: in words, for the message.

    Raises:
        NotFiniteError: there are some that are no constants.
    """
    found = {}
    for name, tensor in model.state_dict().items():
        if not _is_finite(tensor):
            strange = ~torch.isfinite(tensor)
            if name in constants:
                strange &= tensor != constants[name]
            if number := int(strange.sum()):
                found[name] = f"{number:,} of the {tensor.numel():,} numbers of {name}"
    if found:
        more = f", and some of {len(found) - 1:,} more tensors" if len(found) > 1 else ""
        raise NotFiniteError(f"{what} has weights that are infinite or NaN: {next(iter(found.values()))}{more}")


def _is_finite(tensor: Tensor) -> bool:
    """Whether all numbers are, found without a copy of them."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel():
        return True
    parts = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    parts = parts.float() if parts.itemsize == 1 else parts
    return all(math.isfinite(end.item()) for end in torch.aminmax(parts))


def _family(tensor: Tensor) -> str:
    """What may be copied into what without a change of meaning."""
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta:
        return "not dense"
    if tensor.is_quantized:
        return "quantised"
    if tensor.is_floating_point() and tensor.itemsize == 1:  # multiplied by scales that stand elsewhere
        return str(tensor.dtype)
    return "complex" if tensor.is_complex() else "floating" if tensor.is_floating_point() else "integer"


def _kind(tensor: Tensor) -> str:
    where = "without values" if tensor.is_meta else "nested" if tensor.is_nested else str(tensor.layout)
    return f"{tensor.dtype}" + ("" if _family(tensor) != "not dense" else f" ({where})")
