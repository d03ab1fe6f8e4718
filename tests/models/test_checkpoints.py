"""The files of a folder and their training steps: from names, from what is stored, and where they are uncertain."""

import pytest
import torch

from checkpoint_files import ADAM, SCHEDULE, STATE, write
from hessian_dendrogram import cli
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.checkpoint_files import find_checkpoints, step_in_name
from places import TINY


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("500.pt", 500),
        ("0500.pt", 500),
        ("model_00000500.safetensors", 500),
        ("checkpoint-500.pth", 500),
        ("checkpoint-12.pth.tar", 12),
        ("model100.pt", 100),
        ("run2_500.pt", 500),
        ("seed_3_500.pt", 500),
        ("1000_loss_0.25.pt", 1000),
        # "step" and "iter", whatever else is there
        ("epoch=3-step=500.pt", 500),
        ("epoch=02-step=1400-val_loss=0.31.ckpt", 1400),
        ("step_500_loss0.25.pt", 500),
        ("step_500_0.25.pt", 500),
        ("resnet18-Step500.pt", 500),
        ("STEP500.PT", 500),
        ("global_step1000", 1000),
        ("globalStep1000.pt", 1000),
        ("steps_100_seed_3", 100),
        ("seed_3_steps_100", 100),
        ("lr0.001_step50", 50),
        ("lr1e-3_step50.pt", 50),
        ("model_v2_step_10", 10),
        ("iter_300_loss_0.25", 300),
        ("iter_0000300_loss_0.25.pt", 300),
        ("epoch_3_iter_50.pt", 50),
        ("epoch5step100seed3.pt", 100),
        ("ep0-ba100-rank0.pt", 100),
        ("warmup_steps_100_step_500.pt", 500),
        ("rl_model_10000_steps.zip", 10000),
        ("500steps.pt", 500),
        ("step-10.pt", 10),
        ("epoch_1.5_step_300.pt", 300),
        # "epoch"
        ("epoch=02-val_loss=0.31", 2),
        ("epoch=02-val_loss=0.31.ckpt", 2),
        ("resnet18_epoch_5", 5),
        ("epoch_5", 5),
        ("ep5.pt", 5),
        ("val_loss_0.3_epoch_07.pt", 7),
        ("step_size_5_epoch_3.pt", 3),
        # multiples and exponents
        ("ckpt_10k", 10_000),
        ("ckpt_10K.pt", 10_000),
        ("ckpt_1.5M.pt", 1_500_000),
        ("step_1.5k.pt", 1_500),
        ("10k_steps.pt", 10_000),
        ("10ksteps.pt", 10_000),
        ("step_1e3", 1_000),
        ("step_1e3.pt", 1_000),
        ("step=2.5E+4.pt", 25_000),
        ("step_100.0.pt", 100),
    ],
)
def test_the_step_is_read_from_the_name(name, step):
    assert step_in_name(name) == step


@pytest.mark.parametrize(
    "name",
    [
        "final.pt",
        "ckpt.pt",
        "model_best.pth.tar",
        "val_loss=0.31.ckpt",
        "resnet18.pt",
        "model_v2.pt",
        "model_70M.pt",
        "pythia-70m.pt",
        "seed_3.pt",
        "max_steps_1000.pt",
        "timestep_100.pt",
        "2_layers.pt",
        "model (1).pt",
        "step_１０.pt",
        "d41d8cd98f.pt",
    ],
)
def test_a_name_without_a_step_is_refused(name):
    with pytest.raises(UserError, match=r" has no training step in its name; rename it, or give .* --step N"):
        step_in_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2_500.pt", "2 and 500 could each be it"),
        ("2024-01-05.pt", "2024 and 01 and 05 could each be it"),
        ("step_5_step_10.pt", "5 and 10 are both called step"),
        ("100_steps_3.pt", "100 stands between two words that could claim it"),
        ("5_epoch_100_step.pt", "100 stands between two words that could claim it"),
        ("step1_000.pt", "1_000 may be one number in groups of digits, or two"),
        ("step_1,000.pt", "1,000 may be one number in groups of digits, or two"),
        ("step_1.000.pt", "1.000 may be one number in groups of digits, or two"),
        ("step_100e5.pt", "100e5 may be an exponent, or two numbers"),
        ("step_10_k.pt", "10 may be meant with the word after it"),
        ("step_2_million.pt", "2 may be meant with the word after it"),
        ("step_100a.pt", "100 goes on as 100a, which is no number"),
        ("step_1B.pt", "1 goes on as 1B, which is no number"),
        ("step_10kk.pt", "10 goes on as 10kk, which is no number"),
        ("128x128.pt", "128 goes on as 128x128, which is no number"),
        ("step_1.2.3.pt", "1.2.3 is no number"),
        ("step_-10.pt", "-10 is no whole number from 0 to"),
        ("step=-1.pt", "-1 is no whole number"),
        ("-5.pt", "-5 is no whole number"),
        ("step_1.5.pt", "1.5 is no whole number"),
        ("step_1.2345k.pt", "1.2345k is no whole number"),
        ("step_1e-3", "1e-3 is no whole number"),
        ("0.25.pt", "0.25 is no whole number"),
        ("model_.25.pt", r"\.25 is no whole number"),
        ("epoch_1.5.pt", "1.5 is no whole number"),
        ("step_1e400.pt", "1e400 is no whole number"),
        ("20240105123000.pt", "20240105123000 is no whole number from 0 to 1,000,000,000,000"),
    ],
)
def test_what_is_not_certain_in_a_name_is_refused(name, message):
    with pytest.raises(UserError, match=f"^{name} has no certain training step in its name: {message}.*--step N$"):
        step_in_name(name)


