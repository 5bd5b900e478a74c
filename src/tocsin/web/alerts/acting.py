"""What people do to alerts from a page: one form, one word for each button; and taking it back."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import msgspec
from litestar import Controller, Response, post
from msgspec import Meta

from tocsin.alerts import queries, rules as alert_rules
from tocsin.alerts.model import Alert, AlertChange, Before
from tocsin.api.alerts import BULK_CHUNK, Bulk, decision, work_on
from tocsin.api.fields import AlertRef, Note
from tocsin.bootstrap import Server
from tocsin.core.errors import InvalidInput, NotFound, TocsinError
from tocsin.core.reading import read_query
from tocsin.db.writer import Tx
from tocsin.identity.model import Caller, Viewer
from tocsin.pipeline.actions import Decide
from tocsin.web.access import address_of, form, go, local_path
from tocsin.web.alerts import asking, rules, undo
from tocsin.web.alerts.asking import ListQuery
from tocsin.web.alerts.rules import Deed
from tocsin.web.pages import AnyRequest, fragment, is_partial
from tocsin.web.start import TheServer
from tocsin.web.viewer import TheViewer

AT_ONCE = 2_000  # alerts that one press of a button acts on


class Deeds(msgspec.Struct, frozen=True, kw_only=True):
    """The form. ``id``: the alerts that are ticked; ``matching``: instead, the query of the list that all of them are on."""

    do: Annotated[str, Meta(max_length=300)]
    id: Annotated[tuple[AlertRef, ...], Meta(max_length=asking.PAGE)] = ()
    matching: Annotated[str, Meta(max_length=2_000)] | None = None
    everything: Annotated[str, Meta(max_length=1)] | None = None
    note: Note | None = None
    back: Annotated[str, Meta(max_length=2_000)] = "/alerts"


class Undoing(msgspec.Struct, frozen=True, kw_only=True):
    """The form behind "Undo"."""

    token: Annotated[str, Meta(max_length=1_000_000)]
    back: Annotated[str, Meta(max_length=2_000)] = "/alerts"


class Outcome(msgspec.Struct, frozen=True):
    """What became of it: how the changed alerts stood before, why others were refused, how many were not reached."""

    done: int
    before: list[Before]
    refused: list[str]
    more: int = 0


class AlertDeeds(Controller):
    """Acting on alerts."""

    path = "/alerts"
    include_in_schema = False

    @post("/act", status_code=200)
    async def act(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Does one thing to the alerts that were ticked, or to all on the list."""
        sent = await form(request, Deeds)
        deed = rules.read_deed(sent.do)
        try:
            outcome = await _do(server, viewer, viewer.calling(address_of(request)), sent, deed)
        except TocsinError as error:
            if not is_partial(request):
                raise
            return fragment("toast.html", viewer, request, text=error.message, good=False, token="", back=sent.back)
        return _answer(request, server, viewer, sent, deed, outcome)

    @post("/undo", status_code=200)
    async def undo(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Takes the last action back, where nothing else has happened since."""
        sent = await form(request, Undoing)
        core = server.core
        before = undo.read(server.secret, viewer.user_id, sent.token, core.clock.now())
        refused: list[str] = []
        who = viewer.calling(address_of(request)).who
        for start in range(0, len(before), BULK_CHUNK):
            part = before[start : start + BULK_CHUNK]
            refused += await core.writer.run(core.actions.undo(part, who, viewer.site_ids))
        text = "Taken back." if not refused else f"{len(before) - len(refused)} taken back. Not all: {refused[0]}."
        if is_partial(request):
            return fragment("toast.html", viewer, request, text=text, good=not refused, token="", back=sent.back)
        return go(local_path(sent.back), depth=1)


def _answer(request: AnyRequest, server: Server, viewer: Viewer, sent: Deeds, deed: Deed, outcome: Outcome) -> Response[bytes]:
    if not is_partial(request):
        return go(local_path(sent.back), depth=1)
    text = rules.said(deed.action, outcome.done, outcome.refused, outcome.more)
    token = undo.seal(server.secret, viewer.user_id, outcome.before, server.core.clock.now()) if outcome.before else ""
    return fragment("toast.html", viewer, request, text=text, good=not outcome.refused, token=token, back=sent.back)


async def _do(server: Server, viewer: Viewer, caller: Caller, sent: Deeds, deed: Deed) -> Outcome:
    if deed.action == "escalate":
        return await _escalate(server, caller, sent)
    decide = await _decision(server, viewer, sent, deed)
    refs, more = await _chosen(server, viewer, sent)
    before: dict[int, Before] = {}
    refused: list[str] = []
    for start in range(0, len(refs), BULK_CHUNK):
        work = partial(_each, server=server, caller=caller, refs=refs[start : start + BULK_CHUNK], decide=decide)
        done, not_done = await server.core.writer.run(work)
        before |= done
        refused += not_done
    return Outcome(len(refs) - len(refused), list(before.values()), refused, more)


async def _escalate(server: Server, caller: Caller, sent: Deeds) -> Outcome:
    """Tells the next level at once. For one alert at a time: waking people is no bulk action."""
    if len(sent.id) != 1:
        raise InvalidInput.of("id", "must name the one alert whose next level is to be told")
    alert_id = await asyncio.to_thread(_id_of, server, caller, sent.id[0])
    await server.core.writer.run(server.core.actions.escalate(alert_id, caller.who, None, caller.site_ids))
    return Outcome(1, [], [])


def _id_of(server: Server, caller: Caller, ref: str) -> str:
    with server.core.database.read() as connection:
        alert = queries.find(connection, ref, caller.site_ids)
    if alert is None:
        raise NotFound(f"there is no alert {ref}")
    return alert.id


async def _decision(server: Server, viewer: Viewer, sent: Deeds, deed: Deed) -> Decide:
    if deed.action == "wake":
        return lambda alert, now: alert_rules.wake(alert, viewer.email, sent.note, now)
    if deed.action == "comment" and not (sent.note or "").strip():
        raise InvalidInput.of("note", "is empty: write what the next watch should know")
    asked = {"action": deed.action, "ids": ["1"], "note": sent.note, "text": sent.note, "for_seconds": deed.for_seconds, "user": deed.user}
    try:
        bulk = msgspec.convert(asked | {"until": deed.until}, Bulk)
    except msgspec.ValidationError as error:
        raise InvalidInput.of("do", f"{sent.do[:60]!r} cannot be done: {error}") from None
    return await decision(server, viewer.email, bulk)


async def _chosen(server: Server, viewer: Viewer, sent: Deeds) -> tuple[list[str], int]:
    """The alerts that are meant, and how many more there are than can be done at once."""
    if not sent.everything:
        if not sent.id:
            raise InvalidInput.of("id", "names no alert: tick at least one")
        return list(sent.id), 0
    asked = read_query((sent.matching or "").encode(), ListQuery)
    wanted = asking.wanted(asked, viewer, server.core.sites)

    def find() -> list[int]:
        with server.core.database.read() as connection:
            return queries.numbers(connection, wanted, 10 * AT_ONCE)

    numbers = await asyncio.to_thread(find)
    return [str(number) for number in numbers[:AT_ONCE]], max(0, len(numbers) - AT_ONCE)


def _each(tx: Tx, server: Server, caller: Caller, refs: Sequence[str], decide: Decide) -> tuple[dict[int, Before], list[str]]:
    done: dict[int, Before] = {}
    refused: list[str] = []
    for ref in refs:

        def noted(alert: Alert, now: int) -> AlertChange:
            change = decide(alert, now)
            if change.changed:
                done[alert.number] = Before.of(alert, change.alert)
            return change

        try:
            work_on(server, caller, ref, noted)(tx)
        except TocsinError as error:
            refused.append(error.message)
    return done, refused
