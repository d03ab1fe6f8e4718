"""Both ends of the spectrum of the modular-addition network: this package and its peers on one checkpoint, in one run.

Everyone gets float64 and all training pairs. Whatever a peer returns is judged by the same rule: the true residual of
its vector, at most `--tolerance` (bottom: `--bottom-tolerance`) times the largest magnitude of that end. SciPy's eigsh
gets this package's products; hessian-eigenthings as many Lanczos steps as this package took products, once for each
end; PyHessian, which has power iteration alone, is timed on a few of its eigenvalues. A peer that is not installed
(benchmarks/requirements.txt) is left out, one that is slower than `--limit` seconds at an end is stopped.

    python benchmarks/lanczos.py
    python benchmarks/lanczos.py --run runs/modular-addition --step 2000 --bottom-tolerance 1e-3
"""

from __future__ import annotations

import importlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import parser, report
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from hessian_dendrogram import Hessian, Run, lanczos_spectrum
from hessian_dendrogram.experiments.modular_addition import Transformer, loss, split

Found = tuple[np.ndarray, np.ndarray]  # eigenvalues, and eigenvectors as columns
POWER_ITERATIONS = 3  # eigenvalues of PyHessian


class StoppedError(Exception):
    """The time of a peer is over."""


@contextmanager
def time_limit(hessian: Hessian, limit: float) -> Iterator[list[int]]:
    """Count the products with this operator, and stop whatever runs after `limit` seconds."""
    count, original = [0], hessian._products

    def counted(V: torch.Tensor) -> torch.Tensor:
        count[0] += V.shape[1]
        return original(V)

    def stop(*_: object) -> None:
        raise StoppedError

    hessian._products = counted  # type: ignore[method-assign]
    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield count
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        hessian._products = original  # type: ignore[method-assign]


def scipy_end(hessian: Hessian, which: str, k: int, tolerance: float) -> Found:
    """One end by implicitly restarted Lanczos; what has converged where it gives up."""
    operator: LinearOperator = hessian.to_scipy()
    try:
        values, vectors = eigsh(operator, k=k, which=which, tol=tolerance)
    except ArpackNoConvergence as error:
        values, vectors = error.eigenvalues, error.eigenvectors
    return values, vectors


def eigenthings_end(model: torch.nn.Module, data: Any, which: str, k: int, steps: int) -> Found:
    """One end by `steps` Lanczos steps with full reorthogonalisation."""
    library: Any = importlib.import_module("hessian_eigenthings")
    operator = library.HessianOperator(model, [data], library.supervised_loss(loss))
    result = library.lanczos(operator, k=k, max_iter=steps, which=which, reorthogonalize=True, seed=0)
    return result.eigenvalues.numpy(), result.eigenvectors.numpy().T


