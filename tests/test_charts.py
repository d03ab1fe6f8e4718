"""Charts: awkward spectra make valid ones, what is drawn is what was computed, errors are marked, and none is large."""

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from hessian_dendrogram import charts
from hessian_dendrogram.charts import StepAxis
from hessian_dendrogram.charts.branches import branch_lines
from hessian_dendrogram.charts.eigenvalue_axis import apply_axis, place, value_at
from hessian_dendrogram.charts.look import COLOURS, light, log_axis, new_chart
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.solvers.graph.bipartition import recursive_bipartition
from hessian_dendrogram.statistics.dendrogram import single_linkage
from hessian_dendrogram.views.clusters import cluster_rows, clusters_at
from hessian_dendrogram.views.eigenvalue_axis import EigenvalueAxis
from hessian_dendrogram.views.segments import by_segment
from hessian_dendrogram.views.tree import drawing_floor, link_points
from test_figures import AWKWARD, complete, partial, realistic

LIMIT = 8e6  # bytes: what marimo still sends


def each_segment(make):
    """A chart of one dendrogram, for every segment and step."""

    def charts_of(steps, spectra):
        return [make(tree) for trees in by_segment(spectra).values() for tree in trees.values()]

    return charts_of


VIEWS = {
    "spectrum evolution": lambda steps, spectra: [charts.spectrum_evolution(steps, spectra)],
    "n(ε) heatmap": lambda steps, spectra: [charts.cluster_count_heatmap(steps, spectra)],
    "n(ε) curves": lambda steps, spectra: [charts.cluster_count_curves(steps, spectra, marked=0)],
    "gaps": lambda steps, spectra: [charts.largest_gaps(steps, spectra)],
    "summary": lambda steps, spectra: [charts.summary_chart(steps, spectra)],
    "gap ratio": lambda steps, spectra: [charts.gap_ratio_over_training(steps, spectra)],
    "gap ratio along": lambda steps, spectra: [charts.gap_ratio_along_spectrum({steps.steps[0]: spectra[0]})],
    "histogram": lambda steps, spectra: [charts.eigenvalue_histogram(spectrum) for spectrum in spectra],
    "comparison": lambda steps, spectra: [charts.comparison_chart({"one": spectra[0], "other": spectra[-1]})],
    "animation": lambda steps, spectra: [
        charts.dendrogram_evolution(steps, trees, 1e-3) for trees in by_segment(spectra).values()
    ],
    "dendrogram": each_segment(lambda tree: charts.dendrogram_chart(tree, 0.3)),
    "barcode": each_segment(lambda tree: charts.barcode_chart(tree)),
    "cluster": each_segment(lambda tree: charts.cluster_eigenvalues(tree, 0, 1)),
}


def traces(figure, start):
    return [trace for trace in figure.data if (trace.name or "").startswith(start)]


def numbers(figure):
    """Every number of a chart but those that plotly takes for a gap in a line."""
    text = json.loads(figure.to_json())
    assert "layout" in text
    for trace in figure.data:
        for axis in ("x", "y"):
            values = getattr(trace, axis, None)
            if values is not None:
                yield np.asarray(values, dtype=float)


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("view", VIEWS)
def test_awkward_spectra_make_valid_charts(view, case):
    spectra = AWKWARD[case]
    for figure in VIEWS[view](StepAxis.of([10 * i for i in range(len(spectra))]), spectra):
        assert isinstance(figure, go.Figure)
        for values in numbers(figure):
            assert not np.isinf(values).any()
        for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
            if axis.range is not None:
                assert np.isfinite(axis.range).all()
                assert axis.range[0] != axis.range[1]


