"""Declarations in a file: ``valetkey.toml``, with the same fields as in code.

``[credentials.NAME]`` and ``[secrets.NAME]`` declare; ``[environments.ENV.credentials.NAME]`` changes fields of a
credential for one environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, cast

from valetkey.errors import ConfigurationError, clean
from valetkey.model.folders import config_folder
from valetkey.model.names import check_env, check_name, current_env
from valetkey.model.places import Place, did_you_mean
from valetkey.model.registry import Wiring, declare
from valetkey.model.settings import known_fields

FILE_NAME: Final = "valetkey.toml"
_TABLES: Final = ("credentials", "secrets", "environments")
_SECRET_FIELDS: Final = ("display_name", "description", "secret_id")
_OTHERS_MAY_WRITE: Final = 0o002

Tables = Mapping[str, Mapping[str, object]]


def find_wiring_file() -> Path | None:
    """Return the file of declarations: ``VALETKEY_CONFIG``, ``valetkey.toml`` here, else that of the user; or None.

    A file that merely lies in the current folder counts only if it belongs to this user (or to root) and nobody else
    can write it: else whoever may write into a shared folder could say where app credentials are sent.

    Raises:
        ConfigurationError: ``file_missing``: ``VALETKEY_CONFIG`` names no file; ``file_untrusted``: see above.
    """
    named = os.environ.get("VALETKEY_CONFIG")
    if named:
        path = Path(os.path.expanduser(named))  # noqa: PTH111 - Path's raises where there is no home folder
        if not path.is_file():
            Place("VALETKEY_CONFIG").refuse(
                f"there is no file {clean(path)}",
                code="file_missing",
                hint="correct the path in VALETKEY_CONFIG, or unset it",
            )
        return path
    here = Path(FILE_NAME)
    if here.is_file():
        _trusted(here)
        return here
    return _of_user()


def _of_user() -> Path | None:
    folder = config_folder()
    path = None if folder is None else folder / FILE_NAME
    return path if path is not None and path.is_file() else None


def _trusted(path: Path) -> None:
    if not hasattr(os, "geteuid"):
        return
    found = path.stat()
    if found.st_uid in {os.geteuid(), 0} and not found.st_mode & _OTHERS_MAY_WRITE:
        return
    whose = "other users can write it" if found.st_mode & _OTHERS_MAY_WRITE else "it belongs to another user"
    Place(str(path.absolute())).refuse(
        f"{whose}, so it is not read by itself",
        code="file_untrusted",
        hint=f"set VALETKEY_CONFIG={path.absolute()} if you trust it, or take it over: chmod o-w, chown",
    )


def load_wiring_file(path: Path | str, *, env: str | None = None) -> Wiring:
    """Return what a file declares for an environment (`env`, else the current one).

    Raises:
        ConfigurationError: ``file_unreadable``, ``toml_invalid`` (with the line), ``table_unknown``, or what a
            declaration in code would raise; the message names file and table.
    """
    file = Path(path)
    environment = current_env(env)
    data = _parse(file)
    _known(Place(str(file), toml=True), data, _TABLES, "table")
    credentials = _tables(file, data, "credentials")
    changes = _environments(file, data).get(environment, {})
    wiring = Wiring()
    for name in dict.fromkeys((*credentials, *changes)):
        _add_credential(wiring, file, name, credentials.get(name, {}), (environment, changes.get(name, {})))
    for name, given in _tables(file, data, "secrets").items():
        _add_secret(wiring, file, name, given)
    return wiring


def _parse(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only for those who have such a file

    place = Place(str(path))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        why = error.strerror or type(error).__name__
        place.refuse(f"it cannot be read: {why}", code="file_unreadable", hint=f"check path and mode of {path}")
    except UnicodeDecodeError:
        place.refuse("it is not UTF-8 text", code="toml_invalid", hint=f"save {path} as UTF-8")
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        where = f"line {line[1]} of {path}" if line else f"the end of {path}"
        place.refuse(f"it is no TOML: {clean(error)}", code="toml_invalid", hint=f"mend {where}")


def _known(place: Place, given: Mapping[str, object], known: tuple[str, ...], what: str) -> None:
    for name in given:
        if name not in known:
            code = "table_unknown" if what == "table" else "field_unknown"
            place.refuse(
                f'there is no {what} "{clean(name, 60)}"{did_you_mean(name, known)}',
                code=code,
                hint=f"there are: {', '.join(known)}",
            )


def _tables(file: Path, data: Mapping[str, object], kind: str, under: str = "") -> Tables:
    """Return the tables below ``[kind]``, by name."""
    found = data.get(kind, {})
    if not isinstance(found, dict):
        _no_table(file, f"{under}{kind}")
    tables = cast("dict[str, object]", found)
    for name, given in tables.items():
        if not isinstance(given, dict):
            _no_table(file, f"{under}{kind}.{name}")
    return cast("Tables", tables)


def _no_table(file: Path, table: str) -> NoReturn:
    Place(str(file)).refuse(
        f"{clean(table, 80)} is a value, and has to be a table",
        code="toml_invalid",
        hint=f"write [{clean(table, 80)}] on a line of its own, its fields below it",
    )


def _environments(file: Path, data: Mapping[str, object]) -> Mapping[str, Tables]:
    """Return the changes by environment and credential; all are looked at, so that a typo in one shows in all."""
    found: dict[str, Tables] = {}
    for env, given in _tables(file, data, "environments").items():
        table = f"environments.{check_env(env)}"
        _known(Place(str(file), f"table [{table}]", toml=True), given, ("credentials",), "table")
        found[env] = _tables(file, given, "credentials", f"{table}.")
        for name, fields in found[env].items():
            known_fields(Place(f'credential "{name}"', _where(file, f"{table}.credentials.{name}"), toml=True), fields)
    return found


def _where(file: Path, table: str) -> str:
    return f"{file}, table [{clean(table, 120)}]"


def _add_credential(
    wiring: Wiring, file: Path, name: str, given: Mapping[str, object], change: tuple[str, Mapping[str, object]]
) -> None:
    env, fields = change
    table = f"environments.{env}.credentials.{name}" if fields else f"credentials.{name}"
    merged = _merged(given, fields)
    wiring.add(declare(name, merged, source="file", where=_where(file, table), toml=True))


def _merged(given: Mapping[str, object], change: Mapping[str, object]) -> dict[str, object]:
    """Put the fields of an environment over the others; inner tables (``params``...) name by name."""
    merged = dict(given)
    for field, value in change.items():
        before = merged.get(field)
        both = isinstance(before, dict) and isinstance(value, dict)
        merged[field] = {**cast("dict[str, object]", before), **cast("dict[str, object]", value)} if both else value
    return merged


def _add_secret(wiring: Wiring, file: Path, name: str, given: Mapping[str, object]) -> None:
    place = Place(f'secret "{check_name(name, what="secret")}"', _where(file, f"secrets.{name}"), toml=True)
    if "schema" in given:
        place.refuse(
            "a schema is a Python class, and cannot stand in a file",
            code="field_unknown",
            hint="declare this secret in code: wire_secret(..., schema=...)",
        )
    _known(place, given, _SECRET_FIELDS, "field")
    for field, value in given.items():
        if not isinstance(value, str):
            place.refuse(f"{field} is not text", code="field_type", hint=f"write {place.line(field, '...')}")
    texts = cast("Mapping[str, str]", given)
    try:
        wiring.secret(
            name,
            display_name=texts.get("display_name", ""),
            description=texts.get("description", ""),
            secret_id=texts.get("secret_id"),
        )
    except ConfigurationError as error:
        place.refuse(str(error), code=error.code, hint=error.hint)
