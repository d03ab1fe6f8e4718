"""The tables of the score, from what has been measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from statistics import mean, median
from typing import Any

from .clusterings import CLUSTERINGS, RULES, SCORES
from .directions import DIRECTIONS
from .graphs import BASELINES, CHOSEN, MATRICES
from .indicators import ACCURACY
from .kept import Kept
from .measure import ADDITION, FIXED_ON, LARGE, LARGE_SEEDS, PLANTED, PUBLISHED, REPORTED_ON
from .network import LABELS, WEIGHTS
from .suite import network

Rows = list[list[str]]
TODAY = "normalised, sweep"
BEST = 5  # combinations that are reported beside the chosen cut of every graph
CHOICE = [*PLANTED, "superposition", "sparse-parity", ADDITION]
COLUMNS = {
    "planted, 0": ["planted_equal_0", "planted_unequal_0"],
    "planted, 0.1": ["planted_equal_0.1", "planted_unequal_0.1"],
    "superposition": ["superposition"],
    "sparse parity": ["sparse-parity"],
    "addition, 53": [ADDITION],
    "addition, 113": [LARGE, PUBLISHED],
}


def value(name: str, seed: int, measurement: str, null: str = "") -> Any:
    """A measurement of a network, or `None`."""
    return Kept(network(name, seed, null)).get(measurement)


def seeds_of(name: str) -> Sequence[int]:
    """The seeds that a network is reported on."""
    return {LARGE: LARGE_SEEDS, PUBLISHED: LARGE_SEEDS[:1]}.get(name, REPORTED_ON)


def found(names: Sequence[str], graph: str, clustering: str, how: str, **where: Any) -> list[float]:
    """Every score there is of a graph and a clustering, on the seeds of a table."""
    seeds, measurement = where.get("seeds"), where.get("measurement", "groups")
    values = []
    for name in names:
        for seed in seeds or seeds_of(name):
            measured = value(name, seed, measurement, where.get("null", "")) or {}
            one = (measured.get(graph) or {}).get(clustering, {}).get(how)
            values += [] if one is None else [one]
    return values


def ranking(grain: str, how: str = "given") -> list[tuple[float, str, str]]:
    """Every graph with curvature and tree, the best first, by its mean over the networks that defaults are fixed on."""
    graphs = [f"{matrix}{divided}" for matrix in MATRICES for divided in ("", ", divided")]
    ranked = []
    for graph, clustering in product(graphs, CLUSTERINGS):
        means = []
        for name in CHOICE:
            values = found([name], graph, clustering, how, seeds=FIXED_ON, measurement=grain)
            means += [mean(values)] if values else []
        if means:
            ranked.append((mean(means), graph, clustering))
    return sorted(ranked, reverse=True)


def best_cut(grain: str) -> str:
    """The tree that is best on average over all graphs with curvature, on the networks that defaults are fixed on."""
    sums: dict[str, list[float]] = {}
    for score, _, clustering in ranking(grain):
        if clustering != "spectral clustering":
            sums.setdefault(clustering, []).append(score)
    return max(sums, key=lambda name: mean(sums[name]))


def best_rule(grain: str, clustering: str) -> str:
    """The rule for the number of clusters that is best so."""
    return max(RULES, key=lambda rule: mean(score for score, _, name in ranking(grain, rule) if name == clustering))


def choice(grain: str) -> Rows:
    """The best ten combinations, and the means of the trees."""
    rows = [["graph", "clustering", "index"]]
    return rows + [[graph, clustering, f"{score:.2f}"] for score, graph, clustering in ranking(grain)[:10]]


def cuts(grain: str) -> Rows:
    """Each clustering's mean over all graphs with curvature, k given and by either rule."""
    rows = [["clustering", "k given", *(f"k by {rule}" for rule in RULES)]]
    for clustering in CLUSTERINGS:
        cells = []
        for how in ("given", *RULES):
            values = [score for score, _, name in ranking(grain, how) if name == clustering]
            cells.append(f"{mean(values):.2f}" if values else "")
        rows.append([clustering, *cells])
    return rows


