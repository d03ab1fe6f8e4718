"""Training samples in every form PyTorch users keep them in, read batch by batch.

`data` is one of
  - a tensor pair `(inputs, targets)`; `inputs` is a tensor, a tuple of tensors (called as `model(*inputs)`) or a dict
    of tensors (called as `model(**inputs)`), `targets` a tensor, and all of them have the samples along their first
    axis;
  - a map-style `torch.utils.data.Dataset` of such samples, or one of Hugging Face's datasets; with a function that
    makes their batches as `Collated(dataset, collate)`;
  - a `DataLoader`, or any other iterable of such batches. An iterator that can be read only once is kept as a list;
  - `GivenBatches(batches)`, where the loss compares the samples of a batch with each other.

Samples and batches may also be dictionaries, as those of transformers are: what is under `labels` are the targets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from ..errors import UserError
from .batched import Collated, GivenBatches

Inputs: TypeAlias = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
Batch: TypeAlias = tuple[Inputs, Tensor]
Data: TypeAlias = Batch | Dataset[Any] | Iterable[Batch]

_DIGEST_ITEMS = 64
_TARGETS = "labels"  # their name in the dictionaries of transformers


def reusable(data: Data) -> Data:
    """The same data in a form that can be read many times: a `TensorDataset` as its pair, an iterator as a list."""
    if isinstance(data, TensorDataset) and len(data.tensors) == 2:
        return data.tensors
    if isinstance(data, Iterator):
        return list(data)
    return checked(data) if isinstance(data, Mapping) else data


def is_pair(data: object) -> bool:
    """Whether `data` is one tensor pair rather than several batches."""
    return isinstance(data, tuple) and len(data) == 2 and isinstance(data[1], Tensor)


def is_stored(data: object) -> bool:
    """Whether `data` is a tensor pair or a map-style `Dataset`, the forms an experiment's data may have."""
    return is_pair(data) or isinstance(data, Mapping) or (_is_dataset(data) and hasattr(data, "__len__"))


def _is_dataset(data: object) -> bool:
    """Whether samples are in it one by one: one of torch's, or of Hugging Face's, which are none of torch's."""
    return isinstance(data, Dataset) or (hasattr(data, "features") and hasattr(data, "with_format"))


def tensors_of(inputs: Inputs) -> list[Tensor]:
    """The tensors in `inputs`, in their order."""
    if isinstance(inputs, Tensor):
        return [inputs]
    return list(inputs.values()) if isinstance(inputs, dict) else list(inputs)


def map_inputs(function: Any, inputs: Inputs) -> Inputs:
    """The same structure with `function` applied to each tensor."""
    if isinstance(inputs, Tensor):
        return cast(Tensor, function(inputs))
    if isinstance(inputs, dict):
        return {name: function(tensor) for name, tensor in inputs.items()}
    return tuple(function(tensor) for tensor in inputs)


def call(model: nn.Module, inputs: Inputs) -> Any:
    """The model's output: a tuple is spread over its positional arguments, a dict over its keyword arguments."""
    if isinstance(inputs, Tensor):
        return model(inputs)
    return model(**inputs) if isinstance(inputs, dict) else model(*inputs)


def count(batch: Batch) -> int:
    """Number of samples in a batch."""
    return int(batch[1].shape[0])


def take(batch: Batch, rows: Any) -> Batch:
    """The chosen samples (a slice or an index tensor) of a batch."""
    return map_inputs(lambda tensor: tensor[rows], batch[0]), batch[1][rows]


