"""Carries the outbox to the channels (docs/explanation/delivery.md; the hard rules are numbered there).

A message is leased to this node in the transaction that made it, or claimed later; it is sent in a task of its own, so
that nothing that hangs delays another; how it ended is committed under its fencing token. Any line may be the last one
before a kill: `recover` finds what was under way and the journal of departures tells what had left.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import msgspec
import structlog

from tocsin.alerts import rules as alert_rules, store as alert_store
from tocsin.alerts.model import Alert, HistoryLine
from tocsin.core import failpoints
from tocsin.core.clock import SECOND, Clock
from tocsin.core.errors import TocsinError
from tocsin.core.ids import new_id
from tocsin.db.writer import Tx, Writer
from tocsin.muting.model import MuteReason
from tocsin.notify import notices, own, rules, store
from tocsin.notify.announce import Announcer, Leased, told_line
from tocsin.notify.contacts import ContactBook
from tocsin.notify.departures import Departures
from tocsin.notify.handovers import Till
from tocsin.notify.limits import Limits
from tocsin.notify.links import links
from tocsin.notify.model import Channel, Contact, Kind, Letter, Message, NotTried, Outcome, Paid, Presence, Result, State
from tocsin.notify.post import whose
from tocsin.notify.rules import Choice, Verdict, Waiting
from tocsin.notify.store import Ending

log = structlog.get_logger()

MAX_UNDER_WAY = 256
MAX_PER_CONTACT = 16
MAX_IN_DIGEST = 20_000
MANY = 1_000  # messages that are claimed in a transaction of their own
MAX_LOOKED_UP = 50
LISTED_IN_DIGEST = 20
GATHER = 0.01  # seconds during which messages that ended wait for others that are still under way, to be written down together
SEND_TIMEOUT = 50  # seconds; shorter than the lease, longer than any channel's own limit
TROUBLE_AFTER = 5  # failures in a row before a channel's trouble becomes an alert of its own


class Trouble(Protocol):
    """How delivery reports about itself, in the transaction that noticed: a channel fails, or works again."""

    def channel_failed(self, tx: Tx, contact: Contact, error: str) -> None:
        """*contact* cannot be written to."""
        ...

    def channel_recovered(self, tx: Tx, contact: Contact) -> None:
        """*contact* can be written to again."""
        ...


class Fault(msgspec.Struct):
    """Why a contact is not written to for the moment."""

    error: str
    since: int
    until: int
    failures: int
    reported: bool = False

    def was_reported(self) -> None:
        """People have been told."""
        self.reported = True


class Delivery:
    """The sender of this node. `may_send_now` and `take` come from the writer's thread, all else runs in the event loop."""

    def __init__(
        self,
        *,
        clock: Clock,
        writer: Writer,
        announcer: Announcer,
        contacts: ContactBook,
        site_slug: Callable[[int], str],
        channels: Mapping[str, Channel],
        limits: Limits,
        departures: Departures,
        secret: bytes,
        public_url: str,
        node: str,
        trouble: Trouble | None = None,
        impact: Callable[[Alert, int], str] = lambda _alert, _now: "",
        till: Till | None = None,
    ) -> None:
        self._clock, self._writer, self._announcer = clock, writer, announcer
        self._contacts, self._site_slug, self._channels = contacts, site_slug, channels
        self._limits, self._departures = limits, departures
        self._secret, self._public_url, self.node = secret, public_url, node
        self.trouble = trouble
        self._impact = impact
        self._till = till
        self.faults: dict[str, Fault] = {}
        self._under_way: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.asking: dict[str, asyncio.Task[None]] = {}  # by contact: its provider is asked about messages of unknown outcome
        self._ended: list[tuple[tuple[Leased, Outcome], asyncio.Future[None]]] = []  # and not handed in to be written down
        self._news = asyncio.Event()
        self._is_past_settled = False
        self.sent = 0

    # What the transactions see (any thread).

    def may_send_now(self, contact_id: str, site_id: int, severity: int, now: int) -> bool:
        """Whether a message born now may be leased to this node at birth.

        Before the past is settled none may: it would be taken for one that an earlier life left, and go a second time.
        """
        return (
            self._is_past_settled
            and contact_id not in self.faults
            and self._under_way.total() < MAX_UNDER_WAY
            and self._under_way[contact_id] < MAX_PER_CONTACT
            and (self._is_program(contact_id) or self._limits.take(contact_id, site_id, severity, now))
        )

    def hold(self, contacts: Sequence[Contact], site_id: int, cause: str, now: int) -> dict[str, int]:
        """Which of one person's *contacts* wait for others of the same *cause*, and until when. Programs are told each thing by itself."""
        people = sorted((c for c in contacts if c.kind not in rules.ONE_BY_ONE), key=self._quickness)
        return self._limits.hold(whose(people[0]), [c.id for c in people], site_id, cause, now) if people else {}

    def take(self, leased: Sequence[Leased]) -> Callable[[], None]:
        """What to call after the commit: sends *leased*, or looks for news if there are none."""

        def after_commit() -> None:
            for one in leased:
                self._start(one, None)
            if not leased:
                self._news.set()

        return after_commit

    # The loop.

    async def wait(self, seconds: float) -> None:
        """Until there is news in the outbox, or *seconds* have passed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        self._news.clear()

    def wake(self) -> None:
        """There is news in the outbox."""
        self._news.set()

    def look_again(self, contact_id: str) -> None:
        """*contact_id* has a new address: what was wrong with the old one is no reason to wait."""
        fault = self.faults.get(contact_id)
        if fault is not None:
            fault.until = self._clock.now()
        self._news.set()

    async def recover(self) -> None:
        """Before anything is sent; when that has been done, there is nothing more to do. See `settle_past`."""
        if not self._is_past_settled:
            await self._writer.run(self.settle_past)

    def settle_past(self, tx: Tx) -> None:
        """Settles what an earlier life of this node had under way, and has what waited tried at once. Only then may this life send."""
        now = self._clock.now()
        since = now - self._limits.reach
        self._limits.recall(store.departures(tx, self.node, since), store.said(tx, since), self._whose, now)
        for message in store.left_by(tx, self.node):
            left = (message.id, message.fence) in self._departures.earlier
            self._settle(tx, message, _DIED_AFTER if left else _DIED_BEFORE, now)
        store.retry_at_once(tx, now)
        tx.after_commit(self._past_is_settled)

    def _past_is_settled(self) -> None:
        self._is_past_settled = True
        self._departures.forget_earlier()

    async def cycle(self) -> int:
        """Claims what is due and starts sending it; settles what other nodes left behind. Returns how many were started."""
        if self._under_way.total() >= MAX_UNDER_WAY:
            return 0
        claimed = await self._writer.run(self._claim)
        if claimed:
            failpoints.reach("claim.after")
        for one, others in claimed:
            self._start(one, others)
        return len(claimed)

    def _claim(self, tx: Tx) -> list[tuple[Leased, "Others | None"]]:
        now = self._clock.now()
        for message in store.orphans(tx, self.node, now):
            self._settle(tx, message, _NODE_DIED, now)
        waiting = [self._allowed(w) for w in store.waiting(tx, now, self._blocked(now))]
        programs = [w for w in waiting if self._is_program(w.contact_id)]
        people = [w for w in (self._spared(tx, w, now) for w in waiting if w.count > 0 and w not in programs) if w.count > 0]
        claimed: list[tuple[Leased, Others | None]] = []
        for choice in [*self._all_of(programs), *self._limits.choose([w for w in people if w.count <= MANY], now)]:
            claimed.extend(self._claim_choice(tx, choice, now))
        claimed.extend(self._claim_many(tx, [w for w in people if w.count > MANY], now))
        if claimed:
            failpoints.reach("claim.before")
        return claimed

    def _claim_many(self, tx: Tx, waiting: Sequence[Waiting], now: int) -> list[tuple[Leased, "Others | None"]]:
        """The messages of one contact and site in a transaction of their own, so that whatever comes in has its turn between two."""
        for place, group in enumerate(sorted(waiting, key=lambda w: -w.loudest), 1):
            for choice in self._limits.choose([group], now):
                claimed = self._claim_choice(tx, choice, now)
                if claimed:
                    if place < len(waiting):
                        tx.after_commit(self.wake)
                    return claimed
        return []

    def _blocked(self, now: int) -> list[str]:
        return [contact_id for contact_id, fault in self.faults.items() if fault.until > now]

    def _is_program(self, contact_id: str) -> bool:
        contact = self._contacts.find(contact_id)
        return contact is not None and contact.kind in rules.ONE_BY_ONE

    def _whose(self, contact_id: str) -> str | None:
        contact = self._contacts.find(contact_id)
        return None if contact is None or contact.kind in rules.ONE_BY_ONE else whose(contact)

    def _quickness(self, contact: Contact) -> tuple[bool, int]:
        return contact.id in self.faults, rules.quickness(contact.kind)

    def _spared(self, tx: Tx, waiting: Waiting, now: int) -> Waiting:
        """In a storm a person is told each thing on one contact: the others wait for it, and have nothing to say once it was told."""
        contact = self._contacts.find(waiting.contact_id)
        if contact is None or contact.user_id is None or not self._limits.in_storm(contact.user_id, now):
            return waiting
        own = [c for c in self._contacts.directory.people[contact.user_id].contacts if c.id != contact.id and not self._is_program(c.id)]
        if not own:
            return waiting
        others, well = [one.id for one in own], {one.id for one in own if one.id not in self.faults}
        quicker = {one.id for one in own if one.id in well and self._quickness(one) < self._quickness(contact)}
        found = store.beside(tx, waiting, others, well, quicker, now)
        if found.may_yield(now):
            return msgspec.structs.replace(waiting, count=0)
        return msgspec.structs.replace(waiting, count=waiting.count - store.spare(tx, waiting, others, now)) if found.told else waiting

    def _all_of(self, waiting: Sequence[Waiting]) -> Iterator[Choice]:
        """All that is due, as far as there is room for each contact."""
        room = Counter({w.contact_id: MAX_PER_CONTACT - self._under_way[w.contact_id] for w in waiting})
        for group in waiting:
            count = min(group.count, room[group.contact_id])
            if count > 0:
                room[group.contact_id] -= count
                yield Choice(group.contact_id, group.site_id, count, digest=False)

    def _allowed(self, waiting: Waiting) -> Waiting:
        """A contact in trouble is tried with one message; every contact has a bounded number under way."""
        room = MAX_PER_CONTACT - self._under_way[waiting.contact_id]
        if waiting.contact_id in self.faults:
            return msgspec.structs.replace(waiting, count=min(1, waiting.count, room))
        return waiting if room > 0 else msgspec.structs.replace(waiting, count=0)

    def _claim_choice(self, tx: Tx, choice: Choice, now: int) -> list[tuple[Leased, "Others | None"]]:
        wanted = MAX_IN_DIGEST if choice.digest else choice.singles
        if wanted == 0:
            return []
        contact = self._contacts.find(choice.contact_id)
        live = self._still_wanted(tx, store.due(tx, choice.contact_id, choice.site_id, now, wanted), contact)
        if contact is None or not live:
            return []
        singles, rest = live[: choice.singles], live[choice.singles :]
        if len(rest) == 1 and choice.digest:  # the others have lost their point meanwhile
            singles, rest = [*singles, *rest], []
        leased = store.lease(tx, [message for message, _ in singles], self.node, now)
        claimed: list[tuple[Leased, Others | None]] = [
            (Leased(message, alert, contact), None) for message, (_, alert) in zip(leased, singles, strict=True)
        ]
        if rest and choice.digest:
            claimed.append(self._claim_rest(tx, rest, contact, now))
        return claimed

    def _claim_rest(self, tx: Tx, rest: Sequence[tuple[Message, Alert]], contact: Contact, now: int) -> tuple[Leased, "Others | None"]:
        """All in a new digest; but a digest that is tried again leaves first and by itself, with what it always carried."""
        for message, alert in rest:
            if message.kind == Kind.DIGEST:
                (leased,) = store.lease(tx, [message], self.node, now)
                return Leased(leased, alert, contact), None
        return self._bundle(tx, rest, contact, now)

    def _still_wanted(self, tx: Tx, messages: Sequence[Message], contact: Contact | None) -> list[tuple[Message, Alert]]:
        """Hard rule 5: the look just before sending; what has lost its point is cancelled with the reason.

        Of a digest each member is looked at, and it speaks for the loudest that is left.
        """
        alerts = notices.subjects(tx, {m.alert_number for m in messages}, self._clock.now())
        look = self._announcer.quiet.look(tx, self._clock.now())
        live = []
        for message in messages:
            if message.kind == Kind.DIGEST:
                carried = self._still_wanted(tx, store.members(tx, message.id), contact)
                if carried:
                    live.append((message, carried[0][1]))
                else:
                    store.cancel(tx, message, rules.Pointless.EMPTY)
                continue
            alert = alerts[message.alert_number]
            quiet = look.why(alert)
            reason = rules.pointless(message, alert, contact, None if quiet is None else quiet.words)
            if reason is None:
                live.append((message, alert))
            else:
                alerts[alert.number] = self._take_back(tx, message, alert, reason, quiet)
        return live

    def _take_back(self, tx: Tx, message: Message, alert: Alert, reason: rules.Pointless, quiet: MuteReason | None) -> Alert:
        """Cancels *message*; a page whose contact is gone goes to those who are there; an alert that is quiet now is marked so."""
        now = self._clock.now()
        store.cancel(tx, message, reason)
        if reason is rules.Pointless.CONTACT_GONE:
            self.fall_back(tx, message, now)
        if reason is not rules.Pointless.MUTED or quiet is None:
            return alert
        change = alert_rules.mute(alert, quiet.words, now)
        alert_store.save(tx, [change])
        return change.alert

    def _bundle(self, tx: Tx, rest: Sequence[tuple[Message, Alert]], contact: Contact, now: int) -> tuple[Leased, "Others | None"]:
        first, alert = rest[0]
        digest = msgspec.structs.replace(
            first,
            id=new_id(now),
            kind=Kind.DIGEST.value,
            step=store.digests_of(tx, first),
            status="pending",
            attempts=0,
            fence=0,
            created_at=first.created_at,
        )
        store.add(tx, [digest])
        store.bundle(tx, [message for message, _ in rest], digest)
        (leased,) = store.lease(tx, [digest], self.node, now)
        return Leased(leased, alert, contact), _others([a for _, a in rest])

    # One message.

    def _start(self, leased: Leased, others: "Others | None") -> None:
        self._under_way[leased.contact.id] += 1
        task = asyncio.create_task(self._carry(leased, others))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, leased: Leased, others: "Others | None") -> None:
        message = leased.message
        try:
            try:
                outcome = await self._send(leased, others)
            finally:
                self._has_arrived(leased.contact.id)
            await self._record(leased, outcome)
        finally:
            self._departures.finished(message.id, message.fence)

    def _has_arrived(self, contact_id: str) -> None:
        self._under_way[contact_id] -= 1
        if self._under_way[contact_id] <= 0:
            del self._under_way[contact_id]

    async def _send(self, leased: Leased, others: "Others | None") -> Outcome:
        message, contact = leased.message, leased.contact
        channel = self._channels.get(contact.kind)
        if channel is None:
            return Outcome(Result.REFUSED, f"the channel {contact.kind} is not set up; see docs/reference/settings.md")
        if message.kind == Kind.DIGEST and others is None:
            others = await self._writer.run(lambda tx: _others(self._digest_alerts(tx, message)))
        left = False

        def departing() -> None:
            nonlocal left
            left = True
            self._departures.note(message.id, message.fence)
            failpoints.reach("send.departing")

        letter = self._letter(leased, others)
        refusal = await self._reserve(letter, channel)
        if refusal is not None:
            return refusal
        failpoints.reach("send.before")
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                outcome = await channel.send(letter, departing)
        except Exception as error:  # a fault of ours in a channel must not lose the message
            log.exception("channel failed", channel=contact.kind)
            outcome = Outcome(Result.UNKNOWN if left else Result.TEMPORARY, f"{contact.kind} failed: {type(error).__name__}")
        failpoints.reach("send.after")
        return outcome

    async def _reserve(self, letter: Letter, channel: Channel) -> Outcome | None:
        """Where a message costs money: notes that, or says why it must not be sent."""
        till, message, contact, now = self._till, letter.message, letter.contact, letter.now
        if till is None or contact.kind not in rules.PAID or not isinstance(channel, Paid):
            return None
        price = channel.price(letter)
        try:
            reason = await self._writer.run(lambda tx: till.reserve(tx, message.id, message.fence, contact, price, now))
        except TocsinError as error:
            return NotTried(Result.TEMPORARY, error.message)
        return None if reason is None else NotTried(Result.PERMANENT, reason)

    def _digest_alerts(self, tx: Tx, digest: Message) -> list[Alert]:
        members = store.members(tx, digest.id)
        alerts = notices.subjects(tx, {m.alert_number for m in members}, self._clock.now())
        return [alerts[m.alert_number] for m in members]

    def _letter(self, leased: Leased, others: "Others | None") -> Letter:
        now = self._clock.now()
        message, alert = leased.message, leased.alert
        return Letter(
            message=message,
            contact=leased.contact,
            alert=alert,
            site=self._site_slug(alert.site_id),
            links=None if message.kind == Kind.NOTICE else links(self._secret, self._public_url, message.id),
            now=now,
            delay=now - (message.due_at or message.created_at),
            others=others.listed if others else (),
            more=others.more if others else 0,
            impact="" if others or message.kind == Kind.NOTICE else self._impact(alert, now),
        )

    async def _record(self, leased: Leased, outcome: Outcome) -> None:
        """Commits the outcome; if the database cannot take it now, tries until it can: until then nothing else knows it."""
        failpoints.reach("outcome.before")
        while True:
            try:
                await self._gathered((leased, outcome))
                break
            except TocsinError:
                await asyncio.sleep(1)
        failpoints.reach("outcome.after")

    def _gathered(self, ended: tuple[Leased, Outcome]) -> "asyncio.Future[None]":
        """Done when *ended* is written down: at once if nothing else is under way, or with what ends in the next few milliseconds."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._ended.append((ended, future))
        if len(self._ended) == 1:
            loop.call_later(GATHER if self._under_way else 0, self._hand_in_ended)
        return future

    def _hand_in_ended(self) -> None:
        ended, self._ended = self._ended, []
        for one, future in ended:
            self._writer.hand_in(self._record_all, one, 1, future)

    def _record_all(self, tx: Tx, items: Sequence[tuple[Leased, Outcome]]) -> list[None]:
        now = self._clock.now()
        for leased, outcome in items:
            if not isinstance(outcome, NotTried):
                self._note_health(tx, leased.contact, outcome, now)
        self._settle_all(tx, [(leased.message, outcome, leased.contact) for leased, outcome in items], now)
        for leased, outcome in items:
            if outcome.gone:
                self._retire(tx, leased, outcome.error or "it is gone", now)
        return [None] * len(items)

    def take_up(self, tx: Tx, message_id: str) -> None:
        """A message that is under way and in nobody's hands any more: its sender has ended, or its digest."""
        message, now = store.find(tx, message_id), self._clock.now()
        if message is None or message.status != State.SENDING:
            return
        if message.lease_until is None:
            store.take_from_digest(tx, message, now)
            tx.after_commit(self.wake)
        elif message.lease_until < now:
            self._settle(tx, message, _SENDER_DIED, now)

    def _settle(self, tx: Tx, message: Message, outcome: Outcome, now: int) -> None:
        self._settle_all(tx, [(message, outcome, self._contacts.find(message.contact_id))], now)

    def _settle_all(self, tx: Tx, ended: Sequence[tuple[Message, Outcome, Contact | None]], now: int) -> None:
        """Writes what follows from attempts: the messages' states, the history, and who else is to be told."""
        if self._till is not None:
            for message, outcome, contact in ended:
                if contact is None or contact.kind in rules.PAID:
                    self._till.settle(tx, message.id, message.fence, outcome, now)
        contacts = {message.id: contact for message, _, contact in ended}
        over = store.finish(tx, [Ending(message, outcome, _verdict(message, outcome, now)) for message, outcome, _ in ended], now)
        self.sent += sum(one.verdict.status is State.SENT for one in over)
        lines = [
            _line(one, contacts[one.message.id], now) for one in over if one.verdict.status is not State.PENDING or one.verdict.fall_back
        ]
        alert_store.add_history(tx, lines)
        for one in over:
            if one.verdict.fall_back:
                self.fall_back(tx, one.message, now)

    def _retire(self, tx: Tx, leased: Leased, why: str, now: int) -> None:
        """A contact that is no more is removed, and its owner hears of it on what they have besides."""
        contact = leased.contact
        if not own.retire(tx, contact, why, now):
            return
        readers = [one for one in rules.notice_readers(contact.user_id, self._contacts.all) if one.id != contact.id]
        if readers:
            title, text = own.retired_words(contact, why)
            self._announcer.tell(tx, notices.add(tx, leased.message.site_id, title, text, None, now), readers, now)

    def fall_back(self, tx: Tx, message: Message, now: int) -> None:
        """Has others told what *message* could not tell."""
        members = store.members(tx, message.id) if message.kind == Kind.DIGEST else [message]
        for member in members:
            if member.kind in rules.PROBLEM_KINDS:
                self._announcer.not_reached(tx, alert_store.by_number(tx, member.alert_number), member, now)

    # Health of contacts.

    def _note_health(self, tx: Tx, contact: Contact, outcome: Outcome, now: int) -> None:
        if outcome.result in (Result.SENT, Result.PERMANENT):
            self._note_recovery(tx, contact)
            return
        fault = self.faults.get(contact.id) or Fault("", now, 0, 0)
        fault.failures += 1
        fault.error = outcome.error or "no reason given"
        refused = outcome.result is Result.REFUSED
        fault.until = now + max(outcome.retry_after or 0, rules.REFUSED_WAIT if refused else rules.backoff(fault.failures, 0))
        self.faults[contact.id] = fault
        if not fault.reported and self.trouble and (refused or fault.failures >= TROUBLE_AFTER):
            self.trouble.channel_failed(tx, contact, fault.error)
            tx.after_commit(fault.was_reported)

    def _note_recovery(self, tx: Tx, contact: Contact) -> None:
        """What is kept in memory changes only once the transaction that reports it is safe."""
        fault = self.faults.get(contact.id)
        if fault is None:
            return
        if fault.reported and self.trouble:
            self.trouble.channel_recovered(tx, contact)

        def after_commit() -> None:
            self.faults.pop(contact.id, None)
            self.wake()

        tx.after_commit(after_commit)

    # Messages of unknown outcome.

    async def look_up_unknown(self) -> int:
        """Starts asking providers about messages that left without an answer, each contact in a task of its own, so that a
        provider that hangs holds up nothing. Returns how many are asked about.
        """
        now = self._clock.now()
        due: dict[str, list[Message]] = {}
        for message in await self._writer.run(lambda tx: store.unknown_due(tx, now, MAX_LOOKED_UP)):
            if message.contact_id not in self.asking:
                due.setdefault(message.contact_id, []).append(message)
        for contact_id, messages in due.items():
            task = self.asking[contact_id] = asyncio.create_task(self._look_up_all(contact_id, messages))
            task.add_done_callback(partial(self._asked, contact_id))
        return sum(map(len, due.values()))

    async def _look_up_all(self, contact_id: str, messages: Sequence[Message]) -> None:
        """One after the other; once the provider cannot be asked, the rest waits with it."""
        contact = self._contacts.find(contact_id)
        presence: Presence | None = None
        try:
            for message in messages:
                if presence is not Presence.NOT_NOW:
                    presence = await self._look_up(message, contact)
                settled = partial(self._settle_unknown, message=message, contact=contact, presence=presence)
                await self._writer.run(settled)
        except TocsinError as error:
            log.warning("a look-up must wait", reason=error.message)  # the messages stay due

    def _asked(self, contact_id: str, _task: asyncio.Task[None]) -> None:
        del self.asking[contact_id]

    async def _look_up(self, message: Message, contact: Contact | None) -> Presence:
        channel = self._channels.get(contact.kind) if contact else None
        if contact is None or channel is None:
            return Presence.CANNOT_TELL
        number, now = message.alert_number, self._clock.now()
        alert = (await self._writer.run(lambda tx: notices.subjects(tx, {number}, now)))[number]
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                return await channel.look_up(self._letter(Leased(message, alert, contact), None), message.created_at)
        except Exception:  # a fault of ours in a channel: the message is left unknown, and that is said
            log.exception("look-up failed", channel=contact.kind)
            return Presence.CANNOT_TELL

    def _settle_unknown(self, tx: Tx, message: Message, contact: Contact | None, presence: Presence) -> None:
        now = self._clock.now()
        verdict = rules.after_look_up(message, presence, now)
        store.settle_unknown(tx, message, verdict.status.value, verdict.next_attempt_at, now)
        if verdict.status is State.PENDING:
            tx.after_commit(self.wake)
        if verdict.next_attempt_at is None:
            outcome = _CONFIRMED if verdict.status is State.SENT else _STAYS_UNKNOWN
            alert_store.add_history(tx, [(message.alert_number, told_line(message, contact, outcome, message.last_error, now))])

    async def drain(self, seconds: float = 5 * SECOND / 1000) -> None:
        """Before the end: waits for what is under way, at most so long. What is left is settled at the next start."""
        for task in self.asking.values():
            task.cancel()  # it only asks, and asks again
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)


