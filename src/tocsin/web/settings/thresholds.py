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
from tocsin.core.errors import Conflict, InvalidInput, NotFound
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
    do: Literal["save", "on", "off"] = "save"


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
            await api.change(server, viewer.calling(address_of(request)), threshold_id, wanted)
        except InvalidInput as error:
            said = Problems(form=" ".join(f"{field}: {words}" for field, words in problems(error).items()))
            return await asyncio.to_thread(_page, request, server, viewer, NewForm(), said, opened=threshold_id)
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
    request: AnyRequest, server: Server, viewer: Viewer, sent: NewForm, wrong: Problems, *, done: str = "", opened: str = ""
) -> Response[bytes]:
    desk: Desk = request.app.state.desk
    seen = [one for one in server.core.thresholds.all() if service.sees(one, viewer.site_ids)]
    if opened and all(one.id != opened for one in seen):
        raise NotFound(f"there is no threshold {opened[:60]}")
    return screen(
        request,
        viewer,
        "settings/thresholds.html",
        status=422 if wrong else 200,
        here="settings",
        tab="thresholds",
        thresholds=sorted(seen, key=_place),
        about=lambda one: _about(one, desk),
        limit=lambda one, value: "" if value is None else f"{rules.number(value)}{_unit(one)}",
        number=lambda value: "" if value is None else rules.number(value).replace(",", ""),
        sent=sent,
        wrong=wrong,
        done=done,
        opened=opened,
        metrics=COMMON,
        sites=[(site.slug, site.name) for site in desk.sites(viewer)],
    )


def _place(one: Threshold) -> tuple[str, bool, str]:
    return (one.metric, one.is_default, one.id)


def _unit(one: Threshold) -> str:
    return rules.unit_of(one.metric).replace(" %", "%")


def _about(one: Threshold, desk: Desk) -> str:
    """Where it holds, in words."""
    parts = [f"on {one.host}" if one.host else "", f"at {desk.site_name(one.site_id)}" if one.site_id is not None else ""]
    parts += [f"{name} {value}" for name, value in one.labels.items()]
    return ", ".join(part for part in parts if part) or "everywhere"
