"""The Fourier view of modular addition under both ends of the spectrum, on one step axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.ends import end_slice
from ..views.measures import FOURIER
from .eigenvalue_axis import add_eigenvalue_dashes, apply_axis, place
from .look import COLOURS, UNCONVERGED, light, log_axis, new_chart, panels, say
from .step_axis import StepAxis
from .training import add_curve, drawn_values

Measures = Sequence[Mapping[str, Any]]
_TITLES = (
    "{} eigenvalues",
    "accuracy",
    "loss",
    "embedding: norm of each frequency (key frequencies of the last step: {})",
    "unembedding: norm of each frequency",
)


def has_fourier_measures(measures: Measures) -> bool:
    """Whether there is something to draw at every step."""
    return all(name in row for row in measures for name in FOURIER)


def fourier_chart(
    steps: StepAxis,
    spectra: Sequence[Spectrum],
    measures: Measures,
    metrics: Mapping[str, NDArray[np.float64]],
    *,
    end: str = "top",
    most: int = 40,
    title: str = "",
) -> go.Figure:
    """Draw eigenvalues of one end, accuracy, losses, and the norm of every frequency over training.

    Args:
        steps: the analysed training steps.
        spectra: one per step.
        measures: one per step, with the names in `views.measures.FOURIER`.
        metrics: columns as `Run.metrics()` gives them.
        end: "top" or "bottom" of the spectrum.
        most: eigenvalues of that end to draw, from the outermost.
        title: stands above the chart.
    """
    if not has_fourier_measures(measures):
        return say(new_chart(title=title, height=200), "this analysis has no Fourier measures")
    name = f"the {most} largest" if end == "top" else f"the {most} smallest"
    keys = ", ".join(f"{frequency:,}" for frequency in measures[-1]["key_frequencies"])
    titles = [_TITLES[0].format(f"{title}: {name}".removeprefix(": ")), *(of.format(keys) for of in _TITLES[1:])]
    figure = panels(titles, height=1150, spacing=0.045, shared_xaxes=True, row_heights=[0.3, 0.14, 0.2, 0.18, 0.18])
    _add_end(figure, steps, spectra, end, most)
    for column in ("train_accuracy", "test_accuracy"):
        if column in metrics:
            add_curve(figure, steps, metrics, column, "accuracy", row=2)
    figure.update_yaxes(range=[-0.03, 1.03], title_text="accuracy", row=2)
    _add_losses(figure, steps, metrics, measures)
    for row, of in ((4, "embedding"), (5, "unembedding")):
        _add_norms(figure, steps, measures, of, row)
    for row in range(1, 6):
        steps.apply(figure, title=row == 5, row=row, col=1)
    figure.update_layout(hovermode="closest")
    return figure


def _add_end(figure: go.Figure, steps: StepAxis, spectra: Sequence[Spectrum], end: str, most: int) -> None:
    """A dash for each eigenvalue with a bar for its error bound; crosses where they have not converged."""
    parts = [(i, spectrum, end_slice(spectrum, end, most)) for i, spectrum in enumerate(spectra)]
    positions = np.concatenate([np.full(part.stop - part.start, i) for i, _, part in parts])
    values, bounds, converged = (
        np.concatenate([getattr(spectrum, name)[part] for _, spectrum, part in parts])
        for name in ("eigenvalues", "error_bounds", "converged")
    )
    if not converged.any():
        say(figure, f"none of the eigenvalues at the {end} has converged", row=1, col=1)
        return
    groups = [(s.eigenvalues[p][s.converged[p]], s.error_bounds[p][s.converged[p]]) for _, s, p in parts]
    axis = EigenvalueAxis.around(*(group for group in groups if len(group[0])))
    at = np.array(steps.steps)[positions]
    low, high = place(axis, [axis.low, axis.high])
    known = [array[converged] for array in (values, bounds)]
    add_eigenvalue_dashes(figure, axis, positions[converged], steps.steps, *known, row=1, col=1)
    here = place(axis, values)
    inside = ~converged & (here >= low) & (here <= high)
    if inside.any():
        figure.add_scatter(
            x=light(positions[inside]),
            y=light(here[inside]),
            mode="markers",
            marker={"symbol": "x-thin", "size": 6, "line": {"width": 1, "color": UNCONVERGED}},
            customdata=light(np.stack([values, at], axis=1)[inside]),
            name="not converged",
            hovertemplate="step %{customdata[1]:,}<br>%{customdata[0]:.4g}, not converged<extra></extra>",
            row=1,
            col=1,
        )
    apply_axis(figure, axis, which="y", most=9, row=1)


def _add_losses(
    figure: go.Figure, steps: StepAxis, metrics: Mapping[str, NDArray[np.float64]], measures: Measures
) -> None:
    columns = [name for name in ("train_loss", "test_loss") if name in metrics]
    for column in columns:
        add_curve(figure, steps, metrics, column, "loss", row=3)
    values = [drawn_values(steps, metrics, columns)]
    for name, label, colour, symbol in (
        ("restricted_loss", "loss with the key frequencies alone, all pairs", COLOURS[2], "triangle-up"),
        ("excluded_loss", "loss without the key frequencies, train", COLOURS[3], "diamond"),
    ):
        values.append(np.array([row[name] for row in measures], dtype=np.float64))
        figure.add_scatter(
            x=np.arange(len(measures)),
            y=values[-1],
            mode="lines+markers",
            line={"dash": "dash", "width": 1.4, "color": colour},
            marker={"symbol": symbol, "size": 6},
            customdata=steps.steps,
            name=label,
            hovertemplate=f"step %{{customdata:,}}<br>{label} %{{y:.4g}}<extra></extra>",
            row=3,
            col=1,
        )
    every = np.concatenate(values)
    positive = every[np.isfinite(every) & (every > 0)]
    if len(positive):
        log_axis(figure, 0.7 * positive.min(), 1.5 * positive.max(), "loss (nats, log scale)", row=3)
    else:
        figure.update_yaxes(title_text="loss (nats)", row=3)


def _add_norms(figure: go.Figure, steps: StepAxis, measures: Measures, of: str, row: int) -> None:
    norms = np.array([entry[f"{of}_norms"] for entry in measures]).T
    frequencies = np.arange(1, len(norms) + 1)
    domain = figure.layout[f"yaxis{row}"].domain
    figure.add_heatmap(
        x=np.arange(norms.shape[1]),
        y=frequencies,
        z=light(norms),
        zmin=0,
        customdata=light(np.broadcast_to(steps.steps, norms.shape)),
        colorscale="Viridis",
        colorbar={"title": {"text": "norm", "side": "right"}, "y": sum(domain) / 2, "len": domain[1] - domain[0]},
        hovertemplate=f"step %{{customdata:,}}<br>frequency %{{y}}<br>{of} norm %{{z:.4g}}<extra></extra>",
        row=row,
        col=1,
    )
    key = measures[-1]["key_frequencies"]
    figure.add_scatter(
        x=np.full(len(key), steps.limits[1] - 0.1),
        y=key,
        mode="markers",
        marker={"symbol": "triangle-left", "size": 9, "color": COLOURS[1]},
        name="key frequency of the last step",
        showlegend=row == 4,
        cliponaxis=False,
        hovertemplate="key frequency %{y}<extra></extra>",
        row=row,
        col=1,
    )
    figure.update_yaxes(title_text="frequency", row=row)
