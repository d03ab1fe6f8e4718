"""What commands do with stored blocks: say each in numbers, and make a table of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UserError
from ..layout import Layout
from ..results.blocks import Blocks
from ..results.table import Column

BLOCKS = {
    "block": Column("text", "name of the layer, the tensor or the group"),
    "parameters": Column("whole", "rows of the block"),
    "known": Column("whole", "eigenvalues that are known one by one"),
    "largest": Column("number", "its largest eigenvalue; not known where that did not converge"),
    "largest_error": Column("number", "error bound of that"),
    "smallest": Column("number", "its smallest eigenvalue; not known where that did not converge"),
    "smallest_error": Column("number", "error bound of that"),
    "trace": Column("number", "trace of the block"),
    "trace_error": Column("number", "bound of a sum of all eigenvalues, standard error of an estimate by probes"),
}


def check_blocks(blocks: Blocks, layout: Layout) -> None:
    """Refuse blocks of more parameters than there are.

    Raises:
        UserError: they are.
    """
    if int(blocks.sizes.sum()) > layout.size:
        raise UserError(f"blocks of {int(blocks.sizes.sum())} parameters, where there are {layout.size}")


def block_rows(blocks: Blocks) -> dict[str, Any]:
    """A row for each block."""
    names = np.empty(len(blocks.names), dtype=object)
    names[:] = blocks.names
    ends = np.array([_ends(blocks, name) for name in blocks.names])
    return {
        "block": names,
        "parameters": blocks.sizes,
        "known": blocks.counts,
        **dict(zip(("largest", "largest_error", "smallest", "smallest_error"), ends.T, strict=True)),
        "trace": blocks.traces,
        "trace_error": blocks.trace_errors,
    }


def block_facts(blocks: Blocks) -> dict[str, Any]:
    """The rows of the blocks by name."""
    columns = block_rows(blocks)
    keys = [key for key in columns if key != "block"]
    found = {name: {key: _plain(columns[key][number]) for key in keys} for number, name in enumerate(blocks.names)}
    return {"blocks": found, "provenance": dict(blocks.provenance)}


def describe_blocks(row: dict[str, Any]) -> str:
    """`block_facts` in words."""
    parts = []
    for name, known in row["blocks"].items():
        largest = "" if known["largest"] is None else f" λ_max {known['largest']:.6g} ± {known['largest_error']:.1g}"
        trace = "" if known["trace"] is None else f" trace {known['trace']:.6g} ± {known['trace_error']:.1g}"
        parts.append(f"{name}:{largest}{trace}" if largest or trace else f"{name}: nothing converged")
    return ", ".join(parts)


def block_cells(row: dict[str, Any]) -> dict[str, str]:
    """The largest eigenvalue of each block, or its trace where that is not known, as cells of a table."""
    cells = {}
    for name, known in row["blocks"].items():
        key = "largest" if known["largest"] is not None else "trace"
        label = {"largest": "λ_max", "trace": "trace"}[key]
        cells[f"{label} {name}"] = "" if known[key] is None else f"{known[key]:.6g} ± {known[f'{key}_error']:.1g}"
    return cells


def _plain(value: Any) -> Any:
    number = value.item()
    return None if number != number else number


def _ends(blocks: Blocks, name: str) -> tuple[float, float, float, float]:
    """The largest eigenvalue of a block and its bound, the smallest and its bound; NaN where not known."""
    if not blocks.counts[blocks.names.index(name)]:
        return (np.nan,) * 4
    spectrum = blocks.spectrum(name)
    values, bounds, parts = spectrum.eigenvalues, spectrum.error_bounds, {*spectrum.segments()}
    top = (values[-1], bounds[-1]) if parts & {"all", "top"} else (np.nan, np.nan)
    bottom = (values[0], bounds[0]) if parts & {"all", "bottom"} else (np.nan, np.nan)
    return *top, *bottom
