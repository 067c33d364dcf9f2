"""The values that go over the wire.  All times are Unix seconds."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from valetkey.engine.history import Origin
from valetkey.model.connections import State
from valetkey.model.names import LONGEST
from valetkey.server.api.choice_models import Choice

STRICT: Final = ConfigDict(extra="forbid")
PLAIN: Final = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*$"
"""No control characters, line separators, marks of direction: as `has_control` and `has_marks` of `names` have it."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST, pattern=PLAIN)]
_SOME = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*"
Owner = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST, pattern=rf"^{_SOME}[^\s\x00-\x1f\x7f-\x9f]{_SOME}$")
]
"""An owner to act for: not blank either, for an empty session must never mean anybody."""
TagName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PLAIN)]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[\x20-\x7e]+$")]
Limit = Annotated[int, Field(ge=1, le=1000, description="How many, at most.")]
Time = Annotated[float | None, Field(examples=[1795910400.0])]
Moment = Annotated[float, Field(ge=0, le=1e12)]
Absent = SkipJsonSchema[None]
"""Stands for what a query does not hold: it cannot hold null."""
MOST_TAGS: Final = 50
MOST_ROWS: Final = 500


def named(schema: dict[str, Any], longest: int) -> None:
    """Say of a mapping which names it takes: pydantic says only what stands under those that fit."""
    ((_, values),) = schema.pop("patternProperties").items()
    names = {"type": "string", "minLength": 1, "maxLength": longest, "pattern": PLAIN}
    schema.update(propertyNames=names, additionalProperties=values)


class Identity(BaseModel):
    """Who it is at the provider."""

    model_config = STRICT

    subject: Annotated[str, Field(description="The provider's stable id of the account.", examples=["4711"])]
    email: Annotated[str, Field(examples=["ada@example.com"])]
    name: Annotated[str, Field(examples=["Ada"])]
    login: Annotated[str, Field(examples=["ada"])]
    title: Annotated[str, Field(description="What a person reads: the first of these that is there.")]


class ResourceToken(BaseModel):
    """An access token for one resource that the grant holds beside its own (RFC 8707), without the token itself."""

    model_config = STRICT

    resource: Annotated[str, Field(description="What it is for.", examples=["https://files.example.com/"])]
    fingerprint: Annotated[str, Field(description="By which two of them can be compared.")]
    expires_at: Annotated[Time, Field(description="When it ends; null: unknown or never.")]
    granted: Annotated[list[str], Field(description="The scopes that it holds.")]


class Connection(BaseModel):
    """One grant under a credential, and how it is.  It never holds a token."""

    model_config = STRICT

    id: Annotated[str, Field(description="Never changes.", examples=["con_2q7hzkx4m5w3c6tbn1a0"])]
    credential: Annotated[str, Field(description="The name of its credential.", examples=["github"])]
    owner: Annotated[str | None, Field(description="Whose it is in your program; null: the program's own.")]
    account: Annotated[str, Field(description="Your label for one of several accounts of an owner.")]
    env: Annotated[str, Field(description="The environment.", examples=["default"])]
    state: Annotated[State, Field(description="How it is, in one word.")]
    reason: Annotated[str, Field(description="Why it is so; empty where all is well.", examples=["revoked"])]
    hint: Annotated[str, Field(description="What to do next; empty where nothing needs doing.")]
    identity: Annotated[Identity | None, Field(description="Who it is at the provider, where known and shown.")]
    expires_at: Annotated[Time, Field(description="When the access token ends; null: unknown or never.")]
    refresh_expires_at: Annotated[Time, Field(description="When the refresh token itself ends, where known.")]
    refreshable: Annotated[bool, Field(description="Whether it can renew its access token by itself.")]
    granted: Annotated[list[str], Field(description="The scopes that the account holder gave.")]
    requested: Annotated[list[str], Field(description="The scopes that were asked for.")]
    missing: Annotated[list[str], Field(description="What was asked for and not given.")]
    params: Annotated[dict[str, str], Field(description="Values that came with the connection, such as a shop.")]
    choices: Annotated[
        dict[str, list[Choice]],
        Field(description="What there is to choose from where several were looked up, by the param of the choice."),
    ]
    tags: Annotated[dict[str, str], Field(description="Your own strings.", examples=[{"team": "sales"}])]
    last_refresh_at: Annotated[Time, Field(description="The last successful refresh.")]
    last_used_at: Annotated[Time, Field(description="The last use, to the minute.")]
    next_try_at: Annotated[Time, Field(description="Before this a failing refresh is not tried again.")]
    resource_tokens: Annotated[list[ResourceToken], Field(description="Its tokens for one resource each.")]


class ConnectionPage(BaseModel):
    """A page of connections."""

    model_config = STRICT

    items: list[Connection]
    cursor: Annotated[str | None, Field(description="Pass it as `cursor` for the next page; null: this is the last.")]


