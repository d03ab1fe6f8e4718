"""Bars are shown on a terminal and in a notebook, and nowhere else."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from hessian_dendrogram import progress


class Terminal:
    """A stream that says whether it is a terminal, and keeps what is written."""

    def __init__(self, is_terminal):
        self.is_terminal, self.text = is_terminal, ""

    def isatty(self):
        return self.is_terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.fixture
def notebook(monkeypatch):
    """A kernel of Jupyter, as tqdm tells it from other shells too."""
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return shell


def written(monkeypatch, *, is_terminal, shown):
    """What two bars write on a stream."""
    stream = Terminal(is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    assert [*progress.bar(range(3), "analysing", "checkpoint", shown=shown)] == [0, 1, 2]
    with progress.bar(3, "columns", "column", shown=shown) as bar:
        bar.update(3)
    return stream.text


@pytest.mark.parametrize(("is_terminal", "shown"), [(False, True), (True, False), (False, False)])
def test_a_script_shows_bars_on_a_terminal_alone(monkeypatch, is_terminal, shown):
    text = written(monkeypatch, is_terminal=True, shown=True)
    assert "analysing" in text
    assert "columns" in text
    assert written(monkeypatch, is_terminal=is_terminal, shown=shown) == ""


def test_a_notebook_without_widgets_shows_few_lines_and_takes_them_away(notebook, monkeypatch):
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    text = written(monkeypatch, is_terminal=False, shown=True)
    assert "analysing" in text
    assert text.rpartition("columns")[2].endswith(" \r")  # written over
    with progress.bar(3, "columns", "column", shown=True) as bar:
        assert bar.mininterval == 1
    assert written(monkeypatch, is_terminal=False, shown=False) == ""


def test_a_notebook_with_widgets_shows_one(notebook, monkeypatch):
    made = []
    module = ModuleType("tqdm.notebook")
    module.tqdm = lambda **options: made.append(options)
    monkeypatch.setitem(sys.modules, "tqdm.notebook", module)
    monkeypatch.setattr(progress, "find_spec", lambda name: name)
    progress.bar(7, "columns", "column", shown=True)
    assert made == [{"total": 7, "desc": "columns", "unit": "column", "leave": False}]


def test_another_shell_of_ipython_is_no_notebook(notebook):
    assert progress._is_notebook()
    notebook.config = {"TerminalIPythonApp": {}}
    assert not progress._is_notebook()
