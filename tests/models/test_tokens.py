"""Losses over tokens, their weights, and batches as libraries of transformers have them."""

from collections import UserDict
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from hessian_dendrogram import Hessian
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.batched import Collated
from hessian_dendrogram.models.tokens import (
    fitting_weight,
    logits_of,
    next_token_loss,
    next_token_weight,
    token_loss,
    token_weight,
)

WORDS, WIDTH = 5, 3
PAIRS = [(token_loss, token_weight), (next_token_loss, next_token_weight)]


class Causal(nn.Module):
    """A running mean of embeddings, in which padding has no part where it is masked; an object with logits."""

    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WORDS)

    def forward(self, input_ids, attention_mask=None):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        seen = mask.cumsum(1).clamp(min=1)[..., None]
        mixed = (self.embed(input_ids) * mask[..., None]).cumsum(1) / seen
        return SimpleNamespace(logits=self.out(mixed.tanh()), loss=None)


def rows():
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(WORDS, (length,), generator=generator) for length in (3, 6, 4, 2, 6, 5, 2, 4, 3)]


def padded(items, side="right", *, masked=True):
    """A batch padded to its longest sample, as a collator of transformers gives it."""
    longest = max(map(len, items))
    batch = {"input_ids": [], "attention_mask": [], "labels": []}
    for ids in items:
        empty = torch.zeros(longest - len(ids), dtype=torch.long)
        for name, inside, outside in (("input_ids", ids, 0), ("attention_mask", ids * 0 + 1, 0), ("labels", ids, -100)):
            parts = [inside, empty + outside]
            batch[name].append(torch.cat(parts if side == "right" else parts[::-1]))
    if not masked:
        del batch["attention_mask"]
    return UserDict({name: torch.stack(tensors) for name, tensors in batch.items()})


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Causal().double()


def by_hand(model, is_shifted):
    """The mean over all tokens of all rows, one by one, as a function of the parameters."""

    def mean(*parameters):
        state = dict(zip(dict(model.named_parameters()), parameters, strict=True))
        losses = []
        for ids in rows():
            logits = torch.func.functional_call(model, state, (ids[None],)).logits[0]
            for place in range(len(ids) - is_shifted):
                losses.append(-logits[place].log_softmax(0)[ids[place + is_shifted]])
        return torch.stack(losses).mean()

    return mean


@pytest.mark.parametrize(("loss", "weight"), PAIRS)
@pytest.mark.parametrize("size", [2, 4, 9])
def test_loss_and_weight_give_the_mean_over_all_tokens_however_they_are_batched(model, loss, weight, size):
    mean, parameters = by_hand(model, loss is next_token_loss), tuple(model.parameters())
    H = Hessian(model, loss, Collated(rows(), padded), weight=weight, batch_size=size)
    blocks = torch.autograd.functional.hessian(mean, parameters)
    exact = torch.cat(
        [
            torch.cat([block.flatten(p.ndim).flatten(0, p.ndim - 1) for block in row], 1)
            for p, row in zip(parameters, blocks, strict=True)
        ]
    )
    torch.testing.assert_close(H.to_dense(), exact, rtol=1e-12, atol=1e-14)
    assert H.num_samples == 9
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(mean(*parameters), parameters)])
    ours = sum(H.risk.gradient_of_batch((inputs, y)) * share for inputs, y, share in H.risk.data.weighted())
    torch.testing.assert_close(ours, gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("loss", "weight"), PAIRS)
def test_derivatives_agree_with_finite_differences(loss, weight):
    logits = torch.randn(2, 4, WORDS, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1, 2, -100, 3], [-100, -100, 4, 0]])
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), logits.requires_grad_())
    assert torch.autograd.gradgradcheck(lambda z: loss(z, labels), logits)
    assert int(weight(labels)) == (5 if loss is token_loss else 4)


def test_no_warning_where_samples_of_all_shapes_were_compared(model, caplog):
    Hessian(model, next_token_loss, Collated(rows(), padded), weight=next_token_weight, batch_size=2)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("weight", [None, token_weight])
def test_the_weight_that_is_missing_is_named(model, weight):
    with pytest.raises(UserError, match=r"no.* mean over samples.* weight=next_token_weight of hessian_dendrogram,"):
        Hessian(model, next_token_loss, padded(rows()), weight=weight)
    with pytest.raises(UserError, match="pass weight=token_weight of"):
        Hessian(model, token_loss, padded(rows()))


