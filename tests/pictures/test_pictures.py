"""Pictures: either library draws every mark, awkward results make valid ones, and they show what was computed."""

import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import fcluster, linkage

import small_run
from hessian_dendrogram import figures, store
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.pages.exported import export_page
from hessian_dendrogram.pages.widgets import tabs_of
from hessian_dendrogram.pictures import PICTURES, Known, Panel, Picture, marks, stacked, with_matplotlib, with_plotly
from hessian_dendrogram.pictures.axes import Eigenvalues, Linear, Log, Named, Steps, key_positions, reach
from hessian_dendrogram.pictures.barcode import barcode
from hessian_dendrogram.pictures.cluster_count import cluster_count_curves, cluster_count_heatmap
from hessian_dendrogram.pictures.comparison import comparison_of_spectra
from hessian_dendrogram.pictures.coupling import coupling
from hessian_dendrogram.pictures.dendrogram import dendrogram, dendrograms
from hessian_dendrogram.pictures.eigenvalue_tree import cluster_colours
from hessian_dendrogram.pictures.film import film, frames
from hessian_dendrogram.pictures.gaps import largest_gaps
from hessian_dendrogram.pictures.histogram import eigenvalue_histogram
from hessian_dendrogram.pictures.marks import COLOURS
from hessian_dendrogram.pictures.paper import save
from hessian_dendrogram.pictures.screen import configuration, light
from hessian_dendrogram.pictures.spectrum_evolution import bin_edges, spectrum_evolution
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.solvers.graph.bipartition import recursive_bipartition
from hessian_dendrogram.statistics.bins import split_by_density
from hessian_dendrogram.statistics.dendrogram import single_linkage
from hessian_dendrogram.statistics.segments import by_segment, resolved_counts
from hessian_dendrogram.store.analysed import read, spectrum_title
from hessian_dendrogram.store.kinds import KINDS, Kind
from picture_helpers import (
    AWKWARD,
    EVERY_MARK,
    NASTY,
    MeasuredRun,
    analysed,
    assert_valid,
    complete,
    of_kind,
    partial,
    realistic,
    reasons,
    toy,
)

SPECTRAL = [name for name, known in PICTURES.items() if known.of == "spectrum"]
OVER_TRAINING = [name for name in SPECTRAL if PICTURES[name].over]
MOST = 8_000_000  # bytes: what a notebook still sends


def one(*drawn, **axes):
    """A picture of one panel."""
    return Picture(((Panel(drawn, **axes),),))


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
    picture = one(mark, x=Linear(limits=(0.0, 3.0)), y=Linear(limits=(0.0, 3.0)))
    after = with_matplotlib.draw(picture)
    assert sum(len(axes.get_children()) for axes in after.axes) > len(Figure().add_subplot().get_children())
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
    facts = marks.Facts("{who}: {y:.2f}", {"who": [name, "b"], "y": [1.0, 2.0]})
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
        assert len(text) < 1200  # of two titles


def test_facts_say_the_same_to_both_and_to_a_test():
    facts = marks.Facts(
        "step {step:,}\nλ = {value:.3g} of {name}", {"step": [0, 1200], "value": [1.0, 2.5], "name": ["a", "<"]}
    )
    assert facts.said(1) == "step 1,200\nλ = 2.5 of <"
    (trace,) = with_plotly.draw(one(marks.Points([0, 1], [0, 1], facts=facts))).data
    assert trace.hovertemplate == (
        "step %{customdata[0]:,}<br>λ = %{customdata[1]:.3g} of %{customdata[2]}<extra></extra>"
    )
    assert list(trace.customdata[1]) == [1200, 2.5, "&lt;"]


def test_files_are_replaced_whole_and_the_same_picture_gives_the_same_bytes(tmp_path):
    (tmp_path / "a.png").write_text("old")
    first, second = (save(with_matplotlib.draw(toy()), tmp_path / name) for name in "ab")
    assert [path.name for path in first] == ["a.png", "a.pdf"]
    for here, there in zip(first, second, strict=True):
        assert here.read_bytes() == there.read_bytes()
        assert b"CreationDate" not in here.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]


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


def test_numbers_of_a_right_panel_do_not_stand_over_the_left_one():
    panel, image = Panel((marks.Line([0, 1], [0, 1]),)), Panel((EVERY_MARK[8],), square=True)
    chart = with_plotly.draw(Picture(((panel, panel), (panel, image), (panel,))))
    assert [axis.side for axis in chart.select_yaxes()] == [None, "right", None, None, None]


