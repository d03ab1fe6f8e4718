"""Run: one run directory.

    run.json                          format version, configuration, layout, provenance
    metrics.csv                       loss and accuracy over training; a cell is empty where nothing was measured
    training_state/00000500/          optimiser and random state of the latest checkpoint, for an exact resume
    checkpoints/00000500/model.safetensors
    analyses/hessian-1437/analysis.json
    analyses/hessian-1437/00000500/   eigenvalues.npy, error_bounds.npy, eigenvectors.npy, ..., spectrum.json
    analyses/hessian-1437.fiedler/00000500/   order.npy, parents.npy, ..., picture.npy, tree.json
    measures/00000500.json            the experiment's own measures at a checkpoint
    figures/hessian-1437/*.png, *.pdf
    nulls/labels/                     a run directory like this one: the same with shuffled labels (see `NULLS`)

A folder is written beside its place, flushed, and renamed in; it is never changed afterwards. A training state is
written before its checkpoint and an older one removed after it, so the latest checkpoint of a trained run always has
its state. The directory is untrusted input to a reader: nothing in it is executed, and no link in it is followed.

Longer than other files: every path of a run directory is made here, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedRunError, NotFiniteError, UserError
from ..layout import Layout
from ..results.html import card
from ..results.sketch import curve
from ..results.spectrum import Spectrum
from ..results.tree import BipartitionTree
from . import atomic, files, records
from .kinds import kind_of
from .lock import confirm_lock
from .metrics import Metrics
from .read import entries, is_there, read_json, read_tensors, without_links
from .spectra import with_shares
from .tables import table

FORMAT_VERSION = 1
Arrays = Mapping[str, NDArray[Any]]

BIPARTITION = ".fiedler"
"""How the name of an analysis ends that has trees instead of spectra."""
NULLS = {"labels": "shuffled labels", "weights": "shuffled weights", "untrained": "untrained"}
"""The nulls that a run may have beside it, by the names of their folders, and what each is called."""
_ANALYSIS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_STEP_FOLDER = re.compile(r"[0-9]{8,15}")


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
        file = self.path / "run.json"
        if not is_there(file, self.path):
            raise UserError(f"{self.path} is no run directory: it has no run.json")
        self.record: dict[str, Any] = read_json(file, self.path)
        version = self.record.get("format_version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise DamagedRunError(f"{file} is damaged: it has no format_version")
        if version > FORMAT_VERSION:
            raise UserError(
                f"{self.path} has format version {version}, this program reads up to {FORMAT_VERSION}; "
                "install a newer hessian-dendrogram"
            )
        self.layout = records.confirm_run(file, self.record)
        self._metrics = Metrics(self.path)
        self._kinds: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {len(self.steps()):,} checkpoints, analyses {', '.join(self.analyses(None))})"

    def _repr_html_(self) -> str:
        facts = {"folder": str(self.path), "parameters": f"{self.layout.size:,}"}
        steps, picture, caption = self.steps(), "", ""
        facts["checkpoints"] = f"{len(steps):,}" + (f", steps {steps[0]:,} to {steps[-1]:,}" if steps else "")
        for name in self.analyses(None):
            there = self.analysed_steps(name)
            facts[name] = f"{self.kind(name)} at {len(there):,} {'step' if len(there) == 1 else 'steps'}"
        try:
            loss = self.metrics().get("train_loss", np.empty(0))
            picture = curve(np.log10(loss[loss > 0]))
            caption = "Training loss over the measurements, on a logarithmic axis." if picture else ""
        except (DamagedRunError, OSError) as error:
            facts["metrics"] = str(error)
        return card(f"Run of {self.configuration.get('experiment', self.path.name)}", facts, picture, caption)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def configuration(self) -> dict[str, Any]:
        """What makes this run the run that it is: experiment, parameters, source hash, data digest."""
        return dict(self.record.get("configuration", {}))

    def steps(self) -> list[int]:
        """The training steps that have a checkpoint, ascending."""
        return self._step_folders(self.path / "checkpoints")

    def weights(self, step: int) -> dict[str, NDArray[Any]]:
        """The named tensors of the model's state at a checkpoint, parameters and buffers.

        Raises:
            UserError: there is none; the message lists what there is.
            DamagedRunError: the file cannot be read or lacks a parameter.
            NotFiniteError: a parameter is infinite or NaN; buffers, such as a mask, are compared with the model's.
        """
        file = self._step_folder(self.path / "checkpoints", step, "checkpoint") / "model.safetensors"
        tensors = read_tensors(file, self.path)
        for name, shape in zip(self.layout.names, self.layout.shapes, strict=True):
            if name not in tensors:
                raise DamagedRunError(f"{file} is damaged: it has no {name!a}, which is a parameter of the run")
            if tensors[name].shape != shape:
                raise DamagedRunError(
                    f"{file} is damaged: {name!a} has the shape {tensors[name].shape}, in the run it is {shape}"
                )
        for name in self.layout.names:
            array = tensors[name]
            if array.dtype.kind in "fc" and not np.isfinite(array).all():
                raise NotFiniteError(
                    f"{file}: {(~np.isfinite(array)).sum()} of the {array.size} values of {name!a} are not finite, "
                    f"so step {step} has no curvature; name other steps with --at"
                )
        return tensors

    def metrics(self) -> dict[str, NDArray[np.float64]]:
        """Columns of metrics.csv, each of shape (rows,); NaN where nothing was measured. Empty before training."""
        return self._metrics.read()

    def analyses(self, kind: str | None = "spectrum") -> list[str]:
        """Names of the stored analyses of a kind, or of all, in alphabetical order."""
        return [name for name in self._analysis_names() if kind in (None, self.kind(name))]

    def bipartition_analyses(self) -> list[str]:
        """Names of the stored analyses with trees, in alphabetical order."""
        return self.analyses("tree")

    def kind(self, analysis: str) -> str:
        """The kind of the results of an analysis; that it is damaged is said when it is read."""
        if analysis not in self._kinds:
            with suppress(DamagedRunError, OSError):
                kind = read_json(self.path / "analyses" / analysis / "analysis.json", self.path).get("kind")
                self._kinds[analysis] = kind if isinstance(kind, str) else self._old_kind(analysis)
        return self._kinds.get(analysis, self._old_kind(analysis))

    @staticmethod
    def _old_kind(analysis: str) -> str:
        """What an earlier version told by the name alone."""
        return "tree" if analysis.endswith(BIPARTITION) else "spectrum"

    def analysis(self, name: str | None = None) -> dict[str, Any]:
        """The configuration of an analysis, and its provenance."""
        file = self._analysis_folder(name) / "analysis.json"
        record = read_json(file, self.path)
        records.confirm_analysis(file, record)
        return record

    def layout_of(self, analysis: str) -> Layout:
        """Which parameters the results of an analysis cover: those of the run, or its own choice."""
        file = self._analysis_folder(analysis) / "analysis.json"
        return records.confirm_analysis(file, read_json(file, self.path)) or self.layout

    def analysed_steps(self, analysis: str | None = None) -> list[int]:
        """The steps at which an analysis has a result, ascending."""
        return self._step_folders(self._analysis_folder(analysis))

    def result(self, step: int, analysis: str, *, parts: Collection[str] | None = None) -> Any:
        """The result of an analysis at a step, whatever its kind.

        Args:
            step: one of `analysed_steps(analysis)`.
            analysis: its name.
            parts: the parts of the result to read beside its core, such as `"vectors"`; default all.

        Raises:
            UserError: there is none; the message lists what there is.
            DamagedRunError: a file is missing, truncated, not what was stored, or contradicts another.
        """
        kind = self.kind(analysis)
        folder = self._step_folder(self._analysis_folder(analysis), step, kind)
        return files.read_result(folder, self.path, kind, self.layout_of(analysis), parts=parts)

    def spectrum(self, step: int, analysis: str | None = None, *, vectors: bool = True) -> Spectrum:
        """The spectrum at a step.

        Args:
            step: one of `analysed_steps(analysis)`.
            analysis: its name; may be left out where there is only one.
            vectors: read the eigenvectors, too; they are by far the largest part.

        Raises:
            UserError: there is none; the message lists what there is.
            DamagedRunError: a file is missing, truncated, not what was stored, or contradicts another.
        """
        found: Spectrum = self.result(step, self._one(analysis, "spectrum"), parts=None if vectors else ())
        return found

    def shares(self, step: int, analysis: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """How much of each eigenvector lies in each part of the layout, also of eigenvectors that are not stored.

        Returns:
            The numbers of the eigenvalues, shape (m,), and the shares, shape (parts, m).
        """
        name = self._one(analysis, "spectrum")
        layout = self.layout_of(name)
        spectrum: Spectrum = self.result(step, name, parts=("shares",))
        if spectrum.shares is None:
            spectrum = with_shares(self.result(step, name), layout)
        shares = spectrum.group_shares if layout.groups else spectrum.shares
        assert spectrum.share_indices is not None
        assert shares is not None
        return spectrum.share_indices, shares

    def bipartition(self, step: int, analysis: str | None = None) -> BipartitionTree:
        """The tree of recursive Fiedler cuts at a step.

        Args:
            step: one of `analysed_steps(analysis)`.
            analysis: one of `analyses("tree")`; may be left out where there is only one.

        Raises:
            UserError: there is none; the message lists what there is.
            DamagedRunError: a file is missing, truncated, not what was stored, or contradicts another.
        """
        found: BipartitionTree = self.result(step, self._one(analysis, "tree"))
        return found

    def bipartition_provenance(self, step: int, analysis: str | None = None) -> dict[str, Any]:
        """Where the Hessian of a tree comes from: operator, samples, dtype."""
        return dict(self.bipartition(step, analysis).provenance)

    def coupling_picture(self, step: int, analysis: str | None = None) -> NDArray[np.float32]:
        """Means of |H_ij| over blocks, the parameters in the order of the tree: shape (blocks, blocks)."""
        name = self._one(analysis, "tree")
        picture = self.bipartition(step, name).picture
        if picture is None:
            raise DamagedRunError(f"{self.path / 'analyses' / name / _folder_name(step) / 'picture.npy'} is missing")
        return picture

    def table(
        self,
        name: str,
        analysis: str | None = None,
        *,
        at: int | Sequence[int] | None = None,
        epsilon: float | None = None,
    ) -> Any:
        """A tidy table: a row for each eigenvalue, gap, cluster, share, node of a tree, or measurement.

        What is not known is NaN, and flags say what is not resolved. The table `clusters` is at one resolution for all
        steps, that with which the pictures begin, unless `epsilon` gives another.

        Args:
            name: one of `store.tables.NAMES`, such as eigenvalues, gaps, log_gaps, density, moments, blocks or metrics.
            analysis: its name; may be left out where there is only one of the kind. None for metrics.
            at: a step or several; default all.
            epsilon: for clusters, in units of the eigenvalues.

        Returns:
            A pandas DataFrame where pandas is installed, whose `attrs["columns"]` say what each column holds; else a
            `results.table.Table`, a mapping of the same columns as NumPy arrays.

        Raises:
            UserError: there is no such table, analysis or step; the message lists what there is.
            DamagedRunError: a file that it is made from is missing, truncated, or not what was stored.
        """
        made = table(self, name, analysis, at=at, epsilon=epsilon)
        try:
            return made.frame()
        except ImportError:  # pandas is a convenience
            return made

    def measures(self, step: int, analysis: str | None = None) -> dict[str, Any]:
        """What the experiment's own hook measured at a step.

        Args:
            step: of a checkpoint.
            analysis: where an earlier version stored them; default any.
        """
        file = self.path / "measures" / f"{_folder_name(step)}.json"
        if is_there(file, self.path):
            return records.measures_of(file, read_json(file, self.path))
        for name in self.analyses() if analysis is None else [analysis]:
            if step in self.analysed_steps(name):
                folder = self._analysis_folder(name) / _folder_name(step)
                if (found := files.read_old_measures(folder, self.path, self.kind(name))) is not None:
                    return found
        if any(step in self.analysed_steps(name) for name in self.analyses()):
            raise DamagedRunError(f"{file} is missing")
        raise UserError(f"{self.path} has no measures at step {step}")

    def measures_source(self, step: int) -> tuple[str, int | None] | None:
        """Of which file the measures at a step are, and of which last checkpoint; `None` where there are none yet."""
        file = self.path / "measures" / f"{_folder_name(step)}.json"
        if not is_there(file, self.path):
            return None
        record = read_json(file, self.path)
        return str(record.get("source_sha256", "")), record.get("last_step")

    def training_state(self, step: int) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What `save_training_state` stored for a step."""
        folder = self._step_folder(self.path / "training_state", step, "training state")
        facts = read_json(folder / "state.json", self.path)
        records.confirm_training_state(folder / "state.json", facts)
        return read_tensors(folder / "tensors.safetensors", self.path), facts

    def confirm_metrics(self, steps: list[int]) -> None:
        """Find the rows of some steps in metrics.csv; raises DamagedRunError where one is missing."""
        self._metrics.confirm_rows(steps)

    def nulls(self) -> list[str]:
        """Names of the nulls that lie in this run, in the order of `NULLS`."""
        return [kind for kind in NULLS if is_there(self.null_path(kind) / "run.json", self.path)]

    def null_path(self, kind: str) -> Path:
        """Where a null of a kind lies, one of `NULLS`; whether it is there is another question."""
        return without_links(self.path / "nulls" / kind, self.path)

    def null(self, kind: str) -> Run:
        """One of `nulls()`, a run directory of its own.

        Raises:
            UserError: there is none.
            DamagedRunError: its run.json cannot be read, or is that of another run.
        """
        if kind not in (there := self.nulls()):
            raise UserError(f"{self.path} has no null {kind!r}; it has: {', '.join(there) or '(none)'}")
        null = Run(self.null_path(kind))
        if (found := null.configuration.get("null")) != kind:
            raise DamagedRunError(f"{null.path / 'run.json'} is damaged: it says that its null is {found!r}")
        return null

    def figures_folder(self, analysis: str = "") -> Path:
        """Where the figures of an analysis belong, or those that compare analyses."""
        return without_links(self.path / "figures" / analysis, self.path)

    def figures_are_current(self, analysis: str) -> bool:
        """Whether the figures were drawn from the spectra that are stored now, and are all still there."""
        folder = self.figures_folder(analysis)
        if not is_there(folder / "drawn.json", self.path):
            return False
        mark = read_json(folder / "drawn.json", self.path)
        drawn = mark.pop("files", [])
        here = entries(folder, self.path)
        return mark == self._figure_mark(analysis) and isinstance(drawn, list) and all(name in here for name in drawn)

    # ── writing, under the lock ──────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def create(
        cls, path: Path | str, *, configuration: Mapping[str, Any], layout: Layout, provenance: Mapping[str, Any]
    ) -> Run:
        """Write a new run's run.json; the directory is there already and locked (see `lock`)."""
        record = {"format_version": FORMAT_VERSION, "configuration": dict(configuration)}
        record |= {"layout": layout.to_json(), "provenance": dict(provenance)}
        confirm_lock(Path(path))
        atomic.write_json(Path(path) / "run.json", record)
        return cls(path)

    def extend(self, configuration: Mapping[str, Any]) -> None:
        """Replace the stored configuration, for a run that is given more steps."""
        self.record["configuration"] = dict(configuration)
        atomic.write_json(self._target("run.json"), self.record)

    def save_checkpoint(self, step: int, weights: Arrays) -> None:
        """Store the model's state at a step, once."""
        with atomic.new_folder(self._target("checkpoints", _folder_name(step))) as folder:
            atomic.write_tensors(folder / "model.safetensors", weights)

    def save_training_state(self, step: int, tensors: Arrays, facts: Mapping[str, Any]) -> None:
        """Store what an exact resume from `step` needs; belongs before `save_checkpoint(step, ...)`.

        The rows of metrics are forced to the disk first: the checkpoint will need them.
        """
        target = self._target("training_state", _folder_name(step))
        self._metrics.flush()
        if is_there(target, self.path):  # left by a run that was killed before it wrote the checkpoint
            atomic.remove_folder(target)
        with atomic.new_folder(target) as folder:
            atomic.write_tensors(folder / "tensors.safetensors", tensors)
            atomic.write_json(folder / "state.json", facts)

    def remove_older_training_states(self, step: int) -> None:
        """Keep only the training state of `step`."""
        for old in self._step_folders(self.path / "training_state"):
            if old != step:
                atomic.remove_folder(self._target("training_state", _folder_name(old)))

    def append_metrics(self, row: Mapping[str, float | None]) -> None:
        """Add a row to metrics.csv; the first one writes the header. `None` leaves a cell empty.

        Raises:
            DamagedRunError: the columns that the file names are not those of the row.
        """
        self._target("metrics.csv")
        self._metrics.append(row)

    def copy_metrics(self, other: Run) -> None:
        """Take the metrics of another run directory instead of one's own."""
        self._target("metrics.csv")
        self._metrics.copy(other._metrics)

    def truncate_metrics(self, step: int | None) -> None:
        """Drop the rows recorded after `step`, from which training resumes; all of them for `None`."""
        self._target("metrics.csv")
        self._metrics.truncate(step)

    def create_analysis(
        self, name: str, record: Mapping[str, Any], *, kind: str | None = None, layout: Layout | None = None
    ) -> None:
        """Store the configuration and provenance of a new analysis.

        Args:
            name: a new one.
            record: `configuration` and `provenance`.
            kind: of its results; default as the name's ending says.
            layout: the parameters that it covers, and their groups; default those of the run.
        """
        kind = kind or self._old_kind(name)
        own: dict[str, Any] = {} if layout is None or layout == self.layout else {"layout": layout.to_json()}
        if layout is not None and layout.groups:
            own["groups"] = layout.groups_to_json()
        with atomic.new_folder(self._target("analyses", checked_name(name))) as folder:
            atomic.write_json(folder / "analysis.json", {**record, "kind": kind, **own})

    def save(
        self, step: int, analysis: str, result: Any, *, narrow: Mapping[str, type[np.floating]] | None = None
    ) -> None:
        """Store a result at a step, once.

        Args:
            step: the training step.
            analysis: its name.
            result: of the analysis' kind.
            narrow: coarser types for some of its arrays.
        """
        if kind_of(result) != self.kind(analysis):
            raise UserError(f"{analysis!r} has results of the kind {self.kind(analysis)}, not {kind_of(result)}")
        self._analysis_folder(analysis)
        with atomic.new_folder(self._target("analyses", analysis, _folder_name(step))) as folder:
            files.write_result(folder, result, narrow or {})

    def save_measures(
        self, step: int, measures: Mapping[str, Any], source_sha256: str = "", last_step: int | None = None
    ) -> None:
        """Store what the experiment's own hook measured at a step, the hash of its file, and the run's last step."""
        file = self._target("measures", f"{_folder_name(step)}.json")
        file.parent.mkdir(exist_ok=True)
        atomic.write_json(file, {**records.measures_record(measures, source_sha256), "last_step": last_step})

    def save_spectrum(
        self,
        step: int,
        analysis: str,
        spectrum: Spectrum,
        measures: Mapping[str, Any],
        *,
        shares: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None,
    ) -> None:
        """Store a spectrum with the shares of its eigenvectors, and the experiment's own measures at that step."""
        if shares is not None:
            spectrum = replace(spectrum, share_indices=shares[0], shares=shares[1])
        if self.measures_source(step) is None:
            self.save_measures(step, measures)
        self.save(step, analysis, with_shares(spectrum, self.layout_of(analysis)))

    def save_bipartition(
        self,
        step: int,
        analysis: str,
        tree: BipartitionTree,
        picture: NDArray[np.floating],
        provenance: Mapping[str, Any],
    ) -> None:
        """Store a tree, the block-averaged picture of its graph, and where they come from, once."""
        self.save(step, analysis, replace(tree, picture=picture.astype(np.float32), provenance=dict(provenance)))

    def mark_figures(self, analysis: str) -> None:
        """Say that the figures are drawn from the spectra that are stored now."""
        drawn = [name for name in entries(self.figures_folder(analysis), self.path) if name.endswith((".png", ".pdf"))]
        file = self._target("figures", analysis, "drawn.json")
        atomic.write_json(file, {**self._figure_mark(analysis), "files": drawn})

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _target(self, *parts: str) -> Path:
        """Where something is to be written, once it is certain that it may be."""
        confirm_lock(self.path)
        return without_links(self.path.joinpath(*parts), self.path)

    def _figure_mark(self, analysis: str) -> dict[str, Any]:
        mark = {"analysed_steps": self.analysed_steps(analysis), "last_checkpoint": self.steps()[-1:]}
        places = {kind: self.null_path(kind) / "analyses" / analysis for kind in self.nulls()}
        seen = {kind: steps for kind, place in places.items() if (steps := self._step_folders(place))}
        return mark | ({"nulls": seen} if seen else {})

    def _analysis_names(self) -> list[str]:
        return [name for name in entries(self.path / "analyses", self.path) if _ANALYSIS_NAME.fullmatch(name)]

    def _one(self, analysis: str | None, kind: str) -> str:
        """The name of an analysis of a kind; the only one for `None`."""
        names, has = self.analyses(kind), {"tree": "trees", "spectrum": "spectra"}
        if analysis is None:
            if len(names) != 1:
                what = f"{has.get(kind, kind)}; " + (f"name one of: {', '.join(names)}" if names else "take one first")
                raise UserError(f"{self.path} has {len(names) or 'no'} analyses of {what}")
            return names[0]
        if analysis not in names and analysis in self._analysis_names():
            raise UserError(
                f"{analysis!r} has {has.get(self.kind(analysis), self.kind(analysis))}; with {has.get(kind, kind)} "
                f"there are: {', '.join(names) or '(none)'}"
            )
        return analysis

    def _analysis_folder(self, name: str | None) -> Path:
        if name is None:
            name = self._one(None, "spectrum")
        if name not in self._analysis_names():
            names = ", ".join(self._analysis_names()) or "(none)"
            raise UserError(f"{self.path} has no analysis {name!r}; it has: {names}")
        return self.path / "analyses" / name

    def _step_folder(self, parent: Path, step: int, what: str) -> Path:
        if step not in (steps := self._step_folders(parent)):
            raise UserError(
                f"{self.path} has no {what} at step {step}; there is one at: {', '.join(map(str, steps)) or '(none)'}"
            )
        return parent / _folder_name(step)

    def _step_folders(self, parent: Path) -> list[int]:
        names = entries(parent, self.path)
        return sorted(int(n) for n in names if _STEP_FOLDER.fullmatch(n) and n == _folder_name(int(n)))


def _folder_name(step: int) -> str:
    return f"{step:08d}"


def checked_name(name: str) -> str:
    """The name of an analysis, if it can be that of a folder."""
    if not _ANALYSIS_NAME.fullmatch(name):
        raise UserError(f"an analysis name has at most 100 letters, digits, '_', '-' and '.', got {name[:200]!r}")
    return name