@pytest.fixture(scope="module")
def large():
    """25 checkpoints of 5,994 eigenvalues over eight decades, of both signs."""
    random = np.random.default_rng(0)
    spectra = []
    for _ in range(25):
        bulk = 10 ** random.uniform(-7, -1, 5980) * random.choice([-1, 1], 5980)
        spectra.append(complete(np.concatenate([bulk, 10 ** random.uniform(0, 1.5, 14)]), 1e-10))
    return StepAxis.of(list(range(0, 2500, 100))), spectra


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in ("cluster", "barcode")])
def test_no_chart_of_a_large_run_is_too_large(view, large):
    steps, spectra = large
    chosen = spectra[:1] if view == "dendrogram" else spectra
    for figure in VIEWS[view](steps, chosen):
        assert len(figure.to_json()) < LIMIT / 2


def test_eigenvalues_stand_where_the_axis_says():
    axis = EigenvalueAxis.around(([-3.0, -1e-6, 0.0, 1e-6, 20.0], 1e-9))
    values = np.array([-3.0, -1e-7, 0.0, 1e-4, 20.0])
    assert value_at(axis, place(axis, values)) == pytest.approx(values)
    assert np.all(np.diff(place(axis, values)) > 0)
    assert place(axis, [10.0])[0] - place(axis, [1.0])[0] == pytest.approx(1)  # a decade is a unit


def test_a_uniform_spectrum_has_no_edge_at_the_threshold_of_its_histogram():
    values = np.linspace(-5e-3, 5e-3, 100_001)
    axis = EigenvalueAxis(threshold=1e-3, low=-1e-2, high=1e-2)
    figure = charts.eigenvalue_histogram(complete(values, 0.0), axis=axis)
    for name, outwards in (("positive", 1), ("negative", -1)):
        heights = np.asarray(traces(figure, name)[0].y)[::outwards]
        # From zero to the threshold equal bins, beyond it bins that grow by a factor of 10 to the 2.87 / 80.
        assert np.abs(np.diff(np.log(heights[1:30]))).max() < 1.05 * np.log(10) * 2.87 / 80
        assert np.ptp(heights[1:11]) <= 1


@pytest.mark.parametrize("most", [8, 9, 10, 12, 18])
def test_no_two_ticks_of_an_eigenvalue_axis_are_closer_than_its_labels_are_wide(most):
    random = np.random.default_rng(0)
    for _ in range(100):
        low, small, high = 10 ** random.uniform([-8, -9, -3], [0, -4, 3])
        for values in ([-low, -small, small, high], [small, high], [-high, -small], [-low, small]):
            figure = go.Figure()
            apply_axis(figure, EigenvalueAxis.around((sorted(values), 1e-12)), which="x", most=most)
            ticks, (first, last) = np.asarray(figure.layout.xaxis.tickvals), figure.layout.xaxis.range
            assert len(ticks) >= 2
            assert np.diff(ticks).min() > 0.55 * (last - first) / most  # most labels stand next to each other


def test_single_precision_never_overflows():
    assert np.isfinite(light([1e300, -1e300, 1e-300])).all()


# ── the step axis ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_analysed_steps_stand_at_equal_distances_and_others_between():
    axis = StepAxis.of([0, 10, 1000])
    assert axis.place([0, 10, 1000]).tolist() == [0, 1, 2]
    assert axis.place([5, 505]).tolist() == [0.5, 1.5]
    assert np.isnan(axis.place([2000])).all()
    assert axis.limits == (-0.5, 2.5)
    assert StepAxis.of([0, 10, 1000], [10, 1000]).limits == (0.5, 2.5)


def test_charts_over_training_share_their_step_axis():
    spectra = [realistic(seed) for seed in range(4)]
    axis = StepAxis.of([0, 1, 5, 20], [1, 20])
    metrics = {"step": np.arange(21.0), "train_loss": np.linspace(2, 1, 21)}
    figures = [
        charts.spectrum_evolution(axis, spectra),
        charts.cluster_count_heatmap(axis, spectra),
        charts.largest_gaps(axis, spectra),
        charts.summary_chart(axis, spectra),
        charts.training_curves(axis, metrics),
    ]
    assert {tuple(x.range) for figure in figures for x in figure.select_xaxes()} == {(0.5, 3.5)}


# ── errors are visible ───────────────────────────────────────────────────────────────────────────────────────────────