def checked(batch: Any) -> Batch:
    """A batch as `(inputs, targets)`.

    Raises:
        UserError: it is something else, or its tensors differ in their number of samples.
    """
    if isinstance(batch, Mapping):
        batch = _pair_of(batch)
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], Tensor)):
        raise UserError(f"a batch must be a pair (inputs, targets) with a tensor of targets, got {describe(batch)}")
    inputs, targets = batch
    inputs = tuple(inputs) if isinstance(inputs, list) else dict(inputs) if isinstance(inputs, Mapping) else inputs
    tensors = (
        list(inputs.values()) if isinstance(inputs, dict) else [*inputs] if isinstance(inputs, tuple) else [inputs]
    )
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise UserError(f"inputs must be a tensor, or a tuple or dict of tensors, got {describe(inputs)}")
    lengths = {tensor.shape[0] if tensor.ndim else None for tensor in [*tensors, targets]}
    if len(lengths) > 1 or None in lengths:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in [*tensors, targets])
        raise UserError(f"inputs and targets must have the same number of samples along their first axis, got {shapes}")
    return inputs, targets


def _pair_of(batch: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """A dictionary without its targets, and these."""
    if _TARGETS not in batch:
        names = ", ".join(map(str, batch)) or "nothing"
        raise UserError(f"a batch that is a dictionary has its targets as {_TARGETS!r}; this one has {names}")
    strange = {name: value for name, value in batch.items() if not isinstance(value, Tensor)}
    if strange or len(batch) < 2:
        found = ", ".join(f"a {type(value).__name__} as {name!r}" for name, value in strange.items())
        raise UserError(
            f"a batch that is a dictionary has tensors, inputs beside the labels; this one has {found or 'no inputs'}: "
            "leave out what the model does not take, make tensors of the rest (with_format('torch')), or give "
            "Collated(data, collate)"
        )
    return {name: value for name, value in batch.items() if name != _TARGETS}, batch[_TARGETS]


def batches(data: Data, batch_size: int) -> Iterator[Batch]:
    """Read the data once, batch by batch; batches of the data's own keep their sizes, empty ones are skipped."""
    if is_pair(data):
        whole = checked(data)
        source: Iterable[Any] = (
            take(whole, slice(start, start + batch_size)) for start in range(0, count(whole), batch_size)
        )
    elif isinstance(data, GivenBatches):
        source = (data[number] for number in range(len(data)))
    elif _is_dataset(data):
        collate = data.collate if isinstance(data, Collated) else None
        source = DataLoader(cast("Dataset[Any]", data), batch_size=batch_size, collate_fn=collate)
    elif isinstance(data, Iterable):
        source = data
    else:
        raise UserError(
            f"data must be a tensor pair, a Dataset, a DataLoader or an iterable of batches, got {describe(data)}"
        )
    for batch in source:
        inputs, targets = checked(batch)
        if len(targets):
            yield inputs, targets


def size(data: Data) -> int:
    """Number of samples of a tensor pair or a `Dataset`; of given batches that of these."""
    return count(checked(data)) if is_pair(data) else len(data)  # type: ignore[arg-type]


def select(data: Data, indices: Tensor) -> Data:
    """The chosen samples of a tensor pair or a `Dataset`."""
    if is_pair(data):
        return take(checked(data), indices)
    if isinstance(data, Collated | GivenBatches):
        return data.some(indices.tolist())
    return Subset(cast("Dataset[Any]", data), indices.tolist())


def digest(data: Data) -> str:
    """SHA-256 of a tensor pair, or of a `Dataset`'s length and 64 evenly spaced items, in hexadecimal."""
    total = size(data)
    hasher = hashlib.sha256(str(total).encode())
    items: list[Any] = [data]
    if not is_pair(data):
        chosen = sorted({i * total // _DIGEST_ITEMS for i in range(_DIGEST_ITEMS)})
        items = list(batches(select(data, torch.tensor(chosen)), 1))
    for inputs, targets in items:
        for tensor in [*tensors_of(inputs), torch.as_tensor(targets)]:
            array = tensor.detach().cpu().contiguous().numpy()
            hasher.update(f"{array.dtype.str}{array.shape}".encode())
            hasher.update(array.tobytes())
    return hasher.hexdigest()


def describe(value: object) -> str:
    """What kind of thing was received, for a message."""
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)} ({', '.join(type(entry).__name__ for entry in value[:4])})"
    return f"a {type(value).__name__}"
