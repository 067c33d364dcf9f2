"""Operators: signing in by name and password, grades, and what ends a session."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.server.limits import network_of
from valetkey.server.operators import INVITATION_LIFE
from valetkey.server.pages.login import TRIES_BY_NAME, TRIES_BY_NETWORK, WINDOW, WRONG
from valetkey.server.sessions import FRESH

CONSOLE = "/console/connections"
OPERATORS = "/console/settings/operators"
PASSWORD = "four words of my own"
OTHER = "and some other words"


def add(site: Any, name: str = "mira", grade: Any = "everything", password: str = PASSWORD) -> Any:
    return site.server.operators.add(name, password, grade, by="test")


def signed_in(site: Any, name: str = "mira", password: str = PASSWORD) -> Any:
    visitor = site.visitor()
    visitor.get("/login")
    answer = visitor.post("/login", name=name, password=password)
    assert answer.status_code == 303, answer.text
    return visitor


def test_a_name_and_its_password_sign_in(site: Any) -> None:
    add(site)
    visitor = signed_in(site, "  MIRA ")

    assert visitor.get(CONSOLE).status_code == 200
    assert "mira" in visitor.get(CONSOLE).text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param("mira", OTHER, id="wrong password"),
        pytest.param("nobody", PASSWORD, id="unknown name"),
        pytest.param("sam", PASSWORD, id="disabled"),
        pytest.param("jo", "", id="invited, without password"),
        pytest.param("mira", "x" * 5000, id="very long"),
    ],
)
def test_all_refusals_of_a_sign_in_are_the_same(site: Any, name: str, password: str) -> None:
    add(site)
    add(site, "sam")
    site.server.operators.disable("sam", by="mira")
    site.server.operators.invite("jo", "look", by="mira")
    visitor = site.visitor()
    visitor.get("/login")
    answer = visitor.post("/login", name=name, password=password)

    assert answer.status_code == 403
    assert WRONG in answer.text
    assert visitor.get(CONSOLE).status_code == 303


def test_an_unknown_name_takes_as_much_work_as_a_wrong_password(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add(site)
    verified: list[str] = []
    real = site.server.operators.check.__globals__["passwords"]._hasher
    monkeypatch.setattr(
        "valetkey.server.passwords._hasher",
        type(
            "Counting",
            (),
            {
                "verify": lambda _, stored, given: (verified.append(stored), real.verify(stored, given))[1],
                "hash": lambda _, password: real.hash(password),
                "check_needs_rehash": lambda _, stored: real.check_needs_rehash(stored),
            },
        )(),
    )
    for name in ("mira", "nobody"):
        assert site.server.operators.check(name, OTHER) is None

    known, unknown = verified
    assert known != unknown
    assert known.split("$")[:4] == unknown.split("$")[:4]  # the same algorithm and costs


def test_tries_are_counted_by_name_for_all_processes_and_for_names_that_nobody_has(site: Any) -> None:
    add(site)
    for name in ("mira", "nobody"):
        for _ in range(TRIES_BY_NAME):
            visitor = site.visitor()
            visitor.get("/login")
            assert visitor.post("/login", name=name, password=OTHER).status_code == 403
        answer = visitor.post("/login", name=f" {name.upper()} ", password=PASSWORD)

        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= WINDOW + 1
    site.practice.clock.advance(WINDOW + 1)
    assert signed_in(site).get(CONSOLE).status_code == 200


def test_a_sign_in_that_succeeds_counts_anew(site: Any) -> None:
    add(site)
    for _ in range(2):
        for _ in range(TRIES_BY_NAME - 1):
            visitor = site.visitor()
            visitor.get("/login")
            visitor.post("/login", name="mira", password=OTHER)
        signed_in(site)


def test_tries_are_counted_by_network_whatever_the_names_are(site: Any) -> None:
    add(site)
    visitor = site.visitor()
    visitor.get("/login")
    for number in range(TRIES_BY_NETWORK):
        assert WRONG in visitor.post("/login", name=f"name {number}", password=OTHER).text

    assert visitor.post("/login", name="another", password=OTHER).status_code == 429


def test_many_tries_at_once_do_not_get_past_the_limit(site: Any) -> None:
    limits = site.server.limits
    passed: list[float] = []
    threads = [
        threading.Thread(target=lambda: passed.append(limits.take("x", limit=3, window=60.0))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert passed.count(0.0) <= 3
    assert len(passed) == 12


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("testclient", "testclient", True),
    ],
)
def test_addresses_count_by_network(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def test_disabling_ends_the_sessions_at_once(site: Any) -> None:
    add(site)
    add(site, "sam", "connections")
    sam, mira = signed_in(site, "sam"), signed_in(site)
    assert sam.get(CONSOLE).status_code == 200
    mira.get(OPERATORS)
    assert mira.post(f"{OPERATORS}/change", name="sam", do="disable").status_code == 303

    assert sam.get(CONSOLE).status_code == 303
    mira.get(OPERATORS)
    mira.post(f"{OPERATORS}/change", name="sam", do="enable")
    assert sam.get(CONSOLE).status_code == 303, "a session from before came to life again"
    signed_in(site, "sam")


@pytest.mark.parametrize("act", ["disable", "remove"])
def test_the_last_who_may_do_everything_cannot_go(site: Any, act: str) -> None:
    add(site)
    add(site, "sam", "connections")

    with pytest.raises(ConfigurationError) as refused:
        getattr(site.server.operators, act)("mira", by="sam")
    assert refused.value.code == "operator_last"
    getattr(site.server.operators, act)("sam", by="mira")


def test_two_who_disable_each_other_at_once_leave_one(site: Any) -> None:
    for _ in range(5):
        names = ["mira", "sam"]
        for name in names:
            add(site, name)
        barrier, refused = threading.Barrier(2), []

        def disable(name: str, barrier: Any = barrier, refused: list[str] = refused) -> None:
            barrier.wait()
            try:
                site.server.operators.disable(name, by="the other")
            except ConfigurationError as error:
                refused.append(error.code)

        threads = [threading.Thread(target=disable, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        standing = {one.name: one.standing for one in site.server.operators.every()}
        assert sorted(standing.values()) == ["active", "disabled"]
        assert refused == ["operator_last"]
        site.practice.valet._core.store.delete_document("operators", "all", env="test")


def test_grades_are_held_to(site: Any) -> None:
    add(site)
    add(site, "sam", "connections")
    visitor = signed_in(site, "sam")

    assert visitor.get(OPERATORS).status_code == 403
    assert "Settings" not in visitor.get(CONSOLE).text
    assert visitor.post(f"{OPERATORS}/change", name="mira", do="disable").status_code == 403


def test_an_invitation_is_shown_once_and_works_once(site: Any) -> None:
    mira = site.operator()
    mira.get(OPERATORS)
    answer = mira.post(f"{OPERATORS}/invite", name="jo@example.com", grade="look")
    link = answer.text.partition('<code id="lk">')[2].partition("</code>")[0]
    path = link.removeprefix(site.base)
    assert answer.status_code == 200
    assert path.startswith("/login/invitation?token=")
    assert path not in mira.get(OPERATORS).text
    assert mira.post(f"{OPERATORS}/invite", name="jo@example.com", grade="look").status_code == 409

    jo = site.visitor()
    token = path.partition("token=")[2]
    for _ in range(3):
        assert jo.get(path).status_code == 200
    assert jo.post("/login/invitation", token=token, password=PASSWORD, again=OTHER).status_code == 400
    assert jo.post("/login/invitation", token=token, password="short", again="short").status_code == 400
    assert jo.post("/login/invitation", token=token, password=PASSWORD, again=PASSWORD).status_code == 303
    assert jo.get(CONSOLE).status_code == 200
    assert site.visitor().get(path).status_code == 410
    signed_in(site, "jo@example.com")


def test_an_invitation_ends_and_can_be_withdrawn(site: Any) -> None:
    operators = site.server.operators
    _, first = operators.invite("jo", "look", by="mira")
    operators.remove("jo", by="mira")
    assert operators.invited(first.reveal()) is None
    _, second = operators.invite("jo", "look", by="mira")
    assert operators.invited(first.reveal()) is None, "the first link is for the second invitation"
    site.practice.clock.advance(INVITATION_LIFE + 1)
    assert operators.accept(second.reveal(), PASSWORD) is None


def test_dangerous_acts_demand_a_sign_in_of_the_last_minutes(site: Any) -> None:
    add(site)
    mira = signed_in(site)
    mira.get(OPERATORS)
    site.practice.clock.advance(FRESH + 1)
    headers = {"Origin": site.base, "Referer": f"{site.base}{OPERATORS}"}
    fields = {"csrf": mira.csrf, "name": "jo", "grade": "look"}
    answer = mira.client.post(f"{OPERATORS}/invite", data=fields, headers=headers)

    assert answer.headers["location"] == "/login/again?next=%2Fconsole%2Fsettings%2Foperators"
    assert [one.name for one in site.server.operators.every()] == ["mira"]
    mira.get(answer.headers["location"])
    assert mira.post("/login/again", next=OPERATORS, password=OTHER).status_code == 403
    again = mira.post("/login/again", next=OPERATORS, password=PASSWORD)
    assert again.headers["location"] == OPERATORS
    mira.get(OPERATORS)
    assert mira.post(f"{OPERATORS}/invite", name="jo", grade="look").status_code == 200


def test_a_login_link_is_a_fresh_sign_in_for_a_while(site: Any) -> None:
    local = site.operator()
    local.get(OPERATORS)
    site.practice.clock.advance(FRESH + 1)
    answer = local.post(f"{OPERATORS}/invite", name="jo", grade="look")

    assert answer.headers["location"].startswith("/login/again")
    assert "valetkey console login-link" in local.get("/login/again").text
    assert local.post("/login/again", password="").status_code == 200


def test_a_password_changes_by_its_owner_and_ends_the_other_sessions(site: Any) -> None:
    add(site)
    one, other = signed_in(site), signed_in(site)
    one.get(OPERATORS)
    assert one.post(f"{OPERATORS}/password", password=OTHER, new=OTHER).status_code == 403
    assert one.post(f"{OPERATORS}/password", password=PASSWORD, new="aaaaaaaaaaaaaaaa").status_code == 409
    assert one.post(f"{OPERATORS}/password", password=PASSWORD, new=OTHER).status_code == 303

    assert one.get(CONSOLE).status_code == 200
    assert other.get(CONSOLE).status_code == 303
    signed_in(site, password=OTHER)


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\nb", "Login Link"])
def test_a_name_that_is_none_is_refused(site: Any, name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        add(site, name)
    assert refused.value.code == "operator_invalid"


def test_the_same_name_in_other_letters_is_taken(site: Any) -> None:
    add(site, "Mira")
    with pytest.raises(ConfigurationError) as refused:
        add(site, "\N{FULLWIDTH LATIN SMALL LETTER M}ira")
    assert refused.value.code == "operator_taken"


def test_the_audit_log_tells_who_did_what_and_holds_no_password(site: Any) -> None:
    add(site)
    mira = signed_in(site)
    visitor = site.visitor()
    visitor.get("/login")
    visitor.post("/login", name=OTHER, password=OTHER)
    mira.get(OPERATORS)
    mira.post(f"{OPERATORS}/invite", name="jo", grade="look")
    events = site.server.core.store.list_events(env="test")

    assert [(event.kind, event.actor) for event in events] == [
        ("operator_added", "test"),
        ("signed_in", "mira"),
        ("sign_in_refused", ""),
        ("operator_invited", "mira"),
    ]
    assert OTHER not in repr(events)


def test_what_is_stored_holds_neither_password_nor_token(site: Any) -> None:
    add(site)
    _, token = site.server.operators.invite("jo", "look", by="mira")
    mira = signed_in(site)
    store = site.server.core.store
    kinds = ["operators", "invitation", "session", "operator_seen", "tries"]
    kept = repr([store.list_documents(kind, env="test") for kind in kinds])

    assert "$argon2id$" in kept
    for secret in (PASSWORD, token.reveal(), *mira.client.cookies.values()):
        assert secret not in kept


def test_operators_of_another_environment_are_others(site: Any) -> None:
    from valetkey.server.operators import Operators
    from valetkey.server.sessions import Sessions

    core = site.server.core
    operator = Operators(core.store, core.clock, "prod").add("mira", PASSWORD, "everything", by="test")
    token = Sessions(core.store, core.clock, "prod").begin(operator).token.reveal()

    other = Sessions(core.store, core.clock, "prod")
    local = other.use_link(other.link().reveal())

    assert site.server.operators.find("mira") is None
    assert site.sessions.find(token) is None
    assert local is not None
    assert site.sessions.find(local.token.reveal()) is None
    assert site.sessions.use_link(other.link().reveal()) is None
    assert other.find(token) is not None


def test_a_hash_of_old_parameters_is_made_anew_at_the_next_sign_in(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from argon2 import PasswordHasher

    def stored() -> str:
        return str(
            site.server.core.store.get_document("operators", "all", env="test").body["operators"]["mira"]["hash"]
        )

    add(site)
    before = stored()
    dearer = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)
    monkeypatch.setattr("valetkey.server.passwords._hasher", dearer)
    signed_in(site)

    assert (before.split("$")[3][5:9], stored().split("$")[3][5:9]) == ("t=1,", "t=2,")
    signed_in(site)


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        pytest.param("invite", {"name": "jo", "grade": "god"}, 400, id="a grade that is none"),
        pytest.param("change", {"name": "sam", "do": "promote"}, 400, id="an act that is none"),
        pytest.param("change", {"name": "nobody", "do": "disable"}, 409, id="nobody of that name"),
        pytest.param("change", {"name": "jo", "do": "enable"}, 409, id="somebody without a password"),
        pytest.param("change", {"name": "mira", "do": "disable"}, 409, id="the last one"),
        pytest.param("password", {"password": PASSWORD, "new": OTHER}, 303, id="a password of a login link"),
    ],
)
def test_a_form_that_cannot_be_done_changes_nothing(site: Any, path: str, fields: dict[str, str], status: int) -> None:
    add(site)
    add(site, "sam", "look")
    site.server.operators.invite("jo", "look", by="mira")
    before = site.server.operators.every()
    operator = site.operator()
    operator.get(OPERATORS)

    assert operator.post(f"{OPERATORS}/{path}", **fields).status_code == status
    assert site.server.operators.every() == before


def test_the_page_of_the_environment_says_which_apps_are_missing(site: Any) -> None:
    site.practice.declare("other")
    site.practice.secrets.delete("other-app-credentials")
    text = site.operator().get("/console/settings/environments").text

    assert "1 of 2" in text
    assert "other has none" in text
    assert "on this machine alone" not in text  # the practice has an address
