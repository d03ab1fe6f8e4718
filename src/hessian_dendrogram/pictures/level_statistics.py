"""Mean gap ratio r of the eigenvalues over training, and along the spectrum at a few steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UserError
from ..results.spectrum import Spectrum
from ..statistics.gap_ratio import GOE, INDEPENDENT_LEVELS, GapRatio, GapRatioWindow, gap_ratio, gap_ratio_along
from .axes import Axis, Eigenvalues, Linear, Steps
from .eigenvalue_axis import EigenvalueAxis
from .facts import Facts
from .key_steps import key_positions
from .marks import SYMBOLS, Line, Mark, Nothing, Points, Rule
from .palette import COLOURS
from .picture import Panel, Picture

SENTENCE = (
    "How evenly neighbouring eigenvalues are spaced: the mean ratio r of the smaller to the larger of two gaps in a "
    "row, with its standard error; dotted lines are what a random matrix of the GOE has, two or three equal blocks of "
    "such, and independent levels."
)
REFERENCES = {"GOE": GOE, "2 blocks": 0.423, "3 blocks": 0.403, "independent": INDEPENDENT_LEVELS}
"""What r would be for random matrices."""
WINDOW = 200
"""Eigenvalues in a window, at least; r is then known to about 0.02."""
_EVERYWHERE = (-np.inf, np.inf)
# The curves of each kind of segment, and the eigenvalues that they are about.
_CURVES = {
    "all": {"all resolved": _EVERYWHERE, "negative": (-np.inf, 0.0), "positive": (0.0, np.inf)},
    "bottom": {"smallest": _EVERYWHERE},
    "top": {"largest": _EVERYWHERE},
}
_MOST_WINDOWS = 12  # of each step
_COLUMNS = ("mean", "standard_error", "num_ratios", "num_ties", "num_unresolved", "num_undefined")
_SAID = (
    "\nr = {mean:.4f} ± {standard_error:.4f} (standard error)\n"
    "{num_ratios:,.0f} ratios used, {num_ties:,.0f} of them with a tie\n"
    "{num_unresolved:,.0f} unresolved, {num_undefined:,.0f} undefined: left out"
)


def level_statistics(steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "") -> Picture:
    """Show r at every step, and along the spectrum at the first, the middle and the last step."""
    at = Steps.of(steps)
    over = replace(gap_ratio_over_training(at, spectra).rows[0][0], title="over training")
    chosen = {at.steps[position]: spectra[position] for position in key_positions(len(spectra), 3)}
    along = gap_ratio_along_spectrum(chosen).rows[0][0]
    along = replace(along, title=f"along the spectrum: {along.title}".removesuffix(": "))
    return Picture(((over,), (along,)), title, SENTENCE, height=5.4)


def gap_ratio_over_training(steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "") -> Picture:
    """Show r at every step, for each segment and sign; no point where fewer than 20 ratios are resolved."""
    at, found, points = Steps.of(steps), ratio_curves(spectra), []
    for rank, (name, known) in enumerate(found.items()):
        places = np.arange(min(known), max(known) + 1)  # a line breaks at a step without a ratio
        said = [f"step {at.steps[place]:,}, {name}" for place in places.tolist()]
        shifted = places + 0.1 * (rank - (len(found) - 1) / 2)  # side by side, so that bars do not hide each other
        points.append(_ratios(shifted, [known.get(place) for place in places.tolist()], rank, name, said, joined=0.8))
    return Picture(((_panel(at, points, points),),), title, SENTENCE)


def gap_ratio_along_spectrum(spectra: Mapping[int, Spectrum], *, title: str = "") -> Picture:
    """Show r in windows along the spectra of a few training steps.

    There is none where fewer than half of a window's ratios are resolved.
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
        return Panel((Nothing("too few eigenvalues have spacings well above their errors at these steps"),))
    ends = [np.asarray(one.y) + sign * np.asarray(one.y_errors) for one in points for sign in (-1, 1)]
    every = np.concatenate(ends)
    limits = float(np.nanmin([0.37, *every])) - 0.01, float(np.nanmax([0.55, *every])) + 0.01
    rules = [Rule(value, dash="dot", text=f"{name} {value:.3f}") for name, value in REFERENCES.items()]
    return Panel((*rules, *drawn), x=x, y=Linear("mean gap ratio r\n(bars: standard errors)", limits, ".2f"))


def ratio_curves(spectra: Sequence[Spectrum]) -> dict[str, dict[int, GapRatio]]:
    """Compute r by kind of eigenvalue and by position in `spectra`; absent where fewer than 20 ratios are resolved."""
    curves: dict[str, dict[int, GapRatio]] = {}
    for position, spectrum in enumerate(spectra):
        for segment in spectrum.segments():
            for label, window in _CURVES[segment].items():
                with suppress(UserError):  # too few ratios are resolved
                    curves.setdefault(label, {})[position] = gap_ratio(spectrum, segment=segment, window=window)
    return curves


def ratio_windows(spectrum: Spectrum) -> list[GapRatioWindow]:
    """Cut every segment that has enough eigenvalues into windows."""
    found: list[GapRatioWindow] = []
    for name, part in spectrum.segments().items():
        length = part.stop - part.start
        if length >= WINDOW:
            found += gap_ratio_along(spectrum, count=max(WINDOW, length // _MOST_WINDOWS), segment=name)
    return found
