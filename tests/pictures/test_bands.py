"""Bands: the median and the range of several pictures, and nulls behind a picture, as numbers."""

import warnings

import numpy as np
import pytest

from hessian_dendrogram.pictures import PICTURES, Panel, Picture, marks
from hessian_dendrogram.pictures.axes import Linear, Log, Steps
from hessian_dendrogram.pictures.bands import bands
from hessian_dendrogram.pictures.connectivity import connectivity
from hessian_dendrogram.pictures.marks import FAINT, Band, Bars, Dashes, Facts, HeatMap, Line, Points, Rule, Scale
from hessian_dendrogram.pictures.of_runs import beside_nulls, named_seeds, of_seeds, training_of_seeds
from hessian_dendrogram.pictures.summary import summary
from hessian_dendrogram.pictures.training import training_curves
from hessian_dendrogram.solvers.graph.bipartition import recursive_bipartition
from picture_helpers import AWKWARD, analysed, complete, drawn, metrics_of, of_kind, realistic

STEPS = 0, 10, 40


def picture(values, steps=STEPS, *, label="λ", y=None, title="", sentence="One.", **more):
    """A picture of one line of points over training."""
    facts = Facts("step {step}", {"step": np.array(steps)})
    points = Points(np.arange(len(steps)), values, marks.COLOURS[0], label=label, facts=facts, **more)
    return Picture(((Panel((points,), x=Steps(tuple(steps)), y=y or Linear("size"), title=title),),), sentence=sentence)


def lines(found, label=None):
    """The points and lines of a picture with numbers, of one label."""
    kinds = of_kind(found, Points) + of_kind(found, Line)
    return [one for one in kinds if np.isfinite(one.y).any() and label in (None, one.label)]


def filled(found):
    return [band for band in of_kind(found, Band) if len(band.x)]


def test_the_median_and_the_range_of_three_runs():
    found = bands([picture([1.0, 2.0, 3.0]), picture([5.0, 2.0, 1.0]), picture([2.0, 8.0, 2.0])])
    (line,), (band,) = lines(found), filled(found)
    assert line.y.tolist() == [2.0, 2.0, 2.0]
    assert (band.low.tolist(), band.high.tolist()) == ([1.0, 2.0, 1.0], [5.0, 8.0, 3.0])
    assert (line.label, line.colour, band.colour) == ("λ", marks.COLOURS[0], marks.COLOURS[0])
    assert line.facts.said(1) == "step 10: λ\nmedian 2 of 3 runs\nfrom 2 to 8"
    assert "median of 3 runs" in found.sentence
    assert found.sentence.endswith("Of one run: One.")
    drawn(found, laid_out=True)


def test_steps_of_some_runs_show_what_there_is_and_how_many():
    found = bands([picture([1.0, 2.0, 3.0]), picture([3.0, 5.0], (0, 40)), picture([4.0], (20,))])
    (panel,), (line,), (band,) = found.rows[0], lines(found), filled(found)
    assert panel.x.steps == (0, 10, 20, 40)
    assert (line.x.tolist(), line.y.tolist()) == ([0, 1, 2, 3], [2.0, 2.0, 4.0, 4.0])
    assert band.high.tolist() == [3.0, 2.0, 4.0, 5.0]
    assert line.facts.columns["runs"].tolist() == [2, 1, 1, 2]
    assert panel.title == "1 to 2 of 3 runs at a step"


def test_curves_beside_each_other_for_their_bars_are_of_one_step():
    moved = [
        Points([0.2, 1.2], [1.0, 2.0], "#112233", label="r"),
        Points([-0.1, 0.9], [3.0, 2.0], "#112233", label="r"),
    ]
    found = bands([Picture(((Panel((one,), x=Steps((0, 5))),),), sentence="S.") for one in moved])
    assert (lines(found)[0].x.tolist(), lines(found)[0].y.tolist()) == ([0, 1], [2.0, 2.0])


