"""Readers called in a forked child, where they may hang, fill the memory or end the interpreter.

Nothing here judges: an `Outcome` says what one reader did with one damaged run.
"""

import gc
import hashlib
import json
import os
import resource
import signal
import stat
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

import damage_readers
import quick_figures
from damage_readers import READERS
from hessian_dendrogram.pictures import Picture

FIGURE = Picture.figure

DEADLINE = 10
"""Seconds of a processor that a reader has: on a busy machine more time goes by."""
_ASLEEP = 3.0  # seconds in which a reader does nothing at all, as it would wait for a FIFO
_MOST_MEMORY = 2 * 2**30  # more than any reader may use, less than any machine has
_MOST_HASHED = 2**28


@dataclass
class Outcome:
    """What one reader did.

    Attributes:
        reader: its name.
        code: its exit code, or `None` where it had none: a signal ended it.
        signal: which.
        output, errors: what it printed.
        raised: the last line of a traceback, and where it was raised.
        peak: bytes of memory more than before.
        changed: entries of the run that are others than before.
        touched: the same outside of the run.
    """

    reader: str
    code: int | None = None
    signal: int = 0
    output: str = ""
    errors: str = ""
    raised: str = ""
    peak: int = 0
    changed: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)


def outcomes(names, work, *, is_drawn=False):
    """What readers did with `work/run`, one after another; `work/outside` belongs to somebody else.

    A reader that ends its process is followed by another process with the next reader.
    """
    found = []
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # so that it can be waited for
    while len(found) < len(names):
        left = names[len(found) :]
        before = snapshot(work / "run"), snapshot(work / "outside")
        results = work / "results"
        results.write_text("")
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # so that the child's collector does not copy every page
        child = os.fork()
        if not child:
            _work(left, work, results, is_drawn)  # which never returns
        status = _wait(child)
        done = [Outcome(**json.loads(line)) for line in results.read_text().splitlines()]
        found += done
        if len(done) < len(left):
            lost = Outcome(left[len(done)], *_ending(status), *_printed(work))
            after = snapshot(work / "run"), snapshot(work / "outside")
            lost.changed, lost.touched = (_differences(*pair) for pair in zip(before, after, strict=True))
            found.append(lost)
    return found


def _wait(child):
    """The status of a child that has ended, or had to be: one that sleeps gets the signal of an alarm."""
    used, since = -1, time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        signal.sigtimedwait({signal.SIGCHLD}, 0.25)
        state, now = _state(child), time.monotonic()
        if state != ("S", used):
            used, since = state[1], now
        elif now - since > _ASLEEP:
            os.kill(child, signal.SIGALRM)


def _state(process):
    """Whether a process runs or sleeps, and the time of a processor that it has used."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return words[0], int(words[11]) + int(words[12])


def snapshot(folder):
    """What is below a folder, by path: its type, its permissions, and what it holds; links are not followed."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(top) / name
            state = path.lstat()
            content = ""
            if stat.S_ISLNK(state.st_mode):
                content = str(path.readlink())
            elif stat.S_ISREG(state.st_mode):
                is_small = state.st_blocks * 512 < _MOST_HASHED and state.st_size < _MOST_HASHED
                content = hashlib.blake2b(path.read_bytes() if is_small else b"").hexdigest() + str(state.st_size)
            found[str(path.relative_to(folder))] = [stat.filemode(state.st_mode), content]
    return found


def _differences(before, after):
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def _ending(status):
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status)
    return os.WEXITSTATUS(status), 0


def _printed(work):
    return [(work / name).read_text(errors="replace") for name in ("stdout", "stderr")]


# ── in the child ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _work(names, work, results, is_drawn):
    try:
        os.setpgid(0, 0)
        be_quick(is_drawn)
        resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + _MOST_MEMORY,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        with results.open("a") as stream:
            for name in names:
                stream.write(json.dumps(asdict(_read(name, work))) + "\n")
                stream.flush()
    finally:
        os._exit(0)


def be_quick(is_drawn=False):
    """Leave out what costs time and has nothing to do with damage: flushing to the disk, and pixels."""
    os.fsync = lambda descriptor: None
    damage_readers.is_drawn = is_drawn
    # Of damaged numbers the pictures are made, and drawn by `export` alone.
    Picture.figure = FIGURE if is_drawn else lambda picture: Figure()
    quick_figures.be_quick(is_drawn)


def _read(name, work):
    run, outside, out = work / "run", work / "outside", work / "out" / name.replace(" ", "")
    out.mkdir(parents=True)
    before = snapshot(run), snapshot(outside)
    for number, file in enumerate(("stdout", "stderr"), start=1):
        opened = os.open(work / file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    outcome = Outcome(name, code=0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    start = _status("VmRSS")
    signal.setitimer(signal.ITIMER_PROF, DEADLINE)  # whose signal ends the process
    try:
        READERS[name](run, out)
    except SystemExit as left:
        outcome.code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException as error:
        outcome.code = 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = next((f for f in reversed(traceback.extract_tb(error.__traceback__)) if "hessian" in f.filename), place)
        outcome.raised = f"{type(error).__name__}: {error} ({Path(where.filename).name}, {where.name})"[:500]
    sys.stdout.flush()
    sys.stderr.flush()
    signal.setitimer(signal.ITIMER_PROF, 0)
    outcome.peak = _status("VmHWM") - start
    outcome.output, outcome.errors = _printed(work)
    after = snapshot(run), snapshot(outside)
    outcome.changed, outcome.touched = (_differences(*pair) for pair in zip(before, after, strict=True))
    return outcome


def _status(key):
    """A size of this process in bytes, as Linux says it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024
