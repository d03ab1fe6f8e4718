"""Table: one kind of thing, a row for each, in named columns of NumPy arrays."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..texts import shortened
from .html import grid

_LONGEST = 300
"""Characters of a text in a CSV file, so that no name makes a file of gigabytes."""
_FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_TYPES = {"number": np.float64, "whole": np.int64, "flag": np.bool_, "text": np.object_}
_ROWS_AT_ONCE = 10_000
_SHOWN = 4  # rows at either end, in a notebook


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Attributes:
        kind: a number; a whole number (as floating-point numbers where one is not known, which is NaN); a flag; a text.
        meaning: of one entry, with its unit.
    """

    kind: Literal["number", "whole", "flag", "text"]
    meaning: str


@dataclass(frozen=True, eq=False, repr=False)
class Table(Mapping[str, NDArray[Any]]):
    """Columns of one length, by name.

    Args:
        name: what a row is.
        entries: the columns, each of shape (rows,); NaN is what is not known.
        columns: what each of them holds, in the same order.
        note: why there is no row, where there is none.

    Raises:
        UserError: the columns have other names, or several lengths.
    """

    name: str
    entries: Mapping[str, NDArray[Any]]
    columns: Mapping[str, Column]
    note: str = ""

    def __post_init__(self) -> None:
        if [*self.entries] != [*self.columns] or len({len(column) for column in self.entries.values()}) > 1:
            lengths = {name: len(column) for name, column in self.entries.items()}
            raise UserError(f"a table needs columns {', '.join(self.columns)} of one length, got {lengths}")

    @classmethod
    def stacked(cls, name: str, blocks: list[Mapping[str, Any]], columns: Mapping[str, Column], note: str) -> Table:
        """One table of several blocks of rows; an entry that is one value holds for its whole block."""
        found: dict[str, list[NDArray[Any]]] = {name: [] for name in columns}
        for block in blocks:
            count = max(np.size(column) for column in block.values() if np.ndim(column))
            for column, kind in columns.items():
                array = np.asarray(block[column], dtype=object if kind.kind == "text" else None)
                found[column].append(np.broadcast_to(array, count))
        entries = {column: _joined(parts, columns[column].kind) for column, parts in found.items()}
        return cls(name, entries, columns, "" if len(next(iter(entries.values()))) else note)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    __eq__, __hash__ = object.__eq__, object.__hash__  # those of a mapping would compare arrays

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.entries.values()), ()))

    def __repr__(self) -> str:
        return f"Table({self.name}: {self.num_rows:,} rows of {', '.join(self.entries)})"

    def _repr_html_(self) -> str:
        few = self.num_rows <= 2 * _SHOWN + 1
        shown = [slice(None)] if few else [slice(0, _SHOWN), slice(self.num_rows - _SHOWN, None)]
        rows = [row for part in shown for row in zip(*(column[part] for column in self.entries.values()), strict=True)]
        if not few:
            rows.insert(_SHOWN, ("…",) * len(self.entries))
        return grid(f"{self.name}: {self.num_rows:,} rows", list(self.entries), rows)

    def frame(self) -> Any:
        """The same as a pandas DataFrame, whose `attrs["columns"]` say what each column holds.

        Raises:
            ImportError: pandas is not installed.
        """
        frame = import_module("pandas").DataFrame(dict(self.entries))
        frame.attrs = {"table": self.name, "columns": {name: one.meaning for name, one in self.columns.items()}}
        return frame

    def write_csv(self, stream: TextIO) -> None:
        """Write the names of the columns and every row, as comma-separated values (RFC 4180, lines end in a line feed).

        Numbers have all their digits, so they are read back as they were; what is not known is empty. A text has no
        control character and at most 300 characters, and one that a spreadsheet would take for a formula begins with an
        apostrophe.
        """
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.entries)
        texts: dict[Any, str] = {}
        for start in range(0, self.num_rows, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            cells = [_cells(self.entries[name][part], one.kind, texts) for name, one in self.columns.items()]
            writer.writerows(zip(*cells, strict=True))

    def csv(self) -> str:
        """What `write_csv` writes."""
        stream = io.StringIO()
        self.write_csv(stream)
        return stream.getvalue()


def _joined(parts: list[NDArray[Any]], kind: str) -> NDArray[Any]:
    """Blocks of a column after each other, in the type of its kind; whole numbers with a NaN stay floating-point."""
    joined = np.concatenate(parts) if parts else np.empty(0)
    unknown = kind == "whole" and joined.dtype.kind == "f" and np.isnan(joined).any()
    return joined.astype(np.float64 if unknown else _TYPES[kind])


def _cells(column: NDArray[Any], kind: str, texts: dict[Any, str]) -> list[Any]:
    """The entries of a column as the writer of CSV takes them: it prints a number with all its digits."""
    entries: list[Any] = column.tolist()
    if kind == "text":
        for entry in {*entries} - {*texts}:
            texts[entry] = _harmless(entry)
        return [texts[entry] for entry in entries]
    if column.dtype.kind == "f":
        turn = int if kind == "whole" else float
        return [turn(entry) if entry == entry else None for entry in entries]
    return entries


def _harmless(text: object) -> str:
    shown = shortened(text, _LONGEST)
    return f"'{shown}" if shown.startswith(_FORMULAS) else shown
