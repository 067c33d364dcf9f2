"""What a URL of a Postgres store may say, and what of it is ever shown."""

from __future__ import annotations

import traceback

import pytest
from psycopg.conninfo import conninfo_to_dict

from valetkey.errors import ConfigurationError
from valetkey.stores import open_store
from valetkey.stores._postgres_url import parse
from valetkey.stores.postgres import PostgresStore


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("postgresql://app:hunter2@db/valetkey", "postgresql://app@db/valetkey", id="password"),
        pytest.param("postgres://app@db:5433/valetkey", "postgresql://app@db:5433/valetkey", id="short scheme"),
        pytest.param("PostgreSQL://db/valetkey", "postgresql://db/valetkey", id="scheme in capitals"),
        pytest.param("postgresql://", "postgresql://", id="nothing"),
        pytest.param(
            "postgresql://app:hunter2@one:1,two:2/v?sslmode=require", "postgresql://app@one:1,two:2/v", id="two hosts"
        ),
        pytest.param("postgresql://db/v?password=hunter2", "postgresql://db/v", id="password as a parameter"),
        pytest.param(
            "postgresql:///v?host=/run/postgresql&user=app&passfile=hunter2",
            "postgresql:///v?user=app&host=/run/postgresql",
            id="socket",
        ),
        pytest.param("postgresql://db/v?schema=tokens", "postgresql://db/v?schema=tokens", id="schema"),
        pytest.param("postgresql://db/v?schema=valetkey", "postgresql://db/v", id="usual schema"),
        pytest.param(
            "postgresql://app:hunter2@bouncer/v?listen_url=postgresql%3A%2F%2Fapp%3Ahunter2@db%2Fv",
            "postgresql://app@bouncer/v",
            id="listen_url",
        ),
        pytest.param("postgresql://app:hunter2?a#b=c&d@db/v", "postgresql://app@db/v", id="odd but clear password"),
        pytest.param("postgresql://app:hunter2%40%2F@[::1]/v", "postgresql://app@[::1]/v", id="encoded password"),
    ],
)
def test_a_url_is_shown_without_its_passwords(url: str, shown: str) -> None:
    store = open_store(url)
    assert isinstance(store, PostgresStore)
    assert store.url == shown
    assert repr(store) == f"PostgresStore({shown!r})"
    assert "hunter2" not in repr(store._place) + repr(vars(store))
    assert not store.local
    again = open_store(shown)
    assert again.url == shown


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://app:hunter2@x@db/valetkey", id="@ in the password"),
        pytest.param("postgresql://app:hunter2/x@db/valetkey", id="slash in the password"),
        pytest.param("postgresql://app:hunter2/@x?x@db/valetkey", id="slash, @ and question mark in the password"),
        pytest.param("postgresql://app:hunter2%x@db/valetkey", id="per cent sign in the password"),
        pytest.param("postgresql://app:x@db:hunter2/valetkey", id="port"),
        pytest.param("postgresql://app:hunter2@db/v?no_such_option=1", id="unknown parameter"),
        pytest.param("postgresql://app:hunter2@db/v?schema=a%20b", id="schema with a blank"),
        pytest.param("postgresql://app:hunter2@db/v?schema=", id="empty schema"),
        pytest.param("postgresql://db/v?listen_url=mysql://app:hunter2@db/v", id="listen_url of another kind"),
        pytest.param("postgresql://[::1/v?user=hunter2", id="bracket"),
    ],
)
def test_a_malformed_url_is_refused_and_nothing_of_it_is_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    error = caught.value
    assert error.code == "store_url"
    assert error.hint
    told = str(error) + error.hint + "".join(traceback.format_exception(error, limit=0))
    assert "hunter2" not in told


def test_the_primary_is_demanded_whatever_the_url_says() -> None:
    place = parse("postgresql://db/v?target_session_attrs=any&client_encoding=latin1&connect_timeout=60")
    told = conninfo_to_dict(place.conninfo.reveal())
    assert (told["target_session_attrs"], told["client_encoding"], told["connect_timeout"]) == (
        "read-write",
        "utf8",
        "60",
    )


def test_news_are_listened_for_where_the_most_explicit_word_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def host(url: str, listen_url: str | None = None) -> object:
        return conninfo_to_dict(parse(url, listen_url=listen_url).listen.reveal())["host"]

    assert host("postgresql://store/v") == "store"
    monkeypatch.setenv("VALETKEY_LISTEN_URL", "postgresql://environment/v")
    assert host("postgresql://store/v") == "environment"
    with_parameter = "postgresql://store/v?listen_url=postgresql://parameter/v"
    assert host(with_parameter) == "parameter"
    assert host(with_parameter, "postgresql://argument/v") == "argument"


def test_the_schema_of_the_argument_goes_first() -> None:
    assert PostgresStore("postgresql://db/v?schema=a", schema="b").url == "postgresql://db/v?schema=b"
