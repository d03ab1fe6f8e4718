"""Ordinary inputs that once gave a wrong number, crashed or were refused without need; and the truth about each.

The truth is the central difference of the gradient of what the user means, in float64, at the user's own live model.
"""

from __future__ import annotations

import copy
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune

Loss = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Input:
    """What a user gives, and what is meant by it.

    Args:
        model: in float64 unless `options` say so.
        loss: as given.
        data: as given.
        options: of `Hessian`.
        mean_loss: the loss that is meant, of the model alone; by default the loss on the whole of `data`, a pair.
    """

    model: nn.Module
    loss: Loss
    data: Any
    options: dict[str, Any] = field(default_factory=dict)
    mean_loss: Callable[[nn.Module], Tensor] | None = None

    def true_hessian(self) -> Tensor:
        """By central differences of the gradient in float64, at the user's own model."""
        model = copy.deepcopy(self.model).double() if self.options.get("dtype") else self.model
        model.eval()
        inputs, targets = self.data if self.mean_loss is None else (None, None)
        mean_loss = self.mean_loss or (lambda model: self.loss(model(inputs), targets))
        return true_hessian(model, lambda: mean_loss(model))


def true_hessian(model: nn.Module, mean_loss: Callable[[], Tensor], step: float = 1e-5) -> Tensor:
    """The matrix of central differences of the gradient, over the parameters that are not frozen: shape (n, n)."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def gradient() -> Tensor:
        parts = torch.autograd.grad(mean_loss(), parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([part.reshape(-1) for part in parts])

    rows = []
    for parameter in parameters:
        flat = parameter.data.view(-1)
        for i in range(flat.numel()):
            at = flat[i].item()
            flat[i] = at + step
            above = gradient()
            flat[i] = at - step
            below = gradient()
            flat[i] = at
            rows.append((above - below) / (2 * step))
    H = torch.stack(rows)
    return (H + H.T) / 2


def points(count: int = 20, outputs: int | None = None) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    if outputs is None:
        return inputs, torch.randint(3, (count,), generator=generator)
    return inputs, torch.randn(count, outputs, generator=generator, dtype=torch.float64)


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def in_batches(data: tuple[Tensor, Tensor], size: int) -> list[tuple[Tensor, Tensor]]:
    return [(data[0][i : i + size], data[1][i : i + size]) for i in range(0, len(data[1]), size)]


# ── 1: what the loss and the forward reach ───────────────────────────────────────────────────────────────────────────


def penalty_on_parameters() -> Input:
    model = mlp()
    return Input(
        model, lambda o, t: F.cross_entropy(o, t) + 0.05 * sum((p**2).sum() for p in model.parameters()), points()
    )


def penalty_on_captured_parameters() -> Input:
    model = mlp()
    captured = list(model.parameters())
    lengths = lambda: torch.stack([parameter.norm() for parameter in captured])  # noqa: E731
    return Input(model, lambda o, t: F.cross_entropy(o, t) + 0.05 * (lengths() ** 4).sum(), points())


def penalty_on_a_flat_vector() -> Input:
    model = mlp()
    flat = nn.utils.parameters_to_vector
    return Input(model, lambda o, t: F.cross_entropy(o, t) + 0.05 * flat(model.parameters()).tanh().sum(), points())


def _penalised(model: nn.Module, strength: float, outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets) + strength * sum(p.square().sum() for p in model.parameters())


def penalty_in_a_partial() -> Input:
    model = mlp()
    return Input(model, partial(_penalised, model, 0.1), points())


class LossWithModel(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets) + 0.1 * self.model[2].weight.square().sum()


def a_loss_module_that_holds_the_model() -> Input:
    model = mlp()
    return Input(model, LossWithModel(model), points())


class Lambdas(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.drop, self.b = nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 3)
        self.steps = [lambda h: self.a(h), torch.tanh, lambda h: self.drop(h), lambda h: self.b(h)]

    def forward(self, h: Tensor) -> Tensor:
        for step in self.steps:
            h = step(h)
        return h


def forward_through_lambdas() -> Input:
    torch.manual_seed(0)
    return Input(Lambdas().double().train(), F.cross_entropy, points())


def a_patched_forward() -> Input:
    model = mlp()
    before = model.forward
    model.forward = lambda x: 2 * before(x) ** 2
    return Input(model, F.cross_entropy, points())


def a_patched_method() -> Input:
    model = mlp()
    model[0].forward = types.MethodType(lambda self, x: F.linear(x, self.weight).square(), model[0])
    return Input(model, F.cross_entropy, points())


class PhysicsInformed(nn.Module):
    """u and its derivative with respect to the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.requires_grad_()
        u = self.net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        return torch.cat([u, slope], dim=1)


