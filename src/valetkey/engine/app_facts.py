"""What is kept beside an app's secret in use: a candidate that has to prove itself, and fallbacks for a while.

It stands in the document of the app's breaker, so that one read tells a refresh both.  The secrets are sealed there;
everything else about them is in clear, under their fingerprints.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, TypeVar

from valetkey.engine.world import World
from valetkey.errors import StoreError
from valetkey.model.connections import Document
from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential
from valetkey.model.sealing import document_label, write_sealed
from valetkey.values import Secret

KIND: Final = "app"
BY_KEY: Final = "private_key_jwt"
"""How an app proves itself whose key is what is replaced here; with all others it is the client secret."""
MEMBER: Final = "secrets"
"""Where in the document's body the facts stand; all other members are the breaker's."""
_TRIES: Final = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """What is known of the secret in use: who stored it and when, and when the provider ends it (Unix seconds)."""

    fp: str
    at: float | None = None
    by: str = ""
    ends_at: float | None = None
    warned: int | None = None
    """Of how few days before its end somebody was told already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A secret that was stored to follow the one in use, and is not proved yet.

    Attributes:
        fp: Its fingerprint, with the client id in it.
        over: That of the secret which was in use then.  Where another has come since, the candidate is void.
        overlap: Seconds for which the old secret is kept, once this one was accepted.
        at: When it was stored.
        by: Who stored it.
        ends_at: When the provider ends it.
        tested_until: Until when one request is trying it: all others go on with the secret in use.
        accepted: Whether the provider took it.
        error: With which error the provider refused it, where it refused all others too.
        description: In which words.
    """

    fp: str
    over: str
    overlap: float
    at: float
    by: str = ""
    ends_at: float | None = None
    tested_until: float = 0.0
    accepted: bool = False
    error: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """A secret that was in use until `at`, and is tried where its successor is refused, `until` it is erased."""

    fp: str
    at: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """The provider refuses the secret in use (`over`) and takes a fallback (`fp`), which goes first since then."""

    fp: str
    over: str
    since: float
    next_try_at: float
    failures: int = 1
    error: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A candidate that the provider did not take, and what it said."""

    at: float
    by: str = ""
    error: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateTold:
    """Of how few days before the end of the certificate with that thumbprint somebody was told already."""

    thumbprint: str
    warned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of an app's secrets, no secret among it.  `client_id`: of which app."""

    client_id: str = ""
    in_use: InUse | None = None
    candidate: Candidate | None = None
    fallbacks: tuple[Fallback, ...] = ()
    lean: Lean | None = None
    refused: Refused | None = None
    certificate: CertificateTold | None = None

    def fingerprints(self) -> tuple[str, ...]:
        """Return those of the secrets that are kept beside the one in use."""
        first = () if self.candidate is None else (self.candidate.fp,)
        return (*first, *(one.fp for one in self.fallbacks))

    def body(self) -> dict[str, Any]:
        """Return them as JSON values; empty where nothing is known."""
        return {name: value for name, value in asdict(self).items() if value}


def facts_of(document: Document | None) -> Facts:
    """Read the facts of a document."""
    body: Mapping[str, Any] = document.body.get(MEMBER) or EMPTY if document is not None else EMPTY
    return Facts(
        client_id=str(body.get("client_id", "")),
        in_use=_read(InUse, body.get("in_use")),
        candidate=_read(Candidate, body.get("candidate")),
        fallbacks=tuple(one for raw in body.get("fallbacks", ()) if (one := _read(Fallback, raw)) is not None),
        lean=_read(Lean, body.get("lean")),
        refused=_read(Refused, body.get("refused")),
        certificate=_read(CertificateTold, body.get("certificate")),
    )


def _read(kind: type[T], raw: Mapping[str, Any] | None) -> T | None:
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]  # they are dataclasses
    return None if not raw else kind(**{name: value for name, value in raw.items() if name in known})


def facts_for(app: AppCredentials, document: Document | None) -> Facts:
    """Read the facts that are about this very app: those of another client id, or of a secret that is gone, are not."""
    facts = facts_of(document)
    if facts.client_id != app.client_id:
        return Facts(client_id=app.client_id)
    fp = app.fingerprint()
    in_use, candidate, lean = facts.in_use, facts.candidate, facts.lean
    return replace(
        facts,
        in_use=in_use if in_use is not None and in_use.fp == fp else None,
        candidate=candidate if candidate is not None and fp in {candidate.over, candidate.fp} else None,
        lean=lean if lean is not None and lean.over == fp else None,
    )


def secrets_of(world: World, document: Document | None) -> dict[str, Secret]:
    """Open the secrets of a document: fingerprint -> secret.

    Raises:
        DecryptionFailed: They cannot be opened.
    """
    if document is None or document.sealed is None:
        return {}
    opened: dict[str, str] = json.loads(world.sealer.open(document.sealed, document_label(document)))
    return {fp: Secret(value) for fp, value in opened.items()}


def change(
    world: World,
    env: str,
    name: str,
    step: Callable[[Document | None], Facts | None],
    *,
    adding: Mapping[str, Secret] = EMPTY,
) -> Facts | None:
    """Change the facts of an app by compare-and-swap; secrets that no fact names any more are erased with it.

    Args:
        world: Where.
        env: The environment.
        name: The credential.
        step: Makes the new facts of the document as it is; None: there is nothing to change.
        adding: Secrets that the new facts name and the document does not hold yet.

    Returns:
        The new facts; None where `step` wanted no change.

    Raises:
        StoreError: The store does not take them (``app_busy``: others changed them all the time).
    """
    for _ in range(_TRIES):
        document = world.store.get_document(KIND, name, env=env)
        facts = step(document)
        if facts is None:
            return None
        if _written(world, document or Document(kind=KIND, env=env, id=name), facts, adding):
            return facts
    msg = f"what is kept of the app {name!r} was changed by others again and again"
    raise StoreError(msg, code="app_busy", hint="try again")


def _written(world: World, document: Document, facts: Facts, adding: Mapping[str, Secret]) -> bool:
    body = {name: value for name, value in document.body.items() if name != MEMBER}
    if told := facts.body():
        body[MEMBER] = told
    new = replace(document, body=body, sealed=None)
    named = facts.fingerprints()
    if not named:
        return world.store.put_document(new, expect=document.version) is not None
    held = {**secrets_of(world, document), **adding}
    plain = json.dumps({fp: held[fp].reveal() for fp in named if fp in held}).encode()
    put = world.store.put_document
    return write_sealed(
        world.sealer,
        plain,
        document_label(new),
        lambda sealed: put(replace(new, sealed=sealed), expect=document.version) is not None,
    )


def with_proof(credential: OAuth2Credential, app: AppCredentials, proof: Secret) -> AppCredentials:
    """Return the app with another secret, or another key where it proves itself by that."""
    if credential.proves_by_key:
        return replace(app, private_key=proof)
    return replace(app, client_secret=proof)


def proof_of(credential: OAuth2Credential, app: AppCredentials) -> Secret | None:
    """Return what an app proves itself by, and what is replaced with overlap: its secret, or its key."""
    return app.private_key if credential.proves_by_key else app.client_secret
