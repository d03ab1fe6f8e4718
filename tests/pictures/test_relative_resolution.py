"""Dendrograms whose ε is relative: equal to what SciPy clusters, the same at every scale, and never silent."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from hessian_dendrogram import figures, pictures
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.pictures import PICTURES
from hessian_dendrogram.pictures.eigenvalue_tree import count_text
from hessian_dendrogram.pictures.film import film, frames
from hessian_dendrogram.pictures.marks import Bars, HeatMap, Line, Points, Region
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.statistics.dendrogram import single_linkage
from hessian_dendrogram.statistics.measured import KNOWN_TO, SCALES, written
from hessian_dendrogram.statistics.relative_resolution import in_units, log_linkage, unit_of
from hessian_dendrogram.statistics.segments import by_segment
from hessian_dendrogram.store import Run
from picture_helpers import AWKWARD, NoRun, analysed, complete, drawn, of_kind, partial, realistic, reasons
from small_run import ANALYSIS, write

WITH_EPSILON = ("dendrogram", "barcode", "gaps", "cluster_count_heatmap", "cluster_count_curves")
RELATIVE = [name for name in SCALES if name != "absolute"]
ESTIMATED = {"trace": {"value": 40.0, "standard_error": 3.0, "probes": 40}}
CASES = {name: spectra[:3] for name, spectra in AWKWARD.items()} | {
    "negative top": [complete([-3.0, -2.0, -1.0])],
    "one with a top that is negative": [complete([-3.0, -2.0]), complete([1.0, 2.0])],
    "partial, trace estimated": [replace(partial(), provenance=ESTIMATED)] * 2,
    "all of a kind at some steps": [complete([1.0, 2.0, 4.0]), partial(), complete([-1.0])],
    "hundreds of decades": [complete([1e-200, 1e-100, 1.0], 0.0)],
    "next to nothing": [complete([5e-324, 1e-310, 1e-300], 0.0)],
}


def tree_of(spectrum, measured_in):
    (tree,) = (trees[0] for trees in by_segment([spectrum], measured_in).values())
    return tree


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("measured_in", "transformed"),
    [
        ("largest", lambda values: values / values[-1]),
        ("trace", lambda values: values / values.sum()),
        ("log", lambda values: np.log(values[values * KNOWN_TO > 1e-6])),
    ],
)
def test_trees_and_their_counts_are_those_of_scipy(seed, measured_in, transformed):
    spectrum = realistic(seed)
    tree, values = tree_of(spectrum, measured_in), transformed(spectrum.eigenvalues)
    merges = linkage(values[:, None], "single")
    assert tree.linkage[:, 2] == pytest.approx(merges[:, 2], abs=1e-14)
    for epsilon in np.quantile(merges[:, 2], [0.2, 0.5, 0.8]) * 1.001:
        assert tree.num_clusters(epsilon) == fcluster(merges, epsilon, "distance").max()


@pytest.mark.parametrize("measured_in", ["largest", "trace"])
def test_a_heat_map_in_units_counts_as_the_absolute_one_at_the_same_gaps(measured_in):
    spectra = [realistic(seed) for seed in range(3)]
    picture = pictures.cluster_count_heatmap([0, 1, 2], spectra, measured_in=measured_in)
    (heat,) = of_kind(picture, HeatMap)
    edges = np.asarray(heat.y_edges)
    middles = np.sqrt(edges[:-1] * edges[1:])
    for place, spectrum in enumerate(spectra):
        unit = unit_of(spectrum, measured_in).value
        known = np.isfinite(heat.values[:, place])
        counts = single_linkage(spectrum).num_clusters(middles[known] * unit)
        assert np.array_equal(heat.values[known, place], counts)
        assert known.sum() > 50
    assert picture.rows[0][0].y.label.replace("\xa0", " ") == f"resolution ε / {SCALES[measured_in].unit}"


@pytest.mark.parametrize("measured_in", RELATIVE)
def test_a_spectrum_a_thousand_times_as_large_has_the_same_tree(measured_in):
    small = realistic(4, error_bounds=1e-9)
    large = Spectrum(eigenvalues=1000 * small.eigenvalues, error_bounds=1e-6, dim=small.dim)
    one, other = (pictures.dendrograms([0], [spectrum], measured_in=measured_in) for spectrum in (small, large))
    factor = 1000 if measured_in == "log" else 1  # over log λ, λ itself stands on the axis
    compared = 0
    for kind in (Line, Points):
        for mark, same in zip(of_kind(one, kind), of_kind(other, kind), strict=True):
            x, y = (np.asarray(values, float) for values in (mark.x, mark.y))
            assert np.asarray(same.y) == pytest.approx(y, rel=1e-6, nan_ok=True)
            if mark.facts or kind is Points:  # the tree; ticks of the rug stand in places of the page
                assert np.asarray(same.x) == pytest.approx(factor * x, rel=1e-6, nan_ok=True)
                compared += len(x)
    assert compared > 100
    absolute = [pictures.dendrograms([0], [spectrum]) for spectrum in (small, large)]
    assert absolute[0].rows[0][0].y.limits[1] < absolute[1].rows[0][0].y.limits[1] / 900


@pytest.mark.parametrize("measured_in", RELATIVE)
@pytest.mark.parametrize("case", CASES)
def test_awkward_spectra_are_drawn_or_said_to_be_impossible(case, measured_in):
    known = replace(analysed(CASES[case]), measured_in=measured_in)
    for name in WITH_EPSILON:
        picture = PICTURES[name].for_print(known)
        drawn(picture, laid_out=name == "dendrogram")
        assert all(reasons(picture))
    assert isinstance(known.run, NoRun)
    for moving in known.dendrograms.values():
        film(frames(known.steps, moving.trees, moving.epsilon))


def test_why_a_picture_is_empty_is_one_line():
    def said(spectrum, measured_in):
        (reason,) = reasons(pictures.dendrograms([0], [spectrum], measured_in=measured_in))
        return reason

    negative = complete([-3.0, -2.0, -1.0])
    assert said(negative, "largest").startswith("a unit must be positive; the largest of this spectrum is -1 ±")
    assert said(negative, "log").startswith("over log λ, eigenvalues must be positive and known to 1 %; the largest")
    assert said(partial(), "trace").startswith("the trace of this spectrum is not known")
    assert said(partial(converged=np.zeros(11, bool)), "log") == "no eigenvalue has converged at these steps"
    with pytest.raises(UserError, match="ε is measured in one of absolute, largest, trace, log; got 'λ'"):
        pictures.barcode([0], [negative], measured_in="λ")
    mixed = pictures.dendrograms([0, 10], [negative, complete([1.0, 2.0, 4.0])], measured_in="largest")
    (reason,) = reasons(mixed)
    assert reason.startswith("step 0: all eigenvalues: a unit must be positive")


def test_one_relative_error_does_not_hide_every_merge():
    spectrum = Spectrum(eigenvalues=[1.01e-6, 2e-4, 1.0, 1.5, 4.0], error_bounds=1e-6, dim=5)
    assert log_linkage(spectrum).resolution > np.log(4.0)
    tree = tree_of(spectrum, "log")
    assert (len(tree.eigenvalues), tree.num_hidden, tree.hole_below) == (4, 1, True)
    assert tree.resolution < 2 * KNOWN_TO
    assert written(tree) == pytest.approx([2e-4, 1.0, 1.5, 4.0])


@pytest.mark.parametrize("known_to", [0.0, 1.5, np.nan])
def test_a_share_that_an_error_may_be_lies_between_0_and_1(known_to):
    with pytest.raises(UserError, match="known_to is a share above 0 and up to 1, got"):
        log_linkage(complete([1.0, 2.0]), known_to=known_to)


def test_the_unit_and_its_error_are_said_and_move_the_count_where_they_reach_a_gap():
    spectrum = partial(num_bottom=0)
    spectrum = replace(spectrum, provenance={"trace": {"value": 40.0, "standard_error": 0.3, "probes": 40}})
    unit, absolute = unit_of(spectrum, "trace"), single_linkage(spectrum, "top")
    tree = in_units(absolute, unit)
    for epsilon in tree.gap_sizes.tolist():  # the true unit lies in value ± error
        ends = [epsilon * (unit.value + sign * unit.error) for sign in (1, -1)]
        fewest, most = absolute.num_clusters(ends).tolist()
        assert fewest < most
        assert count_text(tree, epsilon).endswith(f"n(ε) = {fewest} to {most}")
    between = 0.5 * (tree.gaps().sizes[0] + tree.gaps().sizes[1])
    said = count_text(tree, between).replace("\xa0", " ")
    assert said == f"ε = {between:.3g} trace (40 ± {unit.error:.2g}): n(ε) = 2"
    shown = drawn(pictures.cluster_count_heatmap([0], [spectrum], measured_in="trace"))[0]
    (title,) = (axes.get_title(loc="left") for axes in shown.axes if axes.get_title(loc="left"))
    assert title == f"largest eigenvalues; trace known to {100 * unit.share:.2g} %"


@pytest.mark.parametrize("measured_in", ["absolute", "largest"])
def test_a_hole_says_how_many_eigenvalues_it_hides(measured_in):
    spectrum = partial(num_top=20, converged=np.arange(25) != 7)  # 5 and 17 of 1,000 are in segments
    said = "hole: 978 eigenvalues not known"
    figure, chart = drawn(pictures.dendrograms([0], [spectrum], measured_in=measured_in))
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels
    assert all(said in label.replace("\n", " ") for label in labels)
    titles = [axis.title.text.replace("<br>", " ") for axis in chart.select_xaxes()]
    assert all(said in title for title in titles)
    # Beside each other, the part says it that has the hole.
    moving = replace(analysed([spectrum]), measured_in=measured_in).moving("top")
    leading, whole = pictures.dendrogram(moving.trees[0]).rows[0]
    assert said not in leading.x.label
    assert said in whole.x.label
    assert any(isinstance(mark, Region) and mark.hatched for mark in whole.marks)


def test_over_logarithms_a_hole_hides_what_has_none():
    picture = pictures.dendrogram(tree_of(realistic(), "log"))
    count = int((realistic().eigenvalues * KNOWN_TO > 1e-6).sum())
    _, whole = picture.rows[0]
    assert whole.title == f"all {count} eigenvalues above the hole"
    assert f"hole: {73 - count} eigenvalues not known to 1 %, or not positive" in whole.x.label
    assert whole.x.label.startswith("λ (log scale)")
    drawn(picture, laid_out=True)


def test_a_histogram_says_how_many_its_hole_hides():
    (hole,) = (bars for bars in of_kind(pictures.eigenvalue_histogram(partial()), Bars) if bars.hatched)
    assert hole.label == "hole: 989 eigenvalues not known"


def test_files_stand_beside_the_absolute_ones(tmp_path, monkeypatch):
    def save(figure, path):
        path.with_suffix(".png").write_text(str(figure.get_suptitle()) + path.name)
        return [path.with_suffix(".png")]

    monkeypatch.setattr(figures, "save", save)
    write(tmp_path / "run")
    run, folder = Run(tmp_path / "run"), tmp_path / "figures"
    absolute = {path.name: path.read_bytes() for path in figures.draw(run, ANALYSIS, folder)}
    written_now = figures.draw(run, ANALYSIS, folder, measured_in="log")
    assert {path.name for path in written_now} == {f"{name}_log.png" for name in WITH_EPSILON}
    assert {name: (folder / name).read_bytes() for name in absolute} == absolute
    with pytest.raises(UserError, match=r"'.*fiedler' is no analysis of spectra, whose dendrograms have an ε"):
        figures.draw(run, f"{ANALYSIS}.fiedler", folder, measured_in="log")
