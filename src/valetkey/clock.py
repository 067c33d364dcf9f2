"""The system's clocks."""

from __future__ import annotations

import functools
import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The real time.  `monotonic` runs on while the machine sleeps, where the system has such a clock."""

    __slots__ = ("monotonic", "now", "sleep")

    def __init__(self) -> None:
        self.now = time.time
        self.sleep = time.sleep
        boottime = getattr(time, "CLOCK_BOOTTIME", None)
        self.monotonic = time.monotonic if boottime is None else functools.partial(time.clock_gettime, boottime)

    def boot_id(self) -> str:
        """Return what names this boot: the kernel's boot id, or the minute of the boot where there is none."""
        try:
            return _BOOT_ID.read_text().strip()
        except OSError:
            return f"minute-{round((time.time() - time.monotonic()) / 60)}"
