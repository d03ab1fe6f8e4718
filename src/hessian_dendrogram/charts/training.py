"""Loss and accuracy over training, at every step where they were measured, on the step axis of the spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from .look import COLOURS, MUTED, light, log_axis, new_chart, panels, say
from .step_axis import StepAxis

Floats = NDArray[np.float64]
CURVES = {
    "loss": {"batch_loss": ("batch", MUTED), "train_loss": ("train", COLOURS[0]), "test_loss": ("test", COLOURS[1])},
    "accuracy": {"train_accuracy": ("train", COLOURS[0]), "test_accuracy": ("test", COLOURS[1])},
}


def training_curves(steps: StepAxis, metrics: Mapping[str, Floats], *, title: str = "") -> go.Figure:
    """Draw loss and accuracy, a panel for each that was measured.

    Args:
        steps: the analysed training steps; what was measured beyond them is left out.
        metrics: columns as `Run.metrics()` gives them.
        title: stands above the chart.
    """
    known = {kind: [name for name in lines if _is_measured(metrics, name)] for kind, lines in CURVES.items()}
    kinds = [kind for kind in known if known[kind]]
    if not kinds:
        return say(new_chart(title=title, height=240), "neither loss nor accuracy was recorded")
    titles = [f"{title}: {kinds[0]}".removeprefix(": "), *kinds[1:]]
    figure = panels(titles, height=90 + 230 * len(kinds))
    for row, kind in enumerate(kinds, start=1):
        for name in known[kind]:
            add_curve(figure, steps, metrics, name, kind, row=row)
        scale_values(figure, steps, metrics, known[kind], kind, row)
        steps.apply(figure, title=row == len(kinds), row=row, col=1)
    figure.update_layout(hovermode="closest")
    return figure


def add_curve(
    figure: go.Figure, steps: StepAxis, metrics: Mapping[str, Floats], name: str, kind: str, *, row: int
) -> None:
    """Draw one column of the metrics into the panel `row`, where it was measured."""
    label, colour = CURVES[kind][name]
    there = np.isfinite(metrics[name]) & np.isfinite(steps.place(metrics["step"]))
    at, values = metrics["step"][there], metrics[name][there]
    figure.add_scatter(
        x=light(steps.place(at)),
        y=values,
        mode="lines+markers" if there.sum() <= 60 else "lines",
        line={"color": colour, "width": 1 if label == "batch" else 1.6},
        marker={"size": 5},
        customdata=at,
        name=label,
        legendgroup=label,
        showlegend=not any(trace.name == label for trace in figure.data),
        hovertemplate=f"step %{{customdata:,}}<br>{label} {kind} %{{y:.5g}}<extra></extra>",
        row=row,
        col=1,
    )


def drawn_values(steps: StepAxis, metrics: Mapping[str, Floats], names: Sequence[str]) -> Floats:
    """What `add_curve` draws of some columns."""
    if not names:
        return np.empty(0)
    there = np.isfinite(steps.place(metrics["step"]))
    values = np.concatenate([metrics[name][there] for name in names])
    return np.asarray(values[np.isfinite(values)])


def scale_values(
    figure: go.Figure, steps: StepAxis, metrics: Mapping[str, Floats], names: list[str], kind: str, row: int
) -> None:
    """A logarithmic axis for losses above zero, and 0 to 1 for accuracies."""
    drawn = drawn_values(steps, metrics, names)
    if kind == "accuracy":
        figure.update_yaxes(title_text="accuracy", range=[-0.03, 1.03], row=row)
    elif len(drawn) and drawn.min() > 0:
        log_axis(figure, 0.7 * drawn.min(), 1.5 * drawn.max(), "loss (log scale)", row=row)
    else:
        figure.update_yaxes(title_text="loss", row=row)


def _is_measured(metrics: Mapping[str, Floats], name: str) -> bool:
    return name in metrics and "step" in metrics and bool(np.isfinite(metrics[name]).any())
