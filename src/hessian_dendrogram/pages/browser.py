"""Open an address in the user's browser without showing it to others."""

from __future__ import annotations

import tempfile
import webbrowser
from html import escape
from pathlib import Path
from threading import Thread, Timer

_SECONDS = 60.0  # until even a browser that had to be started has read the file


def open_privately(url: str) -> None:
    """Have the browser open a file that only this user can read, and that leads on to `url`.

    All users of a machine see what programs are started with, and `url` is a secret. Returns at once.
    """
    folder = Path(tempfile.mkdtemp(prefix="hessian-dendrogram-"))  # for this user alone
    page = folder / "open.html"
    page.write_text(f'<meta http-equiv="refresh" content="0; url={escape(url)}">\n')

    def remove() -> None:
        page.unlink(missing_ok=True)
        folder.rmdir()

    timer = Timer(_SECONDS, remove)
    timer.daemon = True
    timer.start()
    Thread(target=webbrowser.open, args=[page.as_uri()], daemon=True).start()  # a browser in the terminal would block
