"""A tree of Fiedler cuts: this package against recursive dense `eigh` with two vectors, the same splits, in one run.

The graph is that of the exact Hessian of the digits network after training. The dense way takes the two smallest
eigenpairs of each part's normalised Laplacian from scipy.linalg.eigh, as code without a factorisation does; everything
else (components, sweep, recursion) is shared. Each way runs in a process of its own, for its peak memory.

    python benchmarks/bipartition.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import torch
from common import parser, report

from hessian_dendrogram import Hessian, coupling_graph, recursive_bipartition
from hessian_dendrogram.experiment_run import new_model, open_run
from hessian_dendrogram.experiments.digits import experiment
from hessian_dendrogram.models.loop import load_weights
from hessian_dendrogram.pipeline import train
from hessian_dendrogram.results.tree import Laplacian
from hessian_dendrogram.solvers.graph import bipartition
from hessian_dendrogram.solvers.graph.laplacian import ConnectedGraph, FiedlerVector

REPEATS = 4


class DenseGraph(ConnectedGraph):
    """The same graph with a dense eigensolver."""

    def fiedler_vector(self, laplacian: Laplacian) -> FiedlerVector:
        """Two eigenpairs of the normalised Laplacian, without λ₂ and the third eigenvalue, which would take more."""
        root = np.sqrt(self.degrees)
        L = np.eye(len(root)) - self._weights / root[:, None] / root
        values, vectors = scipy.linalg.eigh(L, subset_by_index=[0, 1], overwrite_a=True)
        v = vectors[:, 1] / root
        v *= np.sign(v[np.abs(v).argmax()]) / np.linalg.norm(v)
        return FiedlerVector(
            laplacian=laplacian, eigenvalue=values[1], next_eigenvalue=np.inf, vector=v, connectivity=np.nan
        )


def one(way: str, file: str) -> None:
    """Store the least seconds that a tree takes, the process's peak memory in bytes, and the tree."""
    W = np.load(file)
    if way == "dense":
        vars(bipartition)["ConnectedGraph"] = DenseGraph
    recursive_bipartition(W)  # a process's first use of so much memory is slow
    seconds = np.inf
    for _ in range(REPEATS):
        start = time.perf_counter()
        tree = recursive_bipartition(W)
        seconds = min(seconds, time.perf_counter() - start)
    # Not getrusage, whose peak is inherited from the parent process.
    peak = 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    np.savez(
        f"{file}.{way}.npz", seconds=seconds, peak=peak, order=tree.order, starts=tree.starts, parents=tree.parents
    )


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--one", nargs=2, metavar=("WAY", "FILE"))
    chosen = options.parse_args()
    if chosen.one:
        one(*chosen.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "graph.npy")
        with open_run(experiment, Path(folder) / "run") as (run, load):
            train(experiment, run, load)
            model = new_model(experiment)
            load_weights(model, run, experiment.steps)
            data, _ = load()
        W = coupling_graph(Hessian(model, experiment.loss, data, dtype=torch.float64).to_dense().numpy())
        np.save(file, W)
        found: dict[str, Any] = {}
        for way in ("package", "dense"):
            subprocess.run([sys.executable, __file__, "--one", way, file], check=True)
            found[way] = dict(np.load(f"{file}.{way}.npz"))
    ours, dense = found["package"], found["dense"]
    same = all(np.array_equal(ours[name], dense[name]) for name in ("order", "starts", "parents"))
    rows = [
        [name, f"{way['seconds']:.1f}", f"{dense['seconds'] / way['seconds']:.1f}", f"{way['peak'] / W.nbytes:.1f}"]
        for name, way in (("this package", ours), ("scipy.linalg.eigh, two vectors", dense))
    ]
    caption = (
        f"Digits after {experiment.steps} steps: {len(W):,} parameters, {len(ours['order']):,} of them coupled, "
        f"{len(ours['starts']):,} nodes, {'the same' if same else 'NOT the same'} splits; {torch.get_num_threads()} "
        f"threads, the least of {REPEATS}. Peak memory of the process in units of the matrix."
    )
    report("bipartition", caption, [["way", "s", "times as fast", "peak memory"], *rows], chosen.into)


if __name__ == "__main__":
    main()
