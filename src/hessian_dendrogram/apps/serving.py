"""Start a notebook as a page that only this machine reaches."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from runpy import run_module

from ..errors import UserError
from .reading import DEFAULT_RUNS, open_run

HOST = "127.0.0.1"
_FIRST_PORT = 2718
_PORTS = 100  # that are tried


@dataclass(frozen=True)
class Address:
    """What is shown, and where.

    Attributes:
        notebook: the notebook's file.
        run: the run directory.
        port: of this machine.
    """

    notebook: Path
    run: Path
    port: int

    @property
    def url(self) -> str:
        """What a browser opens."""
        return f"http://{HOST}:{self.port}"


def prepare(name: str, run: Path | None, port: int | None) -> Address:
    """Check everything that can be wrong before a server is started.

    Args:
        name: one of `DEFAULT_RUNS`.
        run: a run directory; default the published one, in a checkout.
        port: default the first free one from 2718 on.

    Raises:
        UserError: the name, the directory or the port is wrong, or the extra `apps` is not installed.
        DamagedRunError: the run's run.json cannot be read.
    """
    if name not in DEFAULT_RUNS:
        raise UserError(f"there is no app {name!r}; there are: {', '.join(DEFAULT_RUNS)}")
    if missing := [package for package in ("marimo", "plotly") if find_spec(package) is None]:
        raise UserError(f"the apps need {' and '.join(missing)}: pip install 'hessian-dendrogram[apps]'")
    opened = open_run(run, name)
    return Address(Path(__file__).with_name(f"{name}.py"), opened.path.resolve(), _port(port))


def serve(address: Address, *, browser: bool = False) -> None:
    """Become the server, with all that the notebooks import already there; does not return."""
    # The first page to be opened would wait for these imports, and every page is made in this process.
    for module in ("charts", "apps.widgets"):
        import_module(f"hessian_dendrogram.{module}")
    command = ["marimo", "--quiet", "run", str(address.notebook), "--host", HOST, "--port", str(address.port)]
    command += ["--no-sandbox", "--no-check", *([] if browser else ["--headless"])]
    sys.argv = [*command, "--", "--run", str(address.run)]
    run_module("marimo", run_name="__main__", alter_sys=True)


def _port(wanted: int | None) -> int:
    if wanted is None:
        for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
            if _is_free(port):
                return port
        raise UserError(f"no port from {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free; name one with --port")
    if not 1 <= wanted <= 65535:
        raise UserError(f"a port is a number from 1 to 65535, got {wanted}")
    if not _is_free(wanted):
        raise UserError(f"port {wanted} is taken; name another with --port")
    return wanted


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
