"""A state dict in several files: an index names the file of each tensor, as the libraries of transformers write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..store.read import LARGEST_JSON
from ..texts import escaped, shortened

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
