"""``valetkey app make-key`` and ``valetkey app use-key``: key pairs by which apps prove themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from valetkey.cli.commands import command, credential_argument, pass_session
from valetkey.cli.exits import Stop
from valetkey.cli.output import emit
from valetkey.cli.prompts import read_stdin
from valetkey.cli.replacing import seconds
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, say, warn
from valetkey.errors import clean
from valetkey.model.app_headers import carries_client_secret
from valetkey.model.credentials import ASYMMETRIC

if TYPE_CHECKING:
    from valetkey.app_keys import MadeKey
    from valetkey.model.credentials import OAuth2Credential

_LONGEST = 64 * 1024


def ensure_takes_secret(credential: OAuth2Credential) -> None:
    """Check that an app has a use for the client secret that it is given; warn where it mostly has none.

    Raises:
        Stop: Its client secret is signed by a key, and is no text to keep (``private_key_missing``).
    """
    if credential.signed_secret_claims:
        raise no_signing_key(credential)
    if credential.client_auth == "none" and not carries_client_secret(credential):
        text = f"the client secret is stored, and not used where tokens are asked for: {credential.name} is declared"
        hint = "add --public instead; or --client-auth client_secret_post where the provider wants a secret"
        warn(f'{text} as a public client (client_auth = "none")', hint)


def no_signing_key(credential: OAuth2Credential) -> Stop:
    """Return the refusal of an app whose client secret is signed, and which has no key."""
    msg = f"the client secret of {credential.name} is signed by a private key, and none was given"
    hint = "give --private-key-file and --key-id; --secret-stdin is of no use here"
    return Stop(msg, code="private_key_missing", hint=hint)


def read_pem(path: str | None) -> str:
    """Return the text of a file with a key or certificate; ``-`` is stdin.

    Raises:
        Stop: It cannot be read, or is no text.
    """
    if path == "-":
        return read_stdin()
    try:
        text = Path(path or "").read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no PEM and no JWK"
        msg = f"{clean(path, 200)} cannot be read: {why}"
        raise Stop(msg, code="file_unreadable", hint="give a PEM file, or a JWK") from None
    if len(text) > _LONGEST:
        msg = f"{clean(path, 200)} is too long for a key"
        raise Stop(msg, code="file_unreadable", hint="give a PEM file, or a JWK")
    return text


@command(
    "make-key",
    json=True,
    makes_store=True,
    examples=(
        "valetkey app make-key bank",
        "valetkey app make-key bank --alg PS256 --pem > public.pem",
        "valetkey app make-key bank --private-key-file key.pem    # your own",
    ),
)
@credential_argument
@click.option("--alg", type=click.Choice(ASYMMETRIC), help="What it signs with; as declared, else ES256.")
@click.option("--pem", is_flag=True, help="Print the public half as PEM, not as a JWK.")
@click.option("--private-key-file", metavar="FILE", help='Take this private key, PEM or JWK; "-" is stdin.')
@pass_session
def make_key(session: Session, *, name: str, alg: str | None, pem: bool, private_key_file: str | None) -> None:
    """Make a key pair for an app, keep the private half sealed, and print the public half.

    Register the public half at the provider: itself, or the address at which `valetkey serve` publishes it.  The first
    key of an app is in use at once.  Another one waits until `valetkey app use-key`; both are published meanwhile.
    """
    from valetkey import app_keys  # noqa: PLC0415

    if alg and private_key_file:
        msg = "--alg is for a key that is made, and --private-key-file gives one."
        raise click.UsageError(msg)
    credential = session.credential(name)
    if private_key_file:
        from valetkey.values import Secret  # noqa: PLC0415

        made = app_keys.take_key(session.core, credential, Secret(read_pem(private_key_file)))
    else:
        made = app_keys.make_key(session.core, credential, alg or "")
    if session.json:
        emit({"name": credential.name, **key_members(made.key), "pem": made.pem})
        return
    out(made.pem.rstrip("\n") if pem else json.dumps(made.key.jwk))
    _say_next(session, credential, made)


def _say_next(session: Session, credential: OAuth2Credential, made: MadeKey) -> None:
    from valetkey.app_keys import jwks_path  # noqa: PLC0415

    base = session.core.base_url or "https://YOUR-SERVER"
    say(f"The private half is kept sealed.  Register this at {clean(credential.display_name)}, or the address")
    say(f"  {base.rstrip('/')}{jwks_path(credential)}    (valetkey serve publishes it there)")
    if made.key.role == "next":
        say(f"It is not used yet.  Once it is registered -> valetkey app use-key {credential.name}")


@command("use-key", json=True, examples=("valetkey app use-key bank", "valetkey app use-key bank --overlap 24h"))
@credential_argument
@click.option(
    "--overlap", metavar="TIME", callback=seconds, default="7d", show_default=True, help="Keep the old one so long."
)
@pass_session
def use_key(session: Session, *, name: str, overlap: float) -> None:
    """Let the key that waits follow the one in use, without downtime.

    It is tried with the next refresh that is due; until the provider has taken it, the one in use stays.  Then the old
    one waits as a fallback for --overlap.  A key that is refused is dropped, and nothing has changed.
    """
    from valetkey import app_keys  # noqa: PLC0415

    credential = session.credential(name)
    done = app_keys.use_key(session.core, credential, overlap=overlap)
    if done.state == "refused":
        msg = f"{clean(credential.display_name)} does not take the new key ({clean(done.error)})"
        hint = f"nothing has changed; register its public half first, then: valetkey app make-key {credential.name}"
        raise Stop(msg, code="app_secret_refused", hint=hint)
    if session.json:
        emit({"name": credential.name, "state": done.state, "overlap": overlap})
        return
    waits = "It is tried with the next refresh that is due; until then the one in use stays."
    out("The new key is in use." if done.state == "replaced" else waits)
    say(f"  -> valetkey app show {credential.name}")


def key_members(key: Any) -> dict[str, Any]:
    """Return what ``--json`` tells of a key pair."""
    return {"role": key.role, "kid": key.kid, "alg": key.alg, "public_jwk": key.jwk}


_ROLES = {"in_use": "in use", "new": "new, not in use yet", "next": "published, waits for use-key", "old": "a fallback"}


def keys_shown(session: Session, credential: OAuth2Credential) -> tuple[Any, ...]:
    """Return the key pairs of an app; none where they cannot be read: `health` tells of that."""
    from valetkey.app_keys import keys_of  # noqa: PLC0415
    from valetkey.errors import ConfigurationError, StoreError  # noqa: PLC0415

    try:
        return keys_of(session.core, credential)
    except (ConfigurationError, StoreError):
        return ()


def key_words(keys: tuple[Any, ...]) -> str:
    """Return what people are told of an app's key pairs."""
    return ", ".join(f"{key.kid} ({key.alg}, {_ROLES[key.role]})" for key in keys)
