"""The list ``/alerts`` with its saved views."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.alerts import queries
from tocsin.alerts.model import Alert, Status
from tocsin.api.context import Given
from tocsin.api.fields import Name
from tocsin.api.paging import cut_page, read_cursor
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.core.times import from_datetime, to_text
from tocsin.db.writer import Tx
from tocsin.identity import store as identity_store
from tocsin.identity.model import User
from tocsin.web import people, preferences
from tocsin.web.access import form, go, local_path
from tocsin.web.alerts import asking, escalating, rules
from tocsin.web.alerts.asking import ListQuery
from tocsin.web.alerts.rules import NextStep
from tocsin.web.desk import Desk, Sites
from tocsin.web.overview.rules import spelled
from tocsin.web.pages import AnyRequest, news_since, screen
from tocsin.web.start import TheServer
from tocsin.web.times import Times, in_words
from tocsin.web.viewer import TheViewer, zone_named

TYPES = 20
VIEWS = "alert views"
MAX_VIEWS = 30


class View(msgspec.Struct, frozen=True):
    """A list under a name."""

    name: str
    address: str


class NewView(msgspec.Struct, frozen=True, kw_only=True):
    """The form that keeps the list at hand under a name."""

    name: Name
    address: Annotated[str, Meta(max_length=2_000)]


class OldView(msgspec.Struct, frozen=True, kw_only=True):
    """The form that drops one."""

    name: Name
    address: Annotated[str, Meta(max_length=2_000)] = "/alerts"


class Page(msgspec.Struct, frozen=True):
    """One page of a list, as readers of the same sites see it."""

    site_ids: Sites
    wanted: queries.Filter
    is_filtered: bool
    sort: queries.Sort
    after: tuple[Any, ...] | None
    limit: int


class Listed(msgspec.Struct, frozen=True):
    """What stands on it. ``found``: one more than the page has, if there are more; ``hidden``: how many there are on other lists."""

    found: list[Alert]
    counts: dict[str, int]
    types: list[tuple[str, int]]
    hidden: int
    names: dict[str, str]
    users: list[User]
    planned: dict[int, NextStep]
    at: int


class AlertsPage(Controller):
    """The list."""

    path = "/alerts"
    include_in_schema = False

    @get(sync_to_thread=True)
    def alerts(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[ListQuery]) -> Response[bytes]:
        """Lists alerts: what is asked for stands in the address."""
        desk: Desk = request.app.state.desk
        core, now = server.core, desk.now()
        wanted = asking.wanted(asked, viewer, core.sites)
        kind = f"alerts{asked.sort.value}"
        after = read_cursor(asked.cursor, kind, (int, int))
        limit = min(asked.limit, asking.PAGE)
        filters = asking.filters(asked)
        page = Page(viewer.site_ids, wanted, bool(filters), asked.sort, after, limit)
        listed = desk.kept(page, lambda: read(desk, page, now), 0, since=news_since(request))
        counts, names = listed.counts, listed.names
        with core.database.read() as connection:
            views = preferences.load(connection, viewer.user_id, VIEWS, list[View], [])
        alerts, cursor = cut_page(listed.found, limit, kind, lambda alert: asked.sort.place(alert, core.impacts.weight))
        times = Times(zone_named(viewer.time_zone), now)
        return screen(
            request,
            viewer,
            "alerts.html",
            as_of=listed.at,
            here="alerts",
            asked=asked,
            address=lambda **changes: asking.address(asked, **changes),
            current=asking.address(asked, cursor=asked.cursor),
            alerts=alerts,
            next_page=asking.address(asked, cursor=cursor) if cursor else None,
            tabs=[(tab, rules.capped(counts[tab.status], tab.status)) for tab in rules.TABS],
            muted=counts["muted"],
            matching=counts["muted"] if asked.muted else sum(counts[status] for status in wanted.statuses or tuple(counts)),
            filters=filters,
            types=listed.types,
            sites=desk.sites(viewer),
            site_name=desk.site_name,
            users=listed.users,
            views=views,
            sorts=rules.SORTS,
            snoozes=rules.SNOOZES,
            morning=rules.morning(now, times.midnight),
            spans=[("Last hour", to_text(now - HOUR)), ("Last 24 hours", to_text(now - DAY)), ("Last 7 days", to_text(now - 7 * DAY))],
            name=people.namer(names),
            next_step=lambda alert: listed.planned.get(alert.number) or rules.next_step(alert),
            ms_of=from_datetime,
            hidden=listed.hidden,
            summary=summary(alerts, counts[Status.OPEN], asked, now),
        )

    @post("/views", status_code=200)
    async def keep_view(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Keeps a list under a name; one of the same name is replaced."""
        sent = await form(request, NewView)
        address = local_path(sent.address)
        if not address.startswith("/alerts"):
            raise InvalidInput.of("address", "must be one of the list: /alerts?...")

        def work(tx: Tx) -> None:
            views = [view for view in _views(tx, viewer.user_id) if view.name != sent.name.strip()]
            if len(views) >= MAX_VIEWS:
                raise InvalidInput.of("name", f"is one too many: {MAX_VIEWS} views are kept; drop one first")
            preferences.save(tx, viewer.user_id, VIEWS, [*views, View(sent.name.strip(), address)])

        await server.core.writer.run(work)
        return go(address, depth=1)

    @post("/views/drop", status_code=200)
    async def drop_view(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Drops a saved view; the alerts stay as they are."""
        sent = await form(request, OldView)

        def work(tx: Tx) -> None:
            views = [view for view in _views(tx, viewer.user_id) if view.name != sent.name]
            preferences.save(tx, viewer.user_id, VIEWS, views)

        await server.core.writer.run(work)
        return go(local_path(sent.address), depth=2)


def read(desk: Desk, page: Page, now: int) -> Listed:
    """Reads all of it in one snapshot."""
    core, wanted = desk.server.core, page.wanted
    with core.database.read() as connection:
        found = queries.page(connection, wanted, page.sort, page.after, page.limit + 1, core.impacts.weight, core.impacts.names)
        tally = desk.tally(connection, page.site_ids)
        unresolved = queries.unresolved_by_state(connection, wanted) if page.is_filtered else tally.by_state
        ended = 0 if found else queries.resolved(connection, queries.Filter(site_ids=page.site_ids), rules.CAPPED)
        names = people.names(connection)
        return Listed(
            found=found,
            counts=rules.counts(unresolved, queries.resolved(connection, wanted, rules.CAPPED)),
            types=rules.most(tally.by_type, TYPES),
            hidden=sum(tally.by_state.values()) + ended,
            names=names,
            users=[user for user in identity_store.list_users(connection) if user.disabled_at is None],
            planned=escalating.planned(connection, found[: page.limit], core.policies, names),
            at=now,
        )


def _views(tx: Tx, user_id: str) -> list[View]:
    return preferences.load(tx.sql, user_id, VIEWS, list[View], [])


def summary(alerts: list[Alert], unowned: int, asked: ListQuery, now: int) -> str:
    """The line beside the head of the page."""
    if asked.status != "open" or asked.muted or asking.filters(asked):
        return ""
    if not unowned:
        return "Nobody is needed."
    waits = max((now - alert.first_seen_at for alert in alerts), default=0)
    longest = f" The oldest here has waited for {in_words(waits // MINUTE * MINUTE)}." if waits >= MINUTE else ""
    return ("One alert wants an owner." if unowned == 1 else f"{spelled(unowned).capitalize()} alerts want an owner.") + longest
