"""Operators that are means over batches, of matrices of each batch's own mean loss.

    A = Σ_b w_b A_b / Σ_b w_b

for batches b of weight w_b, as in `risk.py`. What all of them share is here: the checks before the first product, the
sum over batches, the copy in another floating-point type, and the few samples on which errors are estimated.

Longer than other files, so that an operator over it has next to nothing to write.
"""

from __future__ import annotations

import logging
import math
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..errors import UserError
from ..models import samples
from ..models.batched import GivenBatches
from ..models.samples import Batch, Data
from .arithmetic import arithmetic_error
from .assembly import assemble_from_tensors
from .data import Weight, WeightedData
from .derivative_check import CHECKED_SAMPLES, METHODS, Method
from .loss_check import checked_loss
from .operator import CurvatureOperator
from .risk import Loss, Risk
from .trial import look_at

logger = logging.getLogger(__name__)

WORTH_MEASURING = 1000
"""Rows of a matrix from which on it is measured which way of taking its columns is faster, and said; below, the first
that is right is taken, so that two runs agree to the last bit."""


FEW = 100
"""Samples in one pass that are tried beside as many as data or `batch_size` give."""

TURNS = 3
"""How often each way of taking products is timed."""


class MeanOperator(CurvatureOperator):
    """A mean over batches. A subclass gives it a name, `product_of_batch` and `checked_method`.

    Args:
        model: any `nn.Module`; a tuple of inputs is passed as `model(*inputs)`, a dict as `model(**inputs)`.
        loss: `loss(outputs, targets)`, a scalar: the mean over the batch's samples, or over its weight.
        data: a tensor pair, a `Dataset`, a `DataLoader` or an iterable of batches (see `hessian_dendrogram.samples`).
        batches: in place of data, batches whose samples the loss compares with each other: the operator is that of the
            mean over these, each counting the same, and its provenance says so (see `GivenBatches`).
        parameters: names or patterns (`"conv1.*"`) of the parameters to take; default all that are not frozen.
        weight: gives what a batch's targets weigh, where that is not their number of samples.
        dtype: floating-point type of weights, floating inputs and products; default the parameters' own.
        device: default the parameters' own.
        batch_size: samples in one pass, for data that does not come in batches.
        method: how products are computed; default forward mode where the model supports it.
        checks_of: an operator of the same kind over the same model, loss and data at other weights: that the loss is a
            mean, and which products are right, is taken over from it instead of being found out again.

    Attributes:
        name: of the kind.
        option_types: what else a kind takes, by name.
        risk: the mean loss.
        method: the way products are computed.
        is_method_chosen: whether it was asked for, or measured to be the faster one.

    Raises:
        UserError: no samples or parameters; parameters that are complex or have no values; a loss that is no scalar,
            not finite, not deterministic, no mean over samples, or that depends on tensors which are not the
            operator's; derivatives that do not exist, or are wrong.
    """

    name: ClassVar[str]
    option_types: ClassVar[Mapping[str, type]] = {}
    is_method_chosen: bool = False
    goes_by_tensors: ClassVar[bool] = False
    """Whether products are cheaper where the first tensors are held where they are, so that `to_dense` goes by them."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        data: Data | None = None,
        *,
        batches: Any = None,
        parameters: Sequence[str] | None = None,
        weight: Weight | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        batch_size: int = 512,
        method: Method | None = None,
        checks_of: MeanOperator | None = None,
    ) -> None:
        if method is not None and method not in METHODS:
            raise UserError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
        if (data is None) == (batches is None):
            raise UserError("an operator takes either data or batches=, which stay as they are")
        self._over(
            Risk(
                model,
                loss,
                GivenBatches(batches) if data is None else data,
                parameters=parameters,
                weight=weight,
                dtype=dtype,
                device=device,
                batch_size=batch_size,
            )
        )
        if self.left_out:
            logger.info("%d of the model's parameters are left out: %s", len(self.left_out), ", ".join(self.left_out))
        if self.risk.hooks_on_gradients:
            logger.warning("hooks on the gradients of parameters have no part in the curvature of the loss")
        if checks_of is None:
            self._find_out(method)
        else:
            self.risk.take_over(checks_of.risk)
            self._look_at_first_batch()
            self._count(checks_of.risk.data)
            self.method: Method = method or checks_of.method
            self.is_method_chosen = method is not None or checks_of.is_method_chosen
        self.risk.forget_users()

    def _find_out(self, method: Method | None) -> None:
        """Everything that has to be found out about a loss and its data, once."""
        self._look_at_first_batch()
        twin = self._twin_in_float64()
        count, total = checked_loss(twin.risk)
        for operator in (self, twin):
            operator._count(WeightedData(self.risk.data.source, None, self.dtype, self.device, 1, count, total))
        self.method, self.is_method_chosen = twin.checked_method(method), method is not None
        self.risk.take_over(twin.risk)
        self.roundoff = self.risk.roundoff
        if twin is not self:
            self._confirm_method()
        if self.risk.is_coarse:
            logger.info(
                "some of the arithmetic in the model or the loss stays coarser than float64 (unit roundoff %.1g); "
                "error bounds take that into account",
                self.risk.roundoff_in_float64,
            )

    # ── what a kind defines ──────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def product_of_batch(
        self, batch: Batch, V: Tensor, place: int | None = None, *, method: Method | None = None
    ) -> Tensor:
        """The matrix of one batch's own mean loss times V: shape (n, k) to (n, k).

        Args:
            batch: as `risk.data.batches` gives them.
            V: vectors.
            place: of the batch in the data; with it, what later products need again can be kept.
            method: default the operator's own.
        """

    @abstractmethod
    def checked_method(self, wanted: Method | None) -> Method:
        """The way of taking products that is right, the faster one first; asked in float64 where that can be had.

        Raises:
            UserError: there is none.
        """

    @classmethod
    def needs_labels(cls, options: Mapping[str, Any]) -> bool:  # noqa: ARG003
        """Whether an operator with these options looks at targets."""
        return True

    @classmethod
    def resolved(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with those that were left to their default, as they are recorded.

        Raises:
            UserError: an option does not go with the others.
        """
        return dict(options)

    @classmethod
    def checked_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options of this kind as they are recorded, as JSON-like values.

        Raises:
            UserError: there is no such option, its value is of another type, or it does not go with the others.
        """
        for key, value in options.items():
            if key not in cls.option_types:
                there_are = f"it has {', '.join(cls.option_types)}" if cls.option_types else "it has none"
                raise UserError(f"operator {cls.name!r} has no option {key!r}; {there_are}")
            wanted = cls.option_types[key]
            is_number = wanted is float and isinstance(value, int) and not isinstance(value, bool)
            if not is_number and type(value) is not wanted:
                kind = {bool: "True or False", str: "text", float: "a number", int: "a whole number"}[wanted]
                raise UserError(f"option {key!r} of operator {cls.name!r} is {kind}, got {value!r}")
        return cls.resolved({key: float(v) if cls.option_types[key] is float else v for key, v in options.items()})

    # ── what all of them have ────────────────────────────────────────────────────────────────────────────────────

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of the model's parameters that the matrix does not cover."""
        return self.risk.left_out

    @property
    def model(self) -> nn.Module:
        """The model, which has the operator's weights while it is evaluated alone."""
        return self.risk.model

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self.risk.loss

    def _products(self, V: Tensor) -> Tensor:
        return self._summed(V, keep=True).to(self.dtype)

    def _summed(self, V: Tensor, *, keep: bool) -> Tensor:
        total = torch.zeros(V.shape, dtype=torch.float64, device=self.device)  # float32 batches add up in float64
        for place, (inputs, targets, share) in enumerate(self.risk.data.weighted()):
            total += self.product_of_batch((inputs, targets), V, place if keep else None) * share
        return total

    def with_dtype(self, dtype: torch.dtype) -> Self:
        """The same operator, of the model as it was given, with products in another floating-point type.

        Raises:
            UserError: the model cannot be evaluated in that type.
        """
        if dtype == self.dtype:
            return self
        other = self._copy(self.risk.in_type(dtype))
        other._look_at_first_batch()
        other.risk.take_over(self.risk)
        other.roundoff = other.risk.roundoff
        if dtype != torch.float64 and hasattr(other, "method"):  # in float64 it was checked
            other._confirm_method()
        return other

    def for_error_check(self) -> CurvatureOperator:
        """The operator of 256 samples, evenly spaced in the data, where there are more: the same arithmetic on each."""
        few = self.risk.data.evenly_spaced(CHECKED_SAMPLES)
        return self if few is self.risk.data else self._copy(self.risk.of(few))

    def arithmetic_error(self, seed: int = 0) -> float:
        """A bound on ‖E‖₂ for what arithmetic inside the model that is coarser than float64 does to the matrix."""
        few = self.with_dtype(torch.float64)
        few = few._copy(few.risk.of(few.risk.data.evenly_spaced(CHECKED_SAMPLES)))
        return arithmetic_error(few.risk, lambda V: few._summed(V, keep=False), seed)

    def to_dense(self, *, progress: bool = False) -> Tensor:
        """The whole matrix, symmetric to the last bit: shape (n, n), float64.

        Of `WORTH_MEASURING` rows or more, by the way of taking products that is measured to be faster.

        Args:
            progress: show a bar with the time left.
        """
        if self.shape[0] < WORTH_MEASURING:
            return super().to_dense(progress=progress)
        self.take_fastest()
        if not self.goes_by_tensors:
            return super().to_dense(progress=progress)
        self.assembled_by = "products"
        return assemble_from_tensors(
            lambda first: self._copy(self.risk.from_tensor(first)).matmat,
            self.layout.offsets,
            self.dtype,
            self.device,
            roundoff=self.roundoff,
            columns=self.columns_at_once(),
            progress=progress,
        )

    def assembly(self) -> str:
        """The way that `to_dense` takes."""
        return "products"

    def columns_at_once(self) -> int:
        """On a CPU 16, beyond which nothing was gained (docs/performance.md); on a GPU as many as its memory holds."""
        if self.device.type != "cuda" or self.method == "double-backward":
            return super().columns_at_once()
        torch.cuda.reset_peak_memory_stats(self.device)
        before, few = torch.cuda.memory_allocated(self.device), 8
        self._products(torch.ones(self.shape[0], few, dtype=self.dtype, device=self.device))
        each = max(1, (torch.cuda.max_memory_allocated(self.device) - before) // few)
        return max(16, min(256, torch.cuda.mem_get_info(self.device)[0] // 2 // each))

    def take_fastest(self, columns: int | None = None) -> None:
        """Take products by the quickest way from here on, unless a way was asked for or chosen before.

        The ways are those that this model has derivatives for, and forward mode with fewer samples in a pass, which
        stay in a processor's cache. It is the machine's choice: another day may choose differently, and the last digits
        of products follow.

        Args:
            columns: vectors in the block that is timed; default as many as `to_dense` takes at once, or fewer, so that
                all turns cost some hundredths of it.
        """
        if self.is_method_chosen:
            return
        quickest = self._quickest(columns or min(self.columns_at_once(), max(1, self.shape[0] // 400)))
        self._over(quickest.risk)
        self.method, self.is_method_chosen = quickest.method, True

    def _ways(self) -> Iterator[Self]:
        """This operator with every method that may be right, and with fewer samples in a pass."""
        data = self.risk.data
        is_cut_here = samples.is_pair(data.source) or isinstance(data.source, Dataset)
        may_cut = is_cut_here and self.device.type == "cpu" and min(data.batch_size, data.count) > FEW
        for method in METHODS if self.method == "forward-over-reverse" else (self.method,):
            way = self._copy(self.risk)
            way.method = method
            yield way
            if method == "forward-over-reverse" and may_cut:
                fewer = self._copy(self.risk.of(replace(data, batch_size=FEW)))
                fewer.method = method
                yield fewer

    def _quickest(self, columns: int) -> Self:
        """The way whose least time for a product with a block of vectors, in several turns, is the least."""
        V = torch.ones(self.shape[0], columns, dtype=self.dtype, device=self.device)
        seconds: dict[Self, float] = {}
        for way in self._ways():
            try:
                way.matmat(V)
            except Exception:  # without this derivative; the other method was checked
                continue
            seconds[way] = math.inf
        for _ in range(TURNS if len(seconds) > 1 else 0):  # in turn, so that what else a machine does hits all alike
            for way in seconds:
                start = time.perf_counter()
                way.matmat(V).sum().item()  # waits for a GPU
                seconds[way] = min(seconds[way], time.perf_counter() - start)
        said = ", ".join(f"{way.method}, {way._at_once()} {s:.3g} s" for way, s in seconds.items())
        logger.info("products of %d vectors: %s", columns, said)
        return min(seconds, key=seconds.__getitem__, default=self)

    def _at_once(self) -> str:
        return f"{min(self.risk.data.batch_size, self.num_samples)} samples at once:"

    def describe(self) -> dict[str, object]:
        """Operator, number of samples and way of computing, for a spectrum's provenance."""
        return {
            "operator": self.name,
            "samples": self.num_samples,
            **({"mean_over": "given batches"} if self.risk.data.is_given else {}),
            "dtype": str(self.dtype).removeprefix("torch."),
            "products_by": self.method,
            **({"assembled_by": self.assembled_by} if self.assembled_by else {}),
            "left_out": list(self.left_out),
            **({"roundoff": self.risk.roundoff_in_float64} if self.risk.is_coarse else {}),
        }

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _over(self, risk: Risk) -> None:
        """Be the operator over another risk."""
        self.risk, self.layout, self.dtype, self.device = risk, risk.layout, risk.dtype, risk.device
        self.num_samples, self.roundoff = risk.data.count, risk.roundoff

    def _copy(self, risk: Risk) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._over(risk)
        return other

    def __reduce_ex__(self, protocol: object) -> str:
        """Refuse to be pickled or copied: what the model and the loss share would come apart."""
        raise UserError(
            f"a {type(self).__name__} can be neither pickled nor copied; make another of the model, the loss, the data"
        )

    def _look_at_first_batch(self) -> None:
        """Find out what evaluations need."""
        batch = next(self.risk.data.batches(), None)
        if batch is None:
            raise UserError("the data has no samples that weigh anything; a mean loss needs at least one")
        look_at(self.risk, batch, with_gradient=True)
        self.roundoff = self.risk.roundoff

    def _count(self, counted: WeightedData) -> None:
        """Take over how many samples there are, and what they weigh."""
        self.risk.data = self.risk.data.counted(counted.count, counted.total)
        self.num_samples = counted.count

    def _twin_in_float64(self) -> Self:
        """This operator in float64 for the checks; itself where it is that already, or the model cannot be."""
        try:
            return self.with_dtype(torch.float64)
        except UserError as error:
            logger.warning("the checks are made in %s, since float64 cannot be had: %s", self.dtype, error)
            return self

    def _confirm_method(self) -> None:
        """Take a product in the own type: kernels of one type may lack a derivative that those of another have."""
        batch = samples.take(next(self.risk.data.batches()), slice(0, 2))
        v = torch.ones(self.shape[0], 1, dtype=self.dtype, device=self.device)
        try:
            self.product_of_batch(batch, v)
        except Exception as error:
            if self.method == "double-backward":
                return  # of a part of a batch, perhaps; it was checked on whole ones
            logger.info("products take reverse mode twice, one vector at a time: in %s %s", self.dtype, error)
            self.method = "double-backward"
