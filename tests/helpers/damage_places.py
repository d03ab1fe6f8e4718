"""Mutants of a run directory as a whole: odd names, hostile texts, links where figures go, and what was left over."""

import json
import os
import shutil
from collections.abc import Iterator

import damage_run as small
from damage_files import Mutant, _remove

STEPS = ("-0000005", "00000010 ", " 00000010", "abc", "5", "0x000005", "٠٠٠٠٠٠٠٥", "000000005", "9" * 20, "9" * 200)
STEPS = (*STEPS, "00000010.partial", ".00000010", "1e000005", "0000_0010", "\x1b[31m00000010", "00000010\n")
NAMES = ("-x", "a b", "a\nb", "\x1b[31m", "$\\foo{$", "x" * 200, "<b>", "é", "..x", "a.fiedler.fiedler", ".hidden")
TEXTS = {
    "a formula": "$\\foo{$",
    "half a formula": "a_{b",
    "dollars": "$$$",
    "escapes": "\x1b[31mred\x9b2J\x07",
    "lines": "a\r\nb\nerror: c",
    "a lone surrogate": "\ud800",
    "a NUL": "a\0b",
    "markup": "<script>alert(1)</script></b>&amp;",
    "percent": "%d %s {0} {name}",
    "right to left": "\u202eabc",
    "100,000 characters": "x" * 100_000,
    "100,000 characters of a formula": "$x_" * 33_000,
    "no character": "",
    "an emoji": "🙂" * 20,
}


def of_places() -> Iterator[Mutant]:
    """Every mutant that belongs to no single file."""
    yield from _steps()
    yield from _analyses()
    yield from _texts()
    yield from _leftovers()
    yield from _figures()


def _steps():
    """Folders beside those of steps; one that is named like a step must have what a step has."""
    first = f"{small.STEPS[0]:08d}"
    for parent in ("checkpoints", f"analyses/{small.WHOLE}", f"analyses/{small.TREES}", "training_state"):
        for name in STEPS:
            for how in ("a copy", "empty", "a file"):

                def apply(run, outside, parent=parent, name=name, how=how):
                    if how == "a copy" and (run / parent / first).is_dir():
                        shutil.copytree(run / parent / first, run / parent / name)
                    elif how == "a file":
                        (run / parent / name).write_text("")
                    else:
                        (run / parent / name).mkdir()

                names = ("model.safetensors", "spectrum.json", "tree.json", "eigenvalues.npy", "order.npy")
                names = (name.strip()[:20], repr(name)[1:21], *names)
                yield Mutant(parent, f"{how} at {name!r:.30}", apply, "", names)


def _analyses():
    for name in NAMES:
        for of in (small.WHOLE, small.TREES):

            def apply(run, outside, name=name, of=of):
                shutil.copytree(run / "analyses" / of, run / "analyses" / name)

            names = (name[:20], repr(name)[1:21])
            yield Mutant("analyses", f"{of} copied to {name!r:.30}", apply, "", names, is_text=True)
        yield Mutant(
            "analyses",
            f"an empty folder {name!r:.30}",
            lambda run, _, name=name: (run / "analyses" / name).mkdir(),
            "",
            (name[:20], repr(name)[1:21], "analysis.json"),
        )
    yield Mutant("analyses", "a file", lambda run, _: (run / "analyses/file").write_text("x"), "", ("file",))


def _texts():
    """Texts that a run's author chose, or someone who wants to harm its readers."""

    def put(file, change):
        def apply(run, outside):
            value = json.loads((run / file).read_text())
            change(value)
            (run / file).write_text(json.dumps(value))

        return apply

    spectrum = f"analyses/{small.WHOLE}/{small.STEPS[-1]:08d}/spectrum.json"
    for how, text in TEXTS.items():

        def experiment(value, text=text):
            value["configuration"]["experiment"] = text

        def tensor(value, text=text):
            value["layout"][2]["name"] = text

        def every_tensor(value, text=text):
            for number, entry in enumerate(value["layout"]):
                entry["name"] = f"{text}{number}"

        def source(value, text=text):
            value["provenance"] |= {"operator": text, "solver": text, text: text}
            value["provenance"]["error_sources"] = {text: 1e-3}

        def known(value, text=text):
            value["configuration"] |= {"dtype": text, "samples": text, text: text}

        names = ("model.safetensors", "run.json")  # whose tensors have other names
        yield Mutant("run.json", f"experiment is {how}", put("run.json", experiment), "", names, is_text=True)
        yield Mutant("run.json", f"a tensor is {how}", put("run.json", tensor), "", names, is_text=True)
        yield Mutant("run.json", f"every tensor is {how}", put("run.json", every_tensor), "", names, is_text=True)
        yield Mutant(spectrum, f"its texts are {how}", put(spectrum, source), "", is_text=True)
        for name in (small.WHOLE, small.TREES):
            file = f"analyses/{name}/analysis.json"
            yield Mutant(file, f"its texts are {how}", put(file, known), "", is_text=True)


def _leftovers():
    """What a killed writer leaves, or someone who wants other people's files removed."""
    for place in (".run.json.partial", "analyses/.x.partial", "checkpoints/.00000050.partial", ".lock"):
        for how, make in {
            "link to a file outside": lambda path, outside: path.symlink_to(outside / "kept.txt"),
            "link to a folder outside": lambda path, outside: path.symlink_to(outside / "kept"),
            "dangling link": lambda path, outside: path.symlink_to(outside / "missing"),
            "link to itself": lambda path, outside: path.symlink_to(path.name),
            "link to /dev/full": lambda path, outside: path.symlink_to("/dev/full"),
            "FIFO": lambda path, outside: os.mkfifo(path),
            "folder": lambda path, outside: path.mkdir(),
            "folder with a link outside": lambda path, outside: (path.mkdir(), (path / "a").symlink_to(outside)),
            "file": lambda path, outside: path.write_text("x"),
        }.items():
            yield Mutant(place, how, lambda run, outside, place=place, make=make: _put(run / place, outside, make))


def _figures():
    """Links where `plot` writes."""
    folder = f"figures/{small.WHOLE}"
    for place in ("figures", folder, f"figures/{small.TREES}", f"{folder}/gaps.png", f"{folder}/drawn.json"):
        is_folder = "." not in place.rsplit("/", 1)[-1] or place.endswith(".fiedler")
        for how, make in {
            "link to a folder outside": lambda path, outside: path.symlink_to(outside / "kept"),
            "link to a file outside": lambda path, outside: path.symlink_to(outside / "kept.txt"),
            "dangling link": lambda path, outside: path.symlink_to(outside / "missing"),
            "link to itself": lambda path, outside: path.symlink_to(path.name),
            "FIFO": lambda path, outside: os.mkfifo(path),
            "file": lambda path, outside: path.write_text("{}"),
            "folder": lambda path, outside: path.mkdir(),
        }.items():
            # A file is written beside its place and renamed in, so what is there is replaced and not followed.
            must = "type" if is_folder and how != "folder" else ""
            yield Mutant(place, how, lambda run, out, place=place, make=make: _put(run / place, out, make), must)
    temporary = f"{folder}/.gaps.png.partial"
    link = lambda path, outside: path.symlink_to(outside / "kept.txt")  # noqa: E731
    yield Mutant(temporary, "link to a file outside", lambda run, out: _put(run / temporary, out, link))


def _put(path, outside, make):
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(path)
    make(path, outside)
