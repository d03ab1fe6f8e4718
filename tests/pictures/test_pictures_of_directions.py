"""Pictures of directions: either library draws any of them, and they show shares, nulls and samples as they are."""

from dataclasses import replace

import numpy as np
import pytest

from direction_helpers import LAYOUT, images, made
from hessian_dendrogram.pictures import PICTURES, cluster_effects, direction_effects, direction_shares, marks, purity
from hessian_dendrogram.pictures.axes import Log
from hessian_dendrogram.statistics.purity import mean_purity, purity_tests
from picture_helpers import NASTY, drawn


def of_kind(panel, kind):
    return [mark for mark in panel.marks if isinstance(mark, kind)]


AWKWARD = {
    "usual": made(),
    "images": images(),
    "none converged": made(m=0, asked=4),
    "one": made(m=1),
    "no samples": replace(
        made(), changed=None, changes=None, changed_labels=None, changed_effects=None, changed_inputs=None
    ),
    "many outputs": made(changed_effects=None),
    "no labels": made(changed_labels=None),
    "without effect": made(shares=np.full((6, 4), np.nan), powers=np.zeros(6)),
    "one without effect": made(shares=np.vstack([np.full(4, np.nan), made().shares[1:]])),
    "no null was drawn": made(rotation_purities=np.zeros((0, 6)), gaussian_shares=np.zeros((0, 4))),
    "all arbitrary": made(eigenvalues=np.ones(6), turns=np.ones(6)),
    "negative": made(eigenvalues=np.linspace(1, -1, 6)),
    "infinite bounds": made(error_bounds=np.full(6, np.inf), turns=np.ones(6)),
    "of parameters": made(of="parameters", readout="tensors"),
    "many groups": made(groups=60),
    "names": made(groups=len(NASTY) + 1, names=NASTY, readout="<b>$x$"),
    "no groups": made(groups=1, m=1),
    "fewer than asked": made(asked=9),
}


@pytest.mark.parametrize("found", AWKWARD.values(), ids=AWKWARD)
def test_any_directions_are_drawn_without_a_warning(found):
    drawn(direction_shares(found, title="t"))
    drawn(purity([3], [found]))
    drawn(purity([3, 10, 20], [found, made(), found], title="$t$"))
    for number in (1, 2, 7):
        drawn(direction_effects(found, number, LAYOUT))
    drawn(direction_effects(found, 1))


def test_purities_are_filled_where_they_are_more_than_chance():
    draws = np.random.default_rng(1).uniform(0.3, 0.6, (399, 8))
    found = made(m=8, turns=np.r_[np.zeros(6), 1, 1], rotation_purities=draws)
    panel = direction_shares(found).rows[1][0]
    points = [mark for mark in panel.marks if isinstance(mark, marks.Points) and mark.clickable]
    assert [mark.symbol for mark in points] == ["circle", "diamond"]
    tests = purity_tests(found)
    for mark, at in zip(points, (slice(0, 6), slice(6, 8)), strict=True):
        np.testing.assert_array_equal(mark.y, found.purities[at])
        np.testing.assert_array_equal(mark.hollow, tests.rotation_holm[at] > 0.05)
    hollow = np.concatenate([mark.hollow for mark in points])
    assert not hollow[:2].any()  # pure directions, above all 399 rotated ones, also after Holm
    assert hollow[2:].any()
    assert "p = 0.02 after Holm" in points[0].facts.said(0)


def test_cells_are_the_shares_and_small_groups_are_one_row():
    found = made(groups=60)
    panel = direction_shares(found).rows[2][0]
    heat = of_kind(panel, marks.HeatMap)[0]
    names = [*panel.y.names]
    shares = found.shares[:, :-1].max(axis=0)
    assert len(names) == (shares >= 0.05).sum() + 2  # the small ones are one row, and what is in none
    assert 4 < len(names) < 25
    assert names[-1] == "other"
    rest = names.index(next(name for name in names if name.endswith("other groups")))
    for row, name in enumerate(names):
        if row != rest:
            np.testing.assert_array_equal(heat.values[row], found.shares[:, found.groups.index(name)])
    np.testing.assert_allclose(heat.values.sum(axis=0), 1)
    assert "100.0% in group 0" in heat.facts.said((names.index("group 0"), 0))


