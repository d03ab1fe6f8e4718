"""Is the loss what a curvature operator needs: finite, deterministic, and a mean over samples?

A mean of a batch is the weighted mean of its parts. Three things are compared, in float64 where that can be had:

- on every batch the values of the whole and of two halves, and of one sample of it together with one of the batch
  before, at parameters that are slightly moved: where a head is zero, or a loss, every normalisation looks right;
- on one batch, made of samples of the first two, the gradients of the whole and of its halves, of a half and of its
  own halves, and so on down to a single sample, at the parameters and at moved ones: at most six gradients of a batch;
- the whole data, read twice, where it comes from a loader.

- few samples that a user's function collates, with each by itself (`collation_check.py`).

Given batches, whose samples the loss may compare with each other, are asked for all but the means.

Samples keep their order in a half, as packed sequences need. Where a model or a loss cannot take parts of a batch
(padding to the longest of a batch changes shapes), that is said.

Longer than other files: the three comparisons share what is moved, cut and told.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError, user_errors
from ..models import samples
from ..models.samples import Batch
from ..models.tokens import fitting_weight
from .collation_check import check_collation, collated
from .risk import Risk
from .trial import checked_scalar, look_at

logger = logging.getLogger(__name__)

_MOVED = 1e-2  # of the size of the parameters: far above rounding, and the same function still
_SLACK = 64  # unit roundoffs by which two ways of adding up may differ at once
_PASS_WEIGHT = "pass weight=, what the targets weigh in the mean"
_SHAPES = "batches differ in the shapes of their samples"
_DRAWS = 3  # moves of the parameters by a few unit roundoffs: how far rounding alone may change a number


def checked_loss(risk: Risk) -> tuple[int, float]:
    """Number of samples and total weight, once the loss has shown that it is what the formula needs.

    Raises:
        UserError: it is not; the message says in what way.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about the shapes of parts; the whole has been evaluated before
        return _Check(risk).run()


