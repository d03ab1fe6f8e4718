"""Shuffled targets of samples in every form that they can have."""

import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.batched import Collated, GivenBatches
from hessian_dendrogram.models.samples import batches, reusable, select, size
from hessian_dendrogram.models.shuffled_targets import with_shuffled_targets

INPUTS, TARGETS = torch.arange(20.0)[:, None], torch.arange(20) % 7


def seeded():
    return torch.Generator().manual_seed(1)


ORDER = torch.randperm(20, generator=seeded())


class Items(Dataset):
    """Samples as pairs, or as dictionaries."""

    def __init__(self, targets=TARGETS, as_dictionary=False):
        self.targets, self.as_dictionary = targets, as_dictionary

    def __len__(self):
        return len(INPUTS)

    def __getitem__(self, i):
        if self.as_dictionary:
            return {"ids": INPUTS[i], "labels": self.targets[i]}
        return INPUTS[i], self.targets[i]


def gathered(samples):
    inputs, targets = zip(*samples, strict=True)
    return torch.stack(inputs), torch.stack(targets)


FORMS = {
    "a tensor pair": (INPUTS, TARGETS),
    "a TensorDataset": TensorDataset(INPUTS, TARGETS),
    "a dictionary of tensors": {"ids": INPUTS, "labels": TARGETS},
    "pairs": Items(),
    "dictionaries": Items(as_dictionary=True),
    "collated pairs": Collated(Items(), gathered),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_input_has_the_target_of_another(form):
    shuffled = with_shuffled_targets(reusable(FORMS[form]), None, seeded())
    assert size(shuffled) == 20
    read = list(batches(shuffled, 6))
    inputs = torch.cat([next(iter(x.values())) if isinstance(x, dict) else x for x, _ in read])
    assert torch.equal(inputs, INPUTS)
    assert torch.equal(torch.cat([targets for _, targets in read]), TARGETS[ORDER])
    (_, few), *_ = batches(select(shuffled, torch.tensor([3, 5])), 2)
    assert torch.equal(few, TARGETS[ORDER][[3, 5]])


@pytest.mark.parametrize("data", [(INPUTS, TARGETS), Items()], ids=["pair", "dataset"])
def test_a_task_may_say_which_orders_there_are(data):
    shuffled = with_shuffled_targets(data, lambda targets, generator: targets.flip(0), seeded())
    assert torch.equal(torch.cat([targets for _, targets in batches(shuffled, 6)]), TARGETS.flip(0))


def test_what_has_no_targets_to_exchange_is_refused():
    alike, ragged = torch.zeros(20), [torch.zeros(1 + i % 3) for i in range(20)]
    for data, problem in (
        (GivenBatches([(INPUTS, TARGETS)]), "got a GivenBatches"),
        ([(INPUTS, TARGETS)], "got a list"),
        ((INPUTS, alike), "the same in whatever order"),
        (Items(alike), "the first 20 samples have the same targets"),
        (Items(ragged), "targets of different shapes"),
        (TensorDataset(INPUTS, INPUTS, TARGETS), "or a dictionary with 'labels', got a tuple of 3"),
    ):
        with pytest.raises(UserError, match=problem):
            with_shuffled_targets(data, None, seeded())
    with pytest.raises(UserError, match="must give as many targets"):
        with_shuffled_targets((INPUTS, TARGETS), lambda targets, _: targets[:3], seeded())
    with pytest.raises(UserError, match="the task's shuffle failed"):
        with_shuffled_targets((INPUTS, TARGETS), lambda targets, _: targets.nonsense, seeded())


def test_a_collate_that_makes_targets_of_inputs_is_refused():
    def overwriting(samples):
        ids = torch.stack([one["ids"] for one in samples])
        return {"ids": ids, "labels": ids.clone()}

    with pytest.raises(UserError, match="collate gives the first 20 samples the same targets, whatever they have"):
        with_shuffled_targets(Collated(Items(as_dictionary=True), overwriting), None, seeded())
