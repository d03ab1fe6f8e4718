"""What the leading eigenvectors do to the outputs, as an object that an analysis holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InterruptedSolverError, UserError
from ..layout import Layout
from ..models.built_in_readouts import OF_PARAMETERS, default_readout, readout_named
from ..models.checked import number_of
from ..models.readouts import OTHER, Readout
from ..operators.effects import Effects, Pick
from ..operators.mean import MeanOperator
from ..operators.operator import CurvatureOperator, RestrictedOperator
from ..results.directions import Directions
from ..results.spectrum import Spectrum
from ..statistics.nulls import rotation_nulls
from .changed_samples import most_changed
from .exact import checked_memory, exact_spectrum
from .lanczos import check_options, lanczos_spectrum
from .leading import leading
from .random_streams import generator_for
from .responses import Grams, OfEffects, Response, of_parameters

Floats = NDArray[np.float64]

_COUNTS = 10, 32  # directions whose mean purity is taken beside that of all
_NOISE = 1e3  # unit roundoffs, relative to the largest effect, below which there is none
_AT_ONCE = 8  # Gaussian directions in one block


@dataclass(frozen=True, kw_only=True)
class LeadingDirections:
    """The shares of the leading eigenvectors' effects in the groups of a readout, with their nulls.

    Attributes:
        top: how many of the leading eigenvectors.
        readout: one of the task's, a built-in one (`"output"`, `"class"`, `"token"`, `"next-token"`, `"frequency"`), or
            `"tensors"` or `"groups"` for shares of the directions' own entries; default the task's first.
        exact: take every eigenvalue of the assembled matrix, instead of the largest by Lanczos.
        lanczos: options of `lanczos_spectrum`, by name.
        rotations: rotated bases that are drawn; with B of them no p-value is below 1 / (1 + B).
        gaussian: Gaussian directions that are drawn, each at the cost of a product.
        outputs: picks a tensor among the model's outputs; default the only one, or the one called `logits`.
        own: the task's readouts, once they are known (see `of_task`).
        layout: the parameters with their groups; default the operator's own.
        changes: the loss's gradient and the last update of the weights, where they are known (see `beside`).
    """

    kind: ClassVar[str] = "directions"
    ending: ClassVar[str] = ".directions"
    takes_many_products: ClassVar[bool] = True
    top: int = 24
    readout: str | None = None
    exact: bool = False
    lanczos: Mapping[str, Any] = field(default_factory=dict)
    rotations: int = 999
    gaussian: int = 199
    outputs: Pick | None = None
    own: Mapping[str, Readout] = field(default_factory=dict, repr=False, compare=False)
    layout: Layout | None = field(default=None, repr=False, compare=False)
    changes: Mapping[str, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("top", "rotations", "gaussian"):
            object.__setattr__(self, name, number_of(name, getattr(self, name), 1))
        if wrong := sorted({*self.lanczos} & {"top", "bottom", "trace_probes"}):
            raise UserError(f"of directions there are so many as top says, here {self.top}; lanczos has no {wrong[0]}")

    def of_task(self, experiment: str, own: Mapping[str, Readout], layout: Layout | None = None) -> Self:
        """The same with a readout that is known: the one named, or the default.

        Args:
            experiment: its name.
            own: the readouts of its task.
            layout: of the parameters that are analysed, in the task's groups.

        Raises:
            UserError: there is none of that name.
        """
        name = self.readout or default_readout(experiment, own)
        readout_named(name, own)
        return replace(self, readout=name, own=own, layout=layout)

    def beside(self, changes: Mapping[str, Tensor]) -> Self:
        """The same with `gradient` and `update`, vectors over the operator's parameters, at one checkpoint."""
        return replace(self, changes=changes)

    def check(self, size: int) -> None:
        """Refuse more directions than there are, and what the eigensolver refuses."""
        if self.top > size:
            raise UserError(f"{self.top} directions of {size} parameters were asked for; ask for at most {size}")
        if self.exact:
            checked_memory(size)
        else:
            check_options(size, **self._options(size))

    def configuration(self, size: int) -> dict[str, Any]:  # noqa: ARG002
        """Eigensolver, readout and numbers of draws."""
        how: dict[str, Any] = {"exact": True} if self.exact else {"lanczos": dict(self.lanczos)}
        drawn = {"rotations": self.rotations, "gaussian": self.gaussian}
        return {"solver": {"directions": self.top, **how, **drawn}, "readout": self.readout or "output"}

    def try_out(self, operator: CurvatureOperator) -> None:
        """Read the effect of one direction, to find out what would fail.

        Raises:
            UserError: the readout does not go with the outputs or the targets.
        """
        response, _ = self._response(operator, self.readout or "output")
        response(torch.ones(operator.shape[0], 1, dtype=torch.float64, device=operator.device))

    def solve(self, operator: CurvatureOperator, *, seed: int, progress: bool) -> Directions:
        """The directions that converged, with their shares.

        Raises:
            UserError: the readout does not go with the outputs or the targets; or the operator is of no model, and the
                readout of its outputs.
        """
        name = self.readout or "output"
        response, mean = self._response(operator, name)
        spectrum = self._spectrum(operator, seed, progress)
        found = leading(spectrum, self.top)
        V = found.vectors
        grams = _symmetric(response(torch.from_numpy(V.copy()).to(operator.device)))
        drawn = self._gaussian(response, [*grams], operator.shape[0], operator.device, seed)
        floor = (_NOISE * _roundoff(mean)) ** 2 * max(_largest_power(grams), float(drawn.sum(axis=1).max(initial=0)))
        powers = sum(np.diagonal(gram) for gram in grams.values())
        has_effect = np.asarray(powers > floor)
        counts = sorted({min(count, V.shape[1]) for count in (*_COUNTS, V.shape[1])} - {0})
        rotated, means = rotation_nulls(
            np.stack([*grams.values()]), has_effect, counts=counts, draws=self.rotations, seed=seed
        )
        layout = self.layout or operator.layout
        return Directions(
            eigenvalues=found.values,
            error_bounds=found.bounds,
            turns=found.turns,
            powers=np.asarray(powers),
            groups=[*grams],
            shares=_shares(np.stack([np.diagonal(gram) for gram in grams.values()], axis=1), has_effect),
            gaussian_shares=_shares(drawn, drawn.sum(axis=1) > floor),
            rotation_purities=rotated,
            rotation_means=means,
            counts=counts,
            tensor_shares=layout.shares(V).T,
            group_shares=layout.part_shares(V).T if layout.groups else None,
            gradient_shares=_along(V, self.changes.get("gradient"), operator),
            update_shares=_along(V, self.changes.get("update"), operator),
            asked=self.top,
            dim=operator.shape[0],
            readout=name,
            of="parameters" if name in OF_PARAMETERS and name not in self.own else "effects",
            is_cut=found.is_cut,
            **(most_changed(mean, _in_whole(torch.from_numpy(V.copy()).to(operator.device), operator)) if mean else {}),
            provenance={**spectrum.provenance, **({"effects_by": mean.effects.method} if mean else {})},
        )

    def _options(self, size: int) -> dict[str, Any]:
        """One more than is wanted tells how far the last one is from the next."""
        return {"tolerance": 1e-6, **self.lanczos, "top": min(size, self.top + 1), "bottom": 0, "trace_probes": 0}

    def _spectrum(self, operator: CurvatureOperator, seed: int, progress: bool) -> Spectrum:
        if self.exact:
            return exact_spectrum(operator, vectors=self.top, seed=seed, progress=progress)
        try:
            return lanczos_spectrum(operator, **self._options(operator.shape[0]), seed=seed, progress=progress)
        except InterruptedSolverError as error:  # what it had found is a spectrum, and no directions
            raise UserError(f"the leading eigenvectors were not found: {error}") from error

    def _response(self, operator: CurvatureOperator, name: str) -> tuple[Response, OfEffects | None]:
        """What gives Gram matrices of directions, and the effects on a model's outputs, where there is one."""
        readout = readout_named(name, self.own)
        whole = operator.whole if isinstance(operator, RestrictedOperator) else operator
        of_effects = None
        if isinstance(whole, MeanOperator):
            risk = whole.with_dtype(torch.float64).risk
            of_effects = OfEffects(risk, readout or Readout(lambda *_: {}), Effects(risk, self.outputs))
        if readout is None:
            return of_parameters(self.layout or operator.layout, name), of_effects
        if of_effects is None:
            raise UserError(f"effects on outputs need an operator over a model, not {type(operator).__name__}")
        effects: OfEffects = of_effects
        return lambda V: effects(_in_whole(V, operator)), of_effects

    def _gaussian(self, response: Response, groups: list[str], size: int, device: torch.device, seed: int) -> Floats:
        """The power of Gaussian directions of unit length in each group: shape (draws, groups)."""
        generator = generator_for("Gaussian directions", seed)
        found = []
        for start in range(0, self.gaussian, _AT_ONCE):
            count = min(_AT_ONCE, self.gaussian - start)
            V = torch.randn(size, count, dtype=torch.float64, generator=generator).to(device)
            grams = _symmetric(response(V / V.norm(dim=0)))
            found.append(np.stack([np.diagonal(grams[name]) for name in groups], axis=1))
        return np.concatenate(found)


