"""What must hold of the files of a run, and of what a command says, once a writer was interrupted."""

import os
import re
from pathlib import Path

from hessian_dendrogram import Run

Files = dict[str, bytes]


def is_hidden(name: str) -> bool:
    """Whether readers never look at a file: it is a writer's own, or in a folder of its own."""
    return name.startswith(".") or "/." in name


def files(work: Path) -> Files:
    """Every file below a folder, by its name in it."""
    found = {}
    for folder, _, names in os.walk(work):
        for name in names:
            path = f"{folder}/{name}"
            with open(path, "rb", 0) as file:  # noqa: PTH123 (called a thousand times, for a hundred files)
                found[path[len(str(work)) + 1 :]] = file.read()
    return found


def visible(found: Files) -> Files:
    """Those that readers look at."""
    return {name: content for name, content in found.items() if not is_hidden(name)}


def leftovers(work: Path) -> list[str]:
    """What writers that came to no end left in run directories; beside other outputs, nobody knows whose it is."""
    names = sorted(str(path.relative_to(work)) for path in work.rglob(".*") if path.name != ".lock")
    runs = [path.parent.relative_to(work) for path in work.rglob("run.json")]
    return [name for name in names if any(run in Path(name).parents for run in runs)]


def results(names: Files) -> set[str]:
    """The files of checkpoints and analyses, which are computed once."""
    return {name for name in names if ("/checkpoints/" in name or "/analyses/" in name) and not is_hidden(name)}


def nodes(work: Path) -> dict[str, tuple[int, int]]:
    """What tells each result from one that was written again."""
    status = {name: (work / name).stat() for name in results(files(work))}
    return {name: (one.st_ino, one.st_mtime_ns) for name, one in status.items()}


def wrong_line(code: int, text: str, words: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with how a command failed: it must end with exit code 1 and one line that says these words."""
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    last = (text.splitlines() or [""])[-1]
    if code < 0:
        return [f"hang: ended by signal {-code}: {last}"]
    if "Traceback" in text or "Exception ignored" in text:
        return [f"traceback: {last}"]
    if "unexpected" in text:
        return [f"unexpected: {last}"]
    if errors != [last] or code != 1:
        return [f"not one line: exit code {code}, {text[-300:]!r}"]
    return [f"unclear: does not say {word!r}: {last}" for word in words if word not in last]


def wrong_state(now: Files, base: Files, expected: Files) -> list[str]:
    """What is wrong with what readers see: each file is whole, as it was before or as it shall be."""
    problems = []
    for name, content in visible(now).items():
        if name.endswith("/metrics.csv"):
            whole = content[: content.rfind(b"\n") + 1]  # a last line without its end is no row
            if not expected[name].startswith(whole):
                problems.append(f"torn: {name} is {content!r}")
        elif "training_state" in name and name not in expected:
            continue  # of an earlier checkpoint; it is whole if training goes on from it as if nothing had been
        elif content not in (base.get(name), expected.get(name)):
            problems.append(f"torn: {name} of {len(content)} bytes")
    folders = {name.rpartition("/")[0] for name in results(now)}
    whole_folders = {name for name in {**base, **expected} if name.rpartition("/")[0] in folders}
    problems += [f"torn: {name} is missing" for name in whole_folders - {*now}]
    return problems + [f"loss: {name}" for name in visible(base) if name not in now and name in expected]


def wrong_end(now: Files, expected: Files) -> list[str]:
    """How files differ from what an undisturbed command leaves."""
    now, expected = visible(now), visible(expected)
    how = {name: "missing" if name not in now else "other" for name in expected if now.get(name) != expected[name]}
    how |= {name: "too many" for name in now if name not in expected}
    return [f"differs: {name} is {word} in the end" for name, word in how.items()]


def read_everything(path: Path) -> None:
    """Read whatever a run directory says that it has."""
    run = Run(path)
    run.metrics()
    for step in run.steps():
        run.weights(step)
    for name in run.analyses():
        run.analysis(name)
        for step in run.analysed_steps(name):
            run.spectrum(step, name), run.shares(step, name), run.measures(step, name)
    for name in run.bipartition_analyses():
        run.analysis(name)
        for step in run.analysed_steps(name):
            run.bipartition(step, name), run.coupling_picture(step, name)


def run_directories(now: Files) -> list[str]:
    """Where there are runs among files."""
    return [re.sub("/?run.json$", "", name) or "." for name in visible(now) if name.endswith("run.json")]