def test_a_folder_and_a_file(tmp_path):
    for name in ("step9.pt", "step10.pth", "step2.safetensors", "notes.txt", "._step9.pt"):
        (tmp_path / name).write_bytes(b"")
    assert list(find_checkpoints(tmp_path)) == [2, 9, 10]
    assert find_checkpoints(tmp_path / "step9.pt", 7) == {7: tmp_path / "step9.pt"}
    with pytest.raises(UserError, match="--step goes with one checkpoint file"):
        find_checkpoints(tmp_path, 7)
    with pytest.raises(UserError, match="--step is a number of updates, from 0 to 1,000,000,000,000; got -7"):
        find_checkpoints(tmp_path / "step9.pt", -7)
    (tmp_path / "step09.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"step09.pt and step9.pt both have step 9"):
        find_checkpoints(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        UserError, match=r"has no checkpoint; looked for regular files that end in .pt, .pth, .safetensors"
    ):
        find_checkpoints(tmp_path / "empty")
    with pytest.raises(UserError, match="there is no file or folder"):
        find_checkpoints(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"epoch=02-val_loss=0.31.ckpt": STATE, "epoch=10-val_loss=0.12.ckpt": STATE},
            [
                "epoch=02-val_loss=0.31.ckpt -> step 2 (epoch in its name)",
                "epoch=10-val_loss=0.12.ckpt -> step 10 (epoch in its name)",
            ],
        ),
        (  # Lightning
            {
                "epoch=0-step=10.ckpt": {"epoch": 0, "global_step": 10, "state_dict": STATE},
                "last.ckpt": {"epoch": 1, "global_step": 20, "state_dict": STATE, "optimizer_states": [ADAM]},
            },
            [
                "epoch=0-step=10.ckpt -> step 10 (global_step in the file)",
                "last.ckpt            -> step 20 (global_step in the file)",
            ],
        ),
        (  # Hugging Face
            {
                "checkpoint-500/model.safetensors": {"format": "pt"},
                "checkpoint-500/optimizer.pt": ADAM,
                "checkpoint-500/scheduler.pt": SCHEDULE,
                "checkpoint-500/rng_state.pth": b"",
                "checkpoint-500/training_args.bin": b"",
                "checkpoint-1000/pytorch_model.bin": STATE,
                "runs/model.pt": STATE,
            },
            [
                "left out: runs: a folder whose name is not that of a step, such as checkpoint-500",
                "left out: checkpoint-500/optimizer.pt: it holds the state of an optimiser",
                "left out: checkpoint-500/rng_state.pth: its name says rng; rename it if it is a model's",
                "left out: checkpoint-500/scheduler.pt: it holds the state of a learning-rate scheduler",
                "left out: checkpoint-500/training_args.bin: its name says args; rename it if it is a model's",
                "checkpoint-500/model.safetensors  -> step 500 (the number in its folder's name)",
                "checkpoint-1000/pytorch_model.bin -> step 1000 (the number in its folder's name)",
            ],
        ),
        (  # nanoGPT
            {"ckpt.pt": {"model": STATE, "optimizer": ADAM, "iter_num": 2000, "best_val_loss": torch.tensor(1.2)}},
            ["ckpt.pt -> step 2000 (iter_num in the file)"],
        ),
        (  # timm
            {
                "checkpoint-12.pth.tar": {"epoch": 12, "state_dict": STATE},
                "model_best.pth.tar": {"epoch": 7, "state_dict": STATE},
            },
            [
                "model_best.pth.tar    -> step 7 (epoch in the file)",
                "checkpoint-12.pth.tar -> step 12 (epoch in the file)",
            ],
        ),
        ({"latest.pth": {"meta": {"iter": 300}, "state_dict": STATE}}, ["latest.pth -> step 300 (iter in the file)"]),
        ({"a.safetensors": {"step": "1400", "epoch": "3"}}, ["a.safetensors -> step 1400 (step in the file)"]),
        ({"a.pt": {"model": STATE, "step": torch.tensor(7)}}, ["a.pt -> step 7 (step in the file)"]),
        ({"a_8.pt": {"model": STATE, "step": True}}, ["a_8.pt -> step 8 (the number in its name)"]),
        (
            {"a_8.pt": {**STATE, "step": torch.tensor(3)}},  # a buffer of the model
            ["a_8.pt -> step 8 (the number in its name)"],
        ),
        (  # a step comes before an epoch, and the file before the name
            {
                "step_1000.pt": {"model": STATE, "epoch": 3},
                "step_2000.pt": {"model": STATE, "step": 2001},
                "model_9.pt": {"model": STATE, "step": 3000},
            },
            [
                "step_1000.pt -> step 1000 (step in its name)",
                "step_2000.pt -> step 2001 (step in the file; its name says 2000)",
                "model_9.pt   -> step 3000 (step in the file; its name says 9)",
            ],
        ),
        (
            {
                "step_10.pt": STATE,
                "optimizer_step_10.pt": ADAM,
                "opt_10.pt": ADAM,
                "losses.pt": [0.3],
                "log.pt": {"a": 1},
            },
            [
                "left out: log.pt: it holds no tensors, and its name has no step",
                "left out: losses.pt: it holds no state dict, and its name has no step",
                "left out: opt_10.pt: it holds the state of an optimiser",
                "left out: optimizer_step_10.pt: it holds the state of an optimiser",
                "step_10.pt -> step 10 (step in its name)",
            ],
        ),
    ],
)
def test_every_file_is_told_with_its_step(files, told, tmp_path):
    write(tmp_path, files)
    lines = []
    found = find_checkpoints(tmp_path, tell=lines.append)
    assert lines == told
    shown = [line.split(" -> step ") for line in told if not line.startswith("left out")]
    assert {step: file.relative_to(tmp_path).as_posix() for step, file in found.items()} == {
        int(rest.split()[0]): name.strip() for name, rest in shown
    }


