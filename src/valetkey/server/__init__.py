"""The web face: the console for operators, the connect pages for account holders, and the REST API.

`create_app` returns an ASGI application over a valet.  It needs the extra ``server``.
"""

from __future__ import annotations

from importlib.util import find_spec

from valetkey.errors import ConfigurationError

__all__ = ["create_app"]


def _missing(package: str) -> ConfigurationError:
    msg = f"the server needs the package {package!r}, which is not installed"
    return ConfigurationError(msg, code="extra_missing", hint='pip install "valetkey[server]"')


for _late in ("python_multipart", "uvicorn"):  # imported at the first form, and to serve
    if find_spec(_late) is None:
        raise _missing(_late)
try:
    from valetkey.server.app import create_app
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] == "valetkey":
        raise
    raise _missing(error.name) from error
