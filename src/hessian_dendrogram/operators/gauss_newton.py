r"""Generalised Gauss-Newton matrices: of the mean loss, or of a metric on the outputs.

With the outputs z = f_θ(x), their Jacobian J = ∂z/∂θ and a metric M on the outputs of a batch,

    G = Σ_b w_b J_bᵀ M_b J_b / Σ_b w_b

- metric `loss`: M = ∂²ℓ/∂z². G is the Hessian without the term that has second derivatives of the model (Schraudolph
  2002, Neural Computation 14, 1723), positive semidefinite where ℓ is convex in z.
- metrics of the outputs alone, `identity` and `softmax` (`metrics.py`): G does not fade with the residuals of the loss,
  and needs no labels. With `identity` its nonzero eigenvalues are those of M^½ J Jᵀ M^½ / N, the empirical neural
  tangent kernel over the number of rows.

Centred, for a metric that is the same everywhere, with the mean J̄ of the Jacobians of all rows,

    G_c = (1/N) Σ_r (J_r - J̄)ᵀ M (J_r - J̄) = G - J̄ᵀ M J̄.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..models.batched import GivenBatches
from ..models.unlabelled import with_targets
from .derivative_check import Method
from .metrics import FUNCTIONS, MetricLoss, rows_of
from .outputs import OutputOperator, pulled_back
from .risk import Loss

_CENTRE_MEMORY = 2**32  # bytes of a mean Jacobian


class GaussNewton(OutputOperator):
    """The Gauss-Newton matrix of a model's outputs, a mean over all samples in `data`.

    The loss must depend on the parameters through the outputs alone; a metric of the outputs alone takes no loss, and
    takes inputs without targets: a tensor, a dictionary of tensors, or `(inputs, None)`. Rows of outputs lie along the
    last axis; where a sample has several (tokens), each place counts alike. Other arguments, attributes and errors are
    those of `MeanOperator`.

    Args:
        model: any `nn.Module`.
        loss: as for `MeanOperator`, or `None` for a metric other than `loss`.
        data: samples; or inputs alone for a metric other than `loss`.
        metric: `"loss"`, `"identity"` or `"softmax"`.
        tau: temperature of `softmax`; default 1.
        centre_outputs: `identity` takes the mean over a row of outputs off: I - 11ᵀ/C.
        divide_by_outputs: `identity` is divided by the number C of outputs in a row.
        centred: take the mean Jacobian over samples off, for `identity` alone.
        axis: of the outputs, along which rows lie, where that is not the last.
        options: of `MeanOperator`.

    Raises:
        UserError: an option does not go with the metric; and as for `MeanOperator`.
    """

    name = "gauss-newton"
    option_types: Mapping[str, type] = {  # type: ignore[misc]
        "metric": str,
        "tau": float,
        "centre_outputs": bool,
        "divide_by_outputs": bool,
        "centred": bool,
        "axis": int,
    }

    def __init__(
        self,
        model: nn.Module,
        loss: Loss | None,
        data: Any = None,
        *,
        metric: str | None = None,
        tau: float | None = None,
        centre_outputs: bool | None = None,
        divide_by_outputs: bool | None = None,
        centred: bool | None = None,
        axis: int | None = None,
        **options: Any,
    ) -> None:
        given = {
            "metric": metric, "tau": tau, "centre_outputs": centre_outputs, "divide_by_outputs": divide_by_outputs,
            "centred": centred, "axis": axis,
        }  # fmt: skip
        self.chosen = self.checked_options({key: value for key, value in given.items() if value is not None})
        self.is_centred = bool(self.chosen.get("centred"))
        if self.chosen:
            loss, data = of_outputs(metric_loss(self.chosen, options.get("weight")), data, options)
        if loss is None:
            raise UserError("the metric of the loss needs one; give a loss, or metric='identity' or 'softmax'")
        super().__init__(model, loss, data, **options)

    @classmethod
    def needs_labels(cls, options: Mapping[str, Any]) -> bool:
        """Whether the metric is that of a loss."""
        return bool(options.get("metric", "loss") == "loss")

    @classmethod
    def resolved(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the metric; none for that of the loss."""
        metric = options.get("metric", "loss")
        if metric != "loss" and metric not in FUNCTIONS:
            raise UserError(f"metric is one of loss, {', '.join(FUNCTIONS)}; got {metric!r}")
        own = (*FUNCTIONS[metric][0], "axis") if metric != "loss" else ()
        if options.get("centred") and metric != "identity":
            raise UserError(
                f"centred takes a mean Jacobian off, which needs a metric that is the same for every sample: identity; "
                f"got metric {metric!r}"
            )
        lost = [key for key, value in options.items() if key not in ("metric", "centred", *own) and value is not False]
        if lost:
            raise UserError(f"option {lost[0]!r} is not one of metric {metric!r}")
        if metric == "loss":
            return {}
        if metric == "softmax":
            tau = options.get("tau", 1.0)
            if not 0 < tau < float("inf"):
                raise UserError(f"tau must be a positive temperature, got {tau:g}")
            found: dict[str, Any] = {"metric": metric, "tau": tau}
        else:
            flags = ("centre_outputs", "divide_by_outputs", "centred")
            found = {"metric": metric, **{flag: bool(options.get(flag)) for flag in flags}}
        return found | ({"axis": options["axis"]} if "axis" in options else {})

    def describe(self) -> dict[str, object]:
        """What any mean over samples says, and the metric with its options."""
        facts = super().describe() | self.chosen
        return facts | row_facts(self) if self.chosen else facts

    def checked_method(self, wanted: Method | None) -> Method:
        """As for any operator of the outputs, once it is certain that no padding counts."""
        if self.chosen:
            confirm_unpadded(self)
        return super().checked_method(wanted)

    def centre(self) -> Tensor:
        """J̄ᵀ M^½: shape (n, C), float64."""
        K: Tensor | None = None
        for inputs, targets, share in self.risk.data.weighted():
            with self.risk.session():
                outputs = self.risk.outputs(inputs)
                loss = self.risk.loss
                assert isinstance(loss, MetricLoss)
                mean = loss.mean_root(outputs, targets)
                if 8 * self.shape[0] * len(mean) > _CENTRE_MEMORY:
                    raise UserError(
                        f"centred keeps a mean Jacobian of {len(mean):,} outputs and {self.shape[0]:,} parameters, "
                        f"{8 * self.shape[0] * len(mean) / 2**30:.0f} GiB; take fewer parameters"
                    )
                rows = [pulled_back(self.risk, mean, unit) for unit in torch.eye(len(mean)).to(mean)]
            part = torch.stack(rows, dim=1).double() * share
            K = part if K is None else K + part
        assert K is not None
        return K


