"""Sign-ins that end in a question: another account than before, or a person whom the application has yet to confirm.

Somebody connects again and signs in at the provider as somebody else.  Taking the new grant in silence would lead every
call to other data.  Or the application alone knows who sits in front of the browser, and has the last word (DESIGN
section 8, rule 2).  So the grant is kept aside, sealed, for ten minutes; until then, and without an answer, the
connection stays as it was.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from valetkey.engine.beside import moved
from valetkey.engine.connect import UNSET, Unset, bought, incarnation_of, reserved, take_answer
from valetkey.engine.holding import (
    KIND,
    Held,
    aside,
    code_hash,
    documents,
    hold,
    is_bound,
    key_of,
    opened,
    waiting,
)
from valetkey.engine.keeping import Goods, give_back, settle
from valetkey.engine.patience import patiently
from valetkey.engine.revoking import revoke_grant
from valetkey.engine.storing import tell, token_origin
from valetkey.engine.turns import Buying
from valetkey.engine.world import World, open_grant
from valetkey.errors import ConfigurationError, StateMismatch, StoreError, WrongUser
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey, Document, Identity, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.placing import placed
from valetkey.values import Secret

_log = get_logger("deciding")


def finish_or_hold(
    world: World,
    callback_url: str,
    *,
    binding: Secret | None,
    owner: str | Unset | None = UNSET,
    confirm: bool = False,
) -> Record | Held:
    """Take a provider's answer as `connect.finish_authorization` does, but ask before another account takes a place.

    With `confirm` nothing becomes live before the application has said that the person is the owner.

    Raises:
        ConnectError: As `connect.finish_authorization`.
        ClientRejected: The provider does not accept the app.
        ProviderUnavailable: The provider was not reached.
    """
    answer = take_answer(world, callback_url, binding=binding, owner=owner)
    credential, flow = answer.credential, answer.flow
    with Buying(world, credential, flow.key) as buying:
        before = reserved(world, credential, flow.key, since=flow.incarnation)
        got = bought(world, answer, before)
        changed = _changed(world, before, got)
        another = changed is not None
        if not another and not confirm:
            return settle(world, credential, got, before, buying)
    assert binding is not None  # noqa: S101 - without it the answer would not have been taken
    waits = aside(flow.id, "account" if another else "owner", before, got, flow.errand, confirm=confirm)
    if changed is not None:
        waits = replace(waits, before=changed[0], now=changed[1])
    return patiently(world, lambda: hold(world, waits, binding))


def is_another(record: Record, identity: Identity | None) -> bool:
    """Whether a live connection would change its person.  Where the provider names neither, nobody can tell."""
    old = record.identity
    if record.sealed is None or old is None or identity is None:
        return False
    if old.subject and identity.subject:
        return old.subject != identity.subject
    return bool(old.title and identity.title) and old.title != identity.title


def _changed(world: World, before: Record, got: Goods) -> tuple[Identity, Identity] | None:
    """Return who it was and who it is, of the first of a sign-in's connections that would change its person."""
    row = None if got.beside is None else world.store.find(got.beside.connection_id)
    second = None if got.beside is None else got.beside.goods.identity
    for record, identity in ((before, got.identity), (row, second)):
        if record is not None and is_another(record, identity):
            return record.identity or Identity(), identity or Identity()
    return None


def held(world: World, held_id: str, binding: Secret | None) -> Held | None:
    """Return what waits for the answer of this browser; None where there is nothing (any more), or not for this one."""
    document = waiting(world, held_id, "account")
    return None if document is None or not is_bound(document, binding) else opened(world, document)


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


def second(world: World, held_id: str, binding: Secret | None, account: str) -> Record | Held:
    """Answer "make a second connection": the old one stays, the new one gets a label of its own.

    Where the application has the last word, the new one waits for it.

    Raises:
        ConfigurationError: The label is in use (``account_taken``); the question stays open.
        StateMismatch: There is no such question for this browser (any more).
    """
    asked = held(world, held_id, binding)
    if asked is None or binding is None:
        raise _over()
    key = replace(asked.key, account=account)
    _refuse_taken(world, key)
    found = _taken(world, held_id, binding)
    credential = world.credential(key.credential)
    with Buying(world, credential, key) as buying:
        before = reserved(world, credential, key, since=incarnation_of(world, key))
        got = moved(world, found.goods, key)
        if not found.confirm:
            return settle(world, credential, got, before, buying)
    waits = aside(found.id, "owner", before, got, found.errand, confirm=True)
    return patiently(world, lambda: hold(world, waits, binding))


