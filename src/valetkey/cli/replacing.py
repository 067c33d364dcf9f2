"""``valetkey app replace`` and ``valetkey app ends``: a new client secret without downtime, and when it ends."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from valetkey.cli.commands import command, credential_argument, pass_session
from valetkey.cli.exits import Stop
from valetkey.cli.output import emit, span
from valetkey.cli.prompts import ask_hidden, at_hand, read_stdin
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, say
from valetkey.errors import clean

if TYPE_CHECKING:
    from valetkey.engine.app_health import AppHealth
    from valetkey.model.credentials import OAuth2Credential

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(_: click.Context, __: click.Parameter, value: str) -> float:
    """Read a length of time: ``7d``, ``24h``, ``90m``, ``0``."""
    found = re.fullmatch(r"(\d{1,7})([smhd]?)", value.strip())
    if found is None or (not found[2] and found[1].strip("0")):
        msg = f"{value!r} is no length of time: write 7d, 24h, 90m or 0"
        raise click.BadParameter(msg)
    return float(int(found[1]) * _UNITS.get(found[2], 0))


def _day(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Read a day as its beginning in UTC; None where there is none, or ``never``."""
    if value in {None, "never"}:
        return None
    try:
        return datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        msg = f"{value!r} is no date: write it as 2027-05-31"
        raise click.BadParameter(msg) from None


@command(
    "replace",
    json=True,
    examples=(
        "valetkey app replace github",
        "valetkey app replace microsoft --ends 2027-05-31 --secret-stdin < file",
        "valetkey app replace github --withdraw",
    ),
)
@credential_argument
@click.option("--secret-stdin", is_flag=True, help="Read the new client secret from stdin.")
@click.option(
    "--overlap", metavar="TIME", callback=seconds, default="7d", show_default=True, help="Keep the old one so long."
)
@click.option("--ends", metavar="DATE", callback=_day, help="The day on which the provider ends the new one.")
@click.option("--withdraw", is_flag=True, help="Take back a new secret that is not in use yet.")
@pass_session
def replace(
    session: Session, *, name: str, secret_stdin: bool, overlap: float, ends: float | None, withdraw: bool
) -> None:
    """Give an app a new client secret, without downtime.

    Create the new secret at the provider beside the old one.  It is checked at once where that spends nothing, else
    with the next refresh that is due; until the provider has taken it, the one in use stays.  Then the old one waits
    as a fallback for --overlap.  A secret that is refused is dropped, and nothing has changed.
    """
    credential = session.credential(name)
    if withdraw:
        _withdraw(session, credential)
        return
    from valetkey.apps import replace_secret  # noqa: PLC0415

    secret = _asked(secret_stdin=secret_stdin)
    done = replace_secret(session.core, credential.name, secret, overlap, ends)
    if done.state == "refused":
        said = f", {clean(done.description)}" if done.description else ""
        msg = f"{clean(credential.display_name)} does not take the new secret ({clean(done.error)}{said})"
        hint = f"nothing has changed; copy it again, then: valetkey app replace {credential.name}"
        raise Stop(msg, code="app_secret_refused", hint=hint)
    if session.json:
        emit({"name": credential.name, "state": done.state, "overlap": overlap, "ends_at": ends})
        return
    if done.state == "replaced":
        out("The new client secret is in use.")
        return
    out("Stored, sealed.  It is tried with the next refresh that is due; until then the one in use stays.")
    say(f"  -> see what became of it: valetkey app show {credential.name}")


def _asked(*, secret_stdin: bool) -> str:
    if not secret_stdin and not at_hand():
        msg = "the new client secret is needed, and there is nobody to ask"
        raise Stop(msg, code="terminal_missing", hint="pipe it in and add --secret-stdin")
    return read_stdin().strip() if secret_stdin else ask_hidden("New client secret (hidden)")


def _withdraw(session: Session, credential: OAuth2Credential) -> None:
    from valetkey.apps import withdraw_secret  # noqa: PLC0415

    withdrawn = withdraw_secret(session.core, credential.name)
    if session.json:
        emit({"name": credential.name, "withdrawn": withdrawn})
        return
    out("Taken back; the one in use stays." if withdrawn else "No new client secret waits.")


@command("ends", json=True, examples=("valetkey app ends microsoft 2027-05-31", "valetkey app ends microsoft never"))
@credential_argument
@click.argument("day", metavar="DATE", callback=_day)
@pass_session
def ends(session: Session, *, name: str, day: float | None) -> None:
    """Note the day on which the provider ends an app's client secret; "never" where it does not.

    You are told 30, 7 and 1 days ahead: in the events, by `valetkey doctor`, and in the console.
    """
    from valetkey.apps import set_end  # noqa: PLC0415

    credential = session.credential(name)
    set_end(session.core, credential.name, day)
    if session.json:
        emit({"name": credential.name, "ends_at": day})
        return
    out("Noted.")


def health_members(health: AppHealth) -> dict[str, Any]:
    """Return what ``--json`` tells of an app's health and secrets."""
    secret, new, refused = health.secret, health.new_secret, health.refused_secret
    return {
        "health": health.health,
        "next_try_at": health.next_try_at,
        "secret_ends_at": secret.ends_at if secret else None,
        "secret_refused": secret.refused if secret else False,
        "certificate_ends_at": health.certificate.ends_at if health.certificate else None,
        "new_secret": new
        and {"fingerprint": new.fingerprint, "stored_at": new.stored_at, "by": new.stored_by, "overlap": new.overlap},
        "old_secrets": [{"fingerprint": old.fingerprint, "until": old.until} for old in health.old_secrets],
        "refused_secret": refused
        and {"at": refused.at, "by": refused.by, "error": refused.error, "description": refused.description},
    }


def health_facts(health: AppHealth, now: float) -> dict[str, str]:
    """Return what people are told of an app's health and secrets."""
    secret, new, refused = health.secret, health.new_secret, health.refused_secret
    ends_at, next_try = secret.ends_at if secret else None, health.next_try_at or now
    words = {
        "health": health.health.replace("_", " ") + (f": {clean(health.error)}" if health.error else ""),
        "next try": f"in {span(next_try - now)}" if next_try > now else "",
        "secret ends": "" if ends_at is None else f"in {span(ends_at - now)}" if ends_at > now else "it has ended",
        "new secret": f"{new.fingerprint}, stored {span(now - new.stored_at)} ago, not in use yet" if new else "",
        "fallback": ", ".join(f"{old.fingerprint} for {span(old.until - now)}" for old in health.old_secrets),
    }
    if refused:
        said = f", {clean(refused.description)}" if refused.description else ""
        words["refused"] = f"a new secret, {span(now - refused.at)} ago: {clean(refused.error)}{said}"
    return words
