"""A user's model and loss as they were when an operator was made, evaluated with tensors that belong to the operator.

Copies of modules follow no closure: a lambda bound to the model, a loss that looks at the model's parameters, an
attribute that the forward leaves for the loss would still speak of the original. So the modules themselves are
evaluated. While a `StandIn` is installed, every module has the attributes it had when the operator was made, hooks
and the contents of its lists and dictionaries included, is in `eval()` mode, and its parameters and buffers are the
operator's; afterwards it has its own back.
Nothing that happens to the model in between reaches the operator, and nothing that the forward leaves behind reaches
the user.

Tensors are converted one by one: real floating-point ones to the wanted type, complex ones to the complex type of that
precision, integers and booleans as they are. So nothing is lost that a model's own `.to` would lose (imaginary parts)
or refuse, and plain tensors that are attributes of a module follow, too.

Compiled modules (TorchScript) take no other tensors than their own; a model that has some is copied, and those in the
copy are given the values.

Longer than other files: what a module holds is listed, put in and given back in one place.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import UserError

_COMPLEX = {torch.float64: torch.complex128}  # of any coarser type: complex64, whose halves are float32
_Attributes = list[tuple[nn.Module, dict[str, Any]]]


def type_of_that_precision(found: torch.dtype, wanted: torch.dtype) -> torch.dtype:
    """The type that a tensor of type `found` is converted to where a real floating-point type is asked for."""
    if found.is_complex:
        return _COMPLEX.get(wanted, torch.complex64)
    return wanted if found.is_floating_point else found


class StandIn:
    """A model and a loss with an operator's own tensors.

    Args:
        model: the user's own.
        loss: likewise; a module is installed along with the model.
        dtype: what floating-point tensors are converted to.
        device: where the tensors live.
        trainable: names of the parameters that require gradients; no other tensor of the model does.
        widest: keep tensors that are more precise than `dtype` as they are.

    Attributes:
        model: the modules that are evaluated; the user's own, but for compiled ones.
        loss: the user's own.
        tensors: the operator's parameters and buffers by name, shared ones under their first; those of a loss that is a
            module have a name that begins with `loss:`.

    Raises:
        UserError: `model` is no module, or a tensor of it has no values yet.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., Any],
        *,
        dtype: torch.dtype,
        device: torch.device,
        trainable: Sequence[str],
        widest: bool = False,
    ) -> None:
        self._options = {"device": device, "trainable": tuple(trainable)}
        self.is_compiled = any(isinstance(part, torch.jit.ScriptModule) for part in model.modules())
        self.model, self.loss = _copied(model) if self.is_compiled else model, loss
        parts = list(self.model.modules())
        known = set(map(id, parts))
        others = [part for part in loss.modules() if id(part) not in known] if isinstance(loss, nn.Module) else []
        originals = named_tensors(self.model)
        if isinstance(loss, nn.Module):
            ids = set(map(id, originals.values()))
            originals |= {
                f"loss:{name}": tensor for name, tensor in named_tensors(loss).items() if id(tensor) not in ids
            }
        for name, tensor in originals.items():
            if nn.parameter.is_lazy(tensor) or tensor.is_meta:
                raise UserError(f"{name} has no values yet; call the model once on a batch, or load its weights")

        def type_for(found: torch.dtype) -> torch.dtype:
            wanted = type_of_that_precision(found, dtype)
            return torch.promote_types(wanted, found) if widest else wanted

        self._attributes: _Attributes = [(part, _snapshot(part)) for part in [*parts, *others] if _is_open(part)]
        self._slots = _slots([part for part, _ in self._attributes], {id(t): name for name, t in originals.items()})
        open_names = {name for *_, name in self._slots}
        self.tensors: dict[str, Tensor] = {}
        for name, tensor in originals.items():
            own = tensor.detach().to(device, type_for(tensor.dtype), copy=True)
            needs = name in trainable or (name.startswith("loss:") and tensor.requires_grad)
            if name not in open_names:  # of a compiled module, which is a copy
                tensor.data, own = own, tensor
                own.requires_grad_(needs)
            elif isinstance(tensor, nn.Parameter):
                own = nn.Parameter(own, requires_grad=needs)
            self.tensors[name] = own
        for part, attributes in self._attributes:
            if id(part) in known:
                attributes["training"] = False
            for key, value in attributes.items():
                if isinstance(value, Tensor) and not value.requires_grad:
                    attributes[key] = value.detach().to(device, type_for(value.dtype), copy=True)
        for part in parts:
            if not _is_open(part):
                part.eval()
        self._global_hooks = {name: hooks.copy() for name, hooks in _global_hooks().items()}
        held: dict[int, Any] = {}
        for _, attributes in self._attributes:
            for key, value in attributes.items():
                if key not in _REGISTRIES:
                    _containers(value, held)
        self._contents = _contents(held.values())
        self._depth = 0

    def in_type(self, dtype: torch.dtype) -> StandIn:
        """The same with every tensor in the type that goes with `dtype`; itself where they are."""
        if all(type_of_that_precision(tensor.dtype, dtype) == tensor.dtype for tensor in self.tensors.values()):
            return self
        with self.installed():
            return StandIn(self.model, self.loss, dtype=dtype, **self._options)  # type: ignore[arg-type]

    @property
    def is_installed(self) -> bool:
        """Whether the modules have the operator's tensors now."""
        return self._depth > 0

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put the operator's tensors, and the attributes that go with them, into the modules for a while."""
        if self._depth:
            yield
            return
        before = [(part, dict(vars(part))) for part, _ in self._attributes]
        hooks_before = {name: hooks.copy() for name, hooks in _global_hooks().items()}
        contents_before = _contents(container for container, _ in self._contents)
        cache_before = parametrize._cache_enabled, parametrize._cache
        self._depth += 1
        try:
            parametrize._cache_enabled, parametrize._cache = 0, {}
            _set_global_hooks(self._global_hooks)
            _set_contents(self._contents)
            for part, attributes in self._attributes:
                _set_attributes(part, {key: _own_registry(key, value) for key, value in attributes.items()})
            with self._put_in(self.tensors):
                yield
        finally:
            self._depth -= 1
            for part, attributes in before:
                _set_attributes(part, attributes)
            _set_contents(contents_before)
            _set_global_hooks(hooks_before)
            parametrize._cache_enabled, parametrize._cache = cache_before

    @contextmanager
    def given(self, parameters: Mapping[str, Tensor]) -> Iterator[None]:
        """While installed, evaluate at other parameters.

        Raises:
            NotImplementedError: a compiled module has one of them, and takes no other.
        """
        if self.is_compiled:
            raise NotImplementedError("compiled modules take no parameters but their own")
        with self._put_in(parameters):
            yield

    @contextmanager
    def _put_in(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        places = [
            (getattr(part, key), attribute, name) for part, key, attribute, name in self._slots if name in tensors
        ]
        before = [registry[attribute] for registry, attribute, _ in places]
        try:
            for registry, attribute, name in places:
                registry[attribute] = tensors[name]
            yield
        finally:
            for (registry, attribute, _), tensor in zip(places, before, strict=True):
                registry[attribute] = tensor


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, shared ones under their first.

    Some wrappers override the methods that list them, and give other names or leave tensors out: all of a module's own
    count, under the names that its methods give.
    """
    everything = dict(nn.Module.named_parameters(model)) | dict(nn.Module.named_buffers(model))
    called = {id(tensor): name for name, tensor in [*model.named_parameters(), *model.named_buffers()]}
    return {called.get(id(tensor), name): tensor for name, tensor in everything.items()}


def _is_open(part: nn.Module) -> bool:
    """Whether the module's tensors can be replaced."""
    return not isinstance(part, torch.jit.ScriptModule)


def _slots(parts: Sequence[nn.Module], names: Mapping[int, str]) -> list[tuple[nn.Module, str, str, str]]:
    """Every place that holds a parameter or a buffer, once: the module, the registry, the attribute, the name."""
    return [
        (part, key, attribute, names[id(tensor)])
        for part in parts
        for key in ("_parameters", "_buffers")
        for attribute, tensor in getattr(part, key).items()
        if tensor is not None
    ]


def _snapshot(part: nn.Module) -> dict[str, Any]:
    return {key: _own_registry(key, value) for key, value in vars(part).items()}


def _own_registry(key: str, value: Any) -> Any:
    """A copy of a collection that torch keeps in a module: of parameters, buffers, modules, hooks."""
    return value.copy() if key in _REGISTRIES and isinstance(value, (dict, set)) else value


_REGISTRIES = frozenset(vars(nn.Module()))


def _containers(value: Any, found: dict[int, Any]) -> None:
    """Lists, dictionaries, sets and queues that an attribute holds, and those in them."""
    if type(value) not in (list, dict, set, OrderedDict, defaultdict, deque) or id(value) in found:
        return
    found[id(value)] = value
    for entry in value.values() if isinstance(value, dict) else value:
        _containers(entry, found)


def _contents(containers: Iterable[Any]) -> list[tuple[Any, Any]]:
    return [(container, container.copy()) for container in containers]


def _set_contents(contents: Iterable[tuple[Any, Any]]) -> None:
    """In place: a loss or a hook may hold the same container as the module."""
    for container, content in contents:
        container.clear()
        if isinstance(container, (list, deque)):
            container.extend(content)
        else:
            container.update(content)


def _set_attributes(part: nn.Module, attributes: Mapping[str, Any]) -> None:
    own = vars(part)
    own.clear()
    own.update(attributes)


def _global_hooks() -> dict[str, Any]:
    """The hooks that are registered for all modules."""
    return {
        name: hooks
        for name, hooks in vars(nn.modules.module).items()
        if name.startswith("_global_") and isinstance(hooks, dict)
    }


def _set_global_hooks(wanted: Mapping[str, Any]) -> None:
    for name, hooks in _global_hooks().items():
        if hooks != wanted.get(name, {}):
            hooks.clear()
            hooks.update(wanted.get(name, {}))


def _copied(model: nn.Module) -> nn.Module:
    """A copy of a model with compiled modules, which `deepcopy` alone would leave the parameters of the original."""
    memo: dict[int, Any] = {}
    inside: set[int] = set()
    for part in model.modules():
        if isinstance(part, torch.jit.ScriptModule) and id(part) not in inside:
            memory = io.BytesIO()
            with warnings.catch_warnings(action="ignore"):  # that compiled modules are deprecated
                torch.jit.save(part, memory)
                memory.seek(0)
                memo[id(part)] = torch.jit.load(memory)
            inside |= {id(below) for below in part.modules()}
    try:
        twin: nn.Module = copy.deepcopy(model, memo)
        return twin
    except Exception as error:
        raise UserError(f"the model has compiled modules and cannot be copied: {error}") from error
