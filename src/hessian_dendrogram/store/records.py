"""What the JSON files of a run must hold, as far as anybody reads it: types and ranges of the known keys.

Keys that are not known here stay as they are, so that a newer program may add some. A key that is missing is what an
older one did not write, unless it is named as needed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..errors import DamagedRunError, UserError
from ..layout import Layout
from ..results.stored import facts_of
from ..results.tree import LAPLACIANS, SPLITS
from .kinds import KINDS

_LARGEST = 2**53  # a count beyond it is no whole number to a program that takes it for a floating-point one
_LARGEST_MODEL = 2**40  # parameters
Check = Callable[[Any], bool]


def _whole(least: int, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST


def _count(value: Any) -> bool:
    return _whole(0, value)


def _positive(value: Any) -> bool:
    return _whole(1, value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _mapping_of(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


_WORDS = {  # what a check that failed wanted
    _count: "a whole number, 0 or more",
    _positive: "a whole number, 1 or more",
    _number: "a number",
    _text: "text",
    _texts: "a list of texts",
}
_RUN = {
    "experiment": _text, "source_sha256": _text, "seed": _count, "steps": _count, "log_every": _positive,
    "batch_size": _or_none(_positive), "evaluate_every": _or_none(_positive), "checkpoints": _text,
    "training_samples": _positive, "training_data_sha256": _text, "test_data_sha256": _or_none(_text),
}  # fmt: skip
_ENVIRONMENT = {
    "device": _text, "threads": _positive, "machine": _text, "versions": _mapping_of(_text),
    "optimizer": _text, "left_out": _texts, "products_by": _text, "samples_at_once": _positive,
    "source_sha256": _text, "run_source_sha256": _text,
}  # fmt: skip
_ANALYSIS = {
    "operator": _text, "samples": _positive, "samples_total": _positive, "sample_order_seed": _or_none(_count),
    "dtype": _text, "solver": lambda value: isinstance(value, str | dict),
    "vectors": lambda value: value == "all" or _count(value),
    "laplacian": lambda value: value in LAPLACIANS, "split": lambda value: value in SPLITS, "min_size": _positive,
}  # fmt: skip
_PROVENANCE = {
    "operator": _text, "samples": _positive, "samples_total": _positive, "dtype": _text, "solver": _text,
    "products": _count, "products_by": _text, "assembled_by": _text, "left_out": _texts, "seed": _count,
    "restarts": _count, "stored_vectors": _text, "interrupted": _text, "roundoff": _number,
    "error_sources": _mapping_of(_number), "tolerances": _mapping_of(_number), "trace": _mapping_of(_number),
    "source_sha256": _text, "run_source_sha256": _text,
}  # fmt: skip
_CHECKSUM = re.compile("[0-9a-f]{64}")


def _confirm(file: Path, place: str, record: Any, checks: Mapping[str, Check]) -> None:
    if not isinstance(record, dict):
        raise DamagedRunError(f"{file} is damaged: its {place} should be a mapping, and is {_shown(record)}")
    for key, check in checks.items():
        if key in record and not check(record[key]):
            wanted = f"should be {_WORDS[check]}, and is" if check in _WORDS else "cannot be"
            raise DamagedRunError(f"{file} is damaged: {key} {wanted} {_shown(record[key])}")


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def confirm_run(file: Path, record: Mapping[str, Any]) -> Layout:
    """Check a run.json but for its version, and give its layout."""
    _confirm(file, "configuration", record.get("configuration", {}), _RUN)
    _confirm(file, "provenance", record.get("provenance", {}), _ENVIRONMENT)
    return _layout(file, record.get("layout"))


def _layout(file: Path, entries: Any) -> Layout:
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict)
        and _text(entry.get("name"))
        and isinstance(entry.get("shape"), list)
        and all(map(_count, entry["shape"]))
        for entry in entries
    ):
        raise DamagedRunError(f"{file} is damaged: its layout cannot be read; it should list names and shapes")
    if sum(prod(entry["shape"]) for entry in entries) > _LARGEST_MODEL:
        raise DamagedRunError(f"{file} is damaged: its layout has more than {_LARGEST_MODEL:,} parameters")
    try:
        return Layout.from_json(entries)
    except ValueError as error:
        raise DamagedRunError(f"{file} is damaged: its layout cannot be read: {error}") from None


def confirm_analysis(file: Path, record: Mapping[str, Any]) -> Layout | None:
    """Check an analysis.json, and give its layout, where that is its own."""
    if "configuration" not in record:
        raise DamagedRunError(f"{file} is damaged: it has no configuration")
    _confirm(file, "configuration", record["configuration"], _ANALYSIS)
    _confirm(file, "provenance", record.get("provenance", {}), _ENVIRONMENT)
    kind = record.get("kind", "spectrum")
    if not (isinstance(kind, str) and kind in KINDS):
        raise DamagedRunError(
            f"{file} is damaged, or of a newer version: its kind cannot be {_shown(kind)}; there are {', '.join(KINDS)}"
        )
    return own_layout(file, record)


def own_layout(file: Path, record: Mapping[str, Any]) -> Layout | None:
    """The layout of an analysis, where that is not the run's."""
    if "layout" not in record:
        return None
    layout, groups = _layout(file, record["layout"]), record.get("groups", {})
    try:
        if not isinstance(groups, dict) or not all(map(_is_runs, groups.values())):
            raise UserError("they should be lists of four whole numbers by name")
        return layout.with_groups_from_json(groups)
    except UserError as error:
        raise DamagedRunError(f"{file} is damaged: its groups of parameters cannot be read: {error}") from None


