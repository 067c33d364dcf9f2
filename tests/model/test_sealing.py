"""Sealing: what it is bound to, whose key it needs, and what happens on first use."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.engine.rekeying import rotate
from valetkey.errors import ConfigurationError, DecryptionFailed, StoreError, StoreUnavailable
from valetkey.keys import FileKeys, MemoryKeys, new_key
from valetkey.keys.memory import GivenKeys
from valetkey.model import data_keys
from valetkey.model.ciphers import Box, frame, parse_key, raw_key
from valetkey.model.connections import Document, Sealed
from valetkey.model.data_keys import (
    KeyNote,
    Ring,
    data_key_documents,
    establish,
    load_ring,
    new_data_key,
    read_note,
    write_note,
)
from valetkey.model.ports import KeyRetired, Label, Store
from valetkey.model.sealing import LOOK_AGAIN, PlainSealer, ServiceSealer, Vault, document_label, write_sealed
from valetkey.stores.memory import MemoryStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing.clock import FakeClock

LABEL = Label("grant", "prod", "con_1", 3, 7)


class Watched:
    """A store or key provider that counts the calls, and can be told to fail or to let something happen first."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.before: dict[str, Callable[..., object]] = {}

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.inner, name)
        if not callable(member):
            return member

        def call(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            if name in self.before:
                self.before[name](*args, **named)
            return member(*args, **named)

        return call


def rotated_elsewhere(store: Store, keys: MemoryKeys) -> str:
    """Do what a rotation in another process does, up to naming the new data key."""
    keys.add(new_key())
    note = read_note(store)
    assert note is not None
    made = new_data_key(store, keys.keys()[0])
    assert write_note(store, replace(note, data_key=made.id, retiring=(note.data_key,)))
    return made.id


# -- what a sealed text is bound to --------------------------------------------------------------------------------


def test_what_was_sealed_opens_for_the_same_label(vault: Vault) -> None:
    sealed = vault.seal(b"the grant", LABEL)
    assert vault.open(sealed, LABEL) == b"the grant"
    assert b"the grant" not in sealed.blob


def test_the_same_text_is_sealed_differently_each_time(vault: Vault) -> None:
    assert vault.seal(b"x", LABEL).blob != vault.seal(b"x", LABEL).blob


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(LABEL, purpose="flow"), id="purpose"),
        pytest.param(replace(LABEL, env="staging"), id="environment"),
        pytest.param(replace(LABEL, id="con_2"), id="id"),
        pytest.param(replace(LABEL, incarnation=4), id="incarnation"),
        pytest.param(replace(LABEL, version=8), id="version"),
        pytest.param(replace(LABEL, env="prodc", id="on_1"), id="a letter moved from id to environment"),
        pytest.param(replace(LABEL, incarnation=37, version=7), id="a digit moved"),
        pytest.param(replace(LABEL, id="grant", purpose="con_1"), id="id and purpose exchanged"),
        pytest.param(replace(LABEL, incarnation=7, version=3), id="incarnation and version exchanged"),
    ],
)
def test_it_opens_under_no_other_label(vault: Vault, other: Label) -> None:
    sealed = vault.seal(b"the grant", LABEL)
    with pytest.raises(DecryptionFailed) as caught:
        vault.open(sealed, other)
    assert caught.value.code == "sealed_broken"


def test_it_is_bound_to_the_id_of_its_store(vault: Vault) -> None:
    sealed = vault.seal(b"the grant", LABEL)
    assert vault._ring is not None
    vault._ring = replace(vault._ring, store_id="another store, with the same data key")
    with pytest.raises(DecryptionFailed) as caught:
        vault.open(sealed, LABEL)
    assert caught.value.code == "sealed_broken"


