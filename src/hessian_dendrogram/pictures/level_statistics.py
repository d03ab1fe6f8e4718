"""Mean gap ratio r of the eigenvalues over training, and along the spectrum at a few steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..results.spectrum import Spectrum
from ..statistics.gap_ratio import GapRatio
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.gap_ratios import REFERENCES, TOO_FEW, WINDOW, ratio_curves, ratio_windows
from ..views.palette import COLOURS
from ..views.steps import key_positions
from .axes import Axis, Eigenvalues, Linear, Steps
from .facts import Facts
from .marks import SYMBOLS, Line, Mark, Nothing, Points, Rule
from .picture import Panel, Picture

SENTENCE = (
    "How evenly neighbouring eigenvalues are spaced: the mean ratio r of the smaller to the larger of two gaps in a "
    "row, with its standard error; dotted lines are what random matrices have."
)
_COLUMNS = ("mean", "standard_error", "num_ratios", "num_ties", "num_unresolved", "num_undefined")
_SAID = (
    "\nr = {mean:.4f} ± {standard_error:.4f} (standard error)\n"
    "{num_ratios:,.0f} ratios used, {num_ties:,.0f} of them with a tie\n"
    "{num_unresolved:,.0f} unresolved, {num_undefined:,.0f} undefined: left out"
)


def level_statistics(steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "") -> Picture:
    """Show r at every step, and along the spectrum at the first, the middle and the last step."""
    at = Steps.of(steps)
    over = gap_ratio_over_training(at, spectra).rows[0][0]
    chosen = {at.steps[position]: spectra[position] for position in key_positions(len(spectra), 3)}
    along = gap_ratio_along_spectrum(chosen).rows[0][0]
    rows = (replace(over, title="over training"),), (replace(along, title=f"along the spectrum: {along.title}"),)
    return Picture(rows, title, SENTENCE, height=5.4)


def gap_ratio_over_training(steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "") -> Picture:
    """Show r at every step, for each segment and sign; no point where fewer than 20 ratios are resolved.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step, complete or partial.
        title: stands above.
    """
    at, found, points = Steps.of(steps), ratio_curves(spectra), []
    for rank, (name, known) in enumerate(found.items()):
        places = np.arange(min(known), max(known) + 1)  # a line breaks at a step without a ratio
        said = [f"step {at.steps[place]:,}, {name}" for place in places.tolist()]
        shifted = places + 0.1 * (rank - (len(found) - 1) / 2)  # side by side, so that bars do not hide each other
        points.append(_ratios(shifted, [known.get(place) for place in places.tolist()], rank, name, said, joined=0.8))
    return Picture(((_panel(at, points, points),),), title, SENTENCE)


def gap_ratio_along_spectrum(spectra: Mapping[int, Spectrum], *, title: str = "") -> Picture:
    """Show r in windows along the spectrum, none where fewer than half of a window's ratios are resolved.

    Args:
        spectra: a few, by training step.
        title: stands above.
    """
    windows = {step: ratio_windows(spectrum) for step, spectrum in spectra.items()}
    used = {step: [(one, one.gap_ratio) for one in found if one.gap_ratio] for step, found in windows.items()}
    ends = [([end for one, _ in found for end in (one.low, one.high)], 0.0) for found in used.values() if found]
    axis = Eigenvalues(EigenvalueAxis.around(*ends)) if ends else Linear()
    drawn: list[Mark] = []
    points = []
    for rank, (step, found) in enumerate(used.items()):
        lows, highs = (np.array([getattr(one, end) for one, _ in found], float) for end in ("low", "high"))
        middles = axis.value_at((axis.place(lows) + axis.place(highs)) / 2) if isinstance(axis, Eigenvalues) else lows
        said = [f"step {step:,}, λ from {one.low:.4g} to {one.high:.4g}" for one, _ in found]
        label = f"step {step:,}: {len(found)} of {len(windows[step])} windows resolved"
        points.append(_ratios(middles, [ratio for _, ratio in found], rank, label, said))
        widths = np.stack([lows, highs, np.full(len(found), np.nan)], axis=1).ravel()
        drawn.append(Line(widths, np.repeat(np.asarray(points[-1].y), 3), COLOURS[rank % len(COLOURS)], 1.0))
    heading = f"windows of {WINDOW} eigenvalues or more that do not overlap"
    panel = _panel(axis, points if ends else [], [*drawn, *points])
    return Picture(((replace(panel, title=heading if ends else ""),),), title, SENTENCE)


def _ratios(
    x: ArrayLike, ratios: Sequence[GapRatio | None], rank: int, label: str, said: list[str], *, joined: float = 0.0
) -> Points:
    table = np.array([[getattr(ratio, name) if ratio else np.nan for name in _COLUMNS] for ratio in ratios])
    columns = dict(zip(_COLUMNS, table.reshape(-1, len(_COLUMNS)).T, strict=True))
    facts, (mean, error, *_) = Facts("{where}" + _SAID, {"where": said, **columns}), columns.values()
    colour, symbol = COLOURS[rank % len(COLOURS)], SYMBOLS[rank % len(SYMBOLS)]
    return Points(x, mean, colour, symbol, 3.5, y_errors=error, joined=joined, label=label, facts=facts)


def _panel(x: Axis, points: Sequence[Points], drawn: Sequence[Mark]) -> Panel:
    """Marks over what r would be for random matrices; a reason where there are none."""
    if not points:
        return Panel((Nothing(TOO_FEW),))
    ends = [np.asarray(one.y) + sign * np.asarray(one.y_errors) for one in points for sign in (-1, 1)]
    every = np.concatenate(ends)
    limits = float(np.nanmin([0.37, *every])) - 0.01, float(np.nanmax([0.55, *every])) + 0.01
    rules = [Rule(value, dash="dot", text=f"{name} {value:.3f}") for name, value in REFERENCES.items()]
    return Panel((*rules, *drawn), x=x, y=Linear("mean gap ratio r\n(bars: standard errors)", limits, ".2f"))
