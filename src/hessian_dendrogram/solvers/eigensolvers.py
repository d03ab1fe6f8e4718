"""The two eigensolvers as objects that an analysis holds: every eigenvalue, or both ends of the spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from ..errors import InterruptedSolverError
from ..operators.operator import CurvatureOperator
from ..results.spectrum import Spectrum
from .exact import checked_memory, exact_spectrum
from .lanczos import check_options, lanczos_spectrum


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Every eigenvalue, by `exact_spectrum`.

    Attributes:
        vectors: eigenvectors to store at each end, or `"all"`.
    """

    kind: ClassVar[str] = "spectrum"
    ending: ClassVar[str] = ""
    takes_many_products: ClassVar[bool] = False
    vectors: int | Literal["all"] = 50

    def check(self, size: int) -> None:
        """Refuse a matrix that does not fit in memory."""
        checked_memory(size)

    def configuration(self, size: int) -> dict[str, Any]:  # noqa: ARG002
        """Solver and stored vectors."""
        return {"solver": "exact", "vectors": self.vectors}

    def solve(self, operator: CurvatureOperator, *, seed: int, progress: bool) -> Spectrum:
        """The spectrum."""
        found = exact_spectrum(operator, vectors=self.vectors, seed=seed, progress=progress)
        return for_storage(found, self.vectors)


@dataclass(frozen=True, kw_only=True)
class Lanczos:
    """Both ends of the spectrum, by `lanczos_spectrum`.

    Attributes:
        options: of that function, by name (`top`, `bottom`, `tolerance`, ...).
        vectors: eigenvectors to store at each end, or `"all"`.
    """

    kind: ClassVar[str] = "spectrum"
    ending: ClassVar[str] = ""
    takes_many_products: ClassVar[bool] = True
    options: Mapping[str, Any] = field(default_factory=dict)
    vectors: int | Literal["all"] = 50

    def check(self, size: int) -> None:
        """Refuse options that are none, or do not go with the size or the memory."""
        check_options(size, **self.options)

    def configuration(self, size: int) -> dict[str, Any]:  # noqa: ARG002
        """Solver with the options that were given, and stored vectors."""
        return {"solver": {"lanczos": dict(self.options)}, "vectors": self.vectors}

    def solve(self, operator: CurvatureOperator, *, seed: int, progress: bool) -> Spectrum:
        """The spectrum; InterruptedSolverError has what had been found."""
        try:
            return for_storage(lanczos_spectrum(operator, **self.options, seed=seed, progress=progress), self.vectors)
        except InterruptedSolverError as error:
            error.spectrum = for_storage(error.spectrum, self.vectors)
            raise


def for_storage(spectrum: Spectrum, vectors: int | Literal["all"]) -> Spectrum:
    """The same with the eigenvectors alone that are to be stored: `vectors` of each end."""
    count, at = len(spectrum.eigenvalues), spectrum.vector_indices
    if vectors == "all":
        return spectrum
    bottom, top = min(vectors, spectrum.num_bottom), min(vectors, spectrum.num_top)
    stored = (at < bottom) | (at >= count - top)
    return replace(spectrum, eigenvectors=spectrum.eigenvectors[:, stored], vector_indices=at[stored])
