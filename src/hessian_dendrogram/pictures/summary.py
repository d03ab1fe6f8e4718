"""A few numbers of the spectrum over training: extreme and negative eigenvalues, trace and entropy; and the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.summary import summary_columns
from .axes import Eigenvalues, Floats, Linear, Log, Steps
from .marks import FAINT, Bars, Facts, Points, of_series
from .picture import PICTURES, Known, Panel, Picture, in_rows, no_panel, over
from .training import Metrics, curve_panels

SENTENCE = (
    "The ends of the spectrum, how many eigenvalues are negative, their sum and how evenly they share it, each with "
    "its error as a bar, over the same training steps as loss and accuracy."
)
_LOG_FROM = 1000.0  # ratio of the largest to the smallest value, if all are positive
_BESIDE = {"num_negative": "negative eigenvalues", "trace": "trace", "entropy": "entropy"}


def summary(
    steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, metrics: Metrics | None = None, title: str = ""
) -> Picture:
    """Show the numbers of `summarise` over training; what partial spectra cannot tell is left out, and said."""
    at, columns = Steps.of(steps), summary_columns(spectra)
    known = [name for name in _BESIDE if np.isfinite(columns[name]).any()]
    panels = [*curve_panels(at, metrics or {}), _extremes(at, columns)]
    panels += [_negative(at, columns) if name == "num_negative" else _number(at, columns, name) for name in known]
    if absent := [text for name, text in _BESIDE.items() if name not in known]:
        title += f"\n{', '.join(absent)} left out: every eigenvalue would be needed, converged"
    heights = tuple(1.5 if isinstance(panel.y, Eigenvalues) else 1.25 for panel in panels)
    return Picture(in_rows(panels), title.strip(), SENTENCE, height=sum(heights), heights=heights)


PICTURES["summary"] = Known("spectrum", "Summary statistics", SENTENCE, over(summary, "metrics"), tab="Stats")


def _extremes(at: Steps, columns: Mapping[str, Floats]) -> Panel:
    points, groups, missing = [], [], ""
    for rank, name in enumerate(("largest", "smallest")):
        values, errors = columns[name], columns[f"{name}_error"]
        if (known := np.isfinite(values)).any():
            facts = {"step": at.steps, "value": values, "error": errors}
            points.append(_points(facts, rank, "λ = {value:.6g} ± {error:.1g}", label=f"{name} eigenvalue"))
            groups.append((values[known], errors[known]))
        else:
            missing = f"; the {name} is not known"
    if not points:
        return no_panel("neither end of the spectrum is known and converged")
    heading = f"extreme eigenvalues, error ≤ {max(errors.max() for _, errors in groups):.1g}{missing}"
    return Panel(tuple(points), x=at, y=Eigenvalues.around(*groups), title=heading)


def _negative(at: Steps, columns: Mapping[str, Floats]) -> Panel:
    sure, more = columns["num_negative"], columns["num_unresolved_sign"]
    said = "{value:,.0f} surely negative\n{error:,.0f} more with |λ| ≤ error bound"
    facts = {"step": at.steps, "value": sure, "error": more}
    points = _points(facts, 4, said, label="surely negative", y_errors=None)
    known = np.flatnonzero(np.isfinite(sure))
    label = "sign unresolved: |λ| ≤ its error bound"
    grey = Bars(known, sure[known], (sure + more)[known], 0.3, colour=FAINT, label=label)
    axis = Linear("eigenvalues", (0.0, 1.1 * float(np.nanmax(sure + more)) + 1), ",d")
    return Panel((grey, points), x=at, y=axis, title="number of negative eigenvalues")


def _number(at: Steps, columns: Mapping[str, Floats], name: str) -> Panel:
    """Trace or entropy, on a logarithmic axis where it spans decades."""
    values, errors = columns[name], columns[f"{name}_error"]
    is_estimate = np.isfinite(values) & ~np.isfinite(columns["entropy"])
    kinds = np.where(is_estimate, "standard error of an estimate", "error bound")
    rank, label = (2, "trace (units of λ)") if name == "trace" else (3, "entropy (nats)")
    facts = {"step": at.steps, "value": values, "error": errors, "kind": kinds}
    points = _points(facts, rank, name + " {value:.6g} ± {error:.1g}\n({kind})")
    is_wide = np.nanmax(values) > _LOG_FROM * np.nanmin(values) > 0
    what = "entropy of |λ| / Σ|λ|" if name == "entropy" else "trace, an estimate" if is_estimate.any() else "trace"
    largest = f"{'standard ' * bool(is_estimate.any())}error ≤ {np.nanmax(errors, initial=0):.1g}"
    axis = Log.around(values, label) if is_wide else Linear.around(values, errors, label)
    return Panel((points,), x=at, y=axis, title=f"{what}, {largest}")


def _points(columns: dict[str, Any], rank: int, said: str, **more: Any) -> Points:
    look = of_series(rank) | {"size": 3.0, "joined": 1.2, "y_errors": columns["error"]} | more
    return Points(
        np.arange(len(columns["value"])), columns["value"], facts=Facts(f"step {{step:,}}\n{said}", columns), **look
    )
