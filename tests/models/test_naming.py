"""Names of files as names of a model: prefixes, wrappers, ties, and what fits in two ways."""

import pytest
import torch
from torch import nn

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.checkpoints import FileCheckpoints
from hessian_dendrogram.models.naming import matched


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.body, self.head = nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("mask", torch.ones(4, 4).tril(), persistent=False)


class Wrapped(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


FORMS = {
    "as it is": lambda state: state,
    "DistributedDataParallel": lambda state: under("module.", state),
    "compiled": lambda state: under("_orig_mod.", state),
    "compiled, then distributed": lambda state: under("module._orig_mod.", state),
    "distributed, then compiled": lambda state: under("_orig_mod.module.", state),
    "a compiled part": lambda state: {name.replace("body.", "body._orig_mod."): t for name, t in state.items()},
    "averaged": lambda state: {"n_averaged": torch.tensor(7), **under("module.", state)},
    "Lightning": lambda state: {"metric.total": torch.tensor(1.0), **under("net.", state)},
    "without what is tied": lambda state: {name: t for name, t in state.items() if name != "head.weight"},
    "a trainer's prefix, without what is tied": lambda state: under(
        "model.", {name: t for name, t in state.items() if name != "embedding.weight"}
    ),
    "with a buffer that is not kept any more": lambda state: {**state, "mask": torch.ones(4, 4)},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_fits_and_has_the_weights_that_were_saved(form, tmp_path):
    torch.manual_seed(0)
    trained, model = Tied(), Tied()
    said = []
    torch.save(FORMS[form](state_of(trained)), tmp_path / "step_3.pt")
    FileCheckpoints({3: tmp_path / "step_3.pt"}, tell=said.append).load(3, model)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    assert model.head.weight is model.embedding.weight
    assert bool(said) == (form != "as it is")  # nothing is changed without a word
    if form == "Lightning":
        assert said == ["step_3.pt: took off net.", "step_3.pt: left out 1 that do not begin with it (metric.total)"]


def test_a_module_whose_own_names_begin_as_a_wrappers_do():
    torch.manual_seed(0)
    trained, model = Wrapped(nn.Linear(2, 2)), Wrapped(nn.Linear(2, 2))
    for state in (state_of(trained), state_of(trained.module), under("module.", state_of(trained))):
        found = matched(state, model)
        assert found.state.keys() == model.state_dict().keys()
        assert torch.equal(found.state["module.weight"], trained.module.weight)


def test_what_fits_in_two_ways_is_refused_until_it_is_said_which(tmp_path):
    torch.manual_seed(0)
    trained, model = nn.Linear(2, 2), nn.Linear(2, 2)
    state = {**under("student.", state_of(trained)), **under("teacher.", state_of(nn.Linear(2, 2)))}
    with pytest.raises(UserError, match=r"fit under 'student\.' and 'teacher\.'; say which by --prefix"):
        matched(state, model)
    torch.save(state, tmp_path / "step_3.pt")
    for prefix in ("student.", "student"):  # the key of a dictionary in the file has no dot
        model = nn.Linear(2, 2)
        FileCheckpoints({3: tmp_path / "step_3.pt"}, prefix=prefix).load(3, model)
        assert torch.equal(model.weight, trained.weight)
    wrapped = matched(under("_orig_mod.module.", state), model, "student")
    assert torch.equal(wrapped.state["weight"], trained.weight)
    with pytest.raises(UserError, match=r"not under the prefix 'net.'; the file has student.weight"):
        matched(state, model, "net.")


def test_tied_tensors_that_differ_in_a_file_are_refused():
    state = state_of(Tied())
    state["head.weight"] = state["head.weight"] + 1
    with pytest.raises(UserError, match=r"embedding.weight and head.weight are one tensor in the model, and differ"):
        matched(state, Tied())


def test_what_does_not_fit_is_left_to_the_comparison():
    state = {"first.weight": torch.ones(2, 2)}
    assert matched(state, nn.Linear(2, 2)).state == state
    assert matched(under("module.", state), nn.Linear(2, 2)).state == state
    assert matched({}, nn.Linear(2, 2)).state == {}
    other = {**state_of(nn.Linear(2, 2)), "other": torch.ones(1)}
    assert matched(other, nn.Linear(2, 2)).state.keys() == other.keys()
