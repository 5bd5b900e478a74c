"""Lives through ninety days: every event, alert, step and message by the same rules as in earnest, a day in one transaction."""

import random
from collections.abc import Iterable, Iterator
from functools import partial

import sqlalchemy as sa

from tocsin.alerts import rules, store as alert_store
from tocsin.alerts.model import Alert, Status
from tocsin.bootstrap import Core
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import FieldError
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.demo import company, troubles
from tocsin.demo.business import Business
from tocsin.demo.troubles import Trouble
from tocsin.demo.watched import Step, Watch
from tocsin.events import counts
from tocsin.events.model import Incoming, Rejected
from tocsin.metrics.store import SPAN_DAYS
from tocsin.notify import store as outbox
from tocsin.notify.announce import told_line
from tocsin.notify.model import Outcome, Result, State
from tocsin.notify.rules import Verdict
from tocsin.oncall import service as oncall
from tocsin.oncall.model import Schedule
from tocsin.pipeline.ingest import Batch

DAYS = 90
NODE = "demo"
_SENT = Outcome(Result.SENT)


class TimeMachine:
    """A clock that stands where it is put."""

    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return self.at


def live_through(core: Core, clock: TimeMachine, now: int, seed: int, days: int = DAYS) -> Iterator[int]:
    """Everything of the last *days* until *now*; answers after each day how many are done. The clock stands at *now* in the end."""
    chance = random.Random(seed)  # noqa: S311 - what happens in a made-up company
    start = now - days * DAY
    clock.at = start
    schedule = company.found(core, start)
    story = _Story(core, clock, schedule, chance)
    happened = (*troubles.past(chance, start, now - 10 * HOUR), *troubles.present(now))
    watch = Watch(core, happened, start, now, seed)
    core.writer.call(watch.found)
    steps = sorted((*story.steps(happened, now), *watch.steps()), key=lambda step: step[0])
    for day in range(days):
        end = start + (day + 1) * DAY
        today = [step for step in steps if end - DAY <= step[0] < end]
        core.refresh()
        core.writer.call(lambda tx, end=end, today=today: story.day(tx, end, today))  # type: ignore[misc]  # bound at once
        if end // DAY % SPAN_DAYS == 0 or day + 1 == days:
            core.writer.call(lambda tx, end=end: watch.fill(tx, end))  # type: ignore[misc]  # bound at once
        yield day + 1
    core.writer.call(watch.catch_up)
    core.writer.call(lambda tx: _finish(tx, core, schedule, now))
    clock.at = now
    core.refresh()
    _keep(core, now)


def _keep(core: Core, now: int) -> None:
    """Rolls up and seals what was recorded on the way."""
    while True:
        with core.database.read() as connection:
            piece = core.history.next_piece(connection, core.settings.history_days, now)
        if piece is None:
            return
        core.writer.call(piece.write)


def _finish(tx: Tx, core: Core, schedule: Schedule, now: int) -> None:
    company.settle(tx, schedule, now)
    core.ingest.take(tx, [Batch(list(_broken()), "kiezhost", None)])
    # A server that starts now looks at all that is younger than this by itself.
    while (found := counts.look(tx.sql, now + counts.SETTLED)) is not None:
        counts.add(tx, found)
    while core.duty.hand_over(tx):
        pass


def _broken() -> Iterator[Rejected]:
    wrong = (
        FieldError("type", "must be dotted lower case, such as invoice.paid"),
        FieldError("severity", "must be a whole number from 1 to 5"),
    )
    yield Rejected(0, None, wrong, b'{"type": "Invoice Paid", "severity": 9, "subject": "invoice:91204", "title": "Invoice paid"}')
    cut = (FieldError("", "is not JSON: it ends in the middle"),)
    yield Rejected(1, None, cut, b'{"type": "order.paid", "attributes": {"invoiceid": 91')


HAPPENS, TAKEN, OVER = "happens", "taken", "over"


def _steps(trouble: Trouble, now: int) -> Iterator[tuple[int, str, Trouble]]:
    """What happens to a trouble up to *now*, each with its moment."""
    lasts = now - trouble.began if trouble.lasts is None else trouble.lasts
    for n in range(trouble.repeats):
        yield trouble.began + n * lasts // (trouble.repeats + 1), HAPPENS, trouble
    if trouble.taken_after is not None:
        yield trouble.began + trouble.taken_after, TAKEN, trouble
    if trouble.lasts is not None and trouble.began + trouble.lasts < now:
        yield trouble.began + trouble.lasts, OVER, trouble


