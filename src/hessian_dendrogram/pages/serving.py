"""Start a notebook as a page that only the holder of its address reaches."""

from __future__ import annotations

import errno
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import UserError
from .apps import open_app

HOST = "127.0.0.1"
_FIRST_PORT = 2718
_PORTS = 100  # that are tried
_OLD = {"fiedler": "parameter-dendrogram"}  # names of an earlier version


@dataclass(frozen=True)
class Address:
    """Which app shows which run directory, and where: at a port that is taken already, below a secret token."""

    app: str
    run: Path
    listener: socket.socket
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """What a browser opens."""
        return f"http://{HOST}:{self.listener.getsockname()[1]}/{self.token}/"


def prepare(name: str, run: Path | None, port: int | None) -> Address:
    """Check everything that can be wrong before a server is started, and take a port, the first free one by default.

    Raises:
        UserError: the name, the directory or the port is wrong, or the extra `apps` is not installed.
        DamagedRunError: the run's run.json cannot be read.
    """
    name = _OLD.get(name, name)
    if missing := [package for package in ("marimo", "plotly", "uvicorn") if find_spec(package) is None]:
        raise UserError(f"the apps need {' and '.join(missing)}: pip install 'hessian-dendrogram[apps]'")
    opened, _ = open_app(name, run)
    return Address(name, opened.path.resolve(), _listener(port), secrets.token_urlsafe(24))


def serve(address: Address, *, browser: bool = False) -> None:
    """Become the server, with all that the notebook imports already there; does not return."""
    import uvicorn
    from marimo import create_asgi_app

    from .browser import open_privately
    from .guard import Guard
    from .rehearsal import rehearse

    class Server(uvicorn.Server):
        """Ends when the process does: no signal is caught, no open page waited for."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    if browser:
        open_privately(address.url)  # which waits until the server answers
    rehearse()  # every page is made in this process
    notebook = str(Path(__file__).with_name("notebook.py"))
    app = create_asgi_app(quiet=True).with_app(path=f"/{address.token}", root=notebook).build()
    # From here on errors name the run's files from the run's own name on, not by where it lies.
    os.chdir(address.run.parent)
    guard = Guard(app, address.token, {"app": address.app, "run": address.run.name or "."})
    # Connections are kept and probed as marimo's own server does it.
    kept: Any = {"timeout_keep_alive": 300, "ws_ping_interval": 1, "ws_ping_timeout": 60}
    options = uvicorn.Config(guard, lifespan="off", log_level="error", proxy_headers=False, **kept)
    Server(options).run(sockets=[address.listener])


def _listener(wanted: int | None) -> socket.socket:
    """A socket that listens on the port, or on the first free one, and whose connections send at once.

    Python leaves it to the system otherwise, as it does not see that these are of TCP; that waits with the second
    part of an answer until the browser has acknowledged the first, 40 ms for each of the hundreds of files of a page.
    """
    listener = _at_port(wanted)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is accepted there takes it over
    return listener


def _at_port(wanted: int | None) -> socket.socket:
    """A socket that listens on the port, or on the first free one."""
    if wanted is None:
        for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
            with suppress(OSError):
                return socket.create_server((HOST, port))
        raise UserError(f"no port from {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free; name one with --port")
    if not 1 <= wanted <= 65535:
        raise UserError(f"a port is a number from 1 to 65535, got {wanted}")
    try:
        return socket.create_server((HOST, wanted))
    except OSError as error:
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({os.strerror(error.errno or 0)})"
        raise UserError(f"port {wanted} {reason}; name another with --port") from None
