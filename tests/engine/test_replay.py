"""The journal in the refresh protocol (R6): what a killed process left is brought to the store, and harms nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from valetkey.engine.connect import finish_authorization
from valetkey.engine.disconnect import disconnect, forget
from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.lookout import Lookout
from valetkey.engine.rekeying import rotate
from valetkey.engine.replay import replay, replay_all
from valetkey.engine.windows import CLAIM_LIFE
from valetkey.engine.world import NO_JOURNAL, World, grant_label, open_grant
from valetkey.errors import NotConnected, ReauthorizationRequired, RefreshBusy, StoreError, StoreUnavailable
from valetkey.journal import FileJournal
from valetkey.model.connections import Expect, Record
from valetkey.model.grants import Grant
from valetkey.model.journal_sealing import MasterSealer
from valetkey.model.journals import JournalEntry
from valetkey.model.ports import Fate
from valetkey.values import Secret

HOUR = 3600


class Net:
    """A stage whose processes keep a journal, on one host; each world is a process."""

    def __init__(self, stage: Any, folder: Path) -> None:
        self.stage, self.folder = stage, folder
        self.keys = stage.world.sealer._keys
        self.fate: Fate = "unknown"

    def world(self) -> World:
        """Return a process of this host that has just started."""
        stage = self.stage
        journal = FileJournal(
            self.folder,
            stage.store.store_id,
            lambda store: MasterSealer(store, self.keys, self.keys.create),
            clock=stage.clock,
        )
        return replace(stage.world, journal=journal, lookout=Lookout(), fate=lambda _: self.fate)

    def elsewhere(self) -> World:
        """Return a process of another host."""
        return replace(self.stage.world, lookout=Lookout())

    def get(self, world: World | None = None, **want: Any) -> Any:
        return obtain(world or self.world(), self.stage.key(), Want(**want))

    @contextmanager
    def failing(self, method: str, error: BaseException) -> Iterator[None]:
        """Let the store fail in one method."""

        def fail(*_: Any, **__: Any) -> Any:
            raise error

        setattr(self.stage.store, method, fail)
        yield
        delattr(self.stage.store, method)

    def kill(self) -> None:
        """Let a process die after it has written its answer down, and before it has stored it."""
        with self.failing("swap", SystemExit()), pytest.raises(SystemExit):
            self.get()

    def run_out(self) -> None:
        self.stage.clock.advance(CLAIM_LIFE + 1)

    def files(self) -> list[str]:
        return sorted(path.suffix for path in self.folder.rglob("*") if path.is_file())

    def kept(self) -> JournalEntry:
        (entry,) = self.world().journal.entries(self.stage.record().id)
        return entry

    def successor(self) -> Secret:
        """Return the refresh token that waits in the journal."""
        token = Grant.from_json(self.kept().grant).refresh_token
        assert token is not None
        return token

    def stored(self) -> Secret | None:
        grant = open_grant(self.stage.world, self.stage.record())
        return None if grant is None else grant.refresh_token

    @property
    def counted(self) -> tuple[int, int, int]:
        """Refreshes that the provider granted, tokens that came in a second time, and grants that live there."""
        provider = self.stage.provider
        return provider.refreshes, provider.reuses, provider.live_grants


@pytest.fixture
def net(stage: Any, tmp_path: Path) -> Net:
    stage.connect()
    stage.clock.advance(HOUR + 1)
    return Net(stage, tmp_path / "journal")


def kinds(net: Net) -> list[str]:
    return [event.kind for event in net.stage.events()]


# -- what a killed process left


def test_an_answer_is_written_down_before_the_store_gets_it_and_settled_after(net: Net) -> None:
    seen: list[list[str]] = []
    swap = net.stage.store.swap

    def look_first(*args: Any, **more: Any) -> Any:
        seen.append(net.files())
        return swap(*args, **more)

    net.stage.store.swap = look_first
    net.get()

    assert seen[-1] == [".json"]
    assert net.files() == [".done"]
    assert net.kept().settled


def test_what_a_killed_process_left_is_brought_at_once(net: Net) -> None:
    net.kill()
    assert net.files() == [".json"]
    assert net.stage.record().claim is not None
    net.fate = "dead"
    successor = net.successor()

    held = net.get()

    assert held.grant.refresh_token == successor == net.stored()
    assert net.counted == (1, 0, 1)
    assert (held.record.claim, held.record.doubt, held.record.state) == (None, 0, "connected")
    assert net.files() == [".done"]


def test_it_is_told_in_the_events(net: Net) -> None:
    net.kill()
    net.fate = "dead"
    net.get()

    event = net.stage.events()[-1]
    assert (event.kind, event.detail) == ("refreshed", {"rotated": True, "replayed": True})
    assert kinds(net).count("refreshed") == 1


def test_a_process_brings_all_that_waits_at_its_start(net: Net) -> None:
    other = net.stage.key(owner="bob")
    net.stage.connect(other, login="bob")
    net.stage.clock.advance(HOUR + 1)
    net.kill()
    with net.failing("swap", SystemExit()), pytest.raises(SystemExit):
        obtain(net.world(), other)
    net.stage.told.clear()

    assert replay_all(net.world()) == 2

    assert net.counted[:2] == (2, 0)
    assert {record.key for record in net.stage.told} == {net.stage.key(), other}
    assert replay_all(net.world()) == 0


def test_while_its_holder_may_be_about_to_bring_it_nobody_else_does(net: Net) -> None:
    net.kill()
    net.fate = "alive"
    with pytest.raises(RefreshBusy):
        net.get()
    assert net.files() == [".json"]

    net.run_out()
    net.get()

    assert net.counted == (1, 0, 1), "when its claim has run out, the journal is asked before anything is sent"


def test_the_journal_is_asked_before_a_token_is_spent_a_second_time(net: Net) -> None:
    net.kill()
    net.run_out()

    net.get()

    assert net.counted == (1, 0, 1)


def test_an_access_token_that_ended_in_the_journal_is_refreshed_with_its_successor(net: Net) -> None:
    net.kill()
    net.stage.clock.advance(2 * HOUR)

    held = net.get()

    assert net.counted == (2, 0, 1)
    assert net.stage.provider.is_live(held.grant.access_token.reveal())


# -- what others did meanwhile


def test_it_heals_a_row_that_another_host_has_marked_dead(net: Net) -> None:
    net.stage.provider.rules.on_reuse = "deny"
    net.kill()
    net.run_out()
    with pytest.raises(ReauthorizationRequired) as caught:
        net.get(net.elsewhere())
    assert caught.value.reason == "lost_in_rotation"

    held = net.get()

    assert (held.record.state, held.record.reason, held.record.error) == ("connected", "", "")
    assert net.counted == (1, 1, 1)


def test_it_heals_such_a_row_at_the_start_too(net: Net) -> None:
    net.stage.provider.rules.on_reuse = "deny"
    net.kill()
    net.run_out()
    with pytest.raises(ReauthorizationRequired):
        net.get(net.elsewhere())

    assert replay_all(net.world()) == 1
    assert net.stage.record().state == "connected"


def test_it_never_takes_the_place_of_a_newer_grant(net: Net) -> None:
    net.stage.provider.rules.on_reuse = "grace"
    net.stage.provider.rules.grace = 60
    net.kill()
    net.run_out()
    newer = net.get(net.elsewhere()).grant.refresh_token

    assert replay_all(net.world()) == 0

    assert net.stored() == newer
    assert net.stage.provider.revocations == 0
    assert net.files() == [".done"]


def test_it_never_takes_the_place_of_a_grant_that_was_connected_anew(net: Net) -> None:
    net.kill()
    net.stage.connect()
    newer = net.stored()

    assert replay_all(net.world()) == 0

    assert net.stored() == newer
    assert net.stage.provider.revocations == 0, "revoking the old one might end the new one"
    assert net.files() == [".done"]


def test_a_disconnect_collects_what_waits_and_revokes_it(net: Net) -> None:
    net.kill()
    successor = net.successor()

    disconnect(net.world(), net.stage.credentials["notes"], net.stage.key())

    assert not net.stage.provider.is_live(successor.reveal())
    assert net.counted[2] == 0
    assert net.files() == [".done"]
    with pytest.raises(NotConnected):
        net.get()


def test_what_was_disconnected_elsewhere_is_revoked_and_does_not_come_back(net: Net) -> None:
    net.kill()
    url = net.stage.credentials["notes"].revocation_url
    disconnect(net.elsewhere(), net.stage.change(revocation_url=""), net.stage.key())
    net.stage.change(revocation_url=url)
    assert net.counted[2] == 1, "over there it could not be revoked"

    assert replay_all(net.world()) == 0

    assert net.counted[2] == 0
    assert (net.stage.record().state, net.stored()) == ("disconnected", None)
    assert net.files() == [".done"]


@pytest.mark.parametrize(("reach", "revocations"), [("token", 3), ("grant", 0), ("user", 0)])
def test_what_a_new_sign_in_elsewhere_replaced_is_revoked_only_where_that_cannot_hurt_the_new_grant(
    net: Net, reach: Any, revocations: int
) -> None:
    net.stage.change(revocation_reach=reach)
    net.kill()
    net.stage.connect()
    assert net.stage.provider.revocations == (1 if reach == "token" else 0), "the refresh token that was replaced"

    assert replay_all(net.world()) == 0

    assert net.stage.provider.revocations == revocations
    grant = open_grant(net.stage.world, net.stage.record())
    assert grant is not None
    assert net.stage.provider.is_live(grant.access_token.reveal())
    assert net.files() == [".done"]


def test_a_disconnect_goes_on_although_the_store_fails_while_it_collects(net: Net) -> None:
    net.kill()
    world = net.world()
    find = net.stage.store.find
    net.stage.store.find = lambda _: (_ for _ in ()).throw(StoreUnavailable("down"))

    told = disconnect(world, net.stage.credentials["notes"], net.stage.key())

    net.stage.store.find = find
    assert told.record is not None
    assert net.files() == [".json"], "it waits, and is revoked later"
    replay_all(net.world())
    assert net.counted[2] == 0


def test_to_forget_somebody_erases_the_journal_too(net: Net) -> None:
    ada = net.stage.key(owner="ada")
    net.stage.connect(ada)
    net.stage.clock.advance(HOUR + 1)
    obtain(net.world(), ada)
    net.stage.clock.advance(HOUR + 1)
    with net.failing("swap", SystemExit()), pytest.raises(SystemExit):
        obtain(net.world(), ada)
    assert net.files() == [".done", ".json"]
    net.get()

    forget(net.world(), "ada", "test")

    assert {path.parent.name for path in net.folder.rglob("*") if path.is_file()} == {net.stage.record().id}


def test_what_arrives_for_somebody_who_was_forgotten_meanwhile_is_erased_and_revoked(net: Net) -> None:
    ada = net.stage.key(owner="ada")
    net.stage.connect(ada)
    net.stage.clock.advance(HOUR + 1)
    swap = net.stage.store.swap

    def forgotten_first(*args: Any, **more: Any) -> Any:
        net.stage.store.swap = swap
        forget(net.elsewhere(), "ada", "test")
        return swap(*args, **more)

    net.stage.store.swap = forgotten_first
    with pytest.raises(NotConnected):
        obtain(net.world(), ada)

    assert net.files() == []
    assert net.counted[2] == 1, "only the program's own grant lives on"


def disconnected_first(net: Net, failures: int) -> None:
    """Let another host disconnect before the next answer is stored, and the store then fail so often to take a note."""
    store = net.stage.store
    swap, put = store.swap, store.put_document
    left = [failures]

    def failing(document: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise StoreUnavailable("down")
        return put(document, **more)

    def swapped(*args: Any, **more: Any) -> Any:
        store.swap = swap
        disconnect(net.elsewhere(), net.stage.credentials["notes"], net.stage.key())
        store.put_document = failing
        return swap(*args, **more)

    store.swap = swapped


def test_what_nobody_wants_any_more_is_revoked_although_the_store_hesitates(net: Net) -> None:
    net.stage.change(revocation_reach="user")
    disconnected_first(net, failures=1)

    with pytest.raises(NotConnected):
        net.get()

    tokens = net.stage.provider.revocations
    assert (tokens, net.files()) == (3, [".done"]), "what was spent, and both tokens that came for it"


def test_what_nobody_wants_any_more_waits_in_the_journal_where_the_store_stays_away(net: Net) -> None:
    net.stage.change(revocation_reach="user")
    disconnected_first(net, failures=1000)

    with pytest.raises(StoreUnavailable):
        net.get()
    assert net.files() == [".json"]
    before = net.stage.provider.revocations

    del net.stage.store.put_document
    assert replay_all(net.world()) == 0
    assert (net.stage.provider.revocations > before, net.files()) == (True, [".done"])


def test_a_grant_that_cannot_be_revoked_for_the_store_does_not_keep_others_from_theirs(net: Net) -> None:
    net.stage.change(revocation_reach="user")
    disconnected_first(net, failures=1000)
    with pytest.raises(StoreUnavailable):
        net.get()

    def broken(*_: Any, **__: Any) -> Any:
        raise StoreError("the disk is full")

    net.stage.store.put_document = broken
    assert replay_all(net.world()) == 0

    assert net.files() == [".json"], "it waits"


def test_what_waits_for_somebody_who_was_forgotten_elsewhere_is_erased(net: Net) -> None:
    ada = net.stage.key(owner="ada")
    net.stage.connect(ada)
    net.stage.clock.advance(HOUR + 1)
    with net.failing("swap", SystemExit()), pytest.raises(SystemExit):
        obtain(net.world(), ada)
    forget(net.elsewhere(), "ada", "test")

    replay_all(net.world())

    assert net.files() == []


def test_of_two_processes_that_bring_the_same_one_does(net: Net) -> None:
    net.kill()
    swap = net.stage.store.swap
    results: list[int] = []

    def other_first(*args: Any, **more: Any) -> Any:
        net.stage.store.swap = swap
        results.append(replay_all(net.world()))
        return swap(*args, **more)

    net.stage.store.swap = other_first
    results.append(replay_all(net.world()))

    assert results == [1, 0]
    assert kinds(net).count("refreshed") == 1
    assert net.files() == [".done"]


# -- a store that has lost what it had


def lose_last_commit(net: Net, before: Record) -> None:
    """Let the store go back to an earlier row, as after a failover to a replica that lagged behind."""
    current = net.stage.record()
    back = replace(before, claim=None)
    assert net.stage.store.swap(back, expect=Expect.of(current))


def test_a_commit_that_a_failover_took_back_is_brought_again(net: Net) -> None:
    before = net.stage.record()
    token = net.get().grant.refresh_token
    lose_last_commit(net, before)

    held = net.get()

    assert held.grant.refresh_token == token
    assert net.counted == (1, 0, 1)


def test_after_ten_minutes_it_is_not_there_any_more(net: Net) -> None:
    before = net.stage.record()
    net.get()
    lose_last_commit(net, before)
    net.stage.clock.advance(601)

    with pytest.raises(ReauthorizationRequired):
        net.get()


def test_the_journal_is_asked_before_a_grant_is_marked_dead(net: Net) -> None:
    """A process that was frozen writes its answer down while another one, which took over, sends the old token."""
    net.stage.provider.rules.on_reuse = "deny"
    frozen = net.world()

    def wakes_up(_: Any) -> None:
        net.stage.wire.before = lambda _: None
        with net.failing("swap", SystemExit()), pytest.raises(SystemExit):
            obtain(replace(frozen, store=Unclaimed(net.stage.store)), net.stage.key())

    net.stage.wire.before = wakes_up

    held = net.get()

    assert net.counted == (1, 1, 1), "the old token was refused, and nobody was marked dead for it"
    assert held.record.state == "connected"
    assert "needs_reauth" not in kinds(net)


class Unclaimed:
    """The store as a process saw it before somebody else claimed the row."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def load(self, key: Any) -> Record:
        record: Record = self._store.load(key)
        return replace(record, claim=None)

    def claim(self, record: Record, **_: Any) -> Record:
        return record


