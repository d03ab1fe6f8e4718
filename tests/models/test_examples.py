"""The example that needs no library beside torch: it trains, and its heads are groups of its spectra."""

import pytest

from hessian_dendrogram import Run, cli
from hessian_dendrogram.experiment import load_experiment
from hessian_dendrogram.experiment_run import new_model
from places import ROOT

EXAMPLE = ROOT / "examples" / "language_model.py"


def test_the_language_model_is_made_of_heads_and_tokens():
    experiment = load_experiment(str(EXAMPLE))
    assert [*experiment.groups] == ["head 0.0", "head 0.1"]
    (tokens, labels), _ = experiment.data(None)
    assert new_model(experiment)(tokens[:2]).shape == (*tokens[:2].shape, 15)
    assert experiment.weight(labels) == labels.numel() - len(labels)


@pytest.mark.slow
def test_the_language_model_learns_in_a_minute(tmp_path):
    cli.app(["run", str(EXAMPLE), "--out", str(tmp_path / "run")], standalone_mode=False)
    run = Run(tmp_path / "run")
    assert run.analysed_steps() == [0, 20, 100, 300, 600]
    assert float(run.metrics()["test_loss"][-1]) < 0.2
