"""What a careful reader would say about a preset: where its URLs could lead, units, scopes, documentation, last days.

Mistakes that could send a secret or a token elsewhere are grave: such a preset is not used.  The others are told by
``valetkey providers lint`` alone, and the presets that come along have none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any, Final, cast
from urllib.parse import urlsplit

from valetkey.model import settings
from valetkey.model.credentials import EMPTY
from valetkey.model.located import UrlParam
from valetkey.model.places import did_you_mean
from valetkey.model.preset_data import extended, preset_mistakes, url_params
from valetkey.model.preset_members import MEMBERS, Mistake
from valetkey.model.preset_mending import Meant, meant
from valetkey.model.templates import HOLE

DAY: Final = 86400
_SHARED: Final = frozenset(
    {
        *("amazonaws.com", "amplifyapp.com", "appspot.com", "awsapprunner.com", "azure-api.net", "azurecontainer.io"),
        *("azurecontainerapps.io", "azureedge.net", "azurefd.net", "azurestaticapps.net", "azurewebsites.net"),
        *("cloudapp.azure.com", "cloudapp.net", "cloudflarestorage.com", "cloudfront.net", "cloudfunctions.net"),
        *("deno.dev", "deno.net", "devtunnels.ms", "digitaloceanspaces.com", "elasticbeanstalk.com", "firebaseapp.com"),
        *("fly.dev", "github.dev", "github.io", "gitlab.io", "gitpod.io", "glitch.me", "googleusercontent.com"),
        *("herokuapp.com", "hf.space", "koyeb.app", "loca.lt", "modal.run", "netlify.app", "ngrok-free.app"),
        *("ngrok-free.dev", "ngrok.app", "ngrok.dev", "ngrok.io", "on.aws", "ondigitalocean.app", "onrender.com"),
        *("pages.dev", "r2.dev", "railway.app", "repl.co", "replit.app", "replit.dev", "run.app", "supabase.co"),
        *("surge.sh", "trafficmanager.net", "trycloudflare.com", "ts.net", "vercel.app", "web.app", "webflow.io"),
        *("workers.dev",),
    }
)
"""Domains below which anybody may have a host that answers as they like."""
_OF_CUSTOMERS: Final = re.compile(r"sharepoint\.com|(?:[^.]+\.){0,2}windows\.net")
"""Below them each customer has a host (``blob.core.windows.net``): a param may name one, but not all be allowed."""
_SECOND_LEVEL: Final = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "govt", "ltd", "mil", "ne", "net", "nom", "or", "org", "plc"}
)
"""What stands before the country in ``co.uk``, ``com.au``...: there the domain begins one label further left."""
_REGISTRIES: Final = frozenset(
    {
        *("me.uk", "nhs.uk", "police.uk", "sch.uk", "asn.au", "id.au", "geek.nz", "gen.nz", "iwi.nz", "kiwi.nz"),
        *("maori.nz", "school.nz", "ad.jp", "ed.jp", "gr.jp", "lg.jp", "pe.kr", "re.kr", "firm.in", "gen.in", "ind.in"),
        *(
            "nic.in",
            "res.in",
            "law.za",
            "web.za",
            "idv.hk",
            "idv.tw",
            "app.br",
            "art.br",
            "blog.br",
            "dev.br",
            "eco.br",
        ),
        *("ind.br", "bel.tr", "biz.tr", "gen.tr", "info.tr", "k12.tr", "name.tr", "web.tr", "biz.pl", "info.pl"),
        *("waw.pl", "asso.fr", "web.id", "my.id", "me.ke", "k12.il", "muni.il", "priv.at", "gv.at", "in.th", "mi.th"),
        *("in.ua", "kiev.ua", "kyiv.ua", "lviv.ua", "odesa.ua", "msk.ru", "spb.ru"),
        *("ae.org", "africa.com", "br.com", "cn.com", "co.com", "de.com", "eu.com", "gb.net", "gr.com", "hu.net"),
        *("in.net", "jp.net", "jpn.com", "mex.com", "ru.com", "sa.com", "se.net", "uk.com", "uk.net", "us.com"),
        *("us.org", "za.com", "radio.am", "com.de", "com.se", "eu.org"),
    }
)
"""Further domains below which anybody may register one: as in ``co.uk``, it begins one label further left."""
_ANYBODY: Final = "host.of-anybody.example"
_MILLISECONDS: Final = 3_600_000
_LIFETIMES: Final[Mapping[str, tuple[float, float]]] = {
    "access_token_lifetime": (121, 20 * 366 * DAY),
    "refresh_token_lifetime": (1800, 20 * 366 * DAY),
    "refresh_token_max_lifetime": (1800, 20 * 366 * DAY),
    "refresh_grace": (0, 366 * DAY),
    "buffer": (0, DAY),
}
"""Seconds that are believed: less are probably minutes, hours or days, more milliseconds."""
_SECRETIVE: Final = re.compile(r"(?i)secret|passw|api[-_]?key|developer[-_]?token")
"""Names of headers that mostly hold a secret."""
_OF_REVOCATION: Final = ("token", "token_type_hint", "client_id")
_BEARER_URLS: Final = ("api_base_url", "userinfo_url", "verify")
"""Where the access token is sent."""


def today() -> date:
    """Return the day it is, by the clock."""
    return datetime.now(UTC).date()


def all_mistakes(data: Mapping[str, Any], family: Mapping[str, Any] | None = None) -> list[Mistake]:
    """Return everything that is wrong with the data of a preset, the grave first.

    Args:
        data: As it stands in its file.
        family: The data of the preset that it extends.
    """
    read = meant(data)
    whole = read.data if family is None else extended(family, read.data)
    own = read.data.get("credential", EMPTY)
    wrong = preset_mistakes(whole, agree=read.clear)
    advice = (_unfilled, _documentation, _scopes, _last_days)
    further = (_hosts(whole), *(look(whole) for look in advice), _units(own), _clear(own))
    return _told(read, chain(wrong, *further))


def mistakes_without_family(data: Mapping[str, Any]) -> list[Mistake]:
    """Return what is wrong with the data of a preset whatever its family says, which cannot be read."""
    read = meant(data)
    return _told(read, chain(preset_mistakes(read.data, agree=False), _units(read.data.get("credential", EMPTY))))


def _told(read: Meant, found: Iterable[Mistake]) -> list[Mistake]:
    further = (read.as_written(mistake) for mistake in found if not read.follows(mistake))
    return sorted(dict.fromkeys((*read.mistakes, *further)), key=lambda mistake: not mistake.grave)


def grave_mistakes(data: Mapping[str, Any], family: Mapping[str, Any] | None = None) -> list[Mistake]:
    """Return what keeps a preset from being used."""
    return [mistake for mistake in all_mistakes(data, family) if mistake.grave]


# -- where URLs lead ---------------------------------------------------------------------------------------------------


def _hosts(data: Mapping[str, Any]) -> Iterator[Mistake]:
    given: Mapping[str, Any] = data.get("credential", EMPTY)
    rules = url_params(data)
    urls: dict[str, str] = {name: given[name] for name in settings.URLS if isinstance(given.get(name), str)}
    for name, url in urls.items():
        yield from steered(f"credential.{name}", url.partition("://")[2].partition("/")[0], rules)
    hosts = [host for host in cast("list[object]", given.get("api_hosts", [])) if isinstance(host, str)]
    for host in hosts:
        yield from steered("credential.api_hosts", host, rules)
        yield from _too_wide(host)
    asked = {name: urls.get(name, "") for name in _BEARER_URLS}
    for number, look_up in enumerate(given.get("look_ups", ()), 1):
        host = str(look_up.get("url", "")).partition("://")[2].partition("/")[0]
        yield from steered(f"credential.look_ups.{number}.url", host, rules)
    yield from _left_to_anybody(rules, given)
    for name, url in asked.items():
        host = urlsplit(url).netloc
        if host and hosts and not any(_covers(allowed, host) for allowed in hosts):
            example = f'api_hosts = ["{host}"]'
            yield Mistake(
                f"credential.{name}",
                f"{host} is none of api_hosts, so the token must not go there",
                example,
                grave=False,
            )


def steered(place: str, host: str, rules: Mapping[str, UrlParam]) -> Iterator[Mistake]:
    """Yield a mistake where what somebody types could choose the host: its domain has to stand there in full."""
    open_ones = [name for name in HOLE.findall(host) if not _closed(rules.get(name))]
    bare, _, port = host.removeprefix("*.").partition(":")
    if not open_ones:
        return
    if "@" in host or any(name in port for name in open_ones):
        yield Mistake(
            place, f"{{{open_ones[0]}}} stands in a user or port", 'token_url = "https://{shop}.shop.example"'
        )
        return
    whole = HOLE.fullmatch(bare)
    if whole:
        rule = rules.get(whole[1])
        if rule is None or not rule.whole_host:
            text = f"{{{whole[1]}}} chooses the whole host: it needs a domain behind it, or is of a self-hosted service"
            yield Mistake(place, text, f"write {{{whole[1]}}}.shop.example, or [params.{whole[1]}] whole_host = true")
        return
    domain = _domain(bare)
    if not domain or _shared(bare.rpartition("}")[2]) or any(f"{{{name}}}" in domain for name in open_ones):
        text = f"what is typed for {{{open_ones[0]}}} chooses the domain: anybody could get the client secret"
        yield Mistake(place, text, 'write the domain in full: "{shop}.shop.example"')


def _unfilled(data: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield a mistake where a parameter of the revocation waits for what nobody says: it would never be sent."""
    given: Mapping[str, Any] = data.get("credential", EMPTY)
    kept = {**given.get("kept_params", EMPTY), **given.get("callback_params", EMPTY), **data.get("params", EMPTY)}
    known = {*_OF_REVOCATION, *kept, *(name for one in given.get("look_ups", ()) for name in one.get("params", ()))}
    for param, template in given.get("revocation_params", EMPTY).items():
        for name in HOLE.findall(template):
            if name not in known:
                place, near = f"credential.revocation_params.{param}", did_you_mean(name, known)
                yield Mistake(place, f"nothing says what {{{name}}} is{near}", f'{param} = "{{token}}"', grave=False)


