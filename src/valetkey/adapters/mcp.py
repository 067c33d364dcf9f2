"""For the official SDK of the Model Context Protocol: ``httpx2.AsyncClient(auth=McpAuth(valet.client("notes")))``.

It does what the authorization specification of MCP says (2026-07-28, and what 2025-06-18 and 2025-11-25 say), with the
grants in the valet's store: they outlive the program, keep their expiry, are refreshed before a person is asked, and
nothing is locked while a request is under way.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

import httpx2

from valetkey.adapters._given import given
from valetkey.client import AsyncOAuth2Client, OAuth2Client, core_of
from valetkey.desk import Desk
from valetkey.errors import ConfigurationError, ConnectError, ReauthorizationRequired, ScopesMissing, ValetkeyError
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.bearer import AUTHORIZATION, Challenge, judge, parse_challenges
from valetkey.protocol.urls import allowed_hosts, host_allowed
from valetkey.road import CHALLENGE, REFUSING, Flow
from valetkey.tokens import Token

SignIn = Callable[[str], Awaitable[str] | str]
STEP_UPS: Final = 2
"""How often one request asks a person for more scopes."""
_UNAUTHORIZED: Final = 401
_MOVED: Final = frozenset({"client_changed", "app_missing", "app_ended"})
"""Codes which say that the stored grant is for another server, or that there is no app for this one."""


@dataclass(frozen=True, slots=True)
class _Do:
    """Something that blocks."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class _Ask:
    """A person who is to open an address; the answer is where their browser was sent."""

    url: str


@dataclass(slots=True)
class _Problem:
    """Why there is no token: what the caller gets where nobody can sign in."""

    error: ValetkeyError


_Steps = Generator[Any, Any, Any]