class _Story:
    """Tells one day after the other."""

    def __init__(self, core: Core, clock: TimeMachine, schedule: Schedule, chance: random.Random) -> None:
        self._core, self._clock, self._schedule, self._chance = core, clock, schedule, chance
        self._business = Business(chance)

    def steps(self, happened: Iterable[Trouble], now: int) -> Iterator[Step]:
        """What the troubles bring up to *now*, in no order."""
        for trouble in happened:
            yield from ((at, partial(self._do, what=what, trouble=trouble)) for at, what, trouble in _steps(trouble, now))

    def day(self, tx: Tx, end: int, happenings: list[Step]) -> None:
        """Everything until *end*, hour by hour."""
        left = iter([*happenings, None])
        following = next(left)
        for hour in range(self._clock.at, end, HOUR):
            until = min(hour + HOUR, end)
            business = self._business.between(hour, until)
            while following is not None and following[0] < until:
                self._pass_time(tx, following[0])
                following[1](tx)
                following = next(left)
            self._pass_time(tx, until)
            self._core.ingest.take(tx, [Batch(list(business), None, None, self._chance.randrange(-400, 400))])

    def _do(self, tx: Tx, what: str, trouble: Trouble) -> None:
        now = self._clock.at
        if what == HAPPENS or (what == OVER and not trouble.note):
            event = Incoming(trouble.event(is_over=what == OVER), trouble.site, now)
            self._core.ingest.take(tx, [Batch([event], None, None)])
            return
        for alert in alert_store.unresolved(tx, self._core.sites.get(trouble.site).id, [trouble.key]):
            if what == OVER:
                who = alert.acknowledged_by or self._on_watch(tx, now)
                self._core.actions.act(alert.id, lambda one, at, who=who: rules.resolve(one, who, trouble.note, at))(tx)  # type: ignore[misc]  # lambdas with defaults have no type
            elif alert.status == Status.OPEN:
                self._take(tx, alert, now)
        self._core.sweep.step(tx)

    def _take(self, tx: Tx, alert: Alert, now: int) -> None:
        self._core.actions.act(alert.id, self._core.actions.acknowledge(self._on_watch(tx, now)))(tx)

    def _on_watch(self, tx: Tx, now: int) -> str:
        """Who has the watch at this moment, by address."""
        ((_, duties),) = oncall.duties(tx, [self._schedule], now)
        if not duties:
            return company.MARTA
        return str(tx.sql.execute(sa.select(tables.users.c.email).where(tables.users.c.id == duties[0].user)).scalar_one())

    # Time.

    def _pass_time(self, tx: Tx, moment: int) -> None:
        """What falls due until then: levels of policies, expiries, what rules hold back, windows; and messages are carried."""
        clock, actions = self._clock, self._core.actions
        while (due := self._next_due(tx)) <= moment:
            clock.at = due if due > clock.at else min(moment, clock.at + MINUTE)
            for step in (actions.come_due, actions.calm, self._core.sweep.step, actions.escalate_due, self._carry):
                step(tx)
            if clock.at >= moment:
                break
        clock.at = moment

    def _next_due(self, tx: Tx) -> int:
        row: tuple[int | None, ...] = tx.driver.execute(_DUE).fetchone()
        return min(moment for moment in (self._core.mutes.at(self._clock.at).until, *row) if moment is not None)

    def _carry(self, tx: Tx) -> None:
        """Every message that is due leaves and arrives within seconds."""
        now = self._clock.at
        for group in outbox.waiting(tx, now, ()):
            for message in outbox.lease(tx, outbox.due(tx, group.contact_id, group.site_id, now, 1_000), NODE, now):
                at = now + self._chance.randrange(300, 2_400)
                outbox.finish(tx, [outbox.Ending(message, _SENT, Verdict(State.SENT, None, maybe_repeated=False))], at)
                line = told_line(message, self._core.contacts.find(message.contact_id), State.SENT, None, at)
                alert_store.add_history(tx, [(message.alert_number, line)])


_DUE = (
    "SELECT (SELECT min(next_at) FROM escalations WHERE next_at IS NOT NULL), (SELECT min(due_at) FROM alerts WHERE due_at IS NOT NULL),"
    " (SELECT min(noise_at) FROM alerts WHERE noise_at IS NOT NULL),"
    " (SELECT min(next_attempt_at) FROM outbox WHERE next_attempt_at IS NOT NULL)"
)