def metric_loss(chosen: Mapping[str, Any], weight: Any) -> MetricLoss:
    """The loss whose second derivative is a metric, by its recorded options."""
    return MetricLoss(FUNCTIONS[chosen["metric"]][1](chosen), weight, chosen.get("axis"))


def of_outputs(loss: MetricLoss, data: Any, options: Mapping[str, Any]) -> tuple[MetricLoss, Any]:
    """A loss of the outputs alone with its data, which has targets of zero where it had none.

    Raises:
        UserError: what the targets weigh is asked for, and there are none.
    """
    data, has_targets = with_targets(data)
    if not has_targets and options.get("weight") is not None:
        raise UserError("weight= says what targets weigh, and the data is inputs without any; leave it out")
    return loss, data


def row_facts(operator: OutputOperator) -> dict[str, object]:
    """How many outputs a row has, and how many rows the first sample, where that is more than one."""
    loss = operator.risk.loss
    assert isinstance(loss, MetricLoss)
    batch = next(operator.risk.data.batches())
    with torch.no_grad():
        rows = rows_of(operator.risk.outputs(batch[0]), loss.axis)
    return {"outputs": rows.shape[2], **({"rows_of_a_sample": rows.shape[1]} if rows.shape[1] > 1 else {})}


def confirm_unpadded(operator: OutputOperator) -> None:
    """Refuse inputs some of whose places are masked, where every place counts; and outputs that are no samples' rows.

    Raises:
        UserError: there are some.
    """
    loss, data = operator.risk.loss, operator.risk.data
    assert isinstance(loss, MetricLoss)
    for batch in data.batches():
        inputs = batch[0]
        if isinstance(inputs, dict) and "attention_mask" in inputs and not bool(inputs["attention_mask"].all()):
            with torch.no_grad():
                rows = rows_of(operator.risk.outputs(inputs), loss.axis)
            if rows.shape[1] > 1:
                raise UserError(
                    "attention_mask has zeros: places that are padding would count as outputs; give inputs of one "
                    "length, or the metric of a loss that ignores them"
                )
    inputs, targets = next(data.batches())
    with torch.no_grad():
        rows = rows_of(operator.risk.outputs(inputs), loss.axis)
    if len(rows) != len(targets) and not isinstance(data.source, GivenBatches):
        raise UserError(
            f"the outputs of {len(targets)} samples have {len(rows)} along their first axis; let it be that of samples"
        )
