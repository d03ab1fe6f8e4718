"""An `EigenvalueAxis` as the axis of a chart: plotly has no symmetric logarithmic axis, so values are placed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from ..views.eigenvalue_axis import EigenvalueAxis
from .look import COLOURS, light

_VISIBLE = 0.004  # of the axis: a shorter error bar is hidden by its dash, and thousands of them are slow


def place(axis: EigenvalueAxis, values: ArrayLike) -> NDArray[np.float64]:
    """Where eigenvalues stand, in decades from zero."""
    return axis.to_axis(values) / axis.threshold


def value_at(axis: EigenvalueAxis, places: ArrayLike) -> NDArray[np.float64]:
    """Invert `place`."""
    return axis.from_axis(np.asarray(places, float) * axis.threshold)


def reach(axis: EigenvalueAxis, values: ArrayLike, bounds: ArrayLike) -> dict[str, Any]:
    """Error bars from value - bound to value + bound, as far as the axis goes."""
    values, bounds = np.asarray(values, float), np.asarray(bounds, float)
    low, high = (np.clip(end, axis.low, axis.high) for end in (values - bounds, values + bounds))
    here = place(axis, values)
    return {
        "type": "data",
        "array": np.maximum(place(axis, high) - here, 0),
        "arrayminus": np.maximum(here - place(axis, low), 0),
    }


def add_eigenvalue_dashes(
    figure: go.Figure,
    axis: EigenvalueAxis,
    positions: NDArray[np.int64],
    steps: Sequence[int],
    values: NDArray[np.float64],
    bounds: NDArray[np.float64],
    **where: Any,
) -> None:
    """Add a dash for each eigenvalue, and a bar for its error bound.

    All of them are one shape, since a browser needs an element for every piece of a line with breaks. One trace without
    marks says their numbers, and an empty one stands for all three in the legend.

    Args:
        figure: the chart.
        axis: of the eigenvalues.
        positions: of the training step of each eigenvalue in `steps`, shape (m,).
        steps: all training steps.
        values: shape (m,).
        bounds: on the error of each, shape (m,).
        where: the panel `row`, `col`, of several.
    """
    here, low, high = (
        place(axis, np.clip(ends, axis.low, axis.high)) for ends in (values, values - bounds, values + bounds)
    )
    bottom, top = place(axis, [axis.low, axis.high])
    visible = high - low > _VISIBLE * (top - bottom)
    ends = positions - 0.38, here, positions + 0.38
    bars = positions[visible], low[visible], high[visible]
    pieces = map("M{:.2f},{:.7g}H{:.2f}".format, *(array.tolist() for array in ends))
    uprights = map("M{},{:.7g}V{:.7g}".format, *(array.tolist() for array in bars))
    path = "".join([*pieces, *uprights])
    line = {"width": 1, "color": COLOURS[0]}
    figure.add_shape(type="path", path=path, line=line, legendgroup="dashes", showlegend=False, **where)
    across = np.linspace(-0.38, 0.38, min(16, max(2, 50 // len(steps))))  # the dashes of few steps are long
    facts = np.stack([values, bounds, np.array(steps)[positions]], axis=1)
    ends_of_bars = np.stack([low[visible], high[visible]], axis=1)
    figure.add_scatter(
        x=light([*(positions[:, None] + across).ravel(), *np.repeat(positions[visible], 2)]),
        y=light([*np.repeat(here, len(across)), *ends_of_bars.ravel()]),
        mode="none",
        customdata=light(np.concatenate([np.repeat(facts, len(across), axis=0), np.repeat(facts[visible], 2, axis=0)])),
        legendgroup="dashes",
        showlegend=False,
        hovertemplate="step %{customdata[2]:,}<br>λ = %{customdata[0]:.6g} ± %{customdata[1]:.1g}<extra></extra>",
        **where,
    )
    name = "one eigenvalue; bar: its error bound, where it is longer than the dash is thick"
    figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=name, legendgroup="dashes", **where)


def apply_axis(figure: go.Figure, axis: EigenvalueAxis, *, which: str, most: int, name: str = "", **where: Any) -> None:
    """Make it the axis `which` ("x" or "y") of a chart, or of the panel `row`, `col`, with about `most` ticks."""
    ticks = axis.ticks(most)
    texts = [_power(tick) for tick in ticks]
    between = _between_decades(axis)
    if len(ticks) < 4 and len(between) <= most:
        # The data span few decades: 1, 2 and 5 of each, or where that is little, equal distances.
        ticks = between if len(between) >= 3 else _round_numbers(axis.low, axis.high, min(most, 6))
        texts = [f"{tick:.6g}" for tick in ticks]
    title = name or f"eigenvalue λ (symlog, linear within ±{_power(axis.threshold)})"
    update = figure.update_xaxes if which == "x" else figure.update_yaxes
    update(
        range=place(axis, [axis.low, axis.high]).tolist(),
        tickvals=place(axis, ticks),
        ticktext=texts,
        title_text=title,
        **where,
    )


def _power(number: float) -> str:
    if number == 0:
        return "0"
    return f"{'−' if number < 0 else ''}10<sup>{round(np.log10(abs(number)))}</sup>"


def _between_decades(axis: EigenvalueAxis) -> list[float]:
    """1, 2 and 5 times the powers of ten from the threshold on, of both signs, and zero."""
    largest = max(abs(axis.low), abs(axis.high), axis.threshold)
    powers = range(axis.exponent, int(np.floor(np.log10(largest))) + 1)
    sizes = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [tick for tick in [*(-size for size in reversed(sizes)), 0.0, *sizes] if axis.low <= tick <= axis.high]


def _round_numbers(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most `most` of them."""
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    distance = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [float(n * distance) for n in range(int(np.ceil(low / distance)), int(np.floor(high / distance)) + 1)]
