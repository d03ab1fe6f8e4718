"""Folders of the libraries that everyone uses: shards behind an index, pieces of torch.distributed, both formats."""

import json
import pickle
import shutil
import sys
import warnings

import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file
from torch import nn

from commands import quick_command
from hessian_dendrogram import FileCheckpoints, Run
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.checkpoint_files import find_checkpoints
from hessian_dendrogram.models.hub import HubCheckpoints, is_repository
from hessian_dendrogram.models.state_dicts import read_state_dict
from places import TINY


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def are_equal(state, model):
    return state.keys() == model.state_dict().keys() and all(
        torch.equal(state[n], t) for n, t in model.state_dict().items()
    )


def in_shards(folder, model, index="model.safetensors.index.json"):
    """What `save_pretrained` writes with a small `max_shard_size`."""
    folder.mkdir(parents=True)
    names = list(model.state_dict())
    places = {name: f"model-0000{1 + i // 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(places.values()):
        save_file({n: model.state_dict()[n] for n in names if places[n] == file}, folder / file)
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return folder / index


def in_pieces(folder, content):
    with warnings.catch_warnings(action="ignore"):  # that only one process saves
        dcp.save(content, checkpoint_id=folder, no_dist=True)
    return folder


# ── shards ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_shards_are_one_checkpoint(tmp_path):
    model = network()
    index = in_shards(tmp_path / "checkpoint-500", model)
    told = []
    assert find_checkpoints(tmp_path, tell=told.append) == {500: index}
    assert told == ["checkpoint-500/model.safetensors.index.json -> step 500 (the number in its folder's name)"]
    assert are_equal(read_state_dict(index), model)
    other = network(1)
    FileCheckpoints({500: index}).load(500, other)
    assert are_equal(other.state_dict(), model)


def test_of_two_formats_in_a_folder_the_newer_is_taken(tmp_path):
    index = in_shards(tmp_path / "checkpoint-5", network())
    torch.save(network(1).state_dict(), tmp_path / "checkpoint-5" / "pytorch_model.bin")
    assert find_checkpoints(tmp_path) == {5: index}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f.parent / "model-00002-of-00002.safetensors").unlink(), "which is not beside it; copy the whole"),
        (lambda f: f.write_text("{"), "is damaged: it has no weight_map"),
        (lambda f: f.write_text('{"weight_map": {"a": "../../etc/passwd"}}'), "which is not beside it"),
        (lambda f: f.write_text('{"weight_map": {}}'), "names no tensors"),
        (lambda f: f.write_text('{"weight_map": []}'), "is damaged"),
        (
            lambda f: save_file({"other": torch.ones(1)}, f.parent / "model-00001-of-00002.safetensors"),
            r"lacks 0.weight, 0.bias, which its index names",
        ),
    ],
)
def test_damaged_shards_are_one_line(tmp_path, damage, message):
    index = in_shards(tmp_path / "checkpoint-5", network())
    damage(index)
    with pytest.raises(UserError, match=message):
        read_state_dict(index)


def test_a_shard_that_changes_after_the_check_is_noticed(tmp_path):
    index = in_shards(tmp_path / "checkpoint-5", network())
    source = FileCheckpoints({5: index})
    save_file(network(1)[0].state_dict(), index.parent / "model-00001-of-00002.safetensors")
    with pytest.raises(UserError, match="changed while the files were read"):
        source.load(5, network(2))


# ── torch.distributed.checkpoint ─────────────────────────────────────────────────────────────────────────────────────


def test_pieces_are_put_together(tmp_path):
    model = network()
    folder = in_pieces(tmp_path / "step_70", {"model": model.state_dict(), "step": 71, "optimizer": {"lr": 0.1}})
    told = []
    assert find_checkpoints(tmp_path, tell=told.append) == {71: folder}
    assert told == ["step_70 -> step 71 (step in the file; its name says 70)"]
    other = network(1)
    FileCheckpoints({71: folder}, tell=told.append).load(71, other)
    assert are_equal(other.state_dict(), model)
    assert told[1:] == ["step_70: took off model."]
    assert find_checkpoints(folder) == {71: folder}


def test_pieces_of_several_ranks_are_one_tensor(tmp_path):
    # One tensor in two pieces, as two ranks would leave them.
    folder = in_pieces(tmp_path / "step_1", {"a": torch.arange(6.0).reshape(3, 2)[:2], "b": torch.ones(1, 2)})
    described = pickle.loads((folder / ".metadata").read_bytes())
    known = described.state_dict_metadata
    a, b = (known[name] for name in "ab")
    a.size = torch.Size([3, 2])
    b.chunks[0].offsets = torch.Size([2, 0])
    places = {
        type(i)("a", torch.Size([2, 0]) if i.fqn == "b" else i.offset): p for i, p in described.storage_data.items()
    }
    described.storage_data, a.chunks = places, [*a.chunks, *b.chunks]
    del known["b"]
    (folder / ".metadata").write_bytes(pickle.dumps(described))
    assert read_state_dict(folder)["a"].tolist() == [[0, 1], [2, 3], [1, 1]]
    a.chunks = a.chunks[:1]
    (folder / ".metadata").write_bytes(pickle.dumps(described))
    with pytest.raises(UserError, match="the pieces of a are not all there"):
        read_state_dict(folder)


