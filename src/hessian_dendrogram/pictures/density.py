"""How eigenvalues are spread, as random probes tell it, with those that are known one by one; moments over training.

The density is blurred by a Gaussian of width σ, in which one of n eigenvalues that stands alone is 1 / (√(2π) σ n)
high, wherever it is; the axis ends well below that height. The share of the eigenvalues up to λ is not blurred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..errors import UserError
from ..results.density import Density
from ..results.spectrum import Spectrum
from ..statistics.density import LEVEL, Estimate, squared_frobenius_norm, student, trace
from ..statistics.distribution import Curve, cumulative, default_width, smoothed
from ..statistics.summary import summarise
from ..store.analysed import Analysed
from ..texts import listed
from .axes import Eigenvalues, Floats, Linear, Log, Steps, key_positions
from .marks import COLOURS, FAINT, Areas, Facts, Line, Mark, Points, Rule, of_series, shades
from .picture import PICTURES, Known, Panel, Picture, in_rows, no_panel, over
from .training import Metrics, curve_panels

INTERVAL = f"{100 * LEVEL:.3g} % interval"
SENTENCE = (
    f"How all eigenvalues are spread as random probes tell it, blurred and as shares, with the {INTERVAL} at each "
    "point; triangles are those known one by one, each with its error bound, which does not prove that none beside it "
    "was missed."
)
MOMENTS = (
    "The sum of the eigenvalues, that of their squares, and the outermost ones over training; a bar is an error bound, "
    f"or the {INTERVAL} of what probes tell, and a hollow mark is not larger than its error."
)
_SUMS = ("trace", trace, "λ"), ("squared Frobenius norm", squared_frobenius_norm, "λ²")
_POINTS = 501  # of a curve
_BAND = shades(len(COLOURS) + 1)[-1]  # the first colour, lighter
_NARROWEST = 1e-4  # width of a blur over the largest magnitude: coordinates on a screen have single precision
Measured = tuple[float, float, str]
"""A number, its error, and what kind of error that is; NaN where they are not known."""


def eigenvalue_density(
    steps: Sequence[int], densities: Sequence[Density], *, axis: Eigenvalues | None = None, title: str = ""
) -> Picture:
    """Show the density at a few steps, a row for each: blurred on the left, as shares up to each λ on the right.

    The axis of the shares is by default that of all these densities.
    """
    scale = axis or axis_of(densities)
    rows = [(_blurred(step, one), _shares(one, scale)) for step, one in zip(steps, densities, strict=True)]
    return Picture(tuple(rows), title, SENTENCE, height=3.0 * len(rows))


def density_moments(
    steps: Sequence[int] | Steps, densities: Sequence[Density], *, metrics: Metrics | None = None, title: str = ""
) -> Picture:
    """Show loss and accuracy, trace, squared Frobenius norm, and the outermost eigenvalues where they are known."""
    at, panels = Steps.of(steps), curve_panels(Steps.of(steps), metrics or {})
    for rank, (name, of, unit) in enumerate(_SUMS, start=2):
        points = measured(at, name, [estimate(of, one) for one in densities], **of_series(rank))
        panels.append(panel_of(at, [points], name, f"units of {unit}"))
    both = [
        measured(at, f"{end} eigenvalue", [_end(one, end) for one in densities], **of_series(rank))
        for rank, end in enumerate(("largest", "smallest"), start=4)
    ]
    panels.append(panel_of(at, both, "outermost eigenvalues", "eigenvalue λ"))
    return Picture(in_rows(panels), title, MOMENTS, height=1.5 * len(panels) + 0.3)


def _at(a: Analysed, *positions: int, axis: Eigenvalues | None = None) -> Picture:
    return eigenvalue_density([a.steps[i] for i in positions], [a.results[i] for i in positions], axis=axis)


PICTURES["density"] = Known(
    "density",
    "Density of the eigenvalues",
    SENTENCE,
    at=lambda a, position: _at(a, position, axis=axis_of(a.results)),
    printed=lambda a: _at(a, *key_positions(len(a.steps), 2)),
    tab="Density",
)
PICTURES["density_moments"] = Known(
    "density", "Trace, squares and ends", MOMENTS, over(density_moments, "metrics"), tab="Over training"
)


def estimate(of: Callable[[Density], Estimate], density: Density) -> Measured:
    """A number that a density tells of, with half of its interval."""
    with suppress(UserError):  # quadratures of one step tell of no squares
        known = of(density)
        half = student(LEVEL, known.degrees) * known.standard_error + known.bias
        if np.isfinite(known.value):
            return known.value, half, f"half of the {INTERVAL}" if known.degrees else "error bound"
    return np.nan, np.nan, ""


def measured(at: Steps, name: str, found: Sequence[Measured], shift: float = 0.0, **look: Any) -> Points:
    """A number at every step, hollow where its error is as large; a shift keeps the error bars of several apart."""
    values, errors = (np.array([one[i] for one in found], float) for i in (0, 1))
    columns = {"step": at.steps, "name": name, "value": values, "error": errors, "kind": [one[2] for one in found]}
    facts = Facts("step {step:,}, {name}\n{value:.6g} ± {error:.1g}\n({kind})", columns)
    look |= {"y_errors": errors, "hollow": ~(np.abs(values) > errors), "joined": 1.2, "size": 3.0, "label": name}
    return Points(np.arange(len(found)) + shift, values, facts=facts, **look)


def panel_of(at: Steps, points: Sequence[Points], title: str, label: str) -> Panel:
    """Numbers over training, on a logarithmic axis where each is positive by more than its error."""
    values, errors = (np.concatenate([np.asarray(getattr(one, of)) for one in points]) for of in ("y", "y_errors"))
    gaps = {one.label: int(np.isnan(np.asarray(one.y)).sum()) for one in points}
    if missing := [f"{name} ({count:,} of {len(at.steps):,} steps)" for name, count in gaps.items() if count]:
        title += f"; not known: {listed(missing)}"
    if not (known := np.isfinite(values)).any():
        return no_panel("not known at these steps", title, at)
    values, errors = values[known], errors[known]
    bars = np.where(np.isfinite(errors), errors, 0.0)
    ends = np.concatenate([values - bars, values + bars])
    if (values > errors).all():
        return Panel(tuple(points), x=at, y=Log.around(ends, label), title=title)
    open_sign = Points([], [], FAINT, hollow=True, label="not larger than its error")
    hollow = [open_sign] * bool((np.abs(values) <= errors).any())
    y = Eigenvalues.around((values, errors), (ends, 0.0), name=label)
    return Panel((*points, *hollow), x=at, y=y, title=title)


def _end(density: Density, end: str) -> Measured:
    """The largest or the smallest eigenvalue, where it is known."""
    ends = density.ends()
    value, error = (getattr(ends and summarise(ends), name, None) for name in (end, f"{end}_error"))
    return (np.nan, np.nan, "") if value is None or error is None else (value, error, "error bound")


def axis_of(results: Sequence[Spectrum | Density]) -> Eigenvalues:
    """The axis of what is known of several matrices: eigenvalues and nodes."""
    pairs = []
    for one in results:
        values, bounds = one.eigenvalues, one.error_bounds
        if isinstance(one, Density):
            nodes = np.repeat(one.node_bounds, one.nodes.shape[1])
            values, bounds = np.append(values, one.nodes), np.append(bounds, nodes)
        pairs.append((values, bounds))
    return Eigenvalues.around(*pairs, name="eigenvalue λ")


def _blurred(step: int, density: Density) -> Panel:
    values = np.append(density.eigenvalues, density.nodes)
    width = max(default_width(density), _NARROWEST * float(np.abs(values).max()))
    limits = float(values.min()) - 4 * width, float(values.max()) + 4 * width
    points, alone = np.linspace(*limits, _POINTS), 1 / float(np.sqrt(2 * np.pi) * width * density.dim)
    curve = smoothed(density, points, width=width)
    y = Log((alone / 5, 2 * float(curve.highs.max())), "share of the eigenvalues per unit of λ")
    said = f"density {{value:.3g}} at λ = {{at:.4g}}\n{INTERVAL}: {{low:.3g}} to {{high:.3g}}"
    marks = _curve(points, curve, y.limits[0], said)
    marks.append(Rule(alone, dash="dot", label="height of an eigenvalue that stands alone"))
    marks += _known(density, np.full(len(density.eigenvalues), alone), limits)
    title = f"step {step:,}, blurred by a Gaussian of σ = {width:.2g}"
    return Panel(tuple(marks), x=Linear("eigenvalue λ"), y=y, title=title)


def _shares(density: Density, axis: Eigenvalues) -> Panel:
    known, n = len(density.eigenvalues), density.dim
    first, last = axis.place(axis.limits).tolist()
    points = axis.value_at(np.linspace(first, last, _POINTS))
    said = f"{{value:,.0f}} of {n:,} eigenvalues up to {{at:.4g}}\n{INTERVAL}: {{low:,.0f}} to {{high:,.0f}}"
    marks = _curve(points, cumulative(density, points), 0.0, said, n)
    ranks = np.arange(1, known + 1) + np.where(np.arange(known) < density.num_bottom, 0, n - known)
    marks += _known(density, ranks / n, axis.limits)
    probes = f"{len(density.nodes):,} probes of {density.nodes.shape[1]:,} steps, " * bool(density.nodes.size)
    title = f"{probes}{known:,} of {n:,} known"
    return Panel(tuple(marks), x=axis, y=Linear("share of the eigenvalues up to λ", (-0.03, 1.03)), title=title)


def _curve(points: Floats, curve: Curve, lowest: float, said: str, scale: int = 1) -> list[Mark]:
    """A curve and behind it its interval, as far as they are above the lower edge of the panel."""
    low, high = np.maximum(curve.lows, lowest), np.maximum(curve.highs, lowest)
    band = Areas(points, np.stack([low, high - low]), ("", _BAND), ("", INTERVAL))
    columns = {"at": points, "value": scale * curve.values, "low": scale * curve.lows, "high": scale * curve.highs}
    seen, facts = np.where(curve.values >= lowest, curve.values, np.nan), Facts(said, columns)
    return [band, Line(points, seen, COLOURS[0], 1.4, label="estimate", facts=facts)]


def _known(density: Density, heights: Floats, limits: tuple[float, float]) -> list[Mark]:
    """The eigenvalues that are known one by one, with their error bounds as level bars."""
    values, bounds, known = density.eigenvalues, density.error_bounds, len(density.eigenvalues)
    if not known:
        return []
    numbers = np.arange(known, 0, -1) + np.where(np.arange(known) < density.num_bottom, density.dim - known, 0)
    ends = np.clip(values + np.multiply.outer([-1, 1], bounds), *limits)
    bars = Line(np.append(ends, [values * np.nan], axis=0).T.ravel(), np.repeat(heights, 3), COLOURS[2], 0.8)
    said = f"λ = {{value:.6g}} ± {{bound:.1g}}\nnumber {{number:,}} of {density.dim:,}, from the largest"
    facts = Facts(said, {"value": values, "bound": bounds, "number": numbers})
    label = "known one by one, and its error bound"
    return [bars, Points(values, heights, COLOURS[2], "triangle", 3.0, label=label, facts=facts)]
