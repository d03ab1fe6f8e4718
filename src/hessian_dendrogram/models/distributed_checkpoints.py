"""A folder that `torch.distributed.checkpoint` wrote, as named tensors, read without executing anything in it.

`.metadata` is a pickle of where each piece of each tensor lies; only the classes that say so are made of it. A piece is
a part of a `.distcp` file, a tensor as `torch.save` writes it.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..texts import escaped, shortened
from .pickle_calls import refused_call

_LARGEST = 2**26  # bytes of a .metadata: a million pieces
_HOMES = {
    "torch.distributed.checkpoint.metadata": {
        "Metadata", "MetadataIndex", "TensorStorageMetadata", "BytesStorageMetadata", "ChunkStorageMetadata",
        "TensorProperties", "StorageMeta", "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.distributed.checkpoint.planner": {"SavePlan", "WriteItem"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size", "device", "memory_format"},
    "collections": {"OrderedDict"},
}  # fmt: skip


def is_distributed(folder: Path) -> bool:
    """Whether a folder is such a checkpoint."""
    return (folder / ".metadata").is_file()


class _Unpickler(pickle.Unpickler):
    """Makes nothing but what a `.metadata` consists of."""

    def find_class(self, module: str, name: str) -> Any:
        """One of the known classes, or a type of number."""
        if name in _HOMES.get(module, ()) or (module == "torch" and isinstance(getattr(torch, name, 0), torch.dtype)):
            return super().find_class(module, name)
        if module.startswith("pathlib"):  # of the machine that wrote it
            return PurePosixPath
        raise pickle.UnpicklingError(f"{module}.{name}")


def _metadata(folder: Path) -> Any:
    file = folder / ".metadata"
    if file.stat().st_size > _LARGEST:
        raise UserError(f"{escaped(file)} has {file.stat().st_size:,} bytes; at most {_LARGEST:,} are read")
    try:
        found = _Unpickler(io.BytesIO(file.read_bytes())).load()
        return found.state_dict_metadata, found.storage_data
    except Exception as error:  # a damaged pickle ends in errors of many types
        raise UserError(
            f"{escaped(file)} is damaged, or wants to execute {shortened(error)}; it is not loaded. "
            "Save model.state_dict() with torch.save instead"
        ) from None


def read_distributed(folder: Path) -> dict[str, Tensor]:
    """All tensors of such a checkpoint.

    Raises:
        UserError: it is damaged, or a piece is missing.
    """
    described, places = _metadata(folder)
    try:
        return {
            str(name): _tensor(folder, str(name), known, places)
            for name, known in described.items()
            if hasattr(known, "chunks")
        }
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{escaped(folder)} is damaged ({type(error).__name__}: {shortened(error)})") from None


def numbers_of(folder: Path) -> dict[str, Any]:
    """The plain numbers in such a checkpoint, such as the step, by the last part of their names."""
    described, places = _metadata(folder)
    found: dict[str, Any] = {}
    for name, known in described.items():
        if not hasattr(known, "chunks"):
            place = next((one for index, one in places.items() if index.fqn == name), None)
            if place is not None and place.length < 4096:
                value = _piece(folder, place)
                if isinstance(value, int | float | str):
                    found.setdefault(str(name).rpartition(".")[2], value)
    return found


def _tensor(folder: Path, name: str, known: Any, places: Mapping[Any, Any]) -> Tensor:
    pieces = {tuple(index.offset or ()): place for index, place in places.items() if index.fqn == name}
    size = sum((folder / str(place.relative_path)).stat().st_size for place in pieces.values())
    if known.size.numel() > size:
        raise UserError(f"{escaped(folder)} is damaged: {shortened(name)} is larger than its files")
    whole = torch.full(tuple(known.size), torch.nan if known.properties.dtype.is_floating_point else 0)
    whole = whole.to(known.properties.dtype)
    covered = 0
    for chunk in known.chunks:
        piece = _piece(folder, pieces[tuple(chunk.offsets)])
        part = tuple(slice(start, start + length) for start, length in zip(chunk.offsets, chunk.sizes, strict=True))
        if piece.shape != torch.Size(chunk.sizes):
            raise UserError(f"{escaped(folder)} is damaged: a piece of {shortened(name)} has another shape")
        whole[part] = piece
        covered += piece.numel()
    if covered != whole.numel():
        raise UserError(f"{escaped(folder)} is damaged: the pieces of {shortened(name)} are not all there")
    return whole


def _piece(folder: Path, place: Any) -> Any:
    file = folder / str(place.relative_path)
    if file.parent != folder or not file.is_file():
        raise UserError(f"{escaped(folder)} names {shortened(place.relative_path)}, which is not in it")
    if not 0 <= place.offset <= place.offset + place.length <= file.stat().st_size:
        raise UserError(f"{escaped(file)} is damaged: it ends too early")
    with file.open("rb") as opened:
        opened.seek(place.offset)
        content = io.BytesIO(opened.read(place.length))
    if call := refused_call(content):
        raise UserError(f"{escaped(file)} holds more than tensors ({shortened(call)}); it is not loaded")
    content.seek(0)
    return torch.load(content, map_location="cpu", weights_only=True)
