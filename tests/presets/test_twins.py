"""Every preset that comes along: connected, used, refreshed and disconnected at a twin of its provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.declaring import declared, declaring, renews, words_for
from shared.everywhere import Asked, Reply
from shared.life import Life, tells
from valetkey import AuthorizationDenied, ClientRejected, ProviderUnavailable, ReauthorizationRequired
from valetkey.engine.probing import Probe, probe

YEAR = 366 * 86400
WAIT = 1234
Living = Callable[..., Life]


MEANT = {
    "invalid_grant": (ReauthorizationRequired, "needs_reauth"),
    "invalid_client": (ClientRejected, "app_error"),
    "temporarily_unavailable": (ProviderUnavailable, "refresh_failing"),
    "server_error": (ProviderUnavailable, "refresh_failing"),
}
"""What becomes of a grant at whose renewal a provider says so."""


def words_at_renewals() -> list[tuple[str, str, str]]:
    """Return the words of their own by which providers that renew grants say a standard error."""
    told = [(name, word, standard) for standard in MEANT for name, word in words_for(standard)]
    return [one for one in told if renews(declared()[one[0]])]


@pytest.mark.parametrize("life", declared(), indirect=True)
def test_a_whole_life(life: Life) -> None:
    connected = life.connect()
    assert (connected.state, life.twin.refusals) == ("connected", [])
    credential = life.twin.credential
    assert connected.missing == (), "what is answered in another form than asked was granted all the same"
    assert (connected.identity.subject if connected.identity else "") == ("the-subject" if tells(credential) else "")
    needed = life.twin.places.needed
    assert {name: connected.params.get(name) for name in needed} == needed
    assert connected.hint == ""
    assert life.call() == 200
    assert life.twin.seen["long_lived"] == bool(credential.long_lived_url)

    if life.twin.refreshes:
        refresh_without_a_word_of_lifetimes(life)
    else:
        life.clock.advance(YEAR)
    assert life.call() == 200
    assert life.twin.seen["token"] == 1 + life.twin.refreshes

    done = life.valet.disconnect(life.name)
    assert life.twin.refusals == []
    assert bool(done.revoked) == bool(credential.revocation_url)
    assert bool(done.may_live) == life.twin.grant.lives, "what may still live is told, and nothing else"


def refresh_without_a_word_of_lifetimes(life: Life) -> None:
    """Have the grant renewed by an answer that leaves its lifetime to what is known, and lists its scopes."""
    credential = life.twin.credential
    life.twin.tells_lifetime, life.twin.lists_scopes = False, True
    life.grow_old()
    assert life.call() == 200
    now, status = life.clock.now(), life.status()
    known = life.twin.lifetime if credential.expiry_in_token else credential.access_token_lifetime
    assert status.expires_at == (None if known is None or unending(life) else now + known)
    assert status.missing == ()


def unending(life: Life) -> bool:
    """Whether a token of which nothing is said has no end at this provider."""
    return life.twin.credential.never_expires and not life.twin.credential.expiry_in_token


# -- what they say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 200])
@pytest.mark.parametrize(("life", "word", "standard"), words_at_renewals(), indirect=["life"])
def test_an_error_is_known_by_the_providers_own_word(life: Life, word: str, standard: str, status: int) -> None:
    error, state = MEANT[standard]
    assert life.connect().state == "connected"
    life.grow_old()
    life.twin.fault, life.twin.words[standard], life.twin.error_status = standard, word, status

    with pytest.raises(error):
        life.valet.client(life.name).refresh()
    assert life.status().state == state


@pytest.mark.parametrize("preset", ["asana", "facebook", "github", "stackexchange", "strava"])
def test_an_answer_may_be_a_form(living: Living, preset: str) -> None:
    life = living(preset)
    life.twin.answers_forms = True

    connected = life.connect()
    assert (connected.state, connected.missing, life.call()) == ("connected", (), 200)
    life.grow_old()
    assert (life.call(), life.twin.refusals) == (200, [])


@pytest.mark.parametrize("moment", [False, True], ids=["seconds", "time"])
@pytest.mark.parametrize("life", declaring("rate_limit_reset"), indirect=True)
def test_whoever_asks_too_often_waits_as_long_as_the_providers_own_header_says(life: Life, moment: bool) -> None:
    (name,) = life.twin.credential.rate_limit_reset

    def busy(request: Asked) -> Reply | None:
        until = int(life.clock.now()) + WAIT if moment else WAIT
        token = request.url.partition("?")[0] == life.twin.credential.token_url
        return Reply(429, {}, {name: str(until)}) if token else None

    start = life.valet.authorize(life.name, params=life.twin.places.given)
    came = life.twin.approve(start.url)
    life.instead = busy
    with pytest.raises(ProviderUnavailable) as caught:
        life.valet.finish(came, binding=start.binding)
    assert caught.value.retry_after == WAIT

    life.instead = lambda _: None
    life.sign_in()
    if renews(declared()[life.name]):
        life.instead = busy
        life.grow_old()
        with pytest.raises(ProviderUnavailable):
            life.call()
        assert life.status().next_try_at == pytest.approx(life.clock.now() + WAIT)


# -- other ways to them -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("life", declaring("device_authorization_url"), indirect=True)
def test_a_device_is_connected_by_a_code_that_is_entered_elsewhere(life: Life) -> None:
    began = life.clock.now()
    connected = life.valet.connect(life.name, how="device", params=life.twin.places.given)

    assert (connected.state, connected.missing) == ("connected", ())
    assert life.clock.now() - began == 3 * 7, "it asked as often as it was told"
    assert life.twin.refusals == ["nobody has entered the code yet"] * 2
    life.grow_old()
    assert (life.call(), life.twin.seen["device"]) == (200, 1)


@pytest.mark.parametrize(
    ("life", "word"),
    [one for one in words_for("access_denied") if declared()[one[0]].get("device_authorization_url")],
    indirect=["life"],
)
def test_somebody_who_says_no_to_a_device_is_understood(life: Life, word: str) -> None:
    life.twin.denies, life.twin.words["access_denied"] = True, word

    with pytest.raises(AuthorizationDenied):
        life.valet.connect(life.name, how="device", params=life.twin.places.given)


@pytest.mark.parametrize("life", declaring("introspection_url"), indirect=True)
def test_the_provider_tells_what_a_token_is(life: Life) -> None:
    life.connect()
    client = life.valet.client(life.name)
    found = client.introspect()
    assert (found.active, found.subject, found.expires_at) == (True, "the-subject", life.clock.now() + 60)

    life.twin.end()
    assert not client.introspect().active
    assert (life.twin.seen["introspection"], life.twin.refusals) == (2, [])


@pytest.mark.parametrize("life", declaring("verify"), indirect=True)
def test_a_harmless_call_tells_whether_a_token_works(life: Life) -> None:
    life.connect()
    before = life.twin.seen["api"]
    assert harmless_call(life).ok
    assert (life.asked[-1].url, life.twin.seen["api"]) == (life.twin.credential.verify, before + 1)

    life.twin.end()
    assert not harmless_call(life).ok


def harmless_call(life: Life) -> Probe:
    """Test the connection, as the console does."""
    core = life.raw._core
    return core.call(lambda: probe(core.world, core.own_source(life.name).key))


@pytest.mark.parametrize("preset", ["asana", "xero"])
def test_a_403_renews_the_token_where_the_provider_means_it_so(living: Living, preset: str) -> None:
    life = living(preset, refresh_on_403=True)
    life.connect()
    life.clock.advance(61)
    life.twin.grant.end_access()

    assert (life.call(), life.twin.seen["token"]) == (200, 2)
    life.valet.close()

    other = living(preset)
    other.connect()
    other.clock.advance(61)
    other.twin.grant.end_access()
    other.change = lambda _, reply: replace(reply, status=403) if reply.status == 401 else reply
    assert (other.call(), other.twin.seen["token"]) == (403, 1)
