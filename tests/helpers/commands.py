"""The command in a process of its own, and what it says when it refuses."""

import subprocess
import sys

NO_TORCH = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Blocker())
from hessian_dendrogram.entry import main
main()
"""


def command(*arguments, cwd=None, start=("-m", "hessian_dendrogram"), **options):
    line = [sys.executable, *start, *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False, **options)


def error_of(result, code):
    """The last line, once it is the only error and the exit code is right."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert result.stderr.splitlines()[-1] == lines[0]
    return lines[0]
