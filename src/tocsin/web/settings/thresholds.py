"""``/settings/thresholds``: from which values on something is a problem."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api import thresholds as api
from tocsin.api.context import Given
from tocsin.api.thresholds import NewThreshold, ThresholdChange
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND
from tocsin.core.editions import edition
from tocsin.core.errors import Conflict, InvalidInput, NotFound, Overtaken
from tocsin.core.reading import read_body
from tocsin.identity.model import Viewer
from tocsin.thresholds import rules, service
from tocsin.thresholds.model import Threshold
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.desk import Desk
from tocsin.web.groups import number
from tocsin.web.pages import screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

DONE = {
    "made": "It judges what is measured from now on.",
    "changed": "Changed. The next value is judged by it.",
    "removed": "Removed. What it told is over.",
}
COMMON = ("cpu_percent", "memory_percent", "disk_percent", "load_1m", "network_connections", "response_ms", "db_query_ms", "service_up")

Typed = Annotated[str, Meta(max_length=300)]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was just done."""

    done: Literal["made", "changed", "removed"] | None = None


class NewForm(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold as it is typed."""

    metric: Typed = ""
    site: Typed = ""
    host: Typed = ""
    labels: Typed = ""
    direction: Literal["above", "below"] = "above"
    warning: Typed = ""
    critical: Typed = ""
    clear: Typed = ""
    for_seconds: Typed = ""
    missing_seconds: Typed = ""


class ChangeForm(msgspec.Struct, frozen=True, kw_only=True):
    """Its limits as they are typed; ``do``: save them, or switch it on or off."""

    warning: Typed = ""
    critical: Typed = ""
    clear: Typed = ""
    for_seconds: Typed = ""
    missing_seconds: Typed = ""
    edition: Typed = ""
    do: Literal["save", "on", "off"] = "save"


class Changing(msgspec.Struct, frozen=True):
    """A change that was not made: what was typed is shown again, open on the page."""

    threshold_id: str
    sent: ChangeForm
    wrong: Problems


class ThresholdPages(Controller):
    """Thresholds."""

    path = "/settings/thresholds"
    include_in_schema = False

    @get(sync_to_thread=True)
    def thresholds(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[PageQuery]) -> Response[bytes]:
        """Lists them by metric, the most specific first, and those of the settings last."""
        return _page(request, server, viewer, NewForm(), Problems(), done=DONE.get(asked.done or "", ""))

    @post(status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes one."""
        sent = await form(request, NewForm)
        try:
            wanted = read_body(msgspec.json.encode(_body(sent)), NewThreshold)
            await api.make(server, viewer.calling(address_of(request)), wanted)
        except InvalidInput as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, problems(error))
        except Conflict as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, Problems(form=error.message))
        return go("/settings/thresholds?done=made", depth=1)

    @post("/{threshold_id:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, threshold_id: InPath) -> Response[bytes]:
        """Changes its limits, or switches it on or off."""
        sent = await form(request, ChangeForm)
        try:
            wanted = read_body(msgspec.json.encode(_changes(sent)), ThresholdChange)
            seen = sent.edition if sent.do == "save" else None
            await api.change(server, viewer.calling(address_of(request)), threshold_id, wanted, seen)
        except InvalidInput as error:
            changing = Changing(threshold_id, sent, problems(error))
            return await asyncio.to_thread(_page, request, server, viewer, NewForm(), Problems(), changing=changing)
        except Overtaken:
            await asyncio.to_thread(server.core.refresh)  # what another node has saved
            changing = Changing(threshold_id, sent, Problems())
            return await asyncio.to_thread(_page, request, server, viewer, NewForm(), Problems(), changing=changing)
        return go("/settings/thresholds?done=changed", depth=2)

    @post("/{threshold_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, threshold_id: InPath) -> Response[bytes]:
        """Removes one; what it told is over."""
        await form(request, NoFields)
        await api.remove(server, viewer.calling(address_of(request)), threshold_id)
        return go("/settings/thresholds?done=removed", depth=3)


def _body(sent: NewForm) -> dict[str, Any]:
    body: dict[str, Any] = {"metric": sent.metric, "direction": sent.direction, "labels": _labels(sent.labels)}
    for name in ("site", "host"):
        if getattr(sent, name):
            body[name] = getattr(sent, name)
    for name in ("warning", "critical", "clear", "for_seconds", "missing_seconds"):
        if getattr(sent, name):
            body[name] = number(getattr(sent, name))
    return body


def _labels(text: str) -> dict[str, str] | str:
    """``mount=/var, device=sda`` as an object; the text itself if it is none, about which the answer then says what it must be."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not equals or not name.strip() for name, equals, _ in pairs):
        return text
    return {name.strip(): value.strip() for name, _, value in pairs}


def _changes(sent: ChangeForm) -> dict[str, Any]:
    if sent.do != "save":
        return {"enabled": sent.do == "on"}
    nullable = {name: number(getattr(sent, name)) or None for name in ("warning", "critical", "clear", "missing_seconds")}
    zero = {name: 0.0 for name in ("warning", "critical", "clear") if number(getattr(sent, name)) == 0}
    return {**nullable, **zero, "for_seconds": number(sent.for_seconds) or 0}


def _page(
    request: AnyRequest, server: Server, viewer: Viewer, sent: NewForm, wrong: Problems, *, done: str = "", changing: Changing | None = None
) -> Response[bytes]:
    desk: Desk = request.app.state.desk
    seen = [one for one in server.core.thresholds.all() if service.sees(one, viewer.site_ids)]
    opened = None if changing is None else next((one for one in seen if one.id == changing.threshold_id), None)
    if changing is not None and opened is None:
        raise NotFound(f"there is no threshold {changing.threshold_id[:60]}")
    overtaken = opened is not None and changing is not None and changing.sent.edition not in ("", edition(opened))
    return screen(
        request,
        viewer,
        "settings/thresholds.html",
        status=422 if wrong or (changing and changing.wrong) else 409 if overtaken else 200,
        here="settings",
        tab="thresholds",
        thresholds=sorted(seen, key=_place),
        about=lambda one: _about(one, desk),
        limit=lambda one, value: "" if value is None else f"{rules.number(value)}{_unit(one)}",
        as_kept=_as_kept,
        fine=Problems(),
        sent=sent,
        wrong=wrong,
        done=done,
        opened=opened,
        changing=changing,
        overtaken=overtaken,
        edition=edition,
        metrics=COMMON,
        sites=[(site.slug, site.name) for site in desk.sites(viewer)],
    )


def _as_kept(one: Threshold) -> ChangeForm:
    """The form that would make it what it is."""
    warning, critical, clear = (
        "" if value is None else rules.number(value).replace(",", "") for value in (one.warning, one.critical, one.clear)
    )
    missing = "" if one.missing is None else str(one.missing // SECOND)
    return ChangeForm(warning=warning, critical=critical, clear=clear, for_seconds=str(one.lasts // SECOND), missing_seconds=missing)


def _place(one: Threshold) -> tuple[str, bool, str]:
    return (one.metric, one.is_default, one.id)


def _unit(one: Threshold) -> str:
    return rules.unit_of(one.metric).replace(" %", "%")


def _about(one: Threshold, desk: Desk) -> str:
    """Where it holds, in words."""
    parts = [f"on {one.host}" if one.host else "", f"at {desk.site_name(one.site_id)}" if one.site_id is not None else ""]
    parts += [f"{name} {value}" for name, value in one.labels.items()]
    return ", ".join(part for part in parts if part) or "everywhere"
