"""What `info` says of a run when it is asked for nothing in particular: short tables, a row for each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..texts import escaped, shortened
from . import report
from .kinds import KINDS
from .run import NULLS, Run

_WIDEST = 60  # characters of a cell
_METRICS = "train_loss", "train_accuracy", "test_loss", "test_accuracy"


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
    text = [*report.heading(opened), *_null_lines(opened)]
    for name, steps in report.choose(opened, analysis, at).items():
        shown = steps if analysis or at is not None else sorted({*steps[:1], *steps[-1:]})
        text += ["", report.title(opened, name, opened.analysis(name)["configuration"])]
        text += [f"  {line}" for line in _table(opened, name, shown)]
        if left := len(steps) - len(shown):
            text.append(f"  {left:,} more {_unit(left)}: --analysis {name}")
    return text


def _steps(count: int) -> str:
    return f"{count:,} {_unit(count)}"


def _unit(count: int) -> str:
    return "step" if count == 1 else "steps"


def overview_of_seeds(folder: Path, several: Sequence[Run]) -> list[str]:
    """A folder of seeds: a row for each run, with what was analysed of it and its last metrics.

    Raises:
        DamagedRunError: a file cannot be read.
    """
    rows = []
    for opened in several:
        steps, metrics = opened.steps(), report.last_metrics(opened)
        row = {"seed": opened.path.name, "checkpoints": f"{len(steps):,}", "last": f"{steps[-1]:,}" if steps else ""}
        row |= {name: _steps(len(opened.analysed_steps(name))) for name in opened.analyses(None)}
        row |= {"nulls": ", ".join(opened.nulls())} if any(one.nulls() for one in several) else {}
        rows.append(row | {name: f"{metrics[name]:.4g}" for name in _METRICS if name in metrics})
    name = shortened(several[0].configuration.get("experiment"))
    return [f"{escaped(folder)}: {name}, {len(several):,} seeds", *(f"  {line}" for line in aligned(rows))]


def _null_lines(opened: Run) -> list[str]:
    """Which null a run is, and which ones lie beside it, with what was analysed of them."""
    own = opened.configuration.get("null")
    text = [f"  a null: {shortened(NULLS.get(str(own), own))}"] if own else []
    for kind in opened.nulls():
        null = opened.null(kind)
        steps = {name: len(null.analysed_steps(name)) for name in null.analyses(None)}
        taken = [f"{name} at {count:,} {'step' if count == 1 else 'steps'}" for name, count in steps.items()]
        text.append(f"  null, {NULLS[kind]}: {', '.join(taken) or 'not analysed yet'} ({escaped(null.path)})")
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
