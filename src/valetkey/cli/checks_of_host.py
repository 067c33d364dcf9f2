"""What `valetkey doctor` tells of this host: answers that wait for a store elsewhere, and lock files (R6, R10)."""

from __future__ import annotations

from collections.abc import Iterator

from valetkey.cli.checks import Finding
from valetkey.cli.output import ago, count
from valetkey.cli.session import Session
from valetkey.engine.world import NO_JOURNAL
from valetkey.errors import clean


def host(session: Session) -> Iterator[Finding]:
    """Look at the journal of this host, and whether dead processes can be told from slow ones."""
    yield from _journal(session)
    holders = session.core.holders
    why = holders.obstacle()
    if why and holders.folder is not None:
        yield Finding("warn", "lock files", f"none: {clean(why)}; a dead process's claim is waited out")
    elif not why:
        yield Finding("ok", "lock files", clean(holders.folder))


def _journal(session: Session) -> Iterator[Finding]:
    core = session.core
    journal = core.world.journal
    if journal is NO_JOURNAL:
        if not core.store.local:
            yield Finding("warn", "journal", "none: this user has no folder for it", "set VALETKEY_HOME to one")
        return
    state = journal.state()
    if not state.waiting:
        yield Finding("ok", "journal", f"nothing waits for the store, {clean(state.place)}")
        return
    since = f", the oldest from {ago(state.oldest, core.clock.now())}" if state.oldest is not None else ""
    text = f"{count(state.waiting, 'answer')} of providers not yet in the store{since}"
    yield Finding("warn", "journal", text, "nothing to do: using these connections on this host brings it")
    missing = state.masters.difference(key.id for key in core.keys.keys())  # noqa: SIM118 - not a mapping
    if missing:
        text = f"some are sealed with master key {', '.join(sorted(missing))}, which is not there"
        yield Finding("fail", "journal", clean(text), "put that key back")
