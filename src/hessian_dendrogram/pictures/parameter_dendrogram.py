"""The parameter dendrogram: nested cuts of a coupling graph, and under them the layers that the leaves are made of.

A tree of groups is drawn alike: its layers are what the names of groups have in common up to the last dot, as in
`neuron mlp.0.17`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..results.tree import BipartitionTree
from ..statistics.layers import Integers, branch_layers, layer_counts, layer_names
from ..store.analysed import Cut
from ..store.trees import describe_agreement, describe_cuts, tree_facts
from ..texts import shortened
from .axes import Floats, Linear, Named, key_positions
from .branches import Branches
from .marks import Areas, Bars, Facts, Line, Mark, Points, Remark, shades
from .picture import PICTURES, Panel, Picture, in_rows, of_clusters

Trees = Sequence[BipartitionTree]
SENTENCE = (
    "A cut divides a set of parameters, or of groups of them, where it is coupled least, and stands as high as the "
    "levels of cuts below it; a branch has the colour of the layer with two thirds of it, and the strip the shares of "
    "all in a leaf."
)
CLUSTER = "#8A3FFC"  # no layer has it
_MIXED = "#8C8C8C"
_STRIP, _SPACE = 0.36, 0.06  # heights of the strip and of the space above it, relative to the tree
_ISOLATED = 0.05  # of the width of the tree, at most
_HOVER, _HEIGHTS = 40, (0.12, 0.37, 0.63, 0.88)  # points from left to right and in a leaf that say its layers
_MOST_LAYERS = 8  # that are said of a leaf
ARBITRARY = "arbitrary cut: its vector is one of many (degenerate λ₂)"
_MOST_NAMES = 12  # of groups, that are said of a node
_FACTS = (
    "{kind}\n{size:,} {vertices}, {share:.0f} % of them of {layer}\neigenvalue of the {laplacian} Laplacian "
    "{eigenvalue:.4g}\nλ₂ {connectivity:.4g}\nconductance {conductance:.4g}{names}"
)


def parameter_dendrogram(
    steps: Sequence[int], trees: Trees, layout: Layout, *, k: int | None = None, title: str = "", most: int = 4
) -> Picture:
    """Show the trees at up to `most` steps, over a strip of the layers in every leaf.

    Isolated parameters stand at the right, on at most a twentieth of the width, however many there are. Groups of the
    layout, where it has some, are shown in place of layers. With `k` the clusters of `tree.cut(k)` are marked.
    """
    chosen, (names, layers) = key_positions(len(steps), most), layer_names(layout)
    panels = []
    for position in chosen:
        tree = trees[position]
        known = tree_facts(tree)
        isolated = [f"{known['isolated']:,} isolated"] if known["isolated"] else []
        heading = ", ".join([f"step {steps[position]:,}: {known['leaves']:,} leaves", *describe_cuts(known), *isolated])
        heading = "\n".join([heading, *describe_agreement(known)])
        name = f"{tree.vertices}, in the order of the tree" if position == chosen[-1] else ""
        members = layout.names if tree.vertices == "groups" else ()
        panels.append(_panel(tree, layer_counts(tree, layers, len(names)), names, k, heading, name, members))
    return Picture(in_rows(panels), title, SENTENCE, height=2.3 * len(panels) if len(panels) > 1 else 3.9, legend=3)


def _cut(cut: Cut) -> Picture:
    """At one step, with its clusters."""
    return parameter_dendrogram([cut.step], [cut.result], cut.of.layout, k=int(cut.at), title=cut.name)


PICTURES["parameter_dendrogram"] = of_clusters(
    "Parameter dendrogram", SENTENCE, _cut, printed=lambda a: parameter_dendrogram(a.steps, a.results, a.layout)
)


def _panel(
    tree: BipartitionTree,
    counts: Integers,
    names: list[str],
    k: int | None,
    title: str,
    name: str,
    members: Sequence[str],
) -> Panel:
    top = max(1, int(tree.levels[0]))
    strip, floor, inks = _STRIP * top, (_STRIP + _SPACE) * top, shades(len(names))
    width = len(tree.order) + min(len(tree.isolated), _ISOLATED * len(tree.order))
    places, heights = (tree.starts + tree.stops).astype(float) / 2, floor + tree.levels.astype(float)
    owners, known = branch_layers(counts), _columns(tree, counts, names, members)
    hanging = [np.flatnonzero((owners == layer) & (tree.parents >= 0)) for layer in range(-1, len(names))]
    labels = ["no layer has two thirds" if len(hanging[0]) else "", *names]
    branches = Branches(places, heights, tree.parents, Facts(_FACTS, known))
    marks: list[Mark] = [
        *_leaves(tree, counts[tree.leaves], names, inks, width, strip, members),
        *(branches.line(*look) for look in zip(hanging, [_MIXED, *inks], [1.0] * len(labels), labels, strict=True)),
    ]
    marked = np.empty(0, int) if k is None else tree.cut(k)
    looks: list[tuple[Integers, dict[str, Any]]] = [
        (marked, {"colour": CLUSTER, "symbol": "diamond", "size": 5.0, "label": f"a cluster of cut({k})"}),
        (np.flatnonzero(tree.is_degenerate), {"size": 3.5, "hollow": True, "label": ARBITRARY}),
    ]
    for nodes, look in looks:
        if len(nodes):
            facts = Facts(_FACTS, {column: of_nodes[nodes] for column, of_nodes in known.items()})
            marks.append(Points(places[nodes], heights[nodes], facts=facts, **look))
    if len(tree.parents) == 1:
        marks.append(Remark("no cut was made: min_size is the whole graph"))
    ticks = range(0, top + 1, -(-top // 6))
    levels = [strip / 2, *(floor + tick for tick in ticks)]
    y = Named(["leaves", *map(str, ticks)], levels, "levels below", (0.0, floor + 1.05 * top))
    return Panel(tuple(marks), x=Linear(name, (0.0, width), ",d"), y=y, title=title)


def _columns(
    tree: BipartitionTree, counts: Integers, names: list[str], members: Sequence[str]
) -> dict[str, NDArray[np.generic]]:
    """What is said of each node."""
    fallen = np.array([f"{len(below):,} components" if below else "leaf" for below in tree.children])
    return {
        "kind": np.where(tree.is_degenerate, ARBITRARY, np.where(tree.eigenvalues > 0, "cut", fallen)),
        "size": tree.stops - tree.starts,
        "share": 100 * counts.max(axis=1) / counts.sum(axis=1),
        "layer": np.array(names, dtype=object)[counts.argmax(axis=1)],
        "laplacian": np.full(len(fallen), tree.laplacian),
        "eigenvalue": tree.eigenvalues,
        "connectivity": tree.connectivities,
        "conductance": tree.conductances,
        "vertices": np.full(len(fallen), tree.vertices),
        "names": np.array([_named(tree, node, members) for node in range(len(fallen))], dtype=object),
    }


def _named(tree: BipartitionTree, node: int, members: Sequence[str]) -> str:
    """The names of a node's groups, of many the first; nothing of parameters, which have none."""
    if not members:
        return ""
    found = [shortened(members[at], 40) for at in tree.members(node)[:_MOST_NAMES]]
    more = int(tree.stops[node] - tree.starts[node]) - len(found)
    return "\n" + ",\n".join([*found, *([f"and {more:,} more"] if more else [])])