# -- what need not be written down


def test_nothing_is_written_for_a_provider_that_does_not_rotate(net: Net) -> None:
    net.stage.provider.rules.rotate = False

    net.get()

    assert not net.folder.exists()


def test_nothing_is_written_for_a_token_without_a_refresh_token(net: Net) -> None:
    net.stage.declare("robot", grant="client_credentials")

    obtain(net.world(), net.stage.key("robot"))

    assert not net.folder.exists()


def test_a_store_on_this_host_needs_none(net: Net) -> None:
    assert net.stage.world.journal is NO_JOURNAL

    obtain(net.stage.world, net.stage.key())

    assert not net.folder.exists()


def test_a_new_refresh_token_beside_the_same_access_token_counts(net: Net) -> None:
    leave(net, refresh_token=Secret("rt-new"))

    assert replay_all(net.world()) == 1

    assert net.stored() == Secret("rt-new")


def leave(net: Net, *, refresh_token: Secret) -> None:
    """Leave an answer in the journal that brought the same access token again."""
    record = net.stage.record()
    grant = open_grant(net.stage.world, record)
    assert grant is not None
    entry = JournalEntry(
        env=record.key.env,
        connection_id=record.id,
        incarnation=record.incarnation,
        version=record.version,
        spent=record.refresh_fp,
        at=net.stage.clock.now(),
        grant=replace(grant, refresh_token=refresh_token).to_json(),
    )
    net.world().journal.write(entry)


