"""Pictures of densities: the curves hold the eigenvalues within their intervals, and nothing unknown is a number."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hessian_dendrogram import MatrixOperator, spectral_density
from hessian_dendrogram.pictures import PICTURES, density_moments, eigenvalue_density, marks
from hessian_dendrogram.pictures.axes import Eigenvalues, Log
from hessian_dendrogram.pictures.density import INTERVAL
from hessian_dendrogram.statistics.density import squared_frobenius_norm, trace
from picture_helpers import MeasuredRun, analysed, known_picture, of_kind, reasons

BULK = np.random.default_rng(0).normal(scale=0.1, size=90)
VALUES = np.sort(np.append(BULK, [-4.0, 5.0, 9.0, 20.0]))


def density_of(values, **options):
    matrix = torch.diag(torch.as_tensor(np.asarray(values, float)))
    return spectral_density(MatrixOperator(matrix), **{"probes": 10, "steps": 8, "ends": 3, **options})


def without_bounds(density):
    """The same, with errors of which nothing is known."""
    return replace(density, error_bounds=density.error_bounds + np.inf, node_bounds=density.node_bounds + np.inf)


def scaled(density, factor):
    """That of a multiple of the matrix, beyond what a solver takes."""
    names = "nodes", "node_bounds", "eigenvalues", "error_bounds"
    return replace(density, **{name: factor * getattr(density, name) for name in names})


AWKWARD = {
    "outliers": [density_of(VALUES)],
    "no ends known": [density_of(VALUES, ends=0), density_of(BULK + 1, ends=0)],
    "all known": [density_of([1.0, 2.0, 3.0, 9.0], ends=4)],
    "one eigenvalue, zero": [density_of([0.0], ends=1)],
    "a multiple of the identity": [density_of(np.full(40, 2.0), ends=0)],
    "zero": [density_of(np.zeros(40), ends=0)],
    "negative": [density_of(-np.abs(VALUES) - 1)] * 2,
    "trace of either sign": [density_of(VALUES - VALUES.mean() + shift) for shift in (-0.3, 0.0, 0.3)],
    "infinite bounds": [without_bounds(density_of(VALUES)), density_of(VALUES)],
    "one step of Lanczos": [density_of(VALUES, ends=0, steps=1), density_of(VALUES)],
    "one probe exact": [replace(density_of(VALUES), is_exact=np.arange(10) == 3)],
    "tiny": [density_of(1e-60 * VALUES, ends=0)],
    "huge": [scaled(density_of(VALUES), 1e140)],
    "squares too large": [scaled(density_of(VALUES), 1e160)],
    "nearly one value": [density_of(2 + 1e-15 * BULK, ends=0)],
}


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("name", ["density", "density_moments"])
def test_awkward_densities_are_drawn_by_both(name, case):
    run = MeasuredRun(2) if case == "negative" else None
    is_printed = case in ("infinite bounds", "nearly one value", "squares too large")
    known_picture(PICTURES[name], analysed(AWKWARD[case], "density", run), is_printed=is_printed)


def columns(mark, *names):
    return [np.asarray(mark.facts.columns[name]) for name in names]


def test_intervals_hold_the_blurred_and_the_summed_eigenvalues():
    picture = eigenvalue_density([7], [density_of(VALUES, steps=20)])
    blurred, shares = (next(mark for mark in panel.marks if isinstance(mark, marks.Line)) for panel in picture.rows[0])
    at, value, low, high = columns(blurred, "at", "value", "low", "high")
    sigma = float(picture.rows[0][0].title.split("σ = ")[1])
    true = np.exp(-(((at[:, None] - VALUES) / sigma) ** 2) / 2).sum(axis=1) / (np.sqrt(2 * np.pi) * sigma * len(VALUES))
    seen = np.isfinite(blurred.y)
    assert ((low <= 1.01 * true) & (0.99 * true <= high))[seen].all()  # the title has two digits of σ
    assert value[seen].tolist() == np.asarray(blurred.y)[seen].tolist()
    at, value, low, high = columns(shares, "at", "value", "low", "high")
    counts = (VALUES[:, None] <= at).sum(axis=0)
    assert ((low <= counts + 1e-9) & (counts <= high + 1e-9)).all()
    assert np.asarray(shares.y) == pytest.approx(value / len(VALUES))
    assert f"eigenvalues up to {at[9]:.4g}\n{INTERVAL}: " in shares.facts.said(9)
    for line, panel in zip((blurred, shares), picture.rows[0], strict=True):
        (band,) = [mark for mark in panel.marks if isinstance(mark, marks.Areas)]
        below, above = np.cumsum(band.heights, axis=0)
        assert band.labels[1] == INTERVAL
        shown = np.isfinite(line.y)
        assert (below <= np.asarray(line.y) * (1 + 1e-12))[shown].all()
        assert (np.asarray(line.y) <= above * (1 + 1e-12))[shown].all()
        assert (below >= panel.y.limits[0]).all()


def test_many_equal_eigenvalues_are_summed_where_they_are():
    values = np.append(np.zeros(400), np.geomspace(1e-2, 9, 100))
    (_, shares) = eigenvalue_density([0], [density_of(values, steps=12)]).rows[0]
    (line,) = [mark for mark in shares.marks if isinstance(mark, marks.Line) and mark.label]
    at, value, low, high = columns(line, "at", "value", "low", "high")
    assert value[at < -0.05] == pytest.approx(0)
    assert value[(at > 0.3) & (at < 0.5)] == pytest.approx(452, abs=10)  # that is how many are below 0.4
    assert ((low <= value + 1e-9) & (value <= high + 1e-9)).all()


def test_ends_stand_where_one_eigenvalue_does_with_their_bounds_and_numbers():
    density = replace(density_of(VALUES), error_bounds=np.array([0.5, 1e-9, 1e-9, np.inf]))
    (blurred, shares), *_ = eigenvalue_density([7], [density]).rows
    (alone,) = [mark for mark in blurred.marks if isinstance(mark, marks.Rule)]
    sigma = float(blurred.title.split("σ = ")[1])
    assert alone.at == pytest.approx(1 / (np.sqrt(2 * np.pi) * sigma * len(VALUES)), rel=0.02)
    numbers = np.array([94, 3, 2, 1])
    for panel, heights in ((blurred, np.full(4, alone.at)), (shares, (95 - numbers) / 94)):
        (ends,) = [mark for mark in panel.marks if isinstance(mark, marks.Points)]
        assert np.asarray(ends.x) == pytest.approx([-4, 5, 9, 20])
        assert np.asarray(ends.y) == pytest.approx(heights)
        assert ends.facts.said(0) == "λ = -4 ± 0.5\nnumber 94 of 94, from the largest"
        assert columns(ends, "number")[0].tolist() == numbers.tolist()
        bars = np.asarray(panel.marks[-2].x).reshape(-1, 3)
        assert bars[0, :2] == pytest.approx([-4.5, -3.5])
        assert np.isfinite(bars[-1, :2]).all()  # of an infinite one, to the edges
        assert bars[-1, 1] > VALUES[-1]
    assert shares.title == "10 probes of 8 steps, 4 of 94 known"


def test_steps_of_a_page_share_the_axis_of_the_shares():
    here = analysed([density_of(VALUES), density_of(3 * VALUES)], "density")
    axes = [PICTURES["density"].at(here, position).rows[0][1].x for position in (0, 1)]
    assert axes[0] == axes[1]
    printed = PICTURES["density"].for_print(here)
    assert [row[0].title.partition(",")[0] for row in printed.rows] == ["step 0", "step 10"]
    assert {row[1].x for row in printed.rows} == {axes[0]}


def test_moments_have_the_errors_of_their_intervals_and_the_outermost_eigenvalues_their_bounds():
    several = [density_of(VALUES, seed=seed) for seed in (0, 1)]
    sums = {points.label: points for points in of_kind(density_moments([0, 5], several), marks.Points) if points.label}
    for name, of in (("trace", trace), ("squared Frobenius norm", squared_frobenius_norm)):
        intervals = np.array([of(density).interval() for density in several])
        values, errors = np.asarray(sums[name].y), np.asarray(sums[name].y_errors)
        assert np.stack([values - errors, values + errors], axis=1) == pytest.approx(intervals)
        assert sums[name].facts.said(1).endswith(f"(half of the {INTERVAL})")
    assert np.asarray(sums["largest eigenvalue"].y) == pytest.approx([20, 20])
    assert sums["smallest eigenvalue"].facts.said(0).startswith("step 0, smallest eigenvalue\n-4 ± ")


def test_a_trace_within_its_error_is_hollow_on_an_axis_with_both_signs():
    picture = density_moments([0, 1, 2], AWKWARD["trace of either sign"])
    panel = next(row[0] for row in picture.rows if row[0].title == "trace")
    assert isinstance(panel.y, Eigenvalues)
    values, errors = np.asarray(panel.marks[0].y), np.asarray(panel.marks[0].y_errors)
    assert np.asarray(panel.marks[0].hollow).tolist() == (np.abs(values) <= errors).tolist() == [False, True, False]
    assert panel.marks[1].label == "not larger than its error"
    assert panel.y.limits[0] <= (values - errors).min()  # error bars end before the edge
    assert panel.y.limits[1] >= (values + errors).max()
    positive = density_moments([0], [density_of(VALUES + 5)]).rows[0][0]
    assert isinstance(positive.y, Log)
    assert len(positive.marks) == 1


def test_what_is_not_known_is_said_and_is_no_number():
    several = AWKWARD["one step of Lanczos"]
    assert reasons(density_moments([0], several[:1])) == 2 * ["not known at these steps"]  # no squares and no ends
    picture = density_moments([0, 10], several)
    titles = [row[0].title for row in picture.rows]
    assert titles[:2] == ["trace", "squared Frobenius norm; not known: squared Frobenius norm (1 of 2 steps)"]
    assert titles[2].endswith("not known: largest eigenvalue (1 of 2 steps), smallest eigenvalue (1 of 2 steps)")
    (largest, *_) = picture.rows[2][0].marks
    assert np.isnan(np.asarray(largest.y)).tolist() == [True, False]
    large = density_moments([0], AWKWARD["squares too large"])
    assert reasons(large) == ["not known at these steps"]  # an infinite number has no place either
    one_sided = replace(density_of(VALUES), num_bottom=0, num_top=4)
    (row,) = [row for row in density_moments([0], [one_sided]).rows if "outermost" in row[0].title]
    assert "smallest eigenvalue (1 of 1 steps)" in row[0].title
