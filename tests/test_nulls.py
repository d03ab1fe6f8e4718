"""Nulls of an experiment: what is shuffled, what stays, and what is refused."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hessian_dendrogram import Experiment, experiment_run, pipeline
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.importing import read_checkpoints
from hessian_dendrogram.models.loop import load_weights
from hessian_dendrogram.nulls import ShuffledWeights, UntrainedWeights, as_stored, null_of, with_shuffled_labels
from hessian_dendrogram.solvers.random_streams import generator_for


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from hessian_dendrogram.experiment import load_experiment
    from places import TINY

    tiny, path = load_experiment(str(TINY)), tmp_path_factory.mktemp("nulls") / "run"
    with experiment_run.open_run(tiny, path) as (run, load):
        pipeline.train(tiny, run, load)
    return tiny, run


class Tied(nn.Module):
    """Two layers of one weight, one that is normalised, and one that is frozen."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.norm, self.frozen = nn.BatchNorm1d(4), nn.Linear(4, 2)
        self.frozen.requires_grad_(False)

    def forward(self, x):
        return self.frozen(self.norm(self.second(torch.tanh(self.first(x)))))


def tied(**more):
    known = {"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1), "steps": 2, "checkpoint_steps": [0]}
    data = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 2
    return Experiment(
        name="tied",
        model=Tied,
        loss=nn.functional.cross_entropy,
        data=lambda _: (data, None),
        **known | more,
    )


# ── labels ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_labels_are_in_the_order_of_their_own_stream(tiny):
    (inputs, targets), test = tiny.data(None)
    (same, shuffled), same_test = with_shuffled_labels(tiny).data(None)
    order = torch.randperm(len(targets), generator=generator_for("shuffled labels", tiny.seed))
    assert torch.equal(same, inputs)
    assert torch.equal(shuffled, targets[order])
    assert all(torch.equal(one, other) for one, other in zip(test, same_test, strict=True))
    assert with_shuffled_labels(tiny).identity() == tiny.identity() | {"null": "labels"}
    other = with_shuffled_labels(replace(tiny, seed=43)).data(None)[0][1]
    assert not torch.equal(other, shuffled)


# ── weights ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_weights_are_shuffled_within_each_tensor_in_one_order_for_all_steps(trained):
    tiny, run = trained
    found = read_checkpoints(ShuffledWeights(run, tiny.seed), lambda: experiment_run.new_model(tiny))
    orders = {}
    for step in (0, 24):
        own, shuffled = run.weights(step), found.weights(step)
        for name, weights in own.items():
            assert not np.array_equal(shuffled[name], weights)
            np.testing.assert_array_equal(np.sort(shuffled[name], axis=None), np.sort(weights, axis=None))
            if weights.size == np.unique(weights).size:
                order = np.searchsorted(weights.ravel(), shuffled[name].ravel(), sorter=np.argsort(weights, axis=None))
                orders.setdefault(name, []).append(np.argsort(weights, axis=None)[order].tolist())
    assert "0.weight" in orders
    assert all(first == second for first, second in orders.values())


def test_shared_weights_stay_shared_and_buffers_stay_as_they_are(tmp_path, caplog):
    experiment = tied()
    with experiment_run.open_run(experiment, tmp_path / "run") as (run, load):
        pipeline.train(experiment, run, load)
    model, own = (experiment_run.new_model(experiment) for _ in range(2))
    load_weights(own, run, 2)
    with caplog.at_level(logging.WARNING):
        ShuffledWeights(run, experiment.seed).load(2, model)
    assert model.second.weight is model.first.weight
    assert torch.equal(
        model.first.weight.sort().values.flatten().sort().values, own.first.weight.flatten().sort().values
    )
    assert not torch.equal(model.first.weight, own.first.weight)
    assert not torch.equal(model.frozen.weight, own.frozen.weight)
    assert torch.equal(model.norm.running_var, own.norm.running_var)
    assert "norm normalise by those of the run" in caplog.text


# ── untrained ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_untrained_network_has_weights_of_another_seed_the_same_at_every_call(trained):
    tiny, run = trained
    source = UntrainedWeights(tiny)
    models = [experiment_run.new_model(tiny) for _ in range(2)]
    for model in models:
        source.load(0, model)
    assert source.seed != tiny.seed
    expected = experiment_run.new_model(replace(tiny, seed=source.seed)).state_dict()
    for name, weights in expected.items():
        assert all(torch.equal(model.state_dict()[name], weights) for model in models)
        assert not np.array_equal(weights.numpy(), run.weights(0)[name])
    assert UntrainedWeights(replace(tiny, seed=43)).seed not in (43, source.seed)


def test_a_model_that_has_no_other_weights_has_no_untrained_one(tiny):
    def fixed():
        torch.manual_seed(7)
        return nn.Linear(3, 2)

    experiment = replace(tiny, model=fixed)
    with pytest.raises(UserError, match="the same weights whatever the seed is"):
        UntrainedWeights(experiment).load(0, fixed())


# ── which nulls a run may have ───────────────────────────────────────────────────────────────────────────────────────


def test_what_each_null_is_made_of(trained):
    tiny, run = trained
    assert null_of(tiny, "labels", run).source is None
    weights = null_of(tiny, "weights", run)
    assert weights.steps == [0, 8, 16, 20, 24]  # those at which the run is analysed, of seven checkpoints
    assert weights.experiment.identity() == tiny.identity() | {"null": "weights"}
    assert null_of(tiny, "weights", run, [4]).steps == [4]
    assert null_of(tiny, "untrained", run).steps == null_of(tiny, "untrained", run, [0, 8]).steps == [0]


def test_what_is_refused(trained, tmp_path):
    tiny, run = trained
    for kind, experiment, at, problem in (
        ("biases", tiny, None, "no null 'biases'; there are: labels, weights, untrained"),
        ("labels", replace(tiny, seed=7), None, "seed was 42, is now 7"),
        ("labels", replace(tiny, steps=48), None, "steps was 24, is now 48"),
        ("untrained", tiny, [4, 8], "step 0 alone; got --at 4,8"),
    ):
        with pytest.raises(UserError, match=problem):
            null_of(experiment, kind, run, at)
    without = Experiment(name="tiny", model=tiny.model, loss=tiny.loss, data=tiny.data)
    with pytest.raises(UserError, match="has no training, so none with shuffled labels"):
        null_of(without, "labels", run)
    with experiment_run.open_run(tiny, tmp_path / "new") as (new, _):
        pass
    with pytest.raises(UserError, match=r"of a finished run, and .* is none: it has no checkpoint"):
        null_of(tiny, "weights", new)
    with experiment_run.open_run(with_shuffled_labels(tiny), tmp_path / "null") as (own, _):
        pass
    with pytest.raises(UserError, match=r"is itself a null \(labels\)"):
        null_of(tiny, "weights", own)


@pytest.mark.parametrize("kind", ["labels", "weights", "untrained"])
def test_a_null_has_the_data_of_its_run(trained, kind):
    tiny, run = trained
    train, test = tiny.data(None)
    assert torch.equal(null_of(tiny, kind, run).experiment.data(None)[0][0], train[0])
    for what, data in {"training": ((train[0] + 1, train[1]), test), "test": (train, (test[0] + 1, test[1]))}.items():
        other = null_of(replace(tiny, data=lambda _, data=data: data), kind, run).experiment
        with pytest.raises(UserError, match=f"the {what} data are others than those that .* was made with"):
            other.data(None)


def test_any_analysis_can_be_taken_of_any_seed_and_null(tiny, tmp_path):
    other = replace(tiny, seed=7)
    assert as_stored(tiny, tmp_path / "none") is tiny
    nulls = with_shuffled_labels(other), replace(other, null="weights", weights_from=None)
    for number, one in enumerate((other, *nulls)):
        path = tmp_path / str(number)
        with experiment_run.open_run(one, path, imported=one.null == "weights") as (_, load):
            made_with = load()[0][1]
        found = as_stored(tiny, path)
        assert found.identity() == one.identity()
        with experiment_run.open_run(found, path, must_exist=True) as (_, load):
            assert torch.equal(load()[0][1], made_with)


def test_another_state_of_the_file_is_said(trained, caplog):
    tiny, run = trained
    null_of(replace(tiny, source_sha256="0" * 64), "labels", run)
    assert "the experiment's file is another one" in caplog.text