def test_a_reader_keeps_zoom_and_legend_when_the_chart_is_drawn_again():
    assert with_plotly.draw(toy()).layout.uirevision


def test_the_camera_saves_what_was_asked_for():
    for kind in ("svg", "png"):
        options = configuration("gaps", file_format=kind)["toImageButtonOptions"]
        assert (options["format"], options["filename"]) == (kind, "gaps")


def test_single_precision_never_overflows():
    assert np.isfinite(light([1e300, -1e300, 1e-300])).all()


def test_dashes_are_one_shape_whose_numbers_hovering_says():
    spectra = [complete([-1.0, 0.5, 2.0], 1e-3), complete([0.25], 0.4)]
    picture = spectrum_evolution([0, 30], spectra)
    figure, axis = with_plotly.draw(picture), picture.rows[0][0].y
    (shape,) = [shape for shape in figure.layout.shapes if shape.type == "path"]
    (numbers,) = [trace for trace in figure.data if trace.mode == "none"]
    drawn = sorted((float(x), float(y)) for x, y in re.findall(r"M([-\d.]+),([-\de.+]+)H", shape.path))
    expected = [(-0.38, v) for v in axis.place([-1.0, 0.5, 2.0])] + [(0.62, axis.place([0.25])[0])]
    assert np.array(drawn) == pytest.approx(np.array(expected), rel=1e-6)
    bars = re.findall(r"M([-\d.]+),([-\de.+]+)V([-\de.+]+)", shape.path)
    assert [float(end) for end in bars[-1]] == pytest.approx([1, *axis.place([-0.15, 0.65])], rel=1e-6)
    assert numbers.meta["columns"] == ["step", "value", "bound"]
    rows = {(0, -1, 1e-3), (0, 0.5, 1e-3), (0, 2, 1e-3), (30, 0.25, 0.4)}
    assert {tuple(row) for row in numbers.customdata.tolist()} == rows
    assert (np.abs(numbers.x - np.round(numbers.x)) <= 0.38).all()
    for at, height, (step, value, bound) in zip(numbers.x, numbers.y, numbers.customdata, strict=True):
        assert (0, 30)[round(float(at))] == step
        ends = [value, *(np.clip(value + sign * bound, *axis.limits) for sign in (-1, 1))]
        assert np.abs(axis.place(ends) - height).min() < 1e-6
    (entry,) = [trace for trace in traces(figure, "one eigenvalue") if trace.showlegend]
    assert entry.legendgroup == shape.legendgroup == numbers.legendgroup  # switched off together


# ── axes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_eigenvalues_stand_where_the_axis_says():
    axis = Eigenvalues.around(([-3.0, -1e-6, 0.0, 1e-6, 20.0], 1e-9))
    values = np.array([-3.0, -1e-7, 0.0, 1e-4, 20.0])
    assert axis.value_at(axis.place(values)) == pytest.approx(values)
    assert axis.place([10.0])[0] - axis.place([1.0])[0] == pytest.approx(1)  # a decade is a unit


def test_the_linear_part_of_an_axis_hides_no_resolved_eigenvalue_and_is_stated():
    values = np.array([-2.0, 0.0, 1e-7, 0.03, 50.0])
    axis = Eigenvalues.around((values, 1e-9))
    assert axis.limits[0] < -2
    assert axis.limits[1] > 50
    assert axis.threshold >= 1e-5 * 50 / 10
    blurred = Eigenvalues.around((values, 0.05))
    assert blurred.threshold == pytest.approx(0.1)
    assert "linear within ±10⁻¹" in blurred.label
    resolved = np.where(np.abs(values) > 1, 0.5, 1e-9)
    assert Eigenvalues.around((values, resolved)).threshold == axis.threshold
    assert Eigenvalues.around((values, 1e-12), (1e-6 * values, 1e-12)).threshold < 1e-3 * axis.threshold
    assert Eigenvalues.around((np.zeros(3), 0.0)).threshold == 1.0


def test_an_axis_has_one_slope_on_both_sides_of_its_threshold():
    axis = Eigenvalues(1e-3, (-1.0, 1.0))
    near = 1e-3 * np.array([1 - 1e-6, 1 - 5e-7, 1 + 5e-7, 1 + 1e-6])
    for sign in (1, -1):
        below, _, above = np.diff(axis.place(sign * near)) / np.diff(sign * near)
        assert above == pytest.approx(below, rel=1e-5)
    assert axis.value_at(axis.place(near)) == pytest.approx(near, rel=1e-14)