def _in_whole(V: Tensor, operator: CurvatureOperator) -> Tensor:
    """Directions over the parameters of a block, as directions over those of the whole operator."""
    if not isinstance(operator, RestrictedOperator):
        return V
    whole = V.new_zeros(operator.whole.shape[0], V.shape[1])
    whole[torch.from_numpy(operator.indices).to(V.device)] = V
    return whole


def _along(V: Floats, vector: Tensor | None, operator: CurvatureOperator) -> Floats:
    """How much of a vector lies along each direction; NaN where there is none, or it is zero."""
    nothing = np.full(V.shape[1], np.nan)
    if vector is None:
        return nothing
    entries = vector.detach().cpu().double().numpy()
    if isinstance(operator, RestrictedOperator) and len(entries) != operator.shape[0]:
        entries = entries[operator.indices]
    length = np.linalg.norm(entries)
    return (V.T @ (entries / length)) ** 2 if length > 0 else nothing


def _symmetric(grams: Grams) -> dict[str, Floats]:
    """Gram matrices as NumPy's, the group of what is left last."""
    found = {name: gram.cpu().numpy() for name, gram in grams.items() if name != OTHER}
    return {**found, OTHER: grams[OTHER].cpu().numpy()}


def _shares(powers: Floats, has_effect: NDArray[np.bool_]) -> Floats:
    """Powers as shares of their sum: shape (m, groups)."""
    total = np.where(has_effect, powers.sum(axis=1), np.nan)
    return np.asarray(powers / total[:, None])


def _largest_power(grams: Mapping[str, Floats]) -> float:
    return float(sum(np.diagonal(gram) for gram in grams.values()).max(initial=0))  # type: ignore[union-attr]


def _roundoff(mean: OfEffects | None) -> float:
    return max(mean.risk.roundoff if mean else 0.0, float(np.finfo(np.float64).eps) / 2)
