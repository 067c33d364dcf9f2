"""What a twin knows of a connection: where its declaration leaves holes, and what fills them.

It is worked out from the declaration alone, by plain replacement, so that it judges what valetkey fills in.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any
from urllib.parse import urlencode

from valetkey.model.credentials import OAuth2Credential
from valetkey.model.located import LookUp


class Places:
    """The params of the one connection that a twin gives out.

    Attributes:
        given: What whoever signs in has to say: params that the declaration left to it.
        known: All of them: given, said by the callback, kept of the token answer, looked up.
    """

    def __init__(self, declared: OAuth2Credential, app: Mapping[str, str] | None = None) -> None:
        self.declared = declared
        self._app = app or {}
        rules = {rule.name: rule for rule in declared.url_params}
        self.given = {
            name: rule.example or rule.default or next(iter(rule.values))
            for name, rule in rules.items()
            if rule.optional and not declared.params.get(name) and not self._comes(name)
        }
        self.known = {**declared.params, **self.given}
        for rule in rules.values():
            if rule.callback:
                self.known[rule.name] = list(rule.values)[-1]
        for name, path in declared.kept_params.items():
            self.known[name] = self._example(name, f"kept-{path.rpartition('.')[2]}")
        for name in declared.callback_params:
            self.known[name] = self._example(name, f"came-{name}")
        for one in declared.look_ups:
            for name in one.params:
                self.known[name] = self._example(name, f"found-{name}")

    @property
    def needed(self) -> dict[str, str]:
        """What a connection has to know: what is kept of a token answer counts where it fills a hole."""
        declared = self.declared
        texts = [str(getattr(declared, f.name)) for f in fields(declared) if f.name.endswith("_url")]
        texts += [*declared.api_hosts, *declared.api_headers.values()]
        idle = {name for name in declared.kept_params if not any(f"{{{name}}}" in text for text in texts)}
        return {name: value for name, value in self.known.items() if name not in idle}

    def _comes(self, name: str) -> bool:
        declared = self.declared
        looked_up = {name for one in declared.look_ups for name in one.params}
        return name in {*declared.kept_params, *declared.callback_params, *looked_up}

    def _example(self, name: str, otherwise: str) -> str:
        found = next((rule.example for rule in self.declared.url_params if rule.name == name), "")
        return found or otherwise

    def fill(self, text: str, *, only: Mapping[str, str] | None = None) -> str:
        """Put what is known, or `only` that, into the holes of a text."""
        rules = {rule.name: rule for rule in self.declared.url_params}
        for name, value in (self.known if only is None else only).items():
            said = rules[name].values.get(value, value) if name in rules else value
            text = text.replace(f"{{{name}}}", said)
        return text

    def filled(self) -> OAuth2Credential:
        """Return the declaration with all its holes filled."""
        declared = self.declared
        urls = [f.name for f in fields(declared) if f.name.endswith("_url") or f.name in {"issuer", "verify"}]
        return replace(
            declared,
            **{name: self.fill(getattr(declared, name)) for name in urls},
            api_hosts=tuple(map(self.fill, declared.api_hosts)),
            api_headers={name: self._of_app(self.fill(text)) for name, text in declared.api_headers.items()},
        )

    def _of_app(self, text: str) -> str:
        for name, value in self._app.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def front(self) -> str:
        """Return where a sign-in begins: nobody has said anything yet but the declaration and who signs in."""
        return self.fill(self.declared.authorization_url, only={**self.declared.params, **self.given})

    def callback(self, answer: Mapping[str, str], secret: str) -> dict[str, str]:
        """Return the answer with what this provider adds to it."""
        declared, more = self.declared, dict(answer)
        for rule in declared.url_params:
            if rule.callback:
                more[rule.callback] = self.known[rule.name]
        more |= {place: self.known[name] for name, place in declared.callback_params.items()}
        more |= {place: self.fill(template) for place, template in declared.callback_equals.items()}
        if declared.callback_hmac:
            text = urlencode(sorted(more.items()))
            more[declared.callback_hmac] = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return more

    def look_up(self, url: str) -> LookUp | None:
        """Return the look-up that asks there."""
        return next((one for one in self.declared.look_ups if self.fill(one.url) == url), None)

    def looked_up(self, one: LookUp) -> Any:
        """Return what is answered: in a list stand what does not match, what counts, and one more."""
        entry: dict[str, Any] = {}
        if not one.choose:
            for name, path in one.params.items():
                put(entry, path, self.known[name])
            return entry
        other: dict[str, Any] = {}
        for name, path in one.params.items():
            put(entry, path, self.known[name])
            put(other, path, f"other-{name}")
        for path, value in one.matching.items():
            put(entry, path, value)
            put(other, path, value)
        if one.choose.get("label"):
            put(entry, one.choose["label"], "The one")
            put(other, one.choose["label"], "The other")
        unwanted = [{path: f"unwanted-{path}" for path in one.params.values()}] if one.matching else []
        entries = [*unwanted, entry, other]
        if one.choose["list"] == ".":
            return entries
        answer: dict[str, Any] = {}
        *above, last = one.choose["list"].split(".")
        here = answer
        for name in above:
            here = here.setdefault(name, {})
        here[last] = entries
        return answer


def put(answer: dict[str, Any], place: str, value: str) -> None:
    """Put a value where a dotted path says; a step that is a number is into a list."""
    within: Any = answer
    steps = place.split(".")
    for step, below in zip(steps, (*steps[1:], ""), strict=True):
        made: Any = value if not below else [] if below.isdecimal() else {}
        if not isinstance(within, list):
            within = within.setdefault(step, made)
            continue
        within.extend({} for _ in range(int(step) - len(within)))
        if int(step) == len(within):
            within.append(made)
        within = within[int(step)]
