"""What is special about `aiohttp`: one task, a middleware for each hop, bodies that are still on their way."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from valetkey import HostNotAllowed, StepUpRequired
from valetkey.adapters.aiohttp import middleware

HOUR = 3600
Scene = Callable[[aiohttp.ClientSession], Awaitable[Any]]


@pytest.fixture
def play(world: Any) -> Callable[..., Any]:
    """Give what runs a scene with a session that has the adapter on it."""

    def play(scene: Scene, **options: Any) -> Any:
        async def main() -> Any:
            async with world.practice.async_valet as valet:
                options.setdefault("middlewares", (middleware(valet.client("api")),))
                async with aiohttp.ClientSession(**options) as session:
                    return await scene(session)

        return asyncio.run(main())

    return play


async def status_of(session: aiohttp.ClientSession, url: str, **options: Any) -> int:
    async with session.get(url, **options) as answer:
        await answer.read()
        return answer.status


def test_a_refresh_does_not_hold_up_the_event_loop(play: Any, world: Any) -> None:
    world.provider.expire_access_tokens()

    async def scene(session: aiohttp.ClientSession) -> int:
        with world.provider.hold("token") as held:
            call = asyncio.create_task(status_of(session, f"{world.api.url}/me"))
            assert await asyncio.to_thread(held.arrived.wait, 30), "the loop stands still"
        return await call

    assert play(scene) == 200
    assert world.provider.refreshes == 1


def test_a_caller_that_gives_up_costs_nothing(play: Any, world: Any) -> None:
    world.provider.expire_access_tokens()

    async def scene(session: aiohttp.ClientSession) -> int:
        with world.provider.hold("token") as held:
            call = asyncio.create_task(status_of(session, f"{world.api.url}/me"))
            await asyncio.to_thread(held.wait_for, 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        return await status_of(session, f"{world.api.url}/me")

    assert play(scene) == 200
    assert (world.provider.refreshes, world.provider.reuses) == (1, 0)


def test_it_may_be_given_to_one_call(play: Any, world: Any) -> None:
    async def scene(session: aiohttp.ClientSession) -> list[int]:
        github = middleware(world.practice.async_valet.client("api"))
        url = f"{world.api.url}/me"
        return [await status_of(session, url, middlewares=(github,)), await status_of(session, url)]

    assert play(scene, middlewares=()) == [200, 401]


def test_an_error_lets_go_of_the_connection(play: Any, world: Any) -> None:
    world.api.refuse("/pay", 'Bearer error="insufficient_user_authentication"')

    async def scene(session: aiohttp.ClientSession) -> int:
        narrow = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=narrow, middlewares=session._middlewares) as one_at_a_time:
            for _ in range(2):
                with pytest.raises(StepUpRequired):
                    await status_of(one_at_a_time, f"{world.api.url}/pay")
            return await asyncio.wait_for(status_of(one_at_a_time, f"{world.api.url}/me"), 30)

    assert play(scene) == 200


def test_raise_for_status_is_about_the_answer_that_counts(play: Any, world: Any) -> None:
    world.provider.expire_access_tokens()

    assert play(lambda session: status_of(session, f"{world.api.url}/me"), raise_for_status=True) == 200


# -- redirects


def test_a_redirect_that_is_not_followed_leaves_the_next_request_alone(play: Any, world: Any) -> None:
    world.api.lead("/from", "/to")

    async def scene(session: aiohttp.ClientSession) -> list[int]:
        return [
            await status_of(session, f"{world.api.url}/from", allow_redirects=False),
            await status_of(session, f"{world.other.url}/me"),
            await status_of(session, f"{world.api.url}/me"),
        ]

    assert play(scene) == [302, 200, 200]


def test_a_redirect_that_the_program_follows_itself_is_a_request_of_its_own(play: Any, world: Any) -> None:
    world.api.lead("/from", f"{world.other.url}/me")

    async def scene(session: aiohttp.ClientSession) -> list[int]:
        return [
            await status_of(session, f"{world.api.url}/from", allow_redirects=False),
            await status_of(session, f"{world.other.url}/me"),
        ]

    assert play(scene) == [302, 200]
    assert [bool(seen.token) for seen in world.other.seen] == [True]


def test_tasks_do_not_take_each_others_redirects_for_theirs(play: Any, world: Any) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()
    world.api.lead("/from", f"{world.other.url}/to")
    world.other.answers["/to"] = lambda seen: (200, {}, seen.token.encode())

    async def scene(session: aiohttp.ClientSession) -> bytes:
        async def wait(*_: Any) -> None:
            arrived.set()
            await gone.wait()

        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(wait)
        on_it = session._middlewares
        async with aiohttp.ClientSession(trace_configs=[trace], middlewares=on_it) as waiting:
            led = asyncio.create_task(status_of(waiting, f"{world.api.url}/from"))
            await arrived.wait()
            async with session.get(f"{world.other.url}/to") as answer:
                direct = await answer.read()
            gone.set()
            await led
        return direct

    assert world.provider.is_live(play(scene).decode())
    assert [bool(seen.token) for seen in world.other.seen] == [True, False]


def test_a_hop_that_is_sent_anew_over_a_fresh_connection_is_still_a_hop(play: Any, world: Any) -> None:
    """A server that closed an idle connection: the session sends the hop again, and the middleware sees it again."""
    world.foreign.answers["/file"] = lambda _: (200, {}, b"")
    world.api.lead("/from", f"{world.foreign.url}/file")

    async def once_lost(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        answer = await handler(request)
        if request.url.path == "/file" and len(world.foreign.seen) == 1:
            answer.close()
            raise aiohttp.ServerDisconnectedError
        return answer

    async def scene(session: aiohttp.ClientSession) -> int:
        on_it = (*(session._middlewares or ()), once_lost)
        async with aiohttp.ClientSession(middlewares=on_it) as losing:
            return await status_of(losing, f"{world.api.url}/from")

    assert play(scene) == 200
    assert [seen.token for seen in world.foreign.seen] == ["", ""]


@pytest.mark.parametrize("location", ["", "http://[broken/", "ftp://127.0.0.1/file"])
def test_a_location_that_leads_nowhere_is_the_sessions_affair(play: Any, world: Any, location: str) -> None:
    world.api.lead("/from", location)

    async def scene(session: aiohttp.ClientSession) -> int:
        with pytest.raises(aiohttp.ClientError) if location else nullcontext():
            await status_of(session, f"{world.api.url}/from")
        return await status_of(session, f"{world.api.url}/me")

    assert play(scene) == 200


@pytest.mark.parametrize(
    ("requote", "written", "path"),
    [
        pytest.param(True, "/a b", "/a%20b", id="put right"),
        pytest.param(False, "/a%7Eb", "/a%7Eb", id="taken literally"),
    ],
)
def test_a_location_is_read_as_the_session_reads_it(
    play: Any, world: Any, requote: bool, written: str, path: str
) -> None:
    world.foreign.answers[path] = lambda _: (200, {}, b"")
    world.api.lead("/from", world.foreign.url + written)

    async def scene(session: aiohttp.ClientSession) -> int:
        return await status_of(session, f"{world.api.url}/from")

    assert play(scene, requote_redirect_url=requote) == 200
    assert [seen.token for seen in world.foreign.seen] == [""]


def test_a_first_request_to_a_foreign_host_stays_an_error_after_a_redirect_there(play: Any, world: Any) -> None:
    world.foreign.answers["/file"] = lambda _: (200, {}, b"")
    world.api.lead("/from", f"{world.foreign.url}/file")

    async def scene(session: aiohttp.ClientSession) -> int:
        status = await status_of(session, f"{world.api.url}/from")
        with pytest.raises(HostNotAllowed):
            await status_of(session, f"{world.foreign.url}/file")
        return status

    assert play(scene) == 200


# -- bodies


class Unwilling(io.BytesIO):
    def seekable(self) -> bool:
        raise OSError


async def _posted(session: aiohttp.ClientSession, url: str, **options: Any) -> int:
    async with session.post(url, **options) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("make", "times"),
    [
        pytest.param(lambda _: {"json": {"text": "note"}}, 2, id="json"),
        pytest.param(lambda _: {"data": {"text": "note"}}, 2, id="a form"),
        pytest.param(lambda file: {"data": {"file": file}}, 2, id="a form with a file"),
        pytest.param(lambda file: {"data": file, "headers": {"Expect": "100-continue"}}, 2, id="asked before the body"),
        pytest.param(lambda _: {"data": Unwilling(b"note")}, 1, id="a file that does not say whether it can seek"),
    ],
)
def test_bodies(play: Any, world: Any, tmp_path: Path, make: Callable[[Any], Any], times: int) -> None:
    (tmp_path / "note").write_bytes(b"a note")
    world.provider.expire_access_tokens()
    with (tmp_path / "note").open("rb") as file:
        status = play(lambda session: _posted(session, f"{world.api.url}/notes", **make(file)))

    bodies = [seen.body for seen in world.api.seen]
    assert (status, len(bodies)) == (200 if times == 2 else 401, times)
    assert b"note" in bodies[0]
    assert len(set(bodies)) == 1


def test_a_form_with_a_part_that_cannot_be_sent_twice_is_not(play: Any, world: Any) -> None:
    async def part() -> Any:
        yield b"note"

    async def scene(session: aiohttp.ClientSession) -> int:
        form = aiohttp.FormData()
        form.add_field("text", "kept")
        form.add_field("file", part(), filename="note")
        return await _posted(session, f"{world.api.url}/notes", data=form)

    world.provider.expire_access_tokens()

    assert (play(scene), len(world.api.seen)) == (401, 1)


@pytest.mark.parametrize("asks", [False, True], ids=["while it is sent", "when it was announced"])
def test_an_upload_that_was_refused_before_its_end_is_sent_whole_the_second_time(
    play: Any, world: Any, tmp_path: Path, asks: bool
) -> None:
    """The server answers while the client still sends: the first sending has to stop before the second one starts."""
    note = os.urandom(8 << 20)
    (tmp_path / "note").write_bytes(note)
    heads: list[str] = []
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if len(heads) == 1:
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nstop")
            if not asks:
                await reader.read(1)  # and no more
        else:
            if asks:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            got.append(await reader.readexactly(len(note)))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scene(session: aiohttp.ClientSession) -> int:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        world.practice.declare("upload", api_hosts=[f"127.0.0.1:{port}"])
        await asyncio.to_thread(world.practice.connect, "upload")
        world.practice.clock.advance(120)
        on_it = (middleware(world.practice.async_valet.client("upload")),)
        with (tmp_path / "note").open("rb") as file:
            url = f"http://127.0.0.1:{port}/notes"
            status = await _posted(session, url, data=file, middlewares=on_it, expect100=asks)
        server.close()
        return status

    assert play(scene) == 200
    assert got == [note]
