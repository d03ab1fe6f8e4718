"""Time and peak memory of an exact Hessian over the number of samples: the one grows in proportion, the other does not.

Each row is a process of its own; its peak counts everything, the samples and the libraries included.

    python benchmarks/samples.py --samples 1000 4000 16000
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


def measure(samples: int, dtype: torch.dtype) -> None:
    """Print the seconds for one matrix and the peak memory of the process in bytes."""
    torch.manual_seed(0)
    H = Hessian(
        lenet_tiny().to(dtype),
        nn.functional.cross_entropy,
        (torch.randn(samples, 1, 28, 28), torch.randint(10, (samples,))),
    )
    start = time.perf_counter()
    H.to_dense()
    unit = 1 if sys.platform == "darwin" else 1024
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--samples", type=int, nargs="+", default=[1000, 4000, 16000])
    options.add_argument("--dtype", choices=["float32", "float64"], default="float64")
    options.add_argument("--one", type=int, help=None)
    chosen = options.parse_args()
    if chosen.one:
        measure(chosen.one, getattr(torch, chosen.dtype))
        return
    table = []
    for samples in chosen.samples:
        command = [sys.executable, __file__, "--dtype", chosen.dtype, "--one", str(samples)]
        seconds, peak = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        images = 784 * 4 * samples
        table.append([f"{samples:,}", f"{seconds:.1f}", f"{1e3 * seconds / samples:.2f}", *_megabytes(peak, images)])
    header = ["samples", "s", "ms per sample", "peak memory, MB", "without the samples, MB"]
    caption = f"LeNet-tiny, 5,994 parameters, {chosen.dtype}, {os.cpu_count()} cores."
    report("samples", caption, [header, *table], chosen.into)


def _megabytes(peak: float, images: int) -> list[str]:
    return [f"{peak / 1e6:,.0f}", f"{(peak - images) / 1e6:,.0f}"]


if __name__ == "__main__":
    main()