def derivatives_in_the_forward() -> Input:
    torch.manual_seed(0)
    return Input(PhysicsInformed().double(), F.mse_loss, points(10, outputs=4))


def inputs_that_require_gradients() -> Input:
    torch.manual_seed(0)
    inputs, targets = points(10, outputs=4)
    return Input(PhysicsInformed().double(), F.mse_loss, (inputs.requires_grad_(), targets))


class TransformInside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.func.vmap(torch.func.grad(lambda row: self.net(row).squeeze()))(x)


def a_transform_in_the_forward() -> Input:
    torch.manual_seed(0)
    return Input(TransformInside().double(), F.mse_loss, points(10, outputs=3))


# ── 2: types ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Rotary(nn.Module):
    """Pairs of features turned by angles, with a complex buffer and a frozen complex weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 3)
        self.register_buffer("turn", torch.polar(torch.ones(2), torch.tensor([0.3, 1.1])))
        self.mix = nn.Parameter(torch.tensor([[0.5 + 1j, 1.0], [0.2j, 1.0 - 0.4j]]), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.view_as_complex(self.first(x).unflatten(1, (2, 2)))
        return self.last(torch.view_as_real((z * self.turn) @ self.mix).flatten(1))


def _in_single(model: nn.Module, loss: Loss, data: tuple[Tensor, Tensor], double: Loss, **options: Any) -> Input:
    """A float32 model under a float64 operator, with the same loss in float64 for the truth."""
    inputs, targets = data
    return Input(
        model, loss, (inputs.float(), targets.float() if targets.is_floating_point() else targets),
        {"dtype": torch.float64, **options}, lambda model: double(model(inputs.float().double()), targets),
    )  # fmt: skip


def complex_buffers() -> Input:
    torch.manual_seed(0)
    model = Rotary()
    inputs, targets = points()
    wide = copy.deepcopy(model)
    turn, mix = wide.turn.to(torch.complex128), wide.mix.detach().to(torch.complex128)

    def mean_loss(model: nn.Module) -> Tensor:
        z = torch.view_as_complex(model.first(inputs.float().double()).unflatten(1, (2, 2)))
        return F.cross_entropy(model.last(torch.view_as_real((z * turn) @ mix).flatten(1)), targets)

    return Input(model, F.cross_entropy, (inputs.float(), targets), {"dtype": torch.float64}, mean_loss)


CLASS_WEIGHTS = torch.tensor([1.0, 2.0, 5.0])


def captured_class_weights_in_single_precision() -> Input:
    return _in_single(
        mlp().float(),
        lambda o, t: F.cross_entropy(o, t, weight=CLASS_WEIGHTS), points(),
        lambda o, t: F.cross_entropy(o, t, weight=CLASS_WEIGHTS.double()),
        weight=lambda t: CLASS_WEIGHTS[t].sum(),
    )  # fmt: skip


def a_loss_module_in_single_precision() -> Input:
    return _in_single(
        mlp().float(),
        nn.BCEWithLogitsLoss(pos_weight=CLASS_WEIGHTS), points(outputs=3),
        lambda o, t: F.binary_cross_entropy_with_logits(o, t.float().double(), pos_weight=CLASS_WEIGHTS.double()),
    )  # fmt: skip


class ConstantInside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x)) @ torch.tril(torch.ones(4, 4)))


def a_constant_in_single_precision() -> Input:
    torch.manual_seed(0)
    model = ConstantInside()
    inputs, targets = points()

    def mean_loss(model: nn.Module) -> Tensor:
        h = torch.tanh(model.first(inputs.float().double())) @ torch.tril(torch.ones(4, 4).double())
        return F.cross_entropy(model.last(h), targets)

    return Input(model, F.cross_entropy, (inputs.float(), targets), {"dtype": torch.float64}, mean_loss)


class OwnTo(nn.Sequential):
    """Keeps its type, whatever it is asked for."""

    def to(self, *_: Any, **__: Any) -> OwnTo:
        return self


def a_model_whose_own_to_does_nothing() -> Input:
    model = OwnTo(*mlp().float())
    inputs, targets = points()
    return Input(model, F.cross_entropy, (inputs.float(), targets), {"dtype": torch.float64},
                 lambda model: F.cross_entropy(model(inputs.float().double()), targets))  # fmt: skip


# ── 3: means ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def right_weights_of_many_samples() -> Input:
    inputs, targets = points(3000)
    weights = torch.tensor([0.1, 0.7, 3.3])
    inputs, targets = inputs[:3000], targets
    double = weights.double()
    return Input(
        nn.Linear(3, 3).double(), nn.CrossEntropyLoss(weight=weights), in_batches((inputs, targets), 700),
        {"weight": lambda t: weights[t].sum()}, lambda model: F.cross_entropy(model(inputs), targets, weight=double),
    )  # fmt: skip


def a_zero_head_with_weights() -> Input:
    model = mlp()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    weights = CLASS_WEIGHTS.double()
    return Input(model, lambda o, t: F.cross_entropy(o, t, weight=weights), in_batches(points(), 3),
                 {"weight": lambda t: weights[t].sum()},
                 lambda model: F.cross_entropy(model(points()[0]), points()[1], weight=weights))  # fmt: skip


class Packed(nn.Module):
    """A recurrent network on sequences whose lengths descend, as packing asks."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.RNN(1, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x[..., None], lengths.cpu(), batch_first=True, enforce_sorted=True)
        return self.out(self.cell(packed)[1][-1])


