"""Pictures of numbers over training: drawn by both libraries, also of awkward results, they show what was computed."""

import re

import numpy as np
import pytest

from hessian_dendrogram.layout import Layout
from hessian_dendrogram.pictures import marks
from hessian_dendrogram.pictures.axes import Eigenvalues, Linear, Log, Steps
from hessian_dendrogram.pictures.cluster import cluster_eigenvalues, layer_shares
from hessian_dendrogram.pictures.comparison import comparison_of_analyses, comparison_of_spectra
from hessian_dendrogram.pictures.fourier import fourier
from hessian_dendrogram.pictures.histogram import eigenvalue_histogram
from hessian_dendrogram.pictures.level_statistics import level_statistics
from hessian_dendrogram.pictures.marks import COLOURS
from hessian_dendrogram.pictures.summary import summary
from hessian_dendrogram.pictures.training import training_curves
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.statistics.dendrogram import single_linkage
from hessian_dendrogram.statistics.gap_ratio import gap_ratio
from hessian_dendrogram.statistics.level_statistics import REFERENCES
from hessian_dendrogram.statistics.segments import by_segment
from hessian_dendrogram.statistics.summary import summarise
from hessian_dendrogram.store import Run
from hessian_dendrogram.store.fourier import FOURIER, has_measures
from picture_helpers import AWKWARD, NASTY, complete, drawn, measures_of, metrics_of, of_kind, partial, realistic
from places import ROOT

RESULT = ROOT / "results" / "modular-addition"


def labelled(picture, label):
    (mark,) = [
        mark
        for kind in (marks.Points, marks.Line, marks.Bars)
        for mark in of_kind(picture, kind)
        if mark.label == label
    ]
    return mark


def said(picture):
    """What stands in the picture, but for names of axes."""
    notes = [mark.text for mark in of_kind(picture, marks.Remark)]
    return "\n".join([picture.title, *(panel.title for row in picture.rows for panel in row), *notes])


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_spectra_are_compared_and_their_clusters_drawn(case):
    spectra, is_laid_out = AWKWARD[case], case == "partial, some unconverged"
    by_step = {10 * i: spectrum for i, spectrum in enumerate(spectra)}
    drawn(comparison_of_analyses({"few": by_step, "many": {0: realistic()}}), laid_out=is_laid_out)
    for trees in by_segment(spectra[:1]).values():
        drawn(cluster_eigenvalues(trees[0], 0, 1), laid_out=is_laid_out)


def test_a_real_run_is_drawn_by_both():
    run = Run(RESULT)
    (name,) = run.analyses()
    steps = run.analysed_steps(name)[::20]
    spectra, measures = [run.spectrum(step, vectors=False) for step in steps], [run.measures(step) for step in steps]
    assert has_measures(measures)
    drawn(fourier(steps, spectra, measures, metrics=run.metrics()))
    drawn(training_curves(steps, run.metrics()))
    numbers, shares = run.shares(steps[-1])
    drawn(layer_shares(run.layout_of(name), numbers, spectra[-1].eigenvalues[numbers], shares))


def test_names_of_any_origin_are_shown_letter_by_letter():
    spectra = dict(zip(NASTY, [realistic(), partial()] * 4, strict=False))
    layout = Layout(tuple(f"{name}.weight" for name in NASTY), ((1,),) * len(NASTY))
    layers = layer_shares(layout, np.array([0]), np.array([2.0]), np.full((7, 1), 1 / 7), title="\n".join(NASTY))
    for picture in (comparison_of_spectra(spectra), layers):
        figure, chart = drawn(picture, laid_out=True)
        shown = [trace.name or "" for trace in chart.data] + [note.text for note in chart.layout.annotations]
        assert not any(re.search(r"<(?!br>)|[$%]\{|\$|\x1b", text) for text in shown)
        legend = [text.get_text().strip() for text in figure.legends[0].get_texts()]
        for name in NASTY:
            start = name[:6].replace("$", r"\$").replace("\x1b", r"\x1b")
            assert any(text.startswith(start) for text in legend), name


