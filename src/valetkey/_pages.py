"""The small pages that the loopback listener shows: one file each, no script, nothing to fetch.

All values are escaped here.  The one style sheet stands in the page and its hash in the Content-Security-Policy.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

from valetkey.errors import clean

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:light-dark(#f7f7f5,#111214);"
    "color:light-dark(#1a1c1f,#e8e9eb);font:15px/22px system-ui,sans-serif}"
    "main{box-sizing:border-box;width:min(424px,100% - 32px);padding:28px;"
    "border:1px solid light-dark(#e4e4df,#2a2d32);border-radius:14px;background:light-dark(#fff,#18191c);"
    "overflow-wrap:anywhere}"
    "svg{display:block;width:44px;height:44px;fill:none;stroke:currentColor;stroke-width:2.4;"
    "stroke-linecap:round;stroke-linejoin:round}"
    ".g{color:light-dark(#17693f,#6dd39d)}.b{color:light-dark(#ab1d28,#ff9c9c)}"
    ".n,small{color:light-dark(#565b62,#a6acb4)}"
    "h1{font-size:20px;line-height:27px;margin:18px 0 6px}p{margin:0 0 12px}"
    "small{font-size:13px;line-height:19px;display:block}code{font:13px ui-monospace,Menlo,Consolas,monospace}"
    "a{color:inherit}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'"
)
HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": f"{_POLICY}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers of every page of the listener."""

_ICONS: Final = {
    "g": "M14 22.6l5.4 5.4L30.4 16.2",
    "n": "M14 22h16",
    "b": "M22 12v13M22 31v.1",
}
_DROPPED: Final = "The answer belongs to another sign-in, or came too late. For your safety it was dropped."
_SENTENCES: Final = {
    "state_mismatch": _DROPPED,
    "binding_mismatch": _DROPPED,
    "issuer_mismatch": "The answer came from a different server than the one asked. It was dropped.",
    "code_refused": "The sign-in took too long, or its answer was used twice.",
    "client_rejected": "The provider does not accept the app's own credentials. Signing in again cannot mend that.",
    "provider_unavailable": "The provider is not reachable, or asks for patience.",
    "wrong_user": "The sign-in was started by somebody else.",
    "connection_disconnected": "It was disconnected while you signed in. The new access was dropped.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How connecting ended, for the page that the person sees.

    Attributes:
        kind: What happened.
        provider: The credential's name for people.
        identity: Who was connected, where known.
        granted: How many of the scopes asked for were given.
        requested: How many were asked for.
        code: The error code, where it failed.
        again: The command that starts again.
    """

    kind: Literal["connected", "denied", "failed"]
    provider: str
    identity: str = ""
    granted: int = 0
    requested: int = 0
    code: str = ""
    again: str = ""


def finish_page(outcome: Outcome) -> bytes:
    """Return the page that tells how connecting ended."""
    if outcome.kind == "connected":
        return _connected(outcome)
    if outcome.kind == "denied":
        return _denied(outcome)
    return failed_page(outcome.provider, outcome.code)


def failed_page(provider: str, code: str) -> bytes:
    """Return the page for a sign-in that went wrong, or an answer that was refused."""
    sentence = _SENTENCES.get(code, "Something went wrong on the last step. Nothing was connected.")
    return _page(
        "Not connected",
        icon="b",
        heading=f"{_text(provider)} could not be connected",
        body=escape(sentence),
        small=f"Close this tab. The terminal says what to do next. Code: <code>{_text(code)}</code>.",
    )


def unknown_page(provider: str) -> bytes:
    """Return the page for an answer whose outcome is not known yet."""
    return _page(
        "Answered",
        icon="n",
        heading="Your answer has arrived",
        body=f"{_text(provider)} has not confirmed it yet.",
        small="Close this tab. The terminal says how it went.",
    )


def answered_page(provider: str) -> bytes:
    """Return the page for a second answer to the same sign-in."""
    return _page(
        "Already answered",
        icon="n",
        heading="This was answered already",
        body=f"The sign-in at {_text(provider)} takes one answer, and it has one.",
        small="Close this tab. The terminal says how it went.",
    )


def used_page() -> bytes:
    """Return the page for a start link that was opened before, elsewhere."""
    return _page(
        "Already opened",
        icon="n",
        heading="This link was opened already",
        body="It works once, in one browser.",
        small="Close this tab. To try again, start over in the terminal.",
    )


def plain_page(heading: str) -> bytes:
    """Return a page that says no more than its heading."""
    return _page("valetkey", icon="n", heading=_text(heading), body="There is nothing to see here.", small="")


def start_page(url: str, heading: str, link: str) -> bytes:
    """Return the local file that sends the browser to `url`, an address of ours; heading and link are plain text."""
    return _page(
        heading.partition(" ")[0],
        icon="n",
        heading=_text(heading),
        body=f'<a href="{escape(url)}">{_text(link)}</a>',
        small="Your browser should go on by itself.",
        head=f'<meta http-equiv="refresh" content="0;url={escape(url)}">\n',
    )


def _connected(outcome: Outcome) -> bytes:
    scopes = f"{outcome.granted} of {outcome.requested} scopes" if outcome.requested else ""
    person = f"<b>{_text(outcome.identity)}</b>" if outcome.identity else ""
    said = ", ".join(part for part in (person, scopes) if part) or "Access was given"
    return _page(
        "Connected",
        icon="g",
        heading=f"{_text(outcome.provider)} is connected",
        body=f"{said}.",
        small="You can close this tab and go back to the terminal.",
    )


def _denied(outcome: Outcome) -> bytes:
    again = f" To try again, run <code>{_text(outcome.again)}</code>." if outcome.again else ""
    return _page(
        "Not connected",
        icon="n",
        heading="Nothing was connected",
        body=f"{_text(outcome.provider)} reports that access was not allowed. Nothing was stored.",
        small=f"Close this tab.{again}",
    )


def _text(value: str) -> str:
    return escape(clean(value, 120))


def _page(title: str, *, icon: str, heading: str, body: str, small: str, head: str = "") -> bytes:
    """Put a page together from parts that are HTML already."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
{head}<title>{title} · valetkey</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<main>
<svg class="{icon}" viewBox="0 0 44 44" aria-hidden="true"><circle cx="22" cy="22" r="20"/>\
<path d="{_ICONS[icon]}"/></svg>
<h1>{heading}</h1>
<p>{body}</p>
<small>{small}</small>
</main>
</body>
</html>
""".encode()
