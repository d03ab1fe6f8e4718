"""What starting costs: importing the package and `--help`, against importing NumPy alone, in one run."""

from __future__ import annotations

import subprocess
import sys
import time


def seconds(*arguments: str) -> float:
    """The least time of five runs of Python with these arguments."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    numpy = seconds("-c", "import numpy")
    for name, arguments in {
        "import hessian_dendrogram": ["-c", "import hessian_dendrogram"],
        "hessian-dendrogram --help": ["-m", "hessian_dendrogram", "--help"],
        "hessian-dendrogram run --help": ["-m", "hessian_dendrogram", "run", "--help"],
    }.items():
        time_taken = seconds(*arguments)
        print(f"{name:32} {time_taken:6.2f} s, {time_taken / numpy:5.2f} x importing NumPy")


if __name__ == "__main__":
    main()
