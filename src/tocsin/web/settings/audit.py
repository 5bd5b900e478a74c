"""``/settings/audit``: who did what, and what was refused."""

from typing import Annotated
from urllib.parse import urlencode

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.audit import store
from tocsin.audit.model import Broken, Head
from tocsin.bootstrap import Server
from tocsin.core.errors import InvalidInput
from tocsin.core.reading import read_query
from tocsin.identity.model import Viewer
from tocsin.web import people
from tocsin.web.access import AnyRequest
from tocsin.web.pages import screen
from tocsin.web.settings.story import tell
from tocsin.web.start import TheServer
from tocsin.web.times import Times
from tocsin.web.viewer import TheViewer, zone_named

PAGE = 50
GROUPS = (
    ("", "Everything"),
    ("login", "Sign-ins"),
    ("login.refused", "Sign-ins refused"),
    ("refused", "Everything refused"),
    ("user.", "People"),
    ("password.", "Passwords"),
    ("second_factor.", "Second factors"),
    ("contact.", "Contacts"),
    ("key.", "Keys"),
    ("alert.", "Alerts"),
    ("catalogue.", "Catalogue"),
    ("site.", "Sites"),
)


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries, by the words of the API."""

    actor: Annotated[str, Meta(max_length=300)] = ""
    action: Annotated[str, Meta(max_length=100)] = ""
    object: Annotated[str, Meta(max_length=300)] = ""
    before: Annotated[int, Meta(ge=1, le=2**53)] | None = None


class AuditPages(Controller):
    """The audit log."""

    path = "/settings/audit"
    include_in_schema = False

    @get(sync_to_thread=True)
    def show(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """The log, the newest first."""
        return _page(request, server, viewer, None)

    @post("/verify", status_code=200, sync_to_thread=True)
    def verify(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Walks the whole chain, and says whether it holds."""
        with server.core.database.read() as connection:
            found = store.verify(connection)
        return _page(request, server, viewer, found)


def _page(request: AnyRequest, server: Server, viewer: Viewer, verified: tuple[Head | None, Broken | None] | None) -> Response[bytes]:
    asked = AuditQuery() if verified else _asked(request)
    wanted = store.Filter(actor=asked.actor or None, action=asked.action or None, object=asked.object or None)
    with server.core.database.read() as connection:
        entries = store.page(connection, wanted, asked.before, PAGE + 1)
        name = people.namer(people.names(connection))
    times = Times(zone_named(viewer.time_zone), server.core.clock.now())
    given = {name: value for name in ("actor", "action", "object") if (value := getattr(asked, name))}
    return screen(
        request,
        viewer,
        "settings/audit.html",
        here="settings",
        tab="audit",
        entries=entries[:PAGE],
        older=urlencode({**given, "before": entries[PAGE - 1].number}) if len(entries) > PAGE else "",
        query=urlencode(given),
        name=name,
        told=lambda entry: tell(entry, name, times.when),
        asked=asked,
        groups=GROUPS,
        verified=verified,
    )


def _asked(request: AnyRequest) -> AuditQuery:
    try:
        return read_query(request.scope["query_string"], AuditQuery)
    except InvalidInput:
        return AuditQuery()  # an old or mistyped address shows everything