def test_a_measurement_between_steps_keeps_its_place():
    metrics = [{"step": np.array([0.0, 5.0, 40.0]), "train_loss": np.array([3.0, value, 1.0])} for value in (2.0, 4.0)]
    found = bands([training_curves(STEPS, one) for one in metrics])
    (line,) = lines(found, "train")
    assert (line.x.tolist(), line.y.tolist()) == ([0.0, 0.5, 2.0], [3.0, 3.0, 1.0])


def test_error_bars_are_part_of_the_range_and_outlines_stay():
    one = picture([2.0, 2.0, 2.0], y_errors=[0.5, np.inf, np.nan], y=Linear("size", (0.0, 9.0)))
    other = picture([3.0, 3.0, 3.0], hollow=[True, False, False], y=Linear("size", (0.0, 9.0)))
    found = bands([one, other])
    (band,), (line,) = filled(found), lines(found)
    assert (band.low.tolist(), band.high.tolist()) == ([1.5, 0.0, 2.0], [3.0, 9.0, 3.0])
    assert line.hollow.tolist() == [True, False, False]


def test_what_is_not_positive_has_no_place_on_a_logarithmic_axis_and_that_is_said():
    axis = Log((0.5, 9.0), "size")
    found = bands([picture([0.0, 1.0, 2.0], y=axis), picture([0.0, 0.0, 4.0], y=axis)])
    (line,), (band,) = lines(found), filled(found)
    np.testing.assert_array_equal(line.y, [np.nan, 0.5, 3.0])
    assert band.low.tolist() == [0.5, 0.5, 2.0]
    (remark,) = of_kind(found, marks.Remark)
    assert remark.text.startswith("1 medians that are not positive")


