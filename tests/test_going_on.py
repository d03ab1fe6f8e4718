"""Mistakes that show late, and interruptions: what was computed stays, and the corrected file or command goes on."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from hessian_dendrogram import Run, experiment_run, pipeline
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.experiment import load_experiment
from hessian_dendrogram.models.checkpoint_files import find_checkpoints
from hessian_dendrogram.store import atomic
from places import TINY, numbers


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a file whose measures fail at the fourth checkpoint, when three spectra are stored."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "mine.py").write_text(TINY.read_text())
    experiment = load_experiment(str(folder / "mine.py"))
    calls = []

    def measures(model, last, data):
        calls.append(1)
        return None if len(calls) == 4 else {"weight_norm": float(model[0].weight.norm())}

    with experiment_run.open_run(experiment, folder / "run") as (run, load):
        pipeline.train(experiment, run, load)
        with pytest.raises(
            UserError, match=r"measures must give numbers by name.*gave None; is its `return` missing\?"
        ):
            pipeline.analyse(replace(experiment, measures=measures), run, load)
    return folder


def corrected(folder, tmp_path, old="", new=""):
    text = (folder / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(f"# corrected\n{text.replace(old, new) if old else text}")
    return load_experiment(str(tmp_path / "mine.py"))


def test_a_corrected_file_goes_on_with_the_weights_and_both_hashes_are_stored(trained, tmp_path, caplog):
    before = numbers(trained / "run")
    assert Run(trained / "run").analysed_steps() == [0, 8, 16]
    experiment = corrected(trained, tmp_path)
    with experiment_run.open_run(experiment, trained / "run", must_exist=True, corrected=True) as (run, load):
        pipeline.analyse(experiment, run, load)
    assert "data, parameters and optimizer, and the loss at step 24, agree" in caplog.text
    assert run.analysed_steps() == [0, 8, 16, 20, 24]
    assert before.items() <= numbers(trained / "run").items()
    hashes = [run.spectrum(step).provenance.get("source_sha256") for step in run.analysed_steps()]
    assert hashes == [None, None, None, experiment.source_sha256, experiment.source_sha256]
    assert run.spectrum(24).provenance["run_source_sha256"] == run.configuration["source_sha256"]
    assert run.configuration["source_sha256"] != experiment.source_sha256


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "loss=nn.functional.cross_entropy",
            "loss=lambda o, t: 2 * nn.functional.cross_entropy(o, t)",
            "so is the loss",
        ),
        ("torch.optim.AdamW", "torch.optim.Adam", "the optimizer of .* was AdamW.* is now Adam"),
        ("nn.Linear(3, 6)", "nn.Linear(3, 6, bias=False)", "was made with other parameters: 0.bias was"),
        ("manual_seed(0)", "manual_seed(1)", "the data, which must be the same .* training_data_sha256 was"),
        ("batch_size=16", "batch_size=15", "batch_size was 16, is now 15"),
    ],
)
def test_another_experiment_is_no_corrected_one(trained, tmp_path, old, new, message):
    experiment = corrected(trained, tmp_path, old, new)
    with (
        pytest.raises(UserError, match=message),
        experiment_run.open_run(experiment, trained / "run", must_exist=True, corrected=True),
    ):
        pass


def test_the_weights_of_a_run_serve_another_experiment(trained, tmp_path):
    """Of whatever file: `analyse MINE.py --checkpoints RUN`."""
    experiment = corrected(trained, tmp_path, "steps=24", "steps=7")
    told = []
    files = find_checkpoints(trained / "run", tell=told.append)
    assert list(files) == [0, 4, 8, 12, 16, 20, 24]
    assert told[-1] == "checkpoints/00000024/model.safetensors -> step 24 (the number in its folder's name)"
    with experiment_run.open_run(experiment, tmp_path / "other", imported=True) as (run, load):
        pipeline.import_checkpoints(run, pipeline.read_checkpoints(experiment, files))
        pipeline.analyse(experiment, run, load, at=[8])
    of_the_run = Run(trained / "run").spectrum(8)
    assert np.array_equal(run.spectrum(8).eigenvalues, of_the_run.eigenvalues)


def test_training_does_not_go_on_with_another_file_and_says_what_can_be_done(trained, tmp_path):
    with (
        pytest.raises(UserError, match=r"source_sha256 was .*; give another --out, or .* `hessian-dendrogram analyse`"),
        experiment_run.open_run(corrected(trained, tmp_path), trained / "run"),
    ):
        pass


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        (lambda *_: None, r"gave None; is its `return` missing\?"),
        (lambda *_: [1.0], "measures must give numbers by name, such as a dict, gave a list"),
        (lambda *_: {3: 1.0}, "3 is no name"),
        (lambda *_: {"x": float("inf")}, "measures must give finite numbers.* for the untrained model"),
        (
            lambda *_: 1 / 0,
            r"measures failed for the untrained model: ZeroDivisionError: .* \(test_going_on.py, line",
        ),
        (lambda *_: {"x": [0.0] * 2**21}, "MiB of text"),
    ],
)
def test_measures_are_tried_before_training(tiny, tmp_path, measures, message):
    tiny = replace(tiny, measures=measures)
    with experiment_run.open_run(tiny, tmp_path) as (run, load), pytest.raises(UserError, match=message):
        pipeline.check(tiny, run, load, name=None, at=None, dtype=torch.float64)
    assert run.steps() == []


# ── metrics.csv ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def half_trained(tiny, tmp_path):
    with experiment_run.open_run(replace(tiny, steps=12), tmp_path / "run") as (run, load):
        pipeline.train(replace(tiny, steps=12), run, load)
    return tmp_path / "run"


def train_on(tiny, path):
    with experiment_run.open_run(tiny, path) as (run, load):
        pipeline.train(tiny, run, load)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (None, "is missing or empty; it had rows up to step 12"),
        (0, "is missing or empty"),
        (1, "is missing or empty"),
        (-1, r"has no row of step 12, so training cannot go on from the checkpoint of step 12"),
        (-3, r"has no row of step 9, 12"),
    ],
)
def test_a_resume_demands_the_rows_of_its_checkpoints(tiny, half_trained, kept, message):
    file = half_trained / "metrics.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.unlink() if kept is None else file.write_text("".join(lines[:kept]))
    with pytest.raises(DamagedRunError, match=message):
        train_on(tiny, half_trained)
    assert Run(half_trained).steps() == [0, 4, 8, 12]
    file.write_text("".join(lines))
    train_on(tiny, half_trained)
    assert Run(half_trained).steps()[-1] == 24


def test_the_rows_are_on_the_disk_before_their_checkpoint(tiny, tmp_path, monkeypatch):
    events, flush = [], atomic.flush
    monkeypatch.setattr(atomic, "flush", lambda path: events.append(path.name) or flush(path))
    train_on(replace(tiny, steps=4), tmp_path / "run")
    for step in ("00000000", "00000004"):
        state = next(i for i, name in enumerate(events) if name.startswith(f".{step}."))
        assert "metrics.csv" in events[:state]
        events = events[state + 1 :]


# ── what else a training depends on ──────────────────────────────────────────────────────────────────────────────────


class Noisy(torch.nn.Module):
    """Reads every generator there is, and a buffer that its state dict leaves out."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        self.register_buffer("count", torch.zeros(1), persistent=False)

    def forward(self, x):
        if self.training:
            self.count += 1
            noise = torch.randn(1) + np.random.normal() + random.gauss(0, 1) + random.random()  # noqa: NPY002
            return self.linear(x) * (1 + 0.01 * self.count) + 0.01 * noise
        return self.linear(x)


