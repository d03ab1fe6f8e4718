"""The folder of one result: its arrays as .npy files, its facts and the checksums of all others in one JSON file.

What there is to read and to write follows from the fields of the result's class (see `results.stored`); the JSON file
has the name of the kind. A run of an earlier version has no checksums, and is read without.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DamagedRunError
from ..layout import Layout
from ..results.stored import arrays_of, facts_of
from . import atomic, records
from .kinds import KINDS, kind_of
from .read import confirm, is_there, opened, read_array, read_json


def read_result(folder: Path, root: Path, kind: str, layout: Layout, *, parts: Collection[str] | None = None) -> Any:
    """The result in a folder.

    Args:
        folder: where it is.
        root: the run directory.
        kind: one of `KINDS`.
        layout: of its analysis.
        parts: which parts of it to read beside its core; default all that are there.

    Raises:
        DamagedRunError: something in it is missing, is not what it should be, or is not what was stored.
    """
    file = folder / f"{kind}.json"
    record = read_json(file, root)
    checksums = records.confirm_result(file, kind, record)
    has_checksums = "checksums" in record
    type_ = KINDS[kind].result
    optional = {name for name, wanted in arrays_of(type_).items() if wanted.part}
    found: dict[str, Any] = {}
    for name, wanted in arrays_of(type_).items():
        path = folder / f"{name}.npy"
        if name in optional:
            if parts is not None and wanted.part not in parts:
                continue
            if path.name not in checksums and not is_there(path, root):
                continue
        if has_checksums and path.name not in checksums:
            raise DamagedRunError(f"{file} is damaged: it has no checksum of {path.name}")
        array = read_array(path, root, wanted.types, wanted.axes, checksum=checksums.get(path.name))
        if what := wanted.wrong(array):
            raise DamagedRunError(f"{path} is damaged: {what}")
        found[name] = array.astype(np.int64) if array.dtype == np.int32 else array
    facts = {name: record[name] for name in facts_of(type_) if name in record}
    try:
        result = type_(**found, **facts, provenance=dict(record["provenance"]))
        KINDS[kind].check(result, layout)
    except (ValueError, TypeError) as error:
        suspects = [name for name in found if name in str(error)] or list(found)
        names = ", ".join(f"{name}.npy" for name in suspects)
        raise DamagedRunError(f"{folder} is damaged: {error} (of {names}, {file.name})") from None
    return result


def write_result(folder: Path, result: Any, narrow: Mapping[str, type[np.floating]]) -> None:
    """Fill the folder of a result.

    Args:
        folder: an empty one.
        result: of one of the `KINDS`.
        narrow: coarser types for some of its arrays.
    """
    checksums = {}
    for name in arrays_of(result):
        array = getattr(result, name)
        if array is None:
            continue
        if name in narrow:
            array = array.astype(narrow[name])
        elif array.dtype == np.int64 and kind_of(result) == "tree":
            array = array.astype(np.int32)  # a graph is a matrix in memory, so 32 bits number its vertices
        checksums[f"{name}.npy"] = atomic.write_array(folder / f"{name}.npy", array)
    facts = {name: getattr(result, name) for name in facts_of(result)}
    atomic.write_json(
        folder / f"{kind_of(result)}.json",
        {**facts, "provenance": dict(result.provenance), "checksums": checksums},
    )


def read_old_measures(folder: Path, root: Path, kind: str) -> dict[str, Any] | None:
    """What an earlier version stored beside a spectrum, of the experiment's own measures; `None` where it did not."""
    file = folder / "measures.json"
    facts = read_json(folder / f"{kind}.json", root)
    checksum = facts.get("checksums", {}).get(file.name) if isinstance(facts.get("checksums", {}), dict) else None
    if checksum is None and not is_there(file, root):
        return None
    value = read_json(file, root)
    if checksum is not None:
        with opened(file, root) as stream:
            confirm(file, stream.read(), checksum)
    return value
