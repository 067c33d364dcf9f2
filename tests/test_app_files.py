"""Certificates of apps in files that variables name: found, read anew when they change, never half of a change."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.certificates import self_signed
from valetkey.app_files import set_variables, with_files
from valetkey.errors import ConfigurationError

CERTIFICATE, KEY = "VALETKEY_BANK_CERTIFICATE", "VALETKEY_BANK_CERTIFICATE_KEY"


class Folder:
    """Two files, and the variables that name them."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "app.crt", folder / "app.key"
        self.environ = {f"{CERTIFICATE}_FILE": str(self.certificate), f"{KEY}_FILE": str(self.key)}
        self._moment = 1_000_000_000

    def write(self, certificate: str | None, key: str | None) -> None:
        """Write what is given, each write a second after the one before."""
        for path, text in ((self.certificate, certificate), (self.key, key)):
            if text is not None:
                self._moment += 1
                path.write_text(text)
                os.utime(path, (self._moment, self._moment))

    def read(self) -> tuple[str | None, str | None]:
        found: Mapping[str, str] = with_files(self.environ, "bank")
        return found.get(CERTIFICATE), found.get(KEY)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def stripped(pair: tuple[str, str]) -> tuple[str, str]:
    return pair[0].strip(), pair[1].strip()


def test_files_that_change_are_read_anew(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    old, new = self_signed("old"), self_signed("new")
    folder.write(*old)
    assert folder.read() == folder.read() == stripped(old)
    folder.write(*new)

    with caplog.at_level(logging.INFO, "valetkey"):
        assert folder.read() == stripped(new)
        assert folder.read() == stripped(new)

    assert [record.getMessage() for record in caplog.records] == ["the certificate of the app of 'bank' was replaced"]


def test_half_of_a_change_is_not_used(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    old, new = self_signed("old"), self_signed("new")
    folder.write(*old)
    folder.read()
    for half in ((new[0], None), ("", None), ("\xe9", None)):
        caplog.clear()
        folder.write(*half)
        assert folder.read() == folder.read() == stripped(old), half
        assert len(caplog.records) == 1, "it is told once"
    folder.certificate.unlink()
    assert folder.read() == stripped(old)
    folder.write(*new)

    assert folder.read() == stripped(new)
    assert not any(line in caplog.text for line in new[1].splitlines())


def test_a_file_that_never_was_there_is_an_error_that_names_it(folder: Folder) -> None:
    folder.write("x", None)

    with pytest.raises(ConfigurationError) as caught:
        folder.read()

    assert caught.value.code == "certificate_unreadable"
    assert str(folder.key) in str(caught.value)
    assert f"{KEY}_FILE" in str(caught.value) + caught.value.hint


def test_one_file_may_hold_both_and_plain_variables_stay(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text("".join(self_signed("bank")))
    environ: dict[str, str] = {f"{CERTIFICATE}_FILE": str(both), "HOME": "/home"}

    found = with_files(environ, "bank")

    assert found[CERTIFICATE] == both.read_text().strip()
    assert (KEY in found, found["HOME"]) == (False, "/home")
    assert with_files({CERTIFICATE: "text"}, "bank") == {CERTIFICATE: "text"}


def test_the_variables_that_are_set_are_told(folder: Folder, monkeypatch: Any) -> None:
    for name, path in folder.environ.items():
        monkeypatch.setenv(name, path)
    monkeypatch.setenv("VALETKEY_BANK_CLIENT_ID", "id")

    assert set_variables("bank") == ("VALETKEY_BANK_CLIENT_ID", f"{CERTIFICATE}_FILE", f"{KEY}_FILE")
