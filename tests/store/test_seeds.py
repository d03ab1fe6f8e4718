"""Folders of seeds, and nulls within a run, as the store finds them."""

import json
import shutil

import pytest

import small_run
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.store import Run
from hessian_dendrogram.store.analysed import read
from hessian_dendrogram.store.nulls import nulls_of
from hessian_dendrogram.store.overview import overview, overview_of_seeds
from hessian_dendrogram.store.seeds import seeds_of


def configured(path, **changes):
    """Change the configuration in the run.json of a run."""
    record = json.loads((path / "run.json").read_text())
    record["configuration"] |= changes
    (path / "run.json").write_text(json.dumps(record))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("seeds") / "run"
    small_run.write(path)
    return path


@pytest.fixture
def folder(original, tmp_path):
    for seed in (7, 10, 9):
        shutil.copytree(original, tmp_path / str(seed))
        configured(tmp_path / str(seed), seed=seed)
    return tmp_path


@pytest.fixture
def with_nulls(original, tmp_path):
    for kind in ("labels", "untrained"):
        shutil.copytree(original, tmp_path / "run" / "nulls" / kind)
        configured(tmp_path / "run" / "nulls" / kind, null=kind)
    shutil.copytree(original, tmp_path / "run", dirs_exist_ok=True)
    return Run(tmp_path / "run")


def test_seeds_are_found_in_the_order_of_their_numbers(folder, original):
    (folder / "figures").mkdir()
    (folder / "11").mkdir()  # no run yet
    assert [run.path.name for run in seeds_of(folder)] == ["7", "9", "10"]
    assert seeds_of(original) == seeds_of(folder / "nowhere") == []
    assert overview_of_seeds(folder, seeds_of(folder))[0] == f"{folder}: small, 3 seeds"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"seed": 8}, "has the seed 8; a folder of seeds has each run under its own number"),
        ({"batch_size": 3}, "are different experiments, and are not shown together: batch_size is None and 3"),
        ({"null": "labels"}, "null is None and 'labels'"),
    ],
)
def test_what_does_not_belong_together_is_refused(folder, change, problem):
    configured(folder / "9", **change)
    with pytest.raises(UserError, match=problem):
        seeds_of(folder)


def test_longer_runs_and_other_states_of_the_file_belong_together(folder, caplog):
    configured(folder / "9", steps=100, source_sha256="another")
    assert len(seeds_of(folder)) == 3
    assert "different states of the experiment's file" in caplog.text


def test_a_link_is_not_followed(folder, original):
    (folder / "12").symlink_to(original)
    with pytest.raises(DamagedRunError, match="link"):
        seeds_of(folder)


def test_nulls_lie_in_their_run(with_nulls):
    assert with_nulls.nulls() == ["labels", "untrained"]
    assert with_nulls.null("labels").configuration["null"] == "labels"
    with pytest.raises(UserError, match="has no null 'weights'; it has: labels, untrained"):
        with_nulls.null("weights")
    text = "\n".join(overview(with_nulls))
    assert "null, shuffled labels: " in text
    assert "a null: untrained" in "\n".join(overview(with_nulls.null("untrained")))
    found = nulls_of(read(with_nulls, small_run.ANALYSIS))
    assert list(found) == ["shuffled labels", "untrained"]


def test_a_null_of_something_else_is_left_out_and_said(with_nulls, caplog):
    file = with_nulls.path / "nulls" / "labels" / "analyses" / small_run.ANALYSIS / "analysis.json"
    record = json.loads(file.read_text())
    record["configuration"]["dtype"] = "float16"
    file.write_text(json.dumps(record))
    configured(with_nulls.path / "nulls" / "untrained", null="weights")
    assert nulls_of(read(with_nulls, small_run.ANALYSIS)) == {}
    assert "dtype is 'float16'" in caplog.text
    assert "it says that its null is 'weights'" in caplog.text


def test_new_nulls_make_figures_old(with_nulls):
    name = small_run.ANALYSIS
    with_nulls.figures_folder(name).mkdir(parents=True)
    with_nulls.mark_figures(name)
    assert with_nulls.figures_are_current(name)
    shutil.copytree(with_nulls.path / "nulls" / "labels", with_nulls.path / "nulls" / "weights")
    assert not with_nulls.figures_are_current(name)