# ── summary and training ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_summary_shows_the_numbers_of_the_statistics():
    spectra = [realistic(seed, error_bounds=1e-5) for seed in range(3)]
    numbers = [summarise(spectrum) for spectrum in spectra]
    picture = summary([0, 5, 9], spectra)
    for label, field in (("largest eigenvalue", "largest"), ("smallest eigenvalue", "smallest")):
        points = labelled(picture, label)
        assert points.y.tolist() == [getattr(one, field) for one in numbers]
        assert points.y_errors.tolist() == [getattr(one, f"{field}_error") for one in numbers]
    trace, entropy = (mark for mark in of_kind(picture, marks.Points) if not mark.label)
    assert (trace.y.tolist(), trace.y_errors.tolist()) == ([n.trace for n in numbers], [n.trace_error for n in numbers])
    assert entropy.y.tolist() == [n.entropy for n in numbers]
    assert "error bound" in trace.facts.said(1)
    (bars,) = of_kind(picture, marks.Bars)
    assert bars.starts.tolist() == labelled(picture, "surely negative").y.tolist() == [n.num_negative for n in numbers]
    assert (bars.stops - bars.starts).tolist() == [n.num_unresolved_sign for n in numbers]
    assert "left out" not in said(picture)
    assert "step 5" in trace.facts.said(1)


def test_the_summary_says_what_it_cannot_know():
    estimate = {"trace": {"value": 7.0, "standard_error": 0.5}}
    known = partial()
    parts = {name: getattr(known, name) for name in ("eigenvalues", "error_bounds", "dim", "num_bottom", "num_top")}
    spectra = [Spectrum(**parts, provenance=estimate), Spectrum(**parts)]
    picture = summary([0, 5], spectra, title="run")
    assert picture.title == "run\nnegative eigenvalues, entropy left out: every eigenvalue would be needed, converged"
    assert "trace, an estimate, standard error ≤ 0.5" in said(picture)
    (trace,) = [mark for mark in of_kind(picture, marks.Points) if not mark.label]
    assert np.isnan(trace.y).tolist() == [False, True]
    assert "± 0.5\n(standard error of an estimate)" in trace.facts.said(0)
    assert "trace" in summary([0], [partial()]).title
    top = summary([0], [partial(num_bottom=0)])
    assert "the smallest is not known" in said(top)
    assert "neither end" in said(summary([0], [partial(converged=np.zeros(11, bool))]))


@pytest.mark.parametrize("columns", [{}, {"test_accuracy": 0.5}, {"train_loss": 0.0, "test_accuracy": np.nan}])
def test_panels_without_a_measurement_are_left_out(columns):
    metrics = {"step": np.array([0.0, 7.0])} | {name: np.array([value, value]) for name, value in columns.items()}
    picture = summary([0, 7], [realistic(0), realistic(1)], metrics=metrics)
    assert len(picture.rows) == 4 + sum(np.isfinite(value) for value in columns.values())


def test_a_trace_over_decades_has_a_logarithmic_axis():
    wide, narrow = (summary([0, 1], [complete([1.0]), complete([top])]) for top in (2000.0, 500.0))
    assert [type(row[0].y) for row in (wide.rows[2], narrow.rows[2])] == [Log, Linear]


def test_curves_stand_between_the_analysed_steps_and_skip_what_was_not_measured():
    nan = np.nan
    metrics = {
        "step": np.array([0.0, 50, 100, 200, 400]),
        "train_loss": np.array([4.0, nan, 2.0, 1.0, 0.5]),
        "batch_loss": np.full(5, nan),
        "test_accuracy": np.array([0.1, 0.2, 0.3, nan, 0.5]),
    }
    picture = training_curves([0, 100, 300], metrics, title="t")
    loss, accuracy = of_kind(picture, marks.Points)
    assert (loss.x.tolist(), loss.y.tolist()) == ([0, 1, 1.5], [4, 2, 1])
    assert (accuracy.x.tolist(), accuracy.y.tolist()) == ([0, 0.5, 1], [0.1, 0.2, 0.3])
    assert loss.facts.said(2) == "step 200\ntrain loss 1"
    assert [type(row[0].y) for row in picture.rows] == [Log, Linear]
    in_summary = of_kind(summary([0, 100, 300], [realistic()] * 3, metrics=metrics), marks.Points)
    assert in_summary[0].y.tolist() == [4, 2, 1]


@pytest.mark.parametrize(
    "metrics", [{}, {"step": np.array([0.0])}, {"step": np.array([0.0]), "train_loss": np.array([np.nan])}]
)
def test_without_measurements_the_picture_says_so(metrics):
    picture = training_curves([0, 10], metrics)
    drawn(picture)
    assert "neither loss nor accuracy was recorded" in said(picture)


def test_a_loss_that_is_not_drawn_does_not_stretch_the_axis():
    metrics = {"step": np.array([0.0, 5.0, 1e5]), "train_loss": np.array([3.0, 3.2, 1e-8])}
    (panel,) = training_curves([0, 5], metrics).rows[0]
    assert panel.y.limits[0] > 1
    picture = fourier([0, 5], [partial()] * 2, measures_of(2), metrics=metrics)
    (limits,) = [row[0].y.limits for row in picture.rows if row[0].y.label == "loss"]
    assert limits[0] > 0.1


