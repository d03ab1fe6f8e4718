"""Are the products those of a derivative that the user's functions have? Compared with finite differences.

Second derivatives can be wrong without a word: a kernel of torch, a user's own autograd function that saves an
intermediate, a gradient that is reversed or stopped, a norm at zero. Central differences of the gradient along a random
direction u, [g(θ + h u) - g(θ - h u)] / 2h with two steps h, need the gradient alone. Parts of the Hessian are compared
likewise, with a vector g in which one of the factors stays at θ: the Gauss-Newton matrix with J(θ)ᵀ ∇ℓ(z(θ + h u)),
what the outputs of the model really do; its complement with J(θ + h u)ᵀ ∇ℓ(z(θ)). Differences are taken in float64,
on up to 256 samples that are evenly spaced in the data, and on those whose product is NaN; that is one product and four
gradients of so many samples.

A difference that stays the same for two steps, and to both sides, is a fault. One that does not is a kink of a ReLU or
a maximum within the step, or exactly here: the samples are halved until each part agrees, with ever smaller steps on
single samples. NaN never agrees.

Longer than other files: one comparison, with all the cases in which it would be misread.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

import torch
from torch import Tensor

from ..errors import UserError
from ..models import samples
from ..models.samples import Batch
from .risk import Risk

logger = logging.getLogger(__name__)

Method = Literal["forward-over-reverse", "double-backward"]
METHODS: tuple[Method, ...] = ("forward-over-reverse", "double-backward")

CHECKED_SAMPLES = 256
"""Evenly spaced in the data; more are not looked at."""
_STEPS = 1.0, 0.1, 1e-2, 1e-3  # times the cube root of the roundoff; from the third on for single samples
_AGREE = 2e-5  # of a tensor's own part of the product
_OF_ALL = 1e-7  # of the whole product: what rounding may do to a tensor whose own part is small
_SLACK = 32  # unit roundoffs of a gradient
_KNOWN = 1e-2  # of the product, what rounding of a gradient may hide
_LOST = 0.1  # of the product of all samples, what those may have that cannot be compared for rounding
_SINGLE_SAMPLES = 12  # with kinks and without a fault are enough
_SINGULAR = {"norm", "vector_norm", "linalg_norm", "linalg_vector_norm", "cdist", "pairwise_distance", "sqrt", "rsqrt",
             "dist", "pow", "matrix_norm", "linalg_matrix_norm"}  # fmt: skip
"""Functions that have no derivative at some points, where reverse mode gives NaN."""


class Product(Protocol):
    """Products of a batch's own matrix with vectors."""

    def __call__(self, batch: Batch, V: Tensor, place: int | None = None, *, method: Method | None = None) -> Tensor:
        """The products, shape (n, k)."""


class Slope(Protocol):
    """A vector of shape (n,) whose derivative with respect to an offset of the parameters is a batch's own matrix."""

    def __call__(self, batch: Batch, offset: Tensor) -> Tensor:
        """The vector."""


@dataclass(frozen=True)
class Compared:
    """What products are compared with.

    Attributes:
        slope: whose differences are taken; default the gradient of the mean loss.
        matrix: what products are of, in words.
        differences: what differences are of, in words.
        rounding: how long a batch's slope would be if all that it is a sum of were rounding, in unit roundoffs.
        also: what else is asked of a method; gives a reason against it, or nothing.
    """

    slope: Slope | None = None
    matrix: str = "the second derivative of the loss"
    differences: str = "the gradient"
    rounding: Callable[[Batch], float] = lambda _: 0.0
    also: Callable[[Method], str | None] = lambda _: None


HESSIAN = Compared()  # the gradient, and the derivative of that


class _FaultError(Exception):
    """The products by one method are wrong."""


