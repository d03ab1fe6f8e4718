"""One panel of an eigenvalue dendrogram, cut at a resolution ε: what is drawn of it, and in which colours.

What is below the floor, unresolved or too fine for a page, is shaded and not drawn. The stem of a cluster has the
cluster's colour up to ε, and its mark on the cut stands on that stem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..statistics.dendrogram import Dendrogram
from .axes import Eigenvalues, Floats, Log
from .by_segment import MOST_MERGES, drawing_floor, floor_reason, height_limits
from .clusters import Clusters, clusters_at, nearest_eigenvalue, run_text
from .marks import FAINT, INK, Branches, Facts, Line, Mark, Points, Region, Remark, Rule, Tree
from .palette import COLOURS
from .picture import Panel

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

    axis: Eigenvalues
    heights: tuple[float, float]

    @classmethod
    def around(cls, trees: Sequence[Dendrogram], most_merges: int = MOST_MERGES) -> Frame:
        """The axes that hold several dendrograms."""
        axis = Eigenvalues.around(*((tree.eigenvalues, tree.error_bounds) for tree in trees))
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
    floor, (low, high), (first, last) = drawing_floor(tree, most_merges), frame.heights, frame.axis.limits
    drawn_from = max(floor, low) if is_free else floor
    shade = [Region(y=(None, floor), label="unresolved or too fine: not drawn")] if floor > low else []
    remark = f"\nshaded: {floor_reason(tree, most_merges)}" if shade else ""
    values = tree.eigenvalues
    holes = [(first, values[0])] * tree.hole_below + [(values[-1], last)] * tree.hole_above
    marks: list[Mark] = [
        *shade,
        _rug(values, frame, drawn_from),
        *_branches(tree, epsilon, frame.axis, drawn_from, part_of or (tree, 0), look or Look()),
        *(Region(x=hole, hatched=True, label="hole: values not known") for hole in holes),
    ]
    if not (tree.gap_sizes > floor).any():
        marks.append(Remark("no gap larger than the errors" if len(values) > 1 else "one eigenvalue: no gap"))
    x, y = replace(frame.axis, remark=remark, is_free=is_free), Log((low, high), "merge height ε (units of λ)", is_free)
    return Panel(tuple(marks), x=x, y=y, title=title)


def count_text(tree: Dendrogram, epsilon: float) -> str:
    """ε and the number of clusters, unless errors alone could change it."""
    count = f"= {int(tree.num_clusters(epsilon)):,}" if epsilon > tree.resolution else "is unresolved"
    return f"ε = {epsilon:.3g}: n(ε) {count}"


def _rug(values: Floats, frame: Frame, floor: float) -> Line:
    """A tick for each place that has an eigenvalue; the pen goes from tick to tick along the bottom."""
    first, last = frame.axis.place(frame.axis.limits)
    places = np.unique(np.round((frame.axis.place(values) - first) / (last - first) * _RUG)) / _RUG
    x = np.repeat(frame.axis.value_at(first + places * (last - first)), 3)
    return Line(x, np.tile([frame.heights[0], floor, frame.heights[0]], len(places)), FAINT, 0.5)


def node_points(dendrogram: Dendrogram, axis: Eigenvalues) -> tuple[Floats, Floats]:
    """Where the tree's nodes stand: the k eigenvalues, then the k - 1 merges in the order of `dendrogram.linkage`.

    Returns:
        Positions in units of the eigenvalues and heights ε, shape (2k - 1,) each; an eigenvalue has height 0, a cluster
        is at the mean of its leaves as the axis places them. SciPy's `dendrogram` recurses once per level.
    """
    count, linkage = len(dendrogram.eigenvalues), dendrogram.linkage
    places, sizes = axis.place(dendrogram.eigenvalues).tolist(), [1] * count
    for one, other in linkage[:, :2].astype(np.int64).tolist():
        sizes.append(sizes[one] + sizes[other])
        places.append((sizes[one] * places[one] + sizes[other] * places[other]) / sizes[-1])
    return axis.value_at(places), np.concatenate([np.zeros(count), linkage[:, 2]])


def _branches(
    tree: Dendrogram, epsilon: float, axis: Eigenvalues, floor: float, part_of: tuple[Dendrogram, int], look: Look
) -> list[Mark]:
    """The tree, the line of ε, and a mark for each cluster on the stem that ε cuts."""
    count, here, (whole, first) = len(tree.eigenvalues), clusters_at(tree, epsilon), part_of
    clusters, colours = clusters_at(whole, epsilon), cluster_colours(whole, epsilon, look.like)
    numbers = np.searchsorted(clusters.starts, first + here.starts, side="right") - 1  # in the whole
    inks, sizes = [colours[number] for number in numbers.tolist()], clusters.sizes[numbers]
    lows, highs = whole.eigenvalues[clusters.starts[numbers]], whole.eigenvalues[clusters.stops[numbers] - 1]
    places, heights = node_points(tree, axis)
    children = tree.linkage[:, :2].astype(np.int64)
    parents = np.full(len(places), -1, dtype=np.int64)
    parents[children] = count + np.arange(len(children))[:, None]
    merged = np.concatenate([np.ones(count), tree.linkage[:, 3]]).astype(np.int64)
    # The cluster of each node, by one of its eigenvalues; -1 above ε. The last node of a cluster is all of it.
    inside = np.concatenate([np.arange(count), np.argsort(tree.gap_sizes, kind="stable")])
    owner = np.where(heights <= epsilon, np.searchsorted(here.starts, inside, side="right") - 1, -1)
    roots = np.zeros(len(inks), dtype=np.int64)
    np.maximum.at(roots, owner[owner >= 0], np.flatnonzero(owner >= 0))
    # A node where ε cuts the stem of a cluster: below it the stem has the cluster's colour.
    cut = np.flatnonzero(heights[roots] < epsilon) if epsilon > floor else np.empty(0, int)
    stems, above = roots[cut], parents[roots[cut]]
    parents[stems] = len(places) + np.arange(len(cut))
    told = np.where(above >= 0, above, stems)  # what is said along a stem: the merge that it leads to, if there is one
    columns = {"height": np.append(heights, heights[told]), "size": np.append(merged, merged[told])}
    all_places, parents = np.append(places, places[stems]), np.append(parents, above)
    tops, owner = np.append(heights, np.full(len(cut), epsilon)), np.append(owner, np.full(len(cut), -1))
    nodes = np.flatnonzero((parents >= 0) & (tops[parents] > floor))
    of_colour = np.array([*inks, INK], dtype=object)[owner[nodes]]
    groups = [Branches(nodes[of_colour == INK], INK, 1.2, "merges above ε, and single eigenvalues")]
    for colour in (*COLOURS, _SMALLER):  # always as many, so that frames of a film correspond
        chosen = nodes[of_colour == colour]
        label = "smaller clusters" if len(chosen) and look.is_named else ""
        if look.is_named and colour in inks and colour != _SMALLER:
            at = inks.index(colour)
            label = run_text(int(sizes[at]), float(lows[at]), float(highs[at]))
        groups.append(Branches(chosen, colour, 1.6, label))
    said, ringed = Facts("merge of {size:,} eigenvalues\nat ε = {height:.4g}", columns), np.empty(0, int)
    if look.chosen is not None:
        number = np.searchsorted(clusters.starts, nearest_eigenvalue(whole, look.chosen), side="right") - 1
        ringed = np.flatnonzero(numbers == number)
    columns = {"number": numbers + 1, "size": sizes, "low": lows, "high": highs, "width": highs - lows}
    return [
        Tree(all_places, np.maximum(tops, floor), parents, tuple(groups), said),
        Rule(epsilon, colour=INK, dash="dash", label="ε"),
        *_marks_on_cut(places[roots], epsilon, inks, columns, ringed),
    ]


def _marks_on_cut(
    places: Floats, epsilon: float, inks: list[str], columns: dict[str, Any], ringed: Integers
) -> list[Points]:
    """A mark for each of the largest clusters, where ε cuts its stem, and a ring around the chosen one."""
    sizes, cut = columns["size"], np.full(len(places), epsilon)
    shown = np.sort(np.argsort(-sizes, kind="stable")[:_MOST_MARKS])
    label = "a cluster at ε" + (f" ({_MOST_MARKS} largest)" if len(shown) < len(sizes) else "")
    facts = Facts(_CLUSTER, {name: column[shown] for name, column in columns.items()})
    look: Any = {"colour": [inks[number] for number in shown.tolist()], "size": 3 + 2 * np.log10(sizes[shown])}
    marks = [Points(places[shown], cut[shown], **look, clickable=True, label=label, facts=facts)]
    if len(ringed):
        kind: Any = {"size": 8 + 2 * np.log10(sizes[ringed]), "hollow": True, "label": "selected cluster"}
        marks.insert(0, Points(places[ringed], cut[ringed], **kind))
    return marks
