"""The folders of single results, a spectrum or a tree at a step: arrays as .npy files, facts and checksums as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bipartition import BipartitionTree
from ..errors import DamagedRunError
from ..layout import Layout
from ..spectrum import Spectrum
from . import atomic, records
from .read import confirm, is_there, opened, read_array, read_json

Shares = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True)
class Stored:
    """What the file of an array must hold.

    Attributes:
        types: NumPy's names of its types, without byte order.
        axes: how many it has.
        least, most: bounds of all its values; `None` is none. NaN is refused where there is one.
        finite: whether infinite values are refused.
    """

    types: tuple[str, ...]
    axes: int = 1
    least: float | None = None
    most: float | None = None
    finite: bool = False


_NUMBERS, _INDICES, _FLAGS = ("f8",), ("i8", "i4"), ("b1",)
SPECTRUM = {
    "eigenvalues": Stored(_NUMBERS, finite=True),
    "error_bounds": Stored(_NUMBERS, least=0),
    "converged": Stored(_FLAGS),
}
VECTORS = {
    "eigenvectors": Stored(("f8", "f4", "f2"), axes=2, finite=True),
    "vector_indices": Stored(_INDICES, least=0),
}
SHARES = {
    "share_indices": Stored(_INDICES, least=0),
    "shares": Stored(_NUMBERS, axes=2, least=0, most=1.01),
}
TREE = {
    "order": Stored(_INDICES, least=0),
    "isolated": Stored(_INDICES, least=0),
    "starts": Stored(_INDICES, least=0),
    "stops": Stored(_INDICES, least=0),
    "parents": Stored(_INDICES, least=-1),
    "eigenvalues": Stored(_NUMBERS),
    "connectivities": Stored(_NUMBERS),
    "conductances": Stored(_NUMBERS),
    "is_degenerate": Stored(_FLAGS),
}
PICTURE = {"picture": Stored(("f4",), axes=2, least=0, finite=True)}
_UNIT = {2: 1e-2, 4: 1e-4, 8: 1e-4}  # how far a column may be from unit length, by the bytes of an entry
_WHOLE = 1e-2  # the same of the sum of shares, which those of vectors in float16 have


class ResultFolder:
    """The folder of one result, opened for reading.

    Args:
        folder: where it is.
        root: the run directory.
        facts: the name of its JSON file.
        check: of that file's content; gives the checksums of the others.

    Raises:
        DamagedRunError: the JSON file cannot be read.
    """

    def __init__(
        self, folder: Path, root: Path, facts: str, check: Callable[[Path, Mapping[str, Any]], dict[str, str]]
    ) -> None:
        self.folder, self.root = folder, root
        self.facts = read_json(folder / facts, root)
        self._checksums = check(folder / facts, self.facts)
        self._has_checksums = "checksums" in self.facts

    def arrays(self, wanted: Mapping[str, Stored]) -> dict[str, Any]:
        """Arrays by name.

        Raises:
            DamagedRunError: one is missing, or is not what it should be.
        """
        return {name: self._array(name, stored) for name, stored in wanted.items()}

    def has(self, name: str) -> bool:
        """Whether there is a file for an array."""
        return is_there(self.folder / f"{name}.npy", self.root) or f"{name}.npy" in self._checksums

    def json(self, name: str) -> dict[str, Any]:
        """What another JSON file of the folder holds."""
        file = self.folder / name
        value = read_json(file, self.root)
        if self._has_checksums:
            with opened(file, self.root) as stream:
                confirm(file, stream.read(), self._checksum(name))
        return value

    def _checksum(self, name: str) -> str | None:
        if self._has_checksums and name not in self._checksums:
            raise DamagedRunError(f"{self.folder} is damaged: its JSON file has no checksum of {name}")
        return self._checksums.get(name)

    def _array(self, name: str, stored: Stored) -> NDArray[Any]:
        file = self.folder / f"{name}.npy"
        array = read_array(file, self.root, stored.types, stored.axes, checksum=self._checksum(file.name))
        if stored.finite and not np.isfinite(array).all():
            raise DamagedRunError(f"{file} is damaged: it has values that are not finite")
        if stored.least is not None and not (array >= stored.least).all():
            raise DamagedRunError(f"{file} is damaged: it has values that are not at least {stored.least:g}")
        if stored.most is not None and not (array <= stored.most).all():
            raise DamagedRunError(f"{file} is damaged: it has values that are more than {stored.most:g}")
        return array.astype(np.int64) if array.dtype == np.int32 else array


def read_spectrum(folder: ResultFolder, *, vectors: bool) -> Spectrum:
    """The spectrum in a folder.

    Raises:
        DamagedRunError: something in it is not what it should be.
    """
    facts, place = folder.facts, folder.folder
    arrays = folder.arrays({**SPECTRUM, **(VECTORS if vectors else {})})
    if vectors:
        indices = arrays["vector_indices"]
        if (np.diff(indices) <= 0).any():
            raise DamagedRunError(f"{place / 'vector_indices.npy'} is damaged: its numbers do not ascend")
        precision = arrays["eigenvectors"].dtype.itemsize
        columns = arrays["eigenvectors"].astype(np.float64, copy=False)
        lengths = np.sqrt(np.einsum("ij,ij->j", columns, columns))
        if (np.abs(lengths - 1) > _UNIT[precision]).any():
            raise DamagedRunError(
                f"{place / 'eigenvectors.npy'} is damaged: its columns should have unit length, and one has "
                f"{lengths[np.abs(lengths - 1).argmax()]:.4g}"
            )
    try:
        return Spectrum(
            **arrays,
            dim=facts["dim"],
            num_bottom=facts["num_bottom"],
            num_top=facts["num_top"],
            provenance=dict(facts["provenance"]),
        )
    except ValueError as error:
        raise DamagedRunError(f"{_at_fault(place, error)} is damaged: {error}") from None


def read_shares(folder: ResultFolder, layout: Layout) -> Shares | None:
    """How much of each eigenvector lies in each tensor; `None` where an earlier version stored none."""
    if not folder.has("shares"):
        return None
    indices, shares = folder.arrays(SHARES).values()
    file = folder.folder / "shares.npy"
    if shares.shape != (len(layout.names), len(indices)):
        raise DamagedRunError(f"{file} is damaged: shares of shape {shares.shape} for {len(indices)} vectors")
    if (np.abs(shares.sum(axis=0) - 1) > _WHOLE).any():
        raise DamagedRunError(f"{file} is damaged: the shares of a vector should add up to 1")
    count = folder.facts["num_bottom"] + folder.facts["num_top"]
    if (np.diff(indices) <= 0).any() or (len(indices) and indices[-1] >= min(count, folder.facts["dim"])):
        raise DamagedRunError(f"{folder.folder / 'share_indices.npy'} is damaged: its numbers are none of eigenvalues")
    return indices, shares


def write_spectrum(
    folder: Path,
    spectrum: Spectrum,
    measures: Mapping[str, Any],
    shares: Shares,
    vector_dtype: type[np.floating],
) -> None:
    """Fill the folder of a spectrum."""
    arrays = {name: getattr(spectrum, name) for name in (*SPECTRUM, *VECTORS)}
    arrays["eigenvectors"] = arrays["eigenvectors"].astype(vector_dtype)
    arrays["share_indices"], arrays["shares"] = shares
    atomic.write_json(folder / "measures.json", measures)
    checksums = _write(folder, arrays) | {"measures.json": atomic.checksum(folder / "measures.json")}
    facts = {key: getattr(spectrum, key) for key in ("dim", "num_bottom", "num_top")}
    atomic.write_json(
        folder / "spectrum.json", {**facts, "provenance": dict(spectrum.provenance), "checksums": checksums}
    )


def read_tree(folder: ResultFolder) -> BipartitionTree:
    """The tree in a folder.

    Raises:
        DamagedRunError: something in it is not what it should be.
    """
    facts, place = folder.facts, folder.folder
    try:
        return BipartitionTree(
            **folder.arrays(TREE), **{key: facts[key] for key in ("size", "laplacian", "split", "min_size")}
        )
    except ValueError as error:
        raise DamagedRunError(f"{_at_fault(place, error)} is damaged: {error}") from None


def read_picture(folder: ResultFolder) -> NDArray[np.float32]:
    """The block-averaged picture of a graph, of as many rows as columns."""
    picture: NDArray[np.float32] = folder.arrays(PICTURE)["picture"]
    if picture.shape[0] != picture.shape[1] or not 0 < picture.shape[0] <= folder.facts["size"]:
        raise DamagedRunError(f"{folder.folder / 'picture.npy'} is damaged: a picture of shape {picture.shape}")
    return picture


def write_tree(
    folder: Path, tree: BipartitionTree, picture: NDArray[np.floating], provenance: Mapping[str, Any]
) -> None:
    """Fill the folder of a tree."""
    arrays = {name: getattr(tree, name) for name in TREE}
    # A graph is a matrix in memory, so 32 bits number its vertices.
    arrays = {name: array.astype(np.int32) if array.dtype == np.int64 else array for name, array in arrays.items()}
    checksums = _write(folder, arrays | {"picture": picture.astype(np.float32)})
    facts = {key: getattr(tree, key) for key in ("size", "laplacian", "split", "min_size")}
    atomic.write_json(folder / "tree.json", {**facts, "provenance": dict(provenance), "checksums": checksums})


def spectrum_folder(folder: Path, root: Path) -> ResultFolder:
    """Open the folder of a spectrum."""
    return ResultFolder(folder, root, "spectrum.json", records.confirm_spectrum)


def tree_folder(folder: Path, root: Path) -> ResultFolder:
    """Open the folder of a tree."""
    return ResultFolder(folder, root, "tree.json", records.confirm_tree)


def _write(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Write arrays, and give the checksum of each file."""
    return {f"{name}.npy": atomic.write_array(folder / f"{name}.npy", array) for name, array in arrays.items()}


def _at_fault(place: Path, error: Exception) -> Path:
    """The file of the array that an error speaks of first, or the folder."""
    names = [word for word in str(error).split() if (place / f"{word}.npy").is_file()]
    return place / f"{names[0]}.npy" if names else place
