"""Checkpoint files as named tensors: the forms that trainers write, and everything that is none, in one line each."""

import argparse
import io
import json
import os
import pickle
import struct
import zipfile
from collections import Counter

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from checkpoint_files import ADAM, OPTIMIZER, STATE, write
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.checkpoint_files import find_checkpoints
from hessian_dendrogram.models.state_dicts import read_state_dict
from hessian_dendrogram.models.weights import fit_state


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model_state_dict": STATE, "optimizer": {"lr": 0.1}},
        {"net": STATE, "acc": 0.9, "epoch": 3},
        {"state_dict": {"model": STATE}, "meta": {"iter": 3}},
        {"model": {"state_dict": STATE}},
        {**STATE, "epoch": 3, "optimizer": ADAM, "note": "a state dict with more beside it"},
        dict(nn.Linear(2, 3).named_parameters()) | STATE,
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
        (
            {"model": STATE, "args": argparse.Namespace(lr=0.1)},
            r"than tensors \(argparse.Namespace\) under 'args' and could .* for k in \['model'\]}, 'weights-1.pt'",
        ),
        (ADAM, "holds no state dict of a model but state, param_groups"),
        ({"generator": STATE, "critic": STATE}, "model but generator, critic; --prefix generator takes"),
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


@pytest.mark.parametrize("is_zip", [True, False])
def test_wherever_a_file_is_cut_or_changed_there_is_one_line(is_zip, tmp_path):
    torch.save({"model": STATE, "step": 3}, tmp_path / "1.pt", _use_new_zipfile_serialization=is_zip)
    whole, file = (tmp_path / "1.pt").read_bytes(), tmp_path / "2.pt"
    changed = [whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :] for at in range(0, len(whole), 7)]
    lines = []
    for content in [*(whole[:at] for at in range(0, len(whole), 13)), *changed]:
        file.write_bytes(content)
        try:
            find_checkpoints(file)
            read_state_dict(file)
        except UserError as error:
            lines.append(str(error))
    assert len(lines) > 50
    assert not any("\n" in line for line in lines)


def test_what_was_read_does_not_change_with_the_file(tmp_path):
    torch.save(STATE, tmp_path / "1.pt")
    state = read_state_dict(tmp_path / "1.pt")
    (tmp_path / "1.pt").write_bytes(b"")
    assert torch.equal(state["weight"], STATE["weight"])


def zipped(program):
    """A .pt file whose pickle is a program of one's own."""
    plain, file = io.BytesIO(), io.BytesIO()
    torch.save({}, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, program if entry.filename.endswith("data.pkl") else old.read(entry))
    return file.getvalue()


def called(name, *arguments):
    """Pickle instructions that call a function with one or two arguments, which are instructions, too."""
    module, function = name.rsplit(".", 1)
    end = b"\x85R" if len(arguments) == 1 else b"\x86R"
    return f"c{module}\n{function}\n".encode() + b"".join(arguments) + end


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def encoded(times):
    """Bytes of which each encoding is twice as long as the last: a line of a program for any size."""
    program = called("_codecs.encode", text(b"a"), text(b"latin1"))
    for _ in range(times):
        program = called("_codecs.encode", program, text(b"hex"))
    return program


