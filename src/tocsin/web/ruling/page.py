"""``/rules``: what is decided about events, in order; and the form that shows what a rule would have done before it is saved."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api.context import Given
from tocsin.api.event_rules import (
    Attempt,
    Draft,
    TriedEvent,
    TypePagesOut,
    attempt,
    compare,
    differing,
    policies_of,
    proposed,
    rule_id_of,
    summary,
)
from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.core.ids import is_uuid
from tocsin.core.text import sentence, whole
from tocsin.db.writer import Tx
from tocsin.escalation.rules import BUILT_IN
from tocsin.events import queries as event_queries
from tocsin.events.catalogue.rows import ROWS
from tocsin.identity.model import Viewer
from tocsin.ruling import service, store
from tocsin.ruling.backtest import BackTest
from tocsin.ruling.model import EventRule
from tocsin.ruling.store import Kept
from tocsin.web import people
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.desk import Desk
from tocsin.web.groups import read_fields, small
from tocsin.web.pages import screen
from tocsin.web.policies import rules as policy_words
from tocsin.web.policies.rules import Rung
from tocsin.web.quiet.rules import OPS
from tocsin.web.ruling import rules
from tocsin.web.ruling.rules import RuleForm
from tocsin.web.settings.zones import zones
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

DONE = {
    "made": "The rule holds for events that arrive from now on.",
    "changed": "Changed, for events that arrive from now on.",
    "moved": "The order is changed.",
    "removed": "Removed. What it kept quiet, and is still open, pages.",
    "restored": "The older version holds again, as the newest.",
}
LOOKS = ("test", "try")  # buttons that show what would be, and change nothing
VERSIONS = 20  # that are shown of one rule
Deed = Literal["made", "changed", "moved", "removed", "restored"]


class RulesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was just done."""

    done: Deed | None = None


class NewQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The id of an event whose like the rule is about."""

    event: Annotated[str, Meta(max_length=36)] | None = None


class MoveForm(msgspec.Struct, frozen=True, kw_only=True):
    """The place that the rule shall have."""

    position: Annotated[int, Meta(ge=1, le=1_000)]


class RestoreForm(msgspec.Struct, frozen=True, kw_only=True):
    """The version that shall hold again."""

    version: Annotated[int, Meta(ge=1)]


class Entry(msgspec.Struct, frozen=True):
    """One rule on the page, in words."""

    kept: Kept
    where: str
    when: str
    does: tuple[str, ...]
    by: str


class Version(msgspec.Struct, frozen=True):
    """What a rule once said, in words."""

    number: int
    at: int
    by: str
    name: str
    where: str
    when: str
    does: tuple[str, ...]


class Tested(msgspec.Struct, frozen=True):
    """A back-test on the page."""

    found: BackTest
    says: str
    types: list[TypePagesOut]


class Tried(msgspec.Struct, frozen=True):
    """A dry run on the page."""

    came_to: Attempt
    rungs: tuple[Rung, ...]


class Looked(msgspec.Struct, frozen=True):
    """What a look before saving came to."""

    tested: Tested | None = None
    tried: Tried | None = None


class RulePages(Controller):
    """Event rules."""

    path = "/rules"
    include_in_schema = False

    @get(sync_to_thread=True)
    def rules(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[RulesQuery]) -> Response[bytes]:
        """Lists the rules in the order in which they are asked."""
        with server.core.database.read() as connection:
            kept, name = store.every(connection), people.namer(people.names(connection))
        policies = _policy_names(server)
        entries = [
            Entry(one, rules.where_says(one.rule), rules.when_says(one.rule), rules.does(one.rule.actions, policies), name(one.updated_by))
            for one in kept
        ]
        return screen(request, viewer, "rules/list.html", here="rules", entries=entries, done=DONE.get(asked.done or "", ""))

    @get("/new", sync_to_thread=True)
    def ask(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[NewQuery]) -> Response[bytes]:
        """The form of a new rule; of an event's like, if one is named."""
        begun = rules.begun(_event(server, viewer, asked.event), viewer.time_zone or "UTC")
        return _page(request, server, viewer, None, begun, Problems(), "", Looked())

    @post("/new", status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Tries a rule, or makes it."""
        return await _answer(request, server, viewer, None)

    @get("/{rule_id:str}", sync_to_thread=True)
    def edit(self, request: AnyRequest, server: TheServer, viewer: TheViewer, rule_id: InPath) -> Response[bytes]:
        """The form of a rule that there is, and what it said before."""
        kept = _find(server, rule_id)
        return _page(request, server, viewer, kept, rules.written(kept.rule), Problems(), "", Looked())

    @post("/{rule_id:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, rule_id: InPath) -> Response[bytes]:
        """Tries a change, or makes it, unless somebody else did meanwhile."""
        return await _answer(request, server, viewer, await asyncio.to_thread(_find, server, rule_id))

    @post("/{rule_id:str}/move", status_code=200)
    async def move(self, request: AnyRequest, server: TheServer, viewer: TheViewer, rule_id: InPath) -> Response[bytes]:
        """Has a rule asked earlier or later."""
        sent = await form(request, MoveForm)
        where, who, now = rule_id_of(rule_id), viewer.calling(address_of(request)).who, server.core.clock.now()
        await _write(server, lambda tx: service.change(tx, who, where, {}, sent.position, policies_of(server), now))
        return go("/rules?done=moved", depth=2)

    @post("/{rule_id:str}/restore", status_code=200)
    async def restore(self, request: AnyRequest, server: TheServer, viewer: TheViewer, rule_id: InPath) -> Response[bytes]:
        """Has an older version hold again."""
        sent = await form(request, RestoreForm)
        kept = await asyncio.to_thread(_find, server, rule_id)
        who, now = viewer.calling(address_of(request)).who, server.core.clock.now()
        try:
            await _write(server, lambda tx: service.restore(tx, who, kept.rule.id, sent.version, policies_of(server), now))
        except (InvalidInput, Conflict) as error:
            words = problems(error, rules.on_page) if isinstance(error, InvalidInput) else {"restore": error.message}
            wrong = Problems(restore=f"Version {sent.version} cannot hold again: {'; '.join(words.values())}")
            return await asyncio.to_thread(_page, request, server, viewer, kept, rules.written(kept.rule), wrong, "", Looked())
        return go("/rules?done=restored", depth=2)

    @post("/{rule_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, rule_id: InPath) -> Response[bytes]:
        """Takes a rule away."""
        await form(request, NoFields)
        where, who, now = rule_id_of(rule_id), viewer.calling(address_of(request)).who, server.core.clock.now()
        await _write(server, lambda tx: service.remove(tx, who, where, now))
        return go("/rules?done=removed", depth=2)


async def _write(server: Server, work: Callable[[Tx], object]) -> None:
    await server.core.writer.run(work)
    await asyncio.to_thread(server.core.refresh)


def _find(server: Server, rule_id: str) -> Kept:
    with server.core.database.read() as connection:
        return store.find(connection, rule_id_of(rule_id))


def _event(server: Server, viewer: Viewer, event_id: str | None) -> dict[str, Any] | None:
    """What the form begins with: the event of this id, if there is one that the person may see."""
    if event_id is None or not is_uuid(event_id.lower()):
        return None
    with server.core.database.read() as connection:
        event = event_queries.find(connection, event_id.lower(), viewer.site_ids)
    return None if event is None else {**msgspec.structs.asdict(event), "site": server.core.sites.slug_of(event.site_id)}


def _policy_names(server: Server) -> dict[str, str]:
    return {BUILT_IN: "Built-in policy", **{one.policy.id: one.policy.name for one in server.core.policies.definitions}}


async def _answer(request: AnyRequest, server: Server, viewer: Viewer, kept: Kept | None) -> Response[bytes]:
    sent = rules.form_of(read_fields(await request.body()))
    try:
        if sent.do in LOOKS:
            look = await asyncio.to_thread(_look, request, server, viewer, kept, sent)
            return await asyncio.to_thread(_page, request, server, viewer, kept, sent, Problems(), "", look)
        if sent.do != "save":
            return await asyncio.to_thread(_page, request, server, viewer, kept, rules.pressed(sent), Problems(), "", Looked())
        await _save(request, server, viewer, kept, sent)
    except InvalidInput as error:
        return await asyncio.to_thread(_page, request, server, viewer, kept, sent, problems(error, rules.on_page), "", Looked())
    except Conflict as error:
        if sent.do in LOOKS:
            busy = Problems(form=sentence(error.message))
            return await asyncio.to_thread(_page, request, server, viewer, kept, sent, busy, "", Looked())
        present = kept if kept is None else await asyncio.to_thread(_find, server, kept.rule.id)
        return await asyncio.to_thread(_page, request, server, viewer, present, sent, Problems(), error.message, Looked())
    return go(f"/rules?done={'made' if kept is None else 'changed'}", depth=1)


async def _save(request: AnyRequest, server: Server, viewer: Viewer, kept: Kept | None, sent: RuleForm) -> None:
    made, position = rules.rule_of(sent), small(sent.position)
    who, now = viewer.calling(address_of(request)).who, server.core.clock.now()
    if kept is None:
        await _write(server, lambda tx: service.make(tx, who, made, position, policies_of(server), now))
        return
    old = kept.rule.id
    wanted = {name: getattr(made, name) for name in EventRule.__struct_fields__ if name not in ("id", "version")}
    version = whole(sent.version)
    await _write(server, lambda tx: service.change(tx, who, old, wanted, None, policies_of(server), now, version=version))


def _look(request: AnyRequest, server: Server, viewer: Viewer, kept: Kept | None, sent: RuleForm) -> Looked:
    """What the form's rule would do. Raises `InvalidInput`, `Conflict`."""
    draft = Draft(rules.rule_of(sent), None if kept is None else kept.rule.id, small(sent.position) if kept is None else None)
    if sent.do == "test":
        return Looked(tested=_test(server, draft, min(max(small(sent.days) or 7, 1), 30)))
    with server.core.database.read() as connection:
        there = [one.rule for one in store.every(connection)]
    tried = proposed(there, draft, None, policies_of(server))
    try:
        event = msgspec.convert(rules.event_of(sent), TriedEvent)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$.")
        field = "type" if "missing required field `type`" in words else path.rstrip("`").partition(".")[0] or "type"
        said = "name the type of the event, such as disk.full" if field == "type" else words[:1].lower() + words[1:].replace("`", "")
        raise InvalidInput.of(f"e.{field}", said) from None
    now = server.core.clock.now()
    came_to = attempt(server, viewer.calling(address_of(request)), tried, event, now, now)
    return Looked(tried=Tried(came_to, policy_words.ladder(came_to.levels, came_to.directory, now)))


def _test(server: Server, draft: Draft, days: int) -> Tested:
    found = compare(server, lambda there: (there, proposed(there, draft, None, policies_of(server))), days)
    return Tested(found, summary(found), differing(found.before, found.after))


def _page(
    request: AnyRequest,
    server: Server,
    viewer: Viewer,
    kept: Kept | None,
    sent: RuleForm,
    wrong: Problems,
    conflict: str,
    look: Looked,
) -> Response[bytes]:
    desk: Desk = request.app.state.desk
    policies = _policy_names(server)
    with server.core.database.read() as connection:
        there = store.every(connection)
        versions = [] if kept is None else _versions(store.versions(connection, kept.rule.id), policies, people.names(connection))
    return screen(
        request,
        viewer,
        "rules/form.html",
        status=409 if conflict else 422 if wrong else 200,
        here="rules",
        kept=kept,
        sent=sent,
        wrong=wrong,
        conflict=conflict,
        look=look,
        number=len(there),
        positions=[(str(place), f"before {one.rule.name}") for place, one in enumerate(there, 1)],
        versions=versions[:VERSIONS],
        says=None if kept is None else (rules.where_says(kept.rule), rules.when_says(kept.rule), rules.does(kept.rule.actions, policies)),
        rows=[*sent.conditions, *[rules.Condition()] * max(sent.places, 1 if sent.conditions else 2)],
        fields=rules.FIELDS,
        ops=OPS,
        policies=[(policy_id, name) for policy_id, name in policies.items()],
        weekdays=list(enumerate(rules.WEEKDAYS, 1)),
        days=rules.DAYS,
        zones=zones(),
        sites=[(site.slug, site.name) for site in desk.sites(viewer)],
        types=[row.type for row in ROWS],
    )


def _versions(found: list[store.Version], policies: dict[str, str], names: dict[str, str]) -> list[Version]:
    name = people.namer(names)
    return [
        Version(
            one.rule.version,
            one.created_at,
            name(one.created_by),
            one.rule.name,
            rules.where_says(one.rule),
            rules.when_says(one.rule),
            (*rules.does(one.rule.actions, policies), *(() if one.rule.enabled else ("Switched off",))),
        )
        for one in found
    ]