@pytest.mark.parametrize(
    ("losses", "axis", "remark"), [([0.0, 2.0], Log, True), ([-1.0, 2.0], Linear, False), ([0.0, 0.0], Linear, False)]
)
def test_losses_that_no_logarithm_has_are_not_lost_in_silence(losses, axis, remark):
    picture = training_curves([0, 1], {"step": np.array([0.0, 1.0]), "test_loss": np.array(losses)})
    drawn(picture)
    assert type(picture.rows[0][0].y) is axis
    assert ("1 losses of zero" in said(picture)) == remark


# ── level statistics and the histogram ───────────────────────────────────────────────────────────────────────────────


def test_gap_ratios_are_those_of_the_statistics_and_a_line_breaks_where_there_are_none():
    random = np.random.default_rng(0)
    blurred = complete(np.linspace(1, 2, 300), 1.0)
    spectra = [complete(random.uniform(-1, 1, 300), 1e-9), blurred, complete(random.uniform(-1, 1, 300), 1e-9)]
    points = labelled(level_statistics(Steps((0, 4, 9)), spectra), "all resolved")
    known = [gap_ratio(spectra[place]) for place in (0, 2)]
    assert points.y[[0, 2]].tolist() == [ratio.mean for ratio in known]
    assert points.y_errors[[0, 2]].tolist() == [ratio.standard_error for ratio in known]
    assert np.isnan(points.y[1])
    assert f"{known[1].num_ratios:,} ratios used" in points.facts.said(2)
    both = level_statistics([0, 4, 9], spectra, title="t")
    rules = [rule.at for rule in of_kind(both, marks.Rule)]
    assert rules == [*REFERENCES.values()] * 2
    for row in both.rows:
        assert row[0].y.limits[0] < min(REFERENCES.values())


def test_windows_reach_from_end_to_end_and_are_counted():
    spectrum = complete(np.sort(np.random.default_rng(1).uniform(-1, 1, 2400)), 1e-9)
    picture = level_statistics([3, 7], [spectrum, complete(np.linspace(1, 2, 2400), 1.0)])
    points, (widths, _) = labelled(picture, "step 3: 12 of 12 windows resolved"), of_kind(picture, marks.Line)
    lows, highs = widths.x[::3], widths.x[1::3]
    assert (lows[1:] >= highs[:-1]).all()
    assert ((lows < points.x) & (points.x < highs)).all()
    assert widths.y[::3].tolist() == points.y.tolist()
    labelled(picture, "step 7: 0 of 12 windows resolved")
    assert "too few" in said(level_statistics([0], [partial()]))
    drawn(picture)


def test_a_histogram_counts_every_eigenvalue_once():
    converged = np.arange(11) != 7
    for spectrum in (realistic(error_bounds=1e-6), partial(converged=converged)):
        picture = eigenvalue_histogram(spectrum)
        solid = [bars for bars in of_kind(picture, marks.Bars) if not bars.hatched]
        assert sum(int((bars.stops - bars.starts).sum()) for bars in solid) == len(spectrum.eigenvalues)
        stacks = sorted(piece for bars in solid for piece in zip(bars.places, bars.starts, bars.stops, strict=True))
        for place in {place for place, _, _ in stacks}:
            pieces = [(start, stop) for at, start, stop in stacks if at == place]
            assert [0, *(stop for _, stop in pieces)] == [*(start for start, _ in pieces), pieces[-1][1]]
        values, bounds = spectrum.eigenvalues, spectrum.error_bounds
        number = int((spectrum.converged & (values > bounds)).sum())
        positive = labelled(picture, f"positive ({number:,})")
        assert int((positive.stops - positive.starts).sum()) == number
        assert bool([bars for bars in of_kind(picture, marks.Bars) if bars.hatched]) == (not spectrum.is_complete)
        _, chart = drawn(picture)
        (trace,) = [trace for trace in chart.data if (trace.name or "").startswith("positive")]
        scale = picture.rows[0][0].x
        assert trace.width == pytest.approx(np.diff(scale.place(scale.limits))[0] / 80, rel=1e-4)  # equal on the page
    assert labelled(picture, "not converged (1)").outline
    signs = eigenvalue_histogram(complete([-5.0, -1e-9, 1e-9, 2.0, 3.0], 1e-8))
    counts = {
        bars.label.split(":")[0].split(" (")[0]: int((bars.stops - bars.starts).sum())
        for bars in of_kind(signs, marks.Bars)
    }
    assert counts == {"positive": 2, "negative": 1, "sign unresolved": 2}