def test_mean_purities_stand_over_their_own_null():
    results = [made(seed=seed) for seed in range(4)]
    panels = [row[0] for row in purity([0, 5, 9, 30], results).rows]
    for panel, count in zip(panels, (2, 6), strict=False):
        known = [mean_purity(one, count) for one in results]
        null, points = of_kind(panel, marks.Dashes)[0], of_kind(panel, marks.Points)[-1]
        np.testing.assert_allclose(null.y - null.errors, [one.low for one in known])
        np.testing.assert_allclose(null.y + null.errors, [one.high for one in known])
        np.testing.assert_array_equal(points.y, [one.purity for one in known])
        np.testing.assert_array_equal(points.hollow, [one.purity <= one.high for one in known])
        assert f"step 5: {count} directions" in points.facts.said(1)
    training = panels[2]
    assert isinstance(training.y, Log)
    lines = {mark.label: np.asarray(mark.y) for mark in training.marks}
    np.testing.assert_allclose(lines["the loss's gradient"], 0.06)
    np.testing.assert_allclose(lines["a random vector"], 0.5)
    assert np.isnan(lines["the last update"]).all()


def test_accuracy_stands_below_on_the_same_steps():
    metrics = {"step": np.array([0.0, 5, 9]), "test_accuracy": np.array([0.1, 0.5, 1.0])}
    rows = purity([0, 5, 9], [made(seed=i) for i in range(3)], metrics=metrics).rows
    assert rows[-1][0].y.label == "accuracy"
    assert len({row[0].x for row in rows}) == 1


def test_the_samples_of_a_direction_are_shown_with_their_effects():
    found = images()
    picture = direction_effects(found, 3, LAYOUT)
    pixels, effects, groups, layers = (row[0] for row in picture.rows)
    heat = of_kind(effects, marks.HeatMap)[0]
    np.testing.assert_allclose(heat.values, found.effects_of(2))
    number, label = found.changed[2, 0], found.changed_labels[2, 0]
    assert effects.y.names[0] == f"{number}: {label:.4g}"
    assert "output 1:" in heat.facts.said((0, 1))
    shown = of_kind(pixels, marks.HeatMap)[0].values  # two rows of two images with a line between them
    assert shown.shape == (13, 13)
    np.testing.assert_allclose(shown[:6, :6], found.inputs_of(2)[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(shown[7:, :6], found.inputs_of(2)[2].mean(axis=0), atol=1e-6)
    assert np.isnan(shown[7:, 7:]).all()
    assert layers.y.names == ["one", "two"]
    bar = of_kind(layers, marks.Bars)[0]
    np.testing.assert_allclose(bar.stops, [found.tensor_shares[2, :2].sum(), found.tensor_shares[2, 2]])
    shares = found.shares[2]
    np.testing.assert_allclose(of_kind(groups, marks.Bars)[0].stops, shares[shares >= 0.005])


def test_few_inputs_stand_in_place_of_a_number():
    found = made()
    effects = direction_effects(found, 1, LAYOUT).rows[0][0]
    first = found.inputs_of(0)[0]
    assert effects.y.names[0].startswith(f"({first[0]:.4g}, {first[1]:.4g}): ")


def test_they_are_pictures_of_every_analysis_of_directions():
    assert {"purity", "direction_shares", "direction_effects"} <= {*PICTURES}
    assert {PICTURES[name].of for name in ("purity", "direction_shares", "direction_effects")} == {"directions"}


def test_shares_of_a_cluster_are_those_of_the_set():
    found = made(powers=np.arange(1.0, 7))
    groups, layers = cluster_effects(found, [1, 3, 4], LAYOUT, title="effects").rows[0]
    together = found.set_shares([1, 3, 4])
    np.testing.assert_allclose(of_kind(groups, marks.Bars)[0].stops, together[together >= 0.005])
    shares = found.tensor_shares[[1, 3, 4]].mean(axis=0)
    np.testing.assert_allclose(of_kind(layers, marks.Bars)[0].stops, [shares[:2].sum(), shares[2]])
    for one in AWKWARD.values():
        if len(one.eigenvalues):
            drawn(cluster_effects(one, [0], LAYOUT))
