"""On which samples an analysis is taken, and with which options of its operator: identity, resumption, the command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, TensorDataset

import tiny as tiny_module
from commands import error_of, quick_command
from hessian_dendrogram import (
    Analysis,
    EachBlock,
    Exact,
    GaussNewton,
    Hessian,
    Preconditioned,
    Task,
    stored_adam_diagonal,
)
from hessian_dendrogram.analyse import Session, analyse, check
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiment import load_experiment
from hessian_dendrogram.experiment_run import new_model, open_run
from hessian_dendrogram.models.batched import Collated, GivenBatches
from hessian_dendrogram.models.weights import load_weights
from hessian_dendrogram.operators import OPERATORS
from hessian_dendrogram.pipeline import train
from hessian_dendrogram.sample_sets import joined
from hessian_dendrogram.store import Run

IDENTITY = {"metric": "identity", "centre_outputs": True, "centred": True}


def every_input(train_data, test_data):
    return torch.linspace(-1, 1, 33).reshape(11, 3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The tiny experiment with a probe, trained for four steps."""
    experiment = replace(tiny_module.experiment, steps=4, analysed_steps=[4], probe=every_input)
    path = tmp_path_factory.mktemp("sets") / "run"
    with open_run(experiment, path) as (run, load):
        train(experiment, run, load)
    return experiment, path


def test_a_task_with_groups_is_taken_group_by_group(trained):
    plain, path = trained
    experiment = replace(plain, groups={"first": ["0.*"], "last": ["3.weight"]})
    for parameters, names in ((None, ["first", "last", "other parameters"]), (("3.weight", "0.*"), ["first", "last"])):
        wanted = Analysis(solver=EachBlock(of=Exact(vectors=0), by="group"), parameters=parameters)
        with open_run(experiment, path) as (run, load):
            name = analyse(Session(experiment, run, load), wanted)
            train_data, _ = load()
        blocks = Run(path).result(4, name)
        model = new_model(experiment)
        load_weights(model, Run(path), 4)
        H = Hessian(model, experiment.loss, train_data, dtype=torch.float64)
        assert [*blocks.names] == names
        for label, at in H.layout.group({"first": ["0.*"], "last": ["3.weight"]}).items():
            true = np.linalg.eigvalsh(H.to_dense().numpy()[np.ix_(at, at)])
            np.testing.assert_allclose(blocks[label].eigenvalues, true, atol=1e-12)


@pytest.mark.parametrize("on", ["train", "test", "all", "probe"])
def test_an_analysis_on_each_set(trained, on):
    experiment, path = trained
    analysis = Analysis(operator="gauss-newton", operator_options=IDENTITY, on=on, solver=Exact(vectors=0))
    with open_run(experiment, path) as (run, load):
        name = analyse(Session(experiment, run, load), analysis)
        assert analyse(Session(experiment, run, load), analysis) == name
        (inputs, _), (tests, _) = load()
    taken = {"train": inputs, "test": tests, "all": torch.cat([inputs, tests]), "probe": every_input(None, None)}[on]
    part = "" if on == "train" else f"-{on}"
    assert name == f"gauss-newton-identity-centre_outputs-centred{part}-{len(taken)}"
    model = new_model(experiment)
    load_weights(model, Run(path), 4)
    true = GaussNewton(model, None, taken, **IDENTITY, dtype=torch.float64).to_dense()
    spectrum = Run(path).result(4, name)
    assert (np.abs(spectrum.eigenvalues - np.linalg.eigvalsh(true.numpy())) <= spectrum.error_bounds + 1e-13).all()
    assert (spectrum.eigenvalues >= -spectrum.error_bounds).all()
    facts = spectrum.provenance
    assert (facts["samples"], facts["samples_total"], facts["metric"]) == (len(taken), len(taken), "identity")
    stored = Run(path).analysis(name)["configuration"]
    assert stored.get("on", "train") == on
    assert stored["operator_options"]["divide_by_outputs"] is False
    assert ("probe_sha256" in stored) == (on == "probe")


def test_what_an_analysis_is_on_belongs_to_its_identity(trained):
    experiment, path = trained
    analysis = Analysis(
        operator="gauss-newton", operator_options=IDENTITY, on="probe", solver=Exact(vectors=0), name="mine"
    )
    with open_run(experiment, path) as (run, load):
        analyse(Session(experiment, run, load), analysis)
        for other, message in (
            (replace(analysis, on="all", samples=11), "on was 'probe', is now 'all'"),
            (replace(analysis, operator_options=IDENTITY | {"centred": False}), "operator_options was"),
        ):
            with pytest.raises(UserError, match=message):
                analyse(Session(experiment, run, load), other)
        moved = replace(experiment, probe=lambda *_: every_input(None, None) + 1)
        with pytest.raises(UserError, match="probe_sha256 was"):
            analyse(Session(moved, run, load), analysis)


def test_an_analysis_as_it_was_before_has_the_same_identity(trained):
    experiment, path = trained
    with open_run(experiment, path) as (run, load):
        session = Session(experiment, run, load)
        for analysis in (Analysis(), Analysis(operator="gauss-newton")):
            assert sorted(session.configuration(analysis)) == [
                "dtype", "operator", "sample_order_seed", "samples", "samples_total", "solver",
                "vectors",
            ]  # fmt: skip


def test_samples_of_a_set_nest(trained):
    experiment, path = trained
    with open_run(experiment, path) as (run, load):
        session = Session(experiment, run, load)
        few, more = (
            session.chosen(one, session.data(one))[0] for one in (Analysis(on="all", samples=n) for n in (20, 50))
        )
        assert torch.equal(few, more[:20])
        with pytest.raises(UserError, match="30 samples were asked for, the test data has 20"):
            session.chosen(Analysis(on="test", samples=30), session.data(Analysis(on="test")))