def test_a_uniform_spectrum_has_no_edge_at_the_threshold_of_its_axis():
    values = np.linspace(-5e-3, 5e-3, 100_001)
    axis = Eigenvalues(1e-3, (-1e-2, 1e-2))
    edges, spectrum = bin_edges(axis), complete(values, 0.0)
    counts, _ = split_by_density(spectrum, edges)
    middle = np.abs(edges[:-1] + edges[1:]) / 2 < 4e-3
    # Equal bins within the threshold, and beyond it bins that grow by a factor of 10 to the 2.87 / 160.
    assert np.abs(np.diff(np.log(counts[middle]))).max() < 1.1 * np.log(10) * 2.87 / 160
    assert np.ptp(counts[np.abs(edges[:-1] + edges[1:]) / 2 < 0.95e-3]) <= 1
    for bars in of_kind(eigenvalue_histogram(spectrum, axis=axis), marks.Bars)[:2]:
        outwards = np.argsort(np.abs(bars.places))
        heights = (np.asarray(bars.stops) - np.asarray(bars.starts))[outwards]
        assert np.abs(np.diff(np.log(heights[1:30]))).max() < 1.1 * np.log(10) * 2.87 / 80
        assert np.ptp(heights[1:11]) <= 1


def test_labels_on_paper_do_not_run_into_each_other():
    ends = [(-1, 1), (-0.04, 0.9), (-3e-5, 80), (0, 5), (-30, -2e-3)]
    groups = [np.array([low, 1e-3 * low, 1e-3 * high, high]) for low, high in ends]
    panels = [Panel((), x=Eigenvalues.around((values, 1e-12))) for values in groups]
    picture = Picture(tuple((panel, panel) for panel in panels), height=7.0, widths=(2.2, 1.0))
    figure = with_matplotlib.draw(picture)
    figure.draw_without_rendering()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        shown = [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
        boxes = [label.get_window_extent() for label in shown if label.get_text()]
        assert len(boxes) >= 2
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


@pytest.mark.parametrize("values", [[3e-3, 3.1e-3], [2.0, 2.0], [7e-5, 9e-5], [1e-9, 1.0], [1e-320, 1e300]])
def test_a_logarithmic_axis_has_numbers(values):
    axis = Log.around(values)
    assert 0 < axis.limits[0] < min(values) <= max(values) < axis.limits[1]
    picture = one(marks.Line([0, 1], values), y=axis)
    figure = with_matplotlib.draw(picture)
    figure.draw_without_rendering()
    panel = figure.axes[0]
    labels = [label for which in ("major", "minor") for label in panel.get_yticklabels(which=which)]
    texts = {label.get_text() for label in labels if axis.limits[0] <= label.get_position()[1] <= axis.limits[1]}
    assert len(texts - {""}) >= 2
    assert np.isfinite(with_plotly.draw(picture).layout.yaxis.range).all()


@pytest.mark.parametrize("most", [8, 12, 18, 30])
def test_labels_have_room_and_every_decade_that_is_zoomed_into_has_ticks(most):
    random = np.random.default_rng(0)
    for _ in range(60):
        low, small, high = 10 ** random.uniform([-8, -9, -3], [0, -4, 3])
        for values in ([-low, -small, small, high], [small, high], [-high, -small], [-low, small]):
            axis = Eigenvalues.around((sorted(values), 1e-12))
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
    axis = Eigenvalues.around(([-2.0, 1e-4, 50.0], 1e-9))
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
    assert axis.limits == (-0.5, 2.5)
    assert Steps((0, 10, 1000), 10, 1000).limits == (0.5, 2.5)
    assert [text for _, text in Steps(tuple(range(0, 4700, 100))).ticks(5)][::4] == ["0", "4,600"]
    assert [key_positions(count, 4) for count in (25, 1, 2)] == [[0, 8, 16, 24], [0], [0, 1]]


def test_pictures_over_training_share_their_step_axis():
    spectra = [realistic(seed) for seed in range(4)]
    at = Steps((0, 10, 20, 30), 10, 30)
    here = analysed(spectra, run=MeasuredRun(4))
    pictures = [PICTURES[name].over(here, at) for name in OVER_TRAINING if PICTURES[name].applies(here)]
    assert len(pictures) > 5
    axes = [panel.x for picture in pictures for row in picture.rows for panel in row if isinstance(panel.x, Steps)]
    assert {axis.limits for axis in axes} == {(0.5, 3.5)}
    ranges = {axis.range for axis in with_plotly.draw(pictures[0]).select_xaxes()}
    assert ranges == {(0.5, 3.5)}


# ── awkward results ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("name", SPECTRAL)
def test_awkward_spectra_are_drawn_by_both(name, case):
    known, here = PICTURES[name], analysed(AWKWARD[case], run=MeasuredRun(len(AWKWARD[case])))
    if not known.applies(here):  # there are no weights
        assert name == "filters"
        return
    ends = sorted({0, len(here.steps) - 1})
    on_screen = [known.over(here, Steps.of(here.steps))] if known.over else [known.at(here, end) for end in ends]
    printed = known.for_print(here)
    for picture in filter(None, (printed, *on_screen)):
        assert picture.sentence == known.sentence
        assert picture.sentence.endswith(".")
    assert printed or not (known.printed or known.over)
    if printed:
        figure = printed.figure()
        if case == "partial, some unconverged":
            figure.draw_without_rendering()
    for picture in filter(None, on_screen):
        assert_valid(picture.chart())


@pytest.mark.parametrize("case", AWKWARD)
def test_dendrograms_of_awkward_spectra_at_any_resolution(case):
    spectrum = AWKWARD[case][0]
    for segment in spectrum.segments():
        tree = single_linkage(spectrum, segment)
        for epsilon in (0.0, 1e9):
            assert_valid(with_plotly.draw(dendrogram(tree, epsilon)))


def test_nothing_is_said_in_words():
    spectra = [partial(converged=np.zeros(11, bool))]
    for make in (dendrograms, largest_gaps, barcode, cluster_count_heatmap, cluster_count_curves):
        assert "no eigenvalue has converged" in reasons(make([0], spectra))[0]


# ── size ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def large():
    """25 checkpoints of 5,994 eigenvalues over eight decades, of both signs."""
    random = np.random.default_rng(0)
    spectra = []
    for _ in range(25):
        bulk = 10 ** random.uniform(-7, -1, 5980) * random.choice([-1, 1], 5980)
        spectra.append(complete(np.concatenate([bulk, 10 ** random.uniform(0, 1.5, 14)]), 1e-10))
    return analysed(spectra, run=MeasuredRun(25))


@pytest.mark.parametrize("name", [name for name in SPECTRAL if name != "filters"])
def test_charts_of_a_large_run_are_few_elements_and_small(name, large):
    known = PICTURES[name]
    chart = (known.over(large, Steps.of(large.steps)) if known.over else known.at(large, 24)).chart()
    assert len(chart.data) < 60  # a curve for each step has two
    assert len(chart.layout.shapes) < 20
    assert len(chart.to_json()) < MOST / 5


def test_films_and_comparisons_of_a_large_run_are_small(large):
    compared = comparison_of_spectra({"one": large.results[0], "other": large.results[-1]})
    assert len(with_plotly.draw(compared).to_json()) < MOST / 5
    trees = by_segment(large.results[:5])["all"]
    assert 5 * len(film(frames(large.steps, trees, 1e-3)).to_json()) < MOST


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
    assert np.asarray(first.y_errors).tolist() == [2.5]
    assert "2 ± 2, unresolved" in first.facts.said(0).replace("2.5", "2")
    assert "not larger than its error" in [points.label for points in of_kind(picture, marks.Points)]
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
    for row, side, beyond in ((picture.rows[1], "below", ["2", "1"]), (picture.rows[3], "above", ["1", "2"])):
        assert row[0].title.startswith(f"number of eigenvalues {side} the gap")
        assert list(row[0].marks[0].texts) == beyond
    # The hole, between -1 and 1, is none of the gaps.
    assert sorted(float(y) for points in of_kind(picture, marks.Points) for y in points.y) == [1, 1, 3, 4]


def test_counts_equal_scipys_and_are_missing_where_unresolved():
    spectra = {0: realistic(0), 2: realistic(1, error_bounds=0.02)}
    trees = {i: single_linkage(spectrum) for i, spectrum in spectra.items()}
    resolutions = np.geomspace(1e-8, 30, 40)
    counts = resolved_counts(trees, 3, resolutions)
    assert np.isnan(counts[:, 1]).all()
    for position, tree in trees.items():
        reference = linkage(tree.eigenvalues[:, None], "single")
        for row, epsilon in enumerate(resolutions):
            if epsilon <= tree.resolution:
                assert np.isnan(counts[row, position])
            else:
                assert counts[row, position] == fcluster(reference, epsilon, "distance").max()


def test_n_of_epsilon_below_the_resolution_has_no_colour():
    tree = single_linkage(complete([0.0, 1.0, 3.0], 0.2))
    picture = cluster_count_heatmap([0], [complete([0.0, 1.0, 3.0], 0.2)])
    (heat,), (unresolved,) = of_kind(picture, marks.HeatMap), of_kind(picture, marks.Bars)
    assert unresolved.hatched
    assert unresolved.label.startswith("unresolved")
    assert unresolved.stops == pytest.approx([0.4])
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
    assert np.stack([bars.starts, bars.stops], axis=1) == pytest.approx(np.array([[3, 10], [0.2, 3], [0.5, 3]]))
    lengths = np.asarray(bars.stops) - np.asarray(bars.starts)
    assert (np.diff(lengths) <= 0).all()
    assert picture.rows[0][0].y.names == ["4 in [0, 3.7]", "2 in [3.5, 3.7]", "2 in [0, 0.5]"]
    assert shade.x == (None, pytest.approx(2e-3))
    patches = with_matplotlib.draw(picture).axes[0].patches
    drawn = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in patches if hasattr(bar, "get_x")]
    assert drawn == [pytest.approx(bar) for bar in [(3, 10), (0.2, 3), (0.5, 3)]]
    assert bars.colour == COLOURS[0]
    (on_screen,) = traces(with_plotly.draw(picture), "longer")
    ends = np.stack([on_screen.base, on_screen.base + on_screen.x], axis=1)
    assert ends == pytest.approx(np.array([[3, 10], [0.2, 3], [0.5, 3]]), rel=1e-6)


