"""Readouts: groups of output directions, those that are built in, and what is none."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from hessian_dendrogram import Task, by_label
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.built_in_readouts import READOUTS, default_readout, readout_named, waves
from hessian_dendrogram.models.readouts import OTHER, Readout, as_readout


def powers(readout, effects, targets):
    return {name: part.square().sum(1) for name, part in readout(effects, targets).items()}


def confirm_whole(readout, effects, targets):
    readout.check(effects, targets)
    total = sum(powers(readout, effects, targets).values())
    torch.testing.assert_close(total, effects.flatten(1).square().sum(1), rtol=1e-12, atol=0)


@pytest.fixture
def effects():
    return torch.randn(3, 11, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


LABELS = torch.tensor([0, 2, 1, 0, 2, 2, 5, 0, 1, 1, 1])


@pytest.mark.parametrize("name", ["output", "frequency", "class", "token"])
def test_groups_that_are_built_in_add_up(name, effects):
    confirm_whole(READOUTS[name](), effects, LABELS)


@pytest.mark.parametrize("p", [3, 4, 53, 60])
def test_waves_are_those_of_the_fourier_transform(p):
    Q, frequencies = waves(p)
    torch.testing.assert_close(Q.T @ Q, torch.eye(p - 1, dtype=torch.float64), rtol=0, atol=1e-13)
    u = np.random.default_rng(0).normal(size=p)
    energies = np.abs(np.fft.fft(u)) ** 2 / p
    for k in range(1, p // 2 + 1):
        own = (Q[:, frequencies == k].T.numpy() @ u) ** 2
        expected = energies[k] + (energies[p - k] if 2 * k != p else 0)
        assert math.isclose(own.sum(), expected, rel_tol=1e-12)


def test_a_frequency_has_the_wave_of_that_frequency():
    c = torch.arange(53, dtype=torch.float64)
    u = (torch.cos(2 * math.pi * 7 * c / 53 + 0.3) + 4)[None, None]
    found = powers(READOUTS["frequency"](), u, torch.zeros(1))
    assert max(found, key=found.get) == OTHER  # the constant is in no frequency
    assert math.isclose(float(found["7"]), 53 / 2, rel_tol=1e-12)
    assert sum(float(found[name]) for name in found if name not in ("7", OTHER)) < 1e-20


def test_classes_are_those_of_the_samples(effects):
    found = powers(READOUTS["class"](), effects, LABELS)
    assert set(found) == {"0", "1", "2", "5", OTHER}
    torch.testing.assert_close(found["2"], effects[:, LABELS == 2].flatten(1).square().sum(1))
    assert not found[OTHER].any()
    assert READOUTS["class"]().ordered(["10", "2", "1"]) == ["1", "2", "10"]


def test_ignored_labels_are_in_no_class(effects):
    labels = LABELS.clone()
    labels[3] = -100
    found = powers(READOUTS["class"](), effects, labels)
    assert "-100" not in found
    torch.testing.assert_close(found[OTHER], effects[:, 3].square().sum(1))


def test_next_tokens_are_those_of_the_place_after():
    tokens = torch.tensor([[3, 1, 4, 1], [5, -100, 2, 6]])
    effects = torch.randn(2, 2, 4, 7, dtype=torch.float64)
    found = powers(READOUTS["next-token"](), effects, tokens)
    torch.testing.assert_close(found["1"], (effects[:, 0, [0, 2]]).flatten(1).square().sum(1))
    torch.testing.assert_close(found[OTHER], effects[:, [0, 1, 1], [3, 0, 3]].flatten(1).square().sum(1))
    confirm_whole(READOUTS["next-token"](), effects, tokens)


def test_labels_can_be_put_together(effects):
    found = powers(by_label({"low": [0, 1], "five": 5}), effects, LABELS)
    assert list(found) == ["low", "five", OTHER]
    torch.testing.assert_close(found["low"], effects[:, LABELS < 2].flatten(1).square().sum(1))
    with pytest.raises(UserError, match="no label in common"):
        by_label({"a": [0, 1], "b": 1})


@pytest.mark.parametrize(
    ("labels", "message"),
    [(torch.rand(11), "whole numbers"), (torch.zeros(11, 6, dtype=torch.long), "each sample"), (LABELS[:5], "each")],
)
def test_labels_that_do_not_go_with_the_effects(labels, message, effects):
    with pytest.raises(UserError, match=message):
        READOUTS["class"]()(effects, labels)


def test_a_matrix_in_float32_is_made_orthonormal(effects):
    Q = torch.linalg.qr(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)))[0]
    for given in ({"a": Q[:, :1], "b": Q[:, 1:]}, (Q, ["a", "b", "b", "b"])):
        readout = as_readout(given)
        confirm_whole(readout, effects, LABELS)
        torch.testing.assert_close(
            powers(readout, effects, LABELS)["b"],
            (effects @ Q[:, 1:].double()).flatten(1).square().sum(1),
            rtol=1e-5,
            atol=0,
        )


def test_a_function_may_give_coefficients_or_projections(effects):
    for function in (
        lambda u, y: {"first": u[..., 0], "early": u[:, :4, 1:]},
        lambda u, y: {"mean": u.mean(2, keepdim=True).expand_as(u), "rest": u - u.mean(2, keepdim=True)},
    ):
        confirm_whole(as_readout(function), effects, LABELS)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda u, y: {"a": u[..., :3], "b": u[..., 2:]}, "orthonormal"),
        (lambda u, y: {"a": 2 * u[..., 0]}, "orthonormal"),
        (lambda u, y: {"a": u[..., 0] ** 2}, "linear"),
        (lambda u, y: {"a": u[..., 0] + 1}, "linear"),
        (lambda u, y: {OTHER: u[..., 0]}, "not 'other'"),
        (lambda u, y: {3: u[..., 0]}, "name that is text"),
        (lambda u, y: {"a": u[0, :, 0]}, r"shape \(2, ...\)"),
        (lambda u, y: {"a": 1.0}, "gives tensors"),
        (lambda u, y: {str(i): u[:, :1, 0] * 0 for i in range(1001)}, "1,001"),
        (lambda u, y: u[5], "readout cannot be computed"),
    ],
)
def test_functions_that_are_no_orthonormal_groups(function, message, effects):
    with pytest.raises(UserError, match=message):
        as_readout(function).check(effects, LABELS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": [1.0, 0.0], "b": [1.0, 0.0]}, r"columns 0 \('a'\) and 1 \('b'\) have the product 1"),
        ({"a": [2.0, 0.0]}, r"the product 4"),
        ({"a": [1.0, 0.0], "b": [1.0, 0.0, 0.0]}, "as many outputs; got 2, 3"),
        ({"a": [math.nan, 0.0]}, "finite"),
        ({"a": "frequency"}, "output directions"),
        ((np.eye(3), ["a", "b"]), "each of its 3 columns, got 2"),
        ("frequency", "a readout is"),
        ({}, "a readout is"),
    ],
)
def test_matrices_that_are_no_orthonormal_groups(given, message):
    with pytest.raises(UserError, match=message):
        as_readout(given)


def test_a_matrix_of_other_outputs_is_refused(effects):
    with pytest.raises(UserError, match="of 3 outputs, the model has 6"):
        as_readout({"a": [1.0, 0.0, 0.0]})(effects, LABELS)


def test_a_task_has_readouts():
    def task(readouts):
        return Task(model=lambda: nn.Linear(2, 2), loss=nn.functional.mse_loss, data=lambda _: None, readouts=readouts)

    own = task({"sums": {"sum": [math.sqrt(0.5)] * 2}}).readouts
    assert isinstance(own["sums"], Readout)
    assert default_readout("mnist", own) == "sums"
    assert readout_named("sums", own) is own["sums"]
    for wrong in ([], {"": {"a": [1.0]}}, {"x": 3}):
        with pytest.raises(UserError, match="readout"):
            task(wrong)


def test_names_of_readouts():
    assert default_readout("mnist", {}) == default_readout("digits", {}) == "class"
    assert default_readout("modular-addition-mlp", {}) == "frequency"
    assert default_readout("mine", {}) == "output"
    assert readout_named("groups", {}) is None
    with pytest.raises(UserError, match="no readout 'frequencies'; there are output, class, token"):
        readout_named("frequencies", {})
