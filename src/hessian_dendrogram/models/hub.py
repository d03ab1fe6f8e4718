"""Revisions of a model on Hugging Face's hub: `EleutherAI/pythia-70m@step1000`, or all that are named as steps.

What is in the hub's cache on this machine is taken from there, in the layout that the library keeps; anything else is
downloaded by `huggingface_hub`, one revision when it is asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from torch import nn

from ..errors import UserError
from ..texts import shortened
from .checkpoint_files import weights_in
from .checkpoints import FileCheckpoints
from .step_names import LARGEST_STEP, step_in_name

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(?:@[\w./,-]+)?")
_FILES = ("*.safetensors", "*.bin", "*.json")


def is_repository(name: str) -> bool:
    """Whether a name is one of the hub's rather than a path: `owner/name`, perhaps with `@revision,revision`."""
    return bool(_REPOSITORY.fullmatch(name)) and not Path(name).exists()


class HubCheckpoints:
    """Checkpoints that are revisions of a repository.

    Args:
        name: `owner/name`, with `@` and the revisions where not all of them are meant.
        prefix: as for `FileCheckpoints`.
        step: of the one revision that is named, such as `main`; default what its name says.
        tell: gets a line for every revision, and for what is changed to make them fit.

    Raises:
        UserError: a revision has no step in its name, or two have the same; or the revisions cannot be found.
    """

    def __init__(
        self,
        name: str,
        step: int | None = None,
        *,
        prefix: str | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> None:
        self.repository, _, chosen = name.partition("@")
        self.prefix, self._tell, self._said = prefix, tell or (lambda _: None), set[str]()
        revisions = chosen.split(",") if chosen else self._all_revisions()
        if step is not None and (len(revisions) > 1 or not 0 <= step <= LARGEST_STEP):
            raise UserError(f"--step {step} goes with one revision, {self.repository}@main, and is a number of updates")
        self._revisions: dict[int, str] = {}
        for revision in revisions:
            number = step_in_name(revision) if step is None else step
            if number in self._revisions:
                raise UserError(f"the revisions {self._revisions[number]} and {revision} both have step {number}")
            self._revisions[number] = revision
        for number, revision in sorted(self._revisions.items()):
            self._tell(f"{self.repository}@{revision} -> step {number} ({'its name' if step is None else '--step'})")

    def steps(self) -> list[int]:
        """Those in the names of the revisions, ascending."""
        return sorted(self._revisions)

    def load(self, step: int, model: nn.Module) -> None:
        """Take the weights of a revision, downloading them where they are not in the cache.

        Raises:
            UserError: they cannot be had, or do not fit.
        """
        folder = self._folder(self._revisions[step])
        FileCheckpoints({step: weights_in(folder)}, prefix=self.prefix, tell=self._tell_once).load(step, model)

    def _tell_once(self, line: str) -> None:
        """Say what is changed for the first revision, and not for each of a hundred."""
        if line not in self._said:
            self._said.add(line)
            self._tell(line)

    @property
    def _cache(self) -> Path:
        home = os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")
        root = Path(os.environ.get("HF_HUB_CACHE", Path(home) / "hub"))
        return root / f"models--{self.repository.replace('/', '--')}"

    def _all_revisions(self) -> list[str]:
        """Every revision whose name is that of a step: in the cache, or on the hub."""
        folder = self._cache / "refs"
        names = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
        try:
            from huggingface_hub import HfApi

            known = HfApi().list_repo_refs(self.repository)
            names += [one.name for one in (*known.branches, *known.tags)]
        except ImportError:
            pass
        except Exception as error:  # no network, no such repository: what is in the cache is there all the same
            if not names:
                raise self._refusal(f"its revisions cannot be listed ({shortened(error, 120)})") from None
        found = sorted({name for name in names if re.search("step|iter", name, re.IGNORECASE)})
        if not found:
            raise self._refusal("no revision of it is named as a step")
        return found

    def _folder(self, revision: str) -> Path:
        """The files of a revision."""
        reference = self._cache / "refs" / revision
        if reference.is_file():
            commit = reference.read_text(errors="replace")[:100].strip()
            if re.fullmatch("[0-9a-f]{40,64}", commit) and (self._cache / "snapshots" / commit).is_dir():
                return self._cache / "snapshots" / commit
        try:
            from huggingface_hub import snapshot_download
        except ImportError:
            raise self._refusal(
                f"{revision} is not in the cache, and `pip install huggingface_hub` is needed"
            ) from None
        try:
            return Path(snapshot_download(self.repository, revision=revision, allow_patterns=list(_FILES)))
        except Exception as error:
            raise self._refusal(f"{revision} cannot be downloaded ({shortened(error, 120)})") from None

    def _refusal(self, why: str) -> UserError:
        return UserError(
            f"there is no file or folder {self.repository}; as a model of the hub: {why}. Download it where there is a "
            "network, and give the folder: --checkpoints DIR"
        )