def packed_sequences() -> Input:
    torch.manual_seed(0)
    inputs, lengths = torch.randn(8, 5).double(), torch.tensor([5, 5, 4, 3, 3, 2, 2, 1])
    targets = torch.randint(2, (8,))
    model = Packed().double()
    return Input(model, F.cross_entropy, ((inputs, lengths), targets), {},
                 lambda model: F.cross_entropy(model(inputs, lengths), targets))  # fmt: skip


def memorised() -> Input:
    """Logits of a thousand, a loss that is mostly rounding."""
    inputs, _ = points()
    model = nn.Linear(3, 3).double()
    with torch.no_grad():
        model.weight.mul_(2000)
        targets = model(inputs).argmax(1)
    return Input(model, F.cross_entropy, (inputs, targets))


# ── 4: derivatives ───────────────────────────────────────────────────────────────────────────────────────────────────


def weight_norm() -> Input:
    model = mlp()
    nn.utils.parametrizations.weight_norm(model[0])
    return Input(model, F.cross_entropy, points())


class RadialBasis(nn.Module):
    """exp(-‖x - c‖²) by a norm, which has no derivative where a centre is a data point."""

    def __init__(self, centres: Tensor, safe: bool, square: bool = True) -> None:
        super().__init__()
        self.square = square
        self.centres, self.out, self.safe = nn.Parameter(centres.clone()), nn.Linear(len(centres), 3).double(), safe

    def forward(self, x: Tensor) -> Tensor:
        apart = x[:, None] - self.centres
        squares = apart.square().sum(2) if self.safe else apart.norm(dim=2) ** (2 if self.square else 1)
        return self.out(torch.exp(-squares))


def radial_basis(safe: bool, count: int = 20, at: int = 3) -> Input:
    torch.manual_seed(0)
    inputs, targets = points(count)
    return Input(RadialBasis(inputs[at : at + 2], safe), F.cross_entropy, (inputs, targets))


class SavesIntermediate(torch.autograd.Function):
    """x², with a first derivative that is right and a second one that is lost."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(2 * x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return ctx.saved_tensors[0] * gradient


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient


class Applies(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.function, self.last = nn.Linear(3, 4), function, nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.function(self.first(x))))


def applies(function: Callable[[Tensor], Tensor]) -> Input:
    torch.manual_seed(0)
    return Input(Applies(function).double(), F.cross_entropy, points())


def many_kinks() -> Input:
    """Thousands of ReLUs on many samples: some pass their kink within any step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 2000), nn.ReLU(), nn.Linear(2000, 1)).double()
    for parameter in (model[0].weight, model[0].bias):
        parameter.requires_grad_(False)
    inputs = torch.randn(400, 1).double()
    return Input(model, F.mse_loss, (inputs, inputs.sin()))


