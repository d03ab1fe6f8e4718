"""Figures: every file is there, awkward spectra do not crash, and what is drawn is what was computed."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import fcluster, linkage

from hessian_dendrogram import figures, store
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.figures import (
    barcode,
    cluster_count_curves,
    cluster_count_heatmap,
    comparison,
    dendrogram_snapshots,
    describe,
    draw,
    first_layer_filters,
    fourier,
    largest_gaps,
    level_statistics,
    spectrum_evolution,
    style,
    summary,
)
from hessian_dendrogram.figures.eigenvalue_axis import apply_axis, axis_label
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.statistics.dendrogram import single_linkage
from hessian_dendrogram.views.cluster_count import resolved_counts
from hessian_dendrogram.views.density import bin_edges, split_by_density
from hessian_dendrogram.views.eigenvalue_axis import EigenvalueAxis
from hessian_dendrogram.views.filters import mosaic
from hessian_dendrogram.views.segments import resolution_grid
from hessian_dendrogram.views.steps import key_positions
from hessian_dendrogram.views.tree import drawing_floor, link_points

VIEWS = [
    spectrum_evolution,
    dendrogram_snapshots,
    cluster_count_heatmap,
    cluster_count_curves,
    largest_gaps,
    barcode,
    level_statistics,
    summary,
]
NAMES = {
    "spectrum_evolution",
    "dendrogram",
    "cluster_count_heatmap",
    "cluster_count_curves",
    "gaps",
    "barcode",
    "level_statistics",
    "summary",
    "filters",
}
LAYOUT = Layout(("bias", "conv.weight", "other.weight"), ((13,), (3, 2, 3, 3), (2, 3, 1, 1)))


def complete(values, error_bounds=1e-6, **more):
    values = np.sort(np.asarray(values, float))
    return Spectrum(eigenvalues=values, error_bounds=error_bounds, dim=len(values), **more)


def realistic(seed=0, count=60, **more):
    random = np.random.default_rng(seed)
    bulk = 10 ** random.uniform(-7, -1, count) * random.choice([-1, 1], count)
    return complete(np.concatenate([bulk, np.zeros(9), [1.0, 5.0, 5.5, 20.0]]), **more)


def partial(seed=0, converged=None, num_bottom=5, num_top=6):
    random = np.random.default_rng(seed)
    values = np.sort(np.concatenate([-random.uniform(0.01, 0.2, num_bottom), random.uniform(1, 30, num_top)]))
    return Spectrum(
        eigenvalues=values,
        error_bounds=np.where(values < 0, 1e-3, 1e-2),
        dim=1000,
        num_bottom=num_bottom,
        num_top=num_top,
        converged=converged,
    )


AWKWARD = {
    "one eigenvalue": [complete([3.0])],
    "one eigenvalue, zero, no error": [complete([0.0], 0.0)],
    "repeated, no error": [complete([2.0] * 5, 0.0)] * 2,
    "all zero": [complete([0.0] * 4, 0.0)],
    "repeated in two places": [complete([1.0, 1.0, 1.0, 4.0, 4.0], 0.0)],
    "nothing resolved": [complete([1.0, 1.1, 1.2], 5.0)] * 3,
    "infinite error bounds": [complete([1.0, 2.0, 4.0], np.inf), complete([1.0, 2.0, 4.0], 1e-3)],
    "no error": [realistic(error_bounds=0.0)],
    "tiny and huge": [complete([1e-60, 1e-12, 1e12, 1e60], 0.0)],
    "only the top": [partial(num_bottom=0), partial(num_bottom=0)],
    "partial, some unconverged": [partial(converged=np.arange(11) != 7), partial()],
    "nothing converged": [partial(converged=np.zeros(11, bool))],
    "one step without anything converged": [partial(converged=np.zeros(11, bool)), partial()],
    "complete, one unconverged": [realistic(), realistic(converged=np.arange(73) != 40)],
    "many steps": [realistic(seed, 12) for seed in range(47)],
}


def render(figure):
    """Lay out and draw, so that warnings about either become errors; it takes ten times longer than making a figure."""
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("view", VIEWS)
def test_awkward_spectra_make_figures_without_a_warning(view, case):
    spectra = AWKWARD[case]
    figure = view([10 * i for i in range(len(spectra))], spectra, title="a title")
    if case == "partial, some unconverged":
        render(figure)


def measures_of(count):
    random = np.random.default_rng(0)
    norms = {name: random.uniform(0, 3, 56).tolist() for name in ("embedding_norms", "unembedding_norms")}
    return [{**norms, "key_frequencies": [3, 40], "restricted_loss": 0.2, "excluded_loss": 5.0}] * count


@pytest.mark.parametrize("case", AWKWARD)
def test_fourier_measures_are_drawn_under_awkward_spectra_without_a_warning(case):
    spectra = AWKWARD[case]
    steps = [10 * position for position in range(len(spectra))]
    metrics = {
        "step": np.array(steps, float),
        "train_loss": np.full(len(steps), 0.1),
        "test_accuracy": np.ones(len(steps)),
    }
    render(fourier(steps, spectra, measures_of(len(steps)), title="x"))
    figure = render(fourier(steps, spectra, measures_of(len(steps)), metrics=metrics))
    meshes = [mesh for axes in figure.axes for mesh in axes.collections if isinstance(mesh, QuadMesh)]
    heat = [mesh.get_array() for mesh in meshes if mesh.get_array().size == 56 * len(steps)]
    assert np.allclose(heat[0][:, 0], measures_of(1)[0]["embedding_norms"])


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_analyses_are_compared_without_a_warning(case):
    by_step = {10 * i: spectrum for i, spectrum in enumerate(AWKWARD[case])}
    figure = comparison({"few": by_step, "many": {0: realistic()}, "elsewhere": {}}, title="a title")
    assert "share no step" in figure.axes[0].texts[0].get_text()
    figure = comparison({"few": by_step, "many": {0: realistic()}}, title="a title")
    assert not figure.axes[0].texts
    if case == "partial, some unconverged":
        render(figure)


@pytest.mark.parametrize(
    "spectra",
    [{}, {"a": {}, "b": {}}, {"a": {0: partial(num_top=0)}}, {"a": {0: complete([-3.0, -2.0])}, "b": {0: partial()}}],
)
def test_little_is_compared_without_a_warning(spectra):
    render(comparison(spectra))


def test_a_comparison_shows_each_analysis_at_the_last_step_that_all_share():
    first, second = realistic(1), realistic(2)
    figure = comparison({"a": {0: realistic(3), 5: first}, "b": {5: second, 9: realistic(4)}})
    assert "step 5" in figure.axes[0].get_title(loc="left")
    for line, spectrum in zip(figure.axes[0].lines, (first, second), strict=True):
        assert line.get_ydata().tolist() == spectrum.eigenvalues[spectrum.eigenvalues > 1e-6][::-1].tolist()
    largest = figure.axes[2].lines
    assert largest[0].get_xdata().tolist() == [0, 5]
    assert largest[0].get_ydata().tolist() == [realistic(3).eigenvalues[-1], first.eigenvalues[-1]]


def test_analyses_are_compared_where_there_are_two(run, tmp_path):
    assert figures.draw_comparison(run, tmp_path / "figures") == []
    with store.lock(run.path):
        run.save_spectrum(10, "empty", realistic(7), {})
    assert [path.name for path in figures.draw_comparison(run, tmp_path / "figures")] == [
        "comparison.png",
        "comparison.pdf",
    ]


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "run"
    random = np.random.default_rng(0)
    with store.lock(path):
        run = store.Run.create(path, configuration={"experiment": "tiny $x$"}, layout=LAYOUT, provenance={})
        run.create_analysis("hessian-10", {})
        run.create_analysis("empty", {})
        for step in (0, 10):
            weights = dict(zip(LAYOUT.names, (random.normal(size=shape) for shape in LAYOUT.shapes), strict=True))
            run.save_checkpoint(step, weights)
            provenance = {"operator": "hessian", "samples": 1437, "samples_total": 60000}
            run.save_spectrum(step, "hessian-10", realistic(step, provenance=provenance), {})
            run.append_metrics({"step": step, "batch_loss": 2.0, "train_loss": None if step == 10 else 1.0})
    return run


def test_draw_writes_every_figure_without_pyplot_or_global_state(run, tmp_path):
    folder = tmp_path / "new" / "figures"
    # The setting "backend" is left out: reading it makes matplotlib load pyplot.
    code = (
        "import sys, hessian_dendrogram as h\n"
        "h.Run, h.single_linkage\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import matplotlib\n"
        "from pathlib import Path\n"
        "from hessian_dendrogram.figures import draw\n"
        "settings = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}\n"
        "before = settings()\n"
        f"paths = draw(h.Run({str(run.path)!r}), 'hessian-10', Path({str(folder)!r}))\n"
        "assert settings() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules\n"
        "print(*paths, sep='\\n')\n"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    paths = [Path(line) for line in result.stdout.splitlines()]
    assert {path.name for path in paths} == {f"{name}.{kind}" for name in NAMES for kind in ("png", "pdf")}
    assert set(paths) == set(folder.iterdir())
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG" if path.suffix == ".png" else b"%PDF")
        assert path.stat().st_size > 5000


def test_files_are_replaced_whole_and_the_same_figure_gives_the_same_bytes(tmp_path):
    (tmp_path / "a.png").write_text("old")
    first, second = (
        style.save(first_layer_filters([0], [np.eye(3)[None, None]], title="t"), tmp_path / name) for name in "ab"
    )
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"CreationDate" not in one.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]


def test_an_analysis_without_a_spectrum_is_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"'empty'.*no spectrum"):
        draw(run, "empty", tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_filters_are_left_out_where_no_tensor_has_four_dimensions(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "save", lambda figure, stem: [stem])
    with store.lock(tmp_path / "run"):
        run = store.Run.create(tmp_path / "run", configuration={}, layout=Layout(("w",), ((3,),)), provenance={})
        run.create_analysis("a", {})
        run.save_spectrum(5, "a", complete([1.0, 2.0, 3.0]), {})
    assert {path.name for path in draw(run, "a", tmp_path / "figures")} == NAMES - {"filters"}


def test_the_title_says_what_is_known_and_no_more():
    provenance = {"operator": "hessian", "samples": 1437, "samples_total": 60000, "dtype": "float64"}
    assert describe("digits", complete([1.0], provenance=provenance)) == (
        "digits, hessian, 1,437 of 60,000 samples, float64"
    )
    assert describe("", complete([1.0])) == ""


@pytest.mark.parametrize("spectrum", [realistic(), complete([1.0, 1.0, 2.0]), complete([-5.0, 7.0])])
def test_links_stand_at_the_heights_of_the_linkage_on_their_eigenvalues(spectrum):
    tree = single_linkage(spectrum)
    points = link_points(tree, EigenvalueAxis.around((tree.eigenvalues, 1e-6)))
    reference = linkage(tree.eigenvalues[:, None], "single")
    np.testing.assert_allclose(points[:, 1, 1], reference[:, 2], atol=1e-12)
    np.testing.assert_array_equal(points[:, 1, 1], points[:, 2, 1])
    assert (points[:, [0, 3], 1] <= points[:, [1, 2], 1]).all()
    assert (points[:, 0, 0] <= points[:, 2, 0]).all()
    feet = points[:, [0, 3]].reshape(-1, 2)
    for value in tree.eigenvalues:
        assert (np.isclose(feet[:, 0], value, rtol=1e-9, atol=1e-15) & (feet[:, 1] == 0)).any()


def test_a_merge_within_its_error_is_not_drawn():
    tree = single_linkage(complete([0.0, 0.1, 0.3, 5.0], 0.08))  # gaps 0.1, 0.2, 4.7; gap error 0.16
    assert drawing_floor(tree) == pytest.approx(0.16)
    figure = dendrogram_snapshots([0], [complete([0.0, 0.1, 0.3, 5.0], 0.08)])
    tops = [
        line.get_ydata() for line in figure.axes[0].lines if len(line.get_ydata()) % 5 == 0 and len(line.get_ydata())
    ]
    heights = np.concatenate([y.reshape(-1, 5)[:, 1] for y in tops])
    np.testing.assert_allclose(np.sort(heights), [0.2, 4.7])


def test_only_the_largest_merges_of_a_large_spectrum_are_drawn():
    values = np.cumsum(np.random.default_rng(0).exponential(size=3000))
    tree = single_linkage(complete(values))
    assert (tree.gap_sizes > drawing_floor(tree)).sum() == 1000


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


def test_the_heatmap_shows_these_counts():
    spectra = [realistic(0), realistic(1)]
    figure = cluster_count_heatmap([0, 5], spectra)
    (mesh,) = (item for item in figure.axes[0].collections if isinstance(item, QuadMesh))
    shown = np.ma.filled(np.ma.asarray(mesh.get_array(), float), np.nan).reshape(-1, 2)
    trees = {i: single_linkage(spectrum) for i, spectrum in enumerate(spectra)}
    grid = resolution_grid(list(trees.values()), len(shown))
    np.testing.assert_array_equal(shown, resolved_counts(trees, 2, grid))


def test_bars_reach_from_birth_to_death_and_show_what_they_are():
    # Gaps 0.5, 3, 0.2, 10: clusters {0, 0.5} over [0.5, 3], {3.5, 3.7} over [0.2, 3], the four over [3, 10].
    figure = barcode([0], [complete([0.0, 0.5, 3.5, 3.7, 13.7], 1e-3)])
    axes = figure.axes[0]
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    np.testing.assert_allclose(bars, [(3, 10), (0.2, 3), (0.5, 3)])
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "4 in [0, 3.7]",
        "2 in [3.5, 3.7]",
        "2 in [0, 0.5]",
    ]
    assert {bar.get_facecolor() for bar in axes.patches} == {to_rgba(style.COLOURS[0])}
    unresolved = barcode([0], [complete([0.0, 0.5, 3.5, 3.7, 13.7], 0.7)]).axes[0].patches
    assert [bar.get_facecolor() == to_rgba("white") for bar in unresolved] == [False, True, True]


def test_a_bar_born_at_zero_starts_at_the_edge_and_one_at_a_hole_is_hatched():
    axes = barcode([0], [complete([1.0, 1.0, 4.0], 0.0)]).axes[0]
    assert axes.patches[0].get_x() == pytest.approx(axes.get_xlim()[0])
    touching = Spectrum(eigenvalues=[1.0, 1.1, 9.0], error_bounds=1e-3, dim=10, num_top=3)
    assert barcode([0], [touching]).axes[0].patches[0].get_hatch() == "////"


def test_gaps_are_drawn_with_their_rank_error_and_place():
    figure = largest_gaps([0], [complete([0.0, 1.0, 5.0, 5.1], 0.1)])  # gaps 4, 1, and 0.1 within its error 0.2
    upper, lower = figure.axes
    drawn = {
        float(line.get_ydata()[0]): line for line in upper.lines if line.get_marker() in "os^" and len(line.get_xdata())
    }
    assert sorted(drawn) == pytest.approx([0.1, 1.0, 4.0])
    hollow = [line.get_markerfacecolor() == "white" for _, line in sorted(drawn.items())]
    assert hollow == [True, False, False]
    assert [text.get_text() for text in lower.texts] == ["2", "3", "(1)"]


def test_gaps_of_a_segment_are_counted_from_the_end_of_the_spectrum_that_it_has():
    values = np.array([-5.0, -4.0, -1.0, 1.0, 2.0, 6.0])
    spectrum = Spectrum(eigenvalues=values, error_bounds=0.1, dim=100, num_bottom=3, num_top=3)
    _, bottom, _, top = largest_gaps([0], [spectrum]).axes
    for axes, side, counts in ((bottom, "below", ["2", "1"]), (top, "above", ["1", "2"])):
        assert axes.get_title(loc="left").startswith(f"number of eigenvalues {side} the gap")
        assert [text.get_text() for text in axes.texts] == counts


def test_every_sparse_eigenvalue_is_drawn_and_every_dense_one_is_counted():
    spectrum = complete(np.concatenate([np.linspace(-1e-3, 1e-3, 5000), [10.0, 20.0]]))
    axes = spectrum_evolution([0], [spectrum]).axes[0]
    (mesh,) = (item for item in axes.collections if isinstance(item, QuadMesh))
    assert np.ma.filled(mesh.get_array(), 0).sum() == 5000
    assert sorted(path.vertices[0, 1] for path in axes.collections[0].get_paths()) == [10.0, 20.0]


@pytest.mark.parametrize("columns", [{}, {"test_accuracy": 0.5}, {"train_loss": 0.0, "test_accuracy": np.nan}])
def test_panels_without_a_measurement_are_left_out(columns):
    metrics = {"step": np.array([0.0, 7.0])} | {name: np.array([value, value]) for name, value in columns.items()}
    figure = render(summary([0, 7], [realistic(0), realistic(1)], metrics=metrics))
    measured = sum(np.isfinite(value) for value in columns.values())
    assert len(figure.axes) == 4 + measured


def test_an_axis_reaches_there_and_back_and_states_its_linear_part():
    values = np.array([-2.0, 0.0, 1e-7, 0.03, 50.0])
    axis = EigenvalueAxis.around((values, 1e-9))
    np.testing.assert_allclose(axis.from_axis(axis.to_axis(values)), values, rtol=1e-12)
    assert axis.low < -2
    assert axis.high > 50
    assert axis.threshold >= 1e-5 * 50 / 10
    assert EigenvalueAxis.around((values, 0.05)).threshold == pytest.approx(0.1)
    assert "$10^{-1}$" in axis_label(EigenvalueAxis.around((values, 0.05)))
    resolved = np.where(np.abs(values) > 1, 0.5, 1e-9)
    assert EigenvalueAxis.around((values, resolved)).threshold == axis.threshold
    assert EigenvalueAxis.around((values, 1e-12), (1e-6 * values, 1e-12)).threshold < 1e-3 * axis.threshold
    assert EigenvalueAxis.around((np.zeros(3), 0.0)).threshold == 1.0


def test_an_axis_has_one_slope_on_both_sides_of_its_threshold():
    axis = EigenvalueAxis(threshold=1e-3, low=-1.0, high=1.0)
    near = 1e-3 * np.array([1 - 1e-6, 1 - 5e-7, 1 + 5e-7, 1 + 1e-6])
    for sign in (1, -1):
        below, _, above = np.diff(axis.to_axis(sign * near)) / np.diff(sign * near)
        assert above == pytest.approx(below, rel=1e-5)
    positions = axis.to_axis(near)
    np.testing.assert_allclose(axis.from_axis(positions), near, rtol=1e-14)
    # matplotlib's own scale is the same map, up to a constant factor.
    axes = Figure().add_subplot()
    apply_axis(axes, axis, which="y", most=8)
    values = np.array([-0.7, -1e-3, -3e-4, 0.0, 1e-5, 1e-3, 2e-3, 0.9])
    drawn = axes.transData.transform(np.stack([np.zeros(8), values], axis=1))[:, 1]
    expected = axis.to_axis(values)
    np.testing.assert_allclose((drawn - drawn[0]) / np.ptp(drawn), (expected - expected[0]) / np.ptp(expected))


def test_a_uniform_spectrum_has_no_edge_at_the_threshold_of_its_axis():
    values = np.linspace(-5e-3, 5e-3, 100_000)
    axis = EigenvalueAxis(threshold=1e-3, low=-1e-2, high=1e-2)
    edges = bin_edges(axis)
    spectrum = Spectrum(eigenvalues=values, error_bounds=0.0, dim=len(values))
    counts, _ = split_by_density(spectrum, edges)
    middle = np.abs(edges[:-1] + edges[1:]) / 2 < 4e-3
    # Equal bins within the threshold, and beyond it bins that grow by a factor of 1.04, 2.87 decades over 160 bins.
    assert np.abs(np.diff(np.log(counts[middle]))).max() < 1.05 * np.log(10) * 2.87 / 160
    assert np.ptp(counts[np.abs(edges[:-1] + edges[1:]) / 2 < 0.95e-3]) <= 1


@pytest.mark.parametrize("most", [8, 9, 12, 18])
@pytest.mark.parametrize("ends", [(-1, 1), (-0.04, 0.9), (-3e-5, 80), (-1e-7, 1e-3), (0, 5), (3, 40), (-30, -2e-3)])
def test_labels_of_ticks_do_not_run_into_each_other(ends, most):
    axis = EigenvalueAxis.around((np.array([ends[0], 1e-3 * ends[0], 1e-3 * ends[1], ends[1]]), 1e-12))
    figure = Figure(figsize=(0.6 * most, 2))
    axes = figure.add_subplot()
    apply_axis(axes, axis, which="x", most=most)
    FigureCanvasAgg(figure).draw()
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    low, high = axes.get_xlim()
    boxes = [label.get_window_extent() for label in labels if low <= label.get_position()[0] <= high]
    assert len(boxes) >= 2
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_filters_share_one_scale_and_say_what_they_show():
    random = np.random.default_rng(0)
    weights = [random.normal(size=(20, 3, 4, 4)) for _ in range(2)]
    figure = render(first_layer_filters([0, 9], weights, name="conv"))
    assert "mean over 3 input channels; the first 16 of 20" in figure.get_suptitle()
    shown = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    np.testing.assert_allclose(shown[5:9, 10:14], weights[1][2].mean(axis=0))
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high == -np.nanmax(np.abs(shown))
    assert mosaic(np.zeros((1, 1, 2, 3))).shape == (2, 3)


def test_key_positions_hold_both_ends():
    assert key_positions(25, 4) == [0, 8, 16, 24]
    assert key_positions(1, 4) == [0]
    assert key_positions(2, 4) == [0, 1]
