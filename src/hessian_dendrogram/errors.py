"""The errors this package raises on purpose; the command shows each as one line.

`exit_code` is what the command exits with: 2 where the caller's input is at fault, 1 where the world is (a damaged
file, a run that diverged, a directory that another process is writing).
"""

from typing import Any


class HessianDendrogramError(Exception):
    """Base of every error raised on purpose, apart from plain `ValueError` and `OSError`."""

    exit_code = 1


class UserError(HessianDendrogramError, ValueError):
    """The input is wrong; the message says what was received and what would be right."""

    exit_code = 2


class DamagedRunError(HessianDendrogramError):
    """A file of a run directory cannot be read as what it should be."""


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
