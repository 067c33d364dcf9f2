"""Names around secrets: the variables that may hold them, and the error of places that are only read."""

from __future__ import annotations

import re
from urllib.parse import quote

from valetkey.errors import ConfigurationError


def variable_name(secret_id: str, prefix: str = "") -> str:
    """Return the variable that holds a secret: upper case, everything but letters and digits as ``_``.

    >>> variable_name("github-app/credentials")
    'GITHUB_APP_CREDENTIALS'
    """
    return prefix + re.sub(r"[^A-Za-z0-9]", "_", secret_id).upper()


def read_only(secret_id: str, where: str, hint: str) -> ConfigurationError:
    """Return the error for a write to a place that is only read."""
    return ConfigurationError(
        f"{where} is only read: {secret_id!r} cannot be changed", code="place_read_only", hint=hint
    )


def token_secret_id(base: str, owner: str | None, account: str) -> str:
    """Return the secret id of a connection's token object: ``base``, ``base/owner``, ``base/owner/account``.

    Owner and account are percent-encoded, so that no owner can name another's secret.
    """
    if owner is None and not account:
        return base
    parts = [base, quote(owner or "", safe="")]
    if account:
        parts.append(quote(account, safe=""))
    return "/".join(parts)
