"""Hessians by other programs."""

import torch
from torch.func import functional_call

from hessian_dendrogram.models.samples import map_inputs


def double(value):
    return value.double() if value.is_floating_point() else value


def whole(data):
    """All samples of a case as one batch in float64."""
    if isinstance(data, list):
        data = tuple(torch.cat(parts) for parts in zip(*data, strict=True))
    inputs, targets = data
    return map_inputs(double, inputs), double(targets)


def reference(model, loss, data, layout):
    """The Hessian by torch.func.hessian, or by autograd alone where an operation has no forward derivative.

    torch 2.13's torch.func.hessian of a LayerNorm is wrong, which shows as asymmetry (test_layer_norm_...).
    """
    model = model.double().eval()
    inputs, targets = whole(data)
    arguments = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
    keywords = inputs if isinstance(inputs, dict) else {}
    point = torch.cat([model.get_parameter(name).detach().reshape(-1) for name in layout.names])

    def value(flat):
        parts = {name: flat[layout.slice(name)].view(layout.shapes[i]) for i, name in enumerate(layout.names)}
        return loss(functional_call(model, parts, arguments, keywords), targets)

    torch.backends.mha.set_fastpath_enabled(False)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        try:
            H = torch.func.hessian(value)(point)
            if (H - H.T).norm() <= 1e-10 * H.norm():
                return H
        except (RuntimeError, NotImplementedError):
            pass
        return torch.autograd.functional.hessian(value, point)


def samples_of(model, data, layout):
    """For each sample its outputs (as a model gives them), Jacobian (numbers, n) and target, by autograd alone.

    Every sample is evaluated by itself, in float64, with the model as a case made it.
    """
    model = model.double().eval()
    inputs, targets = whole(data)
    tensors = [model.get_parameter(name) for name in layout.names]
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        torch.backends.mha.set_fastpath_enabled(False)
        for n in range(len(targets)):
            one = map_inputs(lambda tensor, n=n: tensor[n : n + 1], inputs)
            outputs = model(*one) if isinstance(one, tuple) else model(**one) if isinstance(one, dict) else model(one)
            rows = [
                torch.autograd.grad(entry, tensors, retain_graph=True, allow_unused=True) for entry in outputs.flatten()
            ]
            J = torch.stack(
                [
                    torch.cat(
                        [
                            (torch.zeros_like(tensor) if part is None else part).reshape(-1)
                            for part, tensor in zip(row, tensors, strict=True)
                        ]
                    )
                    for row in rows
                ]
            )
            yield outputs.detach(), J, targets[n : n + 1]
