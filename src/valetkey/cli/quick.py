"""The short way of ``token`` and ``header``: a valid token out of the embedded store, without click and engine.

Scripts ask for tokens again and again, and loading everything that could be needed takes longer than the answer.  So
where a token is plainly valid, it is opened and handed out here.  Where anything is out of the ordinary, this gives up
before it has done anything, and the usual way is gone, which also knows how to say what is wrong.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from valetkey.model.connections import Record
    from valetkey.stores.sqlite import SQLiteStore

_LONGEST: Final = 200
_USED_EVERY: Final = 60.0
_OF_THE_USUAL_WAY: Final = ("VALETKEY_CONFIG", "VALETKEY_DEBUG", "_VALETKEY_COMPLETE")
_FILE: Final = "valetkey.toml"
_DEFAULT: Final = "default"
"""The environment whose embedded store is found without asking; others have theirs in folders of their own."""


class Wanted(NamedTuple):
    """What is asked for: the command, and whose token."""

    command: str
    name: str
    owner: str | None
    account: str
    env: str
    store: str | None


def answer(args: Sequence[str]) -> str | None:
    """Return what the command writes to stdout, None where it has to be found the usual way."""
    wanted = parse(args)
    if wanted is None or _declares_elsewhere() or (wanted.store is None and wanted.env != _DEFAULT):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # whoever has to be warned is warned the usual way
            return _answered(wanted)
    except Exception:  # noqa: BLE001 - the usual way meets it again, and says what it is
        return None


def parse(args: Sequence[str]) -> Wanted | None:
    """Return what the arguments ask for, None where they hold anything that is for click to judge."""
    given: dict[str, str] = {}
    names: list[str] = []
    words = iter(args[1:])
    for word in words:
        option, joined, value = word.partition("=")
        if option in {"--owner", "--account", "--env", "--store"}:
            given[option] = value if joined else next(words, "")
        elif word.startswith("-"):
            return None
        else:
            names.append(word)
    env = given.get("--env", os.environ.get("VALETKEY_ENV") or _DEFAULT)
    if len(names) != 1 or not all(map(_is_plain, [*names, env, *given.values()])):
        return None
    return Wanted(args[0], names[0], given.get("--owner"), given.get("--account", ""), env, given.get("--store"))


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and text.isprintable() and text == text.strip() and not text.startswith("-")


def _declares_elsewhere() -> bool:
    """Whether a file declares credentials, or something else asks for the usual way."""
    if any(os.environ.get(name) for name in _OF_THE_USUAL_WAY) or Path(_FILE).exists():
        return True
    import platformdirs  # noqa: PLC0415 - the data folder needs it anyway

    try:
        return Path(platformdirs.user_config_dir("valetkey", appauthor=False), _FILE).exists()
    except RuntimeError:  # this user has no home folder
        return False


def _answered(wanted: Wanted) -> str | None:
    store = _opened(wanted.store)
    if store is None:
        return None
    try:
        record = _valid(store, wanted)
        if record is None:
            return None
        token = _token(store, record)
        if not token:
            return None
        _note_use(store, record)
    finally:
        store.close()
    return f"Authorization: Bearer {token}\n" if wanted.command == "header" else token + "\n" * sys.stdout.isatty()


def _opened(where: str | None) -> SQLiteStore | None:
    """Return the embedded store, None where there is none yet or another one is meant."""
    from valetkey.stores import default_path  # noqa: PLC0415
    from valetkey.stores.sqlite import SQLiteStore  # noqa: PLC0415

    if where is not None and ":" in where:
        return None
    store = SQLiteStore(default_path() if where is None else where)
    return store if store.path.is_file() else None


def _valid(store: SQLiteStore, wanted: Wanted) -> Record | None:
    """Return the record if its token is good beyond its buffer, as `engine.lifecycle` judges it."""
    from valetkey.engine.windows import windows  # noqa: PLC0415
    from valetkey.model.connections import ConnectionKey  # noqa: PLC0415
    from valetkey.model.credentials import OAuth2Credential  # noqa: PLC0415

    record = store.load(ConnectionKey(wanted.env, wanted.name, wanted.owner, wanted.account))
    declared = store.get_document("declaration", wanted.name, env=wanted.env)
    if record is None or record.sealed is None or declared is None:
        return None
    fields = declared.body["fields"]
    if record.state not in {"connected", "refresh_failing"} or (fields.get("per_owner") and wanted.owner is None):
        return None
    if fields.get("sender_constraint") or (wanted.command == "header" and fields.get("token_header")):
        return None  # a bound token is not handed out, and another header is for those to say who know all rules
    due = windows(record, OAuth2Credential(name=wanted.name, buffer=fields.get("buffer"))).due
    return record if due is None or store.now() < due else None


def _token(store: SQLiteStore, record: Record) -> str:
    """Return the token, an empty text where it is bound to a key and so of no use by itself."""
    from valetkey.clock import SystemClock  # noqa: PLC0415
    from valetkey.engine.world import grant_label  # noqa: PLC0415
    from valetkey.keys import open_keys  # noqa: PLC0415
    from valetkey.model.grants import Grant  # noqa: PLC0415
    from valetkey.model.sealing import Vault  # noqa: PLC0415

    vault = Vault(store, open_keys(None, store=store), clock=SystemClock())
    label = grant_label(record.key, record.id, record.incarnation, record.version)
    if record.sealed is None:
        return ""
    grant = Grant.from_json(vault.open(record.sealed, label))
    return grant.access_token.reveal() if grant.dpop_key is None else ""


def _note_use(store: SQLiteStore, record: Record) -> None:
    """Note the use, once a minute at most; that it cannot be noted is nobody's trouble here."""
    now = store.now()
    if now - (record.last_used_at or 0.0) > _USED_EVERY:
        with suppress(Exception):
            store.note(record.id, incarnation=record.incarnation, changes={"last_used_at": now})