def test_bars_that_may_be_errors_are_hollow_and_named():
    picture = barcode([0], [complete([0.0, 0.5, 3.5, 3.7, 13.7], 0.7)])
    resolved, unresolved = of_kind(picture, marks.Bars)
    assert (len(resolved.places), len(unresolved.places)) == (1, 2)
    assert (bool(resolved.colour), unresolved.colour, unresolved.outline) == (True, "", marks.INK)
    assert unresolved.label.startswith("unresolved")
    touching = Spectrum(eigenvalues=[1.0, 1.1, 9.0], error_bounds=1e-3, dim=10, num_top=3)
    (bars,) = of_kind(barcode([0], [touching]), marks.Bars)
    assert bars.hatched
    assert "touches a hole" in bars.label


def test_a_bar_born_at_zero_begins_at_zero():
    (bars,) = of_kind(barcode([0], [complete([1.0, 1.0, 4.0], 0.0)]), marks.Bars)
    assert np.asarray(bars.starts).tolist() == [0]


def test_a_chosen_cluster_has_a_ring_around_its_mark():
    tree = single_linkage(complete([0.0, 0.5, 3.5, 3.7, 13.7], 1e-3))
    plain, chosen = (dendrogram(tree, 1.0, chosen=value) for value in (None, 3.6))
    cut = next(one for one in of_kind(chosen, marks.Points) if one.clickable)
    (ring,) = [one for one in of_kind(chosen, marks.Points) if one.label == "selected cluster"]
    assert np.asarray(ring.x).tolist() == [np.asarray(cut.x)[1]]
    assert len(of_kind(plain, marks.Points)) == len(of_kind(chosen, marks.Points)) - 1


