from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from valetkey.protocol.bearer import Challenge, Verdict, judge, parse_challenges, refusal


def parsed(*values: str) -> list[tuple[str, dict[str, str]]]:
    return [(challenge.scheme, dict(challenge.params)) for challenge in parse_challenges(values)]


@pytest.mark.conformance("1 core: challenges")
@pytest.mark.parametrize(
    ("values", "challenges"),
    [
        pytest.param([], [], id="no header"),
        pytest.param([""], [], id="an empty header"),
        pytest.param(["Bearer"], [("bearer", {})], id="a scheme alone"),
        pytest.param(["bEARER ERROR=invalid_token"], [("bearer", {"error": "invalid_token"})], id="any case"),
        pytest.param(
            ['Bearer realm="a, b", error="invalid_token", error_description="it\\"s, over"'],
            [("bearer", {"realm": "a, b", "error": "invalid_token", "error_description": 'it"s, over'})],
            id="commas and escapes in quotes",
        ),
        pytest.param(
            ['Basic realm="x", Bearer error="invalid_token"'],
            [("basic", {"realm": "x"}), ("bearer", {"error": "invalid_token"})],
            id="two challenges in one header",
        ),
        pytest.param(
            ["Negotiate", 'DPoP algs="ES256 PS256", error="use_dpop_nonce"'],
            [("negotiate", {}), ("dpop", {"algs": "ES256 PS256", "error": "use_dpop_nonce"})],
            id="two headers",
        ),
        pytest.param(["Negotiate, Bearer, Basic"], [("negotiate", {}), ("bearer", {}), ("basic", {})], id="schemes"),
        pytest.param(
            ["Negotiate YII+/~._-=, Bearer error=invalid_token"],
            [("negotiate", {}), ("bearer", {"error": "invalid_token"})],
            id="token68",
        ),
        pytest.param(["NTLM TlRMTVNTUAAC=="], [("ntlm", {})], id="token68 at the end"),
        pytest.param(
            ['Bearer error = "invalid_token" ,, realm=x'],
            [("bearer", {"error": "invalid_token", "realm": "x"})],
            id="spaces and empty elements",
        ),
        pytest.param(
            ['Bearer error="invalid_token" error_description="no comma"'],
            [("bearer", {"error": "invalid_token", "error_description": "no comma"})],
            id="a comma forgotten",
        ),
        pytest.param(
            ["Bearer resource_metadata=https://rs.example/.well-known/x?a=b, error=invalid_token"],
            [("bearer", {"resource_metadata": "https://rs.example/.well-known/x?a=b", "error": "invalid_token"})],
            id="a URL without quotes",
        ),
        pytest.param(['Bearer error="invalid_token'], [("bearer", {"error": "invalid_token"})], id="a quote left open"),
        pytest.param(
            ['Bearer error="invalid_token\\'], [("bearer", {"error": "invalid_token"})], id="an escape of nothing"
        ),
        pytest.param(['Bearer error=""'], [("bearer", {"error": ""})], id="an empty value"),
        pytest.param(['Bearer error="a", error="invalid_token"'], [("bearer", {"error": "a"})], id="a parameter twice"),
        pytest.param(
            ['Bearer error="a", Bearer error="b"'], [("bearer", {"error": "a"}), ("bearer", {"error": "b"})], id="twice"
        ),
        pytest.param(['error="invalid_token"'], [], id="a parameter without a scheme"),
        pytest.param(['"quoted" Bearer'], [("quoted", {}), ("bearer", {})], id="quotes where none belong"),
        pytest.param(["(Bearer)"], [("bearer", {})], id="brackets"),
        pytest.param(['Bearer x="\u001b[31m\u202e"'], [("bearer", {"x": "[31m"})], id="terminal escapes"),
        pytest.param(['\tBearer\terror="x"\t'], [("bearer", {"error": "x"})], id="tabs"),
    ],
)
def test_challenges_come_in_many_forms(values: Sequence[str], challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert parsed(*values) == challenges


def test_the_number_and_size_of_challenges_is_bounded() -> None:
    assert len(parsed(*["Bearer"] * 100)) == 16
    [(_, params)] = parsed("Bearer " + ", ".join(f"p{n}=v" for n in range(100)))
    assert len(params) == 32
    [(_, params)] = parsed('Bearer x="' + "y" * 5000 + '"')
    assert len(params["x"]) == 1024
    assert parsed(" " * 9000 + "Bearer") == []


@pytest.mark.fuzz
@given(st.lists(st.text(max_size=60), max_size=5))
@example(['="' * 4000])
@example(['Bearer x="' + "\\" * 8000])
@example(["a " * 4000])
@example(["Bearer " + "a" * 8000 + "("])
def test_no_header_raises(values: list[str]) -> None:
    challenges = parse_challenges(values)

    for status in (401, 403, 200):
        assert judge(status, challenges, refresh_on_403=True).kind
    assert all(value.isprintable() for challenge in challenges for value in challenge.params.values())


@pytest.mark.fuzz
@given(
    scheme=st.sampled_from(["Bearer", "DPoP", "BEARER"]),
    params=st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
        min_size=1,
        max_size=5,
    ),
)
def test_what_a_server_quotes_is_what_is_read(scheme: str, params: dict[str, str]) -> None:
    quoted = [f'{name}="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for name, value in params.items()]

    assert parsed(f"{scheme} {', '.join(quoted)}") == [(scheme.lower(), params)]


# -- what they ask for ----------------------------------------------------------------------------------------------


def verdict(status: int, *values: str, refresh_on_403: bool = False) -> Verdict:
    return judge(status, parse_challenges(values), refresh_on_403=refresh_on_403)


@pytest.mark.conformance("1 core: challenges")
@pytest.mark.parametrize(
    ("values", "explicit"),
    [
        pytest.param([], False, id="without a challenge"),
        pytest.param(["Bearer"], False, id="without a word"),
        pytest.param(['Bearer realm="x"'], False, id="with a realm only"),
        pytest.param(["Basic realm=x"], False, id="with another scheme"),
        pytest.param(['Bearer error="invalid_token"'], True, id="invalid_token"),
        pytest.param(['bearer ERROR="Invalid_Token"'], True, id="invalid_token in another case"),
        pytest.param(["Basic realm=x", "Bearer error=invalid_token"], True, id="invalid_token in a second header"),
        pytest.param(['Bearer error="token_expired"'], False, id="an error of the API's own"),
        pytest.param(['Bearer error="invalid_request", Bearer'], False, id="one challenge of two"),
    ],
)
def test_a_401_that_may_mean_the_token_asks_for_a_new_one(values: Sequence[str], explicit: bool) -> None:
    assert verdict(401, *values) == Verdict(kind="renew", explicit=explicit)


@pytest.mark.conformance("1 core: 401 is not always")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            'Bearer error="insufficient_user_authentication", acr_values="a b", max_age="5"',
            Verdict(kind="step_up", acr_values=("a", "b"), max_age=5),
            id="a stronger and fresher sign-in",
        ),
        pytest.param(
            "Bearer error=insufficient_user_authentication, max_age=0, scope=pay",
            Verdict(kind="step_up", max_age=0, scopes=("pay",)),
            id="max_age without quotes, with a scope",
        ),
        pytest.param(
            'Bearer error="insufficient_user_authentication", max_age="soon"', Verdict(kind="step_up"), id="an odd age"
        ),
        pytest.param(
            'Bearer error="insufficient_user_authentication", max_age="-1"',
            Verdict(kind="step_up"),
            id="less than none",
        ),
        pytest.param(
            'Bearer error="insufficient_user_authentication", max_age="' + "9" * 500 + '"',
            Verdict(kind="step_up", max_age=10**9),
            id="an age of 500 digits",
        ),
        pytest.param(
            'Bearer error="insufficient_user_authentication", max_age="\u0663"', Verdict(kind="step_up"), id="Arabic"
        ),
        pytest.param('DPoP error="use_dpop_nonce"', Verdict(kind="dpop_nonce"), id="a nonce"),
        pytest.param('dPOP error="use_dpop_nonce", Bearer', Verdict(kind="dpop_nonce"), id="a nonce, beside Bearer"),
        pytest.param(
            'Bearer error="insufficient_scope", scope="a b"', Verdict(kind="scope", scopes=("a", "b")), id="scope"
        ),
        pytest.param('Bearer error="invalid_request"', Verdict(kind="nothing"), id="our request"),
        pytest.param('DPoP error="invalid_dpop_proof"', Verdict(kind="dpop_proof"), id="our proof"),
    ],
)
def test_a_401_that_means_something_else_renews_nothing(value: str, expected: Verdict) -> None:
    assert verdict(401, value) == expected


