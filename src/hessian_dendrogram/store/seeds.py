"""A folder of seeds: runs of one experiment that differ in their seed, each in a subfolder of its number."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from ..errors import UserError
from .read import entries, is_there
from .run import Run

logger = logging.getLogger(__name__)

_SEED = re.compile(r"0|[1-9][0-9]{0,18}")
_OWN = {"seed", "steps", "source_sha256"}  # what runs of one experiment may differ in: a longer one has more to show


def seeds_of(folder: Path) -> list[Run]:
    """The runs of a folder of seeds, in the order of their numbers; none where it is no such folder.

    Raises:
        UserError: two of them are runs of different experiments, or a folder has another number than its run's seed.
        DamagedRunError: a run.json cannot be read, or a link leads there.
    """
    if not folder.is_dir() or is_there(folder / "run.json", folder):
        return []
    numbers = sorted(int(name) for name in entries(folder, folder) if _SEED.fullmatch(name))
    places = [folder / str(number) for number in numbers]
    runs = [Run(place) for place in places if is_there(place / "run.json", folder)]
    for run in runs:
        if str(seed := run.configuration.get("seed")) != run.path.name:
            raise UserError(f"{run.path} has the seed {seed}; a folder of seeds has each run under its own number")
        _confirm_alike(runs[0], run)
    if len({run.configuration.get("source_sha256") for run in runs}) > 1:
        logger.warning("the runs in %s were made with different states of the experiment's file", folder)
    return runs


def _confirm_alike(one: Run, other: Run) -> None:
    """Refuse runs of different experiments, whose numbers have no common median."""
    configurations = one.configuration, other.configuration
    for key in sorted({*configurations[0], *configurations[1]} - _OWN):
        first, second = (known.get(key) for known in configurations)
        if first != second:
            raise UserError(
                f"{one.path} and {other.path} are different experiments, and are not shown together: {key} is "
                f"{first!r} and {second!r}"
            )
    if one.layout != other.layout:
        raise UserError(f"{one.path} and {other.path} have different parameters, and are not shown together")
