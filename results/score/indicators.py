"""Numbers that may announce a circuit, at every checkpoint. A new one is a number for each part, in `of_...`.

Parts are the frequencies of an addition's circuit together, or each of the skills. What is compared with the truth of
the end is said to be: it follows a circuit that is known, and does not find one.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiments import induction, sparse_parity
from hessian_dendrogram.experiments.modular_addition import fourier_measures
from hessian_dendrogram.models.training import top_1_accuracy

from .clusterings import number_of, score
from .directions import purities
from .graphs import BASELINES, CHOSEN, Floats, coupling_graphs
from .network import NONE, Labels, Network, Part
from .suite import InductionNetwork, ModularAdditionNetwork

OF_DIRECTIONS = "Gauss-Newton of outputs"
LARGEST = 5  # frequencies of an embedding
ACCURACY = 0.75
"""The accuracy above which a part is learned: commutativity gives an addition 0.5, chance a parity 0.5."""


def closeness(graph: Floats, truth: Labels) -> dict[int, float]:
    """For each part with two groups or more: their mean weight among each other over that to other known groups."""
    found = {}
    known = truth != NONE
    for part in np.unique(truth[known]):
        inside = truth == part
        outside = known & ~inside
        if inside.sum() < 2 or not outside.any():
            continue
        within = graph[np.ix_(inside, inside)].sum() / (inside.sum() * (inside.sum() - 1))
        between = graph[np.ix_(inside, outside)].mean()
        found[int(part)] = float(within / between) if between > 0 else float("inf") if within > 0 else float("nan")
    return found


def graphs_of(part: Part) -> dict[str, Floats]:
    """The graphs that are followed: the couplings, of a single draw at every step, and those without curvature."""
    try:
        couplings = coupling_graphs(part, CHOSEN, draws=1)[CHOSEN]
    except UserError:  # one draw misses the curvature of a group that has next to none
        couplings = coupling_graphs(part, CHOSEN)[CHOSEN]
    found = {"couplings": couplings}
    found |= {name: graph(part) for name, graph in BASELINES.items()}
    return {name: graph for name, graph in found.items() if graph is not None}


def purities_of(reading: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Mean purities of the leading ten and of all directions, and how far they are above those of rotated bases."""
    return {
        f"directions, {kind} of {count}": {"all": reading[count][name]}
        for count in ("ten", "all")
        for kind, name in (("purity", "purity"), ("excess purity", "excess"))
    }


def of_addition(network: ModularAdditionNetwork, step: int) -> dict[str, Any]:
    """Accuracy and indicators of a network for modular addition, of all its frequencies together."""
    truth, part, model = network.truth(), network.part(step), network.model(step)
    test = network.original.data[1]
    with torch.no_grad():
        accuracy = float(top_1_accuracy(model(test[0]), test[1]))
    norms = np.square(fourier_measures(model, model, network.data[0])["embedding_norms"])
    found: dict[str, Any] = {
        "accuracy": {"all": accuracy},
        "embedding norms, share of the largest five": {"all": float(np.sort(norms)[-LARGEST:].sum() / norms.sum())},
    }
    reading = purities(network, step, [OF_DIRECTIONS])[OF_DIRECTIONS]
    found |= purities_of(reading)
    for name, graph in graphs_of(part).items():
        near = closeness(graph, truth)
        found[f"{name}, closeness"] = {"all": float(np.mean([*near.values()]))}
        found[f"{name}, index"] = {"all": index_of(graph, truth)}
    return found


def index_of(graph: Floats, truth: Labels) -> float:
    """The score of the tree that is cut by signs, with as many clusters as the truth has."""
    from hessian_dendrogram import recursive_bipartition

    tree = recursive_bipartition(graph, laplacian="normalised", split="sign", min_size=1)
    return score(truth, tree.labels(number_of(truth)))