def test_unresolved_gaps_are_hollow_and_named():
    spectrum = complete([0.0, 1.0, 3.0], [0.0, 0.0, 2.5])
    figure = charts.largest_gaps(StepAxis.of([0]), [spectrum])
    first, second = traces(figure, "gap")
    assert first.marker.symbol[0].endswith("-open")  # 2, of which 2.5 may be error
    assert not second.marker.symbol[0].endswith("-open")
    assert first.y[0] == 2
    assert first.error_y.array[0] == 2.5
    assert traces(figure, "unresolved")[0].marker.symbol.endswith("-open")


def test_gaps_of_a_segment_are_counted_from_the_end_of_the_spectrum_that_it_has():
    values = [-5.0, -4.0, -1.0, 1.0, 2.0, 6.0]
    spectrum = Spectrum(eigenvalues=values, error_bounds=0.1, dim=100, num_bottom=3, num_top=3)
    figure = charts.largest_gaps(StepAxis.of([0]), [spectrum])
    said = [trace.customdata[0][2] for trace in traces(figure, "gap")]
    assert said == [f"eigenvalues {beyond}" for beyond in ("below: 2", "below: 1", "above: 1", "above: 2")]


def test_unresolved_bars_are_hollow_and_named():
    figure = charts.barcode_chart(single_linkage(complete([0.0, 1.0, 3.0], 1.0)))
    assert len(traces(figure, "unresolved")) == 1
    assert not traces(figure, "longer")
    sharp = charts.barcode_chart(single_linkage(complete([0.0, 1.0, 3.0], 0.0)))
    (bar,) = traces(sharp, "longer")
    assert (bar.base[0], bar.base[0] + bar.x[0]) == (1, 2)


def test_unconverged_values_are_crosses_and_holes_are_hatched():
    spectra = [partial(converged=np.arange(11) != 2), partial()]
    figure = charts.spectrum_evolution(StepAxis.of([0, 10]), spectra)
    (crosses,) = traces(figure, "not converged")
    assert crosses.marker.symbol.startswith("x")
    assert crosses.customdata[:, 0].tolist() == [spectra[0].eigenvalues[2]]
    (holes,) = traces(figure, "hole")
    assert holes.marker.pattern.shape == "/"
    axis = EigenvalueAxis.around(*((s.eigenvalues, s.error_bounds) for s in spectra))
    ends = value_at(axis, np.stack([holes.base, holes.base + holes.y]))
    # The first hole begins where the unconverged value ended the segment.
    assert ends[0] == pytest.approx([spectra[0].eigenvalues[1], spectra[1].eigenvalues[4]], rel=1e-4)
    assert ends[1] == pytest.approx([spectra[0].eigenvalues[5], spectra[1].eigenvalues[5]], rel=1e-4)


def test_the_hole_is_no_gap_and_no_branch_crosses_it():
    spectrum = partial()
    figure = charts.largest_gaps(StepAxis.of([0]), [spectrum])
    hole = spectrum.eigenvalues[5] - spectrum.eigenvalues[4]
    drawn = [float(y) for trace in traces(figure, "gap") for y in trace.y]
    assert hole not in drawn
    assert sorted(drawn) == pytest.approx(
        sorted([*np.diff(spectrum.eigenvalues[:5]), *np.diff(spectrum.eigenvalues[5:])])
    )
    tree = single_linkage(spectrum, "top")
    chart = charts.dendrogram_chart(tree, 1.0)
    assert traces(chart, "hole")
    axis = EigenvalueAxis.around((tree.eigenvalues, tree.error_bounds))
    lowest = min(np.nanmin(trace.x) for trace in traces(chart, "merges"))
    assert lowest >= place(axis, tree.eigenvalues[:1])[0] - 1e-5


def test_the_sign_of_a_value_within_its_error_is_left_open():
    figure = charts.eigenvalue_histogram(complete([-5.0, -1e-9, 1e-9, 2.0, 3.0], 1e-8))
    counts = {trace.name.split(" (")[0].split(":")[0]: int(np.sum(trace.y)) for trace in figure.data}
    assert counts == {"positive": 2, "negative": 1, "sign unresolved": 2}


