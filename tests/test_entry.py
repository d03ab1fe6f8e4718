"""Ctrl-C, at any moment of any command: one line, exit code 130."""

import signal

import pytest

import small_run
from commands import command
from served import PATIENCE, served

STOPPED = "\nstopped\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("entry")
    small_run.write(folder / "run")
    return folder / "run"


# ── of an app ────────────────────────────────────────────────────────────────────────────────────────────────────────


def interrupted(app):
    """What is said after Ctrl-C, once the exit code is right."""
    app.process.send_signal(signal.SIGINT)
    said = app.process.stderr.read()
    assert app.process.wait(timeout=PATIENCE) == 130
    return said


def test_ctrl_c_ends_an_app_before_its_first_page(run):
    with served("spectrum", run) as app:
        assert interrupted(app) == STOPPED


def test_ctrl_c_ends_an_app_while_a_page_is_open(run):
    with served("spectrum", run) as app, app.websocket() as opened:
        assert "kernel-ready" in opened.recv(timeout=PATIENCE)
        assert interrupted(app) == STOPPED


BUSY = """
from hessian_dendrogram.entry import main
from hessian_dendrogram.store import analysed
import sys
def compute(run, name):
    print("computing", file=sys.stderr, flush=True)
    while True:
        pass
analysed.read = compute
main()
"""


def test_ctrl_c_ends_an_app_while_a_cell_computes(run):
    with served("spectrum", run, start=("-c", BUSY)) as app, app.websocket():
        assert app.process.stderr.readline() == "computing\n"
        assert interrupted(app) == STOPPED


# ── while modules are imported ───────────────────────────────────────────────────────────────────────────────────────

INTERRUPTED_IMPORT = """
import os, signal, sys
class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[0]:
            os.kill(os.getpid(), signal.SIGINT)
sys.argv.pop(0)
sys.meta_path.insert(0, Interrupter())
from hessian_dendrogram.entry import main
main()
"""


@pytest.mark.parametrize(
    "module", ["logging", "hessian_dendrogram.cli", "typer", "hessian_dendrogram.store.report", "numpy"]
)
def test_ctrl_c_while_a_command_is_imported(run, module):
    result = command(module, "info", run, start=("-c", INTERRUPTED_IMPORT))
    assert result.returncode == 130
    assert result.stdout == ""
    assert result.stderr == STOPPED


def test_ctrl_c_while_a_computing_command_is_imported(tmp_path):
    result = command("hessian_dendrogram.experiment", "run", "digits", start=("-c", INTERRUPTED_IMPORT), cwd=tmp_path)
    assert result.returncode == 130
    assert result.stderr == "\nstopped; everything finished is stored. Go on with: hessian-dendrogram run digits\n"


def test_next_to_nothing_is_imported_before_ctrl_c_is_taken_care_of():
    code = "import sys; before = {*sys.modules}; import hessian_dendrogram.entry; print(len({*sys.modules} - before))"
    assert int(command(start=("-c", code)).stdout) < 40
