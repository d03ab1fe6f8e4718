"""Marks over training as plain curves, and several of them, of runs of their own, as a median with a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .axes import Axis, Eigenvalues, Floats, Linear, Log, Steps, reach
from .marks import FAINT, Areas, Band, Bars, Dashes, HeatMap, Line, Mark, Points, Scale, Texts
from .picture import Panel

_DECIMALS = 6  # of a step's distance to the next: places that differ by less are one
_SAME = 1e-9
_BESIDE = 0.3  # of the distance to the next step, within which curves are drawn beside each other
_LOG_FROM = 1000.0  # ratio of the largest to the smallest value, if all are positive


@dataclass(frozen=True, eq=False)
class Curve:
    """Numbers over training steps, at most one at a place: a line, points, or a grey range between two ends.

    Attributes:
        name: by which it is found in another panel of the same kind.
        mark: as it was drawn.
        steps: the training steps, shape (n,), also where the mark stands beside them for the sake of its error bars.
        ends: the numbers; of a range its lower and its upper ends: shape (1 or 2, n).
        errors: of each, shape (n,).
        hollow: which are outlines.
        at: the axis.
    """

    name: str
    mark: Line | Points | Bars | Dashes
    steps: Floats
    ends: Floats
    errors: Floats
    hollow: Any
    at: Steps

    @property
    def is_main(self) -> bool:
        """Whether it is of the network itself, and no reference behind it."""
        return self.mark.colour != FAINT


def curves_of(panel: Panel) -> list[Curve] | None:
    """The curves of a panel over training, or `None` where what it shows is something else."""
    found: list[Curve] = []
    if not isinstance(panel.x, Steps) or not isinstance(panel.y, Linear | Log | Eigenvalues) or panel.on_paper_only:
        return None
    for mark in panel.marks:
        if isinstance(mark, HeatMap | Areas | Band | Scale | Texts):
            return None
        if not isinstance(mark, Line | Points | Bars | Dashes):
            continue
        if curve := _curve(mark, panel.x, f"number {len(found)}"):
            found.append(curve)
        elif mark.colour != FAINT and not _is_empty(mark):
            return None
    return found if any(curve.is_main for curve in found) else None


def _is_empty(mark: Mark) -> bool:
    return isinstance(mark, Line | Points) and not np.asarray(mark.x).size


def _curve(mark: Line | Points | Bars | Dashes, at: Steps, unnamed: str) -> Curve | None:
    """The numbers of a mark, where it has one at a place, and one colour."""
    x = np.asarray(mark.places if isinstance(mark, Bars) else mark.x, float)
    is_range = isinstance(mark, Bars | Dashes)
    known = np.isfinite(x)
    if not known.any() or not isinstance(mark.colour, str) or len(np.unique(x[known])) < known.sum():
        return None
    if is_range and (mark.colour != FAINT or (isinstance(mark, Bars) and not mark.upright)):
        return None
    errors, hollow = np.zeros(x.shape), np.zeros(x.shape, bool)
    if isinstance(mark, Bars):
        ends = np.stack([np.asarray(mark.starts, float), np.asarray(mark.stops, float)])
    elif isinstance(mark, Dashes):
        ends = np.asarray(mark.y, float) + np.multiply.outer([-1.0, 1.0], np.asarray(mark.errors, float))
    else:
        ends = np.asarray(mark.y, float)[None]
    if isinstance(mark, Points):
        hollow = np.broadcast_to(np.asarray(mark.hollow, bool), x.shape)
        if mark.y_errors is not None:
            errors = np.nan_to_num(np.broadcast_to(np.asarray(mark.y_errors, float), x.shape), nan=0.0, posinf=np.inf)
    steps = _steps_of(mark, x, at)[known]
    return Curve(mark.label or unnamed, mark, steps, ends[:, known], errors[known], hollow[known], at)


def _steps_of(mark: Line | Points | Bars | Dashes, x: Floats, at: Steps) -> Floats:
    """The steps that a mark's places stand for: those that it says, or else those of the axis."""
    if mark.facts and "step" in mark.facts.columns:
        said = np.asarray(mark.facts.columns["step"])
        if said.dtype.kind in "iuf" and said.shape == x.shape:
            return said.astype(float)
    beside = x - np.round(x)
    if np.nanmax(np.abs(beside)) < _BESIDE and np.nanmax(beside) - np.nanmin(beside) < _SAME:
        x = np.round(x)
    return np.asarray(np.interp(x, np.arange(len(at.steps)), at.steps))


