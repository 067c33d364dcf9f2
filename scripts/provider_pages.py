"""The page of each provider that comes along: registering an app, connecting, scopes, tokens, quirks, sources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from valetkey.connecting import DEFAULT_PORT, loopback_place
from valetkey.model.app_headers import carries_client_secret
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.preset_data import example as example_of
from valetkey.model.presets import Preset
from valetkey.model.wiring import Wiring

UNITS = ((86400, "day"), (3600, "h"), (60, "min"), (1, "s"))
ENDS = {"token": "one token", "grant": "the grant", "user": "everything of that user"}
REUSE = {"deny": "reuse is refused", "revoke_grant": "reuse ends the grant", "revoke_all": "reuse ends everything"}
LEVELS = {
    "documentation": "Checked against the provider's own pages",
    "sources-agree": "Independent public sources agree on its endpoints",
    "community": "Told by somebody who uses it",
}
SHORT = frozenset({"ats", "cms", "crm", "erp", "hr", "iam", "mcp"})
"""Categories that are abbreviations."""
PROOF = {
    "client_secret_basic": "its client secret, as HTTP Basic",
    "client_secret_post": "its client secret, in the body",
    "client_secret_jwt": "an assertion signed with its client secret",
    "private_key_jwt": "an assertion signed with its private key",
    "tls_client_auth": "its certificate",
    "self_signed_tls_client_auth": "its certificate",
    "none": "nothing: it is a public client",
}
PKCE = {
    "": "",
    "required": "; the provider demands it",
    "supported": "; the provider holds it",
    "ignored": "; the provider passes it over",
    "breaks": "; the provider refuses it",
}
URLS = (
    "authorization_url",
    "token_url",
    "device_authorization_url",
    "revocation_url",
    "introspection_url",
    "userinfo_url",
    "issuer",
    "api_base_url",
)


def page(preset: Preset) -> str:
    """Return the page of a preset, in Markdown."""
    made = example(preset)
    parts = (
        _head(preset),
        _app(preset, made),
        _use(preset, made),
        _scopes(preset),
        _tokens(preset, made),
        _endpoints(preset),
        _quirks(preset),
        _sources(preset),
    )
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def listing(known: Sequence[Preset]) -> str:
    """Return the page that lists all providers by what they are for."""
    categories = sorted({word for preset in known for word in preset.category})
    lines = [
        "# Providers",
        "",
        f"{len(known)} providers that valetkey knows: what to register where, which scopes there are, how tokens live",
        "and end, and what is odd. Each page is written from its preset; [Presets](../presets.md) tells how those are",
        "made, and how to write your own. Any other provider works by its issuer or its URLs.",
        "",
        *(f"[{title(word)}](#{word})" + (" ·" if word != categories[-1] else "") for word in categories),
    ]
    for word in categories:
        lines += ["", f"## {title(word)} {{ #{word} }}", ""]
        lines += [f"- [{p.display_name}]({p.id}.md)" for p in sorted(known, key=by_name) if word in p.category]
    return "\n".join(lines) + "\n"


def by_name(preset: Preset) -> tuple[str, str]:
    """Return what providers are sorted by, for people."""
    return preset.display_name.lower(), preset.id


def title(category: str) -> str:
    """Return a category as a heading."""
    words = named(category)
    return words[:1].upper() + words[1:]


def named(category: str) -> str:
    """Return a category as it is written within a sentence."""
    if category in SHORT:
        return category.upper()
    return category if category.startswith("e-") else category.replace("-", " ")


def example(preset: Preset) -> OAuth2Credential:
    """Return a credential made from the preset, its parameters filled with examples."""
    params = {name: example_of(preset.url_params[name]) for name in preset.listed.needed}
    return Wiring().oauth2_credential(preset.id, preset=preset.id, params=params)


# -- its parts ---------------------------------------------------------------------------------------------------------


def _head(preset: Preset) -> Iterator[str]:
    yield f"# {preset.display_name}\n"
    about = f"`{preset.id}`: {', '.join(map(named, preset.category))}."
    family = f" One of the family [`{preset.family}`]({preset.family}.md)." if preset.family else ""
    told = f"; {len(preset.sources.keys() & preset.fields.keys())} of its {len(preset.fields)} facts name their page"
    level = preset.verified.level
    yield f"{about}{family} {LEVELS[level]} ({preset.verified.date}){told if level == 'documentation' else ''}."
    if preset.docs_url:
        yield f"[{preset.display_name}'s documentation]({preset.docs_url})"
    for field, day in preset.legacy.items():
        yield f"\n!!! warning\n    The last day of its `{field}` is {day}."


def _app(preset: Preset, made: OAuth2Credential) -> Iterator[str]:
    labels = preset.register_labels
    yield "\n## Register an app\n"
    where = f"[at {preset.display_name}]({preset.register_url})" if preset.register_url else f"at {preset.display_name}"
    yield f"1. Register an OAuth app {where}."
    if made.signs_in:
        called = labels.get("redirect_uri", "redirect URI")
        local = _local(preset, made)
        yield f"2. As its {quoted(called)} enter {local or _public(made)}."
        if local:
            yield f"   For a server of yours it is {_public(made)}."
        if preset.redirect_note:
            yield f"   {escaped(preset.redirect_note)}"
    yield f"{'3' if made.signs_in else '2'}. Store {_copied(preset, made)}:\n"
    yield "```console"
    elsewhere = f" --redirect-uri https://your.host/callback/{preset.id}" if _is_elsewhere(made) else ""
    yield f"$ valetkey app add {preset.id}{_options(preset)}{elsewhere}"
    yield "```"
    if preset.url_params:
        yield "\n| parameter | what it is | example |\n|---|---|---|"
        for name, rule in preset.url_params.items():
            told = [escaped(rule.description)] if rule.description else []
            if rule.values:
                told.append("one of " + ", ".join(f"`{value}`" for value in rule.values))
            if rule.default:
                told.append(f"`{rule.default}` when left out")
            elif rule.optional:
                told.append("may be left out: each sign-in gives its own")
            shown = rule.example or rule.default or next(iter(rule.values), "")
            yield f"| `{name}` | {'; '.join(told)} | {coded(shown)} |"


def _local(preset: Preset, made: OAuth2Credential) -> str:
    if made.loopback == "https_only":
        return ""
    uri = loopback_place(made, None).uri(DEFAULT_PORT)
    if "loopback" not in preset.fields:
        return f"`{uri}`, port included: whether another one will do is not known"
    return f"`{uri}` (any port will do)" if made.loopback == "any_port" else f"`{uri}`"


def _is_elsewhere(made: OAuth2Credential) -> bool:
    """Whether sign-ins end at a server alone: the provider sends nobody to this machine."""
    return made.signs_in and made.loopback == "https_only"


def _public(made: OAuth2Credential) -> str:
    return f"`https://your.host/callback/{made.name}`"


def _copied(preset: Preset, made: OAuth2Credential) -> str:
    known = [quoted(preset.register_labels.get("client_id", "client id"))]
    if made.client_auth.startswith("client_secret") or carries_client_secret(made):
        known.append(quoted(preset.register_labels.get("client_secret", "client secret")))
    return " and ".join(known)


def _options(preset: Preset) -> str:
    needed = (rule for rule in preset.url_params.values() if rule.needed)
    return "".join(f" --param {rule.name}={rule.example or '...'}" for rule in needed)


def _table(name: str, values: Mapping[str, str]) -> str:
    """Return a table as an argument, as the formatter writes it: on lines of its own where one is too long for it."""
    members = [f'"{key}": "{value}"' for key, value in values.items()]
    line = f"{name}={{{', '.join(members)}}}"
    if len(line) <= 115:  # noqa: PLR2004 - a line of code, less the indent and the comma
        return line
    return f"{name}={{\n        " + ",\n        ".join(members) + ",\n    }"


def _connecting(preset: Preset, made: OAuth2Credential) -> str:
    command = f"valetkey connect {preset.id}"
    if not _is_elsewhere(made):
        return f"`{command}`"
    if made.response_mode == "form_post":
        return "a link or the console of `valetkey serve`, at the address that you registered"
    return f"`{command} --paste`, or with a link or the console of `valetkey serve`"


def _use(preset: Preset, made: OAuth2Credential) -> Iterator[str]:
    declared = [f'"{preset.id}"', f'preset="{preset.id}"']
    params = {name: value for name, value in made.params.items() if name in preset.listed.needed}
    if params:
        declared.append(_table("params", params))
    if not made.all_scopes and preset.well_known_scopes:
        declared.append(f'scopes=["{next(iter(preset.well_known_scopes))}"]')
    yield "\n## Use it\n"
    yield "```python"
    yield "from valetkey import Valet, wire_oauth2_credential\n"
    call = f"wire_oauth2_credential({', '.join(declared)})"
    yield call if len(call) <= 100 else "wire_oauth2_credential(\n    " + ",\n    ".join(declared) + ",\n)"  # noqa: PLR2004
    yield f'client = Valet().client("{preset.id}")'
    yield "```\n"
    yield f"Connect once with {_connecting(preset, made)}; then `client.get(...)` calls the API with a fresh token."
    if made.api_base_url:
        yield f"Paths are relative to `{made.api_base_url}`."
    yield f"The token goes to {', '.join(f'`{host}`' for host in made.api_hosts)} and to no other host."
    if made.api_headers:
        yield "Every call carries " + ", ".join(f"`{name}: {value}`" for name, value in made.api_headers.items()) + "."
    for name, secret_id in made.api_header_secrets.items():
        yield f"So does a secret in the header `{name}`: keep it with `valetkey secret set {secret_id}`."


def _scopes(preset: Preset) -> Iterator[str]:
    if not preset.well_known_scopes and not preset.scopes_doc_url:
        return
    yield "\n## Scopes\n"
    if preset.well_known_scopes:
        weighs = bool(preset.scope_weights)
        yield "| scope | allows |" + (" weight |" if weighs else "")
        yield "|---|---|" + ("---|" if weighs else "")
        for scope, text in preset.well_known_scopes.items():
            weight = f" {preset.scope_weights.get(scope, '')} |" if weighs else ""
            yield f"| `{scope}` | {escaped(text)} |{weight}"
    asked = preset.fields.get("scopes", ()), preset.fields.get("forced_scopes", ())
    for words, scopes in zip(("Asked for where you name none", "Always asked for, too"), asked, strict=True):
        if isinstance(scopes, tuple) and scopes:
            yield f"\n{words}: {', '.join(f'`{scope}`' for scope in scopes)}."
    if preset.scopes_doc_url:
        yield f"\n[All scopes]({preset.scopes_doc_url})"


def _tokens(preset: Preset, made: OAuth2Credential) -> Iterator[str]:
    yield "\n## Tokens\n"
    yield "| what | how |\n|---|---|"
    most = lasting(made.refresh_token_max_lifetime)
    refresh = ", ".join(filter(None, (refreshing(preset), f"{most} after the sign-in at most" if most else "")))
    if made.refresh_ends_access_token:
        refresh += "; a refresh ends the access token in use"
    rows = {
        "access token": access(preset),
        "refresh token": refresh,
        "disconnecting ends": revoking(preset),
        "the app proves itself by": PROOF[made.client_auth],
        "PKCE": ("S256" if made.pkce else "not used") + PKCE[preset.pkce_support],
        "between scopes": {" ": "a space", ",": "a comma"}.get(made.scope_separator, f"`{made.scope_separator}`"),
        "who connected": f"read from `{made.userinfo_url}`" if made.userinfo_url else "",
    }
    for what, how in rows.items():
        yield f"| {what} | {how or 'not known'} |"


def _endpoints(preset: Preset) -> Iterator[str]:
    yield "\n## Endpoints\n"
    yield "| field | value |\n|---|---|"
    for name in URLS:
        if preset.fields.get(name):
            yield f"| `{name}` | `{preset.fields[name]}` |"


def _quirks(preset: Preset) -> Iterator[str]:
    if not preset.quirks:
        return
    yield "\n## What is odd\n"
    for quirk in preset.quirks:
        seen = f"; {escaped(quirk.seen_as)}" if quirk.seen_as else ""
        yield f"- {escaped(quirk.text)} ({linked(quirk.source)}{seen})"


def _sources(preset: Preset) -> Iterator[str]:
    yield "\n## Where it is said\n"
    if preset.verified.level == "sources-agree":
        yield "The URLs for signing in and for tokens are those that independent public sources agree on. What has no"
        yield "source here, nor above, is own knowledge that nobody has checked.\n"
    elif preset.sources:
        yield "What has no source here, nor above, is own knowledge that nobody has checked.\n"
    if not preset.sources:
        return
    yield "| fact | source |\n|---|---|"
    for name, source in preset.sources.items():
        yield f"| `{name}` | {linked(source)} |"


# -- words -------------------------------------------------------------------------------------------------------------


def access(preset: Preset) -> str:
    """Return how long access tokens live; empty where that is not known."""
    ends = "no end" if preset.fields.get("never_expires") else ""
    return ", or ".join(part for part in (ends, lasting(preset.fields.get("access_token_lifetime"))) if part)


def refreshing(preset: Preset) -> str:
    """Return what becomes of refresh tokens; empty where that is not known."""
    fields = preset.fields
    rotates = {True: "rotates", False: "stays", None: ""}[fields.get("rotates_refresh_token")]
    grace, idle = lasting(fields.get("refresh_grace")), lasting(fields.get("refresh_token_lifetime"))
    reuse = REUSE.get(str(fields.get("on_reuse")), "")
    told = (rotates, f"{grace} grace" if grace else "", reuse, f"{idle} idle" if idle else "")
    return ", ".join(part for part in told if part)


def revoking(preset: Preset) -> str:
    """Return what a revocation ends."""
    if not preset.fields.get("revocation_url"):
        return "no endpoint known"
    return ENDS.get(str(preset.fields.get("revocation_reach")), "not said; taken to be the grant")


def lasting(seconds: object) -> str:
    """Return a time as people say it, rounded to the largest unit that fits nearly: ``1 h``, ``90 days``."""
    if not isinstance(seconds, int | float) or not seconds:
        return ""
    size, unit = next((each for each in UNITS if seconds >= each[0] * 0.99), UNITS[-1])
    if unit == "h" and abs(2 * seconds / size - round(2 * seconds / size)) > 0.02:  # noqa: PLR2004 - no half hours
        size, unit = UNITS[2]
    many = round(seconds / size, 1)
    return f"{many:g} {unit}{'s' if unit == 'day' and many != 1 else ''}"


def escaped(text: str) -> str:
    """Return a text as Markdown: what would be markup or end a cell is taken as it is."""
    return re.sub(r"([|*_<>`\[\]{}])", r"\\\1", text)


def quoted(text: str) -> str:
    """Return what a page calls something."""
    return f"“{escaped(text)}”"


def coded(text: str) -> str:
    """Return a value as code; empty for none."""
    return f"`{text}`" if text else ""


def linked(source: str) -> str:
    """Return a source as a link where it is a page, else as it is."""
    shown = source.removeprefix("https://").partition("#")[0].rstrip("/")
    return f"[{escaped(shown)}]({source})" if source.startswith("https://") else escaped(source)
