"""Pictures of trees, filters and films: either library draws any of them, and they show what was computed."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy.cluster.hierarchy import linkage

from hessian_dendrogram.layout import Layout
from hessian_dendrogram.pictures import marks, with_matplotlib, with_plotly
from hessian_dendrogram.pictures.axes import Eigenvalues, Steps
from hessian_dendrogram.pictures.branches import Branches
from hessian_dendrogram.pictures.composition import composition
from hessian_dendrogram.pictures.connectivity import connectivity
from hessian_dendrogram.pictures.dendrogram import dendrogram, dendrograms
from hessian_dendrogram.pictures.eigenvalue_tree import Frame, Look, cluster_colours, node_places, tree_panel
from hessian_dendrogram.pictures.film import film, frames
from hessian_dendrogram.pictures.filters import filters, mosaic
from hessian_dendrogram.pictures.marks import COLOURS, shades
from hessian_dendrogram.pictures.parameter_dendrogram import CLUSTER, parameter_dendrogram
from hessian_dendrogram.pictures.picture import Picture
from hessian_dendrogram.results.tree import BipartitionTree
from hessian_dendrogram.solvers.graph.bipartition import recursive_bipartition
from hessian_dendrogram.statistics.clusters import clusters_at
from hessian_dendrogram.statistics.cut import cut_tree
from hessian_dendrogram.statistics.dendrogram import single_linkage
from hessian_dendrogram.statistics.leading import whole
from hessian_dendrogram.statistics.resolutions import drawing_floor, first_epsilon
from hessian_dendrogram.statistics.segments import by_segment
from picture_helpers import NASTY, complete, drawn, of_kind, partial, realistic, reasons

LAYOUT = Layout(("one.weight", "two.weight", "two.bias"), ((4,), (4,), (2,)))


def cut(W, **options):
    """The tree of a symmetric matrix without its diagonal."""
    W = np.array(W, float)
    np.fill_diagonal(W, 0)
    return recursive_bipartition(W, **{"min_size": 1, **options})


def random_weights(size, seed=0):
    W = np.random.default_rng(seed).uniform(0, 1, (size, size)) ** 4
    return W + W.T


def blocks(isolated=2):
    """Two coupled blocks of four, which are the layers of `LAYOUT`, and isolated parameters."""
    W = np.zeros((8 + isolated, 8 + isolated))
    W[:8, :8] = 0.001
    W[:4, :4] = W[4:8, 4:8] = 1 + random_weights(4, 1)
    return cut(W)


def apart():
    """Three components of two."""
    return cut(np.kron(np.eye(3), np.ones((2, 2))))


def of_one():
    """All of the one parameter there is; bipartition itself wants a coupling."""
    nothing = np.array([np.nan])
    one = {"order": np.zeros(1, int), "isolated": np.empty(0, int), "starts": np.array([0]), "stops": np.array([1])}
    numbers = dict.fromkeys(("eigenvalues", "connectivities", "conductances"), nothing)
    flags = {"parents": np.array([-1]), "is_degenerate": np.array([False])}
    return BipartitionTree(size=1, **one, **numbers, **flags, laplacian="normalised", split="sweep", min_size=1)


def flat(size, **names):
    return Layout(tuple(names) or ("w",), ((size,),))


TREES = {
    "two blocks": (blocks(), LAYOUT),
    "in groups": (blocks(), LAYOUT.grouped({"a group": "one.weight", "$<b>%{x}": [4, 5]})),
    "one parameter": (of_one(), flat(1)),
    "components": (apart(), flat(6)),
    "all cuts arbitrary": (cut(np.ones((6, 6))), flat(6)),
    "never cut": (cut(np.ones((6, 6)), min_size=6), flat(6)),
    "mostly isolated": (blocks(isolated=152), flat(160)),
    "hundreds of layers": (
        cut(random_weights(300), min_size=3),
        Layout(tuple(f"l{i}.w" for i in range(300)), ((),) * 300),
    ),
    "names of any origin": (cut(random_weights(7)), Layout(tuple(NASTY), ((),) * 7)),
    "plain Laplacian": (cut(random_weights(20), laplacian="plain", split="median"), flat(20)),
}
MAKERS = {
    "parameter dendrogram": lambda steps, trees, layout: parameter_dendrogram(steps, trees, layout, k=3, title="t"),
    "connectivity": lambda steps, trees, _: connectivity(steps, trees, title="t"),
    "composition": lambda steps, trees, layout: composition(steps, trees, layout, k=3, title="t"),
}


def words(figure, chart):
    """Everything that is written."""
    texts = [figure.get_suptitle(), *(axes.get_title(loc="left") for axes in figure.axes)]
    texts += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    texts += [text.get_text() for axes in figure.axes for text in axes.texts]
    return texts, [note.text for note in chart.layout.annotations] + [item.name or "" for item in chart.data]


# ── every picture of every tree ──────────────────────────────────────────────────────────────────────────────────────


UNUSUAL = ("names of any origin", "one parameter", "mostly isolated")


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("name", TREES)
def test_any_tree_is_drawn_by_both(name, make):
    tree, layout = TREES[name]
    picture = make([7], [tree], layout)
    figure, chart = drawn(picture, laid_out=name in UNUSUAL)
    assert len(figure.axes) == sum(len(row) for row in picture.rows)
    assert all(panel.title for row in picture.rows for panel in row)
    assert len(chart.data) >= 1
    for text in [item.name or "" for item in chart.data]:
        assert not any(part in text for part in ("<b", "%{", "$", "\x1b"))
        assert len(text) < 200


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_several_trees_are_drawn_by_both(make):
    trees = [TREES[name][0] for name in ("components", "all cuts arbitrary", "never cut")]
    picture = make([0, 5, 1200], trees, flat(6))
    drawn(picture, laid_out=True)
    assert all(panel.title for row in picture.rows for panel in row)


# ── the parameter dendrogram ─────────────────────────────────────────────────────────────────────────────────────────


def pieces(x, y):
    """The lines of a pen: stems as (place, foot, top), and bars as (height, left end, right end)."""
    stems, parts = set(), {}
    for x0, x1, y0, y1 in zip(x, x[1:], y, y[1:], strict=False):
        if np.isnan([x0, x1]).any():
            continue
        assert x0 == x1 or y0 == y1
        if y0 != y1:
            stems.add((x0, min(y0, y1), max(y0, y1)))
        elif x0 != x1:
            parts.setdefault(y0, []).append((min(x0, x1), max(x0, x1)))
    bars = set()
    for height, ends in parts.items():
        low, high = min(ends)
        for start, stop in sorted(ends):
            if start > high:
                bars.add((height, low, high))
                low = start
            high = max(high, stop)
        bars.add((height, low, high))
    return stems, bars


def branch_lines(picture):
    """The lines that branches of trees are drawn with, each of one colour."""
    return [
        line
        for line in of_kind(picture, marks.Line)
        if line.facts and ("merge of" in line.facts.template or "conductance" in line.facts.template)
    ]


def stems(lines, colour=None):
    """The upright lines of a tree as (place, foot, top), of one colour or of all."""
    return {stem for line in lines if colour in (None, line.colour) for stem in pieces(line.x, line.y)[0]}


def rounded(found):
    return sorted(tuple(round(float(part), 9) for part in stem) for stem in found)


@pytest.mark.parametrize("name", TREES)
def test_nodes_stand_over_their_leaves_at_their_levels(name):
    tree, layout = TREES[name]
    picture = parameter_dendrogram([0], [tree], layout)
    (areas,), (panel,) = of_kind(picture, marks.Areas), picture.rows[0]
    zero = panel.y.places[1]
    places, heights = (tree.starts + tree.stops) / 2, zero + tree.levels
    hanging = {(places[node], heights[node], heights[tree.parents[node]]) for node in range(1, len(tree.parents))}
    lines = branch_lines(picture)
    assert rounded(stems(lines)) == rounded(hanging)
    assert sum(len(stems([line])) for line in lines) == len(hanging)  # each in one colour
    assert dict(zip(panel.y.names[1:], panel.y.places[1:], strict=True)) == {
        text: pytest.approx(zero + int(text)) for text in panel.y.names[1:]
    }
    edges = np.asarray(areas.x).reshape(-1, 2)
    middle = dict(zip(tree.starts[tree.leaves].tolist(), edges.mean(axis=1), strict=True))
    for leaf in tree.leaves.tolist():
        assert places[leaf] == pytest.approx(middle[int(tree.starts[leaf])])
    assert areas.heights.sum(axis=0) == pytest.approx(areas.heights.sum(axis=0)[0])


def test_branches_and_leaves_have_the_colour_of_their_layer():
    tree = blocks()
    picture = parameter_dendrogram([0], [tree], LAYOUT)
    (areas,) = of_kind(picture, marks.Areas)
    assert list(areas.colours) == shades(2)
    nodes = {place: node for node, place in enumerate((tree.starts + tree.stops) / 2)}
    for line in branch_lines(picture):
        for place, _, _ in stems([line]):
            owner = {"one" if parameter < 4 else "two" for parameter in tree.members(nodes[place]).tolist()}
            assert owner == {line.label}
    for edge, shares in zip(np.asarray(areas.x)[::2], areas.heights.T[::2], strict=True):
        first = tree.order[int(edge)] < 4
        assert (shares > 0).tolist() == [first, not first]
    assert {"one", "two", "isolated (not to scale)"} <= set(words(*drawn(picture))[0])
    grouped = parameter_dendrogram([0], [tree], LAYOUT.grouped({"mine": "one.weight"}))
    assert of_kind(grouped, marks.Areas)[0].labels == ["mine", "other parameters"]


def test_what_is_said_of_a_cut_and_of_a_leaf():
    tree = blocks()
    picture = parameter_dendrogram([0], [tree], LAYOUT)
    line, *_ = [line for line in branch_lines(picture) if len(line.x)]
    assert line.facts.said(0) == (
        "cut\n8 parameters, 50 % of them of one\n"
        f"eigenvalue of the normalised Laplacian {tree.eigenvalues[0]:.4g}\nλ₂ {tree.connectivities[0]:.4g}\n"
        f"conductance {tree.conductances[0]:.4g}"
    )
    (line,) = [line for line in of_kind(picture, marks.Line) if line.colour == ""]
    for point, x in enumerate(np.asarray(line.x).tolist()):
        layer = "one" if tree.order[int(x)] < 4 else "two"
        assert line.facts.said(point) == f"leaf of 1 parameters\n{layer}: 100%"
    fallen, *_ = [line for line in branch_lines(parameter_dendrogram([0], [apart()], flat(6))) if len(line.x)]
    assert "3 components" in fallen.facts.said(0)
    (bars,) = of_kind(picture, marks.Bars)
    assert bars.facts.said(0).startswith("2 isolated parameters")


def test_clusters_have_a_colour_of_their_own_and_arbitrary_cuts_are_hollow():
    tree = blocks()
    picture = parameter_dendrogram([0], [tree], LAYOUT, k=2)
    (diamonds,) = of_kind(picture, marks.Points)
    feet = {(place, foot) for place, foot, _ in stems(branch_lines(picture))}
    assert len(diamonds.x) == 2
    assert set(zip(np.asarray(diamonds.x).tolist(), np.asarray(diamonds.y).tolist(), strict=True)) < feet
    assert diamonds.colour == CLUSTER not in {*shades(100), *(line.colour for line in branch_lines(picture))}
    assert "a cluster of cut(2)" in [item.name for item in drawn(picture)[1].data]
    tree = cut(np.ones((6, 6)))
    (circles,) = of_kind(parameter_dendrogram([0], [tree], flat(6)), marks.Points)
    assert len(circles.x) == tree.is_degenerate.sum() > 0
    assert np.asarray(circles.hollow).all()
    assert "arbitrary cut" in circles.label
    assert "arbitrary cut" in circles.facts.said(0)


def test_a_tree_has_its_width_however_many_parameters_are_isolated():
    tree = blocks(isolated=152)
    picture = parameter_dendrogram([0], [tree], flat(160))
    (bars,), axis = of_kind(picture, marks.Bars), picture.rows[0][0].x
    places = [place for place, _, _ in stems(branch_lines(picture))]
    assert set(places) == set(((tree.starts + tree.stops) / 2).tolist()[1:])  # in parameters, as the axis says
    assert np.ptp(places) > 0.8 * axis.limits[1]
    assert bars.places[0] - bars.thickness / 2 == pytest.approx(8)
    assert bars.places[0] + bars.thickness / 2 == pytest.approx(axis.limits[1])
    assert "152 isolated" in picture.rows[0][0].title
    few = parameter_dendrogram([0], [cut(np.pad(random_weights(40), (0, 1)))], flat(41))
    assert few.rows[0][0].x.limits == (0, 41)  # to scale


def test_a_few_steps_stand_one_under_another():
    trees = [cut(random_weights(20, seed)) for seed in range(9)]
    picture = parameter_dendrogram(list(range(0, 9000, 1000)), trees, flat(20))
    assert [row[0].title.split(":")[0] for row in picture.rows] == ["step 0", "step 3,000", "step 5,000", "step 8,000"]
    assert [bool(row[0].x.label) for row in picture.rows] == [False, False, False, True]


# ── over training ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pictures_over_training_share_their_step_axis():
    at, trees = Steps((0, 5, 9), 5, 9), [blocks()] * 3
    for picture in (connectivity(at, trees), composition(at, trees, LAYOUT)):
        assert {panel.x.limits for row in picture.rows for panel in row} == {(0.5, 2.5)}


def test_composition_adds_up_to_the_clusters():
    trees = [blocks(), cut(random_weights(10))]
    picture = composition([0, 1200], trees, LAYOUT, k=3)
    panels = [panel for row in picture.rows for panel in row]
    owners = np.array([0] * 4 + [1] * 6)
    for rank, panel in enumerate(panels):
        for bars in panel.marks:
            layer = ["one", "two"].index(bars.label)
            for at, height in zip(bars.places, np.asarray(bars.stops) - np.asarray(bars.starts), strict=True):
                tree = trees[at]
                nodes = sorted(tree.cut(3).tolist(), key=lambda node: tree.starts[node] - tree.stops[node])
                assert height == (owners[tree.members(nodes[rank])] == layer).sum()
    (first, *_) = composition([1200], [blocks()], LAYOUT, k=2).rows[0][0].marks
    assert first.facts.said(0) == f"step 1,200, cluster 1\n{first.label}: 4 of 4 parameters"
    assert len([panel for row in composition([0], [blocks()], LAYOUT, k=50).rows for panel in row]) == 8


def test_connectivity_shows_the_numbers_of_the_trees():
    trees = [blocks(), cut(random_weights(10)), cut(np.ones((10, 10)))]
    metrics = {"step": np.array([0.0, 5.0, 9.0, 99.0]), "train_loss": np.array([2.0, 1.0, 0.5, 1e-9])}
    metrics |= {"test_accuracy": np.array([0.1, np.nan, 0.9, 1.0])}
    picture = connectivity([0, 5, 9], trees, metrics=metrics)
    shown = {points.label: points for points in of_kind(picture, marks.Points)}
    for label, column in (
        ("algebraic connectivity λ₂", "connectivities"),
        ("eigenvalue of the normalised Laplacian", "eigenvalues"),
        ("conductance", "conductances"),
    ):
        assert np.asarray(shown[label].y).tolist() == [float(getattr(tree, column)[0]) for tree in trees]
        assert np.asarray(shown[label].hollow).tolist() == [bool(tree.is_degenerate[0]) for tree in trees]
    assert np.asarray(shown["isolated parameters"].y).tolist() == [2, 0, 0]
    assert np.asarray(shown["train"].y).tolist() == [2, 1, 0.5]
    assert (np.asarray(shown["test"].x).tolist(), np.asarray(shown["test"].y).tolist()) == ([0, 2], [0.1, 0.9])
    assert picture.rows[3][0].y.limits[0] > 0.1  # a loss at another step does not stretch the axis
    assert "arbitrary cut" in shown["conductance"].facts.said(2)
    assert shown["conductance"].facts.said(0) == f"step 0\nconductance {trees[0].conductances[0]:.5g}"
    labels = [text for text in words(*drawn(picture))[0] if text.startswith("hollow: arbitrary cut")]
    assert labels


def test_connectivity_has_no_panel_of_zeros_and_says_why_one_is_empty():
    whole, fallen, single = cut(random_weights(6)), apart(), cut(np.ones((6, 6)), min_size=6)
    titles = lambda *trees: [  # noqa: E731
        row[0].title.split(";")[0] for row in connectivity(list(range(len(trees))), trees).rows
    ]
    assert titles(whole, whole) == ["algebraic connectivity λ₂", "first cut"]
    assert "no parameter is isolated" in connectivity([0], [whole]).rows[0][0].title
    assert titles(blocks())[-1].startswith("isolated parameters, of 10")
    for trees, reason in (([fallen, fallen], "several components at every step"), ([single], "no cut was made")):
        assert len(titles(*trees)) == 1
        (text,) = reasons(connectivity(list(range(len(trees))), trees))
        assert reason in text
    mixed = connectivity([0, 3], [whole, fallen])
    (line,) = of_kind(mixed, marks.Line)
    assert line.facts.said(0) == "step 3: several components"
    assert np.asarray(line.x).tolist() == [1, 1, 1]
    assert len(of_kind(mixed, marks.Points)[0].x) == 1
    drawn(mixed)


# ── filters ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_filters_are_square_images_in_one_scale_around_zero():
    weights = [np.random.default_rng(seed).normal(size=(3, 1, 2, 4)) for seed in range(2)]
    picture = filters([0, 14070], weights, name="conv1.weight")
    (heat,), (panel,) = of_kind(picture, marks.HeatMap), picture.rows[0]
    for row in range(2):
        for column in range(3):
            image = heat.values[3 * row : 3 * row + 2, 5 * column : 5 * column + 4]
            assert image.tolist() == weights[row][column, 0].tolist()
    assert np.isnan(heat.values[2]).all()
    assert heat.scale.limits == (-np.abs(weights).max(), np.abs(weights).max())
    assert panel.square
    assert panel.y.names == ["0", "14,070"]
    assert panel.y.limits[0] > panel.y.limits[1]  # the first row is above
    assert heat.facts.said((3, 7)) == f"{weights[1][1, 0, 0, 2]:.4g} at row 0, column 2 of filter 1"
    figure, chart = drawn(picture)
    assert figure.axes[0].get_aspect() == 1
    assert chart.layout.coloraxis.cmin == -chart.layout.coloraxis.cmax


def test_awkward_filters_are_drawn_and_the_title_says_what_is_not():
    many = filters(["one", "two"], [np.ones((40, 3, 2, 2))] * 2, rows="eigenvalue", unit="entry")
    assert many.rows[0][0].title == "filters; mean over 3 input channels; the first 16 of 40"
    for picture in (
        many,
        filters([0], [np.zeros((1, 1, 1, 1))]),
        filters([0], [np.array([[[[np.nan, 1.0]]]])]),
    ):
        drawn(picture)
    drawn(filters(NASTY, [np.ones((2, 1, 2, 2))] * 7, name="".join(NASTY), title="\n".join(NASTY)), laid_out=True)
    several = np.random.default_rng(0).normal(size=(20, 3, 4, 4))
    (heat,) = of_kind(filters([0, 9], [several, 2 * several]), marks.HeatMap)
    assert heat.values[5:9, 10:14] == pytest.approx(2 * several[2].mean(axis=0))
    assert mosaic(np.zeros((1, 1, 2, 3))).shape == (2, 3)
    assert of_kind(filters([0], [np.array([[[[np.inf, 3.0]]]])]), marks.HeatMap)[0].scale.limits == (-3, 3)


# ── the eigenvalue dendrogram ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_pen_draws_three_children_and_two_trees():
    x, y = np.array([2.0, 1.0, 2.0, 4.0, 0.5, 1.5, 9.0, 8.0]), np.array([3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    parents = np.array([-1, 0, 0, 0, 1, 1, -1, 6])
    branches = Branches(x, y, parents, marks.Facts("", {}))
    across, upright, owners = branches.pen(np.array([1, 2, 3, 4, 5, 7]))
    stems, bars = pieces(across, upright)
    assert stems == {(1, 2, 3), (2, 1, 3), (4, 0, 3), (0.5, 0, 2), (1.5, 0, 2), (8, 0, 1)}
    assert bars == {(3, 1, 4), (2, 0.5, 1.5), (1, 8, 9)}
    assert np.isnan(across).sum() == 2
    assert set(owners.tolist()) == {-1, 0, 1, 6}
    # Without the branches between them, parts of one tree are lines of their own.
    apart, _, _ = branches.pen(np.array([3, 4, 7]))
    assert np.isnan(apart).sum() == 3
    assert [len(part) for part in branches.pen(np.array([], dtype=np.int64))] == [0, 0, 0]


@pytest.mark.parametrize("epsilon", [1e-4, 0.1, 100.0])
def test_the_pen_draws_every_branch_and_says_whose_each_point_is(epsilon):
    tree = single_linkage(realistic(error_bounds=1e-9))
    cut, axis = cut_tree(tree, epsilon, above=0.0), Eigenvalues.around((tree.eigenvalues, 1e-9))
    places, heights, parents = node_places(tree, axis)[cut.at], cut.heights, cut.parents
    hanging = np.flatnonzero(parents >= 0)
    for cluster in np.unique(cut.clusters).tolist():
        nodes = hanging[cut.clusters[hanging] == cluster]
        x, y, owners = Branches(places, heights, parents, marks.Facts("", {})).pen(nodes)
        ends = [(places[node], heights[node], heights[parents[node]]) for node in nodes.tolist()]
        assert pieces(x, y)[0] == {stem for stem in ends if stem[1] < stem[2]}
        for at, height, owner in zip(x.tolist(), y.tolist(), owners.tolist(), strict=True):
            if owner >= 0:  # on the bar of the node that is told, or on a stem that hangs from it
                below = nodes[parents[nodes] == owner]
                ends = [places[owner], *places[below]]
                is_on_bar = height == heights[owner] and min(ends) <= at <= max(ends)
                assert is_on_bar or ((places[below] == at) & (heights[below] <= height)).any()
        assert np.isnan(x).sum() <= 1  # all of a cluster is one line


@pytest.mark.parametrize("spectrum", [realistic(), complete([1.0, 1.0, 2.0]), complete([-5.0, 7.0])])
def test_nodes_stand_at_the_heights_of_scipys_linkage_over_their_eigenvalues(spectrum):
    tree = single_linkage(spectrum)
    axis, count = Eigenvalues.around((tree.eigenvalues, 1e-6)), len(tree.eigenvalues)
    places, heights = node_places(tree, axis), cut_tree(tree, 0.0, above=0.0).heights
    reference = linkage(tree.eigenvalues[:, None], "single")
    assert heights == pytest.approx(np.concatenate([np.zeros(count), reference[:, 2]]), abs=1e-12)
    assert places[:count] == pytest.approx(tree.eigenvalues, rel=1e-9, abs=1e-15)
    members = [{leaf} for leaf in range(count)]
    for one, other in tree.linkage[:, :2].astype(int).tolist():
        members.append(members[one] | members[other])
    means = [axis.place(tree.eigenvalues[sorted(leaves)]).mean() for leaves in members]
    assert axis.place(places) == pytest.approx(means, rel=1e-9, abs=1e-12)


def test_what_is_within_its_error_or_beyond_a_thousand_merges_is_not_drawn():
    tree = single_linkage(complete([0.0, 0.1, 0.3, 5.0], 0.08))  # gaps 0.1, 0.2, 4.7; gap error 0.16
    assert drawing_floor(tree) == pytest.approx(0.16)
    lines = branch_lines(dendrograms([0], [complete([0.0, 0.1, 0.3, 5.0], 0.08)]))
    assert sorted({top for _, _, top in stems(lines)} - {first_epsilon(tree)}) == pytest.approx([0.2, 4.7])
    large = single_linkage(complete(np.cumsum(np.random.default_rng(0).exponential(size=3000))))
    assert (large.gap_sizes > drawing_floor(large)).sum() == 1000


@pytest.mark.parametrize("epsilon", [1e-4, 0.1, 2.0, 100.0])
def test_marks_stand_on_their_branches_and_have_their_colour(epsilon):
    tree = single_linkage(realistic(error_bounds=1e-9))
    panel = tree_panel(whole(tree), epsilon, Frame.around([tree]), Look())
    lines = branch_lines(Picture(((panel,),)))
    (points,) = [mark for mark in panel.marks if isinstance(mark, marks.Points)]
    clusters, labels = clusters_at(tree, epsilon), tree.labels(epsilon)
    assert np.repeat(np.arange(len(clusters.sizes)), clusters.sizes).tolist() == labels.tolist()
    assert points.facts.columns["size"].tolist() == np.bincount(labels).tolist()
    assert set(np.asarray(points.y).tolist()) == {epsilon}
    for x, colour in zip(np.asarray(points.x).tolist(), points.colour, strict=True):
        assert [stem for stem in stems(lines, colour) if stem[0] == x and stem[1] <= epsilon <= stem[2]], (x, colour)
    # In pixels, too: the mark of a cluster lies on the line that has its colour.
    chart = with_plotly.draw(Picture(((panel,),)))
    (dots,) = [trace for trace in chart.data if (trace.name or "").startswith("a cluster")]
    for x, colour in zip(dots.x.tolist(), dots.marker.color, strict=True):
        lines = [trace for trace in chart.data if trace.mode == "lines" and trace.line.color == colour]
        places = np.concatenate([np.asarray(trace.x, float) for trace in lines])
        assert np.nanmin(np.abs(places - x)) < 1e-5
    assert dots.mode == "lines+markers"  # clicks on bare markers do not reach Python


def test_every_merge_above_the_floor_is_drawn_once():
    tree = single_linkage(realistic(error_bounds=1e-9))
    frame = Frame.around([tree])
    lines = branch_lines(Picture(((tree_panel(whole(tree), 0.1, frame, Look()),),)))
    floor, places = drawing_floor(tree), node_places(tree, frame.axis)
    heights = cut_tree(tree, 0.1, above=floor).heights
    expected = {
        (places[child], max(heights[child], floor), height)
        for *children, height, _ in tree.linkage.tolist()
        for child in map(int, children)
        if height > floor
    }
    drawn = stems(lines)
    cut = {stem for stem in drawn if 0.1 in stem[1:]}  # stems of clusters have a node where ε cuts them
    joined = {(x, foot, upper[2]) for x, foot, top in cut for upper in cut if top == 0.1 and upper[:2] == (x, 0.1)}
    assert rounded((drawn - cut) | joined) == rounded(expected)
    assert len(drawn) == sum(len(stems([line])) for line in lines)  # none in two colours


def test_branches_below_the_cut_have_the_colour_of_their_cluster():
    tree = single_linkage(complete([0.0, 0.1, 0.25, 5.0, 5.3, 9.0], 0.0))
    assert cluster_colours(tree, 1.0) == [COLOURS[0], COLOURS[1], marks.INK]
    lines = branch_lines(Picture(((tree_panel(whole(tree), 1.0, Frame.around([tree]), Look()),),)))
    assert sorted({top for _, _, top in stems(lines, COLOURS[0])}) == pytest.approx([0.1, 0.15, 1.0])
    assert {line.label for line in lines if line.colour == COLOURS[0]} == {"3 in [0, 0.25]"}
    said = {line.facts.said(point) for line in lines for point in range(len(line.x))}
    assert "merge of 6 eigenvalues\nat ε = 4.75" in said


def test_printed_dendrograms_say_and_draw_their_epsilon():
    spectra = [realistic(seed) for seed in range(3)]
    picture = dendrograms([0, 5, 9], spectra)
    for spectrum, row in zip(spectra, picture.rows, strict=True):
        epsilon = first_epsilon(single_linkage(spectrum))
        assert f"ε = {epsilon:.3g}: n(ε) = 7" in row[0].title
        assert [mark.at for panel in row for mark in panel.marks if isinstance(mark, marks.Rule)] == [epsilon, epsilon]
    axes = with_matplotlib.draw(picture).axes[0]
    dashed = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed == [first_epsilon(single_linkage(spectra[0]))]


def test_an_unresolved_number_of_clusters_is_not_given():
    tree = single_linkage(complete([0.0, 1.0, 3.0], 0.2))
    assert "n(ε) is unresolved" in dendrogram(tree, 0.3).title
    assert "n(ε) = 3" in dendrogram(tree, 0.5).title


def test_the_leading_part_has_the_clusters_of_the_whole():
    values = np.concatenate([np.linspace(0.5, 0.9, 40), [2.0, 2.005, 5.0, 9.0]])
    tree = single_linkage(complete(values, 1e-9))
    large, small = dendrogram(tree, 0.05, count=10).rows[0]
    every, part = (next(m for m in panel.marks if isinstance(m, marks.Points)) for panel in (small, large))
    assert list(every.colour) == list(part.colour) == [COLOURS[0], COLOURS[1], marks.INK, marks.INK]
    assert [every.facts.said(i) for i in range(4)] == [
        part.facts.said(i) for i in range(4)
    ]  # of 40, though 6 are shown


def test_the_hole_is_hatched_up_to_the_edge():
    tree = single_linkage(partial(), "top")
    frame = Frame.around([tree])
    panel = tree_panel(whole(tree), 1.0, frame, Look())
    regions = [m for m in panel.marks if isinstance(m, marks.Region) and m.hatched]
    assert [region.x for region in regions] == [(frame.axis.limits[0], tree.eigenvalues[0])]
    lines = branch_lines(Picture(((panel,),)))
    assert np.nanmin(np.concatenate([line.x for line in lines])) >= tree.eigenvalues[0]  # no branch crosses it


def test_frames_stay_while_checkpoint_and_epsilon_move():
    trees = [single_linkage(realistic(seed)) for seed in range(2)]
    frame = Frame.around(trees)
    charts = [with_plotly.draw(dendrogram(tree, 0.1, frame=frame, first=frame)) for tree in trees]
    assert charts[0].layout.xaxis2.range == charts[1].layout.xaxis2.range
    assert charts[0].layout.yaxis2.range == charts[1].layout.yaxis2.range


def test_colours_in_print_are_those_of_the_marks():
    tree = single_linkage(complete([0.0, 0.1, 0.25, 5.0, 5.3, 9.0], 0.0))
    axes = with_matplotlib.draw(dendrogram(tree, 1.0)).axes[0]
    faces = [to_hex(face).upper() for face in axes.collections[-1].get_facecolor()]
    assert faces[:2] == [COLOURS[0].upper(), COLOURS[1].upper()]


# ── the film ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def films():
    steps = [0, 469, 14070]
    for spectra in (
        [realistic(seed) for seed in range(3)],
        [partial(seed) for seed in range(3)],
        [complete([1.0, 2.0, 4.0]), realistic(), complete([1.0, 1.0], 0.0)],
    ):
        for trees in by_segment(spectra).values():
            yield steps, trees


def test_frames_have_equal_axes_and_traces():
    for steps, trees in films():
        pictures = frames(steps, trees, 0.3)
        assert list(pictures) == [steps[position] for position in trees]
        first = next(iter(pictures.values()))
        for step, picture in pictures.items():
            assert f"step {step:,}; ε = 0.3" in picture.title
            for panel, other in zip(picture.rows[0], first.rows[0], strict=True):
                assert panel.x.limits == other.x.limits
                assert panel.y.limits == other.y.limits
        chart = film(pictures)
        assert {len(frame.data) for frame in chart.frames} == {len(chart.data)}
        assert len({(len(frame.layout.shapes), len(frame.layout.annotations)) for frame in chart.frames}) == 1
        for frame in chart.frames:
            assert [trace.xaxis for trace in frame.data] == [trace.xaxis for trace in chart.data]


def test_slider_and_film_call_a_step_by_the_same_name():
    steps, trees = next(films())
    chart = film(frames(steps, trees, 0.3), shown=469)
    (slider,), (menu,) = chart.layout.sliders, chart.layout.updatemenus
    names = [frame.name for frame in chart.frames]
    assert names == [step.label for step in slider.steps] == ["0", "469", "14,070"]
    assert [list(step.args[0]) for step in slider.steps] == [[name] for name in names]
    assert slider.active == 1
    assert "step 469;" in chart.layout.title.text
    assert [trace.to_json() for trace in chart.data] == [trace.to_json() for trace in chart.frames[1].data]
    play, pause = menu.buttons
    assert play.args[0] is None  # all frames, in their order
    assert list(pause.args[0]) == [None]
    for frame, step in zip(chart.frames, steps, strict=True):
        assert f"step {step:,};" in frame.layout.title.text


def test_a_frame_leaves_nothing_of_the_one_before():
    steps, trees = [0, 1], by_segment([complete([1.0, 1.1, 1.2], 5.0), complete([1.0, 2.0, 4.0])])["all"]
    bare, full = film(frames(steps, trees, 0.3)).frames
    remarks = [[note.text for note in frame.layout.annotations if note.visible] for frame in (bare, full)]
    assert any("no gap larger" in text for text in remarks[0])
    assert not any("no gap larger" in text for text in remarks[1])
    assert full.layout.annotations[-1].visible is False


def test_an_empty_film_says_why():
    assert "no eigenvalue" in film({}).layout.annotations[0].text


def test_a_picture_is_made_anew_for_other_trees():
    tree = blocks()
    moved = replace(tree, connectivities=2 * tree.connectivities)
    shown = [of_kind(connectivity([0], [one]), marks.Points)[0] for one in (tree, moved)]
    assert 2 * np.asarray(shown[0].y) == pytest.approx(np.asarray(shown[1].y))