# -- the application has the last word ---------------------------------------------------------------------------------


def awaits_confirmation(world: World, held_id: str, binding: Secret | None) -> bool:
    """Whether what this browser signed in for waits for the application's word."""
    document = waiting(world, held_id, "owner")
    return document is not None and is_bound(document, binding)


def confirm_held(world: World, held_id: str, code: Secret, owner: str | None) -> Record:
    """Let a grant become live: the application says that the browser with this `code` is its session of `owner`.

    The connection keeps its id; a grant that it had is replaced only now.

    Raises:
        StateMismatch: Nothing waits (any more), or the connection was connected again or disconnected meanwhile
            (``confirmation_over``); the code is another's (``confirmation_mismatch``), and nothing was changed.
        WrongUser: Somebody else came back than whose connection it was to be; the grant is given back at once.
    """
    document = waiting(world, held_id, "owner")
    if document is None:
        raise _unconfirmed()
    if not hmac.compare_digest(code_hash(code), str(document.body["code"])):
        msg = "that is not the code with which the browser came back"
        raise StateMismatch(msg, code="confirmation_mismatch", hint=_CODE)
    taken = world.store.take_document(KIND, held_id)
    if taken is None:
        raise _unconfirmed()
    found = opened(world, taken)
    if owner != found.key.owner:
        _give_back(world, found)
        msg = "somebody else came back than the one whose connection it was to be; the new access was given back"
        raise WrongUser(msg, hint="nothing was connected: begin anew for the owner who is signed in")
    credential = world.credential(found.key.credential)
    with Buying(world, credential, found.key) as buying:
        before = world.store.find(found.connection_id)
        if before is None or before.incarnation != found.incarnation:
            buying.end()
            _give_back(world, found)
            raise _unconfirmed()
        return settle(world, credential, found.goods, before, buying)


_CODE: Final = "pass on the parameter valetkey_confirm of the return address, as it is"


def _unconfirmed() -> StateMismatch:
    msg = "nothing waits to be confirmed: it was confirmed or dropped already, was overtaken, or is older than 10 min"
    return StateMismatch(msg, code="confirmation_over", hint="nothing was changed; begin anew if it is still meant")


def drop_one(world: World, held_id: str) -> bool:
    """Give back what waits under that id; False: nothing does."""
    document = world.store.take_document(KIND, held_id) if held_id else None
    return document is not None and _dropped(world, document)


def sweep(world: World, env: str) -> int:
    """Give back the grants of an environment about which nobody decided in time; returns how many."""
    now = world.clock.now()
    return _drop(world, lambda document: document.body["env"] == env and now >= document.body["until"])


def drop_held(world: World, wanted: Callable[[ConnectionKey], bool]) -> int:
    """Give back the waiting grants of all keys that `wanted` says; returns how many."""
    return _drop(world, lambda document: wanted(key_of(document)))


# -- inside ------------------------------------------------------------------------------------------------------------


def _taken(world: World, held_id: str, binding: Secret | None) -> Held:
    """Use the question up, for the browser that was asked."""
    if held(world, held_id, binding) is None:
        raise _over()
    document = world.store.take_document(KIND, held_id)
    if document is None:
        raise _over()
    return opened(world, document)


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
    credential = placed(credential, found.goods.params)
    meant_for = Record(
        id=found.connection_id,
        key=found.key,
        client_id=found.goods.client_id,
        issuer=credential.issuer,
        token_origin=token_origin(credential),
        params=found.goods.params,
    )
    revoked: tuple[str, ...] = ()
    if not _would_end_the_old(world, credential, found):
        revoked = give_back(world, credential, found.goods, meant_for)
    tell(world, "sign_in_dropped", meant_for, revoked=list(revoked))


def _would_end_the_old(world: World, credential: OAuth2Credential, found: Held) -> bool:
    """Whether giving the new grant back might end the one that is live: two consents of one person may be one grant."""
    if credential.revocation_reach == "token":
        return False
    current = world.store.find(found.connection_id)
    return current is not None and current.sealed is not None and not is_another(current, found.goods.identity)


def _drop(world: World, wanted: Callable[[Document], bool]) -> int:
    taken = (world.store.take_document(KIND, one.id) for one in list(documents(world)) if wanted(one))
    return sum(_dropped(world, document) for document in taken if document is not None)


def _dropped(world: World, document: Document) -> bool:
    """Give back what was taken out of the store."""
    try:
        _give_back(world, opened(world, document))
    except (StoreError, ValueError) as error:
        _log.warning("a grant of %s that waited could not be opened to be revoked: %s", key_of(document), error)
    return True
