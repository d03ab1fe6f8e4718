"""Layout: which named tensor, and which of its entries, owns each flat parameter index.

A curvature matrix over parameters is indexed by a flat vector: the tensors one after another, each flattened in
row-major order. A `Layout` is the dictionary between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import UserError


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the tensors behind a flat parameter vector, in their order.

    Args:
        names: one name per tensor, all different.
        shapes: one shape per tensor; `()` is a scalar.

    Raises:
        UserError: names and shapes do not match one to one, or a name occurs twice.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.shapes):
            raise UserError(
                f"a layout needs one shape per name, got {len(self.names)} names and {len(self.shapes)} shapes"
            )
        if len(set(self.names)) != len(self.names):
            raise UserError("a layout needs names that are all different")

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each tensor starts, and the total size last: shape (tensors + 1,)."""
        return np.concatenate([[0], np.cumsum([prod(shape) for shape in self.shapes], dtype=np.int64)]).astype(np.int64)

    @property
    def size(self) -> int:
        """Number of scalar parameters."""
        return int(self.offsets[-1])

    def slice(self, name: str) -> slice:
        """The flat indices of the tensor `name`.

        Raises:
            UserError: there is no such tensor; the message lists those there are.
        """
        if name not in self.names:
            raise UserError(f"no parameter {name!r} in this layout; it has {', '.join(self.names)}")
        position = self.names.index(name)
        return slice(int(self.offsets[position]), int(self.offsets[position + 1]))

    def owners(self) -> NDArray[np.int64]:
        """For each flat index the position of its tensor in `names`: shape (size,)."""
        return np.repeat(np.arange(len(self.names)), np.diff(self.offsets))

    def shares(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """How much of each vector lies in each tensor: the sum of v_i² over its entries, for v of unit length.

        Args:
            vectors: shape (size, m).

        Returns:
            Shape (tensors, m); the columns of unit vectors add up to 1.

        Raises:
            UserError: the vectors have another length.
        """
        V = np.asarray(vectors, dtype=np.float64)
        if V.ndim != 2 or len(V) != self.size:
            raise UserError(f"vectors must have shape ({self.size}, m) for this layout, got {V.shape}")
        return np.stack([(V[self.slice(name)] ** 2).sum(axis=0) for name in self.names])

    def entry(self, index: int) -> tuple[str, tuple[int, ...]]:
        """The name of the tensor that owns flat `index`, and the place in that tensor.

        Raises:
            UserError: the index is outside [0, size).
        """
        if not 0 <= index < self.size:
            raise UserError(f"flat index {index} is outside this layout's 0 to {self.size - 1}")
        position = int(np.searchsorted(self.offsets, index, side="right")) - 1
        place = np.unravel_index(index - int(self.offsets[position]), self.shapes[position] or (1,))
        return self.names[position], tuple(int(i) for i in place) if self.shapes[position] else ()

    def restricted(self, indices: ArrayLike) -> Layout:
        """The layout of some flat indices: tensors that are not there as a whole become a vector of what is.

        Args:
            indices: ascending, shape (k,).

        Raises:
            UserError: they do not ascend, or one is outside.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        if (np.diff(chosen) <= 0).any() or not (chosen.min(initial=0) >= 0 and chosen.max(initial=-1) < self.size):
            raise UserError(f"a restriction needs ascending indices from 0 to {self.size - 1}")
        counts = np.bincount(self.owners()[chosen], minlength=len(self.names)).tolist()
        kept = [
            (name, shape if count == prod(shape) else (count,))
            for name, shape, count in zip(self.names, self.shapes, counts, strict=True)
            if count
        ]
        return Layout(tuple(name for name, _ in kept), tuple(shape for _, shape in kept))

    def group(self, groups: Mapping[str, str | Sequence[str] | ArrayLike]) -> dict[str, NDArray[np.int64]]:
        """Flat indices of named groups of parameters.

        Args:
            groups: for each group a name pattern (`"conv1.*"`, as a shell would match it), several patterns, or the
                flat indices themselves (attention heads share one tensor and cannot be told by a name).

        Returns:
            For each group its flat indices, ascending.

        Raises:
            UserError: a pattern matches nothing, an index is outside, or two groups share a parameter.
        """
        owners = self.owners()
        taken = np.full(self.size, -1)
        result: dict[str, NDArray[np.int64]] = {}
        for number, (group, members) in enumerate(groups.items()):
            patterns = [members] if isinstance(members, str) else members
            if isinstance(patterns, Sequence) and patterns and all(isinstance(entry, str) for entry in patterns):
                indices = np.flatnonzero(np.isin(owners, self._matching([str(entry) for entry in patterns])))
            else:
                indices = np.unique(np.asarray(members, dtype=np.int64))
                if indices.size and not (indices[0] >= 0 and indices[-1] < self.size):
                    raise UserError(f"group {group!r} has indices outside 0 to {self.size - 1}")
            if (taken[indices] >= 0).any():
                other = list(groups)[int(taken[indices].max())]
                raise UserError(f"groups {other!r} and {group!r} share parameters; groups must be disjoint")
            taken[indices] = number
            result[group] = indices
        return result

    def _matching(self, patterns: Sequence[str]) -> list[int]:
        """Positions of the tensors whose names match any pattern; every pattern must match one."""
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in self.names):
                raise UserError(f"pattern {pattern!r} matches no parameter; there are {', '.join(self.names)}")
        return [i for i, name in enumerate(self.names) if any(fnmatchcase(name, pattern) for pattern in patterns)]

    def to_json(self) -> list[dict[str, Any]]:
        """A list of `{"name": ..., "shape": [...]}`, for a JSON file."""
        return [{"name": name, "shape": list(shape)} for name, shape in zip(self.names, self.shapes, strict=True)]

    @classmethod
    def from_json(cls, entries: Sequence[Mapping[str, Any]]) -> Layout:
        """The inverse of `to_json`."""
        return cls(
            names=tuple(str(entry["name"]) for entry in entries),
            shapes=tuple(tuple(int(length) for length in entry["shape"]) for entry in entries),
        )