def test_an_answer_of_an_earlier_incarnation_is_dropped_although_the_refresh_token_is_the_same(net: Net) -> None:
    """Some providers give the same refresh token to whoever signs in again."""
    leave(net, refresh_token=Secret("rt-of-before"))
    record = net.stage.record()
    label = grant_label(record.key, record.id, record.incarnation + 1, record.version + 1)
    sealed = net.stage.world.sealer.seal(net.stage.world.sealer.open(record.sealed, _label_of(record)), label)
    again = replace(record, incarnation=record.incarnation + 1, version=record.version + 1, sealed=sealed)
    assert net.stage.store.swap(again, expect=Expect.of(record))

    assert replay_all(net.world()) == 0

    assert net.stage.record().refresh_fp == record.refresh_fp
    assert net.files() == [".done"]


def _label_of(record: Record) -> Any:
    return grant_label(record.key, record.id, record.incarnation, record.version)


# -- trouble


def test_an_answer_whose_credential_nobody_declares_waits(net: Net) -> None:
    net.kill()
    declared = net.stage.credentials.pop("notes")
    assert replay_all(net.world()) == 0
    assert net.files() == [".json"]

    net.stage.credentials["notes"] = declared
    assert replay_all(net.world()) == 1


def test_a_disconnected_one_that_nobody_declares_waits_to_be_revoked(net: Net) -> None:
    net.kill()
    declared = net.stage.credentials["notes"]
    disconnect(net.elsewhere(), declared, net.stage.key())
    net.stage.credentials.clear()
    replay_all(net.world())
    assert net.files() == [".json"]

    net.stage.credentials["notes"] = declared
    replay_all(net.world())
    assert net.files() == [".done"]


