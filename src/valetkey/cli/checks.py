"""What `valetkey doctor` looks at: one function for each, yielding findings."""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, urlsplit

from valetkey.cli.output import ahead, count, span
from valetkey.cli.session import Session
from valetkey.errors import ConfigurationError, DecryptionFailed, clean
from valetkey.model.connections import ConnectionKey, Query, Status

if TYPE_CHECKING:
    from valetkey.engine.app_certificates import CertificateInUse
    from valetkey.model.credentials import OAuth2Credential

Level = Literal["ok", "warn", "fail"]
_PAGE: Final = 200
_LOOKED_AT: Final = 2000
"""Connections that are looked at one by one."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SKEW_WARN, _SKEW_FAIL = 30.0, 300.0
"""Seconds by which clocks may differ: tokens count as expired 60 s before their end."""
_LEVELS: Final[dict[str, Level]] = {
    "needs_reauth": "fail",
    "app_error": "fail",
    "refresh_failing": "warn",
    "expires_soon": "warn",
}
_PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_TRUST: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: how bad, about what, in words, and what to do."""

    level: Level
    what: str
    text: str
    hint: str = ""

    def members(self) -> dict[str, str]:
        """Return it as members of a JSON object."""
        return asdict(self)


def store(session: Session) -> Iterator[Finding]:
    """Look at the store: whether it can be read, whether it is whole, and whether others may read it."""
    core = session.core
    found = core.store.list(Query(env=core.env), limit=1000)
    number = f"{len(found.items)}+" if found.cursor else str(len(found.items))
    where = getattr(core.store, "path", None)
    if not isinstance(where, Path):
        yield Finding("ok", "store", f"{clean(core.store.url)}, {number} connections")
        return
    mode = stat.S_IMODE(where.stat().st_mode)
    schema, damage = _sqlite_facts(where)
    about = f"SQLite, {mode:04o}, {count(int(number), 'connection') if number.isdigit() else f'{number} connections'}"
    yield Finding("ok", "store", f"{about}, schema {schema}, environment {core.env}, {where}")
    if mode & _OTHERS:
        yield Finding("warn", "store", f"others may read it (mode {mode:04o})", f"chmod 600 {where}")
    if damage:
        yield Finding("fail", "store", f"the file is damaged: {clean(damage)}", "restore it from a backup")


def _sqlite_facts(path: Path) -> tuple[int, str]:
    """Return the schema version, and what is damaged."""
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        found = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    return version, "" if found == "ok" else found


def key(session: Session) -> Iterator[Finding]:
    """Look at the master key: whether it is there, whether it is the right one, and whether others may read it."""
    from valetkey.engine.key_status import key_status  # noqa: PLC0415

    core = session.core
    found = key_status(core.store, core.vault, core.keys)
    kind, mode = _place(found.place)
    if not found.readable:
        yield Finding("fail", "key", clean(found.problem, 500), found.hint)
    elif not found.data_key:
        yield Finding("ok", "key", f"nothing is sealed yet; a key will be looked for in {clean(found.place)}")
    else:
        yield Finding("ok", "key", f"{kind}, id {found.master}")
    if mode is not None and mode & _OTHERS:
        yield Finding(
            "warn", "key", f"others may read it (mode {mode:04o})", f"chmod 600 {shlex.quote(_path(found.place))}"
        )
    if found.readable and found.retiring:
        yield Finding("warn", "key", "a rotation did not come to its end", "valetkey key rotate")
    if found.recorded_place not in {"", found.place}:
        yield Finding("warn", "key", f"it was in {clean(found.recorded_place)} before")


def _path(place: str) -> str:
    """Return the path of a key that is in a file, without the variable that named it."""
    return place.removeprefix("file:").removesuffix(" (VALETKEY_KEY_FILE)")


def _place(place: str) -> tuple[str, int | None]:
    """Return where the key is, in a few words, and the mode of its file."""
    path = Path(_path(place))
    if not place.startswith("file:") or not path.exists():
        return clean(place), None
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"file, mode {mode:04o}", mode


