"""The few pages that a person sees at the practice provider: plain HTML forms, no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from valetkey.testing._http import Reply

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:12vh auto;padding:0 1rem;color:#1c1c1c}"
    "input,button{font:inherit;padding:.4rem .8rem;margin:.2rem .4rem .2rem 0}"
    "button{cursor:pointer}label{display:block;margin:.8rem 0}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}}"
)
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
}


def page(status: int, title: str, *paragraphs: str, form: str = "") -> Reply:
    """Write a page; `paragraphs` are plain text, `form` is HTML."""
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>{text}{form}</html>"
    )
    return Reply(status, html.encode(), _HEADERS)


def consent(action: str, request_id: str, *, client: str, scopes: Sequence[str], login: str) -> Reply:
    """Ask the person whether a client may have these scopes."""
    asks = f"{client} asks for: {', '.join(scopes)}." if scopes else f"{client} asks for nothing but your name."
    return page(200, "Practice provider", asks, form=_form(action, login, f"{_hidden('request', request_id)}"))


def device(action: str, user_code: str, *, login: str) -> Reply:
    """Ask the person for the code that a device shows (RFC 8628 section 3.3)."""
    field = f'<label>Code on your device <input name="user_code" value="{escape(user_code)}" required></label>'
    return page(
        200, "Connect a device", "Check that the code is the one that you see there.", form=_form(action, login, field)
    )


def _form(action: str, login: str, fields: str) -> str:
    return (
        f'<form method="post" action="{escape(action)}">{fields}'
        f'<label>Sign in as <input name="login" value="{escape(login)}" autocomplete="off" required></label>'
        '<button name="decision" value="approve">Approve</button>'
        '<button name="decision" value="deny">Deny</button></form>'
    )


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
