"""A few numbers of the spectrum over training: extreme and negative eigenvalues, trace and entropy; and the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.summary import SpectrumSummary, summarise
from .axes import Eigenvalues, Floats, Linear, Log, Steps
from .eigenvalue_axis import EigenvalueAxis
from .facts import Facts
from .marks import FAINT, SYMBOLS, Bars, Nothing, Points
from .palette import COLOURS
from .picture import Panel, Picture
from .training import curve_panels

SENTENCE = (
    "The ends of the spectrum, how many eigenvalues are negative, their sum and how evenly they share it, each with "
    "its error as a bar, over the same training steps as loss and accuracy."
)
_LOG_FROM = 1000.0  # ratio of the largest to the smallest value, if all are positive
_BESIDE = {"num_negative": "negative eigenvalues", "trace": "trace", "entropy": "entropy"}


def summary(
    steps: Sequence[int] | Steps,
    spectra: Sequence[Spectrum],
    *,
    metrics: Mapping[str, Floats] | None = None,
    title: str = "",
) -> Picture:
    """Show the numbers of `summarise` over training; what partial spectra cannot tell is left out, and said."""
    at, columns = Steps.of(steps), summary_columns(spectra)
    known = [name for name in _BESIDE if np.isfinite(columns[name]).any()]
    panels = [*curve_panels(at, metrics or {}), _extremes(at, columns)]
    panels += [_negative(at, columns) if name == "num_negative" else _number(at, columns, name) for name in known]
    if absent := [text for name, text in _BESIDE.items() if name not in known]:
        title += f"\n{', '.join(absent)} left out: every eigenvalue would be needed, converged"
    heights = tuple(1.5 if isinstance(panel.y, Eigenvalues) else 1.25 for panel in panels)
    rows = tuple((panel,) for panel in panels)
    return Picture(rows, title.strip(), SENTENCE, height=sum(heights), heights=heights)


def summary_columns(spectra: Sequence[Spectrum]) -> dict[str, Floats]:
    """Arrange the fields of `SpectrumSummary` as arrays over the steps; NaN for None."""
    rows = [summarise(spectrum) for spectrum in spectra]
    return {one.name: np.array([getattr(row, one.name) for row in rows], float) for one in fields(SpectrumSummary)}


def number_axis(values: Floats, errors: Floats, label: str) -> Linear:
    """Make a linear axis; where an error is infinite, with edges that its bar reaches."""
    if not np.isinf(errors).any():
        return Linear(label)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = (high - low) or abs(high) or 1.0
    return Linear(label, (low - margin, high + margin))


def _extremes(at: Steps, columns: Mapping[str, Floats]) -> Panel:
    points, groups, missing = [], [], ""
    for rank, name in enumerate(("largest", "smallest")):
        values, errors = columns[name], columns[f"{name}_error"]
        if (known := np.isfinite(values)).any():
            points.append(_points(at, values, errors, rank, "λ = {value:.6g} ± {error:.1g}", f"{name} eigenvalue"))
            groups.append((values[known], errors[known]))
        else:
            missing = f"; the {name} is not known"
    if not points:
        return Panel((Nothing("neither end of the spectrum is known and converged"),))
    heading = f"extreme eigenvalues, error ≤ {max(errors.max() for _, errors in groups):.1g}{missing}"
    return Panel(tuple(points), x=at, y=Eigenvalues(EigenvalueAxis.around(*groups), "λ"), title=heading)


def _negative(at: Steps, columns: Mapping[str, Floats]) -> Panel:
    sure, more = columns["num_negative"], columns["num_unresolved_sign"]
    said = "{value:,.0f} surely negative\n{error:,.0f} more with |λ| ≤ error bound"
    points = _points(at, sure, more, 4, said, "surely negative", has_bars=False)
    known = np.flatnonzero(np.isfinite(sure))
    label = "sign unresolved: |λ| ≤ its error bound"
    grey = Bars(known, sure[known], (sure + more)[known], 0.3, colour=FAINT, label=label)
    axis = Linear("eigenvalues", (0.0, 1.1 * float(np.nanmax(sure + more)) + 1), ",d")
    return Panel((grey, points), x=at, y=axis, title="number of negative eigenvalues")


def _number(at: Steps, columns: Mapping[str, Floats], name: str) -> Panel:
    """Trace or entropy, on a logarithmic axis where it spans decades."""
    values, errors = columns[name], columns[f"{name}_error"]
    is_estimate = np.isfinite(values) & ~np.isfinite(columns["entropy"])
    kinds = np.where(is_estimate, "standard error of an estimate", "error bound").tolist()
    rank, label = (2, "trace (units of λ)") if name == "trace" else (3, "entropy (nats)")
    points = _points(at, values, errors, rank, name + " {value:.6g} ± {error:.1g}\n({kind})", kind=kinds)
    is_wide = np.nanmax(values) > _LOG_FROM * np.nanmin(values) > 0
    what = "entropy of |λ| / Σ|λ|" if name == "entropy" else "trace, an estimate" if is_estimate.any() else "trace"
    largest = f"{'standard ' * bool(is_estimate.any())}error ≤ {np.nanmax(errors, initial=0):.1g}"
    axis = Log.around(values, label) if is_wide else number_axis(values, errors, label)
    return Panel((points,), x=at, y=axis, title=f"{what}, {largest}")


def _points(
    at: Steps,
    values: Floats,
    errors: Floats,
    rank: int,
    said: str,
    label: str = "",
    *,
    has_bars: bool = True,
    **more: list[str],
) -> Points:
    facts = Facts(f"step {{step:,}}\n{said}", {"step": at.steps, "value": values, "error": errors, **more})
    look = COLOURS[rank], SYMBOLS[rank]
    bars = errors if has_bars else None
    return Points(np.arange(len(values)), values, *look, 3.0, y_errors=bars, joined=1.2, label=label, facts=facts)