@dataclass(frozen=True, eq=False)
class Spread:
    """What several curves have at each place: shape (n,) each.

    Attributes:
        x: the places.
        median: of the runs that have a number there; of ranges the median of either end, shape (1 or 2, n).
        low, high: the smallest and the largest, errors included.
        runs: how many have one.
        hollow: where it is an outline in one of them at least.
    """

    x: Floats
    median: Floats
    low: Floats
    high: Floats
    runs: Any
    hollow: Any


def spread_of(curves: Sequence[Curve], at: Steps, axis: Axis) -> Spread:
    """The median and the range of curves, at every place where one of them has a number."""
    placed = [np.round(at.place(curve.steps), _DECIMALS) for curve in curves]
    x = np.unique(np.concatenate([one[np.isfinite(one)] for one in placed]))
    shape = len(curves), len(curves[0].ends), len(x)
    middles, lows, highs = (np.full(shape, np.nan) for _ in range(3))
    hollow = np.zeros(len(x), bool)
    for number, (curve, places) in enumerate(zip(curves, placed, strict=True)):
        known = np.flatnonzero(np.isfinite(places))
        rows = np.searchsorted(x, places[known])
        ends = np.where(np.isfinite(curve.ends).all(axis=0), curve.ends, np.nan)
        middles[number][:, rows] = ends[:, known]
        for target, one in zip((lows, highs), reach(axis, ends, curve.errors), strict=True):
            target[number][:, rows] = one[:, known]
        hollow[rows] |= curve.hollow[known]
    there = np.isfinite(middles).any(axis=(0, 1))
    middles, lows, highs = (part[..., there] for part in (middles, lows, highs))
    runs = np.isfinite(middles).any(axis=1).sum(axis=0)
    return Spread(
        x[there],
        np.nanmedian(middles, axis=0),
        np.nanmin(lows, axis=(0, 1)),
        np.nanmax(highs, axis=(0, 1)),
        runs,
        hollow[there],
    )


def union_of(axes: Sequence[Steps]) -> Steps:
    """The axis of all steps of several."""
    steps = tuple(sorted({step for axis in axes for step in axis.steps}))
    return axes[0] if steps == axes[0].steps else replace(axes[0], steps=steps)


def merged(axes: Sequence[Axis], curves: Sequence[Curve]) -> Axis:
    """An axis with room for all that several of one kind show; logarithmic where numbers of a free one need it."""
    first = axes[0]
    if all(isinstance(axis, Eigenvalues) for axis in axes):
        groups = [(curve.ends.ravel(), np.tile(curve.errors, len(curve.ends))) for curve in curves]
        known = [(values[np.isfinite(values)], errors[np.isfinite(values)]) for values, errors in groups]
        assert isinstance(first, Eigenvalues)
        more = {"name": first.name, "remark": first.remark, "is_free": first.is_free}
        return Eigenvalues.around(*(one for one in known if one[0].size), **more)
    limits = [axis.limits for axis in axes if axis.limits is not None]
    whole = (min(map(min, limits)), max(map(max, limits))) if len(limits) == len(axes) else None
    if all(isinstance(axis, Log) for axis in axes) and whole is not None:
        return replace(first, limits=whole)  # type: ignore[arg-type]
    values = np.concatenate([curve.ends[np.isfinite(curve.ends)] for curve in curves])
    if whole is None and values.size and values.min() > 0 and values.max() > _LOG_FROM * values.min():
        return Log.around(values, first.label)
    if not all(isinstance(axis, Linear) for axis in axes):  # some have numbers that a logarithmic axis cannot show
        return Linear(first.label)
    return replace(first, limits=whole)  # type: ignore[arg-type]


def name_of(axis: Axis) -> str:
    """What an axis shows, whatever its numbers are."""
    return axis.name if isinstance(axis, Eigenvalues) else axis.label
