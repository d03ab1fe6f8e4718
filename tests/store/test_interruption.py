"""Whatever interrupts a writing command, and at whichever of its changes: nothing stored is lost, and it can go on.

In this suite every change is looked at where a killed process and a power cut are concerned, elsewhere every so many;
with `-m slow` all of them.
"""

import json
import os
import subprocess
import sys

import pytest

from interruption import KINDS
from places import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and reads /proc/self/fd")

EVERY = {"full": 17, "fault": 29, "signal": 41, "lock removed": 31, "two at once": 5, "swept": 41, "metrics cut": 37}
"""Every how many changes are looked at; where a kind is not named, all."""

PAIRS = [(kind, name) for kind, (_, names) in KINDS.items() for name in names]
FEW = {"export": 3, "plot": 7, "plot --to": 7}
"""Of commands that make few changes, every so many at most."""


@pytest.fixture(scope="module")
def wrong():
    """Asks a process that has imported everything for all cases of a command and a kind."""
    line = [sys.executable, str(ROOT / "tests" / "helpers" / "interruption.py"), "--serve"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:

        def ask(*question):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_nothing_is_lost_and_the_same_command_goes_on(wrong, kind, name):
    cases = wrong(name, kind, min(EVERY.get(kind, 1), FEW.get(name, 1000)))
    assert cases
    assert [problem for problems in cases for problem in problems] == []


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name in PAIRS if kind in EVERY])
def test_nothing_is_lost_at_any_change(wrong, kind, name):
    cases = wrong(name, kind, 1)
    assert [problem for problems in cases for problem in problems] == []


CHANGES = """
import os, shutil, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
sys.path.insert(0, sys.argv[1])
from file_changes import FileChanges

Path("deep/folder").mkdir(parents=True)
os.chdir("deep")
seen = []
changes = FileChanges(Path.cwd(), lambda change: seen.append(str(change)))

with open("plain", "w") as file:
    file.write("12")
print(changes.not_flushed())
with Path("plain").open("ab") as file:
    file.write(b"345")
    file.flush()
    os.fsync(file.fileno())
    file.write(b"678")
print(changes.not_flushed())
with Path("plain").open("r+b") as file:
    file.truncate(1)
print(changes.not_flushed(), Path("plain").read_bytes())
folder = os.open("folder", os.O_RDONLY)
inside = os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
os.write(inside, b"1234")
os.close(inside)
np.save("array.npy", np.zeros(3))
save_file({"a": np.zeros(3)}, "tensors")
os.replace("plain", "other")
shutil.rmtree("folder")
Path("../outside").write_text("12")
print(changes.not_flushed(), changes.not_seen(), np.load("array.npy"))
print(*seen, sep=", ")
"""


def test_every_change_below_a_folder_is_seen_before_it_is_made(tmp_path):
    line = [sys.executable, "-c", CHANGES, str(ROOT / "tests" / "helpers")]
    result = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "{'plain': 0}",
        "{'plain': 5}",
        "{} b'1'",
        "{'array.npy': 0, 'tensors': 0} [] [0. 0. 0.]",
        "create plain, write plain, write plain, "
        "open plain, write plain, write plain, flush plain, write plain, write plain, "
        "open plain, os.truncate plain, "
        "create folder/file, write folder/file, write folder/file, "
        "create array.npy, write array.npy, write array.npy, save tensors, save tensors, "
        "os.rename other, os.remove folder/file, os.rmdir folder",
    ]
