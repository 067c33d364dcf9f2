"""URLs of Redis stores: what they say, what they hide, and what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from valetkey import Valet
from valetkey.errors import ConfigurationError
from valetkey.model.ports import Store
from valetkey.stores import open_store
from valetkey.stores._redis_link import Link
from valetkey.stores._redis_url import place_of
from valetkey.stores.redis import RedisStore

PASSWORD = "hunter2/:@"
WRITTEN = "hunter2%2F%3A%40"


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        pytest.param("redis://", "redis://localhost:6379/0", {"host": "localhost", "port": 6379, "db": 0}, id="short"),
        pytest.param("redis://h:1/2", "redis://h:1/2", {"host": "h", "port": 1, "db": 2}, id="all"),
        pytest.param("redis://h?db=3", "redis://h:6379/3", {"db": 3}, id="database as an option"),
        pytest.param("redis://[::1]:7/0", "redis://[::1]:7/0", {"host": "::1", "port": 7}, id="IPv6"),
        pytest.param("VALKEY://h", "redis://h:6379/0", {"host": "h"}, id="valkey"),
        pytest.param("valkeys://h", "rediss://h:6379/0", {"ssl_cert_reqs": "required"}, id="valkeys"),
        pytest.param("redis://h?name=crm", "redis://h:6379/0?name=crm", {}, id="name"),
        pytest.param(
            "redis://h?allow_eviction=yes&allow_volatile=1",
            "redis://h:6379/0?allow_eviction=1&allow_volatile=1",
            {},
            id="what is allowed",
        ),
        pytest.param(
            "unix:///run/a%20b/s?db=2", "unix:///run/a%20b/s?db=2", {"path": "/run/a b/s", "db": 2}, id="socket"
        ),
        pytest.param("redis://h?client_name=crm", "redis://h:6379/0", {"client_name": "crm"}, id="client name"),
        pytest.param(
            f"redis://ada:{WRITTEN}@h", "redis://h:6379/0", {"username": "ada", "password": PASSWORD}, id="login"
        ),
        pytest.param(
            f"redis://:{WRITTEN}@h", "redis://h:6379/0", {"username": None, "password": PASSWORD}, id="password"
        ),
        pytest.param(
            "rediss://h?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem",
            "rediss://h:6379/0",
            {"ssl_ca_certs": "/ca.pem", "ssl_certfile": "/c.pem", "ssl_check_hostname": True},
            id="TLS",
        ),
    ],
)
def test_a_url_says_where_the_store_is(url: str, shown: str, options: dict[str, Any]) -> None:
    store = open_store(url)

    assert isinstance(store, RedisStore)
    assert isinstance(store, Store)
    assert store.url == shown
    assert not store.local
    _, told = Link(place_of(url), timeout=1.0)._options()
    assert {name: told.get(name) for name in options} == options
    assert place_of(shown).shown == shown


def test_nothing_shows_the_password() -> None:
    url = f"redis://ada:{WRITTEN}@127.0.0.1:1/0"
    store = open_store(url)
    with pytest.raises(Exception) as caught:
        store.store_id()
    for text in (repr(store), store.url, repr(place_of(url)), str(caught.value), repr(caught.value.__cause__)):
        assert "hunter2" not in text
        assert "ada" not in text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("redis://h:port/0", "cannot be read", id="port"),
        pytest.param("redis://h/one", "'one' is not the number", id="database"),
        pytest.param("unix://?db=0", "names no socket", id="no socket"),
        pytest.param("redis://h?name={x}", "cannot be the name", id="braces"),
        pytest.param("redis://h?name=", "cannot be the name", id="empty name"),
        pytest.param("redis://h?allow_eviction=perhaps", "neither yes nor no", id="flag"),
        pytest.param("redis://h?ssl_ca_certs=/ca.pem", "with TLS only", id="TLS without TLS"),
        pytest.param("rediss://h?ssl_cert_reqs=none", "mean nothing: ssl_cert_reqs", id="unchecked certificates"),
        pytest.param("redis://h?password=hunter2", "mean nothing: password", id="password as an option"),
    ],
)
def test_a_url_that_cannot_be_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert caught.value.code == "store_url"
    assert said in str(caught.value)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_a_valet_is_made_from_a_url_without_any_connection() -> None:
    with Valet("redis://nowhere.invalid/0") as valet:
        assert "nowhere" not in repr(valet)


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    program = """
import sys
sys.modules["redis"] = None
from valetkey import ConfigurationError
from valetkey.stores import open_store
try:
    open_store("redis://localhost/0")
except ConfigurationError as error:
    print(error.code, error.hint, sep="|")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "extra_missing|pip install 'valetkey[redis]'\n"


def test_other_stores_do_not_import_it() -> None:
    program = "from valetkey.stores import open_store; open_store('memory:'); import sys; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
