"""What is drawn of an analysis without being asked for, and where: in figures, on pages, in tabs of a notebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from .axes import Steps
from .picture import Picture

if TYPE_CHECKING:
    from .analysed import Analysed


@dataclass(frozen=True)
class Known:
    """A picture that is drawn of every analysis of a kind.

    Attributes:
        of: the kind of its results, one of `store.kinds.KINDS`.
        title: what it shows, as a heading.
        sentence: how to read it.
        over: makes it of all steps, on the axis of those that are shown.
        at: makes it of one step, by its position, where that step has any; pages then have a slider.
        printed: makes that of the figures; default `over`.
        applies: whether an analysis has what it needs.
        tab: of the notebook for that kind; "" for none.
        most_steps: how many steps a page's slider has; 0 for all.
        is_printed, is_on_page: whether figures and exported pages have it.
    """

    of: str
    title: str
    sentence: str
    over: Callable[[Analysed, Steps], Picture] | None = None
    _: KW_ONLY
    at: Callable[[Analysed, int], Picture | None] | None = None
    printed: Callable[[Analysed], Picture] | None = None
    applies: Callable[[Analysed], bool] = lambda _: True
    tab: str = ""
    most_steps: int = 0
    is_printed: bool = True
    is_on_page: bool = True

    def for_print(self, analysed: Analysed) -> Picture | None:
        """The picture of a figure; `None` where there is none."""
        if not self.is_printed or not self.applies(analysed):
            return None
        if self.printed:
            return self.printed(analysed)
        return self.over(analysed, Steps.of(analysed.steps)) if self.over else None


PICTURES: dict[str, Known] = {}
"""Every picture that is drawn of an analysis, by the name of its file; the file of each puts it here."""
