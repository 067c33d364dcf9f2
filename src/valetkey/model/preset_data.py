"""What stands in the file of a preset: its members, and the mistakes that can be made in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Literal, cast

from valetkey.errors import ConfigurationError
from valetkey.model import checks, settings
from valetkey.model.app_headers import NAME
from valetkey.model.checks import frozen
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.located import UrlParam
from valetkey.model.places import Place, did_you_mean
from valetkey.model.preset_members import MEMBERS, Mistake

Level = Literal["documentation", "sources-agree", "community"]
Weight = Literal["read", "write", "admin"]
LEVELS: Final[tuple[Level, ...]] = ("documentation", "sources-agree", "community")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """Something odd about a provider.

    Attributes:
        text: What.
        source: Where it is said: a URL, or a repository and path.
        seen_as: How it was seen there, where that is less than reading the provider's own words.
    """

    text: str
    source: str
    seen_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How well the facts of a preset are checked.

    Attributes:
        level: ``documentation`` (against the provider's own pages or repositories), ``sources-agree`` (independent
            public sources agree on its endpoints), ``community`` (somebody who uses it says so).
        date: When, as year and month: ``2026-11``.
    """

    level: Level = "community"
    date: str = ""


STANDARD_ERRORS: Final = frozenset(
    {
        # RFC 6749 sections 4.1.2.1 and 5.2
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
        *("invalid_scope", "access_denied", "server_error", "temporarily_unavailable"),
        # RFC 8628 section 3.5, RFC 7009 section 2.2.1
        *("authorization_pending", "slow_down", "expired_token", "unsupported_token_type"),
    }
)
URL_MEMBERS: Final = tuple(name for name, member in MEMBERS.items() if member.kind == "url")
LABELS: Final = ("client_id", "client_secret", "redirect_uri")
OWN_TO_A_PROGRAM: Final = frozenset(
    {"preset", "secret_id", "token_secret_id", "beside", "per_owner", "params", "description"}
)
_ESCAPES: Final = ("a/b", "a@b", "a:b", "a?b", "a#b", "a\\b", "a%2fb", "a b", "", "..", "a\nb")
"""What no pattern of a URL parameter may let through: each could move the URL to another place."""
STAND_IN: Final = "https://stand-in.example/"
"""What takes the place of a faulty URL while the rest is looked at."""
_PLACE: Final = Place("credential", toml=True)
_DATE = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


def facts() -> tuple[str, ...]:
    """Return what ``[sources]`` may name: the members that are facts, and the fields of ``[credential]``."""
    members = (*URL_MEMBERS, "redirect_note", "register_labels", "well_known_scopes", "params", "legacy")
    return (*members, *(name for name in settings.SETTINGS if name not in OWN_TO_A_PROGRAM))


