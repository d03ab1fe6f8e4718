import logging

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from cases import CASES, Case
from hessian_dendrogram import Hessian
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.operators import hessian as hessian_module
from hessian_dendrogram.operators import mean
from hessian_dendrogram.operators.risk import Risk
from references import reference


def build(case: Case):
    torch.manual_seed(0)
    return case.build()


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("method", [None, "double-backward"])
def test_equal_to_autograd_in_float64(case, method):
    model, loss, data = build(case)
    H = Hessian(model, loss, data, dtype=torch.float64, method=method)
    dense = H.to_dense()
    expected = reference(model, loss, data, H.layout)
    assert (dense - expected).norm() <= 1e-10 * expected.norm()
    assert torch.equal(dense, dense.T)
    assert expected.norm() > 0


@pytest.mark.parametrize("memory", [2**30, 3000, 0])
def test_gradient_graphs_are_kept_where_all_of_them_fit(memory, monkeypatch):
    monkeypatch.setattr(hessian_module, "_GRAPH_MEMORY", memory)
    case = linear_case()
    case["model"] = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    case["data"] = torch.randn(20, 4, dtype=torch.float64), torch.randint(3, (20,))
    H = Hessian(**case, method="double-backward", batch_size=8)
    expected = Hessian(**case, method="forward-over-reverse").to_dense()
    built = []
    monkeypatch.setattr(H.risk, "batch_loss", lambda *args: built.append(1) or Risk.batch_loss(H.risk, *args))
    for _ in range(3):
        assert torch.allclose(H.matmat(torch.eye(len(expected), dtype=torch.float64)), expected, atol=1e-14)
    assert len(built) == (3 if memory == 2**30 else 9)


def test_another_dtype_has_graphs_of_its_own():
    H = Hessian(**linear_case(), method="double-backward")
    eye = torch.eye(H.shape[0])
    single, double = H.matmat(eye), H.with_dtype(torch.float64).matmat(eye.double())
    assert double.dtype == torch.float64
    assert 0 < (single - double).abs().max() < 1e-6


def test_the_fastest_method_is_measured(monkeypatch, caplog):
    """Each way in turn, the least time counts: one turn of double backward takes long, and forward mode always does."""
    clock, calls = [0.0], {"forward-over-reverse": 0, "double-backward": 0}
    monkeypatch.setattr(mean.time, "perf_counter", lambda: clock[0])
    original = Hessian.product_of_batch

    def timed(self, *args, **options):
        calls[self.method] += 1
        clock[0] += 6.0 if self.method == "forward-over-reverse" else 20.0 if calls[self.method] == 2 else 1.0
        return original(self, *args, **options)

    H = Hessian(**linear_case(), dtype=torch.float64)
    monkeypatch.setattr(Hessian, "product_of_batch", timed)
    with caplog.at_level(logging.INFO):
        H.take_fastest()
    assert H.method == "double-backward"
    assert calls == dict.fromkeys(calls, 1 + mean.TURNS)
    n = H.num_samples
    assert f"forward-over-reverse, {n} samples at once: 6 s, double-backward, {n} samples at once: 1 s" in caplog.text
    monkeypatch.undo()
    given = Hessian(**linear_case(), method="forward-over-reverse")
    given.take_fastest()
    assert given.method == "forward-over-reverse"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_products_agree_with_the_matrix(case):
    model, loss, data = build(case)
    H = Hessian(model, loss, data, dtype=torch.float64)
    dense = H.to_dense()
    V = torch.randn(H.shape[0], 3, dtype=torch.float64)
    assert H.matmat(V).numpy() == pytest.approx((dense @ V).numpy(), abs=1e-12)
    assert (H @ V[:, 0]).numpy() == pytest.approx((dense @ V[:, 0]).numpy(), abs=1e-12)
    assert H.to_scipy() @ V.numpy() == pytest.approx((dense @ V).numpy(), abs=1e-12)
    assert H.to_scipy().rmatvec(V[:, 0].numpy()) == pytest.approx((dense @ V[:, 0]).numpy(), abs=1e-12)
    assert H.matmat(V[:, :0]).shape == (H.shape[0], 0)