def test_a_file_without_a_step_does_not_block_those_that_have_one(tmp_path):
    """As a trainer leaves its last or its best weights beside the folders of its checkpoints."""
    write(tmp_path, {"checkpoint-500/model.safetensors": {"format": "pt"}, "model.safetensors": {"format": "pt"}})
    write(tmp_path, {"step_20.pt": STATE, "best.pt": OTHER, "training_args.bin": b"", "last.ckpt": b"half a file"})
    lines = []
    found = find_checkpoints(tmp_path, tell=lines.append)
    assert found == {20: tmp_path / "step_20.pt", 500: tmp_path / "checkpoint-500" / "model.safetensors"}
    rest = "has no training step in its name; rename it, or give the one file with --step N"
    assert f"left out: best.pt {rest}" in lines
    assert f"left out: model.safetensors {rest}" in lines
    assert any(line.startswith(f"left out: {tmp_path}/last.ckpt cannot be read as a checkpoint") for line in lines)


def test_a_folder_of_one_step_and_a_step_that_is_given(tmp_path):
    write(tmp_path, {"checkpoint-500/model.safetensors": None, "checkpoint-500/optimizer.pt": ADAM})
    folder = tmp_path / "checkpoint-500"
    assert list(find_checkpoints(folder)) == list(find_checkpoints(folder / "model.safetensors")) == [500]
    assert list(find_checkpoints(folder, 7)) == [7]
    write(tmp_path, {"3/final.pt": STATE, "a.pt": {"model": STATE, "step": 9}})
    with pytest.raises(UserError, match=r"final.pt has no training step in its name"):
        find_checkpoints(tmp_path / "3")
    lines = []
    assert list(find_checkpoints(tmp_path / "a.pt", 7, tell=lines.append)) == [7]
    assert lines == ["a.pt -> step 7 (--step; the file has step 9)"]


def test_copies_of_the_last_checkpoint_are_left_out(tmp_path):
    lightning = {"state_dict": STATE, "global_step": 30}
    write(tmp_path, {"best.ckpt": lightning, "epoch=2-step=30.ckpt": lightning, "last.ckpt": lightning})
    write(tmp_path, {"epoch=1-step=20.ckpt": {"state_dict": STATE, "global_step": 20}})
    lines = []
    assert find_checkpoints(tmp_path, tell=lines.append) == {
        20: tmp_path / "epoch=1-step=20.ckpt",
        30: tmp_path / "epoch=2-step=30.ckpt",
    }
    assert lines[:2] == [
        "left out: best.ckpt: the same weights as epoch=2-step=30.ckpt",
        "left out: last.ckpt: the same weights as epoch=2-step=30.ckpt",
    ]


