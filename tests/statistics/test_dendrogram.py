import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, is_valid_linkage, linkage

from hessian_dendrogram import Spectrum, single_linkage
from hessian_dendrogram.errors import UserError

# Quarters are exact in binary, so equal gaps are equal to the last bit: many ties on purpose.
tied = st.lists(st.integers(-40, 40).map(lambda k: k / 4), min_size=2, max_size=60)
spread = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=2, max_size=60)
eigenvalues = st.one_of(tied, spread).map(lambda values: np.sort(np.array(values) + 0.0))


def dendrogram(values, bound=0.0):
    return single_linkage(Spectrum(eigenvalues=values, error_bounds=bound, dim=len(values)))


def scipy_linkage(values):
    return linkage(np.asarray(values)[:, None], method="single", metric="cityblock")


@given(eigenvalues)
def test_linkage_has_scipys_heights_and_format(values):
    ours = dendrogram(values).linkage
    assert is_valid_linkage(ours)
    assert np.array_equal(ours[:, 2], scipy_linkage(values)[:, 2])


@given(st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=2, max_size=60, unique=True))
def test_linkage_without_ties_is_scipys_to_the_last_bit(values):
    values = np.sort(values)
    if len(set(np.diff(values))) == len(values) - 1:
        assert np.array_equal(dendrogram(values).linkage, scipy_linkage(values))


@given(eigenvalues, st.floats(0, 50))
def test_clusters_are_those_of_fcluster(values, epsilon):
    ours, theirs = dendrogram(values), scipy_linkage(values)
    for resolution in (epsilon, *np.diff(values)[:5]):  # the gaps themselves are the edge cases
        flat = fcluster(theirs, resolution, "distance")
        labels = ours.labels(resolution)
        assert ours.num_clusters(resolution) == flat.max() == labels.max() + 1
        assert len(set(zip(flat, labels, strict=True))) == flat.max()  # the same partition under other names
        assert (np.diff(labels) >= 0).all()
        assert np.array_equal(fcluster(ours.linkage, resolution, "distance"), flat) or len(set(flat)) == flat.max()


@given(eigenvalues)
def test_num_clusters_is_vectorised_and_falls_with_epsilon(values):
    epsilons = np.linspace(0, np.ptp(values) + 1, 50).reshape(5, 10)
    counts = dendrogram(values).num_clusters(epsilons)
    assert counts.shape == (5, 10)
    assert (np.diff(counts.ravel()) <= 0).all()
    assert counts[-1, -1] == 1


@given(eigenvalues)
def test_the_barcode_lists_the_clusters_that_exist_over_a_range(values):
    """Independent count: every run of two or more that is a cluster at some ε, by trying all pairs of ends."""
    bars = dendrogram(values).barcode()
    found = {
        (int(start), int(stop)): (birth, death)
        for start, stop, birth, death in zip(bars.starts, bars.stops, bars.births, bars.deaths, strict=True)
    }
    gaps = np.diff(values)
    expected = {}
    for start in range(len(values)):
        for stop in range(start + 2, len(values) + 1):
            outer = [*gaps[start - 1 : start], *gaps[stop - 1 : stop]] if start else [*gaps[stop - 1 : stop]]
            if outer and gaps[start : stop - 1].max() < min(outer):
                expected[start, stop] = (gaps[start : stop - 1].max(), min(outer))
    assert found == expected
    assert (np.diff(bars.lengths) <= 0).all()


def test_gaps_carry_their_errors():
    spectrum = Spectrum(eigenvalues=[0, 1, 1.5, 4], error_bounds=[0.1, 0.2, 0.4, 0.05], dim=4)
    gaps = single_linkage(spectrum).gaps()
    assert gaps.sizes.tolist() == [2.5, 1.0, 0.5]
    assert gaps.errors == pytest.approx([0.45, 0.3, 0.6])
    assert gaps.resolved.tolist() == [True, True, False]
    assert gaps.num_above.tolist() == [1, 3, 2]
    assert single_linkage(spectrum).gaps(1).sizes.tolist() == [2.5]
    assert single_linkage(spectrum).resolution == pytest.approx(0.6)


