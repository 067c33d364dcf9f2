"""Small values that every layer passes around: secrets, and the requests and responses of a provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, Final, NoReturn, final

Params = Mapping[str, str | tuple[str, ...]]
"""Parameters of a request by name; only ``resource`` may come several times (RFC 8707 section 2)."""
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@final
class Secret:
    """A string that does not show itself.

    It prints as ``Secret(****)`` and refuses to be formatted, pickled, iterated or written as JSON.  ``.reveal()``
    is the one word to look for in a review.

    >>> token = Secret("gho_16C7e42F292c6912E7")
    >>> token
    Secret(****)
    >>> token.reveal()[:4]
    'gho_'
    """

    __slots__ = ("_value",)
    _value: str

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"Secret() takes a string, not {type(value).__name__}"
            raise TypeError(msg)
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """Return the plain text.  Whoever calls this answers for where it goes."""
        return self._value

    def fingerprint(self) -> str:
        """Return 32 hex digits that identify this secret without telling it (SHA-256, cut to 128 bits).

        Only for values with enough entropy of their own, such as tokens.
        """
        from hashlib import sha256  # noqa: PLC0415 - it loads OpenSSL, and a token that is only read needs none

        return sha256(b"valetkey:fingerprint:" + self._value.encode()).hexdigest()[:32]

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest  # noqa: PLC0415

        return compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        msg = "a Secret does not change"
        raise AttributeError(msg)

    def __format__(self, spec: str) -> NoReturn:
        msg = "a Secret is not formatted; call .reveal() where the plain text is really meant"
        raise TypeError(msg)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        msg = "a Secret is not pickled or copied to another process"
        raise TypeError(msg)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


class Value:
    """What a dataclass is like to print and compare, for those that every program loads.

    Each ``__repr__``, ``__eq__`` and ``__hash__`` that `dataclass` writes for one class is compiled at each start: a
    third of what importing valetkey cost.  These do the same for all.
    """

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __repr__(self) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[Any, ...]:
        return tuple(getattr(self, each.name) for each in fields(self) if each.compare)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Request(Value):
    """One HTTP request to an authorization server, ready to send.  Its body and headers may hold secrets: no repr.

    Attributes:
        method: ``POST``, mostly.
        url: Where to.
        headers: Beside those that every request has.
        body: All of it.
        send_by: The moment, on the clock's `monotonic`, after which it must not leave any more; None: any time.
        anew: Makes the request for one attempt at a Unix time in seconds, where something in it is signed and good for
            one attempt only (RFC 7523 section 3, ``jti``); what is here then lacks it.  None: it is whole.
        dated: Whether what it is granted for is signed at a time: then ``invalid_grant`` may speak of the clock.
        dpop_key: The private key of the proof that each attempt carries (RFC 9449 section 5); None: no proof.
        certificate: The certificate and its key, as PEM, of the connection that carries it (RFC 8705); None: none.
        query: What is added to the query of the URL when it is sent, for the few servers that want secrets there.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS, repr=False)
    body: bytes = field(default=b"", repr=False)
    send_by: float | None = None
    anew: Callable[[float], Request] | None = field(default=None, repr=False, compare=False)
    dated: bool = False
    dpop_key: Secret | None = field(default=None, repr=False)
    certificate: Secret | None = field(default=None, repr=False)
    query: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Response(Value):
    """What came back: status, headers (names in lower case) and a body of bounded size.  Its body may hold secrets."""

    status: int
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS, repr=False)
    body: bytes = field(default=b"", repr=False)
