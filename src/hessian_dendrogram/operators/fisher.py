r"""The Fisher information matrix of the distribution of labels that a model itself gives.

    F = (1/N) Σ_n E_{y ~ p(y | z_n)} [∇_θ log p(y | z_n) ∇_θ log p(y | z_n)ᵀ] = (1/N) Σ_n J_nᵀ F_z(z_n) J_n

Labels of the data have no part in it. With natural parameters as outputs F_z is known:

| distribution | F_z(z) |
|---|---|
| categorical, logits z | diag p - p pᵀ, p = softmax(z) |
| Bernoulli, each of the logits z | diag q(1 - q), q = sigmoid(z) |
| Gaussian, mean z, unit variance | I |

Without a name the distribution is that of the loss, whose second derivative ∂²ℓ/∂z² is then a multiple of F_z for each
row, by a check: F is the Gauss-Newton matrix of the loss (Martens 2020, JMLR 21, 146). So it is for cross-entropy, also
where labels are smoothed or left out, squared error, and binary cross-entropy; with the scale that a mean over outputs
has in the loss. Any other distribution is given as a function of the outputs, and labels are drawn (`monte_carlo.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as BernoulliLabels
from torch.distributions import Categorical, Distribution, Independent, Normal

from ..errors import UserError
from ..models.unlabelled import with_targets
from .derivative_check import Method
from .gauss_newton import confirm_unpadded, of_outputs, row_facts
from .likelihood import FAMILIES, family_of
from .metrics import MetricLoss, rows_of
from .monte_carlo import DistributionOf, DrawnLoss, drawn, drawn_weight
from .output_metrics import Curvature, Metric, SquaredSlopes
from .outputs import OutputOperator
from .risk import Loss, Risk

_LABELS: dict[str, Any] = {
    "categorical": lambda rows: Categorical(logits=rows),
    "bernoulli": lambda rows: Independent(BernoulliLabels(logits=rows), 1),
    "gaussian": lambda rows: Independent(Normal(rows, 1.0), 1),
}


class Fisher(OutputOperator):
    """The Fisher matrix of a model's own distribution of labels, a mean over all samples in `data`.

    Other arguments, attributes and errors are those of `MeanOperator`.

    Args:
        model: any `nn.Module`.
        loss: as for `MeanOperator`, through the outputs alone; `None` where a distribution is given.
        data: samples; or inputs alone (see `GaussNewton`) where a distribution is given.
        distribution: `"categorical"`, `"bernoulli"` or `"gaussian"`, of rows of outputs; or a function that gives a
            `torch.distributions.Distribution` of the model's outputs, independent from sample to sample along the
            first axis. Default that of the loss.
        draws: labels drawn for each sample, in place of the formula; needed where the distribution is a function.
        seed: of the draws.
        axis: of the outputs, along which rows lie, where that is not the last.
        options: of `MeanOperator`.

    Raises:
        UserError: the loss belongs to none of the distributions that are known; an option does not go with the others;
            and as for `MeanOperator`.
    """

    name = "fisher"
    option_types: Mapping[str, type] = {  # type: ignore[misc]
        "distribution": str,
        "draws": int,
        "seed": int,
        "axis": int,
    }

    def __init__(
        self,
        model: nn.Module,
        loss: Loss | None,
        data: Any = None,
        *,
        distribution: str | DistributionOf | None = None,
        draws: int | None = None,
        seed: int | None = None,
        axis: int | None = None,
        **options: Any,
    ) -> None:
        own, name = (distribution, None) if callable(distribution) else (None, distribution)
        given = {"distribution": name, "draws": draws, "seed": seed, "axis": axis}
        given = {key: value for key, value in given.items() if value is not None}
        self.chosen = self._resolved(given, is_own=own is not None)
        self.family = name
        if own is not None or "draws" in self.chosen:
            loss, data = self._drawn(own, model, data, options)
        elif name is not None:
            function = FAMILIES[name]
            loss, data = of_outputs(MetricLoss(function, options.get("weight"), axis), data, options)
        if loss is None:
            raise UserError("a Fisher matrix needs a loss, or the distribution of the labels")
        super().__init__(model, loss, data, **options)

    def _drawn(
        self, own: DistributionOf | None, model: nn.Module, data: Any, options: dict[str, Any]
    ) -> tuple[DrawnLoss, Any]:
        """The loss of drawn labels, and the data that has them."""
        name, axis = self.family, self.chosen.get("axis")

        def of_rows(outputs: Any) -> Distribution:
            made: Distribution = _LABELS[str(name)](rows_of(outputs, axis))
            return made

        if options.get("batches") is not None:
            raise UserError("labels are drawn for each sample by itself, which given batches do not have")
        data, has_targets = with_targets(data)
        weight = options.pop("weight", None)
        if not has_targets and weight is not None:
            raise UserError("weight= says what targets weigh, and the data is inputs without any; leave it out")
        taken = {key: options[key] for key in ("parameters", "dtype", "device", "batch_size") if key in options}
        risk = Risk(model, _nothing, data, weight=weight, **taken)
        places = 1
        if own is None:
            batch = next(risk.data.batches(), None)
            if batch is None:
                raise UserError("the data has no samples that weigh anything; a mean loss needs at least one")
            with torch.no_grad():
                places = rows_of(risk.outputs(batch[0]), axis).shape[1]
        draws, seed = self.chosen["draws"], self.chosen["seed"]
        loss, made = drawn(risk, own or of_rows, draws=draws, seed=seed, places=places)
        if weight is not None:
            options["weight"] = drawn_weight
        return loss, made

    # ── options ──────────────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def needs_labels(cls, options: Mapping[str, Any]) -> bool:
        """Whether the distribution is that of a loss."""
        return "distribution" not in options

    @classmethod
    def resolved(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """The distribution, and how many labels are drawn by which seed, where that is not known in closed form."""
        return cls._resolved(options, is_own=False)

    @classmethod
    def _resolved(cls, options: Mapping[str, Any], *, is_own: bool) -> dict[str, Any]:
        name, draws = options.get("distribution"), options.get("draws")
        if name is not None and name not in FAMILIES:
            raise UserError(f"distribution is one of {', '.join(FAMILIES)}, or a function; got {name!r}")
        if is_own and draws is None:
            raise UserError("the Fisher matrix of a distribution that is a function is drawn; say by draws= how often")
        if draws is not None and draws < 1:
            raise UserError(f"draws must be at least 1, got {draws}")
        if draws is not None and name is None and not is_own:
            raise UserError("draws goes with a distribution; name one of " + ", ".join(FAMILIES))
        if draws is None and "seed" in options:
            raise UserError("seed is that of draws, and none are taken; give draws, too")
        if "axis" in options and name is None:
            raise UserError("axis goes with a named distribution")
        found: dict[str, Any] = {} if name is None and not is_own else {"distribution": name or "a function"}
        return (
            found
            | ({} if draws is None else {"draws": draws, "seed": options.get("seed", 0)})
            | ({"axis": options["axis"]} if "axis" in options else {})
        )

    # ── the operator ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def metric_on_outputs(self) -> Metric:
        """The second derivative of the loss, or the squared slopes of drawn labels."""
        loss = self.risk.loss
        if not isinstance(loss, DrawnLoss):
            return Curvature()
        return SquaredSlopes(lambda batch, z, rebuilt: loss.slopes(self.risk, batch, z, rebuilt))

    def checked_method(self, wanted: Method | None) -> Method:
        """As for any operator of the outputs, once the loss has been recognised as a likelihood."""
        if self.family is None and not isinstance(self.risk.loss, DrawnLoss):
            self.family = family_of(self.risk)
        elif isinstance(self.risk.loss, MetricLoss):
            confirm_unpadded(self)
        return super().checked_method(wanted)

    def describe(self) -> dict[str, object]:
        """What any mean over samples says, and the distribution."""
        facts = super().describe() | self.chosen
        if not self.chosen:
            facts["distribution"] = f"{self.family}, of the loss"
        return facts | (row_facts(self) if isinstance(self.risk.loss, MetricLoss) else {})


def _nothing(outputs: Any, targets: Tensor) -> Tensor:  # noqa: ARG001
    raise UserError("labels are not drawn yet")  # the loss of a risk that is asked for outputs alone
