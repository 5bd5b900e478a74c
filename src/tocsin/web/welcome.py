"""``/welcome``: from an account to an acknowledged push, step by step. What is done is read from what is there, so that every step
can be skipped, and taken up again later.
"""

import asyncio
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.alerts import queries as alert_queries
from tocsin.alerts.model import Alert, Status
from tocsin.api.context import Given, visible_site
from tocsin.bootstrap import Server
from tocsin.core.severity import Severity
from tocsin.events import queries as event_queries
from tocsin.events.queries import StoredEvent
from tocsin.events.sites import Site
from tocsin.identity import service
from tocsin.identity.model import Scope, Viewer
from tocsin.pipeline.actions import TEST_TYPE
from tocsin.web import bridge
from tocsin.web.access import AnyRequest, NoFields, address_of, form, go
from tocsin.web.desk import Desk
from tocsin.web.pages import HEADERS, screen
from tocsin.web.start import TheServer
from tocsin.web.viewer import TheViewer

STEPS = (("you", "You"), ("whmcs", "WHMCS"), ("phone", "Your phone"), ("test", "Test alert"))
OWN = "tocsin."  # types of events that Tocsin makes itself
LOOKED_AT = 200
PAGING = ("ntfy", "webpush", "sms", "voice")  # what wakes somebody

StepName = Literal["whmcs", "phone", "test", "done"]


class WelcomeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which step; the first that is not done, if nobody says."""

    step: StepName | None = None


class KeyForm(msgspec.Struct, frozen=True, kw_only=True):
    """For which site the bridge's key is."""

    site: Annotated[str, Meta(max_length=63)] = "main"


class Progress(msgspec.Struct, frozen=True):
    """What is there already: the newest event from outside, ways to wake this person, the newest test alert."""

    event: StoredEvent | None
    ways: tuple[str, ...]
    test: Alert | None

    @property
    def done(self) -> frozenset[str]:
        """The steps that need nothing more."""
        found = {"you"}
        if self.event is not None:
            found.add("whmcs")
        if any(way in PAGING for way in self.ways):
            found.add("phone")
        if self.test is not None and self.test.acknowledged_at is not None:
            found.add("test")
        return frozenset(found)

    @property
    def next(self) -> str:
        """The first step that is not done; ``done`` if all are."""
        return next((name for name, _ in STEPS if name not in self.done), "done")


class WelcomePages(Controller):
    """The first run."""

    path = "/welcome"
    include_in_schema = False

    @get(sync_to_thread=True)
    def show(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[WelcomeQuery]) -> Response[bytes]:
        """Shows one step."""
        return _page(request, server, viewer, asked.step, "", "")

    @post("/key", status_code=200)
    async def make_key(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes the bridge's key; this answer is the only place where it is ever shown."""
        site, key = await _new_key(request, server, viewer)
        return await asyncio.to_thread(_page, request, server, viewer, "whmcs", key, site.slug)

    @post("/bridge", status_code=200)
    async def download(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Gives the bridge with this server's address and a new key in it."""
        folder = bridge.find()  # before a key is made that nobody would get
        _, key = await _new_key(request, server, viewer)
        packed = await asyncio.to_thread(bridge.archive, folder, server.core.settings.public_url, key)
        headers = {**HEADERS, "Content-Disposition": 'attachment; filename="tocsin-bridge.zip"'}
        return Response(packed, media_type="application/zip", headers=headers)

    @post("/test", status_code=200)
    async def test(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Raises a real test alert, loud enough for every way."""
        await form(request, NoFields)
        caller = viewer.calling(address_of(request))
        site = server.core.sites.all()[0].slug
        await server.core.writer.run(server.core.actions.test_alert(Severity.HIGH, site, caller.who))
        return go("/welcome?step=test", depth=1)


async def _new_key(request: AnyRequest, server: Server, viewer: Viewer) -> tuple[Site, str]:
    """A new key for the bridge of the site that the form names."""
    sent = await form(request, KeyForm)
    caller = viewer.calling(address_of(request))
    site = visible_site(server.core.sites, caller, sent.site)
    now, name = server.core.clock.now(), f"bridge {site.slug}"
    place = (site.id, site.slug)
    made = await server.core.writer.run(lambda tx: service.make_key(tx, caller.who, name, frozenset({Scope.INGEST}), place, None, now))
    return site, made.secret


def _look(server: Server, viewer: Viewer) -> Progress:
    with server.core.database.read() as connection:
        events = event_queries.page(connection, event_queries.Filter(site_ids=viewer.site_ids), None, LOOKED_AT)
        wanted = alert_queries.Filter(type=TEST_TYPE, site_ids=viewer.site_ids)
        tests = alert_queries.page(connection, wanted, alert_queries.Sort.NEWEST, None, 1)
    person = server.core.contacts.directory.people.get(viewer.user_id)
    ways = tuple(contact.kind for contact in person.contacts) if person is not None else ()
    return Progress(next((one for one in events if not one.type.startswith(OWN)), None), ways, tests[0] if tests else None)


def _page(request: AnyRequest, server: Server, viewer: Viewer, step: str | None, key: str, slug: str) -> Response[bytes]:
    progress = _look(server, viewer)
    desk: Desk = request.app.state.desk
    shown = step or progress.next
    names = [name for name, _ in STEPS]
    after = next((name for name in [*names[names.index(shown) + 1 :], "done"]), "done") if shown in names else "done"
    return screen(
        request,
        viewer,
        "welcome.html",
        here="welcome",
        steps=STEPS,
        shown=shown,
        after=after,
        place=names.index(shown) + 1 if shown in names else len(names),
        progress=progress,
        key=key,
        slug=slug,
        sites=[(site.slug, site.name) for site in desk.sites(viewer)],
        public_url=server.core.settings.public_url,
        waits=progress.test is not None and progress.test.status == Status.OPEN,
    )
