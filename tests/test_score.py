"""The score of methods on known circuits: truths of networks made by hand, clusterings, onsets, thresholds."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hessian_dendrogram.experiments import induction
from hessian_dendrogram.experiments.modular_addition import Transformer, pairs

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(ROOT)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in ("results", "benchmarks")]:
        monkeypatch.delitem(sys.modules, name)


def network_with_units(p, frequencies):
    """A network whose attention adds embeddings of a and of b, and whose units each rectify a wave of one frequency."""
    torch.manual_seed(0)
    width = 2 * len(frequencies)
    model = Transformer(p, width=width, heads=1, hidden=len(frequencies)).double()
    angles = 2 * math.pi / p * torch.outer(torch.arange(p, dtype=torch.float64), torch.tensor(frequencies).double())
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.zero_()
        model.embedding[:p] = torch.stack([angles.cos(), angles.sin()], 2).flatten(1)
        for matrix in (model.value, model.output):
            matrix.copy_(torch.eye(width))
        for unit in range(len(frequencies)):
            model.mlp[0].weight[unit, 2 * unit] = 1.0
    return model


def test_a_unit_has_the_frequency_that_it_rectifies_and_the_stream_is_that_of_the_network():
    from results.score.suite import NONE, Behind, frequencies_of_units, stream_of

    frequencies = [1, 3, 3, 5]
    model = network_with_units(13, frequencies)
    assert frequencies_of_units(model).tolist() == frequencies
    with torch.no_grad():
        model.mlp[0].weight[1] = 0.0  # it never changes
        model.mlp[0].weight[2] = torch.tensor([1.0, 0, 1, 0, 0, 0, 1, 0])  # three waves, none of them has a half
    assert frequencies_of_units(model).tolist() == [1, NONE, NONE, 5]
    torch.nn.init.normal_(model.unembedding)
    torch.nn.init.normal_(model.mlp[2].weight)
    torch.testing.assert_close(Behind(model)(stream_of(model)), model(pairs(13)[0]))
    assert model.mlp is not None


def test_clusters_of_planted_graphs_have_the_index_one_by_every_way():
    from results.score.clusterings import CLUSTERINGS, scores
    from results.score.suite import NONE

    random = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2, NONE], [12, 9, 15, 4])
    graph = (truth[:, None] == truth) * (1 + random.random((40, 40)))
    graph = np.triu(graph, 1) + np.triu(graph, 1).T
    graph[36:] = graph[:, 36:] = 0  # those without a truth are coupled to nothing
    found = scores(graph, truth)
    assert set(found) == {*CLUSTERINGS}
    assert all(one[how] == 1.0 for one in found.values() for how in ("given", "eigengap", "conductance"))
    shuffled = random.permutation(truth)
    assert all(abs(one["given"]) < 0.2 for one in scores(graph, shuffled).values())


def test_closeness_is_within_over_between():
    from results.score.indicators import closeness
    from results.score.suite import NONE

    graph = np.full((7, 7), 2.0)
    graph[:3, :3] = 10.0
    truth = np.array([0, 0, 0, 1, 1, 2, NONE])  # a single group has nothing within, one without a truth does not count
    graph[6], graph[:, 6] = 1000.0, 1000.0
    np.fill_diagonal(graph, 0)
    assert closeness(graph, truth) == {0: 5.0, 1: 1.0}


def test_onsets_and_thresholds_of_made_up_measurements(tmp_path, monkeypatch):
    from results.score import kept, tables

    monkeypatch.setattr(kept, "FOLDER", tmp_path)
    monkeypatch.setattr(kept.Kept.__init__, "__defaults__", (tmp_path,))

    def write(name, by_step):
        values = {
            f"indicators at {step}": {"value": {k: {"all": v} for k, v in at.items()}, "seconds": {"processor": 1.0}}
            for step, at in by_step.items()
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(values))

    name = tables.ADDITION
    for seed in tables.FIXED_ON:
        write(f"{name}-{seed}", {0: {"accuracy": 0.0, "x": 0.3}, 9: {"accuracy": 1.0, "x": 7.0}})
        write(f"{name}-{seed}-labels", {9: {"accuracy": 0.0, "x": 0.5}})
    assert tables.thresholds(name) == {"accuracy": tables.ACCURACY, "x": pytest.approx(0.7)}
    early, late = tables.REPORTED_ON[:2]
    write(
        f"{name}-{early}", {0: {"accuracy": 0.0, "x": 0.1}, 5: {"accuracy": 0.5, "x": 0.75}, 9: {"accuracy": 1, "x": 1}}
    )
    write(f"{name}-{early}-labels", {5: {"accuracy": 0.0, "x": 0.5}, 9: {"accuracy": 0.0, "x": 0.71}})
    write(
        f"{name}-{late}", {0: {"accuracy": 0.0, "x": 0.1}, 5: {"accuracy": 0.9, "x": 0.69}, 9: {"accuracy": 1, "x": 1}}
    )
    found = {indicator: rest for indicator, *rest in tables.leads(name)}
    assert found["x"] == [pytest.approx(0.7), [(9, 5), (5, 9)], 1, 1]
    rows = {row[0]: row[1:] for row in tables.onsets(name)}
    assert rows["x"] == ["0.7", "2 of 2", "1", "0 (-4 to 4)", "1.18", "1 of 1"]


def test_the_page_has_the_tables_of_what_is_measured(tmp_path):
    from benchmarks.common import report
    from results.score.page import tables

    page = ROOT / "docs/results/circuits.md"
    copy = tmp_path / "copy.md"
    copy.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    for name, caption, rows in tables():
        report(name, caption, rows, copy)
    assert copy.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_every_measurement_has_a_name_of_its_own_and_a_network_is_measured_once():
    from results.score.measure import FIXED_ON, REPORTED_ON, jobs

    named = [(str(network), name) for network, name, _ in jobs()]
    assert len({*named}) == len(named)
    assert not {*FIXED_ON} & {*REPORTED_ON}


def test_what_is_kept_is_not_measured_again(tmp_path):
    from results.score.kept import Kept

    calls = []
    for _ in range(2):
        assert Kept("one", tmp_path).measured("x", lambda: calls.append(1) or {"a": 1}) == {"a": 1}
    assert Kept("one", tmp_path).get("y") is None
    assert calls == [1]


def test_key_composition_is_one_where_a_head_reads_what_another_writes_and_nothing_elsewhere():
    from results.score.indicators import closeness_of_heads, key_compositions

    model = induction.AttentionOnly().double()
    width = induction.WIDTH // induction.HEADS
    with torch.no_grad():
        for one in model.parameters():
            one.zero_()
        for head in range(
            induction.HEADS
        ):  # head i of the first layer writes to its own part of the stream, by rank one
            own = head * width
            model.first.value.weight[own, 0] = model.first.out_proj.weight[own, own] = 1.0
            model.second.query.weight[own, 0] = 1.0
            model.second.key.weight[own, (own + width) % induction.WIDTH] = 2.0  # and the next one reads it
    found = key_compositions(model)
    expected = np.roll(np.eye(induction.HEADS), 1, axis=0)
    np.testing.assert_allclose(found[: induction.HEADS, induction.HEADS :], expected)
    np.testing.assert_array_equal(found, found.T)
    assert not found[: induction.HEADS, : induction.HEADS].any()
    graph = np.zeros((8, 8))
    graph[0, 4:6], graph[1:4, 4:6], graph[:, 6:] = 6.0, 2.0, 100.0
    assert closeness_of_heads(graph, np.array([0, -1, -1, -1, 1, 1, -1, -1])) == 3.0
    assert np.isnan(closeness_of_heads(graph, np.array([0, 0, 0, 0, 1, 1, 1, 1])))  # there is nothing to compare with


def test_a_network_of_shuffled_weights_has_the_same_entries_and_the_truth_of_its_own(monkeypatch, tmp_path):
    from results.score import network as known
    from results.score import suite

    monkeypatch.setattr(known, "RUNS", tmp_path)
    name = "planted_equal_0"
    made = suite.network(name, 42).make
    monkeypatch.setattr(suite.PlantedNetwork, "make", lambda self: replace(made(), seed=self.seed, steps=3))
    one, shuffled = (suite.network(name, 42, null) for null in ("", known.WEIGHTS))
    assert shuffled.run.path == one.run.path
    for left, right in zip(one.model().parameters(), shuffled.model().parameters(), strict=True):
        assert torch.equal(left.flatten().sort().values, right.flatten().sort().values)
        assert left.numel() < 5 or not torch.equal(left, right)
    assert shuffled.truth().tolist() == one.truth().tolist()