def _left_to_anybody(rules: Mapping[str, UrlParam], given: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield a mistake where whoever signs in may name any host: the client secret would go there."""
    said = {*given.get("kept_params", EMPTY), *(name for one in given.get("look_ups", ()) for name in one["params"])}
    for name, rule in rules.items():
        free = rule.whole_host and rule.optional and not _closed(rule) and name not in said
        if free and _takes(rule, _ANYBODY):
            text = "each sign-in could name any host, and would get the client secret"
            yield Mistake(f"params.{name}.optional", text, "leave it out: the program names the host")


def _takes(rule: UrlParam, value: str) -> bool:
    try:
        return not rule.pattern or re.fullmatch(rule.pattern, value) is not None
    except re.error:  # told by itself
        return False


def _closed(rule: UrlParam | None) -> bool:
    """Tell whether a parameter takes values of a closed set only."""
    return rule is not None and bool(rule.values)


def _domain(host: str) -> str:
    """Return the part of a host that somebody registered: two labels, three below a registry such as ``co.uk``."""
    labels = host.lower().split(".")
    country = len(labels[-1]) == 2 and len(labels) > 1 and labels[-2] in _SECOND_LEVEL  # noqa: PLR2004
    many = 3 if country or ".".join(labels[-2:]) in _REGISTRIES else 2
    return ".".join(labels[-many:]) if len(labels) >= many else ""


def _too_wide(host: str) -> Iterator[Mistake]:
    place = "credential.api_hosts"
    if not host.startswith("*."):
        return
    below = host.removeprefix("*.").lower()
    if not _domain(below) or _shared(below) or _OF_CUSTOMERS.fullmatch(below):
        text = f'"{host}" lets the token go to hosts of others'
        yield Mistake(place, text, 'api_hosts = ["api.shop.example"]')


def _shared(host: str) -> bool:
    """Tell whether anybody may have a host there: ``s3.amazonaws.com`` is below ``amazonaws.com``."""
    return any(f".{host.lower().lstrip('.')}".endswith(f".{domain}") for domain in _SHARED)


def _covers(allowed: str, host: str) -> bool:
    allowed, host = allowed.lower(), host.lower()
    return host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:]))


# -- what is told ------------------------------------------------------------------------------------------------------


def _documentation(data: Mapping[str, Any]) -> Iterator[Mistake]:
    if not data.get("docs_url"):
        yield Mistake("docs_url", "the documentation page is missing", MEMBERS["docs_url"].example, grave=False)
    sources = {f"sources.{name}": source for name, source in data.get("sources", EMPTY).items()}
    sources |= {f"quirks.{number}": quirk.get("source", "") for number, quirk in enumerate(data.get("quirks", ()), 1)}
    for place, source in sources.items():
        if source.startswith("http://"):
            text = "its source is no https:// page"
            yield Mistake(place, text, f"https://{source.removeprefix('http://')}", grave=False)


def _units(given: Mapping[str, Any]) -> Iterator[Mistake]:
    for name, (least, most) in _LIFETIMES.items():
        value = given.get(name)
        if not isinstance(value, int | float) or value <= 0:
            continue
        if value < least:
            text = f"{value} looks like minutes, hours or days, and it is seconds"
            yield Mistake(f"credential.{name}", text, f"an hour is {name} = 3600, a day 86400", grave=False)
        elif value > most or value % _MILLISECONDS == 0:
            text = f"{value} looks like milliseconds, and it is seconds"
            yield Mistake(f"credential.{name}", text, f"{name} = {round(value / 1000)}", grave=False)


def _scopes(data: Mapping[str, Any]) -> Iterator[Mistake]:
    given: Mapping[str, Any] = data.get("credential", EMPTY)
    separator = given.get("scope_separator", " ")
    if not isinstance(separator, str) or not separator:
        return
    examples = {f"well_known_scopes.{scope}": scope for scope in data.get("well_known_scopes", EMPTY)}
    for place, scope in examples.items():
        between = next((mark for mark in (separator, " ", ",") if mark in scope), "")
        if between:
            parts = [part for part in re.split(f"[ {re.escape(between)}]+", scope) if part]
            contradicts = "" if between == separator else f', and scope_separator is "{separator}"'
            text = f'"{scope}" is more than one scope{contradicts}'
            yield Mistake(place, text, " and ".join(f'"{part}" = "..."' for part in parts), grave=False)
    for name in ("additional_params", "token_params"):
        yield from _joined(name, given.get(name), separator)


def _joined(name: str, params: object, separator: str) -> Iterator[Mistake]:
    """Yield a mistake where a parameter of scopes joins them otherwise."""
    if not isinstance(params, Mapping):
        return
    for param, value in cast("Mapping[str, object]", params).items():
        other = "," if separator == " " else " "
        if "scope" in param and isinstance(value, str) and other in value:
            text = f'"{value}" is joined otherwise than scope_separator says, by "{other}"'
            right = separator.join(part for part in re.split("[ ,]+", value) if part)
            yield Mistake(f"credential.{name}.{param}", text, f'{param} = "{right}"', grave=False)


def _clear(own: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield headers that stand in clear and should not: whoever reads the file has them."""
    for name, value in cast("Mapping[str, str]", own.get("api_headers", EMPTY)).items():
        if _SECRETIVE.search(name) and "{" not in value:
            text = f"{name} looks like a secret, which anybody can read here"
            example = f'[credential.api_header_secrets]\n{name} = "{{name}}-{name.lower()}"'
            yield Mistake("credential.api_headers", text, example, grave=False)


def _last_days(data: Mapping[str, Any]) -> Iterator[Mistake]:
    for name, day in data.get("legacy", EMPTY).items():
        try:
            over = date.fromisoformat(day) < today()
        except ValueError:
            continue
        if over:
            text = f"its last day was {day}"
            yield Mistake(f"credential.{name}", text, "write the endpoint that took its place", grave=False)
