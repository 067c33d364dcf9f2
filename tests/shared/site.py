"""The web face over a practice, served for real on loopback, and browsers without script that visit it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

import httpx2
import uvicorn

from valetkey.server import create_app


class Site:
    """A running application, and browsers (without script) that visit it.

    Attributes:
        practice: Provider, clock and valet behind it.
        app: The application.
        base: Its origin.
    """

    def __init__(
        self, practice: Any, *, within: Callable[[Any], Any] = lambda app: app, root_path: str = "", **options: Any
    ) -> None:
        """Serve `within` of the application: another one that it is mounted in, say.

        Where a proxy takes the path of the public address off, `root_path` is that path.
        """
        self.practice = practice
        self.app = create_app(practice.valet, **options)
        config = uvicorn.Config(within(self.app), port=0, log_level="error", lifespan="off", root_path=root_path)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="site")
        self._clients: list[httpx2.Client] = []

    @property
    def server(self) -> Any:
        return self.app.state.server

    @property
    def sessions(self) -> Any:
        return self.server.sessions

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            threading.Event().wait(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        self._server.should_exit = True
        self._thread.join(20)

    def visitor(self) -> Visitor:
        """Return somebody who has not signed in."""
        client = httpx2.Client(base_url=self.base, follow_redirects=False)
        self._clients.append(client)
        return Visitor(self, client)

    def operator(self, grade: str = "everything") -> Visitor:
        """Return somebody who has signed in by a login link."""
        visitor = self.visitor()
        link = self.sessions.link(grade).reveal()
        visitor.get(f"/login/link?token={link}")
        assert visitor.post("/login/link", token=link).status_code == 303
        return visitor


class Visitor:
    """A browser without script: it keeps cookies, and sends the forms that pages hold."""

    def __init__(self, site: Site, client: httpx2.Client) -> None:
        self.site = site
        self.client = client
        self.csrf = ""

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """Open a page, and remember the token of its forms."""
        response = self.client.get(path, **options)
        _, found, rest = response.text.partition('name="csrf" value="')
        if found:
            self.csrf = rest.partition('"')[0]
        return response

    def post(self, path: str, *, origin: str | None = "", csrf: str | None = "", **fields: Any) -> httpx2.Response:
        """Send a form, as from the page that was opened last."""
        headers = {} if origin is None else {"Origin": origin or self.site.base}
        token = {} if csrf is None else {"csrf": csrf or self.csrf}
        return self.client.post(path, data={**token, **fields}, headers=headers)
