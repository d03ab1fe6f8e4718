"""Settings of libraries' models, put in while an operator evaluates them and given back."""

from types import SimpleNamespace

import torch
from torch import nn

from hessian_dendrogram import Hessian

kernels = set()  # outside of the model, whose attributes an operator gives back


class Configured(nn.Module):
    """A model that computes in the type and by the kernel that its settings name, as those of libraries do."""

    def __init__(self, kernel="flash_attention_2"):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.config = SimpleNamespace(_attn_implementation_internal=kernel)
        self.cfg = SimpleNamespace(dtype=torch.float32, d_model=3)

    def forward(self, x):
        kernels.add(self.config._attn_implementation_internal)
        if self.config._attn_implementation_internal.startswith("flash"):
            raise NotImplementedError("no second derivative")
        return self.linear(x).to(self.cfg.dtype).tanh()


def data():
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    return x, x[:, :2]


def test_attention_without_second_derivatives_is_written_out_on_the_copy():
    kernels.clear()
    model = Configured()
    H = Hessian(model, nn.functional.mse_loss, data())
    H.matvec(torch.ones(H.shape[0]))
    assert kernels == {"eager"}
    assert model.config._attn_implementation_internal == "flash_attention_2"
    assert model.cfg.dtype == torch.float32


def test_kernels_that_can_be_differentiated_twice_stay_as_they_were_when_the_model_was_given():
    kernels.clear()
    model = Configured("sdpa")
    H = Hessian(model, nn.functional.mse_loss, data())
    model.config._attn_implementation_internal = "flash_attention_2"
    H.with_dtype(torch.float64).matvec(torch.ones(H.shape[0], dtype=torch.float64))
    assert kernels == {"sdpa"}
    assert model.config._attn_implementation_internal == "flash_attention_2"


def test_a_float64_copy_is_one():
    model = Configured("eager")
    H = Hessian(model, nn.functional.mse_loss, data(), dtype=torch.float64)
    assert H.roundoff < 1e-15
    plain = nn.Sequential(nn.Linear(3, 2), nn.Tanh()).double()
    plain.load_state_dict({f"0.{name}": tensor for name, tensor in model.linear.state_dict().items()})
    x, y = data()
    torch.testing.assert_close(
        H.to_dense(), Hessian(plain, nn.functional.mse_loss, (x.double(), y.double())).to_dense()
    )


def test_settings_are_given_back_where_the_model_fails():
    model = Configured("eager")
    H = Hessian(model, nn.functional.mse_loss, data(), dtype=torch.float64)
    try:
        with H.risk.session():
            assert model.cfg.dtype == torch.float64
            raise KeyError
    except KeyError:
        assert model.cfg.dtype == torch.float32


class Bridge(nn.Module):
    """A model that computes with parts of another, which it does not list, as a bridge of TransformerLens does."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.__dict__["original"] = nn.Sequential(self.linear, nn.Dropout(0.5))

    def train(self, mode=True):
        self.original.train(mode)
        return super().train(mode)

    def forward(self, x):
        return self.original(x).tanh()


def test_parts_that_only_the_models_own_eval_reaches_are_in_that_mode():
    torch.manual_seed(0)
    model = Bridge()
    plain = nn.Sequential(model.linear, nn.Tanh())
    v = torch.ones(8)
    products = [Hessian(one, nn.functional.mse_loss, data()).matvec(v) for one in (model, plain)]
    assert torch.equal(*products)
    assert model.training
    assert model.original[1].training


def test_a_compiled_model_is_evaluated_as_it_was_written():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    v = torch.ones(8)
    wanted = Hessian(plain, nn.functional.mse_loss, data()).matvec(v)
    compiled = torch.compile(plain, backend="eager")
    assert torch.equal(Hessian(compiled, nn.functional.mse_loss, data()).matvec(v), wanted)
