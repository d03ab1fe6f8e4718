"""Mutants of any file or folder: its bytes, what stands in its place, and links out of the run directory."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import damage_run as small

DEVICES = ("/dev/zero", "/dev/full", "/dev/null")
SPARSE = 10 * 2**30  # bytes that a file claims and does not have


NONE_LEFT = ("no analysis", "no spectrum", "no tree", "no parameter dendrograms", "no checkpoint")
"""What may be said where a folder has nothing in it any more."""


@dataclass(frozen=True)
class Mutant:
    """One damage to a run directory.

    Attributes:
        target: the file or folder that is damaged, relative to the run.
        how: what is done to it.
        apply: does it, given the run directory and a folder outside of it that nobody may touch.
        refused_by: why some reader must say so: "type" where a type, a range or a size can tell, "checksum" where the
            checksum of an array can, or nothing where the damage may pass.
        names: a message about it has one of these.
        is_text: whether figures must really be drawn, since matplotlib looks at texts only then.
    """

    target: str
    how: str
    apply: Callable[[Path, Path], object]
    refused_by: str = ""
    names: tuple[str, ...] = ()
    is_text: bool = False

    def __post_init__(self) -> None:
        if not self.names:
            object.__setattr__(self, "names", (Path(self.target).name,))

    @property
    def kind(self) -> str:
        """The kind of file, without the number of its step and the name of its analysis."""
        parts = Path(self.target).parts
        if parts[0] in ("training_state", "figures"):  # no reader looks into these
            return parts[0]
        if parts[-1].endswith(".partial"):
            return "leftover"
        if parts[0] == "analyses" and len(parts) > 1:
            tree = "tree" if parts[1] == small.TREES else "spectrum"
            return "/".join([tree, *("STEP" if part.isdecimal() else part for part in parts[2:])])
        return "/".join("STEP" if part.isdecimal() else part for part in parts)

    @property
    def name(self) -> str:
        return f"{self.target}: {self.how}"


def is_read(file):
    """Whether any reader looks into a file: a training state is for training alone."""
    return not file.startswith("training_state")


def of_bytes(base, file, random) -> Iterator[Mutant]:
    """Truncations, flipped bits, zeros, nothing, and more than there was."""
    content = (base / file).read_bytes()
    size, suffix = len(content), Path(file).suffix
    binary = suffix in (".npy", ".safetensors")
    told = "type" if is_read(file) else ""
    places = {0: "emptied", 1: "cut to 1 byte", 12: "cut to 12", size // 2: "cut to a half", size - 1: "cut by 1 byte"}
    places |= {random.randrange(1, size): f"cut somewhere {number}" for number in range(2)}
    for place, how in places.items():
        # A text may end one byte earlier, and the last line of metrics that was not finished is no row.
        must = told if binary or (suffix == ".json" and place < size - 2) else ""
        yield Mutant(file, how, writes(file, content[:place]), must)
    for number in range(6):
        at, bit = random.randrange(size), random.randrange(8)
        flipped = bytearray(content)
        flipped[at] ^= 1 << bit
        must = "checksum" if suffix == ".npy" and at >= 128 else ""
        yield Mutant(file, f"bit flipped {number}", writes(file, bytes(flipped)), must)
    yield Mutant(file, "zeroed", writes(file, bytes(size)), told)
    half = content[: size // 2]
    yield Mutant(file, "second half zeroed", writes(file, half + bytes(size - len(half))), _zeroed(file, told, content))
    yield Mutant(file, "bytes appended", writes(file, content + b"\0\1more"), told if suffix != ".csv" else "")
    yield Mutant(file, "doubled", writes(file, content * 2), told if suffix != ".csv" else "")
    yield Mutant(file, "random bytes", writes(file, random.randbytes(size)), told if suffix != ".csv" else "")
    yield Mutant(file, "removed", lambda run, _: (run / file).unlink(), told if _is_needed(file) else "")
    yield Mutant(file, "sparse, 10 GB", lambda run, _: os.truncate(run / file, SPARSE), told)
    yield Mutant(file, "only a hole, 10 GB", lambda run, _: _hole(run / file), told)


def _zeroed(file, told, content):
    """Who can tell that the second half is zero: weights may be, and so may the end of an array."""
    if file.endswith(".npy"):
        return "checksum" if any(content[len(content) // 2 :]) else ""
    return told if file.endswith((".json", ".csv")) else ""


def _is_needed(file):
    return not file.endswith(("metrics.csv", "/shares.npy"))


def instead(base, target) -> Iterator[Mutant]:
    """A folder, a FIFO or a link where a file or a folder belongs."""
    told = "type" if is_read(target) else ""
    inside = tuple(path.name for path in (base / target).rglob("*")) if (base / target).is_dir() else ()
    names = (Path(target).name, *inside)

    def put(how, place):
        def apply(run, outside):
            original = run / target
            copy = outside / "copy"
            (shutil.copytree if original.is_dir() else shutil.copy2)(original, copy)
            _remove(original)
            place(original, copy, outside)

        return Mutant(target, how, apply, told, names)

    yield put("FIFO", lambda path, copy, outside: os.mkfifo(path))
    yield put("link to the same outside", lambda path, copy, outside: path.symlink_to(copy))
    yield put("link to another thing outside", lambda path, copy, outside: path.symlink_to(outside / "kept.txt"))
    yield put("link to a folder outside", lambda path, copy, outside: path.symlink_to(outside / "kept"))
    yield put("dangling link", lambda path, copy, outside: path.symlink_to(outside / "missing"))
    yield put("link to itself", lambda path, copy, outside: path.symlink_to(path.name))
    for device in DEVICES:
        yield put(f"link to {device}", lambda path, copy, outside, device=device: path.symlink_to(device))
    if (base / target).is_dir():
        yield put("file instead", lambda path, copy, outside: path.write_text("{}"))
    else:
        yield put("folder instead", lambda path, copy, outside: path.mkdir())
        yield put("full folder instead", lambda path, copy, outside: (path / "more").mkdir(parents=True))
    if os.geteuid():  # root reads everything
        yield Mutant(target, "unreadable", lambda run, _: (run / target).chmod(0), told, names)


def of_folders(base) -> Iterator[Mutant]:
    """Folders that are emptied, taken away, or something else."""
    for target in folders(base):
        yield from instead(base, target)
        inside = tuple(path.name for path in (base / target).rglob("*"))
        # An analysis without its analysis.json, and a step without its arrays, is damaged; a list may be empty.
        must = "type" if is_read(target) and Path(target).name not in ("analyses", "checkpoints") else ""
        names = (Path(target).name, *inside, *NONE_LEFT)
        yield Mutant(target, "emptied", lambda run, _, target=target: _empty(run / target), must, names)
        yield Mutant(target, "removed", lambda run, _, target=target: shutil.rmtree(run / target), "", names)


def folders(base):
    """One folder of each kind."""
    step = f"{small.STEPS[0]:08d}"
    last = f"training_state/{small.STEPS[-1]:08d}"
    nested = [f"{name}{more}" for name in (small.WHOLE, small.PARTIAL, small.TREES) for more in ("", f"/{step}")]
    return ["analyses", *(f"analyses/{name}" for name in nested), "checkpoints", f"checkpoints/{step}", last]


def writes(file, content):
    """What writes a file: bytes, or what makes them when they are needed."""
    return lambda run, _: (run / file).write_bytes(content() if callable(content) else content)


def _hole(path):
    path.write_bytes(b"")
    os.truncate(path, SPARSE)


def _empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
