"""``valetkey providers``: which providers are known, and what is odd about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from valetkey.cli.commands import group, pass_session
from valetkey.cli.completion import complete_presets
from valetkey.cli.discovering import discover
from valetkey.cli.exits import NOT_WELL, OK
from valetkey.cli.linting import lint
from valetkey.cli.output import Column, Table, emit, facts
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, paint, say

if TYPE_CHECKING:
    from valetkey.model.preset_index import Listed
    from valetkey.model.presets import Preset


@group("providers")
def providers() -> None:
    """See which providers are known, and what is odd about them.

    What is known of a provider is a preset: its URLs, its API's hosts, how its tokens live and end, each fact with its
    source.  Others work too: give their issuer, or their URLs, to "valetkey app add".
    """


providers.add_command(discover)
providers.add_command(lint)


@providers.command("list", json=True, examples=("valetkey providers list",))
@pass_session
def list_(session: Session) -> None:
    """List all known providers."""
    _show_all(session, "")


@providers.command(
    "search", json=True, examples=("valetkey providers search storage", "valetkey providers search google")
)
@click.argument("text")
@pass_session
def search(session: Session, *, text: str) -> int:
    """List the providers whose name, host or category holds TEXT, or each of its words.

    The exit code is 1 where there is none.
    """
    return OK if _show_all(session, text) else NOT_WELL


def _show_all(session: Session, text: str) -> int:
    from valetkey.model.left_out import left_out  # noqa: PLC0415
    from valetkey.model.places import did_you_mean  # noqa: PLC0415
    from valetkey.model.presets import preset_ids, search_presets  # noqa: PLC0415

    found = search_presets(text)
    if session.json:
        emit({"providers": [_members(listed) for listed in found]})
        return len(found)
    table = Table((Column("NAME"), Column("PROVIDER"), Column("FOR", shrinks=True), Column("HOSTS", shrinks=True)))
    for listed in found:
        table.add(listed.id, listed.display_name, ", ".join(listed.category), ", ".join(listed.hosts))
    if found:
        table.write()
    else:
        near = did_you_mean(text, preset_ids()) or "."
        say(f'No known provider has "{text}" in its name, hosts or category{near}')
        for one in left_out().values():
            if text.lower() in (one.id, one.provider.lower()):
                say(f"{one.told}{f'; {one.hint}' if one.hint else ''}.")
        say("  -> any provider works by its URLs: valetkey app add --help")
    return len(found)


@providers.command("show", json=True, examples=("valetkey providers show google",))
@click.argument("name", shell_complete=complete_presets)
@pass_session
def show(session: Session, *, name: str) -> None:
    """Show what is known of a provider, and from where."""
    from valetkey.model.presets import load_preset  # noqa: PLC0415

    preset = load_preset(name)
    if session.json:
        emit({"provider": {**_members(preset.listed), **_more(preset)}})
        return
    checked = filter(None, (preset.verified.level, preset.verified.date))
    out(f"{paint(preset.display_name, 'bold')}  ({preset.id}, {' '.join(checked)})")
    facts(
        {
            "register at": preset.register_url,
            "note": preset.redirect_note,
            "authorization": str(preset.fields.get("authorization_url", "")),
            "token": str(preset.fields.get("token_url", "")),
            "device": str(preset.fields.get("device_authorization_url", "")),
            "revocation": str(preset.fields.get("revocation_url", "")),
            "PKCE": preset.pkce_support,
            "API": str(preset.fields.get("api_base_url", "")),
            "hosts": " ".join(preset.hosts),
            "documentation": preset.docs_url,
            "all scopes": preset.scopes_doc_url,
            "from": "" if preset.origin == "built in" else preset.origin,
        }
    )
    _sections(preset)
    out()
    out(f"Add it: valetkey app add {preset.id}" + "".join(f" --param {p}=..." for p in preset.listed.needed))


def _sections(preset: Preset) -> None:
    if preset.url_params:
        out(paint("\nparameters", "bold"))
        facts(
            {f"  {n}": f"{p.description} {f'[{p.default}]' if p.default else ''}" for n, p in preset.url_params.items()}
        )
    if preset.well_known_scopes:
        out(paint("\nsome scopes", "bold"))
        weights = {scope: f" [{weight}]" for scope, weight in preset.scope_weights.items()}
        facts({f"  {scope}": f"{text}{weights.get(scope, '')}" for scope, text in preset.well_known_scopes.items()})
    if preset.legacy:
        out(paint("\nlast days", "bold"))
        facts({f"  {field}": day for field, day in preset.legacy.items()})
    if preset.sources:
        out(paint("\nwhere it is said", "bold"))
        facts({f"  {fact}": source for fact, source in preset.sources.items()})
    if preset.quirks:
        out(paint("\nwhat is odd", "bold"))
        for quirk in preset.quirks:
            _paragraph(f"- {quirk.text}", "    ")
            _paragraph(f"({quirk.source}{f'; {quirk.seen_as}' if quirk.seen_as else ''})", "    ", first="    ")


def _paragraph(text: str, indent: str, first: str = "  ") -> None:
    import textwrap  # noqa: PLC0415

    from valetkey.cli.terminal import terminal_width  # noqa: PLC0415

    room = min(terminal_width() or 100, 100)
    for line in textwrap.wrap(
        text, room, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ):
        out(line)


def _members(listed: Listed) -> dict[str, Any]:
    return {
        "id": listed.id,
        "display_name": listed.display_name,
        "family": listed.family,
        "category": list(listed.category),
        "hosts": list(listed.hosts),
        "register_url": listed.register_url,
        "docs_url": listed.docs_url,
        "scopes_doc_url": listed.scopes_doc_url,
        "params": list(listed.params),
        "verified": {"level": listed.verified.level, "date": listed.verified.date},
        "origin": listed.origin,
    }


def _more(preset: Preset) -> dict[str, Any]:
    return {
        "fields": dict(preset.fields),
        "pkce_support": preset.pkce_support,
        "scopes": dict(preset.well_known_scopes),
        "scope_weights": dict(preset.scope_weights),
        "legacy": dict(preset.legacy),
        "sources": dict(preset.sources),
        "quirks": _quirks(preset),
    }


def _quirks(preset: Preset) -> list[dict[str, str]]:
    return [{"text": quirk.text, "source": quirk.source, "seen_as": quirk.seen_as} for quirk in preset.quirks]
