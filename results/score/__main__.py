"""The score of methods that look for circuits, on networks whose circuits are known.

What is in `results/circuits` is not measured again; what is missing is, which trains the networks in `runs/circuits`
and takes hours for all of it. Both can be interrupted. Then the tables and the figures are written.

    python -m results.score --into docs/results/circuits.md               # measure what is missing, and the tables
    python -m results.score --only sparse-parity modular-addition-53-42   # measure these alone, and no tables
    python -m results.score --tables --into docs/results/circuits.md      # tables and figures of what there is
"""

from __future__ import annotations

import torch
from benchmarks.common import parser, report

from .figure import draw
from .measure import measure
from .page import tables


def main() -> None:
    """Measure, and print the tables."""
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", metavar="NAME", default=[], help="networks whose name begins so")
    options.add_argument("--tables", action="store_true", help="measure nothing")
    chosen = options.parse_args()
    torch.set_num_threads(1)  # so that the numbers are those of any machine with as many digits
    if not chosen.tables:
        measure(chosen.only)
    if chosen.only:
        return
    for name, caption, rows in tables():
        report(name, caption, rows, chosen.into)
        print()
    draw()


if __name__ == "__main__":
    main()
