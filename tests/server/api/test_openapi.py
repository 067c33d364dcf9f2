"""The OpenAPI document, and the API held against it by schemathesis."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

EXAMPLES = 15
"""Cases for each operation and mode."""
REFUSED = [400, 401, 403, 404, 413, 415, 421, 422]
CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}


@pytest.fixture
def document(site: Any) -> dict[str, Any]:
    answer = site.visitor().get("/v1/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_the_document_says_what_each_thing_is(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    silent = [name for name, schema in schemas.items() if not schema.get("description")]
    for name, operation in operations(document):
        silent += [name] if not (operation.get("summary") and operation.get("description")) else []
        silent += [f"{name} {p['name']}" for p in operation.get("parameters", ()) if not p.get("description")]
        silent += [f"{name} {status}" for status, told in operation["responses"].items() if not told["description"]]

    assert silent == []
    assert document["info"]["description"]


def test_every_operation_demands_a_key_and_tells_of_problems(document: dict[str, Any]) -> None:
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for name, operation in operations(document):
        assert operation["security"] == [{"apiKey": []}], name
        assert re.search(r"Scope: `(read|read_secret|refresh|connect|manage)`\.", operation["description"]), name
        for status, told in operation["responses"].items():
            if int(status) >= 400:
                assert told["content"] == {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }, (name, status)
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_the_address_in_the_document_is_where_it_is_mounted(document: dict[str, Any]) -> None:
    assert document["servers"] == [{"url": "/v1"}]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
def test_there_is_no_page_with_foreign_scripts(api: Any, path: str) -> None:
    assert api.program("read").get(path).status_code == 404


def arrives(query: dict[str, Any], url: str) -> bool:
    """Whether a made-up query can be told from a good one in an address: an empty list leaves nothing there."""
    arrived = parse_qs(urlsplit(url).query, keep_blank_values=True)
    plain = not any(isinstance(value, list | dict) or value is None for value in query.values())
    return plain and set(query) <= set(arrived)


@pytest.mark.parametrize("mode", schemathesis.GenerationMode, ids=lambda mode: mode.value)
def test_the_api_does_as_its_document_says(api: Any, mode: Any, subtests: pytest.Subtests) -> None:
    """No 5xx, no answer that it does not tell of, nothing taken that it forbids, nothing else refused."""
    program = api.program(rate=100_000)  # the clock stands still, and so this minute does not end
    owners = ("ada", "bob")
    known = itertools.cycle([api.practice.connect("notes", owner=owner).connection_id for owner in owners])
    config = schemathesis.Config.from_dict(CONFIG)
    loaded = schemathesis.openapi.from_url(f"{api.site.base}/v1/openapi.json", config=config)
    schema = loaded.exclude(path="/events/stream")  # it does not end
    seen: Counter[int] = Counter()

    def check(case: Any) -> None:
        if mode.is_positive and "connection_id" in case.path_parameters:
            case.path_parameters["connection_id"] = next(known)
        if mode.is_positive:
            case.query.pop("cursor", None)  # those that are good come from the API itself
        response = case.call(headers={"Authorization": f"Bearer {program.secret}"})
        seen[response.status_code] += 1
        if mode.is_positive or arrives(case.query or {}, response.request.url):
            case.validate_response(response)

    for found in schema.get_all_operations():
        operation = found.ok()
        cases = operation.as_strategy(generation_mode=mode)
        with subtests.test(operation.label):
            settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))(
                given(cases)(check)
            )()

    assert not any(status >= 500 for status in seen)
    assert seen[200] > EXAMPLES if mode.is_positive else seen[422] > EXAMPLES
