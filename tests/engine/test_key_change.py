"""The change of keys over several hosts: refused where one could not follow, paused, resumed, the old key retired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from valetkey import Valet, Wiring
from valetkey.engine import rekeying
from valetkey.engine.hosts import LIFE, PROGRAM, PROGRAM_LIFE, Reporter, host_reports, journals, reporting
from valetkey.engine.key_change import STALE, KeyChange, Needed
from valetkey.engine.key_status import key_status
from valetkey.engine.world import NO_JOURNAL, NoJournal, grant_label
from valetkey.errors import ConfigurationError
from valetkey.host import open_presence
from valetkey.keys import new_key
from valetkey.keys.memory import GivenKeys
from valetkey.model.connections import Query
from valetkey.model.data_keys import read_note
from valetkey.model.journals import JournalState
from valetkey.model.ports import MasterKey
from valetkey.model.sealing import LOOK_AGAIN


@dataclass
class Waiting(NoJournal):
    """A journal in which answers wait."""

    with_key: dict[str, int] = field(default_factory=dict[str, int])

    def state(self) -> JournalState:
        return JournalState(waiting=sum(self.with_key.values()), sealed_with=self.with_key, place="/there")


class Elsewhere:
    """A store as if it were not on this host."""

    local = False

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def core(practice: Any) -> Any:
    for number in range(5):
        practice.connect(owner=f"u-{number}")
    return practice.valet._core


@pytest.fixture
def change(core: Any) -> KeyChange:
    return KeyChange(core.world, core.vault, core.keys, env=core.env)


def ids(core: Any) -> list[str]:
    return [key.id for key in tuple(core.keys.keys())]


def host(core: Any, name: str, masters: Sequence[MasterKey], **waiting: int) -> Reporter:
    journal = Waiting(waiting) if waiting else NO_JOURNAL
    made = Reporter(core.store, GivenKeys(*masters), journal, what="worker", host=name)
    made.tell()
    return made


def test_a_change_does_not_begin_where_a_host_cannot_read_the_new_key(core: Any, change: KeyChange) -> None:
    old, before = core.keys.keys(), read_note(core.store)
    blind = host(core, "web-2", old)
    with pytest.raises(ConfigurationError, match=r"made here could not be read on host web-2 \(worker\)") as caught:
        change.run(by="mira")
    assert caught.value.code == "key_host_blind"

    core.keys.add(new_key())
    host(core, "web-1", core.keys.keys())
    with pytest.raises(
        ConfigurationError, match=rf"key {core.keys.keys()[0].id} cannot be read on host web-2"
    ) as caught:
        change.run(by="mira")
    assert caught.value.code == "key_host_blind"
    assert (read_note(core.store), change.now().state) == (before, "none")

    blind.leave()
    host(core, "web-2", [*old, core.keys.keys()[0]])
    assert change.run(by="mira").master == core.keys.keys()[0].id
    assert change.now().state == "finished"


def test_a_host_is_not_called_blind_for_a_key_that_was_just_added_to_the_file_it_reads(tmp_path: Path) -> None:
    with Valet(tmp_path / "store.db", key=f"file:{tmp_path / 'key'}", env="test", wiring=Wiring()) as valet:
        core = valet._core
        core.secret_service.set("one", "secret")
        change = KeyChange(core.world, core.vault, core.keys, env="test")
        Reporter(core.store, core.keys, core.world.journal, what="server").tell()
        elsewhere = GivenKeys(*core.keys.keys())
        before = core.keys.keys()[0].id

        done = change.run(by="mira")

        (report,) = change.reports()
        assert done.master != before
        assert report.masters == tuple(ids(core))
        assert change.needed(before).blind == ()
        Reporter(core.store, elsewhere, core.world.journal, what="worker").tell()
        assert done.master not in change.reports()[1].masters, "who reads another place is believed"


def test_a_host_that_says_nothing_any_more_is_not_waited_for(practice: Any, core: Any, change: KeyChange) -> None:
    host(core, "web-2", core.keys.keys())
    assert [report.host for report in host_reports(core.store)] == ["web-2"]
    practice.clock.advance(LIFE + 1)
    assert host_reports(core.store) == ()
    change.demand_ready()


def test_a_change_is_paused_looked_at_and_resumed_elsewhere(
    core: Any, change: KeyChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rekeying, "PAGE", 2)
    (old,) = ids(core)
    done = change.run(by="mira", progress=lambda _: change.pause(by="sam"))

    assert (done.paused, done.sealed, change.now().state) == (True, 2, "paused")
    assert change.now().by == "mira"
    with pytest.raises(ConfigurationError, match="3 connections") as caught:
        change.retire(old, by="mira")
    assert caught.value.code == "key_needed"
    assert change.needed(old).connections == 3

    elsewhere = KeyChange(core.world, core.vault, core.keys, env=core.env)
    done = elsewhere.run(by="sam", only_finish=True)
    assert (done.paused, done.resumed, change.now().state) == (False, True, "finished")
    assert not any(use.all for use in key_status(core.store, core.vault, core.keys).keys if not use.current)
    assert len(core.keys.keys()) == 2

    assert change.retire(old, by="mira")
    assert ids(core) == [done.master]
    assert set(change.retired()) == {old}
    kinds = [event.kind for event in core.store.list_events(env=core.env, limit=1000)]
    assert [kind for kind in kinds if kind.startswith("key_")] == [
        "key_change_begun",
        "key_change_begun",
        "key_changed",
        "key_retired",
    ]
    with pytest.raises(ConfigurationError, match="the one in use"):
        change.retire(done.master, by="mira")


def test_a_resumed_change_begins_no_other_one(change: KeyChange) -> None:
    master = change.run(by="mira").master
    assert change.run(by="sam", only_finish=True).master == master


def test_the_old_key_stays_while_the_journal_of_any_host_needs_it(core: Any, change: KeyChange) -> None:
    (old,) = core.keys.keys()
    core.keys.add(new_key())
    host(core, "web-1", core.keys.keys())
    web2 = host(core, "web-2", core.keys.keys(), **{old.id: 3})
    done = change.run(by="mira", retire_master=True)
    assert done.needed_masters == (old.id,)
    assert old.id in ids(core)

    with pytest.raises(ConfigurationError, match="3 answers in the journal of web-2"):
        change.retire(old.id, by="mira")
    web2.leave()
    blind = host(core, "web-2", [old])
    with pytest.raises(ConfigurationError, match="web-2, which cannot read the new key"):
        change.retire(old.id, by="mira")
    blind.leave()
    assert change.retire(old.id, by="mira")
    assert str(Needed()) == ""


def test_processes_of_one_host_share_a_journal(core: Any) -> None:
    for _ in range(2):
        host(core, "web-1", core.keys.keys(), k1=3)
    host(core, "web-2", core.keys.keys(), k1=1, k2=2)
    assert journals(host_reports(core.store)) == {"web-1": {"k1": 3}, "web-2": {"k1": 1, "k2": 2}}


def test_a_change_whose_process_is_gone_is_interrupted(practice: Any, change: KeyChange) -> None:
    change.begin(by="mira")
    assert change.now().state == "running"
    practice.clock.advance(STALE + 1)
    assert change.now().state == "interrupted"


def test_what_ends_a_change_is_told_to_whoever_looks(core: Any, change: KeyChange) -> None:
    fixed = KeyChange(core.world, core.vault, GivenKeys(*core.keys.keys()), env=core.env)
    with pytest.raises(ConfigurationError):
        fixed.run(by="mira")
    ended = change.now()
    assert (ended.state, ended.code) == ("failed", "place_read_only")
    assert "valetkey key new" in ended.hint


def test_a_key_in_a_place_that_cannot_be_written_is_left_to_people(core: Any, change: KeyChange) -> None:
    (old,) = core.keys.keys()
    change.run(by="mira")
    fixed = KeyChange(core.world, core.vault, GivenKeys(*core.keys.keys()), env=core.env)
    assert not fixed.retire(old.id, by="mira")
    assert set(change.retired()) == {old.id}


def test_a_program_on_a_shared_store_says_how_it_is_while_it_is_at_work(practice: Any, core: Any) -> None:
    store = Elsewhere(core.store)
    beat = open_presence(store, core.keys, NO_JOURNAL, clock=practice.clock, run=lambda tell: tell())
    core.vault.looked = beat
    (record,) = core.store.list(Query(env=core.env, owner="u-0")).items
    for _ in range(2):
        practice.clock.advance(LOOK_AGAIN + 1)
        core.vault.open(record.sealed, grant_label(record.key, record.id, record.incarnation, record.version))
    (report,) = host_reports(core.store)
    assert (report.what, report.masters) == (PROGRAM, tuple(ids(core)))
    assert report.seen_at < core.store.now(), "it does not say so each time"

    with reporting(core.world, core.keys, what="server"):
        assert [one.what for one in host_reports(core.store)] == ["server"], "one process is one line"
    practice.clock.advance(PROGRAM_LIFE)
    assert host_reports(core.store) == ()
    open_presence(core.store, core.keys, NO_JOURNAL, clock=practice.clock, run=lambda tell: tell())()
    assert host_reports(core.store) == (), "a store on this host alone needs no word"
