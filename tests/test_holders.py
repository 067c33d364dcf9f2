"""Names of claims, and whether the process behind one lives: real processes, really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey.clock import SystemClock
from valetkey.holders import LITTER, FileHolders, file_system, on_this_host
from valetkey.testing import FakeClock

PROGRAM = Path(__file__).parent / "programs" / "holder.py"


class Process:
    """A process of its own that holds claims."""

    def __init__(self, folder: Path, mode: str, *more: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder), mode, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)

    def stop(self) -> None:
        """Freeze it, and wait until it is."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def end(self) -> None:
        """Let it end by itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "holders"


@pytest.fixture
def start(folder: Path) -> Iterator[Any]:
    running: list[Process] = []

    def begin(mode: str = "one", *more: str) -> Process:
        running.append(Process(folder, mode, *more))
        return running[-1]

    yield begin
    for process in running:
        process.close()


@pytest.fixture
def mine(folder: Path) -> Iterator[FileHolders]:
    """Return the holders of this process, which looks at others."""
    holders = FileHolders(folder, clock=SystemClock())
    yield holders
    holders.close()


@pytest.fixture(autouse=True)
def _locks_are_possible(tmp_path: Path, left_out: Any) -> None:
    if not on_this_host(tmp_path):
        why = "their folder is on a file system that may not be this host's alone; name another: pytest --basetemp"
        left_out("The tests of lock files do", why)


def test_the_fate_of_a_living_a_frozen_and_a_killed_process(start: Any, mine: FileHolders) -> None:
    process = start()
    name = process.line()
    assert mine.fate(name) == "alive"

    process.stop()
    assert mine.fate(name) == "alive"

    process.kill()
    assert mine.fate(name) == "dead"
    assert mine.fate(name) == "dead", "looking changes nothing"


def test_who_looks_at_a_dead_holder_is_not_taken_for_it(start: Any, folder: Path, mine: FileHolders) -> None:
    import fcntl

    process = start()
    name = process.line()
    process.kill()
    with (folder / f"{name.split('.')[1]}.lock").open() as file:
        fcntl.lockf(file, fcntl.LOCK_SH)  # as one does who is just looking

        looking = start("looking", name)
        assert looking.line() == "dead"
    assert mine.fate(name) == "dead"


def test_looking_at_others_keeps_the_own_lock(start: Any, mine: FileHolders) -> None:
    name = mine.name()
    process = start()
    other = process.line()
    assert mine.fate(name) == "unknown"
    assert mine.fate(other) == "alive"

    assert start("looking", name).line() == "alive"


def test_two_valets_in_one_process_do_not_open_each_others_file(
    start: Any, folder: Path, tmp_path: Path, mine: FileHolders
) -> None:
    """POSIX locks vanish when their process closes any descriptor of the file, under whichever path it was opened."""
    (tmp_path / "link").symlink_to(folder)
    process = start("two", str(tmp_path / "link"))
    one, other = process.line(), process.line()
    assert process.line() == "unknown unknown"

    assert mine.fate(one) == "alive"
    assert mine.fate(other) == "alive"
    process.kill()
    assert (mine.fate(one), mine.fate(other)) == ("dead", "dead")


def test_a_valet_that_is_collected_takes_its_own_file_along_and_no_other(
    start: Any, folder: Path, mine: FileHolders
) -> None:
    process = start("collected")
    kept, gone = process.line(), process.line()
    assert process.line() == "collected"

    assert (mine.fate(kept), mine.fate(gone)) == ("alive", "unknown")
    assert [path.stem for path in folder.iterdir()] == [kept.split(".")[1]]


def test_a_forked_child_neither_holds_nor_drops_the_lock_of_its_parent(start: Any, mine: FileHolders) -> None:
    process = start("forking")
    parent = process.line()
    assert process.line() == "alive", "the child sees its parent as any other process"
    child = process.line()
    assert child.split(".")[1] != parent.split(".")[1], "the child has a file of its own"
    assert (mine.fate(parent), mine.fate(child)) == ("alive", "alive")

    process.kill()

    assert mine.fate(parent) == "dead", "although the child, which inherited everything, lives"
    assert mine.fate(child) == "alive"
    process.close()


def test_a_forked_child_that_ends_leaves_the_file_of_its_parent(start: Any, folder: Path, mine: FileHolders) -> None:
    process = start("forked child ends")
    name = process.line()
    assert process.line() == "ended"

    assert mine.fate(name) == "alive"
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("mode", ["closing", "ending"])
def test_a_file_goes_with_its_process(start: Any, folder: Path, mine: FileHolders, mode: str) -> None:
    process = start(mode)
    name = process.line()
    if mode == "closing":
        assert process.line() == "closed"
    else:
        process.end()

    assert list(folder.iterdir()) == []
    assert mine.fate(name) == "unknown", "a file that is not there proves nothing"


def test_a_closed_one_makes_another_file_when_it_is_used_again(folder: Path, mine: FileHolders) -> None:
    first = mine.name()
    assert mine.name() != first
    assert mine.name().split(".")[1:] == first.split(".")[1:]
    mine.close()
    mine.close()

    second = mine.name()

    assert second.split(".")[1] != first.split(".")[1]
    assert len(list(folder.iterdir())) == 1


def test_the_proof_is_no_better_than_the_file_and_the_boot(
    start: Any, folder: Path, mine: FileHolders, tmp_path: Path
) -> None:
    process = start()
    name = process.line()
    process.kill()
    nonce, stem, boot, device, inode = name.split(".")
    file = folder / f"{stem}.lock"
    assert mine.fate(name) == "dead"

    assert mine.fate(f"{nonce}.{stem}.another-boot.{device}.{inode}") == "unknown"
    assert mine.fate(f"{nonce}.{stem}.{boot}.{int(device, 16) + 1:x}.{inode}") == "unknown"
    assert FileHolders(tmp_path / "elsewhere", clock=SystemClock()).fate(name) == "unknown"
    assert FileHolders(None, clock=SystemClock()).fate(name) == "unknown"
    copy = tmp_path / "copy"
    copy.write_bytes(file.read_bytes())
    copy.replace(file)
    assert mine.fate(name) == "unknown", "another file stands in its place"
    file.unlink()
    assert mine.fate(name) == "unknown"
    assert not file.exists(), "who looks never makes one"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("0f" * 16, id="a bare nonce"),
        pytest.param("0f.{stem}", id="cut off"),
        pytest.param("0f./{path}.{boot}.{device}.{inode}", id="a path"),
        pytest.param("0f.../{stem}.{boot}.{device}.{inode}", id="a way up"),
        pytest.param("0f.{stem}.{boot}.{device}.x", id="no number"),
        pytest.param("0f.{stem}.{boot}.{device}.{inode}.1", id="too long"),
        pytest.param("0f.{stem}.{boot}.{device}.{inode}\n", id="a line end"),
    ],
)
def test_a_name_that_is_none_is_nobodys(start: Any, folder: Path, mine: FileHolders, name: str) -> None:
    process = start()
    _, stem, boot, device, inode = process.line().split(".")
    process.kill()

    made = name.format(stem=stem, path=folder / stem, boot=boot, device=device, inode=inode)

    assert mine.fate(made) == "unknown"


def test_after_a_reboot_nobody_is_known(folder: Path, mine: FileHolders, start: Any) -> None:
    clock = FakeClock()
    then = FileHolders(folder, clock=clock)
    name = then.name()
    clock.reboot()
    assert then.fate(name) == "unknown"
    assert mine.fate(name) == "unknown"
    process = start()
    assert then.fate(process.line()) == "unknown"
    then.close()


def test_names_fit_into_a_store_and_into_a_uri(mine: FileHolders) -> None:
    names = {mine.name() for _ in range(100)}

    assert len(names) == 100
    assert all(len(name) <= 128 and name.isascii() and " " not in name for name in names)
    assert len({name.split(".")[0] for name in names}) == 100
    assert all(len(name.split(".")[0]) == 32 for name in names)


def test_files_are_for_this_user_only(folder: Path, mine: FileHolders) -> None:
    before = os.umask(0)
    try:
        mine.name()
    finally:
        os.umask(before)

    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert file.read_text().strip() == str(os.getpid())


def test_files_of_the_long_dead_are_swept_and_no_others(start: Any, folder: Path) -> None:
    dead, recent, frozen = start(), start(), start()
    names = [process.line() for process in (dead, recent, frozen)]
    files = [folder / f"{name.split('.')[1]}.lock" for name in names]
    dead.kill()
    recent.kill()
    clock = FakeClock()
    for file in files:
        os.utime(file, (clock.now() - LITTER - 1,) * 2)
    os.utime(files[1], (clock.now() - LITTER + 60,) * 2)
    (folder / "notes.txt").write_text("mine")

    holders = FileHolders(folder, clock=clock)
    own = holders.name().split(".")[1]

    assert {path.name for path in folder.iterdir()} == {files[1].name, files[2].name, f"{own}.lock", "notes.txt"}
    holders.close()


@pytest.mark.parametrize("obstacle", ["a file in the way", "another system", "a shared file system", "no locks there"])
def test_without_a_lock_file_a_claim_has_a_bare_name(
    folder: Path, mine: FileHolders, obstacle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if obstacle == "a file in the way":
        folder.write_text("")
    elif obstacle == "another system":
        monkeypatch.setattr("valetkey.holders.fcntl", None)
    elif obstacle == "a shared file system":
        monkeypatch.setattr("valetkey.holders._MOUNTS", os.devnull)
    else:
        import fcntl

        def no_locks(*_: object) -> None:
            raise OSError(37, "No locks available")

        monkeypatch.setattr(fcntl, "lockf", no_locks)

    name = mine.name()

    assert len(name) == 32
    assert mine.fate(name) == "unknown"
    if folder.is_dir():
        assert list(folder.iterdir()) == [], "nothing is left behind"
    mine.close()


def test_why_there_are_no_lock_files_is_told(folder: Path, mine: FileHolders, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mine.obstacle() == ""
    assert not folder.exists(), "asking makes nothing"
    assert "no folder" in FileHolders(None, clock=SystemClock()).obstacle()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        assert "cannot be written" in mine.obstacle()
    with monkeypatch.context() as patch:
        patch.setattr("valetkey.holders._MOUNTS", "/nowhere/mountinfo")
        assert "file system" in mine.obstacle()
    monkeypatch.setattr("valetkey.holders.fcntl", None)
    assert "no such locks" in mine.obstacle()


# -- whose file system it is

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:41 / /home rw,relatime shared:12 master:3 - nfs4 server:/home rw,vers=4.2
31 30 0:42 / /home/ada/.local rw - btrfs /dev/sdb rw,subvol=/@
32 27 0:43 / /mnt/two\040words rw - fuse.sshfs me@there: rw
33 27 0:44 / /srv rw - xfs /dev/sdc rw
34 33 0:45 / /srv rw - cifs //there/srv rw
35 27 0:46 /sub /var/lib rw - overlay overlay rw
36 27 0:47 / /mnt/memory rw - tmpfs tmpfs rw
37 27 0:48 / /mnt/nine rw - 9p share rw
38 27 0:49 / /mnt/virtio rw - virtiofs share rw
39 27 0:50 / /mnt/vbox rw - vboxsf share rw
40 27 0:51 / /mnt/new rw - inventedfs share rw
broken
41 27 0:52 / /mnt/nothing rw -
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/var/x", "ext4", id="the root"),
        pytest.param("/", "ext4", id="the root itself"),
        pytest.param("/home/ada", "nfs4", id="nfs, with optional fields"),
        pytest.param("/home/ada/.local/share", "btrfs", id="a disk below nfs"),
        pytest.param("/home/ada/.localized", "nfs4", id="names that only begin alike"),
        pytest.param("/homes", "ext4", id="names that only begin alike, at the root"),
        pytest.param("/mnt/two words/deep", "fuse.sshfs", id="a mount point with a space"),
        pytest.param("/srv/x", "cifs", id="mounted over another one"),
        pytest.param("/var/lib", "overlay", id="a container"),
        pytest.param("/mnt/memory/x", "tmpfs", id="memory"),
        pytest.param("/mnt/nothing/x", "ext4", id="a line without a type"),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    assert file_system(path, MOUNTS.splitlines(keepends=True)) == kind


def test_without_lines_nothing_is_known() -> None:
    assert file_system("/x", []) == ""


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/var/x", True),
        ("/home/ada/.local/x", True),
        ("/mnt/memory/x", True),
        ("/var/lib/x", True),
        ("/home/ada", False),
        ("/srv", False),
        ("/mnt/two words", False),
        ("/mnt/nine", False),
        ("/mnt/virtio", False),
        ("/mnt/vbox", False),
        ("/mnt/new", False),
        ("/proc/x", False),
    ],
)
def test_a_file_system_counts_as_this_hosts_only_where_that_is_known(
    path: str, ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr("valetkey.holders._MOUNTS", str(mounts))
    monkeypatch.setattr(os.path, "realpath", str)

    assert on_this_host(Path(path)) is ours


def test_a_link_counts_for_where_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / {tmp_path / 'real'} rw - nfs4 s rw\n")
    monkeypatch.setattr("valetkey.holders._MOUNTS", str(mounts))

    assert not on_this_host(tmp_path / "link" / "holders")
    assert on_this_host(tmp_path / "holders")


def test_where_the_system_tells_nothing_it_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valetkey.holders._MOUNTS", str(tmp_path / "not there"))

    assert not on_this_host(tmp_path)
