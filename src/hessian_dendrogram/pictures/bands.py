"""Pictures of several runs as one: each line's median with a band from the smallest to the largest; and their nulls.

The runs differ in their seed, so a band says how much of a curve is the seed's. It is a range and no confidence
interval: beside three runs, a fourth lies outside it half of the time. Works on any picture over training, as data:
panels and lines are the same where their names are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..store.run import NULLS
from .axes import Axis, Floats, Log, Steps
from .curves import Curve, Spread, merged, spread_of, union_of
from .marks import FAINT, INK, Band, Dash, Facts, Line, Mark, Points, Region, Remark, Rule
from .matched_panels import Chosen, Group, common_title, height_of, is_over_training, matched
from .picture import Panel, Picture

_KINDS: tuple[Dash, ...] = ("dash", "dot", "dashdot")
_DASHES = dict(zip(NULLS.values(), _KINDS, strict=True))  # the same in every picture, whichever nulls there are
_OF_NO_STEP = NULLS["untrained"]  # of no training; another null that was analysed once has that step alone
_FEW = 60  # points that are marked one by one
_SAID = "step {step:,.0f}: {name}\nmedian {median:.5g} of {runs:,} runs\nfrom {low:.5g} to {high:.5g}"
Nulls = Mapping[str, Sequence[Picture]]
"""Pictures of the same kind of the nulls of the runs, by what the null is called, one of `store.run.NULLS`."""


def bands(pictures: Sequence[Picture], nulls: Nulls | None = None) -> Picture | None:
    """One picture of those of several runs; of a single one the picture itself, with its nulls behind its lines.

    A number at a step that only some runs have is that of these, and a panel says where there are such. A mark is
    hollow where that of one run at least is. Error bars are part of the ranges. What does not consist of lines or
    points over training, such as a density, is left out of a picture of several runs.

    Args:
        pictures: of the runs, at least one.
        nulls: those of their nulls; an untrained network, which has one step, is drawn at all steps.

    Returns:
        `None` where the first panels of the pictures are none of lines over training.
    """
    nulls = {name: found for name, found in (nulls or {}).items() if found}
    first = pictures[0]
    chosen = [Chosen.of(one) for one in pictures]
    beside = {name: [Chosen.of(one) for one in found] for name, found in nulls.items()}
    if not is_over_training(pictures):
        return None
    if len(pictures) == 1:
        made = {id(panel): _over_nulls(panel, curves, beside) for panel, curves in chosen[0].panels}
        rows = tuple(tuple(made.get(id(panel), panel) for panel in row) for row in first.rows)
        is_drawn = any(made[id(panel)] is not panel for panel, _ in chosen[0].panels)
        sentence = f"{first.sentence} {_of_nulls(nulls)}" if is_drawn else first.sentence
        return replace(first, rows=rows, sentence=sentence)
    groups = matched(chosen)
    heights = [height_of(group[0][0], pictures) for group in groups]
    rows = tuple((_of_several(group, len(pictures), beside),) for group in groups)
    sentence = (
        f"Each line is the median of {len(pictures)} runs that differ in their seed, its band reaches from the "
        "smallest to the largest of them, error bars included, and a mark is hollow where that of one run at least is; "
        f"of grey ranges, both ends are medians. {_of_nulls(nulls)} Of one run: {first.sentence}"
    )
    title = f"{first.title}\nmedian and range of {len(pictures)} runs".strip()
    return Picture(rows, title, sentence.replace("  ", " "), height=sum(heights), heights=tuple(heights))


def _of_nulls(nulls: Nulls) -> str:
    names = ", ".join(nulls)
    return f"Pale, with broken lines, is the same of the nulls: {names}." if nulls else ""


def _of_several(group: Group, total: int, nulls: Mapping[str, Sequence[Chosen]]) -> Panel:
    """The panels of several runs as one."""
    panel = group[0][0]
    at = union_of([one.x for one, _ in group if isinstance(one.x, Steps)])
    behind = _beside(panel, [curve for _, curves in group for curve in curves], nulls)
    own = [curve for _, curves in group for curve in curves]
    axis = merged([one.y for one, _ in group] + [one.y for one, _ in behind.panels], [*own, *behind.curves])
    names = list(dict.fromkeys(curve.name for curve in own))
    same = [
        mark for mark in panel.marks if isinstance(mark, Rule | Region) and all(mark in one.marks for one, _ in group)
    ]
    ranges: list[Mark] = []
    lines: list[Mark] = []
    counts: set[int] = set()
    hidden = 0
    for name in names:
        several = [curve for curve in own if curve.name == name]
        if len({len(curve.ends) for curve in several}) > 1:
            continue
        spread = spread_of(several, at, axis)
        if not len(spread.x):
            continue
        counts |= {*spread.runs.tolist()} if several[0].is_main else set()
        hidden += _hidden(spread, axis)
        if len(several[0].ends) == 2:
            ranges.append(_range(several[0], spread, axis))
        else:
            ranges.append(_band(spread, axis, str(several[0].mark.colour), is_pale=not several[0].is_main))
            lines.append(_line(several[0], spread, axis, at))
    legend = Band([], [], [], INK, label=f"smallest to largest of {total} runs"), *_legend(behind, total)
    few = f"{min(counts)} to {max(counts)} of {total} runs at a step" if counts and min(counts) < total else ""
    if counts == {min(counts, default=0)} and few:
        few = f"{min(counts)} of {total} runs"
    title = "; ".join(part for part in (common_title([one.title for one, _ in group]), few) if part)
    said = [f"{hidden:,} medians that are not positive have no place on a logarithmic axis"] if hidden else []
    said += [f"of some runs, and in no median: {label}" for label in _left_out(group, names)]
    marks = *same, *_drawn_nulls(behind, own, at, axis), *ranges, *lines, *legend, *map(Remark, said)
    return replace(panel, marks=_with_one_remark(marks), x=at, y=axis, title=title)


def _left_out(group: Group, names: Sequence[str]) -> list[str]:
    """What lines say that are no curves, such as those at steps without a number."""
    lines = [mark for one, _ in group for mark in one.marks if isinstance(mark, Line) and np.isfinite(mark.x).any()]
    return [label for label in dict.fromkeys(mark.label for mark in lines) if label and label not in names]


def _over_nulls(panel: Panel, curves: list[Curve], nulls: Mapping[str, Sequence[Chosen]]) -> Panel:
    """The panel of one run as it is, with its nulls between its references and its lines, if one shows the same."""
    behind = _beside(panel, curves, nulls)
    if not behind.panels or not isinstance(panel.x, Steps):
        return panel
    axis = merged([panel.y, *(one.y for one, _ in behind.panels)], [*curves, *behind.curves])
    references = [mark for mark in panel.marks if getattr(mark, "colour", FAINT) == FAINT]
    own = [mark for mark in panel.marks if mark not in references]
    marks = (*references, *_drawn_nulls(behind, curves, panel.x, axis), *own, *_legend(behind, 1))
    return replace(panel, marks=_with_one_remark(marks), y=axis)


def _with_one_remark(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The same with its remarks as one, since all of them stand in one corner."""
    texts = [mark.text for mark in marks if isinstance(mark, Remark)]
    others = [mark for mark in marks if not isinstance(mark, Remark)]
    return (*others, *([Remark("; ".join(texts))] if texts else []))


