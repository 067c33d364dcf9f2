"""Flows: sign-ins under way, kept in the store between the way out to the provider and the way back.

A flow is found by the hash of its ``state``; its verifier is sealed; it is used once and lives ten minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from valetkey.engine.world import World
from valetkey.errors import ConnectError, StateMismatch
from valetkey.model.connections import ConnectionKey, Document, Sealed
from valetkey.model.credentials import EMPTY
from valetkey.model.paging import each_document
from valetkey.model.sealing import document_label, write_sealed
from valetkey.values import Secret

KIND: Final = "flow"
FLOW_SECONDS: Final = 600.0
"""How long a person has to sign in and consent."""
_STATELESS: Final = "the answer holds no state"
_NO_FLOW: Final = "the answer belongs to no sign-in under way: it is unknown, was used already, or came too late"
_AGAIN: Final = "start again, and finish in the same browser"
_UNBOUND: Final = "the answer came without the cookie that binds it to the browser which began the sign-in"
_BIND: Final = f"{_AGAIN}; the application sets AuthorizationStart.binding as a cookie and passes it to finish()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The second grant that a sign-in is to bring.

    Attributes:
        credential: Of which credential; owner and account are those of the first.
        scopes: What was asked for.
        incarnation: That of its record when the sign-in began; 0 where nothing was connected yet.
    """

    credential: str
    scopes: tuple[str, ...]
    incarnation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One sign-in under way.

    Attributes:
        key: What is being connected.
        scopes: What was asked for.
        redirect_uri: Where the answer is to come.
        issuer: The credential's issuer when it began.
        token_origin: The origin of its token endpoint.
        client_id: The app's client id.
        incarnation: That of the record when it began; 0 where nothing was connected yet.
        verifier: The PKCE verifier.
        nonce: For OpenID Connect.
        dpop_key: The private key that the tokens shall be bound to (RFC 9449).
        errand: What the face that began it wants to find again when the answer comes; it holds no secret.
        asked: What an id token has to show (``max_age``, ``acr_values``).
        params: What of the connection's params the sign-in began with.
        beside: What else it is to bring; None: nothing.
        id: The id under which it is, or was, stored.
        mark: The hash of its binding.
    """

    key: ConnectionKey
    scopes: tuple[str, ...]
    redirect_uri: str
    issuer: str
    token_origin: str
    client_id: str
    incarnation: int = 0
    verifier: Secret | None = field(default=None, repr=False)
    nonce: str = field(default="", repr=False)
    dpop_key: Secret | None = field(default=None, repr=False)
    errand: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    asked: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    beside: Beside | None = None
    id: str = ""
    mark: str = field(default="", repr=False)

    def is_bound_to(self, binding: Secret | None) -> bool:
        """Whether this is the browser that began."""
        return binding is not None and bool(self.mark) and hmac.compare_digest(binding_hash(binding), self.mark)


def flow_id(state: str) -> str:
    """Return the id under which the flow with that ``state`` is stored: nobody can make the state from it."""
    return hashlib.sha256(b"valetkey:state:" + state.encode()).hexdigest()


def put_flow(world: World, flow: Flow, *, state: str, binding: Secret) -> Document:
    """Store a flow that begins now."""
    document = Document(
        kind=KIND,
        id=flow_id(state),
        body=_body(flow) | {"binding": binding_hash(binding), "created": world.clock.now()},
        expires_at=world.store.now() + FLOW_SECONDS,
    )
    secret = {"verifier": flow.verifier.reveal() if flow.verifier else "", "nonce": flow.nonce}
    if flow.dpop_key:
        secret["dpop_key"] = flow.dpop_key.reveal()
    plain = json.dumps(secret).encode()

    def put(sealed: Sealed) -> Document | None:
        return world.store.put_document(replace(document, sealed=sealed), expect=0)

    stored = write_sealed(world.sealer, plain, document_label(document), put)
    if stored is None:
        msg = "two sign-ins drew the same random state, which cannot be"
        raise ConnectError(msg, hint="start again")
    return stored


def peek_flow(world: World, state: str) -> Flow | None:
    """Return the flow of an answer without using it up, and without its secrets; None where there is none."""
    found = world.store.get_document(KIND, flow_id(state)) if state else None
    return None if found is None else _flow(found, {})


def is_under_way(world: World, wanted: str) -> bool:
    """Whether the flow with that id still waits for its answer."""
    return world.store.get_document(KIND, wanted) is not None


def take_flow(world: World, state: str, binding: Secret | str | None) -> Flow:
    """Use up the flow of an answer.  Who lacks the binding does not use it up for the one who has it.

    Raises:
        StateMismatch: The state is unknown, used or expired (``state_mismatch``), or the answer came by another
            browser than the one that began, or by one without the cookie (``binding_mismatch``).
    """
    if not state:
        raise _unknown(_STATELESS)
    found = world.store.get_document(KIND, flow_id(state))
    if found is None:
        raise _unknown(_NO_FLOW)
    given = binding if isinstance(binding, Secret) else Secret(binding or "")
    if not given:
        raise StateMismatch(_UNBOUND, code="binding_mismatch", hint=_BIND)
    if not hmac.compare_digest(binding_hash(given), str(found.body["binding"])):
        msg = "the answer came by another browser than the one that began the sign-in"
        raise StateMismatch(msg, code="binding_mismatch", hint=_AGAIN)
    taken = world.store.take_document(KIND, found.id)
    if taken is None:
        raise _unknown(_NO_FLOW)
    return _flow(taken, _secret_part(world, taken))


def delete_flows(world: World, wanted: Callable[[ConnectionKey], bool]) -> int:
    """Delete the flows of all keys that `wanted` says; returns how many."""
    return sum(
        world.store.delete_document(KIND, document.id)
        for document in list(each_document(world.store, KIND))
        if wanted(_key(document.body))
    )


def count_flows(world: World, wanted: Callable[[ConnectionKey], bool]) -> int:
    """Return how many sign-ins are under way for the keys that `wanted` says."""
    return sum(wanted(_key(document.body)) for document in each_document(world.store, KIND))


def _body(flow: Flow) -> dict[str, Any]:
    return {
        "env": flow.key.env,
        "credential": flow.key.credential,
        "owner": flow.key.owner,
        "account": flow.key.account,
        "scopes": list(flow.scopes),
        "redirect_uri": flow.redirect_uri,
        "issuer": flow.issuer,
        "token_origin": flow.token_origin,
        "client_id": flow.client_id,
        "incarnation": flow.incarnation,
        "errand": dict(flow.errand),
        "asked": dict(flow.asked),
        "params": dict(flow.params),
        "beside": None if flow.beside is None else asdict(flow.beside),
    }


def _key(body: Mapping[str, Any]) -> ConnectionKey:
    return ConnectionKey(body["env"], body["credential"], body["owner"], body["account"])


def _secret_part(world: World, document: Document) -> Mapping[str, Any]:
    if document.sealed is None:
        return {}
    part: Mapping[str, Any] = json.loads(world.sealer.open(document.sealed, document_label(document)))
    return part


def _beside(told: Mapping[str, Any] | None) -> Beside | None:
    if told is None:
        return None
    return Beside(credential=told["credential"], scopes=tuple(told["scopes"]), incarnation=told["incarnation"])


def _flow(document: Document, secret: Mapping[str, Any]) -> Flow:
    body = document.body
    return Flow(
        key=_key(body),
        scopes=tuple(body["scopes"]),
        redirect_uri=body["redirect_uri"],
        issuer=body["issuer"],
        token_origin=body["token_origin"],
        client_id=body["client_id"],
        incarnation=body["incarnation"],
        verifier=Secret(secret["verifier"]) if secret.get("verifier") else None,
        nonce=secret.get("nonce", ""),
        dpop_key=Secret(secret["dpop_key"]) if secret.get("dpop_key") else None,
        errand=body.get("errand", EMPTY),
        asked=body.get("asked", EMPTY),
        params=body.get("params", EMPTY),
        beside=_beside(body.get("beside")),
        id=document.id,
        mark=str(body["binding"]),
    )


def binding_hash(binding: Secret) -> str:
    """Return what the store keeps of a binding."""
    return hashlib.sha256(b"valetkey:binding:" + binding.reveal().encode()).hexdigest()


def _unknown(message: str) -> StateMismatch:
    return StateMismatch(message, hint=_AGAIN)
