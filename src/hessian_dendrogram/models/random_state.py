"""The states of all generators of random numbers that a model or its data may use, as arrays and JSON-like values.

Those are the global ones of torch (and of a device), NumPy and the standard library. A generator of one's own, kept as
an attribute of a model or a data set, is none of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_NAMES = ("random_state", "cuda_random_state", "numpy_random_state", "python_random_state")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed all of them, and put them back as they were when the block ends."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def capture(device: torch.device) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """All states: arrays by name, and the rest."""
    arrays = {"random_state": torch.get_rng_state().numpy()}
    if device.type == "cuda":
        arrays["cuda_random_state"] = torch.cuda.get_rng_state(device).numpy()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    version, words, next_gauss = random.getstate()
    arrays["numpy_random_state"] = np.asarray(keys)
    arrays["python_random_state"] = np.array(words, dtype=np.int64)
    rest = {"numpy": [kind, position, has_gauss, cached], "python": [version, next_gauss]}
    return arrays, rest


def restore(arrays: Mapping[str, NDArray[Any]], rest: Mapping[str, Any], device: torch.device) -> None:
    """Put all states back that were captured; an earlier version of this program captured torch's alone.

    Raises:
        ValueError, TypeError, KeyError, RuntimeError: they are no states of generators.
    """
    torch.set_rng_state(torch.from_numpy(arrays["random_state"].copy()))
    if "cuda_random_state" in arrays:
        torch.cuda.set_rng_state(torch.from_numpy(arrays["cuda_random_state"].copy()), device)
    if "numpy_random_state" in arrays:
        kind, position, has_gauss, cached = rest["numpy"]
        np.random.set_state((kind, arrays["numpy_random_state"], position, has_gauss, cached))
    if "python_random_state" in arrays:
        version, next_gauss = rest["python"]
        random.setstate((version, tuple(arrays["python_random_state"].tolist()), next_gauss))


def is_state(name: str) -> bool:
    """Whether an array of that name is one of `capture`."""
    return name in _NAMES