def test_a_quadratic_loss_has_the_hessian_of_its_normal_equations():
    """Closed form: linear regression has H = 2 XᵀX / (N · outputs) for every output."""
    X, Y = torch.randn(20, 3, dtype=torch.float64), torch.randn(20, 2, dtype=torch.float64)
    H = Hessian(nn.Linear(3, 2, bias=False).double(), F.mse_loss, (X, Y)).to_dense()
    block = 2 * X.T @ X / (20 * 2)
    assert H.numpy() == pytest.approx(torch.block_diag(block, block).numpy(), abs=1e-14)


class Items(Dataset):
    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return self.inputs[index], self.targets[index]


def test_every_form_of_the_data_gives_the_same_matrix():
    model, loss, (inputs, targets) = build(CASES[0])
    parts = [(inputs[i : i + 4], targets[i : i + 4]) for i in (0, 4, 8)]
    forms = {
        "pair": (inputs, targets),
        "TensorDataset": TensorDataset(inputs, targets),
        "Dataset": Items(inputs, targets),
        "DataLoader": DataLoader(TensorDataset(inputs, targets), batch_size=4),
        "shuffled DataLoader": DataLoader(TensorDataset(inputs, targets), batch_size=2, shuffle=True),
        "batches": parts,
        "lists": [list(part) for part in parts],
        "generator": (part for part in parts),
    }
    expected = Hessian(model, loss, (inputs, targets), dtype=torch.float64).to_dense()
    for name, data in forms.items():
        for batch_size in (2, 100):
            if name == "generator" and batch_size == 100:
                continue
            H = Hessian(model, loss, data, dtype=torch.float64, batch_size=batch_size)
            assert H.num_samples == 9, name
            assert H.to_dense().numpy() == pytest.approx(expected.numpy(), abs=1e-14), name


def test_frozen_parameters_are_left_out_and_said(caplog):
    model, loss, data = build(next(case for case in CASES if case.name == "frozen"))
    with caplog.at_level(logging.INFO):
        H = Hessian(model, loss, data)
    assert H.left_out == ("0.weight",)
    assert "1 of the model's parameters are left out: 0.weight" in caplog.text
    assert H.layout.names == ("0.bias", "2.weight", "2.bias")


def test_a_subset_is_the_block_of_the_whole():
    model, loss, data = build(CASES[0])
    full = Hessian(model, loss, data, dtype=torch.float64)
    part = Hessian(model, loss, data, dtype=torch.float64, parameters=["2.*"])
    assert part.left_out == ("0.weight", "0.bias")
    rows = full.layout.group({"last": "2.*"})["last"]
    assert part.to_dense().numpy() == pytest.approx(full.to_dense().numpy()[np.ix_(rows, rows)], abs=1e-14)


def test_the_model_is_copied_and_left_as_it_was():
    model, loss, data = build(next(case for case in CASES if case.name == "batch-norm-dropout"))
    model.train()
    H = Hessian(model, loss, data, dtype=torch.float64)
    before = H.to_dense()
    assert model.training
    assert next(model.parameters()).dtype == torch.float32
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(H.to_dense(), before)


def test_float32_is_float64_to_its_precision():
    model, loss, data = build(CASES[4])
    single = Hessian(model, loss, data)
    assert single.dtype == torch.float32
    exact = single.with_dtype(torch.float64).to_dense()
    assert (single.to_dense() - exact).norm() < 1e-5 * exact.norm()
    assert single.with_dtype(torch.float32) is single


def test_weights_make_a_mean_over_tokens():
    """Ignored targets: the mean over those that are left, batch by batch, needs weight=."""
    model, inputs = nn.Linear(4, 3).double(), torch.randn(10, 4, dtype=torch.float64)
    targets = torch.tensor([0, 1, -100, 2, -100, -100, 1, 0, -100, -100])
    kept = targets >= 0
    with pytest.raises(UserError, match=r"not a mean over samples.*weight="):
        Hessian(model, F.cross_entropy, (inputs, targets))
    batches = [(inputs[:4], targets[:4]), (inputs[4:8], targets[4:8]), (inputs[8:], targets[8:])]
    H = Hessian(model, F.cross_entropy, batches, weight=lambda targets: (targets >= 0).sum())
    expected = Hessian(model, F.cross_entropy, (inputs[kept], targets[kept]))
    assert H.to_dense().numpy() == pytest.approx(expected.to_dense().numpy(), abs=1e-14)


