"""Loss and accuracy over training, at every step where they were measured, on the step axis of the spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .axes import Floats, Linear, Log, Steps
from .facts import Facts
from .marks import FAINT, SYMBOLS, Line, Mark, Points, Remark
from .palette import COLOURS
from .picture import Panel, Picture
from .segments import nothing

SENTENCE = (
    "Loss and accuracy wherever they were measured; what was measured between two analysed steps stands between them, "
    "so that everything at one place belongs to one training step."
)
CURVES = {
    "loss": {"batch_loss": ("batch", FAINT), "train_loss": ("train", COLOURS[0]), "test_loss": ("test", COLOURS[1])},
    "accuracy": {"train_accuracy": ("train", COLOURS[0]), "test_accuracy": ("test", COLOURS[1])},
}
_FEW = 60  # points that are marked one by one


def training_curves(steps: Sequence[int] | Steps, metrics: Mapping[str, Floats], *, title: str = "") -> Picture:
    """Show loss and accuracy, a panel for each that was measured; what was measured beyond the steps is left out."""
    panels = curve_panels(Steps.of(steps), metrics)
    if not panels:
        return nothing(title, SENTENCE, "neither loss nor accuracy was recorded at these steps")
    return Picture(tuple((panel,) for panel in panels), title, SENTENCE, height=1.9 * len(panels))


def curve_panels(at: Steps, metrics: Mapping[str, Floats]) -> list[Panel]:
    """Make a panel of losses and one of accuracies, where there are any."""
    panels = []
    if losses := curves(at, metrics, "loss"):
        panels.append(loss_panel(at, losses))
    if accuracies := curves(at, metrics, "accuracy"):
        panels.append(Panel(tuple(accuracies), x=at, y=Linear("accuracy", (-0.03, 1.03))))
    return panels


def curves(at: Steps, metrics: Mapping[str, Floats], kind: str) -> list[Line | Points]:
    """Make a line of every column of the kind "loss" or "accuracy", through the rows where it was measured."""
    drawn: list[Line | Points] = []
    for name, (label, colour) in CURVES[kind].items():
        if name not in metrics or "step" not in metrics:
            continue
        there = np.isfinite(metrics[name]) & np.isfinite(at.place(metrics["step"]))
        steps, values = metrics["step"][there], metrics[name][there]
        facts = Facts(f"step {{step:,.0f}}\n{label} {kind} {{value:.5g}}", {"step": steps, "value": values})
        if 0 < len(steps) <= _FEW:
            symbol = SYMBOLS[label == "test"]
            drawn.append(Points(at.place(steps), values, colour, symbol, 2.5, joined=1.2, label=label, facts=facts))
        elif len(steps):
            width = 0.8 if colour == FAINT else 1.4
            drawn.append(Line(at.place(steps), values, colour, width, label=label, facts=facts))
    return drawn


def loss_panel(at: Steps, drawn: Sequence[Line | Points]) -> Panel:
    """Put losses on a logarithmic axis, unless some are negative; what a loss of zero hides is said."""
    values = np.concatenate([np.asarray(mark.y, float) for mark in drawn])
    values = values[np.isfinite(values)]
    if not (values > 0).any() or (values < 0).any():
        return Panel(tuple(drawn), x=at, y=Linear("loss"))
    zeros = int((values == 0).sum())
    remark: list[Mark] = [Remark(f"{zeros:,} losses of zero have no place on a logarithmic axis")] if zeros else []
    return Panel((*drawn, *remark), x=at, y=Log.around(values, "loss"))
