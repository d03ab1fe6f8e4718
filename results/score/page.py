"""The tables of the page, each with its name and its caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .clusterings import RULES
from .measure import (
    ADDITION,
    FIXED_ON,
    INDUCTION,
    LARGE,
    LARGE_SEEDS,
    REPORTED_ON,
    SEEDS_OF_DIRECTIONS,
    SEEDS_OF_PLANTED,
)
from .tables import (
    BEST,
    TODAY,
    Rows,
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

Table = tuple[str, str, Rows]


def tables() -> Iterator[Table]:
    """Name, caption and rows of every table that there are measurements for."""
    planted = [seed for seed in SEEDS_OF_PLANTED if seed in REPORTED_ON]
    yield (
        "score of groups",
        f"Adjusted Rand index: k given / by {' / by '.join(RULES)}; means over seeds {_listed(REPORTED_ON)} "
        f"({_listed(planted)} of planted networks; {_listed(LARGE_SEEDS)} of addition modulo 113, the published "
        f"weights of 42). First the default of `fiedler` (Hessian, {TODAY}), then the {BEST} combinations that are "
        f"best on seeds {_listed(FIXED_ON)}, then every graph cut by {best_cut('groups')}, the tree that is best on "
        "average there.",
        groups(),
    )
    yield from _of_choice()
    yield (
        "nulls of groups",
        "Index of graphs of couplings and of graphs without curvature, against the final truth; spectral "
        "clustering, k given: mean and range.",
        nulls(),
    )
    yield (
        "dial",
        f"Adjusted Rand index of the Hessian's clusters, seeds {_listed(planted)}, k given where nothing else is said.",
        dial(),
    )
    yield (
        "score of directions",
        f"Excess purity over rotated bases at the end: mean and range, seeds {_listed(SEEDS_OF_DIRECTIONS)}.",
        directions(),
    )
    for title, name in (
        ("sparse parity", "sparse-parity"),
        ("addition, 53", ADDITION),
        ("addition, 113", LARGE),
        ("induction", INDUCTION),
    ):
        if any(series(name, seed) for seed in seeds_of(name)):
            fixed = f"seeds {_listed(FIXED_ON)}" + (" of addition modulo 53" if name == LARGE else "")
            yield (
                f"onsets of {title}",
                f"Seeds {_listed(seeds_of(name))}; a threshold is the largest value at step 0 and under shuffled "
                f"labels plus the range of these, {fixed}.",
                onsets(name),
            )
    yield "costs", "Processor seconds on one thread, the median over seeds.", costs()


def _of_choice() -> Iterator[Table]:
    fixed = _listed(FIXED_ON)
    yield "choice for groups", f"The ten best combinations on seeds {fixed}, groups; k given.", choice("groups")
    yield "choice for parameters", "The same of parameters.", choice("parameters")
    yield "cuts of groups", f"Means over all matrices and networks, seeds {fixed}, groups.", cuts("groups")
    yield "cuts of parameters", "The same of parameters.", cuts("parameters")


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
