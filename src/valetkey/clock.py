"""The system's clocks."""

from __future__ import annotations

import functools
import time

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


class SystemClock:
    """The real time.

    `monotonic` runs on while the machine sleeps, where the system has such a clock.  `ticks` is cheaper and may stand
    still meanwhile: good for measuring fractions of a second.
    """

    __slots__ = ()

    now = staticmethod(time.time)
    sleep = staticmethod(time.sleep)
    ticks = staticmethod(time.monotonic)
    monotonic = staticmethod(time.monotonic if _BOOTTIME is None else functools.partial(time.clock_gettime, _BOOTTIME))

    def boot_id(self) -> str:
        """Return what names this boot: the kernel's boot id, or the minute of the boot where there is none."""
        return _boot_id()


@functools.cache
def _boot_id() -> str:  # no process outlives its boot
    try:
        with open(_BOOT_ID, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs more than all of this module
            return file.read().strip()
    except OSError:
        return f"minute-{round((time.time() - time.monotonic()) / 60)}"
