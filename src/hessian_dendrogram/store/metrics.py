"""metrics.csv: what was measured while a network was trained, one row an update that was looked at.

The first line names the columns, `step` first; every other is a row of numbers, in which a cell is empty where nothing
was measured. Steps ascend. A last line without its end is what a killed writer left, and no row. A checkpoint is
written when its own row is on the disk, so a power cut takes rows from the end alone, and never that of a checkpoint.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedRunError
from . import atomic
from .read import is_there, opened, without_links

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?|nan|-?inf")
_LONGEST_LINE = 10_000  # characters
_LARGEST_STEP = 2**53


class Metrics:
    """The file metrics.csv of a run directory.

    Args:
        root: the run directory.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.file = root, root / "metrics.csv"

    def read(self) -> dict[str, NDArray[np.float64]]:
        """Columns by name, each of shape (rows,); NaN where nothing was measured. Empty before training.

        Raises:
            DamagedRunError: the file is no table of numbers, or its steps do not ascend; the message names the line.
        """
        lines = self._lines()
        header = next(lines, None)
        if header is None:
            return {}
        names = self._names(header)
        columns = [array("d") for _ in names]
        for number, line in enumerate(lines, 2):
            for column, value in zip(columns, self._row(names, number, line), strict=True):
                column.append(value)
            if len(columns[0]) > 1 and columns[0][-1] <= columns[0][-2]:
                raise self._damaged(number, f"step {columns[0][-1]:g} does not come after step {columns[0][-2]:g}")
        return {
            name: np.frombuffer(column) if column else np.empty(0) for name, column in zip(names, columns, strict=True)
        }

    def append(self, row: Mapping[str, float | None]) -> None:
        """Add a row; the first one writes the header. `None` leaves a cell empty.

        A last line without its end, which no reader takes for a row, is replaced.

        Raises:
            DamagedRunError: the columns that the file names are not those of the row.
        """
        without_links(self.file, self.root)
        is_new = not is_there(self.file, self.root)
        with self.file.open("a+b") as stream:
            stream.seek(0)
            header = stream.readline(_LONGEST_LINE)
            text = ""
            if header.endswith(b"\n"):
                columns = header[:-1].decode(errors="replace").split(",")
                if sorted(columns) != sorted(row):
                    raise DamagedRunError(
                        f"{self.file} has the columns {', '.join(columns)[:200] or '(none)'}, so a row of "
                        f"{', '.join(row)} cannot be added; put back the file that belongs to this run, or train into "
                        "a new folder"
                    )
                stream.seek(-1, 2)
                if stream.read() != b"\n":
                    stream.seek(0)
                    stream.truncate(stream.read().rfind(b"\n") + 1)
            else:
                stream.truncate(0)
                columns = list(row)
                text = ",".join(columns) + "\n"
            cells = (row[name] for name in columns)
            text += ",".join("" if cell is None else repr(float(cell)) for cell in cells) + "\n"
            stream.write(text.encode())
        if is_new:
            atomic.flush(self.root)

    def flush(self) -> None:
        """Force the rows to the disk, before a checkpoint that needs them is stored."""
        if is_there(self.file, self.root):
            atomic.flush(self.file)

    def truncate(self, step: int | None) -> None:
        """Drop the rows recorded after `step`, from which training resumes; all of them for `None`."""
        if step is None:
            without_links(self.file, self.root).unlink(missing_ok=True)
            return
        lines = list(self._lines())
        if lines:
            names = self._names(lines[0])
            kept = [line for number, line in enumerate(lines[1:], 2) if self._row(names, number, line)[0] <= step]
            atomic.write_text(self.file, "\n".join([lines[0], *kept]) + "\n")

    def copy(self, other: Metrics) -> None:
        """Take the metrics of another run directory instead of one's own."""
        if lines := list(other._lines()):
            other.read()
            without_links(self.file, self.root)
            atomic.write_text(self.file, "\n".join(lines) + "\n")

    def confirm_rows(self, steps: Sequence[int]) -> None:
        """Find the rows of some steps, before training goes on behind them.

        Raises:
            DamagedRunError: rows are missing, and which.
        """
        measured = set(self.read().get("step", np.empty(0)).tolist())
        if lost := [step for step in steps if step not in measured]:
            shown = ", ".join(map(str, lost[:5])) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
            what = (
                f"has no row of step {shown}" if measured else f"is missing or empty; it had rows up to step {lost[-1]}"
            )
            raise DamagedRunError(
                f"{self.file} {what}, so training cannot go on from the checkpoint of step {max(steps)} with a whole "
                "record; put back the file that belongs to this run, or train into a new folder. `analyse` takes the "
                "stored checkpoints as they are"
            )

    # ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _lines(self) -> Iterator[str]:
        """Whole lines without their ends."""
        if not is_there(self.file, self.root):
            return
        with opened(self.file, self.root) as stream:
            number = 0
            while line := stream.readline(_LONGEST_LINE):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) == _LONGEST_LINE:
                        raise self._damaged(number, f"it has more than {_LONGEST_LINE - 1:,} characters")
                    if b"\0" in line:  # as a power cut leaves them: rows were there
                        raise self._damaged(number, "it has zero bytes in place of characters")
                    return
                try:
                    yield line[:-1].decode("ascii")
                except UnicodeDecodeError:
                    raise self._damaged(number, "it has characters that are neither numbers nor names") from None

    def _names(self, header: str) -> list[str]:
        names = header.split(",")
        if names[0] != "step" or len({*names}) != len(names) or not all(map(_NAME.fullmatch, names)):
            raise self._damaged(1, "it should name the columns, `step` first")
        return names

    def _row(self, names: Sequence[str], number: int, line: str) -> list[float]:
        cells = line.split(",")
        if len(cells) != len(names):
            raise self._damaged(number, f"it has {len(cells)} cells for {len(names)} columns")
        for name, cell in zip(names, cells, strict=True):
            if cell and not _NUMBER.fullmatch(cell):
                raise self._damaged(number, f"{name} should be a number, and is {cell[:40]!r}")
        row = [float(cell) if cell else np.nan for cell in cells]
        if not (0 <= row[0] <= _LARGEST_STEP and row[0].is_integer()):
            raise self._damaged(number, f"{cells[0]!r} is no step of a training")
        return row

    def _damaged(self, number: int, what: str) -> DamagedRunError:
        return DamagedRunError(f"{self.file} is damaged: line {number}: {what}")