def test_a_loss_with_tensors_of_its_own_follows_the_dtype():
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 9.0]))
    data = linear_case()["data"]
    weights = torch.tensor([1.0, 5.0, 9.0])
    H = Hessian(nn.Linear(4, 3), loss, data, weight=lambda targets: weights[targets].sum(), dtype=torch.float64)
    assert H.to_dense().isfinite().all()
    assert loss.weight.dtype == torch.float32


def test_a_loss_that_squeezes_its_outputs():
    data = torch.randn(7, 3), torch.rand(7).round()
    H = Hessian(nn.Linear(3, 1), lambda o, t: F.binary_cross_entropy_with_logits(o.squeeze(), t), data)
    assert H.plan.method == "layerwise"
    expected = H.to_dense(method="products").numpy()
    assert H.to_dense().numpy() == pytest.approx(expected, abs=1e-6)


class Augmented(Items):
    def __getitem__(self, index):
        return self.inputs[index] + 0.1 * torch.randn(4), self.targets[index]


def test_random_data_is_refused():
    with pytest.raises(UserError, match="the data is not deterministic: read twice"):
        Hessian(nn.Linear(4, 3), F.cross_entropy, Augmented(*linear_case()["data"]))


def test_a_small_sum_in_float32_is_no_mean():
    model, inputs = nn.Linear(3, 1), torch.randn(80, 3)
    targets = model(inputs).detach() + 1e-3 * torch.randn(80, 1)
    with pytest.raises(UserError, match="not a mean over samples"):
        Hessian(model, lambda o, t: ((o - t) ** 2).sum(), (inputs, targets))


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x) + torch.randn(len(x), 3)


class Mixing(nn.Linear):
    """Normalises over the batch, even in eval mode."""

    def forward(self, x):
        return super().forward(x - x.mean(0))


def linear_case(**changes):
    case = {
        "model": nn.Linear(4, 3),
        "loss": F.cross_entropy,
        "data": (torch.randn(6, 4), torch.tensor([0, 1, 2, 2, 2, 0])),
    }
    return case | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": Noisy(4, 3)}, "not deterministic"),
        ({"model": Mixing(4, 3)}, "not a mean over samples"),
        ({"loss": lambda a, b: F.cross_entropy(a, b, reduction="sum")}, "not a mean over samples"),
        ({"loss": lambda a, b: F.cross_entropy(a, b, weight=torch.tensor([1.0, 5, 9]))}, "not a mean over samples"),
        ({"loss": lambda a, b: F.cross_entropy(a, b, reduction="none")}, r"must be a scalar.*got \(6,\)"),
        ({"loss": lambda a, b: F.cross_entropy(a, b) * float("nan")}, "the loss is nan on batch 1"),
        ({"loss": lambda a, b: F.cross_entropy(a, b).item()}, "must be a scalar.*got float"),
        ({"data": (torch.randn(0, 4), torch.randint(3, (0,)))}, "no samples"),
        ({"data": []}, "no samples"),
        ({"data": (torch.randn(6, 4), torch.randint(3, (5,)))}, r"same number of samples.*\(6, 4\), \(5,\)"),
        ({"data": [torch.randn(6, 4)]}, r"pair \(inputs, targets\)"),
        ({"data": 3}, "must be a tensor pair"),
        ({"model": nn.ReLU()}, "no parameter to take: 0 in all"),
        ({"parameters": ["conv*"]}, "'conv\\*' matches no parameter; there are weight, bias"),
        ({"dtype": torch.int64}, "floating-point"),
    ],
)
def test_bad_input_is_refused_in_one_line(changes, message):
    torch.manual_seed(0)
    arguments = linear_case(**changes)
    with pytest.raises(UserError, match=message) as caught:
        Hessian(arguments.pop("model"), arguments.pop("loss"), arguments.pop("data"), **arguments)
    assert "\n" not in str(caught.value)


