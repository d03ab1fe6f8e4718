"""Pictures of blocks: each block has its own eigenvalues, counted once, and what is not known of it is said."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hessian_dendrogram import EachBlock, Exact, Lanczos, MatrixOperator, StochasticLanczos
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.pictures import PICTURES, block_spectra, blocks_over_training, marks
from hessian_dendrogram.pictures.axes import Eigenvalues, Log
from hessian_dendrogram.pictures.spectrum_evolution import bin_edges
from hessian_dendrogram.statistics.density import trace
from picture_helpers import NASTY, analysed, known_picture, of_kind

A, B = np.append(np.linspace(0.5, 2, 59), 90.0), np.linspace(-3, -1, 30)
C = np.append(np.geomspace(1e-4, 1, 1500), 40.0)


def blocks_of(parts, of=None, **options):
    """Those of a diagonal matrix, by solvers that know nothing of that."""
    layout = Layout(tuple(f"{name}.weight" for name in parts), tuple((len(part),) for part in parts.values()))
    matrix = torch.diag(torch.as_tensor(np.concatenate(list(parts.values()))))
    solver = EachBlock(of=of or Exact(), **options)
    return solver.solve(MatrixOperator(matrix, layout), seed=0, progress=False)


PROBED = StochasticLanczos(probes=10, steps=8, ends=1)
EXACT = blocks_of({"a": A, "b": B})
POSITIVE = blocks_of({"a": A, "c": A + 1})
MIXED = blocks_of({"a": A, "b": B}, PROBED, exact_up_to=40)
ENDS = blocks_of({"a": A, "c": C[::30]}, Lanczos(options={"top": 3, "bottom": 2}), exact_up_to=10)
UNCONVERGED = replace(ENDS, converged=np.arange(len(ENDS.converged)) != 4)  # the largest of the first block
AWKWARD = {
    "exact": [EXACT, EXACT],
    "some by probes": [MIXED],
    "all by probes": [blocks_of({"a": A, "b": A + 1}, replace(PROBED, ends=0), exact_up_to=0)] * 2,
    "partial": [ENDS],
    "not converged": [UNCONVERGED, ENDS],
    "nothing converged": [replace(ENDS, converged=np.zeros(len(ENDS.converged), bool))],
    "infinite bounds": [replace(EXACT, error_bounds=EXACT.error_bounds + np.inf, trace_errors=np.full(2, np.inf))],
    "zero": [blocks_of({"a": np.zeros(5), "b": np.zeros(1)})],
    "one zero and one large": [blocks_of({"a": np.zeros(5), "b": 1e12 * A})],
    "names of any origin": [replace(EXACT, names=(NASTY[0], other)) for other in NASTY[1:3]],
    "many": [blocks_of({f"layer{i}": B for i in range(45)})] * 2,
}


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("name", ["blocks", "block_spectra"])
def test_awkward_blocks_are_drawn_by_both(name, case):
    is_printed = case in ("infinite bounds", "names of any origin", "nothing converged")
    known_picture(PICTURES[name], analysed(AWKWARD[case], "blocks"), is_printed=is_printed)


def labelled(picture, row):
    return {points.label: points for points in picture.rows[row][0].marks if isinstance(points, marks.Points)}


def test_traces_and_largest_eigenvalues_of_each_block_have_their_errors():
    picture = blocks_over_training([0, 50], [EXACT, MIXED])
    traces, largest = (labelled(picture, row) for row in (0, 1))
    low, high = trace(MIXED.density("a")).interval()
    assert low < A.sum() < high
    assert np.asarray(traces["a"].y) == pytest.approx([A.sum(), (low + high) / 2])
    assert np.asarray(traces["a"].y_errors) == pytest.approx([EXACT.trace_errors[0], (high - low) / 2])
    assert [text.partition("(")[2] for text in map(traces["a"].facts.said, (0, 1))] == [
        "error bound)",
        "half of the 99.7 % interval)",
    ]
    assert np.asarray(largest["b"].y) == pytest.approx([-1, -1])
    assert np.asarray(largest["a"].y_errors)[0] == EXACT.error_bounds[A.argmax()]
    assert {points.colour for points in traces.values()} == {points.colour for points in largest.values()}
    assert len({points.colour for points in traces.values()}) == 2
    assert np.asarray(traces["a"].x).tolist() != np.asarray(traces["b"].x).tolist()


def test_the_axis_is_logarithmic_where_every_number_is_positive_beyond_its_error():
    positive, both = (blocks_over_training([0], [one]).rows[0][0] for one in (POSITIVE, EXACT))
    assert isinstance(positive.y, Log)
    assert isinstance(both.y, Eigenvalues)
    unsure = replace(POSITIVE, trace_errors=np.array([1e3, 1e-9]))
    panel = blocks_over_training([0], [unsure]).rows[0][0]
    assert isinstance(panel.y, Eigenvalues)
    assert [np.asarray(points.hollow).tolist() for points in panel.marks] == [[True], [False], True]


def test_what_is_not_known_of_a_block_is_said_and_is_no_number():
    without = {"traces": np.full(2, np.nan), "trace_errors": np.full(2, np.nan)}
    picture = blocks_over_training([0, 5], [replace(UNCONVERGED, **without), replace(ENDS, **without)])
    assert "trace of each block" in picture.rows[0][0].title
    assert [mark.text for mark in of_kind(picture, marks.Remark)] == ["not known at these steps"]
    assert picture.rows[0][0].title.endswith("; not known: a (2 of 2 steps), c (2 of 2 steps)")
    assert picture.rows[1][0].title.endswith("; not known: a (1 of 2 steps)")
    assert np.isnan(np.asarray(labelled(picture, 1)["a"].y)).tolist() == [True, False]
    estimates = replace(ENDS, traces=np.array([200.0, 50.0]), trace_errors=np.array([9.0, 4.0]))
    panel = blocks_over_training([0], [estimates]).rows[0][0]
    assert panel.title == "trace of each block; bars of a, c: standard errors"
    assert panel.marks[0].facts.said(0) == "step 0, a\n200 ± 9\n(standard error of an estimate)"


def test_every_eigenvalue_is_a_tick_in_the_row_of_its_block_or_counted():
    exact = blocks_of({"a": A, "c": C})
    (panel,) = block_spectra([7], [exact]).rows[0]
    (heat,) = [mark for mark in panel.marks if isinstance(mark, marks.HeatMap)]
    ticks = next(mark for mark in panel.marks if isinstance(mark, marks.Line))
    x, y = (np.asarray(column).reshape(-1, 3) for column in (ticks.x, ticks.y))
    rows = np.nanmean(y, axis=1)
    assert set(rows) == {0, 1}
    assert x[rows == 0, 0] == pytest.approx(A)
    counted = np.nansum(heat.values[::2], axis=1)
    assert counted.tolist() == [0, len(C) - (rows == 1).sum()]
    assert 40 in x[rows == 1, 0]
    assert np.isnan(heat.values[1]).all()  # the room between two rows
    cell = tuple(np.argwhere(heat.values > 0)[0])
    count = int(heat.values[cell])
    assert heat.facts.said(cell).startswith(f"{count} eigenvalues between ")
    assert heat.facts.said(cell).endswith(f"{count} to {count}")
    assert list(panel.y.names) == ["a (60)", "c (1,501)"]
    assert panel.title == "step 7: spectrum of each block"


def test_what_probes_tell_is_counted_beside_the_known_ends_within_its_interval():
    probed = blocks_of({"c": C[::5]}, replace(PROBED, steps=30, ends=2), exact_up_to=0)
    (panel,) = block_spectra([0], [probed]).rows[0]
    (heat,) = [mark for mark in panel.marks if isinstance(mark, marks.HeatMap)]
    ends, edges = probed.eigenvalues, bin_edges(panel.x)
    hidden = np.setdiff1d(np.round(C[::5], 12), np.round(ends, 12))
    assert len(hidden) == len(C[::5]) - len(ends) < len(C[::5])
    true = np.histogram(hidden, edges)[0]
    shown = np.isfinite(heat.values[0])
    assert (heat.values[0][shown] >= 0.5).all()
    low, high = heat.facts.columns["least"][0], heat.facts.columns["most"][0]
    assert ((low <= true + 1e-9) & (true <= high + 1e-9)).all()
    assert 0.9 * len(hidden) < np.nansum(heat.values) < 1.001 * len(hidden)
    assert ((low <= heat.values[0]) & (heat.values[0] <= high))[shown].all()
    (behind,) = [mark for mark in panel.marks if isinstance(mark, marks.Bars)]
    assert behind.hatched
    assert behind.label == "probes tell of fewer than 0.5 eigenvalues in a bin"
    middles = (edges[:-1] + edges[1:]) / 2
    hatched = ((behind.starts[:, None] < middles) & (middles < behind.stops[:, None])).any(axis=0)
    within = (probed.nodes.min() < edges[1:]) & (edges[:-1] < probed.nodes.max())
    assert hatched.tolist() == (within & ~shown).tolist()
    assert hatched.any()
    ticks = next(mark for mark in panel.marks if isinstance(mark, marks.Line))
    assert np.asarray(ticks.x)[::3].tolist() == ends.tolist()


def test_many_equal_eigenvalues_are_counted_where_they_are():
    values = np.append(np.zeros(400), np.geomspace(1e-2, 9, 100))
    (panel,) = block_spectra([0], [blocks_of({"a": values}, replace(PROBED, steps=30), exact_up_to=0)]).rows[0]
    (heat,) = [mark for mark in panel.marks if isinstance(mark, marks.HeatMap)]
    edges = np.asarray(heat.x_edges)
    there = (edges[:-1] < 1e-3) & (edges[1:] > -1e-3)
    assert np.nansum(heat.values[0][there]) == pytest.approx(400, rel=0.1)


def test_holes_are_hatched_and_unconverged_values_are_crosses():
    (panel,) = block_spectra([0], [UNCONVERGED]).rows[0]
    (hole,) = [mark for mark in panel.marks if isinstance(mark, marks.Bars)]
    (crosses,) = [mark for mark in panel.marks if isinstance(mark, marks.Points)]
    assert hole.hatched
    assert not hole.upright
    assert np.asarray(hole.places).tolist() == [0, 1]
    first = UNCONVERGED.spectrum("a").eigenvalues
    assert (hole.starts[0], hole.stops[0]) == pytest.approx((first[1], panel.x.limits[1]))  # the top is not known
    assert (np.asarray(crosses.x).tolist(), np.asarray(crosses.y).tolist()) == ([first[-1]], [0])
    ticks = next(mark for mark in panel.marks if isinstance(mark, marks.Line))
    assert first[-1] not in np.asarray(ticks.x)


def test_an_eigenvalue_of_either_sign_has_another_colour_and_bars_reach_as_far_as_its_error():
    bounds = np.select([EXACT.eigenvalues == 90, EXACT.eigenvalues == -1], [50.0, 1.5], 1e-9)
    (panel,) = block_spectra([0], [replace(EXACT, error_bounds=bounds)]).rows[0]
    sure, sure_bars, unsure, unsure_bars = [mark for mark in panel.marks if isinstance(mark, marks.Line)]
    assert unsure.label.startswith("sign unresolved")
    assert len(sure.x) == 3 * 89
    assert np.asarray(unsure.x)[::3].tolist() == [-1]
    assert np.asarray(unsure_bars.x)[:2] == pytest.approx([-2.5, 0.5])
    assert np.asarray(sure_bars.x)[:2] == pytest.approx([40, panel.x.limits[1]])
    assert len(sure_bars.x) == 3  # shorter ones are hidden by their ticks
    assert sure.facts.said(0) == "λ = 0.5 ± 1e-09"


def test_of_many_blocks_those_with_most_parameters_are_shown_and_that_is_said():
    (many, _) = AWKWARD["many"]
    larger = blocks_of({**{f"layer{i}": B[:20] for i in range(45)}, "last": B})
    for picture in (blocks_over_training([0], [larger]), block_spectra([0], [larger])):
        assert "of the 40 blocks with most parameters, of 46" in picture.rows[0][0].title
    names = block_spectra([0], [larger]).rows[0][0].y.names
    assert (len(names), names[-1]) == (40, "last (30)")
    assert len(block_spectra([0], [many]).chart().data) < 12
    assert len(PICTURES["block_spectra"].for_print(analysed([many, many], "blocks")).rows) == 1
    assert len(PICTURES["block_spectra"].for_print(analysed([EXACT, EXACT], "blocks")).rows) == 2
