"""What every measurement is handed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clients import CLIENTS
from origin import Origin
from peer import Peer
from report import Report


@dataclass(frozen=True)
class Bench:
    """One run.

    Attributes:
        origin: The local server.
        report: Where results go.
        quick: Whether a rough answer within two minutes is wanted.
        stores: With which stores to measure what is measured with several; none: with all.
    """

    origin: Origin
    report: Report
    quick: bool
    stores: tuple[str, ...] = ()

    def wants(self, store: str) -> bool:
        """Whether to measure with a store; it is named by the first word of its name."""
        return not self.stores or store.partition(",")[0].lower() in self.stores

    def clients(self, *, colour: str | None = None) -> Iterator[tuple[str, type[Peer]]]:
        """Yield the clients to measure, those of a colour if one is named."""
        for name, kind in CLIENTS.items():
            if colour in {None, kind.colour}:
                yield name, kind
