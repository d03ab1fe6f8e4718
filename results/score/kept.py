"""What has been measured, in `results/circuits`, one file a network; what is there is never measured again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hessian_dendrogram.store.atomic import write_json

FOLDER = Path("results/circuits")


@cache
def _read(path: Path, changed: int) -> dict[str, Any]:  # noqa: ARG001 (a file that has changed is read again)
    return json.loads(path.read_text())  # type: ignore[no-any-return]


class Kept:
    """The measurements of a network, by name; each with the processor seconds that it took."""

    def __init__(self, network: object, folder: Path = FOLDER) -> None:
        self.path = folder / f"{network}.json"
        self.values: dict[str, Any] = _read(self.path, self.path.stat().st_mtime_ns) if self.path.exists() else {}

    def get(self, name: str) -> Any:
        """A measurement, or `None` where there is none."""
        found = self.values.get(name)
        return None if found is None else found["value"]

    def measured(self, name: str, measure: Callable[[], Any]) -> Any:
        """A measurement; made where there is none yet, and kept at once."""
        if name not in self.values:
            start, clock = time.process_time(), time.perf_counter()
            value = measure()
            seconds = {
                "processor": round(time.process_time() - start, 1),
                "wall": round(time.perf_counter() - clock, 1),
            }
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.values = json.loads(self.path.read_text()) if self.path.exists() else {}  # others may have added
            self.values[name] = {"value": value, "seconds": seconds}
            write_json(self.path, self.values)
            print(f"{self.path.stem}: {name}, {seconds['processor']:.0f} s", flush=True)
        return self.values[name]["value"]
