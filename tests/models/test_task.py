"""A task apart from its training: weights that exist need no optimiser, from any source; groups are parts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from commands import quick_command
from existing_weights import EXISTING, HEADS, TASK, TRAINING, Attention, Scaled, load
from hessian_dendrogram import Analysis, Bipartition, Exact, Experiment, Hessian, Layout, Run, Session
from hessian_dendrogram import analyse as analysing
from hessian_dendrogram.errors import DamagedRunError, NotFiniteError, UserError
from hessian_dendrogram.experiment_run import open_run
from hessian_dendrogram.index_sets import indices_of, runs_of
from hessian_dendrogram.models.checkpoints import Checkpoints, RunCheckpoints
from hessian_dendrogram.models.importing import import_checkpoints, read_checkpoints
from hessian_dendrogram.statistics.layers import cluster_layers, layer_names, part_layers
from hessian_dendrogram.store.compact import compact
from hessian_dendrogram.store.report import facts
from places import TINY


def imported(experiment, path, *analyses):
    with open_run(experiment, path, imported=True) as (run, data):
        import_checkpoints(run, read_checkpoints(experiment.weights_from, experiment.model))
        session = Session(experiment, run, data)
        names = [analysing.analyse(session, one) for one in analyses]
    return Run(path), names


# ── weights from anywhere ────────────────────────────────────────────────────────────────────────────────────────────


def test_weights_that_exist_need_no_training_and_may_come_from_any_source(tmp_path):
    run, (name,) = imported(EXISTING, tmp_path / "run", Analysis(solver=Exact(vectors=2)))
    assert run.steps() == run.analysed_steps(name) == [0, 3, 7]
    assert "steps" not in run.configuration
    assert "optimizer" not in run.record["provenance"]
    model = Attention()
    Scaled().load(7, model)
    true = torch.linalg.eigvalsh(Hessian(model, TASK.loss, load(None)[0], dtype=torch.float64).to_dense())
    found = run.spectrum(7, name)
    assert (np.abs(found.eigenvalues - true.numpy()) <= found.error_bounds + 1e-13).all()
    assert list(facts(run)["analyses"][name]["spectra"]) == [0, 3, 7]
    copy = compact(run, tmp_path / "small", vectors=1)
    assert np.array_equal(copy.spectrum(3).eigenvalues, run.spectrum(3, name).eigenvalues)
    assert isinstance(RunCheckpoints(run), Checkpoints)


FILE = """
import sys; sys.path.insert(0, {tests!r})
from existing_weights import EXISTING as experiment
"""


@pytest.mark.parametrize("name", ["run", "analyse"])
def test_the_command_takes_an_experiment_without_training(tmp_path, name):
    file, out = tmp_path / "existing.py", tmp_path / "run"
    file.write_text(FILE.format(tests=str(TINY.parent)))
    for _ in range(2):
        done = quick_command(name, file, "--out", out, "--at", "0,7")
        assert done.returncode == 0, done.stderr
    run = Run(out)
    assert run.analysed_steps() == [0, 7]
    assert run.layout_of(run.analyses()[0]).parts == ("head 0", "head 1", "head 2", "other parameters")
    assert (out / "figures" / run.analyses()[0] / "summary.png").exists()
    refused = quick_command("run", file, "--out", tmp_path / "other", "--steps", "5")
    assert (refused.returncode, "has no training; --steps needs one" in refused.stderr) == (2, True)


def test_named_steps_of_a_source_are_those_that_are_analysed(tmp_path):
    run, (name,) = imported(replace(EXISTING, analysed_steps=[3]), tmp_path / "run", Analysis())
    assert run.analysed_steps(name) == [3]
    with pytest.raises(UserError, match=r"no checkpoint at \[5\]; it has them at \[0, 3, 7\]"):
        imported(replace(EXISTING, analysed_steps=[5]), tmp_path / "other", Analysis())


class Partial(Scaled):
    def load(self, step, model):
        model.load_state_dict({"qk": torch.zeros_like(model.qk), "out.bias": torch.zeros(2)}, strict=False)


class NotFinite(Scaled):
    def load(self, step, model):
        super().load(step, model)
        if step == 3:
            with torch.no_grad():
                model.out.weight[0, 0] = torch.nan


class Failing(Scaled):
    def load(self, step, model):
        raise KeyError("model")


class Twice(Scaled):
    def steps(self):
        return [1, 1, 2]


class Empty(Scaled):
    def steps(self):
        return []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Partial(), r"at step 0 it left out.weight without numbers"),
        (NotFinite(), r"step 3 has weights that .* 1 of the 24 numbers of out.weight; leave the step out of steps\(\)"),
        (Failing(), r"the checkpoint at step 0 cannot be loaded: KeyError: 'model'"),
        (Twice(), r"has the steps \[1\] several times"),
        (Empty(), "has none"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_source_that_is_wrong_is_found_before_anything_is_stored(tmp_path, source, message):
    with pytest.raises(UserError, match=message) as caught:
        imported(replace(EXISTING, weights_from=source), tmp_path / "run", Analysis())
    assert Run(tmp_path / "run").steps() == []
    assert isinstance(caught.value, NotFiniteError) == isinstance(source, NotFinite)


def test_what_a_checkpoint_leaves_frozen_stays_as_the_model_made_it(tmp_path):
    def partly_frozen():
        model = Attention()
        model.qk.requires_grad_(False)
        return model

    class Outputs(Scaled):
        def load(self, step, model):
            model.out.load_state_dict({"weight": torch.full((2, 12), step / 10), "bias": torch.zeros(2)})

    task = replace(TASK, model=partly_frozen, groups={})
    run, _ = imported(replace(EXISTING, task=task, weights_from=Outputs()), tmp_path / "run")
    assert np.isfinite(run.weights(3)["qk"]).all()


def test_statistics_that_no_checkpoint_has_filled_are_said(tmp_path, caplog):
    class Parameters(Scaled):
        def load(self, step, model):
            model.load_state_dict({name: torch.ones_like(p) for name, p in model.named_parameters()}, strict=False)

    def normalised():
        return nn.Sequential(nn.Flatten(), nn.Linear(20, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    task = replace(TASK, model=normalised, groups={})
    imported(replace(EXISTING, task=task, weights_from=Parameters()), tmp_path / "run")
    assert "left the running statistics of 2 as an untrained model has them, at step 3" in caplog.text
    assert "at step 0" not in caplog.text


# ── the experiment in two forms ──────────────────────────────────────────────────────────────────────────────────────


def test_the_flat_form_is_the_same_experiment():
    parts = Experiment(name="x", task=TASK, training=TRAINING)
    flat = Experiment(
        name="x",
        model=TASK.model,
        loss=TASK.loss,
        data=TASK.data,
        groups=TASK.groups,
        optimizer=TRAINING.optimizer,
        steps=4,
        checkpoint_steps=[0, 2],
    )
    assert flat == parts
    assert flat.identity() == parts.identity()
    assert (flat.loss, flat.steps, flat.batch_size) == (TASK.loss, 4, None)
    assert replace(flat, steps=3, loss=nn.functional.nll_loss).training.stored() == [0, 2, 3]
    assert replace(flat, loss=nn.functional.nll_loss).task.loss is nn.functional.nll_loss


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"modle": 1}, "no 'modle'; did you mean 'model'"),
        ({"task": None}, "an experiment's task needs model and loss and data"),
        ({"task": 3}, "task must be a Task, got 3"),
        ({"steps": 5}, "training needs optimizer and checkpoint_steps; with steps alone it has no training"),
        ({"weights_from": "folder"}, r"must be a source of checkpoints, with steps\(\) and load.*got 'folder'"),
        ({"groups": ["qk"]}, r"groups must be parts of the parameters by name, such as a dict, got \['qk'\]"),
    ],
)
def test_what_is_no_experiment_is_said(given, message):
    with pytest.raises(UserError, match=message):
        Experiment(**({"name": "x", "task": TASK} | given))


def test_what_needs_a_training_says_so(tmp_path):
    with pytest.raises(UserError, match="'existing' has no training, so no steps"):
        _ = EXISTING.steps
    with pytest.raises(AttributeError):
        _ = EXISTING.nothing
    nowhere = replace(EXISTING, weights_from=None)
    assert (nowhere.checkpoints(), nowhere.analysed()) == ([], [])


# ── groups ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_groups_are_parts_in_shares_compositions_and_restrictions(tmp_path):
    everything = Analysis(solver=Exact(vectors=3))
    head = Analysis(solver=Exact(vectors=1), parameters=("head 1",))
    run, (name, tree, part) = imported(EXISTING, tmp_path / "run", everything, Analysis(solver=Bipartition()), head)
    layout = run.layout_of(name)
    assert layout.parts == ("head 0", "head 1", "head 2", "other parameters")
    rows = {f"head {i}": set(range(32 * i, 32 * i + 32)) for i in range(HEADS)}
    for i in range(HEADS):
        rows[f"head {i}"] |= {96 + 12 * output + 4 * i + j for output in range(2) for j in range(4)}
    assert {group: set(layout.group({"": group})[""].tolist()) for group in rows} == rows

    spectrum = run.spectrum(7, name)
    numbers, shares = run.shares(7, name)
    V = spectrum.eigenvectors
    assert numbers.tolist() == spectrum.vector_indices.tolist()
    for place, members in enumerate([*rows.values(), {120, 121}]):
        assert shares[place] == pytest.approx((V[sorted(members)] ** 2).sum(axis=0), abs=1e-12)
    assert part_layers(layout)[0] == layer_names(layout)[0] == list(layout.parts)
    assert compact(run, tmp_path / "small", vectors=0).shares(7, name)[1].tolist() == shares.tolist()

    found = run.bipartition(7, tree)
    counts = found.composition(run.layout_of(tree), 3)
    assert counts.shape[1] == 4
    assert (counts.sum(axis=0) <= [40, 40, 40, 2]).all()
    assert cluster_layers(found, run.layout_of(tree), 3).sum() == counts.sum()

    model = Attention()
    Scaled().load(7, model)
    H = Hessian(model, TASK.loss, load(None)[0], dtype=torch.float64).to_dense().numpy()
    block = H[np.ix_(sorted(rows["head 1"]), sorted(rows["head 1"]))]
    restricted = run.spectrum(7, part)
    assert (np.abs(restricted.eigenvalues - np.linalg.eigvalsh(block)) <= restricted.error_bounds + 1e-13).all()
    assert run.layout_of(part).parts == ("head 1",)
    assert run.layout_of(part).names == ("qk", "out.weight")
    assert part == "hessian-40-head-1"


def test_an_analysis_in_other_groups_is_another_analysis(tmp_path):
    run, _ = imported(EXISTING, tmp_path / "run", Analysis())
    other = replace(EXISTING, groups={"all heads": "qk"})
    with pytest.raises(UserError, match="has other groups of parameters; give another --name"):
        imported(other, run.path, Analysis())


def test_groups_of_a_choice_of_parameters_are_what_is_left_of_them(tmp_path):
    run, names = imported(
        EXISTING, tmp_path / "run", Analysis(parameters=("out.*",)), Analysis(parameters=("head 0", "out.bias"))
    )
    assert run.layout_of(names[0]).parts == ("head 0", "head 1", "head 2", "other parameters")
    assert run.layout_of(names[0]).size == 26
    assert run.layout_of(names[1]).size == 42
    assert run.layout_of(names[1]).parts == ("head 0", "other parameters")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"a": ("qk", 3)}, r"group 'a' has no place in qk of shape \(3, 4, 8\): index 3 is out of bounds"),
        ({"a": ("kq", 0)}, "pattern 'kq' matches no parameter"),
        ({"a": ("qk", 0), "b": [0]}, "groups 'a' and 'b' share parameters"),
        ({"a": [122]}, "group 'a' has indices outside 0 to 121"),
        ({"a": ("qk", np.s_[0:0])}, "group 'a' has no parameter"),
        ({"": "qk"}, "groups must be parts of the parameters by name"),
    ],
)
def test_groups_that_are_none_are_refused_at_once(tmp_path, groups, message):
    with pytest.raises(UserError, match=message):
        imported(replace(EXISTING, groups=groups), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    "groups",
    [
        {"head 0": [[0, 32, 0, 2]]},
        {"head 0": [[0, 200, 0, 1]]},
        {"head 0": [[0, 32, -1, 2]]},
        {"head 0": [[0, 32, 0]]},
        {"head 0": [[0, 1, 1, 10**12]]},
        {"head 0": [[0, 32, 0, 1]], "head 1": [[31, 2, 0, 1]]},
        ["head 0"],
    ],
)
def test_damaged_groups_are_one_line(tmp_path, groups):
    run, (name,) = imported(replace(EXISTING, analysed_steps=[0]), tmp_path / "run", Analysis())
    file = run.path / "analyses" / name / "analysis.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"groups": groups}))
    with pytest.raises(DamagedRunError, match="its groups of parameters cannot be read") as caught:
        Run(run.path).spectrum(0, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(20))
def test_any_set_of_indices_is_what_its_runs_say(seed):
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 400))
    tensor = np.arange(size)
    sets = [
        np.flatnonzero(random.random(size) < random.random()),
        tensor[:: int(random.integers(1, 7))],
        np.sort(np.arange(240).reshape(4, 5, 12)[:, int(random.integers(5)), 2:7].ravel()),
    ]
    for indices in sets:
        runs = runs_of(indices)
        assert np.array_equal(indices_of(runs, 400), indices)
    assert len(runs_of(sets[1])) == len(runs_of(sets[2])) == 1


def test_shares_of_parts_without_groups_are_those_of_tensors():
    layout = Layout(("a", "b"), ((2,), (3,)))
    V = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 2)))[0]
    assert layout.parts == ("a", "b")
    assert np.array_equal(layout.part_shares(V), layout.shares(V))
    assert np.array_equal(layout.part_owners(), layout.owners())
    assert layout.grouped({"x": "*"}).parts == ("x",)
