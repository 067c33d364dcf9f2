"""A process that holds claims: `holder.py FOLDER MODE`.

It prints the names of its claims, one a line, and lives until its stdin ends.  MODE: ``one``; ``two`` valets in one
process, of which one looks at the other; ``forking``: with a child that goes on when the parent is killed; ``closing``:
it lets go; ``ending``: it ends by itself; ``looking NAME``: what it says of another's claim.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from valetkey.clock import SystemClock
from valetkey.holders import FileHolders


def say(*words: object) -> None:
    print(*words, flush=True)


def wait() -> None:
    sys.stdin.readline()


def main(folder: Path, mode: str, *more: str) -> None:
    clock = SystemClock()
    holders = FileHolders(folder, clock=clock)
    if mode == "looking":
        say(holders.fate(more[0]))
        return
    name = holders.name()
    say(name)
    if mode == "two":
        other = FileHolders(Path(more[0]), clock=clock)  # the same folder under another path
        say(other.name())
        say(other.fate(name), holders.fate(other.name()))
    elif mode == "collected":
        gone = FileHolders(folder, clock=clock)
        say(gone.name())
        del gone
        gc.collect()
        say("collected")
    elif mode == "forking":
        child = os.fork()
        if child == 0:
            say(holders.fate(name))
            say(holders.name())
            wait()
            os._exit(0)
    elif mode == "forked child ends":
        child = os.fork()
        if child == 0:
            holders.close()
            os._exit(0)
        os.waitpid(child, 0)
        say("ended")
    elif mode == "closing":
        holders.close()
        say("closed")
    elif mode == "ending":
        return
    wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
