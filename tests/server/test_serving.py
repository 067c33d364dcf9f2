"""The socket on which pages are served."""

from __future__ import annotations

import asyncio
import socket

from valetkey.server.serving import listen


def test_the_end_of_a_page_is_not_held_back_until_its_head_is_acknowledged() -> None:
    async def nodelay() -> int:
        answered = asyncio.get_running_loop().create_future()

        def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            answered.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listen("127.0.0.1", 0)
        async with await asyncio.start_server(take, sock=listening):
            with socket.create_connection(listening.getsockname()):
                return int(await answered)

    assert asyncio.run(nodelay())
