"""The documentation site: lay out the pages with their figures in build/docs, then let Zensical build site/ from them.

Pages link to other pages, figures and files as these lie in the repository, so that they can be read there. Here a link
that leaves docs/ is led to a copy: figures of the results go to `figures/`, `CONTRIBUTING.md` becomes a page. A link
that leads nowhere, or to a file that the site does not have, stops the build. The page of the command is written from
its own help, that of all pictures from `PICTURES`.

Runs of the results become pages that can be explored, as `hessian-dendrogram export` writes them. They are too large to
be stored in the repository, so a comment `<!-- explore: RUN -->` stands where the site links to the page of
`results/RUN`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
STAGED = ROOT / "build" / "docs"

PAGES = {ROOT / "CONTRIBUTING.md": "contributing.md", ROOT / "README.md": "index.md"}  # beside those of docs/
FIGURES = (".png", ".svg", ".html")  # what a page may show of results/
ASSETS = (".md", ".css", *FIGURES)  # what docs/ may hold for the site

LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
EXPLORE = re.compile(r"^<!-- explore: (\S+) -->$", re.MULTILINE)
MEASURED = re.compile(r"^<!-- (.+) -->\n(.*?)^<!-- end of \1 -->$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^(```+).*?^\1|`[^`\n]+`", re.DOTALL | re.MULTILINE)


class SiteError(Exception):
    """The pages do not make a site: a link leads nowhere, or the navigation and the pages do not agree."""


def links(text: str) -> list[str]:
    """The targets of a page's links and figures, those in code left out."""
    return LINK.findall(CODE.sub("", text))


def place(file: Path) -> str | None:
    """Where a file of the repository lies in the site, as a path below its root; `None` where the site has none."""
    if file in PAGES:
        return PAGES[file]
    if file.is_relative_to(DOCS) and file.suffix in ASSETS:
        return file.relative_to(DOCS).as_posix()
    if file.is_relative_to(ROOT / "results") and file.suffix in FIGURES:
        return f"figures/{file.relative_to(ROOT / 'results').as_posix()}"
    return None


def lay_out(page: Path, target: Path) -> None:
    """Write a page below `target`, its links led to where the site has things, and copy what it shows of results/.

    Raises:
        SiteError: a link leads nowhere, or to a file that is not part of the site.
    """
    own_place = place(page)
    assert own_place is not None
    text = page.read_text(encoding="utf-8")
    for link in set(links(text)):
        path, _, anchor = link.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            continue
        file = (page.parent / path).resolve()
        found = place(file) if file.is_file() else None
        if found is None:
            raise SiteError(f"{page.relative_to(ROOT)} links to {link}, which the site does not have")
        copy = target / found
        if not file.is_relative_to(DOCS) and file not in PAGES and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        led = os.path.relpath(found, Path(own_place).parent).replace(os.sep, "/") + (f"#{anchor}" if anchor else "")
        text = text.replace(f"]({link})", f"]({led})")
    # What a program wrote is numbers, which must not be broken at the hyphen of an exponent.
    text = MEASURED.sub(r'<div class="numbers" markdown>\n\n\2\n</div>', text)
    (target / own_place).parent.mkdir(parents=True, exist_ok=True)
    (target / own_place).write_text(text, encoding="utf-8")


