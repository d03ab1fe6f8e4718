"""Where things are, and what a run computed."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TINY = Path(__file__).with_name("tiny.py")


def numbers(path):
    """Everything a run computed, byte for byte: metrics, weights, spectra; by file name."""
    kept = ("metrics.csv", "checkpoints", "measures", "analyses")
    return {
        str(file.relative_to(path)): file.read_bytes()
        for name in kept
        for file in ([path / name] if (path / name).is_file() else (path / name).rglob("*"))
        if file.is_file() and file.name != "analysis.json"
    }
