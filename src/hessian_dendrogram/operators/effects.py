r"""What directions in parameter space do to a model's outputs: J v, with J = ∂f_θ(x)/∂θ, for every sample x.

One forward-mode product gives J v for all samples of a batch; a block of vectors is taken at once. A model without
forward derivatives, or with wrong ones, takes reverse mode twice: Jᵀ w is linear in w, and its derivative along v is
J v. Which it is, the first two samples tell: wᵀ (J v) by forward mode must be (Jᵀ w)ᵀ v by reverse mode.

The model is evaluated as a curvature operator evaluates it: in `eval()` mode, with weights of its own, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import jvp, vmap
from torch.utils import _pytree

from ..errors import UserError, user_errors
from ..models import samples
from ..models.samples import Inputs
from .risk import Risk, flat
from .trial import look_at

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Pick = Callable[[Any], Tensor]
"""Which tensor of a model's outputs is meant."""

AT_ONCE = 8
"""Vectors in one pass: twice as many took as long for each, and twice the memory."""

_SLACK = 64  # unit roundoffs by which two ways of computing may differ at once


def effects(
    model: nn.Module,
    inputs: Inputs,
    V: ArrayLike | Tensor,
    *,
    parameters: Sequence[str] | None = None,
    outputs: Pick | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
    batch_size: int = 512,
) -> Tensor:
    """What each of some directions does to the outputs, J V: the change of the outputs per unit step along v.

    Args:
        model: any `nn.Module`, evaluated in `eval()` mode.
        inputs: a tensor, or a tuple or dict of tensors, with the samples along their first axis.
        V: shape (n, m), or (n,) for one, over the chosen parameters in the order of the model.
        parameters: names or patterns of the parameters that V is over; default all that are not frozen.
        outputs: picks a tensor among the model's outputs; default the only one, or the one called `logits`.
        dtype: floating-point type in which the model is evaluated.
        device: default the parameters' own.
        batch_size: samples in one pass.

    Returns:
        Shape (m, samples, outputs), or with more axes where the model gives several for each sample, in float64.

    Raises:
        UserError: V has another length or is not finite; the outputs are not deterministic, do not have the samples
            along their first axis, or one sample's depend on the others; there are several, or no derivative.
    """
    targets = torch.zeros(len(samples.tensors_of(inputs)[0]))
    pick = picked if outputs is None else outputs

    def stands_in_for_a_loss(given: Any, _: Tensor) -> Tensor:
        return pick(given).double().mean()

    device = device or next((one.device for one in model.parameters()), None)
    risk = Risk(
        model,
        stands_in_for_a_loss,
        (inputs, targets),
        parameters=parameters,
        dtype=dtype,
        device=device,
        batch_size=batch_size,
    )
    first = next(risk.data.batches(), None)
    if first is None:
        raise UserError("the inputs have no samples; effects need at least one")
    look_at(risk, first)
    check_samples_are_independent(risk, first[0], pick)
    of_risk = Effects(risk, outputs)
    vectors = of_risk.checked(V)
    return torch.cat([of_risk(batch, vectors) for batch, _ in risk.data.batches()], dim=1)