OTHER = {name: tensor + 1 for name, tensor in STATE.items()}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"step_10.pt": STATE, "step_10_ema.pt": OTHER},
            r"step_10.pt and step_10_ema.pt both have step 10 \(step in its name; step in its name\); rename or move",
        ),
        (
            {"a.ckpt": {"model": STATE, "step": 2}, "last.ckpt": {"model": OTHER, "step": 2}},
            r"a.ckpt and last.ckpt both have step 2 \(step in the file; step in the file\); move one away, or give one",
        ),
        (
            {"step_10.pt": STATE, "epoch_3.pt": STATE},
            r"mixes epochs \(epoch_3.pt: 3\) and steps \(step_10.pt: 10\), which have no common order; rename",
        ),
        ({"step_10.pt": STATE, "final.pt": {"model": STATE, "epoch": 3}}, r"mixes epochs \(final.pt: 3\) and steps"),
        (
            {"epoch1_iter90.pt": STATE, "epoch2_iter10.pt": STATE},
            "epoch2_iter10.pt has step 10 in epoch 2, epoch1_iter90.pt step 90 in epoch 1, as if steps began anew",
        ),
        ({"run1/step_1.pt": STATE, "run2/step_2.pt": STATE}, "it has the folders run1, run2: give one of them"),
        (
            {"optimizer_step_10.pt": ADAM, "scheduler.pt": SCHEDULE},
            "has no checkpoint of a model, only optimizer_step_10.pt, scheduler.pt",
        ),
        ({"model-00001-of-00002.safetensors": None}, "is one part of a state dict in several files"),
        ({"final.pt": STATE, "best.pt": STATE}, "best.pt has no training step in its name"),
        ({"step_1.pt": STATE, "2_500.pt": STATE}, "2_500.pt has no certain training step in its name"),
        ({"final.pt": b"noise"}, "final.pt cannot be read as a checkpoint: it is damaged, or no file of its ending"),
        ({"final.safetensors": b"noise"}, "final.safetensors cannot be read as a checkpoint"),
    ],
)
def test_folders_whose_order_is_uncertain_are_refused(files, message, tmp_path):
    for name, content in files.items():
        if name.endswith(".safetensors") and isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            write(tmp_path, {name: content})
    with pytest.raises(UserError, match=message) as caught:
        find_checkpoints(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("step", [-3, 1.5, float("nan"), float("inf"), 10**30, torch.tensor(-1)])
def test_a_stored_step_that_is_none_is_refused(step, tmp_path):
    write(tmp_path, {"step_1.pt": {"model": STATE, "step": step}})
    with pytest.raises(UserError, match=r"step_1.pt holds step = .*, which is no whole number from 0 .* --step N"):
        find_checkpoints(tmp_path)
    assert list(find_checkpoints(tmp_path / "step_1.pt", 4)) == [4]


def test_analyse_prints_the_step_of_every_file(tmp_path, capsys):
    write(tmp_path, {"ckpt_10k.pt": STATE, "ckpt_5k.pt": STATE, "optimizer.pt": ADAM})
    with pytest.raises(UserError, match=r"ckpt_5k.pt \(step 5000\) does not fit the model"):
        cli.analyse(str(TINY), out=tmp_path / "run", checkpoints=tmp_path)
    assert capsys.readouterr().err.splitlines() == [
        "left out: optimizer.pt: it holds the state of an optimiser",
        "ckpt_5k.pt  -> step 5000 (the number in its name)",
        "ckpt_10k.pt -> step 10000 (the number in its name)",
    ]
    with pytest.raises(UserError, match="--step is the step of a file that --checkpoints names; got --step 3"):
        cli.analyse(str(TINY), out=tmp_path / "run", step=3)


def test_names_of_files_are_told_without_control_characters(tmp_path):
    write(tmp_path, {"\x1b[31mstep_3\n.pt": STATE, "\u202e.pt": [1]})
    lines = []
    find_checkpoints(tmp_path, tell=lines.append)
    assert lines == [
        r"left out: \u202e.pt: it holds no state dict, and its name has no step",
        r"\x1b[31mstep_3\n.pt -> step 3 (step in its name)",
    ]


@pytest.mark.parametrize("step", [10**12 + 1, 10**30])
def test_a_step_beyond_the_limit_is_refused(step, tmp_path):
    write(tmp_path, {"step_1.pt": STATE})
    with pytest.raises(UserError, match=f"from 0 to 1,000,000,000,000; got {step}"):
        find_checkpoints(tmp_path / "step_1.pt", step)
