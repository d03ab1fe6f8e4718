"""Layout: which named tensor, and which of its entries, owns each flat parameter index.

A curvature matrix over parameters is indexed by a flat vector: the tensors one after another, each flattened in
row-major order. A `Layout` is the dictionary between the two.

Longer than other files: tensors and groups answer the same questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import UserError
from .index_sets import Runs, indices_of, runs_of

Members: TypeAlias = str | tuple[str, Any] | Sequence[str | tuple[str, Any]] | ArrayLike
"""What belongs to a group: name patterns, pairs of a pattern and an index into its tensors, or flat indices."""
OTHERS = "other parameters"
_MOST_RUNS = 100_000  # which take 3 MB of a JSON file


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the tensors behind a flat parameter vector, in their order.

    Args:
        names: one name per tensor, all different.
        shapes: one shape per tensor; `()` is a scalar.
        groups: named parts of the vector that have no index in common; `grouped` makes them. Where there are some, they
            are the `parts` of this layout.

    Raises:
        UserError: names and shapes do not match one to one, a name occurs twice, or groups are not within the vector.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[str, Runs], ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) != len(self.shapes):
            raise UserError(
                f"a layout needs one shape per name, got {len(self.names)} names and {len(self.shapes)} shapes"
            )
        if len(set(self.names)) != len(self.names):
            raise UserError("a layout needs names that are all different")
        if self.groups:
            self.group({name: indices_of(runs, self.size) for name, runs in self.groups})

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

    def grouped(self, groups: Mapping[str, Members]) -> Layout:
        """The same with named groups of its parameters, as `group` takes them, in place of any it has.

        Raises:
            UserError: as `group`, or a group has nothing in it.
        """
        found = self.group(groups)
        if empty := [name for name, indices in found.items() if not len(indices)]:
            raise UserError(f"group {empty[0]!r} has no parameter")
        runs = tuple((name, runs_of(indices)) for name, indices in found.items())
        if (count := sum(len(of_group) for _, of_group in runs)) > _MOST_RUNS:
            raise UserError(f"the groups are {count:,} pieces of the vector; at most {_MOST_RUNS:,} can be stored")
        return replace(self, groups=runs)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """What a reader tells apart: the groups, and the other parameters where there are any; or else the tensors."""
        if not self.groups:
            return self.names
        return (*(name for name, _ in self.groups), *([OTHERS] if (self._group_of < 0).any() else []))

    def part_owners(self) -> NDArray[np.int64]:
        """For each flat index the position of its part in `parts`: shape (size,)."""
        if not self.groups:
            return self.owners()
        return np.where(self._group_of < 0, len(self.groups), self._group_of)

    @cached_property
    def _group_of(self) -> NDArray[np.int64]:
        """For each flat index the number of its group, -1 where it has none."""
        found = np.full(self.size, -1)
        for number, (_, runs) in enumerate(self.groups):
            found[indices_of(runs, self.size)] = number
        return found

    def part_shares(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """How much of each vector lies in each of the `parts`: as `shares`, shape (parts, m)."""
        if not self.groups:
            return self.shares(vectors)
        V = self._checked(vectors)
        owners = self.part_owners()
        return np.stack([(V[owners == part] ** 2).sum(axis=0) for part in range(len(self.parts))])

    def shares(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """How much of each vector lies in each tensor: the sum of v_i² over its entries, for v of unit length.

        Args:
            vectors: shape (size, m).

        Returns:
            Shape (tensors, m); the columns of unit vectors add up to 1.

        Raises:
            UserError: the vectors have another length.
        """
        V = self._checked(vectors)
        return np.stack([(V[self.slice(name)] ** 2).sum(axis=0) for name in self.names])

    def _checked(self, vectors: ArrayLike) -> NDArray[np.float64]:
        V = np.asarray(vectors, dtype=np.float64)
        if V.ndim != 2 or len(V) != self.size:
            raise UserError(f"vectors must have shape ({self.size}, m) for this layout, got {V.shape}")
        return V

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

        Groups keep what is left of them.

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
        left = self._group_of[chosen]
        groups = tuple(
            (name, runs_of(np.flatnonzero(left == number)))
            for number, (name, _) in enumerate(self.groups)
            if (left == number).any()
        )
        return Layout(tuple(name for name, _ in kept), tuple(shape for _, shape in kept), groups)

    def group(self, groups: Mapping[str, Members]) -> dict[str, NDArray[np.int64]]:
        """Flat indices of named groups of parameters.

        Args:
            groups: for each group what belongs to it: a name pattern (`"conv1.*"`, as a shell would match it), or the
                name of one of the layout's own `groups`; a pair of a pattern and an index into each of its tensors, as
                NumPy takes it (`("blocks.0.attn.W_Q", 3)` is one attention head); several of these; or the flat indices
                themselves.

        Returns:
            For each group its flat indices, ascending.

        Raises:
            UserError: a pattern matches nothing, an index is outside, or two groups share a parameter.
        """
        taken = np.full(self.size, -1)
        result: dict[str, NDArray[np.int64]] = {}
        for number, (group, members) in enumerate(groups.items()):
            indices = self._indices(group, members)
            if (taken[indices] >= 0).any():
                other = list(groups)[int(taken[indices].max())]
                raise UserError(f"groups {other!r} and {group!r} share parameters; groups must be disjoint")
            taken[indices] = number
            result[group] = indices
        return result

    def _indices(self, group: str, members: Members) -> NDArray[np.int64]:
        """The flat indices of one group, ascending."""
        several = [members] if isinstance(members, str) or _is_pair(members) else members
        if isinstance(several, Sequence) and several and all(isinstance(one, str) or _is_pair(one) for one in several):
            return np.unique(np.concatenate([self._entries(group, one) for one in several]))
        indices = np.unique(np.asarray(members, dtype=np.int64))
        if indices.size and not (indices[0] >= 0 and indices[-1] < self.size):
            raise UserError(f"group {group!r} has indices outside 0 to {self.size - 1}")
        return indices

    def _entries(self, group: str, member: Any) -> NDArray[np.int64]:
        """The flat indices of a pattern, or of a place in its tensors."""
        pattern, place = (member, ...) if isinstance(member, str) else member
        if isinstance(member, str) and pattern in dict(self.groups):
            return indices_of(dict(self.groups)[pattern], self.size)
        found = []
        for position in self._matching([pattern]):
            shape, offset = self.shapes[position], int(self.offsets[position])
            try:
                entries = np.arange(prod(shape)).reshape(shape)[place]
            except (IndexError, TypeError, ValueError) as error:
                name = self.names[position]
                raise UserError(f"group {group!r} has no place in {name} of shape {shape}: {error}") from None
            found.append(np.ravel(entries) + offset)
        return np.concatenate(found)

    def _matching(self, patterns: Sequence[str]) -> list[int]:
        """Positions of the tensors whose names match any pattern; every pattern must match one."""
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in self.names):
                groups = f"; groups are {', '.join(name for name, _ in self.groups)}" if self.groups else ""
                raise UserError(f"pattern {pattern!r} matches no parameter; there are {', '.join(self.names)}{groups}")
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

    def groups_to_json(self) -> dict[str, list[list[int]]]:
        """The runs of each group, for a JSON file."""
        return {name: [list(run) for run in runs] for name, runs in self.groups}

    def with_groups_from_json(self, entries: Mapping[str, Sequence[Sequence[int]]]) -> Layout:
        """The inverse of `groups_to_json`."""
        groups = tuple((name, tuple((a, b, c, d) for a, b, c, d in runs)) for name, runs in entries.items())
        return replace(self, groups=groups)


def _is_pair(member: Any) -> bool:
    """Whether something is a pattern and a place rather than several patterns."""
    return (
        isinstance(member, tuple) and len(member) == 2 and isinstance(member[0], str) and not isinstance(member[1], str)
    )
