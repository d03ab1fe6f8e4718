"""Files of checkpoints that someone else trained, and the training step of each.

The step is the first that there is of: a step stored in the file, the number at "step" or "iter" in its name, an epoch
stored in the file, the number at "epoch" in its name, the only number in its name. What is not certain is refused.

Longer than other files: whatever decides which file is which step is read in one place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import UserError
from ..texts import escaped, listed, shortened
from .distributed_checkpoints import is_distributed, numbers_of
from .nested_states import nested_state
from .shards import INDICES, shards_of
from .state_dicts import content_of, digest_of_state
from .state_dicts import read_state_dict as read_state_dict
from .step_names import LARGEST_STEP, SUFFIXES, TOKEN, NoStepError, count_in_name, has_number, step_in_name

_KEYS = {  # under which trainers store how far they are, the surest first; compared in lower case, letters only
    "step": "globalstep step iternum iteration iter numupdates steps iterations numsteps",
    "epoch": "epoch currentepoch",
}
_NO_MODEL = {"args", "optim", "optimiser", "optimizer", "optimizers", "rng", "scaler", "sched", "scheduler"}
_STEP_FOLDER = re.compile(r"(checkpoint|ckpt|epoch|global_?step|iter|step)[-_=]?[0-9]+[km]?", re.IGNORECASE)


@dataclass(frozen=True)
class _Count:
    """How far the training of a file was: `value` steps or epochs, and where that is written."""

    label: str
    value: int
    kind: str
    source: str
    epoch: int | None = None


def find_checkpoints(
    path: Path, step: int | None = None, *, tell: Callable[[str], object] | None = None
) -> dict[int, Path]:
    """The checkpoint files of a folder, or one file, by training step, ascending.

    Args:
        path: a folder, of which the files with a known ending are taken, also those in folders such as checkpoint-500;
            or one file.
        step: the step of a single file; default what the file or its name says.
        tell: gets a line for every file: its step and where that is written, or why it is left out.

    Raises:
        UserError: there is no such file, a step is missing or uncertain, two files have the same step, or some files
            have steps and others epochs alone.
    """
    if step is not None and not 0 <= step <= LARGEST_STEP:
        raise UserError(f"--step is a number of updates, from 0 to {LARGEST_STEP:,}; got {step}")
    tell = tell or (lambda _: None)
    files = _files(path, tell)
    found: dict[Path, _Count] = {}
    without: list[NoStepError] = []
    for file in files:
        content = _peek(file)
        if len(files) > 1 and (why := _no_model(file, content)):
            tell(f"left out: {_label(file, path)}: {why}")
            continue
        try:
            found[file] = _count(file, path, content, step)
        except NoStepError as error:
            without.append(error)
    if without and not found:
        raise without[0]
    for reason in without:
        tell(f"left out: {reason}")
    if not found:
        names = listed([_label(file, path) for file in files])
        raise UserError(f"{escaped(path)} has no checkpoint of a model, only {names}; rename those that are")
    if step is not None and len(found) > 1:
        raise UserError(f"--step goes with one checkpoint file; {escaped(path)} has {len(found)}")
    found = dict(sorted(found.items(), key=lambda item: item[1].value))
    _leave_out_copies(found, tell)
    width = max(len(count.label) for count in found.values())
    for count in found.values():
        tell(f"{count.label:<{width}} -> step {count.value} ({count.source})")
    _check_order(path, list(found.values()))
    return {count.value: file for file, count in found.items()}


# ── which files, and what they say ───────────────────────────────────────────────────────────────────────────────────


def _files(path: Path, tell: Callable[[str], object]) -> list[Path]:
    """The files with a known ending in a folder and in its folders of one step each, or the one file."""
    if not path.exists():
        raise UserError(f"there is no file or folder {escaped(path)}")
    if not path.is_dir() or is_distributed(path):
        return [path]
    if (path / "run.json").is_file():  # a run directory, whose other files are none of weights
        path = path / "checkpoints"
        if not path.is_dir():
            raise UserError(f"{escaped(path.parent)} is a run directory without checkpoints")
    files, others = _weights(path), []
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        if _STEP_FOLDER.fullmatch(folder.name) or folder.name.isdecimal():
            files += _weights(folder)
        elif _weights(folder):
            others.append(folder.name)
    if not files:
        inside = f"; it has the folders {listed(others)}: give one of them" if others else ""
        looked = f"looked for regular files that end in {', '.join((*SUFFIXES, '.bin'))}, and folders with .metadata"
        raise UserError(f"{escaped(path)} has no checkpoint; {looked}{inside}")
    for name in others:
        tell(f"left out: {escaped(name)}: a folder whose name is not that of a step, such as checkpoint-500")
    return files


def _weights(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    indices = [file for file in files if file.name.endswith(INDICES)]
    named = {name for index in indices for name in shards_of(index)}
    found = [f for f in files if f.name.lower().endswith((*SUFFIXES, ".bin")) and f.name not in named]
    pieces = [one for one in folder.iterdir() if one.is_dir() and is_distributed(one)]
    if any(file.name.startswith("model.safetensors") for file in [*indices, *found]):  # the same in an older format
        found = [file for file in found if file.name != "pytorch_model.bin"]
        indices = [file for file in indices if not file.name.startswith("pytorch_model.bin")]
    return sorted([*indices, *found, *pieces])


def weights_in(folder: Path) -> Path:
    """The one file of weights, or index of several, in a folder of one checkpoint.

    Raises:
        UserError: there is none, or more than one.
    """
    found = [file for file in _weights(folder) if not _no_model(file, _peek(file))]
    if len(found) != 1:
        names = listed([file.name for file in found]) or "none"
        raise UserError(f"{escaped(folder)} should have the weights of one checkpoint; it has {names}")
    return found[0]


def _label(file: Path, path: Path) -> str:
    return escaped(file.name if file == path else file.relative_to(path).as_posix())


def _peek(file: Path) -> Any:
    """What a file holds, of .safetensors only the text beside the tensors; or the error in reading it."""
    try:
        if file.is_dir():
            return {"model": {}, **numbers_of(file)}
        return {"model": {}} if file.name.endswith(INDICES) else content_of(file, tensors=False)
    except UserError as error:
        return error  # the name may still tell the step, and reading the weights says what is wrong


def _no_model(file: Path, content: Any) -> str | None:
    """Why a file among others is none of a model, or None."""
    if isinstance(content, Mapping):
        if nested_state(content):
            return None
        if content.keys() >= {"state", "param_groups"}:
            return "it holds the state of an optimiser"
        if content.keys() >= {"last_epoch", "_step_count"}:
            return "it holds the state of a learning-rate scheduler"
        is_safetensors = file.suffix.lower() == ".safetensors"  # whose tensors are not among the content
        has_tensors = is_safetensors or any(isinstance(value, (Tensor, Mapping)) for value in content.values())
        if not has_tensors and not has_number(file.name):
            return "it holds no tensors, and its name has no step"
    elif not isinstance(content, UserError) and not has_number(file.name):
        return "it holds no state dict, and its name has no step"
    words = sorted(_NO_MODEL.intersection(token[0].lower() for token in TOKEN.finditer(file.name)))
    return f"its name says {words[0]}; rename it if it is a model's" if words else None


def _held(content: Any, kind: str, label: str) -> tuple[str, int] | None:
    """The steps or epochs that a file holds, and under which key."""
    if not isinstance(content, Mapping):
        return None
    entries = {**content["meta"], **content} if isinstance(content.get("meta"), Mapping) else content
    by_letters = {re.sub("[^a-z0-9]", "", key.lower()): key for key in entries if isinstance(key, str)}
    for key in (by_letters[letters] for letters in _KEYS[kind].split() if letters in by_letters):
        value = entries[key]
        if isinstance(value, Tensor) and value.numel() == 1 and nested_state(content):  # else it is one of the model's
            with suppress(RuntimeError, NotImplementedError):  # one that has no value
                value = value.item()
        if isinstance(value, str):  # all that .safetensors can hold
            with suppress(ValueError):
                value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if not 0 <= value <= LARGEST_STEP or value != int(value):
            raise UserError(
                f"{label} holds {shortened(key)} = {shortened(entries[key])}, which is no whole number from 0 to "
                f"{LARGEST_STEP:,}; save it without, or give the one file with --step N"
            )
        return key, int(value)
    return None


def _count(file: Path, path: Path, content: Any, step: int | None) -> _Count:
    """How far the training of a file was, by the order that the module's docstring gives."""
    label = _label(file, path)
    if re.search(r"-[0-9]{5}-of-[0-9]{5}", file.name):
        raise UserError(f"{label} is one part of a state dict in several files; save it as one file")
    if step is not None:
        with suppress(UserError):
            if (held := _held(content, "step", label)) and held[1] != step:
                return _Count(label, step, "step", f"--step; the file has {held[0]} {held[1]}")
        return _Count(label, step, "step", "--step")
    name, place = file.name, "its name"
    folder, is_below = file.absolute().parent.name, path not in (file, file.parent)
    if not has_number(name) and (_STEP_FOLDER.fullmatch(folder) or (is_below and folder.isdecimal())):
        name, place = folder, "its folder's name"
    epoch = None
    with suppress(UserError):
        epoch = held[1] if (held := _held(content, "epoch", label)) else count_in_name(name, "epoch")
    for kind in ("step", "epoch"):
        if held := _held(content, kind, label):
            return _Count(label, held[1], kind, f"{held[0]} in the file{_other(name, kind, held[1])}", epoch)
        if (value := count_in_name(name, kind)) is not None:
            return _Count(label, value, kind, f"{kind} in {place}", epoch)
    if isinstance(content, UserError) and not has_number(name):
        raise NoStepError(str(content)) from content
    return _Count(label, step_in_name(name), "step", f"the number in {place}")


