"""TLS on the way to the server: who it is must be proved."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from valetkey.errors import StoreUnavailable
from valetkey.model.connections import ConnectionKey, Record
from valetkey.stores.redis import RedisStore

RECORD = Record(id="con_1", key=ConnectionKey("test", "github"), created_at=1.0)


class Authority:
    """Signs certificates for servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        certificate = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.file = folder / "ca.pem"
        self.file.write_bytes(certificate)

    def context(self, *hosts: x509.GeneralName) -> ssl.SSLContext:
        """Return what a server with these names shows."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        path = self._folder / "server.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(self._signed(name, key, x509.SubjectAlternativeName(hosts)) + secret)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


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
