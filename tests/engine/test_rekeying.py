"""Rotation: everything is sealed anew, nothing is lost, nobody has to wait."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from valetkey.clock import SystemClock
from valetkey.engine.rekeying import GRACE, KeyUse, key_status, rotate
from valetkey.engine.secrets import StoreSecrets
from valetkey.engine.world import grant_label
from valetkey.errors import ConfigurationError, DecryptionFailed, StoreError, StoreUnavailable
from valetkey.keys import EnvKeys, FileKeys, MemoryKeys, new_key
from valetkey.keys.memory import GivenKeys
from valetkey.keys.text import write_keys
from valetkey.model.connections import ConnectionKey, Document, Expect, Record, Sealed
from valetkey.model.data_keys import data_key_documents, master_of, new_data_key, read_note, write_note
from valetkey.model.ports import KeyRetired, Store
from valetkey.model.sealing import Vault, document_label
from valetkey.stores.memory import MemoryStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing.clock import FakeClock


@pytest.fixture
def secrets(store: Store, vault: Vault) -> StoreSecrets:
    return StoreSecrets(store, vault, "default")


def connect(store: Store, vault: Vault, number: int) -> Record:
    key = ConnectionKey("default", "github", f"user-{number:05}")
    sealed = vault.seal(b"grant %d.0" % number, grant_label(key, f"con_{number}", 1, 0))
    return store.create(Record(id=f"con_{number}", key=key, sealed=sealed))


def grant_of(vault: Vault, record: Record | None) -> bytes:
    assert record is not None
    assert record.sealed is not None
    return vault.open(record.sealed, grant_label(record.key, record.id, record.incarnation, record.version))


def renewed(vault: Vault, record: Record) -> Record:
    """Return the next version of a record, sealed."""
    new = replace(record, version=record.version + 1)
    plain = b"%s.%d" % (grant_of(vault, record).split(b".")[0], new.version)
    return replace(new, sealed=vault.seal(plain, grant_label(new.key, new.id, new.incarnation, new.version)))


class Interrupted(BaseException):
    """The process was killed here."""


class Watched:
    """A store or key provider that lets something happen before a call."""

    def __init__(self, inner: Any, before: Callable[[str, int], None]) -> None:
        self.inner = inner
        self.before = before
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.inner, name)
        if not callable(member):
            return member

        def call(*args: Any, **named: Any) -> Any:
            self.calls += 1
            self.before(name, self.calls)
            return member(*args, **named)

        return call


# -- what a rotation does ------------------------------------------------------------------------------------------


def test_everything_is_sealed_anew_and_the_old_data_key_is_gone(
    store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets
) -> None:
    for number in range(250):
        connect(store, vault, number)
    secrets.set("app", "one")
    StoreSecrets(store, vault, "staging").set("app", "two")
    before = read_note(store)
    told: list[int] = []
    done = rotate(store, vault, keys, progress=told.append)
    assert before is not None
    assert (done.sealed, done.retired, done.unreadable) == (252, (before.data_key,), ())
    assert (done.master, done.old_masters) == (keys.keys()[0].id, (before.master,))
    assert not done.resumed
    assert [document.id for document in data_key_documents(store)] == [done.data_key]
    assert done.data_key != before.data_key
    assert told == sorted(told)
    assert told[-1] == 252
    assert len(told) >= 3
    fresh = Vault(store, GivenKeys(keys.keys()[0]), clock=FakeClock())
    assert [grant_of(fresh, store.find(f"con_{n}")) for n in range(250)] == [b"grant %d.0" % n for n in range(250)]
    assert StoreSecrets(store, fresh, "default").get("app") == "one"
    assert StoreSecrets(store, fresh, "staging").get("app") == "two"


def test_the_old_master_key_opens_nothing_any_more(
    store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets, clock: FakeClock
) -> None:
    secrets.set("app", "one")
    old = keys.keys()[0]
    rotate(store, vault, keys)
    with pytest.raises(DecryptionFailed) as caught:
        StoreSecrets(store, Vault(store, GivenKeys(old), clock=clock), "default").get("app")
    assert caught.value.code == "key_wrong"


def test_resealing_is_no_change_of_the_grant(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    before = connect(store, vault, 1)
    rotate(store, vault, keys)
    after = store.find("con_1")
    assert after is not None
    assert after.sealed != before.sealed
    assert replace(after, sealed=None) == replace(before, sealed=None)
    assert store.swap(renewed(vault, before), expect=Expect.of(before))


def test_a_claim_is_not_touched(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    record = connect(store, vault, 1)
    claimed = store.claim(record, holder="h", life=60, spending="fp")
    rotate(store, vault, keys)
    after = store.find("con_1")
    assert after is not None
    assert claimed is not None
    assert after.claim == claimed.claim


def test_the_new_key_is_used_from_then_on(store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets) -> None:
    secrets.set("app", "one")
    done = rotate(store, vault, keys)
    assert connect(store, vault, 1).sealed.key_id == done.data_key  # type: ignore[union-attr]
    note = read_note(store)
    assert note is not None
    assert (note.data_key, note.master, note.retiring) == (done.data_key, done.master, ())


def test_where_nothing_was_ever_sealed_there_is_nothing_to_do(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    done = rotate(store, vault, keys)
    assert (done.sealed, done.data_key, done.master) == (0, "", "")
    assert not keys.keys()
    assert read_note(store) is None


def test_rotating_twice_rotates_twice(store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets) -> None:
    secrets.set("app", "one")
    first, second = rotate(store, vault, keys), rotate(store, vault, keys)
    assert first.data_key != second.data_key
    assert first.master != second.master
    assert second.retired == (first.data_key,)
    assert secrets.get("app") == "one"


def test_old_master_keys_stay_unless_they_are_to_go(
    store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets
) -> None:
    secrets.set("app", "one")
    first = keys.keys()[0].id
    kept = rotate(store, vault, keys)
    assert [key.id for key in keys.keys()] == [kept.master, first]  # noqa: SIM118 - not a mapping
    gone = rotate(store, vault, keys, retire_master=True)
    assert [key.id for key in keys.keys()] == [gone.master]  # noqa: SIM118 - not a mapping
    assert gone.old_masters == ()
    assert secrets.get("app") == "one"


def test_a_new_key_that_is_already_there_is_used(tmp_path: Path, clock: FakeClock, store: Store) -> None:
    old, new = new_key(), new_key()
    for name, key in [("old", old), ("new", new)]:
        (tmp_path / name).write_text(write_keys([key]))
        (tmp_path / name).chmod(0o600)
    before = Vault(store, EnvKeys({"VALETKEY_KEY_FILE": str(tmp_path / "old")}), clock=clock)
    StoreSecrets(store, before, "default").set("app", "one")
    both = EnvKeys({"VALETKEY_KEY_FILE": str(tmp_path / "new"), "VALETKEY_KEY_FILE_OLD": str(tmp_path / "old")})
    done = rotate(store, Vault(store, both, clock=clock), both)
    assert (done.master, done.old_masters) == (new.id, (old.id,))
    after = Vault(store, EnvKeys({"VALETKEY_KEY_FILE": str(tmp_path / "new")}), clock=clock)
    assert StoreSecrets(store, after, "default").get("app") == "one"
    note = read_note(store)
    assert note is not None
    assert note.place == both.place


def test_where_no_key_can_be_added_nothing_changes(store: Store, clock: FakeClock) -> None:
    fixed = GivenKeys(new_key())
    vault = Vault(store, fixed, clock=clock)
    secrets = StoreSecrets(store, vault, "default")
    secrets.set("app", "one")
    before = (store.list_documents("data_key"), read_note(store))
    with pytest.raises(ConfigurationError) as caught:
        rotate(store, vault, fixed)
    assert caught.value.code == "place_read_only"
    assert (store.list_documents("data_key"), read_note(store)) == before
    assert secrets.get("app") == "one"


@pytest.mark.parametrize(("there", "code"), [((), "key_missing"), ((new_key(),), "key_wrong")])
def test_without_the_right_key_nothing_is_rotated_and_no_key_is_made(
    store: Store, secrets: StoreSecrets, clock: FakeClock, there: tuple[Any, ...], code: str
) -> None:
    secrets.set("app", "one")
    before = (store.list_documents("data_key"), read_note(store))
    other = MemoryKeys()
    for key in there:
        other.add(key)
    with pytest.raises(DecryptionFailed) as caught:
        rotate(store, Vault(store, other, clock=clock), other)
    assert caught.value.code == code
    assert tuple(other.keys()) == there
    assert (store.list_documents("data_key"), read_note(store)) == before


# -- what cannot be opened -----------------------------------------------------------------------------------------


def test_what_cannot_be_opened_is_named_and_kept(
    store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets
) -> None:
    secrets.set("app", "one")
    good, bad = connect(store, vault, 1), connect(store, vault, 2)
    assert bad.sealed is not None
    broken = Sealed(bad.sealed.blob[:-1] + b"\x00\x00", bad.sealed.key_id)
    assert store.rekey([(bad, broken)])
    done = rotate(store, vault, keys)
    assert done.unreadable == ("connection con_2",)
    assert (done.sealed, done.retired) == (2, ())
    assert store.find("con_2") == replace(bad, sealed=broken)
    assert {document.id for document in data_key_documents(store)} == {bad.sealed.key_id, done.data_key}
    assert {master_of(document) for document in data_key_documents(store)} == {done.master}
    assert grant_of(vault, store.find("con_1")) == b"grant 1.0"
    assert good.sealed is not None


def test_what_cannot_be_opened_does_not_stop_the_next_rotation(
    store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets
) -> None:
    secrets.set("app", "one")
    bad = connect(store, vault, 2)
    assert bad.sealed is not None
    assert store.rekey([(bad, Sealed(b"\x01" + bytes(40), bad.sealed.key_id))])
    first = rotate(store, vault, keys)
    second = rotate(store, vault, keys)
    assert not second.resumed
    assert second.data_key != first.data_key
    assert second.retired == (first.data_key,)
    assert second.unreadable == ("connection con_2",)
    assert store.delete(bad)
    third = rotate(store, vault, keys)
    assert bad.sealed.key_id in third.retired
    assert third.unreadable == ()


def test_many_that_cannot_be_opened_do_not_hide_the_others(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    for number in range(260):
        record = connect(store, vault, number)
        assert record.sealed is not None
        if number < 230:
            assert store.rekey([(record, Sealed(b"\x01" + bytes(40), record.sealed.key_id))])
    done = rotate(store, vault, keys)
    assert (done.sealed, len(done.unreadable)) == (30, 230)


def test_a_damaged_row_of_which_nothing_is_readable_ends_the_work_too(
    tmp_path: Path, keys: MemoryKeys, clock: FakeClock
) -> None:
    import sqlite3

    store = SQLiteStore(tmp_path / "a.sqlite", clock=clock)
    vault = Vault(store, keys, clock=clock)
    connect(store, vault, 1)
    store.close()
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        db.execute("UPDATE connection SET sealed = NULL")
    db.close()
    assert rotate(store, vault, keys).unreadable in {("connection con_1",), ()}
    store.close()


# -- killed and started again --------------------------------------------------------------------------------------


def prepared(store: Store, vault: Vault) -> None:
    for number in range(3):
        connect(store, vault, number)
    StoreSecrets(store, vault, "default").set("app", "one")


def assert_all_readable(store: Store, keys: MemoryKeys, clock: FakeClock) -> None:
    fresh = Vault(store, keys, clock=clock)
    assert [grant_of(fresh, store.find(f"con_{n}")) for n in range(3)] == [b"grant %d.0" % n for n in range(3)]
    assert StoreSecrets(store, fresh, "default").get("app") == "one"


def test_a_rotation_killed_at_any_point_loses_nothing_and_is_finished_by_the_next(clock: FakeClock) -> None:
    died = 0
    for last in range(1, 200):
        store, keys = MemoryStore(clock=clock), MemoryKeys()
        prepared(store, Vault(store, keys, clock=clock))
        before = read_note(store)

        def die(_: str, calls: int, last: int = last) -> None:
            if calls >= last:
                raise Interrupted

        watched, provider = Watched(store, die), Watched(keys, die)
        provider.calls = 0
        try:
            rotate(watched, Vault(store, keys, clock=clock), provider)
        except Interrupted:
            died += 1
        else:
            break
        assert_all_readable(store, keys, clock)
        done = rotate(store, Vault(store, keys, clock=clock), keys)
        assert_all_readable(store, keys, clock)
        assert before is not None
        assert before.data_key not in {document.id for document in data_key_documents(store)}
        assert len(data_key_documents(store)) == 1
        assert {document.id for document in data_key_documents(store)} == {done.data_key}
        note = read_note(store)
        assert note is not None
        assert note.retiring == ()
    assert died > 15


def test_the_end_of_a_rotation_that_somebody_else_began_is_told_as_such(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    prepared(store, vault)

    def die(name: str, _: int) -> None:
        if name == "rekey":
            raise Interrupted

    with pytest.raises(Interrupted):
        rotate(Watched(store, die), vault, keys)
    note = read_note(store)
    assert note is not None
    assert len(note.retiring) == 1
    masters = keys.keys()
    done = rotate(store, Vault(store, keys, clock=clock), keys)
    assert done.resumed
    assert (done.data_key, done.master) == (note.data_key, note.master)
    assert keys.keys() == masters
    assert done.sealed == 4


# -- others at work ------------------------------------------------------------------------------------------------


def test_two_rotations_at_once_help_each_other(store: Store, keys: MemoryKeys, clock: FakeClock) -> None:
    prepared(store, Vault(store, keys, clock=clock))
    first = read_note(store)
    done: list[Any] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        done.append(rotate(store, Vault(store, keys, clock=clock), keys, grace=0.0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert_all_readable(store, keys, clock)
    assert len(data_key_documents(store)) == 1
    assert first is not None
    assert first.data_key != data_key_documents(store)[0].id


def test_a_rotation_that_is_overtaken_before_it_switches_joins_the_other(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    prepared(store, vault)
    ahead: list[Any] = []

    def overtake(name: str, _: int) -> None:
        if name == "put_document" and not ahead:
            ahead.append(None)
            ahead.append(rotate(store, Vault(store, keys, clock=clock), keys))

    done = rotate(Watched(store, overtake), vault, keys)
    assert_all_readable(store, keys, clock)
    assert [document.id for document in data_key_documents(store)] == [done.data_key]


def test_a_rotation_that_loses_the_switch_helps_the_one_that_won(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    prepared(store, vault)
    won: list[str] = []

    def die(name: str, _: int) -> None:
        if name == "rekey":
            raise Interrupted

    def overtake(name: str, _: int) -> None:
        if name == "put_document" and not won:
            won.append("begun")
            with pytest.raises(Interrupted):
                rotate(Watched(store, die), Vault(store, keys, clock=clock), keys)
            note = read_note(store)
            assert note is not None
            won.append(note.data_key)

    done = rotate(Watched(store, overtake), vault, keys)
    assert done.data_key == won[1]
    assert [document.id for document in data_key_documents(store)] == [won[1]]
    assert_all_readable(store, keys, clock)


def test_a_master_key_that_another_rotation_just_added_is_not_retired(
    store: Store, vault: Vault, keys: MemoryKeys
) -> None:
    prepared(store, vault)
    newer = new_key()

    def add(name: str, _: int) -> None:
        if name == "retire_key":
            keys.add(newer)

    done = rotate(Watched(store, add), vault, keys, retire_master=True)
    assert [key.id for key in keys.keys()] == [newer.id, done.master]  # noqa: SIM118 - not a mapping


def test_a_rotation_that_is_overtaken_while_it_seals_goes_on_with_the_newest_key(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    prepared(store, vault)
    late = Vault(store, keys, clock=clock)
    late.seal(b"", grant_label(ConnectionKey("", ""), "", 0, 0))
    ahead: list[str] = []

    def overtake(name: str, _: int) -> None:
        if name == "rekey" and not ahead:
            ahead.append("begun")
            rotate(store, late, keys)  # helps to finish
            newest = rotate(store, late, keys).data_key
            record = store.find("con_0")
            assert record is not None
            ahead.append(newest)

    done = rotate(Watched(store, overtake), vault, keys)
    assert done.data_key in {document.id for document in data_key_documents(store)}
    assert ahead[1] == done.data_key
    assert_all_readable(store, keys, clock)


def bump_note(store: Store) -> None:
    note = read_note(store)
    assert note is not None
    assert write_note(store, note)


def bump_data_keys(store: Store) -> None:
    for document in data_key_documents(store):
        assert store.put_document(document, expect=document.version)


@pytest.mark.parametrize(
    ("change", "when"),
    [
        pytest.param(bump_note, lambda retiring: not retiring, id="at the switch"),
        pytest.param(bump_note, bool, id="at the end"),
        pytest.param(bump_data_keys, lambda retiring: not retiring, id="while data keys are wrapped"),
    ],
)
def test_where_others_never_stop_changing_keys_it_gives_up_and_can_be_run_again(
    store: Store,
    vault: Vault,
    keys: MemoryKeys,
    clock: FakeClock,
    change: Callable[[Store], None],
    when: Callable[[object], bool],
) -> None:
    prepared(store, vault)

    def interfere(name: str, _: int) -> None:
        note = read_note(store)
        if name == "put_document" and note is not None and when(note.retiring):
            change(store)

    with pytest.raises(StoreError) as caught:
        rotate(Watched(store, interfere), vault, keys)
    assert caught.value.code == "rotation_busy"
    assert_all_readable(store, keys, clock)
    rotate(store, vault, keys)
    assert_all_readable(store, keys, clock)
    assert len(data_key_documents(store)) == 1


def test_a_vault_with_other_keys_than_the_provider_breaks_nothing(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    prepared(store, vault)
    with pytest.raises(DecryptionFailed) as caught:
        rotate(store, Vault(store, GivenKeys(new_key()), clock=clock), keys)
    assert caught.value.code == "key_wrong"
    assert_all_readable(store, keys, clock)
    assert rotate(store, vault, keys).resumed
    assert_all_readable(store, keys, clock)


def test_a_row_that_is_written_meanwhile_keeps_what_was_written(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    prepared(store, vault)
    written: list[Record] = []

    def write(name: str, _: int) -> None:
        record = store.find("con_1")
        if name == "rekey" and not written and record is not None:
            stored = store.swap(renewed(vault, record), expect=Expect.of(record))
            assert stored is not None
            written.append(stored)

    rotate(Watched(store, write), vault, keys)
    assert grant_of(vault, store.find("con_1")) == b"grant 1.1"


def test_a_document_that_is_written_meanwhile_keeps_what_was_written(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    prepared(store, vault)
    stale = Vault(store, keys, clock=clock)
    stale.seal(b"", grant_label(ConnectionKey("", ""), "", 0, 0))
    written: list[str] = []

    def write(name: str, _: int) -> None:
        note = read_note(store)
        if name == "put_document" and note is not None and note.retiring and not written:
            written.append("two")
            StoreSecrets(store, stale, "default").set("app", "two")

    rotate(Watched(store, write), vault, keys)
    assert written
    fresh = Vault(store, GivenKeys(keys.keys()[0]), clock=clock)
    assert StoreSecrets(store, fresh, "default").get("app") == "two"


def test_a_writer_that_goes_on_with_the_old_key_is_waited_for(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    prepared(store, vault)
    stale = Vault(store, keys, clock=clock)
    old = stale.seal(b"", grant_label(ConnectionKey("", ""), "", 0, 0)).key_id
    written: list[int] = []
    started = clock.monotonic()

    def write(name: str, _: int) -> None:
        if name == "retire_key" and len(written) < 20:
            written.append(1)
            record = store.find("con_1")
            assert record is not None
            with_old = stale.seal(grant_of(vault, record), grant_label(record.key, record.id, 1, record.version))
            assert with_old.key_id == old
            assert store.rekey([(record, with_old)])

    done = rotate(Watched(store, write), vault, keys)
    assert len(written) == 20
    assert clock.monotonic() - started == 10 * GRACE  # and no longer: it must come to an end
    assert done.retired == (old,)
    assert_all_readable(store, keys, clock)
    with pytest.raises(KeyRetired):
        store.put_document(Document(kind="secret", id="late", sealed=Sealed(b"x", old)))


def test_who_read_a_row_just_before_has_time_to_open_it(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    prepared(store, vault)
    started = clock.monotonic()
    ended: list[float] = []

    def note_time(name: str, _: int) -> None:
        if name == "retire_key":
            ended.append(clock.monotonic())

    rotate(Watched(store, note_time), vault, keys, grace=3.0)
    assert ended == [started + 3.0]


READER = """
import sys, time
from pathlib import Path
from valetkey.clock import SystemClock
from valetkey.engine.secrets import StoreSecrets
from valetkey.engine.world import grant_label
from valetkey.keys import FileKeys
from valetkey.model.sealing import Vault, document_label
from valetkey.stores.sqlite import SQLiteStore
folder = Path(sys.argv[1])
store = SQLiteStore(folder / "a.sqlite")
reads = fresh = 0
vault = Vault(store, FileKeys(folder / "key", can_create=False), clock=SystemClock())
print("ready", flush=True)
while not (folder / "stop").exists():
    fresh += 1
    if fresh % 5 == 0:  # as a command does: opened anew
        vault = Vault(store, FileKeys(folder / "key", can_create=False), clock=SystemClock())
    secrets = StoreSecrets(store, vault, "default")
    assert secrets.get("app") == "one"
    for number in range(60):
        record = store.find(f"con_{number}")
        label = grant_label(record.key, record.id, record.incarnation, record.version)
        plain = vault.open(record.sealed, label)
        assert plain == b"grant %d.%d" % (number, record.version), plain
        reads += 1
