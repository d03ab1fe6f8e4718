from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hessian_dendrogram import Run, experiment_run, pipeline
from hessian_dendrogram.analyse import Analysis, Session, analyse
from hessian_dendrogram.errors import InterruptedSolverError, LockedRunError, TrainingDivergedError, UserError
from hessian_dendrogram.models.weights import load_weights
from hessian_dendrogram.operators import OPERATORS, hessian, mean
from hessian_dendrogram.operators.gauss_newton import GaussNewton
from hessian_dendrogram.operators.hessian import Hessian
from hessian_dendrogram.operators.mean import MeanOperator
from hessian_dendrogram.results.stored import stored
from hessian_dendrogram.solvers import eigensolvers
from hessian_dendrogram.solvers.eigensolvers import Exact, Lanczos
from hessian_dendrogram.solvers.trees import Bipartition
from hessian_dendrogram.store import report
from hessian_dendrogram.store.compact import compact
from hessian_dendrogram.store.kinds import KINDS, Kind
from places import TINY, numbers


def everything(experiment, path, **options):
    with experiment_run.open_run(experiment, path) as (run, load):
        pipeline.train(experiment, run, load)
        pipeline.analyse(experiment, run, load, **options)
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    from hessian_dendrogram.experiment import load_experiment

    path = tmp_path_factory.mktemp("finished") / "run"
    everything(load_experiment(str(TINY)), path)
    return path


def test_a_run_has_what_the_experiment_asks_for(finished):
    run = Run(finished)
    assert run.steps() == [0, 4, 8, 12, 16, 20, 24]
    assert run.analyses() == ["hessian-70"]
    assert run.analysed_steps() == [0, 8, 16, 20, 24]
    metrics = run.metrics()
    assert metrics["step"].tolist() == [0, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 18, 20, 21, 24]
    evaluated = metrics["step"][~np.isnan(metrics["train_loss"])]
    assert evaluated.tolist() == [0, 4, 5, 8, 10, 12, 15, 16, 20, 24]
    assert metrics["train_loss"][-1] < metrics["train_loss"][0]
    assert run.measures(24)["weight_norm"] == pytest.approx(np.linalg.norm(run.weights(24)["0.weight"]))
    assert list((finished / "training_state").iterdir()) == [finished / "training_state" / "00000024"]
    spectrum = run.spectrum(24)
    assert spectrum.provenance["samples"] == 70
    assert spectrum.eigenvectors.shape == (38, 4)


def test_both_ends_of_the_spectrum_are_those_of_the_whole(finished, tiny, tmp_path):
    experiment = replace(tiny, lanczos={"top": 5, "bottom": 4, "block_size": 2}, vectors=3, steps=8)
    everything(experiment, tmp_path / "run")
    spectrum, whole = Run(tmp_path / "run").spectrum(8), Run(finished).spectrum(8)
    assert (spectrum.num_bottom, spectrum.num_top, spectrum.dim) == (4, 5, 38)
    expected = np.r_[whole.eigenvalues[:4], whole.eigenvalues[-5:]]
    assert (np.abs(spectrum.eigenvalues - expected) <= spectrum.error_bounds + 1e-12).all()
    assert spectrum.converged.all()
    assert spectrum.vector_indices.tolist() == [0, 1, 2, 6, 7, 8]
    assert spectrum.eigenvectors.shape == (38, 6)


def taking(operator, method):
    other = operator._copy(operator.risk)
    other.method = method
    return other


def test_a_resumed_analysis_takes_products_in_the_same_way(tiny, tmp_path, monkeypatch):
    experiment = replace(tiny, lanczos={"top": 3, "bottom": 3}, vectors=0, steps=8)
    monkeypatch.setattr(Hessian, "_quickest", lambda self, _: taking(self, "double-backward"))
    everything(experiment, tmp_path / "run", at=[0])
    monkeypatch.setattr(Hessian, "_quickest", lambda self, _: taking(self, "forward-over-reverse"))
    everything(experiment, tmp_path / "run", at=[0, 8])
    run = Run(tmp_path / "run")
    assert [run.spectrum(step).provenance["products_by"] for step in (0, 8)] == ["double-backward"] * 2


