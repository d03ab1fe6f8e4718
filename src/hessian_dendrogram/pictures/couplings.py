"""The couplings of groups of parameters as an image, the groups in the order of the tree that was cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..results.tree import BipartitionTree
from ..statistics.layers import CLUSTERS, coupling_limits
from ..store.analysed import Analysed, Cut
from ..store.trees import describe_error
from ..texts import shortened
from .axes import Axis, Linear, Named, key_positions
from .coupling import BORDER, borders
from .marks import Facts, HeatMap, Line, Region, Scale
from .picture import PICTURES, Panel, Picture, in_rows, nothing, of_clusters

SENTENCE = (
    "How strongly groups of parameters are coupled, ‖A_AB‖ of the block between them, in logarithmic colours and the "
    "order of the tree; white lines are the borders of its clusters, and bright squares between them are what it found."
)
_BAR = "{coupling}, A ≠ B (1 % beyond each end)"
_NAMED = 24  # groups whose names stand at the axis
_FEW = 3  # names of a block's groups that are said


def couplings(
    steps: Sequence[int],
    trees: Sequence[BipartitionTree],
    layout: Layout,
    *,
    k: int = CLUSTERS,
    limits: tuple[float, float] | None = None,
    title: str = "",
    most: int = 4,
) -> Picture:
    """Show the couplings of groups at up to `most` steps, with the borders of `cut(k)`; of many groups block means.

    A group's own norm is not shown. The layout names the groups, as that of the trees' analysis does. `limits` are the
    couplings with the first and the last colour; default as `coupling_limits` chooses them.
    """
    chosen = key_positions(len(steps), most)
    pictures = {position: block_means(trees[position]) for position in chosen}
    if not any(np.nansum(means) > 0 for means in pictures.values()):
        return nothing(title, SENTENCE, "no group is coupled to another")
    bar = _BAR.format(coupling="normalised coupling" if _is_normalised(trees[chosen[0]]) else "coupling ‖A_AB‖")
    scale = Scale(bar, limits or coupling_limits([*pictures.values()]), logarithmic=True)
    names = [shortened(name, 40) for name in layout.names]
    panels = [_panel(trees[i], pictures[i], names, k, scale, f"step {steps[i]:,}") for i in chosen]
    rows = in_rows(panels, 2)
    return Picture(rows, title, SENTENCE, height=5.2 if len(panels) == 1 else 3.0 * len(rows))


def block_means(tree: BipartitionTree) -> NDArray[np.float32]:
    """The tree's picture with means over different groups alone, NaN where a block is one group with itself."""
    assert tree.picture is not None
    means, sizes = tree.picture.copy(), np.diff(_edges(tree)).astype(float)
    with np.errstate(divide="ignore"):
        factors = np.where(sizes > 1, sizes / (sizes - 1), np.nan)
    means[np.diag_indices_from(means)] *= factors.astype(np.float32)
    return means


def _cut(cut: Cut) -> Picture | None:
    """At one step, in colours that are those of every step of all that is seen."""
    if not _is_of_groups(cut.of):
        return None
    alike = _is_normalised(cut.result)
    seen = {one.of for one in (cut, *cut.beside) if _is_of_groups(one.of) and _is_normalised(one.result) == alike}
    limits = coupling_limits([block_means(tree) for of in seen for tree in of.results])
    return couplings([cut.step], [cut.result], cut.of.layout, k=int(cut.at), limits=limits, title=cut.name)


def _is_of_groups(analysed: Analysed) -> bool:
    return all(tree.vertices == "groups" and tree.picture is not None for tree in analysed.results)


def _is_normalised(tree: BipartitionTree) -> bool:
    """Whether the couplings were divided by the groups' own norms, so that they have no unit."""
    return tree.provenance.get("normalised") is True


PICTURES["couplings"] = of_clusters(
    "Couplings of groups in the order of the tree",
    SENTENCE,
    _cut,
    printed=lambda a: couplings(a.steps, a.results, a.layout),
    applies=_is_of_groups,
)


def _edges(tree: BipartitionTree) -> NDArray[np.int64]:
    """Where the blocks of the tree's picture begin and end, as `coupling_picture` has them."""
    assert tree.picture is not None
    return np.linspace(0, tree.size, len(tree.picture) + 1).astype(np.int64)


def _panel(
    tree: BipartitionTree, means: NDArray[np.float32], names: list[str], k: int, scale: Scale, title: str
) -> Panel:
    edges, order = _edges(tree), np.concatenate([tree.order, tree.isolated])
    in_order = [names[at] for at in order.tolist()]
    blocks = [_few(in_order[start:stop]) for start, stop in pairwise(edges)]
    said = "{row}\nand {column}\n" + ("mean coupling {mean:.3g}" if len(blocks) < tree.size else "coupling {mean:.3g}")
    columns = np.array(blocks, dtype=object)
    facts = Facts(said, {"column": columns, "row": columns[:, None], "mean": means})
    heat = HeatMap(edges, edges, np.where(means > 0, means, np.nan), scale, facts)
    none = [Region(label="no coupling at all, or a group with itself")] if not (means > 0).all() else []
    agreed = tree.agreement_at(k)
    halves = [] if agreed is None else [f"halves of the draws agree {agreed:.2f} at k = {k}"]
    heading = "\n".join([f"{title}; white: borders of cut({k})", *describe_error(tree), *halves])
    axis, upright = Linear("groups, in the order of the tree", (0.0, float(tree.size)), ",d"), _upright(in_order)
    return Panel((*none, heat, Line(*borders(tree, k), BORDER, 0.8)), x=axis, y=upright, title=heading, square=True)


def _upright(names: list[str]) -> Axis:
    """The groups from top to bottom, by name where they are few."""
    limits = float(len(names)), 0.0
    if len(names) > _NAMED:
        return Linear("groups", limits, ",d")
    return Named(names, [place + 0.5 for place in range(len(names))], "", limits)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
