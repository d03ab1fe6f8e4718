"""How pure the leading directions are over training, beside what chance gives, above the accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..results.directions import Directions
from ..statistics.purity import MeanPurity, mean_purity
from .axes import Linear, Log, Steps
from .direction_shares import directions_title
from .marks import FAINT, Dashes, Facts, Mark, Points, of_series
from .picture import PICTURES, Known, Panel, Picture, in_rows, nothing, over
from .training import Metrics, curve_panels

SENTENCE = (
    "Points are the mean purity of so many leading directions, dashes with upright bars what 90 % of randomly rotated "
    "bases of the same effects give: a hollow point is not above its bar. Below, how much of the loss's gradient and "
    "of the last update lies along these directions at all."
)
_FACTS = (
    "step {step:,}: {count} directions\nmean purity {purity:.3f}, {excess:+.3f} to rotated bases ({low:.3f} to "
    "{high:.3f})\np = {p:.2g}; Gaussian directions {gaussian:.3f}"
)


def purity(
    steps: Sequence[int] | Steps, results: Sequence[Directions], *, metrics: Metrics | None = None, title: str = ""
) -> Picture:
    """Show the mean purity of each number of directions that has a null, where the training went, and the accuracy."""
    at = Steps.of(steps)
    counts = sorted({count for one in results for count in one.counts})
    if not counts:
        return nothing(title, SENTENCE, "no direction converged")
    panels = [_purities(at, results, count, counts.index(count)) for count in counts]
    if any(np.isfinite(one.gradient_shares).any() or np.isfinite(one.update_shares).any() for one in results):
        panels.append(_training(at, results))
    curves = [panel for panel in curve_panels(at, metrics or {}) if panel.y.label == "accuracy"]
    named = f"{title}: {directions_title(results[-1])}".removeprefix(": ")
    rows = in_rows([*panels, *curves])
    return Picture(rows, named, SENTENCE, height=1.6 * len(rows) + 0.4)


PICTURES["purity"] = Known(
    "directions",
    "Purity of the leading directions",
    SENTENCE,
    over(purity, "metrics"),
    printed=lambda a: purity(a.steps, a.results, metrics=a.metrics, title=a.title),
    tab="Over training",
)


def _purities(at: Steps, results: Sequence[Directions], count: int, series: int) -> Panel:
    """The mean purity of so many directions at each step that has as many, over its null."""
    there = [i for i, one in enumerate(results) if count in one.counts]
    found = [mean_purity(results[i], count) for i in there]
    columns = {name: np.array([getattr(one, name) for one in found], float) for name in _NUMBERS}
    facts = Facts(_FACTS, columns | {"count": count, "step": np.array([at.steps[i] for i in there])})
    places, low, high = np.array(there, float), columns["low"], columns["high"]
    marks: list[Mark] = [
        Dashes(places, (low + high) / 2, (high - low) / 2, FAINT, label="rotated bases, 5 to 95 %", facts=facts),
        Points(places, columns["gaussian"], FAINT, "x", 3.0, label="Gaussian directions"),
        Points(
            places,
            columns["purity"],
            size=3.5,
            **of_series(series),
            hollow=columns["purity"] <= columns["high"],
            joined=1.2,
            label=f"{count} directions",
            facts=facts,
        ),
    ]
    return Panel(tuple(marks), x=at, y=Linear("mean purity", (-0.03, 1.03)))


_NUMBERS = [name for name in (*MeanPurity.__dataclass_fields__, "excess") if name != "count"]


def _training(at: Steps, results: Sequence[Directions]) -> Panel:
    """How much of the gradient and of the last update lies in the space of all directions, beside chance."""
    places, steps = np.arange(len(results), dtype=float), np.array(at.steps)
    marks: list[Mark] = []
    shares = {
        "the loss's gradient": [float(one.gradient_shares.sum()) for one in results],
        "the last update": [float(one.update_shares.sum()) for one in results],
        "a random vector": [len(one.eigenvalues) / one.dim for one in results],
    }
    for number, (name, values) in enumerate(shares.items()):
        look = {"colour": FAINT, "symbol": "x"} if name == "a random vector" else of_series(number + 3)
        facts = Facts(f"step {{step:,}}: {{share:.3g}} of {name}", {"step": steps, "share": np.array(values)})
        marks.append(Points(places, np.array(values), size=3.0, **look, joined=1.0, label=name, facts=facts))
    known = np.array([value for values in shares.values() for value in values])
    return Panel(tuple(marks), x=at, y=Log.around(known, "share in the directions"))
