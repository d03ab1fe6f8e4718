"""Fails, kills or holds a writing command at its n-th change of a file, for every n, and says what is wrong afterwards.

python tests/helpers/interruption.py [--every N] [--commands NAME,...] [--kinds KIND,...]    a table, and each problem
python tests/helpers/interruption.py --serve    for each line, a command, a kind and N in JSON, each case's problems
"""

import argparse
import errno
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from file_changes import TAKES_SPACE, Change, FileChanges
from forked import Child, Held, HeldChild
from interruption_checks import files, leftovers, results, visible, wrong_end, wrong_line
from interruption_place import COMMANDS, Command, Workplace

Cases = Iterator[tuple[str, list[str]]]
"""Of each case where the command was interrupted, and what is wrong afterwards."""


def undisturbed(place: Workplace, command: Command, every: int) -> Cases:
    """Every file but metrics.csv is hidden until it is whole, and `info` changes none; no write escapes the watch."""
    work, is_reader = place.copy(command.base), command.line[0] == "info"
    child = HeldChild(command.line, work)
    problems = []
    while change := child.next():
        is_in_place = change.is_visible and change.call != "os.rename" and not change.path.endswith("/metrics.csv")
        problems += [f"in place: {change}"] if is_in_place or is_reader else []
    problems += [f"not seen: {name}" for name in child.not_seen]
    code, text = child.finish()
    problems += [f"not completed: exit code {code}, {text[-300:]!r}"] if code else []
    yield "", problems + wrong_end(files(work), place.base(command) if is_reader else place.end(command))
    shutil.rmtree(work)


def held(power: bool) -> Callable[[Workplace, Command, int], Cases]:
    """Killed before the change: the files as they are then; or, as after a power cut, as far as they were flushed.

    The process is held and not killed, so that one serves for every change. Renames are taken to survive a power cut.
    """

    def kind(place: Workplace, command: Command, every: int) -> Cases:
        work = place.copy(command.base)
        child = HeldChild(command.line, work)
        number, before = 0, set[str]()
        while change := child.next():
            number += 1
            if number % every:
                continue
            now = files(work)
            if power:
                now |= {name: now[name][:length] for name, length in change.not_flushed.items()}
            lost = [f"loss: {name}" for name in before - results(now)]
            before = results(now)
            yield f"{number}, {change}", lost + place.wrong_after(command, work, now)
        child.finish()
        shutil.rmtree(work)

    return kind


def struck(how: str) -> Callable[[Workplace, Command, int], Cases]:
    """A disk that is full from the change on, a fault of it at the change alone, or the signal that kills."""

    def kind(place: Workplace, command: Command, every: int) -> Cases:
        at = every
        while case := _strike(place, command, how, at):
            yield case
            at += every

    return kind


def _strike(place: Workplace, command: Command, how: str, at: int) -> tuple[str, list[str]] | None:
    """One case of the above; nothing where the command makes fewer changes."""
    work = place.copy(command.base)
    reached = Path(f"{work}.reached")

    def before(changes: FileChanges, change: Change) -> None:
        if changes.count == at:
            reached.write_text(json.dumps([str(change), *results(files(work))]))
            if how == "signal":
                os.kill(os.getpid(), signal.SIGKILL)
        if changes.count == at or (changes.count > at and how == "full" and change.call in TAKES_SPACE):
            raise change.error(errno.ENOSPC if how == "full" else errno.EIO)

    code, text = Child(command.line, work, before).finish()
    if not reached.exists():
        shutil.rmtree(work)
        return None
    change, *stored = json.loads(reached.read_text())
    reached.unlink()
    now = files(work)
    problems = [f"loss: {name}" for name in {*stored} - results(now)]
    if code == 0:  # it could do without
        problems += wrong_end(now, place.end(command))
    elif how == "full":
        problems += wrong_line(code, text, (os.strerror(errno.ENOSPC), "is kept"))
    elif how == "fault":
        problems += wrong_line(code, text, (os.strerror(errno.EIO),))
    problems += place.wrong_after(command, work, now)
    shutil.rmtree(work)
    return f"{at}, {change}", problems


def lock_removed(place: Workplace, command: Command, every: int) -> Cases:
    """Someone takes the lock's file away: at most what is being written is stored, and one line says why.

    Pictures may come after it: those of two writers are the same.
    """
    for number, child, work, change in _held_at_each(place, command, every):
        is_held = Path(change.path).name != ".lock" and change.path not in ("run", "small")
        for lock in work.rglob(".lock") if is_held else ():
            lock.unlink()
        later = [change] if change.is_visible else []
        while step := child.next():
            later += [step] if step.is_visible else []
        code, text = child.finish()
        written = [step.path for step in later if not step.path.endswith((".png", ".pdf"))]
        problems = [f"not noticed: {written} were written"] if is_held and len(written) > 1 else []
        problems += wrong_line(code, text, (".lock",)) if code else []
        yield f"{number}, {change}", problems + place.wrong_after(command, work, files(work))


