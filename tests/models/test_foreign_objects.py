"""Objects in files that are more than tensors: found by their keys, never made, with a line that converts the file."""

import argparse
import contextlib
import io
import pickle
import re
from collections import OrderedDict, defaultdict

import pytest
import torch
from torch import nn

from checkpoint_files import STATE
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.foreign_objects import Foreign, _unpickled, foreign_object
from hessian_dendrogram.models.state_dicts import read_state_dict

MADE = []


class Own(dict):
    """As a trainer's settings are."""

    def __init__(self, **entries):
        super().__init__(**entries)
        MADE.append(self)

    def __setstate__(self, state):
        MADE.append(state)


class Bomb:
    def __reduce__(self):
        return MADE.append, ("a file was executed",)


NAMED = argparse.Namespace(lr=0.1)
FILES = {
    "settings": ({"model": STATE, "args": NAMED, "epoch": 3}, ("args",), "argparse.Namespace"),
    "deep": ({"state_dict": STATE, "hyper_parameters": {"a": [0, Own(b=1)]}}, ("hyper_parameters", "a", "1"), ".Own"),
    "a module": ({"model": nn.Linear(2, 3), "epoch": 2}, ("model",), "torch.nn.modules.linear.Linear"),
    "the whole module": (nn.Linear(2, 3), (), "torch.nn.modules.linear.Linear"),
    "within the state": ({"state_dict": {**STATE, "extra": Own()}}, ("state_dict", "extra"), ".Own"),
    "a class": ({"model": STATE, "optimizer": torch.optim.Adam}, ("optimizer",), "torch.optim.adam.Adam"),
    "a collection": ({"model": STATE, "seen": defaultdict(list)}, ("seen",), "collections.defaultdict"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_key_is_said_and_the_line_converts_the_file(name, tmp_path, monkeypatch):
    content, keys, kind = FILES[name]
    file = tmp_path / "step_3.pt"
    torch.save(content, file)
    MADE.clear()
    found = foreign_object(file)
    assert found.keys == keys
    assert found.name.endswith(kind)
    with pytest.raises(UserError, match="could execute code; it is not loaded") as caught:
        read_state_dict(file)
    assert not MADE
    assert "\n" not in str(caught.value)
    assert not keys or f"under {'.'.join(keys)!r}" in str(caught.value)
    line = re.search(r'python -c "(.*)"$', str(caught.value))[1]
    monkeypatch.chdir(tmp_path)
    exec(line, {})
    state = read_state_dict(tmp_path / "weights-step_3.pt")
    assert [tuple(tensor.shape) for tensor in state.values()] == [(3, 2), (3,)]


def test_a_file_from_before_pytorch_1_6(tmp_path):
    torch.save({"model": STATE, "args": NAMED}, tmp_path / "1.pt", _use_new_zipfile_serialization=False)
    assert foreign_object(tmp_path / "1.pt") == Foreign(("args",), "argparse.Namespace")


@pytest.mark.parametrize("content", [STATE, {"model": OrderedDict(STATE), "k": nn.Parameter(torch.ones(2)), "n": [1]}])
def test_what_a_state_dict_has_is_no_foreign_object(content, tmp_path):
    torch.save(content, tmp_path / "1.pt")
    assert foreign_object(tmp_path / "1.pt") is None


def test_nothing_is_executed_and_nothing_grows(tmp_path):
    MADE.clear()
    many = [0] * 1000
    for _ in range(5):
        many = [many] * 1000  # a thousand million million references, in a file of a few kilobytes
    for content in (Bomb(), {"model": STATE, "a": Bomb()}, {"many": many, "z": NAMED}):
        torch.save(content, tmp_path / "1.pt")
        foreign_object(tmp_path / "1.pt")
        with contextlib.suppress(UserError):
            read_state_dict(tmp_path / "1.pt")
    assert not MADE
    (tmp_path / "1.pt").write_bytes(b"noise")
    assert foreign_object(tmp_path / "1.pt") is None


def test_keys_of_a_file_do_not_reach_a_shell(tmp_path):
    torch.save({"model": STATE, "$(touch x)": 3, "`a`": 4, 'b"': 5, "args": NAMED}, tmp_path / "a b;c.pt")
    with pytest.raises(UserError) as caught:
        read_state_dict(tmp_path / "a b;c.pt")
    line = str(caught.value).partition("python -c ")[2]
    assert line.count('"') == 2
    assert not set("$`;") & set(line.replace("; ", ""))
    assert "FILE.pt" in line


@pytest.mark.parametrize("protocol", range(6))
def test_the_inert_reader_makes_no_object_of_a_plain_pickle(protocol):
    program = pickle.dumps({"a": Own(b=1), "c": Bomb()}, protocol)
    MADE.clear()
    content = _unpickled(io.BytesIO(program))
    assert content.keys() == {"a", "c"}
    assert not any(isinstance(value, dict) for value in content.values())
    assert not MADE
