"""What a revocation would end beside the connection that it is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from valetkey.engine.disconnect import disconnect
from valetkey.engine.revoking import revoke_grant
from valetkey.engine.storing import put_grant
from valetkey.engine.world import open_grant
from valetkey.model import paging
from valetkey.model.connections import Identity
from valetkey.model.grants import Grant
from valetkey.values import Secret


def _disconnect(stage: Any, key: Any = None) -> Any:
    return disconnect(stage.world, stage.credentials["notes"], key or stage.key())


# -- a revocation with the reach of a user


@pytest.mark.parametrize(
    ("other_owner", "other_login", "hit"),
    [
        pytest.param("ada", "ada", True, id="same person, same owner"),
        pytest.param("bob", "ada", True, id="same person, other owner"),
        pytest.param("ada", "bob", False, id="other person, same owner"),
    ],
)
def test_another_connection_of_the_same_user_is_not_ended(
    stage: Any, other_owner: str, other_login: str, hit: bool
) -> None:
    stage.change(revocation_reach="user")
    mine, other = stage.key(owner="ada", account="a"), stage.key(owner=other_owner, account="b")
    stage.connect(mine, login="ada")
    stage.connect(other, login=other_login)

    done = _disconnect(stage, mine)

    assert (stage.provider.revocations == 0) == hit
    assert ("would also end" in done.told) == hit
    assert stage.record(other).state == "connected"


def test_a_connection_of_the_same_user_by_another_declaration_of_the_app_is_not_ended(stage: Any) -> None:
    stage.change(revocation_reach="user")
    mail = replace(stage.credentials["notes"], name="mail")
    stage.credentials["mail"] = mail
    stage.connect(stage.key(owner="ada"), login="ada")
    other = stage.key("mail", owner="ada")
    stage.connect(other, login="ada")

    done = _disconnect(stage, stage.key(owner="ada"))

    assert stage.provider.revocations == 0
    assert "would also end mail/ada" in done.told
    assert disconnect(stage.world, mail, other).may_live == ()
    assert stage.provider.revocations > 0


def test_without_identities_the_same_owner_counts_as_the_same_user(stage: Any) -> None:
    stage.change(revocation_reach="user", userinfo_url="")
    stage.connect(stage.key(owner="ada", account="a"))
    stage.connect(stage.key(owner="ada", account="b"))
    stage.connect(stage.key(owner="bob"))

    assert "would also end notes/ada/b" in _disconnect(stage, stage.key(owner="ada", account="a")).told
    assert _disconnect(stage, stage.key(owner="bob")).may_live == ()
    assert _disconnect(stage, stage.key(owner="ada", account="b")).may_live == ()


def test_a_connection_of_another_client_is_not_in_the_way(stage: Any) -> None:
    stage.change(revocation_reach="user")
    stage.connect(stage.key(account="a"))
    grant = Grant(access_token=Secret("x"))
    put_grant(
        stage.world,
        stage.credentials["notes"],
        stage.key(account="b"),
        grant,
        requested=(),
        client_id="another",
        before=None,
    )

    assert _disconnect(stage, stage.key(account="a")).may_live == ()


def test_a_connection_that_was_made_anew_meanwhile_is_not_ended(stage: Any) -> None:
    stage.change(revocation_reach="user")
    stage.connect()
    swap = stage.store.swap

    def reconnected(*args: Any, **options: Any) -> Any:
        stage.store.swap = swap
        done = swap(*args, **options)
        stage.connect()
        return done

    stage.store.swap = reconnected

    assert "would also end notes" in _disconnect(stage).told
    assert stage.provider.revocations == 0
    assert stage.record().state == "connected"


def test_all_pages_are_looked_through(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "RECORDS", 1)
    stage.change(revocation_reach="user")
    for account in ("a", "b", "c"):
        stage.connect(stage.key(account=account), login="ada" if account != "b" else "bob")

    assert "would also end notes//c" in _disconnect(stage, stage.key(account="a")).told


# -- a grant that nobody wants


def test_a_grant_that_came_too_late_is_revoked(stage: Any) -> None:
    record = stage.connect()
    grant = open_grant(stage.world, record)
    assert grant is not None

    assert revoke_grant(stage.world, stage.credentials["notes"], grant, record=record)[0] == "refresh_token"
    assert not stage.provider.is_live(grant.access_token.reveal())


def test_a_grant_of_which_nobody_knows_whose_it_is_is_left_where_others_would_end(stage: Any) -> None:
    credential = stage.change(revocation_reach="user")
    grant = open_grant(stage.world, stage.connect())
    assert grant is not None

    assert revoke_grant(stage.world, credential, grant) == ()
    assert stage.provider.revocations == 0


def test_revoking_never_raises(stage: Any) -> None:
    credential = stage.change(revocation_reach="user")
    record = stage.connect()
    grant = open_grant(stage.world, record)
    assert grant is not None

    stage.break_store("list")

    assert revoke_grant(stage.world, credential, grant, record=record, identity=Identity(subject="1")) == ()
