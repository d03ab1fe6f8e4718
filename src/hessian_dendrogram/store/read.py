"""Reading files that nobody vouches for: regular ones inside one folder, of bounded size, holding what they should.

A run directory may come from anyone, and from a disk that forgets. A link leads out of it, a FIFO never ends, a header
may claim more memory than there is, a pickle would be executed. So nothing is opened before it is known to be a regular
file that is reached without links; sizes are compared with the file's before memory is taken; and no text is evaluated.

Longer than other files: whatever opens a file of a run is here, and nowhere else.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite, prod
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ..errors import DamagedRunError

LARGEST_JSON = 2**22
"""Bytes; parsed, they take some twenty times as much memory."""

_TENSOR_HEADER = 10**8  # bytes; safetensors takes no longer one
_ARRAY_HEADER = 128  # bytes of what NumPy writes before an array of a plain type and up to three axes
_NO_FILE = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def without_links(path: Path, root: Path) -> Path:
    """The same path, once no part of it below `root` is a link; whether it is there is another question.

    Raises:
        DamagedRunError: a part of it is a link; the message names that part.
    """
    part = root
    for name in path.relative_to(root).parts:
        part = part / name
        try:
            is_link = stat.S_ISLNK(part.lstat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            break
        if is_link:
            raise DamagedRunError(
                f"{part} is a link, and links are not followed here; put what it leads to in its place"
            )
    return path


def is_there(path: Path, root: Path) -> bool:
    """Whether there is anything of that name, reached without links."""
    return os.path.lexists(without_links(path, root))


def entries(folder: Path, root: Path) -> list[str]:
    """The names in a folder, sorted; none where there is no folder.

    Raises:
        DamagedRunError: it is a file, or a link leads there.
    """
    without_links(folder, root)
    try:
        return sorted(entry.name for entry in os.scandir(folder))
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise DamagedRunError(f"{folder} is damaged: it should be a folder") from None


@contextmanager
def opened(path: Path, root: Path) -> Iterator[BinaryIO]:
    """Open a regular file below `root`.

    Raises:
        DamagedRunError: it is missing, no regular file, or a link leads there.
    """
    without_links(path, root)
    try:
        _refuse_others(path, path.lstat().st_mode)
        # The last two flags matter where the file is exchanged in between.
        descriptor = os.open(path, os.O_RDONLY | _flag("O_BINARY") | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK"))
    except FileNotFoundError:
        raise DamagedRunError(f"{path} is missing") from None
    except NotADirectoryError:
        raise DamagedRunError(f"{path} is missing: what should be its folder is a file") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise DamagedRunError(f"{path} is damaged: it is no regular file") from None
        raise
    with os.fdopen(descriptor, "rb") as stream:
        _refuse_others(path, os.fstat(stream.fileno()).st_mode)
        yield stream


def _flag(name: str) -> int:
    return int(getattr(os, name, 0))


def _refuse_others(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _NO_FILE.get(stat.S_IFMT(mode), "something else")
        raise DamagedRunError(f"{path} is damaged: it should be a regular file, and is {kind}")


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_json(path: Path, root: Path) -> dict[str, Any]:
    """Parse a JSON file that holds a mapping.

    Raises:
        DamagedRunError: it is missing, too large or no such JSON; infinite numbers, NaN and keys that come twice are
            none.
    """
    with opened(path, root) as stream:
        text = stream.read(LARGEST_JSON + 1)
    try:
        if len(text) > LARGEST_JSON:
            raise ValueError(f"it has more than {LARGEST_JSON // 2**20} MiB, which no JSON file of a run has")
        value = json.loads(
            text.decode(), parse_constant=_refused_constant, parse_float=_finite, object_pairs_hook=_unique
        )
        if b"\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair can be neither printed nor stored
        if not isinstance(value, dict):
            raise ValueError(f"it should hold a mapping, and holds one {type(value).__name__}")
    except RecursionError:
        raise DamagedRunError(f"{path} is damaged: it is nested too deeply") from None
    except UnicodeError:
        raise DamagedRunError(f"{path} is damaged: it is no text in UTF-8") from None
    except ValueError as error:
        raise DamagedRunError(f"{path} is damaged: {error}") from None
    return value


def _refused_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    if not isfinite(value := float(text)):
        raise ValueError(f"{text[:40]} is more than a floating-point number can hold")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in found if names.count(name) > 1)!r} is there twice")
    return found


# ── arrays ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_array(
    path: Path, root: Path, types: tuple[str, ...], axes: int, *, checksum: str | None = None
) -> NDArray[Any]:
    """Load a .npy file of a plain type.

    Args:
        path: the file.
        root: the folder that it must lie in.
        types: which types it may have, as in `("f8", "f4")`, of either byte order.
        axes: how many axes it must have.
        checksum: SHA-256 of the file, in hexadecimal digits; `None` where it is not known.

    Raises:
        DamagedRunError: it is missing, no such array, of another size than its header says, or has another checksum.
    """
    with opened(path, root) as stream:
        size = os.fstat(stream.fileno()).st_size
        try:
            shape, fortran_order, dtype = _header(stream)
            start, length = stream.tell(), prod(shape) * dtype.itemsize
            if dtype.str[1:] not in types:
                raise ValueError(f"it has the type {dtype}, and should have {' or '.join(types)}")
            if len(shape) != axes:
                raise ValueError(f"it has the shape {shape}, and should have {axes} {'axis' if axes == 1 else 'axes'}")
            if start + length != size:
                raise ValueError(f"its header announces {start + length:,} bytes, and it has {size:,}")
        except ValueError as error:
            raise DamagedRunError(f"{path} is damaged: {error}") from None
        stream.seek(0)
        content = bytearray(size)
        if stream.readinto(content) != size:  # type: ignore[attr-defined]
            raise DamagedRunError(f"{path} is damaged: it became shorter while it was read")
    confirm(path, content, checksum)
    flat = np.frombuffer(content, dtype, offset=start)
    return flat.reshape(shape, order="F" if fortran_order else "C").astype(dtype.newbyteorder("="), copy=False)


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    start = stream.read(_ARRAY_HEADER)
    if start[:8] != npy.magic(1, 0) or len(start) < 10:
        raise ValueError("it does not begin as a NumPy array does")
    (length,) = struct.unpack("<H", start[8:10])
    if 10 + length > _ARRAY_HEADER or b"\\" in start[: 10 + length]:
        raise ValueError("its header is none of an array of numbers")
    stream.seek(8)
    try:
        shape, fortran_order, dtype = npy.read_array_header_1_0(stream)
    except Exception as error:  # NumPy evaluates the text of the header as a literal, which fails in many ways
        raise ValueError(f"its header cannot be read ({type(error).__name__})") from None
    if any(isinstance(length, bool) or length < 0 for length in shape) or dtype.hasobject or dtype.names or dtype.shape:
        raise ValueError("its header is none of an array of numbers")
    return shape, fortran_order, dtype


def confirm(path: Path, content: bytes | bytearray, checksum: str | None) -> None:
    """Compare the content of a file with the checksum that was stored with it.

    Raises:
        DamagedRunError: they differ.
    """
    if checksum is not None and hashlib.sha256(content).hexdigest() != checksum:
        raise DamagedRunError(f"{path} is damaged: its content is not what was stored, the checksum differs")


# ── tensors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_tensors(path: Path, root: Path) -> dict[str, NDArray[Any]]:
    """The named arrays of a .safetensors file; where its text has a checksum, that is compared.

    Raises:
        DamagedRunError: it is missing, no such file, of types that NumPy lacks, or has another checksum.
    """
    with opened(path, root) as stream:
        _confirm_tensors_fill(path, stream)
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            checksum = (file.metadata() or {}).get("sha256")
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, UnicodeError) as error:
        reason = str(error) or type(error).__name__
        raise DamagedRunError(f"{path} is damaged: {' '.join(reason.split())[:200]}") from None
    if checksum is not None and checksum != tensor_checksum(tensors):
        raise DamagedRunError(f"{path} is damaged: its content is not what was stored, the checksum differs")
    return tensors


def _confirm_tensors_fill(path: Path, stream: BinaryIO) -> None:
    """Compare the size of a .safetensors file with that of its tensors, before the whole of it is mapped into memory.

    Raises:
        DamagedRunError: they differ; a header that cannot be read is left to the library, unless the file is large.
    """
    size = os.fstat(stream.fileno()).st_size
    length = int.from_bytes(stream.read(8), "little")
    expected = None
    if length <= min(_TENSOR_HEADER, size):
        try:
            header = json.loads(stream.read(length))
            ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
            expected = 8 + length + max(ends, default=0)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            expected = None
    if expected != size and (expected is not None or size > _TENSOR_HEADER):
        claimed = "a header that cannot be read" if expected is None else f"tensors that end at {expected:,}"
        raise DamagedRunError(f"{path} is damaged: it has {size:,} bytes, and {claimed:.80}")


def tensor_checksum(tensors: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over names, types, shapes and contents, in hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name!r} {array.dtype.str} {tensors[name].shape}\n".encode(errors="backslashreplace"))
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
