"""Checkpoints: where weights come from. Anything with `steps()` and `load(step, model)` is a source of them.

One checkpoint is in memory at a time, however many there are. The steps are those of training, whole and ascending.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import nn

from ..errors import UserError
from ..store import Run
from ..texts import escaped
from .checkpoint_files import find_checkpoints
from .naming import matched
from .pretrained import pretrained_in, read_pretrained
from .shards import INDICES, shards_of
from .state_dicts import read_chosen
from .weights import fit_state, load_weights

logger = logging.getLogger(__name__)


@runtime_checkable
class Checkpoints(Protocol):
    """Weights of one network at several steps of its training."""

    def steps(self) -> Sequence[int]:
        """The training steps that there are weights of."""

    def load(self, step: int, model: nn.Module) -> None:
        """Put the weights of a step into a model, in place, all of them."""


@dataclass(frozen=True)
class RunCheckpoints:
    """The checkpoints of a run directory."""

    run: Run

    def steps(self) -> list[int]:
        """Those that are stored."""
        return self.run.steps()

    def load(self, step: int, model: nn.Module) -> None:
        """See `load_weights`."""
        load_weights(model, self.run, step)


class FileCheckpoints:
    """State dicts in files, which must stay as they are while they are read.

    Args:
        files: by step.
        prefix: what stands before the model's names in them, where that could be several; or the key of the dictionary
            to take, such as `ema`.
        tell: gets a line for everything that is changed to make them fit.
    """

    def __init__(
        self,
        files: Mapping[int, Path],
        *,
        prefix: str | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> None:
        self._files = dict(files)
        self.prefix, self._tell, self._said = prefix, tell or logger.info, set[str]()
        self._at_first = {step: _state_of(file) for step, file in self._files.items()}

    @classmethod
    def found(
        cls,
        path: Path,
        step: int | None = None,
        *,
        prefix: str | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> FileCheckpoints:
        """Those in a folder, or the one file; see `find_checkpoints`."""
        return cls(find_checkpoints(path, step, tell=tell), prefix=prefix, tell=tell)

    def steps(self) -> list[int]:
        """Those of the files, ascending."""
        return sorted(self._files)

    def load(self, step: int, model: nn.Module) -> None:
        """Read the file of a step.

        Raises:
            UserError: it cannot be read, does not fit the model, has weights that are not finite, or is not what it
                was when its step was found.
        """
        file = self._files[step]
        if _state_of(file) != self._at_first[step]:
            raise UserError(
                f"{escaped(file)} changed while the files were read, and its step may be another one now; run again "
                "once nothing writes to it"
            )
        chosen = read_chosen(file, self.prefix.rstrip(".") if self.prefix else None)
        is_key = chosen.is_wanted and not any(name.startswith(self.prefix or "") for name in chosen.state)
        found = matched(chosen.state, model, None if is_key else self.prefix)
        said = [*chosen.said, *found.said]
        if found.state.keys() - model.state_dict().keys() and (inner := pretrained_in(model)):
            found = matched(read_pretrained(found.state, inner, escaped(file)), model)
            said = [*chosen.said, f"names changed by {type(inner).__name__}.from_pretrained", *found.said]
        fit_state(model, found.state, f"{escaped(file)} (step {step})")
        for line in said:
            if line not in self._said:  # once, and not for each of a thousand files
                self._said.add(line)
                self._tell(f"{escaped(file.name)}: {line}")


def _state_of(file: Path) -> list[tuple[str, int, int]]:
    """What changes when somebody writes to a file, to the files that an index names, or into a folder."""
    files = [file]
    if file.name.endswith(INDICES):
        files += [file.parent / shard for shard in shards_of(file)]
    elif file.is_dir():
        files += sorted(file.iterdir())
    return [(one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in files]
