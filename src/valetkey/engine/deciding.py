"""Another account than before: a sign-in that ends in a question.

Somebody connects again and signs in at the provider as somebody else.  Taking the new grant in silence would lead every
call to other data.  So it is kept aside, sealed, for ten minutes, and the person is asked; until then, and without an
answer, the connection stays as it was.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from valetkey.engine.connect import UNSET, Unset, incarnation_of, reserved, take_answer
from valetkey.engine.exchange import buy
from valetkey.engine.flows import Flow, binding_hash
from valetkey.engine.keeping import Goods, goods, patiently, settle
from valetkey.engine.revoking import revoke_grant
from valetkey.engine.storing import token_origin
from valetkey.engine.turns import Buying
from valetkey.engine.world import World, open_grant
from valetkey.errors import ConfigurationError, StateMismatch, StoreError
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Document, Identity, Record, Sealed
from valetkey.model.credentials import EMPTY
from valetkey.model.grants import Grant
from valetkey.model.sealing import document_label, write_sealed
from valetkey.values import Secret

_log = get_logger("deciding")
KIND: Final = "held_grant"
HELD_SECONDS: Final = 600.0
"""How long the person has to answer."""
_KEPT_SECONDS: Final = 30 * 86400.0
"""How long an unanswered grant is kept to be given back, should nobody come by earlier."""
_PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A grant that waits for an answer.

    Attributes:
        id: That of its flow; it opens nothing without the browser's binding.
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
    key: ConnectionKey
    connection_id: str
    incarnation: int
    until: float
    before: Identity
    now: Identity
    goods: Goods = field(repr=False)
    errand: Mapping[str, str] = field(default_factory=lambda: EMPTY)


def finish_or_hold(
    world: World, callback_url: str, *, binding: Secret | None, owner: str | Unset | None = UNSET
) -> Record | Held:
    """Take a provider's answer as `connect.finish_authorization` does, but ask before another account takes a place.

    Raises:
        ConnectError: As `connect.finish_authorization`.
        ClientRejected: The provider does not accept the app.
        ProviderUnavailable: The provider was not reached.
    """
    answer = take_answer(world, callback_url, binding=binding, owner=owner)
    credential, flow = answer.credential, answer.flow
    with Buying(world, credential, flow.key) as buying:
        before = reserved(world, credential, flow.key, since=flow.incarnation)
        tokens = buy(world, credential, flow.key, answer.app, answer.build)
        asked, came = flow.scopes, answer.params
        got = goods(world, credential, answer.app, tokens, before, requested=asked, params=came, sign_in=answer.sign_in)
        if not is_another(before, got.identity):
            return settle(world, credential, got, before, buying)
    assert binding is not None  # noqa: S101 - without it the answer would not have been taken
    mark = binding_hash(binding)
    return patiently(world, lambda: _hold(world, before, got, mark, flow))


def is_another(record: Record, identity: Identity | None) -> bool:
    """Whether a live connection would change its person.  Where the provider names neither, nobody can tell."""
    old = record.identity
    if record.sealed is None or old is None or identity is None:
        return False
    if old.subject and identity.subject:
        return old.subject != identity.subject
    return bool(old.title and identity.title) and old.title != identity.title


def held(world: World, held_id: str, binding: Secret | None) -> Held | None:
    """Return what waits for the answer of this browser; None where there is nothing (any more), or not for this one."""
    document = world.store.get_document(KIND, held_id)
    if document is None or not _is_bound(document, binding) or world.clock.now() >= document.body["until"]:
        return None
    return _opened(world, document)


def keep_old(world: World, held_id: str, binding: Secret | None) -> Held:
    """Answer "keep": the new grant is given back at the provider.

    Raises:
        StateMismatch: There is no such question for this browser (any more).
    """
    found = _taken(world, held_id, binding)
    _give_back(world, found)
    return found


def switch(world: World, held_id: str, binding: Secret | None) -> Record:
    """Answer "switch": the connection keeps id, owner and account, and has the new person; the old grant is given back.

    Raises:
        StateMismatch: There is no such question for this browser (any more).
            The same where the connection was connected again or disconnected meanwhile; the new grant is given back.
    """
    found = _taken(world, held_id, binding)
    credential = world.credential(found.key.credential)
    with Buying(world, credential, found.key) as buying:
        before = world.store.find(found.connection_id)
        if before is None or before.incarnation != found.incarnation:
            buying.end()
            _give_back(world, found)
            raise _over()
        old = open_grant(world, before)
        record = settle(world, credential, found.goods, before, buying)
    if old is not None and credential.revocation_reach != "token":  # that one was given back with the reconnect
        revoke_grant(world, credential, old, record=before)
    return record


def second(world: World, held_id: str, binding: Secret | None, account: str) -> Record:
    """Answer "make a second connection": the old one stays, the new one gets a label of its own.

    Raises:
        ConfigurationError: The label is in use (``account_taken``); the question stays open.
        StateMismatch: There is no such question for this browser (any more).
    """
    waiting = held(world, held_id, binding)
    if waiting is None:
        raise _over()
    key = replace(waiting.key, account=account)
    _refuse_taken(world, key)
    found = _taken(world, held_id, binding)
    credential = world.credential(key.credential)
    with Buying(world, credential, key) as buying:
        before = reserved(world, credential, key, since=incarnation_of(world, key))
        return settle(world, credential, found.goods, before, buying)


def sweep(world: World) -> int:
    """Give back the grants about which nobody decided in time; returns how many."""
    now = world.clock.now()
    return _drop(world, lambda document: now >= document.body["until"])


def drop_held(world: World, wanted: Callable[[ConnectionKey], bool]) -> int:
    """Give back the waiting grants of all keys that `wanted` says; returns how many."""
    return _drop(world, lambda document: wanted(_key(document)))


# -- inside ------------------------------------------------------------------------------------------------------------


def _hold(world: World, before: Record, got: Goods, mark: str, flow: Flow) -> Held:
    key = before.key
    body = {
        "env": key.env,
        "credential": key.credential,
        "owner": key.owner,
        "account": key.account,
        "connection_id": before.id,
        "incarnation": before.incarnation,
        "binding": mark,
        "until": world.clock.now() + HELD_SECONDS,
        "errand": dict(flow.errand),
    }
    expires_at = world.store.now() + _KEPT_SECONDS
    document = Document(kind=KIND, id=flow.id, body=body, expires_at=expires_at)
    plain = json.dumps(_packed(got, before.identity)).encode()

    def put(sealed: Sealed) -> Document | None:
        return world.store.put_document(replace(document, sealed=sealed), expect=0)

    write_sealed(world.sealer, plain, document_label(document), put)
    return _held(document, got, before.identity or Identity())


def _packed(got: Goods, before: Identity | None) -> dict[str, Any]:
    return {
        "grant": got.grant.to_json().decode(),
        "before": asdict(before or Identity()),
        "now": asdict(got.identity or Identity()),
        "requested": list(got.requested),
        "client_id": got.client_id,
        "params": dict(got.params),
    }


def _opened(world: World, document: Document) -> Held:
    assert document.sealed is not None  # noqa: S101 - it is written with its seal, or not at all
    packed: dict[str, Any] = json.loads(world.sealer.open(document.sealed, document_label(document)))
    got = Goods(
        grant=Grant.from_json(packed["grant"]),
        identity=Identity(**packed["now"]),
        requested=tuple(packed["requested"]),
        client_id=packed["client_id"],
        params=packed["params"],
    )
    return _held(document, got, Identity(**packed["before"]))


def _held(document: Document, got: Goods, before: Identity) -> Held:
    body = document.body
    return Held(
        id=document.id,
        key=_key(document),
        connection_id=body["connection_id"],
        incarnation=body["incarnation"],
        until=body["until"],
        before=before,
        now=got.identity or Identity(),
        goods=got,
        errand=body["errand"],
    )


def _key(document: Document) -> ConnectionKey:
    body = document.body
    return ConnectionKey(body["env"], body["credential"], body["owner"], body["account"])


def _is_bound(document: Document, binding: Secret | None) -> bool:
    return binding is not None and hmac.compare_digest(binding_hash(binding), str(document.body["binding"]))


def _taken(world: World, held_id: str, binding: Secret | None) -> Held:
    """Use the question up, for the browser that was asked."""
    if held(world, held_id, binding) is None:
        raise _over()
    document = world.store.take_document(KIND, held_id)
    if document is None:
        raise _over()
    return _opened(world, document)


def _over() -> StateMismatch:
    msg = "the question was answered already, was overtaken, is older than ten minutes, or is another browser's"
    return StateMismatch(msg, code="decision_over", hint="nothing was changed; connect again if it is still meant")


def _refuse_taken(world: World, key: ConnectionKey) -> None:
    known = world.store.load(key)
    if known is not None and known.sealed is not None:
        msg = f"{key} is connected already"
        raise ConfigurationError(msg, code="account_taken", hint="choose another account label")


def _give_back(world: World, found: Held) -> None:
    """Revoke the grant that nobody took.  Never raises."""
    try:
        credential = world.credential(found.key.credential)
    except ConfigurationError:
        _log.warning("a grant of %s was not revoked: nobody declares it any more", found.key.credential)
        return
    meant_for = Record(
        id=found.connection_id,
        key=found.key,
        client_id=found.goods.client_id,
        issuer=credential.issuer,
        token_origin=token_origin(credential),
        params=found.goods.params,
    )
    revoke_grant(world, credential, found.goods.grant, record=meant_for, identity=found.goods.identity)


def _drop(world: World, wanted: Callable[[Document], bool]) -> int:
    dropped = 0
    for document in list(_documents(world)):
        if wanted(document) and (taken := world.store.take_document(KIND, document.id)) is not None:
            dropped += 1
            try:
                _give_back(world, _opened(world, taken))
            except (StoreError, ValueError) as error:
                _log.warning("a grant of %s that waited could not be opened to be revoked: %s", _key(taken), error)
    return dropped


def _documents(world: World) -> Iterator[Document]:
    after = ""
    while page := world.store.list_documents(KIND, after=after, limit=_PAGE):
        yield from page
        after = page[-1].id
