"""Names in a state dict as those of a model: what wrappers, trainers and formats add, leave out, or say twice.

A prefix before all names of the model is taken off, or one that the model has is put before them; a tensor that a
format leaves out because it is tied to another is that other. What is changed, and what is left out, is said. A state
dict that fits in two ways is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..texts import listed, shortened

_COUNTERS = ("n_averaged", "num_updates", "decay")  # beside the averaged weights of SWA and EMA wrappers
_WRAPPER = "_orig_mod."  # put by torch.compile before the names of a module that it has compiled
_WRAPPERS = ("module.", _WRAPPER)  # put before every name by DistributedDataParallel and torch.compile


@dataclass(frozen=True)
class Matched:
    """A state dict with the names of a model, as far as they could be found.

    Attributes:
        state: the tensors, by the model's names where they are the model's.
        said: what was changed, in words; empty where nothing was.
    """

    state: dict[str, Tensor]
    said: tuple[str, ...] = ()


def without_wrappers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the prefixes of wrappers, in any order, that stand before every name."""
    while prefix := next((one for one in _WRAPPERS if state and all(name.startswith(one) for name in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def matched(state: Mapping[str, Tensor], model: nn.Module, prefix: str | None = None) -> Matched:
    """Give the tensors of a state dict the names that they have in a model.

    Args:
        state: by the names of a file.
        model: the module that they belong into.
        prefix: what stands before the model's names in the file, where that is known; its last dot may be left out.

    Raises:
        UserError: it fits under several prefixes, or not under the one that was given; or what is one tensor in the
            model differs.
    """
    own, mates = model.state_dict(), _tied(model)
    said: list[str] = []
    state = dict(state)
    if any(_WRAPPER in name for name in state) and not any(_WRAPPER in name for name in own):
        state = {name.replace(_WRAPPER, ""): tensor for name, tensor in state.items()}
        said.append(f"took off {_WRAPPER}")
    if prefix is None:
        found = _prefixes(state, own, mates)
    else:
        given = [before + prefix + dot for before in ("", *_common_wrapper(state)) for dot in ("", ".")]
        found = [one for one in given if _fits(state, own, mates, one)][:1]
        if not found:
            names = listed(list(state))
            raise UserError(f"the model's names are not under the prefix {shortened(prefix)!r}; the file has {names}")
    if not found:
        return Matched(without_wrappers(state), tuple(said))
    if len(found) > 1:
        shown = " and ".join(repr(shortened(one)) for one in found[:3])
        raise UserError(f"the model's names fit under {shown}; say which by --prefix")
    if prefix := found[0]:
        if prefix.startswith("+"):
            state = {prefix[1:] + name: tensor for name, tensor in state.items()}
            said.append(f"put {prefix[1:]} before every name")
        else:
            others = [name for name in state if not name.startswith(prefix)]
            is_averaged = any(name.rpartition(".")[2] == "n_averaged" for name in others)
            said += ["these are averaged weights (n_averaged)"] if is_averaged else []
            state = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
            said.append(f"took off {prefix}")
            if others:
                said.append(f"left out {len(others):,} that do not begin with it ({listed(others, 3)})")
    for name in own:
        if name in state and (apart := [m for m in mates.get(name, ()) if m in state and not _equal(state, name, m)]):
            raise UserError(f"{name} and {apart[0]} are one tensor in the model, and differ in the file")
        if name not in state and (mate := next((one for one in mates.get(name, ()) if one in state), None)):
            state[name] = state[mate]
            said.append(f"took {mate} for {name}, which is tied to it")
    for name in [name for name in state if name not in own and _may_go(name, state[name], model)]:
        del state[name]
        said.append(f"left out {shortened(name)}")
    return Matched(state, tuple(said))


def _common_wrapper(state: Mapping[str, Tensor]) -> list[str]:
    """What wrappers have put before every name, where they have."""
    first = next(iter(state), "")
    bare = next(iter(without_wrappers(dict(state))), "")
    return [first.removesuffix(bare)] if first != bare else []


def _prefixes(state: Mapping[str, Tensor], own: Mapping[str, Tensor], mates: Mapping[str, set[str]]) -> list[str]:
    """The prefixes under which all names of the model are; "+x" where the model has one that the file lacks."""
    if not own or not state:
        return []
    if _fits(state, own, mates, ""):
        return [""]
    anchors = {first for name in own for first in [name, *mates.get(name, ())][:1]}
    anchor = max(anchors, key=len)
    tails = {anchor, *mates.get(anchor, ())}
    off = {name.removesuffix(tail) for tail in tails for name in state if name.endswith(f".{tail}")}
    found = sorted(one for one in off if _fits(state, own, mates, one))
    if found:
        return found
    longest = max(state, key=len)
    on = {f"+{name.removesuffix(longest)}" for name in own if name.endswith(f".{longest}")}
    return sorted(one for one in on if _fits(state, own, mates, one))


def _fits(state: Mapping[str, Tensor], own: Mapping[str, Tensor], mates: Mapping[str, set[str]], prefix: str) -> bool:
    if prefix.startswith("+"):
        added = prefix[1:]
        there = {added + name for name in state}
    else:
        there = {name.removeprefix(prefix) for name in state if name.startswith(prefix)}
    return all(name in there or there & mates.get(name, set()) for name in own)


def _tied(model: nn.Module) -> dict[str, set[str]]:
    """The other names of each tensor of a model that has several."""
    by_place: dict[tuple[object, ...], set[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor) and not nn.parameter.is_lazy(tensor) and tensor.data_ptr():
            place = tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype
            by_place.setdefault(place, set()).add(name)
    return {name: names - {name} for names in by_place.values() if len(names) > 1 for name in names}


def _equal(state: Mapping[str, Tensor], one: str, other: str) -> bool:
    return state[one] is state[other] or torch.equal(state[one], state[other])


def _may_go(name: str, tensor: Tensor, model: nn.Module) -> bool:
    """Whether a tensor that the model's state lacks is a buffer that it makes itself, or a counter of a wrapper."""
    buffers = dict(model.named_buffers())
    if name in buffers:
        return tuple(buffers[name].shape) == tuple(tensor.shape)
    return name in _COUNTERS and tensor.numel() == 1
