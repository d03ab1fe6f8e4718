"""The command in a process of its own, and what it says when it refuses."""

import atexit
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

TORCH_IS_MISSING = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Blocker())
"""
NO_TORCH = f"{TORCH_IS_MISSING}from hessian_dendrogram.entry import main\nmain()\n"


def command(*arguments, cwd=None, start=("-m", "hessian_dendrogram"), **options):
    """The command in an interpreter of its own, which imports everything first."""
    line = [sys.executable, *start, *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False, **options)


@functools.cache
def _server():
    """A process that has imported everything; one for each process of tests, ended with it."""
    program = Path(__file__).with_name("command_server.py")
    process = subprocess.Popen([sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end():
        process.stdin.close()
        process.stdout.close()
        process.wait()

    atexit.register(end)
    return process


def quick_command(*arguments, cwd=None):
    """The command in a process of its own, without the time that imports take."""
    if sys.platform != "linux":
        return command(*arguments, cwd=cwd)
    process = _server()
    with tempfile.TemporaryDirectory() as folder:
        printed = {name: Path(folder) / name for name in ("output", "errors")}
        question = {"arguments": list(map(str, arguments)), "folder": str(cwd or Path.cwd())}
        process.stdin.write(json.dumps(question | {name: str(path) for name, path in printed.items()}) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        said = [path.read_text(encoding="utf-8") for path in printed.values()]
    return subprocess.CompletedProcess(arguments, code, *said)


def error_of(result, code):
    """The last line, once it is the only error and the exit code is right."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert result.stderr.splitlines()[-1] == lines[0]
    return lines[0]
