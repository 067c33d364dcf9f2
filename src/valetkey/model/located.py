"""What is different for each connection of a provider, as data: parameters of its URLs, and look-ups after connecting.

Programs that use neither load none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from valetkey.model.credentials import EMPTY
from valetkey.values import Value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class UrlParam(Value):
    """One parameter of a provider's URLs.

    Attributes:
        name: As it stands between the braces.
        description: What it is, for people.
        pattern: A regular expression that the whole value matches, beside the general rule; empty for none.
        default: The value where the declaration gives none; empty: one has to be given.
        whole_host: Whether it is a whole host (of a service that people run themselves), not a part of one.
        example: A value to show in hints.
        values: The values there are, where that is a closed set: what is typed -> what stands in the URL (``eu`` ->
            ``zoho.eu``); empty: any that fits.
        callback: The parameter of the callback that says it: a person's own data centre, say.  Only with `values`, for
            whoever sits at the browser can write there.
        optional: Whether the declaration may leave it out, and each sign-in, or what the provider says, gives its own.
    """

    name: str
    description: str = ""
    pattern: str = ""
    default: str = ""
    whole_host: bool = False
    example: str = ""
    values: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    callback: str = ""
    optional: bool = False

    @property
    def needed(self) -> bool:
        """Whether a declaration has to give it."""
        return not (self.default or self.per_connection)

    @property
    def per_connection(self) -> bool:
        """Whether its value may be another for each connection."""
        return self.optional or bool(self.callback)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LookUp(Value):
    """A question to the provider's API after connecting, whose answer is kept as params of the connection.

    Attributes:
        url: What is asked, by GET with the new access token; it may hold params that are known by then.
        headers: Headers beside ``Authorization`` and the credential's `api_headers`.
        params: What is kept: param name -> dotted path in the answer, or in the chosen one of a list; digits are
            indices.
        choose: Where the answer holds a list: ``list`` is the dotted path of it (``.``: the whole answer), ``id`` the
            member that tells its entries apart, which one of `params` keeps, and ``label`` the one that names an entry
            for people.  The first entry is used, unless a person chooses another.
        matching: Only entries count in which these members are, or hold, these values: dotted path -> value.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    choose: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    matching: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    @property
    def name(self) -> str:
        """The param that it is for: the one by which an entry is chosen, else its first."""
        chosen = self.choose.get("id", "")
        return next((name for name, path in self.params.items() if path == chosen), next(iter(self.params), ""))
