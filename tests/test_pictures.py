"""Pictures: either library draws every mark, awkward results make valid ones, and they show what was computed."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from hessian_dendrogram.pictures import PICTURES, Panel, Picture, marks, with_matplotlib, with_plotly
from hessian_dendrogram.pictures.axes import Eigenvalues, Linear, Log, Named, Steps, reach
from hessian_dendrogram.pictures.barcode import barcode
from hessian_dendrogram.pictures.cluster_count import cluster_count_curves, cluster_count_heatmap
from hessian_dendrogram.pictures.coupling import coupling
from hessian_dendrogram.pictures.dendrogram import dendrogram, dendrograms, first_epsilon, leading, leading_count
from hessian_dendrogram.pictures.eigenvalue_tree import Frame, cluster_colours, tree_panel
from hessian_dendrogram.pictures.facts import Facts
from hessian_dendrogram.pictures.gaps import largest_gaps
from hessian_dendrogram.pictures.paper import save
from hessian_dendrogram.pictures.spectrum_evolution import spectrum_evolution
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.solvers.graph.bipartition import recursive_bipartition
from hessian_dendrogram.statistics.dendrogram import single_linkage
from hessian_dendrogram.views.clusters import clusters_at
from hessian_dendrogram.views.eigenvalue_axis import EigenvalueAxis
from hessian_dendrogram.views.palette import COLOURS
from hessian_dendrogram.views.tree import drawing_floor, link_points
from picture_helpers import AWKWARD, EVERY_MARK, complete, partial, realistic, toy

SPECTRAL = [name for name, known in PICTURES.items() if known.of == "spectrum"]
NASTY = ["a $x$ b", "<b>bold</b>", "%{x}", "_hidden", "{step}", "a\x1b[31m", "n" * 500]


def one(*drawn, **axes):
    """A picture of one panel."""
    return Picture(((Panel(drawn, **axes),),))


def of_kind(picture, kind):
    return [mark for row in picture.rows for panel in row for mark in panel.marks if isinstance(mark, kind)]


def traces(figure, start):
    return [trace for trace in figure.data if (trace.name or "").startswith(start)]


# ── the two renderers ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_in_a_dozen_lines_is_drawn_by_both():
    picture = Picture(
        (
            (
                Panel(
                    (marks.Line([0, 1, 2], [1.0, 10.0, 100.0], label="loss"),),
                    x=Steps((0, 10, 500)),
                    y=Log((0.5, 200.0), "loss"),
                ),
            ),
        ),
        title="a toy",
    )
    (axes,) = with_matplotlib.draw(picture).axes
    (chart,) = with_plotly.draw(picture).data
    assert axes.lines[0].get_ydata().tolist() == chart.y.tolist() == [1, 10, 100]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "10", "500"]
    layout = with_plotly.draw(picture).layout
    assert layout.xaxis.ticktext == ("0", "10", "500")
    assert (layout.yaxis.type, layout.yaxis.range) == ("log", pytest.approx(np.log10([0.5, 200])))
    assert layout.title.text == "a toy"


@pytest.mark.parametrize("mark", EVERY_MARK, ids=lambda mark: type(mark).__name__)
def test_every_mark_is_drawn_by_both(mark):
    empty = one(x=Linear(limits=(0.0, 3.0)), y=Linear(limits=(0.0, 3.0)))
    picture = one(mark, x=Linear(limits=(0.0, 3.0)), y=Linear(limits=(0.0, 3.0)))
    before, after = (with_matplotlib.draw(each) for each in (empty, picture))
    assert sum(len(axes.get_children()) for axes in after.axes) > sum(len(axes.get_children()) for axes in before.axes)
    after.draw_without_rendering()
    chart = with_plotly.draw(picture)
    assert len(chart.data) + len(chart.layout.shapes) + len(chart.layout.annotations) > 0
    assert "NaN" not in chart.to_json()


def test_the_list_of_marks_is_whole():
    assert {type(mark) for mark in EVERY_MARK} == set(marks.Mark.__args__)


def test_the_legend_names_each_thing_once_also_over_panels():
    panel = Panel((marks.Line([0, 1], [0, 1], label="this"), marks.Rule(0.5, label="that")))
    picture = Picture(((panel,), (panel, panel)))
    (legend,) = with_matplotlib.draw(picture).legends
    assert [text.get_text() for text in legend.get_texts()] == ["this", "that"]
    chart = with_plotly.draw(picture)
    shown = [item.name for item in (*chart.data, *chart.layout.shapes) if item.showlegend]
    assert shown == ["this", "that"]
    assert {trace.legendgroup for trace in chart.data} == {"this"}  # switched off in all panels at once


@pytest.mark.parametrize("name", NASTY)
def test_texts_of_any_origin_are_shown_letter_by_letter(name):
    facts = Facts("{who}: {y:.2f}", {"who": [name, "b"], "y": [1.0, 2.0]})
    drawn = marks.Points([0, 1], [1.0, 2.0], label=name, facts=facts)
    axes = {"x": Named([name, "b"], label=name), "y": Linear(name)}
    picture = Picture(((Panel((drawn, marks.Remark(name)), title=name, **axes),),), title=name)
    figure = with_matplotlib.draw(picture)
    figure.draw_without_rendering()
    for text in (figure.legends[0].get_texts()[0], figure.axes[0].get_xticklabels()[0]):
        assert text.get_text().strip().startswith(name[:4].replace("$", r"\$").replace("\x1b", r"\x1b"))
    assert figure.legends[0].get_texts()
    chart = with_plotly.draw(picture)
    (trace,) = chart.data
    texts = [trace.name, trace.customdata[0][0], chart.layout.title.text, chart.layout.xaxis.title.text]
    texts += [note.text for note in chart.layout.annotations]
    for text in texts:
        assert not re.search(r"<(?!br>)|[$%]\{|\$|\x1b", text)
        assert len(text) < 700


def test_facts_say_the_same_to_both_and_to_a_test():
    facts = Facts(
        "step {step:,}\nλ = {value:.3g} of {name}", {"step": [0, 1200], "value": [1.0, 2.5], "name": ["a", "<"]}
    )
    assert facts.said(1) == "step 1,200\nλ = 2.5 of <"
    (trace,) = with_plotly.draw(one(marks.Points([0, 1], [0, 1], facts=facts))).data
    assert trace.hovertemplate == (
        "step %{customdata[0]:,}<br>λ = %{customdata[1]:.3g} of %{customdata[2]}<extra></extra>"
    )
    assert list(trace.customdata[1]) == [1200, 2.5, "&lt;"]


def test_the_same_picture_gives_the_same_files(tmp_path):
    first, second = (save(with_matplotlib.draw(toy()), tmp_path / name) for name in "ab")
    assert [path.name for path in first] == ["a.png", "a.pdf"]
    for here, there in zip(first, second, strict=True):
        assert here.read_bytes() == there.read_bytes()


def test_an_error_beyond_the_axis_ends_at_its_edge():
    points = marks.Points([0.0, 1.0], [1.0, 2.0], y_errors=[5.0, np.inf])
    picture = one(points, y=Log((0.1, 10.0)))
    low, high = reach(Log((0.1, 10.0)), points.y, points.y_errors)
    assert (low.tolist(), high.tolist()) == ([0.1, 0.1], [6, 10])
    (trace,) = with_plotly.draw(picture).data
    assert trace.error_y.arrayminus == pytest.approx([0.9, 1.9])
    assert trace.error_y.array == pytest.approx([5, 8])
    bars = with_matplotlib.draw(picture).axes[0].collections[0].get_segments()
    assert np.array(bars)[:, :, 1] == pytest.approx(np.array([[0.1, 6], [0.1, 10]]))


def test_what_is_on_paper_only_leaves_its_room_on_a_screen():
    panel = Panel((marks.Line([0, 1], [0, 1]),), x=Steps((0, 1)))
    picture = Picture(((panel,), (replace(panel, on_paper_only=True),)), heights=(2.0, 1.0))
    figure, chart = with_matplotlib.draw(picture), with_plotly.draw(picture)
    assert len(figure.axes) == 2
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["", ""]  # they stand below
    assert len(chart.data) == 1
    assert chart.layout.yaxis.domain == (0, 1)
    assert chart.layout.xaxis.ticktext == ("0", "1")


def test_a_reader_keeps_zoom_and_legend_when_the_chart_is_drawn_again():
    assert with_plotly.draw(toy()).layout.template.layout.uirevision


# ── axes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_eigenvalues_stand_where_the_axis_says():
    axis = Eigenvalues(EigenvalueAxis.around(([-3.0, -1e-6, 0.0, 1e-6, 20.0], 1e-9)))
    values = np.array([-3.0, -1e-7, 0.0, 1e-4, 20.0])
    assert axis.value_at(axis.place(values)) == pytest.approx(values)
    assert axis.place([10.0])[0] - axis.place([1.0])[0] == pytest.approx(1)  # a decade is a unit


@pytest.mark.parametrize("most", [8, 12, 18, 30])
def test_labels_have_room_and_every_decade_that_is_zoomed_into_has_ticks(most):
    random = np.random.default_rng(0)
    for _ in range(60):
        low, small, high = 10 ** random.uniform([-8, -9, -3], [0, -4, 3])
        for values in ([-low, -small, small, high], [small, high], [-high, -small], [-low, small]):
            axis = Eigenvalues(EigenvalueAxis.around((sorted(values), 1e-12)))
            ticks, (first, last) = axis.ticks(most), axis.place(axis.limits)
            labelled = axis.place([at for at, text in ticks if text])
            assert len(labelled) >= 2
            # A single digit takes a third of the room of a power of ten.
            assert (
                np.diff(labelled).min()
                > (0.25 if any(len(text) == 1 for _, text in ticks) else 0.55) * (last - first) / most
            )
            if last - first > 1.5:  # any window of a decade has ticks, also next to zero
                all_ticks = axis.place([at for at, _ in ticks])
                starts = np.linspace(first, last - 1, 20)
                inside = [((all_ticks >= start) & (all_ticks <= start + 1)).sum() for start in starts]
                assert min(inside) >= 2


def test_ticks_of_an_eigenvalue_axis_read_the_same_in_both():
    axis = Eigenvalues(EigenvalueAxis.around(([-2.0, 1e-4, 50.0], 1e-9)))
    picture = one(marks.Line([0, 1], [-2.0, 50.0]), y=axis)
    figure, chart = with_matplotlib.draw(picture), with_plotly.draw(picture)
    panel = figure.axes[0]
    on_screen = dict(zip(axis.value_at(chart.layout.yaxis.tickvals).tolist(), chart.layout.yaxis.ticktext, strict=True))
    for label, at in zip(panel.get_yticklabels(), panel.get_yticks(), strict=True):  # a screen has room for more
        assert on_screen[min(on_screen, key=lambda value: abs(value - at))] == label.get_text()
    assert len(panel.get_yticks(minor=True)) > 10
    assert len(chart.layout.yaxis.minor.tickvals) > 10
    # matplotlib's own scale is the same map, up to a constant factor.
    values = np.array([-1.5, -1e-3, 0.0, 1e-6, 2e-3, 30.0])
    drawn, expected = panel.transData.transform(np.stack([0 * values, values], axis=1))[:, 1], axis.place(values)
    assert (drawn - drawn[0]) / np.ptp(drawn) == pytest.approx((expected - expected[0]) / np.ptp(expected))


def test_analysed_steps_stand_at_equal_distances_and_others_between():
    axis = Steps((0, 10, 1000))
    assert axis.place([0, 5, 505, 1000]).tolist() == [0, 0.5, 1.5, 2]
    assert np.isnan(axis.place([2000])).all()
    assert Steps((0, 10, 1000), 10, 1000).limits == (0.5, 2.5)
    assert [text for _, text in Steps(tuple(range(0, 4700, 100))).ticks(5)][::4] == ["0", "4,600"]


# ── awkward results ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("name", SPECTRAL)
def test_awkward_spectra_are_drawn_by_both(name, case):
    spectra = AWKWARD[case]
    picture = PICTURES[name].make([10 * i for i in range(len(spectra))], spectra, title="a $title$")
    assert picture.sentence == PICTURES[name].sentence
    assert picture.sentence.endswith(".")
    figure = with_matplotlib.draw(picture)
    if case == "partial, some unconverged":
        figure.draw_without_rendering()
    chart = with_plotly.draw(picture)
    for trace in chart.data:
        for values in (trace.x, trace.y):
            assert values is None or not np.isinf(np.asarray(values, float)).any()
    for axis in (*chart.select_xaxes(), *chart.select_yaxes()):
        assert axis.range is None or (np.isfinite(axis.range).all() and axis.range[0] != axis.range[1])


@pytest.mark.parametrize("case", AWKWARD)
def test_dendrograms_of_awkward_spectra_on_a_screen(case):
    for spectrum in AWKWARD[case][:3]:
        for segment in spectrum.segments():
            tree = single_linkage(spectrum, segment)
            for epsilon in (None, 0.0, 0.3, 1e9):
                with_plotly.draw(dendrogram(tree, epsilon))


def test_nothing_is_said_in_words():
    spectra = [partial(converged=np.zeros(11, bool))]
    for make in (dendrograms, largest_gaps, barcode, cluster_count_heatmap, cluster_count_curves):
        assert "no eigenvalue has converged" in of_kind(make([0], spectra), marks.Nothing)[0].text


# ── what is drawn is what was computed ───────────────────────────────────────────────────────────────────────────────


def test_every_sparse_eigenvalue_is_drawn_and_every_dense_one_is_counted():
    spectrum = complete(np.concatenate([np.linspace(-1e-3, 1e-3, 5000), [10.0, 20.0]]))
    picture = spectrum_evolution([0], [spectrum])
    (dashes,), (heat,) = of_kind(picture, marks.Dashes), of_kind(picture, marks.HeatMap)
    assert np.asarray(dashes.y).tolist() == [10, 20]
    assert np.nansum(heat.values) == 5000
    assert "λ = 20" in dashes.facts.said(1)
    chart = with_plotly.draw(picture)
    (path,) = [shape.path for shape in chart.layout.shapes if shape.type == "path"]
    axis = picture.rows[0][0].y
    drawn = [float(y) for y in re.findall(r"M[-\d.]+,([-\de.+]+)H", path)]
    assert axis.value_at(drawn) == pytest.approx([10, 20], rel=1e-5)


def test_unconverged_values_are_crosses_and_holes_are_hatched():
    spectra = [partial(converged=np.arange(11) != 2), partial()]
    picture = spectrum_evolution([0, 10], spectra)
    (crosses,), (holes,) = of_kind(picture, marks.Points), of_kind(picture, marks.Bars)
    assert (crosses.symbol, np.asarray(crosses.y).tolist()) == ("x", [spectra[0].eigenvalues[2]])
    assert holes.hatched
    # The first hole begins where the unconverged value ended the segment.
    assert holes.starts == pytest.approx([spectra[0].eigenvalues[1], spectra[1].eigenvalues[4]])
    assert holes.stops == pytest.approx([spectra[0].eigenvalues[5], spectra[1].eigenvalues[5]])


def test_gaps_are_those_of_the_spectrum_and_unresolved_ones_are_hollow():
    picture = largest_gaps([0], [complete([0.0, 1.0, 3.0], [0.0, 0.0, 2.5])])
    first, second = of_kind(picture, marks.Points)[:2]
    assert (np.asarray(first.y).tolist(), np.asarray(first.hollow).tolist()) == ([2], [True])
    assert (np.asarray(second.y).tolist(), np.asarray(second.hollow).tolist()) == ([1], [False])
    assert "2 ± 2, unresolved" in first.facts.said(0).replace("2.5", "2")
    (table,) = of_kind(picture, marks.Texts)
    assert list(table.texts) == ["(1)", "2"]
    chart = with_plotly.draw(picture)
    assert [trace.marker.symbol for trace in traces(chart, "gap")] == ["circle-open", "square"]
    assert not [trace for trace in chart.data if trace.mode == "text"]  # hovering says it


def test_gaps_of_a_segment_are_counted_from_the_end_of_the_spectrum_that_it_has():
    spectrum = Spectrum(eigenvalues=[-5, -4, -1, 1, 2, 6], error_bounds=0.1, dim=100, num_bottom=3, num_top=3)
    picture = largest_gaps([0], [spectrum])
    said = [points.facts.said(0).split("\n")[-1] for points in of_kind(picture, marks.Points)]
    assert said == [f"eigenvalues {beyond}" for beyond in ("below: 2", "below: 1", "above: 1", "above: 2")]
    hole = 1.0 - -1.0
    assert hole not in [float(y) for points in of_kind(picture, marks.Points) for y in points.y]


def test_n_of_epsilon_below_the_resolution_has_no_colour():
    tree = single_linkage(complete([0.0, 1.0, 3.0], 0.2))
    (heat,) = of_kind(cluster_count_heatmap([0], [complete([0.0, 1.0, 3.0], 0.2)]), marks.HeatMap)
    known = np.isfinite(heat.values[:, 0])
    middles = np.sqrt(np.asarray(heat.y_edges)[:-1] * np.asarray(heat.y_edges)[1:])
    assert (middles[known] > 0.4).all()
    assert heat.values[known, 0].tolist() == tree.num_clusters(middles[known]).tolist()
    assert known.any()
    assert not known.all()


def test_the_corners_of_a_curve_are_all_of_it():
    spectrum = realistic(error_bounds=1e-6)
    tree = single_linkage(spectrum)
    picture = cluster_count_curves([0], [spectrum])
    for line in of_kind(picture, marks.Line):
        x, y = np.asarray(line.x), np.asarray(line.y)
        assert y.tolist() == tree.num_clusters(x).tolist()
        middles = np.sqrt(x[:-1] * x[1:])
        steps = np.geomspace(*picture.rows[0][0].x.limits, 600)
        before = steps[np.searchsorted(steps, middles, side="right") - 1]  # a step keeps its height until the next one
        assert y[:-1].tolist() == tree.num_clusters(before).tolist()


def test_bars_reach_from_birth_to_death_and_are_sorted_by_the_length_that_is_drawn():
    # Gaps 0.5, 3, 0.2, 10: clusters {0, 0.5} over [0.5, 3], {3.5, 3.7} over [0.2, 3], the four over [3, 10].
    picture = barcode([0], [complete([0.0, 0.5, 3.5, 3.7, 13.7], 1e-3)])
    (bars,), (shade,) = of_kind(picture, marks.Bars), of_kind(picture, marks.Region)
    assert np.stack([bars.starts, bars.stops], axis=1) == pytest.approx(np.array([[0.2, 3], [0.5, 3], [3, 10]]))
    lengths = np.log(np.asarray(bars.stops) / np.asarray(bars.starts))
    assert (np.diff(lengths) <= 0).all()
    assert picture.rows[0][0].y.names == ["2 in [3.5, 3.7]", "2 in [0, 0.5]", "4 in [0, 3.7]"]
    assert shade.x == (None, pytest.approx(2e-3))
    patches = with_matplotlib.draw(picture).axes[0].patches
    drawn = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in patches if hasattr(bar, "get_x")]
    assert drawn == [pytest.approx(bar) for bar in [(0.2, 3), (0.5, 3), (3, 10)]]
    unresolved = of_kind(barcode([0], [complete([0.0, 1.0, 3.0], 1.0)]), marks.Bars)
    assert [bars.colour for bars in unresolved] == [""]


def test_a_bar_born_at_zero_starts_at_the_edge_with_a_triangle():
    (bars,), (triangle,) = (
        of_kind(barcode([0], [complete([1.0, 1.0, 4.0], 0.0)]), kind) for kind in (marks.Bars, marks.Points)
    )
    assert triangle.symbol == "triangle-left"
    assert np.asarray(bars.starts).tolist() == np.asarray(triangle.x).tolist() == [1.5]


def test_coupling_shows_the_picture_and_the_borders_of_the_clusters():
    W = np.zeros((8, 8))
    W[:4, :4] = W[4:, 4:] = 1.0
    W[3, 4] = W[4, 3] = 0.01
    np.fill_diagonal(W, 0)
    tree = recursive_bipartition(W, min_size=1)
    picture = np.array([[1.0, 1e-3], [1e-3, 0.0]], dtype=np.float32)
    shown = coupling([7], [tree], [picture], k=2)
    (heat,), (borders,) = of_kind(shown, marks.HeatMap), of_kind(shown, marks.Line)
    assert heat.values[0].tolist() == picture[0].tolist()
    assert np.isnan(heat.values[1, 1])
    assert {4.0, 8.0} <= set(np.asarray(borders.x).tolist())
    (image, *_) = with_plotly.draw(shown).data
    assert image.z[0, 1] == pytest.approx(-3)
    assert with_matplotlib.draw(shown).axes[0].get_aspect() == 1
    assert "no parameter is coupled" in of_kind(coupling([7], [tree], [0 * picture]), marks.Nothing)[0].text


# ── the dendrogram ───────────────────────────────────────────────────────────────────────────────────────────────────


def stems(mark, colour=None):
    """The upright lines of a tree as (place, foot, top), of one colour or of all."""
    found = set()
    for group in mark.groups:
        if colour in (None, group.colour):
            for node in group.nodes.tolist():
                found.add((mark.places[node], mark.heights[node], mark.heights[mark.parents[node]]))
    return found


@pytest.mark.parametrize("epsilon", [1e-4, 0.1, 2.0, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_marks_stand_on_their_branches_and_have_their_colour(seed, epsilon):
    tree = single_linkage(realistic(seed, error_bounds=1e-9))
    panel = tree_panel(tree, epsilon, Frame.around([tree]))
    (mark,) = [mark for mark in panel.marks if isinstance(mark, marks.Tree)]
    (points,) = [mark for mark in panel.marks if isinstance(mark, marks.Points)]
    sizes = clusters_at(tree, epsilon).sizes
    assert len(points.x) == len(sizes)
    for x, colour in zip(np.asarray(points.x).tolist(), points.colour, strict=True):
        assert [stem for stem in stems(mark, colour) if stem[0] == x and stem[1] <= epsilon <= stem[2]], (x, colour)
    # In pixels, too: the mark of a cluster lies on the line that has its colour.
    picture = one(*panel.marks, x=panel.x, y=panel.y)
    chart = with_plotly.draw(picture)
    (dots,) = traces(chart, "a cluster")
    for x, colour in zip(dots.x.tolist(), dots.marker.color, strict=True):
        lines = [trace for trace in chart.data if trace.mode == "lines" and trace.line.color == colour]
        places = np.concatenate([np.asarray(trace.x, float) for trace in lines])
        assert np.nanmin(np.abs(places - x)) < 1e-5
    assert dots.mode == "lines+markers"  # clicks on bare markers do not reach Python


@pytest.mark.parametrize("seed", range(3))
def test_every_link_above_the_floor_is_drawn_once(seed):
    tree = single_linkage(realistic(seed, error_bounds=1e-9))
    frame = Frame.around([tree])
    (mark,) = [m for m in tree_panel(tree, 0.1, frame).marks if isinstance(m, marks.Tree)]
    floor, links = drawing_floor(tree), link_points(tree, frame.axis)
    expected = {
        (x, max(foot, floor), top)
        for link in links[links[:, 1, 1] > floor]
        for x, foot, top in ((link[0, 0], link[0, 1], link[1, 1]), (link[3, 0], link[3, 1], link[1, 1]))
    }
    drawn = stems(mark)
    cut = {stem for stem in drawn if 0.1 in stem[1:]}  # stems of clusters have a node where ε cuts them
    whole = {(x, foot, upper[2]) for x, foot, top in cut for upper in cut if top == 0.1 and upper[:2] == (x, 0.1)}
    rounded = lambda found: sorted(tuple(round(float(part), 9) for part in stem) for stem in found)  # noqa: E731
    assert rounded((drawn - cut) | whole) == rounded(expected)
    nodes = np.concatenate([group.nodes for group in mark.groups])
    assert len(nodes) == len(set(nodes.tolist()))


def test_branches_below_the_cut_have_the_colour_of_their_cluster():
    tree = single_linkage(complete([0.0, 0.1, 0.25, 5.0, 5.3, 9.0], 0.0))
    assert cluster_colours(tree, 1.0) == [COLOURS[0], COLOURS[1], marks.INK]
    (mark,) = [m for m in tree_panel(tree, 1.0, Frame.around([tree])).marks if isinstance(m, marks.Tree)]
    assert sorted({top for _, _, top in stems(mark, COLOURS[0])}) == pytest.approx([0.1, 0.15, 1.0])
    assert {group.label for group in mark.groups if group.colour == COLOURS[0]} == {"3 in [0, 0.25]"}
    said = {mark.facts.said(int(mark.parents[node])) for group in mark.groups for node in group.nodes}
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


def test_what_leads_ends_at_the_largest_resolved_ratio():
    bulk = np.linspace(0.01, 0.02, 500)
    for number in (12, 17, 29):
        tree = single_linkage(complete(np.concatenate([bulk, np.linspace(1, 2, number)]), 1e-6))
        assert leading_count(tree) == number
        assert leading(tree).first == 500
    few = single_linkage(complete(np.concatenate([bulk, [1.0, 2.0]]), 1e-6))
    assert 10 <= leading_count(few) <= 30
    blurred = single_linkage(complete(np.linspace(1, 2, 100), 1.0))
    assert leading_count(blurred) == 20
    assert leading_count(single_linkage(complete([1.0, 2.0]))) == 2
    lower = single_linkage(partial(num_bottom=5), "bottom")
    assert leading(lower, 3).tree.eigenvalues.tolist() == lower.eigenvalues[:3].tolist()
    assert leading(lower, 3).name == "the 3 smallest eigenvalues"


def test_the_leading_part_has_the_clusters_of_the_whole():
    values = np.concatenate([np.linspace(0.5, 0.9, 40), [2.0, 2.005, 5.0, 9.0]])
    tree = single_linkage(complete(values, 1e-9))
    large, small = dendrogram(tree, 0.05, count=10).rows[0]
    whole, part = (next(m for m in panel.marks if isinstance(m, marks.Points)) for panel in (small, large))
    assert list(whole.colour) == list(part.colour) == [COLOURS[0], COLOURS[1], marks.INK, marks.INK]
    assert [whole.facts.said(i) for i in range(4)] == [
        part.facts.said(i) for i in range(4)
    ]  # of 40, though 6 are shown


def test_the_hole_is_hatched_up_to_the_edge():
    tree = single_linkage(partial(), "top")
    frame = Frame.around([tree])
    regions = [m for m in tree_panel(tree, 1.0, frame).marks if isinstance(m, marks.Region) and m.hatched]
    assert [region.x for region in regions] == [(frame.axis.low, tree.eigenvalues[0])]


def test_frames_stay_while_checkpoint_and_epsilon_move():
    trees = [single_linkage(realistic(seed)) for seed in range(2)]
    frame = Frame.around(trees)
    charts = [with_plotly.draw(dendrogram(tree, 0.1, frame=frame, first=frame)) for tree in trees]
    assert charts[0].layout.xaxis2.range == charts[1].layout.xaxis2.range
    assert charts[0].layout.yaxis2.range == charts[1].layout.yaxis2.range


def test_a_large_tree_is_few_elements_and_small():
    random = np.random.default_rng(0)
    bulk = 10 ** random.uniform(-7, -1, 5980) * random.choice([-1, 1], 5980)
    tree = single_linkage(complete(np.concatenate([bulk, 10 ** random.uniform(0, 1.5, 14)]), 1e-10))
    chart = with_plotly.draw(dendrogram(tree))
    assert len(chart.data) < 40
    assert len(chart.to_json()) < 1e6


def test_colours_in_print_are_those_of_the_marks():
    tree = single_linkage(complete([0.0, 0.1, 0.25, 5.0, 5.3, 9.0], 0.0))
    axes = with_matplotlib.draw(dendrogram(tree, 1.0)).axes[0]
    faces = [to_hex(face).upper() for face in axes.collections[-1].get_facecolor()]
    assert faces[:2] == [COLOURS[0].upper(), COLOURS[1].upper()]


def test_pictures_need_no_torch_and_load_no_drawing_library():
    code = (
        "import sys; from hessian_dendrogram.pictures import PICTURES\n"
        "assert not {'torch', 'matplotlib', 'plotly'} & set(sys.modules), 'loaded too early'\n"
        "from hessian_dendrogram.pictures import with_matplotlib\n"
        "assert not {'torch', 'plotly', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "from hessian_dendrogram.pictures import with_plotly\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
