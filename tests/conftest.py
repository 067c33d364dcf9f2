"""What every test gets: a world of its own, and an eye on what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import shutil
import signal
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings

LEAVE_TIME = 5.0
"""Seconds that threads on their way out get after a test."""

sys.path.insert(0, str(Path(__file__).parent))  # tests are not packages; what several folders share is `shared`

SETTINGS_OF_OTHERS = [
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"),  # how output looks
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),  # where requests go
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),  # whom to trust
    *("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"),  # whose desktop it is
    *("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"),
]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a background job of a shell: children would inherit it, and Ctrl-C would not reach the programs under test.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Measured are the tests' own processes: in a program that they start, coverage would take longer than the program.
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True, max_examples=50)
settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile("fuzz", deadline=5000, print_blob=True, max_examples=10_000)  # make fuzz; milliseconds
FUZZ = "fuzz" if os.environ.get("FUZZ") == "more" else ""
settings.load_profile(FUZZ or ("ci" if os.environ.get("CI") == "true" else "dev"))


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the machine's file of authorities hold one alone: no test meets a public host, and nearly each has clients.

    To read the whole file takes a client 30 ms.
    """
    paths = ssl.get_default_verify_paths()
    if not os.path.isfile(paths.openssl_cafile):  # noqa: PTH113 - then the HTTP client looks elsewhere
        yield
        return
    first, end, _ = Path(paths.openssl_cafile).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----\n")
    one = tmp_path_factory.mktemp("authorities") / "one.pem"
    one.write_text(first + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ssl, "get_default_verify_paths", lambda: paths._replace(openssl_cafile=str(one)))
        yield


def threads_left(before: set[threading.Thread]) -> list[threading.Thread]:
    """Return the threads that would keep the interpreter alive, after giving them time to leave."""
    ours = {thread for thread in threading.enumerate() if not thread.daemon} - before
    deadline = time.monotonic() + LEAVE_TIME
    while (alive := [thread for thread in ours if thread.is_alive()]) and time.monotonic() < deadline:
        gc.collect()  # the idle threads of an executor leave when it goes, which is not before the last of them is idle
        alive[0].join(0.1)
    return alive


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = threads_left(before)
    assert not left, f"the test left threads running that are no daemons: {', '.join(t.name for t in left)}"


