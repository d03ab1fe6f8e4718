"""The curves of the indicators over training, each beside its threshold and shuffled labels."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hessian_dendrogram.pictures.axes import Linear, Log, Named, Steps
from hessian_dendrogram.pictures.marks import FAINT, HeatMap, Line, Mark, Points, Rule, Scale, of_series
from hessian_dendrogram.pictures.paper import save
from hessian_dendrogram.pictures.picture import Panel, Picture, in_rows

from .kept import FOLDER, Kept
from .measure import ADDITION, COUPLINGS, INDUCTION, LARGE, REPORTED_ON
from .network import LABELS, NONE
from .suite import network
from .tables import along_the_dial, seeds_of, series, thresholds

SENTENCE = (
    "A line is a seed, a grey one the same seed with shuffled labels; dashed is the threshold, fixed on other seeds."
)
OF_ADDITION = (
    "accuracy",
    "directions, purity of all",
    "directions, excess purity of all",
    "couplings, closeness",
    "cosine of ingoing weights, closeness",
    "correlation of activations, closeness",
    "couplings, index",
    "embedding norms, share of the largest five",
)
OF_INDUCTION = (
    "accuracy",
    "couplings, closeness of heads",
    "previous-token score, largest",
    "induction score, largest",
)
OF_PARITY = (
    "accuracy",
    "directions, largest share",
    "couplings, closeness",
    "norm of a task's ingoing weights over unused ones",
)


def draw(folder: Path = FOLDER) -> None:
    """Write the method in one figure, and the curves of every kind of network."""
    _method(folder)
    _dial(folder)
    for name, indicators in ((ADDITION, OF_ADDITION), (LARGE, OF_ADDITION)):
        panels = [_of_seeds(name, indicator) for indicator in indicators]
        _save(panels, folder / f"{name}.png", f"Addition modulo {53 if name == ADDITION else 113}")
    _save([_of_seeds(INDUCTION, indicator) for indicator in OF_INDUCTION], folder / "induction.png", "Induction")
    seed = seeds_of("sparse-parity")[0]
    _save(
        [_of_parts(seed, indicator) for indicator in OF_PARITY],
        folder / "sparse-parity.png",
        f"Sparse parity, seed {seed}",
    )


def _method(folder: Path) -> None:
    """What is done in one figure: the couplings cluster by cluster, and the truth beside them."""
    kept = Kept(network(ADDITION, REPORTED_ON[0])).get("picture")
    if kept is None:
        return
    image, truth, clusters = (np.array(kept[name]) for name in ("image", "truth", "clusters"))
    size = len(truth)
    edges = np.linspace(0, size, len(image) + 1).astype(int)
    scale = Scale("normalised coupling of two neurons", (float(np.quantile(image, 0.02)), float(image.max())), True)
    marks: list[Mark] = [HeatMap(edges, edges, image, scale)]
    ends = [0, *(np.flatnonzero(np.diff(clusters)) + 1).tolist(), size]
    for low, high in pairwise(ends):
        marks.append(Line([low, high, high, low, low], [low, low, high, high, low], "#FFFFFF", 1.0))
    axis = Linear("neurons, cluster by cluster", (0.0, float(size)), ",d")
    left = Panel(tuple(marks), x=axis, y=replace(axis, label="neurons", limits=(float(size), 0.0)), square=True)
    frequencies = np.unique(truth[truth != NONE]).tolist()
    reach = (-0.5, len(frequencies) + 0.5)
    points: list[Mark] = [Line([end, end], reach, FAINT, 0.5) for end in ends[1:-1]]
    for place, frequency in enumerate([NONE, *frequencies]):
        look: dict[str, Any] = {"colour": FAINT, "symbol": "x"} if frequency == NONE else of_series(place - 1)
        at = np.flatnonzero(truth == frequency)
        points.append(Points(at + 0.5, np.full(len(at), place), size=2.5, **look))
    names = Named(["none", *map(str, frequencies)], label="frequency of a neuron", limits=reach)
    right = Panel(tuple(points), x=axis, y=names)
    title = "Addition modulo 53: couplings of neurons cluster by cluster, and their frequencies"
    sentence = "White squares and grey lines: the clusters, which do not know the frequencies on the right."
    _write(Picture(((left, right),), title, sentence, height=3.2), folder / "method.png")


def _dial(folder: Path) -> None:
    """The index of planted sub-networks against their coupling."""
    panels = []
    for shape in ("equal", "unequal"):
        marks: list[Mark] = []
        for number, (kind, values) in enumerate(along_the_dial().items()):
            found = [values[f"planted_{shape}_{coupling}"] for coupling in COUPLINGS]
            if not all(found):
                continue
            at, look = np.arange(len(COUPLINGS)) + 0.06 * (number - 1.5), of_series(number)
            means, low, high = (np.array([how(one) for one in found]) for how in (np.mean, np.min, np.max))
            marks += [Line(np.repeat(at, 3), np.stack([low, high, np.full(4, np.nan)], 1).ravel(), look["colour"], 1.0)]
            marks += [Points(at, means, joined=1.2, label=kind, **look)]
        panels.append(
            Panel(
                tuple(marks),
                x=Named(COUPLINGS, label="coupling"),
                title=shape,
                y=Linear("adjusted Rand index", (0.0, 1.05)),
            )
        )
    title = "Planted sub-networks by their Hessian, k given where nothing else is said"
    _write(Picture((tuple(panels),), title, "Vertical lines: the range of the seeds.", height=2.4), folder / "dial.png")


def _write(made: Picture, path: Path) -> None:
    save(made.figure(), path.with_suffix(""))
    path.with_suffix(".pdf").unlink(missing_ok=True)


def _save(panels: list[Panel | None], path: Path, title: str) -> None:
    there = [panel for panel in panels if panel is not None]
    if there:
        rows = in_rows(there, 2)
        _write(Picture(rows, title, SENTENCE, height=1.7 * len(rows)), path)


def _of_seeds(name: str, indicator: str) -> Panel | None:
    """One line a seed."""
    several = {seed: series(name, seed) for seed in seeds_of(name)}
    steps = sorted({step for one in several.values() for step in one})
    if not steps:
        return None
    at, marks = Steps.of(steps), [_threshold(ADDITION if name == LARGE else name, indicator)]
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
    if "norm of" in indicator:
        return replace(Log.around(values), label="ratio")
    return Linear("ratio" if "closeness" in indicator else "")
