"""Heads as groups: known by what exchanging whole heads leaves as it is."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hessian_dendrogram import Task
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.attention_heads import heads_as_groups

WIDTH, HEADS, HEAD = 12, 3, 4


def mixed(q, k, v):
    """Attention of shape (samples, heads, tokens, width of a head)."""
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    return (q @ k.mT / 2).softmax(-1) @ v


class Hooked(nn.Module):
    """As TransformerLens has it; with fewer keys and values than heads where that is asked for."""

    def __init__(self, shared=False):
        super().__init__()
        kv, mark = (1, "_") if shared else (HEADS, "")
        for name, number in (("W_Q", HEADS), (f"{mark}W_K", kv), (f"{mark}W_V", kv)):
            self.register_parameter(name, nn.Parameter(torch.randn(number, WIDTH, HEAD)))
        self.b_Q, self.W_O = nn.Parameter(torch.randn(HEADS, HEAD)), nn.Parameter(torch.randn(HEADS, HEAD, WIDTH))
        self.b_O = nn.Parameter(torch.randn(WIDTH))
        self.mark = mark

    def forward(self, x):
        q, k, v = (
            torch.einsum("btd,hde->bhte", x, getattr(self, name))
            for name in ("W_Q", f"{self.mark}W_K", f"{self.mark}W_V")
        )
        return torch.einsum("bhte,hed->btd", mixed(q + self.b_Q[:, None], k, v), self.W_O) + self.b_O


class Projected(nn.Module):
    """Layers of their own, with keys and values for three heads or for one."""

    def __init__(self, kv=HEADS):
        super().__init__()
        self.head_dim = HEAD
        self.q_proj, self.o_proj = nn.Linear(WIDTH, HEADS * HEAD), nn.Linear(HEADS * HEAD, WIDTH)
        self.k_proj, self.v_proj = nn.Linear(WIDTH, kv * HEAD), nn.Linear(WIDTH, kv * HEAD)

    def forward(self, x):
        q, k, v = (one(x).unflatten(-1, (-1, HEAD)).transpose(1, 2) for one in (self.q_proj, self.k_proj, self.v_proj))
        return self.o_proj(mixed(q, k, v).transpose(1, 2).flatten(2))


class Selfish(nn.Module):
    def __init__(self):
        super().__init__()
        self.num_attention_heads = HEADS
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))


class Nested(nn.Module):
    """As BERT has it: the output beside the module of the queries."""

    def __init__(self):
        super().__init__()
        self.self, self.output = Selfish(), nn.ModuleDict({"dense": nn.Linear(WIDTH, WIDTH)})

    def forward(self, x):
        parts = (getattr(self.self, name)(x) for name in ("query", "key", "value"))
        q, k, v = (part.unflatten(-1, (-1, HEAD)).transpose(1, 2) for part in parts)
        return self.output["dense"](mixed(q, k, v).transpose(1, 2).flatten(2))


class Conv1D(nn.Module):
    def __init__(self, out, inputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, out)), nn.Parameter(torch.randn(out))

    def forward(self, x):
        return x @ self.weight + self.bias


class Fused(nn.Module):
    """As GPT-2 has it: all queries, all keys, all values, in a transposed weight."""

    def __init__(self):
        super().__init__()
        self.n_head = HEADS
        self.c_attn, self.c_proj = Conv1D(3 * WIDTH, WIDTH), Conv1D(WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (-1, HEAD)).transpose(1, 2) for part in self.c_attn(x).split(WIDTH, -1))
        return self.c_proj(mixed(q, k, v).transpose(1, 2).flatten(2))


class GPTNeoXLike(nn.Module):
    """Queries, keys and values of one head after another."""

    def __init__(self):
        super().__init__()
        self.head_size = HEAD
        self.query_key_value, self.dense = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = self.query_key_value(x).unflatten(-1, (HEADS, 3 * HEAD)).transpose(1, 2).chunk(3, -1)
        return self.dense(mixed(q, k, v).transpose(1, 2).flatten(2))


class OfTorch(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


WHOLE = [Hooked, lambda: Hooked(shared=True), Projected, lambda: Projected(kv=1), Nested, Fused, GPTNeoXLike, OfTorch]


@pytest.mark.parametrize("make", WHOLE)
def test_heads_that_change_places_change_nothing_and_parts_of_them_do(make):
    torch.manual_seed(0)
    model, x = make().double(), torch.randn(2, 5, WIDTH, dtype=torch.float64)
    groups, tensors = heads_as_groups(model), dict(model.named_parameters())
    shared = {"keys and values 0.0"} if len(groups) == HEADS + 1 else set()
    assert set(groups) == {f"head 0.{h}" for h in range(HEADS)} | shared

    def exchange(one, other):
        with torch.no_grad():
            for (name, here), (_, there) in zip(one, other, strict=True):
                kept = tensors[name][here].clone()
                tensors[name][here] = tensors[name][there]
                tensors[name][there] = kept

    before = model(x)
    exchange(groups["head 0.0"], groups["head 0.2"])
    torch.testing.assert_close(model(x), before)
    for part in range(len(groups["head 0.0"])):
        exchange(groups["head 0.0"][part : part + 1], groups["head 0.2"][part : part + 1])
        if "bias" not in groups["head 0.0"][part][0]:  # a softmax does not see that of the keys
            assert (model(x) - before).abs().max().item() > 1e-6
        exchange(groups["head 0.0"][part : part + 1], groups["head 0.2"][part : part + 1])


def test_heads_are_numbered_over_modules_and_leave_out_what_is_frozen():
    model = nn.Sequential(Hooked(), nn.Linear(WIDTH, WIDTH), Projected())
    model[0].W_Q.requires_grad_(False)
    groups = heads_as_groups(model)
    assert [*groups] == [f"head {layer}.{h}" for layer in (0, 1) for h in range(HEADS)]
    assert "0.W_Q" not in [name for name, _ in groups["head 0.1"]]
    assert groups["head 1.2"][0][0] == "2.o_proj.weight"


class Odd(Fused):
    def __init__(self):
        super().__init__()
        self.c_attn = Conv1D(WIDTH + 2 * HEAD, WIDTH)  # one key and value for all heads


class Unknown(GPTNeoXLike):  # another order of queries, keys and values, perhaps
    pass


@pytest.mark.parametrize("make", [lambda: nn.Linear(2, 2), Odd, Unknown, lambda: Selfish()])
def test_heads_that_cannot_be_told_apart_are_refused(make):
    with pytest.raises(UserError, match=r"give the groups as \{"):
        heads_as_groups(make())


def task_of(groups):
    x = torch.zeros(2, 3, WIDTH)
    return Task(model=OfTorch, loss=nn.functional.mse_loss, data=lambda _: ((x, x), None), groups=groups)


def test_a_task_takes_a_function_for_its_groups_and_asks_it_once():
    asked = []

    def find(model):
        asked.append(model)
        return heads_as_groups(model)

    task = task_of(find)
    assert not asked
    before = torch.get_rng_state()
    assert [*task.groups] == ["head 0.0", "head 0.1", "head 0.2"]
    assert task.groups["head 0.1"]
    assert len(asked) == 1
    assert torch.equal(torch.get_rng_state(), before)
    other = replace(task, model=lambda: nn.Sequential(OfTorch(), OfTorch()))
    assert len(other.groups) == 2 * HEADS  # of the model that took the place of the first


@pytest.mark.parametrize("found", [None, ["a"], {1: "a"}])
def test_a_function_that_finds_no_groups_is_refused(found):
    task = task_of(lambda model: found)
    with pytest.raises(UserError, match="groups must be parts of the parameters by name"):
        len(task.groups)
