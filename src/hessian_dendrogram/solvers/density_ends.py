"""What a density knows of both ends of the spectrum before its probes are drawn: the eigenpairs that converge there."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import HessianDendrogramError, InterruptedSolverError
from ..operators.operator import CurvatureOperator
from ..results.spectrum import Spectrum
from .lanczos import lanczos_spectrum


def known_ends(
    operator: CurvatureOperator, ends: int, max_products: int, memory_budget: int, seed: int, progress: bool
) -> tuple[Spectrum | None, int]:
    """The eigenpairs at both ends that converged, `None` where there are none, and how many products that took."""
    n = operator.shape[0]
    if not ends:
        return None, 0
    try:
        found = lanczos_spectrum(
            operator,
            top=min(ends, n),
            bottom=min(ends, n),
            max_products=max(max_products, 1),
            memory_budget=memory_budget,
            trace_probes=0,
            seed=seed,
            progress=progress,
        )
    except InterruptedSolverError as error:
        raise HessianDendrogramError(f"the ends of the spectrum were not found: {error}") from error
    parts = [np.arange(len(found.eigenvalues))[part] for part in found.segments().values()]
    products = int(found.provenance["products"])
    if not parts:
        return None, products
    kept = np.concatenate(parts)
    numbers = {name: part.stop - part.start for name, part in found.segments().items()}
    return Spectrum(
        eigenvalues=found.eigenvalues[kept],
        error_bounds=found.error_bounds[kept],
        dim=n,
        num_bottom=n if len(kept) == n else numbers.get("bottom", 0),
        num_top=n if len(kept) == n else numbers.get("top", 0),
        eigenvectors=found.eigenvectors[:, kept],
        vector_indices=np.arange(len(kept)),
        provenance=found.provenance,
    ), products


def eigenvectors_of(operator: CurvatureOperator, known: Spectrum | None) -> Tensor:
    """The known eigenvectors as rows: shape (k, n)."""
    if known is None:
        return torch.empty(0, operator.shape[0], dtype=torch.float64, device=operator.device)
    return torch.from_numpy(np.ascontiguousarray(known.eigenvectors.T)).to(operator.device)