def declarations(session: Session) -> Iterator[Finding]:
    """Look at what is declared."""
    declared = session.core.credentials()
    if not declared:
        yield Finding("ok", "declarations", "nothing is declared yet", "valetkey app add github, or valetkey practice")
        return
    yield Finding("ok", "declarations", ", ".join(credential.name for credential in declared))


def apps(session: Session) -> Iterator[Finding]:
    """Look at whether each that is declared has its app."""
    for credential in session.core.credentials():
        yield from _app(session, credential)


def _app(session: Session, credential: OAuth2Credential) -> Iterator[Finding]:
    what = f"app {credential.name}"
    try:
        session.core.app(credential)
    except ConfigurationError as error:
        used = bool(session.core.store.list(Query(env=session.core.env, credential=credential.name), limit=1).items)
        yield Finding("fail" if used else "warn", what, clean(error, 500), error.hint)
        return
    from valetkey.apps import health_of  # noqa: PLC0415

    health, now = health_of(session.core, credential), session.core.clock.now()
    why, secret = clean(health.error or "no reason given"), health.secret
    hint = f"create another secret at the provider, then: valetkey app replace {credential.name}"
    if health.since is not None:
        long = span(now - health.since)
        hint = f"check its client id and secret, then: valetkey app add {credential.name}"
        yield Finding("fail", what, f"the provider has not accepted it for {long} ({why})", hint)
    elif health.health == "fixing" and health.error != "certificate_ended":
        yield Finding("fail", what, "its client secret has ended", hint)
    elif secret is not None and secret.refused:
        yield Finding("warn", what, f"its client secret is refused ({why}); the one before it serves", hint)
    elif health.health == "ends_soon" and secret is not None and secret.ends_at is not None:
        yield Finding("warn", what, f"its client secret ends in {span(secret.ends_at - now)}", hint)
    yield from _certificate(credential, health.certificate, now)


def _certificate(credential: OAuth2Credential, found: CertificateInUse | None, now: float) -> Iterator[Finding]:
    """Look at when the certificate of an app ends; there is no overlap to wait for, the new one counts at once."""
    from valetkey.apps import outside  # noqa: PLC0415
    from valetkey.engine.app_certificates import days_left  # noqa: PLC0415

    if found is None or days_left(found.ends_at, now) is None:
        return
    add = f"valetkey app add {credential.name} --certificate-file CERT --private-key-file KEY"
    variables = [name for name in outside(credential) if "_CERTIFICATE" in name]
    hint = f"get another one, then change what {' and '.join(variables)} name" if variables else f"get another: {add}"
    left = found.ends_at - now
    level: Level = "warn" if left > 0 else "fail"
    yield Finding(
        level, f"app {credential.name}", f"its certificate {_ends_words(left)} ({clean(found.subject, 100)})", hint
    )


def _ends_words(left: float) -> str:
    return f"ends in {span(left)}" if left > 0 else "has ended"


def connections(session: Session) -> Iterator[Finding]:
    """Look at each connection, and count them by state."""
    states: Counter[str] = Counter()
    worst: Level = "ok"
    cursor: str | None = None
    while states.total() < _LOOKED_AT:
        page = session.statuses(Query(env=session.core.env), cursor, _PAGE)
        for status in page:
            states[status.state] += 1
            for finding in _connection(session, status):
                worst = "warn"  # how bad each is stands at each
                yield finding
        cursor = page.cursor
        if cursor is None:
            break
    yield Finding(worst, "connections", _counted(states, more=cursor is not None))


def _counted(states: Counter[str], *, more: bool) -> str:
    if not states:
        return "nothing is connected yet"
    counted = ", ".join(f"{number} {state}" for state, number in states.most_common())
    return f"of the first {states.total()}: {counted}" if more else counted


