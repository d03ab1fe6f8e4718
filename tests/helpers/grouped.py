"""Trees of groups whose couplings are known."""

import numpy as np

from hessian_dendrogram import CoupledGroups, GroupBipartition, GroupCouplings, Layout


def tree_of(g, isolated=0, draws=4):
    """Blocks of every third group, of two layers, the last ones coupled to none."""
    random, owner = np.random.default_rng(0), np.arange(g) % 3
    squared = np.where(owner[:, None] == owner, 1.0, 1e-4) * random.uniform(0.5, 1.5, (draws, g, g))
    squared = np.triu(squared) + np.triu(squared, 1).transpose(0, 2, 1)
    squared[:, g - isolated :] = squared[:, :, g - isolated :] = 0
    facts = {"method": "effects" if draws > 1 else "exact", "directions": 2, "cost": 1, "dim": g}
    sizes, names = np.ones(g, int), [f"neuron {'one' if i < g // 2 else 'two'}.{i}" for i in range(g)]
    found = GroupCouplings.from_squares(names=names, sizes=sizes, squared=squared, rounding=np.zeros((g, g)), **facts)
    tree = GroupBipartition(of=CoupledGroups(groups="all"), min_size=1).cut(found)
    return tree, Layout(tuple(names), ((),) * g), found
