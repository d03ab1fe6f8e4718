"""Clusters at one resolution, the tree that is cut there, and the eigenvalues that lead."""

import numpy as np
import pytest

from hessian_dendrogram.statistics.clusters import cluster_of, cluster_rows, clusters_at, shared_positions
from hessian_dendrogram.statistics.cut import cut_tree
from hessian_dendrogram.statistics.dendrogram import single_linkage
from hessian_dendrogram.statistics.leading import leading, leading_count, whole
from hessian_dendrogram.statistics.resolutions import corners, resolution_grid
from hessian_dendrogram.statistics.segments import hole_of, largest_gaps, outermost
from picture_helpers import complete, partial, realistic


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


def test_a_cluster_is_found_by_the_eigenvalue_nearest_to_one():
    tree = single_linkage(complete([0.0, 0.1, 5.0, 5.2, 5.3, 9.0]))
    assert [cluster_of(tree, 0.5, value) for value in (-7.0, 2.0, 3.0, 7.4)] == [
        (0, 0, 2),
        (0, 0, 2),
        (1, 2, 5),
        (2, 5, 6),
    ]


def test_positions_that_clusters_share_are_counted_from_the_outer_end():
    one, other = (single_linkage(complete(values)) for values in ([0, 1, 2, 8, 9], [0, 1, 7, 8, 9]))
    shared = shared_positions(one, clusters_at(one, 1.0), other, clusters_at(other, 1.0))
    assert shared.tolist() == [[2, 1], [0, 2]]
    few, many = (single_linkage(partial(0, num_bottom=count), "bottom") for count in (2, 5))
    assert shared_positions(few, clusters_at(few, 9.0), many, clusters_at(many, 9.0)).tolist() == [[2]]


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3, 0.2, 100.0])
def test_every_node_of_a_cut_tree_is_of_the_cluster_of_its_eigenvalues(epsilon):
    tree = single_linkage(realistic(error_bounds=1e-9))
    cut, labels, count = cut_tree(tree, epsilon, above=0.0), tree.labels(epsilon), len(tree.eigenvalues)
    assert cut.clusters[:count].tolist() == labels.tolist()
    for leaf in range(count):
        node, height = leaf, 0.0
        while cut.parents[node] >= 0:
            node = cut.parents[node]
            assert cut.heights[node] >= height
            height = cut.heights[node]
            assert cut.clusters[node] in ({labels[leaf]} if height <= epsilon and node < 2 * count - 1 else {-1})
    assert cut.sizes[cut.roots].tolist() == np.bincount(labels).tolist()
    assert (cut.heights[2 * count - 1 :] == epsilon).all()
    assert len(cut_tree(tree, epsilon, above=epsilon).heights) == 2 * count - 1  # no stem is cut there


def test_what_leads_ends_at_the_largest_resolved_ratio():
    bulk = np.linspace(0.01, 0.02, 500)
    for number in (12, 17, 29):
        tree = single_linkage(complete(np.concatenate([bulk, np.linspace(1, 2, number)]), 1e-6))
        assert leading_count(tree) == number
        assert leading(tree).first == 500
        assert leading(tree).whole is whole(tree).tree is tree
    few = single_linkage(complete(np.concatenate([bulk, [1.0, 2.0]]), 1e-6))
    assert 10 <= leading_count(few) <= 30
    blurred = single_linkage(complete(np.linspace(1, 2, 100), 1.0))
    assert leading_count(blurred) == 20
    assert leading_count(single_linkage(complete([1.0, 2.0]))) == 2
    lower = single_linkage(partial(num_bottom=5), "bottom")
    assert leading(lower, 3).tree.eigenvalues.tolist() == lower.eigenvalues[:3].tolist()
    assert leading(lower, 3).name == "the 3 smallest eigenvalues"


def test_both_parts_of_a_curve_meet_at_the_first_resolved_point():
    tree = single_linkage(complete([0.0, 0.1, 1.0, 5.0], 0.1))
    grid = resolution_grid([tree], 200)
    for every in (False, True):
        counts, unresolved, resolved = corners(tree, grid, every=every)
        first = np.flatnonzero(grid > tree.resolution)[0]
        assert np.flatnonzero(unresolved)[-1] == np.flatnonzero(resolved)[0] == first
        assert set(counts[resolved]) == set(tree.num_clusters(grid[grid > tree.resolution]))
        assert (unresolved | resolved).all() == every


def test_ends_holes_and_gaps_of_several_spectra():
    spectrum = partial(num_bottom=5, num_top=6)
    assert outermost(spectrum, "top", 3).tolist() == [8, 9, 10]
    assert outermost(spectrum, "bottom", 30).tolist() == [0, 1, 2, 3, 4]
    assert hole_of(spectrum) == (spectrum.eigenvalues[4], spectrum.eigenvalues[5])
    assert hole_of(partial(num_bottom=0))[0] == -np.inf
    assert hole_of(complete([1.0])) is None
    trees = {4: single_linkage(complete([0.0, 1.0, 1.0, 4.0]))}
    columns = largest_gaps(trees, "all", 6)
    assert columns["size"].tolist() == [3, 1]  # no exact tie
    assert columns["position"].tolist() == [4, 4]
    assert [columns["low"].tolist(), columns["high"].tolist()] == [[1, 0], [4, 1]]
    assert columns["beyond"].tolist() == [1, 3]
    assert largest_gaps(trees, "bottom", 6)["beyond"].tolist() == [3, 1]
