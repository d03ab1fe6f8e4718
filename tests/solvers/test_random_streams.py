"""Random numbers for one purpose know nothing of those for another, nor of those that a seed gives by itself."""

import itertools

import torch

from hessian_dendrogram.solvers.random_streams import generator_for


def test_purposes_and_seeds_have_numbers_of_their_own():
    drawn = [torch.randn(200, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1, 2**32 - 1)]
    for purpose, seed in itertools.product(("probes", "signs"), (0, 1, -1, 2**32, 2**40)):
        numbers = torch.randn(200, generator=generator_for(purpose, seed))
        assert torch.equal(numbers, torch.randn(200, generator=generator_for(purpose, seed)))
        drawn.append(numbers)
    together = torch.corrcoef(torch.stack(drawn))
    assert float((together - torch.eye(len(drawn))).abs().max()) < 0.35  # five standard deviations of 1 / √200
