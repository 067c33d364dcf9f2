"""The system's clocks."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class SystemClock:
    """The real time.  `monotonic` runs on while the machine sleeps, where the system has such a clock.

    `ticks` is cheaper and stands still meanwhile: good for measuring fractions of a second.
    """

    __slots__ = ("monotonic", "now", "sleep", "ticks")
    now: Callable[[], float]
    sleep: Callable[[float], None]
    ticks: Callable[[], float]
    monotonic: Callable[[], float]

    def __init__(self) -> None:
        self.now = time.time
        self.sleep = time.sleep
        self.ticks = time.monotonic
        boottime = getattr(time, "CLOCK_BOOTTIME", None)
        self.monotonic = time.monotonic if boottime is None else functools.partial(time.clock_gettime, boottime)

    def boot_id(self) -> str:
        """Return what names this boot: the kernel's boot id, or the minute of the boot where there is none."""
        try:
            with open(_BOOT_ID, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs more than the rest of this module
                return file.read().strip()
        except OSError:
            return f"minute-{round((time.time() - time.monotonic()) / 60)}"
