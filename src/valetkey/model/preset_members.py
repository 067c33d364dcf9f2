"""What members a preset has, how each is written, and what a mistake in one of them tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "text", "pkce", "url", "texts", "labels", "table", "scopes", "params", "quirks", "verified", "credential"
]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a preset.

    Attributes:
        kind: What it looks like.
        about: What it means, as ``docs/presets.md`` says it.
        example: How it is written in the file.
    """

    kind: Kind
    about: str
    example: str


MEMBERS: Final[Mapping[str, Member]] = {
    "display_name": Member("text", "the provider's name", 'display_name = "Shop"'),
    "category": Member("texts", "what it is for", 'category = ["commerce"]'),
    "extends": Member("text", "the id of the preset whose family it is of", 'extends = "google"'),
    "register_url": Member("url", "where an app is registered", 'register_url = "https://shop.example/apps"'),
    "register_labels": Member("labels", "what that page calls things", '[register_labels]\nclient_id = "API key"'),
    "redirect_note": Member(
        "text", "what to know about redirect URIs there", 'redirect_note = "One URI, exactly as registered."'
    ),
    "docs_url": Member("url", "the provider's page about OAuth", 'docs_url = "https://shop.example/docs/oauth"'),
    "scopes_doc_url": Member(
        "url", "the page that lists the scopes", 'scopes_doc_url = "https://shop.example/docs/scopes"'
    ),
    "pkce_support": Member(
        "pkce", "what the provider does with PKCE: required, supported, ignored or breaks", 'pkce_support = "required"'
    ),
    "well_known_scopes": Member(
        "scopes", "some scopes, what they allow and how much", '[well_known_scopes]\n"read_orders" = "Read orders"'
    ),
    "legacy": Member(
        "table", "the last day of an endpoint: its field -> the day", '[legacy]\ntoken_url = "2027-02-16"'
    ),
    "sources": Member(
        "table", "where a fact is said: its name -> the page", '[sources]\ntoken_url = "https://shop.example/docs"'
    ),
    "credential": Member(
        "credential", "fields of OAuth2Credential", '[credential]\ntoken_url = "https://shop.example/token"'
    ),
    "params": Member("params", "the parameters of its URLs", '[params.shop]\npattern = "[a-z0-9-]+"\nexample = "acme"'),
    "quirks": Member(
        "quirks",
        "what is odd about it, each with its source",
        '[[quirks]]\ntext = "Tokens are green."\nsource = "https://shop.example/docs"',
    ),
    "verified": Member(
        "verified", "how well it is checked, and when", '[verified]\nlevel = "documentation"\ndate = "2026-11"'
    ),
}
"""The members of a preset's file, in the order in which they are best written."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a preset.

    Attributes:
        field: Where it stands, dotted: ``credential.token_url``, ``params.shop.pattern``, ``quirks.2``; empty: nowhere
            in particular.
        text: What is wrong.
        example: How it would be right; empty where the text says it.
        grave: Whether it keeps the preset from being used; else it is only told by the lint.
    """

    field: str
    text: str
    example: str = ""
    grave: bool = True

    def __str__(self) -> str:
        """Return it as one line."""
        place = f"{self.field}: " if self.field else ""
        return f"{place}{self.text}" + (f"; {' '.join(self.example.split())}" if self.example else "")
