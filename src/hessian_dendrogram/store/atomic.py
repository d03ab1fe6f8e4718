"""Files and folders that are there as a whole or not at all.

Each is written beside its place under a temporary name of its own, flushed to the disk, and renamed in. A process
killed at any moment leaves at most a temporary name behind, which readers never look at.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ..errors import UserError
from .read import LARGEST_JSON, tensor_checksum

_SUFFIX = ".partial"


def write_bytes(path: Path, content: bytes) -> None:
    """Make or replace the file `path`; a link of that name is replaced, and what it leads to is left alone.

    Raises:
        OSError: it cannot be written, or is something else than a file.
    """
    if os.path.lexists(path) and not stat.S_ISREG(mode := path.lstat().st_mode) and not stat.S_ISLNK(mode):
        raise OSError(errno.EINVAL, "not a regular file, and not replaced", str(path))
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush(path.parent)


def write_text(path: Path, text: str) -> None:
    """Make or replace the text file `path`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Make or replace the JSON file `path`.

    Raises:
        UserError: it is larger than a reader takes.
        ValueError: the value has numbers that are not finite.
    """
    text = json.dumps(value, indent=2, allow_nan=False)
    if len(text) >= LARGEST_JSON:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    if len(text) >= LARGEST_JSON:
        raise UserError(
            f"{path.name} would have {len(text) / 2**20:.1f} MiB; at most {LARGEST_JSON // 2**20} are written and read"
        )
    write_text(path, text + "\n")


def write_array(path: Path, array: NDArray[Any]) -> str:
    """Make the .npy file `path`, and give its SHA-256 in hexadecimal digits."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, npy.header_data_from_array_1_0(array))
    as_it_lies = array.T if array.flags.f_contiguous and not array.flags.c_contiguous else np.ascontiguousarray(array)
    content = as_it_lies.reshape(-1).view(np.uint8).data
    with path.open("xb") as stream:  # `np.save` would hide the number of an error of the disk
        stream.write(header.getvalue())
        stream.write(content)
    digest = hashlib.sha256(header.getvalue())
    digest.update(content)
    return digest.hexdigest()


def checksum(path: Path) -> str:
    """SHA-256 of a small file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Make the .safetensors file `path`, with a checksum in its text."""
    # Safetensors writes memory as it lies, so a transposed view must be laid out first.
    laid_out = {name: np.ascontiguousarray(tensor).reshape(tensor.shape) for name, tensor in tensors.items()}
    path.touch(exist_ok=False)
    mode = stat.S_IMODE(path.stat().st_mode)  # what the user's umask leaves; safetensors has an own opinion
    try:
        save_file(laid_out, path, metadata={"sha256": tensor_checksum(laid_out)})
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise
    path.chmod(mode)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder to fill, which becomes `path` when the block ends without an error.

    Raises:
        FileExistsError: `path` is there already; folders are never changed afterwards.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path} is there already and is never changed")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            flush(file)
        flush(temporary)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    flush(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder; killed half-way, it leaves only a temporary name."""
    doomed = _temporary(path)
    path.rename(doomed)
    shutil.rmtree(doomed)


def remove_leftovers(folder: Path, names: str) -> None:
    """Delete what killed writers left in a folder on the way to names of a pattern; of links, not what they lead to."""
    leftover = re.compile(rf"\.({names})(\.[0-9a-f]{{16}})?{re.escape(_SUFFIX)}")
    for entry in list(os.scandir(folder)):
        if leftover.fullmatch(entry.name):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Force a file's content, or a folder's entries, to the disk."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    """A name beside `path` that no other process takes."""
    return path.with_name(f".{path.name[:50]}.{secrets.token_hex(8)}{_SUFFIX}")
