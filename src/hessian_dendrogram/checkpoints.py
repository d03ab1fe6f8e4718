"""Checkpoints that someone else trained, read without executing anything in them, and the training step of each.

The step is the first that there is of: a step stored in the file, the number at "step" or "iter" in its name, an epoch
stored in the file, the number at "epoch" in its name, the only number in its name. What is not certain is refused.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from .errors import UserError

SUFFIXES = (".pt", ".pth", ".safetensors", ".ckpt", ".pth.tar")
_NESTED = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params")
_PREFIXES = ("module.", "_orig_mod.")  # put before every name by DistributedDataParallel and torch.compile
_KEYS = {  # under which trainers store how far they are, the surest first; compared in lower case, letters only
    "step": "globalstep step iternum iteration iter numupdates steps iterations numsteps",
    "epoch": "epoch currentepoch",
}
_WORDS = {  # in names: what the number at such a word counts; right at another word (resnet18) it counts something else
    "step": "step steps globalstep globalsteps iter iters iteration iterations it itr update updates ba",
    "epoch": "epoch epochs ep",
    "other": """acc accuracy alpha auc batch beta bert block bs channels decay densenet depth dim dropout eps err error
        exp experiment fold gamma gpt gpu gpus head heads hidden iou job layer layers loss lr mae map max metric min
        momentum mse node of part ppl process rank resnet rev run score seed shard size split task temperature test
        timestep timesteps top total trial v val valid version vgg vit warmup wd width worker world""",
    "plain": "checkpoint chkpt ckpt cp global model net network params saved snapshot state weight weights",
}
_KIND = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_QUALIFIERS = {"accum", "accumulation", "every", "inner", "max", "micro", "per", "sub", "time", "total", "warmup"}
_NO_MODEL = {"args", "optim", "optimiser", "optimizer", "optimizers", "rng", "scaler", "sched", "scheduler"}
_LARGEST = 10**12  # updates; what is larger is a date or a digest
_STEP_FOLDER = re.compile(r"(checkpoint|ckpt|epoch|global_?step|iter|step)[-_=]?[0-9]+[km]?", re.IGNORECASE)
_TOKEN = re.compile(
    r"(?P<number>(?:(?<![^_=:\s(\-])[-+])?(?:[0-9]+(?:\.[0-9]+)*|(?<=[_=\-\s])\.[0-9]+)"  # -5, 0.25, .25
    r"(?:[eE][-+]?[0-9]+|[kKmM](?![^\W\d_]))?)"  # 1e3, 1.5M
    r"|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+"  # words, also those in camel case
)


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
    if step is not None and step < 0:
        raise UserError(f"--step is a number of updates, 0 or more; got {step}")
    tell = tell or (lambda _: None)
    files = _files(path, tell)
    found = {}
    for file in files:
        content = _peek(file)
        if len(files) > 1 and (why := _no_model(file, content)):
            tell(f"left out: {_label(file, path)}: {why}")
        else:
            found[file] = _count(file, path, content, step)
    if not found:
        names = ", ".join(_label(file, path) for file in files)
        raise UserError(f"{path} has no checkpoint of a model, only {names}; rename those that are")
    if step is not None and len(found) > 1:
        raise UserError(f"--step goes with one checkpoint file; {path} has {len(found)}")
    found = dict(sorted(found.items(), key=lambda item: item[1].value))
    width = max(len(count.label) for count in found.values())
    for count in found.values():
        tell(f"{count.label:<{width}} -> step {count.value} ({count.source})")
    _check_order(path, list(found.values()))
    return {count.value: file for file, count in found.items()}


def step_in_name(name: str) -> int:
    """The training step in a file name: the number at "step" or "iter", else at "epoch", else the only number in it.

    `10k`, `1.5M` and `1e3` are understood.

    Raises:
        UserError: the name has no such number, several, or one that is no whole number of updates.
    """
    for kind in ("step", "epoch", "number"):
        if (number := _count_in_name(name, kind)) is not None:
            return number
    raise UserError(f"{name} has no training step in its name; rename it, or give the one file with --step N")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The named tensors in a checkpoint file.

    PyTorch files are loaded with weights only, so that no code in them runs. A state dict nested under a key such as
    `state_dict`, `model_state_dict` or `model` is found, what stands beside tensors and is none (`epoch`) is left out,
    and the prefixes of wrappers (`module.`, `_orig_mod.`) are taken off.

    Raises:
        UserError: the file is damaged, wants to execute code, or holds no state dict.
    """
    content = _load(path)
    while isinstance(content, Mapping) and (key := _nested(content)):
        content = content[key]
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds no state dict but one {type(content).__name__}; save model.state_dict()")
    # Copied, since what torch.load maps would change or vanish with the file.
    state = {str(name): tensor.detach().clone() for name, tensor in content.items() if isinstance(tensor, Tensor)}
    if not state:
        keys = ", ".join(map(str, list(content)[:5])) or "nothing"
        raise UserError(f"{path} holds no state dict of a model but {keys}; save model.state_dict()")
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _load(path: Path, *, tensors: bool = True) -> Any:
    """What is in a file, or of .safetensors only the text beside the tensors; of others, tensors are read when used."""
    try:
        if path.suffix.lower() == ".safetensors":
            if tensors:
                return load_file(path)
            with safe_open(path, framework="pt") as opened:
                return opened.metadata() or {}
        with warnings.catch_warnings(action="ignore"):  # of old formats, once for every reading
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, MemoryError):
        raise
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        more = f"more than tensors ({wanted[1]})" if wanted else "more than tensors"
        raise UserError(
            f"{path} is damaged, or holds {more} and could execute code; it is not loaded. "
            "Save model.state_dict() instead"
        ) from None
    except Exception as error:  # unpickling a damaged file ends in errors of many types
        reason = next(iter(str(error).splitlines()), "it ends too early")
        raise UserError(f"{path} cannot be read as a checkpoint: {reason}") from None


