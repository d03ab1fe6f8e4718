"""Time and peak memory of an exact Hessian over the number of samples: the one grows in proportion, the other does not.

Each row is a process of its own; its peak counts everything, the samples and the libraries included.

    python benchmarks/samples.py --samples 500 2000 8000
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

import torch
from common import parser, report
from torch import nn

from hessian_dendrogram import Hessian
from hessian_dendrogram.experiments.mnist import lenet_tiny
from hessian_dendrogram.operators.layerwise.assembly import MEMORY_BUDGET


def measure(samples: int, dtype: torch.dtype, budget: int) -> None:
    """Print the seconds for the second of two matrices and the peak memory of the process in bytes."""
    torch.manual_seed(0)
    H = Hessian(
        lenet_tiny().to(dtype),
        nn.functional.cross_entropy,
        (torch.randn(samples, 1, 28, 28), torch.randint(10, (samples,))),
    )
    H.to_dense(memory_budget=budget)
    start = time.perf_counter()
    H.to_dense(memory_budget=budget)
    unit = 1 if sys.platform == "darwin" else 1024
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--samples", type=int, nargs="+", default=[500, 2000, 8000])
    options.add_argument("--dtype", choices=["float32", "float64"], default="float64")
    options.add_argument("--one", type=int, help="measure this many samples alone, in this process")
    options.add_argument("--budget", type=int, default=MEMORY_BUDGET // 2**20, help="memory budget in MiB, with --one")
    chosen = options.parse_args()
    if chosen.one:
        measure(chosen.one, getattr(torch, chosen.dtype), chosen.budget * 2**20)
        return
    table = []
    for samples in chosen.samples:
        command = [sys.executable, __file__, "--dtype", chosen.dtype, "--one", str(samples)]
        seconds, peak = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        images = 784 * 4 * samples
        table.append([f"{samples:,}", f"{seconds:.1f}", f"{1e3 * seconds / samples:.2f}", *_megabytes(peak, images)])
    header = ["samples", "s", "ms per sample", "peak memory, MB", "without the samples, MB"]
    caption = f"LeNet-tiny, 5,994 parameters, {chosen.dtype}, {os.cpu_count()} cores; the second matrix of two."
    report("samples", caption, [header, *table], chosen.into)

    table = []
    for budget in (32, 128, 256, 1024):
        command = [sys.executable, __file__, "--dtype", chosen.dtype, "--one", "1000", "--budget", str(budget)]
        seconds, peak = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        table.append([f"{budget:,}", f"{seconds:.2f}", f"{peak / 1e6:,.0f}"])
    caption = f"LeNet-tiny, 1,000 samples, {chosen.dtype}, {os.cpu_count()} cores; the second matrix of two."
    report("budgets", caption, [["memory budget, MiB", "s", "peak memory, MB"], *table], chosen.into)


def _megabytes(peak: float, images: int) -> list[str]:
    return [f"{peak / 1e6:,.0f}", f"{(peak - images) / 1e6:,.0f}"]


if __name__ == "__main__":
    main()
