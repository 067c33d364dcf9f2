"""The store contract: what a search finds."""
# ruff: noqa: S101 - the names are sentences, the asserts are the contract

from __future__ import annotations

from typing import Any

import pytest

from valetkey.model.connections import Identity, Query
from valetkey.model.ports import Store
from valetkey.testing._contract_base import ENV, ContractBase, at, blank, ids


def _named(store: Store) -> None:
    store.create(blank(1, key=at("github")))
    store.create(blank(2, key=at("slack", "Ada", "work")))
    who = Identity(subject="Subject-9", email="x@example.COM", name="\N{LATIN CAPITAL LETTER O WITH DIAERESIS}zil")
    store.create(blank(3, key=at("slack"), identity=who))
    store.create(blank(4, key=at("slack", "e", '100% a_b c\\d "'), identity=Identity(login="axb")))
    store.create(blank(5, key=at("slack", "f", "100 axb")))


class Searches(ContractBase):
    """A search finds any part of a text or, where the store says so, only beginnings."""

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            pytest.param("HUB", ["con_0001"], id="credential"),
            pytest.param("ad", ["con_0002"], id="owner"),
            pytest.param("WoRk", ["con_0002"], id="account"),
            pytest.param("EXAMPLE.com", ["con_0003"], id="e-mail"),
            pytest.param("subject-9", ["con_0003"], id="subject"),
            pytest.param("\N{LATIN SMALL LETTER O WITH DIAERESIS}zil", ["con_0003"], id="name beyond ASCII"),
            pytest.param("100%", ["con_0004"], id="a percent sign is only itself"),
            pytest.param("a_b", ["con_0004"], id="an underscore is only itself"),
            pytest.param("c\\d", ["con_0004"], id="a backslash is only itself"),
            pytest.param('"', ["con_0004"], id="a quotation mark"),
            pytest.param("email", [], id="not the names of members"),
            pytest.param("con_", [], id="not ids"),
        ],
    )
    def test_a_search_finds_text_anywhere_without_case(self, store: Store, text: str, found: list[str]) -> None:
        _named(store)
        seen = ids(store.list(Query(env=ENV, search=text)).items)
        assert seen == found if store.searches_anywhere(text) else set(seen) <= set(found)

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            pytest.param("GITH", ["con_0001"], id="credential"),
            pytest.param("ad", ["con_0002"], id="owner"),
            pytest.param("wor", ["con_0002"], id="account"),
            pytest.param("x@exam", ["con_0003"], id="e-mail"),
            pytest.param("subj", ["con_0003"], id="subject"),
            pytest.param("\N{LATIN SMALL LETTER O WITH DIAERESIS}z", ["con_0003"], id="name beyond ASCII"),
            pytest.param("axb", ["con_0004", "con_0005"], id="login, or more where any part is found"),
            pytest.param("100%", ["con_0004"], id="a percent sign is only itself"),
            pytest.param("100% a_", ["con_0004"], id="an underscore is only itself"),
            pytest.param("100% a_b c\\", ["con_0004"], id="a backslash is only itself"),
        ],
    )
    def test_a_search_finds_beginnings_without_case(self, store: Store, text: str, found: list[str]) -> None:
        _named(store)
        wanted = found if store.searches_anywhere(text) else found[:1]
        assert ids(store.list(Query(env=ENV, search=text)).items) == wanted

    @pytest.mark.parametrize("narrow", [{"owner": "e"}, {"credential": "slack"}, {"state": "pending"}], ids=str)
    def test_a_search_among_some(self, store: Store, narrow: dict[str, Any]) -> None:
        _named(store)
        assert ids(store.list(Query(env=ENV, search="100%", **narrow)).items) == ["con_0004"]
        assert ids(store.list(Query(env=ENV, search="nobody", **narrow)).items) == []

    def test_a_search_follows_identity_and_rename(self, store: Store) -> None:
        record = store.create(blank(1, key=at("github", "old")))
        assert store.note(record.id, incarnation=1, changes={"identity": Identity(login="octocat")})
        assert ids(store.list(Query(env=ENV, search="OCTO")).items) == [record.id]
        assert store.rename(record, at("github", "new"), record.secret_id)
        assert ids(store.list(Query(env=ENV, search="octo")).items) == [record.id]
        assert ids(store.list(Query(env=ENV, search="new")).items) == [record.id]
        assert store.list(Query(env=ENV, search="old")).items == ()
