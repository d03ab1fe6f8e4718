"""One writer at a time: an operating system's lock on the file `.lock` of a run directory.

The lock is on the file, not on its name. Where that is taken away while it is held, the next writer makes another file
and holds its lock, too; so whoever holds one looks again before everything that is written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import DamagedRunError, LockedRunError, UserError
from . import atomic

_held: dict[Path, tuple[int, int]] = {}  # device and number of the lock file of each directory that is locked here


@contextmanager
def lock(path: Path | str) -> Iterator[None]:
    """Be the only writer of a run directory; make the directory where it is missing.

    Raises:
        LockedRunError: another process holds it.
        UserError: the directory holds other things than a run.
        DamagedRunError: what should be its lock file is none.
    """
    path = Path(path)
    if os.path.lexists(path) and not path.is_dir():
        raise UserError(f"{path} is no folder; give another")
    path.mkdir(parents=True, exist_ok=True)
    others = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
    if others and not (path / "run.json").exists():
        raise UserError(f"{path} is no run directory and not empty (it has {others[0]}); give a new folder")
    file, key = path / ".lock", path.resolve()
    if os.path.lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
        raise DamagedRunError(f"{file} is no regular file; remove it, and start again")
    guard = FileLock(file)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        raise LockedRunError(
            f"{path} is being written by another process; wait for it or give another folder"
        ) from None
    try:
        _held[key] = _identity(file)
        for folder, names in _places(path):
            atomic.remove_leftovers(folder, names)
        yield
    finally:
        _held.pop(key, None)
        guard.release()


def confirm_lock(path: Path) -> None:
    """Notice that the lock file of a directory that is locked here was taken away or exchanged.

    Raises:
        LockedRunError: it was; another process may be writing.
    """
    held = _held.get(path.resolve())
    if held is None:
        return
    try:
        now = _identity(path / ".lock")
    except OSError:
        now = None
    if now != held:
        raise LockedRunError(
            f"{path / '.lock'} was taken away while this program was writing, so another may be writing, too; what is "
            "stored is whole. Once nothing else writes there, the same command goes on"
        )


def _identity(file: Path) -> tuple[int, int]:
    found = file.lstat()
    return found.st_dev, found.st_ino


def _places(path: Path) -> Iterator[tuple[Path, str]]:
    """Where writers of a run put temporary names, and the names that those become; none of what others keep there."""
    yield path, r"run\.json|metrics\.csv"
    for name, names, below in (
        ("checkpoints", "[0-9]+", None),
        ("training_state", "[0-9]+", None),
        ("measures", r"[0-9]+\.json", None),
        ("analyses", ".+", "[0-9]+"),
        ("figures", r".+\.(png|pdf)", r".+\.(png|pdf|json)"),
    ):
        folder = path / name
        if folder.is_symlink() or not folder.is_dir():
            continue
        yield folder, names
        if below:
            yield from (
                (Path(entry.path), below) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)
            )
