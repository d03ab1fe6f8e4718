"""Mean gap ratio r of the eigenvalues over training, and along the spectrum at a few steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..results.spectrum import Spectrum
from ..statistics.gap_ratio import GapRatio
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.gap_ratios import REFERENCES, TOO_FEW, WINDOW, ratio_curves, ratio_windows
from .eigenvalue_axis import apply_axis, place
from .look import COLOURS, NEUTRAL, SYMBOLS, TEXT, light, new_chart, say
from .step_axis import StepAxis

_HOVER = "r = %{y:.4f} ± %{customdata[0]:.4f} (standard error)<br>%{customdata[1]:,} ratios used, %{customdata[2]:,} "
_HOVER += "of them with a tie<br>%{customdata[3]:,} unresolved, %{customdata[4]:,} undefined: left out"


def gap_ratio_over_training(steps: StepAxis, spectra: Sequence[Spectrum], *, title: str = "") -> go.Figure:
    """Draw r at every step, for each segment and sign; no point where fewer than 20 ratios are resolved.

    Args:
        steps: the analysed training steps.
        spectra: one per step, complete or partial.
        title: stands above the chart.
    """
    figure = new_chart(title=title, height=400)
    curves = ratio_curves(spectra)
    if not curves:
        return say(figure, TOO_FEW)
    for rank, (label, points) in enumerate(curves.items()):
        positions = np.arange(min(points), max(points) + 1)  # without a line across steps that have no ratio
        ratios = [points.get(position) for position in positions.tolist()]
        _add_ratios(figure, positions + 0.1 * (rank - (len(curves) - 1) / 2), ratios, rank, label, line=True)
    steps.apply(figure)
    _add_references(figure)
    return figure


def gap_ratio_along_spectrum(spectra: Mapping[int, Spectrum], *, title: str = "") -> go.Figure:
    """Draw r in windows along the spectrum, none where fewer than half of a window's ratios are resolved.

    Args:
        spectra: a few, by training step.
        title: stands above the chart.
    """
    figure = new_chart(title=title, height=400)
    windows = {step: ratio_windows(spectrum) for step, spectrum in spectra.items()}
    used = {step: [(w, w.gap_ratio) for w in found if w.gap_ratio] for step, found in windows.items()}
    ends = [([end for w, _ in found for end in (w.low, w.high)], 0.0) for found in used.values() if found]
    if not ends:
        return say(figure, TOO_FEW)
    axis = EigenvalueAxis.around(*ends)
    for rank, (step, found) in enumerate(used.items()):
        lows, highs = (place(axis, [getattr(w, end) for w, _ in found]) for end in ("low", "high"))
        label = f"step {step:,}: {len(found)} of {len(windows[step])} windows resolved"
        reach = {"type": "data", "array": light((highs - lows) / 2), "width": 0, "thickness": 1}
        _add_ratios(figure, (lows + highs) / 2, [ratio for _, ratio in found], rank, label, error_x=reach)
    apply_axis(figure, axis, which="x", most=10)
    figure.update_xaxes(title_text=f"{figure.layout.xaxis.title.text}; windows of {WINDOW} eigenvalues or more")
    _add_references(figure)
    return figure


def _add_ratios(
    figure: go.Figure,
    x: Any,
    ratios: Sequence[GapRatio | None],
    rank: int,
    label: str,
    *,
    line: bool = False,
    **more: Any,
) -> None:
    colour = COLOURS[rank % len(COLOURS)]
    names = ("mean", "standard_error", "num_ratios", "num_ties", "num_unresolved", "num_undefined")
    facts = np.array([[getattr(ratio, name) if ratio else np.nan for name in names] for ratio in ratios])
    figure.add_scatter(
        x=light(x),
        y=facts[:, 0],
        error_y={"type": "data", "array": facts[:, 1], "width": 2, "thickness": 1},
        mode="lines+markers" if line else "markers",
        line={"width": 1, "color": colour},
        marker={"symbol": SYMBOLS[rank % len(SYMBOLS)], "size": 8, "color": colour},
        customdata=facts[:, 1:],
        name=label,
        hovertemplate=f"{_HOVER}<extra>{label}</extra>",
        **more,
    )


def _add_references(figure: go.Figure) -> None:
    """Draw what r would be for random matrices, with a name at the right-hand end of each line."""
    anchors = ("middle", "bottom", "middle", "top")  # the three lower ones are close together
    for (label, value), anchor in zip(REFERENCES.items(), anchors, strict=True):
        figure.add_hline(value, line={"color": NEUTRAL, "width": 1, "dash": "dot"}, layer="below")
        figure.add_annotation(
            text=f"{label} {value:.3f}",
            x=1,
            xref="paper",
            y=value,
            xanchor="left",
            yanchor=anchor,
            showarrow=False,
            font_size=11,
            font_color=TEXT,
        )
    drawn = np.concatenate([trace.y + sign * trace.error_y.array for trace in figure.data for sign in (-1, 1)])
    figure.update_yaxes(range=[np.nanmin([0.37, *drawn]) - 0.01, np.nanmax([0.55, *drawn]) + 0.01])
    figure.update_yaxes(title_text="mean gap ratio r (bars: standard errors)")
    figure.update_layout(margin_r=150, hovermode="closest")