# ── comparison ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_analysis_that_cannot_be_drawn_is_named():
    failed = partial(converged=np.zeros(11, bool))
    picture = comparison_of_spectra({"whole": realistic(), "ends": partial(), "failed": failed})
    leading, counts = (row_panel for row_panel in picture.rows[0])
    remarks = [next(m.text for m in panel.marks if isinstance(m, marks.Remark)) for panel in (leading, counts)]
    assert "no largest eigenvalue of failed has converged" in remarks[0]
    assert "of whole" in remarks[0]  # some of the 100 leading ones are not positive
    assert "not every eigenvalue of ends, failed is known" in remarks[1]
    over = comparison_of_analyses({"whole": {0: realistic(), 5: realistic(1)}, "failed": {5: failed}})
    assert over.rows[0][0].title == "leading eigenvalues at step 5"
    assert sum("left out: not known of failed" in mark.text for mark in of_kind(over, marks.Remark)) == 4
    nothing = comparison_of_spectra({"a": failed})
    drawn(nothing)
    assert "no largest eigenvalue of a has converged" in said(nothing)
    assert "share no step" in said(comparison_of_analyses({"a": {0: realistic()}, "b": {1: realistic()}}))
    drawn(comparison_of_spectra({}))


@pytest.mark.parametrize(
    "analyses",
    [{}, {"a": {}, "b": {}}, {"a": {0: partial(num_top=0)}}, {"a": {0: complete([-3.0, -2.0])}, "b": {0: partial()}}],
)
def test_little_is_compared_without_a_warning(analyses):
    drawn(comparison_of_analyses(analyses), laid_out=True)


def test_a_comparison_shows_each_analysis_at_the_last_step_that_all_share():
    first, second = realistic(1), realistic(2)
    picture = comparison_of_analyses({"a": {0: realistic(3), 5: first}, "b": {5: second, 9: realistic(4)}})
    assert picture.rows[0][0].title == "leading eigenvalues at step 5"
    for points, spectrum in zip(of_kind(picture, marks.Points)[:2], (first, second), strict=True):
        assert points.y.tolist() == spectrum.eigenvalues[spectrum.eigenvalues > 1e-6][::-1].tolist()


