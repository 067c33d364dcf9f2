"""One harmless call with a connection's token: whose it is, as the provider says now."""

from __future__ import annotations

from dataclasses import dataclass

from valetkey.engine.api_headers import headers_towards
from valetkey.engine.discovery import complete
from valetkey.engine.exchange import IDENTITY_SECONDS
from valetkey.engine.lifecycle import obtain
from valetkey.engine.world import World, emit
from valetkey.model.connections import ConnectionKey, Identity
from valetkey.model.placing import placed
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.bodies import read_members
from valetkey.protocol.certificates import certificate_of, uses_certificate
from valetkey.protocol.refusals import refused
from valetkey.protocol.userinfo import parse_userinfo, userinfo_request, verify_request
from valetkey.values import Response

_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came of a harmless call with a connection's token.

    Attributes:
        ok: Whether the provider took the token; also False where its answer says no with a status of success.
        status: The HTTP status; 0 where nothing was answered.
        identity: Whose token it is; None where the answer does not say.
        said: All of it in a sentence.
        possible: Whether there was anything to call: not without userinfo or `verify`.
    """

    ok: bool
    said: str
    status: int = 0
    identity: Identity | None = None
    possible: bool = True


def probe(world: World, key: ConnectionKey) -> Probe:
    """Make the call, with a token that is refreshed first where any call would do that, and note it as an event.

    A token that is refused is not refreshed for it, and nothing is changed.

    Raises:
        ValetkeyError: There is no usable token; as of `obtain`.
    """
    credential = world.credential(key.credential)
    name = credential.display_name or credential.name
    held = obtain(world, key)
    credential = complete(world, placed(credential, held.record.params), lenient=True)
    certificate = certificate_of(credential, world.app(credential)) if uses_certificate(credential) else None
    url = credential.userinfo_url or credential.verify
    with_it = headers_towards(world, credential, url, key.env, held.record.client_id)
    whose = userinfo_request(credential, held.grant, certificate=certificate, api_headers=with_it)
    request = whose or verify_request(credential, held.grant, certificate=certificate, api_headers=with_it)
    if request is None:
        said = f"{name} has no address that tells whose a token is, so there is no harmless call to make."
        return Probe(ok=False, said=said, possible=False)
    try:
        response = world.endpoint.send(request, deadline=world.clock.monotonic() + IDENTITY_SECONDS)
    except (NotSent, InDoubt) as error:
        found = Probe(ok=False, said=f"{name} did not answer: {error}")
    else:
        no = response.status in _SUCCESS and _says_no(response)
        ok = response.status in _SUCCESS and not no
        identity = parse_userinfo(response, credential=credential) if ok and whose is not None else None
        said = f"{name} answered {response.status}{', and says no in its answer' if no else ''}."
        found = Probe(ok=ok, status=response.status, identity=identity, said=said)
    emit(world, "tested", held.record, ok=found.ok, status=found.status, said=found.said)  # not who: events are kept
    return found


def _says_no(response: Response) -> bool:
    """Tell whether an answer with a status of success holds an error: Slack's ``"ok": false``, or GraphQL's errors."""
    members = read_members(response.body)
    return members is not None and (refused(members) or bool(members.get("errors") and not members.get("data")))
