"""The small end of a memorised network's spectrum: how many pairs come out for how many products, whatever block.

A Krylov basis that is never restarted is the most that products can give; it is held whole here, without the memory
budget of `lanczos_spectrum`. "a, then b" finds outliers at the top with blocks of a vectors, keeps those that have
converged, and goes on with blocks of b from a random start in their complement. A pair counts where its residual is at
most 1e-3 of the smallest eigenvalue's magnitude and none before it is above.

    python benchmarks/small_end.py --run results/modular-addition-30 --step 10000
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from common import parser, report

from hessian_dendrogram import Hessian, Run
from hessian_dendrogram.experiments.modular_addition import Transformer, loss, split
from hessian_dendrogram.solvers.krylov import KrylovBasis

TOLERANCE = 1e-3  # of |λ_min|
TOP_TOLERANCE = 1e-6  # of λ_max
FIRST = 2500  # products before the block changes


def counts(hessian: Hessian, first: int, then: int, marks: list[int]) -> list[list[str]]:
    """A row for each mark: products, pairs at the top and at the bottom, λ of the 200th from below, seconds."""
    krylov = KrylovBasis(hessian, marks[-1] + first, seed=0)
    krylov.start(first)
    start, rows, name = time.perf_counter(), [], f"{first}" if first == then else f"{first}, then {then}"
    changed = first == then
    for mark in marks:
        while krylov.products < mark and not krylov.is_full:
            krylov.expand()
            if not changed and krylov.products >= FIRST:
                values, S, residuals = krylov.ritz()
                kept = leading(residuals.flip(0) <= TOP_TOLERANCE * float(values[-1]))
                krylov.restart(S[:, -kept:], values[-kept:])
                krylov.start(then)
                changed = True
        values, _, residuals = krylov.ritz()
        top = leading(residuals.flip(0) <= TOP_TOLERANCE * float(values[-1]))
        bottom = leading(residuals <= TOLERANCE * float(values[0].abs()))
        seconds = time.perf_counter() - start
        rows.append([name, f"{krylov.products:,}", f"{top:,}", f"{bottom}", f"{values[199]:.2e}", f"{seconds:.0f}"])
        print(rows[-1], flush=True)
    return rows


def leading(mask: torch.Tensor) -> int:
    """How many are true before the first that is not."""
    return int(mask.int().cumprod(0).sum())


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--run", type=Path, required=True)
    options.add_argument("--step", type=int, required=True)
    options.add_argument("--fraction", type=float, default=0.3)
    options.add_argument("--blocks", default="16,16 4,4", help="first and then, pairs of them")
    options.add_argument("--marks", default="3000,4000,5000", help="products")
    chosen = options.parse_args()
    model = Transformer().double()
    weights = Run(chosen.run).weights(chosen.step)
    model.load_state_dict({name: torch.as_tensor(np.array(array)) for name, array in weights.items()})
    data, _ = split(None, fraction=chosen.fraction)
    hessian = Hessian(model, loss, data, batch_size=len(data[1]))
    hessian.take_fastest()
    marks = [int(mark) for mark in chosen.marks.split(",")]
    rows = []
    for pair in chosen.blocks.split():
        first, then = map(int, pair.split(","))
        rows += counts(hessian, first, then, marks)
    caption = (
        f"Modular addition, {hessian.shape[0]:,} parameters, step {chosen.step:,}, float64, {torch.get_num_threads()} "
        "thread(s), basis never restarted."
    )
    header = ["block", "products", "converged at the top", "at the bottom", "200th Ritz value", "s"]
    report("small end", caption, [header, *rows], chosen.into)


if __name__ == "__main__":
    main()
