"""Every eigenvalue of a dense symmetric matrix, with none, some or all eigenvectors: this package and LAPACK's drivers.

python benchmarks/dense_eigensolver.py --size 5994
"""

from __future__ import annotations

import numpy as np
import torch
from common import best_of, parser, report
from scipy.linalg import eigh

from hessian_dendrogram.solvers.exact import symmetric_eigenpairs


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--size", type=int, default=5994)
    chosen = options.parse_args()
    n = chosen.size
    A = np.random.default_rng(0).standard_normal((n, n))
    A = A + A.T
    tensor = torch.from_numpy(A)
    ends = np.r_[0:50, n - 50 : n]
    seconds = {
        "this package, no vectors": best_of(2, lambda: symmetric_eigenpairs(A, np.arange(0))),
        "this package, 50 + 50 vectors": best_of(2, lambda: symmetric_eigenpairs(A, ends)),
        "this package, all vectors": best_of(1, lambda: symmetric_eigenpairs(A, np.arange(n))),
        "torch.linalg.eigvalsh, no vectors": best_of(2, lambda: torch.linalg.eigvalsh(tensor)),
        "torch.linalg.eigh, all vectors": best_of(1, lambda: torch.linalg.eigh(tensor)),
        "scipy.linalg.eigh, twice, 50 vectors each": best_of(
            1, lambda: [eigh(A, subset_by_index=[first, first + 49]) for first in (0, n - 50)]
        ),
    }
    base = seconds["torch.linalg.eigvalsh, no vectors"]
    table = [[name, f"{t:.1f}", f"{t / base:.2f}"] for name, t in seconds.items()]
    caption = f"A symmetric matrix of size {n:,}, float64, {torch.get_num_threads()} threads."
    report("dense_eigensolver", caption, [["way", "s", "times eigvalsh"], *table], chosen.into)


if __name__ == "__main__":
    main()
