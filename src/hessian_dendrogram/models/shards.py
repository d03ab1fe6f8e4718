"""A state dict in several files: an index names the file of each tensor, as the libraries of transformers write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import UserError
from ..store.read import LARGEST_JSON
from ..texts import escaped, listed, shortened

INDICES = (".safetensors.index.json", ".bin.index.json")
"""How the names of such indices end."""


def shards_of(index: Path) -> dict[str, list[str]]:
    """The files that an index names, each with the tensors that it should have.

    Raises:
        UserError: it is no index, or names a file that is not beside it.
    """
    if not index.is_file() or index.stat().st_size > LARGEST_JSON:
        raise UserError(f"{escaped(index)} is no index of a state dict: no regular file of at most 4 MiB")
    try:
        places: Any = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        pairs = [(str(name), str(file)) for name, file in places.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{escaped(index)} is damaged: it has no weight_map ({shortened(error)})") from None
    found: dict[str, list[str]] = {}
    for name, file in pairs:
        found.setdefault(file, []).append(name)
    for file in found:
        if Path(file).name != file or not (index.parent / file).is_file():
            raise UserError(f"{escaped(index)} names {shortened(file)}, which is not beside it; copy the whole folder")
    if not found:
        raise UserError(f"{escaped(index)} names no tensors")
    return found


def read_shards(index: Path) -> dict[str, Tensor]:
    """All tensors that an index names.

    Raises:
        UserError: a file cannot be read, or lacks a tensor.
    """
    from .state_dicts import read_state_dict

    state: dict[str, Tensor] = {}
    for file, names in shards_of(index).items():
        part = read_state_dict(index.parent / file, unwrapped=False)
        if missing := [name for name in names if name not in part]:
            raise UserError(f"{escaped(index.parent / file)} lacks {listed(missing, 3)}, which its index names")
        state |= {name: part[name] for name in names}
    return state