def _verdict(message: Message, outcome: Outcome, now: int) -> Verdict:
    if outcome is _DIED_BEFORE:
        return Verdict(State.PENDING, now, message.maybe_repeated)
    return rules.after_attempt(message, outcome, now, random.random())  # noqa: S311 - spreads retries, guards nothing


def _line(one: Ending, contact: Contact | None, now: int) -> tuple[int, HistoryLine]:
    """For the history of its alert."""
    what = "failed" if one.verdict.fall_back else one.verdict.status
    return one.message.alert_number, told_line(one.message, contact, what, one.outcome.error, now)


class Others(msgspec.Struct, frozen=True):
    """The further alerts of a digest: some are listed, the rest counted."""

    listed: tuple[Alert, ...]
    more: int


def _others(alerts: Sequence[Alert]) -> Others:
    rest = alerts[1:]
    return Others(tuple(rest[:LISTED_IN_DIGEST]), max(0, len(rest) - LISTED_IN_DIGEST))


_CONFIRMED = "sent, as the provider confirms"
_STAYS_UNKNOWN = "unknown: the provider cannot say whether it has it"
_DIED_BEFORE = Outcome(Result.TEMPORARY, "Tocsin was stopped before it was sent")
_DIED_AFTER = Outcome(Result.UNKNOWN, "Tocsin was stopped before the answer came")
_SENDER_DIED = Outcome(Result.UNKNOWN, "what was sending it has ended without a word")
_NODE_DIED = Outcome(Result.UNKNOWN, "the node that was sending it is gone")
