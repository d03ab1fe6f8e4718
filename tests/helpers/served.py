"""A running app, as its user and as others see it."""

import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection

from websockets.sync.client import connect

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/([\w-]{32})/")
PATIENCE = 60  # seconds that a busy machine may take


@dataclass
class Served:
    process: subprocess.Popen
    line: str

    @property
    def url(self):
        return ADDRESS.search(self.line)[0]

    @property
    def port(self):
        return int(ADDRESS.search(self.line)[1])

    @property
    def token(self):
        return ADDRESS.search(self.line)[2]

    def own(self):
        """What the app's own page sends."""
        return {"Host": f"127.0.0.1:{self.port}", "Origin": f"http://127.0.0.1:{self.port}"}

    def ask(self, path, headers=(), method="GET", body=None):
        """Status, headers and body of what is answered; `headers` are sent as they are, and no `Host` unless named."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in dict(headers).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), "" if answer.status == 101 else answer.read().decode()
        finally:
            connection.close()

    def handshake(self, path, headers):
        """Status and body of the answer to a request to open a websocket, which is left at once if it opens."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade["Sec-WebSocket-Key"] = "MDEyMzQ1Njc4OWFiY2RlZg=="
        status, _, body = self.ask(f"{path}?session_id=s_refused", upgrade | dict(headers))
        return status, body

    def websocket(self, session="s_test01", host=None):
        """The page's websocket, open, for messages of any size and number."""
        host = host or f"127.0.0.1:{self.port}"
        return connect(
            f"ws://{host}/{self.token}/ws?session_id={session}",
            sock=socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE),
            origin=f"http://{host}",
            max_size=None,
            max_queue=None,
            open_timeout=PATIENCE,
        )

    def messages(self, session, host=None):
        """All that a page is sent until its cells have run."""
        found = []
        with self.websocket(session, host) as opened:
            while not found or '"completed-run"' not in found[-1]:
                found.append(opened.recv(timeout=PATIENCE))
        return found


@contextmanager
def served(app, run, *more, start=("-m", "hessian_dendrogram"), **options):
    """Start an app with the command, on the first free port."""
    line = [sys.executable, *start, "app", app, "--run", str(run), *more]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **options)
    try:
        yield Served(process, process.stderr.readline())
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_for(port):
    """Return once somebody listens there."""
    for _ in range(20 * PATIENCE):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nobody listens on port {port}")
