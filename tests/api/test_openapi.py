"""The description of the API: it is there, for programs and for people, and names every call with who may make it."""

from tests.api.service import Service
from tocsin.identity.permissions import TABLE


async def test_the_document_names_every_call_with_who_may_make_it(sqlite_service: Service) -> None:
    document = (await sqlite_service.client.get("/api/openapi.json")).json()
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    calls = {call for row in TABLE for call in row.calls if not call.endswith("openapi.json")}
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