def test_pictures_below_each_other_keep_their_heights():
    one, panel = replace(toy(), height=2.0), toy().rows[0][:1]
    two = Picture((panel, panel), height=3.0, heights=(2.0, 1.0))
    both = stacked(one, two)
    assert (both.title, both.height, both.heights) == ("a toy", 5.0, (2.0, 2.0, 1.0))
    assert both.rows == (*one.rows, *two.rows)


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
    assert "no parameter is coupled" in reasons(coupling([7], [tree], [0 * picture]))[0]


# ── the figures of a run ─────────────────────────────────────────────────────────────────────────────────────────────

OF_A_SPECTRUM = {
    "spectrum_evolution",
    "dendrogram",
    "cluster_count_heatmap",
    "cluster_count_curves",
    "gaps",
    "barcode",
    "level_statistics",
    "summary",
    "fourier",
    "filters",
}
OF_A_TREE = {"connectivity", "composition", "parameter_dendrogram", "coupling"}


@pytest.fixture
def run(tmp_path):
    """Three steps of a convolutional model: an analysis of spectra, one of trees, and one that has not begun."""
    run = small_run.write(tmp_path / "run")
    run.create_analysis("empty", {"configuration": {}})
    return run


@pytest.fixture
def unwritten(monkeypatch):
    """Figures are made and not written, which takes most of the time."""
    monkeypatch.setattr(figures, "save", lambda figure, stem: [stem])