def zero_weights() -> Input:
    """Every ReLU exactly at its kink."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return Input(model, F.cross_entropy, points())


# ── 5: hooks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def a_hook_that_scales() -> Input:
    model = mlp()
    model[1].register_forward_hook(lambda module, args, output: 0.3 * output)
    return Input(model, F.cross_entropy, points())


def a_hook_before() -> Input:
    model = mlp()
    model[2].register_forward_pre_hook(lambda module, args: (args[0] * torch.tensor([1.0, 0, 1, 0]).double(),))
    return Input(model, F.cross_entropy, points())


# ── 9: shapes and places ─────────────────────────────────────────────────────────────────────────────────────────────


def summed_squares() -> Input:
    return Input(mlp(), lambda o, t: F.mse_loss(o, t, reduction="sum") / len(t), points(outputs=3))


def an_activation_in_place() -> Input:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.SiLU(inplace=True), nn.Linear(4, 3)).double()
    return Input(model, F.cross_entropy, points())


def linear_layers_on_tokens() -> Input:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    return Input(model, F.mse_loss, (torch.randn(6, 5, 3).double(), torch.randn(6, 5, 2).double()))


def a_first_layer_that_returns_its_input() -> Input:
    return Input(nn.Sequential(nn.Identity(), *mlp()), F.cross_entropy, points())


def outputs_of_one_axis() -> Input:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0)).double()
    return Input(model, F.mse_loss, (points()[0], points()[0].sum(1)))


class Doubling(nn.Identity):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def a_subclass_that_does_something_else() -> Input:
    return Input(nn.Sequential(*mlp()[:2], Doubling(), mlp()[2]), F.cross_entropy, points())


# ── 12: what deepcopy refuses ────────────────────────────────────────────────────────────────────────────────────────


def old_weight_norm() -> Input:
    model = mlp()
    nn.utils.weight_norm(model[0])
    return Input(model, F.cross_entropy, points())


def old_spectral_norm() -> Input:
    model = mlp()
    nn.utils.spectral_norm(model[2])
    model(points()[0])
    return Input(model.eval(), F.cross_entropy, points())


def pruned() -> Input:
    model = mlp()
    prune.random_unstructured(model[0], "weight", 0.4)
    return Input(model, F.cross_entropy, points())


class Keeps(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        self.kept = [self[0](x)]
        return self[2](torch.tanh(self.kept[0]))


def kept_activations() -> Input:
    model = Keeps(*mlp())
    model(points()[0])
    return Input(model, F.cross_entropy, points())


def a_lock() -> Input:
    model = mlp()
    model.lock = threading.Lock()
    return Input(model, F.cross_entropy, points())


class Uncopyable(nn.Sequential):
    def __deepcopy__(self, memo: Any) -> Uncopyable:
        raise RuntimeError("there is only one of me")


def an_own_deepcopy_that_refuses() -> Input:
    return Input(Uncopyable(*mlp()), F.cross_entropy, points())


def scripted() -> Input:
    return Input(torch.jit.script(mlp()), F.cross_entropy, points())


# ── what was found later ─────────────────────────────────────────────────────────────────────────────────────────────


def a_layer_under_two_names() -> Input:
    torch.manual_seed(0)
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(3, 3)).double()
    return Input(model, F.cross_entropy, points())


class HoldsParameters(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.held = list(model.parameters())

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets) + 1e-7 * sum(p.square().sum() for p in self.held)


def a_small_penalty_in_a_loss_module() -> Input:
    model = mlp()
    return Input(model, HoldsParameters(model), points())


class Auxiliary(nn.Module):
    """Leaves a second loss as an attribute, as mixtures of experts do."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        self.auxiliary = h.square().sum(1).mean()
        return self.b(h)


def a_loss_that_reads_an_attribute() -> Input:
    torch.manual_seed(0)
    model = Auxiliary().double()
    with torch.no_grad():
        model(points()[0][:2])
    return Input(model, lambda o, t: F.cross_entropy(o, t) + 0.1 * model.auxiliary, points())


