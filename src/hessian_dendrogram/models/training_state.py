"""What an exact resume of a training needs beside the weights, as arrays and JSON-like values.

That is the state of the optimiser, of the schedule and of the generators of random numbers, and the buffers of the
model that its state dict leaves out. Numbers and generators that a module keeps as plain attributes are not stored;
where they change, `changed_attributes` finds them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import UserError
from . import random_state
from .weights import names_in_state

_BUFFER = "buffer."  # before the names of buffers; those of the optimiser begin with a number


def capture(model: nn.Module, optimizer: Any, scheduler: Any) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The state of a training: arrays by name, and the rest.

    Raises:
        UserError: the optimiser or the schedule keeps what cannot be stored.
    """
    arrays, generators = random_state.capture(next(model.parameters()).device)
    facts: dict[str, Any] = {"groups": as_json(optimizer.state_dict()["param_groups"]), "state": {}}
    facts["generators"] = generators
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                arrays[f"{index}.{key}"] = to_numpy(value)
            elif value is None or isinstance(value, (bool, int, float)):
                facts["state"][f"{index}.{key}"] = value
            else:
                kind = type(value).__name__
                raise UserError(
                    f"{type(optimizer).__name__} keeps a {kind} as {key!r}; only tensors and numbers can be stored"
                )
    if scheduler:
        facts["scheduler"] = as_json(scheduler.state_dict())
    arrays |= {_BUFFER + name: to_numpy(buffer) for name, buffer in _left_out_buffers(model).items()}
    return arrays, facts


def restore(
    model: nn.Module, optimizer: Any, scheduler: Any, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]
) -> None:
    """Put back what was captured.

    Raises:
        ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError: it is no state of this training.
    """
    random_state.restore(arrays, facts.get("generators", {}), next(model.parameters()).device)
    state: dict[int, dict[str, Any]] = {}
    buffers = _left_out_buffers(model)
    for path, value in {**arrays, **facts["state"]}.items():
        if random_state.is_state(path):
            continue
        tensor = torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
        if path.startswith(_BUFFER):
            buffers[path.removeprefix(_BUFFER)].copy_(tensor)
            continue
        index, key = path.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": facts["groups"]})
    if scheduler:
        own = scheduler.state_dict()  # what has not changed keeps its type, which JSON may not know
        changed = {key: value for key, value in facts["scheduler"].items() if as_json(own.get(key)) != value}
        scheduler.load_state_dict(own | changed)


def state_arrays(model: nn.Module) -> dict[str, NDArray[Any]]:
    """The state dict of a model as arrays, its parameters by the names that `named_parameters` gives.

    Raises:
        UserError: it has something else than tensors.
    """
    state = model.state_dict()
    if others := [name for name, value in state.items() if not isinstance(value, Tensor)]:
        raise UserError(
            f"the model's state dict has {others[0]!r}, which is no tensor and cannot be stored; make it a buffer"
        )
    called = {held: name for name, held in names_in_state(model).items()}
    return {called.get(name, name): to_numpy(tensor) for name, tensor in state.items()}


def attributes(model: nn.Module) -> dict[str, object]:
    """Numbers, texts and generators that the modules keep as plain attributes, by name."""
    return {
        f"{prefix}.{key}" if prefix else key: state
        for prefix, module in model.named_modules()
        for key, value in vars(module).items()
        if not key.startswith("_") and key != "training" and (state := _state_of(value)) is not None
    }


def changed_attributes(model: nn.Module, before: Mapping[str, object]) -> list[str]:
    """The names of those that are not as they were; a resume would not bring them back."""
    now = attributes(model)
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """The tensor as an array; bfloat16, which NumPy lacks, as float32, which holds it exactly."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def as_json(value: Any) -> Any:
    """What reading `value` back from a JSON file gives.

    Raises:
        UserError: it has parts that JSON cannot hold.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"the optimizer or the scheduler keeps a state that cannot be stored: {error}") from None


def _left_out_buffers(model: nn.Module) -> dict[str, Tensor]:
    stored = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name not in stored}


def _state_of(value: object) -> object:
    """What tells whether a value has changed; `None` for what is not looked at."""
    if isinstance(value, bool | int | float | complex | str):
        return value
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state(legacy=True))
    return repr(value.getstate()) if isinstance(value, random.Random) else None
