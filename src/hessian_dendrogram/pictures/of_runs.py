"""Pictures of runs that belong together: one run beside its nulls, or several seeds as bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..store.analysed import Analysed
from .axes import Steps
from .bands import bands
from .matched_panels import is_over_training
from .picture import Known, Picture
from .training import Metrics, training_curves

_MEASURED = "train_loss", "test_loss", "train_accuracy", "test_accuracy"
_MOST_SEEDS = 12  # whose numbers are in a title


def beside_nulls(
    picture: Picture, nulls: Mapping[str, Analysed], make: Callable[[Analysed], Picture | None]
) -> Picture:
    """The picture of a run with those of its nulls behind its lines, where it is one of lines over training.

    Args:
        picture: of the run.
        nulls: the same analysis of its nulls, as `store.nulls.nulls_of` gives them.
        make: makes the picture of one of them.
    """
    if not nulls or not is_over_training([picture]):
        return picture
    made = {name: [one] for name, null in nulls.items() if (one := make(null))}
    return bands([picture], made) or picture


def with_nulls(known: Known, analysed: Analysed, nulls: Mapping[str, Analysed], at: Steps | None = None) -> Picture:
    """The picture of an analysis over training with those of its nulls, on the axis of the steps that are shown."""
    assert known.over
    make, picture = known.over, known.over(analysed, at or Steps.of(analysed.steps))
    return beside_nulls(picture, nulls, lambda null: make(null, Steps.of(null.steps)) if known.applies(null) else None)


def of_seeds(
    known: Known, several: Sequence[Analysed], nulls: Mapping[str, Sequence[Analysed]], seeds: Sequence[object]
) -> Picture | None:
    """One picture of the same analysis of several runs; `None` where that is no picture of lines over training."""

    def make(one: Analysed) -> Picture | None:
        return known.over(one, Steps.of(one.steps)) if known.over and known.applies(one) else None

    pictures = [made for one in several if (made := make(one))]
    if len(pictures) < len(several) or not is_over_training(pictures):
        return None
    beside = {name: [made for one in found if (made := make(one))] for name, found in nulls.items()}
    drawn = bands(pictures, beside)
    lines = several[0].title, pictures[0].title, named_seeds(seeds)
    return drawn and replace(drawn, title="\n".join(line for line in lines if line))


def training_of_seeds(several: Sequence[Metrics], nulls: Mapping[str, Sequence[Metrics]]) -> Picture | None:
    """Loss and accuracy of several runs, on an axis of the steps at which they were measured."""
    pictures = [_training(metrics) for metrics in several]
    beside = {name: [made for one in found if (made := _training(one))] for name, found in nulls.items()}
    return bands([made for made in pictures if made], beside) if all(pictures) else None


def _training(metrics: Metrics) -> Picture | None:
    measured = [np.isfinite(metrics[name]) for name in _MEASURED if name in metrics]
    there = np.any(measured, axis=0) if measured else np.zeros(0, bool)
    if "step" not in metrics or not there.any():
        return None
    steps = np.unique(metrics["step"][there]).astype(int).tolist()
    return training_curves(Steps(tuple(steps), label="training step (measured steps, equally spaced)"), metrics)


def named_seeds(seeds: Sequence[object]) -> str:
    """What is shown of how many runs, and of which."""
    names = ", ".join(map(str, seeds[:_MOST_SEEDS])) + (" and more" if len(seeds) > _MOST_SEEDS else "")
    return f"median and range of {len(seeds)} runs, seeds {names}"
