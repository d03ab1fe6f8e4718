"""Directions in a run: taken, resumed, read back as they were, told, and refused where they are damaged."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import nn

from hessian_dendrogram import Analysis, Experiment, LeadingDirections, Run, Session, experiment_run, pipeline
from hessian_dendrogram.analyse import analyse, check
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.results.changed_samples import ChangedSamples
from hessian_dendrogram.store import lock, overview, report
from hessian_dendrogram.store.compact import compact
from hessian_dendrogram.store.directions import compacted_directions
from hessian_dendrogram.store.kinds import KINDS

NAME = "gauss-newton-40.directions"


def load(_):
    inputs = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
    return (inputs[:40], targets[:40]), (inputs[40:], targets[40:])


def model():
    """Its last unit is dead, and its three output weights move nothing."""
    made = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 3))
    with torch.no_grad():
        made[0].bias[-1] = -100.0
    return made


def experiment(**changes):
    return Experiment(
        name="small",
        model=model,
        loss=nn.functional.cross_entropy,
        data=load,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.05),
        steps=6,
        checkpoint_steps=[0, 3],
        readouts={"sign": {"difference": [0.5**0.5, -(0.5**0.5), 0], "mean": [3**-0.5] * 3}},
        **changes,
    )


def wanted(**options):
    solver = LeadingDirections(**{"top": 4, "exact": True, "rotations": 29, "gaussian": 19} | options)
    return Analysis(operator="gauss-newton", solver=solver)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made, path = experiment(groups={"first": "0.*", "second": "2.*"}), tmp_path_factory.mktemp("run") / "run"
    with experiment_run.open_run(made, path) as (opened, loaded):
        session = Session(made, opened, loaded)
        check(session, wanted())
        pipeline.train(made, opened, loaded)
        assert analyse(session, wanted(), at=[0, 3]) == NAME
        assert analyse(session, wanted()) == NAME  # the last step is added, the others stay
        assert analyse(session, replace(wanted(readout="groups"), name="parts")) == "parts.directions"
    return Run(path)


def test_directions_are_read_as_they_were_stored(run):
    assert run.analysed_steps(NAME) == [0, 3, 6]
    found = run.result(6, NAME)
    assert found.readout == "sign"
    assert found.groups == ["difference", "mean", "other"]
    assert found.group_shares.shape == (4, 2)
    core = run.result(6, NAME, parts=())
    assert core.tensor_shares is None
    for one in fields(core):
        array = getattr(found, one.name)
        if isinstance(array, np.ndarray) and not one.name.startswith(("tensor", "group_", "change")):
            np.testing.assert_array_equal(array, getattr(core, one.name))


def test_gradient_and_update_are_those_of_the_training(run):
    """By plain autograd, and from the weights that are stored."""
    first, later = run.result(0, NAME), run.result(6, NAME)
    assert np.isnan(first.update_shares).all()
    assert 0 < later.update_shares.sum() <= 1
    (inputs, targets), _ = load(None)
    made = model()
    made.load_state_dict({name: torch.from_numpy(array) for name, array in run.weights(6).items()})
    nn.functional.cross_entropy(made.double()(inputs.double()), targets).backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in made.parameters()]).numpy()
    moved = np.concatenate([(run.weights(6)[name] - run.weights(3)[name]).ravel() for name in run.layout.names])
    # Plain gradient descent: three updates along nearly this gradient.
    cosine = gradient @ moved / np.linalg.norm(gradient) / np.linalg.norm(moved)
    assert cosine < -0.9
    assert later.gradient_shares.sum() == pytest.approx(later.update_shares.sum(), abs=0.3)


def test_tables_have_every_direction_with_its_nulls(run):
    rows = run.table("directions", NAME)
    assert len(rows["rank"]) == 12
    at_last = np.asarray(rows["step"]) == 6
    found = run.result(6, NAME)
    np.testing.assert_array_equal(np.asarray(rows["purity"])[at_last], found.purities)
    p = np.asarray(rows["rotation_p"])[at_last]
    assert ((p >= 1 / 30) & (p <= 1)).all()
    assert (np.asarray(rows["rotation_p_holm"])[at_last] >= p).all()
    shares = run.table("direction_shares", NAME, at=6)
    assert len(shares["share"]) == 12
    np.testing.assert_array_equal(np.asarray(shares["share"]).reshape(4, 3), found.shares)
    assert set(run.table("directions", "parts.directions")["group"]) <= {"first", "second"}


def test_what_is_said_of_them(run):
    text = report.in_one_line(run, NAME, 6)
    assert "purity of 4 by sign" in text
    assert "(rotated" in text
    assert "gradient in them" in text
    assert any("Gaussian" in line for line in overview.overview(run, NAME))
    facts = report.facts(run)["analyses"][NAME]["results"][6]
    json.dumps(facts, allow_nan=False)
    assert facts["directions"] == 4
    assert facts["mean_purity"][-1]["purity"] == pytest.approx(run.result(6, NAME).mean_purity())
    assert "update_share" in facts
    assert report.facts(run)["analyses"][NAME]["results"][0]["update_share"] is None


def test_a_compact_copy_has_all_of_it(run, tmp_path):
    copy = compact(run, tmp_path / "copy", vectors=0)
    np.testing.assert_array_equal(copy.result(6, NAME).shares, run.result(6, NAME).shares)


def test_another_readout_needs_another_name(run):
    with experiment_run.open_run(experiment(groups={"first": "0.*", "second": "2.*"}), run.path, must_exist=True) as (
        opened,
        loaded,
    ):
        session = Session(experiment(groups={"first": "0.*", "second": "2.*"}), opened, loaded)
        with pytest.raises(UserError, match="readout was 'sign', is now 'class'; give another --name"):
            analyse(session, wanted(readout="class"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"readout": "classes"}, "no readout 'classes'"),
        ({"readout": "groups"}, "no groups of parameters"),
        ({"readout": "two"}, "of 2 outputs, the model has 3"),
        ({"readout": "output", "top": 39}, "39 directions of 38 parameters"),
    ],
)
def test_what_would_fail_fails_before_training(tmp_path, changes, message):
    made = replace(experiment(), readouts={"two": {"a": [1.0, 0.0]}})
    with experiment_run.open_run(made, tmp_path / "run") as (opened, loaded):
        with pytest.raises(UserError, match=message):
            check(Session(made, opened, loaded), wanted(**changes))
        assert opened.steps() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 34}, "34 parameters, where the analysis covers 38"),
        ({"tensor_shares": np.full((4, 3), 1 / 3)}, "tensor_shares of 3 parts"),
        ({"group_shares": None}, "group_shares where there are groups"),
        ({"group_shares": np.full((4, 2), 0.1)}, "add up to 1"),
    ],
)
def test_directions_of_other_parameters_are_refused(run, changes, message):
    found, kind = run.result(6, NAME), KINDS["directions"]
    kind.check(found, run.layout_of(NAME))
    with pytest.raises(UserError, match=message):
        kind.check(replace(found, **changes), run.layout_of(NAME))


@pytest.mark.parametrize("name", ["shares.npy", "rotation_means.npy", "directions.json"])
def test_damage_is_one_line(run, tmp_path, name):
    copy = compact(run, tmp_path / "copy")
    file = copy.path / "analyses" / NAME / "00000006" / name
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedRunError) as found:
        copy.result(6, NAME)
    assert "\n" not in str(found.value)


def test_results_that_none_converged_for_are_stored(run, tmp_path):
    copy = compact(run, tmp_path / "copy", at=[0, 3])
    found = copy.result(3, NAME)
    cut = {one.name: getattr(found, one.name) for one in fields(found)}
    per_direction = (
        "eigenvalues error_bounds turns powers shares tensor_shares group_shares gradient_shares update_shares"
    )
    cut |= {key: cut[key][:0] for key in per_direction.split()}
    cut |= {"rotation_purities": cut["rotation_purities"][:, :0], "rotation_means": cut["rotation_means"][:, :0]}
    cut |= {one.name: None for one in fields(ChangedSamples)}
    with lock(copy.path):
        copy.save(6, NAME, type(found)(**cut | {"counts": [], "input_shape": []}))
    assert "directions 0 of 4 asked for" in report.in_one_line(copy, NAME, 6)
    assert len(copy.table("directions", NAME, at=6)["rank"]) == 0
    assert len(copy.table("directions", NAME)["rank"]) == 8


def test_a_copy_to_publish_keeps_no_images(run, tmp_path):
    """What the few numbers of a sample are stays; images belong to the data."""
    found = run.result(6, NAME)
    assert found.changed_inputs is not None
    copy = compact(run, tmp_path / "copy", at=[6]).result(6, NAME)
    np.testing.assert_array_equal(copy.changed_inputs, found.changed_inputs)
    images = replace(found, changed_inputs=np.zeros((len(found.changed_inputs), 64)), input_shape=[8, 8])
    kept, _ = compacted_directions(images)
    assert kept.changed_inputs is None
    assert kept.input_shape == []
    np.testing.assert_array_equal(kept.changed, found.changed)
