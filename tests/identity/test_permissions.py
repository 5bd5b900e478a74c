"""The table of permissions itself, and its page in the reference."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tocsin.identity import permissions
from tocsin.identity.model import Permission, Role, Scope
from tocsin.identity.permissions import TABLE


def writer() -> ModuleType:
    """``reference.py`` beside this file: a script, not a package of the tests."""
    spec = importlib.util.spec_from_file_location("permissions_reference", Path(__file__).with_name("reference.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_equal_to_the_table() -> None:
    reference = writer()
    assert reference.PAGE.read_text() == reference.page().rstrip() + "\n", "run: python tests/identity/reference.py"


def test_every_permission_has_one_row_and_every_route_one_place() -> None:
    assert [row.permission for row in TABLE] == sorted(set(Permission), key=[row.permission for row in TABLE].index)
    routes = [route for row in TABLE for route in (*row.calls, *row.pages)]
    assert len(routes) == len(set(routes))


@pytest.mark.claim("S1", "K21", "origin:S1")
def test_each_role_may_do_what_the_one_below_it_may() -> None:
    viewer, responder, admin = (permissions.of_role(role, whole=True) for role in (Role.VIEWER, Role.RESPONDER, Role.ADMIN))
    assert viewer < responder < admin
    assert admin == set(Permission) - {Permission.SEND}
    assert Permission.ACT not in viewer


@pytest.mark.claim("S3")
def test_each_scope_stands_alone_and_admin_includes_all() -> None:
    by_scope = {scope: permissions.of_scopes(frozenset({scope}), whole=True) - {Permission.OPEN} for scope in Scope}
    assert by_scope[Scope.INGEST] == {Permission.SEND}
    assert not by_scope[Scope.READ] & by_scope[Scope.WRITE]
    assert by_scope[Scope.ADMIN] == set(Permission) - {Permission.OPEN, Permission.OWN}


@pytest.mark.claim("S1", "O5")
def test_whoever_sees_some_sites_only_has_nothing_that_is_about_the_whole() -> None:
    for row in TABLE:
        if row.whole:
            assert row.permission not in permissions.of_role(Role.ADMIN, whole=False)
            assert row.permission not in permissions.of_scopes(frozenset({Scope.ADMIN}), whole=False)
