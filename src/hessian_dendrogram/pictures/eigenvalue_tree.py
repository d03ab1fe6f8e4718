"""One panel of an eigenvalue dendrogram, cut at a resolution ε: what is drawn of it, and in which colours.

What is below the floor, unresolved or too fine for a page, is shaded and not drawn. The stem of a cluster has the
cluster's colour up to ε, and its mark on the cut stands on that stem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..statistics.dendrogram import Dendrogram
from .axes import Eigenvalues, Floats, Log
from .clusters import Clusters, clusters_at, nearest_eigenvalue
from .eigenvalue_axis import EigenvalueAxis
from .facts import Facts
from .marks import FAINT, INK, Branches, Line, Mark, Points, Region, Remark, Rule, Tree
from .node_places import MOST_MERGES, drawing_floor, floor_reason, height_limits, node_points
from .palette import COLOURS
from .picture import Panel
from .segments import run_text

Integers = NDArray[np.int64]
_SMALLER = "#B0885A"  # clusters beyond the palette
_MOST_MARKS = 500  # clusters that are marked on the cut
_RUG = 600  # places along the axis that an eigenvalue's tick can have
_CLUSTER = "cluster {number:,}: {size:,} eigenvalues\nfrom {low:.5g} to {high:.5g}\nwidth {width:.3g}"


@dataclass(frozen=True)
class Frame:
    """The axes of a panel, which stay while checkpoint and ε move.

    Attributes:
        axis: of the eigenvalues.
        heights: the limits of the ε axis.
    """

    axis: EigenvalueAxis
    heights: tuple[float, float]

    @classmethod
    def around(cls, trees: Sequence[Dendrogram], most_merges: int = MOST_MERGES) -> Frame:
        """The axes that hold several dendrograms."""
        axis = EigenvalueAxis.around(*((tree.eigenvalues, tree.error_bounds) for tree in trees))
        return cls(axis, height_limits(trees, most_merges))


@dataclass(frozen=True, eq=False)
class Look:
    """How the clusters of a dendrogram are shown.

    Attributes:
        is_named: whether the legend says which eigenvalues have which colour.
        chosen: an eigenvalue whose cluster has a ring around its mark; default none.
        like: a dendrogram that this one stands beside; clusters that overlap most have one colour.
    """

    is_named: bool = True
    chosen: float | None = None
    like: Dendrogram | None = None


def is_lower_end(tree: Dendrogram) -> bool:
    """Whether the outer end of the segment is the lower one: its upper one adjoins a hole."""
    return tree.hole_above and not tree.hole_below


def cluster_colours(tree: Dendrogram, epsilon: float, like: Dendrogram | None = None) -> list[str]:
    """The colour of each cluster at ε, in ascending order: the palette for the largest, ink for single eigenvalues.

    Beside another dendrogram, `like`, a cluster has the colour of that one's cluster at ε with which it shares most
    positions, counted from the outer end; clusters that share none take what is left of the palette.
    """
    clusters = clusters_at(tree, epsilon)
    colours = [INK if size == 1 else _SMALLER for size in clusters.sizes.tolist()]
    largest = [number for number in clusters.by_size().tolist() if clusters.sizes[number] > 1]
    free = list(COLOURS)
    if like is not None:
        inks, others = cluster_colours(like, epsilon), _from_the_end(like, clusters_at(like, epsilon))
        known = [number for number, ink in enumerate(inks) if ink in COLOURS]
        (starts, stops), (first, last) = _from_the_end(tree, clusters)[:, largest], others[:, known]
        shared = np.minimum(stops[:, None], last) - np.maximum(starts[:, None], first)
        for place in np.argsort(-shared, axis=None, kind="stable")[: (shared > 0).sum()].tolist():
            number, colour = largest[place // len(known)], inks[known[place % len(known)]]
            if colour in free and colours[number] == _SMALLER:
                colours[number] = free.pop(free.index(colour))
        free.sort(key=lambda colour: colour in inks)
    left = [number for number in largest if colours[number] == _SMALLER]
    for number, colour in zip(left, free, strict=False):
        colours[number] = colour
    return colours


def _from_the_end(tree: Dendrogram, clusters: Clusters) -> Integers:
    """Where clusters start and stop, counted from the outer end: shape (2, clusters)."""
    if is_lower_end(tree):
        return np.stack([clusters.starts, clusters.stops])
    return len(tree.eigenvalues) - np.stack([clusters.stops, clusters.starts])


def tree_panel(
    tree: Dendrogram,
    epsilon: float,
    frame: Frame,
    *,
    part_of: tuple[Dendrogram, int] | None = None,
    title: str = "",
    most_merges: int = MOST_MERGES,
    look: Look | None = None,
    is_free: bool = False,
) -> Panel:
    """Show a dendrogram with its clusters at ε in colours and a mark for each on the cut.

    Args:
        tree: of one segment, or of some neighbouring eigenvalues of it.
        epsilon: resolution, in units of the eigenvalues.
        frame: the axes.
        part_of: the whole, whose clusters are meant, and the number of the first eigenvalue in it; default the tree.
        title: stands above.
        most_merges: how many are drawn.
        look: how the clusters are shown.
        is_free: whether the axes of a screen follow what is drawn.
    """
    floor, (low, high) = drawing_floor(tree, most_merges), frame.heights
    drawn_from = max(floor, low) if is_free else floor
    shade = [Region(y=(None, floor), label="unresolved or too fine: not drawn")] if floor > low else []
    axis = Eigenvalues(frame.axis, "λ", f"\nshaded: {floor_reason(tree, most_merges)}" if shade else "", is_free)
    values = tree.eigenvalues
    sides = [(frame.axis.low, values[0])] * tree.hole_below + [(values[-1], frame.axis.high)] * tree.hole_above
    marks: list[Mark] = [
        *shade,
        _rug(values, frame, drawn_from),
        *_branches(tree, epsilon, frame.axis, drawn_from, part_of or (tree, 0), look or Look()),
        *(Region(x=side, hatched=True, label="hole: values not known") for side in sides),
    ]
    if not (tree.gap_sizes > floor).any():
        marks.append(Remark("no gap larger than the errors" if len(values) > 1 else "one eigenvalue: no gap"))
    return Panel(tuple(marks), x=axis, y=Log((low, high), "merge height ε (units of λ)", is_free), title=title)


def count_text(tree: Dendrogram, epsilon: float) -> str:
    """ε and the number of clusters, unless errors alone could change it."""
    count = f"= {int(tree.num_clusters(epsilon)):,}" if epsilon > tree.resolution else "is unresolved"
    return f"ε = {epsilon:.3g}: n(ε) {count}"


def _rug(values: Floats, frame: Frame, floor: float) -> Line:
    """A tick for each place that has an eigenvalue; the pen goes from tick to tick along the bottom."""
    first, last = frame.axis.to_axis([frame.axis.low, frame.axis.high])
    places = np.unique(np.round((frame.axis.to_axis(values) - first) / (last - first) * _RUG)) / _RUG
    x = np.repeat(frame.axis.from_axis(first + places * (last - first)), 3)
    return Line(x, np.tile([frame.heights[0], floor, frame.heights[0]], len(places)), FAINT, 0.5)


def _branches(
    tree: Dendrogram,
    epsilon: float,
    axis: EigenvalueAxis,
    floor: float,
    part_of: tuple[Dendrogram, int],
    look: Look,
) -> list[Mark]:
    """The tree, the line of ε, and a mark for each cluster on the stem that ε cuts."""
    count, here = len(tree.eigenvalues), clusters_at(tree, epsilon)
    whole, first = part_of
    clusters, colours = clusters_at(whole, epsilon), cluster_colours(whole, epsilon, look.like)
    numbers = np.searchsorted(clusters.starts, first + here.starts, side="right") - 1  # in the whole
    sizes, ends = clusters.sizes[numbers], [whole.eigenvalues[clusters.starts[numbers]]]
    ends.append(whole.eigenvalues[clusters.stops[numbers] - 1])
    inks = [colours[number] for number in numbers.tolist()]
    places, heights = node_points(tree, axis)
    children = tree.linkage[:, :2].astype(np.int64)
    parents = np.full(len(places), -1, dtype=np.int64)
    parents[children] = count + np.arange(len(children))[:, None]
    merged = np.concatenate([np.ones(count), tree.linkage[:, 3]]).astype(np.int64)
    roots = _roots(tree, here.starts, here.stops)
    owner = _cluster_of_nodes(tree, here.starts, heights, epsilon)
    # A node where ε cuts the stem of a cluster: below it the stem has the cluster's colour.
    cut = np.flatnonzero(heights[roots] < epsilon) if epsilon > floor else np.empty(0, int)
    stems, above = roots[cut], parents[roots[cut]]
    parents[stems] = len(places) + np.arange(len(cut))
    told = np.where(above >= 0, above, stems)  # what is said along a stem: the merge that it leads to, if there is one
    columns = {"height": np.append(heights, heights[told]), "size": np.append(merged, merged[told])}
    places, parents = np.append(places, places[stems]), np.append(parents, above)
    tops, owner = np.append(heights, np.full(len(cut), epsilon)), np.append(owner, np.full(len(cut), -1))
    nodes = np.flatnonzero((parents >= 0) & (tops[parents] > floor))
    of_colour = np.array([*inks, INK], dtype=object)[owner[nodes]]
    groups = [Branches(nodes[of_colour == INK], INK, 1.2, "merges above ε, and single eigenvalues")]
    for colour in (*COLOURS, _SMALLER):  # always as many, so that frames of a film correspond
        chosen = nodes[of_colour == colour]
        label = "smaller clusters" if len(chosen) and look.is_named else ""
        if look.is_named and colour in inks and colour != _SMALLER:
            at = inks.index(colour)
            label = run_text(int(sizes[at]), float(ends[0][at]), float(ends[1][at]))
        groups.append(Branches(chosen, colour, 1.6, label))
    ring: list[Mark] = []
    if look.chosen is not None:
        number = np.searchsorted(clusters.starts, nearest_eigenvalue(whole, look.chosen), side="right") - 1
        rows = np.flatnonzero(numbers == number)
        kind: Any = {"size": 8 + 2 * np.log10(sizes[rows]), "hollow": rows >= 0, "label": "selected cluster"}
        ring = [Points(places[roots[rows]], np.full(len(rows), epsilon), **kind)]
    clusters_said = {"number": numbers + 1, "size": sizes, "low": ends[0], "high": ends[1]}
    said = Facts("merge of {size:,} eigenvalues\nat ε = {height:.4g}", columns)
    return [
        Tree(places, np.maximum(tops, floor), parents, tuple(groups), said),
        Rule(epsilon, colour=INK, dash="dash", label="ε"),
        *ring,
        _marks_on_cut(places[roots], epsilon, inks, clusters_said),
    ]


def _marks_on_cut(places: Floats, epsilon: float, inks: list[str], columns: dict[str, Any]) -> Points:
    """A mark for each of the largest clusters, where ε cuts its stem."""
    sizes = columns["size"]
    shown = np.sort(np.argsort(-sizes, kind="stable")[:_MOST_MARKS])
    some = f" ({_MOST_MARKS} largest)" if len(shown) < len(sizes) else ""
    known = {name: column[shown] for name, column in columns.items()}
    facts = Facts(_CLUSTER, known | {"width": known["high"] - known["low"]})
    look: Any = {"colour": [inks[number] for number in shown.tolist()], "size": 3 + 2 * np.log10(sizes[shown])}
    label = f"a cluster at ε{some}"
    return Points(places[shown], np.full(len(shown), epsilon), clickable=True, label=label, facts=facts, **look)


def _roots(tree: Dendrogram, starts: Integers, stops: Integers) -> Integers:
    """The node that is all of a cluster: a leaf, or its last merge; shape (clusters,)."""
    count = len(tree.eigenvalues)
    if count == 1:
        return np.zeros(1, dtype=np.int64)
    rank = np.empty(count - 1, dtype=np.int64)
    rank[np.argsort(tree.gap_sizes, kind="stable")] = np.arange(count - 1)  # when each gap is closed
    last = [rank[start : stop - 1].max(initial=-1) for start, stop in zip(starts, stops, strict=True)]
    return np.where(stops - starts == 1, starts, count + np.array(last, dtype=np.int64))


def _cluster_of_nodes(tree: Dendrogram, starts: Integers, heights: Floats, epsilon: float) -> Integers:
    """The cluster at ε that a node is part of, -1 for merges above ε: shape (nodes,)."""
    count = len(tree.eigenvalues)
    first = np.concatenate([np.arange(count), np.argsort(tree.gap_sizes, kind="stable")])  # an eigenvalue in each node
    number = np.searchsorted(starts, first, side="right") - 1
    return np.where(heights <= epsilon, number, -1)
