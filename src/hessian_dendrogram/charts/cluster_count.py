"""The number of clusters n(ε) of the eigenvalue dendrogram over training: as a heatmap, and as one curve per step.

Below the dendrogram's resolution, the largest error of any gap, numerical errors alone could change n(ε). There the
heatmap is hatched instead of coloured, and the curves are grey and dashed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..views.cluster_count import resolved_counts
from ..views.segments import resolution_grid
from ..views.steps import key_positions
from .look import HATCH, NEUTRAL, light, log_axis
from .segments import segment_panels
from .step_axis import StepAxis

_RESOLUTIONS = 200
_EPSILON = "resolution ε (units of λ)"
_HEIGHT = 400
_MOST_NAMED = 8  # steps that the legend of the curves names; a colour bar tells more of them apart


def cluster_count_heatmap(steps: StepAxis, spectra: Sequence[Spectrum], *, title: str = "") -> go.Figure:
    """Draw n(ε) in colour over training step and resolution.

    Args:
        steps: the analysed training steps.
        spectra: one per step, complete or partial.
        title: stands above the chart.
    """
    figure, rows = segment_panels(spectra, title=title, height=_HEIGHT)
    for row, _, dendrograms in rows:
        grid = resolution_grid(list(dendrograms.values()), _RESOLUTIONS)
        counts = resolved_counts(dendrograms, len(spectra), grid)
        top = max(1.0, float(np.ceil(np.log10(np.nanmax(counts, initial=1.0)))))
        powers = list(range(int(top) + 1))
        domain = figure.layout["yaxis" if row == 1 else f"yaxis{row}"].domain
        figure.add_heatmap(
            x=np.arange(len(spectra)),
            y=grid,
            z=light(np.log10(counts)),
            customdata=light(np.stack(np.broadcast_arrays(counts, steps.steps), axis=2)),
            colorscale="Viridis",
            zmin=0,
            zmax=top,
            hoverongaps=False,
            hovertemplate="step %{customdata[1]:,}<br>ε = %{y:.3g}<br>n(ε) = %{customdata[0]:,}<extra></extra>",
            colorbar={
                "title": {"text": "number of clusters n(ε)", "side": "right"},
                "tickvals": powers,
                "ticktext": [f"{10**power:,}" for power in powers],
                "y": sum(domain) / 2,
                "len": domain[1] - domain[0],
            },
            row=row,
            col=1,
        )
        _add_unresolved(figure, dendrograms, len(spectra), grid, row)
        log_axis(figure, grid[0], grid[-1], _EPSILON, row=row)
        steps.apply(figure, title=row == len(rows), row=row, col=1)
    return figure


def _add_unresolved(
    figure: go.Figure, dendrograms: Mapping[int, Dendrogram], count: int, grid: np.ndarray, row: int
) -> None:
    tops = np.full(count, grid[-1])
    for position, dendrogram in dendrograms.items():
        tops[position] = np.clip(dendrogram.resolution, grid[0], grid[-1])
    figure.add_bar(
        x=np.arange(count),
        base=np.full(count, grid[0]),
        y=tops - grid[0],
        width=1,
        marker={"color": "rgba(0, 0, 0, 0)", "pattern": HATCH, "line": {"width": 0}},
        name="unresolved: ε ≤ largest gap error of the step, or no eigenvalue known",
        showlegend=row == 1,
        hoverinfo="skip",
        row=row,
        col=1,
    )


def cluster_count_curves(
    steps: StepAxis, spectra: Sequence[Spectrum], *, marked: int | None = None, title: str = ""
) -> go.Figure:
    """Draw n(ε) as one curve per step, coloured by progress of training; grey and dashed where it is unresolved.

    Args:
        steps: the analysed training steps.
        spectra: one per step, complete or partial.
        marked: the position of a step whose curve is thick; default none.
        title: stands above the chart.
    """
    figure, rows = segment_panels(spectra, title=title, height=_HEIGHT)
    shares = np.linspace(0.2, 0.9, len(spectra)) if len(spectra) > 1 else [0.5]  # seen on dark and on light pages
    palette = sample_colorscale("Viridis", list(shares))
    for row, _, dendrograms in rows:
        grid = resolution_grid(list(dendrograms.values()), 2 * _RESOLUTIONS)
        for position, dendrogram in dendrograms.items():
            counts, resolved = dendrogram.num_clusters(grid), grid > dendrogram.resolution
            # The first resolved point belongs to both parts, so that the curve does not break.
            dashed = np.concatenate([[True], ~resolved[:-1]])
            width = 3.5 if position == marked else 1.2
            figure.add_scatter(
                x=light(grid[dashed]),
                y=light(counts[dashed]),
                mode="lines",
                line={"shape": "hv", "color": NEUTRAL, "dash": "dot", "width": 1},
                name="unresolved: ε ≤ largest gap error of the step",
                legendgroup="unresolved",
                showlegend=row == 1 and position == min(dendrograms),
                hoverinfo="skip",
                row=row,
                col=1,
            )
            figure.add_scatter(
                x=light(grid[resolved]),
                y=light(counts[resolved]),
                mode="lines",
                line={"shape": "hv", "color": palette[position], "width": width},
                name=f"step {steps.steps[position]:,}",
                legendgroup=str(position),
                showlegend=row == 1 and (len(spectra) <= _MOST_NAMED or position in (0, marked, len(spectra) - 1)),
                hovertemplate=f"step {steps.steps[position]:,}<br>ε = %{{x:.3g}}<br>n(ε) = %{{y:,}}<extra></extra>",
                row=row,
                col=1,
            )
        most = max(float(dendrogram.num_clusters(0.0)) for dendrogram in dendrograms.values())
        log_axis(figure, grid[0], grid[-1], _EPSILON, which="x", row=row)
        log_axis(figure, 0.8, 1.5 * most, "number of clusters n(ε)", row=row)
    if len(spectra) > _MOST_NAMED:
        _add_step_colours(figure, steps, palette)
    figure.update_layout(hovermode="closest")
    return figure


def _add_step_colours(figure: go.Figure, steps: StepAxis, palette: list[str]) -> None:
    """A colour bar for the curves of all steps, on a trace without points."""
    last = len(palette) - 1
    shown = key_positions(len(palette), 6)
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={
            "color": [0],
            "cmin": 0,
            "cmax": last,
            "colorscale": [[position / last, colour] for position, colour in enumerate(palette)],
            "colorbar": {
                "title": {"text": "training step", "side": "right", "font": {"size": 12}},
                "tickvals": shown,
                "ticktext": [f"{steps.steps[position]:,}" for position in shown],
                "outlinewidth": 0,
                "thickness": 14,
            },
        },
        showlegend=False,
        row=1,
        col=1,
    )