class Effects:
    """J V for the model of a risk, a batch at a time.

    Args:
        risk: whose first batch has been looked at (see `trial`).
        outputs: as for `effects`.

    Attributes:
        method: `"forward"`, or `"reverse"` for reverse mode twice.

    Raises:
        UserError: the outputs cannot be used, or have no derivative.
    """

    def __init__(self, risk: Risk, outputs: Pick | None = None) -> None:
        self.risk, self._pick = risk, picked if outputs is None else outputs
        inputs, targets = next(risk.data.batches())
        if not risk.data.is_given:
            inputs, targets = samples.take((inputs, targets), slice(0, 2))
        self.method = self._found_method(inputs)

    def checked(self, V: ArrayLike | Tensor) -> Tensor:
        """Vectors as columns, in the type and on the device of the risk: shape (n, m).

        Raises:
            UserError: they have another length, or are not finite.
        """
        vectors = torch.as_tensor(V).to(self.risk.device, self.risk.dtype)
        vectors = vectors[:, None] if vectors.ndim == 1 else vectors
        n = self.risk.layout.size
        if vectors.ndim != 2 or len(vectors) != n:
            raise UserError(f"directions must have shape ({n}, m), one row a parameter; got {tuple(vectors.shape)}")
        if not bool(torch.isfinite(vectors).all()):
            raise UserError(f"directions must be finite, got {int((~torch.isfinite(vectors)).sum())} that are not")
        return vectors

    def __call__(self, inputs: Inputs, V: Tensor) -> Tensor:
        """J V on one batch: shape (n, m) to (m, samples, outputs), in float64."""
        with self.risk.session(), user_errors("the effects of directions cannot be computed"):
            return self._of_batch(inputs, V.detach(), self.method).detach().double()

    def _of_batch(self, inputs: Inputs, V: Tensor, method: str) -> Tensor:
        if not V.shape[1]:  # no transform takes a block of none
            return self._of_batch(inputs, V.new_zeros(len(V), 1), method)[:0]
        if method == "reverse":
            return self._reverse(inputs, V)
        return torch.cat([self._forward(inputs, block) for block in V.split(AT_ONCE, dim=1)])

    def _outputs(self, inputs: Inputs, parameters: dict[str, Tensor] | None = None) -> Tensor:
        return by_sample(self._pick(self.risk.outputs(inputs, parameters)), inputs)

    def _forward(self, inputs: Inputs, V: Tensor) -> Tensor:
        point = {name: tensor.detach() for name, tensor in self.risk.parameters().items()}

        def product(v: Tensor) -> Tensor:
            moved: Tensor = jvp(lambda given: self._outputs(inputs, given), (point,), (self.risk.unflatten(v),))[1]
            return moved

        return vmap(product, in_dims=1, out_dims=0)(V)

    def _reverse(self, inputs: Inputs, V: Tensor) -> Tensor:
        tensors = list(self.risk.parameters().values())
        z = self._outputs(inputs)
        if not z.requires_grad:
            return z.new_zeros(V.shape[1], *z.shape)
        w = torch.zeros_like(z, requires_grad=True)
        pulled = torch.autograd.grad(z, tensors, w, create_graph=True, materialize_grads=True)
        used = [i for i, part in enumerate(pulled) if part.requires_grad]
        moved = []
        for v in V.T:
            parts = self.risk.parts_of(v)
            directions = [parts[i].view_as(pulled[i]) for i in used]
            moved.append(torch.autograd.grad([pulled[i] for i in used], w, directions, retain_graph=True)[0])
        return torch.stack(moved)

    def _found_method(self, inputs: Inputs) -> str:
        """The way whose products are those of the transposed of what reverse mode gives."""
        tensors = list(self.risk.parameters().values())
        v = self.risk.random_direction(seed=0)
        with self.risk.session(), user_errors("the outputs have no derivative"):
            z = self._outputs(inputs)
            w = torch.randn(z.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(z)
            if not z.requires_grad:
                return "reverse"  # which says that nothing moves
            pulled = flat(torch.autograd.grad(z, tensors, w, materialize_grads=True)).double()
            there = float(pulled @ v.double())
            for method in ("forward", "reverse"):
                try:
                    u = self._of_batch(inputs, v[:, None], method)[0].double()
                except Exception:
                    if method == "reverse":
                        raise
                    continue
                scale = float(u.norm() * w.norm()) + float(pulled.norm() * v.norm())
                if abs(float((u * w).sum()) - there) <= self.risk.roundoff**0.5 * scale:
                    return method
        raise UserError("the effects of directions cannot be computed: J v and Jᵀ w contradict each other")


def picked(outputs: Any) -> Tensor:
    """The tensor that is meant among a model's outputs: the only floating-point one, or the one called `logits`.

    Raises:
        UserError: there are several, or none.
    """
    if isinstance(outputs, Tensor):
        return _floating(outputs)
    named = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(named, Tensor):
        return _floating(named)
    leaves = [leaf for leaf in _pytree.tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    if len(leaves) != 1:
        raise UserError(
            f"the model's outputs, {samples.describe(outputs)}, have {len(leaves)} floating-point tensors and none is "
            "called logits; say which is meant: outputs=lambda given: ..."
        )
    return leaves[0]


def by_sample(outputs: Any, inputs: Inputs) -> Tensor:
    """Outputs of shape (samples, outputs), or with more axes; one number for each sample gets an axis of its own.

    Raises:
        UserError: they do not have the samples along their first axis.
    """
    count = len(samples.tensors_of(inputs)[0])
    if not isinstance(outputs, Tensor) or outputs.ndim == 0 or len(outputs) != count:
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise UserError(f"outputs must have their {count} samples along the first axis; got {found}")
    return outputs[:, None] if outputs.ndim == 1 else outputs


def check_samples_are_independent(risk: Risk, inputs: Inputs, pick: Pick) -> None:
    """Refuse outputs that are not those of a second evaluation, or of two of the samples by themselves.

    Raises:
        UserError: that is so.
    """
    with risk.session(), torch.no_grad(), user_errors("the model cannot be evaluated"):
        whole, again = (by_sample(pick(risk.outputs(inputs)), inputs).double() for _ in range(2))
        two = samples.map_inputs(lambda tensor: tensor[:2], inputs)
        few = by_sample(pick(risk.outputs(two)), two).double()
    allowed = _SLACK**2 * risk.roundoff * (float(whole.abs().max()) if whole.numel() else 0.0)
    if not float((whole - again).abs().max()) <= allowed:
        raise UserError("the outputs are not deterministic, or not finite: two evaluations of the same inputs differ")
    if few.shape[1:] != whole.shape[1:] or not float((whole[:2] - few).abs().max()) <= allowed:
        raise UserError(
            "the outputs of a sample depend on the samples beside it, so that effects depend on the batches; "
            "give the model one sample's outputs for one sample's inputs"
        )


def _floating(outputs: Tensor) -> Tensor:
    if not outputs.is_floating_point():
        raise UserError(f"the model's outputs must be real floating-point numbers, got {outputs.dtype}")
    return outputs
