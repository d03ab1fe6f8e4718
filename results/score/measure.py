"""What is measured of which networks and seeds: defaults and thresholds are fixed on some, and reported on others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hessian_dendrogram import coupling_graph
from hessian_dendrogram.operators.parameters import parameter_layout

from .clusterings import CLUSTERINGS, by_k_means, number_of, score, scores
from .directions import purities
from .graphs import BASELINES, CHOSEN, MATRICES, coupling_graphs
from .indicators import indicators
from .kept import Kept
from .network import LABELS, NONE, WEIGHTS, Floats, Labels, Network, Part
from .suite import network

FIXED_ON, REPORTED_ON = (40, 41), (42, 43, 44, 45, 46)
SEEDS_OF_PLANTED = (*FIXED_ON, 42, 43)
SEEDS_OF_DIRECTIONS = (42, 43, 44)
COUPLINGS = ("0", "0.03", "0.1", "0.3")
PLANTED = [f"planted_{shape}_{coupling}" for shape in ("equal", "unequal") for coupling in COUPLINGS]
SMALL = [*PLANTED, "superposition", "sparse-parity"]
INDUCTION = "induction"
ADDITION, LARGE, PUBLISHED = "modular-addition-53", "modular-addition-mlp", "modular-addition-mlp-published"
LARGE_SEEDS = (42, 43, 44)


def groups(of: Network, matrices: Sequence[str] = tuple(MATRICES), step: int | None = None) -> dict[str, Any]:
    """The scores of every graph between groups, with every clustering."""
    part, truth = of.part(step), of.truth()
    found: dict[str, Any] = {}
    for matrix in matrices:
        for name, graph in coupling_graphs(part, matrix).items():
            found[name] = None if graph is None else scores(graph, truth)
    for name, make in BASELINES.items():
        if (graph := make(part)) is not None:
            found[name] = scores(graph, truth)
    for name, vectors in {**part.weights, "activations": part.activations}.items():
        found[f"k-means of {name}"] = {
            "k-means": {"given": round(score(truth, by_k_means(vectors, number_of(truth))), 4)}
        }
    return found


def picture(of: Network) -> dict[str, Any]:
    """The couplings of groups, cluster by cluster, as an image; and the truth and the cluster of each in that order."""
    truth = of.truth()
    graph = coupling_graphs(of.part(), CHOSEN)[f"{CHOSEN}, divided"]
    assert graph is not None
    (labels,) = CLUSTERINGS["spectral clustering"](graph, [number_of(truth)])
    order = np.lexsort((-graph.sum(axis=1), labels))
    edges = np.linspace(0, len(order), 65).astype(int)
    image = np.add.reduceat(np.add.reduceat(graph[np.ix_(order, order)], edges[:-1], 0), edges[:-1], 1)
    image /= np.multiply.outer(np.diff(edges), np.diff(edges))
    return {"image": np.round(image, 5).tolist(), "truth": truth[order].tolist(), "clusters": labels[order].tolist()}


def parameters(of: Network, matrices: Sequence[str] = tuple(MATRICES)) -> dict[str, Any]:
    """The scores of every graph between parameters, each of which has the truth of its group."""
    part = of.part()
    truth = truth_of_parameters(part, of.truth())
    found = {}
    for matrix in matrices:
        found[matrix] = scores(coupling_graph(_dense(part, matrix)), truth)
    return found


def truth_of_parameters(part: Part, truth: Labels) -> Labels:
    """The truth of the group that has a parameter, `NONE` for one in none."""
    layout = parameter_layout(part.model)[0]
    found = np.full(layout.size, NONE)
    for label, places in zip(truth, layout.group(part.groups).values(), strict=True):
        found[places] = label
    return found


def _dense(part: Part, matrix: str) -> Floats:
    return MATRICES[matrix](part).to_dense().numpy()  # type: ignore[no-any-return]


Job = tuple[Network, str, Any]


def jobs() -> Iterator[Job]:
    """Every measurement: the network, its name there, and what makes it; what others depend on first."""
    seeds = (*FIXED_ON, *REPORTED_ON)
    for seed in seeds:
        yield from _of_small(seed)
    for seed in seeds:
        one, null = network(INDUCTION, seed), network(INDUCTION, seed, LABELS)
        yield from _indicators(one, one.steps)
        yield from _indicators(null, (250, 500, 1000, 1500))
    for seed in seeds:
        yield from _of_addition(network(ADDITION, seed), network(ADDITION, seed, LABELS))
    for seed in LARGE_SEEDS:
        yield from _of_large(network(LARGE, seed), network(LARGE, seed, LABELS))


def _of_small(seed: int) -> Iterator[Job]:
    for name in SMALL:
        if name in PLANTED and seed not in SEEDS_OF_PLANTED:
            continue
        one = network(name, seed)
        yield one, "groups", lambda one=one: groups(one)
        if name != "sparse-parity":
            yield one, "parameters", lambda one=one: parameters(one)
    parity, null = network("sparse-parity", seed), network("sparse-parity", seed, LABELS)
    yield parity, "groups at step 0", lambda: groups(parity, step=0)
    yield null, "groups", lambda: groups(null)
    yield from _of_shuffled_weights(parity, tuple(MATRICES))
    if seed in SEEDS_OF_DIRECTIONS:
        yield parity, "directions", lambda: purities(parity)
        yield null, "directions", lambda: purities(null)
    yield from _indicators(parity, parity.steps)
    yield from _indicators(null, (250, 700, 1500, 3000, 10_000))


def _of_addition(one: Network, null: Network) -> Iterator[Job]:
    yield one, "groups", lambda: groups(one)
    yield one, "groups at step 0", lambda: groups(one, (CHOSEN,), 0)
    yield null, "groups", lambda: groups(null, (CHOSEN,))
    yield from _of_shuffled_weights(one)
    yield from _indicators(one, one.steps)
    yield from _indicators(null, (250, 750, 2500))
    if one.seed in SEEDS_OF_DIRECTIONS:
        yield one, "directions", lambda: purities(one)
        yield null, "directions", lambda: purities(null)
    if one.seed == REPORTED_ON[0]:
        yield one, "picture", lambda: picture(one)


def _of_large(one: Network, null: Network) -> Iterator[Job]:
    last = network(PUBLISHED, one.seed) if one.seed == LARGE_SEEDS[0] else one
    yield last, "groups", lambda: groups(last, (CHOSEN,))
    yield one, "groups at step 0", lambda: groups(one, (CHOSEN,), 0)
    yield null, "groups", lambda: groups(null, (CHOSEN,))
    yield from _of_shuffled_weights(last)
    yield from _indicators(one, [step for step in one.steps if step <= one.experiment.steps])
    yield from _indicators(null, (2000, 5000))


def _of_shuffled_weights(one: Network, matrices: Sequence[str] = (CHOSEN,)) -> Iterator[Job]:
    shuffled = network(one.name, one.seed, WEIGHTS)
    yield shuffled, "groups", lambda: groups(shuffled, matrices)


def _indicators(one: Network, steps: Sequence[int]) -> Iterator[Job]:
    for step in steps:
        yield one, f"indicators at {step}", lambda step=step: indicators(one, step)


def measure(wanted: Sequence[str] = ()) -> None:
    """Make what is not there yet, of all networks or of those whose name begins so."""
    for one, name, make in jobs():
        if not wanted or str(one).startswith(tuple(wanted)):
            kept = Kept(one)
            if kept.get(name) is None:
                _ = one.run  # its training is none of the measurement's cost
            kept.measured(name, make)
