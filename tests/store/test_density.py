"""Analyses of densities and of blocks: taken, stored, gone on with, made compact, said, and as tables."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hessian_dendrogram import Analysis, EachBlock, Exact, Lanczos, Run, StochasticLanczos
from hessian_dendrogram.analyse import Session, analyse
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.experiment import load_experiment
from hessian_dendrogram.experiment_run import open_run
from hessian_dendrogram.pipeline import train
from hessian_dendrogram.results.density import Density
from hessian_dendrogram.solvers.named import SOLVERS, each, solver_named
from hessian_dendrogram.statistics.density import trace
from hessian_dendrogram.statistics.distribution import hole_of
from hessian_dendrogram.store import report
from hessian_dendrogram.store.compact import compact
from places import TINY

DENSITY = Analysis(solver=StochasticLanczos(probes=10, steps=6, ends=2, diagonal_probes=4))
BLOCKS = Analysis(solver=EachBlock(of=Exact()))
SPECTRUM = Analysis(solver=Exact(vectors=2))


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A run whose analyses were killed at the second step, and gone on with."""
    path, experiment = tmp_path_factory.mktemp("density") / "run", load_experiment(str(TINY))
    with open_run(experiment, path) as (run, load):
        train(experiment, run, load)
        session = Session(experiment, run, load)
        for analysis in (DENSITY, BLOCKS):
            killed = replace(session)
            object.__setattr__(killed, "run", _Killed(path, calls=1))
            with pytest.raises(KeyboardInterrupt):
                analyse(killed, analysis)
            assert Run(path).analysed_steps(analysis.name_for(70)) == [0]
        before = run.result(0, "hessian-70.density")
        for analysis in (DENSITY, BLOCKS, SPECTRUM):
            analyse(session, analysis)
    assert np.array_equal(Run(path).result(0, "hessian-70.density").nodes, before.nodes)
    return path


class _Killed(Run):
    """A run whose process is killed while it saves a second result."""

    def __init__(self, path, calls):
        super().__init__(path)
        self.calls = calls

    def save(self, *arguments, **options):
        if not self.calls:
            raise KeyboardInterrupt
        self.calls -= 1
        super().save(*arguments, **options)


def test_what_was_killed_goes_on(taken):
    run = Run(taken)
    assert run.analyses("density") == ["hessian-70.density"]
    assert run.analyses("blocks") == ["hessian-70.blocks"]
    for name in ("hessian-70.density", "hessian-70.blocks"):
        assert run.analysed_steps(name) == run.analysed_steps("hessian-70")


def test_traces_agree_with_the_spectrum(taken):
    run = Run(taken)
    for step in run.analysed_steps("hessian-70"):
        spectrum, density = run.spectrum(step, "hessian-70"), run.result(step, "hessian-70.density")
        low, high = trace(density).interval(1 - 1e-6)
        assert low <= spectrum.eigenvalues.sum() <= high
        blocks = run.result(step, "hessian-70.blocks")
        assert blocks.traces.sum() == pytest.approx(spectrum.eigenvalues.sum())
        assert density.diagonal.shape == (38,)


def test_the_hole_of_a_partial_spectrum_is_counted_by_a_density(taken):
    run = Run(taken)
    density, spectrum = run.result(24, "hessian-70.density"), run.spectrum(24, "hessian-70")
    kept = np.r_[0:3, 35:38]
    partial = type(spectrum)(
        eigenvalues=spectrum.eigenvalues[kept],
        error_bounds=spectrum.error_bounds[kept],
        dim=38,
        num_bottom=3,
        num_top=3,
    )
    hole = hole_of(partial, density)
    assert hole.hidden == 32
    assert hole.agrees
    assert hole_of(partial).measured is None
    assert hole_of(spectrum) is None
    # One of the largest was missed: the third largest passes for the second.
    wrong = type(spectrum)(
        eigenvalues=spectrum.eigenvalues[[0, 20, 37]], error_bounds=1e-12, dim=38, num_bottom=1, num_top=2
    )
    assert not hole_of(wrong, density).agrees
    with pytest.raises(UserError, match="a spectrum of 9 eigenvalues does not go with a density of 38"):
        hole_of(type(spectrum)(eigenvalues=[1.0], error_bounds=0.0, dim=9, num_top=1), density)


