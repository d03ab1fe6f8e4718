"""One full-batch training step of modular addition: the factored forward against the network for arbitrary tokens.

Both compute the same logits (a test says so); a step is forward, loss and backward on all training pairs.

    python benchmarks/training_step.py
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from common import best_of, parser, report
from torch import Tensor

from hessian_dendrogram.experiments.modular_addition import Transformer, loss, split


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--fraction", type=float, default=0.3)
    chosen = options.parse_args()
    (tokens, answers), _ = split(None, fraction=chosen.fraction)
    rows = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(0)
        model = Transformer().to(dtype)

        def step(forward: Callable[[Tensor], Tensor], model: Transformer = model) -> None:
            model.zero_grad()
            loss(forward(tokens), answers).backward()

        ways = {"arbitrary tokens": model.forward_any, "factored": model.forward}
        seconds = dict.fromkeys(ways, float("inf"))
        for _ in range(10):  # in turns, since other work on the machine comes and goes
            for name, forward in ways.items():
                seconds[name] = min(seconds[name], best_of(3, lambda forward=forward: step(forward)))  # type: ignore[misc]
        for name, time in seconds.items():
            ratio = seconds["arbitrary tokens"] / time
            rows.append([str(dtype).removeprefix("torch."), name, f"{1e3 * time:.1f}", f"{ratio:.1f}"])
    caption = f"Modular addition, {len(answers):,} pairs, {torch.get_num_threads()} threads, the least of 30 steps."
    report("training_step", caption, [["dtype", "forward", "step, ms", "times as fast"], *rows], chosen.into)


if __name__ == "__main__":
    main()