def of_parities(network: Network, step: int) -> dict[str, Any]:
    """Accuracy and indicators of each skill."""
    truth, part, model = network.truth(), network.part(step), network.model(step)
    inputs, targets = sparse_parity.of_every_task()
    with torch.no_grad():
        right = (model(inputs.double()).argmax(1) == targets % 2).double().view(sparse_parity.TASKS, -1).mean(1)
    ingoing = part.weights["ingoing"]
    bits = np.square(ingoing[:, sparse_parity.TASKS :]).sum(0)
    used = sparse_parity.OF_A_TASK * sparse_parity.TASKS
    of_tasks = bits[:used].reshape(sparse_parity.TASKS, -1).mean(1) / bits[used:].mean()
    reading = purities(network, step, [OF_DIRECTIONS])[OF_DIRECTIONS]
    found: dict[str, Any] = {
        "accuracy": dict(enumerate(right.tolist())),
        "norm of a task's ingoing weights over unused ones": dict(enumerate(of_tasks.tolist())),
        "directions, largest share": {int(k.split()[1]): v for k, v in reading["largest shares"].items()},
    }
    for name, graph in graphs_of(part).items():
        found[f"{name}, closeness"] = closeness(graph, truth)
    return found


def of_induction(network: InductionNetwork, step: int) -> dict[str, Any]:
    """Accuracy, what the heads attend to, and how a circuit's pairs of heads stand out of all between the layers."""
    truth, part, model = network.truth(), network.part(step), network.model(step)
    inputs, labels = network.original.data[1]
    with torch.no_grad():
        right = float(induction.accuracy(model(inputs), labels))
    scores = induction.head_measures(model, None, network.original.data[0])
    graphs = {"couplings": coupling_graphs(part, CHOSEN)[CHOSEN], "key composition": key_compositions(model)}
    return {
        "accuracy": {"all": right},
        "previous-token score, largest": {"all": max(scores["previous_token_scores"][0])},
        "induction score, largest": {"all": max(scores["induction_scores"][1])},
        **{
            f"{name}, closeness of heads": {"all": closeness_of_heads(graph, truth)}
            for name, graph in graphs.items()
            if graph is not None
        },
    }


@torch.no_grad()
def key_compositions(model: Any) -> Floats:
    """How much the keys of a head of the second layer read what one of the first writes (Elhage et al. 2021).

    ‖W_QK W_OV‖ / ‖W_QK‖ ‖W_OV‖ in Frobenius norms, as a symmetric matrix of all heads.
    """
    writes, reads = [], []
    for head in range(induction.HEADS):
        width = induction.WIDTH // induction.HEADS
        rows = slice(head * width, (head + 1) * width)
        writes.append(model.first.out_proj.weight[:, rows] @ model.first.value.weight[rows])
        reads.append(model.second.query.weight[rows].T @ model.second.key.weight[rows])
    found = np.zeros((2 * induction.HEADS,) * 2)
    for (i, write), (j, read) in product(enumerate(writes), enumerate(reads, induction.HEADS)):
        found[i, j] = found[j, i] = float((read @ write).norm() / (read.norm() * write.norm()))
    return found


def closeness_of_heads(graph: Floats, truth: Labels) -> float:
    """The mean weight between a circuit's heads of two layers over that of its second ones and other first ones."""
    first = np.arange(len(truth)) < len(truth) // 2
    others = first & (truth != 0)
    if not ((truth == 0).any() and (truth == 1).any() and others.any()):
        return float("nan")
    return float(graph[np.ix_(truth == 0, truth == 1)].mean() / graph[np.ix_(others, truth == 1)].mean())


def indicators(network: Network, step: int) -> dict[str, dict[str, float]]:
    """Every indicator at a step, by its name and by the part."""
    if isinstance(network, ModularAdditionNetwork):
        found = of_addition(network, step)
    elif isinstance(network, InductionNetwork):
        found = of_induction(network, step)
    else:
        found = of_parities(network, step)
    return {
        name: {str(part): round(float(value), 4) if np.isfinite(value) else None for part, value in values.items()}
        for name, values in found.items()
    }
