"""Loss and accuracy over training, at every step where they were measured, on the step axis of the spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .axes import Floats, Linear, Log, Steps
from .marks import COLOURS, FAINT, SYMBOLS, Facts, Line, Mark, Points, Remark
from .picture import Panel, Picture, in_rows, nothing

SENTENCE = (
    "Loss and accuracy wherever they were measured; what was measured between two analysed steps stands between them, "
    "so that everything at one place belongs to one training step."
)
_CURVES = {"batch": (FAINT, SYMBOLS[0]), "train": (COLOURS[0], SYMBOLS[0]), "test": (COLOURS[1], SYMBOLS[1])}
Metrics = Mapping[str, Floats]
_FEW = 60  # points that are marked one by one


def training_curves(steps: Sequence[int] | Steps, metrics: Metrics, *, title: str = "") -> Picture:
    """Show loss and accuracy, a panel for each that was measured; what was measured beyond the steps is left out."""
    panels = curve_panels(Steps.of(steps), metrics)
    if not panels:
        return nothing(title, SENTENCE, "neither loss nor accuracy was recorded at these steps")
    return Picture(in_rows(panels), title, SENTENCE, height=1.9 * len(panels))


def curve_panels(at: Steps, metrics: Metrics, more: Sequence[Points] = ()) -> list[Panel]:
    """Make a panel of losses, to which more curves may belong, and one of accuracies, where there are any.

    Losses have a logarithmic axis, unless some are negative; what a loss of zero hides is said.
    """
    losses, accuracies = [*_curves(at, metrics, "loss"), *more], _curves(at, metrics, "accuracy")
    panels = []
    if losses:
        values = np.concatenate([np.asarray(mark.y, float) for mark in losses])
        values = values[np.isfinite(values)]
        is_log, zeros = (values > 0).any() and not (values < 0).any(), int((values == 0).sum())
        text = f"{zeros:,} losses of zero have no place on a logarithmic axis"
        remark: list[Mark] = [Remark(text)] if is_log and zeros else []
        panels.append(Panel((*losses, *remark), x=at, y=Log.around(values, "loss") if is_log else Linear("loss")))
    if accuracies:
        panels.append(Panel(tuple(accuracies), x=at, y=Linear("accuracy", (-0.03, 1.03))))
    return panels


def _curves(at: Steps, metrics: Metrics, kind: str) -> list[Line | Points]:
    """Make a line of every column of the kind "loss" or "accuracy", through the rows where it was measured."""
    drawn: list[Line | Points] = []
    for label, (colour, symbol) in _CURVES.items():
        measured = metrics.get(f"{label}_{kind}", np.empty(0))
        there = np.isfinite(measured)
        if "step" in metrics and there.any():
            there &= np.isfinite(at.place(metrics["step"]))
            steps, values = metrics["step"][there], measured[there]
            facts = Facts(f"step {{step:,.0f}}\n{label} {kind} {{value:.5g}}", {"step": steps, "value": values})
            if 0 < len(steps) <= _FEW:
                drawn.append(Points(at.place(steps), values, colour, symbol, 2.5, joined=1.2, label=label, facts=facts))
            elif len(steps):
                width = 0.8 if colour == FAINT else 1.4
                drawn.append(Line(at.place(steps), values, colour, width, label=label, facts=facts))
    return drawn
