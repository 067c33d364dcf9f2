"""What is promised of every schedule, looked at after each move and once more at the end."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from stepped.interleaving import Broken, Racer
from stepped.label_sealer import unlabelled
from stepped.small_server import serial

from valetkey.model.connections import Record
from valetkey.values import Secret

if TYPE_CHECKING:
    from stepped.plays import Scene
    from stepped.stage import Flying

OVERTAKEN: Final = "sent a token that a frozen holder of a run-out claim might send too"


class Promises:
    """Watches a play.

    Attributes:
        spending: Racer -> fingerprint of the refresh token which it may be sending: it has claimed it, and has
            neither stored an answer nor given the claim back.
        hand: The racers whom the server has given a successor that is in no row yet.
        lost: Whether a successor went to nobody: its racer was killed, or the answer lost.
        late: Whether the server works on a request after its connection had closed.
        replaced: Families (by number) whose place in the row a newer sign-in took.
        words: What is to be said of the schedule at its end.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._row: Record | None = scene.row()
        self.spending: dict[str, str] = {}
        self.hand: set[str] = set()
        self.lost = False
        self.late = False
        self.replaced: set[int] = set()
        self.words: set[str] = set()

    def key(self) -> Hashable:
        hand, spending = tuple(sorted(self.hand)), tuple(sorted(self.spending.items()))
        return (spending, hand, self.lost, self.late, *sorted(self.replaced), *sorted(self.words))

    # -- told by the stage

    def called(self, racer: Racer, name: str, args: tuple[Any, ...], how: Mapping[str, Any], result: object) -> None:
        """Hear of a call to the store, right after it took effect."""
        if name == "claim" and result is not None:
            self.spending[racer.name] = how["spending"]
        elif name == "swap":
            self.spending.pop(racer.name, None)
            if result is not None and args[0].state == "connected":
                self.hand.discard(racer.name)

    def idle(self, racer: Racer) -> None:
        """Hear that a racer has given up for now: nothing of its last try is under way."""
        self.spending.pop(racer.name, None)
        self.hand.discard(racer.name)

    def leaves(self, racer: Racer, what: str) -> None:
        """Hear that a request leaves: nothing that is spent, nor what another live holder may be sending."""
        kind, _, token = what.partition(" ")
        if kind != "refresh":
            return
        others = {name for name, theirs in self.spending.items() if theirs == fingerprint(token)} - {racer.name}
        rivals = {name for name in others if self._scene.lives(name)}
        if rivals:
            self._overtaken(
                {racer.name, *rivals}, "a refresh token is sent while another live holder may be sending it"
            )
        if self._spent(token):
            self._overtaken(set(self._scene.racers), "a refresh token is sent of which the row holds the successor")

    def _spent(self, token: str) -> bool:
        if self._row is None or self._row.sealed is None:
            return False
        current = grant_of(self._row)[0]
        return current != token and self._scene.server.family(current) is self._scene.server.family(token)

    def _overtaken(self, who: set[str], what: str) -> None:
        """Count what may come of freezing a process past its claim's life; anything else must not be."""
        if not who & self._scene.froze:
            raise Broken(what)
        self.words.add(OVERTAKEN)

    def answered(self, flying: Flying) -> None:
        """Hear that the server has answered: who has the successor in hand?"""
        if not flying.what.startswith("refresh ") or flying.came is None or flying.came.status != 200:
            return
        if flying.gone or not self._scene.lives(flying.sender):
            self.lost = True
        else:
            self.hand.add(flying.sender)

    def written_down(self, racer: Racer) -> None:
        """Hear that a racer has written its answer down: it is in reach of others of its host, whatever comes."""
        self.hand.discard(racer.name)

    def killed(self, racer: Racer) -> None:
        self.spending.pop(racer.name, None)
        under_way = self._scene.network.under_way()
        self.late |= any(flying.sender == racer.name and flying.what.startswith("refresh ") for flying in under_way)
        if racer.name in self.hand:
            self.hand.remove(racer.name)
            self.lost = True

    # -- after each move

    def watch(self) -> None:
        """Compare the row with what it was before the move."""
        before, now = self._row, self._scene.row()
        if now is before:
            return
        self._row = now
        if before is None or now is None:
            return
        if before.state == "disconnected" and now.state != "disconnected":
            self._came_back(before)
        if now.incarnation < before.incarnation:
            msg = "an older incarnation replaces a newer one"
            raise Broken(msg)
        if now.sealed is not None and before.sealed is not None and now.sealed != before.sealed:
            self._not_older(before, now)

    def _came_back(self, before: Record) -> None:
        started = [since for since in self._scene.since.values() if since >= before.incarnation]
        if not started:
            msg = "a connection comes back after it was disconnected"
            raise Broken(msg)

    def _not_older(self, before: Record, now: Record) -> None:
        old, new = grant_of(before), grant_of(now)
        if old == new:
            return  # only sealed anew
        families = self._scene.server.families
        theirs, ours = (families.index(self._scene.server.family(refresh)) for refresh, _ in (old, new))
        if theirs == ours and serial(new[1]) <= serial(old[1]):
            msg = "an older grant overwrites a newer one"
            raise Broken(msg)
        if now.incarnation == before.incarnation and theirs != ours:
            msg = "the grant of another sign-in gets into an incarnation"
            raise Broken(msg)
        if theirs > ours and len(self._scene.since) < 2:  # of two that sign in, the one who finishes last is right
            msg = "the grant of an older sign-in replaces that of a newer one"
            raise Broken(msg)
        if theirs != ours:
            self.replaced.add(theirs)

    # -- at the end

    def end(self) -> list[str]:
        row = self._scene.row()
        if row is None or row.state == "disconnected":
            self._nothing_lives_on()
        elif row.sealed is not None:
            self._grant_is_well(row)
        if row is not None and row.claim is not None and not self._scene.dead():
            if not self._scene.fault_struck():
                msg = "a claim is left behind"
                raise Broken(msg)
            self.words.add("left a claim to run out")
        return sorted(self.words)

    def _nothing_lives_on(self) -> None:
        """After a disconnect nothing lives at the server: where the server can revoke, and nothing was lost."""
        server = self._scene.server
        wanted = [server.family(grant_of(row)[0]) for row in self._scene.rows() if row.sealed is not None]
        living = {n for n, family in enumerate(server.families) if family.lives and family not in wanted}
        if living and living <= self.replaced and server.reach != "token":
            self.words.add("left the grant of an earlier sign-in to its end, as nobody knows whether it is another")
        elif not living:
            return
        elif self._scene.dead():
            self.words.add("disconnected, and a killed process left a grant alive at the server")
        elif self.lost:
            self.words.add("disconnected, and a successor that went to nobody lives at the server")
        elif self._scene.said_may_live():
            self.words.add("disconnected, and said that a token may live on")
        elif self._scene.gave_up():
            self.words.add("disconnected, and a sign-in could not store its grant, which lives at the server")
        elif self._scene.kept_for_later():
            self.words.add("disconnected, and the store was away when what a refresh brought was to be revoked")
        elif self._scene.swap_lost and len(server.families) > 1:
            self.words.add("disconnected, and as the store's answer was lost nobody knew of the grant before the last")
        else:
            msg = "disconnected, and a grant lives on at the server"
            raise Broken(msg)

    def _grant_is_well(self, row: Record) -> None:
        token = grant_of(row)[0]
        server = self._scene.server
        if server.takes(token):
            if row.state == "needs_reauth":
                msg = "a healthy grant is marked needs_reauth"
                raise Broken(msg)
            return
        family = server.family(token)
        cause = "revocation" if token in family.revoked else family.ended_by
        if cause == "revocation":
            msg = "our own revocation ended the grant that the row holds"
            raise Broken(msg)
        if cause != "person":
            self._lost_for_a_reason(row)

    def _lost_for_a_reason(self, row: Record) -> None:
        mode = self._scene.server.on_reuse
        if self.lost and mode in {"revoke", "deny"}:
            self.words.add("lost the grant: its only successor went to nobody")
        elif OVERTAKEN in self.words and mode == "revoke":
            self.words.add("lost the grant: a frozen holder and its successor both sent")
        elif self.late and mode == "revoke":
            self.words.add("lost the grant: the server worked on a request after its connection had closed")
        else:
            msg = "the grant is lost"
            raise Broken(msg)
        if row.state == "needs_reauth" and row.reason not in {"lost_in_rotation", "reuse_detected"}:
            msg = f"the grant was lost by us, and the row says {row.reason}"
            raise Broken(msg)


@cache
def fingerprint(token: str) -> str:
    return Secret(token).fingerprint()


def grant_of(record: Record) -> tuple[str, str]:
    """Return the refresh token in a row, and the newest of its access tokens: its own, or that of a resource."""
    assert record.sealed is not None
    return _tokens(record.sealed.blob)


def tokens_of(record: Record) -> set[str]:
    """Return all access tokens in a row."""
    assert record.sealed is not None
    token = json.loads(unlabelled(record.sealed.blob))
    return {token["access_token"], *(one["access_token"] for one in token.get("resource_tokens", {}).values())}


@cache
def _tokens(blob: bytes) -> tuple[str, str]:
    token = json.loads(unlabelled(blob))
    others = [one["access_token"] for one in token.get("resource_tokens", {}).values()]
    return token["refresh_token"], max((token["access_token"], *others), key=serial)