class ConnectionFilter(BaseModel):
    """Which connections to list.  What is left out does not filter."""

    model_config = STRICT

    credential: Annotated[Text | Absent, Field(description="Of this credential.")] = None
    owner: Annotated[Text | Absent, Field(description="Of this owner.")] = None
    own: Annotated[bool, Field(description="Only those without owner: the program's own.")] = False
    state: Annotated[
        State | Absent,
        Field(description="In this state, as `state` of a connection tells it."),
    ] = None
    missing_scope: Annotated[Text | Absent, Field(description="Those that lack this scope.")] = None
    search: Annotated[
        Text | Absent,
        Field(
            description="In credential, owner, account and identity, without case: anywhere; where the store is"
            " PostgreSQL without pg_trgm, only what begins so."
        ),
    ] = None
    cursor: Annotated[Cursor | Absent, Field(description="As the last page told.")] = None
    limit: Limit = 100


class TagChange(BaseModel):
    """Tags to set; null removes one.  Tags that are not named stay."""

    model_config = STRICT

    tags: Annotated[
        dict[TagName, Text | None],
        Field(
            min_length=1,
            max_length=MOST_TAGS,
            examples=[{"team": "sales", "old": None}],
            json_schema_extra=lambda schema: named(schema, 64),
        ),
    ]


class Consequence(BaseModel):
    """One consequence, in words."""

    model_config = STRICT

    place: Annotated[
        Literal["provider", "here", "others", "lives", "stays"],
        Field(description="Where: at the provider, here, for others; what lives on; what stays."),
    ]
    text: Annotated[str, Field(description="A sentence.")]
    more: Annotated[str, Field(description="What belongs to it.")]


class KeyUse(BaseModel):
    """An API key that would lose a connection."""

    model_config = STRICT

    name: Annotated[str, Field(examples=["crm-backend"])]
    prefix: Annotated[str, Field(description="What is shown of the key.", examples=["vk_8f3a41c0"])]
    calls: Annotated[int, Field(description="Calls for this connection in the last 24 hours.", ge=0)]


class Would(BaseModel):
    """What a disconnect would do, as far as it is known before the provider is asked."""

    model_config = STRICT

    connection: Annotated[str, Field(description="Which connection, as in messages.", examples=["notes/u-17"])]
    revokes: Annotated[bool, Field(description="Whether the provider would be told.")]
    reach: Annotated[
        Literal["token", "grant", "user"] | None, Field(description="What it ends there; null where it is not told.")
    ]
    others: Annotated[list[str], Field(description="Connections that a revocation would end too: none is made then.")]
    lives_until: Annotated[Time, Field(description="When the access token ends that was handed out, where one lives.")]
    unknown_end: Annotated[bool, Field(description="Whether one lives whose end is not known.")]
    api_keys: Annotated[
        list[KeyUse], Field(description="API keys that lose it, busiest first; none to a key with limits.")
    ]
    open_links: Annotated[int, Field(description="Connect links by which it could be connected again.", ge=0)]
    sign_ins: Annotated[int, Field(description="Sign-ins under way, or that wait for a decision: they end.", ge=0)]
    refreshing: Annotated[bool, Field(description="Whether a refresh is under way.")]
    lines: Annotated[list[Consequence], Field(description="All of it in sentences.")]


class Disconnecting(BaseModel):
    """How to disconnect."""

    model_config = STRICT

    dry_run: Annotated[bool, Field(description="Say what it would do, and change nothing.")] = False


class Ended(BaseModel):
    """What a disconnect did, or would do."""

    model_config = STRICT

    told: Annotated[str, Field(description="What happened, in a sentence.")]
    revoked: Annotated[
        list[str], Field(description="What the provider confirmed as revoked.", examples=[["refresh_token"]])
    ]
    may_live: Annotated[list[str], Field(description="What may still live, and for how long.")]
    would: Annotated[Would | None, Field(description="With `dry_run`: what it would do; else null.")] = None


class Forgetting(BaseModel):
    """Whom to forget."""

    model_config = STRICT

    owner: Annotated[Owner, Field(description="The owner's id in your program.", examples=["u-17"])]
    dry_run: Annotated[bool, Field(description="Say what it would do, and change nothing.")] = False


class Forgotten(BaseModel):
    """What became of the owner's connections; none of them is left, unless it was a dry run."""

    model_config = STRICT

    connections: list[Ended]


class Import(BaseModel):
    """Connections from elsewhere.  Stop what refreshed them first: two refreshers kill a rotating grant."""

    model_config = STRICT

    rows: Annotated[
        list[dict[str, Any]],
        Field(
            description="As `valetkey export` writes them.",
            min_length=1,
            max_length=MOST_ROWS,
            examples=[[{"credential": "notes", "owner": "u-17", "access_token": "...", "refresh_token": "..."}]],
        ),
    ]
    dry_run: Annotated[bool, Field(description="Say what would become of each row, and change nothing.")] = False
    on_conflict: Annotated[
        Literal["skip", "newer"], Field(description="Where there is a connection: leave it, or take a newer grant.")
    ] = "skip"