def test_n_of_epsilon_below_the_resolution_is_not_coloured():
    spectra = [complete([0.0, 1.0, 3.0], 0.2)]
    figure = charts.cluster_count_heatmap(StepAxis.of([0]), spectra)
    heatmap = next(trace for trace in figure.data if trace.type == "heatmap")
    resolved = np.isfinite(np.asarray(heatmap.z)[:, 0])
    assert (np.asarray(heatmap.y)[resolved] > 0.4).all()
    assert resolved.any()
    assert traces(figure, "unresolved")[0].marker.pattern.shape == "/"


def test_an_unresolved_number_of_clusters_is_not_given():
    tree = single_linkage(complete([0.0, 1.0, 3.0], 0.2))
    assert "n(ε) is unresolved" in charts.dendrogram_chart(tree, 0.3).layout.title.text
    assert "n(ε) = 3" in charts.dendrogram_chart(tree, 0.5).layout.title.text


def test_what_a_partial_spectrum_cannot_tell_is_said():
    figure = charts.summary_chart(StepAxis.of([0]), [partial()])
    texts = " ".join(note.text.replace("<br>", " ") for note in figure.layout.annotations)
    assert texts.count("left out: every eigenvalue would be needed") == 3


# ── what is drawn is what was computed ───────────────────────────────────────────────────────────────────────────────


def test_clusters_of_the_dendrogram_are_those_at_epsilon():
    tree = single_linkage(realistic(error_bounds=0.0))
    for epsilon in (1e-3, 0.1, 0.7):
        labels = tree.labels(epsilon)
        (cut,) = traces(charts.dendrogram_chart(tree, epsilon), "a cluster at ε")
        assert cut.mode == "lines+markers"  # clicks on bare markers do not reach Python
        assert sorted(cut.customdata[:, 0]) == sorted(np.bincount(labels))
        assert (cut.y == epsilon).all()
        clusters = clusters_at(tree, epsilon)
        assert np.repeat(np.arange(len(clusters.starts)), clusters.sizes).tolist() == labels.tolist()


def test_branches_below_the_cut_have_the_colour_of_their_cluster():
    tree = single_linkage(complete([0.0, 0.1, 0.25, 5.0, 5.3, 9.0], 0.0))
    figure = charts.dendrogram_chart(tree, 1.0)
    of_size = {trace.name.split(" in ")[0]: trace for trace in figure.data if " in [" in (trace.name or "")}
    assert set(of_size) == {"3", "2"}
    merges = {size: heights(trace) for size, trace in of_size.items()}
    assert merges["3"] == pytest.approx([0.1, 0.15, 4.75])  # the last one is above ε: where its stem leads to
    assert merges["2"] == pytest.approx([0.3, 3.7])
    assert heights(traces(figure, "merges above")[0]) == pytest.approx([3.7, 4.75])


def heights(trace):
    """Of all merges in a trace, as hovering says them."""
    return np.unique(trace.customdata[np.isfinite(trace.x)])


def pieces(traces):
    """The lines of some traces: stems as (place, foot, top), and bars as (height, left end, right end)."""
    stems, bars = set(), {}
    for trace in traces:
        x, y = np.asarray(trace.x, float), np.asarray(trace.y, float)
        for x0, x1, y0, y1 in zip(x, x[1:], y, y[1:], strict=False):
            if np.isnan([x0, x1]).any():
                continue
            assert x0 == x1 or y0 == y1
            if y0 != y1:
                stems.add((x0, min(y0, y1), max(y0, y1)))
            elif x0 != x1:
                bars.setdefault(y0, []).append((min(x0, x1), max(x0, x1)))
    joined = set()
    for height, parts in bars.items():
        low, high = sorted(parts)[0]
        for start, stop in sorted(parts):
            if start > high:
                joined.add((height, low, high))
                low = start
            high = max(high, stop)
        joined.add((height, low, high))
    return stems, joined


