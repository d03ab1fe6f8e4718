import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hessian_dendrogram.checkpoints import find_checkpoints, read_state_dict, step_in_name
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.training import fit_state, to_numpy


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("500.pt", 500),
        ("model_00000500.safetensors", 500),
        ("checkpoint-500.pth", 500),
        ("epoch=3-step=500.pt", 500),
        ("step_500_loss0.25.pt", 500),
        ("resnet18-Step500.pt", 500),
        ("run2_500.pt", 500),
    ],
)
def test_the_step_is_read_from_the_name(name, step):
    assert step_in_name(name) == step


def test_a_name_without_a_step_is_refused():
    with pytest.raises(UserError, match=r"final.pt has no training step in its name; rename it, or give .* --step N"):
        step_in_name("final.pt")


def test_a_folder_and_a_file(tmp_path):
    for name in ("step9.pt", "step10.pth", "step2.safetensors", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert list(find_checkpoints(tmp_path)) == [2, 9, 10]
    assert find_checkpoints(tmp_path / "step9.pt", 7) == {7: tmp_path / "step9.pt"}
    with pytest.raises(UserError, match="--step goes with one checkpoint file"):
        find_checkpoints(tmp_path, 7)
    (tmp_path / "step09.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"step09.pt and step9.pt both have step 9"):
        find_checkpoints(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no checkpoint; looked for files that end in .pt, .pth, .safetensors"):
        find_checkpoints(tmp_path / "empty")
    with pytest.raises(UserError, match="there is no file or folder"):
        find_checkpoints(tmp_path / "nowhere")


STATE = nn.Linear(2, 3).state_dict()


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model_state_dict": STATE, "optimizer": {"lr": 0.1}},
        {"model": {f"module.{name}": tensor for name, tensor in STATE.items()}},
        {f"_orig_mod.{name}": tensor for name, tensor in STATE.items()},
    ],
)
def test_state_dicts_in_the_forms_trainers_write(content, tmp_path):
    torch.save(content, tmp_path / "1.pt")
    state = read_state_dict(tmp_path / "1.pt")
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_safetensors(tmp_path):
    save_file(STATE, tmp_path / "1.safetensors")
    assert torch.equal(read_state_dict(tmp_path / "1.safetensors")["weight"], STATE["weight"])


class Bomb:
    def __reduce__(self):
        return (exit, ("a checkpoint was executed",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Bomb(), "could execute code; it is not loaded. Save model.state_dict"),
        (nn.Linear(2, 3), "could execute code"),
        ([1, 2], "holds no state dict"),
        ({}, "holds no state dict"),
        ({"a": 1}, "holds no state dict"),
    ],
)
def test_other_content_is_refused_and_never_executed(content, message, tmp_path):
    torch.save(content, tmp_path / "1.pt")
    with pytest.raises(UserError, match=message):
        read_state_dict(tmp_path / "1.pt")


@pytest.mark.parametrize("name", ["1.pt", "1.safetensors"])
@pytest.mark.parametrize("content", [b"", b"noise", pickle.dumps({"a": 1}, protocol=2)])
def test_a_damaged_file_is_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_state_dict(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


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