def power_iteration(model: torch.nn.Module, data: Any, count: int) -> Found:
    """The eigenvalues of largest magnitude, one after another."""
    library: Any = importlib.import_module("pyhessian")
    values, vectors = library.hessian(model, loss, data=data, cuda=False).eigenvalues(
        maxIter=1000, tol=1e-8, top_n=count
    )
    columns = [torch.cat([part.reshape(-1) for part in vector]).numpy() for vector in vectors]
    return np.array(values), np.stack(columns, axis=1)


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--run", type=Path, help="a run directory; default the untrained network")
    options.add_argument("--step", type=int, default=0)
    options.add_argument("--fraction", type=float, default=0.3)
    options.add_argument("--pairs", type=int, default=200, help="at each end")
    options.add_argument("--tolerance", type=float, default=1e-6)
    options.add_argument("--bottom-tolerance", type=float, default=1e-6)
    options.add_argument("--max-products", type=int, default=4000)
    options.add_argument("--limit", type=float, default=300, help="seconds that a peer has for one end")
    chosen = options.parse_args()
    torch.manual_seed(42)
    model, k = Transformer(), chosen.pairs  # in float32, as the experiment's first checkpoint
    torch.set_default_dtype(torch.float64)  # PyHessian makes its vectors in the default type
    model = model.double()
    if chosen.run:
        weights = Run(chosen.run).weights(chosen.step)
        model.load_state_dict({name: torch.as_tensor(np.array(array)) for name, array in weights.items()})
    data, _ = split(None, fraction=chosen.fraction)
    hessian = Hessian(model, loss, data, batch_size=len(data[1]))
    hessian.take_fastest()
    rows: list[list[str]] = []
    scales: dict[str, float] = {}

    def judge(found: Found, end: str) -> int:
        """How many different pairs are within the tolerance."""
        values, vectors = found
        X = torch.as_tensor(np.ascontiguousarray(vectors))
        X = X / X.norm(dim=0)
        residuals = (hessian.matmat(X) - X * torch.as_tensor(np.array(values))).norm(dim=0)
        tolerance = chosen.tolerance if end == "top" else chosen.bottom_tolerance
        good = X[:, residuals <= tolerance * scales[end]]
        return int(torch.linalg.matrix_rank(good.T @ good, hermitian=True, rtol=1e-3)) if good.shape[1] else 0

    def add(name: str, seconds: float, products: str, top: int | None, bottom: int | None) -> None:
        pairs = (top or 0) + (bottom or 0)
        shown = ["-" if number is None else str(number) for number in (top, bottom)]
        rows.append([name, f"{seconds:.0f}", products, *shown, f"{pairs / seconds:.3g}"])
        print(rows[-1], flush=True)

    start = time.perf_counter()
    ours = lanczos_spectrum(
        hessian,
        top=k,
        bottom=k,
        tolerance=chosen.tolerance,
        bottom_tolerance=chosen.bottom_tolerance,
        max_products=chosen.max_products,
        trace_probes=0,
    )
    seconds = time.perf_counter() - start
    scales.update(top=abs(float(ours.eigenvalues[-1])), bottom=abs(float(ours.eigenvalues[0])))
    found = {
        "top": judge((ours.eigenvalues[k:], ours.eigenvectors[:, k:]), "top"),
        "bottom": judge((ours.eigenvalues[:k], ours.eigenvectors[:, :k]), "bottom"),
    }
    steps = int(ours.provenance["products"]) - 2 * k
    add("this package", seconds, f"{ours.provenance['products']:,}", found["top"], found["bottom"])
    start = time.perf_counter()
    top = lanczos_spectrum(hessian, top=k, bottom=0, tolerance=chosen.tolerance, trace_probes=0)
    seconds = time.perf_counter() - start
    number = judge((top.eigenvalues, top.eigenvectors), "top")
    add("this package, the top alone", seconds, f"{top.provenance['products']:,}", number, None)
    peers: dict[str, Callable[[str], Found]] = {
        "SciPy eigsh, the same products": lambda which: scipy_end(
            hessian, which, k, chosen.tolerance if which == "LA" else chosen.bottom_tolerance
        ),
        "hessian-eigenthings, Lanczos": lambda which: eigenthings_end(model, data, which, k, steps),
    }
    for name, peer in peers.items():
        for which, end in (("LA", "top"), ("SA", "bottom")):
            start, number = time.perf_counter(), 0
            try:
                with time_limit(hessian, chosen.limit) as count:
                    result = peer(which)
                seconds = time.perf_counter() - start
                number = judge(result, end)
                note = ""
            except ImportError as error:
                print(f"({name} is left out: {error})")
                break
            except StoppedError:
                seconds, note = time.perf_counter() - start, ", stopped"
            products = "-" if note and not count[0] else f"{count[0] or steps:,}"
            add(f"{name}, {end}{note}", seconds, products, *((number, None) if end == "top" else (None, number)))
    try:
        start = time.perf_counter()
        result = power_iteration(model, data, POWER_ITERATIONS)
        add(
            f"PyHessian, power iteration, {POWER_ITERATIONS} of the top",
            time.perf_counter() - start,
            "-",
            judge(result, "top"),
            None,
        )
    except ImportError as error:
        print(f"(PyHessian is left out: {error})")
    caption = (
        f"Modular addition, {hessian.shape[0]:,} parameters, {len(data[1]):,} pairs, step {chosen.step}, float64, "
        f"{torch.get_num_threads()} threads; {k} + {k} pairs, within {chosen.tolerance:g} (top) and "
        f"{chosen.bottom_tolerance:g} (bottom) of the largest magnitude of their end "
        f"({scales['top']:.3g}, {scales['bottom']:.3g}). A peer has {chosen.limit:g} s for an end."
    )
    header = ["way", "seconds", "products", "pairs at the top", "at the bottom", "pairs per second"]
    report(f"lanczos step {chosen.step}", caption, [header, *rows], chosen.into)


if __name__ == "__main__":
    main()
