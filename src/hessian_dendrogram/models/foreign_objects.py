"""Where in a PyTorch file an object lies that is more than tensors, found without making it or running its code.

The pickle is gone through by Python's own unpickler, in which every name of a class or a function stands for a thing
that does nothing, whatever it is called with. Only lists, dictionaries, numbers and texts come out as they are.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from ..texts import shortened

_LARGEST = 2**26  # bytes of a pickle: what is beside the tensors
_DEEPEST = 8  # keys in keys
_MOST = 100_000  # values of one depth that are looked at
_PICKLES = 4  # of the format before PyTorch 1.6, up to the content
_OF_TENSORS = re.compile(r"torch\.\w+|torch\.(_utils|_tensor)\._rebuild_\w+")  # names that a state dict has


@dataclass(frozen=True)
class Foreign:
    """An object that is no tensor.

    Attributes:
        keys: under which it lies, the outermost first; empty where the file is one such object.
        name: of its class or function.
        kept: keys of the file under which there is no such object, but weights or a number.
    """

    keys: tuple[str, ...]
    name: str
    kept: tuple[str, ...] = ()

    def conversion(self, path: Path, weights: Sequence[str]) -> str:
        """A line of Python that writes the tensors of a file into one that can be read; empty where it is not known.

        Args:
            path: of the file.
            weights: the keys under which a state dict may be.
        """
        known = path.name if re.fullmatch(r"[\w.=-]+", path.name) else "FILE.pt"
        taken = f"{{k: c[k] for k in {list(self.kept)!r}}}"
        if not set(self.kept) & set(weights):
            held = f"c[{self.keys[0]!r}]" if self.keys and self.keys[0] in weights else "c" if not self.keys else ""
            is_inside = len(self.keys) > 1
            state = (
                f"{{k: v for k, v in {held}.items() if torch.is_tensor(v)}}" if is_inside else f"{held}.state_dict()"
            )
            if not held:
                return ""
            taken = state
        return f"import torch; c = torch.load({known!r}, weights_only=False); torch.save({taken}, 'weights-{known}')"


def foreign_object(path: Path, weights: Sequence[str] = ()) -> Foreign | None:
    """The first such object in a file, or nothing where none is found or the file cannot be followed.

    Args:
        path: of the file.
        weights: the keys under which a state dict may be.
    """
    try:
        content = _content(path)
        found = _found(content)
        if not found or not isinstance(content, Mapping):
            return found
        named = [key for key in content if isinstance(key, str) and re.fullmatch(r"\w+", key)]  # a shell reads them
        clean = [key for key in named if not _found(content[key])]
        kept = [key for key in clean if key in weights or isinstance(content[key], int | float)]
        return replace(found, kept=tuple(kept))
    except Exception:  # of many types, in a file that is damaged or wants to be misread
        return None


class _Inert:
    """What stands for an object; it has the name of what it should have been."""

    name = ""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> _Inert:
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """As of a list, without effect."""

    def extend(self, values: object) -> None:
        """As of a list, without effect."""

    def add(self, value: object) -> None:
        """As of a set, without effect."""


class _Unpickler(pickle._Unpickler):
    """Makes nothing but what Python has in its syntax, ordered dictionaries, and inert objects."""

    def find_class(self, module: str, name: str) -> Any:
        """A class of inert objects, with a name."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return type("Inert", (_Inert,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid: object) -> Any:  # noqa: ARG002 (a storage of numbers)
        """An inert object for the numbers of a tensor."""
        return type("Inert", (_Inert,), {"name": "torch.storage"})()

    def get_extension(self, code: int) -> None:
        """Refuse names that are kept elsewhere."""
        raise pickle.UnpicklingError(f"extension {code}")


def _content(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        if path.stat().st_size > 2**34:
            return None
        with path.open("rb") as file:
            content: Any = None
            for _ in range(_PICKLES):
                content = _unpickled(file)
            return content
    with zipfile.ZipFile(path) as archive:
        entry = next(one for one in archive.infolist() if one.filename.endswith("/data.pkl"))
        if entry.file_size > _LARGEST:
            return None
        with archive.open(entry) as file:
            return _unpickled(file)


def _unpickled(file: IO[bytes]) -> Any:
    return _Unpickler(file, encoding="latin1").load()


def _found(content: Any) -> Foreign | None:
    """The inert object of no tensor that is nearest to the top."""
    level: list[tuple[tuple[str, ...], Any]] = [((), content)]
    for _ in range(_DEEPEST):
        below: list[tuple[tuple[str, ...], Any]] = []
        for keys, value in level:
            is_inert = issubclass(value if isinstance(value, type) else type(value), _Inert)
            if is_inert and not _OF_TENSORS.fullmatch(value.name):
                return Foreign(keys, value.name)
            if isinstance(value, Mapping | list | tuple | set):
                if len(below) + len(value) > _MOST:
                    return None
                entries = value.items() if isinstance(value, Mapping) else enumerate(value)
                below += [((*keys, _shown(key)), one) for key, one in entries]
        level = below
    return None


def _shown(key: object) -> str:
    return shortened(key if isinstance(key, str | int) else type(key).__name__)