LENGTH = b"\x8a\x05" + (2**33).to_bytes(5, "little")
TRAPS = {
    "encodings": encoded(3),
    "a length": called("builtins.bytearray", LENGTH),
    "a set": called("builtins.set", called("torch.FloatTensor", LENGTH)),
    "a count": called("collections.Counter", called("torch.FloatTensor", LENGTH)),
    "a size": called("torch.Size", called("torch.FloatTensor", LENGTH)),
    "a dictionary": called("collections.OrderedDict", called("torch.FloatTensor", LENGTH)),
    "a conversion": called("torch._utils._rebuild_device_tensor_from_cpu_tensor", b")"),
    "any call": called("torch._tensor._rebuild_from_type_v2", b")"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_what_weights_only_would_call_is_refused_where_its_arguments_are_not_in_the_file(trap, tmp_path):
    (tmp_path / "1.pt").write_bytes(zipped(b"\x80\x02" + TRAPS[trap] + b"."))
    with pytest.raises(UserError, match=r"is damaged, or holds more than tensors \(|holds tensors that are sparse, "):
        read_state_dict(tmp_path / "1.pt")


@pytest.mark.parametrize("is_zip", [True, False])
def test_what_trainers_store_beside_weights_is_no_trap(is_zip, tmp_path):
    schedules = [torch.optim.lr_scheduler.MultiStepLR(OPTIMIZER, [3, 5]).state_dict() for _ in range(2)]
    beside = {
        "schedules": schedules,
        "counts": [Counter(), Counter(a=1)],
        "seen": {1, 2},
        "hashes": [b"a\xff", b"b\xff"],
    }
    beside |= {
        "buffer": bytearray(b"xy"),
        "random": torch.get_rng_state(),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
    }
    beside |= {"sizes": [torch.Size(size) for size in ((), (1,), (300, 2), (1, 2, 3, 70_000))], "adam": ADAM}
    torch.save({"model": STATE, **beside}, tmp_path / "1.pt", _use_new_zipfile_serialization=is_zip)
    assert torch.equal(read_state_dict(tmp_path / "1.pt")["weight"], STATE["weight"])


def test_a_state_dict_in_itself_and_numbers_that_are_repeated_end(tmp_path):
    (tmp_path / "1.pt").write_bytes(zipped(b"\x80\x02}q\x00" + text(b"model") + b"h\x00s."))
    with pytest.raises(UserError, match="holds no state dict of a model but model"):
        read_state_dict(tmp_path / "1.pt")
    torch.save({**STATE, "weight": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "2.pt")
    with pytest.raises(UserError, match=r"weight has shape \(1000000, 1000000\)"):
        fit_state(nn.Linear(2, 3), read_state_dict(tmp_path / "2.pt"), "2.pt")
    tied = nn.Linear(2, 2).weight
    torch.save({"a": tied, "b": tied, "c": tied[0]}, tmp_path / "3.pt")
    state = read_state_dict(tmp_path / "3.pt")
    assert state["a"].data_ptr() == state["b"].data_ptr() == state["c"].data_ptr()


def header(content, length=None):
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.safetensors", header({}, 10**12)),
        ("a.safetensors", header(b"{}" + b" " * 2**24)),
        ("a.safetensors", header(b'{"a": {')),
        ("a.safetensors", header({"a": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}})),
        ("a.safetensors", header({"__metadata__": {"step": 3}})),
        ("a.safetensors", header(b'{"a":' + b"[" * 10**5)),
        ("a.pt", b"some words\n" * 100),
        ("a.pt", b"\x80\x02X\xff\xff\xff\xffabc"),
        ("a.pt", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (4,)}"),
    ],
)
def test_foreign_files_are_one_line_with_their_name(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} cannot be read as a checkpoint: it is damaged, or no file of its end"):
        read_state_dict(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(UserError, match=r"zip.pt cannot be read as a checkpoint"):
        read_state_dict(tmp_path / "zip.pt")


def test_a_compressed_archive_is_not_unpacked(tmp_path):
    torch.save({"weight": torch.zeros(10**6)}, tmp_path / "plain.pt")
    small = zipfile.ZipFile(tmp_path / "small.pt", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "plain.pt") as old, small as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    with pytest.raises(UserError, match="its content is compressed, or listed twice"):
        read_state_dict(tmp_path / "small.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_only_regular_files_are_opened(suffix, tmp_path):
    os.mkfifo(tmp_path / f"fifo{suffix}")
    (tmp_path / f"device{suffix}").symlink_to("/dev/zero")
    (tmp_path / f"folder{suffix}").mkdir()
    for name in ("fifo", "device"):
        file = tmp_path / f"{name}{suffix}"
        with pytest.raises(UserError, match=f"{name}{suffix} is a folder, a pipe or a device; give a regular file"):
            find_checkpoints(file)
        with pytest.raises(UserError, match="give a regular file"):
            read_state_dict(file)
    with pytest.raises(UserError, match="give a regular file"):
        read_state_dict(tmp_path / f"folder{suffix}")
    with pytest.raises(UserError, match="looked for regular files"):
        find_checkpoints(tmp_path)
    write(tmp_path, {"target": STATE})
    (tmp_path / "step_3.pt").symlink_to(tmp_path / "target")
    assert find_checkpoints(tmp_path) == {3: tmp_path / "step_3.pt"}  # whoever gives a folder means its links, too
