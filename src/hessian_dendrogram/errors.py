"""The errors this package raises on purpose; the command shows each as one line.

`exit_code` is what the command exits with: 2 where the caller's input is at fault, 1 where the world is (a damaged
file, a run that diverged, a directory that another process is writing).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent
_INSTALLED = ("site-packages", "dist-packages")  # in the paths of code that is not the user's either
_REMEDIES = {
    "dtype": "let its constants take the type of what they meet, or give the operator theirs by dtype=",
    "scalar type": "let its constants take the type of what they meet, or give the operator theirs by dtype=",
    "Checkpointing is not compatible": "checkpoint with use_reentrant=False",
}


class HessianDendrogramError(Exception):
    """Base of every error raised on purpose, apart from plain `ValueError` and `OSError`."""

    exit_code = 1


class UserError(HessianDendrogramError, ValueError):
    """The input is wrong; the message says what was received and what would be right."""

    exit_code = 2


class DamagedRunError(HessianDendrogramError):
    """A file of a run directory cannot be read as what it should be."""


class NotFiniteError(DamagedRunError, UserError):
    """Weights that were given, or that are stored, are infinite or NaN."""

    exit_code = 2


class LockedRunError(HessianDendrogramError):
    """Another process is writing to the run directory."""


class InterruptedSolverError(HessianDendrogramError):
    """The operator failed after some products.

    Attributes:
        spectrum: what had been found, a `Spectrum`.
    """

    def __init__(self, message: str, spectrum: Any) -> None:
        super().__init__(message)
        self.spectrum = spectrum


class TrainingDivergedError(HessianDendrogramError):
    """The training loss or the weights stopped being finite."""


@contextmanager
def user_errors(what: str) -> Iterator[None]:
    """Whatever the user's own functions raise, as one line that says where, and what could mend it.

    Raises:
        UserError: instead of any other exception, but for those of files.
    """
    try:
        yield
    except (HessianDendrogramError, OSError):
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        text = text if len(text) <= 300 else f"{text[:300]}..."
        remedy = next((remedy for key, remedy in _REMEDIES.items() if key in text), None)
        said = f"{what}: {type(error).__name__}: {text}{_place(error)}"
        raise UserError(said + (f"; {remedy}" if remedy else "")) from error


def _place(error: Exception) -> str:
    """The last line of the user's own code that was reached."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.suffix == ".py" and _PACKAGE not in file.parents and not {*_INSTALLED} & {*file.parts}:
            return f" ({file.name}, line {frame.lineno})"
    return ""
