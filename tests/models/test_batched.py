"""Batches made by a function, and batches whose composition belongs to the loss."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from hessian_dendrogram import Experiment, GaussNewton, Hessian, exact_spectrum, experiment_run, pipeline
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models import samples
from hessian_dendrogram.models.batched import Collated, GivenBatches


def contrastive(outputs, targets):
    """Each sample against all others of its batch; its partner stands half a batch away."""
    z = F.normalize(outputs, dim=1)
    alike = (z @ z.T / 0.5).masked_fill(torch.eye(len(z), dtype=torch.bool), -1e9)
    return F.cross_entropy(alike, torch.arange(len(z)).roll(len(z) // 2))


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def given_batches(sizes=(6, 6, 4, 8)):
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(size, 3, generator=generator), torch.zeros(size)) for size in sizes]


def mean_by_hand(model, batches):
    parameters = dict(model.named_parameters())

    def mean(*tensors):
        state = dict(zip(parameters, tensors, strict=True))
        return sum(contrastive(torch.func.functional_call(model, state, (x.double(),)), y) for x, y in batches) / len(
            batches
        )

    blocks = torch.autograd.functional.hessian(mean, tuple(parameters.values()))
    rows = [
        torch.cat([b.reshape(p.numel(), -1) for b in r], 1) for p, r in zip(parameters.values(), blocks, strict=True)
    ]
    return torch.cat(rows)


def test_a_loss_over_pairs_is_refused_as_a_mean_over_samples_and_taken_over_given_batches():
    torch.manual_seed(0)
    model, batches = net().double(), given_batches()
    with pytest.raises(UserError, match=r"couples the samples of a batch.*stay as they are: GivenBatches\(batches\)"):
        Hessian(model, contrastive, batches)
    H = Hessian(model, contrastive, GivenBatches(batches))
    exact = mean_by_hand(model, batches)  # in which a batch of 4 counts as much as one of 8
    torch.testing.assert_close(H.to_dense(), exact, rtol=1e-10, atol=1e-11)
    assert H.num_samples == 4
    spectrum = exact_spectrum(H)
    assert abs(spectrum.eigenvalues - torch.linalg.eigvalsh(exact).numpy()).max() <= spectrum.error_bounds.max()
    assert GaussNewton(model, contrastive, GivenBatches(batches)).num_samples == 4


def test_given_batches_are_never_cut():
    torch.manual_seed(0)
    H = Hessian(net().double(), contrastive, GivenBatches(given_batches()))
    assert H.plan.method == "products"
    with pytest.raises(UserError, match="given batches are not cut"):
        H.to_dense(method="layerwise")
    few = H.risk.data.evenly_spaced(12)
    assert [len(targets) for _, targets in few.batches()] == [6]
    assert few.total == few.count == 1


def test_given_batches_that_change_are_refused():
    class Changing:
        count = 0

        def __len__(self):
            return 2

        def __getitem__(self, index):
            self.count += 1
            generator = torch.Generator().manual_seed(self.count)
            return torch.randn(6, 3, generator=generator), torch.zeros(6)

    with pytest.raises(UserError, match="the data is not deterministic"):
        Hessian(net().double(), contrastive, GivenBatches(Changing()))


@pytest.mark.parametrize("data", [DataLoader(given_batches(), batch_size=None), [], {"a": 1}, iter([])])
def test_what_is_no_list_of_batches_is_refused(data):
    if isinstance(data, DataLoader):
        data = iter(data)
    with pytest.raises(UserError, match="given batches are"):
        GivenBatches(data)


def test_an_experiment_on_given_batches(tmp_path):
    experiment = Experiment(
        name="contrastive",
        model=net,
        loss=contrastive,
        data=lambda _: (GivenBatches(given_batches()), None),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        batch_size=1,
        steps=3,
        checkpoint_steps=[0],
        vectors=2,
        samples=2,
    )
    with experiment_run.open_run(experiment, tmp_path / "run") as (run, load):
        pipeline.train(experiment, run, load)
        name = pipeline.analyse(experiment, run, load)
        assert run.analysis(name)["configuration"]["samples"] == 2
        assert run.analysis(name)["configuration"]["samples_total"] == 4
    several = replace(experiment, batch_size=2)
    with (
        experiment_run.open_run(several, tmp_path / "other") as (run, load),
        pytest.raises(UserError, match="must be 1, got 2"),
    ):
        pipeline.train(several, run, load)


# ── a function that collates ─────────────────────────────────────────────────────────────────────────────────────────


def test_samples_are_read_again_for_every_product_where_they_do_not_fit_in_memory(monkeypatch):
    monkeypatch.setattr("hessian_dendrogram.operators.data.KEPT_MEMORY", 0)
    read = []

    class Lazy:
        def __len__(self):
            return 10

        def __getitem__(self, index):
            read.append(index)
            generator = torch.Generator().manual_seed(index)
            return torch.randn(3, generator=generator), index % 2

    def collate(items):
        return torch.stack([x for x, _ in items]), torch.tensor([y for _, y in items])

    torch.manual_seed(0)
    model = net().double()
    H = Hessian(model, F.cross_entropy, Collated(Lazy(), collate), batch_size=4)
    v = torch.ones(H.shape[0], dtype=torch.float64)
    read.clear()
    product = H @ v
    assert read == list(range(10))
    torch.testing.assert_close(
        product, Hessian(model, F.cross_entropy, collate([*map(Lazy().__getitem__, range(10))])) @ v
    )


def test_a_choice_of_samples_is_collated_likewise():
    items = [(torch.full((3,), float(i)), i) for i in range(6)]

    def collate(chosen):
        return {"x": torch.stack([x for x, _ in chosen]), "labels": torch.tensor([y for _, y in chosen])}

    data = Collated(items, collate)
    assert samples.is_stored(data)
    chosen = samples.select(data, torch.tensor([4, 1]))
    [(inputs, targets)] = samples.batches(chosen, 10)
    assert targets.tolist() == [4, 1]
    assert inputs["x"][:, 0].tolist() == [4, 1]
    assert (
        samples.digest(data)
        == samples.digest(Collated(items[:], collate))
        != samples.digest(Collated(items[::-1], collate))
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((iter([]), list), "needs a dataset with a length"), (([1], None), "collate must be a function")],
)
def test_what_cannot_be_collated_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        Collated(*arguments)
