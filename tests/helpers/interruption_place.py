"""The commands that are interrupted, the folders they are called in, and what is wrong with what was left there."""

import hashlib
import os
import runpy
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
import torch
import tqdm
import typer
from matplotlib.figure import Figure

from forked import Child
from hessian_dendrogram import cli, figures
from hessian_dendrogram.errors import HessianDendrogramError
from hessian_dendrogram.pictures import Picture
from interruption_checks import (
    Files,
    files,
    is_hidden,
    leftovers,
    nodes,
    read_everything,
    run_directories,
    visible,
    wrong_end,
    wrong_state,
)
from places import TINY

SHORT = ("run", str(TINY), "--out", "run", "--steps", "4")
AT = ("--at", "0,4", "--samples", "20")


@dataclass(frozen=True)
class Command:
    """A line of the command, and the name of the folder that it is called in: a copy of one of the bases."""

    base: str
    line: tuple[str, ...]


COMMANDS = {
    "run": Command("nothing", SHORT),
    "run further": Command("short", (*SHORT[:-1], "8")),
    "analyse": Command("finished", ("analyse", str(TINY), "--out", "run", *AT)),
    "analyse --checkpoints": Command("nothing", ("analyse", str(TINY), "--out", "run", "--checkpoints", "weights")),
    "fiedler": Command("finished", ("fiedler", str(TINY), "--out", "run", *AT)),
    "plot": Command("finished", ("plot", "run")),
    "plot --to": Command("finished", ("plot", "run", "--to", "pictures")),
    "export": Command("finished", ("export", "run", "--html", "page.html")),
    "compact": Command("finished", ("compact", "run", "--to", "small", "--vectors", "1")),
    "compact inside": Command("finished", ("compact", "run", "--to", "run/small", "--vectors", "1")),
    "info": Command("finished", ("info", "run")),
    "info --json": Command("finished", ("info", "run", "--json")),
}


class Workplace:
    """A folder with the bases, and for each case a copy of one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        self._ends: dict[Command, Files] = {}
        self._bases: dict[Command, Files] = {}
        self._read: dict[str, list[str]] = {}  # by what readers see: what is wrong
        self._completed: dict[tuple[object, ...], list[str]] = {}
        torch.set_num_threads(1)
        tqdm.tqdm.monitor_interval = 0  # its thread would not be in the children
        cli.app = typer.main.get_command(cli.app)  # made once instead of at every call
        _draw_little()
        (folder / "nothing/weights").mkdir(parents=True)
        model = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Tanh(), torch.nn.Dropout(), torch.nn.Linear(6, 2))
        for step in (3, 7):
            torch.save(model.state_dict(), folder / f"nothing/weights/step_{step}.pt")
        self._here("nothing", "short", SHORT)
        self._here("short", "finished", COMMANDS["fiedler"].line[:-2])
        for name in ("export", "compact", "info"):
            self._here("finished", "thrown away", COMMANDS[name].line)
        for file in (folder / "finished/run/figures").rglob("*"):
            if file.is_file():
                file.write_bytes(b"{}" if file.suffix == ".json" else b"old")
        (folder / "finished/page.html").write_bytes(b"old")

    def _here(self, source: str, target: str, line: tuple[str, ...]) -> None:
        """Run a command in this process, which then has imported what its children need."""
        shutil.rmtree(self.folder / target, ignore_errors=True)
        shutil.copytree(self.folder / source, self.folder / target)
        os.chdir(self.folder / target)
        kept, (sys.argv, sys.stdout) = (sys.argv, sys.stdout), (["hessian-dendrogram", *line], sys.stderr)
        try:
            runpy.run_module("hessian_dendrogram", run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"{' '.join(line)} ended with {end.code}") from None
        finally:
            sys.argv, sys.stdout = kept
            os.chdir(self.folder)

    def copy(self, source: Path | str) -> Path:
        """A new copy of a folder."""
        self._number += 1
        return Path(shutil.copytree(self.folder / source, self.folder / str(self._number)))

    def base(self, command: Command) -> Files:
        """The files that the command finds."""
        if command not in self._bases:
            self._bases[command] = files(self.folder / command.base)
        return self._bases[command]

    def end(self, command: Command) -> Files:
        """The files that the command leaves where nothing disturbs it."""
        if command not in self._ends:
            work = self.copy(command.base)
            code, text = Child(command.line, work).finish()
            if code:
                raise RuntimeError(f"{' '.join(command.line)} ended with {code}: {text}")
            self._ends[command] = files(work)
            shutil.rmtree(work)
        return self._ends[command]

    def wrong_after(self, command: Command, work: Path, now: Files) -> list[str]:
        """What is wrong with what an interruption left: what readers see, and what the same command makes of it.

        A state that differs from an earlier one in nothing but what temporary files hold is judged as that one was.
        """
        problems = wrong_state(now, self.base(command), self.end(command))
        hidden = sorted({str(Path(name).parent) for name in now if is_hidden(name) and not name.endswith(".lock")})
        seen = hashlib.sha256(repr(sorted(visible(now).items())).encode()).hexdigest()
        state = (command, seen, *hidden)
        if state not in self._completed:
            copy = self.copy(work)
            for name, content in now.items():
                if (copy / name).stat().st_size > len(content):
                    os.truncate(copy / name, len(content))
            if seen not in self._read:
                self._read[seen] = self._readers(copy, now)
            self._completed[state] = self._again(command, copy)
            shutil.rmtree(copy)
        return problems + self._read[seen] + self._completed[state]

    def _readers(self, work: Path, now: Files) -> list[str]:
        problems = []
        for run in run_directories(now):
            try:
                read_everything(work / run)
            except HessianDendrogramError as error:
                problems.append(f"reader: {error}")
            code, text = Child(("info", run, "--json"), work).finish()
            problems += [f"reader: info: {text[-300:]!r}"] if code else []
        return problems

    def _again(self, command: Command, work: Path) -> list[str]:
        """The same command again ends as an undisturbed one, and computes nothing again."""
        before = nodes(work)
        code, text = Child(command.line, work).finish()
        after = nodes(work)
        problems = [f"not completed: exit code {code}, {text[-300:]!r}"] if code else []
        problems += [f"computed again: {name}" for name, node in before.items() if after.get(name) != node]
        problems += [f"left over: {name}" for name in leftovers(work)]
        return problems + wrong_end(files(work), self.end(command))


def _draw_little() -> None:
    """Figures of nothing, and of each kind of analysis one: what is looked at is how they are written."""
    Picture.figure = lambda _: Figure(figsize=(1, 1))
    Picture.chart = lambda _: go.Figure()
    save, some = figures.save, ("gaps", "coupling", "comparison")
    figures.save = lambda figure, stem: save(figure, stem) if stem.name in some else []
