"""The page of a job that does the same to many connections, and the file of links that one may have made."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from valetkey.engine.bulk import Failed, Job, JobKind
from valetkey.model.connections import Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.times import length
from valetkey.server.views.naming import provider_name
from valetkey.server.views.reasons import failing_reason, person_reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a job is called.

    Attributes:
        name: In the breadcrumb.
        doing: While it runs.
        did: When it is through.
        stopped: When it was stopped, or ended before.
        nothing: With what there was nothing to do.
    """

    name: str
    doing: str
    did: str
    stopped: str
    nothing: str


SAID: Final[Mapping[JobKind, Said]] = {
    "refresh": Said(
        name="Refresh of many",
        doing="Refreshing",
        did="Refreshed",
        stopped="Stopped refreshing",
        nothing="had nothing to refresh",
    ),
    "links": Said(
        name="Links for many",
        doing="Creating connect links for",
        did="Created connect links for",
        stopped="Stopped creating connect links for",
        nothing="need no sign-in",
    ),
    "disconnect": Said(
        name="Disconnect of many",
        doing="Disconnecting",
        did="Disconnected",
        stopped="Stopped disconnecting",
        nothing="had no token",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Failures of one cause, in words."""

    title: str
    n: int
    person: bool
    ids: tuple[str, ...]
    credential: str


def _cause(failed: Failed, credential: OAuth2Credential | None) -> Cause:
    name = provider_name(credential, failed.credential)
    said = person_reason(failed.error, name) if failed.person else failing_reason(failed.error)
    title = said[:1].upper() + said[1:] if failed.person else f"{name}: {said}"
    return Cause(title=title, n=failed.n, person=failed.person, ids=failed.ids, credential=failed.credential)


def causes(job: Job, declared: Mapping[str, OAuth2Credential]) -> list[Cause]:
    """Return the failures of a job by cause, the most frequent first."""
    return [_cause(failed, declared.get(failed.credential)) for failed in job.causes]


def progress(job: Job, now: float) -> str:
    """Return how far it is, in words: "131 done, 2 failed, about 40 s left"."""
    parts = [f"{job.done:,} done", f"{job.failed:,} failed"]
    parts += [f"{job.skipped:,} {SAID[job.kind].nothing}"] if job.skipped else []
    parts += [f"{job.living:,} may live on at the provider"] if job.living else []
    left = job.left(now)
    if job.state == "running" and left is not None:
        parts.append(f"about {length(left)} left")
    elif job.state == "stopped":
        parts.append(f"stopped, {job.total - job.over:,} not tried")
    elif job.state == "interrupted":
        parts.append("interrupted: the server that ran it ended")
    return ", ".join(parts)


def title(job: Job) -> str:
    """Return what a job is called as it stands: what failed, or was left alone, was not done."""
    said = SAID[job.kind]
    if job.state == "running":
        return f"{said.doing} {job.what}"
    if job.state != "finished":
        return f"{said.stopped} {job.what}"
    return f"{said.did} {job.what}" if job.done == job.total else f"{said.did} {job.done:,} of {job.what}"


def to_object(job: Job, now: float) -> dict[str, Any]:
    """Return what a page that is open needs to go along."""
    return {"total": job.total, "over": job.over, "text": progress(job, now), "state": job.state}


def links_file(made: Iterable[tuple[Record, str]], declared: Mapping[str, OAuth2Credential], before: str) -> str:
    """Return the addresses of links as CSV, with whom each is for; `before` is what their tokens follow."""
    text = io.StringIO()
    file = csv.writer(text)
    file.writerow(("owner", "account", "credential", "provider", "identity", "connection", "link"))
    for record, token in sorted(made, key=lambda one: (one[0].key.credential, one[0].key.owner or "", one[0].id)):
        key, who = record.key, record.identity.title if record.identity else ""
        shown = provider_name(declared.get(key.credential), key.credential)
        row = (key.owner or "", key.account, key.credential, shown, who, record.id)
        file.writerow((*map(_harmless, row), f"{before}{token}"))
    return text.getvalue()


def _harmless(cell: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
