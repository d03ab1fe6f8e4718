"""Files and folders that are there as a whole or not at all.

Each is written beside its place under a temporary name, flushed to the disk, and renamed in. A process killed at any
moment leaves at most a temporary name behind, which readers never look at and `remove_leftovers` deletes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DamagedRunError

_SUFFIX = ".partial"


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Make or replace the file `path` with what `write(temporary_path)` writes."""
    temporary = path.with_name(f".{path.name}{_SUFFIX}")
    try:
        write(temporary)
        _flush(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def write_text(path: Path, text: str) -> None:
    """Make or replace the text file `path`."""
    write_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Make or replace the JSON file `path`."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder to fill, which becomes `path` when the block ends without an error.

    Raises:
        FileExistsError: `path` is there already; folders are never changed afterwards.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already and is never changed")
    temporary = path.with_name(f".{path.name}{_SUFFIX}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _flush(file)
        _flush(temporary)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _flush(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder; killed half-way, it leaves only a temporary name."""
    doomed = path.with_name(f".{path.name}{_SUFFIX}")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left below `folder`."""
    for leftover in list(folder.rglob(f".*{_SUFFIX}")):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        DamagedRunError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DamagedRunError(f"{path} is missing") from None
    except ValueError as error:
        raise DamagedRunError(f"{path} is damaged: {error}") from None


def read_array(path: Path) -> np.ndarray[Any, np.dtype[Any]]:
    """Load a .npy file, never executing anything in it.

    Raises:
        DamagedRunError: it is missing, truncated or no array.
    """
    try:
        return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
    except FileNotFoundError:
        raise DamagedRunError(f"{path} is missing") from None
    except (ValueError, EOFError) as error:
        raise DamagedRunError(f"{path} is damaged: {error}") from None


def _flush(path: Path) -> None:
    """Force a file's content, or a folder's entries, to the disk."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
