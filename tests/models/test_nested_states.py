"""Several sets of weights in a file: which is taken, and that it is said."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.checkpoints import FileCheckpoints
from hessian_dendrogram.models.nested_states import AVERAGED


def states():
    torch.manual_seed(0)
    return nn.Linear(2, 3).state_dict(), nn.Linear(2, 3).state_dict()


def loaded(content, tmp_path, prefix=None):
    torch.save(content, tmp_path / "step_1.pt")
    model, lines = nn.Linear(2, 3), []
    FileCheckpoints.found(tmp_path, prefix=prefix, tell=lines.append).load(1, model)
    return model.weight.detach(), lines[1:]


@pytest.mark.parametrize("key", AVERAGED)
def test_the_trained_weights_are_taken_and_the_average_is_said(key, tmp_path):
    trained, averaged = states()
    content = {"model": trained, key: averaged, "step": 1}
    weight, lines = loaded(content, tmp_path)
    assert torch.equal(weight, trained["weight"])
    assert lines == [f"step_1.pt: took 'model'; averaged weights are under {key}: --prefix {key} takes them"]
    weight, lines = loaded(content, tmp_path, prefix=key)
    assert torch.equal(weight, averaged["weight"])
    assert lines == [f"step_1.pt: took '{key}'"]


def test_an_average_alone_is_taken_and_said(tmp_path):
    weight, lines = loaded({"ema": states()[1], "step": 1}, tmp_path)
    assert torch.equal(weight, states()[1]["weight"])
    assert lines == ["step_1.pt: took the averaged weights under 'ema', since there are no others"]


def test_lightning_puts_the_average_in_the_place_of_the_trained_weights(tmp_path):
    trained, averaged = ({f"net.{name}": t for name, t in state.items()} for state in states())
    content = {
        "state_dict": averaged,
        "current_model_state": trained,
        "averaging_state": {"n_averaged": torch.ones(())},
    }
    weight, lines = loaded({**content, "global_step": 1}, tmp_path)
    assert torch.equal(weight, trained["net.weight"])
    assert "took 'current_model_state'; averaged weights are under state_dict" in lines[0]
    assert torch.equal(loaded(content, tmp_path, prefix="state_dict")[0], averaged["net.weight"])


def test_the_wrapper_of_torch_around_averages_is_said(tmp_path):
    model = nn.Linear(2, 3)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    averaged.update_parameters(model)
    weight, lines = loaded(averaged.state_dict(), tmp_path)
    assert torch.equal(weight, averaged.module.weight)
    assert "step_1.pt: these are averaged weights (n_averaged)" in lines


def test_a_prefix_that_is_no_key_is_one_of_names(tmp_path):
    trained, averaged = states()
    content = {f"{name}.{key}": t for name, s in (("online", trained), ("ema", averaged)) for key, t in s.items()}
    with pytest.raises(UserError, match=r"fit under 'ema.' and 'online.'; say which by --prefix"):
        loaded(content, tmp_path)
    assert torch.equal(loaded(content, tmp_path, prefix="ema.")[0], averaged["weight"])
    within = {"model": content, "ema": {"other": torch.ones(1)}}  # a key of that name whose content does not fit
    with pytest.raises(UserError, match="does not fit"):
        loaded(within, tmp_path, prefix="ema")