def groups() -> Rows:
    """Method by network: the index with k given, and by either rule."""
    cut, rows = best_cut("groups"), [["method", "clusters by", *COLUMNS]]
    counts = [len(found(names, CHOSEN, cut, "given")) for names in COLUMNS.values()]
    rows.append(["", "networks", *map(str, counts)])
    graphs = [f"{matrix}{divided}" for matrix in MATRICES for divided in ("", ", divided")]
    lines = [("Hessian", TODAY), *((graph, clustering) for _, graph, clustering in ranking("groups")[:BEST])]
    lines += [(graph, clustering) for graph in (*graphs, *BASELINES) for clustering in (cut, "spectral clustering")]
    kinds = ("ingoing", "outgoing", "logit", "activations")
    lines += [(f"k-means of {kind}", "k-means") for kind in kinds]
    for graph, clustering in dict.fromkeys(lines):
        cells = [_every(names, graph, clustering) for names in COLUMNS.values()]
        rows.append([graph, clustering, *cells])
    return rows


def _every(names: Sequence[str], graph: str, clustering: str) -> str:
    means = [mean(values) for how in SCORES if (values := found(names, graph, clustering, how))]
    return " / ".join(map(_number, means))


def nulls() -> Rows:
    """Graphs on untrained networks, with shuffled labels and with shuffled weights, against the final truth."""
    rows = [["network", "graph", "end of training", "step 0", "shuffled labels", "shuffled weights"]]
    for name in ("sparse-parity", ADDITION, LARGE):
        ends = [name, PUBLISHED] if name == LARGE else [name]
        for graph in (*(f"{matrix}, divided" for matrix in MATRICES), *BASELINES):
            cells = []
            for names, where in (
                (ends, {}), ([name], {"measurement": "groups at step 0"}), ([name], {"null": LABELS}),
                (ends, {"null": WEIGHTS}),
            ):  # fmt: skip
                values = found(names, graph, "spectral clustering", "given", **where)
                cells.append(_spread(values))
            if any(cells[1:]):
                rows.append([name, graph, *cells])
    return rows


def along_the_dial() -> dict[str, dict[str, list[float]]]:
    """The indices of planted sub-networks, a seed each: by kind of tree, and by the network's name."""
    cuts_ = {"parameters": dict.fromkeys((TODAY, best_cut("parameters"))), "groups": (best_cut("groups"),)}
    kinds = {}
    for grain, several in cuts_.items():
        for cut in several:
            rule = best_rule(grain, cut)
            kinds[f"{grain}, {cut}"] = (cut, "given", grain)
            kinds[f"{grain}, k by {rule}"] = (cut, rule, grain)
    return {
        kind: {name: found([name], "Hessian", tree, how, measurement=grain) for name in PLANTED}
        for kind, (tree, how, grain) in kinds.items()
    }


def dial() -> Rows:
    """The index of planted sub-networks against their coupling, of parameters and of groups."""
    by_kind = along_the_dial()
    rows = [["shape", "coupling", *by_kind]]
    for name in PLANTED:
        _, shape, coupling = name.split("_")
        rows.append([shape, coupling, *(_spread(values[name]) for values in by_kind.values())])
    return rows


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return _number(mean(values)) + (f" ({_number(low)} to {_number(high)})" if high - low > 0.005 else "")


def _number(value: float) -> str:
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


def directions() -> Rows:
    """Excess purity of the leading ten and of all directions over rotations, at the end; and with shuffled labels."""
    rows = [["directions", "sparse parity: 10", "24", "addition, 53: 10", "24", "shuffled, 53: 10"]]
    for name in DIRECTIONS:
        cells = []
        for of, count, null in (
            ("sparse-parity", "ten", ""), ("sparse-parity", "all", ""), (ADDITION, "ten", ""), (ADDITION, "all", ""),
            (ADDITION, "ten", LABELS),
        ):  # fmt: skip
            read = [(value(of, seed, "directions", null) or {}).get(name) for seed in seeds_of(of)]
            values = [one[count]["excess"] for one in read if one]
            cells.append(f"{mean(values):+.2f} ({min(values):+.2f} to {max(values):+.2f})" if values else "")
        rows.append([name, *cells])
    return rows


