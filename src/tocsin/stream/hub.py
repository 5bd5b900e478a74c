"""Reads what was committed and tells all who listen.

One reader for all: it runs while somebody listens, is woken by this process's commits (and by other processes' on
PostgreSQL), and looks each second in any case. Each message is written once, however many hear it; what differs between
listeners is only which sites they may see and what they asked for. A listener that does not read is let go, with the word
to read everything anew.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
import structlog

from tocsin.alerts import queries as alert_queries
from tocsin.alerts.model import Alert
from tocsin.checks import store as check_store
from tocsin.checks.model import Check
from tocsin.core import clock
from tocsin.core.errors import TocsinError, Unavailable
from tocsin.db.engine import Database
from tocsin.db.writer import Writer
from tocsin.events.queries import StoredEvent
from tocsin.stream import pace, rules, store
from tocsin.stream.model import Place, Reload, Topic
from tocsin.stream.pace import Load
from tocsin.stream.rules import Seen, Tail

if TYPE_CHECKING:
    from tocsin.stream.news import News  # which loads PostgreSQL's driver

log = structlog.get_logger()

Sites = frozenset[int] | None  # those that a listener may see; None: all
Group = tuple[Sites, frozenset[Topic]]

LOOK = 1.0  # seconds after which it looks although nobody woke it
BEAT = 15.0  # seconds of silence after which a listener gets a sign of life, so that proxies keep the connection
CHECKED_EVERY = 60.0  # seconds after which it is looked whether a listener may still listen
QUEUE = 64  # chunks that wait for a listener before it counts as too slow
QUEUE_BYTES = 512 * 1024
MAX_LISTENERS = 5_000
AT_ONCE = 5_000  # events in one look
LINES_AT_ONCE = 1_000  # lines of history in one look
MAX_ALERTS = 200  # that are sent one by one after one look; more: read the list anew
MAX_EVENTS = 100
MAX_CHECKS = 200

_encode = msgspec.json.Encoder().encode


@dataclass(eq=False)
class Listener:
    """Somebody at the other end. ``may``: raises when they may no longer listen.

    ``past``: writes to the connection at once, or answers False. While the task that sends waits for something to send, chunks go past
    it: to wake a thousand of them costs several times what the writing does.
    """

    sites: Sites
    topics: frozenset[Topic]
    may: Callable[[], Awaitable[None]] | None = None
    past: Callable[[bytes], bool] | None = None
    waiting: deque[bytes] = field(default_factory=deque)
    size: int = 0
    over: bool = False
    heard_at: float = 0.0
    checked_at: float = 0.0
    wake: "asyncio.Future[None] | None" = None

    @property
    def group(self) -> Group:
        """Who has the same one is told the same."""
        return self.sites, self.topics

    def put(self, chunk: bytes) -> None:
        """Hands *chunk* over; who has too much before them gets the last word instead."""
        if self.over:
            return
        if self.past is not None and self._is_idle() and self.past(chunk):
            return
        if len(self.waiting) >= QUEUE or self.size + len(chunk) > QUEUE_BYTES:
            self.waiting.clear()
            chunk, self.over = told(Topic.ALERT, Reload.TOO_SLOW), True
        self.waiting.append(chunk)
        self.size += len(chunk)
        self._ring()

    def end(self) -> None:
        """Lets the listener go after what it already has."""
        self.over = True
        self._ring()

    def _ring(self) -> None:
        if self.wake is not None and self._is_idle():
            self.wake.set_result(None)

    def _is_idle(self) -> bool:
        """Whether all that was handed over before has been sent, and the task that sends waits."""
        return self.wake is not None and not self.wake.done()

    async def next(self) -> bytes | None:
        """What is to be sent next; None at the end."""
        while not self.waiting:
            if self.over:
                return None
            self.wake = asyncio.get_running_loop().create_future()
            await self.wake
        chunk = b"".join(self.waiting) if len(self.waiting) > 1 else self.waiting[0]
        self.waiting.clear()
        self.size = 0
        return chunk


@dataclass(frozen=True)
class Batch:
    """What one look found: messages with the site that each is about, whether there was too much, where the logs end now."""

    alerts: list[tuple[int, bytes]]
    events: list[tuple[int, bytes]]
    checks: list[tuple[int, bytes]]
    too_many_alerts: bool
    too_many_events: bool
    too_many_checks: bool
    place: Place
    any_event: bool
    any_line: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.alerts or self.any_event or self.too_many_alerts or self.checks or self.too_many_checks)


class Hub:
    """See the module. *write_alerts*, *write_event* and *write_check* give the JSON of the API."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], int],
        write_alerts: Callable[[sa.Connection, Sequence[Alert]], list[bytes]],
        write_event: Callable[[StoredEvent], bytes],
        write_check: Callable[[Check], bytes],
        news: "News | None" = None,
        worked: Callable[[], float] = clock.worked,
    ) -> None:
        self._database, self._now, self._worked = database, now, worked
        self._write_alerts, self._write_event, self._write_check, self._news = write_alerts, write_event, write_check, news
        self._listeners: set[Listener] = set()
        self._groups: dict[Group, set[Listener]] = {}  # the same, with those together who are told the same
        self._heard: frozenset[Topic] = frozenset()  # what somebody listened to when the last look began; a thread may read it
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._events, self._lines, self._checks = Tail(0), Tail(0), Seen(0)
        self._told_at, self._told_too_much = 0.0, False
        self._load, self._pace = Load(0.0, 0.0), 0  # how busy we are, and within what time pages were told to ask for what is new
        self._ended = False

    def follow(self, writer: Writer) -> None:
        """Has the commits of *writer* wake the reader."""
        writer.follow(self.wake)

    def wake(self) -> None:
        """There may be something new. In the event loop."""
        if self._listeners:
            self._woken.set()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def stop(self) -> None:
        """Lets everybody go: the process ends."""
        self._ended = True
        for listener in list(self._listeners):
            listener.end()
        for task in self._tasks:
            task.cancel()

    # --- listening

    async def listen(self, listener: Listener, after: str | None) -> AsyncGenerator[bytes, None]:
        """What *listener* is sent, from the place *after* (``Last-Event-ID``) on; for ever. Raises `Unavailable` at once if full."""
        if self._ended or len(self._listeners) >= MAX_LISTENERS:
            raise Unavailable("so many listen already that no more can; ask again in a while")
        await self._run()
        listener.heard_at = listener.checked_at = asyncio.get_running_loop().time()
        self._admit(listener)  # before it is greeted: what happens meanwhile waits for it
        try:
            greeting = await self._greet(listener, after)
        except BaseException:
            self._forget(listener)
            raise
        return self._chunks(listener, greeting)

    async def _chunks(self, listener: Listener, greeting: bytes) -> AsyncGenerator[bytes, None]:
        try:
            yield greeting
            while (chunk := await listener.next()) is not None:
                yield chunk
        finally:
            self._forget(listener)

    def _admit(self, listener: Listener) -> None:
        self._listeners.add(listener)
        self._groups.setdefault(listener.group, set()).add(listener)

    def _dismiss(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        alike = self._groups.get(listener.group, set())
        alike.discard(listener)
        if not alike:
            self._groups.pop(listener.group, None)

    def _forget(self, listener: Listener) -> None:
        self._dismiss(listener)
        if not self._listeners:
            self._rest()

    async def _greet(self, listener: Listener, after: str | None) -> bytes:
        """The first words: where the stream is, and what was missed since the last time."""
        place = Place(self._events.last, self._lines.last, self._now())
        head = b"retry: 2000\nid: %s\n\n" % str(place).encode()
        if Topic.SUMMARY in listener.topics:
            head += _paced(pace.renew_within(len(self._listeners), self._load.busy))
        if after is None:
            return head
        since = rules.read_place(after)
        if since is None or since.event > place.event or since.line > place.line:
            return head + told(Topic.ALERT, Reload.UNKNOWN_PLACE)
        # On PostgreSQL something just below the place may have been committed after it was told.
        back = 0 if self._database.is_sqlite else 50
        if Topic.CHECK in listener.topics and not since.at:
            head += told(Topic.CHECK, Reload.NOT_KEPT)
        events, lines = Tail(max(0, since.event - back)), Tail(max(0, since.line - back))
        missed = await asyncio.to_thread(self._read, events, lines, place, since.at)
        return head + _chunk(missed[0], listener.sites, listener.topics)

    # --- reading

    async def _run(self) -> None:
        """Starts the reader, if it does not run."""
        if any(not task.done() for task in self._tasks):
            return
        place = await asyncio.to_thread(self._end)
        if any(not task.done() for task in self._tasks):
            return  # somebody else was faster
        self._events, self._lines = Tail(place.event), Tail(place.line)
        self._checks = Seen(self._now() + rules.PATIENCE)  # what was changed before is no news
        self._load = Load(asyncio.get_running_loop().time(), self._worked())
        self._pace = pace.renew_within(1, self._load.busy)
        self._tasks = [asyncio.create_task(self._pump()), asyncio.create_task(self._keep_alive())]
        if self._news is not None:
            self._tasks.append(asyncio.create_task(self._news.listen(self.wake)))

    def _rest(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def _end(self) -> Place:
        with self._database.read() as connection:
            return store.end(connection)

    async def _pump(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            has_read = True
            try:
                has_read = await self._look()
            except TocsinError as error:
                log.warning("the stream could not be read on", reason=error.message)
                await asyncio.sleep(LOOK)
            except Exception:
                log.exception("the stream could not be read on")
                await asyncio.sleep(LOOK)
            self._keep_pace()
            await asyncio.sleep(rules.pause(len(self._listeners) if has_read or self._told_too_much else 0))

    async def _look(self) -> bool:
        """Tells what is new; whether there was anything to read."""
        now = asyncio.get_running_loop().time()
        self._heard = frozenset[Topic]().union(*(topics for _, topics in self._groups))
        is_patient = now < self._told_at + rules.waits(len(self._listeners), is_storm=self._told_too_much)
        to_sum_up = {sites for sites, topics in self._groups if Topic.SUMMARY in topics}
        found = await asyncio.to_thread(self._find, to_sum_up, is_patient=is_patient)
        if found is None:
            return False  # what else there is, is read when it is told
        batch, summaries, self._events, self._lines = found
        if batch.is_empty:
            return False
        self._told_at, self._told_too_much = now, batch.too_many_alerts
        self._tell(lambda sites, topics: _chunk(batch, sites, topics, summaries.get(sites, b"")))
        return True

    def _keep_pace(self) -> None:
        """Tells pages how soon to ask for what is new, if that is another time than they know."""
        self._load = self._load.measured(asyncio.get_running_loop().time(), self._worked())
        within = pace.renew_within(len(self._listeners), self._load.busy)
        if pace.is_news(self._pace, within):
            self._pace = within
            self._tell(lambda _, topics: _paced(within) if Topic.SUMMARY in topics else b"")

    def _tell(self, write: Callable[[Sites, frozenset[Topic]], bytes]) -> None:
        """Hands all listeners what *write* says to their kind."""
        now = asyncio.get_running_loop().time()
        for group, alike in list(self._groups.items()):
            chunk = write(*group)
            for listener in list(alike) if chunk else ():
                listener.heard_at = now
                listener.put(chunk)
                if listener.over:
                    self._dismiss(listener)

    def _find(self, to_sum_up: Iterable[Sites], *, is_patient: bool) -> tuple[Batch, dict[Sites, bytes], Tail, Tail] | None:
        """What is to be told now, and where the logs end then; None if all that there is can wait."""
        if is_patient and not self._has_pressing():
            return None
        batch, events, lines = self._read(self._events, self._lines, None)
        if batch.is_empty:
            return batch, {}, events, lines
        if is_patient and not self._is_pressing(batch):
            return None  # it stands where it stood, and reads all of it again
        with self._database.read() as connection:
            summaries = {sites: self._summary(connection, sites, batch) for sites in to_sum_up}
        return batch, summaries, events, lines

    def _has_pressing(self) -> bool:
        """Whether there is a line of history, or a change of a check, that was not told yet: found without reading the events.

        In a storm that was told, lines of so many alerts that they would not be sent one by one press nobody.
        """
        with self._database.read() as connection:
            lines, alerts = store.count_after(connection, self._lines, LINES_AT_ONCE if self._told_too_much else 1)
            is_storm = self._told_too_much and _are_many(lines, alerts)
            return bool(lines and not is_storm) or bool(self._fresh_checks(connection)[0])

    def _is_pressing(self, batch: Batch) -> bool:
        """Whether something has begun, changed or ended; a storm is news once."""
        if batch.too_many_alerts:
            return not self._told_too_much
        return batch.any_line or bool(batch.checks)

    def _read(self, events: Tail, lines: Tail, until: Place | None, since: int = 0) -> tuple[Batch, Tail, Tail]:
        """What was committed after these ends of the logs; for somebody who was away *until* now, also which checks changed *since*."""
        with self._database.read() as connection:
            steps = store.lines_after(connection, lines, LINES_AT_ONCE)
            is_storm = _are_many(len(steps), len({alert for _, alert in steps}))  # then the events need not all be read
            fresh = store.events_after(connection, events, MAX_EVENTS + 1 if is_storm else AT_ONCE)
            changed = sorted({alert for _, alert in fresh if alert is not None} | {alert for _, alert in steps})
            numbers = [number for number, _ in fresh]
            is_flood = is_storm or len(fresh) >= AT_ONCE
            too_many = is_flood or len(changed) > MAX_ALERTS
            alerts = [] if too_many or not changed else store.alerts(connection, changed)
            written = self._write_alerts(connection, alerts) if alerts else []
            wanted = Topic.EVENT in self._heard or until is not None
            rows = store.events(connection, numbers) if wanted and numbers and len(numbers) <= MAX_EVENTS else []
            checks = self._changed_checks(connection) if until is None else _checks_since(connection, since)
            end = store.end(connection) if is_flood else None
        now = self._now()
        if end is not None:  # who reads everything anew has read that, too
            events, lines = Tail(end.event), Tail(end.line)
        else:
            events, lines = rules.advance(events, numbers, now), rules.advance(lines, [number for number, _ in steps], now)
        batch = Batch(
            alerts=[(alert.site_id, text) for alert, text in zip(alerts, written, strict=True)],
            events=[(row.site_id, self._write_event(row)) for row in rows],
            checks=[(check.site_id, self._write_check(check)) for check in checks[:MAX_CHECKS]],
            too_many_alerts=too_many,
            too_many_events=len(numbers) > MAX_EVENTS,
            too_many_checks=len(checks) > MAX_CHECKS,
            place=until or Place(events.last, lines.last, now),
            any_event=bool(numbers),
            any_line=bool(steps),
        )
        return batch, events, lines

    def _changed_checks(self, connection: sa.Connection) -> list[Check]:
        """Those that have changed since the last look, if anybody wants to hear of them."""
        if Topic.CHECK not in self._heard:
            self._checks = Seen(self._now() + rules.PATIENCE)
            return []
        new, self._checks = self._fresh_checks(connection)
        return new

    def _fresh_checks(self, connection: sa.Connection) -> tuple[list[Check], Seen]:
        """Those that have changed since the last look, and what is seen then."""
        if Topic.CHECK not in self._heard:
            return [], self._checks
        found = {(one.id, one.changed_at or 0): one for one in check_store.changed_since(connection, rules.since(self._checks), AT_ONCE)}
        new, seen = rules.fresh(self._checks, found, self._now())
        return [found[one] for one in new], seen

    def _summary(self, connection: sa.Connection, sites: Sites, batch: Batch) -> bytes:
        """How many alerts of *sites* need somebody; and that an event has just come, if one has."""
        now = self._now()
        said: dict[str, Any] = {"needs_action": alert_queries.count_open(connection, sites), "at": now}
        if batch.any_event:
            said["last_event_at"] = now
        return _message(Topic.SUMMARY, _encode(said))

    # --- staying in touch

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(BEAT / 3)
            now = loop.time()
            beat = b": still here\nid: %s\n\n" % str(Place(self._events.last, self._lines.last, self._now())).encode()
            for listener in list(self._listeners):
                if now - listener.heard_at >= BEAT:
                    listener.heard_at = now
                    listener.put(beat)
                if listener.may is not None and now - listener.checked_at >= CHECKED_EVERY:
                    listener.checked_at = now
                    await _check(listener, listener.may)


def _are_many(lines: int, alerts: int) -> bool:
    """Whether so many lines of history are of more alerts than are sent one by one, or so many that they were not all read."""
    return lines >= LINES_AT_ONCE or alerts > MAX_ALERTS


def _checks_since(connection: sa.Connection, since: int) -> list[Check]:
    return check_store.changed_since(connection, since - rules.PATIENCE, AT_ONCE) if since else []


async def _check(listener: Listener, may: Callable[[], Awaitable[None]]) -> None:
    """Lets a listener go whose key or login is no longer good."""
    try:
        await may()
    except Unavailable:
        return  # the database rests: that is no reason to send anybody away
    except TocsinError:
        listener.end()


def _chunk(batch: Batch, sites: Sites, topics: frozenset[Topic], summary: bytes = b"") -> bytes:
    """What listeners to *topics* who see *sites* are sent of a batch."""
    parts: list[bytes] = []
    if Topic.EVENT in topics:
        parts += [_message(Topic.EVENT, data) for site, data in batch.events if sites is None or site in sites]
        if batch.too_many_events:
            parts.append(told(Topic.EVENT, Reload.TOO_MUCH))
    if Topic.ALERT in topics:
        parts += [_message(Topic.ALERT, data) for site, data in batch.alerts if sites is None or site in sites]
        if batch.too_many_alerts:
            parts.append(told(Topic.ALERT, Reload.TOO_MUCH))
    if Topic.CHECK in topics:
        parts += [_message(Topic.CHECK, data) for site, data in batch.checks if sites is None or site in sites]
        if batch.too_many_checks:
            parts.append(told(Topic.CHECK, Reload.TOO_MUCH))
    if summary:
        parts.append(summary)
    parts.append(b"id: %s\n\n" % str(batch.place).encode())
    return b"".join(parts)


def _message(topic: Topic, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (topic.value.encode(), data)


def _paced(within: int) -> bytes:
    """The word to ask for what is new within so many milliseconds."""
    return b"event: pace\ndata: %s\n\n" % _encode({"renew_within_ms": within})


def told(topic: Topic, why: Reload) -> bytes:
    """The word to read everything of *topic* anew."""
    return b"event: reload\ndata: %s\n\n" % _encode({"topic": topic.value, "reason": why.value})
