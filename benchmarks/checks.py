"""What the checks before the first product cost: the making of a Hessian against one gradient of all its samples.

Of the making of each Hessian the least time counts; the samples are noise.

    python benchmarks/checks.py --samples 60000
"""

from __future__ import annotations

import torch
from common import best_of, parser, report
from torch.nn import functional as F

from hessian_dendrogram import Hessian
from hessian_dendrogram.experiments.mnist import lenet_tiny


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--samples", type=int, default=60_000)
    options.add_argument("--repeats", type=int, default=3)
    chosen = options.parse_args()
    torch.manual_seed(0)
    model = lenet_tiny().double()
    data = torch.randn(chosen.samples, 1, 28, 28), torch.randint(10, (chosen.samples,))
    first = Hessian(model, F.cross_entropy, data)

    def gradient() -> None:
        for batch in first.risk.data.batches():
            first.risk.gradient_of_batch(batch)

    rows = {
        "one gradient of all samples": gradient,
        "a Hessian with its checks": lambda: Hessian(model, F.cross_entropy, data),
        "a later one of the same analysis": lambda: Hessian(model, F.cross_entropy, data, checks_of=first),
    }
    taken = {name: best_of(chosen.repeats, work) for name, work in rows.items()}
    unit = taken["one gradient of all samples"]
    table = [[name, f"{value:.2f}", f"{value / unit:.2f}"] for name, value in taken.items()]
    threads = torch.get_num_threads()
    caption = f"LeNet-tiny, {chosen.samples:,} samples, float64, {threads} threads; least of {chosen.repeats}."
    report("checks", caption, [["work", "s", "times a gradient"], *table], chosen.into)


if __name__ == "__main__":
    main()
