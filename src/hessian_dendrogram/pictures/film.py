"""The eigenvalue dendrogram over training: a picture for each step, on the same axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..statistics.dendrogram import Dendrogram
from ..views.tree import MOST_ON_SCREEN
from .axes import Steps
from .dendrogram import dendrogram, leading_count, leading_frame
from .eigenvalue_tree import Frame
from .picture import Picture


def frames(
    steps: Sequence[int] | Steps, trees: Mapping[int, Dendrogram], epsilon: float, *, title: str = ""
) -> dict[int, Picture]:
    """Make the picture of each step, all with equal axes, equally many marks and as many leading eigenvalues.

    Args:
        steps: the analysed training steps, ascending.
        trees: of one segment, by position in `steps`.
        epsilon: resolution, in units of the eigenvalues.
        title: stands above, with the step and the number of clusters.
    """
    if not trees:
        return {}
    every, known, made = list(trees.values()), Steps.of(steps).steps, {}
    count = leading_count(every[-1])
    frame, first = Frame.around(every, MOST_ON_SCREEN), leading_frame(every, count)
    for position, tree in trees.items():
        heading = f"{title}; step {known[position]:,}".removeprefix("; ")
        made[known[position]] = dendrogram(tree, epsilon, frame=frame, first=first, count=count, title=heading)
    if len({len(picture.rows[0]) for picture in made.values()}) > 1:  # somewhere too few eigenvalues for two panels
        made = {step: replace(picture, rows=(picture.rows[0][-1:],), widths=()) for step, picture in made.items()}
    return made