def test_no_weight_is_named_that_does_not_fit():
    labels = [torch.tensor([[1, 2, 3, -100]]), torch.tensor([[1, -100, -100, -100], [1, 2, -100, -100]])]
    assert fitting_weight(labels, [0.5, 0.5], 1e-6) == "token_weight"
    assert fitting_weight(labels, [2 / 3, 1 / 3], 1e-6) == "next_token_weight"
    assert fitting_weight(labels, [1 / 3, 2 / 3], 1e-6) is None
    same = [labels[0], labels[0]]
    assert fitting_weight(same, [0.5, 0.5], 1e-6) == "token_weight or next_token_weight"  # both would do


def test_a_weight_is_named_where_no_first_label_counts():
    """As in masked models, whose sequences begin with a token that is never asked for."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(5, 4), nn.Tanh(), nn.Linear(4, 5)).double()
    tokens = torch.randint(5, (6, 8))
    labels = tokens.masked_fill(torch.rand(6, 8) < 0.6, -100)
    labels[:, 0] = -100
    with pytest.raises(UserError, match="pass weight=token_weight or next_token_weight of hessian_dendrogram"):
        Hessian(net, token_loss, (tokens, labels))


@pytest.mark.parametrize(("loss", "weight"), PAIRS)
def test_batches_in_which_nothing_counts_have_no_part(model, loss, weight):
    batch = padded(rows())
    ignored = {**batch, "labels": torch.full_like(batch["labels"], -100)}
    with_them = Hessian(model, loss, [batch, ignored], weight=weight)
    v = torch.ones(with_them.shape[0], dtype=torch.float64)
    assert torch.equal(with_them @ v, Hessian(model, loss, batch, weight=weight) @ v)
    with pytest.raises(UserError, match="the loss is nan"):
        Hessian(model, loss, ignored)


@pytest.mark.parametrize(
    "collate", [lambda items: padded(items, "left", masked=False), lambda items: padded(items, "left")]
)
@pytest.mark.parametrize("is_loader", [True, False])
def test_a_model_that_sees_the_padding_is_refused(model, collate, is_loader):
    if collate([rows()[0]]).get("attention_mask") is not None:
        model.forward = lambda input_ids, attention_mask: Causal.forward(model, input_ids)
    data = DataLoader(rows(), batch_size=3, collate_fn=collate) if is_loader else Collated(rows(), collate)
    with pytest.raises(UserError, match=r"depends on those it is collated with: 8 together .*\(attention_mask"):
        Hessian(model, next_token_loss, data, weight=next_token_weight, batch_size=3)


@pytest.mark.parametrize("wrap", [lambda z: z, lambda z: {"logits": z}, lambda z: (z, 1), lambda z: Namespace(z)])
def test_logits_are_found_in_what_models_give(wrap):
    logits, labels = torch.randn(2, 3, WORDS), torch.tensor([[1, 2, -100], [3, -100, -100]])
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(token_loss(wrap(logits), labels), expected)


class Namespace(SimpleNamespace):
    def __init__(self, logits):
        super().__init__(logits=logits)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: logits_of(SimpleNamespace(loss=1)), "the model's outputs have no logits: a SimpleNamespace"),
        (lambda: token_loss(torch.randn(2, 3, 5), torch.zeros(2, dtype=torch.long)), r"one for each place; got \(2,\)"),
        (lambda: token_loss(torch.randn(2, 5), torch.zeros(2)), "labels are whole numbers, those of classes; got"),
        (lambda: next_token_loss(torch.randn(2, 5), torch.zeros(2, dtype=torch.long)), r"\(samples, tokens\); got \(2"),
    ],
)
def test_labels_that_are_none_of_the_logits_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b | {"text": ["a"] * 9}, "this one has a list as 'text': leave out what the model does not take"),
        (lambda b: {"input_ids": b["input_ids"]}, "has its targets as 'labels'; this one has input_ids"),
        (lambda b: {"labels": b["labels"]}, "inputs beside the labels; this one has no inputs"),
        (lambda b: b | {"labels": b["labels"].tolist()}, "a list as 'labels'"),
    ],
)
def test_dictionaries_that_are_no_batches_are_refused(model, change, message):
    with pytest.raises(UserError, match=message):
        Hessian(model, token_loss, [change(dict(padded(rows())))], weight=token_weight)


def test_a_dataset_of_a_library_that_is_none_of_torch_is_read_sample_by_sample(model):
    class Table(list):
        features, with_format = {}, None

    ids = torch.randint(WORDS, (6, 4), generator=torch.Generator().manual_seed(0))
    table = Table({"input_ids": row, "labels": row} for row in ids)
    H = Hessian(model, token_loss, table, weight=token_weight, batch_size=4)
    assert H.num_samples == 6
    torch.testing.assert_close(H.to_dense(), Hessian(model, token_loss, (ids, ids), weight=token_weight).to_dense())
