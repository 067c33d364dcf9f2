"""The package's loggers.  Nothing secret is ever handed to them; `redacted` is the belt to those braces.

All loggers hang under ``valetkey`` and have no handler of their own, as libraries should.
"""

from __future__ import annotations

import logging
import re

_SUSPECTS = re.compile(
    r"(?i)((?:access_token|refresh_token|id_token|client_secret|code|code_verifier|device_code|state|assertion"
    r"|authorization)[\"']?\s*[=:]\s*[\"']?(?:bearer\s+|basic\s+|dpop\s+)?)([^\s\"'&,;}]+)"
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


def get_logger(name: str) -> logging.Logger:
    """Return the logger ``valetkey.<name>`` with redaction on it."""
    logger = logging.getLogger(f"valetkey.{name}")
    if not any(isinstance(f, _Redact) for f in logger.filters):
        logger.addFilter(_Redact())
    return logger