def checked_method(risk: Risk, product: Product, wanted: Method | None, compared: Compared = HESSIAN) -> Method:
    """The way of taking products whose results agree with finite differences; forward-over-reverse before the other.

    Args:
        risk: in float64, where that can be had.
        product: of its second derivative, or of what is compared.
        wanted: the only method to try; default both.
        compared: with what.

    Raises:
        UserError: there is none; the message says why.
    """
    batches = list(risk.data.evenly_spaced(CHECKED_SAMPLES).batches())
    if not risk.functions.isdisjoint(_SINGULAR):
        batches = [*batches, *_with_nan(risk, product)]
    reasons: dict[Method, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check = _Check(risk, product, compared)
        for method in (wanted,) if wanted else METHODS:
            try:
                check.run(method, batches)
                if reason := compared.also(method):
                    raise _FaultError(reason)
            except _FaultError as error:
                reasons[method] = str(error)
                continue
            for other, reason in reasons.items():
                logger.info("products take reverse mode twice, one vector at a time: %s %s", other, reason)
            return method
    found = "; ".join(f"{method} {reason}" for method, reason in reasons.items())
    if all("is not implemented" in reason or "not support" in reason for reason in reasons.values()):
        lacking = "the loss has no second derivative" if compared.slope is None else f"{compared.matrix} cannot be had"
        raise UserError(f"{lacking}: {found}; take another layer or loss in its place")
    if all("lost in rounding" in reason for reason in reasons.values()):
        (reason, *_) = reasons.values()
        raise UserError(f"{compared.matrix} {reason}; take a metric of the outputs alone, or an earlier checkpoint")
    raise UserError(
        f"{compared.matrix} cannot be trusted: {found}; look for an own autograd function, a gradient "
        "that is stopped or reversed, a reentrant checkpoint, or a norm at zero, and write it in operations that can "
        "be differentiated twice"
    )


class _Check:
    def __init__(self, risk: Risk, product: Product, compared: Compared) -> None:
        self.risk, self.product_of_batch, self.compared = risk, product, compared
        self.direction = risk.random_direction(seed=0)
        self.step: float = (2 * risk.roundoff) ** (1 / 3)
        self.singles = 0

    def run(self, method: Method, batches: Sequence[Batch]) -> None:
        """Raise `_FaultError` where the products by this method are wrong."""
        self.method, self.singles, self.has_agreed, self.lost = method, 0, False, 0.0
        try:
            self.compare(list(batches))
        except UserError:
            raise
        except _FaultError:
            raise
        except Exception as error:
            raise _FaultError(f"says {type(error).__name__}: {_first_line(error)}") from error
        if self.lost and self.lost >= _LOST * float(self.product(batches).norm()):
            raise _FaultError("is lost in rounding: the curvature of the loss at these outputs is that small")
        if not self.has_agreed:
            logger.warning(
                "%s could not be compared with finite differences: there is a kink at every sample that was looked at",
                "second derivatives" if self.compared.slope is None else self.compared.matrix,
            )

    def product(self, batches: Sequence[Batch]) -> Tensor:
        """The sum over the batches of weight times product."""
        total = torch.zeros_like(self.direction)
        for batch in batches:
            part = self.product_of_batch(batch, self.direction[:, None], method=self.method)[:, 0]
            total += part * self.risk.data.weight_of(batch)
        return total

    def gradient(self, batches: Sequence[Batch], shift: float) -> Tensor:
        """The sum over the batches of weight times gradient, at parameters moved along the direction."""
        slope, total = self.compared.slope or self.slope, torch.zeros_like(self.direction)
        for batch in batches:
            total += slope(batch, shift * self.direction) * self.risk.data.weight_of(batch)
        return total

    def slope(self, batch: Batch, offset: Tensor) -> Tensor:
        """The gradient of a batch's own mean loss, at parameters moved by an offset."""
        with self.risk.moved(offset):
            return self.risk.gradient_of_batch(batch)

    def difference(self, batches: Sequence[Batch], step: float) -> tuple[Tensor, float]:
        """A central difference of the gradient, and what rounding may have done to it."""
        above, below = self.gradient(batches, step), self.gradient(batches, -step)
        noise = _SLACK * self.risk.roundoff * float(above.norm() + below.norm()) / (2 * step)
        return (above - below) / (2 * step), noise

    def compare(self, batches: list[Batch]) -> None:
        """Raise `_FaultError` where the samples have a fault."""
        if self.singles > _SINGLE_SAMPLES:
            return
        product = self.product(batches)
        differences: list[Tensor] = []
        if not self.agrees_at(_STEPS[:2], batches, product, differences):
            try:
                for part in _halved(batches):
                    self.product(part)  # whether a part can be evaluated by itself
                    self.compare(part)
            except (_FaultError, UserError):
                raise
            except Exception:
                self.judge(batches, product, differences)
            else:
                if not _halved(batches):
                    self.judge(batches, product, differences)

    def agrees_at(
        self, scales: Sequence[float], batches: list[Batch], product: Tensor, differences: list[Tensor]
    ) -> bool:
        """Whether one of some steps gives the product; what they give is added to `differences`."""
        if not torch.isfinite(product).all():
            return False
        for scale in scales:
            difference, noise = self.difference(batches, scale * self.step)
            differences.append(difference)
            if self.agree(difference, product, noise):
                self.has_agreed = True
                return True
        return False

    def judge(self, batches: list[Batch], product: Tensor, differences: list[Tensor]) -> None:
        """Raise `_FaultError` for samples that cannot be halved and do not agree, unless a kink explains it."""
        if not torch.isfinite(product).all():
            raise _FaultError(f"gives {'NaN' if bool(product.isnan().any()) else 'infinity'} on a sample")
        if self.agrees_at(_STEPS[2:], batches, product, differences):
            self.singles += 1
            return
        unit = sum(self.compared.rounding(part) * self.risk.data.weight_of(part) for part in batches)
        if self.agrees_but_for_rounding(product, differences, unit):
            self.singles += 1
            return
        if any(not torch.isfinite(difference).all() for difference in differences):
            raise _FaultError("cannot be compared: the gradient beside a sample is not finite")
        for one, other in pairwise(differences):
            apart = min(float((one - product).norm()), float((other - product).norm()))
            if float((one - other).norm()) <= 0.1 * apart and self.bend(batches) <= 0.1 * apart:
                most = max(zip(self.lengths(other - product), self.risk.layout.names, strict=True))[1]
                if apart <= _SLACK * self.risk.roundoff * unit / self.step:
                    self.singles, self.lost = self.singles + 1, self.lost + float(product.norm())
                    return
                relative = apart / max(float(other.norm()), float(product.norm()))
                raise _FaultError(
                    f"differs by {relative:.2g} of its length from finite differences of "
                    f"{self.compared.differences}, most in {most}"
                )
        if self.is_nan_by_reverse_mode(batches):
            raise _FaultError("is that at a point without one: reverse mode gives NaN on a sample")
        self.singles += 1

    def agrees_but_for_rounding(self, product: Tensor, differences: list[Tensor], unit: float) -> bool:
        """Whether a difference gives the product, but for the rounding of slopes in which numbers of size 1 cancel.

        As those of cross-entropy where it is sure. Only where that is small beside the product.
        """
        for scale, difference in zip(_STEPS, differences, strict=False):
            noise = _SLACK * self.risk.roundoff * unit / (scale * self.step)
            if noise <= _KNOWN * float(product.norm()) and self.agree(difference, product, noise):
                self.has_agreed = True
                return True
        return False

    def is_nan_by_reverse_mode(self, batches: list[Batch]) -> bool:
        direction = self.direction[:, None]
        try:
            products = [self.product_of_batch(part, direction, method="double-backward") for part in batches]
        except Exception:
            return False
        return any(bool(product.isnan().any()) for product in products)

    def bend(self, batches: list[Batch]) -> float:
        """How far the differences to both sides are apart: at a kink, where units are exactly zero, at any step."""
        above, here, below = (self.gradient(batches, shift) for shift in (self.step, 0.0, -self.step))
        apart = float((above - 2 * here + below).norm())
        return apart / self.step

    def agree(self, one: Tensor, other: Tensor, noise: float) -> bool:
        """Whether they agree in every tensor's part."""
        if not torch.isfinite(one).all():
            return False
        tolerance, of_all = max(_AGREE, 100 * self.step**2), max(_OF_ALL, 10 * self.step**2)
        floor = of_all * max(float(one.norm()), float(other.norm())) + noise
        return all(
            apart <= tolerance * max(a, b) + floor
            for apart, a, b in zip(self.lengths(one - other), self.lengths(one), self.lengths(other), strict=True)
        )

    def lengths(self, vector: Tensor) -> list[float]:
        """The length of each tensor's part."""
        return [float(part.norm()) for part in self.risk.parts_of(vector)]


def _halved(batches: list[Batch]) -> list[list[Batch]]:
    """Two halves of the samples, or none of a single one."""
    if len(batches) > 1:
        middle = len(batches) // 2
        return [batches[:middle], batches[middle:]]
    count = samples.count(batches[0])
    if count == 1:
        return []
    return [[samples.take(batches[0], rows)] for rows in (slice(0, count // 2), slice(count // 2, count))]


def _with_nan(risk: Risk, product: Product, most: int = 4) -> list[Batch]:
    """Samples, among all, at which a product by reverse mode is NaN; the first ones of each batch that has any."""
    found: list[Batch] = []
    direction = risk.random_direction(seed=0)[:, None]

    def is_nan(batch: Batch) -> bool:
        return bool(product(batch, direction, method="double-backward").isnan().any())

    for batch in risk.data.batches():
        try:
            if len(found) == most or not is_nan(batch):
                continue
            while parts := _halved([batch]):
                batch = next(part[0] for part in parts if is_nan(part[0]))
        except Exception:  # no such product, or not of parts of a batch
            return found
        found.append(batch)
    return found


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return lines[0][:200]
