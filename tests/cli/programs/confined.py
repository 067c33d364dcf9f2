"""Run a program that may do less: `confined.py RULE... -- PROGRAM ARGUMENT...`.

``modes-count``: the modes of files hold for it, even if it is run by root.  ``file-size=N``: a write that would make a
file longer than N bytes fails, as on a disk that is full or over a quota.  ``nobodys-home``: no home folder can be
found; then the program is the command ``valetkey``, and only its arguments follow.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
import sys
from typing import NoReturn

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def let_modes_count() -> None:
    """Do without root's right to read and write every file: it is gone after the exec."""
    if os.geteuid() == 0:
        system = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if system.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "the capability cannot be dropped")


def limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write itself fails, and nobody is killed
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def nobody(_: object) -> NoReturn:
    raise KeyError("uid not found")


def main() -> int:
    split = sys.argv.index("--")
    rules, program = sys.argv[1:split], sys.argv[split + 1 :]
    for rule in rules:
        if rule == "modes-count":
            let_modes_count()
        elif rule.startswith("file-size="):
            limit_files(int(rule.partition("=")[2]))
    if "nobodys-home" not in rules:
        os.execv(program[0], program)  # noqa: S606
    os.environ.pop("HOME", None)
    pwd.getpwuid = nobody  # type: ignore[assignment]
    from valetkey.cli import main

    return main(program)


if __name__ == "__main__":
    sys.exit(main())