@dataclass(frozen=True, eq=False)
class _Behind:
    """What the nulls show of the same: their panels; by the name of a null its main lines and how many runs have it."""

    panels: Group
    by_null: dict[str, list[Curve]]
    runs: dict[str, int]

    @property
    def curves(self) -> list[Curve]:
        return [curve for curves in self.by_null.values() for curve in curves]


def _beside(panel: Panel, curves: Sequence[Curve], nulls: Mapping[str, Sequence[Chosen]]) -> _Behind:
    found = {
        name: [one for chosen in several if (one := chosen.like(panel, curves))] for name, several in nulls.items()
    }
    names = {curve.name for curve in curves}
    by_null = {
        name: [curve for _, some in pairs for curve in some if curve.is_main and curve.name in names]
        for name, pairs in found.items()
    }
    runs = {name: len(several) for name, several in nulls.items()}
    return _Behind([pair for pairs in found.values() for pair in pairs], by_null, runs)


def _drawn_nulls(behind: _Behind, own: Sequence[Curve], at: Steps, axis: Axis) -> list[Mark]:
    """A pale band and a dashed line for each line of each null, and how many of their numbers have no place."""
    drawn: list[Mark] = []
    hidden = 0
    for null, curves in behind.by_null.items():
        for name in dict.fromkeys(curve.name for curve in curves):
            several = [curve for curve in curves if curve.name == name and len(curve.ends) == 1]
            colour = next(str(curve.mark.colour) for curve in own if curve.name == name)
            if null == _OF_NO_STEP and all(len(curve.at.steps) == 1 for curve in several):
                several = [_everywhere(curve, at) for curve in several]
            spread = spread_of(several, at, axis)
            if not len(spread.x):
                continue
            hidden += _hidden(spread, axis)
            facts, y = _facts(f"{null}, {name}", spread, at), _shown(spread.median[0], axis)
            drawn.append(_band(spread, axis, colour, is_pale=True))
            if len(spread.x) == 1:
                drawn.append(Points(spread.x, y, colour, size=2.0, facts=facts))
            drawn.append(Line(spread.x, y, colour, 1.1, _DASHES[null], facts=facts))
    text = f"{hidden:,} numbers of nulls that are not positive have no place on a logarithmic axis"
    return [*drawn, *([Remark(text)] if hidden else [])]