def stage(target: Path) -> None:
    """Everything that the site is built from, below `target`, which is emptied first.

    Raises:
        SiteError: a link leads nowhere, a page is not in the navigation, or the navigation names one that is not there.
    """
    shutil.rmtree(target, ignore_errors=True)
    for file in sorted(DOCS.rglob("*")):
        if file.suffix == ".md":
            lay_out(file, target)
        elif file.suffix in ASSETS:
            copy = target / file.relative_to(DOCS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    lay_out(ROOT / "CONTRIBUTING.md", target)
    (target / "reference").mkdir(exist_ok=True)
    (target / "reference" / "command.md").write_text(command_page(), encoding="utf-8")
    gallery(target)
    pages = {page.relative_to(target).as_posix() for page in target.rglob("*.md")}
    if different := pages ^ set(navigation()):
        raise SiteError(f"either not in the navigation of zensical.toml, or only there: {', '.join(sorted(different))}")


def add_runs(target: Path) -> list[str]:
    """Export the runs that the pages below `target` name in a comment, and link to them there.

    Returns:
        What was written, in words; empty where plotly is not installed: then there are no links either.

    Raises:
        SiteError: there is no such run, or a part of it cannot be read.
    """
    if find_spec("plotly") is None:
        return []
    from hessian_dendrogram.errors import HessianDendrogramError
    from hessian_dendrogram.pages.exported import export_page
    from hessian_dendrogram.store import Run

    written = []
    for page in sorted(target.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for name in set(EXPLORE.findall(text)):
            file = target / "explore" / f"{name}.html"
            try:
                exported = export_page(Run(ROOT / "results" / name), file)
            except HessianDendrogramError as error:
                raise SiteError(f"{page.relative_to(target)} names a run to explore: {error}") from None
            if exported.left_out:
                raise SiteError(f"{page.relative_to(target)} names a run to explore: {exported.left_out[0]}")
            size = f"{exported.num_charts} charts, {exported.num_bytes / 1e6:.1f} MB"
            led = os.path.relpath(file, page.parent).replace(os.sep, "/")
            link = f"[Explore this run on one interactive page]({led}) ({size}; it works offline, too)."
            text = text.replace(f"<!-- explore: {name} -->", link)
            written.append(f"{file.relative_to(target)}: {size}")
        page.write_text(text, encoding="utf-8")
    return written


def gallery(target: Path) -> None:
    """Write the page of all pictures, each drawn of the first published analysis that it applies to."""
    from hessian_dendrogram.pictures import PICTURES, Steps
    from hessian_dendrogram.store import Run
    from hessian_dendrogram.store.analysed import Analysed, largest_first, read

    runs = [Run(ROOT / "results" / name) for name in ("mnist", "modular-addition", "modular-addition-53")]
    known: dict[str, list[Analysed]] = {
        kind: [read(run, name) for run in runs for name in largest_first(run, kind)[:1]]
        for kind in {picture.of for picture in PICTURES.values()}
    }
    parts = [
        "# All pictures",
        "Every picture that an analysis has: as a figure, in a notebook, and on the exported page.",
    ]
    (target / "figures" / "pictures").mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        of = next((one for one in known.get(picture.of, []) if picture.applies(one)), None)
        if of is None:
            continue
        made = picture.for_print(of) or (picture.over and picture.over(of, Steps.of(of.steps)))
        made = made or (picture.at and picture.at(of, len(of.steps) - 1))
        made = made or (picture.each and picture.each(of, len(of.steps) - 1, 1))
        assert made
        made.figure().savefig(target / "figures" / "pictures" / f"{name}.png", dpi=150)
        shown = f"![{picture.title}, of {of.title}.](figures/pictures/{name}.png)"
        parts += [f"## {picture.title}", f"{picture.sentence} `{name}`", shown]
    (target / "pictures.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def navigation() -> list[str]:
    """The pages in the navigation, in its order."""

    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [page for inner in (entry.values() if isinstance(entry, dict) else entry) for page in pages(inner)]

    return pages(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"])


def command_page() -> str:
    """The help of the command and of each of its subcommands, as a page."""
    from typer.testing import CliRunner

    from hessian_dendrogram.cli import app

    parts = ["# The command", str(app.info.help), "Every subcommand explains itself when it is given `--help`:"]
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        shown = CliRunner().invoke(app, [name, "--help"], prog_name="hessian-dendrogram", terminal_width=88)
        parts.append(f"## {name}\n\n```text\n{shown.output.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Build the site; a warning is an error."""
    try:
        stage(STAGED)
        for line in add_runs(STAGED) or ["no runs to explore: plotly is not installed"]:
            print(line)
    except SiteError as error:
        sys.exit(f"error: {error}")
    shutil.rmtree(ROOT / "site", ignore_errors=True)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--clean", "--strict"]
    built = subprocess.run(command, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(built.stdout.partition("Traceback")[0].strip())
    if (
        built.returncode or "griffe: " in built.stdout
    ):  # its complaints about docstrings are none of Zensical's warnings
        sys.exit("error: the site has warnings, see above")
    print("the site: site/index.html, or with its search: python -m http.server --directory site")


if __name__ == "__main__":
    main()
