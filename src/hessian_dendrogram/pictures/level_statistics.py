"""Mean gap ratio r of the eigenvalues over training, and along the spectrum at a few steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..results.spectrum import Spectrum
from ..statistics.gap_ratio import GapRatio
from ..statistics.level_statistics import REFERENCES, WINDOW, ratio_curves, ratio_windows
from .axes import Axis, Eigenvalues, Linear, Steps, key_positions
from .marks import Facts, Line, Mark, Points, Rule, of_series
from .picture import PICTURES, Known, Panel, Picture, no_panel, over

SENTENCE = (
    "How evenly neighbouring eigenvalues are spaced: the mean ratio r of the smaller to the larger of two gaps in a "
    "row, with its standard error; dotted lines are what a random matrix of the GOE has, two or three equal blocks of "
    "such, and independent levels."
)
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


PICTURES["level_statistics"] = Known("spectrum", "Level statistics", SENTENCE, over(level_statistics), tab="Levels")


def _over_training(at: Steps, spectra: Sequence[Spectrum]) -> Panel:
    found, points = ratio_curves(spectra), []
    for rank, (name, known) in enumerate(found.items()):
        places = np.arange(min(known), max(known) + 1)  # a line breaks at a step without a ratio
        said = [f"step {at.steps[place]:,}, {name}" for place in places.tolist()]
        shifted = places + 0.1 * (rank - (len(found) - 1) / 2)  # side by side, so that bars do not hide each other
        points.append(_ratios(shifted, [known.get(place) for place in places.tolist()], rank, name, said, joined=0.8))
    return _panel(at, points, points, "over training")


def _along_spectrum(spectra: dict[int, Spectrum]) -> Panel:
    windows = {step: ratio_windows(spectrum) for step, spectrum in spectra.items()}
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
        return no_panel("too few eigenvalues have spacings well above their errors at these steps", title)
    every = np.concatenate([np.asarray(one.y) + sign * np.asarray(one.y_errors) for one in points for sign in (-1, 1)])
    limits = float(np.nanmin([0.37, *every])) - 0.01, float(np.nanmax([0.55, *every])) + 0.01
    rules = [Rule(value, dash="dot", text=f"{name} {value:.3f}") for name, value in REFERENCES.items()]
    y = Linear("mean gap ratio r\n(bars: standard errors)", limits, ".2f")
    return Panel((*rules, *drawn), x=x, y=y, title=title)
