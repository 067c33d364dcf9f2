"""How a connection is called: by its identity, with provider, owner and account on a second line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from valetkey.errors import clean
from valetkey.model.connections import Connection, Identity
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.words import OWN

NO_IDENTITY: Final = "No identity yet"
_LONGEST: Final = 200
_HUES: Final = 5
"""How many hues the style sheet has for the letters that stand for a provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a connection is called.

    Attributes:
        id: The connection's id.
        title: Who it is at the provider; empty where nobody knows.
        provider: The provider's name.
        whose: The owner, or that it is the program's own.
        owner: The owner; None: the program's own.
        account: The label; empty for the default account.
        spoken: What screen readers and confirmations say: two connections may share an identity.
        letters: What stands for the provider's logo.
        hue: Which of the style sheet's hues the letters have.
    """

    id: str
    title: str
    provider: str
    whose: str
    owner: str | None
    account: str
    spoken: str
    letters: str
    hue: int

    @property
    def place(self) -> str:
        """Provider, owner and account, as they stand under the title."""
        return " · ".join([self.provider, *self.within])

    @property
    def within(self) -> list[str]:
        """Owner and account: where at the provider's."""
        return [self.whose, *([f"account {self.account}"] if self.account else [])]

    @property
    def at_owner(self) -> str:
        """The second line on the owner's own page, which need not say whose it is."""
        return " · ".join([self.provider, *([f"account {self.account}"] if self.account else [])])


def provider_name(credential: OAuth2Credential | None, name: str) -> str:
    """Return what people call a provider: its display name, else the credential's own."""
    return clean((credential.display_name if credential else "") or name, _LONGEST)


def named(connection: Connection, identity: Identity | None, credential: OAuth2Credential | None) -> Named:
    """Return what a connection is called."""
    provider = provider_name(credential, connection.credential)
    title = clean(identity.title, _LONGEST) if identity else ""
    whose = OWN if connection.owner is None else f"owner {clean(connection.owner, _LONGEST)}"
    return Named(
        id=connection.id,
        title=title,
        provider=provider,
        whose=whose,
        owner=connection.owner,
        account=clean(connection.account, _LONGEST),
        spoken=f"{title}, {provider}" if title else f"{provider}, {whose}",
        letters=letters(provider),
        hue=hue(connection.credential),
    )


def hue(credential: str) -> int:
    """Return the hue of a credential's letters."""
    return sum(credential.encode("utf-8", "replace")) % _HUES


def letters(provider: str) -> str:
    """Return one or two letters for a provider: of its first two words, of ``CamelCase``, else how its name begins."""
    words = [word for word in provider.split() if word[0].isalnum()]
    if not words:
        return "?"
    word, second = words[0], next((word[0] for word in words[1:]), "")
    second = second or next((letter for letter in word[1:] if letter.isupper() and not word.isupper()), "")
    if second:
        return f"{word[0]}{second}".upper()
    return word[0].upper() + (word[1] if word[1:2].isalnum() else "")
