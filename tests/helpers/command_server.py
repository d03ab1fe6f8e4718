"""Runs the command for each line that it reads, in a child forked from this process, which has imported everything.

A line is JSON: the arguments, the folder to run in, and the files for what is printed; the answer is the exit code. The
process has one thread alone, for which forking is safe.
"""

import json
import os
import sys
import traceback

import matplotlib.figure  # noqa: F401
import plotly.graph_objects  # noqa: F401
import torch.func
import torch.optim.lr_scheduler  # noqa: F401

import hessian_dendrogram.cli
import hessian_dendrogram.entry
import hessian_dendrogram.figures
import hessian_dendrogram.pipeline
import quick_figures


def run(arguments: list[str], folder: str, output: str, errors: str) -> None:
    """Become the command, and end with its exit code."""
    code = 99
    try:
        os.chdir(folder)
        for number, path, mode in ((0, os.devnull, "r"), (1, output, "w"), (2, errors, "w")):
            with open(path, mode) as file:  # noqa: PTH123
                os.dup2(file.fileno(), number)
        sys.path[0] = folder  # as of `python -m`
        sys.argv = ["hessian-dendrogram", *arguments]
        try:
            hessian_dendrogram.entry.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Serve until the input ends."""
    quick_figures.be_quick()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
