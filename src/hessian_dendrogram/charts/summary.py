"""A few numbers of the spectrum over training: extreme and negative eigenvalues, trace and entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.numbers import summary_columns
from .eigenvalue_axis import apply_axis, place, reach
from .look import COLOURS, NEUTRAL, light, log_axis, panels, say
from .step_axis import StepAxis

Columns = Mapping[str, NDArray[np.float64]]
_ABSENT = "left out: every eigenvalue would be needed, converged"
_LOG_FROM = 1000.0  # ratio of the largest to the smallest value, if all are positive


def summary_chart(steps: StepAxis, spectra: Sequence[Spectrum], *, title: str = "") -> go.Figure:
    """Draw the numbers of `summarise` with their errors; what a partial spectrum cannot tell is left out, and said.

    Args:
        steps: the analysed training steps.
        spectra: one per step.
        title: stands above the chart.
    """
    columns = summary_columns(spectra)
    estimated = not np.isfinite(columns["entropy"]).any()
    trace = "trace: an estimate, and its standard error" if estimated else "trace"
    names = ["extreme eigenvalues", "negative eigenvalues", trace, "entropy of |λ| / Σ|λ|"]
    figure = panels(
        [f"{title}: {names[0]}".removeprefix(": "), *names[1:]], columns=2, height=720, spacing=0.2, shared_xaxes=False
    )
    _add_extremes(figure, steps, columns)
    _add_negative(figure, steps, columns)
    kind = "standard error of an estimate" if estimated else "error bound"
    _add_number(figure, steps, columns, "trace", COLOURS[2], kind, {"row": 2, "col": 1})
    _add_number(figure, steps, columns, "entropy", COLOURS[3], "error bound", {"row": 2, "col": 2})
    figure.update_yaxes(title_text="entropy (nats)", row=2, col=2)
    for row in (1, 2):
        for column in (1, 2):
            steps.apply(figure, title=row == 2, most=13, row=row, col=column)
    figure.update_layout(hovermode="closest")
    return figure


def _add_extremes(figure: go.Figure, steps: StepAxis, columns: Columns) -> None:
    groups = [
        (columns[name][known], columns[f"{name}_error"][known])
        for name in ("largest", "smallest")
        if (known := np.isfinite(columns[name])).any()
    ]
    if not groups:
        say(figure, "neither end is known and converged", row=1, col=1)
        return
    axis = EigenvalueAxis.around(*groups)
    for name, colour, symbol in (("largest", COLOURS[0], "circle"), ("smallest", COLOURS[1], "square")):
        known = np.isfinite(columns[name])
        if known.any():
            values, errors = columns[name][known], columns[f"{name}_error"][known]
            figure.add_scatter(
                x=np.flatnonzero(known),
                y=light(place(axis, values)),
                error_y={**reach(axis, values, errors), "thickness": 1, "width": 2},
                customdata=np.stack([values, errors, np.array(steps.steps)[known]], axis=1),
                name=f"{name} eigenvalue",
                hovertemplate="step %{customdata[2]:,}<br>λ = %{customdata[0]:.6g} ± %{customdata[1]:.1g}"
                f"<extra>{name}</extra>",
                **_style(colour, symbol),
                row=1,
                col=1,
            )
    name = f"λ (symlog, linear<br>within ±10<sup>{axis.exponent}</sup>)".replace("-", "−")
    apply_axis(figure, axis, which="y", most=8, name=name, row=1, col=1)


def _add_negative(figure: go.Figure, steps: StepAxis, columns: Columns) -> None:
    sure, unresolved = columns["num_negative"], columns["num_unresolved_sign"]
    known = np.isfinite(sure)
    if not known.any():
        say(figure, _ABSENT, row=1, col=2)
        return
    figure.add_bar(
        x=np.flatnonzero(known),
        base=sure[known],
        y=unresolved[known],
        width=0.5,
        marker={"color": "rgba(128, 128, 128, 0.4)", "line": {"width": 0}},
        name="sign unresolved: |λ| ≤ its error bound",
        hovertemplate="%{y:,} with |λ| ≤ error bound<extra></extra>",
        row=1,
        col=2,
    )
    figure.add_scatter(
        x=np.flatnonzero(known),
        y=sure[known],
        customdata=np.array(steps.steps)[known],
        name="surely negative",
        hovertemplate="step %{customdata:,}<br>%{y:,} surely negative<extra></extra>",
        **_style(COLOURS[4], "diamond"),
        row=1,
        col=2,
    )
    limits = [0, 1.1 * float(np.nanmax(sure + unresolved)) + 1]
    figure.update_yaxes(title_text="number of eigenvalues", tickformat=",d", range=limits, row=1, col=2)


def _add_number(
    figure: go.Figure, steps: StepAxis, columns: Columns, name: str, colour: str, kind: str, panel: dict[str, Any]
) -> None:
    values, errors = columns[name], columns[f"{name}_error"]
    known = np.isfinite(values)
    if not known.any():
        say(figure, _ABSENT, **panel)
        return
    figure.add_scatter(
        x=np.flatnonzero(known),
        y=values[known],
        error_y={"type": "data", "array": np.nan_to_num(errors[known]), "thickness": 1, "width": 2},
        customdata=np.stack([errors[known], np.array(steps.steps)[known]], axis=1),
        name=name,
        hovertemplate=f"step %{{customdata[1]:,}}<br>{name} %{{y:.6g}} ± %{{customdata[0]:.1g}}<extra>{kind}</extra>",
        **_style(colour, "circle"),
        **panel,
    )
    is_wide = values[known].min() > 0 and values[known].max() > _LOG_FROM * values[known].min()
    if is_wide:
        ends = 0.7 * float(values[known].min()), 1.5 * float(values[known].max())
        log_axis(figure, *ends, f"{name} (units of λ; log scale)", **panel)
    else:
        figure.update_yaxes(title_text=f"{name} (units of λ)", **panel)


def _style(colour: str, symbol: str) -> dict[str, Any]:
    return {
        "mode": "lines+markers",
        "line": {"width": 1.2, "color": colour},
        "marker": {"size": 6, "color": colour, "symbol": symbol, "line": {"width": 0, "color": NEUTRAL}},
    }
