"""Groups by name, and units of layers."""

import pytest
from torch import nn

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiments.induction import AttentionOnly
from hessian_dendrogram.models.chosen_groups import chosen_groups

OWN = {"head 0.0": "a", "head 0.1": "b", "neuron mlp.0.0": "c"}


def model():
    found = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Embedding(5, 2))
    found.table = nn.Parameter(found[0].weight[:2].detach().clone())
    found.register_parameter("number", nn.Parameter(found[0].bias[0].detach().clone()))
    return found


def test_names_and_patterns_choose_from_the_tasks_groups():
    def names(*patterns):
        return [*chosen_groups(model(), OWN, patterns)]

    assert names("head*") == ["head 0.0", "head 0.1"]
    assert names("neuron*", "head 0.0") == ["neuron mlp.0.0", "head 0.0"]
    assert names("all") == names("*") == [*OWN]
    assert [*chosen_groups(model(), {"all": "x", "some": "y"}, ["all"])] == ["all"]  # its name, where one has it


def test_units_are_those_of_layers_embeddings_tensors_and_heads():
    found = chosen_groups(model(), {}, units=["0,2", "3", "table"])
    assert [*found] == [
        *(f"neuron 0.{i}" for i in range(4)),
        *(f"row 3.{i}" for i in range(5)),
        "row table.0",
        "row table.1",
    ]
    assert len(found["neuron 0.0"]) == 3
    assert found["row table.1"] == [("table", 1)]
    assert [*chosen_groups(AttentionOnly(), {}, units=["heads"])][:2] == ["head 0.0", "head 0.1"]


def test_a_shared_tensor_is_found_by_each_of_its_names():
    tied = nn.ModuleDict({"embedding": nn.Embedding(3, 2), "head": nn.Linear(2, 3, bias=False)})
    tied["head"].weight = tied["embedding"].weight
    for name in ("embedding.weight", "head.weight"):
        assert chosen_groups(tied, {}, units=[name])[f"row {name}.2"] == [("embedding.weight", 2)]


@pytest.mark.parametrize(
    ("own", "patterns", "units", "message"),
    [
        (OWN, ["nuron*"], [], r"'nuron\*' is none of the task's groups; there are head 0.0, head 0.1, neuron mlp.0.0"),
        ({}, ["neuron*"], [], "the task has no groups of parameters, and 'neuron"),
        ({}, [], ["mlp"], "there is no layer or tensor 'mlp'; there are 0, 1, 2, 3, table, number"),
        ({}, [], ["0,1,2"], "units are LAYER or LAYER,READER, as mlp.0,mlp.2; got '0,1,2'"),
        ({}, [], ["0,"], "units are LAYER or LAYER,READER"),
        ({}, [], ["3,0"], "only units of a linear layer or a convolution have a reader; '3' is none"),
        ({}, [], ["number"], "frozen or one number"),
        ({}, [], ["1"], "layer '1' must be linear or a convolution"),
        ({}, [], ["heads"], "no attention with heads"),
    ],
)
def test_what_cannot_be_chosen_is_refused_in_one_line(own, patterns, units, message):
    with pytest.raises(UserError, match=message):
        chosen_groups(model(), own, patterns, units)