def test_info_says_trace_norm_and_blocks(taken):
    run = Run(taken)
    words = report.in_one_line(run, "hessian-70.density", 24)
    known = len(run.result(24, "hessian-70.density").eigenvalues)
    assert all(label in words for label in ("trace", "‖A‖_F", "negative", f"known {known} of 38"))
    assert report.in_one_line(run, "hessian-70.blocks", 24).startswith("0: λ_max ")
    known = report.facts(run)["analyses"]
    assert known["hessian-70.density"]["results"][24]["moments"][0]["standard_error"] > 0
    assert {*known["hessian-70.blocks"]["results"][24]["blocks"]} == {"0", "3"}


def test_tables(taken):
    run = Run(taken)
    moments = run.table("moments", at=24)
    assert list(moments["quantity"]) == ["moment"] * 4 + ["trace", "squared_frobenius_norm"]
    assert (np.asarray(moments["low"]) <= np.asarray(moments["value"])).all()
    density = run.table("density", at=24)
    assert np.asarray(density["cumulative"])[[0, -1]] == pytest.approx([0, 1], abs=0.05)
    assert (np.diff(np.asarray(density["cumulative"])) >= -1e-12).all()
    area = np.trapezoid(np.asarray(density["density"]), np.asarray(density["eigenvalue"]))
    assert area == pytest.approx(1, abs=0.02)
    blocks = run.table("blocks", at=24)
    assert list(blocks["block"]) == ["0", "3"]
    assert list(blocks["parameters"]) == [24, 14]
    gaps = run.table("log_gaps", at=24)
    assert np.asarray(gaps["size"]) == pytest.approx(np.log(np.asarray(gaps["upper"]) / np.asarray(gaps["lower"])))
    assert (np.asarray(gaps["lower"]) > 0).all()


def test_a_compact_copy_keeps_both(taken, tmp_path):
    small = compact(Run(taken), tmp_path / "small", at=[24])
    density, whole = small.result(24, "hessian-70.density"), Run(taken).result(24, "hessian-70.density")
    assert np.array_equal(density.nodes, whole.nodes)
    assert density.diagonal == pytest.approx(whole.diagonal, rel=1e-6)
    assert np.array_equal(
        small.result(24, "hessian-70.blocks").eigenvalues, Run(taken).result(24, "hessian-70.blocks").eigenvalues
    )


def test_a_flipped_bit_is_seen(taken, tmp_path):
    copy = compact(Run(taken), tmp_path / "small", at=[24])
    file = copy.path / "analyses" / "hessian-70.density" / "00000024" / "weights.npy"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedRunError, match="the checksum differs"):
        copy.result(24, "hessian-70.density")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.full((2, 1), 0.5)}, "the weights of a probe should add up to 1"),
        ({"num_top": 1}, "num_bottom \\+ num_top = 0"),
        ({"nodes": np.zeros((2, 2))}, "nodes and weights have one shape"),
        ({"node_bounds": np.zeros(1)}, "one entry for each of the 2 probes"),
        ({"diagonal": np.zeros(3)}, "diagonal and diagonal_errors come together"),
    ],
)
def test_densities_that_contradict_themselves_are_refused(changes, message):
    good = Density(
        dim=4,
        nodes=np.zeros((2, 1)),
        weights=np.ones((2, 1)),
        is_exact=np.ones(2, bool),
        node_bounds=np.zeros(2),
        eigenvalues=np.empty(0),
        error_bounds=np.empty(0),
        num_bottom=0,
        num_top=0,
    )
    with pytest.raises(UserError, match=message):
        replace(good, **changes)


def test_solvers_have_names():
    made = [solver_named(name, vectors=5, lanczos={"top": 3}) for name in SOLVERS]
    assert made == [Exact(vectors=5), Lanczos(options={"top": 3}, vectors=5), StochasticLanczos()]
    assert each(made[0], "group") == EachBlock(of=made[0], by="group")
    with pytest.raises(UserError, match="--solver is exact, lanczos or density, got 'all'"):
        solver_named("all", vectors=5, lanczos=None)


def test_another_choice_of_blocks_needs_a_name(taken):
    experiment = load_experiment(str(TINY))
    with (
        open_run(experiment, taken) as (run, load),
        pytest.raises(UserError, match="blocks was 'layer', is now 'tensor'"),
    ):
        analyse(Session(experiment, run, load), Analysis(solver=EachBlock(of=Exact(), by="tensor")))
    assert torch.is_grad_enabled()