def test_choosing_a_frozen_parameter_is_refused():
    model = nn.Linear(4, 3)
    model.bias.requires_grad_(False)
    with pytest.raises(UserError, match="frozen: bias"):
        Hessian(model, F.cross_entropy, linear_case()["data"], parameters=["*"])
    model.weight.requires_grad_(False)
    with pytest.raises(UserError, match="every one frozen"):
        Hessian(model, F.cross_entropy, linear_case()["data"])


def test_differing_dtypes_need_a_choice():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3).double())
    with pytest.raises(UserError, match=r"differ in their dtype \(torch.float32, torch.float64\); pass dtype="):
        Hessian(model, F.cross_entropy, linear_case()["data"])
    assert Hessian(model, F.cross_entropy, linear_case()["data"], dtype=torch.float64).shape == (27, 27)


def test_vectors_of_the_wrong_kind_are_refused():
    H = Hessian(**linear_case())
    with pytest.raises(UserError, match=r"expected shape \(n,\) with n = 15, got \(14,\)"):
        H.matvec(torch.zeros(14))
    with pytest.raises(UserError, match=r"expected shape \(n, k\)"):
        H.matmat(torch.zeros(15))
    with pytest.raises(UserError, match=r"expected torch\.float32"):
        H @ torch.zeros(15, dtype=torch.float64)


def test_a_loss_without_curvature_has_a_zero_matrix():
    model = nn.Linear(4, 3, bias=False)
    for method in ("forward-over-reverse", "double-backward"):
        H = Hessian(model, lambda outputs, _: outputs.mean(), linear_case()["data"], method=method)
        assert not H.to_dense().any()


def test_products_do_not_record_gradients_and_work_without_grad():
    case = linear_case()
    with torch.no_grad():
        for method in ("forward-over-reverse", "double-backward"):
            H = Hessian(**case, method=method)
            v = torch.randn(15, requires_grad=True)
            assert not H.matvec(v).requires_grad


def test_layer_norm_against_finite_differences_of_the_gradient():
    model, loss, data = build(next(case for case in CASES if case.name == "transformer"))
    H = Hessian(model, loss, data, dtype=torch.float64)
    assert H.method == "forward-over-reverse"
    model = model.double().eval()
    parameters = list(model.parameters())
    point = nn.utils.parameters_to_vector(parameters).detach().clone()
    direction = F.normalize(torch.randn_like(point), dim=0)

    def gradient(shift):
        nn.utils.vector_to_parameters(point + shift * direction, parameters)
        parts = torch.autograd.grad(loss(model(data[0]), data[1]), parameters)
        return torch.cat([part.reshape(-1) for part in parts])

    difference = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
    assert H.matvec(direction).numpy() == pytest.approx(difference.numpy(), abs=1e-8)


class WrongForward(torch.autograd.Function):
    """x² whose forward-mode derivative is right at first order and wrong in the backward pass."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return WrongProduct.apply(x, grad)

    @staticmethod
    def jvp(ctx, tangent):
        (x,) = ctx.saved_tensors
        return 2 * x * tangent


class WrongProduct(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, grad):
        return 2 * x * grad

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, outer):
        x, grad = ctx.saved_tensors
        return 2 * grad * outer, 2 * x * outer

    @staticmethod
    def jvp(ctx, x_tangent, grad_tangent):
        x, grad = ctx.saved_tensors
        return 2 * x * grad_tangent + 3 * grad * x_tangent  # 3 should be 2


class Squared(nn.Module):
    def forward(self, x):
        return x * x


class Wrong(nn.Linear):
    def forward(self, x):
        return WrongForward.apply(super().forward(x))


def test_a_wrong_forward_derivative_is_noticed(caplog):
    torch.manual_seed(0)
    model, data = Wrong(4, 3), linear_case()["data"]
    with caplog.at_level(logging.INFO):
        H = Hessian(model, F.cross_entropy, data, dtype=torch.float64)
    assert H.method == "double-backward"
    assert "forward-over-reverse differs by 0.31 of its length from finite differences" in caplog.text
    right = nn.Sequential(model.__class__.__base__(4, 3), Squared())
    right[0].load_state_dict(model.state_dict())
    expected = Hessian(right, F.cross_entropy, data, dtype=torch.float64)
    assert expected.method == "forward-over-reverse"
    assert H.to_dense().numpy() == pytest.approx(expected.to_dense().numpy(), abs=1e-12)
