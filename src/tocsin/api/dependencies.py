"""``/dependencies``: what is quiet while something else is down."""

from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import Meta

from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Cursor, Id, Limit, Name, Page, Time
from tocsin.api.muting import MatcherOut, MatchersIn, list_page, matchers_out, read_matchers, wanted_changes, write
from tocsin.core.ids import new_id
from tocsin.core.times import to_text
from tocsin.muting import service
from tocsin.muting.model import Dependency

SameField = Literal["site", "type", "host", "subject"]


class NewDependency(msgspec.Struct, frozen=True, kw_only=True):
    """While an alert that matches ``parent`` is not resolved, alerts that match ``children`` are quiet."""

    name: Name
    parent: MatchersIn
    children: MatchersIn
    same: Annotated[
        list[SameField], Meta(max_length=4, description="Fields that must have the same value in both, and have one.", examples=[["host"]])
    ] = []


class DependencyChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays as it is."""

    name: Name | None = None
    parent: MatchersIn | None = None
    children: MatchersIn | None = None
    same: Annotated[list[SameField], Meta(max_length=4)] | None = None


class DependencyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many."""

    limit: Limit = 100
    cursor: Cursor | None = None


class DependencyOut(msgspec.Struct, frozen=True):
    """A dependency."""

    id: Id
    name: str
    parent: list[MatcherOut]
    children: list[MatcherOut]
    same: list[str]
    created_by: str
    created_at: Time


class DependencyPage(Page, frozen=True):
    """A page of dependencies, the newest first."""

    items: list[DependencyOut]


class DependenciesApi(Controller):
    """Dependencies."""

    path = "/dependencies"
    tags = ("Silence",)

    @get(sync_to_thread=True)
    def list_dependencies(self, server: TheServer, caller: TheCaller, asked: Given[DependencyQuery]) -> DependencyPage:
        """Lists the dependencies, the newest first."""
        items, cursor = list_page(server, caller, Dependency, None, asked.limit, asked.cursor)
        return DependencyPage(cursor, [_out(one) for one in items])

    @get("/{dependency_id:str}", sync_to_thread=True)
    def show_dependency(self, server: TheServer, dependency_id: InPath) -> DependencyOut:
        """Shows one dependency."""
        with server.core.database.read() as connection:
            return _out(service.find(connection, Dependency, dependency_id))

    @post(status_code=201, opt={"conflict": True})
    async def add_dependency(self, server: TheServer, caller: TheCaller, sent: Given[NewDependency]) -> DependencyOut:
        """Makes a dependency: while a parent is down, its children are quiet; what still fails when it is up again pages."""
        now = server.core.clock.now()
        parent, children, same = read_matchers(sent.parent), read_matchers(sent.children), tuple(dict.fromkeys(sent.same))
        made = Dependency(new_id(now), sent.name.strip(), parent, children, same, caller.name, now)
        return _out(await write(server, lambda tx: service.add(tx, caller.who, made, now)))

    @patch("/{dependency_id:str}")
    async def change_dependency(
        self, server: TheServer, caller: TheCaller, dependency_id: InPath, sent: Given[DependencyChange]
    ) -> DependencyOut:
        """Changes a dependency."""
        now, wanted = server.core.clock.now(), wanted_changes(sent)
        return _out(await write(server, lambda tx: service.change(tx, caller.who, Dependency, dependency_id, wanted, now)))

    @delete("/{dependency_id:str}", status_code=204)
    async def remove_dependency(self, server: TheServer, caller: TheCaller, dependency_id: InPath) -> None:
        """Removes a dependency; what it kept quiet pages."""
        now = server.core.clock.now()
        await write(server, lambda tx: service.remove(tx, caller.who, Dependency, dependency_id, now))


def _out(found: Dependency) -> DependencyOut:
    return DependencyOut(
        found.id,
        found.name,
        matchers_out(found.parent),
        matchers_out(found.children),
        list(found.same),
        found.created_by,
        to_text(found.created_at),
    )