def series(name: str, seed: int, null: str = "") -> dict[int, dict[str, dict[str, float]]]:
    """The indicators of a network by step."""
    values = Kept(network(name, seed, null)).values
    steps = {int(key.split()[-1]): one["value"] for key, one in values.items() if key.startswith("indicators at ")}
    return dict(sorted(steps.items()))


def thresholds(name: str) -> dict[str, float]:
    """What an indicator must exceed: its largest value at step 0 and under shuffled labels, plus the range of these.

    Of the seeds that thresholds are fixed on.
    """
    found: dict[str, list[float]] = {}
    for seed, null in product(FIXED_ON, ("", LABELS)):
        for step, at in series(name, seed, null).items():
            for indicator, parts in at.items():
                if null or step == 0:
                    found.setdefault(indicator, []).extend(one for one in parts.values() if one is not None)
    limits = {indicator: 2 * max(values) - min(values) for indicator, values in found.items() if values}
    return limits | {"accuracy": ACCURACY}


def onset(values: dict[int, dict[str, dict[str, float]]], indicator: str, part: str, above: float) -> int | None:
    """The first step at which an indicator of a part is above its threshold."""
    for step, at in values.items():
        one = at.get(indicator, {}).get(part)
        if one is not None and one > above:
            return step
    return None


def leads(name: str) -> Iterator[tuple[str, float, list[tuple[int, int | None]], int, int]]:
    """For each indicator its threshold, the onsets of accuracy and its own, and its false alarms of how many."""
    limits = thresholds(ADDITION if name == LARGE else name)
    for indicator, above in limits.items():
        pairs_, alarms, chances = [], 0, 0
        for seed in seeds_of(name):
            values, shuffled = series(name, seed), series(name, seed, LABELS)
            parts = next(iter(values.values()), {}).get("accuracy", {})
            for part in parts:
                learned = onset(values, "accuracy", part, limits["accuracy"])
                if learned is not None and any(at.get(indicator, {}).get(part) is not None for at in values.values()):
                    pairs_.append((learned, onset(values, indicator, part, above)))
                    if shuffled:
                        chances += 1
                        alarms += onset(shuffled, indicator, part, above) is not None
        yield indicator, above, pairs_, alarms, chances


def onsets(name: str) -> Rows:
    """Lead times against accuracy, and false alarms under shuffled labels."""
    rows = [
        [
            "indicator",
            "threshold",
            "seen",
            "before accuracy",
            "lead in steps, median (range)",
            "onset over that of accuracy",
            "false alarms",
        ]
    ]
    for indicator, above, pairs_, alarms, chances in leads(name):
        seen = [(learned, own) for learned, own in pairs_ if own is not None]
        leads_ = [learned - own for learned, own in seen]
        ratios = [own / learned for learned, own in seen if learned]
        rows.append([
            indicator, f"{above:.3g}", f"{len(seen)} of {len(pairs_)}", str(sum(lead > 0 for lead in leads_)),
            f"{median(leads_):,.0f} ({min(leads_):,} to {max(leads_):,})" if seen else "",
            f"{median(ratios):.2f}" if ratios else "", f"{alarms} of {chances}",
        ])  # fmt: skip
    return rows


def costs() -> Rows:
    """Processor seconds of the measurements, the median over the networks of a name."""
    rows = [["network", "measurement", "processor seconds"]]
    for name in ("sparse-parity", ADDITION, LARGE, PUBLISHED):
        taken: dict[str, list[float]] = {}
        for seed in {*FIXED_ON, *seeds_of(name)}:
            for key, one in Kept(network(name, seed)).values.items():
                taken.setdefault("indicators, one step" if key.startswith("indicators") else key, []).append(
                    one["seconds"]["processor"]
                )
        rows += [[name, key, f"{median(values):,.0f}"] for key, values in taken.items()]
    return rows
