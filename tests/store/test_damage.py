"""A damaged run directory is told in one line, by every reader; nobody is hung, and nothing outside is touched.

What is damaged, how, and what counts as a failure stands in `damage.py` and beside it. Every chunk is a process of its
own, which forks a child for every mutant: a reader may hang or fill the memory there, and no thread of pytest's is
copied.
"""

import json
import signal
import subprocess
import sys

import pytest

from damage_child import Outcome
from damage_files import Mutant
from damage_judge import judge
from damage_readers import PROBLEM
from places import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured and limited as on Linux")
PROGRAM = ROOT / "tests" / "helpers" / "damage.py"
CHUNKS, MUTANTS = 1, 240


def failures(tmp_path, *options):
    """The failures that the program found, as lines."""
    file = tmp_path / "failures.json"
    command = [sys.executable, str(PROGRAM), "--json", str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "mutants with a failure" in done.stdout  # it came to its end
    rows = map(json.loads, file.read_text().splitlines())
    return [f"{name} -> {reader}: {kind}: {detail:.200}" for kind, name, _, reader, detail in rows]


MUTANT = Mutant("metrics.csv", "made up", None, "type")
TOLD = "error: RUN/metrics.csv is damaged\n"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (None, Outcome("info", 1, errors=TOLD)),
        (None, Outcome("export", 0, errors="left out: metrics.csv is damaged\nRUN/page.html: 3 charts, 5.0 MB\n")),
        (None, Outcome("info", 0, output="RUN/metrics.csv is a link\n")),
        (None, Outcome("notebook parameter-dendrogram", 0, output=f"{PROBLEM}metrics.csv is damaged\n")),
        (None, Outcome("plot", 1, errors=TOLD, changed=["figures/gaps.png", ".lock"])),
        ("accepted", Outcome("info", 0, output="RUN: all is well\n")),
        ("traceback", Outcome("info", 1, raised="ValueError: metrics.csv (run.py, metrics)")),
        ("traceback", Outcome("info", 1, errors=f"Traceback (most recent call last):\n{TOLD}")),
        ("unexpected", Outcome("info", 1, errors="error: KeyError: 'a' (unexpected; run again with --debug)\n")),
        (
            "notebook",
            Outcome("notebook parameter-dendrogram", 1, raised="DamagedRunError: metrics.csv (tree.py, show)"),
        ),
        ("hang", Outcome("info", None, signal.SIGALRM)),
        ("killed", Outcome("info", None, signal.SIGSEGV)),
        ("memory", Outcome("info", 1, errors=TOLD, peak=10**9)),
        ("memory", Outcome("info", 1, raised="MemoryError:  (run.py, metrics)")),
        ("touched", Outcome("info", 1, errors=TOLD, touched=["kept.txt"])),
        ("changed", Outcome("plot", 1, errors=TOLD, changed=["run.json"])),
        ("changed", Outcome("info", 1, errors=TOLD, changed=["figures"])),
        ("unnamed", Outcome("info", 1, errors="error: something is damaged\n")),
        ("unnamed", Outcome("notebook parameter-dendrogram", 0, output=f"{PROBLEM}something is damaged\n")),
        ("unnamed", Outcome("export", 0, errors="left out: filters: KeyError: 'conv'\n")),
        ("lines", Outcome("info", 1)),
        ("lines", Outcome("info", 1, errors=TOLD * 2)),
        ("lines", Outcome("info", 1, errors=f"{TOLD}and more\n")),
        ("lines", Outcome("info", 1, errors=f"a.py:3: RuntimeWarning: overflow\n{TOLD}")),
        ("long", Outcome("info", 1, errors=f"{TOLD[:-1]} {'x' * 2000}\n")),
        ("not JSON", Outcome("info --json", 0, output='{"a": NaN}\n')),
        ("not JSON", Outcome("info --json", 0, output="metrics.csv is damaged\n")),
        ("escape", Outcome("info", 1, errors=f"{TOLD[:-1]}\x1b[31m\n")),
    ],
)
def test_the_judge_knows_every_failure(kind, outcome):
    usual = dict.fromkeys([outcome.reader], 10**8)
    found = {failure.kind for failure in judge(MUTANT, [outcome], size=10**8, usual=usual)}
    assert kind in found if kind else not found


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_damage_is_told(tmp_path, chunk):
    found = failures(tmp_path, "--mutants", str(CHUNKS * MUTANTS), "--chunk", f"{chunk}/{CHUNKS}")
    assert not found, f"{len(found)} failures:\n" + "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(8))
def test_every_systematic_damage_is_told(tmp_path, chunk):
    found = failures(tmp_path, "--mutants", "1000000", "--seed", "1", "--chunk", f"{chunk}/8")
    assert not found, f"{len(found)} failures:\n" + "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_damage_is_told_by_every_reader_beside_other_analyses(tmp_path, seed):
    found = failures(tmp_path, "--mutants", "400", "--seed", str(seed), "--thorough")
    assert not found, f"{len(found)} failures:\n" + "\n".join(found)
