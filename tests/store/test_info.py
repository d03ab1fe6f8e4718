"""`info` as a command: which parts of a run it says, and in which form."""

import csv
import io
import json
import unicodedata

import numpy as np
import pytest

import small_run
from hessian_dendrogram import Run
from hessian_dendrogram.cli import app
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.store import report
from hessian_dendrogram.store.compact import compact


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small_run.write(tmp_path_factory.mktemp("info") / "run")


@pytest.fixture
def info(run, capsys):
    """What the command prints of the run, and what it says beside it."""

    def call(*options, path=run.path):
        app(["info", str(path), *options], standalone_mode=False)
        return capsys.readouterr()

    return call


def test_it_is_short_unless_everything_is_wanted(run, info):
    short, long = info().out, info("--all").out
    assert long.splitlines() == report.lines(run)
    assert "step        5  λ_max" in long
    assert "λ_max" in short
    assert "\n     5  " not in short
    assert short.count("1 more step: --analysis hessian-100") == 2
    assert "fiedler" not in info("--analysis", "hessian-100").out
    assert "\n     5  " in info("--analysis", "hessian-100").out
    assert [line.split()[0] for line in info("--at", "5").out.splitlines() if line.startswith("  step")] == ["step"] * 2


def test_json_has_what_was_chosen(info):
    everything = json.loads(info("--json").out)
    assert [*everything["analyses"]["hessian-100"]["spectra"]] == ["0", "5", "40"]
    assert [*everything["bipartitions"]["hessian-100.fiedler"]["trees"]] == ["0", "5", "40"]
    chosen = json.loads(info("--json", "--analysis", "hessian-100", "--at", "40").out)
    assert chosen["bipartitions"] == {}
    assert chosen["analyses"]["hessian-100"]["spectra"] == {
        "40": everything["analyses"]["hessian-100"]["spectra"]["40"]
    }


def test_csv_is_the_table_and_nothing_else(run, info):
    printed = info("--csv", "eigenvalues", "--at", "40")
    assert printed.err == ""
    rows = [*csv.DictReader(io.StringIO(printed.out))]
    values = np.load(run.path / "analyses/hessian-100/00000040/eigenvalues.npy")
    assert [float(row["eigenvalue"]) for row in rows] == values[::-1].tolist()
    assert {row["step"] for row in rows} == {"40"}
    assert len(info("--csv", "metrics").out.splitlines()) == 10
    assert info("--csv", "trees").out.startswith("analysis,step,node,parent,")


def test_an_empty_table_says_why_beside_it(info, tmp_path):
    small_run.write(tmp_path / "run", analyses=False)
    (tmp_path / "run" / "metrics.csv").unlink()
    printed = info("--csv", "metrics", path=tmp_path / "run")
    assert printed.out == "step\n"
    assert printed.err == f"warning: {tmp_path / 'run'} has no metrics: nothing was trained here\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--csv", "eigenvalue"], "there is no table 'eigenvalue'; there are: eigenvalues, gaps"),
        (["--csv", "gaps", "--json"], "--all, --json and --csv are three ways"),
        (["--all", "--json"], "--all, --json and --csv are three ways"),
        (["--at", "now"], "--at takes steps separated by commas"),
        (["--at", "7", "--json"], "has a result at step 7; there are results at: 0, 5, 40"),
        (["--analysis", "nothing"], "has no analysis 'nothing'"),
        (["--csv", "trees", "--analysis", "hessian-100"], "'hessian-100' has spectra; with trees there are"),
    ],
)
def test_a_mistake_is_told(info, options, message):
    with pytest.raises(UserError, match=message):
        info(*options)


def test_a_table_with_a_damaged_step_is_not_begun(info, capsys, tmp_path):
    small_run.write(tmp_path / "run")
    (tmp_path / "run/analyses/hessian-100/00000040/error_bounds.npy").unlink()
    with pytest.raises(DamagedRunError, match=r"error_bounds\.npy is missing"):
        info("--csv", "gaps", path=tmp_path / "run")
    assert capsys.readouterr().out == ""


def test_no_text_of_a_run_does_harm(info, tmp_path):
    made = small_run.write(tmp_path / "run")
    hostile = "\x1b[31m\u202e\n" + "x" * 100_000
    record = json.loads((made.path / "run.json").read_text())
    record["configuration"]["experiment"] = hostile
    record["layout"][0]["name"] = hostile
    (made.path / "run.json").write_text(json.dumps(record))
    for folder in (made.path / "analyses").iterdir():
        content = json.loads((folder / "analysis.json").read_text())
        content["configuration"] |= {hostile: hostile}
        (folder / "analysis.json").write_text(json.dumps(content))
    assert Run(made.path).layout.names[0] == hostile
    for options in ((), ("--all",), ("--analysis", "hessian-100"), ("--csv", "shares"), ("--csv", "trees")):
        for line in info(*options, path=made.path).out.splitlines():
            assert len(line) < 2000
            assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf"}


@pytest.mark.parametrize("kind", [0, None, [], "monodromy"])
def test_a_kind_that_is_none_is_told_by_the_name_of_its_file(info, tmp_path, kind):
    made = small_run.write(tmp_path / "run")
    file = made.path / "analyses/hessian-100/analysis.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"kind": kind}))
    for options in ((), ("--all",), ("--json",), ("--analysis", "hessian-100")):
        with pytest.raises(DamagedRunError, match=r"hessian-100/analysis\.json is damaged, or of a newer version"):
            info(*options, path=made.path)
    with pytest.raises(DamagedRunError, match=r"hessian-100/analysis\.json is damaged, or of a newer version"):
        compact(Run(made.path), tmp_path / "copy")