class McpAuth(Flow, httpx2.Auth):
    """Authorizes the requests to one MCP server as one connection, and has a person sign in where that is needed.

    Args:
        client: Whose connection it is: ``valet.client("notes")``, of a credential that is declared with
            ``security_profile="mcp"``.
        sign_in: Who signs in.  ``True``: the person at this machine, in the browser.  A function: it gets the address
            to open, and returns the address that the browser was sent to; it may be ``async``.  ``False``: nobody is
            here; then `ReauthorizationRequired` says where a person can.
        redirect_uri: Where the answer comes, with a function; by default as in ``valet.authorize``.

    Raises:
        ConfigurationError: It is no such client (``client_unsuitable``), or its credential is of another profile
            (``profile_unmet``).
    """

    __slots__ = ("_credential", "_desk", "_door", "_given_up", "_open", "_redirect_uri", "_sign_in")
    _in_memory: ClassVar[type] = httpx2.ByteStream

    def __init__(
        self,
        client: OAuth2Client | AsyncOAuth2Client,
        *,
        sign_in: bool | SignIn = True,
        redirect_uri: str | None = None,
    ) -> None:
        source, scopes = given("McpAuth", client, OAuth2Client, AsyncOAuth2Client)
        super().__init__(source, scopes)
        self._desk = Desk(core_of(client))
        self._credential: OAuth2Credential = self._desk.core.credential(source.key.credential)
        if self._credential.security_profile != "mcp":
            msg = f"McpAuth is for MCP servers, and {source.key.credential!r} is not declared as one"
            hint = (
                f'wire_oauth2_credential({source.key.credential!r}, security_profile="mcp", api_base_url="https://...")'
            )
            raise ConfigurationError(msg, code="profile_unmet", hint=hint)
        self._sign_in = sign_in
        self._redirect_uri = redirect_uri
        self._door = threading.Lock()
        self._open: Future[None] | None = None
        self._given_up: set[frozenset[str]] = set()

    # -- the two drivers

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Run by the blocking client."""
        result: Any = None
        with closing(self._steps(request)) as steps:
            while (step := _next(steps, result)) is not None:
                result = _outcome(self._taken, step) if isinstance(step, (_Do, _Ask)) else (yield step)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Run by the asynchronous client: what blocks does so in a thread that a cancelled task does not touch."""
        result: Any = None
        with closing(self._steps(request)) as steps:
            while (step := _next(steps, result)) is not None:
                if isinstance(step, (_Do, _Ask)):
                    try:
                        result = await self._awaited(step)
                    except Exception as error:  # noqa: BLE001 - it is raised where the step was taken
                        result = error
                else:
                    result = yield step

    async def _awaited(self, step: _Do | _Ask) -> Any:
        if isinstance(step, _Do):
            return await self._desk.core.beside(step.function)
        answer = cast("SignIn", self._sign_in)(step.url)
        return await answer if inspect.isawaitable(answer) else answer

    def _taken(self, step: _Do | _Ask) -> Any:
        if isinstance(step, _Do):
            return step.function()
        answer = cast("SignIn", self._sign_in)(step.url)
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            msg = "sign_in is async, and the HTTP client is not"
            raise ConfigurationError(msg, code="client_unsuitable", hint="use httpx2.AsyncClient, or a plain function")
        return answer

    # -- what they drive: each step is a request, something that blocks, or a person

    def _steps(self, request: Any) -> _Steps:
        token, problem = yield from self._held()
        signed_in, asked = False, set[frozenset[str]]()
        while True:
            response = yield from self._sent(request, token)
            if response.status_code not in REFUSING:
                return
            request = response.request
            challenges = parse_challenges(response.headers.get_list(CHALLENGE))
            if response.status_code == _UNAUTHORIZED and not signed_in:
                token = yield from self._after_401(response, challenges, token, problem)
                signed_in = True
            elif token is not None and (wanted := self._wanted(response, token, challenges)):
                token = yield from self._stepped_up(token, challenges, wanted, asked)
            else:
                return
            if token is None or not isinstance(request.stream, self._in_memory):
                return

    def _sent(self, request: Any, token: Token | None) -> _Steps:
        """Send a request, once more where the server wants a nonce in its proof."""
        if token is None:
            request.headers.pop(AUTHORIZATION, None)
            return (yield request)
        self._dress(request, token)
        response = yield request
        if token.proofs is not None and self._again_with_nonce(response, token):
            response = yield response.request
            self._hear(response, token)
        return response

    def _held(self) -> _Steps:
        """Return the token, None where there is none, and why."""
        token = self._source.token
        if token is not None and self._source.now() < token.until:
            return token, None
        return (yield from self._tried(self._source.get))

    def _tried(self, get: Callable[[], Token | None]) -> _Steps:
        """Get a token; where a person has to sign in, return None and why."""
        try:
            return (yield from self._did(get)), None
        except ReauthorizationRequired as error:
            return None, _Problem(error)
        except ValetkeyError as error:
            if error.code not in _MOVED:
                raise
            return None, _Problem(error)

    def _did(self, function: Callable[[], Any]) -> _Steps:
        result = yield _Do(function)
        if isinstance(result, BaseException):
            raise result
        return result

    # -- answers that refuse

    def _after_401(
        self, response: Any, challenges: tuple[Challenge, ...], token: Token | None, problem: _Problem | None
    ) -> _Steps:
        """Return the token to try again with after a 401: a refreshed one where that will do, else of a new sign-in."""
        if token is None:
            if not host_allowed(str(response.request.url), allowed_hosts(self._credential)):
                return None
            yield from self._noted(challenges)
            return (yield from self._signed_in(None, problem, ()))
        explicit = self._refuses(response, token)
        if explicit is None:
            return None
        if (yield from self._did(lambda: self._moved(challenges))):
            return (yield from self._signed_in(token, None, ()))
        newer, problem = yield from self._tried(lambda: self._source.heal(token.fingerprint, explicit=explicit))
        return newer if problem is None else (yield from self._signed_in(token, problem, ()))

    def _wanted(self, response: Any, token: Token, challenges: tuple[Challenge, ...]) -> tuple[str, ...]:
        """Return the scopes that a 403 of our server asks for (RFC 6750 section 3.1)."""
        if response.request.headers.get(AUTHORIZATION) != token.header:
            return ()
        verdict = judge(response.status_code, challenges, refresh_on_403=False)
        return verdict.scopes if verdict.kind == "scope" else ()

    def _stepped_up(
        self, token: Token, challenges: tuple[Challenge, ...], wanted: tuple[str, ...], asked: set[frozenset[str]]
    ) -> _Steps:
        """Ask a person for the scopes that are missing: once for each set of them, and `STEP_UPS` times a request."""
        these = frozenset(wanted)
        if these in self._given_up or these in asked or len(asked) >= STEP_UPS:
            self._given_up.add(these)
            raise self._in_vain(token, wanted)
        asked.add(these)
        yield from self._noted(challenges)
        return (yield from self._signed_in(token, _Problem(self._in_vain(token, wanted)), wanted))

    def _in_vain(self, token: Token, wanted: tuple[str, ...]) -> ScopesMissing:
        missing = tuple(scope for scope in wanted if scope not in token.granted) or wanted
        msg = f"the MCP server wants more than {self._source.key} was granted: {', '.join(missing)}"
        hint = f"sign in and grant them: valetkey connect {self._source.key.credential}"
        return ScopesMissing(msg, granted=token.granted, missing=missing, hint=hint)

    def _noted(self, challenges: tuple[Challenge, ...]) -> _Steps:
        from valetkey.engine.resources import note_challenge  # noqa: PLC0415 - only for answers that refuse

        world = self._desk.core.world
        yield from self._did(lambda: note_challenge(world, self._credential, challenges))

    def _moved(self, challenges: tuple[Challenge, ...]) -> bool:
        """Whether people sign in for the server elsewhere now than when this connection was made."""
        from valetkey.engine.resources import moved, note_challenge  # noqa: PLC0415

        world = self._desk.core.world
        known = note_challenge(world, self._credential, challenges)
        record = world.store.load(self._source.key)
        return bool(known.named) and record is not None and moved(world, self._credential, record.issuer)

    # -- signing in

    def _signed_in(self, token: Token | None, problem: _Problem | None, scopes: tuple[str, ...]) -> _Steps:
        """Have a person sign in, one for all requests that wait for it; return the token that came of it."""
        if self._sign_in is False and self._credential.grant != "client_credentials":
            if problem is None:
                return None
            raise problem.error
        newer = yield from self._of_others(token, scopes)
        if newer is not None:
            return newer
        with self._door:
            mine = self._open is None
            if self._open is None:
                self._open = Future()
            waiting = self._open
        if not mine:
            yield from self._did(waiting.result)
            return (yield from self._did(self._source.get))
        try:
            yield from self._through_the_door(scopes)
        except BaseException as error:
            self._shut(error)
            raise
        self._shut(None)
        return (yield from self._did(self._source.get))

    def _of_others(self, token: Token | None, scopes: tuple[str, ...]) -> _Steps:
        """Return the token that somebody else's sign-in brought meanwhile."""
        newer, _ = yield from self._tried(self._source.get)
        if newer is None or (token is not None and newer.fingerprint == token.fingerprint):
            return None
        return newer if set(scopes).issubset(newer.granted) else None

    def _through_the_door(self, scopes: tuple[str, ...]) -> _Steps:
        key, desk = self._source.key, self._desk
        if self._sign_in is True or self._credential.grant == "client_credentials":
            yield from self._did(lambda: desk.connect(key.credential, key.owner, key.account, scopes, "browser", None))
            return
        start = yield from self._did(
            lambda: desk.authorize(key.credential, key.owner, key.account, scopes, self._redirect_uri)
        )
        callback = yield _Ask(start.url)
        if isinstance(callback, BaseException):
            raise callback
        yield from self._did(lambda: desk.finish(callback, start.binding, key.owner))

    def _shut(self, error: BaseException | None) -> None:
        with self._door:
            waiting, self._open = self._open, None
        if waiting is None:
            return
        if error is None:
            waiting.set_result(None)
            return
        given_up = ConnectError("the sign-in was given up", code="connect_interrupted", hint="send the request again")
        waiting.set_exception(error if isinstance(error, Exception) else given_up)


def _next(steps: _Steps, result: Any) -> Any:
    """Return the next step, None after the last."""
    try:
        return steps.send(result)
    except StopIteration:
        return None


def _outcome(take: Callable[[Any], Any], step: _Do | _Ask) -> Any:
    """Return what a step brings, also where that is an error: it is raised where the step was taken."""
    try:
        return take(step)
    except Exception as error:  # noqa: BLE001
        return error
