"""The web face: the console for operators, the connect pages for account holders, and the REST API.

`create_app` returns an ASGI application over a valet.  It needs the extra ``server``.
"""

from __future__ import annotations

from valetkey.errors import ConfigurationError

__all__ = ["create_app"]

try:
    from valetkey.server.app import create_app
except ModuleNotFoundError as error:  # pragma: no cover - what the tests run in has the extra
    if error.name is None or error.name.partition(".")[0] == "valetkey":
        raise
    raise ConfigurationError(
        f"the server needs the package {error.name!r}, which is not installed",
        code="extra_missing",
        hint='pip install "valetkey[server]"',
    ) from error
