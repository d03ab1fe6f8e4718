"""`run --seeds` and `run --null`: several runs and their nulls by one command each, resumed, told, drawn, refused."""

import shlex
import shutil

import numpy as np
import pytest

from commands import error_of, quick_command
from hessian_dendrogram import Run
from places import TINY, numbers

FEW = f"""
from dataclasses import replace
from hessian_dendrogram import Analysis, LeadingDirections
from hessian_dendrogram.experiment import load_experiment

few = Analysis(operator="gauss-newton", solver=LeadingDirections(top=3, readout="class"), name="few.directions")
experiment = replace(load_experiment({str(TINY)!r}), name="few", steps=8, checkpoint_steps=[0], analyses=[few])
experiment = replace(experiment, analysed_steps=None)
"""  # of directions there are three pictures alone


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two seeds, and the nulls of one."""
    place = tmp_path_factory.mktemp("seeds")
    (place / "few.py").write_text(FEW)
    for more in (("--seeds", "3,5"), ("--seeds", "3", "--null", "labels", "--null", "weights", "--null", "untrained")):
        result = quick_command("run", "few.py", "--out", "two", *more, cwd=place)
        assert result.returncode == 0, result.stderr
    (place / "log").write_text(result.stderr)
    return place / "two"


def test_seeds_lie_side_by_side_each_with_its_nulls(folder):
    run, other = Run(folder / "3"), Run(folder / "5")
    assert [one.configuration["seed"] for one in (run, other)] == [3, 5]
    assert not np.array_equal(run.weights(0)["0.weight"], other.weights(0)["0.weight"])
    assert (run.nulls(), other.nulls()) == (["labels", "weights", "untrained"], [])
    taken = {kind: run.null(kind).analysed_steps("few.directions") for kind in run.nulls()}
    assert taken == {"labels": [0, 8], "weights": [0, 8], "untrained": [0]}
    own, shuffled = (one.weights(8)["0.weight"] for one in (run, run.null("weights")))
    np.testing.assert_array_equal(np.sort(own, axis=None), np.sort(shuffled, axis=None))
    assert run.null("labels").configuration["training_data_sha256"] != run.configuration["training_data_sha256"]
    drawn = {str(file.relative_to(folder / "figures")) for file in folder.glob("figures/**/*.png")}
    assert drawn == {"training.png", "few.directions/purity.png"}
    assert "beside its nulls: hessian-dendrogram plot two/3" in (folder.parent / "log").read_text().splitlines()


def test_a_killed_null_goes_on_and_a_finished_one_takes_nothing_again(folder, tmp_path):
    shutil.copytree(folder / "3", tmp_path / "3")
    null, finished = (tmp_path / "3" / "nulls" / kind for kind in ("weights", "labels"))
    expected, before = numbers(null), numbers(finished)
    shutil.rmtree(null / "checkpoints" / "00000008")
    shutil.rmtree(null / "analyses" / "few.directions" / "00000008")
    kinds = "--null", "labels", "--null", "weights"
    result = quick_command("run", folder.parent / "few.py", "--out", tmp_path / "3", "--seed", 3, *kinds)
    assert result.returncode == 0, result.stderr
    found = numbers(null)
    assert found.keys() == expected.keys()
    assert all(found[name] == expected[name] for name in expected if "checkpoints" in name)
    assert numbers(finished) == before


def test_what_there_is_is_told(folder):
    seeds = quick_command("info", folder)
    assert seeds.returncode == 0, seeds.stderr
    assert seeds.stdout.splitlines()[0] == f"{folder}: few, 2 seeds"
    assert "labels, weights, untrained" in seeds.stdout
    run = quick_command("info", folder / "3").stdout
    assert f"null, shuffled weights: few.directions at 2 steps ({folder / '3/nulls/weights'})" in run


def test_plot_draws_a_folder_of_seeds_and_a_run_with_its_nulls(folder, tmp_path):
    result = quick_command("plot", folder, "--to", tmp_path / "two", "--analysis", "few.directions")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "two" / "few.directions" / "purity.pdf").exists()
    result = quick_command("plot", folder / "3", "--to", tmp_path / "one")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "one" / "few.directions" / "purity.pdf").exists()


def test_a_null_has_a_copy_of_its_own_which_is_said(folder, tmp_path):
    result = quick_command("compact", folder / "3", "--to", tmp_path / "copy")
    assert Run(tmp_path / "copy").nulls() == []
    said = [line.partition(": hessian-dendrogram ") for line in result.stderr.splitlines()[1:]]
    assert [line[0] for line in said] == ["a null has a copy of its own"] * 3
    assert quick_command(*shlex.split(said[2][2])).returncode == 0
    assert Run(tmp_path / "copy").nulls() == ["untrained"]


def test_the_first_line_says_how_much_is_taken(folder):
    lines = (folder.parent / "log").read_text().splitlines()
    assert "few, shuffled labels: 8 steps, 1 analysis -> two/3/nulls/labels" in lines


def test_what_is_refused_in_the_first_second(folder, tmp_path):
    run = ("run", folder.parent / "few.py", "--out")
    for arguments, problem in (
        ((*run, tmp_path, "--seed", 3, "--seeds", "3,5"), "--seed is of one run and --seeds of several"),
        ((*run, tmp_path, "--seeds", "3,3"), "--seeds takes different whole numbers"),
        ((*run, tmp_path, "--seeds", "3,-1"), "--seeds takes different whole numbers"),
        (
            (*run, tmp_path, "--samples", 10),
            "--samples 10 is of the one analysis that an experiment describes; few lists",
        ),
        ((*run, tmp_path, "--dtype", "float32"), "--dtype float32 is of the one analysis"),
        ((*run, tmp_path, "--null", "biases"), "there is no null 'biases'"),
        ((*run, tmp_path, "--null", "weights"), f"there is none in {tmp_path}; train it first, without --null"),
        ((*run, folder, "--null", "labels"), "name seeds of this folder, --seeds 3,5"),
        ((*run, folder / "3", "--seeds", "3,5"), "is a run directory, and several seeds need a folder of their own"),
        ((*run, folder / "3", "--null", "labels"), "seed was 3, is now 42"),
        (("info", folder, "--csv", "gaps"), "is a folder of seeds; more is said of one of them"),
        (("plot", folder, "--analysis", "nothing"), "bands need nothing of two runs with different seeds"),
    ):
        assert problem in error_of(quick_command(*arguments), 2)
    assert not any(tmp_path.iterdir())


def test_other_analyses_are_taken_of_another_seed_and_of_a_null(folder, tmp_path):
    shutil.copytree(folder / "3", tmp_path / "3")
    shutil.copytree(folder / "5", tmp_path / "5")
    for where in ("5", "3/nulls/labels", "3/nulls/weights", "3/nulls/untrained"):
        out = tmp_path / where
        command = "directions", folder.parent / "few.py", "--out", out, "--top", 2, "--name", "more", "--at", 0
        result = quick_command(*command)
        assert result.returncode == 0, result.stderr
        assert Run(out).analysed_steps("more.directions") == [0]
    result = quick_command("fiedler", folder.parent / "few.py", "--out", tmp_path / "3/nulls/weights", "--at", 8)
    assert result.returncode == 0, result.stderr
    result = quick_command("analyse", folder.parent / "few.py", "--out", tmp_path / "5", "--at", 8, "--samples", 20)
    assert result.returncode == 0, result.stderr
    assert Run(tmp_path / "5").analysed_steps("hessian-20") == [8]