class ModeInAClosure(nn.Sequential):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.scale = lambda h: h * (2.0 if self.training else 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(super().forward(x))


def the_mode_in_a_closure() -> Input:
    return Input(ModeInAClosure(*mlp()).train(), F.cross_entropy, points())


def a_penalty_in_some_batches() -> Input:
    """Weights of the last layer count for the samples of one class, and the data is sorted by class."""
    model = mlp()
    inputs, targets = points()
    order = targets.argsort()
    data = inputs[order], targets[order]
    captured = list(model.parameters())

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        value = F.cross_entropy(outputs, targets)
        share = (targets == 2).double().mean()
        return value + share * sum(p.square().sum() for p in captured) if share else value

    return Input(model, loss, in_batches(data, 3), {}, lambda model: loss(model(data[0]), data[1]))


class CheckpointsAClosure(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 3)
        self.block = lambda h: torch.tanh(self.a(h))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.utils.checkpoint.checkpoint(self.block, x, use_reentrant=False))


def a_checkpoint_of_a_closure() -> Input:
    torch.manual_seed(0)
    return Input(CheckpointsAClosure().double(), F.cross_entropy, points())


class SetsItsInputs(PhysicsInformed):
    def forward(self, x: Tensor) -> Tensor:
        x.requires_grad = True
        return super().forward(x)


def a_forward_that_sets_its_inputs() -> Input:
    torch.manual_seed(0)
    inputs, targets = points(10, outputs=4)
    return Input(SetsItsInputs().double(), F.mse_loss, (inputs.requires_grad_(), targets))


def a_large_constant() -> Input:
    return Input(mlp(), lambda o, t: F.cross_entropy(o, t) + 1e6 - 1e6, points())


def weights_divided_in_single_precision() -> Input:
    counts = torch.tensor([3.0, 7.0, 11.0])
    weights = (1 / counts).double()
    inputs, targets = points(300)
    return Input(
        nn.Linear(3, 3).double(), nn.CrossEntropyLoss(weight=1 / counts), in_batches((inputs, targets), 70),
        {"weight": lambda t: (1 / counts)[t].sum()},
        lambda model: F.cross_entropy(model(inputs), targets, weight=weights),
    )  # fmt: skip


def layers_of_very_different_sizes() -> Input:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        for parameter in model[0].parameters():
            parameter.mul_(1e4)
        for parameter in model[2].parameters():
            parameter.mul_(1e-4)
    return Input(model, F.cross_entropy, points())


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTM(3, 3, batch_first=True), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x[:, None].expand(-1, 3, -1))[0][:, -1])


class LeavesItsInput(nn.Module):
    """A loss that weighs samples by what the forward has kept of them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.t, self.b = nn.Linear(3, 9), nn.Tanh(), nn.Linear(9, 3)
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.last = x
        return self.b(self.t(self.a(x)))


def a_loss_that_reads_the_input() -> Input:
    torch.manual_seed(0)
    model = LeavesItsInput().double()
    model(points()[0][:1])
    return Input(
        model, lambda o, t: (model.last.abs().sum(1) * F.cross_entropy(o, t, reduction="none")).mean(), points()
    )


class Queue(nn.Module):
    """Second losses in a list, which the loss empties."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 3)
        self.auxiliary: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        self.auxiliary.append(0.1 * h.square().sum(1).mean())
        return self.b(h)


def a_loss_that_empties_a_list() -> Input:
    torch.manual_seed(0)
    model = Queue().double()
    return Input(model, lambda o, t: F.cross_entropy(o, t) + model.auxiliary.pop(), points())


class Caches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.settings, self.cache = nn.Linear(3, 4), nn.Linear(4, 3), {"scale": 1.5}, {}

    def forward(self, x: Tensor) -> Tensor:
        if "w" not in self.cache:
            self.cache["w"] = self.a.weight**2
        return self.b(torch.tanh(F.linear(x, self.cache["w"], self.a.bias) * self.settings["scale"]))


class OverridesParameters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base, self.added = nn.Linear(3, 3), nn.Linear(3, 3)
        self.base.requires_grad_(False)

    def named_parameters(self, *args: Any, **options: Any) -> Any:
        return ((name, p) for name, p in super().named_parameters(*args, **options) if p.requires_grad)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.base(x)) + torch.tanh(self.added(x))


def a_model_that_lists_some_of_its_parameters() -> Input:
    torch.manual_seed(0)
    return Input(OverridesParameters().double(), F.cross_entropy, points())
