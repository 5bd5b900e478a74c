"""``/oncall/teams``: people who are reached together, in an order; and the form that makes and changes a team."""

import asyncio
from typing import Literal

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get, post

from tocsin.api.context import Given
from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.text import sentence, whole
from tocsin.db.writer import Tx
from tocsin.escalation import store as policies
from tocsin.escalation.model import TargetKind
from tocsin.identity.model import Viewer
from tocsin.oncall import definition, service, store
from tocsin.oncall.model import Team
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.groups import Fields, read_fields, several, single
from tocsin.web.pages import screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

FREE_PLACES = 1
DONE = {"made": "The team is there. Policies can name it.", "changed": "Changed.", "removed": "The team is removed."}


class TeamsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was just done."""

    done: Literal["made", "changed", "removed"] | None = None


class TeamForm(msgspec.Struct, frozen=True):
    """What was typed."""

    name: str = ""
    users: tuple[str, ...] = ()
    version: str = ""
    places: int = FREE_PLACES
    do: str = "save"


class TeamPages(Controller):
    """Teams."""

    path = "/oncall/teams"
    include_in_schema = False

    @get(sync_to_thread=True)
    def teams(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[TeamsQuery]) -> Response[bytes]:
        """Lists the teams with their people and the policies that name them."""
        with server.core.database.read() as connection:
            found, everybody, named = store.teams(connection), store.people(connection).by_id, _named(connection)
        names = {person.id: person.name for person in everybody.values()}
        done = DONE.get(asked.done or "", "")
        return screen(request, viewer, "oncall/teams.html", here="oncall", teams=found, names=names, named=named, done=done)

    @get("/new", sync_to_thread=True)
    def ask(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """The form of a new team."""
        return _page(request, server, viewer, None, TeamForm(places=3), Problems(), "")

    @post("/new", status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes a team."""
        return await _save(request, server, viewer, None)

    @get("/{team_id:str}", sync_to_thread=True)
    def edit(self, request: AnyRequest, server: TheServer, viewer: TheViewer, team_id: InPath) -> Response[bytes]:
        """The form of a team that there is."""
        team = _find(server, team_id)
        return _page(request, server, viewer, team, TeamForm(team.name, team.users, str(team.version)), Problems(), "")

    @post("/{team_id:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, team_id: InPath) -> Response[bytes]:
        """Changes a team, unless somebody else did meanwhile."""
        return await _save(request, server, viewer, await asyncio.to_thread(_find, server, team_id))

    @post("/{team_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, team_id: InPath) -> Response[bytes]:
        """Takes a team away that no policy names."""
        await form(request, NoFields)
        team = await asyncio.to_thread(_find, server, team_id)
        who, now = viewer.calling(address_of(request)).who, server.core.clock.now()

        def work(tx: Tx) -> None:
            names = _named(tx.sql).get(team.id)
            if names:
                raise Conflict(f"it is named by {' and '.join(names)}; take it out there first")
            service.remove_team(tx, who, team.id, now)

        try:
            await server.core.writer.run(work)
        except Conflict as error:
            sent, wrong = (
                TeamForm(team.name, team.users, str(team.version)),
                Problems(form=sentence(error.message)),
            )
            return await asyncio.to_thread(_page, request, server, viewer, team, sent, wrong, "")
        await asyncio.to_thread(server.core.refresh)
        return go("/oncall/teams?done=removed", depth=3)


def _named(connection: sa.Connection) -> dict[str, list[str]]:
    """By team, the names of the policies that tell it."""
    found: dict[str, list[str]] = {}
    for one in policies.all_policies(connection):
        teams = {target.id for step in one.policy.steps for target in step.targets if target.kind is TargetKind.TEAM}
        for team in teams:
            found.setdefault(team, []).append(one.policy.name)
    return found


def _find(server: Server, team_id: str) -> Team:
    if not is_uuid(team_id.lower()):
        raise NotFound(f"there is no team {team_id[:40]}")
    with server.core.database.read() as connection:
        return store.get_team(connection, team_id.lower())


def form_of(fields: Fields) -> TeamForm:
    """The fields of the page."""
    users = several(fields, "user")[: definition.MAX_USERS]
    return TeamForm(single(fields, "name"), users, single(fields, "version"), FREE_PLACES, single(fields, "do") or "save")


async def _save(request: AnyRequest, server: Server, viewer: Viewer, team: Team | None) -> Response[bytes]:
    sent = form_of(read_fields(await request.body()))
    if sent.do == "places":
        more = msgspec.structs.replace(sent, places=4)
        return await asyncio.to_thread(_page, request, server, viewer, team, more, Problems(), "")
    now, who = server.core.clock.now(), viewer.calling(address_of(request)).who
    version = whole(sent.version)
    try:
        if team is None:
            await server.core.writer.run(lambda tx: service.add_team(tx, who, sent.name, sent.users, now))
        else:
            where = team.id
            await server.core.writer.run(lambda tx: service.change_team(tx, who, where, sent.name, sent.users, version, now))
    except InvalidInput as error:
        return await asyncio.to_thread(_page, request, server, viewer, team, sent, problems(error, _on_page), "")
    except Conflict as error:
        present = team if team is None else await asyncio.to_thread(_find, server, team.id)
        return await asyncio.to_thread(_page, request, server, viewer, present, sent, Problems(), error.message)
    await asyncio.to_thread(server.core.refresh)
    return go(f"/oncall/teams?done={'made' if team is None else 'changed'}", depth=2)


def _on_page(field: str) -> str:
    return "user" if field.startswith("users") else field


def _page(
    request: AnyRequest, server: Server, viewer: Viewer, team: Team | None, sent: TeamForm, wrong: Problems, conflict: str
) -> Response[bytes]:
    with server.core.database.read() as connection:
        everybody = sorted(store.people(connection).by_id.values(), key=lambda person: person.name.lower())
    offered = [(person.id, person.name) for person in everybody if not person.disabled or person.id in sent.users]
    return screen(
        request,
        viewer,
        "oncall/team.html",
        status=409 if conflict else 422 if wrong else 200,
        here="oncall",
        team=team,
        sent=sent,
        wrong=wrong,
        conflict=conflict,
        offered=offered,
        names=dict(offered),
    )
