"""``valetkey providers discover``: what a server says of itself, as a declaration that is ready to be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import click

from valetkey.cli.commands import command, pass_session
from valetkey.cli.exits import Stop
from valetkey.cli.output import emit, facts
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, say
from valetkey.protocol.metadata import Metadata, filled, issuer_of


@command(
    "discover",
    json=True,
    examples=(
        "valetkey providers discover https://login.example.com",
        "valetkey providers discover login.example.com/staff --toml >> valetkey.toml",
    ),
)
@click.argument("url", metavar="URL")
@click.option("--name", metavar="NAME", help="What to call it; a word of its host otherwise.")
@click.option("--toml", is_flag=True, help="Write a table for valetkey.toml instead of Python.")
@click.option("--accept", is_flag=True, help="Go by what it says now, also where it once said more.")
@pass_session
def discover(session: Session, *, url: str, name: str | None, toml: bool, accept: bool) -> None:
    """Read what the server at URL says of itself, and print a declaration.

    URL is the server's issuer, or the address of its metadata (RFC 8414, OpenID Connect Discovery).  With --accept the
    credentials that are declared by this issuer go by what it says from now on, although it says less than before.
    """
    issuer = issuer_of(url)
    called = name or _name_of(issuer)
    found = _accepted(session, issuer) if accept else _found(session, issuer, called)
    fields = _fields(called, found)
    if session.json:
        emit({"name": called, "declaration": fields, "metadata": found.to_body()})
        return
    _say(found)
    out(_as_toml(called, fields) if toml else _as_python(called, fields))


def _found(session: Session, issuer: str, name: str) -> Metadata:
    from valetkey.engine.discovery import fetch_metadata  # noqa: PLC0415 - not for --help
    from valetkey.http import HttpEndpoint  # noqa: PLC0415

    endpoint = HttpEndpoint(session.core.http, session.core.clock)
    return fetch_metadata(endpoint, session.core.clock, issuer=issuer, openid=True, name=name)[0]


def _accepted(session: Session, issuer: str) -> Metadata:
    """Have all credentials of this issuer go by what it says now."""
    from valetkey.engine.discovery import learn  # noqa: PLC0415

    mine = [one for one in session.core.credentials() if one.discovers and one.issuer == issuer]
    if not mine:
        msg = f"no credential is declared by the issuer {issuer}"
        raise Stop(msg, code="issuer_unknown", hint="leave --accept away, or see: valetkey app list")
    known = [learn(session.core.world, credential, accept=True) for credential in mine]
    say(f"From now on this is gone by for: {', '.join(credential.name for credential in mine)}")
    return known[0].metadata


def _name_of(issuer: str) -> str:
    """Return a word of the host that can be a name: ``example`` of ``login.example.com``."""
    words = (urlsplit(issuer).hostname or "").split(".")
    word = words[-2] if len(words) > 1 and not words[-1].isdecimal() else "server"
    return "".join(c for c in word if c.isascii() and (c.isalnum() or c == "-")).strip("-") or "server"


def _fields(name: str, found: Metadata) -> dict[str, Any]:
    """Return the declaration: the issuer stands for all that it says; what it says is checked each time."""
    from valetkey.model.registry import declare  # noqa: PLC0415

    fields: dict[str, Any] = {"issuer": found.issuer}
    if not found.authorization_url and not found.device_authorization_url:
        fields["grant"] = "client_credentials"
    elif "openid" in found.scopes:
        fields["scopes"] = ["openid"]
    declared = declare(name, fields)
    method = filled(declared, found).client_auth
    return fields if method == declared.client_auth else {**fields, "client_auth": method}


def _say(found: Metadata) -> None:
    """Show what it says, beside the declaration and not in it."""
    shown: Mapping[str, str] = {
        "read at": found.document,
        "authorization": found.authorization_url,
        "token": found.token_url,
        "device": found.device_authorization_url,
        "revocation": found.revocation_url,
        "userinfo": found.userinfo_url,
        "keys": found.jwks_url,
        "PKCE": " ".join(found.challenge_methods),
        "scopes": " ".join(found.scopes),
    }
    facts({f"# {name}": text for name, text in shown.items() if text})


def _as_python(name: str, fields: Mapping[str, Any]) -> str:
    from valetkey.model.places import source_text  # noqa: PLC0415

    lines = [f"    {field}={source_text(value)}," for field, value in fields.items()]
    return "\n".join(("wire_oauth2_credential(", f"    {source_text(name)},", *lines, ")"))


def _as_toml(name: str, fields: Mapping[str, Any]) -> str:
    from valetkey.model.places import source_text  # noqa: PLC0415

    lines = [f"{field} = {source_text(value, toml=True)}" for field, value in fields.items()]
    return "\n".join((f"[credentials.{name}]", *lines))
