"""Which panels of pictures of one kind show the same: those of one run, beside those of others and of their nulls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .curves import Curve, curves_of, name_of
from .marks import Remark
from .picture import Panel, Picture

Group = list[tuple[Panel, list[Curve]]]
"""Panels that show the same, each with its curves."""


def is_over_training(pictures: Sequence[Picture]) -> bool:
    """Whether the first panel of each picture consists of curves over training, or says why it is empty; not of all."""
    first = [picture.rows[0][0] for picture in pictures if picture.rows]
    empty = [panel for panel in first if any(isinstance(mark, Remark) and mark.is_all for mark in panel.marks)]
    others = [panel for panel in first if panel not in empty]
    return bool(others) and all(curves_of(panel) for panel in others)


@dataclass(frozen=True, eq=False)
class Chosen:
    """The panels of a picture that consist of curves over training."""

    panels: list[tuple[Panel, list[Curve]]]

    @classmethod
    def of(cls, picture: Picture) -> Chosen:
        """Those of a picture."""
        pairs = [(panel, curves_of(panel)) for row in picture.rows for panel in row]
        return cls([(panel, curves) for panel, curves in pairs if curves])

    def like(
        self, panel: Panel, curves: Sequence[Curve], taken: Sequence[Panel] = ()
    ) -> tuple[Panel, list[Curve]] | None:
        """The panel that shows the same: its axis has the same name, and a main line does, if lines have names."""
        names = {curve.name for curve in curves if curve.is_main}
        for other, found in self.panels:
            if any(other is one for one in taken) or name_of(other.y) != name_of(panel.y):
                continue
            if names & {curve.name for curve in found if curve.is_main}:
                return other, found
        return None


def matched(chosen: Sequence[Chosen]) -> list[Group]:
    """The panels that show the same, each with those of the other pictures, in the order of the fullest picture."""
    taken: list[Panel] = []
    groups: list[Group] = []
    for number, one in enumerate(chosen):
        for panel, curves in one.panels:
            if any(panel is other for other in taken):
                continue
            group = [(panel, curves)]
            for other in chosen[number + 1 :]:
                if found := other.like(panel, curves, taken):
                    group.append(found)
            taken += [member for member, _ in group]
            groups.append(group)
    return groups


def height_of(panel: Panel, pictures: Sequence[Picture]) -> float:
    """Inches of a panel where it comes from."""
    for picture in pictures:
        shares = picture.heights or (1.0,) * len(picture.rows)
        for row, share in zip(picture.rows, shares, strict=True):
            if any(one is panel for one in row):
                return picture.height * share / sum(shares)
    return 1.5


def common_title(titles: Sequence[str]) -> str:
    """What the titles of panels have in common, as whole parts of a sentence; numbers of one run are left out."""
    first = titles[0]
    if len({*titles}) == 1:
        return first
    ends = [one.start() for one in re.finditer("[,;] ", first)]
    shared = [first[:end] for end in ends if all(title.startswith(first[: end + 1]) for title in titles)]
    return max(shared, key=len, default="")