def test_what_an_interrupted_solver_found_is_kept_beside_the_analysis(tiny, tmp_path, monkeypatch):
    experiment = replace(tiny, lanczos={"top": 3, "bottom": 3}, vectors=1, steps=8)
    original, left = Hessian.matmat, [0]

    def failing(self, V):
        left[0] -= V.shape[1]
        if left[0] < 0:
            raise RuntimeError("out of memory")
        return original(self, V)

    monkeypatch.setattr(Hessian, "_quickest", lambda self, _: self)
    monkeypatch.setattr(Hessian, "matmat", failing)
    for _ in range(2):
        left[0] = 20
        with pytest.raises(
            InterruptedSolverError, match=r"step 0: the operator .* memory, after 20 .*interr"
        ) as caught:
            everything(experiment, tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.analyses() == ["hessian-70", "hessian-70-interrupted"]
    found = run.spectrum(0, "hessian-70-interrupted")
    assert (len(found.eigenvalues), found.eigenvectors.shape[1]) == (6, 2)
    assert "out of memory" in found.provenance["interrupted"]
    assert np.array_equal(caught.value.spectrum.eigenvalues, found.eigenvalues)
    assert run.analysed_steps("hessian-70") == []
    monkeypatch.setattr(Hessian, "matmat", original)
    everything(experiment, tmp_path / "run")
    whole = run.spectrum(0, "hessian-70")
    assert whole.converged.all()
    assert (np.abs(found.eigenvalues - whole.eigenvalues) <= found.error_bounds + whole.error_bounds)[
        found.converged
    ].all()


def test_the_stored_spectrum_is_that_of_the_stored_weights(finished, tiny):
    from hessian_dendrogram import Hessian

    run = Run(finished)
    model = tiny.model()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in run.weights(16).items()})
    H = Hessian(model, tiny.loss, tiny.data(None)[0], dtype=torch.float64).to_dense()
    assert run.spectrum(16).eigenvalues == pytest.approx(np.linalg.eigvalsh(H.numpy()), abs=1e-13)


def test_a_finished_run_computes_nothing_again(finished, tiny, monkeypatch):
    tiny = replace(tiny, data=lambda _: pytest.fail("loaded the data again"))
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name != ".lock"}
    monkeypatch.setattr(pipeline.training, "fit", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(eigensolvers, "exact_spectrum", lambda *_, **__: pytest.fail("analysed again"))
    everything(tiny, finished)
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name != ".lock"} == before


def test_more_steps_extend_a_run(finished, tiny, tmp_path):
    everything(replace(tiny, steps=12), tmp_path)
    run = everything(tiny, tmp_path)
    assert run.steps() == [0, 4, 8, 12, 16, 20, 24]
    assert run.configuration["steps"] == 24
    expected = Run(finished)
    for step in run.steps():
        for name, array in expected.weights(step).items():
            assert np.array_equal(run.weights(step)[name], array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed was 42, is now 1"),
        ({"batch_size": 8}, "batch_size was 16, is now 8"),
        ({"steps": 20}, "steps was 24, is now 20"),
        ({"source_sha256": "0"}, "source_sha256 was"),
        (
            {"data": lambda _: ((torch.zeros(70, 3), torch.zeros(70).long()), None), "steps": 30},
            "the data, which must be the same on every load, differs.*training_data_sha256 was",
        ),
        (
            {"optimizer": lambda p: torch.optim.AdamW(p, lr=9.0), "steps": 30},
            r"was AdamW\(lr=0.02.*is now AdamW\(lr=9.0",
        ),
        ({"model": lambda: torch.nn.Linear(3, 2)}, r"other parameters: 0.weight was \(6, 3\), is now not there"),
        ({"vectors": 3}, "analysis 'hessian-70' differs.*vectors was 2, is now 3; give another --name"),
        ({"samples": 71}, "71 samples were asked for, the training data has 70"),
    ],
)
def test_a_changed_configuration_is_refused_by_naming_it(finished, tiny, change, message):
    before = numbers(finished)
    with pytest.raises(UserError, match=message):
        everything(replace(tiny, **change), finished)
    assert numbers(finished) == before


def test_analyses_of_fewer_samples_stand_beside_the_first(tiny, tmp_path):
    everything(tiny, tmp_path)
    run = everything(replace(tiny, samples=20), tmp_path, at=[8, 24])
    everything(replace(tiny, samples=20), tmp_path, at=[4])
    assert run.analyses() == ["hessian-20", "hessian-70"]
    assert run.analysed_steps("hessian-20") == [4, 8, 24]
    assert run.analysis("hessian-20")["configuration"]["samples"] == 20
    assert not np.allclose(run.spectrum(8, "hessian-20").eigenvalues, run.spectrum(8, "hessian-70").eigenvalues)
    with pytest.raises(UserError, match=r"no checkpoint at \[5\]"):
        everything(tiny, tmp_path, at=[5])


