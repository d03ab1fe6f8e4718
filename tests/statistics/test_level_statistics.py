"""Gap ratios and relative gaps: against dense random matrices, closed forms, and spectra with planted structure."""

import numpy as np
import pytest

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.pictures import level_statistics, marks
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.statistics.gap_ratio import (
    GOE,
    GOE_SURMISE,
    INDEPENDENT_LEVELS,
    gap_ratio,
    gap_ratio_along,
    reference_gap_ratio,
)
from hessian_dendrogram.statistics.relative_gaps import relative_gaps


def complete(values, error_bounds=0.0):
    values = np.asarray(values, float)
    order = np.argsort(values)
    bounds = np.broadcast_to(error_bounds, values.shape)[order]
    return Spectrum(eigenvalues=values[order], error_bounds=bounds, dim=len(values))


def dense_goe(size, random):
    """Eigenvalues of a dense symmetric matrix, whose density is a semicircle from about -2 to 2."""
    matrix = random.normal(size=(size, size))
    return np.linalg.eigvalsh(matrix + matrix.T) / np.sqrt(2 * size)


def superposed(block_sizes, seed):
    random = np.random.default_rng(seed)
    return np.concatenate([dense_goe(size, random) for size in block_sizes])


def independent(count, seed):
    return np.random.default_rng(seed).uniform(-2, 2, count)


