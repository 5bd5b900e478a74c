"""``/dependencies``: the form of what hangs on what, with what each side matches now."""

import asyncio

from litestar import Controller, Response, get, post

from tocsin.api.muting import write
from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.core.ids import new_id
from tocsin.core.text import sentence
from tocsin.db.writer import Tx
from tocsin.identity.model import Viewer
from tocsin.muting import preview as previews, rules as muting_rules, service
from tocsin.muting.model import Dependency
from tocsin.muting.preview import Preview, Scope
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.desk import Desk
from tocsin.web.groups import read_fields
from tocsin.web.pages import screen
from tocsin.web.quiet import rules
from tocsin.web.quiet.rules import DependencyForm, Row
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer


class DependencyPages(Controller):
    """What hangs on what. The list stands on the page of what is quiet."""

    path = "/dependencies"
    include_in_schema = False

    @get("/new", sync_to_thread=True)
    def ask(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """The form of a new one: a server, and what is on it."""
        begun = DependencyForm(parent=(("type", "=", "server.down"),), same=("host",))
        return _page(request, server, viewer, None, begun, Problems(), look=False)

    @post("/new", status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Shows what it matches, or makes it."""
        return await _answer(request, server, viewer, None)

    @get("/{dependency_id:str}", sync_to_thread=True)
    def edit(self, request: AnyRequest, server: TheServer, viewer: TheViewer, dependency_id: InPath) -> Response[bytes]:
        """The form of one that there is."""
        kept = _find(server, dependency_id)
        return _page(request, server, viewer, kept, rules.written_dependency(kept), Problems())

    @post("/{dependency_id:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, dependency_id: InPath) -> Response[bytes]:
        """Shows what the change matches, or makes it."""
        return await _answer(request, server, viewer, await asyncio.to_thread(_find, server, dependency_id))

    @post("/{dependency_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, dependency_id: InPath) -> Response[bytes]:
        """Takes it away."""
        await form(request, NoFields)
        who, now = viewer.calling(address_of(request)).who, server.core.clock.now()
        await write(server, lambda tx: service.remove(tx, who, Dependency, dependency_id, now))
        return go("/silences?done=removed", depth=2)


def _find(server: Server, dependency_id: str) -> Dependency:
    with server.core.database.read() as connection:
        return service.find(connection, Dependency, dependency_id)


async def _answer(request: AnyRequest, server: Server, viewer: Viewer, kept: Dependency | None) -> Response[bytes]:
    sent = rules.dependency_of(read_fields(await request.body()))
    if sent.do != "save":
        return await asyncio.to_thread(_page, request, server, viewer, kept, sent, Problems())
    caller, now = viewer.calling(address_of(request)), server.core.clock.now()

    def work(tx: Tx) -> Dependency:
        parent, children = rules.as_matchers(sent.parent, "parent"), rules.as_matchers(sent.children, "children")
        if not 1 <= len(sent.name) <= 100:
            raise InvalidInput.of("name", "must have 1 to 100 characters")
        if kept is None:
            made = Dependency(new_id(now), sent.name, parent, children, sent.same, caller.name, now)
            return service.add(tx, caller.who, made, now)
        wanted = {"name": sent.name, "parent": parent, "children": children, "same": sent.same}
        return service.change(tx, caller.who, Dependency, kept.id, wanted, now, edition=sent.edition or None)

    try:
        await write(server, work)
    except InvalidInput as error:
        return await asyncio.to_thread(_page, request, server, viewer, kept, sent, problems(error, _on_page))
    except Conflict as error:
        kept = kept and await asyncio.to_thread(_find, server, kept.id)
        wrong = Problems() if rules.overtaken(kept, sent.edition) else Problems(form=sentence(error.message))
        return await asyncio.to_thread(_page, request, server, viewer, kept, sent, wrong)
    return go("/silences?done=depends", depth=1)


def _on_page(field: str) -> str:
    """All that is wrong with a condition stands below its side."""
    return field.partition("[")[0]


def _page(
    request: AnyRequest,
    server: Server,
    viewer: Viewer,
    kept: Dependency | None,
    sent: DependencyForm,
    wrong: Problems,
    *,
    look: bool = True,
) -> Response[bytes]:
    parent_seen = _see(server, viewer, sent.parent, "parent", wrong) if look else None
    child_seen = _see(server, viewer, sent.children, "children", wrong) if look else None
    desk: Desk = request.app.state.desk
    overtaken = rules.overtaken(kept, sent.edition)
    return screen(
        request,
        viewer,
        "quiet/dependency.html",
        status=422 if wrong else 409 if overtaken else 200,
        here="quiet",
        kept=kept,
        overtaken=overtaken,
        edition=muting_rules.edition(kept) if kept else "",
        says=rules.says,
        sent=sent,
        wrong=wrong,
        parent_seen=parent_seen,
        child_seen=child_seen,
        parent_rows=rules.with_places(sent.parent),
        child_rows=rules.with_places(sent.children),
        fields=rules.fields_of((*sent.parent, *sent.children)),
        ops=rules.OPS,
        same=rules.SAME,
        sites=[(site.slug, site.name) for site in desk.sites(viewer)],
    )


def _see(server: Server, viewer: Viewer, rows: tuple[Row, ...], where: str, wrong: Problems) -> Preview | None:
    """What a side matches; None if it cannot be told, and then *wrong* says why."""
    if where in wrong or not rows:
        return None
    scope = Scope(viewer.site_ids, server.core.sites.slug_of, server.core.sites.id_of)
    try:
        with server.core.database.read() as connection:
            return previews.preview(connection, rules.as_matchers(rows, where), scope, server.core.clock.now())
    except InvalidInput as error:
        wrong[where] = "; ".join(problems(error).values())
        return None
