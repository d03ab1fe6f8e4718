"""Two-dimensional convolutions, with stride, zero padding, dilation and groups."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .accumulator import Accumulator
from .columns import Columns, Site
from .linear import own_values


class ConvolutionRule:
    """A `nn.Conv2d` on inputs of shape (B, C, H, W).

    Args:
        module: the layer; its padding is zeros.
        weight, bias: the places of its parameters in the layout, flattened, or `None` for one that is not taken.
        start: number of its first column.
    """

    def __init__(self, module: nn.Conv2d, weight: Tensor | None, bias: Tensor | None, start: int) -> None:
        self.module, self.has_weight, self.has_bias, self.start = module, weight is not None, bias is not None, start
        parts = [] if weight is None else [weight.reshape(module.out_channels, -1)]
        parts += [] if bias is None else [bias.reshape(-1, 1)]
        self.indices = torch.cat(parts, dim=1).reshape(-1) if parts else torch.empty(0, dtype=torch.int64)
        self.kernel_entries = module.kernel_size[0] * module.kernel_size[1]
        assert not isinstance(module.padding, str)
        self.padding = module.padding
        self.options = {"stride": module.stride, "padding": self.padding, "dilation": module.dilation}

    def step(self, site: Site, columns: list[Columns], accumulator: Accumulator) -> list[Columns]:
        """Add the cross terms with the columns of the input; give the columns of the output."""
        pushed = []
        for part in columns:
            windows = self._windows(part.flat.unflatten(2, site.input.shape[2:]))
            if self.has_weight:
                self._add_cross(site.cotangent, windows, part, accumulator)
            pushed.append(Columns(self._push(windows, part.compact), part.start, compact=False))
        if len(self.indices):
            pushed.append(Columns(self._own(site.input), self.start, compact=True))
        return pushed

    def _own(self, z: Tensor) -> Tensor:
        """Columns of this layer's parameters: the input's patches, (B, C_out, S', K)."""
        groups, per_group = self.module.groups, self.module.out_channels // self.module.groups
        kernel, options = self.module.kernel_size, self.options
        patches = F.unfold(z, kernel, options["dilation"], options["padding"], options["stride"])
        patches = patches.unflatten(1, (groups, -1)).transpose(2, 3)  # (B, groups, S', K)
        values = [
            own_values(patches[:, g], per_group, weight=self.has_weight, bias=self.has_bias) for g in range(groups)
        ]
        return torch.cat(values, dim=1) if groups > 1 else values[0]

    def _windows(self, values: Tensor) -> Tensor:
        """What the kernel sees at each place: (B, C, H, W, K) to (B, S', C, U, K) with U entries of the kernel."""
        module = self.module
        (kh, kw), (sh, sw), (dh, dw) = module.kernel_size, module.stride, module.dilation
        ph, pw = self.padding
        if ph or pw:
            values = F.pad(values, (0, 0, pw, pw, ph, ph))
        view = values.unfold(2, dh * (kh - 1) + 1, sh).unfold(3, dw * (kw - 1) + 1, sw)[..., ::dh, ::dw]
        view = view.permute(0, 2, 3, 1, 5, 6, 4)  # (B, H', W', C, kh, kw, K)
        B, H, W, C, _, _, K = view.shape
        return view.reshape(B, H * W, C, kh * kw, K)

    def _kernel(self) -> Tensor:
        """The kernel by input channel, zero between groups: (C_in, C_out, U)."""
        groups, weight = self.module.groups, self.module.weight.flatten(2)
        if groups == 1:
            return weight.transpose(0, 1)
        kernel = weight.new_zeros(self.module.in_channels, self.module.out_channels, weight.shape[2])
        for g, part in enumerate(weight.chunk(groups)):
            inputs, outputs = part.shape[1], part.shape[0]
            kernel[g * inputs : (g + 1) * inputs, g * outputs : (g + 1) * outputs] = part.transpose(0, 1)
        return kernel

    def _push(self, windows: Tensor, compact: bool) -> Tensor:
        """Columns of the output: (B, C_out, S', C_in, K) from compact ones, (B, C_out, S', K) from dense ones."""
        B, S, C, U, K = windows.shape
        kernel = self._kernel()
        if compact:
            values = torch.matmul(kernel, windows)  # (B, S', C_in, C_out, K)
            # Left as a view where it is one; a pooling layer that follows copies just what it takes.
            return values.permute(0, 3, 1, 2, 4)
        flat = kernel.transpose(0, 1).reshape(-1, C * U)
        return torch.matmul(flat, windows.reshape(B, S, C * U, K)).transpose(1, 2)

    def _add_cross(self, cotangent: Tensor, windows: Tensor, part: Columns, accumulator: Accumulator) -> None:
        """Rows (o, c, u), columns p of Σ λ[n, o, s] windows[n, s, c, u, p], for input channels c in the group of o."""
        B, S, C, U, K = windows.shape
        O, groups = self.module.out_channels, self.module.groups  # noqa: E741 (the number of output channels)
        per_in, per_out = C // groups, O // groups
        K_own = per_in * U + self.has_bias
        cotangents = cotangent.flatten(2).transpose(1, 2).reshape(B * S, O)
        for g in range(groups):
            inputs, outputs = slice(g * per_in, (g + 1) * per_in), slice(g * per_out, (g + 1) * per_out)
            seen = windows[:, :, inputs].reshape(B * S, -1)
            block = (cotangents[:, outputs].T @ seen).reshape(per_out, per_in, U, K)
            first = self.start + g * per_out * K_own
            target = accumulator.matrix[first : first + per_out * K_own].unflatten(0, (per_out, K_own))
            if part.compact:
                for c in range(per_in):
                    column = part.start + (g * per_in + c) * K
                    target[:, c * U : (c + 1) * U, column : column + K] += block[:, c]
            else:
                target[:, : per_in * U, part.start : part.start + K] += block.reshape(per_out, per_in * U, K)
