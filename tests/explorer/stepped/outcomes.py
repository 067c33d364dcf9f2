"""What is to come of a play beside the promises: who gets which token, and how often the server is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepped.interleaving import Broken
from stepped.promises import grant_of, tokens_of
from stepped.small_server import serial

if TYPE_CHECKING:
    from stepped.plays import Scene

NEXT = "a2"
"""The access token that the first refresh brings."""


def outcomes(scene: Scene) -> dict[str, Any]:
    """Return what came of those who were not killed."""
    return {name: racer.outcome for name, racer in scene.racers.items() if racer.status == "done"}


def one_refresh_for_all(scene: Scene) -> list[str]:
    """Look that the server was asked once, and that what it answered served everybody."""
    _demand(scene.server.asked == scene.server.refreshes == 1, f"the server was asked {scene.server.asked} times")
    for name, outcome in outcomes(scene).items():
        _demand(outcome == NEXT, f"{name} got {outcome}")
    return []


def one_refresh_each(scene: Scene) -> list[str]:
    """Look that each got a token of its own, by one refresh each, and that the row holds both."""
    got = set(outcomes(scene).values())
    _demand(scene.server.asked == scene.server.refreshes == 2, f"the server was asked {scene.server.asked} times")
    _demand(got == {"a2", "a3"}, f"they got {got}")
    row = scene.row()
    _demand(row is not None and tokens_of(row) == {"a1", "a2", "a3"}, "the row does not hold all of them")
    return []


def one_refresh_ahead(scene: Scene) -> list[str]:
    """Look that the server was asked once, and that whoever did not ask went on with the old token."""
    _demand(scene.server.asked == 1, f"the server was asked {scene.server.asked} times")
    tokens = set(outcomes(scene).values())
    _demand(NEXT in tokens and tokens <= {"a1", NEXT}, f"they got {tokens}")
    return []


def nothing_sent(scene: Scene) -> list[str]:
    """Look that nothing was asked for."""
    _demand(scene.server.asked == 0, f"the server was asked {scene.server.asked} times")
    _demand(set(outcomes(scene).values()) == {"none"}, f"they got {outcomes(scene)}")
    return []


def told_once(scene: Scene) -> list[str]:
    """Look that an access which was withdrawn is asked for once, and that everybody is told."""
    row = scene.row()
    _demand(scene.server.asked == 1, f"the server was asked {scene.server.asked} times")
    _demand(row is not None and (row.state, row.reason) == ("needs_reauth", "revoked"), "the row does not say so")
    for name, outcome in outcomes(scene).items():
        _demand(outcome == "a person must act: revoked", f"{name} got {outcome}")
    return []


def served(scene: Scene) -> list[str]:
    """Look that whoever asked for a token has a new one in the end, or knows that the grant is lost."""
    for name, outcome in outcomes(scene).items():
        told = outcome.startswith("a person must act")
        _demand(told or (outcome[0] == "a" and serial(outcome) > 1), f"{name} got {outcome}")
    return []


def renewed_or_still_good(scene: Scene) -> list[str]:
    """Look that whoever asked has a new token, or goes on with the old one, which lives while it is renewed."""
    for name, outcome in outcomes(scene).items():
        _demand(outcome.startswith(("a person must act", "a")), f"{name} got {outcome}")
    row = scene.row()
    _demand(scene.dead() or row is None or row.state != "connected" or grant_of(row)[1] != "a1", "nothing was renewed")
    return []


def disconnected(scene: Scene) -> list[str]:
    """Look that a disconnect which came to its end has the last word against a refresh."""
    done = outcomes(scene)
    row = scene.row()
    _demand("B" not in done or (row is not None and row.state == "disconnected"), "the disconnect had no effect")
    old = {"a1"} if scene.case.by_access else set[str]()
    _demand(done.get("A", NEXT) in {NEXT, "not connected"} | old or bool(scene.faults), f"A got {done.get('A')}")
    return []


def connected_anew(scene: Scene) -> list[str]:
    """Look that a sign-in which came to its end has the last word against a refresh."""
    row = scene.row()
    _demand(row is not None and row.state != "disconnected", "the connection is gone")
    if outcomes(scene).get("B") == "connected" and row is not None:
        _demand(scene.holds_newest(), "the row does not hold the newest sign-in's grant")
    _demand(bool(scene.faults) or outcomes(scene)["B"] == "connected", "the sign-in failed")
    return []


def one_of_both(scene: Scene) -> list[str]:
    """Look that of a disconnect and a sign-in one ends as the row says."""
    row = scene.row()
    done = outcomes(scene).get("B")
    known = {"connected", "connection_disconnected", "state_mismatch"}
    _demand(done is None or done in known or bool(scene.faults), f"the sign-in ended with {done}")
    _demand(row is not None and row.state in {"connected", "disconnected"}, "the row is neither")
    return []


def all_live(scene: Scene) -> list[str]:
    """Look that every connection which has a grant has one that lives."""
    for row in scene.rows():
        _demand(row.sealed is None or scene.server.takes(grant_of(row)[0]), f"{row.key} holds a dead grant")
    done = outcomes(scene).get("B")
    _demand(done in {None, "connected"} or bool(scene.faults), f"the sign-in ended with {done}")
    return []


def how_it_ended(scene: Scene) -> list[str]:
    """Tell all that can be seen at the end, so that two explorations can be compared."""
    row = scene.row()
    seen = {name: getattr(outcome, "told", outcome) for name, outcome in outcomes(scene).items()}
    return [f"{seen} {row and (row.state, row.reason, row.incarnation, row.version, row.doubt)}"]


def _demand(well: bool, otherwise: str) -> None:
    if not well:
        raise Broken(otherwise)
