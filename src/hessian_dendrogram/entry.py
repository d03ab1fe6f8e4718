"""How every command begins and ends: Ctrl-C, errors in one line, exit codes.

Ctrl-C is taken care of before the imports, which take longer than some users wait; so next to nothing is imported
above, and nothing at all once the signal has come, since it may come amid any import.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys

_WRITING = ("run", "analyse", "fiedler", "plot", "export", "compact")


def main() -> None:
    """Run the command; every error is one line, with exit code 2 for a user's mistake and 1 for anything else.

    Other signals keep what the system does at them: the process ends at once. What is stored is whole at any moment.
    """
    signal.signal(signal.SIGINT, _stop)
    _run()


def _stop(*_: object) -> None:
    """Leave at once on Ctrl-C: what is finished is on disk, and the rest is safe to lose at any moment."""
    line = "stopped"
    if sys.argv[1:2] and sys.argv[1] in _WRITING:
        line += f"; everything finished is stored. Go on with: {shlex.join(['hessian-dendrogram', *sys.argv[1:]])}"
    os.write(2, f"\n{line}\n".encode(errors="backslashreplace"))
    os._exit(130)


def _run() -> None:
    import io
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("hessian_dendrogram").setLevel(logging.INFO)
    logging.getLogger().setLevel(logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a pipe that cannot take λ
    try:
        from .cli import app

        app()
    except Exception as error:
        from .errors import HessianDendrogramError
        from .texts import escaped

        if "--debug" in sys.argv:
            import traceback

            traceback.print_exc()
        print(f"error: {escaped(_one_line(error))}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code if isinstance(error, HessianDendrogramError) else 1)


def _one_line(error: Exception) -> str:
    import errno

    from .errors import HessianDendrogramError

    if isinstance(error, HessianDendrogramError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return f"{error.strerror}{where}" + (
            "; what was stored is kept, the same command goes on from there" if full else ""
        )
    return (
        f"{type(error).__name__}: {' '.join(str(error).split())} (unexpected; run again with --debug for the traceback)"
    )
