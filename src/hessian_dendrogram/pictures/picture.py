"""A picture is data: panels of marks, a title, and the sentence that says how to read it; and which ones there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..statistics.layers import CLUSTERS
from ..store.analysed import Analysed, Cut
from .axes import FREE, Axis, Eigenvalues, Steps
from .marks import Mark, Remark

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Panel:
    """Marks on two axes, drawn in their order.

    Attributes:
        marks: the first one is behind the others.
        x, y: the axes.
        title: above it on the left; plain text, of one or more lines.
        square: units of both axes have one length, as the pixels of an image.
        on_paper_only: left out on a screen, where hovering says the same.
    """

    marks: tuple[Mark, ...]
    x: Axis = FREE
    y: Axis = FREE
    title: str = ""
    square: bool = False
    on_paper_only: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """Rows of panels.

    Attributes:
        rows: the panels of each row, from left to right; fewer in a row than in another leave the rest empty.
        title: above all of them; plain text.
        sentence: how to read it.
        height: in inches of a page that is seven inches wide, without the title and the legend.
        heights: of the rows relative to each other; default equal.
        widths: of the columns relative to each other; default equal.
        legend: lines of a legend below a chart, at least; so its height does not change with what is shown.
    """

    rows: tuple[tuple[Panel, ...], ...]
    title: str = ""
    sentence: str = ""
    height: float = 3.5
    heights: tuple[float, ...] = ()
    widths: tuple[float, ...] = ()
    legend: int = 1

    def figure(self) -> Figure:
        """A matplotlib figure for print."""
        from .with_matplotlib import draw

        return draw(self)

    def _repr_png_(self) -> bytes:
        from .with_matplotlib import png

        return png(self.figure())

    def chart(self) -> go.Figure:
        """An interactive plotly figure."""
        from .with_plotly import draw

        return draw(self)

    def shown(self, *, on_paper: bool) -> list[list[Panel]]:
        """The rows as they are drawn, without empty ones and without what a neighbour says.

        Steps that stand again below have no numbers and no name, an upright axis with the name of that left of it none.
        """
        rows = [[panel for panel in row if on_paper or not panel.on_paper_only] for row in self.rows]
        rows = [row for row in rows if row]
        for above, below in pairwise(rows):
            for column, (panel, other) in enumerate(zip(above, below, strict=False)):
                if isinstance(panel.x, Steps) and panel.x == other.x:
                    above[column] = replace(panel, x=replace(panel.x, unlabelled=True))
        for row in rows:
            for column in range(len(row) - 1, 0, -1):
                if (y := row[column].y).label == row[column - 1].y.label and not isinstance(y, Eigenvalues):
                    row[column] = replace(row[column], y=replace(y, label=""))
        return rows


def in_rows(panels: Sequence[Panel], columns: int = 1) -> tuple[tuple[Panel, ...], ...]:
    """Panels in rows of so many."""
    return tuple(tuple(panels[start : start + columns]) for start in range(0, len(panels), columns))


def no_panel(text: str, title: str = "", x: Axis = FREE) -> Panel:
    """A panel that says why it is empty."""
    return Panel((Remark(text, is_all=True),), x=x, title=title)


def nothing(title: str, sentence: str, text: str = "no eigenvalue has converged at these steps") -> Picture:
    """A picture that says why it is empty."""
    return Picture(((no_panel(text),),), title, sentence, height=2.0)


def stacked(first: Picture, *below: Picture) -> Picture:
    """Pictures below each other as one, with the title and the sentence of the first."""
    several = (first, *below)
    heights: list[float] = []
    for one in several:
        shares = one.heights or (1.0,) * len(one.rows)
        heights += [one.height * share / sum(shares) for share in shares]
    rows = tuple(row for one in several for row in one.rows)
    return replace(first, rows=rows, height=sum(heights), heights=tuple(heights))


@dataclass(frozen=True)
class Known:
    """A picture that is drawn of every analysis of a kind.

    Attributes:
        of: the kind of its results, one of `store.kinds.KINDS`.
        title: what it shows, as a heading.
        sentence: how to read it.
        over: makes it of all steps, on the axis of those that are shown.
        at: makes it of one step, by its position, where that step has any; pages then have a slider.
        cut: makes it of a dendrogram that is cut somewhere, which a notebook has sliders for.
        each: makes it of one direction of a step, by its rank; pages then have a slider, and a click chooses.
        printed: makes that of the figures; default `over`.
        applies: whether an analysis has what it needs.
        tab: of the notebook for that kind; "" for none.
        most_steps: how many steps a page's slider has; 0 for all.
    """

    of: str
    title: str
    sentence: str
    over: Callable[[Analysed, Steps], Picture] | None = None
    _: KW_ONLY
    at: Callable[[Analysed, int], Picture | None] | None = None
    cut: Callable[[Cut], Picture | None] | None = None
    each: Callable[[Analysed, int, int], Picture] | None = None
    printed: Callable[[Analysed], Picture] | None = None
    applies: Callable[[Analysed], bool] = lambda _: True
    tab: str = ""
    most_steps: int = 0

    def for_print(self, analysed: Analysed) -> Picture | None:
        """The picture of a figure; `None` where there is none."""
        if not self.applies(analysed):
            return None
        if self.printed:
            return self.printed(analysed)
        return self.over(analysed, Steps.of(analysed.steps)) if self.over else None


def over(make: Callable[..., Picture], *more: str) -> Callable[[Analysed, Steps], Picture]:
    """What makes a picture of all steps, of their results and of what else the analysis has under these names."""
    return lambda a, at: make(at, a.results, **{name: getattr(a, name) for name in more})


def of_clusters(title: str, sentence: str, cut: Callable[[Cut], Picture | None], **known: Any) -> Known:
    """A picture of parameter dendrograms, one cut at a time; a page cuts each into the same number of clusters."""
    return Known("tree", title, sentence, at=lambda a, i: cut(Cut(a, i, "", CLUSTERS)), cut=cut, most_steps=5, **known)


PICTURES: dict[str, Known] = {}
"""Every picture that is drawn of an analysis, by the name of its file; the file of each puts it here."""