def _other(name: str, kind: str, value: int) -> str:
    """What a name says where the file says something else."""
    with suppress(UserError):
        said = count_in_name(name, kind)
        said = count_in_name(name, "number") if said is None else said
        return "" if said in (None, value) else f"; its name says {said}"
    return ""


def _leave_out_copies(found: dict[Path, _Count], tell: Callable[[str], object]) -> None:
    """Of files with the same step and the same weights, as a trainer's `last.ckpt` has, keep the first."""
    kept, *others = list(found)
    for file in others:
        one, other, copy = found[kept], found[file], None
        if (one.value, one.kind) == (other.value, other.kind):
            with suppress(UserError):  # of a file that cannot be read, which is said where it is loaded
                if digest_of_state(kept) == digest_of_state(file):
                    copy = kept if has_number(file.name) and not has_number(kept.name) else file
        if copy is None:
            kept = file
            continue
        kept = file if copy == kept else kept
        tell(f"left out: {found[copy].label}: the same weights as {found[kept].label}")
        del found[copy]


def _check_order(path: Path, counts: list[_Count]) -> None:
    """Refuse files whose order in training is uncertain."""
    of_kind = {count.kind: count for count in counts}
    if len(of_kind) > 1:
        has = " and ".join(f"{kind}s ({count.label}: {count.value})" for kind, count in sorted(of_kind.items()))
        remedy = "rename the files so that each has its step"
        raise UserError(f"{escaped(path)} mixes {has}, which have no common order; {remedy}")
    for first, second in pairwise(counts):
        if first.value == second.value:
            is_stored = first.kind == "step" and all(" in the file" in count.source for count in (first, second))
            raise UserError(
                f"{first.label} and {second.label} both have step {first.value} ({first.source}; {second.source}); "
                f"{'move' if is_stored else 'rename or move'} one away, or give one file with --step N"
            )
    for (early, first), (late, second) in pairwise((c.epoch, c) for c in counts if c.epoch is not None):
        if early > late:
            raise UserError(
                f"{first.label} has step {first.value} in epoch {early}, {second.label} step {second.value} in epoch "
                f"{late}, as if steps began anew in every epoch; rename them to steps of the whole training"
            )