def _leaves(
    tree: BipartitionTree,
    counts: Integers,
    names: list[str],
    inks: list[str],
    width: float,
    height: float,
    members: Sequence[str],
) -> list[Mark]:
    """An area for each layer: a bar for each leaf would be hundreds of elements. An unseen line says what they are."""
    starts, stops = tree.starts[tree.leaves], tree.stops[tree.leaves]
    sizes, edges, end = stops - starts, np.stack([starts, stops], axis=1).ravel(), len(tree.order)
    shares = counts / sizes[:, None]
    marks: list[Mark] = [Areas(edges, np.repeat(height * shares.T, 2, axis=1), inks, names)]
    numbers = -(-_HOVER * sizes // end)
    pairs = zip(starts, stops, numbers, strict=True)
    across = np.concatenate([np.linspace(start, stop, 2 * count + 1)[1::2] for start, stop, count in pairs])
    said = [
        _said(f"{size:,} {tree.vertices}", share, names) + _named(tree, leaf, members)
        for leaf, size, share in zip(tree.leaves.tolist(), sizes.tolist(), shares, strict=True)
    ]
    facts = Facts("{said}", {"said": np.tile(np.repeat(np.array(said, dtype=object), numbers), len(_HEIGHTS))})
    marks.append(Line(np.tile(across, len(_HEIGHTS)), np.repeat(_HEIGHTS, len(across)) * height, "", facts=facts))
    if tree.isolated.size:
        told = f"{{count:,}} isolated {tree.vertices}: no coupling to any other"
        facts = Facts(told, {"count": [len(tree.isolated)]})
        label, middle = "isolated (not to scale)", (end + width) / 2
        marks.append(Bars([middle], [0.0], [height], width - end, hatched=True, label=label, facts=facts))
    return marks


def _said(size: str, shares: Floats, names: list[str]) -> str:
    most = [layer for layer in np.argsort(-shares, kind="stable")[:_MOST_LAYERS].tolist() if shares[layer] > 0]
    return f"leaf of {size}" + "".join(f"\n{names[layer]}: {shares[layer]:.0%}" for layer in most)
