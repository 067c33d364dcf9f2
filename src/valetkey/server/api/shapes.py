"""From the values of the library to those that go over the wire."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from valetkey.engine.app_health import AppHealth
from valetkey.engine.consequences import Consequences
from valetkey.engine.disconnect import Disconnected
from valetkey.engine.history import origin_of
from valetkey.engine.transfer import ImportReport
from valetkey.model import connections as model
from valetkey.model.connections import Record, Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.preset_index import Listed
from valetkey.model.presets import Preset
from valetkey.server.api.choice_models import Choice
from valetkey.server.api.models import (
    Connection,
    Credential,
    Ended,
    Event,
    Identity,
    Imported,
    ImportedRow,
    ListedProvider,
    Provider,
    ResourceToken,
    Would,
)


def of_status(status: Status, record: Record, *, identities: bool) -> Connection:
    """Return a connection; `identities`: with who it is at the provider."""
    who = status.identity if identities else None
    return Connection(
        id=record.id,
        credential=record.key.credential,
        owner=record.key.owner,
        account=record.key.account,
        env=record.key.env,
        state=status.state,
        reason=status.reason,
        hint=status.hint,
        identity=of_identity(who) if who is not None else None,
        expires_at=status.expires_at,
        refresh_expires_at=status.refresh_expires_at,
        refreshable=status.refreshable,
        granted=list(status.granted),
        requested=list(status.requested),
        missing=list(status.missing),
        params=dict(status.params),
        choices={name: [Choice(id=o.id, label=o.label) for o in several] for name, several in status.choices.items()},
        tags=dict(record.tags),
        last_refresh_at=status.last_refresh_at,
        last_used_at=status.last_used_at,
        next_try_at=status.next_try_at,
        resource_tokens=[ResourceToken(**asdict(one)) for one in status.resource_tokens],
    )


def of_identity(who: model.Identity) -> Identity:
    """Return who it is."""
    return Identity(subject=who.subject, email=who.email, name=who.name, login=who.login, title=who.title)


def of_ended(done: Disconnected, *, discreet: bool) -> Ended:
    """Return what a disconnect did; `discreet`: without naming connections that whoever asks does not see."""
    told = done.discreet if discreet else done.told
    return Ended(told=told, revoked=list(done.revoked), may_live=list(done.may_live))


def of_consequences(found: Consequences) -> Ended:
    """Return what a disconnect would do."""
    return Ended(told="Nothing was changed.", revoked=[], may_live=[], would=Would(**found.to_object()))


def of_report(report: ImportReport) -> Imported:
    """Return what became of imported rows."""
    rows = [
        ImportedRow(
            number=row.number,
            credential=row.credential,
            owner=row.owner,
            account=row.account,
            outcome=row.outcome,
            reason=row.reason,
        )
        for row in report.rows
    ]
    return Imported(rows=rows, dry_run=report.dry_run, warning=report.warning)


def of_credential(credential: OAuth2Credential, trouble: str, health: AppHealth) -> Credential:
    """Return a declared credential; `trouble` is why its app cannot be used, `health` how that is."""
    return Credential(
        name=credential.name,
        display_name=credential.display_name,
        description=credential.description,
        grant=credential.grant,
        scopes=list(credential.all_scopes),
        api_hosts=list(credential.api_hosts),
        api_base_url=credential.api_base_url,
        per_owner=credential.per_owner,
        preset=credential.preset,
        source=credential.source,
        trouble=trouble,
        health=health.health,
        secret_ends_at=health.secret.ends_at if health.secret else None,
        certificate_ends_at=health.certificate.ends_at if health.certificate else None,
    )


def of_event(event: model.Event, *, identities: bool) -> Event:
    """Return an event; without `identities` the provider's own words are left out, for they may name somebody."""
    detail = {name: value for name, value in event.detail.items() if identities or name != "description"}
    return Event(
        seq=event.seq,
        at=event.at,
        kind=event.kind,
        connection_id=event.connection_id,
        credential=event.credential,
        owner=event.owner,
        account=event.account,
        actor=event.actor,
        origin=origin_of(event),
        detail=detail,
    )


def of_listed(listed: Listed) -> ListedProvider:
    """Return what a list tells of a provider."""
    return ListedProvider(**_of_listed(listed))


def of_preset(preset: Preset) -> Provider:
    """Return what is known of a provider."""
    return Provider(
        **_of_listed(preset.listed),
        scopes=dict(preset.well_known_scopes),
        quirks=[quirk.text for quirk in preset.quirks],
    )


def _of_listed(listed: Listed) -> dict[str, Any]:
    return {
        "id": listed.id,
        "display_name": listed.display_name,
        "category": list(listed.category),
        "hosts": list(listed.hosts),
        "register_url": listed.register_url,
        "docs_url": listed.docs_url,
        "scopes_doc_url": listed.scopes_doc_url,
        "params": list(listed.params),
        "verified": listed.verified.level,
    }
