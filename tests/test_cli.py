import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import hessian_dendrogram
from commands import NO_TORCH, command, error_of, quick_command
from hessian_dendrogram import Run
from places import ROOT, TINY


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    result = command("run", TINY, "--out", "run", cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "log").write_text(result.stderr)
    return folder / "run"


def test_run_ends_with_a_summary_the_figures_and_the_next_command(finished):
    log = (finished.parent / "log").read_text()
    for stage in ("training: ", "Hessians and spectra: ", "figures: "):
        assert stage in log
    assert "λ_max" in log
    assert "test_accuracy" in log
    assert log.splitlines()[-2:] == ["figures: run/figures/hessian-70", "next: hessian-dendrogram info run"]
    assert len(list(finished.glob("figures/hessian-70/*.png"))) >= 7


def test_a_second_run_draws_nothing_again(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name != ".lock"}
    result = quick_command("run", TINY, "--out", finished)
    assert result.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name != ".lock"} == before


def test_info_as_text_and_as_json_without_torch(finished):
    text = command("info", finished, "--all", start=("-c", NO_TORCH))
    assert text.returncode == 0, text.stderr
    assert "step       24  λ_max" in text.stdout
    facts = json.loads(command("info", finished, "--json", start=("-c", NO_TORCH)).stdout)
    row = facts["analyses"]["hessian-70"]["spectra"]["24"]
    values = np.load(finished / "analyses/hessian-70/00000024/eigenvalues.npy")
    assert row["largest"] == values[-1]
    assert row["trace"] == pytest.approx(values.sum())
    assert row["largest_gap_all"]["size"] == np.diff(values).max()
    assert row["provenance"]["assembled_by"] in ("layerwise", "products")
    assert facts["checkpoints"] == [0, 4, 8, 12, 16, 20, 24]


