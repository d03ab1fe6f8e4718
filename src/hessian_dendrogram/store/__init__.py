"""Run directories: the only folder of the package that knows their paths and formats.

Writing is all or nothing (`atomic`), under one lock (`lock`); reading trusts nothing (`read`, `records`).
"""

from .lock import lock
from .run import BIPARTITION, FORMAT_VERSION, Run, checked_name

__all__ = ["BIPARTITION", "FORMAT_VERSION", "Run", "checked_name", "lock"]
