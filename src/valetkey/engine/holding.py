"""Grants that are kept aside, sealed and bound to a browser, until somebody has decided about them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from valetkey.engine.flows import binding_hash
from valetkey.engine.keeping import BesideGoods, Goods
from valetkey.engine.world import World
from valetkey.model.connections import ConnectionKey, Document, Identity, Record, Sealed
from valetkey.model.credentials import EMPTY
from valetkey.model.grants import Grant
from valetkey.model.paging import each_document
from valetkey.model.sealing import document_label, write_sealed
from valetkey.values import Secret

KIND: Final = "held_grant"
HELD_SECONDS: Final = 600.0
"""How long the person has to answer."""
_KEPT_SECONDS: Final = 30 * 86400.0
"""How long an unanswered grant is kept to be given back, should nobody come by earlier."""
Asks = Literal["account", "owner"]
"""Who answers: the person, about another ``account``; or the application, whether they are the ``owner``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A grant that waits for an answer.

    Attributes:
        id: That of its flow; it opens nothing without the browser's binding.
        asks: What is asked.
        confirm: Whether the application has the last word, also after a person's answer.
        key: The connection that was to be connected again.
        connection_id: Its id.
        incarnation: Its incarnation when the grant was bought.
        until: Unix seconds until which the answer is taken.
        before: Who it was until now.
        now: Who it is now.
        goods: The grant and what belongs to it.
        errand: What the face that began wants to find again.
    """

    id: str
    asks: Asks = "account"
    confirm: bool = False
    key: ConnectionKey
    connection_id: str
    incarnation: int
    until: float
    before: Identity
    now: Identity
    goods: Goods = field(repr=False)
    errand: Mapping[str, str] = field(default_factory=lambda: EMPTY)


def aside(held_id: str, asks: Asks, before: Record, got: Goods, errand: Mapping[str, str], *, confirm: bool) -> Held:
    """Return what is to be kept aside; `before` is the connection as it is."""
    return Held(
        id=held_id,
        asks=asks,
        confirm=confirm,
        key=before.key,
        connection_id=before.id,
        incarnation=before.incarnation,
        until=0.0,
        before=before.identity or Identity(),
        now=got.identity or Identity(),
        goods=got,
        errand=errand,
    )


def hold(world: World, waits: Held, binding: Secret) -> Held:
    """Store what waits, from now on."""
    key, until = waits.key, world.clock.now() + HELD_SECONDS
    body = {
        "env": key.env,
        "credential": key.credential,
        "owner": key.owner,
        "account": key.account,
        "asks": waits.asks,
        "confirm": waits.confirm,
        "connection_id": waits.connection_id,
        "incarnation": waits.incarnation,
        "binding": binding_hash(binding),
        "code": code_hash(confirmation(waits.id, binding)),
        "until": until,
        "errand": dict(waits.errand),
    }
    expires_at = world.store.now() + _KEPT_SECONDS
    document = Document(kind=KIND, id=waits.id, body=body, expires_at=expires_at)
    plain = json.dumps(_packed(waits)).encode()

    def put(sealed: Sealed) -> Document | None:
        return world.store.put_document(replace(document, sealed=sealed), expect=0)

    write_sealed(world.sealer, plain, document_label(document), put)
    return replace(waits, until=until)


def _packed(waits: Held) -> dict[str, Any]:
    return {"before": asdict(waits.before), "now": asdict(waits.now), **_packed_goods(waits.goods)}


def _packed_goods(got: Goods) -> dict[str, Any]:
    beside = got.beside
    return {
        "grant": got.grant.to_json().decode(),
        "requested": list(got.requested),
        "client_id": got.client_id,
        "params": dict(got.params),
        "identity": None if got.identity is None else asdict(got.identity),
        "beside": None
        if beside is None
        else {
            "credential": beside.credential,
            "connection_id": beside.connection_id,
            "incarnation": beside.incarnation,
            **_packed_goods(beside.goods),
        },
    }


def _goods(packed: Mapping[str, Any]) -> Goods:
    identity, beside = packed["identity"], packed.get("beside")
    return Goods(
        grant=Grant.from_json(packed["grant"]),
        identity=None if identity is None else Identity(**identity),
        requested=tuple(packed["requested"]),
        client_id=packed["client_id"],
        params=packed["params"],
        beside=None if beside is None else _beside(beside),
    )


def _beside(packed: Mapping[str, Any]) -> BesideGoods:
    return BesideGoods(
        credential=packed["credential"],
        connection_id=packed["connection_id"],
        incarnation=packed["incarnation"],
        goods=_goods(packed),
    )


def opened(world: World, document: Document) -> Held:
    """Return what was kept aside, with its grant."""
    assert document.sealed is not None  # noqa: S101 - it is written with its seal, or not at all
    body = document.body
    packed: dict[str, Any] = json.loads(world.sealer.open(document.sealed, document_label(document)))
    return Held(
        id=document.id,
        asks=body["asks"],
        confirm=body["confirm"],
        key=key_of(document),
        connection_id=body["connection_id"],
        incarnation=body["incarnation"],
        until=body["until"],
        before=Identity(**packed["before"]),
        now=Identity(**packed["now"]),
        goods=_goods(packed),
        errand=body["errand"],
    )


def waiting(world: World, held_id: str, asks: Asks) -> Document | None:
    """Return what waits under that id for that answer, sealed as it is; None: nothing, or not any more."""
    document = world.store.get_document(KIND, held_id) if held_id else None
    if document is None or document.body["asks"] != asks or world.clock.now() >= document.body["until"]:
        return None
    return document


def confirmation(held_id: str, binding: Secret) -> Secret:
    """Return the code by which the application shows that this browser came back to it.

    Only the browser that signed in can have it, and nobody can make the binding from it.
    """
    made = hashlib.sha256(f"valetkey:confirmation:{held_id}:{binding.reveal()}".encode()).digest()
    return Secret(base64.urlsafe_b64encode(made).decode().rstrip("="))


def key_of(document: Document) -> ConnectionKey:
    """Return whose connection it is for."""
    body = document.body
    return ConnectionKey(body["env"], body["credential"], body["owner"], body["account"])


def code_hash(code: Secret) -> str:
    """Return what the store keeps of a code."""
    return hashlib.sha256(code.reveal().encode("utf-8", "surrogatepass")).hexdigest()


def is_bound(document: Document, binding: Secret | None) -> bool:
    """Whether this is the browser that signed in."""
    return binding is not None and hmac.compare_digest(binding_hash(binding), str(document.body["binding"]))


def count_held(world: World, key: ConnectionKey) -> int:
    """Return how many grants wait for a decision about that connection."""
    now = world.clock.now()
    return sum(key_of(one) == key and now < one.body["until"] for one in documents(world))


def documents(world: World) -> Iterator[Document]:
    """Return all that is kept aside."""
    return each_document(world.store, KIND)
