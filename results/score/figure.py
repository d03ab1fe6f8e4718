"""The curves of the indicators over training, each beside its threshold and shuffled labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hessian_dendrogram.pictures.axes import Linear, Log, Steps
from hessian_dendrogram.pictures.marks import FAINT, Line, Mark, Rule, of_series
from hessian_dendrogram.pictures.paper import save
from hessian_dendrogram.pictures.picture import Panel, Picture, in_rows

from .kept import FOLDER
from .measure import ADDITION, LABELS, LARGE
from .tables import seeds_of, series, thresholds

SENTENCE = (
    "A line is a seed, a grey one the same seed with shuffled labels; dashed is the threshold, fixed on other seeds."
)
OF_ADDITION = (
    "accuracy",
    "directions, excess purity of ten",
    "couplings, closeness",
    "cosine of ingoing weights, closeness",
    "correlation of activations, closeness",
    "embedding norms, share of the largest five",
)
OF_PARITY = (
    "accuracy",
    "directions, largest share",
    "couplings, closeness",
    "norm of a task's ingoing weights over unused ones",
)


def draw(folder: Path = FOLDER) -> None:
    """Write the curves of every kind of network."""
    for name, indicators in ((ADDITION, OF_ADDITION), (LARGE, OF_ADDITION)):
        panels = [_of_seeds(name, indicator) for indicator in indicators]
        _save(panels, folder / f"{name}.png", f"Addition modulo {53 if name == ADDITION else 113}")
    seed = seeds_of("sparse-parity")[0]
    _save(
        [_of_parts(seed, indicator) for indicator in OF_PARITY],
        folder / "sparse-parity.png",
        f"Sparse parity, seed {seed}",
    )


def _save(panels: list[Panel | None], path: Path, title: str) -> None:
    there = [panel for panel in panels if panel is not None]
    if there:
        rows = in_rows(there, 2)
        save(Picture(rows, title, SENTENCE, height=1.7 * len(rows)).figure(), path.with_suffix(""))
        path.with_suffix(".pdf").unlink(missing_ok=True)


def _of_seeds(name: str, indicator: str) -> Panel | None:
    """One line a seed."""
    several = {seed: series(name, seed) for seed in seeds_of(name)}
    steps = sorted({step for one in several.values() for step in one})
    if not steps:
        return None
    at, marks = Steps.of(steps), [_threshold(ADDITION, indicator)]
    for null in (LABELS, ""):
        for number, seed in enumerate(several):
            values = series(name, seed, null) if null else several[seed]
            look = (
                {"colour": FAINT, "label": "shuffled labels"}
                if null
                else {"colour": of_series(number)["colour"], "label": f"seed {seed}"}
            )
            marks += _line(at, values, indicator, "all", look)
    return Panel(tuple(marks), x=at, y=_axis(indicator, marks), title=indicator)


def _of_parts(seed: int, indicator: str) -> Panel | None:
    """One line a skill."""
    values, shuffled = series("sparse-parity", seed), series("sparse-parity", seed, LABELS)
    if not values:
        return None
    at, marks = Steps.of(sorted(values)), [_threshold("sparse-parity", indicator)]
    for part in range(10):
        marks += _line(at, shuffled, indicator, str(part), {"colour": FAINT, "label": "shuffled labels"})
    for part in range(10):
        look: dict[str, Any] = {
            "colour": of_series(part)["colour"],
            "label": f"task {part}",
            "dash": "solid" if part < 7 else "dash",
        }
        marks += _line(at, values, indicator, str(part), look)
    return Panel(tuple(marks), x=at, y=_axis(indicator, marks), title=indicator)


def _threshold(name: str, indicator: str) -> Mark:
    return Rule(thresholds(name).get(indicator, float("nan")), dash="dash", label="threshold")


def _line(at: Steps, values: Any, indicator: str, part: str, look: dict[str, Any]) -> list[Mark]:
    found = {step: one.get(indicator, {}).get(part) for step, one in values.items()}
    known = {step: value for step, value in found.items() if value is not None}
    return [Line(at.place(np.array([*known])), np.array([*known.values()]), **look)] if known else []


def _axis(indicator: str, marks: list[Mark]) -> Linear | Log:
    values = np.concatenate([np.asarray(mark.y, float) for mark in marks if isinstance(mark, Line)] or [np.ones(1)])
    if "closeness" in indicator or "norm of" in indicator:
        return replace(Log.around(values), label="ratio")
    return Linear("")
