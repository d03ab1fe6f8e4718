"""Mutants of JSON and CSV files: other values at every key, and texts that no parser expects."""

import copy
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import damage_run as small
from damage_files import Mutant, writes

WRONG = {
    "null": "null",
    "a list": "[1, 2]",
    "an empty list": "[]",
    "an object": '{"a": 1}',
    "a text": '"text"',
    "an empty text": '""',
    "true": "true",
    "negative": "-3",
    "zero": "0",
    "a fraction": "0.5",
    "huge": "1" + "0" * 30,
    "a number of 5,000 digits": "1" * 5000,
    "1e999": "1e999",
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "deep": "[" * 100_000 + "]" * 100_000,
    "escapes": json.dumps("\x1b[31mred\x07\x9b2J\r\n\x00"),
    "a formula": json.dumps("$\\foo{$ <b>bold</b> %d {0}"),
    "a lone surrogate": '"\\ud800"',
    "100,000 characters": json.dumps("x" * 100_000),
}
NOT_JSON = ("1e999", "NaN", "-Infinity")
TEXTS = ("an empty text", "a text", "escapes", "a formula", "a lone surrogate", "100,000 characters")
COUNTS = {"format_version", "dim", "num_bottom", "num_top", "size", "min_size"}
MAPPINGS = {"spectrum.json": {"provenance"}, "tree.json": {"provenance"}}
MAPPINGS |= {"run.json": {"configuration", "provenance"}, "analysis.json": {"configuration"}}
MARK = "@@here@@"


def of_json(base, file) -> Iterator[Mutant]:
    """Every mutant of one JSON file."""
    value, name = small.facts(base, file), Path(file).name
    told = "" if file.startswith("training_state") else "type"
    for path in _paths(value):
        for how, text in WRONG.items():
            content = partial(_replaced, value, path, text)
            must = told and _must(name, path, how)
            label = ".".join(map(str, path)) or "everything"
            names = (name, *_contradicted(name, path))
            yield Mutant(file, f"{label} is {how}", writes(file, content), must, names, how in TEXTS[2:])
        if path:
            must = told if _is_needed(name, path) else ""
            names = (name, str(path[-1])) if str(path[-1]).endswith(".npy") else (name,)
            content = json.dumps(_with(value, path, None, drop=True)).encode()
            yield Mutant(file, f"without {'.'.join(map(str, path))}", writes(file, content), must, names)
    yield from _of_whole(file, json.dumps(value), told)


def _of_whole(file, text, told):
    """A JSON text that is no value, or more than one."""
    inside = text[1:-1]
    for how, content, must in (
        ("a key more", f'{{"more": [1, null, {{"a": "b"}}], {inside}}}', ""),
        ("every key twice", f"{{{inside}, {inside}}}", ""),
        ("a deep key more", f'{{"more": {WRONG["deep"]}, {inside}}}', told),
        ("50 MB more", lambda: f'{{"more": "{"x" * 50_000_000}", {inside}}}'.encode(), ""),
        ("a million numbers more", lambda: f'{{"more": [{"1, " * 1_000_000} 1], {inside}}}'.encode(), ""),
        ("only opened", "[" * 1_000_000, told),
        ("a comma more", text[:-1] + ",}", told),
        ("byte order mark", "\ufeff" + text, ""),
        ("single quotes", text.replace('"', "'"), told),
        ("white space", " \n" * 1000, told),
    ):
        yield Mutant(file, how, writes(file, content if callable(content) else content.encode()), must)
    yield Mutant(file, "invalid UTF-8", writes(file, text.replace('"', '"\xff', 1).encode("latin-1")), told)
    yield Mutant(file, "UTF-16", writes(file, text.encode("utf-16")), told)


def _paths(value, above=()):
    """The keys and positions of everything in a JSON value, itself first; of a list its first two entries."""
    yield above
    inside = value.items() if isinstance(value, dict) else list(enumerate(value))[:2] if isinstance(value, list) else ()
    for key, entry in inside:
        yield from _paths(entry, (*above, key))


def _replaced(value, path, text):
    """The bytes of a JSON value with some text at a place."""
    return json.dumps(_with(value, path, MARK)).replace(json.dumps(MARK), text).encode()


def _with(value, path, new, *, drop=False):
    """A copy of a JSON value with another one at a place, or without it."""
    if not path:
        return new
    changed = copy.deepcopy(value)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = new
    return changed


def _is_needed(name, path):
    """Whether a reader cannot do without a key."""
    last = path[-1]
    if name == "spectrum.json" or name == "tree.json":
        return len(path) == 1 and (last in COUNTS or last in ("laplacian", "split", "provenance"))
    if name == "run.json":
        return path in (("format_version",), ("layout",)) or (path[0] == "layout" and last in ("name", "shape"))
    return name == "analysis.json" and path == ("configuration",)


