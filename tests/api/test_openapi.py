"""The description of the API: it is there, for programs and for people, and names every call with who may make it."""

import json
import re

import pytest

from tests.api.service import Service
from tocsin.identity.permissions import TABLE


async def test_the_document_names_every_call_with_who_may_make_it(sqlite_service: Service) -> None:
    document = (await sqlite_service.client.get("/api/openapi.json")).json()
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    calls = {call for row in TABLE for call in row.calls if not call.endswith("openapi.json")}
    calls -= {call for call in calls if "/callbacks/" in call or call.endswith("/prometheus/write")}  # in shapes of those who call them
    assert sorted(calls - described) == []
    assert document["components"]["securitySchemes"]["session"]["name"] == "__Host-tocsin"
    own = document["paths"]["/api/v1/users/me"]["get"]
    assert own["security"] == [{"session": []}]
    assert own["description"].endswith("For people who are logged in; no key may do it.")
    assert own["summary"] == "Shows who you are and what you may do."
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


async def test_people_can_read_it(sqlite_service: Service) -> None:
    page = await sqlite_service.client.get("/api/docs")
    assert page.status_code == 200
    assert "Shows who you are and what you may do." in page.text


async def test_every_call_is_described_in_sentences_with_its_parameters_and_refusals(sqlite_service: Service) -> None:
    document = (await sqlite_service.client.get("/api/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = f"{method} {path}"
            assert re.fullmatch(r"[A-Z].*[.?]", operation["summary"]), f"{name}: {operation['summary']!r} is no sentence"
            assert "503" in operation["responses"], name
            in_path = [one for one in operation["parameters"] if one["in"] == "path"]
            assert {one["name"] for one in in_path} == set(re.findall(r"{(\w+)}", path)), name
            assert all(one["description"] for one in in_path), name


async def test_the_header_that_agents_send_stands_where_it_is_read(sqlite_service: Service) -> None:
    document = (await sqlite_service.nobody.ask("GET", "/api/openapi.json")).json()
    found = {
        path: one["required"]
        for path, methods in document["paths"].items()
        for one in methods.get("post", {}).get("parameters", ())
        if one["name"] == "X-Tocsin-Agent" and one["in"] == "header"
    }
    assert found == {"/api/v1/agents/checks": True, "/api/v1/metrics": False}


async def test_nothing_is_referred_to_that_is_not_there_and_nothing_lies_there_unused(sqlite_service: Service) -> None:
    answer = await sqlite_service.nobody.ask("GET", "/api/openapi.json")
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text))
    assert used == set(answer.json()["components"]["schemas"])
    assert not [name for name in used if "." in name], "the name of a module is nobody's business"


async def test_the_reference_page_names_every_call(sqlite_service: Service) -> None:
    document = (await sqlite_service.nobody.ask("GET", "/api/openapi.json")).json()
    page = await sqlite_service.nobody.ask("GET", "/api/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page.text, path


async def test_white_space_is_no_document_where_a_body_may_be_left_out(sqlite_service: Service) -> None:
    document = (await sqlite_service.nobody.ask("GET", "/api/openapi.json")).json()
    card = json.dumps({"id": "a1", "host": "web-1", "version": "1", "interval_seconds": 60, "at": 1})
    seen = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation.get("requestBody", {}).get("required", True) or {"key": []} not in operation["security"]:
                continue
            seen += 1
            sent = {"content": b" \r\n\t", "headers": {"Content-Type": "application/json", "X-Tocsin-Agent": card}}
            problem = await sqlite_service.admin.refused(method.upper(), re.sub(r"{\w+}", "1", path), 422, **sent)
            assert [error["field"] for error in problem["errors"]] == ["body"], (method, path)
    assert seen > 20


@pytest.mark.parametrize("path", ["//login", "/api/docs", "/a/nothing", "//robots.txt", "//metrics", "/events.csv", "/audit.csv"])
async def test_a_text_names_its_character_set_once(sqlite_service: Service, path: str) -> None:
    answer = await sqlite_service.admin.ask("GET", path, headers={"Accept": "text/html, text/plain, text/csv"})
    assert answer.headers["content-type"].startswith("text/"), answer.text
    assert answer.headers["content-type"].count("charset") == 1