@pytest.mark.parametrize(
    ("changes", "analysis", "message"),
    [
        ({"data": lambda _: (tiny_module.load(None)[0], None)}, Analysis(on="all"), "--on all needs test samples"),
        ({"probe": None}, Analysis(on="probe"), "--on probe needs inputs of the task's own"),
        ({}, Analysis(on="probe"), "operator 'hessian' looks at targets, and the task's probe gives inputs alone"),
        ({}, Analysis(operator="fisher", on="probe"), "operator 'fisher' looks at targets"),
        ({}, Analysis(solver=EachBlock(of=Exact(), by="group")), "there are no groups of parameters"),
        ({"probe": lambda *_: 3}, Analysis(on="probe"), "probe must give inputs, or samples with targets; gave a int"),
        ({"probe": lambda *_: 1 / 0}, Analysis(on="probe"), "the task's probe cannot be made"),
    ],
)
def test_samples_that_are_not_there(tmp_path, changes, analysis, message):
    experiment = replace(tiny_module.experiment, steps=2, analysed_steps=None, probe=every_input)
    experiment = replace(experiment, **changes)
    with open_run(experiment, tmp_path / "run") as (run, load), pytest.raises(UserError, match=message):
        check(Session(experiment, run, load), analysis)
    with pytest.raises(UserError, match="probe must be a function, probe"):
        Task(model=experiment.model, loss=experiment.loss, data=experiment.data, probe=torch.ones(3, 3))


def test_a_probe_with_targets_serves_every_operator(tmp_path):
    experiment = replace(tiny_module.experiment, steps=0, probe=lambda train, test: test)
    with open_run(experiment, tmp_path / "run") as (run, load):
        train(experiment, run, load)
        session = Session(experiment, run, load)
        for kind in OPERATORS:
            name = analyse(session, Analysis(operator=kind, on="probe", solver=Exact(vectors=0)))
            assert run.result(0, name).dim == 38


def test_sets_of_every_form_are_joined():
    pair = torch.arange(6.0).reshape(3, 2), torch.tensor([0, 1, 0])
    inputs, targets = joined(pair, pair)
    assert torch.equal(inputs, torch.cat([pair[0], pair[0]]))
    assert torch.equal(targets, torch.cat([pair[1], pair[1]]))
    several = {"left": pair[0], "right": pair[0] + 1}, pair[1]
    assert torch.equal(joined(several, several)[0]["right"], torch.cat([pair[0], pair[0]]) + 1)
    assert isinstance(joined(TensorDataset(*pair), TensorDataset(*pair)), ConcatDataset)
    given = GivenBatches([pair])
    assert len(joined(given, given)) == 2
    collated = Collated(TensorDataset(*pair), torch.utils.data.default_collate)
    assert len(joined(collated, collated)) == 6
    for one, other in (
        (pair, given),
        (collated, TensorDataset(*pair)),
        (pair, several),
        (pair, (pair[0].int(), pair[1])),
    ):
        with pytest.raises(UserError, match="cannot be taken together"):
            joined(one, other)


def test_adam_of_a_run(trained):
    experiment, path = trained
    run = Run(path)
    P = stored_adam_diagonal(experiment, run, 4)
    with pytest.raises(UserError, match="keeps no state of the optimiser at step 0; it has that of step 4"):
        stored_adam_diagonal(experiment, run, 0)
    model = new_model(experiment)
    load_weights(model, run, 4)
    H = Hessian(model, experiment.loss, tiny_module.load(None)[0], dtype=torch.float64)
    arrays, facts = run.training_state(4)
    moments = np.concatenate([arrays[f"{i}.exp_avg_sq"].reshape(-1) for i in range(4)]).astype(float)
    assert P.numpy() == pytest.approx((1 - 0.9**4) * (np.sqrt(moments / (1 - 0.999**4)) + 1e-8), rel=1e-6)
    assert facts["groups"][0]["betas"] == [0.9, 0.999]
    assert Preconditioned(H, P).to_dense().isfinite().all()


def test_the_command_takes_operator_options_and_sets(tmp_path):
    file = tmp_path / "probed.py"
    file.write_text(
        Path(tiny_module.__file__).read_text()
        + "\n\nfrom dataclasses import replace\n"
        + "experiment = replace(experiment, steps=2, analysed_steps=[2], checkpoint_steps=[2],\n"
        + "    probe=lambda train, test: torch.linspace(-1, 1, 33).reshape(11, 3))\n"
    )
    out, experiment = tmp_path / "run", load_experiment(str(file))
    with open_run(experiment, out) as (run, load):
        train(experiment, run, load)
    given = ("analyse", file, "--out", out, "--operator", "gauss-newton")
    done = quick_command(*given, "--with", "metric=softmax", "--with", "tau=2", "--on", "probe", "--vectors", "0")
    assert done.returncode == 0, done.stderr
    assert Run(out).analysis("gauss-newton-softmax-tau2-probe-11")["configuration"]["operator_options"] == {
        "metric": "softmax",
        "tau": 2.0,
    }
    for options, message in (
        (("--with", "metric=ntk"), "metric is one of loss, identity, softmax; got 'ntk'"),
        (("--with", "heat=3"), "operator 'gauss-newton' has no option 'heat'"),
        (("--on", "dev"), "an analysis is taken on train, test, all, probe; got 'dev'"),
        (("--on", "probe"), "operator 'gauss-newton' looks at targets"),
    ):
        for command in (given, ("fiedler", *given[1:])):
            assert message in error_of(quick_command(*command, *options), 2)
    text = " ".join(quick_command("analyse", "--help").stdout.split())
    assert all(name in text.replace("- ", "-") for name in OPERATORS)