class _Check:
    """One walk over the data.

    Attributes:
        move: an offset of the parameters.
        cannot_split: why parts of a batch could not be evaluated, where they could not.
        needs_graphs: the loss has no value without them.
    """

    def __init__(self, risk: Risk) -> None:
        self.risk = risk
        self.move = _MOVED * risk.random_direction(seed=1)
        self.cannot_split: str | None = None
        self.needs_graphs = False

    def run(self) -> tuple[int, float]:
        risk = self.risk
        total, weight, mean = 0, 0.0, 0.0
        first: list[Batch] = []
        last: Batch | None = None
        for number, batch in enumerate(risk.data.batches(), start=1):
            with risk.moved(self.move):
                value = float(look_at(risk, batch))
            is_moved = math.isfinite(value)  # else perhaps out of the loss' domain
            if number <= 2 or not is_moved:
                here = float(look_at(risk, batch))
                if not math.isfinite(here):
                    raise UserError(f"the loss is {here} on batch {number}; curvature needs a finite loss")
                self.check_repeatable(batch, f"batch {number}")
                value = value if is_moved else here
                first = [*first, batch][:2]
            if not risk.data.is_given:
                self.check_values(batch, value if is_moved else None)
                if last is not None:
                    self.check_across(last, batch)
            last, batch_weight = batch, risk.data.weight_of(batch)
            total += risk.data.count_of(batch)
            weight += batch_weight
            mean += value * batch_weight
        if not total:
            raise UserError("the data has no samples that weigh anything; a mean loss needs at least one")
        if not weight > 0:
            raise UserError(f"the weights of all batches add up to {weight}; they must be positive")
        if not risk.data.is_given:
            self.check_gradients(first)
        if not samples.is_pair(risk.data.source):
            with risk.moved(self.move):
                again = sum(self.value(batch) * risk.data.weight_of(batch) for batch in risk.data.batches())
            if math.isfinite(mean) and abs(again - mean) > self.tolerance(total) * (abs(again) + abs(mean) + weight):
                one, other = _told_apart(mean / weight, again / weight)
                raise UserError(
                    f"the data is not deterministic: read twice, the mean loss is {one} and {other}; turn augmentation "
                    "off, or keep the batches in a list"
                )
        with risk.moved(self.move):
            reason = check_collation(risk, self.value, 16 * self.tolerance(total))
        if self.cannot_split == _SHAPES and collated(risk.data.source) is not None:
            self.cannot_split = reason  # else samples of several batches have been compared
        if self.cannot_split:
            logger.warning(
                "that the loss is a mean over samples could not be checked on parts of batches: %s", self.cannot_split
            )
        return total, weight

    def tolerance(self, count: int) -> float:
        return _SLACK * self.risk.roundoff * max(1.0, math.sqrt(count) / 16)

    def value(self, batch: Batch) -> float:
        with suppress(Exception):  # such as that of a forward which takes derivatives
            if not self.needs_graphs:
                with self.risk.session(), torch.no_grad():
                    return float(self.risk.batch_loss(batch))
        with user_errors("the loss cannot be evaluated"):
            value = self.risk.batch_loss(batch)
        self.needs_graphs = True
        checked_scalar(value)
        return float(value.detach())

    def gradient(self, batch: Batch) -> Tensor:
        return self.risk.gradient_of_batch(batch).double()

    def check_repeatable(self, batch: Batch, what: str) -> None:
        one, other = self.value(batch), self.value(batch)
        if abs(one - other) > self.tolerance(samples.count(batch)) * (abs(one) + abs(other) + 1):
            first, second = _told_apart(one, other)
            raise UserError(
                f"the loss is not deterministic: {what} evaluated twice gives {first} and {second}; "
                "remove the randomness from the model and the loss"
            )

    # ── values ───────────────────────────────────────────────────────────────────────────────────────────────────

    def check_across(self, last: Batch, batch: Batch) -> None:
        """Compare the loss of a sample of each of two batches, or of two where single ones do not do."""
        for count in (1, 2):
            joined = _joined(_some(last, count), _some(batch, count))
            if joined is None:
                self.cannot_split = self.cannot_split or _SHAPES
                return
            if self.check_values(joined, is_last_try=count == 2):
                return

    def check_values(self, batch: Batch, whole: float | None = None, *, is_last_try: bool = True) -> bool:
        """Compare the loss of a batch with the weighted mean over its halves; `False` where they have none.

        Args:
            batch: of one sample or more.
            whole: its loss at the moved parameters, where it is known.
            is_last_try: say so where the halves cannot be evaluated.
        """
        if samples.count(batch) < 2 or not self.risk.data.weight_of(batch):
            return True
        parts = self.parts(batch)
        shares, inexact = self.shares(batch, parts)

        def number(part: Batch) -> float:
            return whole if part is batch and whole is not None else self.value(part)

        try:
            with self.risk.moved(self.move):
                apart, scale = self.apart(batch, parts, shares, number)
            if not math.isfinite(apart):  # moved out of the loss' domain
                apart, scale = self.apart(batch, parts, shares, self.value)
        except UserError as error:
            if is_last_try and samples.count(batch) > 3:
                self.cannot_split = self.cannot_split or str(error)
            return False
        if not math.isfinite(apart):
            raise UserError(
                f"the loss is not finite on a part of a batch of {samples.count(batch)} samples; where some of them do "
                "not count, pass weight=, what the targets weigh in the mean"
            )
        if apart > (self.tolerance(samples.count(batch)) + inexact) * scale:
            self.confirm(batch, parts, shares, inexact)
        return True

    def parts(self, batch: Batch) -> list[Batch]:
        """Two random halves, the samples of each in their order; those of weight zero left out."""
        order = torch.randperm(samples.count(batch), generator=torch.Generator().manual_seed(0))
        halves = [samples.take(batch, rows.sort().values.to(batch[1].device)) for rows in order.tensor_split(2)]
        return [half for half in halves if self.risk.data.weight_of(half)]

    def shares(self, batch: Batch, parts: list[Batch]) -> tuple[list[float], float]:
        """What each part weighs in the whole, and how far the weights are from adding up."""
        weights = [self.risk.data.weight_of(part) for part in parts]
        whole, total = self.risk.data.weight_of(batch), sum(weights)
        inexact = abs(total - whole) / abs(whole)
        if inexact > 1e-5:
            raise UserError(
                f"weight= must add up: a batch of {samples.count(batch)} samples weighs {whole:.9g}, its halves "
                f"{' and '.join(f'{weight:.9g}' for weight in weights)}; give the sum over the samples"
            )
        return [weight / total for weight in weights], inexact

    def apart(
        self, batch: Batch, parts: list[Batch], shares: list[float], number: Callable[[Batch], Any]
    ) -> tuple[float, float]:
        """How far a number of a batch is from the weighted mean over its parts, and how large these are."""
        whole, *halves = (torch.as_tensor(number(part), dtype=torch.float64) for part in (batch, *parts))
        mean = sum((share * half for share, half in zip(shares, halves, strict=True)), torch.zeros_like(whole))
        return float((whole - mean).norm()), float(whole.norm() + max(half.norm() for half in halves))

    def confirm(self, batch: Batch, parts: list[Batch], shares: list[float], inexact: float) -> None:
        """Refuse a loss whose gradient is no mean, by more than moves of a few unit roundoffs can make.

        A value that is no mean where the gradient is one, as large constants leave it, does not matter to the Hessian.

        Raises:
            UserError: it is not.
        """
        self.check_repeatable(batch, f"a batch of {samples.count(batch)}")
        for move in (self.move, 0 * self.move):
            with self.risk.moved(move):
                apart, scale = self.apart(batch, parts, shares, self.gradient)
                here = self.gradient(batch)
            noise = 0.0
            for draw in range(_DRAWS):
                nudge = 4 * self.risk.roundoff * self.risk.random_direction(seed=2 + draw)
                with self.risk.moved(move + nudge):
                    noise = max(noise, float((self.gradient(batch) - here).norm()))
            bound = (4 * self.tolerance(samples.count(batch)) + inexact) * scale + _SLACK * noise
            if apart > bound:
                with self.risk.moved(move):
                    self.refuse(batch, parts, shares)

    # ── gradients ────────────────────────────────────────────────────────────────────────────────────────────────

    def check_gradients(self, first: list[Batch]) -> None:
        """Compare gradients along one branch of halves down to a single sample, here and at moved parameters."""
        batch = first[0]
        if len(first) > 1:
            counts = [count if count <= 3 else count // 2 for count in map(samples.count, first)]
            joined = _joined(_some(first[0], counts[0]), _some(first[1], counts[1]))
            batch = batch if joined is None or not self.risk.data.weight_of(joined) else joined
        for move in (self.move, 0 * self.move):
            with self.risk.moved(move):
                self.check_branch(batch)

    def check_branch(self, batch: Batch) -> None:
        known: list[tuple[Batch, Tensor]] = []  # a half of the last round is the whole of the next

        def gradient(part: Batch) -> Tensor:
            for other, value in known:
                if other is part:
                    return value
            known.append((part, self.gradient(part)))
            return known[-1][1]

        while samples.count(batch) > 1:
            parts = self.parts(batch)
            shares, inexact = self.shares(batch, parts)
            try:
                apart, scale = self.apart(batch, parts, shares, gradient)
            except UserError as error:
                if samples.count(batch) > 3:  # single samples may have another shape than batches
                    self.cannot_split = self.cannot_split or str(error)
                return
            if apart > (4 * self.tolerance(samples.count(batch)) + inexact) * scale:
                self.confirm(batch, parts, shares, inexact)
            batch, known = parts[0], known[-len(parts) :]

    def refuse(self, batch: Batch, parts: list[Batch], shares: list[float]) -> None:
        """Say in what way a loss is no mean, by the combination of the halves' gradients that fits the whole one best.

        Raises:
            UserError: always.
        """
        values = [self.value(part) for part in (batch, *parts)]
        mean = sum(share * value for share, value in zip(shares, values[1:], strict=True))
        found = f"the loss is not a mean over samples: a batch of {samples.count(batch)}"
        if f"{values[0]:.6g}" != f"{mean:.6g}":
            found += f" gives {values[0]:.6g}, the mean over its halves {mean:.6g}"
        else:
            apart, scale = self.apart(batch, parts, shares, self.gradient)
            found += f" has a gradient that differs from the mean over its halves by {apart / scale:.2g} of its length"
        if not all(map(math.isfinite, values)):  # a half with nothing that counts
            raise UserError(f"{found}; {_PASS_WEIGHT}")
        whole, *halves = (self.gradient(part) for part in (batch, *parts))
        labels = [part[1] for part in parts]
        raise UserError(f"{found}; {_remedy(whole, torch.stack(halves, dim=1), self.risk.roundoff, labels)}")


def _remedy(whole: Tensor, halves: Tensor, roundoff: float, labels: list[Tensor]) -> str:
    """Of the combination of the halves' gradients that fits the whole one best: a sum, or a mean of another weight."""
    fit = torch.linalg.lstsq(halves.cpu(), whole.cpu()[:, None], driver="gelsd").solution[:, 0]
    left = float((whole.cpu() - halves.cpu() @ fit).norm() / (whole.norm().cpu() + 1e-300))
    if left < max(1e-8, 1e3 * roundoff):
        if float((fit - 1).abs().max()) < 1e-4:
            return "it is a sum; divide it by the number of samples"
        if abs(float(fit.sum()) - 1) < 1e-6 + 1e3 * roundoff and bool((fit > 0).all()):
            name = fitting_weight(labels, fit.tolist(), 1e-5 + 1e3 * roundoff)
            return f"pass weight={name} of hessian_dendrogram, which fits" if name else _PASS_WEIGHT
    return (
        "it couples the samples of a batch, which no weight mends; take a mean of what each gives by itself, or, where "
        "the loss compares samples with each other, the mean over batches that stay as they are: GivenBatches(batches)"
    )


def _some(batch: Batch, count: int) -> Batch:
    return samples.take(batch, slice(0, count))


def _joined(one: Batch, other: Batch) -> Batch | None:
    """The samples of two batches as one; `None` where their shapes differ."""
    left, right = ([*samples.tensors_of(batch[0]), batch[1]] for batch in (one, other))
    if type(one[0]) is not type(other[0]) or len(left) != len(right):
        return None
    if any(a.shape[1:] != b.shape[1:] or a.dtype != b.dtype for a, b in zip(left, right, strict=True)):
        return None
    *inputs, targets = (torch.cat(pair) for pair in zip(left, right, strict=True))
    tensors = iter(inputs)
    return samples.map_inputs(lambda _: next(tensors), one[0]), targets


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers with as many digits as tell them apart."""
    digits = next((d for d in (6, 9, 12, 15) if f"{one:.{d}g}" != f"{other:.{d}g}"), 17)
    return f"{one:.{digits}g}", f"{other:.{digits}g}"