print(reads, flush=True)
store.close()
"""


@pytest.mark.parametrize("rounds", [2])
def test_readers_and_writers_here_and_in_another_process_never_fail_during_rotations(
    tmp_path: Path, rounds: int
) -> None:
    clock = SystemClock()
    store = SQLiteStore(tmp_path / "a.sqlite", busy_timeout=30)
    keys = FileKeys(tmp_path / "key", can_create=True)
    vault = Vault(store, keys, clock=clock)
    for number in range(60):
        connect(store, vault, number)
    StoreSecrets(store, vault, "default").set("app", "one")
    other = subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    stop = threading.Event()
    work = [
        Worker(store, FileKeys(keys.path, can_create=False), stop, own_vault=vault if n == 0 else None)
        for n in range(3)
    ]
    for worker in work:
        worker.start()
    watched = Watched(store, lambda name, _: all_go_on(work) if name == "rekey" else None)
    done = [rotate(watched, vault, keys, grace=1.0, retire_master=n == rounds - 1) for n in range(rounds)]
    stop.set()
    (tmp_path / "stop").touch()
    for worker in work:
        worker.join()
    said, complaint = other.communicate(timeout=60)
    assert [worker.failures for worker in work] == [[], [], []]
    assert other.returncode == 0, complaint
    assert int(said) >= 60
    assert len({rotation.data_key for rotation in done}) == rounds
    assert [document.id for document in data_key_documents(store)] == [done[-1].data_key]
    assert len(keys.keys()) == 1
    fresh = Vault(store, FileKeys(keys.path, can_create=False), clock=clock)
    for number in range(60):
        record = store.find(f"con_{number}")
        assert record is not None
        assert grant_of(fresh, record) == b"grant %d.%d" % (number, record.version)
    assert sum(worker.writes for worker in work) == sum(store.find(f"con_{n}").version for n in range(60))  # type: ignore[union-attr]
    store.close()


def all_go_on(work: list[Worker]) -> None:
    """Hold a rotation where it is until each worker has read and written once more, however slow the machine is."""
    before = [(worker.reads, worker.writes) for worker in work]
    give_up_at = time.monotonic() + 60

    def stands_still() -> list[int]:
        now = [(worker.reads, worker.writes) for worker in work]
        return [n for n, (a, b) in enumerate(zip(before, now, strict=True)) if not (b[0] > a[0] and b[1] > a[1])]

    while still := stands_still():
        assert time.monotonic() < give_up_at, f"the rotation holds up the workers {still}"
        time.sleep(0.005)


class Worker(threading.Thread):
    """Reads and renews grants as fast as it can, as a refresh does: read, open, seal, swap."""

    def __init__(self, store: Store, keys: FileKeys, stop: threading.Event, *, own_vault: Vault | None) -> None:
        super().__init__()
        self.store = store
        self.vault = own_vault or Vault(store, keys, clock=SystemClock())
        self.stop = stop
        self.reads = self.writes = 0
        self.failures: list[BaseException] = []

    def run(self) -> None:
        number = 0
        while not self.stop.is_set():
            number = (number + 7) % 60
            try:
                self.once(f"con_{number}")
            except BaseException as error:  # noqa: BLE001 - each is a failure of the test
                self.failures.append(error)
            time.sleep(0.001)  # two cores for all

    def once(self, connection_id: str) -> None:
        record = self.store.find(connection_id)
        assert record is not None
        assert grant_of(self.vault, record)
        self.reads += 1
        for _ in range(2):
            try:
                self.writes += self.store.swap(renewed(self.vault, record), expect=Expect.of(record)) is not None
            except KeyRetired:
                self.vault.refresh()
            else:
                return
        msg = "the new key was retired too"
        raise AssertionError(msg)


# -- status --------------------------------------------------------------------------------------------------------


def test_a_new_store_has_no_keys_and_no_problem(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    status = key_status(store, vault, keys)
    assert (status.place, status.data_key, status.keys, status.readable, status.code) == ("memory:", "", (), True, "")
    assert not keys.keys()


def test_the_status_tells_places_ids_and_how_much_is_sealed(
    store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets
) -> None:
    secrets.set("app", "one")
    for number in range(3):
        connect(store, vault, number)
    status = key_status(store, vault, keys)
    note = read_note(store)
    assert note is not None
    assert (status.recorded_place, status.master, status.data_key) == ("memory:", note.master, note.data_key)
    assert status.masters == (note.master,)
    assert status.keys == (
        KeyUse(data_key=note.data_key, master=note.master, readable=True, current=True, connections=3, documents=1),
    )
    assert status.readable


def test_sign_ins_under_way_are_counted_by_themselves(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    for number in range(3):
        connect(store, vault, number)
    document = Document(kind="flow", env="default", id="f")
    store.put_document(replace(document, sealed=vault.seal(b"...", document_label(document))))
    use = key_status(store, vault, keys).keys[0]
    assert (use.connections, use.flows, use.documents, use.all) == (3, 1, 0, 4)


def test_an_unfinished_rotation_shows(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    prepared(store, vault)

    def die(name: str, _: int) -> None:
        if name == "rekey":
            raise Interrupted

    with pytest.raises(Interrupted):
        rotate(Watched(store, die), vault, keys)
    status = key_status(store, vault, keys)
    assert len(status.retiring) == 1
    assert {use.current for use in status.keys} == {True, False}
    assert sum(use.connections + use.documents for use in status.keys) == 4


@pytest.mark.parametrize(("there", "code"), [((), "key_missing"), ((new_key(),), "key_wrong")])
def test_a_missing_or_wrong_key_is_told_and_not_raised(
    store: Store, secrets: StoreSecrets, keys: MemoryKeys, clock: FakeClock, there: tuple[Any, ...], code: str
) -> None:
    secrets.set("app", "one")
    other = GivenKeys(*there)
    status = key_status(store, Vault(store, other, clock=clock), other)
    assert (status.readable, status.code) == (False, code)
    assert keys.keys()[0].id in status.problem
    assert status.hint
    assert [use.readable for use in status.keys] == [False]
    assert status.masters == tuple(key.id for key in there)


def test_a_key_file_that_cannot_be_read_is_told_and_not_raised(
    store: Store, secrets: StoreSecrets, clock: FakeClock, tmp_path: Path
) -> None:
    secrets.set("app", "one")
    folder = FileKeys(tmp_path, can_create=True)
    status = key_status(store, Vault(store, folder, clock=clock), folder)
    assert (status.readable, status.code) == (False, "key_unreadable")


def test_a_store_that_is_down_is_raised(store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets) -> None:
    secrets.set("app", "one")

    def down(name: str, _: int) -> None:
        if name == "list_documents":
            raise StoreUnavailable(name)

    with pytest.raises(StoreUnavailable):
        key_status(Watched(store, down), vault, keys)


def test_a_data_key_that_nothing_needs_does_not_stop_a_rotation(
    store: Store, vault: Vault, keys: MemoryKeys, secrets: StoreSecrets
) -> None:
    secrets.set("app", "one")
    orphan = new_data_key(store, new_key())
    done = rotate(store, vault, keys)
    assert orphan.id in done.retired
    assert [document.id for document in data_key_documents(store)] == [done.data_key]
    assert secrets.get("app") == "one"
