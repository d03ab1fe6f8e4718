"""Trees of a run: made by the command, stored, read back, drawn, copied."""

import json

import numpy as np
import pytest
import torch

from commands import error_of, quick_command
from hessian_dendrogram import Hessian, Run, coupling_graph, experiment_run, pipeline, recursive_bipartition
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.models.loop import load_weights
from hessian_dendrogram.solvers import trees
from hessian_dendrogram.solvers.graph.bipartition import coupling_picture
from hessian_dendrogram.store.compact import compact
from places import TINY, numbers


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fiedler")
    result = quick_command("run", TINY, "--out", "run", cwd=folder)
    assert result.returncode == 0, result.stderr
    result = quick_command("fiedler", TINY, "--out", "run", "--min-size", 3, cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "log").write_text(result.stderr)
    return folder / "run"


@pytest.fixture
def copied(finished, tmp_path):
    return compact(Run(finished), tmp_path / "copy")


def test_the_trees_are_those_of_the_hessians(finished, tiny):
    run = Run(finished)
    assert run.bipartition_analyses() == ["hessian-70.fiedler"]
    assert run.analyses() == ["hessian-70"]
    assert run.analysed_steps("hessian-70.fiedler") == run.analysed_steps("hessian-70")
    train_data, _ = tiny.data(None)
    for step in (0, 24):
        model = experiment_run.new_model(tiny)
        load_weights(model, run, step)
        W = coupling_graph(Hessian(model, tiny.loss, train_data, dtype=torch.float64).to_dense().numpy())
        expected, found = recursive_bipartition(W, min_size=3), run.bipartition(step)
        for name in ("order", "isolated", "parents", "eigenvalues", "connectivities", "conductances", "is_degenerate"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert (found.size, found.laplacian, found.split, found.min_size) == (38, "normalised", "sweep", 3)
        np.testing.assert_allclose(run.coupling_picture(step), coupling_picture(W, expected), rtol=1e-6)


def test_a_picture_averages_blocks_in_the_order_of_the_tree():
    random = np.random.default_rng(0)
    H = random.standard_normal((20, 20))
    W = coupling_graph(H + H.T)
    W[3] = W[:, 3] = 0
    tree = recursive_bipartition(W)
    order = np.r_[tree.order, 3]
    reordered = W[np.ix_(order, order)]
    np.testing.assert_array_equal(coupling_picture(W, tree), reordered)
    np.testing.assert_allclose(
        coupling_picture(W, tree, blocks=4), reordered.reshape(4, 5, 4, 5).mean(axis=(1, 3)), rtol=1e-12
    )


def test_a_second_command_adds_what_is_missing_and_no_more(finished, tmp_path, tiny):
    run_path = tmp_path / "run"
    result = quick_command("run", TINY, "--out", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for at in ("0", "0,8,16,20,24"):
        result = quick_command("fiedler", TINY, "--out", "run", "--min-size", 3, "--at", at, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    assert numbers(run_path) == numbers(finished)
    with experiment_run.open_run(tiny, run_path, must_exist=True) as (run, _):
        name = pipeline.bipartition(tiny, run, None, min_size=3)  # nothing is loaded
    assert name == "hessian-70.fiedler"


def test_what_the_command_says(finished):
    log = (finished.parent / "log").read_text().splitlines()
    assert log[-1] == "figures: run/figures/hessian-70.fiedler"
    assert log[-2].startswith("step 24: 0 isolated, ")
    assert "first cut" in log[-2]
    figures = finished / "figures" / "hessian-70.fiedler"
    assert {file.stem for file in figures.glob("*.png")} == {
        "parameter_dendrogram",
        "connectivity",
        "composition",
        "coupling",
    }
    info = quick_command("info", finished)
    assert "bipartition hessian-70.fiedler: " in info.stdout
    facts = json.loads(quick_command("info", finished, "--json").stdout)
    tree = facts["bipartitions"]["hessian-70.fiedler"]["trees"]["24"]
    assert tree["parameters"] == 38
    assert sum(tree["parts"]) == 38 - tree["isolated"]


def test_figures_can_be_drawn_again_without_torch(finished, tmp_path):
    result = quick_command("plot", finished, "--analysis", "hessian-70.fiedler", "--to", tmp_path / "figures")
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "figures").rglob("*.pdf"))) == 4


def test_a_copy_has_the_trees(finished, copied):
    run = Run(finished)
    for step in run.analysed_steps("hessian-70.fiedler"):
        for name in ("order", "parents", "eigenvalues"):
            expected, found = (getattr(r.bipartition(step), name) for r in (run, copied))
            np.testing.assert_array_equal(found, expected)
        assert copied.bipartition(step).provenance == run.bipartition(step).provenance
        np.testing.assert_array_equal(copied.coupling_picture(step), run.coupling_picture(step))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("order", np.zeros(38, np.int64), "order and isolated must have each of the 38 parameters once"),
        ("parents", np.array([0]), "in each column"),
        ("starts", None, "starts"),
    ],
)
def test_a_damaged_tree_is_told(copied, name, array, message):
    file = copied.path / "analyses" / "hessian-70.fiedler" / "00000008" / f"{name}.npy"
    record = json.loads((file.parent / "tree.json").read_text())
    record.pop("checksums", None)  # as an earlier version wrote it
    (file.parent / "tree.json").write_text(json.dumps(record))
    if array is None:
        file.write_bytes(file.read_bytes()[:40])
    else:
        np.save(file, array)
    with pytest.raises(DamagedRunError, match=message):
        copied.bipartition(8)


def test_bad_input_is_one_line(finished, tmp_path, tiny):
    assert "hessian-70.fiedler" in error_of(quick_command("fiedler", TINY, "--out", finished, "--split", "median"), 2)
    assert "no run directory" in error_of(quick_command("fiedler", TINY, "--out", tmp_path / "none"), 2)
    assert "got 'normalised' and 'no'" in error_of(
        quick_command("fiedler", TINY, "--out", finished, "--split", "no", "--name", "x"), 2
    )
    assert "no checkpoint at [3]" in error_of(quick_command("fiedler", TINY, "--out", finished, "--at", "3"), 2)
    run = Run(finished)
    with pytest.raises(UserError, match="no tree at step 4"):
        run.bipartition(4)
    with pytest.raises(UserError, match=r"'hessian-70' has spectra; with trees there are: hessian-70\.fiedler"):
        run.bipartition(8, "hessian-70")
    with pytest.raises(UserError, match=r"'hessian-70\.fiedler' has trees; with spectra there are: hessian-70"):
        run.spectrum(8, "hessian-70.fiedler")
    with experiment_run.open_run(tiny, finished) as (opened, load), pytest.raises(UserError, match=r"end in \.fiedler"):
        pipeline.analyse(tiny, opened, load, name="x.fiedler")


def test_a_graph_that_is_too_large_is_refused(finished, tiny, monkeypatch):
    monkeypatch.setattr(trees, "MEMORY_FOR_GRAPH", 1000)
    with (
        experiment_run.open_run(tiny, finished) as (opened, load),
        pytest.raises(UserError, match=r"38 parameters has a graph of 0.0 GB, and three .* at most 6 parameters"),
    ):
        pipeline.bipartition(tiny, opened, load, name="large")
