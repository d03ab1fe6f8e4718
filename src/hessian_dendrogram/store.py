"""Run: one run directory. The only module that knows its paths and formats.

    run.json                          format version, configuration, layout, provenance
    metrics.csv                       loss and accuracy over training; a cell is empty where nothing was measured
    training_state/00000500/          optimiser and random state of the latest checkpoint, for an exact resume
    checkpoints/00000500/model.safetensors
    analyses/hessian-1437/analysis.json
    analyses/hessian-1437/00000500/   eigenvalues.npy, error_bounds.npy, eigenvectors.npy, ..., spectrum.json
    analyses/hessian-1437.fiedler/00000500/   order.npy, parents.npy, ..., picture.npy, tree.json
    figures/hessian-1437/*.png, *.pdf

A folder is written beside its place, flushed, and renamed in; it is never changed afterwards. A training state is
written before its checkpoint and an older one removed after it, so the latest checkpoint of a trained run always has
its state. The directory is untrusted input to a reader: nothing in it is executed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from . import atomic
from .bipartition import BipartitionTree
from .errors import DamagedRunError, LockedRunError, UserError
from .layout import Layout
from .spectrum import Spectrum

FORMAT_VERSION = 1
Arrays = Mapping[str, NDArray[Any]]

_VALUES = ("eigenvalues", "error_bounds", "converged")
_VECTORS = ("eigenvectors", "vector_indices")
_NODES = ("starts", "stops", "parents", "eigenvalues", "connectivities", "conductances", "is_degenerate")
_TREE = ("order", "isolated", *_NODES)
BIPARTITION = ".fiedler"
"""How the name of an analysis ends that has trees instead of spectra."""


class Run:
    """One run directory, opened for reading; writing needs `lock()`.

    Args:
        path: the directory.

    Raises:
        UserError: it is no run directory, or one of a newer format.
        DamagedRunError: its run.json cannot be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not (self.path / "run.json").is_file():
            raise UserError(f"{self.path} is no run directory: it has no run.json")
        self.record: dict[str, Any] = atomic.read_json(self.path / "run.json")
        version = self.record.get("format_version") if isinstance(self.record, dict) else None
        if not isinstance(version, int):
            raise DamagedRunError(f"{self.path / 'run.json'} is damaged: it has no format_version")
        if version > FORMAT_VERSION:
            raise UserError(
                f"{self.path} has format version {version}, this program reads up to {FORMAT_VERSION}; "
                "install a newer hessian-dendrogram"
            )
        if not all(isinstance(self.record.get(key, {}), dict) for key in ("configuration", "provenance")):
            raise DamagedRunError(f"{self.path / 'run.json'} is damaged: its configuration or provenance is no mapping")
        try:
            self.layout = Layout.from_json(self.record["layout"])
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedRunError(
                f"{self.path / 'run.json'} is damaged: its layout cannot be read ({error!r})"
            ) from None

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def configuration(self) -> dict[str, Any]:
        """What makes this run the run that it is: experiment, parameters, source hash, data digest."""
        return dict(self.record.get("configuration", {}))

    def steps(self) -> list[int]:
        """The training steps that have a checkpoint, ascending."""
        return _step_folders(self.path / "checkpoints")

    def weights(self, step: int) -> dict[str, NDArray[Any]]:
        """The named tensors of the model's state at a checkpoint, parameters and buffers."""
        return _load_tensors(self._step_folder(self.path / "checkpoints", step, "checkpoint") / "model.safetensors")

    def metrics(self) -> dict[str, NDArray[np.float64]]:
        """Columns of metrics.csv, each of shape (rows,); NaN where nothing was measured. Empty before training."""
        rows = self._metric_rows()
        if not rows:
            return {}
        try:
            table = [[float(cell) if cell else np.nan for cell in row] for row in rows[1:]]
        except ValueError as error:
            raise DamagedRunError(f"{self.path / 'metrics.csv'} is damaged: {error}") from None
        if any(len(row) != len(rows[0]) for row in table):
            raise DamagedRunError(f"{self.path / 'metrics.csv'} is damaged: its rows differ in length")
        columns = np.array(table, dtype=np.float64).reshape(-1, len(rows[0]))
        return {name: columns[:, i] for i, name in enumerate(rows[0])}

    def analyses(self) -> list[str]:
        """Names of the stored analyses with spectra, in alphabetical order."""
        return [name for name in self._analysis_names() if not name.endswith(BIPARTITION)]

    def bipartition_analyses(self) -> list[str]:
        """Names of the stored analyses with trees, in alphabetical order."""
        return [name for name in self._analysis_names() if name.endswith(BIPARTITION)]

    def analysis(self, name: str | None = None) -> dict[str, Any]:
        """The configuration of an analysis, and its provenance."""
        file = self._analysis_folder(name) / "analysis.json"
        record = atomic.read_json(file)
        if not (isinstance(record, dict) and isinstance(record.get("configuration"), dict)):
            raise DamagedRunError(f"{file} is damaged: it has no configuration")
        return record

    def analysed_steps(self, analysis: str | None = None) -> list[int]:
        """The steps at which an analysis has a spectrum, ascending."""
        return _step_folders(self._analysis_folder(analysis))

    def spectrum(self, step: int, analysis: str | None = None, *, vectors: bool = True) -> Spectrum:
        """The spectrum at a step.

        Args:
            step: one of `analysed_steps(analysis)`.
            analysis: its name; may be left out where there is only one.
            vectors: read the eigenvectors, too; they are by far the largest part.

        Raises:
            UserError: there is none; the message lists what there is.
            DamagedRunError: a file is missing, truncated, or contradicts another.
        """
        folder = self._spectrum_folder(step, analysis)
        facts = atomic.read_json(folder / "spectrum.json")
        arrays: dict[str, Any] = {
            name: atomic.read_array(folder / f"{name}.npy") for name in (*_VALUES, *(_VECTORS if vectors else ()))
        }
        try:
            return Spectrum(
                **arrays,
                dim=int(facts["dim"]),
                num_bottom=int(facts["num_bottom"]),
                num_top=int(facts["num_top"]),
                provenance=dict(facts["provenance"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedRunError(f"{folder} is damaged: {error}") from None

    def shares(self, step: int, analysis: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """How much of each eigenvector lies in each tensor, also of eigenvectors that are not stored any more.

        Returns:
            The numbers of the eigenvalues, shape (m,), and the shares, shape (tensors of the layout, m).
        """
        folder = self._spectrum_folder(step, analysis)
        if not (folder / "shares.npy").exists():
            spectrum = self.spectrum(step, analysis)
            return spectrum.vector_indices, self.layout.shares(spectrum.eigenvectors)
        indices, shares = (atomic.read_array(folder / f"{name}.npy") for name in ("share_indices", "shares"))
        if shares.shape != (len(self.layout.names), len(indices)):
            raise DamagedRunError(f"{folder} is damaged: shares of shape {shares.shape} for {len(indices)} vectors")
        return indices, shares

    def measures(self, step: int, analysis: str | None = None) -> dict[str, Any]:
        """What the experiment's own hook measured at a step."""
        folder = self._spectrum_folder(step, analysis)
        measures: dict[str, Any] = atomic.read_json(folder / "measures.json")
        return measures

    def bipartition(self, step: int, analysis: str | None = None) -> BipartitionTree:
        """The tree of recursive Fiedler cuts at a step.

        Args:
            step: one of `analysed_steps(analysis)`.
            analysis: one of `bipartition_analyses()`; may be left out where there is only one.

        Raises:
            UserError: there is none; the message lists what there is.
            DamagedRunError: a file is missing, truncated, or contradicts another.
        """
        folder = self._tree_folder(step, analysis)
        facts = atomic.read_json(folder / "tree.json")
        arrays: dict[str, Any] = {name: atomic.read_array(folder / f"{name}.npy") for name in _TREE}
        for name, array in arrays.items():
            if array.dtype == np.int32:
                arrays[name] = array.astype(np.int64)
        try:
            return BipartitionTree(
                **arrays,
                size=int(facts["size"]),
                laplacian=facts["laplacian"],
                split=facts["split"],
                min_size=int(facts["min_size"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedRunError(f"{folder} is damaged: {error}") from None

    def bipartition_provenance(self, step: int, analysis: str | None = None) -> dict[str, Any]:
        """Where the Hessian of a tree comes from: operator, samples, dtype."""
        facts = atomic.read_json(self._tree_folder(step, analysis) / "tree.json")
        return dict(facts["provenance"])

    def coupling_picture(self, step: int, analysis: str | None = None) -> NDArray[np.float32]:
        """Means of |H_ij| over blocks, the parameters in the order of the tree: shape (blocks, blocks)."""
        folder = self._tree_folder(step, analysis)
        picture: NDArray[np.float32] = atomic.read_array(folder / "picture.npy")
        if picture.ndim != 2 or picture.shape[0] != picture.shape[1]:
            raise DamagedRunError(f"{folder} is damaged: a picture of shape {picture.shape}")
        return picture

    def figures_folder(self, analysis: str) -> Path:
        """Where the figures of an analysis belong."""
        return self.path / "figures" / analysis

    def figures_are_current(self, analysis: str) -> bool:
        """Whether the figures were drawn from the spectra that are stored now, and are all still there."""
        folder = self.figures_folder(analysis)
        if not (folder / "drawn.json").is_file():
            return False
        mark = atomic.read_json(folder / "drawn.json")
        files = mark.pop("files", []) if isinstance(mark, dict) else []
        return bool(mark == self._figure_mark(analysis)) and all((folder / str(name)).is_file() for name in files)

    # ── writing, under the lock ──────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def create(
        cls, path: Path | str, *, configuration: Mapping[str, Any], layout: Layout, provenance: Mapping[str, Any]
    ) -> Run:
        """Write a new run's run.json; the directory is there already and locked (see `lock`)."""
        record = {"format_version": FORMAT_VERSION, "configuration": dict(configuration)}
        record |= {"layout": layout.to_json(), "provenance": dict(provenance)}
        atomic.write_json(Path(path) / "run.json", record)
        return cls(path)

    def extend(self, configuration: Mapping[str, Any]) -> None:
        """Replace the stored configuration, for a run that is given more steps."""
        self.record["configuration"] = dict(configuration)
        atomic.write_json(self.path / "run.json", self.record)

    def save_checkpoint(self, step: int, weights: Arrays) -> None:
        """Store the model's state at a step, once."""
        with atomic.new_folder(self.path / "checkpoints" / _folder_name(step)) as folder:
            save_file(_contiguous(weights), folder / "model.safetensors")

    def save_training_state(self, step: int, tensors: Arrays, facts: Mapping[str, Any]) -> None:
        """Store what an exact resume from `step` needs; belongs before `save_checkpoint(step, ...)`."""
        target = self.path / "training_state" / _folder_name(step)
        if target.exists():  # left by a run that was killed before it wrote the checkpoint
            atomic.remove_folder(target)
        with atomic.new_folder(target) as folder:
            save_file(_contiguous(tensors), folder / "tensors.safetensors")
            atomic.write_json(folder / "state.json", dict(facts))

    def training_state(self, step: int) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What `save_training_state` stored for a step."""
        folder = self._step_folder(self.path / "training_state", step, "training state")
        return _load_tensors(folder / "tensors.safetensors"), atomic.read_json(folder / "state.json")

    def remove_older_training_states(self, step: int) -> None:
        """Keep only the training state of `step`."""
        for old in _step_folders(self.path / "training_state"):
            if old != step:
                atomic.remove_folder(self.path / "training_state" / _folder_name(old))

    def append_metrics(self, row: Mapping[str, float | None]) -> None:
        """Add a row to metrics.csv; the first one writes the header. `None` leaves a cell empty.

        A last line without its end, which no reader takes for a row, is replaced.

        Raises:
            DamagedRunError: the columns that the file names are not those of the row.
        """
        file = self.path / "metrics.csv"
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        with file.open("a+b") as stream:
            stream.seek(0)
            header = stream.readline()
            if header.endswith(b"\n"):
                columns = next(csv.reader([header.decode(errors="replace")]), [])
                if sorted(columns) != sorted(row):
                    raise DamagedRunError(
                        f"{file} has the columns {', '.join(columns) or '(none)'}, so a row of {', '.join(row)} cannot "
                        "be added; put back the file that belongs to this run, or train into a new folder"
                    )
                stream.seek(-1, io.SEEK_END)
                if stream.read() != b"\n":
                    stream.seek(0)
                    stream.truncate(stream.read().rfind(b"\n") + 1)
            else:
                stream.truncate(0)
                columns = list(row)
                writer.writerow(columns)
            cells = (row[name] for name in columns)
            writer.writerow("" if cell is None else repr(float(cell)) for cell in cells)
            stream.write(text.getvalue().encode())

    def copy_metrics(self, other: Run) -> None:
        """Take the metrics of another run directory instead of one's own."""
        if rows := other._metric_rows():
            atomic.write_text(self.path / "metrics.csv", "".join(",".join(row) + "\n" for row in rows))

    def truncate_metrics(self, step: int | None) -> None:
        """Drop the rows recorded after `step`, from which training resumes; all of them for `None`."""
        rows = self._metric_rows()
        kept = rows[:1] + [row for row in rows[1:] if step is not None and float(row[0]) <= step]
        if step is None:
            (self.path / "metrics.csv").unlink(missing_ok=True)
        elif rows:
            atomic.write_text(self.path / "metrics.csv", "".join(",".join(row) + "\n" for row in kept))

    def create_analysis(self, name: str, record: Mapping[str, Any]) -> None:
        """Store the configuration and provenance of a new analysis."""
        with atomic.new_folder(self.path / "analyses" / checked_name(name)) as folder:
            atomic.write_json(folder / "analysis.json", dict(record))

    def save_spectrum(
        self,
        step: int,
        analysis: str,
        spectrum: Spectrum,
        measures: Mapping[str, Any],
        *,
        shares: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None,
        vector_dtype: type[np.floating] = np.float64,
    ) -> None:
        """Store a spectrum, its eigenvectors, and the experiment's own measures at a step, once.

        Args:
            step: the training step.
            analysis: its name.
            spectrum: what to store.
            measures: JSON-like values.
            shares: as the method `shares` gives them; default those of the spectrum's eigenvectors.
            vector_dtype: floating-point type of the stored eigenvectors.
        """
        if shares is None:
            shares = spectrum.vector_indices, self.layout.shares(spectrum.eigenvectors)
        facts = {key: getattr(spectrum, key) for key in ("dim", "num_bottom", "num_top")}
        with atomic.new_folder(self._analysis_folder(analysis) / _folder_name(step)) as folder:
            arrays = {name: getattr(spectrum, name) for name in (*_VALUES, *_VECTORS)}
            arrays["eigenvectors"] = arrays["eigenvectors"].astype(vector_dtype)
            arrays["share_indices"], arrays["shares"] = shares
            for name, array in arrays.items():
                np.save(folder / f"{name}.npy", array, allow_pickle=False)
            atomic.write_json(folder / "spectrum.json", facts | {"provenance": dict(spectrum.provenance)})
            atomic.write_json(folder / "measures.json", dict(measures))

    def save_bipartition(
        self,
        step: int,
        analysis: str,
        tree: BipartitionTree,
        picture: NDArray[np.floating],
        provenance: Mapping[str, Any],
    ) -> None:
        """Store a tree, the block-averaged picture of its graph, and where they come from, once."""
        facts = {key: getattr(tree, key) for key in ("size", "laplacian", "split", "min_size")}
        with atomic.new_folder(self._analysis_folder(analysis) / _folder_name(step)) as folder:
            for name in _TREE:
                array = getattr(tree, name)
                if array.dtype == np.int64:  # a graph is a matrix in memory, so 32 bits number its vertices
                    array = array.astype(np.int32)
                np.save(folder / f"{name}.npy", array, allow_pickle=False)
            np.save(folder / "picture.npy", picture.astype(np.float32), allow_pickle=False)
            atomic.write_json(folder / "tree.json", facts | {"provenance": dict(provenance)})

    def mark_figures(self, analysis: str) -> None:
        """Say that the figures are drawn from the spectra that are stored now."""
        folder = self.figures_folder(analysis)
        files = sorted(file.name for kind in ("png", "pdf") for file in folder.glob(f"*.{kind}"))
        atomic.write_json(folder / "drawn.json", {**self._figure_mark(analysis), "files": files})

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _figure_mark(self, analysis: str) -> dict[str, Any]:
        return {"analysed_steps": self.analysed_steps(analysis), "last_checkpoint": self.steps()[-1:]}

    def _metric_rows(self) -> list[list[str]]:
        """Rows of metrics.csv; a last line without its end, from a killed writer, is left out."""
        file = self.path / "metrics.csv"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))

    def _analysis_names(self) -> list[str]:
        return sorted(path.parent.name for path in (self.path / "analyses").glob("*/analysis.json"))

    def _analysis_folder(self, name: str | None, *, trees: bool = False) -> Path:
        names = self.bipartition_analyses() if trees else self.analyses()
        if name is None:
            if len(names) != 1:
                raise UserError(f"{self.path} has {len(names)} analyses; name one of: {', '.join(names) or '(none)'}")
            name = names[0]
        if name not in self._analysis_names():
            raise UserError(f"{self.path} has no analysis {name!r}; it has: {', '.join(names) or '(none)'}")
        return self.path / "analyses" / name

    def _spectrum_folder(self, step: int, analysis: str | None) -> Path:
        if analysis is not None and analysis.endswith(BIPARTITION):
            raise UserError(f"{analysis!r} has trees; with spectra there are: {', '.join(self.analyses()) or '(none)'}")
        return self._step_folder(self._analysis_folder(analysis), step, "spectrum")

    def _tree_folder(self, step: int, analysis: str | None) -> Path:
        if analysis is not None and not analysis.endswith(BIPARTITION):
            names = ", ".join(self.bipartition_analyses()) or "(none)"
            raise UserError(f"{analysis!r} has spectra; with trees there are: {names}")
        return self._step_folder(self._analysis_folder(analysis, trees=True), step, "tree")

    def _step_folder(self, parent: Path, step: int, what: str) -> Path:
        folder = parent / _folder_name(step)
        if not folder.is_dir():
            steps = ", ".join(map(str, _step_folders(parent))) or "(none)"
            raise UserError(f"{self.path} has no {what} at step {step}; there is one at: {steps}")
        return folder


@contextmanager
def lock(path: Path | str) -> Iterator[None]:
    """Be the only writer of a run directory; make the directory where it is missing.

    Raises:
        LockedRunError: another process holds it.
        UserError: the directory holds other things than a run.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    others = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
    if others and not (path / "run.json").exists():
        raise UserError(f"{path} is no run directory and not empty (it has {others[0]}); give a new folder")
    guard = FileLock(path / ".lock")
    try:
        guard.acquire(timeout=0)
    except Timeout:
        raise LockedRunError(
            f"{path} is being written by another process; wait for it or give another folder"
        ) from None
    try:
        atomic.remove_leftovers(path)
        yield
    finally:
        guard.release()


def _folder_name(step: int) -> str:
    return f"{step:08d}"


def _step_folders(parent: Path) -> list[int]:
    if not parent.is_dir():
        return []
    return sorted(int(entry.name) for entry in parent.iterdir() if re.fullmatch(r"\d{8,}", entry.name))


def checked_name(name: str) -> str:
    """The name of an analysis, if it can be that of a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UserError(f"an analysis name has letters, digits, '_', '-' and '.', got {name!r}")
    return name


def _contiguous(tensors: Arrays) -> dict[str, NDArray[Any]]:
    """Safetensors writes memory as it lies, so a transposed view must be laid out first."""
    return {name: np.ascontiguousarray(tensor).reshape(tensor.shape) for name, tensor in tensors.items()}


def _load_tensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return dict(load_file(path))
    except FileNotFoundError:
        raise DamagedRunError(f"{path} is missing") from None
    except SafetensorError as error:
        raise DamagedRunError(f"{path} is damaged: {error}") from None
