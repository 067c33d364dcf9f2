"""What pages say about a provider: its name, its mark, where apps are registered and how fields are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from valetkey.errors import ConfigurationError, clean
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.presets import Preset, load_preset

HUES: Final = 7
"""How many colours the marks have: the classes ``h0`` to ``h6``."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of a provider: two letters on a colour of its own."""

    letters: str
    hue: str


def mark(name: str) -> Mark:
    """Return the mark of a provider: the first letters of two words, else the first two of the one."""
    words = [word for word in clean(name, 60).replace("-", " ").split() if word[0].isalnum()]
    letters = "".join(word[0] for word in words[:2]).upper() if len(words) > 1 else "".join(words)[:2].capitalize()
    return Mark(letters or "?", f"h{crc32(name.encode('utf-8', 'replace')) % HUES}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider as pages show it.

    Attributes:
        name: For people.
        credential: The credential's name.
        mark: Its mark.
        register_url: Where its apps are registered; empty where nobody knows.
        client_id_label: What the client id is called there.
        secret_label: What the client secret is called there.
        redirect_label: What the redirect URI is called there.
        redirect_note: What to know about redirect URIs there.
        scopes_url: The page that lists its scopes.
        meanings: Scope -> what it allows, in plain words, as far as known.
    """

    name: str
    credential: str
    mark: Mark
    register_url: str = ""
    client_id_label: str = "Client ID"
    secret_label: str = "Client secret"  # noqa: S105 - what the field is called
    redirect_label: str = "redirect URI"
    redirect_note: str = ""
    scopes_url: str = ""
    meanings: dict[str, str] = field(default_factory=dict[str, str])


def provider(credential: OAuth2Credential) -> Provider:
    """Return the provider of a credential, with what its preset knows."""
    name = clean(credential.display_name or credential.name, 80)
    preset = preset_of(credential)
    if preset is None:
        return Provider(name=name, credential=credential.name, mark=mark(name))
    return of_preset(preset, name=name, credential=credential.name)


def of_preset(preset: Preset, *, name: str = "", credential: str = "") -> Provider:
    """Return the provider of a preset."""
    labels = preset.register_labels
    shown = name or preset.display_name
    return Provider(
        name=shown,
        credential=credential or preset.id,
        mark=mark(shown),
        register_url=preset.register_url,
        client_id_label=labels.get("client_id", "Client ID"),
        secret_label=labels.get("client_secret", "Client secret"),
        redirect_label=labels.get("redirect_uri", "redirect URI"),
        redirect_note=preset.redirect_note,
        scopes_url=preset.scopes_doc_url,
        meanings=dict(preset.well_known_scopes),
    )


def preset_of(credential: OAuth2Credential) -> Preset | None:
    """Return the preset that a credential was made from; None where there is none, or none any more."""
    try:
        return load_preset(credential.preset) if credential.preset else None
    except ConfigurationError:
        return None
