"""What counts as a failure of a reader that was given a damaged run, and how it is counted."""

import json
import re
import signal
from collections import Counter
from dataclasses import dataclass, field

from damage_readers import PROBLEM

LONGEST = 2000
KINDS = {
    "traceback": "a traceback",
    "unexpected": 'an error called "unexpected"',
    "notebook": "an exception that a notebook does not catch",
    "hang": "hung",
    "killed": "ended by another signal",
    "memory": "too much memory",
    "touched": "a file outside touched",
    "changed": "a file of the run changed",
    "accepted": "wrong accepted that a type or a range tells",
    "accepted checksum": "wrong accepted that a checksum tells",
    "unnamed": "an error that does not name the file",
    "lines": "an error of several lines, or none",
    "long": "a line over 2,000 characters",
    "not JSON": "info --json printed no strict JSON",
    "escape": "a control character printed",
}
_SPARE = 128 * 2**20  # bytes of memory that any reader may use beside: a JSON file takes twenty times its size
_SAYS = re.compile(r"damaged|missing|cannot be|refus|left out|is a (link|folder)|no analysis\.json", re.IGNORECASE)
_KNOWN = ("figures: ", "left out: ", "error: ", "warning: ")


@dataclass
class Failure:
    """One thing that a reader did wrong with one mutant."""

    kind: str
    mutant: object
    reader: str
    detail: str

    def __str__(self):
        return f"{self.mutant.name} -> {self.reader}: {KINDS[self.kind]}: {self.detail:.300}"

    def to_json(self):
        return json.dumps([self.kind, self.mutant.name, self.mutant.kind, self.reader, self.detail[:500]])


@dataclass
class Tally:
    """What many mutants came to."""

    mutants: int = 0
    calls: int = 0
    told: int = 0
    counts: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)

    def add(self, mutant, found, failures):
        self.mutants += 1
        self.calls += len(found)
        self.told += any(_told(mutant, outcome) for outcome in found)
        self.counts.update(failure.kind for failure in failures)
        self.failures += failures

    def table(self):
        rows = {"mutants": self.mutants, "calls": self.calls, "told by some reader": self.told}
        rows |= {text: self.counts[kind] for kind, text in KINDS.items()}
        rows["mutants with a failure"] = len({failure.mutant.name for failure in self.failures})
        return "\n".join(f"{count:>8,}  {text}" for text, count in rows.items())


def judge(mutant, found, *, size=0, usual=None):
    """The failures of all readers of one mutant.

    Args:
        mutant: what was done to the run; `None` to an undamaged one, which every reader must accept.
        found: what the readers did.
        size: bytes of the damaged run.
        usual: the memory by reader of the undamaged run.
    """
    failures = []
    for outcome in found:
        spare = (usual or {}).get(outcome.reader, 2**40) + 2 * size + _SPARE
        pairs = [*_of_process(outcome, spare), *_of_texts(mutant, outcome), *_of_files(outcome)]
        failures += [Failure(kind, mutant, outcome.reader, detail) for kind, detail in pairs]
    serious = {failure.kind for failure in failures} - {"unnamed", "lines", "long", "escape"}
    if mutant.refused_by and not serious and not any(_told(mutant, outcome) for outcome in found):
        kind = "accepted" if mutant.refused_by == "type" else "accepted checksum"
        failures.append(Failure(kind, mutant, "every reader", f"{len(found)} readers said nothing"))
    return failures


def _of_process(outcome, most_memory):
    if outcome.signal in (signal.SIGALRM, signal.SIGPROF):
        yield "hang", "it sleeps" if outcome.signal == signal.SIGALRM else "no answer in time"
    elif outcome.signal:
        yield "killed", signal.Signals(outcome.signal).name
    if outcome.peak > most_memory:
        yield "memory", f"{outcome.peak / 1e6:.0f} MB, where {most_memory / 1e6:.0f} MB would do"
    if outcome.raised:
        kind = "traceback" if _is_command(outcome) else "notebook"
        yield ("memory" if "MemoryError" in outcome.raised else kind), outcome.raised
    elif "Traceback (most recent call last)" in outcome.errors:
        yield "traceback", outcome.errors.splitlines()[-1]


def _of_texts(mutant, outcome):
    lines = [line for line in outcome.errors.splitlines() if line]
    errors = [line for line in lines if line.startswith("error: ")]
    for line in _problems(outcome):
        if "(unexpected" in line:
            yield ("memory" if "MemoryError" in line else "unexpected"), line
        elif not any(name in line for name in mutant.names):
            yield "unnamed", line
    if _is_command(outcome) and not outcome.signal and not outcome.raised:
        stray = [line for line in lines if not line.startswith(_KNOWN) and not re.search(r" MB$", line)]
        if stray:
            yield "lines", stray[0]
        elif len(errors) != int(outcome.code != 0):
            yield "lines", f"exit code {outcome.code} with {len(errors)} lines of error"
    if any(len(line) > LONGEST for line in (*lines, *_problems(outcome))):
        yield "long", f"{max(map(len, lines), default=0):,} characters"
    if found := re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", outcome.output + outcome.errors):
        yield "escape", repr(found[0])
    if outcome.reader == "info --json" and outcome.code == 0 and not outcome.raised:
        try:
            json.loads(outcome.output, parse_constant=_refuse)
        except ValueError as error:
            yield "not JSON", str(error)


def _refuse(text):
    raise ValueError(f"{text} is no JSON")


def _of_files(outcome):
    if outcome.touched:
        yield "touched", ", ".join(outcome.touched)
    allowed = ("figures", ".lock") if outcome.reader == "plot" else ()
    changed = [path for path in outcome.changed if not path.startswith(allowed) or not allowed]
    if outcome.reader == "plot":  # which may sweep away what a killed writer left
        changed = [path for path in changed if ".partial" not in path]
    if changed:
        yield "changed", ", ".join(changed)


def _is_command(outcome):
    return not outcome.reader.startswith(("notebook", "tables", "weights"))


def _problems(outcome):
    """The lines that tell what is wrong."""
    lines = [line for line in outcome.errors.splitlines() if line.startswith(("error: ", "left out: ", "warning: "))]
    if not _is_command(outcome):
        lines += [line for line in outcome.output.splitlines() if line.startswith(PROBLEM)]
    return lines


def _told(mutant, outcome):
    """Whether a reader says that something is wrong."""
    if _problems(outcome):
        return True
    return outcome.reader == "info" and any(_SAYS.search(line) for line in outcome.output.splitlines())
