"""The key pairs of an app: one that is typed or made here, and the one that waits put to use."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from valetkey.app_keys import make_key, take_key, use_key
from valetkey.errors import ConfigurationError
from valetkey.server.asking import Ask, post
from valetkey.server.notices import go_with
from valetkey.server.pages.apps import PAGE, declared, page
from valetkey.values import Secret

_LONGEST: Final = 8192
_DONE: Final = {
    "replaced": ("The new key is in use.", "Nobody signs in again."),
    "waiting": (
        "The new key follows.",
        "It is tried with the next refresh that is due; until it has worked once, the one in use stays.",
    ),
}


def keep_key(ask: Ask) -> Response:
    """Keep a private key that was typed, or make one."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    core, typed = ask.server.core, ask.field("private_key").strip()
    if len(typed) > _LONGEST:
        return page(ask, credential, trouble="The private key is not one: it is too long. Copy it again.", status=400)
    try:
        made = take_key(core, credential, Secret(typed)) if typed else make_key(core, credential)
    except ConfigurationError as error:
        return page(ask, credential, trouble=f"{error}: {error.hint}.", status=400)
    used = "It is used from now on." if made.key.role == "in_use" else "It is published, and waits until you use it."
    return go_with(ask, f"{PAGE}/{credential.name}", "ok", "The key is kept, sealed.", used)


def follow(ask: Ask) -> Response:
    """Let the key that waits follow the one in use."""
    credential = declared(ask)
    if credential is None:
        return ask.page("not-found.html", status=404)
    try:
        done = use_key(ask.server.core, credential, actor=ask.operator.operator)
    except ConfigurationError as error:
        return page(ask, credential, trouble=f"{error}: {error.hint}.", status=400)
    path = f"{PAGE}/{credential.name}"
    return ask.go(path) if done.state == "refused" else go_with(ask, path, "ok", *_DONE[done.state])


ROUTES: Final = [
    post(f"{PAGE}/{{credential}}/key", keep_key, grade="everything", fresh=True),
    post(f"{PAGE}/{{credential}}/key/use", follow, grade="everything", fresh=True),
]
