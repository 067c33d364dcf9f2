"""The console over PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.console_over import LIST, PracticeOver, walk_through
from shared.site import Site


def test_its_pages_over_postgresql(postgres: Any, schema: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.url()
    walk_through(f"{url}{'&' if '?' in url else '?'}schema={schema}", tmp_path, monkeypatch)


@pytest.mark.parametrize("anywhere", [True, False])
def test_the_page_says_where_a_search_finds_beginnings_only(
    postgres: Any, bare_url: str, schema: str, tmp_path: Path, *, anywhere: bool
) -> None:
    url = f"{postgres.url() if anywhere else bare_url}&schema={schema}"
    with PracticeOver(tmp_path, url) as practice, Site(practice) as site:
        practice.connect(owner="ada-king")
        practice.connect(owner="grace", login="bob")
        operator = site.operator()
        begun, inside = (operator.get(f"{LIST}?q={text}").text for text in ("ADA", "king"))
        assert ("ada-king" in begun, "owner grace" in begun) == (True, False)
        assert ("owner ada-king" in inside) == anywhere
        assert ("Only beginnings are found here" in begun, "Only beginnings are found here" in inside) == (
            not anywhere,
            not anywhere,
        )
        plain = operator.get(LIST).text
        assert ("Beginning of identity, owner" in plain) == (not anywhere)
        assert "Only beginnings" not in plain