def test_a_bar_is_as_uncertain_as_its_two_gaps():
    spectrum = Spectrum(eigenvalues=[0, 1, 4, 9], error_bounds=[0.1, 0.2, 0.3, 0.4], dim=4)
    bars = single_linkage(spectrum).barcode()
    assert sorted(zip(bars.starts.tolist(), bars.stops.tolist(), strict=True)) == [(0, 2), (0, 3)]
    by_stop = dict(zip(bars.stops.tolist(), bars.errors.tolist(), strict=True))
    assert by_stop[2] == pytest.approx(0.3 + 0.5)
    assert by_stop[3] == pytest.approx(0.5 + 0.7)


def test_segments_of_a_partial_spectrum_know_their_hole():
    spectrum = Spectrum(eigenvalues=[0, 1, 3, 10, 12, 13, 20], error_bounds=0, dim=50, num_bottom=3, num_top=4)
    with pytest.raises(UserError, match="one segment at a time; name one of: 'bottom', 'top'"):
        single_linkage(spectrum)
    with pytest.raises(UserError, match="no segment 'all'"):
        single_linkage(spectrum, "all")
    top = single_linkage(spectrum, "top")
    assert top.gaps(1).sizes.tolist() == [7]  # the hole between 3 and 10 is no gap
    bars = top.barcode()
    by_range = zip(bars.starts.tolist(), bars.stops.tolist(), bars.bounded.tolist(), strict=True)
    assert set(by_range) == {(1, 3, True), (0, 3, False)}
    inner = single_linkage(
        Spectrum(eigenvalues=[0, 5, 6, 9, 20], error_bounds=0, dim=9, num_bottom=0, num_top=5), "top"
    ).barcode()
    by_range = zip(inner.starts.tolist(), inner.stops.tolist(), inner.bounded.tolist(), strict=True)
    assert set(by_range) == {(1, 3, True), (1, 4, True), (0, 4, False)}


def test_one_eigenvalue_and_equal_eigenvalues():
    single = dendrogram([3.0])
    assert single.linkage.shape == (0, 4)
    assert single.num_clusters([0, 1]).tolist() == [1, 1]
    assert single.labels(0).tolist() == [0]
    assert len(single.barcode().births) == len(single.gaps().sizes) == 0
    equal = dendrogram([2.0] * 5)
    assert equal.num_clusters(0) == 1
    assert len(equal.barcode().births) == 0


@pytest.mark.parametrize("epsilon", [-1.0, np.nan])
def test_a_resolution_must_not_be_negative(epsilon):
    with pytest.raises(UserError, match="epsilon must be >= 0"):
        dendrogram([0.0, 1.0]).num_clusters(epsilon)
    with pytest.raises(UserError, match="epsilon must be >= 0"):
        dendrogram([0.0, 1.0]).labels(epsilon)


def test_a_deep_chain_of_merges_is_no_problem():
    values = np.cumsum(1 + np.arange(20_000) / 1e4)  # every gap a little larger than the one before
    tree = dendrogram(values)
    assert tree.linkage[-1, 3] == 20_000
    assert len(tree.barcode().births) == 19_998


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_eigenvalues_of_any_size_have_the_same_tree(scale):
    values = np.array([-3.0, -2.5, 0.0, 1e-9, 1.0, 8.0])
    expected, found = dendrogram(values, 1e-10), dendrogram(scale * values, scale * 1e-10)
    np.testing.assert_allclose(found.linkage[:, 2] / scale, expected.linkage[:, 2], rtol=1e-12)
    np.testing.assert_array_equal(found.linkage[:, [0, 1, 3]], expected.linkage[:, [0, 1, 3]])
    assert found.resolution / scale == pytest.approx(expected.resolution)
    assert found.gaps().resolved.tolist() == expected.gaps().resolved.tolist()
    assert found.num_clusters([0, 0.7 * scale, 2 * scale]).tolist() == expected.num_clusters([0, 0.7, 2]).tolist()
    np.testing.assert_array_equal(found.labels(0.7 * scale), expected.labels(0.7))
    for name in ("births", "deaths", "errors", "lengths"):
        np.testing.assert_allclose(
            getattr(found.barcode(), name) / scale, getattr(expected.barcode(), name), rtol=1e-9, atol=1e-25
        )