def _must(name, path, how):
    """Who can tell that a value is wrong."""
    if how in NOT_JSON or how == "deep":
        return "type"
    if not path:
        return "type" if how != "an object" or name != "measures.json" else ""
    last = path[-1]
    if len(path) == 1 and last in MAPPINGS.get(name, ()):
        return "type" if how != "an object" else ""
    if last in COUNTS and len(path) == 1:
        return "type" if last != "format_version" or how not in ("zero", "negative", "huge") else ""
    if name == "tree.json" and last in ("laplacian", "split"):
        return "type"
    if name == "run.json" and path[0] == "layout":
        if last == "name":
            return "type" if how not in TEXTS else ""
        return "type"
    if name == "measures.json" and last in ("embedding_norms", "unembedding_norms", "key_frequencies"):
        return "type" if how in ("an object", *TEXTS) else ""
    return ""


def _contradicted(name, path):
    """The files that say otherwise where a count or a shape is wrong, each of which may be the one that is named."""
    if name == "run.json" and path[:1] == ("layout",):
        arrays = (f"{stem}.npy" for stem in ("eigenvectors", "shares", "eigenvalues", "order"))
        return ("spectrum.json", "tree.json", "model.safetensors", *arrays)
    if path and path[0] in COUNTS:
        stems = {*small.SPECTRUM, *small.TREE}
        return ("run.json", *(f"{stem}.npy" for stem in stems))
    return ()


def of_csv(base, file) -> Iterator[Mutant]:
    """Every mutant of the metrics."""
    text = (base / file).read_text()
    header, first, *rows = text.splitlines()
    cells = first.split(",")

    def table(*lines):
        return "\n".join(lines) + "\n"

    def row(cell, column=1):
        changed = [*cells[:column], cell, *cells[column + 1 :]]
        return table(header, ",".join(changed), *rows)

    columns = header.split(",")
    changed = {
        "another column": (table(header.replace("train_loss", "other"), first, *rows), ""),
        "no column step": (table(header.replace("step", "other"), first, *rows), "type"),
        "no header": (table(first, *rows), "type"),
        "only the header": (table(header), ""),
        "an empty line first": ("\n" + text, "type"),
        "a column twice": (table(",".join([*columns[:-1], columns[0]]), first, *rows), "type"),
        "a column without a name": (table(header.replace("train_loss", ""), first, *rows), ""),
        "a column less in the header": (table(",".join(columns[:-1]), first, *rows), "type"),
        "a cell more": (table(header, first + ",1", *rows), "type"),
        "a cell less": (table(header, ",".join(cells[:-1]), *rows), "type"),
        "an empty line": (table(header, first, "", *rows), ""),
        "CRLF": (text.replace("\n", "\r\n"), ""),
        "CR": (text.replace("\n", "\r"), ""),
        "a byte order mark": ("\ufeff" + text, ""),
        "semicolons": (text.replace(",", ";"), "type"),
        "rows missing": (table(header, *rows[::2]), ""),
        "rows reversed": (table(header, *rows[::-1], first), ""),
        "a row twice": (table(header, first, first, *rows), ""),
        "a quote is not closed": (row('"1'), "type"),
        "a million rows": (lambda: (table(header, first, *rows) + f"{rows[-1]}\n" * 1_000_000).encode(), ""),
        "a million columns": (lambda: table(",".join(map(str, range(1_000_000)))).encode(), ""),
    }
    for how, cell in {
        "text": "text",
        "empty": "",
        "NaN": "nan",
        "infinite": "inf",
        "1e999": "1e999",
        "huge": "1e308",
        "negative": "-3",
        "white space": " ",
        "complex": "1j",
        "hexadecimal": "0x10",
        "with an underscore": "1_0",
        "Arabic digits": "٣",
        "NUL bytes": "\0\0\0",
        "10 MB": lambda: "1" * 10_000_000,
        "10 MB of text": lambda: "x" * 10_000_000,
        "escapes": "\x1b[31m",
        "a formula": "$\\foo{$",
    }.items():
        for column in (0, 1):
            must = "" if how in ("empty", "huge", "with an underscore", "Arabic digits") else "type"
            # A loss may be negative or no finite number, that on the test samples at least.
            must = "" if column and how in ("negative", "NaN", "infinite", "1e999") else must
            must = "type" if column == 0 and how == "empty" else must
            changed[f"{columns[column]} is {how}"] = partial(_encoded, row, cell, column), must
    for how, name in {"escapes": "\x1b[31m", "a formula": "$\\foo{$", "100,000 characters": "x" * 100_000}.items():
        changed[f"a column is named by {how}"] = header.replace("test_loss", name) + text.removeprefix(header), ""
    for how, (content, must) in changed.items():
        content = content if callable(content) else content.encode()
        yield Mutant(file, how, writes(file, content), must, is_text=how.startswith("a column is named"))
    yield Mutant(file, "invalid UTF-8", writes(file, text.encode().replace(b"loss", b"lo\xffss", 1)), "type")


def _encoded(row, cell, column):
    return row(cell() if callable(cell) else cell, column).encode()
