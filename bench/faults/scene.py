"""One scene: a store, an authority, grants, a crew, and at the end the verdict on every grant."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from crew import NAME, Crew, Job, open_valet, owner

from stores import Place
from valetkey.keys.files import FileKeys
from valetkey.model.connections import ConnectionKey, Record
from valetkey.values import Secret

AUTHORITY = Path(__file__).with_name("authority.py")
AROUND = 1.0
"""Seconds between an answer and the death of whoever got it, at most, for the answer to have died with it."""


@dataclass
class Verdict:
    """What became of the grants, by the server's log against the store's rows.

    Attributes:
        grants: How many there are.
        lost: Grants that nobody holds any more, although the server may hold them alive.
        excused: Those of them whose last answer reached nobody that lived.
        misnamed: Excused ones whose row does not say ``lost_in_rotation``.
        marked: Grants that a person must sign in for although the row holds the token that the server would take.
        doubles: Refresh tokens that were sent while another who lived had them under way, or had got the successor.
        again: Refresh tokens that were sent again after an answer that reached nobody.
        requests: How many refresh requests the server got.
        unheard: How many rotations the server itself could not tell anybody.
        late: The grants whose token a process sent when it woke up, for it had been stopped on the way to the send, or
            another sent while the one that had been answered was stopped.
        cuts: How many answers of the store were lost.
        stuck: How many processes did not end, or grants did not settle.
        met: What the crew came across.
    """

    grants: int = 0
    lost: int = 0
    excused: int = 0
    misnamed: int = 0
    marked: int = 0
    doubles: int = 0
    again: int = 0
    requests: int = 0
    unheard: int = 0
    cuts: int = 0
    stuck: int = 0
    late: list[int] = field(default_factory=list)
    met: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


class Scene:
    """Everything that one case needs, in a folder that goes away."""

    def __init__(self, kind: type[Place], grants: int, *, seed: int, grace: float | None = None, **rules: Any) -> None:
        self.grants = grants
        self.folder = Path(tempfile.mkdtemp(prefix="valetkey-faults-"))
        self.folder.chmod(0o755)
        self._authority: subprocess.Popen[str] | None = None
        self.place: Place | None = None
        self.crew: Crew | None = None
        try:
            self._open(kind, seed, grace, rules)
        except BaseException:
            self.close()
            raise

    def _open(self, kind: type[Place], seed: int, grace: float | None, rules: dict[str, Any]) -> None:
        argv = [sys.executable, str(AUTHORITY)]
        self._authority = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._authority.stdout is not None  # noqa: S101 - for the type checker
        self.base = f"http://127.0.0.1:{self._authority.stdout.readline().strip()}"
        (self.folder / "store").mkdir()
        self.place = kind(self.folder / "store")
        FileKeys(self.folder / "key", can_create=True).create()
        self.job = Job("harness", self.base, self.place.url, self.folder, "A", self.grants, grace=grace, seed=seed)
        self.crew = Crew(self.job)
        self.control("set", **rules)
        with open_valet(self.job) as valet:
            report = valet.import_grants(self.row(number) for number in range(self.grants))
        if set(report.counts) != {"created"}:
            raise RuntimeError(str(report))

    def row(self, number: int) -> dict[str, Any]:
        """Return a new grant of the authority for one owner, as `import_grants` takes it."""
        (token,) = self.control("new", count=1)
        now = time.time()
        held = {**token, "obtained_at": now, "expires_at": now + token["expires_in"]}
        return {"credential": NAME, "owner": owner(number), "token": held}

    def control(self, op: str, **wish: Any) -> Any:
        request = urllib.request.Request(f"{self.base}/ctl", json.dumps({"op": op, **wish}).encode())  # noqa: S310
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310 - loopback
            return json.load(response)

    def settle(self, *homes: str) -> None:
        """Have every grant refreshed once more, or given up, from each host."""
        assert self.crew is not None  # noqa: S101
        for home in homes or ("A",):
            hand = self.crew.start(home=home, kind="settle", store=self.job.store, steps=False)
            hand.process.join(150)
            if hand.process.is_alive():
                self.crew.stuck.append(hand.job.who)
                self.crew.kill(hand)

    # -- the verdict

    def verdict(self) -> Verdict:
        """Hold the server's log against the store's rows."""
        log = self.control("log")
        assert self.crew is not None  # noqa: S101
        found = Verdict(grants=self.grants, requests=len(log["sendings"]), cuts=log["cuts"])
        self._count(found, log)
        with open_valet(self.job) as valet:
            core = valet._core
            rows = [core.store.load(ConnectionKey("faults", NAME, owner(number))) for number in range(self.grants)]
        for number, row in enumerate(rows):
            self._judge(found, log, number, row)
        met = self.crew.met()
        met.pop("ok", None)
        found.met = dict(met)
        found.stuck = len(self.crew.stuck) + met.get("unsettled", 0)
        return found

    def _count(self, found: Verdict, log: dict[str, Any]) -> None:
        for again in log["agains"]:
            reached = again["outcome"] in {"open", "answered"}
            if reached and self._woken(again["who"], again["at"]):
                found.late.append(again["grant"])
            elif reached and not self._silent(again["first"], None, again["at"]):
                found.doubles += 1
                found.remarks.append(f"double: {again}")
            else:
                found.again += 1
                if reached and self._slept(again["first"], again["at"]):
                    found.late.append(again["grant"])
        found.unheard = sum(s["outcome"] in {"gone", "lost"} for s in log["sendings"])

    def _judge(self, found: Verdict, log: dict[str, Any], number: int, row: Record | None) -> None:
        if row is None or not row.refresh_fp:
            found.lost += 1
            found.remarks.append(f"u{number}: no row, or an empty one")
            return
        at, token = self._token_of(log, row.refresh_fp)
        grant = log["grants"][at]
        if grant["tokens"][token] in grant["live"]:
            if row.state not in {"connected", "expires_soon"}:
                found.marked += row.state == "needs_reauth"
                found.remarks.append(f"u{number}: {row.state} {row.reason} {row.error} although its grant is healthy")
            return
        found.lost += 1
        told = row.state != "needs_reauth" or row.reason == "lost_in_rotation"
        spendings = [s for s in log["sendings"] if (s["grant"], s["token"]) == (at, token) and s["rotated_at"]]
        if at in found.late:
            found.excused += 1
        elif spendings and all(self._unheard(spending) for spending in spendings):
            found.excused += 1
            found.misnamed += not told
        if not told or not found.excused:
            found.remarks.append(f"u{number}: {row.state} {row.reason} {row.error} {spendings}")

    def _woken(self, who: str, at: float) -> bool:
        """Whether a process sent something right after it had been frozen: it was about to when it was stopped."""
        assert self.crew is not None  # noqa: S101
        frozen = self.crew.hands[who].frozen
        return frozen is not None and 0 < at - frozen[1] < AROUND

    @staticmethod
    def _token_of(log: dict[str, Any], fingerprint: str) -> tuple[int, int]:
        for at, grant in enumerate(log["grants"]):
            for number, token in enumerate(grant["tokens"]):
                if Secret(token).fingerprint() == fingerprint:
                    return at, number
        raise LookupError(fingerprint)

    def _unheard(self, sending: dict[str, Any]) -> bool:
        """Whether a rotation reached nobody that lived long enough to store it."""
        if sending["rotated_at"] is None:
            return False
        if sending["outcome"] in {"gone", "lost", "open"}:
            return True
        return self._silent(sending["who"], sending["done_at"], None)

    def _silent(self, who: str, answered_at: float | None, until: float | None) -> bool:
        """Whether a process was dead or frozen: around an answer to it, or at a moment."""
        assert self.crew is not None  # noqa: S101
        hand = self.crew.hands[who]
        died = hand.killed_at
        if answered_at is not None:
            dead = died is not None and died - answered_at < AROUND
            stopped = hand.frozen is not None and hand.frozen[0] - AROUND < answered_at < hand.frozen[1]
            return dead or stopped
        assert until is not None  # noqa: S101
        return self._slept(who, until) or (died is not None and died < until)

    def _slept(self, who: str, at: float) -> bool:
        """Whether a process was frozen at a moment, or had only just been woken."""
        assert self.crew is not None  # noqa: S101
        frozen = self.crew.hands[who].frozen
        return frozen is not None and frozen[0] < at < frozen[1] + AROUND

    # -- the end

    def close(self) -> None:
        if self.crew is not None:
            self.crew.close()
        if self.place is not None and (self.place.port or not self.place.remote):
            self.place.close()
        if self._authority is not None:
            self._authority.kill()
            self._authority.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
