"""Mean gap ratio r of the eigenvalues over training, and along the spectrum at a few steps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UserError
from ..results.spectrum import Spectrum
from ..statistics.gap_ratio import GOE, INDEPENDENT_LEVELS, GapRatio, GapRatioWindow, gap_ratio, gap_ratio_along
from .axes import Axis, Eigenvalues, Linear, Steps
from .key_steps import key_positions
from .known import PICTURES, Known
from .marks import Facts, Line, Mark, Nothing, Points, Rule, of_series
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
    "{where}\nr = {mean:.4f} ± {standard_error:.4f} (standard error)\n"
    "{num_ratios:,.0f} ratios used, {num_ties:,.0f} of them with a tie\n"
    "{num_unresolved:,.0f} unresolved, {num_undefined:,.0f} undefined: left out"
)


def level_statistics(steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "") -> Picture:
    """Show r at every step, for each segment and sign, and in windows along the spectrum at a few steps.

    There is no point where fewer than 20 ratios are resolved, or fewer than half of a window's.
    """
    at = Steps.of(steps)
    chosen = {at.steps[position]: spectra[position] for position in key_positions(len(spectra), 3)}
    return Picture(((_over_training(at, spectra),), (_along_spectrum(chosen),)), title, SENTENCE, height=5.4)


PICTURES["level_statistics"] = Known(
    "spectrum", "Level statistics", SENTENCE, lambda a, at: level_statistics(at, a.results), tab="Levels"
)


def _over_training(at: Steps, spectra: Sequence[Spectrum]) -> Panel:
    found, points = _ratio_curves(spectra), []
    for rank, (name, known) in enumerate(found.items()):
        places = np.arange(min(known), max(known) + 1)  # a line breaks at a step without a ratio
        said = [f"step {at.steps[place]:,}, {name}" for place in places.tolist()]
        shifted = places + 0.1 * (rank - (len(found) - 1) / 2)  # side by side, so that bars do not hide each other
        points.append(_ratios(shifted, [known.get(place) for place in places.tolist()], rank, name, said, joined=0.8))
    return _panel(at, points, points, "over training")


def _along_spectrum(spectra: dict[int, Spectrum]) -> Panel:
    windows = {step: _ratio_windows(spectrum) for step, spectrum in spectra.items()}
    used = {step: [(one, one.gap_ratio) for one in found if one.gap_ratio] for step, found in windows.items()}
    ends = [([end for one, _ in found for end in (one.low, one.high)], 0.0) for found in used.values() if found]
    if not ends:
        return _panel(Linear(), [], [], "along the spectrum")
    axis, points = Eigenvalues.around(*ends, name="eigenvalue λ"), []
    lines: list[Mark] = []
    for rank, (step, found) in enumerate(used.items()):
        lows, highs = (np.array([getattr(one, end) for one, _ in found], float) for end in ("low", "high"))
        middles = axis.value_at((axis.place(lows) + axis.place(highs)) / 2)
        said = [f"step {step:,}, λ from {one.low:.4g} to {one.high:.4g}" for one, _ in found]
        label = f"step {step:,}: {len(found)} of {len(windows[step])} windows resolved"
        points.append(_ratios(middles, [ratio for _, ratio in found], rank, label, said))
        widths = np.stack([lows, highs, np.full(len(found), np.nan)], axis=1).ravel()
        lines.append(Line(widths, np.repeat(np.asarray(points[-1].y), 3), of_series(rank)["colour"], 1.0))
    heading = f"along the spectrum: windows of {WINDOW} eigenvalues or more that do not overlap"
    return _panel(axis, points, [*lines, *points], heading)


def _ratios(
    x: ArrayLike, ratios: Sequence[GapRatio | None], rank: int, label: str, said: list[str], *, joined: float = 0.0
) -> Points:
    table = np.array([[getattr(ratio, name) if ratio else np.nan for name in _COLUMNS] for ratio in ratios])
    columns = dict(zip(_COLUMNS, table.reshape(-1, len(_COLUMNS)).T, strict=True))
    facts = Facts(_SAID, {"where": said, **columns})
    look = of_series(rank) | {"size": 3.5, "joined": joined, "label": label}
    return Points(x, columns["mean"], y_errors=columns["standard_error"], facts=facts, **look)


def _panel(x: Axis, points: Sequence[Points], drawn: Sequence[Mark], title: str) -> Panel:
    """Marks over what r would be for random matrices; a reason where there are none."""
    if not points:
        text = "too few eigenvalues have spacings well above their errors at these steps"
        return Panel((Nothing(text),), title=title)
    every = np.concatenate([np.asarray(one.y) + sign * np.asarray(one.y_errors) for one in points for sign in (-1, 1)])
    limits = float(np.nanmin([0.37, *every])) - 0.01, float(np.nanmax([0.55, *every])) + 0.01
    rules = [Rule(value, dash="dot", text=f"{name} {value:.3f}") for name, value in REFERENCES.items()]
    y = Linear("mean gap ratio r\n(bars: standard errors)", limits, ".2f")
    return Panel((*rules, *drawn), x=x, y=y, title=title)


def _ratio_curves(spectra: Sequence[Spectrum]) -> dict[str, dict[int, GapRatio]]:
    """Compute r by kind of eigenvalue and by position in `spectra`; absent where fewer than 20 ratios are resolved."""
    curves: dict[str, dict[int, GapRatio]] = {}
    for position, spectrum in enumerate(spectra):
        for segment in spectrum.segments():
            for label, window in _CURVES[segment].items():
                with suppress(UserError):  # too few ratios are resolved
                    curves.setdefault(label, {})[position] = gap_ratio(spectrum, segment=segment, window=window)
    return curves


def _ratio_windows(spectrum: Spectrum) -> list[GapRatioWindow]:
    """Cut every segment that has enough eigenvalues into windows."""
    found: list[GapRatioWindow] = []
    for name, part in spectrum.segments().items():
        length = part.stop - part.start
        if length >= WINDOW:
            found += gap_ratio_along(spectrum, count=max(WINDOW, length // _MOST_WINDOWS), segment=name)
    return found
