"""Connect sessions as they go over the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from valetkey.model import links
from valetkey.model.names import LONGEST
from valetkey.server.api.models import PLAIN, STRICT, Owner, TagName, Text, Time, named


class ConnectWish(BaseModel):
    """Who shall connect what."""

    model_config = STRICT

    credential: Annotated[Text, Field(description="The name of the credential.", examples=["notes"])]
    owner: Annotated[Owner | None, Field(description="Whose it will be in your program.", examples=["u-17"])] = None
    account: Annotated[
        str,
        StringConstraints(max_length=LONGEST, pattern=PLAIN),
        Field(description="Your label for one of several accounts of that owner."),
    ] = ""
    scopes: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=PLAIN)]],
        Field(description="Scopes beside those that are declared.", max_length=100),
    ] = []
    return_to: Annotated[
        str | None,
        StringConstraints(max_length=2000),
        Field(
            description="Where the person goes afterwards, with a result code; from the server's list.",
            examples=["https://app.example.com/done"],
        ),
    ] = None
    expires_in: Annotated[int, Field(description="Seconds for which its address works.", ge=60, le=2_592_000)] = 1800
    params: Annotated[
        dict[TagName, Annotated[str, StringConstraints(max_length=LONGEST, pattern=PLAIN)]],
        Field(
            description="The connection's own, where the declaration leaves them to it, such as a shop; the page asks"
            " the person for what is left out.",
            examples=[{}],
            max_length=20,
            json_schema_extra=lambda schema: named(schema, 64),
        ),
    ] = {}
    confirm: Annotated[
        bool | None,
        Field(
            description="Whether the connection becomes live only when your program has confirmed who came back; that"
            " needs `return_to`.  Null: yes, where there is an owner and the server does not know whose browser it is."
        ),
    ] = None


class ConnectSession(BaseModel):
    """A connect session, and how far it came."""

    model_config = STRICT

    id: Annotated[str, Field(description="What it is called; it opens nothing.")]
    credential: str
    owner: str | None
    account: str
    state: Annotated[links.State, Field(description="Where it stands.")]
    scopes: Annotated[list[str], Field(description="What is asked for, beside what is declared.")]
    params: Annotated[dict[str, str], Field(description="What of the connection's own params it carries.")]
    return_to: Annotated[str, Field(description="Where the person goes afterwards; empty: nowhere.")]
    confirm: Annotated[bool, Field(description="Whether it is to be confirmed.")]
    confirm_until: Annotated[Time, Field(description="While it is `to_confirm`: until when that can be done.")]
    outcome: Annotated[links.Outcome, Field(description="What the last try came to; empty: there was none.")]
    connection_id: Annotated[str, Field(description="The connection that came of it; empty: none yet.")]
    created_at: Annotated[float, Field(description="When it was made.")]
    expires_at: Annotated[float, Field(description="When its address stops to work.")]
    opened_at: Annotated[Time, Field(description="When it was first looked at.")]
    ended_at: Annotated[Time, Field(description="When it was used, or withdrawn.")]


class Confirmation(BaseModel):
    """Who came back from the connect page, as the program knows it from its own session."""

    model_config = STRICT

    owner: Annotated[
        Owner | None,
        Field(description="The owner who is signed in to your program in that browser.", examples=["u-17"]),
    ]
    code: Annotated[
        str,
        StringConstraints(min_length=1, max_length=200, pattern=PLAIN),
        Field(description="The parameter `valetkey_confirm` with which the browser came back."),
    ]


class NewConnectSession(ConnectSession):
    """A connect session that was just made."""

    url: Annotated[str, Field(description="The page for the person; it is told this once.")]
