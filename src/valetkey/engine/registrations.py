"""What apps that registered themselves were given: kept sealed, one for each credential and environment.

It belongs to the issuer that gave it: where the credential has another one, it counts as absent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from valetkey.engine.discovery import peek
from valetkey.engine.storing import token_origin
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, DecryptionFailed
from valetkey.model.connections import Document
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.ports import Sealer, Store
from valetkey.model.sealing import document_label, write_sealed
from valetkey.protocol.registration import Registration
from valetkey.values import Secret

KIND: Final = "registration"
BEFORE: Final = "registration_before"
"""The kind of the documents that keep registrations which another one followed: connections were made with them."""
_MOST_BEFORE: Final = 50
"""How many of those are kept for a credential; the oldest go first."""
_PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """An app that nobody added by hand.

    Attributes:
        way: ``dynamic``: it registered itself; ``document``: its client id is the URL of a document.
        issuer: The server that it belongs to, see `place_of`.
        registration: What the server has.
        private_key: The key that it registered, as a JWK.
        at: When, in Unix seconds.
    """

    way: Literal["dynamic", "document"]
    issuer: str
    registration: Registration
    private_key: Secret | None = None
    at: float = 0.0

    def app(self) -> AppCredentials:
        """Return it as app credentials."""
        known = self.registration
        return AppCredentials(
            client_id=known.client_id,
            client_secret=None if known.client_auth == "none" else known.client_secret,
            private_key=self.private_key,
            client_auth=known.client_auth,
        )

    def ended(self, now: float) -> bool:
        """Whether its secret has ended."""
        ends = self.registration.secret_ends_at
        return ends is not None and self.registration.client_secret is not None and now >= ends


def place_of(credential: OAuth2Credential) -> str:
    """Return the server that a registration belongs to: the issuer, else where tokens come from."""
    return credential.issuer or token_origin(credential)


def registered(store: Store, sealer: Sealer, env: str, credential: OAuth2Credential) -> Registered | None:
    """Return the app that nobody added by hand; None where there is none, or it belongs to another issuer.

    Raises:
        DecryptionFailed: It cannot be opened.
    """
    return _opened(store.get_document(KIND, credential.name, env=env), sealer, credential)


def _opened(document: Document | None, sealer: Sealer, credential: OAuth2Credential) -> Registered | None:
    if document is None or document.sealed is None:
        return None
    if document.body.get("issuer") != place_of(credential):
        return None
    try:
        return _read(json.loads(sealer.open(document.sealed, document_label(document))))
    except (ValueError, KeyError, TypeError):
        msg = f"what is stored of the registration of {credential.name!r} is not readable"
        hint = f"register it anew: valetkey app register {credential.name}"
        raise DecryptionFailed(msg, code="sealed_broken", hint=hint) from None


def registered_app(world: World, env: str, credential: OAuth2Credential) -> AppCredentials | None:
    """Return the app that nobody added by hand, as app credentials; None where there is none for its server.

    Raises:
        ConfigurationError: Its secret has ended (``app_ended``).
    """
    return _usable(world, credential, registered(world.store, world.sealer, env, peek(world, credential)))


def registered_before(world: World, env: str, credential: OAuth2Credential, client_id: str) -> AppCredentials | None:
    """Return an app that registered itself and was followed by another registration, by its client id; None: unknown.

    Raises:
        ConfigurationError: Its secret has ended (``app_ended``).
    """
    document = world.store.get_document(BEFORE, _place(credential, client_id), env=env)
    found = _opened(document, world.sealer, peek(world, credential)) if document is not None else None
    return _usable(world, credential, found)


def _usable(world: World, credential: OAuth2Credential, mine: Registered | None) -> AppCredentials | None:
    if mine is None:
        return None
    if mine.ended(world.clock.now()):
        msg = f"the client secret that {credential.name!r} was given when it registered itself has ended"
        hint = f"valetkey app registration update {credential.name}; or connect again, which does the same"
        raise ConfigurationError(msg, code="app_ended", hint=hint)
    return mine.app()


def keep(world: World, env: str, credential: OAuth2Credential, made: Registered) -> None:
    """Seal and store it, in the place of any other of the same credential."""
    _put(world, env, made, KIND, credential.name)


def keep_before(world: World, env: str, credential: OAuth2Credential, made: Registered) -> None:
    """Seal and store a registration that another one is about to follow, for the connections made with it."""
    mine = sorted(_all_before(world, env, credential), key=lambda one: float(one.body.get("at", 0.0)))
    for oldest in mine[: max(len(mine) + 1 - _MOST_BEFORE, 0)]:
        world.store.delete_document(BEFORE, oldest.id, env=env)
    _put(world, env, made, BEFORE, _place(credential, made.registration.client_id))


def forget_before(world: World, env: str, credential: OAuth2Credential) -> None:
    """Erase the registrations of a credential that others followed."""
    for document in list(_all_before(world, env, credential)):
        world.store.delete_document(BEFORE, document.id, env=env)


def _all_before(world: World, env: str, credential: OAuth2Credential) -> Iterator[Document]:
    after = begins = f"{credential.name}/"
    while page := world.store.list_documents(BEFORE, env=env, after=after, limit=_PAGE):
        for document in page:
            if not document.id.startswith(begins):
                return
            yield document
        after = page[-1].id


def _place(credential: OAuth2Credential, client_id: str) -> str:
    """Return the id of a document: client ids are a server's, and may be long."""
    return f"{credential.name}/{hashlib.sha256(client_id.encode()).hexdigest()[:32]}"


def _put(world: World, env: str, made: Registered, kind: str, document_id: str) -> None:
    body = {"issuer": made.issuer, "client_id": made.registration.client_id, "way": made.way, "at": made.at}
    document = Document(kind=kind, env=env, id=document_id, body=body)
    write_sealed(
        world.sealer,
        json.dumps(_body(made)).encode(),
        document_label(document),
        lambda sealed: world.store.put_document(replace(document, sealed=sealed)),
    )


def _body(made: Registered) -> dict[str, Any]:
    known = made.registration
    plain = {name: _plain(value) for name, value in asdict(replace(known, metadata={})).items()}
    return {
        "way": made.way,
        "issuer": made.issuer,
        "at": made.at,
        "private_key": _plain(made.private_key),
        "registration": {**plain, "metadata": dict(known.metadata)},
    }


def _plain(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else value


def _read(body: dict[str, Any]) -> Registered:
    known = dict(body["registration"])
    for name in ("client_secret", "token"):
        known[name] = Secret(known[name]) if known[name] else None
    key = body["private_key"]
    return Registered(
        way=body["way"],
        issuer=body["issuer"],
        at=body["at"],
        registration=Registration(**known),
        private_key=Secret(key) if key else None,
    )
