"""Mutants of arrays: other types, shapes and values, in .npy files."""

import io
import json
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

import damage_run as small
from damage_files import Mutant, writes

NO_NUMBERS = ("complex128", "U8", "S8", "datetime64[s]", "V8")
OTHER_NUMBERS = ("float16", "float32", "int64", "uint8", "int8", "bool", "longdouble", ">f8", ">i4")


class Planted:
    """What makes a folder outside when something unpickles it."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def packed(array, **lies):
    """The bytes of a .npy file, of which the header may lie."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    content = file.getvalue()
    if not lies:
        return content
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    text = repr(header | lies).encode("latin-1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + array.tobytes()


def of_arrays(base, file) -> Iterator[Mutant]:
    """Every mutant of one .npy file; what a type or a range tells is told in a run without checksums, too."""
    for mutant in _of_one(base, file):
        yield mutant
        if mutant.refused_by == "type":

            def apply(run, outside, mutant=mutant):
                _forget_checksums((run / file).parent)
                mutant.apply(run, outside)

            # Which of several files is wrong, where they contradict each other, nobody can tell.
            names = (*mutant.names, file.split("/")[-2])
            yield replace(mutant, how=f"{mutant.how}, without checksums", apply=apply, names=names)


def _forget_checksums(folder):
    """Make a stored result as older versions wrote it."""
    for file in folder.glob("*.json"):
        facts = json.loads(file.read_text())
        facts.pop("checksums", None)
        file.write_text(json.dumps(facts))


def _of_one(base, file):
    array, stem = np.load(base / file), file.rsplit("/", 1)[1].removesuffix(".npy")
    yield from _types(file, array)
    yield from _shapes(base, file, array)
    for how, changed, refused_by in _values(file, stem, array):
        same = np.array_equal(changed, array, equal_nan=changed.dtype.kind == "f")
        names = _beside(base, file) if array.dtype.kind == "i" else ()
        yield Mutant(file, how, writes(file, packed(changed)), "" if same else refused_by, names)


def _beside(base, file):
    """The files of a result, where each may be the one that is wrong: their lengths and indices belong together."""
    return tuple(path.name for path in (base / file).parent.iterdir())


def _types(file, array):
    with np.errstate(invalid="ignore", over="ignore"):
        for name in OTHER_NUMBERS:
            changed = array.astype(name)
            same = np.array_equal(changed, array, equal_nan=array.dtype.kind == "f")
            yield Mutant(file, f"dtype {name}", writes(file, packed(changed)), "" if same else "checksum")
    for name in NO_NUMBERS:
        changed = np.zeros(array.shape, name) if name[0] in "dV" else array.astype(name)
        yield Mutant(file, f"dtype {name}", writes(file, packed(changed)), "type")
    fields = np.zeros(array.shape, [("value", "f8"), ("note", "U4")])
    yield Mutant(file, "dtype structured", writes(file, packed(fields)), "type")
    yield Mutant(file, "dtype unknown", writes(file, packed(array, descr="<q99")), "type")

    def plant(run, outside):
        content = np.full(array.shape or (1,), None, dtype=object)
        content.flat[:1] = [Planted(outside / "executed")]
        with (run / file).open("wb") as stream:
            np.lib.format.write_array(stream, content, allow_pickle=True)

    yield Mutant(file, "dtype object", plant, "type")
    yield Mutant(
        file, "a pickle", lambda run, out: (run / file).write_bytes(pickle.dumps(Planted(out / "run"))), "type"
    )


def _shapes(base, file, array):
    flat = array.ravel()
    changed = {
        "0-d": np.array(flat[0] if flat.size else 0, dtype=array.dtype),
        "no entry": flat[:0],
        "one entry less": array[:-1],
        "one entry more": np.concatenate([array, array[-1:] if len(array) else np.zeros(1, array.dtype)]),
        "twice": np.concatenate([array, array]),
        "one axis more": array[None],
        "two axes more": array[None, ..., None],
        "a row": flat[None, :],
        "a column": flat[:, None],
        "flat": flat,
        "transposed": array.T,
    }
    for how, other in changed.items():
        if other.shape != array.shape:
            must = _contradicts(file, array, other)
            yield Mutant(file, how, writes(file, packed(other)), must, _beside(base, file))
        elif not np.array_equal(other, array, equal_nan=array.dtype.kind == "f"):
            yield Mutant(file, how, writes(file, packed(other)), "checksum")
    claims = {"10^9": (10**9,), "10^12": (10**12,), "10^18": (10**18, 8), "10^30": (10**30,), "negative": (-1,)}
    claims |= {"text": ("a",), "list": [3], "none": None, "true": (True,), "a million axes": (1,) * 1000}
    for how, shape in claims.items():
        yield Mutant(file, f"claims shape {how}", writes(file, packed(array, shape=shape)), "type")
    turned = np.asfortranarray(array) if array.ndim > 1 else array
    told = "checksum" if array.ndim > 1 and not np.array_equal(array, array.T) else ""
    yield Mutant(file, "Fortran order", writes(file, packed(turned)), "")
    yield Mutant(file, "claims Fortran order", writes(file, packed(array, fortran_order=True)), told)


def _contradicts(file, array, other):
    """Whether a length elsewhere tells; the size of a picture stands nowhere else."""
    if file.endswith("picture.npy") and other.ndim == 2 and other.shape[0] == other.shape[1]:
        return "checksum"
    return "type"


def _values(file, stem, array):
    """What is changed, the array, and who can tell."""
    if not array.size:
        return
    if array.dtype.kind == "f":
        yield from _of_floats(file, stem, array)
    elif array.dtype == bool:
        yield "all the other way", ~array, "checksum"
        yield "neither true nor false", array.astype("u1") + 2, "type"
    else:
        yield from _of_integers(file, stem, array)


def _of_floats(file, stem, array):
    is_tree = "fiedler" in file
    # Unknown is NaN in the numbers of a leaf, and an infinite bound is one that is not known.
    place = int(np.flatnonzero(np.isfinite(array.ravel()))[0])
    for value in (np.nan, np.inf, -np.inf, -5.0, 1e308, 5e-324, 7.25):
        changed = array.astype(np.float64)
        changed.ravel()[place] = value
        with np.errstate(over="ignore"):
            changed = changed.astype(array.dtype)
        can = np.isnan(value) or value == -np.inf or (value == np.inf and stem != "error_bounds")
        can = can or (value == -5.0 and (is_tree or stem in ("error_bounds", "shares")))
        can = can or (value in (-5.0, 7.25, 1e308) and stem in ("shares", "conductances", "eigenvectors"))
        yield f"value {value:g}", changed, "type" if can else "checksum"
    yield "all NaN", np.full_like(array, np.nan), "type"
    yield "all zero", np.zeros_like(array), "type" if stem == "eigenvectors" else "checksum"
    yield "all 1e308", np.full(array.shape, 1e308), "checksum" if is_tree and stem != "conductances" else "type"
    yield "negated", -array, "type" if stem in ("error_bounds", "shares", "picture") else "checksum"
    yield "doubled values", array * 2, "type" if stem in ("eigenvectors", "shares") else "checksum"
    yield "reversed", array[::-1], "type" if stem == "eigenvalues" and not is_tree else "checksum"
    yield "NaN of another kind", np.full(array.shape, np.nan, np.float32), "type"


def _of_integers(file, stem, array):
    largest = np.iinfo(array.dtype).max
    for value in (-1, -7, len(array), 10**6, largest, np.iinfo(array.dtype).min):
        for place in (0, -1):
            changed = array.copy()
            changed[place] = value
            is_no_child = stem == "parents" and value == -1 and place == 0
            yield f"index {value} at {place}", changed, "" if is_no_child else _index(file, stem, changed)
    yield "all the same", np.full_like(array, array[0]), "type" if stem in ("order", "parents") else "checksum"
    yield "reversed", array[::-1], "checksum"
    yield "as floats with NaN", np.full(array.shape, np.nan), "type"
    yield "as floats between", array + 0.5, "type"


def _index(file, stem, changed):
    """An index that counts eigenvalues is out of range from their number on."""
    count = 7 if small.PARTIAL in file else small.LAYOUT.size
    inside = (changed >= 0).all() and changed.max() < count
    return "checksum" if stem in ("vector_indices", "share_indices") and inside else "type"
