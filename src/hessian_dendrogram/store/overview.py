"""What `info` says of a run when it is asked for nothing in particular: short tables, a row for each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..texts import shortened
from . import report
from .kinds import KINDS
from .run import Run

_WIDEST = 60  # characters of a cell


def overview(opened: Run, analysis: str | None = None, at: Sequence[int] | None = None) -> list[str]:
    """The run, and a table of each analysis: its first and its last step, unless one or its steps are named.

    Args:
        opened: the run.
        analysis: its name; then every step is shown.
        at: the steps to show.

    Raises:
        UserError: there is no such analysis, or none has a result at one of the steps.
        DamagedRunError: a file cannot be read.
    """
    text = report.heading(opened)
    for name, steps in report.choose(opened, analysis, at).items():
        shown = steps if analysis or at is not None else sorted({*steps[:1], *steps[-1:]})
        text += ["", report.title(opened, name, opened.analysis(name)["configuration"])]
        text += [f"  {line}" for line in _table(opened, name, shown)]
        if left := len(steps) - len(shown):
            text.append(f"  {left:,} more {'step' if left == 1 else 'steps'}: --analysis {name}")
    return text


def _table(opened: Run, analysis: str, steps: Sequence[int]) -> list[str]:
    kind = KINDS[opened.kind(analysis)]
    rows = report.rows(opened, analysis, steps)
    return aligned([{"step": str(step), **kind.cells(row)} for step, row in rows.items()])


def aligned(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Rows under the names of their columns, each column flush right; a cell that a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([row.get(name, "") for name in names] for row in rows)]
    cells = [[shortened(cell, _WIDEST) for cell in row] for row in cells] if names else []
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