class Trap:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / ".metadata").write_bytes(pickle.dumps(Trap())), "wants to execute builtins.print"),
        (lambda f: (f / ".metadata").write_bytes(b"\x80"), "is damaged"),
        (lambda f: (f / ".metadata").write_bytes(pickle.dumps(3)), "is damaged"),
        (lambda f: [p.unlink() for p in f.glob("*.distcp")], "is damaged|is not in it"),
        (lambda f: [p.write_bytes(p.read_bytes()[:200]) for p in f.glob("*.distcp")], "ends too early"),
    ],
)
def test_damaged_pieces_and_traps_are_one_line(tmp_path, capsys, damage, message):
    folder = in_pieces(tmp_path / "step_70", network().state_dict())
    damage(folder)
    with pytest.raises(UserError, match=message) as caught:
        read_state_dict(folder)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_says_everything_and_writes_nothing(tiny, tmp_path):
    files, out = tmp_path / "files", tmp_path / "run"
    in_shards(files / "checkpoint-5", tiny.model())
    in_pieces(files / "checkpoint-7", {"state": {f"net.{n}": t for n, t in tiny.model().state_dict().items()}})
    arguments = ["analyse", TINY, "--out", out, "--checkpoints", files]
    done = quick_command(*arguments, "--list")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("checkpoint-5/model.safetensors.index.json -> step 5")
    assert lines[-2:] == ["checkpoint-7: took off state.net.", "step 7: fits"]
    assert not out.exists()
    torch.save(nn.Linear(3, 2).state_dict(), files / "step_9.pt")
    refused = quick_command(*arguments, "--list")
    assert refused.returncode == 2
    assert "step 5: fits" in refused.stderr
    assert "1 of 3 checkpoints do not fit" in refused.stderr.splitlines()[-1]
    shutil.rmtree(out, ignore_errors=True)
    (files / "step_9.pt").unlink()
    done = quick_command(*arguments, "--samples", "20")
    assert done.returncode == 0, done.stderr
    assert Run(out).analysed_steps() == [5, 7]


# ── the hub ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache as the hub's library keeps it, with two revisions and the main branch."""
    root = tmp_path / "cache" / "models--owner--net-1m"
    for seed, revision in enumerate(("step1000", "step2000", "main")):
        digest = str(seed) * 40
        (root / "snapshots" / digest).mkdir(parents=True)
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / revision).write_text(digest)
        save_file(network(seed).state_dict(), root / "snapshots" / digest / "model.safetensors")
        (root / "snapshots" / digest / "config.json").write_text("{}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # as where it is not installed
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "steps"), [("", [1000, 2000]), ("@step2000", [2000]), ("@step2000,step1000", [1000, 2000])]
)
def test_revisions_of_the_hub_are_checkpoints(hub, name, steps):
    told = []
    assert is_repository(f"owner/net-1m{name}")
    source = HubCheckpoints(f"owner/net-1m{name}", tell=told.append)
    assert source.steps() == steps
    assert told[-1] == "owner/net-1m@step2000 -> step 2000 (its name)"
    model = network(7)
    source.load(2000, model)
    assert are_equal(network(1).state_dict(), model)


def test_a_revision_without_a_step_in_its_name_has_the_step_that_is_given(hub):
    source = HubCheckpoints("owner/net-1m@main", 9000)
    model = network(7)
    source.load(9000, model)
    assert source.steps() == [9000]
    assert are_equal(network(2).state_dict(), model)
    for name, step in (("owner/net-1m", 3), ("owner/net-1m@step1000,step2000", 3), ("owner/net-1m@main", -1)):
        with pytest.raises(UserError, match=f"--step {step} goes with one revision, owner/net-1m@main"):
            HubCheckpoints(name, step)


def test_what_is_changed_is_said_for_the_first_revision(hub):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

    told = []
    source = HubCheckpoints("owner/net-1m", tell=told.append)
    for step in source.steps():
        source.load(step, Outer())
    assert told[2:] == ["model.safetensors: put inner. before every name"]


def test_a_hub_that_is_not_there_is_one_line(hub, tmp_path):
    with pytest.raises(UserError, match=r"step3000 is not in the cache.* Download it where there is a network"):
        HubCheckpoints("owner/net-1m@step3000").load(3000, network())
    with pytest.raises(UserError, match="no revision of it is named as a step"):
        HubCheckpoints("owner/other")
    with pytest.raises(UserError, match="main has no training step in its name"):
        HubCheckpoints("owner/net-1m@main")
    (tmp_path / "owner" / "net-1m").mkdir(parents=True)
    assert not is_repository("owner/net-1m")
