"""One panel of an eigenvalue dendrogram, cut at a resolution ε: what is drawn of it, and in which colours.

What is below the floor, unresolved or too fine for a page, is shaded and not drawn. The stem of a cluster has the
cluster's colour up to ε, and its mark on the cut stands on that stem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..statistics.clusters import clusters_at, run_text, shared_positions
from ..statistics.cut import chosen_cluster, cut_tree
from ..statistics.dendrogram import Dendrogram
from ..statistics.leading import Leading
from ..statistics.measured import count_range, scale_of, unit_of_tree, written
from ..statistics.resolutions import MOST_MERGES, drawing_floor, floor_reason, height_limits
from .axes import Eigenvalues, Floats, Log
from .branches import Branches
from .marks import COLOURS, FAINT, INK, Facts, Line, Mark, Points, Region, Remark, Rule
from .picture import Panel

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
        is_free: whether the axes of a screen follow what is drawn.
    """

    axis: Eigenvalues
    heights: tuple[float, float]
    is_free: bool = False

    @classmethod
    def around(cls, trees: Sequence[Dendrogram], most_merges: int = MOST_MERGES) -> Frame:
        """The axes that hold several dendrograms, whose ε are measured in the same."""
        scale = scale_of(trees[0])
        known = {"name": scale.eigenvalue, "is_logarithmic": scale.is_log}
        axis = Eigenvalues.around(*((written(tree), tree.error_bounds) for tree in trees), **known)
        return cls(axis, height_limits(trees, most_merges))


