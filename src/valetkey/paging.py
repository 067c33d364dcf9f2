"""Lists of connections by the state that is told of them, which is not always the one that is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from valetkey.errors import ConfigurationError, clean
from valetkey.model.connections import Page, Query, State

if TYPE_CHECKING:
    from valetkey.core import Core


def check_state(state: str | None) -> None:
    """Refuse a state that no connection can be told to be in.

    Raises:
        ConfigurationError: ``state_unknown``, with those that there are.
    """
    if state is not None and state not in get_args(State):
        msg, states = f"state={clean(state, 40)!r} is no state of a connection", ", ".join(get_args(State))
        raise ConfigurationError(msg, code="state_unknown", hint=f"use one of {states}")


def page_of(core: Core, query: Query, state: State | None, cursor: str | None, limit: int) -> Page:
    """Return a page of connections, of those in one state where it is given."""
    if state is None:
        return core.statuses(query, cursor, limit)
    from valetkey.engine.listing import told_page  # noqa: PLC0415 - tokens are asked for more often

    known = {one.name: one for one in core.credentials()}
    return told_page(
        core.store,
        query,
        state,
        (cursor, limit),
        now=core.clock.now(),
        sick=core.app_errors(),
        credential=lambda name: known.get(name) or core.credential(name),
    )
