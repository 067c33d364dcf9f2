"""What pages say about a provider: its name, its mark, where apps are registered and how fields are called."""

from __future__ import annotations

from dataclasses import dataclass, field

from valetkey.errors import ConfigurationError, clean
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.preset_index import Listed
from valetkey.model.presets import Preset, load_preset
from valetkey.server.views.naming import hue, letters
from valetkey.server.views.scopes import Weight


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of a provider: two letters on a colour of its own."""

    letters: str
    hue: str


def mark(name: str, credential: str = "") -> Mark:
    """Return the mark of a provider, the same on every page."""
    return Mark(letters(clean(name, 60)), f"h{hue(credential or name)}")


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
        weights: Scope -> how much it allows, as far as its preset says.
        https_only: Whether it takes no redirect URI on the local machine.
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
    weights: dict[str, Weight] = field(default_factory=dict[str, Weight])
    https_only: bool = False


def provider(credential: OAuth2Credential) -> Provider:
    """Return the provider of a credential, with what its preset knows."""
    name = clean(credential.display_name or credential.name, 80)
    preset = preset_of(credential)
    if preset is None:
        https_only = credential.loopback == "https_only"
        return Provider(name=name, credential=credential.name, mark=mark(name, credential.name), https_only=https_only)
    return of_preset(preset, name=name, credential=credential.name)


def of_preset(preset: Preset, *, name: str = "", credential: str = "") -> Provider:
    """Return the provider of a preset."""
    labels = preset.register_labels
    shown = name or preset.display_name
    return Provider(
        name=shown,
        credential=credential or preset.id,
        mark=mark(shown, credential or preset.id),
        register_url=preset.register_url,
        client_id_label=labels.get("client_id", "Client ID"),
        secret_label=labels.get("client_secret", "Client secret"),
        redirect_label=labels.get("redirect_uri", "redirect URI"),
        redirect_note=preset.redirect_note,
        scopes_url=preset.scopes_doc_url,
        meanings=dict(preset.well_known_scopes),
        weights=dict(preset.scope_weights),
        https_only=preset.fields.get("loopback") == "https_only",
    )


def of_listed(listed: Listed) -> Provider:
    """Return the provider of a preset in a list: its name and its mark."""
    return Provider(name=listed.display_name, credential=listed.id, mark=mark(listed.display_name, listed.id))


def preset_of(credential: OAuth2Credential) -> Preset | None:
    """Return the preset that a credential was made from; None where there is none, or none any more."""
    try:
        return load_preset(credential.preset) if credential.preset else None
    except ConfigurationError:
        return None
