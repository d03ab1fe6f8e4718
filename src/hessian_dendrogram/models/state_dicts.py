"""Checkpoint files as named tensors, read without executing anything in them and without more memory than they have.

Files of PyTorch and of safetensors are mapped, and of what they hold the state of the model alone is copied. Whatever
else has their endings, a text, half a file, a pipe, a device, another library's file or a trap, is refused in one line.
"""

from __future__ import annotations

import errno
import hashlib
import pickle
import re
import stat
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from ..errors import UserError
from ..texts import escaped, listed, shortened
from .distributed_checkpoints import is_distributed, read_distributed
from .foreign_objects import foreign_object
from .naming import without_wrappers
from .nested_states import TRAINED, chosen_state
from .pickle_calls import REBUILDING, refused_call
from .shards import INDICES, shards_of

_LARGEST_HEADER = 2**24  # bytes of a .safetensors file's names and shapes: 100,000 tensors


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The named tensors in a checkpoint file, in the files that an index names, or in a folder of pieces.

    Args:
        path: a file, an index such as `model.safetensors.index.json`, or a folder of `torch.distributed.checkpoint`.

    PyTorch files are loaded with weights only, so that no code in them runs. A state dict nested under a key such as
    `state_dict`, `model_state_dict` or `model` is found, what stands beside tensors and is none (`epoch`) is left out,
    and the prefixes of wrappers (`module.`, `_orig_mod.`) are taken off.

    Raises:
        UserError: the file is damaged, no regular file, wants to execute code, or holds no state dict.
    """
    return without_wrappers(read_chosen(path).state)


@dataclass(frozen=True)
class Chosen:
    """The named tensors of a file.

    Attributes:
        state: the tensors.
        said: which of the file's dictionaries was taken, where there were several.
        is_wanted: whether it was the one that was asked for.
    """

    state: dict[str, Tensor]
    said: tuple[str, ...] = ()
    is_wanted: bool = False


def read_chosen(path: Path, wanted: str | None = None) -> Chosen:
    """As `read_state_dict`, by the names of the file, from the dictionary under a key where the file has that."""
    if path.name.endswith(INDICES):
        return Chosen(_in_shards(path))
    if path.is_dir() and is_distributed(path):
        return Chosen(read_distributed(path))
    content, said, is_wanted = chosen_state(content_of(path), wanted)
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        raise UserError(f"{escaped(path)} holds no state dict but one {kind}; save model.state_dict()")
    tensors = {name: tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    state = {name: tensor.detach() for name, tensor in tensors.items() if isinstance(name, str)}
    if not state:
        keys = listed(list(content)) or "nothing"
        inner = [key for key, value in content.items() if isinstance(key, str) and _has_tensors(value)]
        remedy = f"--prefix {shortened(inner[0])} takes what is under that" if inner else "save model.state_dict()"
        raise UserError(f"{escaped(path)} holds no state dict of a model but {keys}; {remedy}")
    return Chosen(_copied(state, path), tuple(said), is_wanted)


def _has_tensors(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(one, Tensor) for one in value.values())


def digest_of_state(path: Path) -> str:
    """SHA-256 of the named tensors in a file, in hexadecimal.

    Raises:
        UserError: as for `read_state_dict`.
    """
    hasher = hashlib.sha256()
    for name, tensor in sorted(read_state_dict(path).items()):
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise UserError(f"{escaped(path)} holds a tensor without plain numbers, {shortened(name)}")
        plain = (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).reshape(-1).contiguous()
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if plain.numel():
            hasher.update(plain.view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def _in_shards(index: Path) -> dict[str, Tensor]:
    """All tensors that an index names.

    Raises:
        UserError: a file cannot be read, or lacks a tensor.
    """
    state: dict[str, Tensor] = {}
    for file, names in shards_of(index).items():
        part = read_chosen(index.parent / file).state
        if missing := [name for name in names if name not in part]:
            raise UserError(f"{escaped(index.parent / file)} lacks {listed(missing, 3)}, which its index names")
        state |= {name: part[name] for name in names}
    return state


def _copied(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The same in memory, since what is mapped changes or vanishes with the file; what is shared stays shared."""
    dense = {name: tensor for name, tensor in state.items() if tensor.layout == torch.strided and not tensor.is_meta}
    storages = {name: tensor.untyped_storage() for name, tensor in dense.items()}
    mapped = {(storage.data_ptr(), storage.nbytes()): storage for storage in storages.values()}
    if sum(size for _, size in mapped) > path.stat().st_size:
        raise UserError(f"{escaped(path)} is damaged: its tensors take more room than the file")
    copies = {place: storage.clone() for place, storage in mapped.items()}
    copied = dict(state)
    for name, tensor in dense.items():
        copy = copies[storages[name].data_ptr(), storages[name].nbytes()]
        place = tensor.storage_offset(), tensor.size(), tensor.stride()
        copied[name] = torch.empty(0, dtype=tensor.dtype).set_(copy, *place)
    return copied


def content_of(path: Path, *, tensors: bool = True) -> Any:
    """What is in a file, or of .safetensors only the text beside the tensors.

    Raises:
        UserError: the file is damaged, no regular file, or wants to execute code.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UserError(f"{escaped(path)} is a folder, a pipe or a device; give a regular file")
    try:
        if path.suffix.lower() == ".safetensors":
            return _load_safetensors(path, tensors=tensors)
        if call := refused_call(path):
            raise _refusal(path, call, is_trap=True)
        with warnings.catch_warnings(action="ignore"):  # of old formats, once for every reading
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        raise _refusal(path, wanted[1] if wanted else "") from None
    except Exception as error:  # reading a damaged file ends in errors of many types
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that of a place before the file's beginning
            raise
        reason = next(iter(str(error).splitlines()), "it ends too early")
        if "weights_only" in reason:  # advice to execute what is in the file
            reason = "it is an archive of another kind, such as TorchScript"
        raise UserError(
            f"{escaped(path)} cannot be read as a checkpoint: it is damaged, or no file of its ending "
            f"({type(error).__name__}: {shortened(reason, 150)})"
        ) from None


def _load_safetensors(path: Path, *, tensors: bool) -> Any:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(_LARGEST_HEADER, path.stat().st_size - 8):
        raise ValueError(f"a header of {length:,} bytes")
    if tensors:
        return load_file(path)
    with safe_open(path, framework="pt") as opened:
        return opened.metadata() or {}


def _refusal(path: Path, call: str, *, is_trap: bool = False) -> UserError:
    """What is said of a file that asks for a call; of one made to take forever no line that would load it."""
    if call.startswith(REBUILDING):
        return UserError(
            f"{escaped(path)} holds tensors that are sparse, quantised, nested or without values ({shortened(call)}); "
            "save dense ones, as model.state_dict() gives them"
        )
    more = f"more than tensors ({shortened(call)})" if call else "more than tensors"
    if not is_trap and (found := foreign_object(path, TRAINED)):
        place = f"under {'.'.join(found.keys)!r} " if found.keys else ""
        line = found.conversion(path, TRAINED)
        remedy = f'. Or, where you trust it, run where it was made: python -c "{line}"' if line else " instead"
        return UserError(
            f"{escaped(path)} holds more than tensors ({shortened(found.name)}) {place}and could execute code; it is "
            f"not loaded. Save model.state_dict(){remedy}"
        )
    return UserError(
        f"{escaped(path)} is damaged, or holds {more} and could execute code; it is not loaded. "
        "Save model.state_dict() instead"
    )