def _legend(behind: _Behind, total: int) -> list[Mark]:
    """An entry of the legend for each null that has a line, whose colour is that of the line that it belongs to."""
    drawn: list[Mark] = []
    for null in (null for null, curves in behind.by_null.items() if curves):
        of = f" of {behind.runs[null]} of {total} runs" if behind.runs[null] < total else ""
        drawn.append(Line([np.nan], [np.nan], INK, 1.1, _DASHES[null], label=null + of))
    return drawn


def _everywhere(curve: Curve, at: Steps) -> Curve:
    """A number of one step as that of the first and of the last one of an axis."""
    last = np.flatnonzero(np.isfinite(curve.ends[0]))[-1:]
    steps = np.array(sorted({at.steps[0], at.steps[-1]} if len(last) else ()), float)
    ends, errors, hollow = (np.repeat(part[..., last], 2, -1) for part in (curve.ends, curve.errors, curve.hollow))
    count = len(steps)
    return replace(curve, steps=steps, ends=ends[:, :count], errors=errors[:count], hollow=hollow[:count], at=at)


def _band(spread: Spread, axis: Axis, colour: str, *, is_pale: bool) -> Band:
    return Band(spread.x, _above_floor(spread.low, axis), _above_floor(spread.high, axis), colour, is_pale)


def _range(curve: Curve, spread: Spread, axis: Axis) -> Band:
    """A grey range, such as that of a null of directions, between the medians of its ends."""
    low, high = (_above_floor(end, axis) for end in spread.median)
    return Band(spread.x, low, high, FAINT, label=curve.mark.label)


def _line(curve: Curve, spread: Spread, axis: Axis, at: Steps) -> Points | Line:
    """The median as the marks of one run are drawn, without their error bars."""
    mark, y, facts = curve.mark, _shown(spread.median[0], axis), _facts(curve.name, spread, at)
    colour, label = str(mark.colour), mark.label
    if isinstance(mark, Points):
        look = {
            "symbol": mark.symbol,
            "size": float(np.max(mark.size, initial=0.0)) or 3.0,
            "joined": mark.joined or 0.8,
        }
        return Points(spread.x, y, colour, hollow=spread.hollow, dash=mark.dash, label=label, facts=facts, **look)  # type: ignore[arg-type]
    assert isinstance(mark, Line)
    if len(spread.x) <= _FEW:
        return Points(spread.x, y, colour, size=2.0, joined=mark.width, dash=mark.dash, label=label, facts=facts)
    return Line(spread.x, y, colour, mark.width, mark.dash, label=label, facts=facts)


def _facts(name: str, spread: Spread, at: Steps) -> Facts:
    steps = np.interp(spread.x, np.arange(len(at.steps)), at.steps)
    columns = {"step": steps, "median": spread.median[0], "runs": spread.runs, "low": spread.low, "high": spread.high}
    return Facts(_SAID, columns | {"name": np.array(name)})


def _hidden(spread: Spread, axis: Axis) -> int:
    return int((spread.median <= 0).sum()) if isinstance(axis, Log) else 0


def _shown(values: Floats, axis: Axis) -> Floats:
    return np.asarray(np.where(values > 0, values, np.nan)) if isinstance(axis, Log) else values


def _above_floor(values: Floats, axis: Axis) -> Floats:
    """The end of a band as far down as a logarithmic axis goes."""
    return np.asarray(np.maximum(values, min(axis.limits))) if isinstance(axis, Log) else values