class ImportedRow(BaseModel):
    """What became of one row."""

    model_config = STRICT

    number: Annotated[int, Field(description="Its place, from 1.", ge=1)]
    credential: str
    owner: str | None
    account: str
    outcome: Literal["created", "replaced", "skipped", "invalid"]
    reason: Annotated[str, Field(description="Why, or what to mind.")]


class Imported(BaseModel):
    """What became of all rows."""

    model_config = STRICT

    rows: list[ImportedRow]
    dry_run: bool
    warning: Annotated[str, Field(description="What to mind before importing.")]


class Credential(BaseModel):
    """A declared OAuth2 integration."""

    model_config = STRICT

    name: Annotated[str, Field(examples=["github"])]
    display_name: Annotated[str, Field(examples=["GitHub"])]
    description: str
    grant: Annotated[str, Field(description="How it is connected.", examples=["authorization_code"])]
    scopes: Annotated[list[str], Field(description="What is asked for.")]
    api_hosts: Annotated[list[str], Field(description="The hosts that may see its tokens.")]
    api_base_url: str
    per_owner: Annotated[bool, Field(description="Whether each connection must have an owner.")]
    preset: Annotated[str, Field(description="The preset that it was made from.")]
    source: Annotated[str, Field(description="Who declared it: `code`, `file` or `command`.")]
    trouble: Annotated[
        str, Field(description="Why its app cannot be used, as a code; empty where it can.", examples=["app_missing"])
    ]
    health: Annotated[
        str,
        Field(
            description="How its app is: `working`, `not_answering`, `ends_soon`, `fixing`, `missing` or `unreadable`.",
            examples=["working"],
        ),
    ]
    secret_ends_at: Annotated[
        float | None,
        Field(description="When the provider ends the app's client secret, in Unix seconds, where that was noted."),
    ]
    certificate_ends_at: Annotated[
        float | None,
        Field(description="When the app's certificate (mutual TLS) ends, in Unix seconds; null where it has none."),
    ]


class CredentialList(BaseModel):
    """All credentials that the key may see, by name."""

    model_config = STRICT

    items: list[Credential]


class Event(BaseModel):
    """Something that happened."""

    model_config = STRICT

    seq: Annotated[int, Field(description="Its number; numbers only grow.", ge=1)]
    at: Annotated[float, Field(description="When.")]
    kind: Annotated[str, Field(description="What.", examples=["refreshed", "needs_reauth"])]
    connection_id: str
    credential: str
    owner: str | None
    account: str
    actor: Annotated[str, Field(description="Who did it.", examples=["library", "API key crm-backend"])]
    origin: Annotated[Origin, Field(description="From where; `console`: somebody signed in there.")]
    detail: Annotated[dict[str, Any], Field(description="More about it; never a secret.")]


class EventPage(BaseModel):
    """Events, oldest first."""

    model_config = STRICT

    items: list[Event]
    after: Annotated[int, Field(description="Pass it as `after` for what came later.", ge=0)]
    more: Annotated[bool, Field(description="Whether there is more already.")]


class EventFilter(BaseModel):
    """Which events to list."""

    model_config = STRICT

    after: Annotated[int, Field(description="Only those with a higher number.", ge=0, le=2**62)] = 0
    connection: Annotated[Text | Absent, Field(description="Only those of the connection with this id.")] = None
    credential: Annotated[Text | Absent, Field(description="Only those about this credential.")] = None
    owner: Annotated[Text | Absent, Field(description="Only those about this owner.")] = None
    kind: Annotated[Text | Absent, Field(description="Only those of this kind.")] = None
    origin: Annotated[Origin | Absent, Field(description="Only what was done from there.")] = None
    since: Annotated[Moment | Absent, Field(description="Not those of before this time.")] = None
    until: Annotated[Moment | Absent, Field(description="Only those of before this time.")] = None
    search: Annotated[Text | Absent, Field(description="In what is told of it but its numbers, without case.")] = None
    limit: Limit = 100


class ListedProvider(BaseModel):
    """A provider in a list."""

    model_config = STRICT

    id: Annotated[str, Field(examples=["github"])]
    display_name: Annotated[str, Field(examples=["GitHub"])]
    category: list[str]
    hosts: list[str]
    register_url: Annotated[str, Field(description="Where an app is registered.")]
    docs_url: str
    scopes_doc_url: str
    params: Annotated[list[str], Field(description="What its URLs need to be told, such as a shop.")]
    verified: Annotated[str, Field(description="How well this is checked.", examples=["documentation"])]


class Provider(ListedProvider):
    """What is known of a provider: its preset."""

    model_config = STRICT

    scopes: Annotated[dict[str, str], Field(description="Some of its scopes, and what they allow.")]
    quirks: Annotated[list[str], Field(description="What is odd about it.")]


class ProviderList(BaseModel):
    """Providers, the best match first."""

    model_config = STRICT

    items: list[ListedProvider]


class ProviderFilter(BaseModel):
    """Which providers to list."""

    model_config = STRICT

    search: Annotated[Text | Absent, Field(description="In id, name, host or category.")] = None
