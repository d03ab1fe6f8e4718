"""The documentation: its code runs and prints what it says, its commands exist, its links and figures are there."""

import contextlib
import importlib.util
import io
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser
from torch import nn

import hessian_dendrogram
from commands import quick_command
from hessian_dendrogram import Hessian, Layout, Run, Spectrum, cli, pictures
from places import ROOT

PAGES = {
    str(page.relative_to(ROOT)): page
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
spec = importlib.util.spec_from_file_location("build_docs", ROOT / "docs" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)


# ── code ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def given():
    """What blocks on the shorter pages take for granted: a model, its loss, data, and the Hessian of these."""
    torch.manual_seed(0)
    model, loss = nn.Sequential(nn.Linear(3, 9), nn.Tanh(), nn.Linear(9, 3)).double(), nn.functional.cross_entropy
    inputs, targets = torch.randn(60, 3).double(), torch.randint(3, (60,))
    H = Hessian(model, loss, (inputs, targets))
    return {"model": model, "loss": loss, "inputs": inputs, "targets": targets, "H": H}


def a_run(path):
    """A run directory of that name, with the eigenvalues of a random matrix."""
    path.mkdir(parents=True)
    A = np.random.default_rng(0).normal(size=(300, 300))
    values, vectors = np.linalg.eigh((A + A.T) / 20000)
    run = Run.create(path, configuration={}, layout=Layout(("weight",), ((300,),)), provenance={})
    run.create_analysis("hessian-1437", {"configuration": {}, "provenance": {}})
    top = {"eigenvectors": vectors[:, -5:], "vector_indices": np.arange(295, 300)}
    run.save_spectrum(460, "hessian-1437", Spectrum(eigenvalues=values, error_bounds=1e-15, dim=300, **top), {})


def run_python(example):
    """Run a block, keep what it prints; one that begins with a file's name becomes that file, too."""
    if name := re.match(r"# (\w+\.py)\n", example.parsed):
        Path(name[1]).write_text(str(example.parsed))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        PythonEvaluator()(example)
    example.namespace["printed"] = printed.getvalue()


def run_shell(example):
    for line in example.parsed.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "hessian-dendrogram"
        result = quick_command(*arguments)
        assert result.returncode == 0, f"{example.path}, line {example.line}: {line}\n{result.stderr}"


NUMBER = re.compile(r"(± ?)?-?\d+(?:\.\d+)?(?:e[-+]\d+)?")


def compare(example):
    """A `text` block shows what the block before it prints. Other processors round differently: numbers may differ by
    two in a thousand or in the last digit, errors and powers of ten by a factor of ten."""
    shown, printed = str(example.parsed).strip(), example.namespace["printed"].strip()
    message = f"{example.path}, line {example.line}: printed is\n{printed}"
    assert NUMBER.sub("#", shown).split() == NUMBER.sub("#", printed).split(), message
    for one, other in zip(NUMBER.finditer(shown), NUMBER.finditer(printed), strict=True):
        a, b = (float(number[0].removeprefix("±").strip()) for number in (one, other))
        if one[1] or "e" in one[0]:
            assert abs(np.log10(a / b)) <= 1, message
        else:
            last_digit = 10.0 ** -len(one[0].partition(".")[2])
            assert abs(a - b) <= max(2e-3 * abs(a), last_digit * (last_digit < 1)), message


SYBIL = Sybil(
    parsers=[
        CodeBlockParser("python", run_python),
        CodeBlockParser("text", compare),
        CodeBlockParser("sh", run_shell),
    ]
)


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if "```python" in page.read_text()])
def test_the_code_of_a_page_runs_and_prints_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pictures, "PICTURES", dict(pictures.PICTURES))  # to which a page adds one
    document = SYBIL.parse(PAGES[name])
    if name != "docs/tutorial.md":
        document.namespace.update(given())
    if "runs/digits" in PAGES[name].read_text():
        a_run(tmp_path / "runs" / "digits")
    for example in document.examples():
        example.evaluate()


# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────────

COMMANDS = typer.main.get_command(cli.app).commands