def two_at_once(place: Workplace, command: Command, every: int) -> Cases:
    """The same command is called a second time, and ends, while the first is held."""
    for number, child, work, change in _held_at_each(place, command, every):
        ends = [Child(command.line, work).finish(), child.finish()]
        problems = [f"not completed: exit code {code}, {text[-300:]!r}" for code, text in ends if code]
        problems += [f"left over: {name}" for name in leftovers(work)]
        yield f"{number}, {change}", problems + wrong_end(files(work), place.end(command))


def swept(place: Workplace, command: Command, every: int) -> Cases:
    """A writer of the run, which clears what killed ones left, comes while a copy is written into the run."""
    for number, child, work, change in _held_at_each(place, command, every):
        ends = [Child(COMMANDS["plot"].line, work).finish(), child.finish()]
        problems = [f"not completed: exit code {code}, {text[-300:]!r}" for code, text in ends if code]
        problems += [f"left over: {name}" for name in leftovers(work)]
        here, there = ({n: c for n, c in f.items() if "small" in n} for f in (files(work), place.end(command)))
        yield f"{number}, {change}", problems + wrong_end(here, there)


def metrics_cut(place: Workplace, command: Command, every: int) -> Cases:
    """Of metrics.csv only the beginning is there: training says so, or mends it, and never goes on without rows."""
    whole = place.base(command)["run/metrics.csv"]
    for length in range(0, len(whole), every):
        work = place.copy(command.base)
        (work / "run/metrics.csv").write_bytes(whole[:length])
        before = visible(files(work))
        code, text = Child(command.line, work).finish()
        if code:
            problems = wrong_line(code, text, ("metrics.csv",)) + wrong_end(files(work), before)
        else:
            problems = wrong_end(files(work), place.end(command))
        yield f"length {length}", problems
        shutil.rmtree(work)


def _held_at_each(place: Workplace, command: Command, every: int) -> Iterator[tuple[int, HeldChild, Path, Held]]:
    """A child in a folder of its own, held at every so many changes."""
    at = every
    while True:
        work = place.copy(command.base)
        child = HeldChild(command.line, work)
        change = None
        for _ in range(at):
            change = child.next()
            if change is None:
                child.finish()
                shutil.rmtree(work)
                return
        assert change is not None
        yield at, child, work, change
        shutil.rmtree(work)
        at += every


_WRITERS = [name for name in COMMANDS if name not in ("compact inside", "info", "info --json")]
KINDS: dict[str, tuple[Callable[[Workplace, Command, int], Cases], list[str]]] = {
    "undisturbed": (undisturbed, [*COMMANDS]),
    "kill": (held(power=False), _WRITERS),
    "power": (held(power=True), _WRITERS),
    "full": (struck("full"), _WRITERS),
    "fault": (struck("fault"), _WRITERS),
    "signal": (struck("signal"), _WRITERS),
    "lock removed": (lock_removed, ["run", "analyse", "fiedler", "plot", "compact"]),
    "two at once": (two_at_once, ["plot --to", "export"]),
    "swept": (swept, ["compact inside"]),
    "metrics cut": (metrics_cut, ["run further"]),
}
"""Each kind of interruption, and the commands that it comes to."""


def cases(place: Workplace, name: str, kind: str, every: int = 1) -> list[list[str]]:
    """All cases of a command and a kind, or every so many: of each its problems."""
    found = KINDS[kind][0](place, COMMANDS[name], every)
    return [[f"{problem} [{name}, {kind} {at}]" for problem in problems] for at, problems in found]


def main() -> None:
    """Print the table, or answer questions."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        place = Workplace(Path(folder).resolve())
        if options.serve:
            for question in sys.stdin:
                print(json.dumps(cases(place, *json.loads(question))), flush=True)
            return
        everything: list[str] = []
        for kind in options.kinds.split(","):
            for name in (name for name in options.commands.split(",") if name in KINDS[kind][1]):
                start = sum(os.times()[:4])
                found = cases(place, name, kind, options.every)
                seconds = sum(os.times()[:4]) - start
                sorts = Counter(sort for one in found for sort in {problem.partition(":")[0] for problem in one})
                words = ", ".join(f"{sort} {number}" for sort, number in sorts.most_common()) or "nothing wrong"
                print(f"{kind:14}{name:23}{len(found):5} cases {seconds:6.1f} s  {words}", flush=True)
                everything += [problem for one in found for problem in one]
        print("\n".join(everything))


if __name__ == "__main__":
    main()
