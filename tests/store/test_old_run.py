"""A run that an earlier version of this program left half trained and partly analysed: it opens, and it goes on.

`data/run-of-0.1.0` is `tiny.py` at step 12 of 24, with spectra at 0 and 8 and a tree at 8, as it was stored before
results had checksums, measures a place of their own, and training states more than torch's random state.
"""

import json
import shutil

import numpy as np
import pytest

from hessian_dendrogram import Run, experiment_run, pipeline
from hessian_dendrogram.store import report
from hessian_dendrogram.store.compact import compact
from places import ROOT

OLD = ROOT / "tests" / "data" / "run-of-0.1.0"


@pytest.fixture
def old(tiny, tmp_path):
    shutil.copytree(OLD, tmp_path / "old")
    file = tmp_path / "old/run.json"
    record = json.loads(file.read_text())
    record["configuration"]["source_sha256"] = tiny.source_sha256  # that the file has changed since is not the point
    file.write_text(json.dumps(record))
    return tmp_path / "old"


def test_it_opens_and_is_copied(old, tmp_path):
    run = Run(old)
    assert (run.analyses(), run.bipartition_analyses()) == (["hessian-70"], ["hessian-70.fiedler"])
    assert run.measures(8)["weight_norm"] == pytest.approx(np.linalg.norm(run.weights(8)["0.weight"]))
    assert run.spectrum(8).eigenvectors.shape == (38, 4)
    assert run.shares(8)[1].sum(0) == pytest.approx(np.ones(4))
    assert run.coupling_picture(8, "hessian-70.fiedler").shape == (38, 38)
    copy = compact(run, tmp_path / "copy", vectors=1)
    assert np.array_equal(copy.spectrum(8).eigenvalues, run.spectrum(8).eigenvalues)
    assert copy.measures(8) == run.measures(8)
    assert report.lines(run)[1:] == report.lines(copy)[1:]


def test_it_goes_on_to_the_numbers_of_a_run_that_was_not_interrupted(old, tiny, tmp_path):
    for path in (old, tmp_path / "new"):
        with experiment_run.open_run(tiny, path) as (run, load):
            pipeline.train(tiny, run, load)
            pipeline.analyse(tiny, run, load)
            pipeline.bipartition(tiny, run, load, at=[8, 24])
    went_on, new = Run(old), Run(tmp_path / "new")
    for name, column in new.metrics().items():
        np.testing.assert_allclose(went_on.metrics()[name], column, rtol=1e-3, atol=0.05)
    for step in new.steps():
        for name, array in new.weights(step).items():
            np.testing.assert_allclose(went_on.weights(step)[name], array, rtol=1e-3, atol=1e-4)
    assert went_on.analysed_steps("hessian-70") == new.analysed_steps("hessian-70") == [0, 8, 16, 20, 24]
    for step in new.analysed_steps("hessian-70"):
        ours, theirs = new.spectrum(step, "hessian-70"), went_on.spectrum(step, "hessian-70")
        scale = np.abs(ours.eigenvalues).max()
        # The first half may be of another machine than the second, which shows in the last digits of float32.
        assert np.abs(ours.eigenvalues - theirs.eigenvalues).max() <= 1e-3 * scale
    assert went_on.analysed_steps("hessian-70.fiedler") == [8, 24]


def test_what_it_had_computed_is_what_is_computed_now(old, tiny):
    """Of the same weights, to twelve digits of the largest."""
    run = Run(old)
    before = {step: run.spectrum(step) for step in (0, 8)}
    tree = run.bipartition(8, "hessian-70.fiedler")
    with experiment_run.open_run(tiny, old, must_exist=True) as (run, load):
        pipeline.analyse(tiny, run, load, at=[0, 8], name="again")
        pipeline.bipartition(tiny, run, load, at=[8], name="again")
    for step, spectrum in before.items():
        now = run.spectrum(step, "again")
        scale = np.abs(now.eigenvalues).max()
        assert np.abs(now.eigenvalues - spectrum.eigenvalues).max() <= 1e-12 * scale
    again = run.bipartition(8, "again.fiedler")
    assert np.array_equal(again.labels(6), tree.labels(6))
    assert again.conductances == pytest.approx(tree.conductances, rel=1e-9, nan_ok=True)
