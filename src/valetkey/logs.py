"""The package's loggers.  Nothing secret is ever handed to them; `redacted` is the belt to those braces.

All loggers hang under ``valetkey`` and have no handler of their own, as libraries should.
"""

from __future__ import annotations

import logging
import re
import threading

_SUSPECTS = re.compile(
    r"(?i)((?:access[_-]token|refresh_token|id_token|client_secret|code|code_verifier|device_code|state|assertion"
    r"|authorization|developer[_-]token|api[_-]?key)[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic|dpop|oauth|[a-z]+-oauthtoken)\s+)?)([^\s\"'&,;}]+)"
)


def redacted(text: str) -> str:
    """Return `text` with the values of well-known secret parameters replaced by ``****``."""
    return _SUSPECTS.sub(r"\1****", text)


class _Redact(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = redacted(message)
        if clean != message:
            record.msg, record.args = clean, None
        return True


class QueryHider(logging.Filter):
    """Keeps the queries of addresses out of what another library's logger says while this one is entered.

    A few servers want secrets in the query, and HTTP libraries log the address of every request.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._here = threading.local()
        logging.getLogger(name).addFilter(self)

    def __enter__(self) -> None:
        self._here.hides = True

    def __exit__(self, *_: object) -> None:
        self._here.hides = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut off the queries; every record passes."""
        if getattr(self._here, "hides", False) and isinstance(record.args, tuple):
            record.args = tuple(
                str(arg).partition("?")[0] if "?" in str(arg) and "://" in str(arg) else arg for arg in record.args
            )
        return True


def get_logger(name: str) -> logging.Logger:
    """Return the logger ``valetkey.<name>`` with redaction on it."""
    logger = logging.getLogger(f"valetkey.{name}")
    if not any(isinstance(f, _Redact) for f in logger.filters):
        logger.addFilter(_Redact())
    return logger
