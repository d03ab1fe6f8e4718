"""What is in a run directory, as JSON-like values and as lines of text; every number with its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from ..errors import UserError
from ..texts import escaped, listed, shortened
from .kinds import KINDS
from .run import Run

Chosen = Mapping[str, Sequence[int]]
"""Names of analyses, each with the steps of its results that are meant."""
_TITLES = {"analyses": "analysis", "bipartitions": "bipartition"}
_MOST_ENTRIES = 20  # of a configuration or a row of metrics
_LONGEST_ENTRY = 300  # characters


def facts(opened: Run, chosen: Chosen | None = None) -> dict[str, Any]:
    """Everything `hessian-dendrogram info --json` prints; what is infinite or not known is `None`."""
    found: dict[str, Any] = _without_infinities(_facts(opened, chosen))
    return found


def _facts(opened: Run, chosen: Chosen | None) -> dict[str, Any]:
    return {
        "path": str(opened.path),
        "record": opened.record,
        "checkpoints": opened.steps(),
        "last_metrics": last_metrics(opened),
        **_analyses(opened, choose(opened) if chosen is None else chosen),
    }


def _analyses(opened: Run, chosen: Chosen) -> dict[str, Any]:
    found: dict[str, Any] = {"analyses": {}, "bipartitions": {}}
    for name, steps in chosen.items():
        record = opened.analysis(name)  # which says that its kind is none
        place, results = KINDS[opened.kind(name)].places
        found[place][name] = {**record, results: rows(opened, name, steps)}
    return found


def choose(opened: Run, analysis: str | None = None, at: Sequence[int] | None = None) -> Chosen:
    """The analyses, or the one of that name, each with its steps, or those of them that are wanted.

    Raises:
        UserError: there is no such analysis, or none of those chosen has one of the steps.
    """
    found = {name: opened.analysed_steps(name) for name in ([analysis] if analysis else opened.analyses(None))}
    if at is None:
        return found
    if missing := sorted({*at}.difference(*found.values())):
        there = sorted(set().union(*found.values()))
        what = f"analysis {analysis!r}" if analysis else "no analysis"
        raise UserError(
            f"{what} of {opened.path} has {'no' if analysis else 'a'} result at step {missing[0]}; there are results "
            f"at: {_few(there) or '(none)'}"
        )
    return {name: kept for name, steps in found.items() if (kept := [step for step in steps if step in at])}


def rows(opened: Run, analysis: str, steps: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The summary of an analysis at each of some steps."""
    return {step: _summary(opened, analysis, step) for step in steps}


def _summary(opened: Run, analysis: str, step: int) -> dict[str, Any]:
    return KINDS[opened.kind(analysis)].summary(opened.result(step, analysis, parts=()))


def lines(opened: Run, chosen: Chosen | None = None) -> list[str]:
    """The same for a reader, one line per spectrum."""
    known = _facts(opened, chosen)
    text = heading(opened)
    for place in ("analyses", "bipartitions"):
        for analysis, content in known[place].items():
            kind = KINDS[opened.kind(analysis)]
            text.append(f"  {title(opened, analysis, content['configuration'])}")
            text += [f"    step {step:>8}  {kind.words(row)}" for step, row in content[kind.places[1]].items()]
    return text


def heading(opened: Run) -> list[str]:
    """The run, its checkpoints and its last metrics."""
    configuration = opened.configuration
    name, seed = configuration.get("experiment"), configuration.get("seed")
    text = [
        f"{escaped(opened.path)}: {shortened(name)}, seed {shortened(seed)}, {opened.layout.size} parameters",
        f"  checkpoints ({shortened(configuration.get('checkpoints'))}): {_shorten(opened.steps())}",
    ]
    metrics = last_metrics(opened)
    return [*text, "  last metrics: " + in_words(metrics)] if metrics else text


def title(opened: Run, analysis: str, configuration: Mapping[str, Any]) -> str:
    """The name of an analysis, and what was taken."""
    return f"{_TITLES[KINDS[opened.kind(analysis)].places[0]]} {shortened(analysis)}: {_entries(configuration)}"


def in_one_line(opened: Run, analysis: str, step: int) -> str:
    """A result in words."""
    return KINDS[opened.kind(analysis)].words(_summary(opened, analysis, step))


def last_metrics(opened: Run) -> dict[str, float]:
    """The last row of metrics that has an evaluation."""
    metrics = opened.metrics()
    evaluated = np.flatnonzero(~np.isnan(metrics.get("train_loss", np.empty(0))))
    if not evaluated.size:
        return {}
    row = {key: float(column[evaluated[-1]]) for key, column in metrics.items()}
    return {key: value for key, value in row.items() if value == value}


def in_words(metrics: dict[str, float]) -> str:
    """Metrics as `step 460, train_loss 0.005, ...`."""
    return _listed([f"{shortened(key)} {value:.6g}" for key, value in metrics.items()])


def _entries(configuration: Mapping[str, Any]) -> str:
    """A configuration in one line."""
    return _listed([f"{shortened(key)} {value}" for key, value in configuration.items()])


def _listed(entries: list[str]) -> str:
    return listed(entries, _MOST_ENTRIES, _LONGEST_ENTRY)


def _shorten(steps: list[int]) -> str:
    return f"{len(steps)}, at steps {_few(steps)}"


def _few(steps: list[int]) -> str:
    shown = [*steps[:6], "...", *steps[-3:]] if len(steps) > 10 else steps
    return ", ".join(map(str, shown))


def _without_infinities(value: Any) -> Any:
    """The same with `None` for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _without_infinities(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
