"""Secrets from environment variables, read-only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NoReturn

from valetkey.model.secret_names import read_only, variable_name


class EnvSecrets:
    """Reads secret ``github-app`` from the variable ``GITHUB_APP``.  An empty variable counts as unset.

    Args:
        prefix: What stands before each name, as it is: with ``"MYAPP_"`` the variable is ``MYAPP_GITHUB_APP``.
        environ: The environment; by default that of the process.
    """

    def __init__(self, prefix: str = "", *, environ: Mapping[str, str] | None = None) -> None:
        self._prefix = prefix
        self._environ = os.environ if environ is None else environ

    def get(self, secret_id: str) -> str | None:
        """Return the value, or None when there is none."""
        return self._environ.get(variable_name(secret_id, self._prefix)) or None

    def set(self, secret_id: str, value: str) -> NoReturn:  # noqa: ARG002 - it is not taken
        """Refuse (`ConfigurationError`, code ``place_read_only``)."""
        self._refuse(secret_id)

    def delete(self, secret_id: str) -> NoReturn:
        """Refuse (`ConfigurationError`, code ``place_read_only``)."""
        self._refuse(secret_id)

    def _refuse(self, secret_id: str) -> NoReturn:
        hint = f"set the variable {variable_name(secret_id, self._prefix)} where the program is started"
        raise read_only(secret_id, "the environment", hint)