def test_what_the_store_does_not_take_stays(net: Net) -> None:
    net.kill()
    world = net.world()
    with net.failing("find", StoreUnavailable("down")), pytest.raises(StoreUnavailable):
        replay_all(world)
    assert net.files() == [".json"]
    assert world.lookout.lately_away(net.stage.clock.monotonic())

    assert replay_all(net.world()) == 1


def test_the_trouble_of_one_connection_holds_up_no_other(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    net.kill()
    other = net.stage.key(owner="bob")
    net.stage.connect(other, login="bob")
    net.stage.clock.advance(HOUR + 1)
    with net.failing("swap", SystemExit()), pytest.raises(SystemExit):
        obtain(net.world(), other)
    find = net.stage.store.find
    mine = net.stage.record().id

    def corrupt(connection_id: str) -> Any:
        if connection_id == mine:
            msg = "the row is damaged"
            raise StoreError(msg, code="row_corrupt")
        return find(connection_id)

    net.stage.store.find = corrupt

    assert replay_all(net.world()) == 1
    assert "the row is damaged" in caplog.text


def test_a_store_that_stays_away_leaves_the_answer_to_the_journal(net: Net) -> None:
    left: list[bool] = []
    world = net.world()
    world.journal._left = lambda: left.append(True)  # type: ignore[attr-defined]
    with net.failing("swap", StoreUnavailable("down")), pytest.raises(StoreUnavailable):
        net.get(world)
    assert left == [True]
    assert net.files() == [".json"]

    held = net.get(world)

    assert net.counted == (1, 0, 1)
    assert held.record.doubt == 0


def test_without_a_place_to_write_the_refresh_goes_on_with_one_warning(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    net.folder.write_text("in the way")
    world = net.world()
    for _ in range(3):
        net.get(world)
        net.stage.clock.advance(HOUR + 1)

    assert net.counted == (3, 0, 1)
    assert [record.levelno for record in caplog.records if record.name == "valetkey.journal"] == [logging.WARNING]


@pytest.mark.parametrize("sign", ["state", "log", "event"])
def test_no_token_shows_on_its_way_through_the_journal(net: Net, caplog: pytest.LogCaptureFixture, sign: str) -> None:
    caplog.set_level(logging.DEBUG)
    net.kill()
    entry = net.kept()
    replay_all(net.world())

    shown = {
        "state": repr(net.world().journal.state()) + repr(entry),
        "log": caplog.text,
        "event": json.dumps([dict(event.detail) for event in net.stage.events()]),
    }[sign]
    written = b"".join(path.read_bytes() for path in net.folder.rglob("*") if path.is_file())
    for token in net.stage.provider.tokens_ever_issued():
        assert token not in shown
        assert token.encode() not in written


def test_rotating_keys_keeps_what_an_answer_that_waits_is_sealed_with(net: Net) -> None:
    net.kill()
    world = net.world()
    (old,) = net.keys.keys()

    def rotated() -> Any:
        return rotate(net.stage.store, world.sealer, net.keys, retire_master=True, journal=net.world().journal, grace=0)

    done = rotated()
    assert (done.needed_masters, done.old_masters) == ((old.id,), (old.id,))
    assert net.keys.keys()[-1] == old

    assert replay_all(net.world()) == 1
    done = rotated()
    assert done.needed_masters == ()
    assert [key.id for key in net.keys.keys()] == [done.master]  # noqa: SIM118 - not a mapping
    assert net.stage.provider.is_live(net.get().grant.access_token.reveal())


def test_a_finished_sign_in_is_not_disturbed(net: Net) -> None:
    """A flow that was under way when the answer was left ends as ever: it starts a new incarnation."""
    start = net.stage.start()
    net.kill()
    finish_authorization(net.world(), net.stage.provider.approve(start.url), binding=start.binding)
    newest = net.stored()

    assert replay(net.world(), net.stage.record().id) is False
    assert net.stored() == newest