KINDS = {
    "one block": (lambda seed: superposed([150], seed), GOE),
    "two blocks": (lambda seed: superposed([75, 75], seed), 0.423),
    "three blocks": (lambda seed: superposed([50, 50, 50], seed), 0.403),
    "independent": (lambda seed: independent(150, seed), INDEPENDENT_LEVELS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_r_has_its_literature_value_and_its_standard_error_is_the_scatter_over_draws(kind):
    draw, literature = KINDS[kind]
    results = [gap_ratio(complete(draw(seed))) for seed in range(400)]
    means = np.array([result.mean for result in results])
    # Besides the scatter, 0.003 for blocks of finite size: their edges, and 75 or 50 eigenvalues instead of many.
    assert means.mean() == pytest.approx(literature, abs=3 * means.std() / 20 + 0.003)
    assert np.mean([result.standard_error for result in results]) == pytest.approx(means.std(), rel=0.2)
    assert {result.num_ratios for result in results} == {148}


def test_the_standard_error_is_the_scatter_also_where_part_of_the_spectrum_is_left_out():
    bounds = np.where(np.abs(np.linspace(-2, 2, 300)) < 0.3, 1.0, 0.0)
    results = [gap_ratio(complete(np.sort(superposed([150, 150], seed)), bounds)) for seed in range(150)]
    assert {result.num_unresolved for result in results} == {66}  # 46 with such bounds, and 10 neighbours on each side
    scatter = np.std([result.mean for result in results])
    assert np.mean([result.standard_error for result in results]) == pytest.approx(scatter, rel=0.2)


@pytest.mark.parametrize("count", [20, 22, 49, 150])
@pytest.mark.parametrize("kind", ["one block", "independent"])
def test_1_96_standard_errors_cover_the_literature_value_in_95_of_100_draws(kind, count):
    random = np.random.default_rng(0)
    draws = 1000
    covered = 0
    for _ in range(draws):
        values = independent(count + 2, random) if kind == "independent" else dense_goe(count + 2, random)
        result = gap_ratio(complete(values))
        covered += abs(result.mean - KINDS[kind][1]) <= 1.96 * result.standard_error
    # 1,000 draws know the share to 0.7 %. Without regard to their number, 20 ratios have 84 %, 49 have 91 %.
    assert covered / draws == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("block_sizes", [[60], [30, 30], [40, 15, 5]])
def test_the_reference_agrees_with_dense_matrices(block_sizes):
    mean, error = reference_gap_ratio(block_sizes, seed=1, matrices=400)
    dense = [gap_ratio(complete(superposed(block_sizes, seed))).mean for seed in range(400)]
    assert mean == pytest.approx(np.mean(dense), abs=3 * np.hypot(error, np.std(dense) / 20))
    assert error == pytest.approx(np.std(dense) / 20, rel=0.2)


def test_the_reference_has_the_values_of_the_literature():
    for block_sizes, literature in (([1000], GOE), ([500, 500], 0.423), ([400, 400, 400], 0.403)):
        mean, error = reference_gap_ratio(block_sizes, seed=0, matrices=20)
        assert error < 0.003
        assert mean == pytest.approx(literature, abs=3 * error)
    mean, error = reference_gap_ratio([3], seed=0, matrices=1500)
    assert mean == pytest.approx(GOE_SURMISE, abs=3 * error)
    mean, error = reference_gap_ratio([1] * 60, seed=0, matrices=60)
    assert mean == pytest.approx(INDEPENDENT_LEVELS, abs=3 * error + 0.003)


def test_the_reference_is_reproducible_and_refuses_what_has_no_ratio():
    assert reference_gap_ratio([5, 4], seed=3) == reference_gap_ratio([5, 4], seed=3)
    assert reference_gap_ratio([5, 4], seed=3) != reference_gap_ratio([5, 4], seed=4)
    for wrong in ([], [2], [5, 0], [-3, 9]):
        with pytest.raises(UserError, match=r"got \["):
            reference_gap_ratio(wrong, seed=0)
    with pytest.raises(UserError, match=r"and 1$"):
        reference_gap_ratio([9], seed=0, matrices=1)


def test_noise_below_the_error_bounds_is_left_out():
    random = np.random.default_rng(0)
    noise = 1e-12 * dense_goe(400, random)
    levels = np.concatenate([-1.5 + 0.4 * random.random(300), 0.5 + 0.4 * random.random(300)])
    both = complete(np.concatenate([noise, levels]), 1e-10)
    assert gap_ratio(complete(noise)).mean > 0.5
    result = gap_ratio(both)
    assert result.mean == pytest.approx(INDEPENDENT_LEVELS, abs=3 * result.standard_error)
    # 398 ratios within the noise, and at either end of it one with a noisy spacing and one with noise on one side.
    assert result.num_unresolved == 402
    assert result.num_ratios == 998 - 402
    with pytest.raises(UserError, match=r"got 0 of 398; where 398 lie.*10 x its error"):
        gap_ratio(both, window=(-1e-9, 1e-9))


def test_at_the_default_factor_errors_as_large_as_the_bounds_hardly_change_r():
    random = np.random.default_rng(0)
    shifts = []
    for seed in range(40):
        values = np.sort(superposed([300], seed))[50:-50]
        bound = np.diff(values).mean() / 21  # the error of a spacing is twice that: the mean spacing is 10.5 times it
        disturbed = values + random.uniform(-bound, bound, len(values))
        shifts.append(gap_ratio(complete(disturbed)).mean - gap_ratio(complete(values)).mean)
    assert abs(np.mean(shifts)) < 0.004


def test_which_ratios_are_resolved_is_not_decided_by_their_own_spacings():
    values = np.arange(60.0)
    values[30:] += 1e-3 - 1  # one spacing of 0.001 among spacings of 1
    result = gap_ratio(complete(values, 0.04))
    assert (result.num_ratios, result.num_unresolved, result.num_ties) == (58, 0, 2)


def test_ties_are_reported_and_pull_r_down():
    values = np.arange(50.0)
    values[20] = values[19]  # one exact tie: two ratios of 0, and a spacing of 2 after it
    result = gap_ratio(complete(values))
    assert (result.num_ratios, result.num_ties, result.num_undefined) == (48, 2, 0)
    assert result.mean == pytest.approx((45 + 0 + 0 + 0.5) / 48)
    values[21] = values[19]  # three equal eigenvalues: 0 / 0 between them
    result = gap_ratio(complete(values))
    assert (result.num_ratios, result.num_ties, result.num_undefined) == (47, 2, 1)
    twins = superposed([200], 0)
    result = gap_ratio(complete(np.concatenate([twins, twins + 1e-14]), 1e-12))
    assert result.mean < 1e-6
    # At either end, one ratio has a tie alone on one side, which is not above its error.
    assert (result.num_ratios, result.num_ties, result.num_unresolved) == (396, 396, 2)


def test_equal_eigenvalues_only_are_never_resolved():
    with pytest.raises(UserError, match=r"got 0 of 98; where 98 lie"):
        gap_ratio(complete(np.zeros(100)))


def test_infinite_error_bounds_hide_their_surroundings():
    bounds = np.zeros(100)
    bounds[40:50] = np.inf
    result = gap_ratio(complete(np.arange(100.0), bounds))
    assert result.num_unresolved == 32  # spacings 39 to 49 are among the neighbours of ratios 28 to 59
    assert len(relative_gaps(complete(np.arange(100.0), np.inf)).sizes) == 0


def test_each_segment_of_a_partial_spectrum_has_its_r():
    values = np.sort(superposed([300], 0))
    bottom, top = values[:80], values[-60:]
    partial = Spectrum(eigenvalues=np.concatenate([bottom, top]), error_bounds=1e-9, dim=300, num_bottom=80, num_top=60)
    for segment, part in (("bottom", bottom), ("top", top)):
        assert gap_ratio(partial, segment=segment) == gap_ratio(complete(part, 1e-9))
        whole = relative_gaps(complete(part, 1e-9))
        np.testing.assert_array_equal(relative_gaps(partial, segment=segment).sizes, whole.sizes)
    with pytest.raises(UserError, match="name one of: 'bottom', 'top'"):
        gap_ratio(partial)


@pytest.mark.parametrize("count", [1, 2, 3, 21])
def test_too_few_eigenvalues_are_refused_with_their_numbers(count):
    with pytest.raises(UserError, match=rf"at least 20 ratios of spacings, got {max(count - 2, 0)} of"):
        gap_ratio(complete(np.arange(count)))


def test_options_out_of_range_are_refused():
    spectrum = complete(np.arange(100.0))
    with pytest.raises(UserError, match=r"at least 1, got 0\.5"):
        gap_ratio(spectrum, spacing_over_error=0.5)
    for count in (41, 101):
        with pytest.raises(UserError, match=f"42 to 100.*got {count}"):
            gap_ratio_along(spectrum, count=count)
    with pytest.raises(UserError, match="got 0 and 100"):
        relative_gaps(spectrum, neighbours=0)
    with pytest.raises(UserError, match="got 10 and 2"):
        relative_gaps(complete([1.0, 2.0]))


def test_affine_maps_of_the_eigenvalues_change_nothing():
    values = superposed([150, 50], 0)
    values[:20] *= 1e-9
    one, other = complete(values, 1e-6), complete(-64 * values + 2, 64e-6)  # powers of two: exact
    first, second = gap_ratio(one), gap_ratio(other)
    assert first.num_unresolved > 0
    assert second.mean == pytest.approx(first.mean, rel=1e-9)
    assert second.standard_error == pytest.approx(first.standard_error, rel=1e-9)
    assert (second.num_ratios, second.num_unresolved) == (first.num_ratios, first.num_unresolved)
    np.testing.assert_allclose(relative_gaps(other).sizes, relative_gaps(one).sizes[::-1], rtol=1e-6)


def test_a_window_holds_the_ratios_between_its_ends():
    values = superposed([300], 0)
    inner = np.sort(values)[100:200]
    window = gap_ratio(complete(values), window=(inner[0], inner[-1]))
    alone = gap_ratio(complete(inner))
    assert (window.mean, window.num_ratios) == (pytest.approx(alone.mean), 98)
    assert window.standard_error == pytest.approx(alone.standard_error)


def test_windows_along_the_spectrum_tell_its_parts_apart():
    one = superposed([500], 0) + 10
    values = np.concatenate([independent(500, 0), 1e-11 * independent(500, 1) + 5, one])
    windows = gap_ratio_along(complete(values, 1e-9), count=250)
    assert len(windows) == 6
    assert [window.gap_ratio is None for window in windows] == [False, False, True, True, False, False]
    for window, reference in zip(windows, [INDEPENDENT_LEVELS] * 2 + [None] * 2 + [GOE] * 2, strict=True):
        if window.gap_ratio:
            assert window.gap_ratio.mean == pytest.approx(reference, abs=3 * window.gap_ratio.standard_error)
            assert window.gap_ratio.num_ratios + window.gap_ratio.num_unresolved == 248
    ends = np.sort(values).reshape(6, 250)
    np.testing.assert_array_equal([window.low for window in windows], ends[:, 0])
    np.testing.assert_array_equal([window.high for window in windows], ends[:, -1])


def test_windows_have_equal_numbers_of_eigenvalues():
    windows = gap_ratio_along(complete(np.arange(107.0)), count=50)
    assert [window.high - window.low for window in windows] == [53, 52]
    assert [window.gap_ratio.num_ratios for window in windows] == [52, 51]


def test_equally_spaced_levels_have_relative_gaps_of_one_and_a_planted_gap_stands_out():
    values = np.arange(40.0)
    gaps = relative_gaps(complete(values, 0.01))
    np.testing.assert_allclose(gaps.sizes, 1)
    assert gaps.num_unresolved == 0
    values[25:] += 4
    gaps = relative_gaps(complete(values, 0.01), neighbours=6)
    assert gaps.lower_indices[np.argmax(gaps.sizes)] == 24
    assert gaps.sizes[24] == pytest.approx(5)
    assert gaps.sizes[22] == pytest.approx(12 / 16)
    # Gap 5 with error 0.02; its neighbours are two differences of eigenvalues, 12 with error 0.04.
    assert gaps.errors[24] == pytest.approx((0.02 + 5 * 0.04 / 12) / (1 - 0.04 / 12))


def test_relative_gaps_equal_a_loop_and_their_errors_hold():
    random = np.random.default_rng(0)
    truth = np.cumsum(random.exponential(size=50))
    bounds = random.uniform(0, 0.05, 50)
    exact = relative_gaps(complete(truth, bounds), neighbours=3)
    spacings = np.diff(truth)
    for index, size in zip(exact.lower_indices, exact.sizes, strict=True):
        around = np.concatenate([spacings[max(index - 3, 0) : index], spacings[index + 1 : index + 4]])
        assert size == pytest.approx(spacings[index] / around.mean())
    for _ in range(50):
        measured = truth + bounds * random.choice([-1, 1], 50)
        if (np.diff(measured) > 0).all():
            gaps = relative_gaps(complete(measured, bounds), neighbours=3)
            assert (np.abs(gaps.sizes - exact.sizes[gaps.lower_indices]) <= gaps.errors * (1 + 1e-9)).all()


def test_gaps_among_unresolved_neighbours_are_left_out_and_counted():
    values = np.concatenate([1e-12 * np.arange(10), 1 + np.arange(10)])
    gaps = relative_gaps(complete(values, 1e-6), neighbours=2)
    np.testing.assert_array_equal(gaps.lower_indices, np.arange(7, 19))  # gaps 7 and 8 have gap 9 or 10 beside them
    assert gaps.num_unresolved == 7


def panels(steps, spectra):
    """Heights of the points of each curve of both panels, by label."""
    rows = level_statistics(steps, spectra).rows
    return [{mark.label: mark.y for mark in row[0].marks if isinstance(mark, marks.Points)} for row in rows]


def test_the_picture_shows_what_was_computed():
    spectra = [complete(superposed([400, 400], 0), 1e-6), complete(np.zeros(800)), complete(superposed([800], 0), 1e-6)]
    upper, lower = panels([0, 10, 50], spectra)
    expected = [gap_ratio(spectra[0]).mean, np.nan, gap_ratio(spectra[2]).mean]  # no point, and a line that breaks
    np.testing.assert_allclose(upper["all resolved"], expected)
    assert list(upper) == ["all resolved", "negative", "positive"]
    assert list(lower) == [
        "step 0: 4 of 4 windows resolved",
        "step 10: 0 of 4 windows resolved",
        "step 50: 4 of 4 windows resolved",
    ]
    windows = gap_ratio_along(spectra[2], count=200)
    np.testing.assert_allclose(list(lower.values())[2], [window.gap_ratio.mean for window in windows])


def test_the_picture_of_a_partial_spectrum_has_a_curve_for_each_end():
    values = np.sort(superposed([600], 0))
    ends = np.concatenate([values[:210], values[-50:]])
    spectrum = Spectrum(eigenvalues=ends, error_bounds=1e-9, dim=600, num_bottom=210, num_top=50)
    upper, lower = panels([7], [spectrum])
    assert list(upper) == ["smallest", "largest"]
    assert list(lower) == ["step 7: 1 of 1 windows resolved"]


@pytest.mark.parametrize("spectrum", [complete([3.0]), complete(np.zeros(300)), complete(np.arange(300.0), np.inf)])
def test_a_picture_of_nothing_resolved_says_so(spectrum):
    for row in level_statistics([0], [spectrum]).rows:
        assert "too few eigenvalues" in row[0].marks[0].text