def test_no_point_of_a_comparison_hides_another():
    spectra = {name: {0: realistic(), 5: realistic(1)} for name in "abc"} | {"d": {5: realistic(1)}}
    picture = comparison_of_analyses(spectra)
    (panel, _) = picture.rows[1]
    assert panel.title == "largest eigenvalue"
    places = np.concatenate([points.x for points in panel.marks])
    assert len(np.unique(places)) == len(places) == 7
    for points in panel.marks:
        assert np.abs(points.x - np.round(points.x)).max() < 0.25  # nearer to its step than to any other
        steps = spectra[points.label]
        assert points.y.tolist() == [summarise(steps[step]).largest for step in sorted(steps)]
        assert points.y_errors.tolist() == [summarise(steps[step]).largest_error for step in sorted(steps)]
    sizes = [points.size for points in picture.rows[0][0].marks if isinstance(points, marks.Points)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


def test_leading_eigenvalues_and_cluster_counts_are_those_of_the_spectrum():
    spectrum = complete([-5.0, 1e-9, 1.0, 2.0, 4.0], 1e-6)
    picture = comparison_of_spectra({"a": spectrum})
    (points,) = of_kind(picture, marks.Points)
    assert (points.x.tolist(), points.y.tolist(), points.y_errors.tolist()) == ([1, 2, 3], [4, 2, 1], [1e-6] * 3)
    (_, curve), tree = of_kind(picture, marks.Line), single_linkage(spectrum)
    assert curve.y.tolist() == tree.num_clusters(curve.x).tolist()
    assert (curve.x > tree.resolution).all()


# ── a cluster, and Fourier measures ──────────────────────────────────────────────────────────────────────────────────


def test_a_cluster_is_shown_with_its_neighbours():
    tree = single_linkage(complete([0.0, 1.0, 1.1, 1.2, 5.0], [0.1, 0.2, 0.3, 0.4, np.inf]))
    picture = cluster_eigenvalues(tree, 1, 4)
    inside, outside = labelled(picture, "in the cluster (3)"), labelled(picture, "next outside (2)")
    assert (inside.x.tolist(), inside.y.tolist()) == ([2, 3, 4], [1.0, 1.1, 1.2])
    assert inside.y_errors.tolist() == [0.2, 0.3, 0.4]
    assert outside.y.tolist() == [0, 5]
    assert outside.hollow
    assert not inside.hollow
    assert outside.facts.said(0).startswith("number 1 from the bottom\nλ = 0 ± 0.1")
    drawn(picture)
    drawn(cluster_eigenvalues(single_linkage(complete(np.arange(300.0))), 0, 300))


def test_shares_of_layers_are_stacked_in_the_order_of_the_eigenvalues():
    layout = Layout(("a.weight", "a.bias", "b.weight"), ((2,), (1,), (3,)))
    random = np.random.default_rng(0)
    shares = random.dirichlet([1, 1, 1], 70).T
    values = random.normal(size=70)
    picture = layer_shares(layout, np.arange(70), values, shares, title="here")
    a, b = of_kind(picture, marks.Bars)
    order = np.argsort(-np.abs(values))[:60]
    order = order[np.argsort(-values[order])]
    assert (a.label, b.label) == ("a", "b")
    assert a.stops == pytest.approx(shares[:2, order].sum(axis=0))
    assert b.starts == pytest.approx(a.stops)
    assert b.stops == pytest.approx(1)
    assert a.colour == COLOURS[0]
    assert picture.title == "here, the 60 of largest magnitude of 70 eigenvectors"
    assert f"number {order[3] + 1}" in b.facts.said(3)
    grouped = layout.grouped({"first": ["a.*"], "second": ["b.*"]})
    names = [
        bars.label for bars in of_kind(layer_shares(grouped, np.arange(2), values[:2], shares[:2, :2]), marks.Bars)
    ]
    assert names == ["first", "second"]
    empty = layer_shares(layout, np.empty(0, np.int64), np.empty(0), np.empty((3, 0)))
    drawn(empty)
    assert "no eigenvector is stored" in said(empty)


def test_fourier_measures_stand_under_the_spectrum():
    far = Spectrum(
        eigenvalues=[-9.0, -0.1, -0.05], error_bounds=1e-6, dim=10, num_bottom=3, converged=[False, True, True]
    )
    steps, spectra, rows = [0, 5], [far, partial()], measures_of(2)
    picture = fourier(steps, spectra, rows, metrics=metrics_of(steps), ends=["bottom"], most=3)
    (dashes,) = of_kind(picture, marks.Dashes)
    (crosses,) = [mark for mark in of_kind(picture, marks.Points) if mark.symbol == "x"]
    low = [spectrum.eigenvalues[:3] for spectrum in spectra]
    assert dashes.y.tolist() == [*low[0][1:], *low[1]]
    assert crosses.y.tolist() == [low[0][0]]
    axis = picture.rows[0][0].y
    assert isinstance(axis, Eigenvalues)
    assert axis.limits[0] < crosses.y[0] < axis.limits[1]  # no mark lies beyond the axis
    heat, other = of_kind(picture, marks.HeatMap)
    assert heat.values.T.tolist() == [row["embedding_norms"] for row in rows]
    assert heat.scale.limits == other.scale.limits == (0, 6)
    assert labelled(picture, "loss with the key frequencies alone, all pairs").y.tolist() == [0.2, 1.2]
    triangles = [mark for mark in of_kind(picture, marks.Points) if mark.symbol == "triangle-left"]
    assert [np.asarray(one.y).tolist() for one in triangles] == [[3, 40]] * 2
    assert not any(mark.label == "batch" for mark in of_kind(picture, marks.Line))
    assert len({row[0].x.limits for row in picture.rows}) == 1
    few = fourier([0], [partial(converged=np.arange(11) != 7)], rows[:1], ends=["top"], most=3)
    assert "not converged" not in [mark.label for mark in of_kind(few, marks.Points)]  # it is not among these three


def test_missing_measures_and_numbers_make_no_broken_picture():
    steps, spectra = [0, 5], [partial(), partial()]
    for name in FOURIER:
        rows = [{key: value for key, value in row.items() if key != name} for row in measures_of(2)]
        assert not has_measures(rows)
        assert "no Fourier measures" in said(fourier(steps, spectra, rows))
    assert not has_measures([])
    rows = [row | {"restricted_loss": np.nan, "excluded_loss": None} for row in measures_of(2)]
    drawn(fourier(steps, spectra, rows))
    drawn(fourier(steps, spectra, [row | {"restricted_loss": 0.0} for row in measures_of(2)]))
    zero = [row | dict.fromkeys(FOURIER[:2], [0.0] * 56) | {"key_frequencies": []} for row in measures_of(2)]
    drawn(fourier(steps, spectra, zero))
