"""The eigenvalue dendrogram over training: a picture for each step, on the same axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..statistics.dendrogram import Dendrogram
from .axes import Steps
from .key_steps import key_positions
from .moving import MovingDendrogram
from .picture import Picture

_MOST = 30  # steps: more than 8 MB are not sent to a notebook's page


def frames(steps: Sequence[int] | Steps, trees: Mapping[int, Dendrogram], epsilon: float) -> dict[int, Picture]:
    """Make the picture of each step, of at most 30 of them, on equal axes with as many leading eigenvalues and marks.

    Args:
        steps: the analysed training steps, ascending.
        trees: of one segment, by position in `steps`.
        epsilon: resolution, in units of the eigenvalues.
    """
    known, moving, positions = Steps.of(steps).steps, MovingDendrogram(dict(trees)), sorted(trees)
    made = {}
    for at in (positions[i] for i in key_positions(len(positions), _MOST)):
        title = f"step {known[at]:,}"
        made[known[at]] = moving.picture(at, epsilon, title=title, first=moving.first, count=moving.count)
    if len({len(picture.rows[0]) for picture in made.values()}) > 1:  # somewhere too few eigenvalues for two panels
        made = {step: replace(picture, rows=(picture.rows[0][-1:],), widths=()) for step, picture in made.items()}
    return made
