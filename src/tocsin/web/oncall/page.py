"""``/oncall``: who is on call, by week and month, where nobody is, and one's own shifts."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get
from msgspec import Meta

from tocsin.api.context import Given
from tocsin.core.clock import DAY
from tocsin.core.wall import wall_clock
from tocsin.identity.model import Viewer
from tocsin.notify.contacts import read_directory
from tocsin.notify.readiness import NEEDED, OnDuty, on_duty_soon
from tocsin.oncall import service, store
from tocsin.oncall.model import Override, Schedule, Shifts, SwapRequest
from tocsin.web import people
from tocsin.web.desk import Desk
from tocsin.web.oncall import rules
from tocsin.web.oncall.rules import Day, Lane, Painter, Range
from tocsin.web.oncall.swapping import speaker
from tocsin.web.pages import AnyRequest, screen
from tocsin.web.start import TheServer
from tocsin.web.times import Times
from tocsin.web.viewer import TheViewer

SWAPS_SHOWN = 7 * DAY  # after they were answered, or have expired
AHEAD = 28 * DAY  # how far gaps, the next watch and one's own shifts are looked for
MINE = 4
DONE = {
    "override": "Saved. The calendar below shows who is told now.",
    "removed": "Taken back. The layers hold again.",
    "swapped": "Swapped. Each now has the watch of the other.",
    "asked": "Asked. Nothing changes before the answer; you will hear of it.",
    "accepted": "Accepted. Each now has the watch of the other, and both are told.",
    "refused": "Refused. Everything stays as it is; who asked is told.",
    "withdrawn": "Taken back. Everything stays as it is; who was asked is told.",
    "late": "Too late: the swap has been answered, taken back, or has expired.",
    "changed-since": "The schedule has changed since: one of the two is not on watch any more at that time. Refuse it, or ask anew.",
    "made": "The schedule is made. Name it in a policy, so that its people are told.",
    "changed": "The schedule is changed.",
    "gone": "The schedule is removed.",
}

NOT_DONE = ("late", "changed-since")
Done = Literal[
    "override", "removed", "swapped", "asked", "accepted", "refused", "withdrawn", "late", "changed-since", "made", "changed", "gone"
]
DayText = Annotated[str, Meta(pattern=r"^(19[7-9][0-9]|20[0-9]{2}|21[0-8][0-9])-[0-9]{2}-[0-9]{2}$", max_length=10)]


class CalendarQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which schedule, around which day, and by what."""

    schedule: Annotated[str, Meta(max_length=36)] | None = None
    at: DayText | None = None
    by: Literal["week", "month"] = "week"
    done: Done | None = None


class Facts(msgspec.Struct, frozen=True):
    """What the database says."""

    schedule: Schedule
    shown: Shifts
    ahead: Shifts
    on: tuple[tuple[str, int], ...]  # who is on now, and until when
    made: list[Override]
    present: Schedule
    swaps: list[SwapRequest]
    unready: tuple[OnDuty, ...]  # who is on watch within a day and has too few ways to be reached


class OnCallPage(Controller):
    """The calendar."""

    path = "/oncall"
    include_in_schema = False

    @get(sync_to_thread=True)
    def calendar(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[CalendarQuery]) -> Response[bytes]:
        """Shows a schedule: now and next, gaps, a week or a month, overrides, one's own shifts."""
        desk: Desk = request.app.state.desk
        now = desk.now()
        with server.core.database.read() as connection:
            schedules = store.schedules(connection)
            schedule = chosen(schedules, asked.schedule)
            if schedule is None:
                return screen(request, viewer, "oncall/none.html", here="oncall", done=DONE.get(asked.done or "", ""))
            zone = ZoneInfo(schedule.time_zone)
            shown, at = _range(asked, wall_clock(now, zone).date(), zone)
            names = people.names(connection)
            facts = _read(connection, schedule, at[0], at[-1], now)
        return _show(request, viewer, schedules, asked, shown, at, names, facts, now)


def chosen(schedules: Sequence[Schedule], schedule_id: str | None) -> Schedule | None:
    """The schedule that was asked for, else the first."""
    return next((one for one in schedules if one.id == schedule_id), schedules[0] if schedules else None)


