"""``/a/{token}``: an alert in the hand of whoever got the message, without login or script.

GET shows and changes nothing; POST acts.
"""

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Controller, Request, Response, get, post

from tocsin.alerts import queries as alert_queries, rules
from tocsin.alerts.model import MAX_NOTE, Alert, AlertChange, HistoryLine, Status
from tocsin.bootstrap import Server
from tocsin.core.clock import HOUR
from tocsin.core.errors import Conflict
from tocsin.core.text import cut
from tocsin.notify import links, queries
from tocsin.notify.links import LinkAction
from tocsin.notify.queries import Carried, Enclosed, Person
from tocsin.notify.render import clean, clean_line
from tocsin.pipeline.actions import Decide
from tocsin.web import people, story
from tocsin.web.pages import HEADERS, notice, page
from tocsin.web.people import Name
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import zone_named

SNOOZE = HOUR
STEPS_SHOWN = 6
ENCLOSED_SHOWN = 30
BY_LINK = "asked for by the link in a message"

AnyRequest = Request[Any, Any, Any]


class DeadEnd(msgspec.Struct, frozen=True):
    """Why a link does not work (any more), and what to do instead."""

    status: int
    title: str
    advice: str


class Seen(msgspec.Struct, frozen=True):
    """What a link shows."""

    action: LinkAction
    message: Carried
    person: Person
    alert: Alert
    history: list[HistoryLine]
    enclosed: list[Enclosed]
    name: Name


UNKNOWN = DeadEnd(
    404,
    "This is not a link that Tocsin made.",
    "Perhaps a mail program cut it. Copy the whole address from the message, or use the newest message about the alert.",
)
EXPIRED = DeadEnd(
    410,
    "This link is too old.",
    "Links work for 7 days. The newest message about the alert has one that works; nothing was changed.",
)
REVOKED = DeadEnd(
    410,
    "This link was revoked.",
    "Somebody ended the links of this message. The newest message about the alert has one that works; nothing was changed.",
)
DISABLED = DeadEnd(
    410,
    "This link belongs to an address that is no longer used.",
    "The contact that got this message was removed or disabled. Ask whoever runs Tocsin to add it again; nothing was changed.",
)


class LinkPages(Controller):
    """Action links."""

    path = "/a/{token:str}"
    include_in_schema = False

    @get(sync_to_thread=True)
    def show(self, server: TheServer, token: InPath) -> Response[bytes]:
        """Shows the alert with its buttons. Mail scanners open every link: nothing happens here."""
        seen = look(server, token)
        return _dead(seen) if isinstance(seen, DeadEnd) else _page(server, seen, "")

    @post(status_code=200)
    async def act(self, request: AnyRequest, server: TheServer, token: InPath) -> Response[bytes]:
        """Does what the link says, as often as it is pressed; then shows the alert as it is."""
        seen = await asyncio.to_thread(look, server, token)
        if isinstance(seen, DeadEnd):
            return _dead(seen)
        said = await _act(server, seen, await _note(request), request.client.host if request.client else None)
        if "text/html" not in request.headers.get("accept", ""):
            return Response(f"{said}\n".encode(), media_type="text/plain", headers=HEADERS)
        now = await asyncio.to_thread(look, server, token)
        return _dead(now) if isinstance(now, DeadEnd) else _page(server, now, said)


def look(server: Server, token: str) -> Seen | DeadEnd:
    """What *token* shows at this moment. Reads only."""
    opened = links.read(server.secret, token)
    if opened is None:
        return UNKNOWN
    with server.core.database.read() as connection:
        message = queries.carried(connection, opened.message_id)
        if message is None:
            return UNKNOWN
        alert = alert_queries.find(connection, message.alert_id)
        dead = why_dead(message, server.core.clock.now())
        if dead is not None or alert is None or message.contact is None:
            return dead or UNKNOWN
        history = alert_queries.history(connection, alert.number, STEPS_SHOWN)
        enclosed = queries.enclosed(connection, message.id, ENCLOSED_SHOWN)
        name = people.namer(people.names(connection))
    return Seen(opened.action, message, message.contact, alert, history, enclosed, name)


