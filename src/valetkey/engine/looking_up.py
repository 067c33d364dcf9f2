"""Look-ups: what is asked of the API after connecting, and kept as the connection's params (tenant, cloud id, host).

The grant is stored by then: a look-up that fails loses nothing.  The connection's status tells what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from valetkey.engine.storing import tell
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StoreError, clean
from valetkey.forks import late_imports
from valetkey.logs import get_logger
from valetkey.model.choices import SUFFIX, Choice, choices_of, pack
from valetkey.model.connections import ConnectionKey, Record, altered
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.placing import placed
from valetkey.model.ports import InDoubt, NotSent

if TYPE_CHECKING:
    from valetkey.model.located import LookUp
    from valetkey.values import Request, Response

_log = get_logger("look_ups")
_SECONDS: Final = 10.0
_LONGEST: Final = 500
_SUCCESS: Final = range(200, 300)


@dataclass(slots=True)
class _Found:
    """What came of look-ups so far.

    Attributes:
        params: The connection's params with what was found.
        troubles: Sentences about what was not.
    """

    params: dict[str, str]
    troubles: list[str] = field(default_factory=list[str])


def chosen_before(credential: OAuth2Credential, before: Record, given: Mapping[str, str]) -> Mapping[str, str]:
    """Return which entries of lists are meant: those given with the sign-in, else those of the grant before it."""
    names = [one.name for one in credential.look_ups if one.choose]
    return {name: value for name in names if (value := given.get(name) or before.params.get(name, ""))}


def looked_up(
    world: World, credential: OAuth2Credential, record: Record, grant: Grant, *, wanted: Mapping[str, str] = EMPTY
) -> Record:
    """Do the look-ups of a connection with its token, keep what they find, and return the record.  Never raises.

    `wanted` says which entry of a list is meant, by the param of its id; without it the first is used.
    """
    if not credential.look_ups:
        return record
    credential = world.credential(record.key.credential)  # with its holes, which are filled as far as is known
    found = _Found({name: value for name, value in record.params.items() if not name.endswith(SUFFIX)})
    for one in credential.look_ups:
        trouble = _look_up(world, credential, one, record, found, grant, wanted.get(one.name, ""))
        if trouble:
            found.troubles.append(trouble)
    if found.troubles:
        _log.warning("not all of %s was looked up: %s", record.key, " ".join(found.troubles))
        tell(world, "look_up_failed", record, why=clean(" ".join(found.troubles), 300))
    return _kept(world, record, found.params)


def _kept(world: World, record: Record, params: Mapping[str, str]) -> Record:
    try:
        world.store.note(record.id, incarnation=record.incarnation, changes={"params": params})
    except StoreError as error:
        _log.warning("what was looked up for %s was not kept: %s", record.key, error)
        return record
    stored = altered(record, params=params)
    world.changed(stored)
    return stored


def _look_up(
    world: World, credential: OAuth2Credential, one: LookUp, record: Record, found: _Found, grant: Grant, wanted: str
) -> str:
    """Do one look-up; returns what went wrong, or an empty text."""
    try:
        request = _request(world, credential, one, record, found.params, grant)
        response = world.endpoint.send(request, deadline=world.clock.monotonic() + _SECONDS)
    except (NotSent, InDoubt, ConfigurationError) as error:
        return f"{one.name}: {error}."
    if response.status not in _SUCCESS:
        return f"{one.name}: the API answered {response.status}."
    return _take(one, response, found, wanted)


def _request(
    world: World, credential: OAuth2Credential, one: LookUp, record: Record, params: Mapping[str, str], grant: Grant
) -> Request:
    with late_imports:
        from valetkey.engine.api_headers import headers_towards  # noqa: PLC0415 - only for those who look something up
        from valetkey.model.templates import filled  # noqa: PLC0415
        from valetkey.protocol.bearer import carried  # noqa: PLC0415
        from valetkey.protocol.certificates import certificate_of  # noqa: PLC0415
        from valetkey.protocol.urls import allowed_hosts, host_allowed, hosts_of, require_https  # noqa: PLC0415
        from valetkey.values import Request  # noqa: PLC0415

    rules = {rule.name: rule for rule in credential.url_params}
    here, given = placed(credential, params), {**credential.params, **params}
    url = filled(one.url, given, rules)[0]
    require_https(url, what="look_ups", name=credential.name)
    if not host_allowed(url, (*allowed_hosts(here), *hosts_of((here.token_url, here.userinfo_url)))):
        msg = "its host may not see the token"
        raise ConfigurationError(msg, code="host_invalid", hint="add the host to api_hosts")
    headers = {name: filled(text, given, rules, "header")[0] for name, text in one.headers.items()}
    token = carried(credential, grant.access_token, bound=grant.dpop_key is not None)
    certificate = certificate_of(credential, world.app(credential)) if credential.carries_certificate else None
    with_it = headers_towards(world, here, url, record.key.env, record.client_id)
    return Request(
        method="GET",
        url=url,
        headers={"Accept": "application/json", **with_it, **headers, **token},
        dpop_key=grant.dpop_key,
        certificate=certificate,
    )


def _take(one: LookUp, response: Response, found: _Found, wanted: str) -> str:
    """Keep what an answer says; returns what is wrong with it, or an empty text."""
    with late_imports:
        from valetkey.protocol.bodies import read_json  # noqa: PLC0415

    try:
        answer = read_json(response.body.decode())
    except ValueError:
        return f"{one.name}: the API's answer was no JSON."
    if one.choose:
        return _choose(one, answer, found, wanted)
    return _keep(one, answer, found)


def _choose(one: LookUp, answer: object, found: _Found, wanted: str) -> str:
    """Keep of a list the entry that is wanted, else the first, and what the others are."""
    with late_imports:
        from valetkey.protocol.bodies import as_list, at  # noqa: PLC0415

    entries = [entry for entry in as_list(at(answer, one.choose["list"])) if _matches(one, entry)]
    ids = [_text(entry, one.choose["id"]) for entry in entries]
    named = [(entry, name) for entry, name in zip(entries, ids, strict=True) if name]
    if not named:
        return f"{one.name}: the API named none."
    if len(named) > 1:
        label = one.choose.get("label", "")
        choices = [Choice(name, (label and _text(entry, label)) or name) for entry, name in named]
        found.params[f"{one.name}{SUFFIX}"] = pack(choices)
    chosen = next((entry for entry, name in named if name == wanted), None) if wanted else named[0][0]
    if chosen is None:
        for name in one.params:
            found.params.pop(name, None)
        return f'{one.name}: "{clean(wanted, 60)}" is none of those that the API names.'
    return _keep(one, chosen, found)


def _keep(one: LookUp, entry: object, found: _Found) -> str:
    values = {name: _text(entry, path) for name, path in one.params.items()}
    for name in values:
        found.params.pop(name, None)
    found.params.update((name, value) for name, value in values.items() if value)
    return "" if values[one.name] else f"{one.name}: it is not in the API's answer."


def _matches(one: LookUp, entry: object) -> bool:
    """Whether an entry has all members that it must: equal to a value, or a list that holds it."""
    with late_imports:
        from valetkey.protocol.bodies import as_list, at  # noqa: PLC0415

    def fits(path: str, value: str) -> bool:
        there = at(entry, path)
        listed = as_list(there)
        return value in map(_plain, listed) if listed else value == _plain(there)

    return all(fits(path, value) for path, value in one.matching.items())


def _text(entry: object, path: str) -> str:
    """Return a scalar of an answer as a text that may be kept; empty where it is none, or not harmless."""
    with late_imports:
        from valetkey.protocol.bodies import at  # noqa: PLC0415

    text = _plain(at(entry, path))
    return text if text.isprintable() and len(text) <= _LONGEST else ""


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else ""
    return str(value) if isinstance(value, str | int) else ""


def look_up_again(world: World, key: ConnectionKey, choose: Mapping[str, str]) -> Record:
    """Look up anew what a connection keeps, with the entries that a person chooses; the others stay as they are.

    Raises:
        ConfigurationError: There is nothing to look up (``look_up_missing``), or no such choice (``look_up_unknown``).
        ValetkeyError: There is no usable token; as of `obtain`.
    """
    with late_imports:
        from valetkey.engine.lifecycle import obtain  # noqa: PLC0415

    declared = world.credential(key.credential)
    names = [one.name for one in declared.look_ups if one.choose]
    wrong = next((name for name in choose if name not in names), "")
    if not declared.look_ups or wrong:
        what = f'"{clean(wrong, 60)}" is nothing that can be chosen' if wrong else "there is nothing to look up"
        hint = f"what can be: {', '.join(names)}" if names else "it has no look_ups"
        code = "look_up_unknown" if wrong else "look_up_missing"
        raise ConfigurationError(f"credential {declared.name!r}: {what}", code=code, hint=hint)
    held = obtain(world, key)
    wanted = {**{name: held.record.params.get(name, "") for name in names}, **choose}
    unknown = _unknown(held.record, choose)
    if unknown:
        msg = f'credential {declared.name!r}: "{clean(choose[unknown], 60)}" is none of those that were found'
        there = ", ".join(one.id for one in choices_of(held.record.params).get(unknown, ()))
        raise ConfigurationError(msg, code="look_up_unknown", hint=f"choose one of: {there}")
    return looked_up(world, declared, held.record, held.grant, wanted=wanted)


def _unknown(record: Record, choose: Mapping[str, str]) -> str:
    """Return the param of a choice that is none of those that are known; empty where each is, or none are known."""
    there = choices_of(record.params)
    wrong = (name for name, value in choose.items() if name in there and value not in {c.id for c in there[name]})
    return next(wrong, "")
