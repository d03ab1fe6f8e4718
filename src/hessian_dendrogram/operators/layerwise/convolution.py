"""Two-dimensional convolutions, with stride, zero padding, dilation and groups."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .accumulator import Accumulator
from .columns import Columns, Site
from .linear import own_values

TOEPLITZ_LIMIT = 8
"""Up to so many times more multiplications, one large matrix product is faster than a convolution with many groups."""


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
        self._toeplitz_matrices: dict[tuple[int, ...], list[tuple[Tensor, int, int]]] = {}

    def step(self, site: Site, columns: list[Columns], accumulator: Accumulator) -> list[Columns]:
        """Add the cross terms with the columns of the input; give the columns of the output."""
        pushed = []
        if self.has_weight and columns and site.cotangent is not None:
            shifted = self._shifted_cotangents(site, site.cotangent, accumulator)
            for part in columns:
                self._add_cross(shifted, part, accumulator)
        for part in columns:
            values = self._push_compact(part, site, accumulator) if part.compact else self._push_dense(part.flat, site)
            pushed.append(Columns(values, part.start, compact=False))
        if len(self.indices):
            pushed.append(Columns(self._own(site.input), self.start, compact=True))
        return pushed

    def _own(self, z: Tensor) -> Tensor:
        """Columns of this layer's parameters: the input's patches, (B, C_out, S', K)."""
        groups, per_group = self.module.groups, self.module.out_channels // self.module.groups
        patches = F.unfold(z, self.module.kernel_size, self.module.dilation, self.padding, self.module.stride)
        patches = patches.unflatten(1, (groups, -1)).transpose(2, 3)  # (B, groups, S', K)
        values = [
            own_values(patches[:, g], per_group, weight=self.has_weight, bias=self.has_bias) for g in range(groups)
        ]
        return torch.cat(values, dim=1) if groups > 1 else values[0]

    def _push_dense(self, values: Tensor, site: Site) -> Tensor:
        """Columns of the output, every column convolved as an image: (B, C_in, S, P) to (B, C_out, S', P)."""
        B, C, _, P = values.shape
        images = values.permute(0, 3, 1, 2).reshape(B * P, C, *site.input.shape[2:])
        output = self._convolve(images, self.module.weight, self.module.groups)
        return output.reshape(B, P, output.shape[1], -1).permute(0, 2, 3, 1).contiguous()

    def _push_compact(self, part: Columns, site: Site, accumulator: Accumulator) -> Tensor:
        """Columns of the output, each from one channel: (B, C_in, S, K) to (B, C_out, S', C_in, K)."""
        values = part.flat
        B, C, S, K = values.shape
        O = self.module.out_channels  # noqa: E741 (the number of output channels)
        shape = tuple(site.input.shape[2:])
        if TOEPLITZ_LIMIT * self.kernel_entries >= S:
            by_channel = values.permute(1, 2, 0, 3).reshape(C, S, B * K)
            bands = self._toeplitz(shape)
            rows = sum(matrices.shape[1] for matrices, _, _ in bands)
            output = accumulator.scratch((self, part.start), (C, rows, B * K), values)
            row = 0
            for matrices, first, last in bands:
                stop = row + matrices.shape[1]
                for c in range(C):
                    torch.mm(matrices[c], by_channel[c, first:last], out=output[c, row:stop])
                row = stop
            # Left as a view of its memory; a pooling layer that follows copies just what it takes.
            return output.reshape(C, -1, O, B, K).permute(3, 2, 1, 0, 4)
        images = values.permute(0, 3, 1, 2).reshape(B * K, C, *shape)
        output = self._convolve(images, self._kernel().flatten(0, 1)[:, None], groups=C).reshape(B, K, C, O, -1)
        return output.permute(0, 3, 4, 2, 1)

    def _convolve(self, images: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
        """Convolve with the stride, padding and dilation of the layer."""
        return F.conv2d(images, weight, None, self.module.stride, self.padding, self.module.dilation, groups)

    def _kernel(self) -> Tensor:
        """The kernel by input channel, zero between groups: (C_in, C_out, kh, kw)."""
        groups, weight = self.module.groups, self.module.weight
        if groups == 1:
            return weight.transpose(0, 1)
        kernel = weight.new_zeros(self.module.in_channels, self.module.out_channels, *weight.shape[2:])
        for g, part in enumerate(weight.chunk(groups)):
            inputs, outputs = part.shape[1], part.shape[0]
            kernel[g * inputs : (g + 1) * inputs, g * outputs : (g + 1) * outputs] = part.transpose(0, 1)
        return kernel

    def _toeplitz(self, shape: tuple[int, ...]) -> list[tuple[Tensor, int, int]]:
        """The convolution as banded matrices: for each row of output pixels, what it takes from which input pixels.

        Returns:
            For each row matrices of shape (C_in, W' · C_out, last - first), and the range `first`, `last` of pixels.
        """
        if shape not in self._toeplitz_matrices:
            S, C = shape[0] * shape[1], self.module.in_channels
            unit_images = torch.eye(S).to(self.module.weight).reshape(S, 1, *shape)
            responses = self._convolve(unit_images, self._kernel().flatten(0, 1)[:, None])
            by_row = responses.unflatten(1, (C, -1)).permute(3, 1, 4, 2, 0).flatten(2, 3)  # (H', C_in, W' · C_out, S)
            bands = []
            for matrices in by_row:
                seen = matrices.flatten(0, 1).any(0).nonzero()
                first, last = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, 0)
                bands.append((matrices[..., first:last].contiguous(), first, last))
            self._toeplitz_matrices[shape] = bands
        return self._toeplitz_matrices[shape]

    def _shifted_cotangents(self, site: Site, cotangent: Tensor, accumulator: Accumulator) -> Tensor:
        """The cotangent that entry u of the kernel brings to each place of the input: (B · S, C_out · U), u descending.

        Place y of the input meets entry u at output (y + padding - u · dilation) / stride, where that is one.
        """
        (H, W), (sh, sw) = site.input.shape[2:], self.module.stride
        (kh, kw), (dh, dw), (ph, pw) = self.module.kernel_size, self.module.dilation, self.padding
        B, O, H_out, W_out = cotangent.shape  # noqa: E741 (the number of output channels)
        spread = cotangent.new_zeros(B, O, (H_out - 1) * sh + 1, (W_out - 1) * sw + 1)
        spread[:, :, ::sh, ::sw] = cotangent
        top, left = dh * (kh - 1) - ph, dw * (kw - 1) - pw
        spread = F.pad(spread, (left, W + pw - spread.shape[3], top, H + ph - spread.shape[2]))
        view = spread.unfold(2, dh * (kh - 1) + 1, 1).unfold(3, dw * (kw - 1) + 1, 1)[..., ::dh, ::dw]
        shifted = accumulator.scratch((self, "shifted"), (B, H, W, O, kh, kw), cotangent)
        return shifted.copy_(view.permute(0, 2, 3, 1, 4, 5)).reshape(B * H * W, O * kh * kw)

    def _add_cross(self, shifted: Tensor, part: Columns, accumulator: Accumulator) -> None:
        """Rows (o, c, u), columns p of Σ shifted[n, s, o, u] D[n, c, s, p], for input channels c in the group of o."""
        B, C, S, K = part.flat.shape
        U, O, groups = self.kernel_entries, self.module.out_channels, self.module.groups  # noqa: E741
        per_in, per_out = C // groups, O // groups
        K_own = per_in * U + self.has_bias
        D = part.flat.transpose(1, 2).reshape(B * S, C, K)
        for g in range(groups):
            inputs, outputs = slice(g * per_in, (g + 1) * per_in), slice(g * per_out * U, (g + 1) * per_out * U)
            block = shifted[:, outputs].T @ D[:, inputs].flatten(1)
            block = block.reshape(per_out, U, per_in, K).flip(1).transpose(1, 2)
            first = self.start + g * per_out * K_own
            target = accumulator.matrix[first : first + per_out * K_own].unflatten(0, (per_out, K_own))
            if part.compact:
                for c in range(per_in):
                    column = part.start + (g * per_in + c) * K
                    target[:, c * U : (c + 1) * U, column : column + K] += block[:, c]
            else:
                target[:, : per_in * U, part.start : part.start + K] += block.reshape(per_out, per_in * U, K)
