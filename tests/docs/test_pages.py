"""What the pages state in code and numbers is true."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from valetkey import (
    AsyncValet,
    NotConnected,
    OAuth2Client,
    ReauthorizationRequired,
    Secret,
    StepUpRequired,
    Valet,
    Wiring,
    working,
)
from valetkey.engine import apps, flows, gates, takeover, windows, worker
from valetkey.engine.connect import AuthorizationStart
from valetkey.engine.workplan import Plan
from valetkey.model.connections import State
from valetkey.secret_services.memory import MemorySecrets
from valetkey.source import LOOK_LOCAL

HOUR = 3600


def names_of(page: Any) -> dict[str, Any]:
    """Run the Python blocks of a page that are no listings of programs, one after the other; return their names."""
    names: dict[str, Any] = {}
    for block in page.blocks("python"):
        if not block.mark:
            code = "\n" * (block.line - 1) + block.text
            exec(compile(code, str(page.path), "exec", dont_inherit=True), names)  # noqa: S102 - our own pages
    return names


@pytest.fixture
def web(page: Any) -> dict[str, Any]:
    return names_of(page("docs/web.md"))


@pytest.fixture
def inside(page: Any) -> dict[str, Any]:
    return names_of(page("docs/how-it-works.md"))


# -- console.md ---


def test_the_console_mounts_as_the_page_shows(page: Any, until: Any) -> None:
    names = names_of(page("docs/console.md"))

    assert [route.app for route in names["app"].routes] == [names["console"]]
    assert names["wsgi"].app is names["console"]
    loop = names["wsgi"].loop  # a2wsgi turns it in a thread of its own, for as long as the program runs
    loop.call_soon_threadsafe(loop.stop)
    until(lambda: not loop.is_running())
    loop.close()


# -- profiles ---


def test_the_page_about_openid_connect_runs(page: Any) -> None:
    assert names_of(page("docs/profiles/openid-connect.md"))["connected"].state == "connected"


PROFILES = ("private-key-jwt", "dpop", "mtls", "pushed-and-signed-requests", "step-up", "fapi2")


@pytest.mark.parametrize("name", PROFILES)
def test_the_page_of_a_profile_runs_and_its_difference_leads_from_one_that_works_to_another(
    page: Any, name: str
) -> None:
    found = page(f"docs/profiles/{name}.md")
    assert names_of(found)
    (difference,) = found.blocks("diff")
    sides = [_side(difference.text, sign) for sign in "-+"]

    assert sides[0] != sides[1]
    for side in sides:
        names: dict[str, Any] = {"wire_oauth2_credential": Wiring().oauth2_credential}
        exec(compile(side, name, "exec", dont_inherit=True), names)  # noqa: S102 - our own pages


def _side(difference: str, sign: str) -> str:
    """Return what a difference leads from (``-``) or to (``+``)."""
    lines = difference.splitlines()
    assert all(line[:1] in {" ", "-", "+"} for line in lines)
    return "\n".join(line[1:] for line in lines if line[0] in {" ", sign})


def test_a_stronger_sign_in_is_asked_for_as_the_page_shows(page: Any) -> None:
    pay = names_of(page("docs/profiles/step-up.md"))["pay"]
    asked: list[Any] = []

    class Bank:
        """A valet whose API wants more, and then has it."""

        def client(self, _: str) -> Any:
            return self

        def post(self, *_: Any, **__: Any) -> None:
            if not asked:
                raise StepUpRequired("more", acr_values=("urn:example:strong",), max_age=60, scopes=("pay",))

        def authorize(self, _: str, *, scopes: Any, request: Any) -> Any:
            assert scopes == ("pay",)
            asked.append(request)
            return AuthorizationStart(url="https://auth.bank.example", binding=Secret("b"), expires_at=0.0, flow_id="")

    assert pay(Bank(), 10) == "https://auth.bank.example"
    assert asked[0].params()["acr_values"] == "urn:example:strong"
    assert pay(Bank(), 10) is None


def test_the_pages_about_grants_run(page: Any) -> None:
    assert names_of(page("docs/profiles/service-accounts.md"))["ada"] == "ada"
    assert names_of(page("docs/profiles/token-exchange.md"))["whose"] == "ada"
    assert names_of(page("docs/profiles/ciba.md"))["state"] == "connected"


# -- web.md --------------------------------------------------------------------------------------------------------


def test_a_cancelled_caller_costs_nothing_as_the_page_shows(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names_of(page("docs/web.md"))

    assert capsys.readouterr().out == "200 1 0\n"
    assert "asyncio.run(main(practice))  # 200 1 0" in page("docs/web.md").text


def test_on_reauthorize_is_called_with_what_the_page_prints(
    web: dict[str, Any], practice: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    with Valet(**{**practice._options(), "on_reauthorize": web["ask_to_connect_again"]}) as valet:
        practice.connect("notes", owner="u-17")
        practice.clock.advance(HOUR + 1)
        practice.provider.revoke("ada")
        for _ in range(2):
            with pytest.raises(ReauthorizationRequired):
                valet.client("notes", owner="u-17").get("/me")

    assert capsys.readouterr().out == (
        "mail to u-17: notes/u-17 needs to be connected again: access was withdrawn at Notes\n"
    )


def test_a_closed_account_leaves_nothing(
    web: dict[str, Any], practice: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    practice.connect("notes", owner="u-17")
    capsys.readouterr()

    web["account_closed"](practice.valet, "u-17")

    assert capsys.readouterr().out == "Disconnected. Notes confirmed that the token is revoked.\n"
    assert (len(practice.valet.connections()), practice.provider.live_grants) == (0, 0)


def test_the_lifespan_has_the_form_that_asgi_frameworks_take(practice: Any) -> None:
    async def serve(valet: AsyncValet) -> int:
        async with valet.lifespan(object()):
            answer = await valet.client("notes").get("/me")
            return answer.status_code

    practice.connect("notes")
    assert asyncio.run(serve(practice.async_valet)) == 200


# -- adapters.md ---------------------------------------------------------------------------------------------------


def test_an_adapter_heals_a_401_as_the_page_shows(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names_of(page("docs/adapters.md"))

    assert capsys.readouterr().out == "ada 1\n"
    assert 'print(answer.json()["login"], practice.provider.refreshes)  # ada 1' in page("docs/adapters.md").text


# -- worker.md -----------------------------------------------------------------------------------------------------


def test_a_month_of_disuse_goes_as_the_page_shows(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names_of(page("docs/worker.md"))

    times = re.fullmatch(r"kept alive (\d+) times\n", capsys.readouterr().out)
    assert times is not None
    assert 6 <= int(times[1]) <= 8


def test_the_numbers_of_the_worker_are_those_of_the_code(page: Any) -> None:
    told = dict(page("docs/worker.md").tables("what", "value"))
    text = page("docs/worker.md").text
    plan, most = Plan(), working.MOST

    assert told == {
        "refreshes under way at once": f"{plan.concurrency}, and {most} at most; `--concurrency`, `concurrency=`",
        "of them at one host": f"{plan.per_host}, and {most} at most; `--per-host`, `per_host=`",
        "looks for new work": f"every {plan.look_every:.0f} s, and when something becomes due",
        "waits for refreshes under way when it ends": f"{worker.FINISH:.0f} s",
    }
    assert "75 % to 88 % of its life" in text
    assert windows.KEEP_ALIVE == 0.75, "and half of the rest is jitter"
    assert (gates.TOLERATED, gates.LONGEST_PAUSE) == (1, 30), "told in the text; half of a pause is jitter"
    assert (worker.ASK_APP, worker.MENDED, worker.PATIENCE) == (15, 60, 10), "told in the text"


def test_the_examples_for_programs_start_and_stop_a_worker(page: Any, practice: Any) -> None:
    names = names_of(page("docs/worker.md"))
    practice.connect("notes")
    practice.clock.advance(HOUR)

    names["serve"](practice.valet)
    asyncio.run(names["main"]())

    assert practice.provider.reuses == 0


# -- how-it-works.md -----------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_code(page: Any) -> None:
    told = dict(page("docs/how-it-works.md").tables("what", "value"))

    assert told == {
        "buffer before the end of a token": f"{windows.BUFFER:.0f} s, at most 20 % of its life",
        "refreshed ahead, before that": f"up to {windows.SOFT_WINDOW:.0f} s, at most 10 % of its life",
        "a caller waits for a refresh": f"{windows.DEADLINE:.0f} s",
        "a flight listens for the answer": f"{windows.LISTEN:.0f} s",
        "a claim lives, unless renewed": (
            f"{windows.CLAIM_LIFE:.0f} s, or half as long as the provider takes a spent token"
        ),
        "a claim of a dead process of this host is taken over": "at once",
        "a claim of a stopped process of this host is taken over": f"{takeover.HELD:.0f} s after it ran out",
        "after an outage of the store nobody's claim is taken over for": f"{windows.CLAIM_LIFE:.0f} s",
        "first and longest pause after failures": f"2 s, {windows.LONGEST_BACKOFF:.0f} s",
        "changes made by other processes are seen within": f"{LOOK_LOCAL} s",
        "a sign-in may take": f"{flows.FLOW_SECONDS:.0f} s",
        "a token so young is not refreshed for a 401": f"{windows.YOUNG:.0f} s",
    }
    assert (apps.FIRST_PAUSE, apps.LONGEST_PAUSE) == (15, 300), "told in the text"
    assert 1 <= windows.backoff(1) <= 2


def test_every_state_is_told(page: Any) -> None:
    rows = page("docs/how-it-works.md").tables("state", "meaning", "who acts")

    assert [row[0] for row in rows] == [f"`{state}`" for state in get_args(State)]


def test_files_are_where_the_page_says_and_nobody_else_reads_them(
    practice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "place"
    monkeypatch.setenv("VALETKEY_HOME", str(home))
    for env in ["default", "staging"]:
        with Valet(env=env, secrets=practice.secrets, wiring=practice.wiring, clock=practice.clock) as valet:
            uri = "http://127.0.0.1:8421/callback/notes"
            start = valet.authorize("notes", redirect_uri=uri)
            valet.finish(practice.provider.approve(start.url), binding=start.binding)

    files = {str(file.relative_to(home)): file.stat().st_mode & 0o777 for file in home.rglob("*") if file.is_file()}
    wanted = {"valetkey.db", "key", "environments/staging/valetkey.db", "environments/staging/key"}
    assert wanted <= set(files)
    assert set(files.values()) == {0o600}
    assert (home / "key").read_bytes() != (home / "environments/staging/key").read_bytes()


def test_a_stream_is_not_sent_again_but_the_token_is_refreshed(practice: Any) -> None:
    practice.connect("notes")
    practice.clock.advance(120)
    practice.provider.expire_access_tokens()

    answer = practice.client().post("/notes", content=iter([b'{"text": "once"}']))

    assert (answer.status_code, practice.provider.refreshes) == (401, 1)


def test_the_smaller_way_in_takes_over_what_pikku_wrote(inside: dict[str, Any], practice: Any) -> None:
    service = MemorySecrets()
    written = {"accessToken": "at-1", "expiresAt": (time.time() + HOUR) * 1000, "tokenType": "bearer"}
    service.set("notes-oauth-token", json.dumps(written))
    client = inside["client"](practice.wiring.credential("notes"), service)

    assert isinstance(client, OAuth2Client)
    assert client.get_access_token().reveal() == "at-1"
    assert client.status().expires_at == pytest.approx(time.time() + HOUR, abs=60)


def test_without_a_token_object_the_smaller_way_in_is_not_connected(inside: dict[str, Any], practice: Any) -> None:
    client = inside["client"](practice.wiring.credential("notes"), MemorySecrets())

    with pytest.raises(NotConnected):
        client.get("/me")


# -- all pages -----------------------------------------------------------------------------------------------------


def test_every_page_is_in_the_navigation_and_the_index(root: Path) -> None:
    pages = {str(path.relative_to(root / "docs")) for path in (root / "docs").rglob("*.md")}
    nav = (root / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    index = (root / "docs" / "index.md").read_text(encoding="utf-8")

    assert set(re.findall(r"[\w/-]+\.md", nav)) == pages
    of_providers = {page for page in pages if page.startswith("providers/")} - {"providers/index.md"}
    assert set(re.findall(r"\(([\w/-]+\.md)\)", index)) == pages - {"index.md"} - of_providers
    listed = (root / "docs" / "providers" / "index.md").read_text(encoding="utf-8")
    assert {f"providers/{page}" for page in re.findall(r"\(([\w-]+\.md)\)", listed)} == of_providers