def test_a_second_process_is_refused(finished, tiny):
    with (
        experiment_run.open_run(tiny, finished),
        pytest.raises(LockedRunError),
        experiment_run.open_run(tiny, finished),
    ):
        pass


def test_a_diverging_run_stops_at_the_last_good_checkpoint(tiny, tmp_path):
    def explodes_at_10(optimizer):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1e30 if step >= 10 else 1)

    wild = replace(tiny, scheduler=explodes_at_10)
    for _ in range(2):  # a second try ends the same way
        with pytest.raises(TrainingDivergedError, match=r"is nan at step 1\d; the last good checkpoint, step 8, is"):
            everything(wild, tmp_path)
        assert Run(tmp_path).steps() == [0, 4, 8]
        assert all(np.isfinite(array).all() for array in Run(tmp_path).weights(8).values())


def test_imported_checkpoints_are_analysed(tiny, tmp_path):
    model = tiny.model()
    torch.save(model.state_dict(), tmp_path / "step7.pt")
    run_path = tmp_path / "run"
    files = {7: tmp_path / "step7.pt"}
    for _ in range(2):
        with experiment_run.open_run(tiny, run_path, imported=True) as (run, load):
            pipeline.import_checkpoints(run, pipeline.read_checkpoints(tiny, files))
            pipeline.analyse(tiny, run, load)
    assert Run(run_path).analysed_steps() == [7]
    assert np.array_equal(Run(run_path).weights(7)["0.weight"], model[0].weight.detach().numpy())
    with pytest.raises(UserError, match="checkpoints was 'imported', is now 'trained'"):
        everything(tiny, run_path)
    torch.save(tiny.model().state_dict(), tmp_path / "step7.pt")
    with (
        experiment_run.open_run(tiny, run_path, imported=True) as (run, _),
        pytest.raises(UserError, match="other weights for step 7"),
    ):
        pipeline.import_checkpoints(run, pipeline.read_checkpoints(tiny, files))


def test_the_global_random_state_is_left_alone(tiny, tmp_path):
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    with experiment_run.open_run(tiny, tmp_path) as (run, load):
        pipeline.train(tiny, run, load)
    assert torch.equal(torch.randn(3), expected)


def test_an_analysis_needs_a_run(tiny, tmp_path):
    with (
        pytest.raises(UserError, match="train one with `run`, or bring weights with --checkpoints"),
        experiment_run.open_run(tiny, tmp_path / "nothing", must_exist=True),
    ):
        pass
    assert not Path(tmp_path / "nothing").exists()


SCHEDULES = {
    "MultiStepLR": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones=[10, 18], gamma=0.1),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=30),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 24),
    "SequentialLR": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o, [torch.optim.lr_scheduler.ConstantLR(o), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)], milestones=[9]
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.RMSprop])
@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step:UserWarning", "ignore:The epoch parameter:UserWarning")
def test_every_schedule_resumes_exactly(tiny, tmp_path, schedule, optimizer):
    experiment = replace(
        tiny, scheduler=SCHEDULES[schedule], optimizer=lambda p: optimizer(p, lr=0.1, momentum=0.9), data=tiny.data
    )
    for path, stops in ((tmp_path / "whole", [24]), (tmp_path / "parts", [8, 16, 24])):
        for steps in stops:
            part = replace(experiment, steps=steps)
            with experiment_run.open_run(part, path) as (run, load):
                pipeline.train(part, run, load)
    for name, array in Run(tmp_path / "whole").weights(24).items():
        assert np.array_equal(Run(tmp_path / "parts").weights(24)[name], array), name


