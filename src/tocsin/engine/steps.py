"""What is done as time passes, as one visible list. Each step is small, may run twice, and fails alone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from tocsin.alerts import store as alert_store
from tocsin.bootstrap import Server
from tocsin.core.clock import MINUTE, SECOND, monotonic
from tocsin.core.errors import Unavailable
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.engine import tidy
from tocsin.escalation import store as progress_store
from tocsin.events import counts
from tocsin.identity import logins, store as identity_store
from tocsin.metrics.service import Piece
from tocsin.notify import store as outbox
from tocsin.oncall import store as oncall_store
from tocsin.prometheus import store as exporter_store
from tocsin.thresholds import store as threshold_store

HISTORY_WITHIN = 0.1  # seconds in one turn

Asks = Callable[[Server, int], Question | None]


@dataclass(frozen=True)
class Step:
    """One kind of due work: its name, how often it is looked for (milliseconds), and how it is done.

    ``asks``, handed the moment, tells what the database is asked first, in one look with what other steps ask: it is done if a row
    is found, or if there is no question. ``rests``: for how long it is not looked for once it has answered that it found nothing (False).
    """

    name: str
    every: int
    run: Callable[[Server], Awaitable[object]]
    asks: Asks | None = None
    rests: int = 0


async def _come_due(server: Server) -> None:
    """Acknowledgements that expire, snoozes that end."""
    while await server.core.writer.run(server.core.actions.come_due):
        pass


async def _calm(server: Server) -> None:
    """Delays of event rules that end; what comes and goes, and has become calm."""
    while await server.core.writer.run(server.core.actions.calm):
        pass


async def _mute(server: Server) -> None:
    """Silences, maintenance windows and dependencies that begin or end while an alert is open."""
    while await server.core.writer.run(server.core.sweep.step):
        pass


async def _remind(server: Server) -> None:
    """Silences that are about to end and still keep something quiet."""
    core = server.core
    due = await asyncio.to_thread(core.reminders.due, core.database)
    if due:
        await core.writer.run(lambda tx: core.reminders.remind(tx, due))


async def _fall_silent(server: Server) -> None:
    """Series of which no sample came for longer than their threshold allows."""
    while await server.core.writer.run(server.core.judge.fall_silent):
        pass


async def _hand_over(server: Server) -> None:
    """Who has come on duty, and is told."""
    duty, core = server.core.duty, server.core
    if await asyncio.to_thread(duty.has_changed, core.database):
        await core.writer.run(duty.hand_over)


async def _find_gaps(server: Server) -> None:
    """Gaps of schedules that are near, have changed, were filled or are over."""
    duty, core = server.core.duty, server.core
    if await asyncio.to_thread(duty.has_news_of_gaps, core.database):
        await core.writer.run(duty.tell_of_gaps)


async def _expire_swaps(server: Server) -> None:
    """Swaps that nobody answered in time."""
    core = server.core
    while await core.writer.run(core.swaps.expire):
        pass


async def _check_readiness(server: Server) -> None:
    """Who goes on call within a day with too few verified contacts."""
    watch, core = server.core.readiness, server.core
    if await asyncio.to_thread(watch.has_news, core.database):
        await core.writer.run(watch.tell)


async def _escalate(server: Server) -> None:
    """Steps of policies whose time has come."""
    while await server.core.writer.run(server.core.actions.escalate_due):
        pass


async def _expire_heartbeats(server: Server) -> None:
    """Jobs that have not reported in time, or do not end."""
    core = server.core
    while await core.writer.run(core.pulse.expire):
        pass


async def _find_silent_hosts(server: Server) -> None:
    """Servers whose agent has not reported for two intervals."""
    core = server.core
    while await core.writer.run(core.roll.expire):
        pass


async def _find_company(server: Server) -> None:
    """Alerts of which nobody could be told, once somebody can be."""
    core = server.core
    while await core.writer.run(core.actions.find_company):
        pass


async def _deliver(server: Server) -> None:
    """Messages that are due: new ones of other processes, retries, what the rate held back."""
    await server.delivery.cycle()


async def _look_up(server: Server) -> None:
    """Messages that left without an answer."""
    await server.delivery.look_up_unknown()


async def _chase_receipts(server: Server) -> None:
    """Texts and calls whose receipt should have come, and the month's spending."""
    if server.phone is not None:
        await server.phone.receipts.chase()


async def _survey(server: Server) -> None:
    """What hangs on the servers of WHMCS, asked in the background."""
    if server.whmcs is not None:
        await server.whmcs.begin_surveys()


async def _look_at_whmcs(server: Server) -> None:
    """Cron, queue, health, servers and administrators of WHMCS, asked in the background."""
    if server.whmcs is not None:
        await server.whmcs.begin_looks()


