"""`tocsin oncall`: who is on call."""

from datetime import datetime
from zoneinfo import ZoneInfo

from tocsin.cli.output import show_json, show_table
from tocsin.cli.start import Start, opened_store
from tocsin.core.errors import InvalidInput
from tocsin.core.times import from_datetime, to_datetime, to_text
from tocsin.oncall import service, store
from tocsin.oncall.definition import People, check_moment
from tocsin.oncall.model import Duty, Schedule

NOBODY = "nobody"


def read_at(text: str) -> int:
    """``2026-01-05T09:00:00Z`` in milliseconds. Raises `InvalidInput`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidInput.of("at", f"{text!r} is no time with a zone. Example: 2026-01-05T09:00:00Z or 2026-01-05T10:00:00+01:00")
    return check_moment("at", from_datetime(found))


def show_on_call(start: Start, at: str | None, *, as_json: bool) -> None:
    """Who is on call, schedule by schedule."""
    moment = None if at is None else read_at(at)
    with opened_store(start) as opened:
        when = opened.clock.now() if moment is None else moment
        with opened.database.read() as connection:
            found = service.duties(connection, store.schedules(connection), when)
            people = store.people(connection)
    if as_json:
        show_json({"schedules": [_as_json(schedule, duties, people) for schedule, duties in found]})
    else:
        rows = [row for schedule, duties in found for row in _rows(schedule, duties, people)]
        show_table(
            ("SCHEDULE", "ON CALL", "ADDRESS", "UNTIL", "BY"), rows, "There is no schedule yet. Make one with POST /api/v1/schedules."
        )


def _rows(schedule: Schedule, duties: tuple[Duty, ...], people: People) -> list[tuple[object, ...]]:
    if not duties:
        return [(schedule.name, NOBODY, None, None, None)]
    return [(schedule.name, *_who(duty, people), local(duty.until, schedule), duty.source) for duty in duties]


def _who(duty: Duty, people: People) -> tuple[str, str]:
    person = people.by_id[duty.user]
    return person.name, person.email


def local(at: int, schedule: Schedule) -> str:
    """The moment in the schedule's zone: ``2026-01-12 09:00 CET``."""
    return f"{to_datetime(at).astimezone(ZoneInfo(schedule.time_zone)):%Y-%m-%d %H:%M %Z}"


def _as_json(schedule: Schedule, duties: tuple[Duty, ...], people: People) -> dict[str, object]:
    """In the words of the API, with names."""
    on_call = []
    for duty in duties:
        name, email = _who(duty, people)
        times = {"since": to_text(duty.since), "until": to_text(duty.until)}
        on_call.append({"user": duty.user, "name": name, "email": email, **times, "source": duty.source})
    return {"id": schedule.id, "name": schedule.name, "on_call": on_call}