def test_a_row_moved_here_from_another_store_does_not_open(vault: Vault, keys: MemoryKeys, clock: FakeClock) -> None:
    vault.seal(b"mine", LABEL)
    foreign = Vault(MemoryStore(clock=clock), keys, clock=clock).seal(b"the grant", LABEL)
    with pytest.raises(DecryptionFailed) as caught:
        vault.open(foreign, LABEL)
    assert caught.value.code == "sealed_broken"


def test_data_keys_copied_to_another_store_do_not_open_there(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    sealed = vault.seal(b"the grant", LABEL)
    other = MemoryStore(clock=clock)
    for document in [*store.list_documents("data_key"), *store.list_documents("meta")]:
        assert other.put_document(replace(document, version=0))
    there = Vault(other, keys, clock=clock)
    for use in (lambda: there.open(sealed, LABEL), lambda: there.seal(b"x", LABEL)):
        with pytest.raises(DecryptionFailed) as caught:
            use()
        assert caught.value.code == "sealed_broken"


def test_a_data_key_under_another_ones_id_does_not_open(
    store: Store, vault: Vault, keys: MemoryKeys, clock: FakeClock
) -> None:
    vault.seal(b"x", LABEL)
    one = data_key_documents(store)[0]
    other = new_data_key(store, keys.keys()[0])
    store.put_document(replace(one, body=other.body))
    with pytest.raises(DecryptionFailed) as caught:
        Vault(store, keys, clock=clock).seal(b"x", LABEL)
    assert caught.value.code == "sealed_broken"


def test_every_changed_byte_is_noticed(vault: Vault) -> None:
    sealed = vault.seal(b"abc", LABEL)
    for position in range(len(sealed.blob)):
        changed = bytearray(sealed.blob)
        changed[position] ^= 1
        with pytest.raises(DecryptionFailed) as caught:
            vault.open(Sealed(bytes(changed), sealed.key_id), LABEL)
        assert caught.value.code == "sealed_broken"


@pytest.mark.parametrize("length", range(30))
def test_a_text_that_was_cut_off_is_noticed(vault: Vault, length: int) -> None:
    sealed = vault.seal(b"abc", LABEL)
    with pytest.raises(DecryptionFailed) as caught:
        vault.open(Sealed(sealed.blob[:length], sealed.key_id), LABEL)
    assert caught.value.code == "sealed_broken"


def test_a_sealed_text_names_its_format(vault: Vault) -> None:
    assert vault.seal(b"abc", LABEL).blob[0] == 1
    assert len(vault.seal(b"abc", LABEL).blob) == 1 + 12 + 3 + 16


@given(st.lists(st.text()), st.lists(st.text()))
def test_no_two_lists_of_parts_are_framed_alike(one: list[str], other: list[str]) -> None:
    assert (frame(*one) == frame(*other)) == (one == other)


@given(st.binary(), st.binary(), st.binary(min_size=32, max_size=32))
def test_any_bytes_come_back(plain: bytes, bound_to: bytes, raw: bytes) -> None:
    assert Box(raw).open(Box(raw).seal(plain, bound_to), bound_to) == plain


def test_a_document_is_bound_to_kind_environment_and_id() -> None:
    document = Document(kind="secret", env="prod", id="github-app", version=9)
    assert document_label(document) == Label("secret", "prod", "github-app", 0, 0)


# -- first use -----------------------------------------------------------------------------------------------------


def test_making_a_vault_touches_nothing(clock: FakeClock) -> None:
    Vault(None, None, clock=clock)  # type: ignore[arg-type]


def test_the_first_sealing_makes_both_keys_and_notes_them(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    sealed = vault.seal(b"x", LABEL)
    note = read_note(store)
    assert note is not None
    assert (note.data_key, note.master, note.place) == (sealed.key_id, keys.keys()[0].id, "memory:")
    assert [document.id for document in data_key_documents(store)] == [sealed.key_id]


def test_opening_makes_nothing(store: Store, vault: Vault, keys: MemoryKeys) -> None:
    with pytest.raises(DecryptionFailed):
        vault.open(Sealed(b"\x01" + bytes(40), "dk_0"), LABEL)
    assert not keys.keys()
    assert read_note(store) is None
    assert not data_key_documents(store)


def test_where_no_key_may_be_made_the_error_says_how(store: Store, clock: FakeClock) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Vault(store, GivenKeys(), clock=clock).seal(b"x", LABEL)
    assert caught.value.code == "key_missing"
    assert "valetkey key new" in caught.value.hint
    assert "VALETKEY_KEY_FILE" in caught.value.hint
    assert not data_key_documents(store)


def test_two_data_keys_never_get_one_id(store: Store, keys: MemoryKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "00")
    first = new_data_key(store, keys.create())
    with pytest.raises(StoreError) as caught:
        new_data_key(store, keys.create())
    assert caught.value.code == "data_key_exists"
    assert data_key_documents(store) == (first,)


def test_a_store_that_forgets_its_note_is_told(keys: MemoryKeys, clock: FakeClock) -> None:
    class Forgetful(MemoryStore):
        def get_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
            return None if kind == "meta" else super().get_document(kind, document_id, env=env)

    with pytest.raises(StoreError) as caught:
        Vault(Forgetful(clock=clock), keys, clock=clock).seal(b"x", LABEL)
    assert "doctor" in caught.value.hint


def test_keys_that_another_thread_read_meanwhile_are_not_read_again(
    store: Store, keys: MemoryKeys, sealed: Sealed, clock: FakeClock
) -> None:
    watched = Watched(store)
    vault = Vault(watched, keys, clock=clock)
    lock = vault._loading()

    class Waited:
        """A lock that was held by a thread which read the keys."""

        def __enter__(self) -> None:
            lock.acquire()
            vault._load()

        def __exit__(self, *_: object) -> None:
            lock.release()

    vault._loading = Waited  # type: ignore[method-assign, assignment]
    assert vault.open(sealed, LABEL) == b"the grant"
    assert watched.calls.count("list_documents") == 1


def test_of_two_first_users_one_decides_and_the_other_leaves_nothing(
    store: Store, keys: MemoryKeys, clock: FakeClock
) -> None:
    slow_store = Watched(store)
    fast = Vault(store, keys, clock=clock)

    def be_faster(document: Document, **_: Any) -> None:
        if document.kind == "meta":
            fast.seal(b"first", LABEL)

    slow_store.before["put_document"] = be_faster
    slow = Vault(slow_store, keys, clock=clock)
    assert slow.seal(b"second", LABEL).key_id == fast.seal(b"x", LABEL).key_id
    assert len(data_key_documents(store)) == 1


def test_a_data_key_whose_maker_died_is_taken_over(store: Store, keys: MemoryKeys, vault: Vault) -> None:
    made = new_data_key(store, keys.create())
    assert vault.seal(b"x", LABEL).key_id == made.id
    assert len(data_key_documents(store)) == 1


def test_twenty_threads_on_first_use_agree(store: Store, keys: MemoryKeys, clock: FakeClock) -> None:
    watched = Watched(store)
    vault = Vault(watched, keys, clock=clock)
    sealed: list[Sealed] = []
    start = threading.Barrier(20)

    def use() -> None:
        start.wait()
        sealed.append(vault.seal(b"x", LABEL))

    threads = [threading.Thread(target=use) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sealed) == 20
    assert len({one.key_id for one in sealed}) == 1
    assert len(data_key_documents(store)) == 1
    assert watched.calls.count("list_documents") == 2  # one thread looked before and after, the others waited


FIRST_USE = """
import sys
from valetkey.clock import SystemClock
from valetkey.keys import open_keys
from valetkey.model.ports import Label
from valetkey.model.sealing import Vault
from valetkey.stores.sqlite import SQLiteStore
store = SQLiteStore(sys.argv[1])
vault = Vault(store, open_keys(None, store=store), clock=SystemClock())
print("ready", flush=True)
sys.stdin.readline()
sealed = vault.seal(sys.argv[2].encode(), Label("grant", "prod", "con_1"))
print(sealed.key_id, sealed.blob.hex(), flush=True)
store.close()
"""


def test_six_processes_on_first_use_end_with_one_key_of_each_kind(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "new" / "valetkey.sqlite"
    command = [sys.executable, "-c", FIRST_USE, str(path)]
    racers = [
        subprocess.Popen([*command, f"text {n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(6)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate(timeout=60)[0].split() for racer in racers]
    store = SQLiteStore(path, clock=clock)
    keys = FileKeys(path.parent / "key", can_create=False)
    vault = Vault(store, keys, clock=clock)
    opened = [
        vault.open(Sealed(bytes.fromhex(blob), key_id), Label("grant", "prod", "con_1")) for key_id, blob in answers
    ]
    assert opened == [f"text {n}".encode() for n in range(6)]
    assert len(data_key_documents(store)) == 1
    assert len(keys.keys()) == 1
    assert sorted(p.name for p in path.parent.iterdir() if "sqlite" not in p.name) == ["key"]
    store.close()


# -- a key that is not there, or another one -----------------------------------------------------------------------


@pytest.fixture
def sealed(vault: Vault) -> Sealed:
    return vault.seal(b"the grant", LABEL)


def everything(store: Store) -> object:
    return [*store.list_documents("data_key"), *store.list_documents("meta")]


@pytest.mark.parametrize("use", ["seal", "open", "fingerprint"])
def test_a_missing_key_is_never_replaced(store: Store, sealed: Sealed, clock: FakeClock, use: str) -> None:
    before = everything(store)
    empty = MemoryKeys()
    vault = Vault(store, empty, clock=clock)
    uses: dict[str, Callable[[], object]] = {
        "seal": lambda: vault.seal(b"x", LABEL),
        "open": lambda: vault.open(sealed, LABEL),
        "fingerprint": lambda: vault.fingerprint("x"),
    }
    with pytest.raises(DecryptionFailed) as caught:
        uses[use]()
    assert caught.value.code == "key_missing"
    assert "memory:" in str(caught.value)
    assert empty.can_create
    assert not empty.keys()
    assert everything(store) == before


@pytest.mark.parametrize("use", ["seal", "open"])
def test_another_key_is_named_beside_the_one_needed(
    store: Store, keys: MemoryKeys, sealed: Sealed, clock: FakeClock, use: str
) -> None:
    before = everything(store)
    wrong = new_key()
    vault = Vault(store, GivenKeys(wrong), clock=clock)
    with pytest.raises(DecryptionFailed) as caught:
        _ = vault.seal(b"x", LABEL) if use == "seal" else vault.open(sealed, LABEL)
    assert caught.value.code == "key_wrong"
    assert wrong.id in str(caught.value)
    assert keys.keys()[0].id in str(caught.value)
    assert "the key given by the program" in str(caught.value)
    assert "memory:" in str(caught.value)
    assert wrong.secret.reveal() not in str(caught.value)
    assert everything(store) == before


def test_a_note_that_was_lost_does_not_lead_to_another_key(store: Store, sealed: Sealed, clock: FakeClock) -> None:
    assert sealed.key_id
    assert store.delete_document("meta", "keys")
    empty = MemoryKeys()
    with pytest.raises(DecryptionFailed) as caught:
        Vault(store, empty, clock=clock).seal(b"x", LABEL)
    assert caught.value.code == "key_missing"
    assert not empty.keys()
    assert len(data_key_documents(store)) == 1


def test_a_key_that_came_back_is_used_without_a_new_start(
    store: Store, keys: MemoryKeys, sealed: Sealed, clock: FakeClock
) -> None:
    later = MemoryKeys()
    vault = Vault(store, later, clock=clock)
    with pytest.raises(DecryptionFailed):
        vault.open(sealed, LABEL)
    later.add(keys.keys()[0])
    assert vault.open(sealed, LABEL) == b"the grant"


def test_an_unreadable_place_of_the_key_is_told_as_it_is(store: Store, clock: FakeClock, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError) as caught:
        Vault(store, FileKeys(tmp_path / "folder", can_create=True), clock=clock).seal(b"x", LABEL)
    assert caught.value.code == "key_unreadable"


def test_what_is_not_sealed_is_not_taken_for_sealed(vault: Vault, sealed: Sealed) -> None:
    plain = PlainSealer().seal(b'{"access_token": "planted"}', LABEL)
    with pytest.raises(DecryptionFailed) as caught:
        vault.open(plain, LABEL)
    assert caught.value.code == "sealed_broken"
    assert sealed.key_id


def test_no_key_stands_in_the_database(tmp_path: Path, clock: FakeClock) -> None:
    store = SQLiteStore(tmp_path / "a.sqlite", clock=clock)
    keys = MemoryKeys()
    Vault(store, keys, clock=clock).seal(b"the grant", LABEL)
    store.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"dk_" in written
    assert keys.keys()[0].secret.reveal().encode() not in written
    assert raw_key(keys.keys()[0]) not in written


# -- what other processes do ---------------------------------------------------------------------------------------


def test_a_data_key_made_elsewhere_is_found(store: Store, keys: MemoryKeys, vault: Vault, clock: FakeClock) -> None:
    vault.seal(b"x", LABEL)
    new = rotated_elsewhere(store, keys)
    sealed = Vault(store, keys, clock=clock).seal(b"the grant", LABEL)
    assert sealed.key_id == new
    assert vault.open(sealed, LABEL) == b"the grant"


def test_a_rotation_between_two_reads_does_not_look_like_a_wrong_key(
    store: Store, keys: MemoryKeys, sealed: Sealed, clock: FakeClock
) -> None:
    watched = Watched(keys)
    rotating = Vault(store, keys, clock=clock)

    def rotate_first() -> None:
        del watched.before["keys"]
        assert rotate(store, rotating, keys, retire_master=True).retired == (sealed.key_id,)

    watched.before["keys"] = rotate_first  # after the documents were read, and before the master keys are
    ring = load_ring(store, watched)
    assert ring.shut == {}
    assert ring.note == read_note(store)


def test_a_row_that_was_read_before_its_key_was_retired_still_opens(
    store: Store, keys: MemoryKeys, vault: Vault, sealed: Sealed
) -> None:
    rotated_elsewhere(store, keys)
    assert store.retire_key(sealed.key_id)
    vault.refresh()
    assert vault.open(sealed, LABEL) == b"the grant"


def test_an_opener_sees_a_rotation_after_a_moment_and_seals_with_the_new_key(
    store: Store, keys: MemoryKeys, vault: Vault, clock: FakeClock
) -> None:
    sealed = vault.seal(b"x", LABEL)
    new = rotated_elsewhere(store, keys)
    vault.open(sealed, LABEL)
    assert vault.seal(b"x", LABEL).key_id == sealed.key_id
    clock.advance(LOOK_AGAIN)
    vault.open(sealed, LABEL)
    assert vault.seal(b"x", LABEL).key_id == new


def test_once_the_keys_are_at_hand_nothing_is_read(keys: MemoryKeys, clock: FakeClock) -> None:
    store, provider = Watched(MemoryStore(clock=clock)), Watched(keys)
    vault = Vault(store, provider, clock=clock)
    sealed = vault.seal(b"x", LABEL)
    store.calls.clear()
    provider.calls.clear()
    for _ in range(10):
        vault.open(sealed, LABEL)
        vault.seal(b"y", LABEL)
    assert (store.calls, provider.calls) == ([], [])


def test_sealing_goes_on_while_the_store_and_the_key_are_away(keys: MemoryKeys, clock: FakeClock) -> None:
    store, provider = Watched(MemoryStore(clock=clock)), Watched(keys)
    vault = Vault(store, provider, clock=clock)
    sealed = vault.seal(b"x", LABEL)

    def away(*_: Any, **__: Any) -> None:
        msg = "down"
        raise StoreUnavailable(msg)

    store.before = dict.fromkeys(["get_document", "list_documents", "put_document", "store_id"], away)
    provider.before = {"keys": away}
    clock.advance(3600)
    assert vault.open(sealed, LABEL) == b"x"
    assert vault.open(vault.seal(b"y", LABEL), LABEL) == b"y"


def test_a_rotation_with_a_key_this_host_cannot_see_stops_neither_reading_nor_sealing(
    store: Store, keys: MemoryKeys, clock: FakeClock
) -> None:
    here = GivenKeys(keys.create())
    vault = Vault(store, here, clock=clock)
    sealed = vault.seal(b"the grant", LABEL)
    new = rotated_elsewhere(store, keys)
    clock.advance(LOOK_AGAIN)
    assert vault.open(sealed, LABEL) == b"the grant"
    assert vault.seal(b"x", LABEL).key_id == sealed.key_id
    assert store.retire_key(sealed.key_id)
    assert vault.open(sealed, LABEL) == b"the grant"  # a row read just before
    vault.refresh()
    with pytest.raises(DecryptionFailed) as caught:
        vault.seal(b"x", LABEL)
    assert caught.value.code == "key_wrong"
    assert new


def test_a_store_that_was_made_anew_in_the_same_place_gets_keys_of_its_own(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "a.sqlite"
    store = SQLiteStore(path, clock=clock)
    vault = Vault(store, MemoryKeys(), clock=clock)
    first = vault.seal(b"x", LABEL)
    store.close()
    for file in tmp_path.glob("a.sqlite*"):
        file.unlink()
    vault.refresh()
    second = vault.seal(b"x", LABEL)
    assert second.key_id != first.key_id
    assert vault.open(second, LABEL) == b"x"
    with pytest.raises(DecryptionFailed):
        vault.open(first, LABEL)
    store.close()


def test_a_write_with_a_retired_key_is_sealed_again(store: Store, keys: MemoryKeys, vault: Vault) -> None:
    old = vault.seal(b"x", LABEL)
    new = rotated_elsewhere(store, keys)
    assert store.retire_key(old.key_id)
    used: list[str] = []

    def write(sealed: Sealed) -> str:
        used.append(sealed.key_id)
        stored = store.put_document(Document(kind="secret", id="a", sealed=sealed))
        assert stored is not None
        return "written"

    assert write_sealed(vault, b"x", LABEL, write) == "written"
    assert used == [old.key_id, new]


def test_a_key_that_is_retired_again_and_again_ends_in_an_error() -> None:
    def write(sealed: Sealed) -> None:
        raise KeyRetired(sealed.key_id)

    class Bare:
        """A sealer of somebody else, with nothing but the protocol."""

        seal = PlainSealer().seal
        open = PlainSealer().open

    for sealer in (PlainSealer(), Bare()):
        with pytest.raises(StoreError) as caught:
            write_sealed(sealer, b"x", LABEL, write)
        assert caught.value.code == "key_retired"


FORK = """
import os, signal, sys, threading
from valetkey.clock import SystemClock
from valetkey.keys import MemoryKeys
from valetkey.model.ports import Label
from valetkey.model.sealing import Vault
from valetkey.stores.memory import MemoryStore
clock = SystemClock()
vault = Vault(MemoryStore(clock=clock), MemoryKeys(), clock=clock)
with vault._lock:  # a thread of the parent is reading the keys while another forks
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        sealed = vault.seal(b"x", Label("grant", "", "con_1"))
        os._exit(0 if vault.open(sealed, Label("grant", "", "con_1")) == b"x" else 1)
print(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0\n"


def test_cryptography_is_imported_on_first_use_only() -> None:
    program = "import sys, valetkey.model.sealing, valetkey.keys; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


# -- fingerprints, plain sealing, keys -----------------------------------------------------------------------------


def test_a_fingerprint_tells_equal_secrets_of_one_store(
    store: Store, keys: MemoryKeys, vault: Vault, clock: FakeClock
) -> None:
    found = vault.fingerprint("s3cret")
    assert len(bytes.fromhex(found)) == 6
    assert Vault(store, keys, clock=clock).fingerprint("s3cret") == found
    assert vault.fingerprint("s3cres") != found
    assert Vault(MemoryStore(clock=clock), keys, clock=clock).fingerprint("s3cret") != found


def test_a_plain_sealer_keeps_the_text_and_opens_nothing_sealed(sealed: Sealed) -> None:
    plain = PlainSealer()
    assert plain.open(plain.seal(b"x", LABEL), LABEL) == b"x"
    assert plain.seal(b"x", LABEL).key_id == ""
    assert plain.fingerprint("a") == plain.fingerprint("a") != plain.fingerprint("b")
    with pytest.raises(DecryptionFailed) as caught:
        plain.open(sealed, LABEL)
    assert caught.value.code == "key_missing"


def test_for_a_plain_secret_service_only_grants_are_left_as_they_are(vault: Vault) -> None:
    sealer = ServiceSealer(vault)
    flow = replace(LABEL, purpose="flow")
    assert sealer.seal(b"x", LABEL) == Sealed(b"x", "")
    assert sealer.open(Sealed(b"x", ""), LABEL) == b"x"
    sealed = sealer.seal(b"x", flow)
    assert vault.open(sealed, flow) == sealer.open(sealed, flow) == b"x"
    with pytest.raises(DecryptionFailed):
        sealer.open(Sealed(b"planted", ""), flow)
    sealer.refresh()
    assert sealer.fingerprint("a") == vault.fingerprint("a")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("00" * 32, id="hex"),
        pytest.param("A" * 43 + "=", id="base64"),
        pytest.param("A" * 43, id="base64 without padding"),
        pytest.param(f"  {'A' * 43}=\n", id="spaces around"),
    ],
)
def test_a_key_is_read_in_each_form(text: str) -> None:
    assert raw_key(parse_key(text)) == bytes(32)


def test_both_alphabets_of_base64_mean_the_same_key() -> None:
    assert parse_key("-_" * 21 + "A=") == parse_key("+/" * 21 + "A=")


@pytest.mark.parametrize(
    "text",
    ["", "abc", "00" * 31, "00" * 33, "A" * 42, "A" * 44, "g" * 64, "A" * 42 + "!=", "\N{SNOWMAN}" * 43],
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_key(text)
    assert not text or text not in str(caught.value)


def test_a_master_key_does_not_show_itself() -> None:
    key = new_key()
    assert key.secret.reveal() not in repr(key)
    assert len(key.id) == 8
    assert key.id == parse_key(key.secret.reveal()).id
    assert new_key().id != key.id


def test_a_data_key_that_lost_the_race_is_not_adopted_while_it_goes(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, keys = MemoryStore(clock=clock), MemoryKeys()
    master = keys.create()
    loser = new_data_key(store, master)
    seen: list[Ring] = []

    def ring_of_a_moment_ago(store: Store, keys: Any) -> Ring:
        seen.append(load_ring(store, keys))
        if len(seen) == 1:  # between this look and the next one somebody else wins, and the loser takes its key away
            winner = new_data_key(store, master)
            assert write_note(store, KeyNote(data_key=winner.id, master=master.id, place=keys.place))
            assert store.retire_key(loser.id)
        return seen[-1]

    monkeypatch.setattr(data_keys, "load_ring", ring_of_a_moment_ago)

    establish(store, keys)

    assert len(seen) == 2
    note = read_note(store)
    assert note is not None
    assert [document.id for document in data_key_documents(store)] == [note.data_key]
