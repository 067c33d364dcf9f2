"""``valetkey key``: the master key and the data keys of the store."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from valetkey.cli.commands import group, pass_session
from valetkey.cli.exits import STORE, Stop
from valetkey.cli.output import Column, Table, count, emit, facts
from valetkey.cli.session import Session
from valetkey.cli.terminal import is_terminal, out, say, warn
from valetkey.errors import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valetkey.engine.hosts import HostReport
    from valetkey.engine.key_change import Change, KeyChange
    from valetkey.engine.key_status import KeyStatus
    from valetkey.engine.rekeying import Rotation


@group("key")
def key() -> None:
    """See, make and rotate the keys that everything in the store is sealed with.

    Tokens and secrets are sealed with a data key of the store; the data key is wrapped with the master key, which is
    kept elsewhere: in a file of mode 0600 beside the embedded store, in VALETKEY_KEY, VALETKEY_KEY_FILE, or in the OS
    keyring.  Keep a backup of the master key: nothing else opens what is stored.
    """


@key.command("status", json=True, examples=("valetkey key status",))
@pass_session
def status(session: Session) -> int:
    """Show where the master key is, and what each data key seals.  Never a key."""
    from valetkey.engine.key_status import key_status  # noqa: PLC0415

    core = session.core
    found = key_status(core.store, core.vault, core.keys)
    change = _change(session)
    reports = change.reports()
    if session.json:
        emit({"key": {**_members(found), **_of_change(change.now()), "hosts": [_of_host(one) for one in reports]}})
    else:
        _show(found)
        _show_hosts(reports, found)
    return 0 if found.readable else STORE


def _show(found: KeyStatus) -> None:
    moved = found.recorded_place if found.recorded_place != found.place else ""
    facts(
        {
            "place": found.place,
            "recorded place": moved,
            "master key": ", ".join(found.masters) or "none",
            "the store needs": found.master if found.master not in found.masters[:1] else "",
        }
    )
    if not found.data_key:
        out("Nothing is sealed yet; the first key is made when something is.")
    if found.keys:
        out()
        counted = (Column("CONNECTIONS"), Column("SIGN-INS"), Column("OTHERS"))
        table = Table((Column("DATA KEY"), Column("MASTER"), Column("STATE"), *counted))
        for use in found.keys:
            state = "current" if use.current else "retiring"
            shown = state if use.readable else f"{state}, not readable"
            table.add(use.data_key, use.master, shown, str(use.connections), str(use.flows), str(use.documents))
        table.write()
    if found.problem:
        warn(found.problem, found.hint)
    elif found.retiring:
        warn("a rotation did not come to its end", "valetkey key rotate")


def _show_hosts(reports: Sequence[HostReport], found: KeyStatus) -> None:
    if not reports:
        return
    out()
    table = Table((Column("HOST", shrinks=True), Column("IS"), Column("READS KEY"), Column("ANSWERS IN JOURNAL")))
    for report in reports:
        waits = ", ".join(f"{number} with {master}" for master, number in report.journal.items())
        table.add(clean(report.host), report.what, ", ".join(report.masters) or "none", waits or "none")
    table.write()
    for report in reports:
        if found.master and found.master not in report.masters:
            warn(f"host {clean(report.host)} ({report.what}) cannot read key {found.master}", clean(report.problem))


def _change(session: Session) -> KeyChange:
    from valetkey.engine.key_change import KeyChange  # noqa: PLC0415

    core = session.core
    return KeyChange(core.world, core.vault, core.keys, env=core.env)


def _of_change(change: Change) -> dict[str, Any]:
    return {
        "change": {
            "state": change.state,
            "by": change.by,
            "sealed": change.sealed,
            "began_at": change.began_at or None,
            "seen_at": change.seen_at or None,
        }
    }


def _of_host(report: HostReport) -> dict[str, Any]:
    return {
        "host": report.host,
        "what": report.what,
        "pid": report.pid,
        "place": report.place,
        "masters": list(report.masters),
        "problem": report.problem,
        "journal": dict(report.journal),
        "seen_at": report.seen_at,
    }


def _members(found: KeyStatus) -> dict[str, Any]:
    return {
        "place": found.place,
        "recorded_place": found.recorded_place,
        "masters": list(found.masters),
        "master": found.master,
        "data_key": found.data_key,
        "retiring": list(found.retiring),
        "readable": found.readable,
        "code": found.code,
        "problem": found.problem,
        "hint": found.hint,
        "keys": [
            {
                "data_key": use.data_key,
                "master": use.master,
                "current": use.current,
                "readable": use.readable,
                "connections": use.connections,
                "flows": use.flows,
                "documents": use.documents,
            }
            for use in found.keys
        ],
    }


@key.command(
    "new",
    examples=(
        "valetkey key new /etc/valetkey/key    # makes the file, mode 0600",
        "valetkey key new | vault kv put secret/valetkey key=-",
    ),
)
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option("--reveal", is_flag=True, help="Print it to the terminal.")
def new(file: str | None, *, reveal: bool) -> None:
    """Make a master key: into FILE, which must not exist yet, or onto a pipe.

    It is for VALETKEY_KEY_FILE or VALETKEY_KEY, on servers and for stores that several hosts share.  It changes nothing
    in the store: that is "valetkey key rotate".
    """
    from valetkey.keys import new_key  # noqa: PLC0415
    from valetkey.keys.text import write_keys  # noqa: PLC0415

    if file is None and is_terminal(sys.stdout) and not reveal:
        msg = "a key is not printed to a terminal"
        raise Stop(
            msg, code="output_is_terminal", hint="valetkey key new FILE makes a file; --reveal prints it all the same"
        )
    made = new_key()
    if file is None:
        out(made.secret.reveal())
        return
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        msg = f"{clean(file)} is there already, and a key may be in it"
        raise Stop(msg, code="file_taken", hint="choose another name") from None
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(write_keys([made]))
    out(f"Made key {made.id} in {file}.")
    say(f"  -> VALETKEY_KEY_FILE={Path(file).absolute()}; and keep a backup of it elsewhere")


@key.command(
    "rotate",
    json=True,
    examples=(
        "valetkey key rotate",
        "VALETKEY_KEY_FILE=new.key VALETKEY_KEY_FILE_OLD=old.key valetkey key rotate",
    ),
)
@click.option("--retire-master", is_flag=True, help="Remove the old master key from where it is kept.")
@pass_session
def rotate(session: Session, *, retire_master: bool) -> None:
    """Seal everything anew with a new data key and a new master key, while everybody goes on working.

    A rotation that was stopped goes on where it was; the console shows and pauses it.  It does not begin where a server
    or worker on the store cannot read the new master key: "valetkey key status" tells which keys each of them reads.
    The old master key stays where it is, for backups of the store need it; --retire-master removes it.
    """
    core = session.core
    progress = _progress if is_terminal(sys.stderr) and not session.json else None
    change = _change(session)
    done = core.call(lambda: change.run(by="the command", retire_master=retire_master, progress=progress))
    if session.json:
        emit({"rotation": _rotation(done)})
        return
    if not done.master:
        out("Nothing is sealed yet: there is nothing to rotate.")
        return
    if done.paused:
        warn(f"paused after {count(done.sealed, 'thing')}: somebody has it stop", "valetkey key rotate goes on")
        return
    out(f"Sealed {count(done.sealed, 'thing')} anew. Master key {done.master}, data key {done.data_key}.")
    for name in done.unreadable:
        warn(f"could not be opened and was left as it is: {name}")
    if done.needed_masters:
        warn(
            f"master key {', '.join(done.needed_masters)} must stay: a journal holds an answer sealed so",
            "let a program of that host use the store; where it is, and what is left then: valetkey key status",
        )
    elif done.old_masters:
        say(f"Not needed any more but for backups of the store: master key {', '.join(done.old_masters)}")
        say("  -> once no backup needs it: valetkey key rotate --retire-master")


def _progress(sealed: int) -> None:
    sys.stderr.write(f"\r{sealed} sealed anew ...\r")
    sys.stderr.flush()


def _rotation(done: Rotation) -> dict[str, Any]:
    return {
        "sealed": done.sealed,
        "master": done.master,
        "data_key": done.data_key,
        "retired": list(done.retired),
        "unreadable": list(done.unreadable),
        "old_masters": list(done.old_masters),
        "needed_masters": list(done.needed_masters),
        "resumed": done.resumed,
        "paused": done.paused,
    }