def test_a_model_with_random_state_outside_its_state_is_made_alike_every_time(tiny, tmp_path):
    class RandomFeatures(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("features", torch.randn(3, 5), persistent=False)
            self.out = torch.nn.Linear(5, 2)

        def forward(self, x):
            return self.out(torch.tanh(x @ self.features))

    experiment = replace(tiny, model=RandomFeatures, measures=None)
    torch.manual_seed(1)
    everything(experiment, tmp_path / "one")
    everything(experiment, tmp_path / "two")
    assert numbers(tmp_path / "one") == numbers(tmp_path / "two")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": torch.optim.LBFGS}, "LBFGS evaluates the loss several times"),
        ({"scheduler": torch.optim.lr_scheduler.ReduceLROnPlateau}, "ReduceLROnPlateau needs a validation loss"),
        ({"optimizer": lambda p: torch.optim.Adam(p, lr=torch.tensor(0.1))}, "a state that cannot be stored"),
        (
            {"data": lambda _: (torch.zeros(9, 3), torch.zeros(9).long())},
            "data must give .training samples, test samples",
        ),
        ({"data": lambda _: ([torch.zeros(9, 3), torch.zeros(9)], None)}, "data must give"),
        ({"data": lambda _: ((torch.zeros(9, 3), torch.zeros(9).long()), 3)}, "test samples must be .*got a int"),
        ({"measures": lambda model, last, data: {"norm": model[0].weight}}, "measures must give finite numbers"),
        ({"measures": lambda model, last, data: {"norm": float("nan")}}, "measures must give finite numbers"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tiny, tmp_path, monkeypatch, change, message):
    monkeypatch.setattr(eigensolvers, "exact_spectrum", lambda *_, **__: pytest.fail("computed before it was refused"))
    with pytest.raises(UserError, match=message) as caught:
        everything(replace(tiny, **change), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"samples": 71}, {}, "71 samples were asked for"),
        ({}, {"at": [5]}, r"--at names steps without a checkpoint: \[5\]"),
        ({}, {"name": "a/b"}, "an analysis name has at most 100 letters"),
        (
            {"loss": lambda a, b: torch.nn.functional.cross_entropy(a, b, reduction="sum")},
            {},
            "not a mean over samples",
        ),
        (
            {"loss": lambda a, b: torch.nn.functional.multi_margin_loss(a, b)},
            {},
            "the loss has no second derivative: .*multi_margin_loss",
        ),
        ({"lanczos": {"tops": 3}}, {}, "lanczos has no option tops; there are top, bottom"),
        ({"lanczos": {"top": 3, "bottom": 3, "tolerance": "1e-6"}}, {}, "the options of lanczos are numbers"),
        ({"lanczos": {"top": 50}}, {}, "at most 38, the size of the matrix"),
        ({"lanczos": {"top": 3, "bottom": 3, "memory_budget": 100}}, {}, "need a basis of"),
        (
            {"model": lambda: torch.nn.Sequential(torch.nn.Linear(3, 40_000), torch.nn.Linear(40_000, 2))},
            {},
            "the exact spectrum of 240002 parameters needs about 2304 GB",
        ),
    ],
)
def test_what_an_analysis_cannot_use_is_found_before_training(tiny, tmp_path, change, options, message):
    tiny = replace(tiny, **change)
    options = {"name": None, "at": None, "dtype": torch.float64} | options
    with experiment_run.open_run(tiny, tmp_path) as (run, load), pytest.raises(UserError, match=message):
        pipeline.check(tiny, run, load, **options)


def test_the_checks_are_made_once_an_analysis(tiny, tmp_path, monkeypatch):
    calls = []
    for home, name in ((mean, "checked_loss"), (hessian, "checked_method")):
        original = getattr(home, name)
        monkeypatch.setattr(home, name, lambda *args, name=name, f=original: calls.append(name) or f(*args))
    everything(tiny, tmp_path / "run")
    assert len(Run(tmp_path / "run").analysed_steps()) > 2
    assert calls == ["checked_loss", "checked_method"]


def test_weights_of_another_kind_are_refused(tiny, tmp_path):
    state = tiny.model().state_dict()
    state["0.weight"] = (100 * state["0.weight"]).to(torch.int8)  # codes of a quantised layer, without their scale
    torch.save(state, tmp_path / "step_1.pt")
    with pytest.raises(UserError, match=r"0\.weight is torch\.int8, the model's torch\.float32: quantised"):
        pipeline.read_checkpoints(tiny, {1: tmp_path / "step_1.pt"})


def test_a_run_without_checkpoints_has_nothing_to_analyse(tiny, tmp_path):
    with (
        experiment_run.open_run(tiny, tmp_path) as (run, load),
        pytest.raises(UserError, match="has no checkpoint to analyse"),
    ):
        pipeline.analyse(tiny, run, load)


def test_analysed_steps_must_have_checkpoints(tiny):
    with pytest.raises(UserError, match=r"analysed_steps \[5\] are not among checkpoint_steps"):
        replace(tiny, analysed_steps=[0, 5, 24])


