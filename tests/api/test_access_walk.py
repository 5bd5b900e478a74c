"""Every route, asked by everybody, held against the table of permissions. A route without a row fails here."""

import pytest

from tests.api.service import Service
from tests.api.walk import Comer, ask, comers, filled, routes
from tocsin.identity import permissions
from tocsin.identity.model import Permission, Scope
from tocsin.identity.permissions import TABLE, Row

ENDS_THE_SESSION = {"POST /logout"}  # asked with what does not end it: a form of another login

# Open to anybody who shows a proof of another kind, and a no to others: a password, the seal of a telephone provider.
PROVED_OTHERWISE = ("POST /login", "POST /api/v1/callbacks/")


def expected(row: Row, comer: Comer, *, is_page: bool) -> str:
    """``in``, ``login`` (401, or sent to the login page) or ``no`` (403)."""
    if row.permission is Permission.OPEN:
        return "in"
    if comer.role is not None:
        return "in" if comer.role in row.roles and (comer.whole or not row.whole) else "no"
    if not comer.key or is_page:
        return "login"
    holds = row.scope is not None and (row.scope in comer.scopes or Scope.ADMIN in comer.scopes)
    return "in" if holds and (comer.whole or not row.whole) else "no"


@pytest.mark.claim("S1", "S3", "K21", "origin:S1", "origin:S2", "B3")
async def test_every_route_lets_in_whom_the_table_names_and_nobody_else(sqlite_service: Service) -> None:
    everybody = await comers(sqlite_service)
    wrong: list[str] = []
    for method, template in routes(sqlite_service):
        route = f"{method} {template}"
        row = permissions.row(route)
        assert row is not None, f"{route} has no row in identity/permissions.py"
        is_page = route in row.pages
        for comer in everybody:
            if route in ENDS_THE_SESSION and comer.role is not None:
                continue
            body = {"csrf": comer.csrf} if is_page and method == "POST" else None
            if route == "POST /api/v1/events" and comer.role is not None:
                continue  # the intake knows keys only: who has none is nobody
            answer = await ask(sqlite_service, comer, method, filled(template), body)
            found = "in"
            if route.startswith(PROVED_OTHERWISE) and answer.status < 500:
                found = "in"
            elif answer.status == 401 or "login?next=" in answer.location:
                found = "login"
            elif answer.status == 403:
                found = "no"
            elif answer.status >= 500 and answer.status != 503:
                found = f"a fault ({answer.status})"
            if found != expected(row, comer, is_page=is_page):
                wrong.append(f"{route} as {comer.name}: {found} ({answer.status}), should be {expected(row, comer, is_page=is_page)}")
    assert wrong == []


async def test_every_row_of_the_table_is_about_a_route_that_there_is(sqlite_service: Service) -> None:
    there = {f"{method} {template}" for method, template in routes(sqlite_service)}
    named = {route for row in TABLE for route in (*row.calls, *row.pages)}
    assert sorted(named - there) == []


@pytest.mark.claim("S2")
async def test_nothing_that_changes_something_takes_a_session_without_its_token(sqlite_service: Service) -> None:
    admin = next(comer for comer in await comers(sqlite_service) if comer.name == "admin of all")
    forged = Comer("forged", session=admin.session, csrf="0" * 64, role=admin.role)
    wrong = []
    for method, template in routes(sqlite_service):
        row = permissions.row(f"{method} {template}")
        assert row is not None
        if method == "GET" or row.permission in (Permission.OPEN, Permission.SEND):
            continue
        answer = await ask(sqlite_service, forged, method, filled(template))
        if answer.status != 403:
            wrong.append(f"{method} {template}: {answer.status}")
    assert wrong == []
