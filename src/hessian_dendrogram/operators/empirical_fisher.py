r"""The empirical Fisher matrix: the mean square of the gradients of single samples.

    E = Σ_n w_n g_n g_nᵀ / Σ_n w_n,      g_n = ∂ℓ_n/∂θ

with the loss ℓ_n of sample n by itself, at its own label: no Fisher matrix, whose labels are the model's own (Kunstner,
Balles & Hennig 2019, NeurIPS 32). It is Jᵀ M J with M_n = s_n s_nᵀ for the slope s_n of the loss on the outputs of the
sample. A sample is one entry along the first axis: of tokens, a sequence, with the mean over its tokens as its loss.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError
from ..models import samples
from ..models.samples import Batch
from .data import sample_shares
from .derivative_check import Method
from .output_metrics import Metric, Rebuilt, SquaredSlopes, as_vector, slope_at
from .outputs import OutputOperator, pulled_back

_SINGLE = 3  # samples whose gradient by itself is compared


class EmpiricalFisher(OutputOperator):
    """The mean of g gᵀ over the gradients g of the samples in `data`, each at its label.

    The loss must depend on the parameters through the outputs alone, and the outputs have the samples along their first
    axis. Of given batches, each takes the place of a sample. Arguments, attributes and errors are those of
    `MeanOperator`.
    """

    name = "empirical-fisher"

    @property
    def metric_on_outputs(self) -> Metric:
        """The squared slope of each sample's loss."""
        return SquaredSlopes(self._slopes)

    def _slopes(self, batch: Batch, z: Tensor, rebuilt: Rebuilt) -> tuple[Tensor, Tensor]:
        """The slope of the batch's loss, and what makes squares of it those of each sample's own, times its share."""
        slope = slope_at(self.risk, batch, z, rebuilt)
        count = 1 if self.risk.data.is_given else samples.count(batch)
        shares = sample_shares(self.risk.data.weight, batch[1], count)
        return slope[None], torch.where(shares > 0, 1 / shares, 0.0).to(slope)

    def fault(self, method: Method) -> str | None:
        """Asymmetry, or a sample whose gradient by itself is another."""
        return super().fault(method) or self._fault_of_samples()

    def _fault_of_samples(self) -> str | None:
        if self.risk.data.is_given:
            return None
        for inputs, targets, _ in self.risk.data.evenly_spaced(_SINGLE).weighted():
            batch = inputs, targets
            count = samples.count(batch)
            with self.risk.session():
                z, rebuilt = as_vector(self.risk.outputs(inputs))
                slopes, factors = self._slopes(batch, z.detach(), rebuilt)
                for n in range(count):
                    if not factors[n]:
                        continue
                    chosen = torch.zeros_like(factors)
                    chosen[n] = 1.0
                    metric = SquaredSlopes(lambda *_, chosen=chosen, slopes=slopes: (slopes, chosen))
                    # s (sᵀ s) over sᵀ s of this sample alone, in units of its share.
                    of_sample = metric.product(self.risk, batch, z, rebuilt, functional=False)(slopes[0])
                    square = float((slopes[0] * of_sample).sum()) ** 0.5
                    if not square:
                        continue
                    ours = pulled_back(self.risk, z, of_sample * float(factors[n]) / square)
                    try:
                        theirs = self.risk.gradient_of_batch(samples.take(batch, slice(n, n + 1)))
                    except UserError as error:
                        raise UserError(f"the loss of a sample by itself is needed: {error}") from None
                    if float((ours - theirs).norm()) > self.risk.roundoff**0.5 * float(theirs.norm() + ours.norm()):
                        return "gives a sample another gradient than it has by itself"
        return None