# ── an analysis of any operator, solver and kind of result ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "solver", [Exact(vectors=1), Lanczos(options={"top": 2, "bottom": 2}), Bipartition(min_size=4)]
)
def test_an_analysis_names_operator_solver_samples_and_parameters(tiny, tmp_path, solver):
    analysis = Analysis(operator="gauss-newton", solver=solver, samples=40, parameters=("0.*",))
    with experiment_run.open_run(replace(tiny, steps=4), tmp_path / "run") as (run, load):
        pipeline.train(replace(tiny, steps=4), run, load)
        work = Session(replace(tiny, steps=4), run, load)
        name = analyse(work, analysis)
        assert analyse(work, analysis) == name
        with pytest.raises(UserError, match=r"dtype was 'float64', is now 'float32'"):
            analyse(work, replace(analysis, dtype="float32"))
        pipeline.analyse(replace(tiny, steps=4), run, load)
    assert name == "gauss-newton-40-0" + solver.ending
    run = Run(tmp_path / "run")
    assert run.layout_of(name).names == ("0.weight", "0.bias")
    found = run.result(4, name)
    assert found.provenance["operator"] == "gauss-newton"
    assert (run.kind(name), run.analyses()[-1]) == (solver.kind, "hessian-70")
    model = experiment_run.new_model(tiny)
    load_weights(model, run, 4)
    with experiment_run.open_run(replace(tiny, steps=4), tmp_path / "run") as (_, load):
        data = work.chosen(analysis, load()[0])
    true = GaussNewton(model, tiny.loss, data, parameters=["0.*"], dtype=torch.float64).to_dense().numpy()
    if solver.kind == "spectrum":
        values = np.linalg.eigvalsh(true)
        wanted = values if found.is_complete else values[np.r_[:2, -2:0]]
        assert (np.abs(found.eigenvalues - wanted) <= found.error_bounds + 1e-13).all()
        assert run.shares(4, name)[1].shape[0] == 2
    else:
        assert found.size == len(true)


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagonal:
    entries: np.ndarray = stored("f8")  # noqa: RUF009
    provenance: dict = field(default_factory=dict)


@dataclass(frozen=True)
class TakesDiagonal:
    kind, ending, takes_many_products = "diagonal", ".diagonal", False

    def check(self, size):
        pass

    def configuration(self, size):
        return {"solver": "diagonal"}

    def solve(self, operator, *, seed, progress):
        return Diagonal(entries=operator.to_dense().diagonal().numpy(), provenance=operator.describe())


class Doubled(Hessian):
    name = "doubled"

    def product_of_batch(self, batch, V, place=None, *, method=None):
        return 2 * super().product_of_batch(batch, V, place, method=method)

    def checked_method(self, wanted):
        return "double-backward"

    def assembly(self):
        return "products"

    def to_dense(self, *, progress=False):
        return MeanOperator.to_dense(self)


def test_an_operator_and_a_solver_of_ones_own_go_the_whole_way(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(OPERATORS, "doubled", Doubled)
    monkeypatch.setitem(KINDS, "diagonal", Kind(Diagonal))
    experiment = replace(tiny, steps=4)
    with experiment_run.open_run(experiment, tmp_path / "run") as (run, load):
        pipeline.train(experiment, run, load)
        names = [
            analyse(Session(experiment, run, load), Analysis(operator=operator, solver=TakesDiagonal()))
            for operator in ("hessian", "doubled")
        ]
    assert names == ["hessian-70.diagonal", "doubled-70.diagonal"]
    run = compact(Run(tmp_path / "run"), tmp_path / "small")
    plain, doubled = (run.result(4, name).entries for name in names)
    assert doubled == pytest.approx(2 * plain, rel=1e-12)
    assert list(report.facts(run)["analyses"]) == sorted(names)
    assert report.lines(run)[-1] == "    step        4  entries [38]"


def test_measures_that_look_at_the_last_checkpoint_are_taken_again_once_there_is_a_later_one(tiny, tmp_path):
    def apart(model, last, data):
        return {"apart": float((model[0].weight - last[0].weight).norm())}

    found = []
    for steps, name in ((4, "short"), (8, "long")):
        everything(replace(tiny, steps=steps, measures=apart), tmp_path / "run", at=[0], name=name)
        found.append(Run(tmp_path / "run").measures(0)["apart"])
        weights = [Run(tmp_path / "run").weights(step)["0.weight"] for step in (0, steps)]
        assert found[-1] == pytest.approx(np.linalg.norm(weights[0] - weights[1]), rel=1e-5)
    assert found[0] != found[1]