def credential_fields(data: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the fields that the preset gives to a credential."""
    given = cast("Mapping[str, object]", data.get("credential", EMPTY))
    values: dict[str, object] = {"display_name": data.get("display_name", ""), **given}
    return {name: tuple(cast("list[object]", v)) if isinstance(v, list) else v for name, v in values.items()}


def url_params(data: Mapping[str, Any]) -> Mapping[str, UrlParam]:
    """Return the parameters of its URLs, by name."""
    params = cast("Mapping[str, Mapping[str, Any]]", data.get("params", EMPTY))
    return {name: UrlParam(name=name, **param) for name, param in params.items()}


def scopes(data: Mapping[str, Any]) -> Mapping[str, str]:
    """Return some scopes and what they allow."""
    told = cast("Mapping[str, str | Mapping[str, str]]", data.get("well_known_scopes", EMPTY))
    return frozen({scope: about if isinstance(about, str) else about["text"] for scope, about in told.items()})


def scope_weights(data: Mapping[str, Any]) -> Mapping[str, Weight]:
    """Return how much scopes allow, of those that say it."""
    told = cast("Mapping[str, str | Mapping[str, str]]", data.get("well_known_scopes", EMPTY))
    weights = {
        scope: about["weight"] for scope, about in told.items() if not isinstance(about, str) and "weight" in about
    }
    return cast("Mapping[str, Weight]", frozen(weights))


def example(rule: UrlParam) -> str:
    """Return a value that a parameter takes."""
    return rule.example or rule.default or next(iter(rule.values), "example")


def extended(family: Mapping[str, Any], data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data of a preset that says only what is different in it from the one of its family.

    Tables are joined, the family's quirks come first, and everything else that `data` names replaces what the family
    says.  How well a family is checked says nothing about its members, and a source of the family's nothing about what
    a member says otherwise.
    """
    joined = {**family, **{name: value for name, value in data.items() if name != "extends"}}
    for name in ("register_labels", "params", "credential"):
        if name in family and name in data:
            joined[name] = _joined(family[name], data[name])
    own = {*data, *data.get("credential", {})}
    told = {name: source for name, source in family.get("sources", {}).items() if name not in own}
    joined["sources"] = {**told, **data.get("sources", {})}
    joined["quirks"] = [*family.get("quirks", ()), *data.get("quirks", ())]
    joined["verified"] = data.get("verified", {})
    return joined


def _joined(below: Mapping[str, Any], above: Mapping[str, Any]) -> Mapping[str, Any]:
    both = {name: _joined(below[name], value) for name, value in above.items() if _are_tables(below.get(name), value)}
    return {**below, **above, **both}


def _are_tables(*values: object) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def preset_mistakes(data: Mapping[str, Any], *, agree: bool = True) -> Iterator[Mistake]:
    """Yield what is wrong with the data of a preset, so that it cannot be used.

    Args:
        data: As it stands in its file, joined with its family, each member and field of the right type.
        agree: Whether fields are held to each other too.
    """
    params = [*_url_params(data)]
    yield from _texts(data)
    yield from params
    yield from _quirks(data)
    if agree and "credential" in data:
        loose = {mistake.field.split(".")[1] for mistake in params}
        yield from _credential(data, loose)


def _texts(data: Mapping[str, Any]) -> Iterator[Mistake]:
    for name in URL_MEMBERS:
        url = data.get(name, "")
        if url and not url.startswith("https://"):
            yield Mistake(name, "it does not start with https://", MEMBERS[name].example)
    for name in data.get("register_labels", ()):
        if name not in LABELS:
            near = did_you_mean(name, LABELS)
            yield Mistake(f"register_labels.{name}", f"there is no such label{near}", f"one of {', '.join(LABELS)}")
    for name, source in data.get("sources", EMPTY).items():
        if name not in facts():
            yield Mistake(f"sources.{name}", f"there is no fact of that name{did_you_mean(name, facts())}")
        elif not source:
            yield Mistake(f"sources.{name}", "it is empty", MEMBERS["sources"].example)
    yield from _legacy(data)
    verified = data.get("verified", EMPTY)
    if verified.get("level", LEVELS[-1]) not in LEVELS:
        yield Mistake("verified.level", f"it is one of {', '.join(LEVELS)}", 'level = "documentation"')
    if verified and not _DATE.fullmatch(verified.get("date", "")):
        yield Mistake("verified.date", "it is a year and a month", 'date = "2026-11"')


def _legacy(data: Mapping[str, Any]) -> Iterator[Mistake]:
    for name, day in data.get("legacy", EMPTY).items():
        if name not in settings.URLS or name not in data.get("credential", EMPTY):
            yield Mistake(f"legacy.{name}", "it is no URL of [credential]", MEMBERS["legacy"].example)
        try:
            date.fromisoformat(day)
        except ValueError:
            yield Mistake(f"legacy.{name}", "it is a day", MEMBERS["legacy"].example)


def _url_params(data: Mapping[str, Any]) -> Iterator[Mistake]:
    for name, rule in url_params(data).items():
        place = f"params.{name}.pattern"
        if rule.example and rule.values and rule.example not in rule.values:
            yield Mistake(f"params.{name}.example", f"{rule.example!r} is none of its values")
        if not rule.pattern:
            continue
        try:
            pattern = re.compile(rule.pattern)
        except re.error:
            yield Mistake(place, "it is no regular expression", 'pattern = "[a-z0-9-]+"')
            continue
        loose = [text for text in _ESCAPES if pattern.fullmatch(text) and not (rule.whole_host and text == "a:b")]
        if loose:
            yield Mistake(place, f"the pattern lets {loose[0]!r} through", 'pattern = "[a-z0-9-]+"')
        for member, text in (("default", rule.default), ("example", rule.example)):
            if text and not pattern.fullmatch(text):
                yield Mistake(f"params.{name}.{member}", f"{text!r} does not match the pattern")


def _quirks(data: Mapping[str, Any]) -> Iterator[Mistake]:
    for number, quirk in enumerate(data.get("quirks", ()), 1):
        if not quirk.get("text") or not quirk.get("source"):
            yield Mistake(f"quirks.{number}", "it has no text or no source", MEMBERS["quirks"].example)


def _credential(data: Mapping[str, Any], loose: Collection[str]) -> Iterator[Mistake]:
    """Yield what is wrong with fields as such or with each other: each time without what was found before."""
    yield from _header_secrets(data)
    rules = {name: _loosened(rule) if name in loose else rule for name, rule in url_params(data).items()}
    examples = frozen({name: example(rule) for name, rule in rules.items() if not rule.optional})
    values = dict(credential_fields(data))
    found: set[str] = set()
    while True:
        try:
            made = settings.build("preset", {"params": examples}, place=_PLACE, base=values, rules=rules)
        except ConfigurationError as error:
            mistake = _of_preset(_of_error(error), error.code, values)
            if mistake.field in found:  # it is missing because it was left out here
                return
            yield mistake
            found.add(mistake.field)
            if not _left_out(mistake.field, values):
                return
        else:
            yield from _of_made(made, data)
            return


def _header_secrets(data: Mapping[str, Any]) -> Iterator[Mistake]:
    secrets = cast("Mapping[str, str]", data["credential"].get("api_header_secrets", EMPTY))
    for header, secret_id in secrets.items():
        if not secret_id.startswith(f"{NAME}-"):
            text = f'{header}: "{secret_id:.60}" may be the secret of another credential'
            yield Mistake("credential.api_header_secrets", text, f'"{header}" = "{NAME}-{header.lower()}"')


def _loosened(rule: UrlParam) -> UrlParam:
    """Return a faulty rule as one that takes everything which may stand there."""
    shown = rule.example if checks.is_host(rule.example) else ""
    return UrlParam(name=rule.name, example=shown, whole_host=rule.whole_host, optional=rule.optional)


def _of_preset(mistake: Mistake, code: str, values: Mapping[str, object]) -> Mistake:
    """Return a mistake in the words of a preset: its parameters were filled in only to look at it."""
    table, _, name = mistake.field.partition(".")
    if code == "param_missing":
        where = next((field for field, value in values.items() if f"{{{name}}}" in str(value)), "")
        text, pattern = f"nothing says what {{{name}}} is", 'pattern = "[a-z0-9-]+"'
        return Mistake(f"credential.{where}", text, f'[params.{name}] {pattern} example = "acme"')
    if code == "param_invalid" and table == "params":
        text = "its example (or none, so the word example) does not fit where it stands in a URL"
        return Mistake(f"params.{name}.example", text, 'example = "acme", a value that its pattern takes')
    written = values.get(name)
    if code != "url_insecure" or not isinstance(written, str):
        return mistake
    return replace(mistake, example=f'{name} = "https://{written.partition("://")[2]}"')


def _left_out(place: str, values: dict[str, object]) -> bool:
    """Leave a field out, or put a URL in its place; False where that is not possible."""
    name = place.removeprefix("credential.")
    if name not in values:
        return False
    del values[name]
    if name in settings.URLS:
        values[name] = STAND_IN
    return True


def _of_made(made: OAuth2Credential, data: Mapping[str, Any]) -> Iterator[Mistake]:
    if not made.api_hosts:
        yield Mistake("credential.api_hosts", "it is missing", 'api_hosts = ["api.shop.example"]')
    contradicts = {"required": not made.pkce, "breaks": made.pkce}.get(data.get("pkce_support", ""), False)
    if contradicts and made.signs_in:
        right = "false" if made.pkce else "true"
        yield Mistake("credential.pkce", f"pkce_support says that the provider wants it {right}", f"pkce = {right}")
    for ours, standard in made.error_aliases.items():
        if standard not in STANDARD_ERRORS:
            yield Mistake(
                f"credential.error_aliases.{ours}",
                f'"{standard}" is no standard error{did_you_mean(standard, STANDARD_ERRORS)}',
                f'{ours} = "invalid_grant"',
            )


def field_mistake(name: str, value: object) -> Mistake | None:
    """Return what is wrong with a field of ``[credential]`` by itself: that there is none, or its type."""
    if name in settings.URLS and not isinstance(value, str):
        return Mistake(f"credential.{name}", "it is a text", _url_line(name))
    try:
        settings.known_fields(_PLACE, (name,))
        settings.typed(_PLACE, name, value)
    except ConfigurationError as error:
        return _of_error(error)
    return None


def _url_line(name: str) -> str:
    return f'{name} = "https://shop.example/oauth/{name.removesuffix("_url")}"'


def _of_error(error: ConfigurationError) -> Mistake:
    """Return what the checks of declarations say as a mistake in a field of ``[credential]``."""
    text = str(error).removeprefix(f"{_PLACE.title}: ")
    named = re.match(r'there is no field "([^"]*)"|params\["([^"]*)"\]|the URL parameter "([^"]*)"', text)
    if named:
        return Mistake(f"credential.{named[1]}" if named[1] else f"params.{named[2] or named[3]}", text, error.hint)
    words = re.findall("[a-z_]+", text)
    field = next((word for word in words if word in settings.SETTINGS), "")
    if error.code == "url_missing":
        return Mistake(f"credential.{field}", "it is missing", _url_line(field))
    return Mistake(f"credential.{field}" if field else "credential", text.removeprefix(f"{field}: "), error.hint)
