"""A certificate of ours into a TLS context: OpenSSL reads them from files only, and a key is not left in one."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from valetkey.forks import late_imports
from valetkey.values import Secret

if TYPE_CHECKING:
    import ssl


def load_certificate(context: ssl.SSLContext, certificate: Secret) -> None:
    """Have connections of `context` carry a certificate, which is PEM with its key, when the server asks for one."""
    with _file(certificate) as path:
        context.load_cert_chain(path, password=_nobody)


def _nobody() -> str:
    """Stand for a password: without this OpenSSL would ask at the terminal for the one of an encrypted key."""
    return ""


@contextmanager
def _file(certificate: Secret) -> Generator[str]:
    """Give a file for a moment: in memory where the system can (Linux), else one that only we can read."""
    text = certificate.reveal().encode()
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112 - no object for a question
        number = os.memfd_create("certificate", os.MFD_CLOEXEC)
        with os.fdopen(number, "wb") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{number}"
        return
    with late_imports:
        from tempfile import TemporaryDirectory  # noqa: PLC0415 - systems that have files in memory need none of it

    with TemporaryDirectory(prefix="valetkey-") as folder:  # mode 0700
        path = os.path.join(folder, "certificate.pem")  # noqa: PTH118
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
        yield path