def test_lines_and_panels_are_joined_by_their_names_alone():
    found = bands([picture([1.0, 2.0, 3.0]), picture([5.0, 6.0, 7.0], label="μ")])
    assert [line.y.tolist() for line in lines(found)] == [[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]
    assert [panel.title for row in found.rows for panel in row] == ["1 of 2 runs", "1 of 2 runs"]
    other = bands([picture([1.0, 2.0, 3.0]), picture([5.0, 6.0, 7.0], y=Linear("length"))])
    assert len(other.rows) == 2


def test_titles_keep_what_they_have_in_common():
    found = bands([picture([1.0] * 3, title="trace, error ≤ 1e-9"), picture([1.0] * 3, title="trace, error ≤ 2e-9")])
    assert found.rows[0][0].title == "trace"
    unlike = bands([picture([1.0] * 3, title="of 10"), picture([1.0] * 3, title="of 12")])
    assert unlike.rows[0][0].title == ""


def test_references_stay_behind():
    def over_null(low, high, extra):
        null = Dashes([0, 1, 2], np.full(3, (low + high) / 2), np.full(3, (high - low) / 2), FAINT, label="null")
        grey = Bars([0, 1, 2], [0.0] * 3, [low] * 3, colour=FAINT, label="grey")
        points = picture([1.0, 2.0, 3.0]).rows[0][0].marks
        return Picture(((Panel((Rule(0.5), Rule(extra), null, grey, *points), x=Steps(STEPS)),),), sentence="S.")

    found = bands([over_null(1.0, 2.0, 7.0), over_null(3.0, 6.0, 8.0)])
    by_label = {band.label: band for band in filled(found)}
    assert (by_label["null"].low.tolist(), by_label["null"].high.tolist()) == ([2.0] * 3, [4.0] * 3)
    assert (by_label["grey"].low.tolist(), by_label["grey"].high.tolist()) == ([0.0] * 3, [2.0] * 3)
    assert [rule.at for rule in of_kind(found, Rule)] == [0.5]


def test_what_is_no_line_over_training_is_no_band():
    heat = HeatMap([0, 1], [0, 1], np.ones((1, 1)), Scale("count"))
    points = picture([1.0, 2.0, 3.0]).rows[0][0].marks
    for panel in (
        Panel((heat, *points), x=Steps(STEPS)),
        Panel(points),
        Panel((Dashes([0, 0, 1], [1.0, 2.0, 3.0], [0.1] * 3, "#112233"), *points), x=Steps(STEPS)),
        Panel((Points([0, 0, 1], [1.0, 2.0, 3.0], "#112233"),), x=Steps(STEPS)),
        Panel((Points([0, 1], [1.0, 2.0], ["#112233", "#445566"]),), x=Steps(STEPS)),
    ):
        assert bands([Picture(((panel,),), sentence="S.")] * 2) is None


# ── nulls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nulls_of_several_runs_are_pale_bands_with_broken_lines():
    runs = [picture([1.0, 2.0, 3.0]), picture([3.0, 4.0, 5.0])]
    nulls = {"shuffled labels": [picture([7.0, 8.0, 9.0]), picture([9.0, 8.0, 7.0])], "shuffled weights": []}
    found = bands(runs, nulls)
    pale = [band for band in filled(found) if band.pale]
    (null,) = [line for line in of_kind(found, Line) if np.isfinite(line.y).all()]
    assert (pale[0].low.tolist(), pale[0].high.tolist()) == ([7.0, 8.0, 7.0], [9.0, 8.0, 9.0])
    assert (null.y.tolist(), null.dash, null.colour) == ([8.0, 8.0, 8.0], "dash", marks.COLOURS[0])
    assert "shuffled labels" in found.sentence
    assert "shuffled weights" not in found.sentence
    figure, chart = drawn(found)
    assert "shuffled labels" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert [trace.name for trace in chart.data if trace.showlegend and trace.name == "shuffled labels"]


def test_a_run_keeps_its_picture_before_its_nulls():
    run = picture([1.0, 2.0, 3.0], y_errors=[0.1] * 3, y=Linear("size", (0.0, 4.0)))
    found = bands([run], {"untrained": [picture([6.0], (0,), y=Linear("size", (0.0, 9.0)))]})
    (panel,) = found.rows[0]
    assert run.rows[0][0].marks[0] in panel.marks
    (null,) = [line for line in of_kind(found, Line) if np.isfinite(line.y).all()]
    assert (null.x.tolist(), null.y.tolist()) == ([0.0, 2.0], [6.0, 6.0])  # of no step in particular
    assert null.dash == "dashdot"  # as wherever there are untrained networks
    assert panel.y.limits == (0.0, 9.0)
    assert panel.marks.index(null) < panel.marks.index(run.rows[0][0].marks[0])
    same = bands([run], {"untrained": [picture([6.0], (0,), label="another")]})
    assert same.rows[0][0] is run.rows[0][0]
    assert same.sentence == run.sentence


@pytest.mark.parametrize("null", ["shuffled labels", "shuffled weights"])
def test_a_null_that_was_analysed_once_is_shown_at_that_step_alone(null):
    for runs in ([picture([1.0, 2.0, 3.0])], [picture([1.0, 2.0, 3.0])] * 2):
        found = bands(runs, {null: [picture([6.0], (40,))]})
        assert [(one.x.tolist(), one.y.tolist()) for one in lines(found) if 6.0 in one.y] == [([2.0], [6.0])] * 2


def test_the_legend_says_of_how_many_runs_a_null_is():
    runs, null = [picture([1.0, 2.0, 3.0])] * 3, picture([4.0, 5.0, 6.0])
    for several, said in (([null], "untrained of 1 of 3 runs"), ([null] * 3, "untrained")):
        assert [one.label for one in of_kind(bands(runs, {"untrained": several}), Line) if one.label] == [said]
    assert [one.label for one in of_kind(bands(runs[:1], {"untrained": [null]}), Line) if one.label] == ["untrained"]


def test_numbers_of_nulls_that_a_logarithmic_axis_cannot_show_are_said():
    axis = Log((0.5, 9.0), "size")
    run, null = picture([1.0, 2.0, 4.0], y=axis), picture([0.0, 1.0, 0.0], y=axis)
    for runs in ([run], [run, run]):
        found = bands(runs, {"shuffled labels": [null]})
        (remark,) = of_kind(found, marks.Remark)
        assert remark.text == "2 numbers of nulls that are not positive have no place on a logarithmic axis"
        drawn(found, laid_out=True)


def test_a_null_at_later_steps_than_its_run_is_not_shown_there():
    found = bands([picture([1.0, 2.0, 3.0])], {"shuffled labels": [picture([5.0, 6.0], (10, 80))]})
    (null,) = [line for line in of_kind(found, Points) if line.label == "" and len(line.x)]
    assert (null.x.tolist(), null.y.tolist()) == ([1.0], [5.0])


# ── real pictures ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_spectra_of_several_runs_are_drawn(case):
    spectra = AWKWARD[case]
    steps = [10 * i for i in range(len(spectra))]
    other = [realistic(90 + i) for i in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bands([summary(steps, spectra, metrics=metrics_of(steps)), summary([0, 10, 20], other)])
        if found is not None:
            drawn(found)
        beside = bands([summary(steps, spectra)], {"untrained": [summary([0], other[:1])]})
    if beside is not None:
        drawn(beside)


def test_the_summary_of_runs_has_the_medians_of_their_numbers():
    runs = [analysed([realistic(10 * run + step) for step in range(3)]) for run in range(3)]
    found = of_seeds(PICTURES["summary"], runs, {}, [1, 2, 3])
    (line,) = lines(found, "largest eigenvalue")
    tops = np.array([[one.eigenvalues[-1] for one in run.results] for run in runs])
    np.testing.assert_array_equal(line.y, np.median(tops, axis=0))
    assert found.title.endswith("median and range of 3 runs, seeds 1, 2, 3")
    assert of_seeds(PICTURES["spectrum_evolution"], runs, {}, [1, 2, 3]) is None
    assert of_seeds(PICTURES["dendrogram"], runs, {}, [1, 2, 3]) is None


def test_graphs_that_fall_apart_in_one_run_only():
    def trees(cut):
        W = np.ones((12, 12))
        W[:6, 6:] = W[6:, :6] = cut
        np.fill_diagonal(W, 0)
        return [recursive_bipartition(W, min_size=2)] * 2

    found = bands(
        [connectivity([0, 5], trees(0.0)), connectivity([0, 5], trees(0.1)), connectivity([0, 5], trees(0.3))]
    )
    (line,) = lines(found, "algebraic connectivity λ₂")
    assert line.facts.columns["runs"].tolist() == [2, 2]
    drawn(found, laid_out=True)
    later = bands([connectivity([0, 5], [trees(cut)[0], trees(0.1)[0]]) for cut in (0.0, 0.1, 0.3)])
    (line,), (remark,) = lines(later, "algebraic connectivity λ₂"), of_kind(later, marks.Remark)
    assert line.facts.columns["runs"].tolist() == [2, 3]
    assert remark.text == "of some runs, and in no median: λ₂ = 0: the graph falls into several components"
    drawn(later, laid_out=True)


def test_training_is_shown_at_every_measured_step():
    runs = [metrics_of([0, 5, 9]), metrics_of([0, 5, 9])]
    found = training_of_seeds(runs, {"shuffled labels": [metrics_of([0, 5])], "untrained": [{}]})
    assert found.rows[0][0].x.steps == (0, 5, 9, 10)
    assert lines(found, "train")[0].y.tolist() == (1 / (1 + np.array([0, 5, 9, 10]))).tolist()
    assert training_of_seeds([{}, {}], {}) is None
    assert named_seeds(range(20)).endswith("10, 11 and more")


def test_only_a_picture_over_training_asks_for_its_nulls():
    def never(_):
        raise AssertionError

    whole = analysed([complete([1.0, 2.0])])
    still = Picture(((Panel((Points([0], [1.0]),)),),), sentence="S.")
    assert beside_nulls(still, {"untrained": whole}, never) is still
    run = picture([1.0, 2.0, 3.0])
    assert beside_nulls(run, {}, never) is run
