"""The samples whose outputs directions change most: which they are, how their outputs change, and their inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .stored import INDICES, NUMBERS, stored

Floats = NDArray[np.floating]

MOST_CHANGED = 8
"""Samples that are kept of each direction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChangedSamples:
    """The k samples that each of m directions changes most; all of it is `None` where it is not known.

    Attributes:
        changed: their numbers among the analysed samples, from 0, the most changed first: shape (m, k).
        changes: how much of the power of the direction's effect each of them has, 0 to 1: shape (m, k).
        changed_labels: their labels, shape (m, k); `None` where a label is not one number.
        changed_effects: what a unit step along the direction adds to their outputs, shape (m, k · outputs); `None`
            where a sample has many outputs. The sign of a direction is arbitrary, and so is the one of all of these.
        changed_inputs: the inputs of every sample that occurs in `changed`, once, in ascending order of their numbers:
            shape (samples, numbers); `None` where a sample's inputs are large, or no tensor.
        input_shape: that of one sample's inputs.
    """

    changed: NDArray[np.int64] | None = stored(*INDICES, axes=2, least=0, part="samples", default=None)
    changes: Floats | None = stored(*NUMBERS, axes=2, least=0, most=1 + 1e-6, part="samples", default=None)
    changed_labels: Floats | None = stored(*NUMBERS, axes=2, part="samples", default=None)
    changed_effects: Floats | None = stored("f4", axes=2, finite=True, part="samples", default=None)
    changed_inputs: Floats | None = stored("f4", axes=2, part="samples", default=None)
    input_shape: list[int] = field(default_factory=list)

    def confirm_samples(self, m: int) -> None:
        """Refuse arrays that are not of the samples of m directions.

        Raises:
            UserError: that is so.
        """
        if self.changed is None:
            return
        shape = (m, self.changed.shape[1])
        for name in ("changed", "changes", "changed_labels"):
            array = getattr(self, name)
            if (array is None and name == "changes") or (array is not None and array.shape != shape):
                raise UserError(f"{name} must have shape {shape}, got {None if array is None else array.shape}")
        effects, inputs, count = self.changed_effects, self.changed_inputs, len(np.unique(self.changed))
        if effects is not None and (len(effects) != m or effects.shape[1] % max(1, shape[1])):
            raise UserError(f"changed_effects must have {m} rows of {shape[1]} samples, got {effects.shape}")
        if inputs is not None and inputs.shape != (count, int(np.prod(self.input_shape, dtype=np.int64))):
            raise UserError(f"changed_inputs must be {count} samples of shape {self.input_shape}, got {inputs.shape}")

    def effects_of(self, direction: int) -> Floats | None:
        """What a unit step along a direction adds to the outputs of its samples: shape (k, outputs)."""
        if self.changed is None or self.changed_effects is None:
            return None
        return np.asarray(self.changed_effects[direction].reshape(self.changed.shape[1], -1))

    def inputs_of(self, direction: int) -> Floats | None:
        """The inputs of the samples of a direction: shape (k, ...)."""
        if self.changed is None or self.changed_inputs is None:
            return None
        rows = np.searchsorted(np.unique(self.changed), self.changed[direction])
        return np.asarray(self.changed_inputs[rows].reshape(len(rows), *self.input_shape))