def _range(asked: CalendarQuery, today: date, zone: ZoneInfo) -> tuple[Range, tuple[int, ...]]:
    try:
        around = date.fromisoformat(asked.at) if asked.at else today
    except ValueError:
        around = today
    shown = rules.span(asked.by, around)
    return shown, rules.edges(shown, zone)


def _read(connection: sa.Connection, schedule: Schedule, start: int, end: int, now: int) -> Facts:
    ((present, _),) = service.present(connection, [schedule], start, end)
    ((_, duties),) = service.duties(connection, [schedule], now)
    return Facts(
        schedule,
        service.shifts(connection, schedule, start, end),
        service.shifts(connection, schedule, now, now + AHEAD),
        tuple((one.user, one.until) for one in duties),
        store.overrides(connection, [schedule.id], min(start, now), max(end, now + AHEAD))[schedule.id],
        present,
        store.open_swaps(connection, schedule.id, now - SWAPS_SHOWN),
        tuple(one for one in on_duty_soon(read_directory(connection, now), now) if not one.is_ready and schedule.name in one.schedules),
    )


def _show(
    request: AnyRequest,
    viewer: Viewer,
    schedules: Sequence[Schedule],
    asked: CalendarQuery,
    shown: Range,
    at: tuple[int, ...],
    names: dict[str, str],
    facts: Facts,
    now: int,
) -> Response[bytes]:
    zone = ZoneInfo(facts.schedule.time_zone)
    today = wall_clock(now, zone).date()
    painter = Painter(at[0], at[-1], now, names, rules.tones(facts.schedule))
    result = painter.result(facts.shown)
    on = [user for user, _ in facts.on]
    mine = rules.joined(facts.ahead.shifts, viewer.user_id)
    gap = rules.nearest(facts.ahead.gaps, now)
    swaps = [rules.swap_seen(one, viewer.user_id, speaker(viewer), names, now) for one in facts.swaps]
    return screen(
        request,
        viewer,
        "oncall/calendar.html",
        here="oncall",
        schedules=schedules,
        schedule=facts.schedule,
        local=Times(zone, now),
        zone=zone,
        asked=asked,
        shown=shown,
        lanes=_lanes(facts, painter, at[0], at[-1]) if shown.by == "week" else (),
        result=result,
        days=_days(shown, at, result, today),
        now_x=round((now - at[0]) / (at[-1] - at[0]) * 100, 3) if at[0] <= now < at[-1] else None,
        starts_at=at[0],
        ends_at=at[-1],
        on=facts.on,
        unready=facts.unready,
        needed=NEEDED,
        names=names,
        next_shift=rules.following(facts.ahead.shifts, on, now),
        mine=mine[:MINE],
        others=any(shift.user != viewer.user_id and shift.starts_at > now for shift in facts.ahead.shifts),
        gap=gap,
        turns_of=rules.turns_of,
        gaps=len(facts.ahead.gaps),
        to_answer=[one for one in swaps if one.for_you],
        swaps=[one for one in swaps if not one.for_you],
        made=sorted((one for one in facts.made if one.ends_at > now), key=lambda one: one.starts_at),
        stretch=lambda starts_at, ends_at: rules.stretch(starts_at, ends_at, zone),
        field=lambda ms: rules.field(ms, zone),
        done=DONE.get(asked.done or "", ""),
        not_done=asked.done in NOT_DONE,
        week=shown.first.isocalendar().week,
    )


def _lanes(facts: Facts, painter: Painter, start: int, end: int) -> tuple[Lane, ...]:
    """The overrides, then the layers, the one that wins first."""
    shown = [one for one in facts.made if one.starts_at < end and one.ends_at > start]
    layers = (
        Lane(layer.name, rules.turns_of(layer), painter.shifts(rules.alone(facts.present, layer, start, end)))
        for layer in reversed(facts.present.layers)
    )
    return (Lane("Overrides", "win over all layers", painter.overrides(shown)), *layers)


def _days(shown: Range, at: tuple[int, ...], result: tuple[rules.Block, ...], today: date) -> tuple[Day, ...]:
    month = (shown.first + timedelta(days=7)).month if shown.by == "month" else 0
    return rules.days(shown, at, result, today, month)