def test_a_pipe_that_cannot_take_greek_letters(finished):
    result = command("info", finished, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0
    assert r"\u03bb_max" in result.stdout


def test_plot_without_torch_into_a_folder_of_ones_own(finished, tmp_path):
    result = command("plot", finished, "--to", tmp_path, start=("-c", NO_TORCH))
    assert result.returncode == 0, result.stderr
    drawn = {file.name for file in (tmp_path / "hessian-70").glob("*.png")}
    assert drawn == {file.name for file in finished.glob("figures/hessian-70/*.png")}


def test_an_app_without_its_packages_says_what_to_install(finished):
    code = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "marimo" else find(name, package)
from hessian_dendrogram.entry import main
main()
"""
    line = error_of(command("app", "spectrum", "--run", finished, start=("-c", code)), 2)
    assert "the apps need marimo: pip install 'hessian-dendrogram[apps]'" in line


def test_computing_without_torch_says_what_to_install():
    line = error_of(command("run", "digits", start=("-c", NO_TORCH)), 2)
    assert "needs torch: pip install 'hessian-dendrogram[torch]'" in line


def test_analyse_takes_checkpoints_of_others(finished, tmp_path):
    from safetensors.torch import save_file

    import tiny

    (tmp_path / "weights").mkdir()
    torch.manual_seed(1)
    state = tiny.experiment.model().state_dict()
    torch.save({"state_dict": state}, tmp_path / "weights" / "step_5.pt")
    torch.save(state, tmp_path / "weights" / "step_6.pth")
    save_file(state, tmp_path / "weights" / "step_7.safetensors")
    arguments = ("analyse", TINY, "--out", "mine", "--checkpoints", "weights", "--samples", "30")
    for _ in range(2):
        result = quick_command(*arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    values = [
        np.load(tmp_path / f"mine/analyses/hessian-30/0000000{step}/eigenvalues.npy").tolist() for step in (5, 6, 7)
    ]
    assert values[0] == values[1] == values[2]
    torch.save(torch.nn.Linear(3, 6).state_dict(), tmp_path / "weights" / "step_8.pt")
    line = error_of(quick_command(*arguments, cwd=tmp_path), 2)
    assert "step_8.pt (step 8) does not fit the model: 0.weight is missing" in line


def test_analyse_adds_another_analysis(finished):
    result = quick_command("analyse", TINY, "--out", finished, "--samples", "10", "--at", "24", "--dtype", "float32")
    assert result.returncode == 0, result.stderr
    assert (finished / "analyses/hessian-10/00000024").is_dir()
    assert (finished / "figures/comparison.png").is_file()


def test_all_eigenvectors_are_stored_on_demand(finished):
    result = quick_command("analyse", TINY, "--out", finished, "--vectors", "all", "--at", "24", "--name", "vectors")
    assert result.returncode == 0, result.stderr
    spectrum = Run(finished).spectrum(24, "vectors")
    assert spectrum.vector_indices.tolist() == list(range(spectrum.dim))


def test_a_compact_copy_is_a_run_that_can_be_read_and_analysed_on(finished, tmp_path):
    result = command("compact", finished, "--to", tmp_path / "small", "--vectors", "2", start=("-c", NO_TORCH))
    assert result.returncode == 0, result.stderr
    assert re.search(r"small: \d+\.\d MB", result.stderr)
    for step in (0, 24):
        assert Run(tmp_path / "small").spectrum(step, "hessian-70").eigenvectors.shape[1] == 2
    again = quick_command("run", TINY, "--out", tmp_path / "small")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "small/figures/hessian-70/dendrogram.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "digit"], 2, "did you mean 'digits'?"),
        (["run", "nowhere.py"], 2, "there is no experiment file nowhere.py"),
        (["run", "mnist", "--data-dir", "nowhere"], 2, "train-images-idx3-ubyte, train-labels-idx1-ubyte"),
        (["run", TINY, "--at", "1,b"], 2, "--at takes steps separated by commas"),
        (["run", TINY, "--dtype", "float16"], 2, "--dtype is float32 or float64, got 'float16'"),
        (["run", TINY, "--device", "abacus"], 2, "device 'abacus' cannot be used"),
        (["run", TINY, "--vectors", "most"], 2, "--vectors takes a number or all, got 'most'"),
        (["run", TINY, "--samples", "0"], 2, "samples must be at least 1, got 0"),
        (["analyse", TINY, "--out", "nothing"], 2, "nothing is no run directory; train one with `run`"),
        (["info", "nothing"], 2, "nothing is no run directory"),
        (["info", "no\x1b[2Jthing"], 2, r"no\x1b[2Jthing is no run directory"),
        (["plot", "nothing"], 2, "nothing is no run directory"),
        (["app", "spectra"], 2, "there is no app 'spectra'; there are: spectrum, grokking, parameter-dendrogram"),
        (["app", "spectrum", "--run", "nothing"], 2, "nothing is no run directory"),
        (["app", "spectrum", "--port", "0"], 2, "a port is a number from 1 to 65535, got 0"),
        (["run", TINY, "--out", "file/run"], 1, "Not a directory"),
        (["run", TINY, "--out", "/proc/run"], 1, "/proc/run"),
        (["run", "broken.py"], 2, "broken.py, line 1: "),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, code, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "broken.py").write_text("def\n")
    assert message in error_of(quick_command(*arguments, cwd=tmp_path), code)


def test_debug_shows_the_traceback(tmp_path):
    result = quick_command("info", "nothing", "--debug", cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" in result.stderr


def test_a_changed_seed_is_refused(finished):
    line = error_of(quick_command("run", TINY, "--out", finished, "--seed", "3"), 2)
    assert "seed was 42, is now 3; give another --out" in line


def test_a_diverging_run_says_where_it_stopped(tmp_path):
    result = command("run", TINY, "--out", "run", cwd=tmp_path, env=os.environ | {"TINY_RATE": "1e30"})
    assert "the last good checkpoint, step 0, is stored" in error_of(result, 1)


def test_a_truncated_array_is_named(finished, tmp_path):
    import shutil

    shutil.copytree(finished, tmp_path / "run")
    file = tmp_path / "run/analyses/hessian-70/00000024/eigenvalues.npy"
    file.write_bytes(file.read_bytes()[:100])
    for arguments in (("info", "run"), ("plot", "run")):
        assert "eigenvalues.npy is damaged" in error_of(quick_command(*arguments, cwd=tmp_path), 1)


def test_a_future_format_is_refused(finished, tmp_path):
    (tmp_path / "run").mkdir()
    record = json.loads((finished / "run.json").read_text()) | {"format_version": 2}
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    assert "format version 2, this program reads up to 1" in error_of(quick_command("info", "run", cwd=tmp_path), 2)


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
from hessian_dendrogram.entry import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files by a POSIX call")
def test_a_disk_that_takes_no_more_loses_nothing(tmp_path, finished):
    """No file may grow beyond 2,000 bytes: the first large one fails as on a full disk; what was stored is kept."""
    line = error_of(command("run", TINY, "--out", "run", cwd=tmp_path, start=("-c", FULL_DISK)), 1)
    assert "File too large" in line
    assert not list((tmp_path / "run").rglob("*.partial"))
    result = quick_command("run", TINY, "--out", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "run/metrics.csv").read_bytes() == (finished / "metrics.csv").read_bytes()


def test_a_full_disk_is_one_line(tmp_path):
    """A real one, where the system lets us make one: a file system of 300 kB."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        line = error_of(quick_command("run", TINY, "--out", small / "run"), 1)
        assert "No space left on device" in line
        assert (small / "run" / "checkpoints" / "00000000").is_dir()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_ctrl_c_says_how_to_go_on(tmp_path):
    line = [sys.executable, "-m", "hessian_dendrogram", "run", str(TINY), "--out", "my run"]
    process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    process.stderr.readline()  # what is going to be done, before it is begun
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert rest.splitlines()[-1] == (
        f"stopped; everything finished is stored. Go on with: hessian-dendrogram run {TINY} --out 'my run'"
    )


def test_the_program_says_its_version_and_helps_in_few_letters():
    version = command("--version")
    assert (version.returncode, version.stdout) == (0, f"hessian-dendrogram {hessian_dendrogram.__version__}\n")
    assert f'version = "{hessian_dendrogram.__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert command("-h").stdout == command("--help").stdout != ""


NOT_INSTALLED = """
import importlib.metadata as metadata
known = metadata.distribution
def distribution(name):
    if name.lower().replace("_", "-") == "hessian-dendrogram":
        raise metadata.PackageNotFoundError(name)
    return known(name)
metadata.distribution = distribution
from hessian_dendrogram.entry import main
main()
"""


def test_it_runs_from_a_source_tree_that_is_not_installed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    arguments = ("run", TINY, "--steps", "4", "--out", tmp_path / "run")
    done = command(*arguments, start=("-c", NOT_INSTALLED), env=environment)
    assert done.returncode == 0, done.stderr
    assert Run(tmp_path / "run").analysed_steps() == [0, 4]


def test_help_of_every_command_shows_an_example():
    for name in ("run", "analyse", "plot", "info", "compact", "app"):
        result = quick_command(name, "--help")
        assert result.returncode == 0
        assert "Example: hessian-dendrogram" in result.stdout


def test_the_users_file_of_the_readme_runs(tmp_path):
    example = ROOT / "examples" / "my_model.py"
    text = example.read_text()
    for page in ("README.md", "docs/own-model.md"):
        assert text in (ROOT / page).read_text(), f"{page} shows another file than examples/my_model.py"
    assert 15 <= len([line for line in text.splitlines() if line.strip()]) <= 28
    result = quick_command("run", example, "--steps", "20", "--samples", "50", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert Path(tmp_path / "runs/my_model/analyses/hessian-50/00000020").is_dir()