@pytest.mark.usefixtures("unwritten")
def test_every_picture_of_an_analysis_is_drawn(run, tmp_path):
    folder = tmp_path / "new" / "figures"
    of_a_tree = f"{small_run.ANALYSIS}.fiedler"
    for name, expected in ((small_run.ANALYSIS, OF_A_SPECTRUM), (of_a_tree, OF_A_TREE)):
        assert {path.name for path in figures.draw(run, name, folder)} == expected
    assert figures.draw_any is figures.draw_bipartition is figures.draw


def test_files_are_written_without_torch_plotly_or_global_state(run, tmp_path):
    folder = tmp_path / "new" / "figures"
    # The setting "backend" is left out: reading it makes matplotlib choose one. Two pictures have most marks.
    code = (
        "import sys, hessian_dendrogram as h\n"
        "from pathlib import Path\n"
        "from hessian_dendrogram.pictures import PICTURES\n"
        "h.Run, h.single_linkage\n"
        "assert not {'torch', 'matplotlib', 'plotly'} & set(sys.modules), 'loaded too early'\n"
        "import matplotlib\n"
        "settings = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}\n"
        "before = settings()\n"
        "from hessian_dendrogram.figures import draw\n"
        "for name in PICTURES.keys() - {'gaps', 'filters'}: del PICTURES[name]\n"
        f"paths = draw(h.Run({str(run.path)!r}), {small_run.ANALYSIS!r}, Path({str(folder)!r}))\n"
        "assert settings() == before\n"
        "assert not {'torch', 'plotly'} & set(sys.modules)\n"
        "from hessian_dendrogram.pictures import with_plotly\n"
        "assert 'torch' not in sys.modules\n"
        "print(*paths, sep='\\n')\n"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    paths = [Path(line) for line in result.stdout.splitlines()]
    expected = ["gaps.png", "gaps.pdf", "filters.png", "filters.pdf"]
    assert [path.name for path in paths] == expected
    assert set(paths) == set(folder.iterdir())
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG" if path.suffix == ".png" else b"%PDF")
        assert path.stat().st_size > 5000


def test_an_analysis_without_a_result_is_refused_and_one_without_pictures_has_none(run, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"'empty'.*no spectrum"):
        figures.draw(run, "empty", tmp_path / "figures")
    with pytest.raises(UserError, match="nowhere"):
        figures.draw(run, "nowhere", tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
    monkeypatch.setitem(KINDS, "other", Kind(marks.Facts))
    run.create_analysis("others", {"configuration": {}}, kind="other")
    assert figures.draw(run, "others", tmp_path / "figures") == []
    assert (tmp_path / "figures").is_dir()


@pytest.mark.usefixtures("unwritten")
def test_filters_and_measures_are_left_out_where_there_are_none(tmp_path):
    (tmp_path / "run").mkdir()
    run = store.Run.create(tmp_path / "run", configuration={}, layout=Layout(("w",), ((3,),)), provenance={})
    run.create_analysis("a", {"configuration": {}})
    run.save_spectrum(5, "a", complete([1.0, 2.0, 3.0]), {})
    drawn = figures.draw(run, "a", tmp_path / "figures")
    assert {path.name for path in drawn} == OF_A_SPECTRUM - {"filters", "fourier"}


@pytest.mark.usefixtures("unwritten")
def test_analyses_are_compared_where_there_are_two(run, tmp_path):
    assert figures.draw_comparison(run, tmp_path / "figures") == []
    run.save_spectrum(0, "empty", realistic(7, 17), {})
    drawn = figures.draw_comparison(run, tmp_path / "figures")
    assert [path.name for path in drawn] == ["comparison"]


def test_functions_of_earlier_versions_still_make_figures():
    steps, spectra, shares = [0, 5], [realistic(), realistic(1)], Layout(("w",), ((8,),))
    W = np.kron(np.eye(2), np.ones((4, 4))) + 0.01
    np.fill_diagonal(W, 0)
    trees = [recursive_bipartition(W, min_size=1)] * 2
    made = {
        "barcode": figures.barcode(steps, spectra, title="t", count=3),
        "comparison": figures.comparison({"a": {0: spectra[0]}}, title="t"),
        "composition": figures.composition(steps, trees, shares, k=2),
        "coupling_heatmap": figures.coupling_heatmap(steps, trees, [W.astype(np.float32)] * 2, k=2, most=1),
        "dendrogram_snapshots": figures.dendrogram_snapshots(steps, spectra, title="t", most_steps=1),
        "first_layer_filters": figures.first_layer_filters([0], [np.ones((2, 1, 3, 3))], name="conv"),
        "parameter_dendrograms": figures.parameter_dendrograms(steps, trees, shares, most=1),
    }
    assert {type(figure) for figure in made.values()} == {Figure}
    for name in ("cluster_count_curves", "cluster_count_heatmap", "connectivity", "fourier", "largest_gaps"):
        assert callable(getattr(figures, name))
    for name in ("level_statistics", "spectrum_evolution", "summary"):
        assert callable(getattr(figures, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        figures.nothing  # noqa: B018


def test_the_title_says_what_is_known_and_no_more():
    provenance = {"operator": "hessian", "samples": 1437, "samples_total": 60000, "dtype": "float64"}
    title = spectrum_title("digits", complete([1.0], provenance=provenance))
    assert title == "digits, hessian, 1,437 of 60,000 samples, float64"
    assert spectrum_title("", complete([1.0])) == ""
    configuration = {"operator": "gauss-newton", "operator_options": {"metric": "softmax", "tau": 2.0, "centred": True}}
    title = spectrum_title("digits", complete([1.0]), configuration | {"parameters": ["0.*", "2.bias"]})
    assert title == "digits, gauss-newton (softmax, tau 2.0, centred, parameters 0.* 2.bias)"
    assert spectrum_title("", complete([1.0]), {"operator": 3, "operator_options": ["a"], "parameters": 5}) == "3"


# ── a picture of one's own ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_in_the_registry_is_figure_chart_section_and_tab(run, tmp_path):
    def largest(here, at):
        line = marks.Line(range(len(here.steps)), [spectrum.eigenvalues[-1] for spectrum in here.results], label="λ_1")
        return Picture(((Panel((line,), x=at, y=Linear("λ_1")),),), sentence="It rises.")

    own = Known(of="spectrum", title="Largest eigenvalue", sentence="It rises.", over=largest, tab="My own")
    here = read(run, small_run.ANALYSIS)
    with mock.patch.dict(PICTURES, {"own": own}, clear=True):  # the others take long; it keeps their order
        assert tabs_of(here)["My own"] == {"own": own}
        files = figures.draw(run, small_run.ANALYSIS, tmp_path)
        written = export_page(run, tmp_path / "page.html", analysis=small_run.ANALYSIS)
    assert [path.name for path in files] == ["own.png", "own.pdf"]
    (trace,) = own.over(here, Steps.of(here.steps)).chart().data
    assert trace.y == pytest.approx([spectrum.eigenvalues[-1] for spectrum in here.results])
    page = (tmp_path / "page.html").read_text()
    assert (written.num_charts, written.left_out) == (1, [])
    assert "Largest eigenvalue at 3 training steps, from 0 to 40" in page
    assert "<p>It rises.</p>" in page


def test_clusters_beside_each_other_have_one_colour():
    left = single_linkage(complete([0.0, 0.1, 5.0, 5.1, 5.2, 9.0, 9.1], 1e-3))
    right = single_linkage(complete([0.0, 0.1, 0.2, 0.3, 5.0, 5.2, 9.0, 9.1], 1e-3))
    alone, beside = cluster_colours(right, 0.5), cluster_colours(right, 0.5, left)
    of_left = cluster_colours(left, 0.5)
    assert beside[-1] == of_left[-1]  # counted from the upper end, the same two eigenvalues
    assert beside[1] == of_left[1]
    assert len(set(beside)) == 3
    assert alone != beside
    assert cluster_colours(left, 0.5, left) == of_left