def _connection(session: Session, status: Status) -> Iterator[Finding]:
    level = _LEVELS.get(status.state)
    if level is None:
        yield from _damage(session, status)
        return
    from valetkey.engine.trouble import why  # noqa: PLC0415

    connection = status.connection
    credential = session.known(connection.credential)
    now = session.core.clock.now()
    words = {
        "needs_reauth": why(status.reason, credential),
        "app_error": f"its app cannot be used ({status.reason})",
        "refresh_failing": f"refreshing fails ({status.reason or 'no answer'})",
        "expires_soon": _ends(status.refresh_expires_at or status.expires_at, now),
    }
    name = str(ConnectionKey(connection.env, connection.credential, connection.owner, connection.account))
    yield Finding(level, clean(name), clean(words[status.state]), status.hint.removeprefix("run: "))


def _ends(at: float | None, now: float) -> str:
    return "it ends soon" if at is None else f"it {'ends' if at > now else 'ended'} {ahead(at, now)}"


def _damage(session: Session, status: Status) -> Iterator[Finding]:
    """Try to open the grant."""
    with contextlib.suppress(DecryptionFailed):  # trouble with the key was told already, once
        error = session.damage(status.connection.key)
        if error is not None:
            yield Finding("fail", clean(status.connection.key), clean(error, 500), error.hint)


def network(session: Session) -> Iterator[Finding]:  # noqa: ARG001 - one shape with the others
    """Look at the settings that calls of providers and APIs follow."""
    proxies = [f"{name}={_masked(value)}" for name in _PROXIES if (value := _variable(name))]
    trust = [f"{name}={value}" for name in _TRUST if (value := os.environ.get(name, ""))]
    yield Finding("ok", "network", clean(", ".join([*proxies, *trust]), 500) or "no proxy, the usual certificates")
    for name in _TRUST:
        named = os.environ.get(name)
        if named and not Path(named).exists():
            yield Finding("fail", "network", f"{name} names {clean(named)}, which is not there", f"unset {name}")


def _variable(name: str) -> str:
    return os.environ.get(name.lower()) or os.environ.get(name) or ""


def _masked(url: str) -> str:
    """Return the URL of a proxy without the password that it may hold."""
    at = url.rfind("@")
    return url if at < 0 else f"{url[: url.find('://') + 3] if '://' in url else ''}****@{url[at + 1 :]}"


def clock(session: Session) -> Iterator[Finding]:
    """Ask the token endpoints of all credentials in use for the time."""
    core = session.core
    used = [c for c in core.credentials() if core.store.list(Query(env=core.env, credential=c.name), limit=1).items]
    asked = [c.token_url or c.issuer for c in used]
    hosts = {urlsplit(url).netloc: url for url in asked}
    if not hosts:
        yield Finding("ok", "clock", "nothing is connected, so there is nobody to ask")
    for host, url in hosts.items():
        yield _asked(core.http.for_endpoints, host, url)


def _asked(client: Any, host: str, url: str) -> Finding:
    """Ask the root of a host, without following it anywhere, and look at the Date of its answer."""
    import httpx2  # noqa: PLC0415

    scheme = urlsplit(url).scheme
    before = time.time()
    try:
        answer = client.request("HEAD", f"{scheme}://{host}/", follow_redirects=False, timeout=10.0)
    except httpx2.HTTPError as error:
        why = type(error).__name__
        return Finding("fail", "network", f"{host} was not reached ({why})", "check network, proxy and DNS")
    return skew(host, str(answer.headers.get("date", "")), (before + time.time()) / 2)


def skew(host: str, date: str, here: float) -> Finding:
    """Compare a Date header (RFC 9110 section 6.6.1) with `here`, Unix seconds by the clock of this machine."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415

    try:
        there = parsedate_to_datetime(date).timestamp() + 0.5  # the header is cut to whole seconds
    except ValueError:
        return Finding("ok", "clock", f"{host} answers, and does not tell the time")
    off = here - there
    level: Level = "ok" if abs(off) < _SKEW_WARN else "warn" if abs(off) < _SKEW_FAIL else "fail"
    if level == "ok":
        return Finding("ok", "clock", f"as at {host}")
    return Finding(level, "clock", f"{span(off)} {'ahead of' if off > 0 else 'behind'} {host}", "set the clock (NTP)")
