"""TLS on the way to the server: who it is must be proved."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from shared.authority import Authority
from valetkey.errors import StoreUnavailable
from valetkey.model.connections import ConnectionKey, Record
from valetkey.stores.redis import RedisStore

RECORD = Record(id="con_1", key=ConnectionKey("test", "github"), created_at=1.0)


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_server_that_proves_who_it_is_is_used(
    shared_server: Any, wires: Any, authority: Authority, until: Any
) -> None:
    wire = wires(shared_server, authority.context(LOOPBACK))
    store = RedisStore(f"rediss://127.0.0.1:{wire.port}/0?name=tls&ssl_ca_certs={authority.file}")
    store.watch(lambda _: None)
    assert store.create(RECORD) == RECORD
    assert store.load(RECORD.key) == RECORD
    until(store.listens)
    store.close()


@pytest.mark.parametrize(
    ("host", "known", "said"),
    [
        pytest.param(LOOPBACK, False, "unable to get local issuer certificate", id="an authority that nobody knows"),
        pytest.param(x509.DNSName("other.example"), True, "127.0.0.1", id="another host's certificate"),
    ],
)
def test_a_server_that_does_not_is_not_even_greeted(
    shared_server: Any, wires: Any, authority: Authority, host: x509.GeneralName, known: bool, said: str
) -> None:
    wire = wires(shared_server, authority.context(host))
    options = f"&ssl_ca_certs={authority.file}" if known else ""
    store = RedisStore(f"rediss://127.0.0.1:{wire.port}/0?name=tls-refused{options}")
    with pytest.raises(StoreUnavailable, match=said) as caught:
        store.load(RECORD.key)
    assert caught.value.code == "store_tls"
    assert "ssl_ca_certs" in caught.value.hint
    assert wire.carried == 0


def test_a_server_without_tls_is_not_talked_to_in_the_clear(shared_server: Any, wires: Any) -> None:
    wire = wires(shared_server)
    store = RedisStore(f"rediss://127.0.0.1:{wire.port}/0", timeout=1.0)
    with pytest.raises(StoreUnavailable):
        store.load(RECORD.key)
    store.close()