def assert_said_where_it_is_drawn(branches, tree, axis):
    """Every point is on the stem or the bar of a merge of the height that hovering says."""
    links = link_points(tree, axis)
    x = light(place(axis, links[..., 0]))
    bottom, top = light(np.maximum(links[:, [0, 3], 1], drawing_floor(tree))), light(links[:, 1, 1])
    for trace in branches:
        known = np.isfinite(trace.x)
        for at, height, said in zip(trace.x[known], trace.y[known], trace.customdata[known], strict=True):
            one = top == said
            is_on_bar = one & (height == top) & (at >= x[:, 1]) & (at <= x[:, 2])
            is_on_stem = (at == x[:, [0, 3]]) & (height >= bottom) & (height <= top[:, None])
            assert (is_on_bar | (one & is_on_stem.any(axis=1))).any()


def test_branches_of_three_children_and_of_two_trees():
    x, y = np.array([2.0, 1.0, 2.0, 4.0, 0.5, 1.5, 9.0, 8.0]), np.array([3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    parents = np.array([-1, 0, 0, 0, 1, 1, -1, 6])
    across, upright, owners = branch_lines(x, y, parents, np.array([1, 2, 3, 4, 5, 7]))
    drawn = pieces([go.Scatter(x=across, y=upright)])
    assert drawn[0] == {(1, 2, 3), (2, 1, 3), (4, 0, 3), (0.5, 0, 2), (1.5, 0, 2), (8, 0, 1)}
    assert drawn[1] == {(3, 1, 4), (2, 0.5, 1.5), (1, 8, 9)}
    assert np.isnan(across).sum() == 2
    assert set(owners.tolist()) == {-1, 0, 1, 6}
    # Without the branches between them, parts of one tree are lines of their own.
    apart, _, _ = branch_lines(x, y, parents, np.array([3, 4, 7]))
    assert np.isnan(apart).sum() == 3
    assert [len(part) for part in branch_lines(x, y, parents, np.array([], dtype=np.int64))] == [0, 0, 0]


@pytest.mark.parametrize("epsilon", [1e-4, 0.1, 2.0, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_every_link_is_drawn_and_nothing_else(epsilon, seed):
    tree = single_linkage(realistic(seed, error_bounds=1e-9))
    axis = EigenvalueAxis.around((tree.eigenvalues, tree.error_bounds))
    figure = charts.dendrogram_chart(tree, epsilon, axis=axis)
    branches = [trace for trace in figure.data if "merge" in (trace.hovertemplate or "")]
    stems, bars = pieces(branches)
    assert_said_where_it_is_drawn(branches, tree, axis)
    links = link_points(tree, axis)
    floor = drawing_floor(tree)
    x, y = place(axis, links[..., 0]), np.maximum(links[..., 1], floor)
    shown = links[:, 1, 1] > floor
    x, y = light(x[shown]).astype(float), light(y[shown]).astype(float)
    links_drawn = {(a[i], b[i], b[1]) for a, b in zip(x, y, strict=True) for i in (0, 3)}
    assert links_drawn <= stems
    # The stem of a coloured cluster has its colour up to ε: it is drawn over that of the merge above.
    for extra in stems - links_drawn:
        assert extra[2] == light(epsilon)
        assert any(stem[:2] == extra[:2] and stem[2] > extra[2] for stem in links_drawn)
    sizes = clusters_at(tree, epsilon).sizes
    assert len(stems - links_drawn) == (min(int((sizes > 1).sum()), len(COLOURS)) if len(sizes) > 1 else 0)
    assert bars == {(b[1], a[1], a[2]) for a, b in zip(x, y, strict=True)}
    said = np.unique(np.concatenate([heights(trace) for trace in branches]))
    assert said.tolist() == np.unique(light(links[shown, 1, 1])).tolist()
    # The pen is lifted between the trees of one colour alone.
    assert sum(int(np.isnan(trace.x).sum()) for trace in branches) <= len(clusters_at(tree, epsilon).starts) + 1


def test_dashes_are_one_shape_whose_numbers_hovering_says():
    spectra = [complete([-1.0, 0.5, 2.0], 1e-3), complete([0.25], 0.4)]
    figure = charts.spectrum_evolution(StepAxis.of([0, 30]), spectra)
    (shape,) = [shape for shape in figure.layout.shapes if shape.type == "path"]
    (numbers,) = [trace for trace in figure.data if trace.mode == "none"]
    axis = EigenvalueAxis.around(*((s.eigenvalues, s.error_bounds) for s in spectra))
    drawn = sorted((float(x), float(y)) for x, y in re.findall(r"M([-\d.]+),([-\de.+]+)H", shape.path))
    expected = [(-0.38, v) for v in place(axis, [-1.0, 0.5, 2.0])] + [(0.62, place(axis, [0.25])[0])]
    assert np.array(drawn) == pytest.approx(np.array(expected), rel=1e-6)
    bars = re.findall(r"M([-\d.]+),([-\de.+]+)V([-\de.+]+)", shape.path)
    assert [float(end) for end in bars[-1]] == pytest.approx([1, *place(axis, [-0.15, 0.65])], rel=1e-6)
    assert {tuple(row) for row in numbers.customdata.tolist()} == {
        tuple(light(row).tolist()) for row in ([-1, 1e-3, 0], [0.5, 1e-3, 0], [2, 1e-3, 0], [0.25, 0.4, 30])
    }
    assert (np.abs(numbers.x - np.round(numbers.x)) <= 0.38).all()
    steps = {0: 0, 1: 30}
    for at, height, (value, bound, step) in zip(numbers.x, numbers.y, numbers.customdata, strict=True):
        assert steps[round(float(at))] == step
        ends = [value, max(value - bound, axis.low), min(value + bound, axis.high)]
        assert np.abs(place(axis, ends) - height).min() < 1e-6
    assert shape.visible is None
    (entry,) = traces(figure, "one eigenvalue")
    assert entry.legendgroup == shape.legendgroup == numbers.legendgroup


def test_frames_of_the_animation_correspond():
    spectra = [realistic(seed) for seed in range(3)]
    figure = charts.dendrogram_evolution(StepAxis.of([0, 5, 9]), by_segment(spectra)["all"], 0.1)
    assert [frame.name for frame in figure.frames] == ["0", "5", "9"]
    kinds = [
        [(trace.type, trace.mode, trace.fill) for trace in data]
        for data in (figure.data, *[f.data for f in figure.frames])
    ]
    assert all(kind == kinds[0] for kind in kinds)


def test_rows_of_the_cluster_table():
    tree = single_linkage(partial(), "top")
    rows = cluster_rows(tree, 1.5)
    assert sum(row["eigenvalues"] for row in rows) == 6
    assert [row["eigenvalues"] for row in rows] == sorted((row["eigenvalues"] for row in rows), reverse=True)
    lowest = min(rows, key=lambda row: row["from"])
    highest = max(rows, key=lambda row: row["to"])
    assert lowest["gap below"] == "hole: not known"
    assert highest["gap above"] == "none: end of the spectrum"
    blurred = cluster_rows(single_linkage(complete([0.0, 1.0], 3.0)), 0.0)
    assert all("unresolved" in (row["gap below"] + row["gap above"]) for row in blurred)


def test_layer_shares_add_up_to_one():
    layout = Layout(("a.weight", "a.bias", "b"), ((2, 2), (2,), (3,)))
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 2)))[0]
    figure = charts.layer_shares(layout, np.array([0, 8]), np.array([-1.0, 3.0]), layout.shares(vectors))
    heights = {trace.name: np.asarray(trace.y) for trace in figure.data}
    assert set(heights) == {"a", "b"}
    assert sum(heights.values()) == pytest.approx([1, 1])
    # The largest eigenvalue comes first.
    assert heights["a"][0] == pytest.approx((vectors[:6, 1] ** 2).sum(), rel=1e-6)


def test_training_curves_stand_between_the_analysed_steps():
    metrics = {"step": np.array([0.0, 5.0, 10.0, 99.0]), "train_loss": np.array([3.0, np.nan, 1.0, 0.5])}
    figure = charts.training_curves(StepAxis.of([0, 10]), metrics)
    (curve,) = figure.data
    assert (curve.x.tolist(), curve.y.tolist()) == ([0, 1], [3, 1])
    nothing = charts.training_curves(StepAxis.of([0, 10]), {})
    assert "neither loss nor accuracy" in nothing.layout.annotations[0].text


def test_filters_say_what_was_left_out():
    weights = [np.arange(20 * 2 * 3 * 3, dtype=float).reshape(20, 2, 3, 3)]
    figure = charts.filters_chart(["0"], weights, rows="training step")
    assert "mean over 2 input channels; the first 16 of 20" in figure.layout.title.text
    picture = np.asarray(figure.data[0].z)
    assert picture[0, 0] == weights[0][0, :, 0, 0].mean()


def fourier_measures(count):
    row = {"embedding_norms": [1.0, 2.0, 3.0], "unembedding_norms": [3.0, 2.0, 1.0]}
    return [row | {"key_frequencies": [2], "restricted_loss": 0.5, "excluded_loss": 2.0}] * count


def test_fourier_measures_stand_under_the_spectrum():
    spectra = [partial(converged=np.arange(11) != 7), partial()]
    metrics = {"step": np.array([0.0, 5.0]), "test_accuracy": np.array([0.1, 0.9])}
    figure = charts.fourier_chart(StepAxis.of([0, 5]), spectra, fourier_measures(2), metrics, most=3)
    norms = [np.asarray(trace.z) for trace in figure.data if trace.type == "heatmap"]
    assert [norm[0].tolist() for norm in norms] == [[1, 1], [3, 3]]
    assert len({tuple(axis.range) for axis in figure.select_xaxes()}) == 1
    (dashes,) = [shape for shape in figure.layout.shapes if shape.type == "path"]
    assert (dashes.xref, dashes.yref) == ("x", "y")  # the first panel's
    assert "key frequencies of the last step: 2" in figure.layout.annotations[3].text
    assert not traces(figure, "not converged")  # number 7 is not among the three largest
    more = charts.fourier_chart(StepAxis.of([0, 5]), spectra, fourier_measures(2), metrics, most=6)
    assert len(traces(more, "not converged")) == 1
    without = charts.fourier_chart(StepAxis.of([0, 5]), spectra, [{}, {}], metrics)
    assert "no Fourier measures" in without.layout.annotations[0].text


# ── parameter dendrograms ────────────────────────────────────────────────────────────────────────────────────────────

LAYOUT = Layout(("one.weight", "two.weight", "two.bias"), ((4,), (4,), (2,)))


@pytest.fixture(scope="module")
def tree():
    """Two coupled blocks, which are the layers, and two isolated parameters."""
    W = np.zeros((10, 10))
    random = np.random.default_rng(1)
    for block in (slice(0, 4), slice(4, 8)):
        W[block, block] = random.uniform(1, 2, (4, 4))
    W[3, 4] = W[4, 3] = 0.01
    W = (W + W.T) / 2
    np.fill_diagonal(W, 0)
    return recursive_bipartition(W, min_size=1)


def test_branches_have_the_colour_of_their_layer(tree):
    figure = charts.parameter_dendrogram(tree, LAYOUT, k=2)
    for name in ("one", "two"):
        (branches,) = [trace for trace in figure.data if trace.name == name and trace.mode == "lines"]
        stems, _ = pieces([branches])
        assert len(stems) == 7  # four leaves, and three cuts
    areas = {trace.name: np.asarray(trace.y) for trace in figure.select_traces({"stackgroup": "leaves"})}
    assert sorted(zip(areas["one"].tolist(), areas["two"].tolist(), strict=True)) == 8 * [(0, 1)] + 8 * [(1, 0)]
    (said,) = [trace for trace in figure.select_traces({"mode": "none"}) if trace.text]
    for x, text in zip(said.x.tolist(), said.text, strict=True):
        layer = "one" if tree.order[int(x)] < 4 else "two"
        assert text == f"leaf of 1 parameters<br>{layer}: 100%"
    (isolated,) = traces(figure, "isolated (2)")
    assert isolated.width == 2
    clusters = traces(figure, "the 2 clusters of cut(2)")[0]
    assert clusters.customdata.tolist() == [4, 4]


def test_degenerate_cuts_are_hollow_and_named():
    W = np.ones((6, 6)) - np.eye(6)
    figure = charts.parameter_dendrogram(recursive_bipartition(W, min_size=1), Layout(("w",), ((6,),)))
    arbitrary = traces(figure, "arbitrary cut")
    assert arbitrary
    assert arbitrary[0].marker.symbol == "circle-open"
    over = charts.connectivity_chart(StepAxis.of([0]), [recursive_bipartition(W, min_size=1)])
    assert any("arbitrary cut" in (trace.name or "") for trace in over.data)


@pytest.mark.parametrize("values", [[3e-3, 3.1e-3], [2.0, 2.0], [7e-5, 9e-5], [1e-9, 1.0], [1e-320, 1e300]])
def test_a_logarithmic_axis_has_numbers(values):
    figure = new_chart()
    log_axis(figure, 0.7 * min(values), 1.5 * max(values), "")
    low, high = figure.layout.yaxis.range
    assert np.isfinite([low, high]).all()
    digits = {"D1": range(1, 10), "D2": (1, 2, 5)}.get(figure.layout.yaxis.dtick)
    if digits:
        powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        ticks = [power + np.log10(digit) for power in powers for digit in digits]
        assert sum(low <= tick <= high for tick in ticks) >= 2
    else:
        assert np.floor(high / figure.layout.yaxis.dtick) > np.ceil(low / figure.layout.yaxis.dtick)


def test_a_loss_that_is_not_drawn_does_not_stretch_the_axis():
    metrics = {"step": np.array([0.0, 5.0, 1e5]), "train_loss": np.array([3.0, 3.2, 1e-8])}
    steps = StepAxis.of([0, 5])
    for figure, axis in (
        (charts.training_curves(steps, metrics), "yaxis"),
        (charts.fourier_chart(steps, [partial()] * 2, fourier_measures(2), metrics), "yaxis3"),
    ):
        assert 10 ** figure.layout[axis].range[0] > 0.3
    nothing = {"step": metrics["step"], "train_loss": np.full(3, np.nan)}
    measures = [row | {"restricted_loss": 0.0, "excluded_loss": 0.0} for row in fourier_measures(2)]
    assert "loss" in charts.fourier_chart(steps, [partial()] * 2, measures, nothing).layout.yaxis3.title.text


def test_connectivity_composition_and_coupling(tree):
    steps = StepAxis.of([0, 7])
    figure = charts.connectivity_chart(steps, [tree, tree])
    assert traces(figure, "λ₂")[0].y[0] == pytest.approx(tree.connectivities[0])
    assert traces(figure, "isolated")[0].y == (2, 2)
    parts = charts.composition_chart(steps, [tree, tree], LAYOUT, k=2)
    # Two clusters, each of four parameters of one layer.
    counts = np.array([trace.y for trace in parts.data]).reshape(2, 2, 2)
    assert sorted(counts[:, :, 0].tolist()) == [[0, 4], [4, 0]]
    picture = np.array([[1.0, 1e-3], [1e-3, 0.0]], dtype=np.float32)
    heatmap = charts.coupling_chart(tree, picture).data[0]
    assert heatmap.x.tolist() == [2.5, 7.5]  # explicit, so that a cell can be selected
    assert np.isnan(np.asarray(heatmap.z)[1, 1])
    assert "no parameter is coupled" in charts.coupling_chart(tree, 0 * picture).layout.annotations[0].text


def test_the_camera_saves_what_was_asked_for():
    for kind in ("svg", "png"):
        options = charts.configuration("gaps", file_format=kind)["toImageButtonOptions"]
        assert (options["format"], options["filename"]) == (kind, "gaps")