def why_dead(message: Carried, now: int) -> DeadEnd | None:
    """Why the links of *message* do not act at *now*, or None if they do."""
    if message.links_revoked_at is not None:
        return REVOKED
    if now >= message.created_at + links.LIFETIME:
        return EXPIRED
    person = message.contact
    if person is None or person.disabled_at is not None or person.verified_at is None:
        return DISABLED
    return None


async def _act(server: Server, seen: Seen, note: str | None, address: str | None) -> str:
    """Does it; the sentence that says what is so now."""
    title = clean_line(seen.alert.title, 120)
    who, actions = seen.person.actor, server.core.actions
    match seen.action:
        case LinkAction.OPEN:
            return title
        case LinkAction.ACKNOWLEDGE:
            decide, done = actions.acknowledge(who, note), "Acknowledged"
        case LinkAction.RESOLVE:
            decide, done = _resolve(who, note), "Resolved"
        case LinkAction.SNOOZE:
            decide, done = _snooze(who, note), "Snoozed for an hour"
    try:
        await server.core.writer.run(actions.act(seen.alert.id, by_link(decide, seen.message.id), address=address))
    except Conflict:
        return f"Already resolved: {title}"
    return f"{done}: {title}"


def _resolve(who: str, note: str | None) -> Decide:
    return lambda alert, now: rules.resolve(alert, who, note, now)


def _snooze(who: str, note: str | None) -> Decide:
    """For an hour from now; pressing again does not make it longer."""

    def decide(alert: Alert, now: int) -> AlertChange:
        if alert.status == Status.SNOOZED:
            return AlertChange(alert)
        return rules.snooze(alert, who, now + SNOOZE, note, now)

    return decide


def by_link(decide: Decide, message_id: str) -> Decide:
    """The same decision, with a history that says that a link was used, and which message's."""

    def decided(alert: Alert, now: int) -> AlertChange:
        change = decide(alert, now)
        lines = [
            msgspec.structs.replace(line, reason=BY_LINK, details={**(line.details or {}), "message": message_id})
            for line in change.history
        ]
        return msgspec.structs.replace(change, history=tuple(lines))

    return decided


async def _note(request: AnyRequest) -> str | None:
    """The note in a form, cut to what is kept. Whatever else a body holds is no reason not to act."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    raw = (await request.body()).decode("ascii", errors="replace")
    try:
        fields = dict(parse_qsl(raw, errors="replace", max_num_fields=20))
    except ValueError:
        return None
    return cut(clean(fields.get("note", "")), MAX_NOTE) or None


# --- what is shown


def _dead(end: DeadEnd) -> Response[bytes]:
    return notice(end.status, end.title, end.advice, depth=1)


def _page(server: Server, seen: Seen, said: str) -> Response[bytes]:
    now = server.core.clock.now()
    zone = zone_named(seen.person.time_zone)
    tokens = {action.value: links.token(server.secret, seen.message.id, action) for action in LinkAction}
    told = story.tell(seen.alert, server.core.sites.name_of(seen.alert.site_id), seen.history, seen.name, zone, now)
    return page(
        "link.html",
        depth=1,
        story=told,
        said=_said(seen, said),
        tokens=tokens,
        wanted=seen.action.value,
        live=seen.alert.status != Status.RESOLVED,
        person=seen.name(seen.person.actor),
        lasts=story.lifetime(seen.message.created_at + links.LIFETIME - now),
        enclosed=[_enclosed(server, one) for one in seen.enclosed],
    )


def _said(seen: Seen, said: str) -> str:
    """The line above the alert after a button was pressed."""
    if not said or seen.action is LinkAction.OPEN:
        return ""
    if seen.alert.status == Status.RESOLVED:
        return "It is resolved." if seen.action is LinkAction.RESOLVE else "It was resolved before; there is nothing left to do."
    if seen.alert.status == Status.SNOOZED:
        return "It is snoozed. If it is still there when that ends, you are told again."
    if seen.alert.acknowledged_by == seen.person.actor:
        return "You have it. Nothing more is sent until it gets worse or the acknowledgement runs out."
    return "It is acknowledged."


def _enclosed(server: Server, one: Enclosed) -> dict[str, object]:
    return {
        "title": clean_line(one.title),
        "severity": one.severity,
        "status": one.status,
        "token": links.token(server.secret, one.message_id, LinkAction.OPEN),
    }