@dataclass(frozen=True, eq=False)
class Look:
    """How a dendrogram and its clusters are shown.

    Attributes:
        most_merges: how many are drawn.
        is_named: whether the legend says which eigenvalues have which colour.
        chosen: an eigenvalue whose cluster has a ring around its mark, in units of the matrix; default none.
        is_alone: whether the whole of which a part is shown does not stand beside it.
        like: a dendrogram that this one stands beside; clusters that overlap most have one colour.
    """

    most_merges: int = MOST_MERGES
    is_named: bool = True
    is_alone: bool = False
    chosen: float | None = None
    like: Dendrogram | None = None


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
        inks = cluster_colours(like, epsilon)
        known = [number for number, ink in enumerate(inks) if ink in COLOURS]
        shared = shared_positions(tree, clusters, like, clusters_at(like, epsilon))[largest][:, known]
        for place in np.argsort(-shared, axis=None, kind="stable")[: (shared > 0).sum()].tolist():
            number, colour = largest[place // len(known)], inks[known[place % len(known)]]
            if colour in free and colours[number] == _SMALLER:
                colours[number] = free.pop(free.index(colour))
        free.sort(key=lambda colour: colour in inks)
    left = [number for number in largest if colours[number] == _SMALLER]
    for number, colour in zip(left, free, strict=False):
        colours[number] = colour
    return colours


def tree_panel(part: Leading, epsilon: float, frame: Frame, look: Look, title: str = "") -> Panel:
    """Show a dendrogram, or a part of it, with its clusters at ε in colours and a mark for each on the cut.

    ε is measured as the dendrogram's; what stands above is the title and the name of the part.
    """
    tree, (low, high), (first, last) = part.tree, frame.heights, frame.axis.limits
    scale, values, floor = scale_of(tree), written(tree), drawing_floor(tree, look.most_merges)
    drawn_from = max(floor, low) if frame.is_free else floor
    shade = [Region(y=(None, floor), label="unresolved or too fine: not drawn")] if floor > low else []
    holes = [(first, values[0])] * tree.hole_below + [(values[-1], last)] * tree.hole_above
    remark = f"\nshaded: {floor_reason(tree, look.most_merges)}" if shade else ""
    if holes or (look.is_alone and part.whole.num_hidden):
        remark += f"\nhole: {part.whole.num_hidden:,} eigenvalues {scale.hidden}"
    marks: list[Mark] = [
        *shade,
        _rug(values, frame, drawn_from),
        *_branches(part, epsilon, frame.axis, drawn_from, look),
        *(Region(x=hole, hatched=True, label=f"hole: values {scale.hidden}") for hole in holes),
    ]
    if not (tree.gap_sizes > floor).any():
        marks.append(Remark("no gap larger than the errors" if len(values) > 1 else "one eigenvalue: no gap"))
    x = replace(frame.axis, remark=remark, is_free=frame.is_free)
    y = Log((low, high), f"merge height ε{scale.epsilon}", frame.is_free)
    return Panel(tuple(marks), x=x, y=y, title=f"{title}{part.name}")


def count_text(tree: Dendrogram, epsilon: float) -> str:
    """ε, its unit, and the number of clusters, unless errors of eigenvalues alone could change it."""
    counts, unit = count_range(tree, epsilon), unit_of_tree(tree)
    count = "is unresolved" if counts is None else "= " + " to ".join(f"{count:,}" for count in sorted({*counts}))
    said = f" {scale_of(tree).unit} ({unit})" if unit else ""
    return f"ε = {epsilon:.3g}{said}: n(ε) {count}"


def _rug(values: Floats, frame: Frame, floor: float) -> Line:
    """A tick for each place that has an eigenvalue; the pen goes from tick to tick along the bottom."""
    first, last = frame.axis.place(frame.axis.limits)
    places = np.unique(np.round((frame.axis.place(values) - first) / (last - first) * _RUG)) / _RUG
    x = np.repeat(frame.axis.value_at(first + places * (last - first)), 3)
    return Line(x, np.tile([frame.heights[0], floor, frame.heights[0]], len(places)), FAINT, 0.5)


def node_places(tree: Dendrogram, axis: Eigenvalues) -> Floats:
    """Where the k eigenvalues and the k - 1 merges, in the order of `tree.linkage`, stand: shape (2k - 1,).

    A merge is at the mean of its eigenvalues as the axis places them. SciPy's `dendrogram` recurses once per level.
    """
    places, sizes = axis.place(written(tree)).tolist(), [1] * len(tree.eigenvalues)
    for one, other in tree.linkage[:, :2].astype(np.int64).tolist():
        sizes.append(sizes[one] + sizes[other])
        places.append((sizes[one] * places[one] + sizes[other] * places[other]) / sizes[-1])
    return axis.value_at(places)


def _branches(part: Leading, epsilon: float, axis: Eigenvalues, floor: float, look: Look) -> list[Mark]:
    """The tree, the line of ε, and a mark for each cluster on the stem that ε cuts."""
    tree, whole, cut = part.tree, part.whole, cut_tree(part.tree, epsilon, above=floor)
    clusters, colours = clusters_at(whole, epsilon), cluster_colours(whole, epsilon, look.like)
    numbers = clusters.of(part.first + clusters_at(tree, epsilon).starts)  # in the whole
    inks, sizes = [colours[number] for number in numbers.tolist()], clusters.sizes[numbers]
    starts, stops = clusters.starts[numbers], clusters.stops[numbers] - 1
    lows, highs = written(whole)[starts], written(whole)[stops]
    places = node_places(tree, axis)
    said = Facts(
        "merge of {size:,} eigenvalues\nat ε = {height:.4g}",
        {"height": cut.heights[cut.told], "size": cut.sizes[cut.told]},
    )
    branches = Branches(places[cut.at], np.maximum(cut.heights, floor), cut.parents, said)
    nodes = np.flatnonzero((cut.parents >= 0) & (cut.heights[cut.parents] > floor))
    of_colour = np.array([*inks, INK], dtype=object)[cut.clusters[nodes]]
    drawn = [branches.line(nodes[of_colour == INK], label="merges above ε, and single eigenvalues")]
    for colour in (*COLOURS, _SMALLER):  # always as many, so that frames of a film correspond
        chosen = nodes[of_colour == colour]
        label = "smaller clusters" if len(chosen) and look.is_named else ""
        if look.is_named and colour in inks and colour != _SMALLER:
            at = inks.index(colour)
            label = run_text(int(sizes[at]), float(lows[at]), float(highs[at]))
        drawn.append(branches.line(chosen, colour, 1.4, label))
    columns = {"number": numbers + 1, "size": sizes, "low": lows, "high": highs}
    columns["width"] = whole.eigenvalues[stops] - whole.eigenvalues[starts]
    chosen = chosen_cluster(whole, epsilon, look.chosen)
    ringed = np.flatnonzero(numbers == (chosen[0] if chosen else -1))
    return [
        *drawn,
        Rule(epsilon, colour=INK, dash="dash", label="ε"),
        *_marks_on_cut(places[cut.roots], epsilon, inks, columns, ringed),
    ]


def _marks_on_cut(
    places: Floats, epsilon: float, inks: list[str], columns: dict[str, Any], ringed: Any
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
