"""An authorization server that does what servers must not do, and what they may but few do: one switch for each."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from valetkey.testing import _wicked_api, _wicked_front, _wicked_id_tokens, _wicked_more, _wicked_tokens
from valetkey.testing._mcp_server import METADATA, PATH, mcp, protected_resource
from valetkey.testing._registration import Registrations
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, PracticeProvider

if TYPE_CHECKING:
    from collections.abc import Callable

    from valetkey.testing._http import Reply
    from valetkey.testing._wicked import Switch, Twist

__all__ = ["SWITCHES", "WickedServer"]

SWITCHES: Mapping[str, Switch] = MappingProxyType(
    {
        switch.name: switch
        for switch in (
            *_wicked_front.SWITCHES,
            *_wicked_tokens.SWITCHES,
            *_wicked_id_tokens.SWITCHES,
            *_wicked_api.SWITCHES,
            *_wicked_more.SWITCHES,
        )
    }
)
"""All switches by name: what the server does then, and what a client must do."""


@dataclass(frozen=True, slots=True)
class _Twisted:
    endpoint: str
    change: Twist


class WickedServer(PracticeProvider):
    """A practice provider with a switch for each way in which servers are known to go wrong.

    It behaves until it is told otherwise.  Beside what a practice provider has, apps can register themselves at it
    (RFC 7591, RFC 7592), and ``/mcp`` is a resource that says where people sign in for it (RFC 9728).

    >>> with WickedServer() as server, server.misbehaving("token-html"):
    ...     SWITCHES["token-html"].does
    'token answers are a page of HTML with status 200'

    Args:
        options: Those of `PracticeProvider`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._twists: list[_Twisted] = []
        self._usual = asdict(self.rules)
        site, at = self._site, self._issuer_path
        apps = Registrations(site)
        self._routes |= {
            f"{at}/register": ("registration", ("POST",), apps.register),
            f"{at}/registered": ("management", ("GET", "PUT", "DELETE"), apps.manage),
            METADATA: ("resource_metadata", ("GET", "HEAD"), lambda call: protected_resource(site, call)),
            PATH: ("mcp", (), lambda call: mcp(site, call)),
        }

    def start(self) -> Self:
        """Listen; returns itself.  Starting it twice changes nothing.

        Raises:
            OSError: The port is taken.
        """
        super().start()
        self._site.more_metadata["registration_endpoint"] = f"{self._site.issuer}/register"
        return self

    @property
    def switches(self) -> tuple[str, ...]:
        """The names of all switches."""
        return tuple(SWITCHES)

    def now(self) -> float:
        """Return the time of its clock, in Unix seconds."""
        return self._ledger.now()

    def misbehave(self, *names: str) -> None:
        """Turn switches on, until `behave`.

        Raises:
            ValueError: There is no such switch.
        """
        unknown = [name for name in names if name not in SWITCHES]
        if unknown:
            msg = f"no switch {unknown[0]!r}; there are {', '.join(SWITCHES)}"
            raise ValueError(msg)
        for name in names:
            SWITCHES[name].turn(self)

    @contextmanager
    def misbehaving(self, *names: str) -> Generator[None]:
        """Misbehave within a block, and `behave` after it."""
        self.misbehave(*names)
        try:
            yield
        finally:
            self.behave()

    def behave(self) -> None:
        """Turn all switches off: rules, keys and the default client are as they were at first; grants stay."""
        self.reset_faults()
        self._twists.clear()
        for name, value in self._usual.items():
            setattr(self.rules, name, value)
        self.signs_answers = True
        self.keys.behave()
        self.register_client(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET)

    def twist(self, endpoint: str, change: Callable[[Reply], Reply | None]) -> None:
        """Change every answer of an endpoint before it is sent, until `behave`; None closes the connection."""
        self._twists.append(_Twisted(endpoint, change))

    def around(self, endpoint: str, work: Callable[[], Reply]) -> Reply | None:
        """Do the work of an endpoint, with whatever is wrong there."""
        reply = super().around(endpoint, work)
        for twisted in tuple(self._twists):
            if twisted.endpoint == endpoint and reply is not None:
                reply = twisted.change(reply)
        return reply
