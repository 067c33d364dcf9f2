"""What account holders are told about the application that they connect to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from valetkey.errors import clean
from valetkey.server.views.providers import Mark, mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """The application behind the pages for account holders.

    Attributes:
        product: Its name: "Acme CRM".
        workspace: Returns what an owner's workspace is called, for people; None or an empty answer: the owner's id.
        privacy_url: The page about privacy.
    """

    product: str = ""
    workspace: Callable[[str], str | None] | None = None
    privacy_url: str = ""

    @property
    def mark(self) -> Mark:
        """Its mark: two letters on a colour."""
        return mark(self.product or "your app")

    def workspace_of(self, owner: str | None) -> str:
        """Return what the workspace of an owner is called; empty where there is no owner."""
        if owner is None:
            return ""
        return clean((self.workspace(owner) if self.workspace else "") or owner, 120)
