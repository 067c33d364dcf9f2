"""Presets: the facts about one provider, as data.

A preset is a TOML file: what the provider is, where an app is registered, its quirks with their sources, and under
``[credential]`` fields of `OAuth2Credential`.  ``docs/presets.md`` describes the format.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn, cast
from urllib.parse import urlsplit

from valetkey.errors import ConfigurationError, ValetkeyError, clean
from valetkey.logs import get_logger
from valetkey.model import preset_data
from valetkey.model.credentials import EMPTY
from valetkey.model.folders import config_folder
from valetkey.model.left_out import left_out
from valetkey.model.located import UrlParam
from valetkey.model.places import Place, did_you_mean
from valetkey.model.plugins import brought
from valetkey.model.preset_data import Quirk, Verified, Weight
from valetkey.model.preset_files import Found, located, parsed, unreadable
from valetkey.model.preset_index import BUILT_IN, Listed, Origin, best_first, built_in
from valetkey.model.preset_lint import all_mistakes, grave_mistakes, mistakes_without_family
from valetkey.model.preset_members import MEMBERS, Mistake

GROUP: Final = "valetkey.presets"
"""The entry point group: the name is the preset's id, the object is its data, or the path of its file."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_UNREADABLE = (OSError, ValueError)
"""What reading a file of TOML raises: the errors of its encoding and of its syntax are ValueErrors."""
_log = get_logger("presets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The facts about one provider.

    Attributes:
        id: Its name, as in ``preset="github"``.
        display_name: The provider's name.
        family: The id of the preset that it extends; empty for none.
        category: What it is for: ``dev-tools``, ``storage``...
        fields: Fields of `OAuth2Credential`; their URLs may hold ``{parameters}``.
        url_params: The parameters of those URLs, by name.
        register_url: The page where an app is registered.
        register_labels: What that page calls ``client_id``, ``client_secret`` and ``redirect_uri``.
        redirect_note: What to know about redirect URIs there.
        docs_url: The provider's page about OAuth.
        scopes_doc_url: The page that lists the scopes.
        pkce_support: What the provider does with PKCE: ``required``, ``supported``, ``ignored``, ``breaks``; empty: not
            known.  Whether it is sent says the field `pkce`.
        well_known_scopes: Some scopes and what they allow.
        scope_weights: How much scopes allow, where that is known: ``read``, ``write`` or ``admin``.
        legacy: URL field -> the last day of that endpoint, as ``2027-02-16``.
        quirks: What is odd about it, each with its source.
        sources: Where a fact is said: its name (a field of `OAuth2Credential`, ``register_url``...) -> the page.
        verified: How well the facts are checked, and when.
        origin: Where the preset came from.
    """

    id: str
    display_name: str
    family: str = ""
    category: tuple[str, ...] = ()
    fields: Mapping[str, object] = field(default_factory=lambda: EMPTY)
    url_params: Mapping[str, UrlParam] = field(default_factory=lambda: EMPTY)
    register_url: str = ""
    register_labels: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    redirect_note: str = ""
    docs_url: str = ""
    scopes_doc_url: str = ""
    pkce_support: str = ""
    well_known_scopes: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    scope_weights: Mapping[str, Weight] = field(default_factory=lambda: EMPTY)
    legacy: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    quirks: tuple[Quirk, ...] = ()
    sources: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    verified: Verified = field(default_factory=Verified)
    origin: Origin = "built in"

    @property
    def asked_params(self) -> Mapping[str, UrlParam]:
        """The parameters that a person is asked for: not those that the provider says by itself."""
        given = self.fields
        kept, said = given.get("kept_params", EMPTY), given.get("callback_params", EMPTY)
        looked = cast("tuple[Mapping[str, Mapping[str, str]], ...]", given.get("look_ups", ()))
        come = {*cast("Mapping[str, str]", kept), *cast("Mapping[str, str]", said)}
        come |= {name for one in looked for name in one["params"]}
        return {n: rule for n, rule in self.url_params.items() if n not in come and not rule.callback}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of its URLs and API, parameters left as they are."""
        urls = (str(self.fields.get(name, "")) for name in ("authorization_url", "token_url", "api_base_url"))
        api = cast("tuple[str, ...]", self.fields.get("api_hosts", ()))
        return tuple(dict.fromkeys(filter(None, (*(urlsplit(url).netloc for url in urls), *api))))

    @property
    def listed(self) -> Listed:
        """What a list tells of it."""
        return Listed(
            id=self.id,
            display_name=self.display_name,
            family=self.family,
            category=self.category,
            hosts=self.hosts,
            params=tuple(sorted(self.url_params)),
            needed=tuple(sorted(name for name, rule in self.url_params.items() if rule.needed)),
            register_url=self.register_url,
            docs_url=self.docs_url,
            scopes_doc_url=self.scopes_doc_url,
            verified=self.verified,
            origin=self.origin,
        )


def load_preset(preset_id: str) -> Preset:
    """Return the preset with that id: built in, else of the user's folder, else of an installed package.

    Only that one file is read, and entry points only where neither knows it.

    Raises:
        ConfigurationError: ``preset_unknown``, with the nearest one; ``preset_invalid``: its data is not in order.
    """
    found: Preset | None = None
    if _ID.fullmatch(preset_id):
        found = _built_in(preset_id) or _from_folder(preset_id) or _from_plugin(preset_id)
    if found is not None:
        return found
    return _unknown(preset_id)


def _unknown(preset_id: str) -> NoReturn:
    place = Place(f'preset "{clean(preset_id, 60)}"')
    others = "run `valetkey providers search` for those there are, or write authorization_url and token_url by hand"
    known = left_out().get(preset_id)
    if known:
        place.refuse(f"there is none: {known.told}", code="preset_unknown", hint=known.hint or others)
    near = did_you_mean(preset_id, preset_ids())
    place.refuse(f"there is none of that name{near}", code="preset_unknown", hint=others)


def preset_ids() -> tuple[str, ...]:
    """Return the ids of all presets, sorted."""
    return tuple(sorted({*built_in(), *_own_ids()}))


def search_presets(text: str) -> list[Listed]:
    """Return the presets whose id, name, host or category holds `text`, the best first; all for an empty text.

    Of those that come along only their index is read.  A preset of the user that cannot be read is passed over with a
    warning in the log.
    """
    known = {**{listed.id: listed for listed in _own()}, **built_in()}
    return best_first(text, known.values())


def _own_ids() -> set[str]:
    """Return the ids of what the user's folder and installed packages bring."""
    folder = user_folder()
    names = {path.stem for path in folder.glob("*.toml")} if folder.is_dir() else set[str]()
    names.update(plugin.name for plugin in _plugins())
    return {name for name in names if _ID.fullmatch(name)}


def _own() -> Iterator[Listed]:
    for preset_id in sorted(_own_ids() - set(built_in())):
        try:
            yield load_preset(preset_id).listed
        except ValetkeyError as error:
            _log.warning("preset %s was passed over: %s", preset_id, error.hint.removeprefix("run: "))


def lint_preset(data: Mapping[str, Any]) -> list[Mistake]:
    """Return what is wrong with the data of a preset, the grave first; nothing when it is in order."""
    return _lint(data)


def _lint(data: Mapping[str, Any], beside: Path | None = None) -> list[Mistake]:
    family = _family(data, beside)
    if isinstance(family, Mistake):
        return [family, *(each for each in mistakes_without_family(data) if each.field != family.field)]
    return all_mistakes(data, family)


def lint_preset_file(path: Path) -> list[Found]:
    """Return what is wrong with the file of a preset, its name included; nothing when it is in order."""
    if not _ID.fullmatch(path.stem):
        text = f'"{clean(path.stem, 60)}" cannot be an id'
        return [Found(path, 0, Mistake("", text, "rename the file to small letters, digits and hyphens: shop.toml"))]
    try:
        return located(path, _lint(parsed(path), path.parent))  # a family may lie beside it
    except _UNREADABLE as error:
        return [unreadable(path, error)]


def lint_plugins() -> dict[str, list[Found]]:
    """Return what is wrong with the presets that installed packages bring, by the id of each."""
    return {plugin.name: _lint_plugin(plugin) for plugin in _plugins()}


def _lint_plugin(plugin: Any) -> list[Found]:
    where = f"{plugin.value} (entry point {plugin.name})"
    if not _ID.fullmatch(plugin.name):
        return [Found(where, 0, Mistake("", "its name cannot be an id", "small letters, digits and hyphens"))]
    try:
        loaded = plugin.load()
    except Exception as error:  # noqa: BLE001 - what a package does when it is imported is its own
        return [Found(where, 0, Mistake("", f"it cannot be loaded: {clean(error, 200)}"))]
    if isinstance(loaded, Mapping):
        return [Found(where, 0, mistake) for mistake in lint_preset(cast("Mapping[str, Any]", loaded))]
    path = Path(loaded)
    try:
        return located(path, lint_preset(parsed(path)))
    except _UNREADABLE as error:
        return [unreadable(path, error)]


def user_folder() -> Path:
    """Return the folder of the user's own presets: ``VALETKEY_PRESETS``, else ``presets`` in the config folder.

    It need not exist; for a user without home folder it never does.
    """
    given = os.environ.get("VALETKEY_PRESETS")
    if given:
        return Path(os.path.expanduser(given))  # noqa: PTH111 - Path's raises where there is no home folder
    return (config_folder() or Path(os.devnull)) / "presets"


# -- the three places --------------------------------------------------------------------------------------------------


@functools.cache
def _built_in(preset_id: str) -> Preset | None:
    return _read(BUILT_IN / f"{preset_id}.toml", preset_id, "built in")


def _from_folder(preset_id: str) -> Preset | None:
    return _read(user_folder() / f"{preset_id}.toml", preset_id, "folder")


def _from_plugin(preset_id: str) -> Preset | None:
    for plugin in _plugins():
        if plugin.name == preset_id:
            loaded = plugin.load()
            if isinstance(loaded, Mapping):
                return _preset(cast("Mapping[str, Any]", loaded), preset_id, "plugin", f"the package of {plugin.value}")
            return _read(Path(loaded), preset_id, "plugin")
    return None


@functools.cache
def _plugins() -> Any:
    return brought(GROUP)


def _read(path: Path, preset_id: str, origin: Origin) -> Preset | None:
    data = _data_in(path)
    return None if data is None else _preset(data, preset_id, origin, path)


def _data_in(path: Path) -> Mapping[str, Any] | None:
    """Return what stands in a preset's file; None where there is none."""
    try:
        return parsed(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except _UNREADABLE as error:
        raise _invalid(path.stem, path, [str(unreadable(path, error))]) from None


def _family(data: Mapping[str, Any], beside: Path | None = None) -> Mapping[str, Any] | Mistake | None:
    """Return the data of the preset that this one extends, or why there is none; None where it extends none."""
    name = data.get("extends")
    if name is None:
        return None
    if not isinstance(name, str) or not _ID.fullmatch(name):
        return Mistake("extends", "it is the id of a preset", MEMBERS["extends"].example)
    for folder in _folders(beside):
        family = _data_in(folder / f"{name}.toml")
        if family is None:
            continue
        if "extends" in family:
            return Mistake("extends", f'"{name}" extends "{family["extends"]}" itself', "extend that one")
        mistakes = [] if folder == BUILT_IN else grave_mistakes(family)
        return Mistake("extends", f'the preset "{name}" is not in order: {mistakes[0]}') if mistakes else family
    return Mistake("extends", f'there is no preset "{name}"{did_you_mean(name, preset_ids())}')


def _folders(beside: Path | None) -> Iterator[Path]:
    yield BUILT_IN
    if beside is not None:
        yield beside
    yield user_folder()


def _preset(data: Mapping[str, Any], preset_id: str, origin: Origin, where: Path | str) -> Preset:
    # Those built in are linted by the tests of this project; others by whoever loads them, each time.
    mistakes = [] if origin == "built in" else [mistake for mistake in lint_preset(data) if mistake.grave]
    if mistakes:
        told = located(where, mistakes) if isinstance(where, Path) else mistakes
        raise _invalid(preset_id, where, [str(each) for each in told])
    name, family = str(data.get("extends", "")), _family(data)
    if isinstance(family, Mapping):
        data = preset_data.extended(family, data)
    return Preset(
        id=preset_id,
        display_name=data["display_name"],
        family=name,
        category=tuple(data.get("category", ())),
        fields=preset_data.credential_fields(data),
        url_params=preset_data.url_params(data),
        register_url=data.get("register_url", ""),
        register_labels=MappingProxyType(dict(data.get("register_labels", EMPTY))),
        redirect_note=data.get("redirect_note", ""),
        docs_url=data.get("docs_url", ""),
        scopes_doc_url=data.get("scopes_doc_url", ""),
        pkce_support=data.get("pkce_support", ""),
        well_known_scopes=preset_data.scopes(data),
        scope_weights=preset_data.scope_weights(data),
        legacy=MappingProxyType(dict(data.get("legacy", EMPTY))),
        quirks=tuple(Quirk(**quirk) for quirk in data.get("quirks", ())),
        sources=MappingProxyType(dict(data.get("sources", EMPTY))),
        verified=Verified(**data.get("verified", EMPTY)),
        origin=origin,
    )


def _invalid(preset_id: str, where: Path | str, told: list[str]) -> ConfigurationError:
    place = Place(f'preset "{preset_id}"', "" if isinstance(where, Path) else where)
    more = f" (and {len(told) - 1} more)" if told[1:] else ""
    file = f" {shlex.quote(str(where))}" if isinstance(where, Path) else ""
    hint = f"run: valetkey providers lint{file}"
    return place.error(f"{told[0]}{more}", code="preset_invalid", hint=hint)