def test_a_resume_brings_back_all_generators_and_the_buffers_that_a_state_dict_leaves_out(tiny, tmp_path):
    noisy = replace(tiny, model=Noisy, measures=None)
    train_on(noisy, tmp_path / "whole")
    train_on(noisy, tmp_path / "again")
    assert numbers(tmp_path / "again") == numbers(tmp_path / "whole")
    for steps in (4, 12, 24):
        train_on(replace(noisy, steps=steps, checkpoint_steps=[0, 4, 8, 12, 16, 20]), tmp_path / "resumed")
    assert numbers(tmp_path / "resumed") == numbers(tmp_path / "whole")


class Counting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.calls = torch.nn.Linear(3, 2), 0

    def forward(self, x):
        self.calls += self.training
        return self.linear(x)


def test_an_attribute_that_changes_and_is_not_stored_is_said_once(tiny, tmp_path, caplog):
    train_on(replace(tiny, model=Counting, measures=None), tmp_path / "run")
    said = [record.message for record in caplog.records if "is not stored" in record.message]
    assert len(said) == 1
    assert said[0].startswith("calls of the model changes while it is trained")
    caplog.clear()
    train_on(replace(tiny, model=Noisy, measures=None), tmp_path / "other")
    assert "is not stored" not in caplog.text


def test_a_state_that_does_not_fit_is_one_line(tiny, half_trained):
    file = half_trained / "training_state/00000012/state.json"
    record = json.loads(file.read_text())
    record["groups"][0]["params"] = [0]
    file.write_text(json.dumps(record))
    with pytest.raises(
        DamagedRunError, match=r"the training state of step 12 .* does not fit the model and its optimizer"
    ):
        train_on(tiny, half_trained)


class Masked(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        self.register_buffer("mask", torch.tensor([0.0, float("-inf")]))

    def forward(self, x):
        return self.linear(x) * (self.mask == 0) + self.linear(x)


def test_a_buffer_may_be_infinite(tiny, tmp_path):
    train_on(replace(tiny, model=Masked, measures=None), tmp_path / "run")
    assert Run(tmp_path / "run").weights(24)["mask"].tolist() == [0.0, -np.inf]
