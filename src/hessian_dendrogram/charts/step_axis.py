"""The step axis that all charts over training share: analysed steps at equal distances, whatever lies between.

Measurements at other steps stand between their neighbours in proportion. Charts with the same `StepAxis` have the same
limits, so that what is above each other belongs to the same step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from ..views.steps import key_positions

_MOST_LABELS = 30


@dataclass(frozen=True)
class StepAxis:
    """Where training steps stand: the i-th analysed step at i.

    Args:
        steps: the analysed training steps, ascending.
        first, last: the steps between which charts show anything; default all.
    """

    steps: tuple[int, ...]
    first: int | None = None
    last: int | None = None

    @classmethod
    def of(cls, steps: Sequence[int], shown: Sequence[int] | None = None) -> StepAxis:
        """Make the axis of some steps, from `shown[0]` to `shown[-1]`."""
        return cls(tuple(steps)) if shown is None else cls(tuple(steps), min(shown), max(shown))

    def place(self, steps: ArrayLike) -> NDArray[np.float64]:
        """Where any training steps stand; NaN beyond the analysed ones."""
        positions = np.arange(len(self.steps), dtype=float)
        return np.asarray(np.interp(np.asarray(steps, float), self.steps, positions, left=np.nan, right=np.nan))

    @property
    def limits(self) -> tuple[float, float]:
        """The first and the last position to show, with half a step around."""
        first = 0 if self.first is None else int(np.searchsorted(self.steps, self.first))
        last = len(self.steps) - 1 if self.last is None else int(np.searchsorted(self.steps, self.last, "right")) - 1
        return min(first, last) - 0.5, max(first, last) + 0.5

    def apply(self, figure: go.Figure, *, title: bool = True, most: int = _MOST_LABELS, **where: Any) -> None:
        """Make it the x axis of a chart, or of the panel `row`, `col`, with at most `most` labels."""
        low, high = self.limits
        shown = np.arange(int(low + 0.5), int(high + 0.5))
        stride = -(-len(shown) // most)
        positions = shown[key_positions(len(shown), -(-len(shown) // stride))]  # the first and the last among them
        figure.update_xaxes(
            range=[low, high],
            tickvals=positions,
            ticktext=[f"{self.steps[position]:,}" for position in positions],
            tickangle=-90 if len(positions) > 8 else 0,
            title_text="training step (equally spaced)" if title else None,
            showgrid=False,
            **where,
        )
        if title:
            figure.update_layout(margin_b=135)  # for upright labels, the title, and the legend below
