"""A seeded mutator over a small run directory: every reader must tell what is damaged, and harm nobody.

    python tests/helpers/damage.py --mutants 1000 --seed 0 [--thorough] [--verbose]

prints how many mutants were tried, and what went wrong. Without `--thorough` each mutant has the quick readers and one
of the slow ones, over a run with the one analysis that is damaged; with it, everything.
"""

import argparse
import io
import os
import random
import shutil
import tempfile
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MPLBACKEND="Agg", NO_COLOR="1")

import damage_run as small
from damage_arrays import of_arrays
from damage_child import be_quick, outcomes
from damage_files import instead, of_bytes, of_folders
from damage_judge import Tally, judge
from damage_places import of_places
from damage_readers import READERS
from damage_tensors import of_tensors
from damage_texts import of_csv, of_json
from hessian_dendrogram import Run, figures
from hessian_dendrogram.cli import app
from hessian_dendrogram.pages.exported import export_page
from hessian_dendrogram.store.compact import compact

SLOW = ("notebook parameter-dendrogram", "notebook grokking", "notebook spectrum", "export", "plot --to", "plot")
QUICK = tuple(name for name in READERS if name not in SLOW)


def mutants(base, seed):
    """Every systematic mutant of a run; the seed says at which step, and where bits flip and files end."""
    chance = random.Random(seed)
    found = [*of_folders(base), *of_places()]
    for file in _files(base, chance):
        found += [*of_bytes(base, file, chance), *instead(base, file)]
        suffix = Path(file).suffix
        makers = {".json": of_json, ".npy": of_arrays, ".safetensors": of_tensors, ".csv": of_csv}
        found += makers[suffix](base, file)
    return found


def _files(base, chance):
    """One file of each kind: of an analysis at one of its steps, and for spectra in one of the two analyses."""
    kinds = defaultdict(list)
    for file in small.files(base):
        parts = Path(file).parts
        analysis = "tree" if small.TREES in parts else "spectrum"
        kinds[parts[0], analysis, parts[-1]].append(file)
    return [chance.choice(files) for files in kinds.values()]


def chosen(found, count, seed):
    """So many of the mutants, of every kind of file and of damage as evenly as can be."""
    chance = random.Random(seed)
    by_kind = defaultdict(list)
    for mutant in found:
        by_kind[mutant.kind].append(mutant)
    queues = [chance.sample(queue, len(queue)) for queue in by_kind.values()]
    chance.shuffle(queues)
    picked = []
    while len(picked) < count and any(queues):
        picked += [queue.pop() for queue in queues if queue]
    return picked[:count]


class Tester:
    """Tries mutants of one run, in a folder of its own."""

    def __init__(self, folder, *, seed=0, thorough=False):
        self.work, self.seed, self.thorough = Path(folder), seed, thorough
        self.base = self.work / "base"
        small.write(self.base)
        _warm_up(self.base, self.work)
        self.usual = {outcome.reader: outcome.peak for outcome in self._undamaged()}

    def mutants(self):
        return mutants(self.base, self.seed)

    def try_all(self, chosen, *, tell=lambda _: None):
        """The tally of some mutants; each of its failures is told at once."""
        tally = Tally()
        for mutant in chosen:
            found, failures = self.try_one(mutant)
            tally.add(mutant, found, failures)
            for failure in failures:
                tell(failure)
        return tally

    def try_one(self, mutant):
        """What the readers did with one mutant, and what was wrong with that."""
        self._prepare(mutant)
        found = outcomes(self._readers(mutant), self.work / "now", is_drawn=mutant.is_text)
        size = sum(path.lstat().st_blocks * 512 for path in (self.work / "now/run").rglob("*"))
        return found, judge(mutant, found, size=size, usual=self.usual)

    def _readers(self, mutant):
        if self.thorough:
            return list(READERS)
        if mutant.is_text:
            return [*QUICK, "plot --to"]
        if mutant.target.startswith("figures") or ".partial" in mutant.target or mutant.target == ".lock":
            return [*QUICK, "plot"]
        other = {"tree": ("spectrum", "grokking"), "spectrum": ("parameter-dendrogram",)}.get(
            mutant.kind.split("/")[0], ()
        )
        slow = [name for name in SLOW if name.removeprefix("notebook ") not in other]  # whose analyses are there
        return [*QUICK, random.Random(f"{self.seed} {mutant.name}").choice(slow)]

    def _prepare(self, mutant=None):
        now = self.work / "now"
        shutil.rmtree(now, ignore_errors=True)
        now.mkdir()
        every = {small.WHOLE, small.PARTIAL, small.TREES}
        kept = every & {*Path(mutant.target).parts} if mutant else set()
        if self.thorough or "copied" in getattr(mutant, "how", ""):
            kept = every
        left = every - (kept or {small.PARTIAL, small.TREES})
        shutil.copytree(self.base, now / "run", ignore=lambda folder, names: left & {*names})
        (now / "outside/kept").mkdir(parents=True)
        for name in ("kept.txt", "kept/a.txt", "kept/gaps.png"):
            (now / "outside" / name).write_text("somebody else's")
        if mutant:
            mutant.apply(now / "run", now / "outside")

    def _undamaged(self):
        """What the readers do with the run as it is: nothing may be wrong with that."""
        self._prepare()
        found = outcomes(list(READERS), self.work / "now")
        for outcome in found:
            assert outcome.code == 0, outcome
            assert not outcome.raised, outcome
        return found


def _warm_up(base, work):
    """Import and make once what every child would import and make again."""
    be_quick(is_drawn=True)
    (work / "warm").mkdir()
    with redirect_stdout(io.StringIO()):
        app(["info", str(base)], standalone_mode=False)
    run = Run(base)
    export_page(run, work / "warm/page.html")
    compact(run, work / "warm/copy")
    figures.draw(run, small.PARTIAL, work / "warm")
    figures.draw(run, small.TREES, work / "warm")
    shutil.rmtree(work / "warm")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--thorough", action="store_true", help="every reader of every mutant")
    parser.add_argument("--verbose", action="store_true", help="print every failure")
    parser.add_argument("--only", default="", help="part of the name of the mutants to try")
    parser.add_argument("--chunk", default="0/1", help="0/2 is every second mutant from the first on")
    parser.add_argument("--json", type=Path, help="file that gets a line for every failure")
    options = parser.parse_args()
    first, stride = map(int, options.chunk.split("/"))
    lines = options.json.open("w") if options.json else None

    def tell(failure):
        if options.verbose:
            print(failure, flush=True)
        if lines:
            print(failure.to_json(), file=lines, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        tester = Tester(folder, seed=options.seed, thorough=options.thorough)
        every = [mutant for mutant in tester.mutants() if options.only in mutant.name]
        tally = tester.try_all(chosen(every, options.mutants, options.seed)[first::stride], tell=tell)
    print(f"{len(every):>8,}  mutants to choose from")
    print(tally.table())


if __name__ == "__main__":
    main()