def _is_runs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(run, list) and len(run) == 4 and all(map(_count, run)) for run in value
    )


def confirm_result(file: Path, kind: str, record: Mapping[str, Any]) -> dict[str, str]:
    """Check the JSON file of a result, and give the checksums of the files beside it."""
    needed, known = _facts(KINDS[kind].result)  # type: ignore[arg-type]
    _confirm(file, "content", record, known)
    if missing := [key for key in (*needed, "provenance") if key not in record]:
        raise DamagedRunError(f"{file} is damaged: it has no {missing[0]}")
    _confirm(file, "provenance", record["provenance"], _PROVENANCE)
    return _checksums(file, record)


@cache
def _facts(type_: Hashable) -> tuple[list[str], dict[str, Check]]:
    """The facts that every result of a class has, and the check of each that it may have, by its annotation."""
    hints = get_type_hints(type_)
    plain = [one for one in fields(type_) if one.name in facts_of(type_)]  # type: ignore[arg-type]
    needed = [one.name for one in plain if one.default is MISSING and one.default_factory is MISSING]
    return needed, {one.name: check for one in plain if (check := _check_of(hints[one.name]))}


def _check_of(hint: Any) -> Check | None:
    if get_origin(hint) is Literal:
        return lambda value: value in get_args(hint)
    simple: dict[Any, Check] = {int: _count, float: _number, str: _text, bool: lambda value: isinstance(value, bool)}
    return simple.get(hint)


def confirm_training_state(file: Path, record: Mapping[str, Any]) -> None:
    """Check the outer shape of a state.json; what an optimiser kept is its own."""
    groups, state = record.get("groups"), record.get("state")
    if not (isinstance(groups, list) and all(isinstance(group, dict) for group in groups) and isinstance(state, dict)):
        raise DamagedRunError(f"{file} is damaged: it should have the groups and the state of an optimiser")
    if not isinstance(record.get("scheduler", {}), dict):
        raise DamagedRunError(f"{file} is damaged: the state of its scheduler should be a mapping")


def _checksums(file: Path, record: Mapping[str, Any]) -> dict[str, str]:
    found = record.get("checksums", {})
    if not _mapping_of(lambda value: isinstance(value, str) and bool(_CHECKSUM.fullmatch(value)))(found):
        raise DamagedRunError(f"{file} is damaged: its checksums should be 64 hexadecimal digits each")
    return dict(found)


def measures_record(measures: Mapping[str, Any], source_sha256: str) -> dict[str, Any]:
    """What a file of measures holds: they, the hash of the experiment's file, and a checksum."""
    return {"source_sha256": source_sha256, "measures": dict(measures), "checksum": _digest(measures)}


def measures_of(file: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """The measures in such a file, once they are what was stored."""
    found = record.get("measures")
    if not isinstance(found, dict) or _digest(found) != record.get("checksum"):
        raise DamagedRunError(f"{file} is damaged: its content is not what was stored, the checksum differs")
    return found


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
