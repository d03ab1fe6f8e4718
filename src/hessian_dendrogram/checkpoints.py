"""Checkpoints that someone else trained: .pt, .pth and .safetensors files, read without executing anything in them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from .errors import UserError

SUFFIXES = (".pt", ".pth", ".safetensors")
_NESTED = ("state_dict", "model_state_dict", "model")  # keys under which trainers keep the model's state
_PREFIXES = ("module.", "_orig_mod.")  # put before every name by DistributedDataParallel and torch.compile


def find_checkpoints(path: Path, step: int | None = None) -> dict[int, Path]:
    """The checkpoint files of a folder, or one file, by training step.

    Args:
        path: a folder, of which the files with a known ending are taken, or one such file.
        step: the step of a single file; default the number in its name.

    Raises:
        UserError: there is no such file, a name has no step, or two files have the same step.
    """
    if not path.exists():
        raise UserError(f"there is no file or folder {path}")
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} has no checkpoint; looked for files that end in {', '.join(SUFFIXES)}")
    if step is not None and len(files) > 1:
        raise UserError(f"--step goes with one checkpoint file; {path} has {len(files)}")
    found: dict[int, Path] = {}
    for file in files:
        number = step_in_name(file.name) if step is None else step
        if number in found:
            raise UserError(f"{found[number].name} and {file.name} both have step {number}; rename one")
        found[number] = file
    return dict(sorted(found.items()))


def step_in_name(name: str) -> int:
    """The training step in a file name: the number after "step" where there is one, else the last number.

    Raises:
        UserError: the name has no number.
    """
    stem = name.removesuffix(Path(name).suffix)
    numbers = re.findall(r"step[^0-9]?(\d+)", stem, flags=re.IGNORECASE) or re.findall(r"\d+", stem)
    if not numbers:
        raise UserError(f"{name} has no training step in its name; rename it, or give one file with --step N")
    return int(numbers[-1])


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The named tensors in a checkpoint file.

    A .pt or .pth file is loaded with weights only, so that no code in it runs. A state dict nested under `state_dict`,
    `model_state_dict` or `model` is found, and the prefixes of wrappers (`module.`, `_orig_mod.`) are taken off.

    Raises:
        UserError: the file is damaged, wants to execute code, or holds no state dict.
    """
    try:
        content = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} is damaged, or holds more than tensors and could execute code; it is not loaded. "
            "Save model.state_dict() instead"
        ) from None
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it ends too early"
        raise UserError(f"{path} cannot be read as a checkpoint: {reason}") from None
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(tensor, Tensor) for tensor in content.values())
    ):
        raise UserError(f"{path} holds no state dict; save model.state_dict()")
    state = {str(name): tensor for name, tensor in content.items()}
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state