@pytest.mark.conformance("0 11", "1 core: challenges")
@pytest.mark.parametrize(
    ("values", "switch", "expected"),
    [
        pytest.param([], False, Verdict(kind="nothing"), id="without a word"),
        pytest.param(['Bearer error="invalid_token"'], False, Verdict(kind="nothing"), id="invalid_token"),
        pytest.param([], True, Verdict(kind="renew"), id="without a word, where 403 means 401"),
        pytest.param(
            ['Bearer error="invalid_token"'], True, Verdict(kind="renew", explicit=True), id="invalid_token there"
        ),
        pytest.param(
            ['Bearer error="insufficient_scope", scope="a"'],
            True,
            Verdict(kind="scope", scopes=("a",)),
            id="scope there",
        ),
        pytest.param(['Bearer error="insufficient_scope"'], False, Verdict(kind="scope"), id="scope without names"),
        pytest.param(['Bearer error="invalid_request"'], True, Verdict(kind="nothing"), id="our request"),
        pytest.param(
            ['Bearer error="insufficient_user_authentication"'], False, Verdict(kind="step_up"), id="a step up with 403"
        ),
    ],
)
def test_a_403_renews_only_where_the_provider_says_it_so(
    values: Sequence[str], switch: bool, expected: Verdict
) -> None:
    assert verdict(403, *values, refresh_on_403=switch) == expected


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 407, 500])
def test_no_other_status_asks_for_anything(status: int) -> None:
    assert verdict(status, 'Bearer error="invalid_token"', refresh_on_403=True) == Verdict(kind="nothing")


def test_the_first_of_two_challenges_with_one_error_counts() -> None:
    first = Challenge("bearer", {"error": "insufficient_scope", "scope": "a"})
    second = Challenge("bearer", {"error": "insufficient_scope", "scope": "b"})

    assert judge(403, [first, second], refresh_on_403=False).scopes == ("a",)


def test_an_answer_to_a_request_without_our_token_asks_for_nothing() -> None:
    said = ['Bearer error="invalid_token"']

    assert refusal(401, said, carried=False, refresh_on_403=True) == Verdict(kind="nothing")
    assert refusal(401, said, carried=True, refresh_on_403=False) == Verdict(kind="renew", explicit=True)
