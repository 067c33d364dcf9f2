"""The key pairs of the apps, as all faces use them: made here, published, tried beside the old one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from valetkey.apps import WEEK, keep, replace_secret
from valetkey.engine.app_facts import BY_KEY
from valetkey.engine.app_keys import AppKey, app_keys, described, next_key_id
from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.signing import generate_key, named_key
from valetkey.values import Secret

if TYPE_CHECKING:
    from valetkey.core import Core
    from valetkey.engine.app_replacing import Replacement


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key pair that was just made, or a key that was given; `pem` is its public half as PEM."""

    key: AppKey
    pem: str


def make_key(core: Core, credential: OAuth2Credential, alg: str = "") -> MadeKey:
    """Make a key pair for an app and keep it sealed.

    An app that has no key uses it from now on.  Beside a key in use, or before there is an app, it waits: its public
    half is published, so that it can be registered at the provider before `use_key` has it tried.

    Args:
        core: The inside of a valet.
        credential: Whose app.
        alg: What it signs with (RFC 7518); empty: as the credential declares, else ``ES256``.

    Raises:
        ConfigurationError: There is no such algorithm, or it may not be (``private_key_unfit``); or the place where
            app credentials are kept is read-only.
        StoreError: It could not be stored.
    """
    key = generate_key(alg or credential.signing_alg or "ES256")
    return take_key(core, credential, key)


def take_key(core: Core, credential: OAuth2Credential, key: Secret) -> MadeKey:
    """Keep a private key that somebody gives, as `make_key` keeps the one that it makes."""
    described(credential, key, "next")
    app = app_or_none(core, credential)
    if app is not None and app.private_key is None:
        keep(core, credential, replace(app, private_key=key))
        return MadeKey(key=described(credential, key, "in_use"), pem=_pem(key))
    core.secret_service.set(next_key_id(credential), key.reveal())
    return MadeKey(key=described(credential, key, "next"), pem=_pem(key))


def use_key(core: Core, credential: OAuth2Credential, *, overlap: float = WEEK, actor: str = "") -> Replacement:
    """Let the key that waits follow the one in use, as soon as the provider has taken it.

    Until then, and for `overlap` seconds after, the public halves of both are published.

    Raises:
        ConfigurationError: None waits (``next_key_missing``); see `Apps.replace_secret`.
        StoreError: It could not be stored.
    """
    from valetkey.engine.app_replacing import Replacement  # noqa: PLC0415

    waiting = waiting_key(core, credential)
    if waiting is None:
        msg = f"no key of {credential.name!r} waits to be used"
        raise ConfigurationError(msg, code="next_key_missing", hint=f"valetkey app make-key {credential.name}")
    app = core.app(credential)
    if credential.client_auth == BY_KEY and app.private_key is not None:
        done = replace_secret(core, credential.name, waiting, overlap, None, actor=actor)
    else:
        keep(core, credential, replace(app, private_key=waiting))
        done = Replacement(state="replaced")
    core.secret_service.delete(next_key_id(credential))  # where it was refused too: it is known as refused then
    return done


def name_key(core: Core, credential: OAuth2Credential) -> None:
    """Keep the id of an app's key with the key itself, so that another one beside it may have an id of its own.

    Raises:
        ConfigurationError: There is no app, its key cannot be read, or it is kept in a place that is read-only.
        StoreError: It could not be stored.
    """
    app = core.app(credential)
    if app.private_key is not None and app.key_id:
        key = named_key(app.private_key, alg=credential.signing_alg, kid=app.key_id, name=credential.name)
        keep(core, credential, replace(app, private_key=key, key_id=""))


def keys_of(core: Core, credential: OAuth2Credential) -> tuple[AppKey, ...]:
    """Return the public halves of an app's key pairs: what its JWK Set holds.

    Raises:
        ConfigurationError: One cannot be read.
        StoreError: The store cannot be read.
    """
    app, waiting = app_or_none(core, credential), waiting_key(core, credential)
    return app_keys(core.world, core.env, credential, app, waiting)


def waiting_key(core: Core, credential: OAuth2Credential) -> Secret | None:
    """Return the key that waits to be registered and used."""
    text = core.secret_service.get(next_key_id(credential))
    return Secret(text) if text else None


def app_or_none(core: Core, credential: OAuth2Credential) -> AppCredentials | None:
    """Return the app credentials, None where there are none yet."""
    try:
        return core.app(credential)
    except ConfigurationError as error:
        if error.code != "app_missing":
            raise
        return None


def key_set(core: Core, name: str) -> list[dict[str, str]]:
    """Return the public halves of the keys of a credential's app; none where there is none, or no such credential."""
    try:
        return [key.jwk for key in keys_of(core, core.credential(name))]
    except ConfigurationError:
        return []


def jwks_path(credential: OAuth2Credential) -> str:
    """Return the path at which the server publishes the public halves (RFC 7517 section 5)."""
    return f"/.well-known/valetkey/{credential.name}/jwks.json"


def _pem(key: Secret) -> str:
    from joserfc import jwk  # noqa: PLC0415

    from valetkey.protocol.signing import read_key  # noqa: PLC0415

    public = dict(read_key(key, what="private_key", name="this app").public)
    return jwk.import_key(public).as_pem(private=False).decode()  # type: ignore[arg-type, union-attr]