async def _look_at_checks(server: Server) -> None:
    """Checks, in a loop of their own that is begun here, and again should it end."""
    if server.rounds is not None:
        server.rounds.begin()
        if server.rounds.error is not None:
            raise Unavailable(server.rounds.error)


async def _look_at_exporters(server: Server) -> None:
    """Exporters of Prometheus that are due, asked in the background."""
    if server.scraper is not None:
        await server.scraper.begin_due()


async def _refresh(server: Server) -> None:
    """Sites, catalogues, contacts and silences that another process changed."""
    await asyncio.to_thread(server.core.refresh)


async def _note_use(server: Server) -> None:
    """When each key and each session was last used."""
    used, server.keys.used = server.keys.used, {}
    seen, server.sessions.seen = server.sessions.seen, {}
    if used or seen:

        def note(tx: Tx) -> None:
            identity_store.note_use(tx, used)
            logins.note_sessions(tx, seen)

        await server.core.writer.run(note)


async def _count_events(server: Server) -> None:
    """How many events came from each site: what charts and the dial read."""
    core = server.core

    def look() -> counts.Look | None:
        with core.database.read() as connection:
            return counts.look(connection, core.clock.now())

    is_more = True
    while is_more and (found := await asyncio.to_thread(look)):
        is_more = await core.writer.run(partial(counts.add, found=found)) and found.is_full


async def _keep_history(server: Server) -> bool:
    """Rolling up, sealing and taking out of what was measured: piece by piece, and never long, since the other steps wait.

    False: there was nothing to do.
    """
    core, until = server.core, monotonic() + HISTORY_WITHIN

    def look() -> Piece | None:
        with core.database.read() as connection:
            return core.history.next_piece(connection, core.settings.history_days, core.clock.now())

    found = False
    while monotonic() < until and (piece := await asyncio.to_thread(look)):
        await core.writer.run(piece.write)
        found = True
    return found


async def _note_refusals(server: Server) -> None:
    """How often was refused again what the audit log has once."""
    server.refusals.flush()


async def _tidy(server: Server) -> None:
    """What is too old to keep."""
    await server.core.writer.run(lambda tx: tidy.run(tx, server.core.clock.now()))


STEPS: tuple[Step, ...] = (
    Step("come due", SECOND, _come_due, lambda _, now: alert_store.is_any_due(now)),
    Step("calm", SECOND, _calm, lambda _, now: alert_store.is_any_noisy(now)),
    Step("mute", SECOND, _mute),
    Step("escalate", SECOND, _escalate, lambda _, now: progress_store.is_any_due(now)),
    Step("expire heartbeats", SECOND, _expire_heartbeats, lambda server, now: server.core.pulse.asks(now)),
    Step("find silent hosts", SECOND, _find_silent_hosts, lambda server, now: server.core.roll.asks(now)),
    Step("find company", 2 * SECOND, _find_company, lambda _, __: progress_store.is_anybody_waited_for()),
    Step("fall silent", 10 * SECOND, _fall_silent, lambda _, now: threshold_store.is_any_due(now)),
    Step("hand over", 5 * SECOND, _hand_over, lambda _, __: oncall_store.is_duty_known()),
    Step("find gaps", MINUTE, _find_gaps),
    Step("check readiness", MINUTE, _check_readiness),
    Step("expire swaps", 10 * SECOND, _expire_swaps, lambda _, now: oncall_store.is_any_unanswered(now)),
    Step("deliver", SECOND, _deliver),
    Step("look up unknown", 5 * SECOND, _look_up, lambda _, now: outbox.is_any_unknown(now)),
    Step("chase receipts", 5 * SECOND, _chase_receipts),
    Step("survey", MINUTE, _survey),
    Step("look at whmcs", 15 * SECOND, _look_at_whmcs),
    Step("look at checks", SECOND, _look_at_checks),
    Step("look at exporters", SECOND, _look_at_exporters, lambda _, now: exporter_store.is_any_due(now)),
    Step("refresh", 5 * SECOND, _refresh),
    Step("remind", MINUTE, _remind),
    Step("note use", MINUTE, _note_use),
    Step("count events", 5 * SECOND, _count_events),
    Step("keep history", SECOND, _keep_history, rests=10 * SECOND),
    Step("note refusals", MINUTE, _note_refusals),
    Step("tidy", 10 * MINUTE, _tidy),
)

# What a process that only answers requests must do all the same: it writes messages for the contacts that it knows.
HTTP_ONLY_STEPS: tuple[Step, ...] = tuple(step for step in STEPS if step.name in ("refresh", "note use", "note refusals"))
