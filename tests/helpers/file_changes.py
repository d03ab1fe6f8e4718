"""Numbers every call of this process that changes files below a folder, and asks before each what shall become of it.

Python announces most of them as audit events before they are made. Those that it does not announce are wrapped: writes
to a file, which are made in two halves, flushes to the disk, and safetensors, which writes by itself. Flushes are noted
and not made. Only on Linux, and only for a process that ends afterwards.
"""

import builtins
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

_PLACES = {  # audit events, and where among their arguments are the path and the folder that it is relative to
    "os.mkdir": (0, 2),
    "os.rename": (1, 3),
    "os.remove": (0, 1),
    "os.rmdir": (0, 1),
    "os.truncate": (0, None),
    "os.link": (1, 3),
    "os.symlink": (1, 2),
    "os.chmod": (0, 2),
    "os.chown": (0, 3),
    "os.utime": (0, 3),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TAKES_SPACE = {"create", "os.mkdir", "os.link", "os.symlink", "write", "flush", "save"}
"""The calls that a full disk refuses; it can still remove and rename."""


@dataclass(frozen=True)
class Change:
    """A call that is about to be made.

    Attributes:
        call: "create", "open" (for writing), "write", "flush", "save" (by safetensors), or the name of the audit event.
        path: of the file or folder, relative to the watched one; of a renamed one the new name.
        error: what the caller sees where the call fails with that number of an operating system's error.
    """

    call: str
    path: str
    error: Callable[[int], Exception]

    def __str__(self) -> str:
        return f"{self.call} {self.path}"


class FileChanges:
    """Asks `before(change)` before every change below `root`; it may raise, end the process, or wait.

    Attributes:
        count: how many there were.
    """

    def __init__(self, root: Path, before: Callable[[Change], None]) -> None:
        self.count = 0
        self._root, self._before = os.path.realpath(root), before
        self._is_asking = False
        self._folder: int | None = None  # that the path of `os.open` is relative to, which its event leaves out
        self._flushed = {node.st_ino: node.st_size for _, node in self._files()}
        self._known = set(self._flushed)
        self._wrap()
        sys.addaudithook(self._hear)

    def not_seen(self) -> list[str]:
        """The files below the root that were written without a call that is seen here."""
        return [path for path, node in self._files() if node.st_size and node.st_ino not in self._known]

    def not_flushed(self) -> dict[str, int]:
        """The files whose end is not on the disk yet, and the length that is."""
        lengths = ((path, node.st_size, self._flushed.get(node.st_ino, 0)) for path, node in self._files())
        return {path: flushed for path, length, flushed in lengths if flushed < length}

    def ask(self, call: str, path: str, error: Callable[[int], Exception] | None = None) -> None:
        """Count a change, if it is below the root, and ask what shall become of it."""
        if self._is_asking or not (path == self._root or path.startswith(self._root + os.sep)):
            return
        self.count += 1
        error = error or (lambda number: OSError(number, os.strerror(number), path))
        with self._aside():
            self._before(Change(call, os.path.relpath(path, self._root), error))

    # ── what Python announces ────────────────────────────────────────────────────────────────────────────────────────

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_asking:
            return
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
            path = self._place(arguments[0], self._folder)
            self.ask("open" if os.path.exists(path) else "create", path)  # noqa: PTH110
            if arguments[2] & os.O_TRUNC:
                self._forget(path)
        elif event in _PLACES:
            at, folder_at = _PLACES[event]
            path = self._place(arguments[at], None if folder_at is None else arguments[folder_at])
            self.ask(event, path)
            if event in ("os.remove", "os.rename"):
                self._forget(path)

    def _place(self, path: Any, folder: int | None = None) -> str:
        if isinstance(path, int):
            return _path_of(path)
        start = _path_of(folder) if folder is not None and folder >= 0 else os.getcwd()  # noqa: PTH109
        return os.path.normpath(os.path.join(start, os.fsdecode(path)))  # noqa: PTH118

    def _forget(self, path: str) -> None:
        """Nothing of what the file held counts as flushed any more."""
        with contextlib.suppress(OSError):
            self._flushed.pop(os.stat(path, follow_symlinks=False).st_ino, None)  # noqa: PTH116

    def _files(self) -> list[tuple[str, os.stat_result]]:
        found = []
        for folder, _, names in os.walk(self._root):
            for path in (f"{folder}/{name}" for name in names):
                found.append((path[len(self._root) + 1 :], os.stat(path, follow_symlinks=False)))  # noqa: PTH116
        return found

    # ── what it does not announce ────────────────────────────────────────────────────────────────────────────────────

    def _wrap(self) -> None:
        plain_open, plain_os_open, plain_write = io.open, os.open, os.write

        def opened(
            file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
            newline: Any = None, closefd: bool = True, opener: Any = None,
        ) -> Any:  # fmt: skip
            if not (set(mode) & set("wxa+") and self._place(file).startswith(self._root + os.sep)):
                return plain_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
            raw = _File(self, file, mode.replace("b", "").replace("t", ""), closefd, opener)
            if buffering == 0:
                return raw
            layered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return layered if "b" in mode else io.TextIOWrapper(layered, encoding or "utf-8", errors, newline)

        def os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            self._folder = dir_fd
            try:
                return plain_os_open(path, flags, mode, dir_fd=dir_fd)
            finally:
                self._folder = None

        def os_write(descriptor: int, data: Any) -> int:
            return self.in_halves(descriptor, data, lambda part: plain_write(descriptor, part))

        def flush(descriptor: Any) -> None:
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            self.ask("flush", _path_of(number))
            self._flushed[os.fstat(number).st_ino] = os.fstat(number).st_size

        builtins.open = io.open = opened
        os.open, os.write, os.fsync, os.fdatasync = os_open, os_write, flush, flush
        np.lib.format.write_array.__globals__["isfileobj"] = _is_written_natively
        safetensors.numpy.serialize_file = self._save

    def in_halves(self, descriptor: int, data: Any, write: Callable[[Any], int], by_numpy: bool = False) -> int:
        """Write the data in two halves, so that an interruption can come between them."""
        content, path = memoryview(data).cast("B"), _path_of(descriptor)
        self._known.add(os.fstat(descriptor).st_ino)
        half = len(content) // 2
        in_words = f"{len(content)} requested and {half} written"  # how NumPy says it, which knows no number
        error = (lambda _: OSError(in_words)) if by_numpy else None
        self.ask("write", path, error)
        written = write(content[:half]) if half else 0
        if half:
            self.ask("write", path, error)
        return written + write(content[half:])

    def cut(self, descriptor: int, length: int) -> None:
        """Note that a file has been shortened."""
        node = os.fstat(descriptor).st_ino
        self._flushed[node] = min(length, self._flushed.get(node, 0))

    def _save(self, tensors: Any, filename: Any, metadata: Any = None) -> None:
        """Do what safetensors does: write a hidden file beside the one it was asked for, and rename it."""
        path, content = self._place(filename), safetensors.serialize(tensors, metadata)
        hidden = Path(path).with_name(".tmp3kQx9Z")

        def error(number: int) -> Exception:
            hidden.unlink(missing_ok=True)
            return SafetensorError(f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})")

        self.ask("save", path, error)
        with self._aside():
            hidden.write_bytes(content[: len(content) // 2])
        self.ask("save", path, error)
        with self._aside():
            hidden.write_bytes(content)
            hidden.rename(path)
        node = Path(path).stat().st_ino
        self._known.add(node)
        self._flushed.pop(node, None)

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """What is done meanwhile is not counted."""
        self._is_asking = True
        try:
            yield
        finally:
            self._is_asking = False


class _File(io.FileIO):
    """The lowest layer of a file: its writes are the operating system's."""

    def __init__(self, changes: FileChanges, *arguments: Any) -> None:
        self._changes, self.by_numpy = changes, False
        super().__init__(*arguments)

    def write(self, data: Any) -> int:
        return self._changes.in_halves(self.fileno(), data, super().write, self.by_numpy)

    def truncate(self, size: int | None = None) -> int:
        self._changes.ask("os.truncate", _path_of(self.fileno()))
        length = super().truncate(size)
        self._changes.cut(self.fileno(), length)
        return length


def _is_written_natively(file: Any) -> bool:
    """Tell NumPy to write through Python, where it is seen, and the file to fail as NumPy does."""
    raw = getattr(file, "raw", file)
    if isinstance(raw, _File):
        raw.by_numpy = True
    return False


def _path_of(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
