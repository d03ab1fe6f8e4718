"""Weights into a model and into a run: what does not fit or is not finite is refused, one file is read at a time."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from checkpoint_files import STATE
from hessian_dendrogram import Run, cli, experiment_run, pipeline
from hessian_dendrogram.errors import NotFiniteError, UserError
from hessian_dendrogram.models import checkpoints, importing
from hessian_dendrogram.models.checkpoint_files import find_checkpoints
from hessian_dendrogram.models.state_dicts import read_state_dict
from hessian_dendrogram.models.training_state import to_numpy
from hessian_dendrogram.models.weights import fit_state, load_last_weights
from places import TINY


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (nn.Linear(2, 4), r"weight has shape \(4, 2\), the model's \(3, 2\); bias has shape"),
        (nn.Linear(2, 3, bias=False), "bias is missing"),
        (nn.Sequential(nn.Linear(2, 3)), "weight is missing; bias is missing; 0.weight is not in the model and 1 more"),
    ],
)
def test_weights_that_do_not_fit_are_named(other, message):
    with pytest.raises(UserError, match=message):
        fit_state(nn.Linear(2, 3), other.state_dict(), "weights.pt")


def test_bfloat16_is_kept_exactly():
    tensor = torch.randn(5).bfloat16()
    assert torch.equal(torch.from_numpy(to_numpy(tensor)).bfloat16(), tensor)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (STATE["weight"].to(torch.complex64), "weight is torch.complex64, the model's torch.float32"),
        (
            STATE["weight"].to(torch.float8_e4m3fn),
            "weight is torch.float8_e4m3fn, the model's torch.float32: quantised",
        ),
        (STATE["weight"].to(torch.int8), "weight is torch.int8"),
        (STATE["weight"].to_sparse(), r"weight is torch.float32 \(torch.sparse_coo\), the model's torch.float32"),
        (STATE["weight"].to("meta"), r"weight is torch.float32 \(without values\)"),
    ],
)
def test_weights_of_another_kind_do_not_fit(weight, message):
    with pytest.raises(UserError, match=message):
        fit_state(nn.Linear(2, 3), {**STATE, "weight": weight}, "weights.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_weights_that_are_not_finite_are_counted(value, dtype):
    weight = STATE["weight"].clone().double()
    weight[1] = value
    if dtype == torch.float64 and value == 1e300:
        fit_state(nn.Linear(2, 3).double(), {**STATE, "weight": weight}, "weights.pt")
        return
    model, state = nn.Linear(2, 3).to(dtype), {"weight": weight, "bias": torch.full((3,), float("nan"))}
    with pytest.raises(NotFiniteError) as caught:
        fit_state(model, state, "weights.pt")
    line = "weights.pt has weights that are infinite or NaN: 2 of the 6 numbers of weight, and some of 1 more tensors"
    assert str(caught.value) == line
    assert caught.value.exit_code == 2


class Masked(nn.Linear):
    def __init__(self):
        super().__init__(2, 3)
        self.register_buffer("mask", torch.full((3, 3), -float("inf")).triu(1))


def test_a_mask_of_the_models_own_may_be_infinite():
    fit_state(Masked(), Masked().state_dict(), "weights.pt")
    for value in (float("inf"), float("nan")):
        state = Masked().state_dict()
        state["mask"][0, 1] = value
        with pytest.raises(NotFiniteError, match="1 of the 9 numbers of mask"):
            fit_state(Masked(), state, "weights.pt")


# ── imports ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def states_in_files(experiment, folder, steps):
    for step in steps:
        torch.save(experiment.model().state_dict(), folder / f"step_{step}.pt")
    return find_checkpoints(folder)


def test_nothing_is_stored_where_one_file_is_not_finite(tiny, tmp_path):
    folder, out = tmp_path / "files", tmp_path / "run"
    folder.mkdir()
    states_in_files(tiny, folder, [1, 2])
    state = tiny.model().state_dict()
    state["3.bias"][0] = float("nan")
    torch.save(state, folder / "step_3.pt")
    with pytest.raises(UserError, match=r"step_3.pt \(step 3\) has weights that .* NaN: 1 of the 2 numbers of 3.bias"):
        cli.analyse(str(TINY), out=out, checkpoints=folder)
    assert not out.exists()


def test_a_stored_checkpoint_that_is_not_finite_blocks_its_own_step_alone(tiny, tmp_path):
    files = states_in_files(tiny, tmp_path, [1, 2, 3])
    few = replace(tiny, samples=5)
    with experiment_run.open_run(few, tmp_path / "run", imported=True) as (run, load):
        pipeline.import_checkpoints(run, pipeline.read_checkpoints(few, files))
        file = run.path / "checkpoints" / "00000003" / "model.safetensors"
        tensors = {name: torch.from_numpy(array) for name, array in run.weights(3).items()}
        tensors["0.weight"][0, 0] = float("inf")
        save_file(tensors, file)
        assert load_last_weights(few.model(), run) == 2
        with pytest.raises(NotFiniteError, match=r"'0.weight' are not finite, so step 3 has .* other steps with --at"):
            pipeline.analyse(few, run, load, at=[3])
        name = pipeline.analyse(few, run, load, at=[1, 2])
        assert run.analysed_steps(name) == [1, 2]


def test_one_file_is_in_memory_at_a_time(tiny, tmp_path, monkeypatch):
    files = states_in_files(tiny, tmp_path, range(5))
    known, read, arrays_of = [], checkpoints.read_chosen, importing.state_arrays

    def noted_state(file, wanted):
        assert not any(reference() is not None for reference in known)
        chosen = read(file, wanted)
        known.append(weakref.ref(chosen.state["0.weight"]))
        return chosen

    def noted_arrays(model):
        arrays = {name: array.copy() for name, array in arrays_of(model).items()}
        known.append(weakref.ref(arrays["0.weight"]))
        return arrays

    monkeypatch.setattr(checkpoints, "read_chosen", noted_state)
    monkeypatch.setattr(importing, "state_arrays", noted_arrays)
    with experiment_run.open_run(tiny, tmp_path / "run", imported=True) as (run, _):
        for _ in range(2):  # stored, and compared
            pipeline.import_checkpoints(run, pipeline.read_checkpoints(tiny, files))
    assert len(known) == 2 * (2 * 5 + 2 * 5)
    weights = Run(tmp_path / "run").weights(4)
    assert np.array_equal(weights["3.bias"], read_state_dict(files[4])["3.bias"].numpy())


def test_a_file_that_changes_after_the_check_is_refused(tiny, tmp_path):
    files = states_in_files(tiny, tmp_path, [1, 2])
    with experiment_run.open_run(tiny, tmp_path / "run", imported=True) as (run, _):
        checked = pipeline.read_checkpoints(tiny, files)
        torch.save({"model": tiny.model().state_dict(), "step": 7}, files[2])
        with pytest.raises(UserError, match=r"step_2.pt changed while the files were read"):
            pipeline.import_checkpoints(run, checked)


def test_other_weights_are_found_before_any_are_stored(tiny, tmp_path):
    files = states_in_files(tiny, tmp_path, [1, 2])
    with experiment_run.open_run(tiny, tmp_path / "run", imported=True) as (run, _):
        pipeline.import_checkpoints(run, pipeline.read_checkpoints(tiny, {2: files[2]}))
        with pytest.raises(UserError, match="has other weights for step 2 than those given; give a new --out"):
            pipeline.import_checkpoints(run, pipeline.read_checkpoints(tiny, {1: files[2], 2: files[1]}))
        assert run.steps() == [2]
