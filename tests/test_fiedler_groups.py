"""Trees of groups by the command: taken, stored, read back, drawn, copied, cut again, and refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from commands import error_of, quick_command
from hessian_dendrogram import GaussNewton, Run, experiment_run, group_couplings, pipeline, units_as_groups
from hessian_dendrogram.analyse import Analysis, Session, analyse, check
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.models.loop import load_weights
from hessian_dendrogram.results.coupling_parts import merged
from hessian_dendrogram.solvers.group_trees import CoupledGroups, GroupBipartition
from hessian_dendrogram.store import report
from hessian_dendrogram.store.analysed import read
from hessian_dendrogram.store.compact import compact
from places import TINY

CENTRED = ("--operator", "gauss-newton", "--with", "metric=identity", "--with", "centred=true")
UNITS = ("--units", "0,3", *CENTRED, "--draws", 8, "--method", "effects")
NAME = "gauss-newton-identity-centred-70-0-3"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    from hessian_dendrogram.experiment import load_experiment

    tiny, folder = load_experiment(str(TINY)), tmp_path_factory.mktemp("groups")
    with experiment_run.open_run(tiny, folder / "run") as (run, load):
        pipeline.train(tiny, run, load)
    result = quick_command("fiedler", TINY, "--out", "run", *UNITS, "--at", "0,24", cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "log").write_text(result.stderr)
    return folder / "run"


@pytest.fixture
def copied(finished, tmp_path):
    return compact(Run(finished), tmp_path / "copy")


def computed(tiny, run, step):
    model = experiment_run.new_model(tiny)
    load_weights(model, run, step)
    inputs = tiny.data(None)[0][0]
    operator = GaussNewton(model, None, inputs, metric="identity", centred=True, dtype=torch.float64)
    return group_couplings(operator, units_as_groups(model, "0", "3"), method="effects", draws=8, seed=tiny.seed)


def test_what_is_stored_is_what_is_computed(finished, tiny):
    run = Run(finished)
    assert run.analyses(None) == [f"{NAME}.couplings", f"{NAME}.fiedler"]
    for step in (0, 24):
        expected, found = computed(tiny, run, step), run.result(step, f"{NAME}.couplings")
        assert (found.names, found.method, found.draws) == (expected.names, "effects", 8)
        for normalised in (False, True):
            for name in ("values", "standard_errors"):
                right = getattr(expected, name)(normalised=normalised)
                np.testing.assert_allclose(getattr(found, name)(normalised=normalised), right, rtol=1e-5, atol=1e-12)
        tree, again = run.bipartition(step), GroupBipartition(of=CoupledGroups(units="0,3")).cut(merged(expected))
        np.testing.assert_array_equal(tree.order, again.order)
        assert tree.agreement == again.agreement
    assert run.layout_of(f"{NAME}.fiedler").names == tuple(f"neuron 0.{i}" for i in range(6))
    assert run.layout_of(f"{NAME}.couplings").groups[0][0] == "neuron 0.0"


def test_what_the_command_says(finished):
    log = (finished.parent / "log").read_text().splitlines()
    assert log[-2].startswith("step 24: 6 groups, 0 isolated, ")
    assert "halves of the draws agree " in log[-2]
    assert "at k = 2" in log[-2]
    figures = finished / "figures" / f"{NAME}.fiedler"
    stems = {file.stem for file in figures.glob("*.png")}
    assert stems == {"parameter_dendrogram", "connectivity", "composition", "couplings"}
    text = quick_command("info", finished, "--all").stdout
    assert "6 groups, couplings 8 draws by effects, median standard error " in text
    facts = report.facts(Run(finished))
    row = facts["bipartitions"][f"{NAME}.fiedler"]["trees"][24]
    assert row["groups"] == sum(row["parts"]) == 6
    assert "parameters" not in row
    assert set(row["agreement_of_halves"]) == set(range(2, 21))
    assert json.loads(quick_command("info", finished, "--json").stdout)
    assert "groups" in read(Run(finished), f"{NAME}.fiedler").title


def test_stored_couplings_are_cut_again_without_taking_them(finished, tmp_path):
    run = compact(Run(finished), tmp_path / "run")
    for more in (["--normalised"], ["--split", "median", "--name", "halved"]):
        result = quick_command("fiedler", TINY, "--out", run.path, *UNITS, *more, "--at", "0,24")
        assert result.returncode == 0, result.stderr
        assert "products" not in result.stderr
    assert [name for name in run.analyses(None) if name.endswith("couplings")] == [f"{NAME}.couplings"]
    assert run.analyses("tree") == [f"{NAME}-normalised.fiedler", f"{NAME}.fiedler", "halved.fiedler"]
    assert "normalised couplings of 6 groups" in read(run, f"{NAME}-normalised.fiedler").title
    assert run.analysis("halved.fiedler")["configuration"]["couplings"] == f"{NAME}.couplings"
    said = error_of(quick_command("fiedler", TINY, "--out", run.path, *UNITS, "--split", "sign"), 2)
    assert f"analysis '{NAME}.fiedler'" in said


def test_an_experiment_can_list_trees_of_groups(tiny, tmp_path):
    of = CoupledGroups(units="0,3", draws=4)
    wanted = Analysis(operator="gauss-newton", solver=GroupBipartition(of=of, min_size=2))
    with experiment_run.open_run(tiny, tmp_path / "run") as (run, load):
        session = Session(tiny, run, load)
        check(session, wanted)
        with pytest.raises(UserError, match="not of a Hessian; take products"):
            check(session, Analysis(solver=GroupBipartition(of=replace(of, method="effects"))))
        with pytest.raises(UserError, match="there is no layer or tensor '7'"):
            check(session, Analysis(solver=replace(of, units=("7",))))
        pipeline.train(tiny, run, load)
        couplings = analyse(session, replace(wanted, solver=of), [0, 4])  # as if it had been stopped before the trees
        name = analyse(session, wanted, [0])
        assert analyse(session, wanted, [0, 8]) == name
        assert (run.analysed_steps(couplings), run.analysed_steps(name)) == ([0, 4, 8], [0, 8])
        with pytest.raises(UserError, match="min_size"):
            analyse(session, replace(wanted, solver=GroupBipartition(of=of, min_size=1)), [0])


def test_a_step_that_cannot_be_cut_is_named(tiny, tmp_path):
    # A loss that is 0 everywhere couples nothing.
    plain = replace(tiny, loss=lambda outputs, targets: 0 * outputs.sum() + 0 * targets.sum())
    with experiment_run.open_run(plain, tmp_path / "run") as (run, load):
        pipeline.train(plain, run, load)
        wanted = Analysis(solver=GroupBipartition(of=CoupledGroups(units="0,3", draws=4)))
        with pytest.raises(UserError, match="step 0, whose couplings are stored: "):
            analyse(Session(plain, run, load), wanted, [0])


def test_an_analysis_without_a_result_is_left_out_of_the_figures(copied, tmp_path):
    for step in copied.path.glob(f"analyses/{NAME}.fiedler/0*"):
        shutil.rmtree(step)
    result = quick_command("plot", copied.path, "--to", tmp_path / "figures")
    assert result.returncode == 0, result.stderr
    assert f"left out: {NAME}.fiedler has no result yet" in result.stderr.splitlines()
    said = error_of(quick_command("plot", copied.path, "--analysis", f"{NAME}.fiedler"), 2)
    assert "has no tree yet; finish it first" in said


def test_a_copy_keeps_values_errors_and_agreement(finished, copied):
    run = Run(finished)
    whole, kept = (one.result(24, f"{NAME}.couplings") for one in (run, copied))
    assert (len(whole.parts), len(kept.parts)) == (4, 1)
    np.testing.assert_allclose(kept.values(), whole.values(), rtol=1e-6)
    np.testing.assert_array_equal(kept.standard_errors(normalised=True), whole.standard_errors(normalised=True))
    assert copied.bipartition(24).agreement == run.bipartition(24).agreement
    assert copied.layout_of(f"{NAME}.fiedler") == run.layout_of(f"{NAME}.fiedler")


def changed(file, **entries):
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"vertices": "neurons"}, "vertices cannot be 'neurons'"),
        ({"agreement": [[2.0] * 19]}, "the agreement of halves is a number from -1 to 1, or none, got 2.0"),
        ({"agreement": [[1.0]]}, "the agreement of halves has 19 numbers in a row"),
        ({"agreement": {"2": 1}}, "the agreement of halves is lists of numbers"),
    ],
)
def test_a_damaged_tree_of_groups_is_told(copied, entries, message):
    changed(copied.path / f"analyses/{NAME}.fiedler/00000024/tree.json", **entries)
    with pytest.raises(DamagedRunError, match=message):
        copied.bipartition(24)


def test_leaves_that_are_not_the_analysis_groups_are_refused(copied):
    file = copied.path / f"analyses/{NAME}.fiedler/analysis.json"
    layout = json.loads(file.read_text())["layout"]
    for wrong in (layout[:-1], [layout[0] | {"shape": [1]}, *layout[1:]]):
        changed(file, layout=wrong)
        with pytest.raises(DamagedRunError, match="a tree of 6 groups, where the analysis has"):
            Run(copied.path).bipartition(24)


def test_couplings_of_other_groups_or_with_wrong_errors_are_refused(copied):
    file = copied.path / f"analyses/{NAME}.couplings/00000024/couplings.json"
    changed(file, draws=7.5)
    with pytest.raises(DamagedRunError, match="draws should be a whole number"):
        copied.result(24, f"{NAME}.couplings")
    changed(file, draws=8, names=["a", "b"])
    with pytest.raises(DamagedRunError, match="couplings of 2 groups need sizes of shape"):
        copied.result(24, f"{NAME}.couplings")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--groups", "neuron*"], "the task has no groups of parameters, and 'neuron*' was asked for"),
        (["--units", "9"], "there is no layer or tensor '9'; there are 0, 1, 2, 3, 0.weight"),
        (["--units", "0", "--method", "effects"], "not of a Hessian; take products"),
        (["--units", "0", "--draws", "6"], "draws are stored in 4 equal parts, so take a multiple of 4; got 6"),
        (["--units", "0", "--units", "0,3"], "the group 'neuron 0.0' is named twice, the second time by '0,3'"),
        (["--units", "0", "--units", "0.weight"], "share parameters"),
        (["--units", "0", "--parameters", "3.*"], "of the groups '0' there are none among the parameters"),
        (["--units", "0", "--parameters", "0.*", "--name", "x" * 93], "an analysis name has at most 100 letters"),
        (["--draws", "8"], "--draws is of the couplings of groups; name these with --groups or --units"),
        (["--normalised"], "--normalised is of the couplings of groups"),
    ],
)
def test_what_would_fail_is_refused_before_anything_is_taken(finished, options, message):
    before = Run(finished).analyses(None)
    assert message in error_of(quick_command("fiedler", TINY, "--out", finished, *options), 2)
    assert Run(finished).analyses(None) == before
