"""What is in a run directory, as JSON-like values and as lines of text; every number with its error."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from ..texts import escaped, listed, shortened
from .kinds import KINDS
from .run import Run

_TITLES = {"analyses": "analysis", "bipartitions": "bipartition"}
_MOST_ENTRIES = 20  # of a configuration or a row of metrics
_LONGEST_ENTRY = 300  # characters


def facts(opened: Run) -> dict[str, Any]:
    """Everything `hessian-dendrogram info --json` prints; what is infinite or not known is `None`."""
    found: dict[str, Any] = _without_infinities(_facts(opened))
    return found


def _facts(opened: Run) -> dict[str, Any]:
    return {
        "path": str(opened.path),
        "record": opened.record,
        "checkpoints": opened.steps(),
        "last_metrics": last_metrics(opened),
        **_analyses(opened),
    }


def _analyses(opened: Run) -> dict[str, Any]:
    found: dict[str, Any] = {"analyses": {}, "bipartitions": {}}
    for name in opened.analyses(None):
        kind = KINDS[opened.kind(name)]
        place, results = kind.places
        rows = {step: _summary(opened, name, step) for step in opened.analysed_steps(name)}
        found[place][name] = {**opened.analysis(name), results: rows}
    return found


def _summary(opened: Run, analysis: str, step: int) -> dict[str, Any]:
    return KINDS[opened.kind(analysis)].summary(opened.result(step, analysis, parts=()))


def lines(opened: Run) -> list[str]:
    """The same for a reader, one line per spectrum."""
    known = _facts(opened)
    configuration = opened.configuration
    name, seed = configuration.get("experiment"), configuration.get("seed")
    text = [
        f"{escaped(opened.path)}: {shortened(name)}, seed {shortened(seed)}, {opened.layout.size} parameters",
        f"  checkpoints ({shortened(configuration.get('checkpoints'))}): {_shorten(known['checkpoints'])}",
    ]
    if known["last_metrics"]:
        text.append("  last metrics: " + in_words(known["last_metrics"]))
    for place in ("analyses", "bipartitions"):
        for analysis, content in known[place].items():
            kind = KINDS[opened.kind(analysis)]
            text.append(f"  {_TITLES[place]} {shortened(analysis)}: {_entries(content['configuration'])}")
            text += [f"    step {step:>8}  {kind.words(row)}" for step, row in content[kind.places[1]].items()]
    return text


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
    shown = [*steps[:6], "...", *steps[-3:]] if len(steps) > 10 else steps
    return f"{len(steps)}, at steps " + ", ".join(map(str, shown))


def _without_infinities(value: Any) -> Any:
    """The same with `None` for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _without_infinities(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
