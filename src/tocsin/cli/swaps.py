"""`tocsin swap`: asking somebody to take a watch for another, and the answers.

Whoever may run this on the server speaks for everybody; the history names the Unix user.
"""

from datetime import datetime

from tocsin.audit.model import Who
from tocsin.cli.oncall import local
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, opened
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.times import from_datetime, to_text, to_text_or_none
from tocsin.oncall import service, store
from tocsin.oncall.definition import People
from tocsin.oncall.model import Answer, Schedule, SwapRequest, Turn

EXAMPLE = "anna@example.com=2026-01-08T09:00+01:00/2026-01-09T09:00+01:00"
SHOWN = 1_000


def show_swaps(start: Start, *, every: bool, as_json: bool) -> None:
    """The swaps that wait for an answer, or all; schedule by schedule, the newest first."""
    with opened(start) as core:
        now = core.clock.now()
        with core.database.read() as connection:
            people = store.people(connection)
            found = [
                (schedule, one)
                for schedule in store.schedules(connection)
                for one in store.swaps(connection, schedule.id, None, SHOWN)
                if every or (one.answer is None and one.expires_at > now)
            ]
    if as_json:
        show_json([_as_json(schedule, one, now) for schedule, one in found])
        return
    rows = [(one.id, one.status(now).value, schedule.name, *_turns(one, schedule, people)) for schedule, one in found]
    show_table(
        ("ID", "STATUS", "SCHEDULE", "ASKS", "GIVES", "IS ASKED", "FOR", "UNTIL"),
        rows,
        "Nobody was ever asked for a swap." if every else "No swap waits for an answer.",
    )


def ask(start: Start, name: str, first: str, second: str, note: str, *, as_json: bool) -> None:
    """Asks for a swap in the name of the person of *first*. Raises `InvalidInput`, `NotFound`, `Conflict`."""
    if len(note) > service.MAX_NOTE:
        raise InvalidInput.of("note", f"must have at most {service.MAX_NOTE} characters; it has {len(note)}")
    gives, takes = _read_turn("give", first), _read_turn("take", second)
    with opened(start) as core:
        with core.database.read() as connection:
            schedule, people = _schedule(store.schedules(connection), name), store.people(connection)
        made = core.writer.call(lambda tx: core.swaps.ask(tx, Who(actor()), schedule.id, gives, takes, note))
        now = core.clock.now()
    if as_json:
        show_json(_as_json(schedule, made, now))
        return
    show(made.id)
    say(f"{people.by_id[made.second.user].name} is asked. It can be answered until {local(made.expires_at, schedule)}.")


def answer(start: Start, swap_id: str, said: Answer, *, as_json: bool) -> None:
    """Accepts, refuses or withdraws. Raises `NotFound`, `InvalidInput`, `Conflict`."""
    if not is_uuid(swap_id.lower()):
        raise NotFound(f"there is no swap {swap_id[:40]}: `tocsin swap list` shows their ids")
    with opened(start) as core:
        with core.database.read() as connection:
            schedule_id = store.schedule_of_swap(connection, swap_id.lower())
            schedule = store.get_schedule(connection, schedule_id)
        done = core.writer.call(lambda tx: core.swaps.answer(tx, Who(actor()), schedule_id, swap_id.lower(), said))
        now = core.clock.now()
    if as_json:
        show_json(_as_json(schedule, done, now))
    else:
        show(f"The swap in {schedule.name} was {done.status(now).value}; the people concerned are told.")


def _schedule(found: list[Schedule], name: str) -> Schedule:
    """By its name or its id. Raises `NotFound`."""
    wanted = name.strip().lower()
    same = [one for one in found if wanted in (one.id, one.name.lower())]
    if len(same) == 1:
        return same[0]
    if same:
        raise NotFound(f"{len(same)} schedules are called {name[:40]}: give the id of one: {', '.join(one.id for one in same)}")
    known = ", ".join(one.name for one in found[:10]) or "none yet"
    raise NotFound(f"there is no schedule {name[:40]!r}. The schedules: {known}")


def _read_turn(option: str, text: str) -> Turn:
    """``anna@example.com=FROM/UNTIL``. Raises `InvalidInput`."""
    user, _, times = text.partition("=")
    starts_at, slash, ends_at = times.partition("/")
    if not (user.strip() and slash):
        raise InvalidInput.of(option, f"must be PERSON=FROM/UNTIL, and is {text[:80]!r}. Example: {EXAMPLE}")
    return Turn(user.strip().lower(), _moment(option, starts_at), _moment(option, ends_at))


def _moment(option: str, text: str) -> int:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidInput.of(option, f"{text[:40]!r} is no time with a zone. Example: {EXAMPLE}")
    return from_datetime(found)


def _turns(one: SwapRequest, schedule: Schedule, people: People) -> tuple[str, ...]:
    asks, asked = [people.by_id[turn.user].name if turn.user in people.by_id else "somebody" for turn in (one.first, one.second)]
    first, second = [f"{local(turn.starts_at, schedule)} to {local(turn.ends_at, schedule)}" for turn in (one.first, one.second)]
    return asks, first, asked, second, local(one.expires_at, schedule)


def _as_json(schedule: Schedule, one: SwapRequest, now: int) -> dict[str, object]:
    """In the words of the API, with the schedule."""
    turns = {
        part: {"user": turn.user, "starts_at": to_text(turn.starts_at), "ends_at": to_text(turn.ends_at)}
        for part, turn in (("first", one.first), ("second", one.second))
    }
    return {
        "id": one.id,
        "schedule": {"id": schedule.id, "name": schedule.name},
        "status": one.status(now).value,
        **turns,
        "note": one.note,
        "created_at": to_text(one.created_at),
        "created_by": one.created_by,
        "expires_at": to_text(one.expires_at),
        "answered_at": to_text_or_none(one.answered_at),
        "answered_by": one.answered_by,
    }
