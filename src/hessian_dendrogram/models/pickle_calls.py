"""Which calls a pickle of tensors asks for: those that a saved state dict has, and none that takes forever.

`torch.load(weights_only=True)` runs no code of a file, but it calls a few functions of Python's with whatever arguments
the file names. Some of them make a terabyte of a hundred bytes: an encoding of an encoding of an encoding, a bytearray
of a length, a set of a tensor that repeats one number. So each function is allowed only where the arguments that follow
are written out in the file, which bounds them by its size.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

_INTEGERS = ("BININT", "BININT1", "BININT2")
_FOLLOWED_BY: dict[str, list[tuple[str, ...]]] = {  # by the kinds of the next instructions; "latin1" is that text
    "collections.OrderedDict": [("EMPTY_TUPLE",), ("EMPTY_LIST",)],
    "collections.Counter": [("EMPTY_TUPLE",), ("EMPTY_DICT",)],
    "builtins.set": [("EMPTY_LIST",)],
    "builtins.bytearray": [("EMPTY_TUPLE",), ("_codecs.encode",)],
    "_codecs.encode": [("BINUNICODE", "latin1")],
    "torch.Size": [("EMPTY_TUPLE",), *((kind,) for kind in _INTEGERS), *(("MARK", kind) for kind in _INTEGERS)],
}
REBUILDING = ("torch._utils.", "torch._tensor.")
"""How the names of functions begin that make tensors, also those that are sparse, quantised, nested, without values."""
_DENSE = ("tensor", "tensor_v2", "tensor_v3", "parameter", "parameter_with_state")
_REBUILT = {f"torch._utils._rebuild_{name}" for name in _DENSE}
_OLD_NAMES = {"__builtin__.set": "builtins.set", "__builtin__.bytearray": "builtins.bytearray"}
_PICKLES = 5  # of the format before PyTorch 1.6: a magic number, a version, the machine, the content, keys


def refused_call(path: Path | io.BytesIO) -> str | None:
    """The first function that a .pt file, or its content, names and that is not allowed there, or `None`.

    Raises:
        Exception: of many types, where the file is damaged or none of PyTorch's.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") if isinstance(path, Path) else nullcontext(path) as file:
            file.seek(0)
            for _ in range(_PICKLES):
                if call := _refused(file):
                    return call
            return None
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        size = path.stat().st_size if isinstance(path, Path) else path.getbuffer().nbytes
        if sum(entry.file_size for entry in entries) > size:
            raise ValueError("its content is compressed, or listed twice; torch.save does neither")
        for entry in entries:
            if entry.filename.endswith("/data.pkl"):
                with archive.open(entry) as content:
                    if call := _refused(content):
                        return call
    return None


def _refused(file: IO[bytes]) -> str | None:
    instructions = list(_resolved(file))
    for place, (kind, text) in enumerate(instructions):
        if kind != "GLOBAL":
            continue
        if text in _FOLLOWED_BY:
            after = instructions[place + 1 : place + 3]
            if not any(_begins(after, allowed) for allowed in _FOLLOWED_BY[text]):
                return text
        elif text.startswith(REBUILDING) and text not in _REBUILT:
            return text
    return None


def _begins(instructions: list[tuple[str, str]], kinds: tuple[str, ...]) -> bool:
    found = zip(instructions, kinds, strict=False)
    return len(instructions) >= len(kinds) and all(wanted in (kind, text) for (kind, text), wanted in found)


def _resolved(file: IO[bytes]) -> Iterator[tuple[str, str]]:
    """The instructions of a pickle without those that remember, and what is remembered in place of recalling it."""
    known: dict[int, tuple[str, str]] = {}
    last = "", ""
    instructions: Any = pickletools.genops(file)
    for opcode, argument, _ in instructions:
        if opcode.name in ("BINPUT", "LONG_BINPUT"):
            known[argument] = last
            continue
        if opcode.name in ("BINGET", "LONG_BINGET"):
            last = known.get(argument, ("", ""))
        elif opcode.name == "GLOBAL":
            name = str(argument).replace(" ", ".")
            last = "GLOBAL", _OLD_NAMES.get(name, name)
        elif opcode.name == "BINUNICODE":
            last = "BINUNICODE", "latin1" if argument in ("latin1", "latin-1") else ""
        else:
            last = opcode.name, ""
        yield last
