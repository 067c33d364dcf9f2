"""How an app gets to its server: added by a person, described by a document, or registered by itself (RFC 7591)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from valetkey.engine.discovery import complete, remembered
from valetkey.engine.leases import Lease
from valetkey.engine.registrations import (
    KIND,
    Registered,
    forget_before,
    keep,
    keep_before,
    place_of,
    registered,
)
from valetkey.engine.world import World
from valetkey.errors import (
    ConfigurationError,
    ProviderError,
    ProviderProtocolError,
    ProviderUnavailable,
)
from valetkey.forks import late_imports
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Event
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.fapi2 import METHODS, is_fapi2
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.registration import (
    Registration,
    RegistrationRefused,
    client_metadata,
    covers,
    management_request,
    method_to_register,
    parse_deleted,
    parse_registration,
    registration_request,
)
from valetkey.values import Request, Response

_log = get_logger("registering")
_SECONDS: Final = 20.0
"""How long one answer is waited for."""
_WAIT: Final = 30.0
_LOOK: Final = 0.2
_MOST_URIS: Final = 10


def ready_client(
    world: World,
    env: str,
    credential: OAuth2Credential,
    *,
    redirect_uri: str = "",
    need: tuple[str, ...] = ("token_url",),
) -> tuple[OAuth2Credential, AppCredentials]:
    """Return a credential with its server's URLs, and the app for a sign-in that is answered at `redirect_uri`.

    The order is that of the MCP specification: an app that was added, one that a document describes where the server
    takes such, one that registers itself, and then a person is asked.

    Raises:
        ConfigurationError: There is no app (``app_missing``), and it cannot register itself.
        ProviderError: As `discovery.complete`; or the server does not register it (``registration_refused``).
    """
    if not (credential.registers or world.client_document(credential)):
        app = world.app(credential)
        return complete(world, credential, need=need, anew=True), app
    credential = complete(world, credential, need=need, anew=True)
    return credential, _client(world, env, credential, redirect_uri)


def _client(world: World, env: str, credential: OAuth2Credential, redirect_uri: str) -> AppCredentials:
    mine = registered(world.store, world.sealer, env, credential)
    try:
        app = world.app(credential)
    except ConfigurationError as error:
        if error.code not in {"app_missing", "app_ended"}:
            raise
        missing: ConfigurationError | None = error
    else:
        if mine is None or mine.registration.client_id != app.client_id:
            return app  # somebody added it
        missing = None
    url = world.client_document(credential)
    metadata = remembered(world, credential)
    if url and (metadata is None or metadata.client_documents):
        return _described(world, env, credential, mine, url)
    if missing is not None and not (credential.registers and credential.registration_url):
        raise missing
    if mine is not None and mine.way == "document" and not credential.registers:
        return mine.app()
    return _registered_for(world, env, credential, redirect_uri)


def _described(
    world: World, env: str, credential: OAuth2Credential, mine: Registered | None, url: str
) -> AppCredentials:
    """Return the app whose client id is the URL of a document."""
    if mine is not None and mine.way == "document" and mine.registration.client_id == url:
        return mine.app()
    known = Registration(client_id=url, client_auth="none")
    made = Registered(way="document", issuer=place_of(credential), registration=known, at=world.clock.now())
    keep(world, env, credential, made)
    return made.app()


def _registered_for(world: World, env: str, credential: OAuth2Credential, redirect_uri: str) -> AppCredentials:
    """Return the app that registered itself, and may be answered at `redirect_uri`; registers it if need be."""
    with managing(world, env, credential):
        mine = registered(world.store, world.sealer, env, credential)
        now = world.clock.now()
        uris = (redirect_uri,) if redirect_uri else ()
        if mine is not None and mine.way == "dynamic":
            known = mine.registration
            fits = not uris or covers(known.redirect_uris, redirect_uri, any_port=credential.loopback == "any_port")
            if fits and not mine.ended(now):
                return mine.app()
            uris = tuple(dict.fromkeys((*known.redirect_uris, *uris)))[-_MOST_URIS:]
            changed = _widened(world, env, credential, mine, uris)
            if changed is not None:
                return changed.app()
        made = _register(world, env, credential, uris)
        _ensure_usable(world, credential, made, redirect_uri)
        return made.app()


def _ensure_usable(world: World, credential: OAuth2Credential, made: Registered, redirect_uri: str) -> None:
    """Check that a new registration is good for a sign-in: what the server returned counts, and not what was asked.

    Raises:
        ProviderProtocolError: It has ended, or is for other redirect URIs (``registration_refused``).
    """
    uris = made.registration.redirect_uris
    problem = "its answer gives a client_secret that has ended already" if made.ended(world.clock.now()) else ""
    if redirect_uri and not covers(uris, redirect_uri, any_port=credential.loopback == "any_port"):
        problem = f"its answer registers other redirect URIs than {redirect_uri}"
    if problem:
        raise _refused(credential, RegistrationRefused(kind="invalid", what=problem))


def _widened(
    world: World, env: str, credential: OAuth2Credential, mine: Registered, uris: tuple[str, ...]
) -> Registered | None:
    """Change a registration, also to get a new secret; None where that is of no use, and a new one has to be made."""
    known = mine.registration
    if not (known.management_url and known.token):
        return None
    try:
        changed = _update(world, env, credential, mine, {"redirect_uris": list(uris)})
    except ProviderUnavailable:
        raise
    except ProviderError:
        return None
    return None if changed.ended(world.clock.now()) else changed


# -- by hand -----------------------------------------------------------------------------------------------------------


def register(world: World, env: str, credential: OAuth2Credential, redirect_uris: tuple[str, ...]) -> Registered:
    """Register the app of a credential now (RFC 7591).

    An older registration is not deleted: connections that were made with it go on to refresh with it.

    Raises:
        ConfigurationError: It is not known where (``registration_unfit``).
        ProviderError: The server does not register it (``registration_refused``), or does not answer.
    """
    credential = complete(world, credential, anew=True)
    with managing(world, env, credential):
        return _register(world, env, credential, redirect_uris)


def read(world: World, env: str, credential: OAuth2Credential) -> Registered:
    """Read the registration from the server (RFC 7592 section 2.1), and keep what it says.

    Raises:
        ConfigurationError: There is none (``registration_missing``), or it cannot be managed
            (``registration_unmanaged``).
        ProviderError: The server refuses (``registration_gone``, ``registration_refused``), or does not answer.
    """
    with managing(world, env, credential):
        mine = _managed(world, env, credential)
        return _answered(
            world, env, credential, mine, management_request("GET", mine.registration, name=credential.name)
        )


def update(world: World, env: str, credential: OAuth2Credential, changes: dict[str, Any]) -> Registered:
    """Replace the registration by what was returned last, with `changes`; None removes a member (RFC 7592, 2.2).

    Raises:
        ConfigurationError: As `read`.
        ProviderError: As `read`.
    """
    with managing(world, env, credential):
        return _update(world, env, credential, _managed(world, env, credential), changes)


def delete(world: World, env: str, credential: OAuth2Credential) -> bool:
    """Delete the registration at the server (RFC 7592 section 2.3) and here; False: it was only known here.

    Those that it followed are erased here.

    Raises:
        ConfigurationError: There is none (``registration_missing``).
        ProviderError: The server refuses (``registration_refused``), or does not answer; it is kept here too.
    """
    with managing(world, env, credential):
        mine = registered(world.store, world.sealer, env, credential)
        if mine is None:
            raise _missing(credential)
        known = mine.registration
        manageable = bool(known.management_url and known.token)
        if manageable:
            refusal = parse_deleted(_sent(world, credential, management_request("DELETE", known, name=credential.name)))
            if refusal is not None and refusal.kind != "gone":
                raise _refused(credential, refusal)
        world.store.delete_document(KIND, credential.name, env=env)
        forget_before(world, env, credential)
        _tell(world, env, credential, "app_unregistered", known)
        return manageable


def _managed(world: World, env: str, credential: OAuth2Credential) -> Registered:
    mine = registered(world.store, world.sealer, env, credential)
    if mine is None:
        raise _missing(credential)
    if not (mine.registration.management_url and mine.registration.token):
        msg = f"the registration of {credential.name!r} cannot be managed: its server gave no address for it"
        hint = f"change it at the server, or register anew: valetkey app register {credential.name}"
        raise ConfigurationError(msg, code="registration_unmanaged", hint=hint)
    return mine


def _update(
    world: World, env: str, credential: OAuth2Credential, mine: Registered, changes: dict[str, Any]
) -> Registered:
    known = mine.registration
    wanted = {name: value for name, value in {**known.metadata, **changes}.items() if value is not None}
    new = replace(mine, registration=replace(known, metadata=wanted))
    request = management_request("PUT", new.registration, name=credential.name)
    return _answered(world, env, credential, new, request)


def _answered(world: World, env: str, credential: OAuth2Credential, mine: Registered, request: Request) -> Registered:
    """Send, and keep what came before anything else is done with it: it may hold a new secret and a new token."""
    known = mine.registration
    response = _sent(world, credential, request)
    found = parse_registration(response, asked=known.metadata, server=mine.issuer or request.url, known=known)
    if isinstance(found, RegistrationRefused):
        raise _refused(credential, found)
    new = replace(mine, registration=found)  # kept in any case: what was before is gone at the server
    keep(world, env, credential, new)
    return new


def _register(world: World, env: str, credential: OAuth2Credential, redirect_uris: tuple[str, ...]) -> Registered:
    with late_imports:
        from valetkey.protocol.signing import generate_key, read_key  # noqa: PLC0415 - mostly there is no key

    if not credential.registration_url:
        msg = f"{credential.name}: its server does not say where apps register themselves"
        hint = f"register it by hand, then: valetkey app add {credential.name}"
        raise ConfigurationError(msg, code="registration_unfit", hint=hint)
    metadata = remembered(world, credential)
    offered = metadata.client_auths if metadata is not None else ()
    method = method_to_register(credential, offered)
    signs = method == "private_key_jwt" or credential.request_object
    key = generate_key(credential.signing_alg or "ES256") if signs else None
    jwk = read_key(key, what="private_key", name=credential.name).public_jwk() if key else None
    asked = client_metadata(credential, redirect_uris=redirect_uris, method=method, jwk=jwk, server=metadata)
    response = _sent(world, credential, registration_request(credential, asked))
    where = credential.registration_url
    found = parse_registration(response, asked=asked, server=credential.issuer or where, hosts=(where,))
    if isinstance(found, RegistrationRefused):
        raise _refused(credential, found)
    try:
        _ensure_profile(credential, found)
    except ProviderProtocolError:
        _discard(world, credential, found)
        raise
    made = Registered(
        way="dynamic", issuer=place_of(credential), registration=found, private_key=key, at=world.clock.now()
    )
    before = registered(world.store, world.sealer, env, credential)
    if before is not None and before.way == "dynamic" and before.registration.client_id != found.client_id:
        keep_before(world, env, credential, before)  # connections that were made with it go on with it
    keep(world, env, credential, made)
    _tell(world, env, credential, "app_registered", found)
    return made


def _discard(world: World, credential: OAuth2Credential, found: Registration) -> None:
    """Delete a registration that nobody will use, where its server lets us; what it answers changes nothing."""
    if not (found.management_url and found.token):
        return
    try:
        refusal = parse_deleted(_sent(world, credential, management_request("DELETE", found, name=credential.name)))
    except (ProviderError, ConfigurationError) as error:
        _log.warning("a registration of %s that is of no use stays at its server: %s", credential.name, error)
        return
    if refusal is not None and refusal.kind != "gone":
        _log.warning("a registration of %s that is of no use stays at its server: %s", credential.name, refusal.what)


def _ensure_profile(credential: OAuth2Credential, found: Registration) -> None:
    """Refuse a registration that has the app prove itself in a weaker way than FAPI 2.0 allows.

    Raises:
        ProviderProtocolError: ``profile_unmet``.
    """
    if is_fapi2(credential) and found.client_auth not in METHODS:
        said = found.client_auth or "in no way that it names"
        msg = f"{credential.name}: the server registered token_endpoint_auth_method {said}, which fapi2 does not take"
        hint = f"register the app by hand with {credential.client_auth}, then: valetkey app add {credential.name}"
        raise ProviderProtocolError(msg, code="profile_unmet", hint=hint)


def _sent(world: World, credential: OAuth2Credential, request: Request) -> Response:
    try:
        return world.endpoint.send(request, deadline=world.clock.monotonic() + _SECONDS)
    except (NotSent, InDoubt) as error:
        msg = f"{credential.name}: the registration was not answered: {error}"
        raise ProviderUnavailable(msg, error="unreachable", hint="try again in a moment") from error


@contextmanager
def managing(world: World, env: str, credential: OAuth2Credential) -> Generator[None]:
    """Be the only one of all processes who registers or manages this app.

    Raises:
        ProviderUnavailable: Somebody else has been at it for too long.
    """
    give_up_at = world.clock.monotonic() + _WAIT
    with Lease(world, ConnectionKey(env, credential.name), purpose="registration") as lease:
        while not lease.take():
            if world.clock.monotonic() >= give_up_at:
                msg = f"another process is registering the app of {credential.name!r}"
                raise ProviderUnavailable(msg, error="busy", hint="try again in a moment")
            world.clock.sleep(_LOOK)
        yield


# -- errors ------------------------------------------------------------------------------------------------------------


def _missing(credential: OAuth2Credential) -> ConfigurationError:
    msg = f"the app of {credential.name!r} has not registered itself"
    hint = f"valetkey app register {credential.name}"
    return ConfigurationError(msg, code="registration_missing", hint=hint)


def _refused(credential: OAuth2Credential, refusal: RegistrationRefused) -> ProviderError:
    title = credential.display_name or credential.name
    again = f"valetkey app register {credential.name}"
    if refusal.kind == "transient":
        msg = f"{title} is in trouble and did not answer to the registration ({refusal.what})"
        return ProviderUnavailable(msg, status=refusal.status, hint="try again in a moment")
    if refusal.kind == "gone":
        msg = f"{title} does not know the app of {credential.name!r} any more ({refusal.what})"
        return ProviderProtocolError(msg, code="registration_gone", status=refusal.status, hint=f"register it: {again}")
    msg = f"{title} does not take the registration of {credential.name!r}: {refusal.what}"
    hint = f"register the app by hand, then: valetkey app add {credential.name}"
    return ProviderProtocolError(
        msg, code="registration_refused", error=refusal.error, status=refusal.status, hint=hint
    )


def _tell(world: World, env: str, credential: OAuth2Credential, kind: str, known: Registration) -> None:
    detail = {"client_id": known.client_id}
    world.store.append_event(
        Event(kind=kind, at=world.clock.now(), env=env, credential=credential.name, actor=world.actor, detail=detail)
    )