@pytest.fixture(autouse=True)
def _own_world(_no_thread_left: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a home folder, data folders and settings of its own; nothing of the machine's user shows."""
    for name in [*(n for n in os.environ if n.startswith("VALETKEY_")), *SETTINGS_OF_OTHERS]:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    places = {"HOME": home, "USERPROFILE": home, "VALETKEY_HOME": home / "valetkey"}
    for kind in ["DATA", "CONFIG", "CACHE", "STATE"]:
        places[f"XDG_{kind}_HOME"] = home / "xdg" / kind.lower()
    for name, folder in places.items():
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("BROWSER", "true")  # the program that does nothing: no test opens a window by accident
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


@pytest.fixture(autouse=True)
def _own_wiring(_own_world: None) -> Iterator[None]:
    """Forget what the test declared in the default wiring."""
    yield
    wiring = sys.modules.get("valetkey.model.wiring")  # a test that never loaded it declared nothing
    if wiring is not None:
        wiring.reset_default_wiring()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much the explorer of interleavings looked at.

    It stands here, for where tests are spread over processes the one that prints loads no other conftest.
    """
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    explored = sorted((r.nodeid, noted) for r in reports for name, noted in r.user_properties if name == "explored")
    if not explored:
        return
    terminalreporter.section("interleavings")
    if os.environ.get("EXPLORE") == "more":
        for nodeid, (*_, told) in explored:
            terminalreporter.write_line(f"{nodeid.partition('::')[2]}: {told}")
    schedules, states, runs = (sum(noted[at] for _, noted in explored) for at in range(3))
    terminalreporter.write_line(f"explored: {schedules:.1e} schedules over {states:,} states in {runs:,} runs")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only this run's share of the tests, where ``SHARE=1/4`` says so.

    By a checksum of their names, so that the runs of all shares together run each test once, in whichever order.
    """
    share = os.environ.get("SHARE")
    if not share:
        return
    mine, of = (int(part) for part in share.split("/"))
    kept = [item for item in items if zlib.crc32(item.nodeid.encode()) % of == mine - 1]
    chosen = set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = kept


# -- what happens in the background -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until something is so."""
    from shared.waiting import wait_until

    return wait_until


# -- what is not on every machine --------------------------------------------------------------------------------------


class LeftOut:
    """Leaves tests out aloud, for what is left out unseen is worth nothing; where CI=true it fails instead."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._said: set[str] = set()

    def __call__(self, what: str, why: str) -> NoReturn:
        """Leave the test out: `what` does not run, because of `why`."""
        said = f"{what} not run: {why}"
        if os.environ.get("CI") == "true":
            pytest.fail(said, pytrace=False)
        if said not in self._said:
            self._said.add(said)
            capture = self._config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled() if capture is not None else contextlib.nullcontext():
                sys.stderr.write(f"\n**** {said}\n")
        pytest.skip(said)

    def without(self, *tools: str, what: str) -> list[str]:
        """Leave the test out where one of these programs is not installed; return where they are.

        Their names are those of Debian's packages too.
        """
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # where servers are, not every user looks
        places = {tool: shutil.which(tool, path=path) for tool in tools}
        if missing := [tool for tool, place in places.items() if place is None]:
            get = f"install it (on Debian and Ubuntu: apt install {' '.join(missing)})"
            self(what, f"{' and '.join(missing)} not found; {get}")
        return [place for place in places.values() if place is not None]


@pytest.fixture(scope="session")
def left_out(pytestconfig: pytest.Config) -> LeftOut:
    """Give what leaves a test out where the machine lacks something."""
    return LeftOut(pytestconfig)


# -- both facades ------------------------------------------------------------------------------------------------------


class Colour:
    """One of the two facades, with the event loop that it runs on where it needs one.

    Attributes:
        name: ``sync`` or ``async``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._runner = asyncio.Runner() if name == "async" else None

    def run(self, awaitable: Any) -> Any:
        """Wait for something of the asynchronous facade."""

        async def wait() -> Any:
            return await awaitable

        assert self._runner is not None
        return self._runner.run(wait())

    def blocking(self, target: Any) -> Any:
        """Return a valet or client of this colour, to be called as if it blocked."""
        return Blocking(target, self)

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()


class Blocking:
    """A valet or client of either colour, called as if it blocked; `target` is the thing itself."""

    def __init__(self, target: Any, colour: Colour) -> None:
        self.target = target
        self._colour = colour

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.target, name)
        if not inspect.isroutine(member):
            return member

        def call(*args: Any, **kwargs: Any) -> Any:
            result = member(*args, **kwargs)
            if inspect.isawaitable(result):
                result = self._colour.run(result)
            return Blocking(result, self._colour) if hasattr(result, "get_access_token") else result

        return call


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Colour]:
    """Run the test over both facades."""
    colour = Colour(request.param)
    yield colour
    colour.close()


class Face:
    """One facade over a practice: its valet, called as if it blocked."""

    def __init__(self, practice: Any, colour: Colour) -> None:
        self.practice = practice
        self.colour = colour.name
        self.run = colour.run
        self._blocking = colour.blocking

    @property
    def raw(self) -> Any:
        return self.practice.valet if self.colour == "sync" else self.practice.async_valet

    @property
    def valet(self) -> Any:
        return self._blocking(self.raw)

    def client(self, name: str = "notes", **options: Any) -> Any:
        return self.valet.client(name, **options)

    def settle(self) -> None:
        """Wait until the first use of each connection is noted, which is a change of the store like others."""
        from shared.waiting import settle

        settle(self.raw)


@pytest.fixture
def face(colour: Colour, practice: Any) -> Iterator[Face]:
    """Run the test over both facades, on a practice of its own."""
    face = Face(practice, colour)
    yield face
    face.valet.close()


# -- other processes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def callers(tmp_path: Path) -> Iterator[Any]:
    """Give what starts programs that use connections; they are gone when the test ends."""
    from shared.family import Callers

    callers = Callers(tmp_path)
    yield callers
    callers.close()


@pytest.fixture
def families(tmp_path: Path, callers: Any) -> Iterator[Any]:
    """Make a family over a store, named by path or URL."""
    from shared.family import Family
    from valetkey.testing import PracticeProvider

    made: list[Family] = []
    with PracticeProvider() as provider:

        def make(store: str) -> Family:
            made.append(Family(provider, callers, store, tmp_path / "key"))
            return made[-1]

        yield make
        provider.reset_faults()
        callers.close()
        for family in made:
            family.valet.close()
