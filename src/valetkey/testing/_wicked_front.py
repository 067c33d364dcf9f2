"""Switches of the wicked server: its metadata, and what comes back through the browser, in the clear or signed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from valetkey.testing._faults import HTML_PAGE, OMIT
from valetkey.testing._wicked import EVIL, HUGE, JSON, Pairs, answer, both, change, located, rule, switch

if TYPE_CHECKING:
    from valetkey.testing._wicked import Switch
    from valetkey.testing.wicked import WickedServer

_STOP: Final = "stop before authorization"
_REJECT: Final = "reject, without a token request"
_MARKUP: Final = "<script>alert(1)</script>\x1b[31m" + "x" * 2000
_TOO_OLD: Final = 600


def _wrong_issuer_and_error(server: WickedServer) -> None:
    server.deny_next("access_denied", "call +1 555 0100 to get your money back", times=1000)
    server.answer_iss(EVIL)


def _bent(bend: Callable[[Pairs], Pairs]) -> Callable[[WickedServer], None]:
    """Return what changes what the browser carries back, from the endpoint itself or from its page."""
    return both(
        lambda server: server.twist("authorization", located(bend)), lambda server: server.twist("pages", located(bend))
    )


def _twice(name: str) -> Callable[[WickedServer], None]:
    return _bent(lambda pairs: [*pairs, *((key, "other") for key, _ in pairs if key == name)])


def _outside(**members: str) -> Callable[[WickedServer], None]:
    return _bent(lambda pairs: [*pairs, *members.items()])


_DISCOVERY = (
    switch(
        "metadata-issuer-other",
        "its metadata names another issuer",
        _STOP,
        "RFC 8414 3.3",
        change("discovery", issuer=EVIL),
    ),
    switch(
        "metadata-issuer-slash",
        "its metadata names its issuer with a slash more",
        _STOP,
        "RFC 8414 3.3",
        lambda server: server.change_answer(endpoint="discovery", issuer=server.issuer + "/"),
    ),
    switch(
        "metadata-issuer-missing", "its metadata names no issuer", _STOP, "RFC 8414 2", change("discovery", issuer=OMIT)
    ),
    switch(
        "metadata-html",
        "its metadata is a page of HTML with status 200",
        _STOP,
        "RFC 8414 3.2",
        answer("discovery", 200, HTML_PAGE, Content_Type="text/html"),
    ),
    switch(
        "metadata-array", "its metadata is a JSON array", _STOP, "RFC 8414 3.2", answer("discovery", 200, b"[]", **JSON)
    ),
    switch(
        "metadata-huge",
        "its metadata has ten megabytes",
        f"{_STOP}, in bounded memory",
        "seen",
        answer("discovery", 200, b'{"issuer": "' + b"x" * HUGE + b'"}', **JSON),
    ),
    switch(
        "metadata-redirect",
        "its metadata redirects to an address inside a data centre",
        f"{_STOP}; do not follow",
        "RFC 9728 7.7",
        answer("discovery", 302, b"", Location="http://169.254.169.254/latest/meta-data"),
    ),
    switch(
        "metadata-no-pkce",
        "its metadata says nothing of PKCE",
        "use it all the same",
        "RFC 9700 2.1.1",
        change("discovery", code_challenge_methods_supported=OMIT),
    ),
)

_AUTHORIZATION = (
    switch(
        "state-wrong", "answers bring another state", _REJECT, "RFC 6749 10.12", change("authorization", state="other")
    ),
    switch("state-missing", "answers bring no state", _REJECT, "RFC 6749 10.12", change("authorization", state=OMIT)),
    switch("iss-wrong", "answers name another issuer", _REJECT, "RFC 9207 2.4", lambda server: server.answer_iss(EVIL)),
    switch(
        "iss-missing",
        "answers name no issuer, though it says that they always do",
        _REJECT,
        "RFC 9207 2.4",
        lambda server: server.omit_iss(),
    ),
    switch(
        "iss-unexpected",
        "answers name another issuer, and it never said that they name one",
        _REJECT,
        "RFC 9207 2.4",
        both(rule(sends_iss=False), lambda server: server.answer_iss(EVIL)),
    ),
    switch(
        "iss-slash",
        "answers name the issuer with a slash more",
        _REJECT,
        "RFC 9207 2.4",
        lambda server: server.answer_iss(server.issuer + "/"),
    ),
    switch(
        "iss-case",
        "answers name the issuer in capital letters",
        _REJECT,
        "RFC 9207 2.4",
        lambda server: server.answer_iss(server.issuer.upper()),
    ),
    switch(
        "iss-wrong-with-error",
        "answers hold an error, and name another issuer",
        f"{_REJECT}; show nothing of the error",
        "RFC 9207 2.4",
        _wrong_issuer_and_error,
    ),
    switch("code-twice", "answers hold two codes", _REJECT, "RFC 6749 3.1", _twice("code")),
    switch("state-twice", "answers hold two states", _REJECT, "RFC 6749 3.1", _twice("state")),
    switch("iss-twice", "answers hold two issuers", _REJECT, "RFC 6749 3.1", _twice("iss")),
    switch(
        "code-missing",
        "answers hold neither a code nor an error",
        _REJECT,
        "RFC 6749 4.1.2",
        change("authorization", code=OMIT),
    ),
    switch(
        "error-with-markup",
        "answers hold an error whose words are markup, terminal codes and endless",
        "show them cleaned and cut",
        "RFC 6749 10.14",
        lambda server: server.deny_next("access_denied", _MARKUP, times=1000),
    ),
    switch(
        "answer-unknown-members",
        "answers hold parameters that nobody knows",
        "ignore them",
        "RFC 6749 4.1.2",
        change("authorization", session_state="s.1", colour="blue"),
    ),
)

_JARM = (
    switch(
        "jarm-alg-none", "signed answers are not signed", _REJECT, "JARM 2.4", lambda s: setattr(s.keys, "alg", "none")
    ),
    switch(
        "jarm-bad-signature",
        "signed answers have a signature that does not hold",
        _REJECT,
        "JARM 2.4",
        lambda server: setattr(server.keys, "forged", 1000),
    ),
    switch(
        "jarm-expired",
        "signed answers ended ten minutes ago",
        _REJECT,
        "JARM 2.4",
        lambda server: server.change_answer(endpoint="jarm", exp=int(server.now()) - _TOO_OLD),
    ),
    switch("jarm-exp-missing", "signed answers have no end", _REJECT, "JARM 2.4", change("jarm", exp=OMIT)),
    switch("jarm-aud-wrong", "signed answers are for another app", _REJECT, "JARM 2.4", change("jarm", aud="other")),
    switch("jarm-aud-missing", "signed answers are for nobody", _REJECT, "JARM 2.4", change("jarm", aud=OMIT)),
    switch("jarm-iss-wrong", "signed answers are of another issuer", _REJECT, "JARM 2.4", change("jarm", iss=EVIL)),
    switch("jarm-iss-missing", "signed answers are of no issuer", _REJECT, "JARM 2.4", change("jarm", iss=OMIT)),
    switch(
        "jarm-iss-outside",
        "signed answers have another issuer beside them",
        _REJECT,
        "RFC 9207 4",
        _outside(iss=EVIL),
    ),
    switch(
        "jarm-downgrade",
        "answers are not signed though they were asked to be",
        _REJECT,
        "JARM 2.3",
        lambda server: setattr(server, "signs_answers", False),
    ),
)

SWITCHES: Final[tuple[Switch, ...]] = (*_DISCOVERY, *_AUTHORIZATION, *_JARM)
