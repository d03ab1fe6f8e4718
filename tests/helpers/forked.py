"""Runs the command in a child that is forked from a process which has imported everything, and may hold it at a change.

A case then costs no import. The parent has one thread alone, for which forking is safe.
"""

import itertools
import json
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from file_changes import Change, FileChanges

Before = Callable[[FileChanges, Change], None]
_LONGEST = 60
"""Seconds after which a child that hangs is ended."""
_NUMBERS = itertools.count()


class Child:
    """The command, run in a folder by a child.

    Args:
        line: its arguments.
        work: the folder, whose changes are watched.
        before: is asked in the child before each change.
        at_end: is called in the child when the command has ended.
    """

    def __init__(
        self, line: tuple[str, ...], work: Path, before: Before | None = None,
        at_end: Callable[[FileChanges], None] | None = None,
    ) -> None:  # fmt: skip
        self._log = Path(f"{work}.{next(_NUMBERS)}.log")
        self._log.touch()
        self.number = os.fork()
        if not self.number:
            self._become()
            os._exit(_run(line, work, self._log, before, at_end))

    def _become(self) -> None:
        """Leave what is the parent's alone."""

    def finish(self) -> tuple[int, str]:
        """Wait for the end, and give the exit code, negative for a signal, and what was printed."""
        status = os.waitpid(self.number, 0)[1]
        text = self._log.read_text(errors="replace")
        self._log.unlink()
        return os.waitstatus_to_exitcode(status), text


class HeldChild(Child):
    """A child that waits before every change, until it is told to go on to the next or to the end.

    Attributes:
        not_seen: once it has ended, the files that it wrote in a way that is not watched.
    """

    def __init__(self, line: tuple[str, ...], work: Path) -> None:
        self.not_seen: list[str] = []
        self._is_free = self._has_waited = False
        news, self._say = os.pipe()
        self._answer, self._order = os.pipe()
        self._news = os.fdopen(news)
        super().__init__(line, work, self._wait, lambda changes: self._tell(not_seen=changes.not_seen()))
        os.close(self._say)
        os.close(self._answer)

    def next(self) -> "Held | None":
        """Go on to the next change, which is not made yet; None where the command has ended."""
        if self._has_waited:
            os.write(self._order, b".")
        self._has_waited = True
        news: dict[str, Any] = json.loads(self._news.readline() or "{}")
        self.not_seen = news.pop("not_seen", [])
        return Held(**news) if news else None

    def finish(self) -> tuple[int, str]:
        """Go on to the end without waiting any more."""
        os.close(self._order)
        self._news.read()
        self._news.close()
        return super().finish()

    # ── in the child ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _become(self) -> None:
        os.close(self._order)  # so that its end is seen when the parent closes it

    def _wait(self, changes: FileChanges, change: Change) -> None:
        if not self._is_free:
            signal.alarm(0)
            self._tell(call=change.call, path=change.path, not_flushed=changes.not_flushed())
            self._is_free = not os.read(self._answer, 1)
            signal.alarm(_LONGEST)

    def _tell(self, **news: Any) -> None:
        os.write(self._say, (json.dumps(news) + "\n").encode())


@dataclass(frozen=True)
class Held:
    """A change that a child waits before.

    Attributes:
        call: as of a `Change`.
        path: likewise.
        not_flushed: the files that a power cut would shorten now, and to what length.
    """

    call: str
    path: str
    not_flushed: dict[str, int]

    @property
    def is_visible(self) -> bool:
        """Whether the change opens a file that is not hidden, or gives something such a name."""
        is_hidden = any(part.startswith(".") for part in Path(self.path).parts)
        return not is_hidden and self.call in ("create", "open", "save", "os.rename", "os.link")

    def __str__(self) -> str:
        return f"{self.call} {self.path}"


def _run(line: tuple[str, ...], work: Path, log: Path, before: Before | None, at_end: Any) -> int:
    """Run the command in a child, and give its exit code."""
    signal.alarm(_LONGEST)
    os.chdir(work)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code: Any = 0
    try:
        changes = FileChanges(work, lambda change: before(changes, change) if before else None)
        sys.argv = ["hessian-dendrogram", *line]
        try:
            runpy.run_module("hessian_dendrogram", run_name="__main__")
        except SystemExit as end:
            code = end.code
        if at_end:
            at_end(changes)
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0)
