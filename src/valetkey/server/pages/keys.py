"""The settings page of keys: which there are, what they seal, and their change.  Never a key."""

from __future__ import annotations

import threading
from typing import Final

from starlette.responses import JSONResponse, Response

from valetkey.engine.key_change import Keeper, KeyChange, Needed
from valetkey.engine.key_status import KeyStatus, key_status
from valetkey.errors import ConfigurationError, ValetkeyError
from valetkey.logs import get_logger
from valetkey.server.asking import Ask, get, post
from valetkey.server.notices import go_with, told
from valetkey.server.views.keys import host_rows, keys_page, master_rows, to_object

PAGE: Final = "/console/settings/keys"
_AT_FIRST: Final = 0.3
"""Seconds that are waited for a change that cannot begin, or is through at once."""
_log = get_logger("server")


def show(ask: Ask) -> Response:
    """Show the keys, and how far their change is."""
    return _page(ask)


def look(ask: Ask) -> Response:
    """Tell a page that is open how far the change is."""
    keys, found = _change(ask), _status(ask)
    return JSONResponse(to_object(keys_page(found, keys.now(), keys.reports(), _needed(keys, found))))


def settings(ask: Ask) -> Response:
    """Lead to the first tab of the settings."""
    return ask.go(PAGE)


def change(ask: Ask) -> Response:
    """Begin a change, pause it, go on with it, or retire a key."""
    act, by = ask.field("do"), ask.operator.operator
    keys = _change(ask)
    try:
        if act == "retire":
            return _retire(ask, keys)
        if act == "pause":
            keys.pause(by=by)
        elif act in {"start", "resume"} and keys.now().state != "running":
            _run(keys, keys.begin(by=by, only_finish=act == "resume"))
    except ConfigurationError as error:
        return _page(ask, status=409, trouble=f"{error}. Next: {error.hint}.")
    return ask.go(PAGE)


def _retire(ask: Ask, keys: KeyChange) -> Response:
    name = ask.field("key")
    if keys.retire(name, by=ask.operator.operator):
        return go_with(ask, PAGE, "ok", f"Key {name} is retired.", "Backups of the store from before still need it.")
    hosts = ", ".join(dict.fromkeys(report.host for report in keys.reports() if name in report.masters))
    text = f"Take it out of where keys are kept{f', on {hosts}' if hosts else ''}; it cannot be written from here."
    return go_with(ask, PAGE, "ok", f"Key {name} is retired: nothing needs it any more.", text)


def _run(keys: KeyChange, keeper: Keeper) -> None:
    """Do the work beside this request; it goes on when the page is closed."""

    def carried_on() -> None:
        try:
            keys.carry_on(keeper)
        except ValetkeyError as error:
            _log.warning("the change of keys ended: %s [%s]", error, error.code)

    # A daemon: the end of the program does not wait for it, and whoever resumes it goes on where it was.
    thread = threading.Thread(target=carried_on, name="valetkey-keys", daemon=True)
    thread.start()
    thread.join(_AT_FIRST)


def _change(ask: Ask) -> KeyChange:
    core = ask.server.core
    return KeyChange(core.world, core.vault, core.keys, env=core.env)


def _status(ask: Ask) -> KeyStatus:
    core = ask.server.core
    return key_status(core.store, core.vault, core.keys)


def _needed(keys: KeyChange, found: KeyStatus) -> dict[str, Needed]:
    """Return what needs each old master key."""
    return {master: keys.needed(master) for master in keys.old()} if found.readable else {}


def _page(ask: Ask, *, status: int = 200, trouble: str = "") -> Response:
    core, keys, found = ask.server.core, _change(ask), _status(ask)
    now, hosts = core.clock.now(), keys.reports()
    needed = _needed(keys, found)
    return ask.page(
        "settings-keys.html",
        status=status,
        found=found,
        change=keys.now(),
        shown=keys_page(found, keys.now(), hosts, needed),
        masters=master_rows(found, needed, keys.retired(), now),
        hosts=host_rows(hosts, found.master, now),
        trouble=trouble,
        told=told(ask),
    )


ROUTES: Final = [
    get("/console/settings", settings, grade="everything"),
    get(PAGE, show, grade="everything"),
    get(f"{PAGE}/progress", look, grade="everything"),
    post(f"{PAGE}/change", change, grade="everything", fresh=True),
]