# ── which files, and what they say ───────────────────────────────────────────────────────────────────────────────────


def _files(path: Path, tell: Callable[[str], object]) -> list[Path]:
    """The files with a known ending in a folder and in its folders of one step each, or the one file."""
    if not path.exists():
        raise UserError(f"there is no file or folder {path}")
    if path.is_file():
        return [path]
    files, others = _weights(path), []
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        if _STEP_FOLDER.fullmatch(folder.name) or folder.name.isdecimal():
            files += _weights(folder)
        elif _weights(folder):
            others.append(folder.name)
    if not files:
        inside = f"; it has the folders {', '.join(others)}: give one of them" if others else ""
        raise UserError(f"{path} has no checkpoint; looked for files that end in {', '.join(SUFFIXES)}{inside}")
    for name in others:
        tell(f"left out: {name}: a folder whose name is not that of a step, such as checkpoint-500")
    return files


def _weights(folder: Path) -> list[Path]:
    files = (file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    return sorted(f for f in files if f.name.lower().endswith(SUFFIXES) or f.name == "pytorch_model.bin")


def _label(file: Path, path: Path) -> str:
    return file.name if file == path else file.relative_to(path).as_posix()


def _peek(file: Path) -> Any:
    """What a file holds, of .safetensors only the text beside the tensors; or the error in reading it."""
    try:
        return _load(file, tensors=False)
    except UserError as error:
        return error  # the name may still tell the step, and reading the weights says what is wrong


def _nested(content: Mapping[Any, Any]) -> str | None:
    """The key under which the model's state is."""
    return next((key for key in _NESTED if isinstance(content.get(key), Mapping)), None)


def _no_model(file: Path, content: Any) -> str | None:
    """Why a file among others is none of a model, or None."""
    if isinstance(content, Mapping):
        if _nested(content):
            return None
        if content.keys() >= {"state", "param_groups"}:
            return "it holds the state of an optimiser"
        if content.keys() >= {"last_epoch", "_step_count"}:
            return "it holds the state of a learning-rate scheduler"
        is_safetensors = file.suffix.lower() == ".safetensors"  # whose tensors are not among the content
        has_tensors = is_safetensors or any(isinstance(value, (Tensor, Mapping)) for value in content.values())
        if not has_tensors and not _has_number(file.name):
            return "it holds no tensors, and its name has no step"
    elif not isinstance(content, UserError) and not _has_number(file.name):
        return "it holds no state dict, and its name has no step"
    words = sorted(_NO_MODEL.intersection(token[0].lower() for token in _TOKEN.finditer(file.name)))
    return f"its name says {words[0]}; rename it if it is a model's" if words else None


def _held(content: Any, kind: str, label: str) -> tuple[str, int] | None:
    """The steps or epochs that a file holds, and under which key."""
    if not isinstance(content, Mapping):
        return None
    entries = {**content["meta"], **content} if isinstance(content.get("meta"), Mapping) else content
    by_letters = {re.sub("[^a-z0-9]", "", str(key).lower()): key for key in entries}
    for key in (by_letters[letters] for letters in _KEYS[kind].split() if letters in by_letters):
        value = entries[key]
        if isinstance(value, Tensor) and value.numel() == 1 and _nested(content):  # else it is one of the model's
            value = value.item()
        if isinstance(value, str):  # all that .safetensors can hold
            with suppress(ValueError):
                value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if not 0 <= value <= _LARGEST or value != int(value):
            raise UserError(
                f"{label} holds {key} = {entries[key]}, which is no whole number from 0 to {_LARGEST:,}; "
                "save it without, or give the one file with --step N"
            )
        return str(key), int(value)
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
    if not _has_number(name) and (_STEP_FOLDER.fullmatch(folder) or (is_below and folder.isdecimal())):
        name, place = folder, "its folder's name"
    epoch = None
    with suppress(UserError):
        epoch = held[1] if (held := _held(content, "epoch", label)) else _count_in_name(name, "epoch")
    for kind in ("step", "epoch"):
        if held := _held(content, kind, label):
            return _Count(label, held[1], kind, f"{held[0]} in the file{_other(name, kind, held[1])}", epoch)
        if (value := _count_in_name(name, kind)) is not None:
            return _Count(label, value, kind, f"{kind} in {place}", epoch)
    if isinstance(content, UserError) and not _has_number(name):
        raise content
    return _Count(label, step_in_name(name), "step", f"the number in {place}")


def _other(name: str, kind: str, value: int) -> str:
    """What a name says where the file says something else."""
    with suppress(UserError):
        said = _count_in_name(name, kind)
        said = _count_in_name(name, "number") if said is None else said
        return "" if said in (None, value) else f"; its name says {said}"
    return ""


def _check_order(path: Path, counts: list[_Count]) -> None:
    """Refuse files whose order in training is uncertain."""
    of_kind = {count.kind: count for count in counts}
    if len(of_kind) > 1:
        has = " and ".join(f"{kind}s ({count.label}: {count.value})" for kind, count in sorted(of_kind.items()))
        raise UserError(f"{path} mixes {has}, which have no common order; rename the files so that each has its step")
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


# ── numbers in names ─────────────────────────────────────────────────────────────────────────────────────────────────


def _count_in_name(name: str, kind: str) -> int | None:
    """The one number of a kind in a name: "step", "epoch", or "number" for one that no word lays claim to."""
    claims = _claims(name)
    tokens = claims.get(kind, [])
    if claims.get("unclear"):
        raise _uncertain(name, f"{claims['unclear'][0][0]} stands between two words that could claim it")
    if kind == "number" and len(tokens) > 1:
        raise _uncertain(name, f"{' and '.join(token[0] for token in tokens)} could each be it")
    values = {_whole(name, token): token[0] for token in tokens}
    if len(values) > 1:
        raise _uncertain(name, f"{' and '.join(values.values())} are both called {kind}")
    return next(iter(values), None)


def _has_number(name: str) -> bool:
    """Whether some number in a name may be a step, certain or not."""
    return any(kind != "other" for kind in _claims(name))


def _uncertain(name: str, why: str) -> UserError:
    return UserError(
        f"{name} has no certain training step in its name: {why}; "
        "rename it, as step_1000.pt, or give the one file with --step N"
    )


def _claims(name: str) -> dict[str, list[re.Match[str]]]:
    """The numbers in a name by what the word before them, or a "steps" after them, says that they count."""
    while name.lower().endswith((*SUFFIXES, ".bin")):
        name = name[: name.rindex(".")]
    name = re.sub(r"(?<=[0-9][kKmM])(?=step|iter|epoch)", "_", name, flags=re.IGNORECASE)  # 10ksteps
    tokens = list(_TOKEN.finditer(name))
    kinds = [None if token["number"] else _KIND.get(token[0].lower(), "unknown") for token in tokens]
    for index in range(1, len(tokens)):
        if kinds[index] in ("step", "epoch") and tokens[index - 1][0].lower() in _QUALIFIERS:
            kinds[index] = "other"
    claims: dict[str, list[re.Match[str]]] = {}
    for index, token in enumerate(tokens):
        if token["number"]:
            claims.setdefault(_claim(tokens, kinds, index), []).append(token)
    return claims


def _claim(tokens: list[re.Match[str]], kinds: list[str | None], index: int) -> str:
    """What a number counts: "step", "epoch", "other", "unclear", or "number" where no word beside it says anything."""
    token, left = tokens[index], kinds[index - 1] if index else None
    if left == "unknown" and tokens[index - 1].end() == token.start():
        return "other"  # mlp2
    claim = left if left in ("step", "epoch", "other") else "number"
    right = kinds[index + 1] if index + 1 < len(tokens) else None
    if right in ("step", "epoch", "other"):
        after = tokens[index + 1]
        is_suffix = after.start() == token.end() or after[0].lower().endswith("s")
        if index + 2 == len(tokens) or not tokens[index + 2]["number"]:  # 100_steps, and no number after it
            if claim == "number":
                return right
            return claim if right == "other" else "unclear"
        if claim == "number" and right != "other" and is_suffix:
            return "unclear"  # 100_steps_3
    if claim == "number" and token.string[: token.start()].endswith("("):
        return "other"  # what a browser adds to the name of a second copy
    if (
        claim == "number"
        and token[0][-1] in "mM"
        and left
        and (left != "plain" or tokens[index - 1][0].lower() == "model")
    ):
        return "other"  # model_70M has 70 million parameters
    return claim


def _whole(name: str, token: re.Match[str]) -> int:
    """The value of a number in a name; refused where it is not whole or could be read in two ways."""
    text, rest = token[0], token.string[token.end() :]
    following = _TOKEN.match(rest)
    if rest[:1].isalnum() and (following is None or following[0].lower() not in _KIND):
        raise _uncertain(name, f"{text} goes on as {text}{rest.split('_')[0]}, which is no number")
    if re.match(r"[-_ ](k|m|mio|thousand|million)(?![^\W\d_])", rest, re.IGNORECASE):
        raise _uncertain(name, f"{text} may be meant with the word after it")
    if re.fullmatch(r"[1-9][0-9]{0,2}(\.[0-9]{3})+", text) or (
        re.fullmatch(r"[1-9][0-9]{0,2}", text) and re.match(r"[_,' ][0-9]{3}(?![0-9])", rest)
    ):
        raise _uncertain(name, f"{text}{rest[:4]} may be one number in groups of digits, or two")
    factor = {"k": 1000, "m": 1_000_000}.get(text[-1].lower(), 1)
    try:
        value = Decimal(text.rstrip("kKmM")) * factor
    except ArithmeticError:
        raise _uncertain(name, f"{text} is no number") from None
    if re.match(r"[0-9]{3,}[eE]", text):
        raise _uncertain(name, f"{text} may be an exponent, or two numbers")
    if not 0 <= value <= _LARGEST or value != int(value):
        raise _uncertain(name, f"{text} is no whole number from 0 to {_LARGEST:,}")
    return int(value)
