"""The page of a job that refreshes many connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from valetkey.engine.bulk import Failed, Job
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.times import length
from valetkey.server.views.naming import provider_name
from valetkey.server.views.reasons import failing_reason, person_reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Failures of one cause, in words."""

    title: str
    n: int
    person: bool
    ids: tuple[str, ...]
    credential: str


def cause(failed: Failed, credential: OAuth2Credential | None) -> Cause:
    """Return failures in words."""
    name = provider_name(credential, failed.credential)
    said = person_reason(failed.error, name) if failed.person else failing_reason(failed.error)
    title = said[:1].upper() + said[1:] if failed.person else f"{name}: {said}"
    return Cause(title=title, n=failed.n, person=failed.person, ids=failed.ids, credential=failed.credential)


def causes(job: Job, declared: Mapping[str, OAuth2Credential]) -> list[Cause]:
    """Return the failures of a job by cause, the most frequent first."""
    return [cause(failed, declared.get(failed.credential)) for failed in job.causes]


def progress(job: Job, now: float) -> str:
    """Return how far it is, in words: "131 done, 2 failed, about 40 s left"."""
    parts = [f"{job.done:,} done", f"{job.failed:,} failed"]
    parts += [f"{job.skipped:,} had nothing to refresh"] if job.skipped else []
    left = job.left(now)
    if job.state == "running" and left is not None:
        parts.append(f"about {length(left)} left")
    elif job.state == "stopped":
        parts.append(f"stopped, {job.total - job.over:,} not tried")
    elif job.state == "interrupted":
        parts.append("interrupted: the server that ran it ended")
    return ", ".join(parts)


def to_object(job: Job, now: float) -> dict[str, Any]:
    """Return what a page that is open needs to go along."""
    return {"total": job.total, "over": job.over, "text": progress(job, now), "state": job.state}