def command_lines(text):
    """Every command of a page as its arguments, and whether it is a whole one, from a block of code."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    blocks = [block.replace("\\\n", " ") for language, block in fences if language in ("", "sh")]
    whole = [line for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    for lines, is_whole in ((whole, True), ([" ".join(code.split()) for code in inline], False)):
        for line in lines:
            if line.strip().startswith("hessian-dendrogram "):
                yield shlex.split(line, comments=True)[1:], is_whole


def check_command(arguments, is_whole):
    name, *rest = arguments
    if name.startswith("-"):
        assert name == "--help", f"there is no option {name}"
        return
    assert name in COMMANDS, f"there is no command {name}"
    parameters = COMMANDS[name].params
    options = {option: parameter for parameter in parameters for option in parameter.opts if option.startswith("-")}
    positional = []
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            positional.append(word)
            continue
        assert word in options or word == "--help", f"{name} has no option {word}"
        if word != "--help" and not options[word].is_flag:
            assert rest, f"{word} wants a value"
            rest.pop(0)
    wanted = [parameter for parameter in parameters if parameter.param_type_name == "argument"]
    assert len(positional) <= len(wanted), f"{name} takes no {positional[len(wanted) :]}"
    if is_whole:
        assert len(positional) >= sum(parameter.required for parameter in wanted), f"{name} wants another argument"
        missing = [parameter.name for parameter in parameters if parameter.required and parameter not in wanted]
        assert all(f"--{option}" in arguments for option in missing), f"{name} wants {missing}"


def test_every_command_in_the_documentation_exists():
    found = [(page, *line) for page in PAGES for line in command_lines(PAGES[page].read_text())]
    assert len(found) > 30
    for page, arguments, is_whole in found:
        try:
            check_command(arguments, is_whole)
        except AssertionError as error:
            pytest.fail(f"{page}: hessian-dendrogram {shlex.join(arguments)}: {error}")


@pytest.mark.parametrize(
    "line", ["runn mnist", "run", "run mnist --sample 3", "run mnist --samples", "plot a b", "compact runs/digits"]
)
def test_a_wrong_command_would_be_noticed(line):
    [(arguments, is_whole)] = command_lines(f"```\nhessian-dendrogram {line}\n```\n")
    with pytest.raises(AssertionError):
        check_command(arguments, is_whole)


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", PAGES)
def test_figures_say_what_they_show_and_links_lead_somewhere(name):
    text = PAGES[name].read_text()
    for alternative, target in re.findall(r"!\[(.*?)\]\((.*?)\)", text, flags=re.DOTALL):
        assert len(alternative) > 20, f"{target} has no alt text"
    assert not re.search(r"<img(?![^>]*\balt=.)", text)
    for link in build.links(text):
        path = link.partition("#")[0]
        assert not path or ":" in path or (PAGES[name].parent / path).exists(), f"{link} leads nowhere"


def test_the_site_has_a_place_for_everything_that_pages_link_to(tmp_path):
    build.stage(tmp_path)
    for page in tmp_path.rglob("*.md"):
        for link in build.links(page.read_text()):
            path = link.partition("#")[0]
            assert not path or ":" in path or (page.parent / path).is_file(), f"{page.name}: {link}"
    assert "Usage: hessian-dendrogram info" in (tmp_path / "reference" / "command.md").read_text()


@pytest.mark.parametrize("link", ["nothing.md", "../../results/none.png", "../pyproject.toml"])
def test_a_broken_link_stops_the_build(link, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "docs" / "page.md").write_text(f"[a link]({link})\n")
    with pytest.raises(build.SiteError, match=r"page\.md links to"):
        build.lay_out(tmp_path / "docs" / "page.md", tmp_path / "staged")


def test_runs_to_explore_are_exported_and_linked(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    a_run(tmp_path / "results" / "small")
    page = tmp_path / "staged" / "results" / "index.md"
    page.parent.mkdir(parents=True)
    page.write_text("Before.\n\n<!-- explore: small -->\n\n`<!-- explore: other -->`\n")
    [line] = build.add_runs(tmp_path / "staged")
    assert line.startswith("explore/small.html: ")
    [link] = build.links(page.read_text())
    assert (page.parent / link).read_text().startswith("<!DOCTYPE html>")
    assert "<!-- explore: other -->" in page.read_text()


def test_a_run_to_explore_that_cannot_be_read_stops_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "index.md").write_text("<!-- explore: nothing -->\n")
    with pytest.raises(build.SiteError, match=r"index\.md names a run to explore: .* is no run directory"):
        build.add_runs(tmp_path / "staged")
    a_run(tmp_path / "results" / "nothing")
    (tmp_path / "results" / "nothing" / "metrics.csv").write_text("step,train_loss\n0,much\n")
    with pytest.raises(build.SiteError, match=r"metrics\.csv is damaged"):
        build.add_runs(tmp_path / "staged")


def test_without_plotly_the_site_has_no_runs_to_explore(tmp_path, monkeypatch):
    (tmp_path / "index.md").write_text("<!-- explore: mnist -->\n")
    monkeypatch.setattr(build, "find_spec", lambda _: None)
    assert build.add_runs(tmp_path) == []
    assert (tmp_path / "index.md").read_text() == "<!-- explore: mnist -->\n"


def test_the_gallery_names_runs_that_are_there():
    named = build.EXPLORE.findall((ROOT / "docs" / "results" / "index.md").read_text())
    assert named == ["mnist", "modular-addition"]
    assert all((ROOT / "results" / name / "run.json").is_file() for name in named)


def test_every_public_name_has_its_place_in_the_reference():
    text = "".join(page.read_text() for name, page in PAGES.items() if name.startswith("docs/reference/"))
    described = set(re.findall(r"^::: hessian_dendrogram\.(\w+)$", text, flags=re.MULTILINE))
    assert set(hessian_dendrogram.__all__) <= described
