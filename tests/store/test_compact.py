import numpy as np
import pytest

from hessian_dendrogram import Layout, Run, Spectrum
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.store import lock
from hessian_dendrogram.store.compact import compact
from small_run import as_an_earlier_version_wrote

LAYOUT = Layout(("weight", "bias"), ((4, 2), (2,)))


def spectrum(seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((10, 10))
    values, V = np.linalg.eigh(A + A.T)
    wanted = np.r_[0:3, 7:10]
    return Spectrum(
        eigenvalues=values, error_bounds=1e-12, dim=10, eigenvectors=V[:, wanted], vector_indices=wanted, provenance={}
    )


@pytest.fixture
def run(tmp_path):
    with lock(tmp_path / "run"):
        run = Run.create(tmp_path / "run", configuration={"steps": 10}, layout=LAYOUT, provenance={"threads": 2})
        run.append_metrics({"step": 0.0, "train_loss": 2.0, "test_loss": None})
        run.create_analysis("hessian-5", {"configuration": {"samples": 5}, "provenance": {}})
        for step in (0, 5, 10):
            run.save_checkpoint(step, {"weight": np.full((4, 2), step, np.float32), "bias": np.zeros(2)})
            run.save_spectrum(step, "hessian-5", spectrum(step), {"norm": step})
        run.save_training_state(10, {"momentum": np.zeros(3)}, {})
    return run


def test_shares_are_the_squares_by_tensor(run):
    indices, shares = run.shares(5)
    V = spectrum(5).eigenvectors
    assert indices.tolist() == [0, 1, 2, 7, 8, 9]
    assert shares[0] == pytest.approx((V[:8] ** 2).sum(0), abs=1e-14)
    assert shares[1] == pytest.approx((V[8:] ** 2).sum(0), abs=1e-14)
    assert shares.sum(0) == pytest.approx(np.ones(6))
    folder = run.path / "analyses" / "hessian-5" / "00000005"
    for name in ("shares", "share_indices"):  # a run of an earlier version of this program has none
        (folder / f"{name}.npy").unlink()
    as_an_earlier_version_wrote(folder)
    assert run.shares(5)[0].tolist() == indices.tolist()
    assert run.shares(5)[1] == pytest.approx(shares)


def test_shares_that_do_not_fit_are_damage(run):
    folder = run.path / "analyses" / "hessian-5" / "00000005"
    as_an_earlier_version_wrote(folder)
    np.save(folder / "shares.npy", np.ones((3, 6)))
    with pytest.raises(DamagedRunError, match="shares of shape"):
        run.shares(5)
    with pytest.raises(UserError, match=r"must have shape \(10, m\) for this layout, got \(9, 2\)"):
        LAYOUT.shares(np.ones((9, 2)))


def test_a_compact_copy_keeps_all_but_vectors_and_training_state(run, tmp_path):
    copy = compact(run, tmp_path / "small", vectors=2)
    assert copy.record == run.record
    assert copy.steps() == run.steps()
    assert copy.analysis() == run.analysis()
    assert not (copy.path / "training_state").exists()
    assert np.array_equal(copy.weights(5)["weight"], run.weights(5)["weight"])
    for name, column in run.metrics().items():
        assert np.array_equal(copy.metrics()[name], column, equal_nan=True)
    for step in (0, 5, 10):
        whole, kept = run.spectrum(step), copy.spectrum(step)
        assert np.array_equal(kept.eigenvalues, whole.eigenvalues)
        assert np.array_equal(kept.error_bounds, whole.error_bounds)
        assert copy.measures(step) == run.measures(step)
        leading = np.sort(np.argsort(-np.abs(whole.eigenvalues))[:2])  # both are at an end, so both were stored
        assert kept.vector_indices.tolist() == leading.tolist()
        places = [whole.vector_indices.tolist().index(i) for i in leading]
        assert kept.eigenvectors == pytest.approx(whole.eigenvectors[:, places], abs=5e-4)
        assert kept.provenance["stored_vectors"] == "float16"
        for stored, original in zip(copy.shares(step), run.shares(step), strict=True):
            assert np.array_equal(stored, original)


def test_a_copy_of_some_steps_is_added_to(run, tmp_path):
    first = compact(run, tmp_path / "small", vectors=0, at=[0])
    assert (first.steps(), first.analysed_steps(), first.spectrum(0).eigenvectors.shape) == ([0], [0], (10, 0))
    assert first.shares(0)[1].shape == (2, 6)
    again = compact(run, tmp_path / "small", vectors=1)
    assert (again.steps(), again.analysed_steps()) == ([0, 5, 10], [0, 5, 10])
    assert [again.spectrum(step).eigenvectors.shape[1] for step in (0, 5, 10)] == [0, 1, 1]


def test_a_copy_can_keep_few_weights(run, tmp_path):
    copy = compact(run, tmp_path / "small", vectors=0, weights_at=[10])
    assert (copy.steps(), copy.analysed_steps()) == ([10], [0, 5, 10])
    assert compact(run, tmp_path / "none", weights_at=[]).steps() == []
    assert compact(run, tmp_path / "small", weights_at=[0]).steps() == [0, 10]


def test_mistakes_are_refused(run, tmp_path):
    with pytest.raises(UserError, match="vectors must be >= 0, got -1"):
        compact(run, tmp_path / "small", vectors=-1)
    with pytest.raises(UserError, match=r"no checkpoint at \[7\]; it has them at \[0, 5, 10\]"):
        compact(run, tmp_path / "small", at=[0, 7])
    with pytest.raises(UserError, match=r"no checkpoint at \[7\]"):
        compact(run, tmp_path / "small", weights_at=[7])
    with pytest.raises(UserError, match="is the run itself"):
        compact(run, run.path)
    with lock(tmp_path / "other"):
        Run.create(tmp_path / "other", configuration={"steps": 10, "seed": 1}, layout=LAYOUT, provenance={})
    with pytest.raises(UserError, match="holds another run"):
        compact(run, tmp_path / "other")
    with lock(tmp_path / "third"):
        third = Run.create(tmp_path / "third", configuration={"steps": 10}, layout=LAYOUT, provenance={})
        third.create_analysis("hessian-5", {"configuration": {"samples": 6}, "provenance": {}})
    with pytest.raises(UserError, match="has another analysis 'hessian-5'"):
        compact(run, third.path)


def test_a_run_that_was_extended_is_copied_on(run, tmp_path):
    compact(run, tmp_path / "small")
    with lock(run.path):
        run.extend({"steps": 20})
        run.save_checkpoint(20, run.weights(10))
    copy = compact(run, tmp_path / "small")
    assert copy.configuration == Run(copy.path).configuration == {"steps": 20}
    assert copy.steps() == [0, 5, 10, 20]
