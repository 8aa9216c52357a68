"""The processor of this machine."""

import contextlib
import platform
import re
from pathlib import Path


def processor_name() -> str:
    """What the system calls it; at least its architecture."""
    with contextlib.suppress(OSError):
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        named = re.search(r"model name\s*: (.+)", facts)
        if named:
            return named[1].strip()
    return platform.machine()
