"""Pictures of trees of groups: they say groups, name them, and show their couplings."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from grouped import tree_of
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.pictures import marks
from hessian_dendrogram.pictures.composition import composition
from hessian_dendrogram.pictures.connectivity import connectivity
from hessian_dendrogram.pictures.couplings import block_means, couplings
from hessian_dendrogram.pictures.parameter_dendrogram import parameter_dendrogram
from hessian_dendrogram.solvers.graph.bipartition import coupling_picture
from hessian_dendrogram.store.tree_rows import cluster_rows
from picture_helpers import NASTY, drawn, of_kind


def titles(picture):
    return [panel.title for row in picture.rows for panel in row]


@pytest.mark.parametrize(("g", "isolated", "draws"), [(9, 0, 4), (9, 2, 4), (150, 5, 4), (9, 0, 1)])
def test_every_picture_of_groups_is_drawn_by_both_and_says_groups(g, isolated, draws):
    tree, layout, _ = tree_of(g, isolated, draws)
    made = [
        parameter_dendrogram([5], [tree], layout, k=3),
        composition([5], [tree], layout, k=3),
        connectivity([5], [tree]),
        couplings([5], [tree], layout, k=3),
    ]
    for picture in made:
        figure, chart = drawn(picture, laid_out=True)
        axes = [text for one in figure.axes for text in (one.get_xlabel(), one.get_ylabel(), one.get_title(loc="left"))]
        assert not any("parameter" in text for text in [*axes, *(item.name or "" for item in chart.data)])
    assert ("halves of the draws agree " in titles(made[0])[0]) == (draws > 1)
    assert ("median standard error " in titles(made[3])[0]) == (draws > 1)
    assert ("halves of the draws agree 1.00 at k = 3" in titles(made[3])[0]) == (draws > 1)


def test_leaves_are_named_and_coloured_by_their_layer():
    tree, layout, _ = tree_of(9)
    picture = parameter_dendrogram([5], [tree], layout)
    (areas,) = of_kind(picture, marks.Areas)
    assert [*areas.labels] == ["neuron one", "neuron two"]
    said = {line.facts.said(i) for line in of_kind(picture, marks.Line) if line.facts for i in range(len(line.x))}
    name = layout.names[tree.order[0]]
    assert any(text.startswith("leaf of 1 groups\n") and text.endswith(f"\n{name}") for text in said)
    root = [text for text in said if "9 groups" in text]
    assert root
    assert all(name in root[0] for name in layout.names)


def test_the_image_has_the_couplings_in_the_order_of_the_tree_and_their_names():
    tree, layout, found = tree_of(9, isolated=1)
    picture = couplings([5], [tree], layout, k=3)
    (heat,) = of_kind(picture, marks.HeatMap)
    assert heat.scale.bar == "coupling ‖A_AB‖, A ≠ B (1 % beyond each end)"
    divided = replace(tree, provenance={"normalised": True})
    assert of_kind(couplings([5], [divided], layout), marks.HeatMap)[0].scale.bar.startswith("normalised coupling,")
    order = np.r_[tree.order, tree.isolated]
    expected = found.matrix()[np.ix_(order, order)]
    np.testing.assert_allclose(np.nan_to_num(heat.values), expected, rtol=1e-6)
    one, other = (layout.names[order[i]] for i in (0, 1))
    assert heat.facts.said((0, 1)) == f"{one}\nand {other}\ncoupling {expected[0, 1]:.3g}"
    assert [region.label for region in of_kind(picture, marks.Region)] == ["no coupling at all, or a group with itself"]


def test_means_of_many_groups_leave_out_own_norms():
    tree, layout, found = tree_of(150)
    small = replace(tree, picture=coupling_picture(found.matrix(), tree, blocks=40).astype(np.float32))
    means, edges = block_means(small), np.linspace(0, 150, 41).astype(int)
    W = found.matrix()[np.ix_(tree.order, tree.order)]
    for block, (start, stop) in enumerate(pairwise(edges)):
        inside = W[start:stop, start:stop][~np.eye(stop - start, dtype=bool)]
        assert means[block, block] == pytest.approx(inside.mean(), rel=1e-5)
    (heat,) = of_kind(couplings([5], [small], layout), marks.HeatMap)
    assert "mean coupling" in heat.facts.template
    assert " and 1 more" in heat.facts.said((0, 3)) or ", " in heat.facts.said((0, 3))


def test_groups_without_a_coupling_and_names_of_any_origin():
    tree, layout, _ = tree_of(9)
    nothing = replace(tree, picture=np.zeros((9, 9), np.float32))
    assert "no group is coupled to another" in str(
        [mark.text for mark in of_kind(couplings([5], [nothing], layout), marks.Remark)]
    )
    nasty = Layout(tuple(f"{NASTY}{i}" for i in range(9)), ((),) * 9)
    for make in (parameter_dendrogram, couplings, composition):
        drawn(make([5], [tree], nasty), laid_out=True)


def test_the_table_of_clusters_names_every_group_once():
    tree, layout, _ = tree_of(9, isolated=2)
    rows = cluster_rows(tree, layout.names, 3)
    assert [row["cluster"] for row in rows[-1:]] == ["isolated"]
    assert sorted(", ".join(row["names"] for row in rows).split(", ")) == sorted(layout.names)
    assert sum(row["groups"] for row in rows) == 9
    assert [row["groups"] for row in rows[:-1]] == sorted((row["groups"] for row in rows[:-1]), reverse=True)
