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

from .clusterings import RULES
from .figure import draw
from .graphs import CHOSEN
from .measure import (
    ADDITION,
    FIXED_ON,
    INDUCTION,
    LARGE,
    LARGE_SEEDS,
    REPORTED_ON,
    SEEDS_OF_DIRECTIONS,
    SEEDS_OF_PLANTED,
    measure,
)
from .tables import (
    BEST,
    TODAY,
    best_cut,
    choice,
    costs,
    cuts,
    dial,
    directions,
    groups,
    nulls,
    onsets,
    seeds_of,
    series,
)


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
    fixed, reported = (", ".join(map(str, seeds)) for seeds in (FIXED_ON, REPORTED_ON))
    planted = ", ".join(str(seed) for seed in SEEDS_OF_PLANTED if seed in REPORTED_ON)
    of_directions = ", ".join(map(str, SEEDS_OF_DIRECTIONS))
    large = ", ".join(map(str, LARGE_SEEDS))
    cut = best_cut("groups")
    for name, caption, rows in (
        (
            "score of groups",
            f"Adjusted Rand index: k given / by {' / by '.join(RULES)}; means over seeds {reported} ({planted} of "
            f"planted networks; {large} of addition modulo 113, the published weights of 42). First the default of "
            f"`fiedler` (Hessian, {TODAY}), then the {BEST} "
            f"combinations that are best on seeds {fixed}, then every graph cut by {cut}, the tree that is best on "
            "average there.",
            groups(),
        ),
        ("choice for groups", f"The ten best combinations on seeds {fixed}, groups; k given.", choice("groups")),
        ("choice for parameters", "The same of parameters.", choice("parameters")),
        ("cuts of groups", f"Means over all matrices and networks, seeds {fixed}, groups.", cuts("groups")),
        ("cuts of parameters", "The same of parameters.", cuts("parameters")),
        (
            "nulls of groups",
            f"Index of the {CHOSEN}, divided, and of graphs without curvature, against the final truth; spectral "
            "clustering, k given: mean and range.",
            nulls(),
        ),
        (
            "dial",
            f"Adjusted Rand index of the Hessian's clusters, seeds {planted}, k given where nothing else is said.",
            dial(),
        ),
        (
            "score of directions",
            f"Excess purity over rotated bases at the end: mean and range, seeds {of_directions}.",
            directions(),
        ),
        *(
            (
                f"onsets of {title}",
                f"Seeds {seeds}; a threshold is the largest value at step 0 and under shuffled labels plus the "
                f"range of these, seeds {fixed}.",
                onsets(name),
            )
            for title, name, seeds in (
                ("sparse parity", "sparse-parity", reported),
                ("addition, 53", ADDITION, reported),
                ("addition, 113", LARGE, large),
                ("induction", INDUCTION, reported),
            )
            if any(series(name, seed) for seed in seeds_of(name))  # otherwise there is nothing to tell yet
        ),
        ("costs", "Processor seconds on one thread, the median over seeds.", costs()),
    ):
        report(name, caption, rows, chosen.into)
        print()
    draw()


if __name__ == "__main__":
    main()
