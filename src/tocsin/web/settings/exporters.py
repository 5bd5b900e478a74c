"""``/settings/exporters``: the exporters of Prometheus that Tocsin asks itself."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api import prometheus as api
from tocsin.api.context import Given
from tocsin.api.prometheus import ExporterChange, ExporterTried, NewExporter
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.core.reading import read_body
from tocsin.core.text import counted, sentence
from tocsin.identity.model import Viewer
from tocsin.prometheus import service, store
from tocsin.prometheus.model import Target
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.desk import Desk
from tocsin.web.groups import number
from tocsin.web.pages import screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

PATH = "/settings/exporters"
DONE = {
    "made": "It is asked from now on. Its server stands under Servers as soon as it answers.",
    "changed": "Changed. It is asked at once.",
    "removed": "Removed. What it showed is kept.",
}
Typed = Annotated[str, Meta(max_length=2_000)]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was just done."""

    done: Literal["made", "changed", "removed"] | None = None


class ExporterForm(msgspec.Struct, frozen=True):
    """An exporter as it is typed; ``do``: keep it, or only ask it once. A token that is left empty stays."""

    url: Typed = ""
    name: Typed = "node_exporter"
    site: Typed = ""
    host: Typed = ""
    interval_seconds: Typed = "60"
    token: Typed = ""
    keep_all: Literal["", "yes"] = ""
    enabled: Literal["", "yes"] = ""
    do: Literal["save", "test"] = "save"


class ExporterPages(Controller):
    """Exporters."""

    path = PATH
    include_in_schema = False

    @get(sync_to_thread=True)
    def exporters(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[PageQuery]) -> Response[bytes]:
        """Lists them, the newest first."""
        return _page(request, server, viewer, ExporterForm(), Problems(), done=DONE.get(asked.done or "", ""))

    @post(status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes one, or asks it once to see what it shows."""
        sent, caller = await form(request, ExporterForm), viewer.calling(address_of(request))
        try:
            wanted = read_body(msgspec.json.encode(_body(sent)), NewExporter)
            if sent.do == "test":
                tried = await api.attempt(server, api.target_of(server, caller, wanted))
                return await asyncio.to_thread(_page, request, server, viewer, sent, Problems(), tried=tried)
            await api.add(server, caller, wanted)
        except InvalidInput as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, problems(error))
        except Conflict as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, Problems(url=sentence(error.message)))
        return go(f"{PATH}?done=made", depth=1)

    @post("/{exporter_id:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, exporter_id: InPath) -> Response[bytes]:
        """Changes one, or asks it once as it is typed."""
        sent, caller = await form(request, ExporterForm), viewer.calling(address_of(request))
        kept = await asyncio.to_thread(_find, server, viewer, exporter_id)
        try:
            service.check_token(kept, sent.url.strip(), is_anew=bool(sent.token))
            if sent.do == "test":
                wanted = read_body(msgspec.json.encode(_body(sent, kept, server)), NewExporter)
                tried = await api.attempt(server, api.target_of(server, caller, wanted))
                return await asyncio.to_thread(_page, request, server, viewer, sent, Problems(), of=kept.id, tried=tried)
            wished = {name: value for name, value in _body(sent).items() if name != "site"} | {"enabled": bool(sent.enabled)}
            await api.change(server, caller, exporter_id, read_body(msgspec.json.encode(wished), ExporterChange))
        except InvalidInput as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, problems(error), of=kept.id)
        except Conflict as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, Problems(url=sentence(error.message)), of=kept.id)
        return go(f"{PATH}?done=changed", depth=2)

    @post("/{exporter_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, exporter_id: InPath) -> Response[bytes]:
        """Stops asking one."""
        await form(request, NoFields)
        who = viewer.calling(address_of(request)).who
        await server.core.writer.run(lambda tx: server.core.exporters.remove(tx, who, exporter_id))
        return go(f"{PATH}?done=removed", depth=3)


def _find(server: Server, viewer: Viewer, exporter_id: str) -> Target:
    with server.core.database.read() as connection:
        return service.find(connection, exporter_id, viewer.site_ids)


def _body(sent: ExporterForm, kept: Target | None = None, server: Server | None = None) -> dict[str, Any]:
    """What the API is told. Of one that is *kept*, its site and token, too."""
    body: dict[str, Any] = {"url": sent.url.strip(), "name": sent.name, "keep_all": bool(sent.keep_all)}
    body["interval_seconds"] = number(sent.interval_seconds)
    if kept is not None and server is not None:
        body["site"] = server.core.sites.slug_of(kept.site_id)
        if kept.token is not None:
            body["token"] = kept.token
    for name in ("site", "host", "token"):
        if getattr(sent, name).strip():
            body[name] = getattr(sent, name).strip()
    return body


def _as_typed(one: Target) -> ExporterForm:
    return ExporterForm(one.url, one.name, "", one.host, str(one.interval // SECOND), "", "yes" if one.keep_all else "")


def outcome(tried: ExporterTried) -> str:
    """In a sentence what it showed."""
    if tried.fault is not None:
        return sentence(f"It shows nothing: {tried.fault}")
    known = "how its server is, in our own metrics" if tried.of_hosts else ""
    own = counted(tried.samples, "value") + " under names of their own" if tried.samples else ""
    says = " and ".join(part for part in (known, own) if part) or "nothing that would be kept"
    refused = f" {counted(tried.refused, 'value')} would be refused: {'; '.join(tried.reasons)}." if tried.refused else ""
    return f"It answers, and shows {says}.{refused}"


def _page(
    request: AnyRequest,
    server: Server,
    viewer: Viewer,
    sent: ExporterForm,
    wrong: Problems,
    *,
    of: str = "",
    done: str = "",
    tried: ExporterTried | None = None,
) -> Response[bytes]:
    """*of*: the exporter that the form and what is wrong with it are about; empty: the new one."""
    desk: Desk = request.app.state.desk
    with server.core.database.read() as connection:
        found = [one for one in store.every(connection) if viewer.site_ids is None or one.site_id in viewer.site_ids]
    return screen(
        request,
        viewer,
        "settings/exporters.html",
        status=422 if wrong else 200,
        here="settings",
        tab="exporters",
        exporters=found,
        as_typed=_as_typed,
        blank=ExporterForm(),
        nothing=Problems(),
        sent=sent,
        wrong=wrong,
        of=of,
        done=done,
        tried=None if tried is None else outcome(tried),
        went_well=tried is not None and tried.fault is None,
        site_name=desk.site_name,
        sites=[(site.slug, site.name) for site in desk.sites(viewer)],
    )
