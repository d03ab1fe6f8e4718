"""The largest spectral gaps over training, by rank, with their errors and the number of eigenvalues beyond each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..views.segments import counted_from_the_end
from .look import COLOURS, NEUTRAL, SYMBOLS, hollow, light, log_axis
from .segments import segment_panels
from .step_axis import StepAxis


def largest_gaps(steps: StepAxis, spectra: Sequence[Spectrum], *, title: str = "", count: int = 6) -> go.Figure:
    """Draw the `count` largest gaps at every step; a line follows a rank, not one gap.

    Gaps not larger than their errors are hollow. Exactly repeated eigenvalues have a gap of zero, which a logarithmic
    axis cannot show. Hover text tells between which eigenvalues a gap is. Each segment of a partial spectrum has its
    own panel.

    Args:
        steps: the analysed training steps.
        spectra: one per step, complete or partial.
        title: stands above the chart.
        count: how many gaps, at most 6.
    """
    figure, rows = segment_panels(spectra, title=title, height=430)
    for row, segment, dendrograms in rows:
        positive = []
        for rank in range(count):
            positive += _add_rank(figure, steps, dendrograms, segment, rank, row)
        if positive:
            label = "size of the gap (units of λ)<br>bars: error bounds of its ends, added"
            log_axis(figure, min(positive) / 2, 2 * max(positive), label, row=row)
        steps.apply(figure, title=row == len(rows), row=row, col=1)
    if rows:
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={"symbol": hollow("circle"), "color": NEUTRAL, "size": 8},
            name="unresolved: not larger than its error",
        )
        figure.update_layout(hovermode="closest")
    return figure


def _add_rank(
    figure: go.Figure, steps: StepAxis, dendrograms: Mapping[int, Dendrogram], segment: str, rank: int, row: int
) -> list[float]:
    """One line; return the sizes drawn."""
    found = [(position, tree, tree.gaps(rank + 1)) for position, tree in dendrograms.items()]
    found = [(i, tree, gaps) for i, tree, gaps in found if rank < len(gaps.sizes) and gaps.sizes[rank] > 0]
    if not found:
        return []
    sizes, errors = (np.array([getattr(gaps, name)[rank] for _, _, gaps in found]) for name in ("sizes", "errors"))
    counts = [counted_from_the_end(gaps, segment) for _, _, gaps in found]
    beyond = [f"eigenvalues {side}: {numbers[rank]:,}" for numbers, side in counts]
    lower = [int(gaps.lower_indices[rank]) for _, _, gaps in found]
    ends = [tree.eigenvalues[[index, index + 1]] for (_, tree, _), index in zip(found, lower, strict=True)]
    resolved = sizes > errors
    positions = np.array([i for i, _, _ in found])
    names = [("resolved" if ok else "unresolved: not larger than its error") for ok in resolved]
    at = [f"{steps.steps[i]:,}" for i in positions]
    figure.add_scatter(
        x=light(positions + 0.08 * (rank - 2.5)),  # side by side, so that bars do not hide each other
        y=sizes,
        error_y={"type": "data", "array": errors, "width": 2, "thickness": 1},
        mode="lines+markers",
        line={"width": 1, "color": COLOURS[rank]},
        marker={
            "color": COLOURS[rank],
            "size": 8,
            "symbol": [SYMBOLS[rank] if ok else hollow(SYMBOLS[rank]) for ok in resolved],
        },
        customdata=[
            [step, error, text, low, high, name]
            for step, error, text, (low, high), name in zip(at, errors, beyond, ends, names, strict=True)
        ],
        name=f"gap {rank + 1}",
        legendgroup=str(rank),
        showlegend=row == 1,
        hovertemplate="step %{customdata[0]}<br>gap %{y:.4g} ± %{customdata[1]:.1g}, %{customdata[5]}<br>"
        "between %{customdata[3]:.5g} and %{customdata[4]:.5g}<br>%{customdata[2]}"
        f"<extra>gap {rank + 1}</extra>",
        row=row,
        col=1,
    )
    return [float(size) for size in sizes]
