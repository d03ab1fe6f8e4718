"""What the benchmarks share: the least time of several runs, and tables that go into the docs."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def best_of(repeats: int, work: Callable[[], object]) -> float:
    """The least time of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options of a benchmark whose table has a place in the docs."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--into", type=Path, help="a Markdown file; the table replaces the one that it holds")
    return made


def report(name: str, caption: str, rows: Sequence[Sequence[str]], into: Path | None) -> None:
    """Print a caption and a Markdown table, the header first; write both between the comments that bear the name."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    text = "\n".join([caption, "", head, "|" + "---|" * len(rows[0]), *body])
    print(text)
    if into is None:
        return
    page = into.read_text(encoding="utf-8")
    place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end of {re.escape(name)} -->)", re.DOTALL)
    if not place.search(page):
        raise SystemExit(f"{into} has no place for the table {name}")
    into.write_text(place.sub(lambda match: match[1] + text + "\n" + match[2], page), encoding="utf-8")
