"""Mutants of .safetensors files: their headers, and the types, shapes, values and names of tensors."""

import json
from collections.abc import Iterator

import numpy as np

from damage_files import Mutant, is_read, writes

BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8, "I64": 8, "U8": 1, "BOOL": 1}
BYTES |= {"I8": 1, "U64": 8, "F8_E8M0": 1}
ODD_NAMES = {"empty": "", "two dots": "..", "long": "x" * 100_000, "a path": "/etc/passwd", "a formula": "$\\foo{$"}
ODD_NAMES |= {"escapes": "\x1b[31m\r\n\x00", "metadata": "__metadata__x", "letters": "µ🙂"}


def read(content):
    """The entries of the header, and the bytes after it."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def packed(header, data, *, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def of_tensors(base, file) -> Iterator[Mutant]:
    """Every mutant of one .safetensors file."""
    header, data = read((base / file).read_bytes())
    told = "type" if is_read(file) else ""
    for how, content, must in (*_headers(header, data), *_types(header), *_entries(header, data)):
        yield Mutant(file, how, writes(file, content), must and told)
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, stop = entry["data_offsets"]
        numbers = np.frombuffer(data[start:stop], np.float32 if entry["dtype"] == "F32" else np.uint8)
        numbers = np.frombuffer(data[start:stop], np.float64) if entry["dtype"] == "F64" else numbers
        if numbers.dtype == np.uint8:
            continue
        for value in (np.nan, np.inf, -np.inf, 1e30):
            changed = numbers.copy()
            changed[-1] = value
            content = packed(header, data[:start] + changed.tobytes() + data[stop:])
            yield Mutant(file, f"{name} has {value:g}", writes(file, content), "" if value == 1e30 else told)


def _headers(header, data):
    """The length of the header, and what stands in it."""
    text = json.dumps(header).encode()
    for length in (0, 1, len(text) - 1, len(text) + 1, 10**6, 100_000_001, 2**31, 2**62, 2**64 - 1):
        yield f"the header claims {length} bytes", packed(text, data, length=length), "type"
    yield "a header of 99 MB", lambda: packed(text + b" " * 99_000_000, data), ""
    yield "no tensor", packed({}, b""), "type"
    yield "no tensor, but data", packed({}, data), "type"
    yield "a list as header", packed(b"[]", data), "type"
    yield "a deep header", packed(b"[" * 100_000 + b"]" * 100_000, data), "type"
    yield "no JSON", packed(b"{" + text, data), "type"
    yield "invalid UTF-8", packed(text.replace(b'"', b'"\xff', 1), data), "type"
    yield "another end", packed(text[:-1] + b', "__metadata__": {"format": 1}}', data), ""
    yield "metadata", packed(header | {"__metadata__": {"format": "pt", "more": "\x1b[31m"}}, data), ""
    yield "every key twice", packed(text[:-1] + b"," + text[1:], data), ""
    yield "no data", packed(header, b""), "type"


def _types(header):
    for dtype, size in (BYTES | {"Q9": 4}).items():
        changed, end = {}, 0
        for name, entry in header.items():
            if name != "__metadata__":
                stop = end + size * int(np.prod(entry["shape"], dtype=int))
                changed[name] = {"dtype": dtype, "shape": entry["shape"], "data_offsets": [end, stop]}
                end = stop
        # Weights in fewer digits are weights; complex ones, and of no known type, are not.
        yield f"all {dtype}", packed(changed, bytes(end)), "type" if dtype in ("Q9", "C64") else ""


def _entries(header, data):
    name = next(key for key in header if key != "__metadata__")
    entry = header[name]
    others = {key: value for key, value in header.items() if key != name}
    start, stop = entry["data_offsets"]
    shape = entry["shape"]
    for how, more, must in (
        ("a wrong offset", {"data_offsets": [start + 1, stop + 1]}, "type"),
        ("an overlap", {"data_offsets": [0, stop - start]}, "" if start == 0 else "type"),
        ("a huge offset", {"data_offsets": [2**62, 2**62 + stop - start]}, "type"),
        ("a negative offset", {"data_offsets": [-8, 0]}, "type"),
        ("a text as offset", {"data_offsets": ["a", "b"]}, "type"),
        ("a huge shape", {"shape": [2**62, 2**62]}, "type"),
        ("a negative shape", {"shape": [-1]}, "type"),
        ("a text as shape", {"shape": "a"}, "type"),
        ("an axis more", {"shape": [1, *shape]}, "type"),
        ("flat", {"shape": [int(np.prod(shape, dtype=int))]}, "type" if len(shape) > 1 else ""),
        ("a null as dtype", {"dtype": None}, "type"),
        ("no shape", {"shape": None}, "type"),
    ):
        yield f"{name} has {how}", packed(others | {name: entry | more}, data), must
    for how, odd in ODD_NAMES.items():
        yield f"one more name: {how}", packed(header | {odd: _after(data)}, data + bytes(8)), ""
        yield f"{name} is named: {how}", packed(others | {odd: entry}, data), "type"


def _after(data):
    return {"dtype": "F64", "shape": [1], "data_offsets": [len(data), len(data) + 8]}
