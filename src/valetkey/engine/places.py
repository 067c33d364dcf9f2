"""What a callback says about a connection, and whether it may be believed: before anything is exchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from valetkey.engine.app_secrets import ways
from valetkey.engine.apps import app_state
from valetkey.engine.world import World
from valetkey.errors import ConnectError, clean
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.placing import HOLES, named, names_later
from valetkey.protocol.authorization import CallbackParams
from valetkey.protocol.callbacks import is_sealed, parameters
from valetkey.protocol.texts import looks_like_token, names_a_secret

_NOISE: Final = frozenset(
    {"scope", "scopes", "authuser", "hd", "prompt", "user", "ui_locales", "hmac", "host", "timestamp", "expires_in"}
)
"""Parameters of callbacks that say nothing about the connection."""


def given_params(credential: OAuth2Credential) -> dict[str, str]:
    """Return what of a connection's params the declaration or whoever signs in has given."""
    return {name: value for name, value in credential.params.items() if name in named(credential)}


def known_params(world: World, credential: OAuth2Credential, key: ConnectionKey) -> dict[str, str]:
    """Return what a connection keeps of what it was given at an earlier sign-in."""
    names = named(credential)
    record = world.store.load(key) if names else None
    return {name: record.params[name] for name in sorted(names) if name in record.params} if record else {}


def said_by_callback(
    world: World,
    env: str,
    credential: OAuth2Credential,
    app: AppCredentials,
    callback_url: str,
    came: CallbackParams,
) -> Mapping[str, str]:
    """Check a callback as the declaration says, and return what it tells of the connection.

    A callback comes by way of the browser: whoever sits there can add to it.  So nothing in it may say where tokens go,
    but which one of a closed set of places; an ``instance_url`` counts only in the answer of the token endpoint.

    Raises:
        ConnectError: Its HMAC is not the provider's, or a parameter is not as it has to be (``callback_forged``); or it
            names a place that is not known (``callback_unexpected``).  Nothing was exchanged.
    """
    if credential.callback_hmac:
        _check_sealed(world, env, credential, app, callback_url)
    if credential.callback_equals:
        _check_equal(credential, callback_url)
    return {**_said(credential, came.extra), **_places(credential, came.extra)}


def _check_sealed(world: World, env: str, credential: OAuth2Credential, app: AppCredentials, callback_url: str) -> None:
    """Check the HMAC by each secret of the app that may be in use: at a rotation two are."""
    state = app_state(world, env, credential)
    secrets = [way.app.client_secret for way in ways(world, env, credential, app, state, spends=True)]
    if not any(secret and is_sealed(callback_url, credential.callback_hmac, secret) for secret in secrets):
        raise _forged(credential, f'its "{credential.callback_hmac}" was not made with the app\'s client secret')


def _check_equal(credential: OAuth2Credential, callback_url: str) -> None:
    came = parameters(callback_url)
    for name, template in credential.callback_equals.items():
        wanted = HOLES.sub(lambda hole: credential.params.get(hole[1], hole[0]), template)
        if came.get(name) != wanted:
            raise _forged(credential, f'its "{name}" is not {wanted}')


def _forged(credential: OAuth2Credential, why: str) -> ConnectError:
    name = credential.display_name or credential.name
    msg = f"the answer is not what {name} sends: {why}; nothing was exchanged"
    return ConnectError(msg, code="callback_forged", hint="start again, and do not follow links that others send")


def _places(credential: OAuth2Credential, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the params of closed sets that a callback says."""
    found: dict[str, str] = {}
    for rule in credential.url_params:
        value = extra.get(rule.callback, "") if rule.callback else ""
        if not value:
            continue
        if value not in rule.values:
            known = ", ".join(rule.values)
            msg = f'the answer names the {rule.name} "{clean(value, 40)}", which is not known; nothing was exchanged'
            hint = f"known are: {known}; where the provider has a new one, declare it in url_params"
            raise ConnectError(msg, code="callback_unexpected", hint=hint)
        found[rule.name] = value
    return found


def _said(credential: OAuth2Credential, extra: Mapping[str, str]) -> dict[str, str]:
    """Return what a callback says about the connection (``realmId``): what the credential keeps, else what is harmless.

    What has a name of its own in the declaration comes from where the declaration says, and from nowhere else.
    """
    later = names_later(credential)
    if credential.callback_params:
        named_there = credential.callback_params.items()
        came = {name: (place, extra.get(place, "")) for name, place in named_there}
        return {name: value for name, (place, value) in came.items() if value and not _is_place(place, value)}
    return {
        name: value
        for name, value in extra.items()
        if name not in _NOISE and name not in later and not names_a_secret(name) and _may_be_kept(name, value)
    }


def _may_be_kept(name: str, value: str) -> bool:
    return bool(value) and not looks_like_token(value) and not _is_place(name, value)


def _is_place(name: str, value: str) -> bool:
    return "://" in value or value.startswith("//") or re.search(r"(?i)ur[il]$|host|domain|origin", name) is not None
