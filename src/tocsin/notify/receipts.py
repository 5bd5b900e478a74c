"""Receipts of providers: what they say goes into the outbox; what they do not say in time is asked of another provider."""

from collections.abc import Mapping

import msgspec

from tocsin.alerts import store as alert_store
from tocsin.alerts.model import Alert, Status
from tocsin.core.clock import Clock
from tocsin.db.writer import Tx, Writer
from tocsin.notify import handovers, store
from tocsin.notify.announce import told_line
from tocsin.notify.contacts import ContactBook
from tocsin.notify.delivery import Delivery
from tocsin.notify.following import Attempt, Next, follow
from tocsin.notify.handovers import LOOK_AGAIN, RECEIPT_WITHIN, Handover, Till
from tocsin.notify.model import Kind, Message
from tocsin.notify.notices import subjects
from tocsin.notify.providers.model import Receipt, Stage
from tocsin.notify.rules import PROBLEM_KINDS

CHASED_AT_ONCE = 200
UNHEARD = "no receipt came within a minute"


class Receipts:
    """``providers``: how many there are for each kind of contact."""

    def __init__(
        self, clock: Clock, writer: Writer, till: Till, contacts: ContactBook, delivery: Delivery, providers: Mapping[str, int]
    ) -> None:
        self._clock, self._writer, self.till = clock, writer, till
        self._contacts, self._delivery, self._providers = contacts, delivery, providers

    async def take(self, message_id: str, provider: str, receipt: Receipt) -> bool:
        """Notes what *provider* says, and does what follows. False: it is about nothing of ours."""

        def work(tx: Tx) -> bool:
            now = self._clock.now()
            handover = self.till.take(tx, message_id, provider, receipt, now)
            if handover is not None:
                self._follow(tx, handover, now)
            return handover is not None

        return await self._writer.run(work)

    async def chase(self) -> int:
        """Looks at those whose receipt should have come, and at the month; returns how many were looked at."""

        def work(tx: Tx) -> int:
            now = self._clock.now()
            self.till.turn_month(tx, now)
            found = handovers.due(tx, now, CHASED_AT_ONCE)
            for handover in found:
                self._follow(tx, handover, now)
            return len(found)

        return await self._writer.run(work)

    def _follow(self, tx: Tx, handover: Handover, now: int) -> None:
        message = store.find(tx, handover.outbox_id)
        if message is None:  # somebody tried a contact out: nothing waits for its receipt
            handovers.look_at(tx, handover, None)
            return
        attempts = handovers.of_message(tx, message.id)
        newest = attempts[-1]
        attempt = Attempt(
            stage=Stage(newest.stage),
            arrived=any(one.stage == Stage.DELIVERED for one in attempts),
            is_due=now >= newest.created_at + RECEIPT_WITHIN,
            elsewhere=newest.elsewhere,
            provider_left=len(handovers.providers_used(attempts)) < self._providers.get(newest.kind, 0),
        )
        step = follow(message, attempt, wanted=self._is_wanted(tx, message, now))
        self._do(tx, step, message, newest, now)
        for one in attempts:
            due_at = _look_again(one, step, now) if one is newest else None
            if due_at != one.due_at:
                handovers.look_at(tx, one, due_at)

    def _is_wanted(self, tx: Tx, message: Message, now: int) -> bool:
        """Whether the alert still needs somebody, and this is its newest news; of a digest, whether that is so of one that it carries."""
        carried = store.members(tx, message.id) if message.kind == Kind.DIGEST else [message]
        alerts = subjects(tx, {one.alert_number for one in carried}, now)
        return any(_needs_somebody(alerts.get(one.alert_number), one) for one in carried if one.kind in PROBLEM_KINDS)

    def _do(self, tx: Tx, step: Next, message: Message, newest: Handover, now: int) -> None:
        error = newest.error or UNHEARD
        match step:
            case Next.DELIVERED:
                store.arrived(tx, message)
            case Next.ACCEPTED:
                store.accepted(tx, message, now)
            case Next.FAILED:
                store.did_not_arrive(tx, message, error)
                self._delivery.fall_back(tx, message, now)
            case Next.ELSEWHERE:
                store.send_again(tx, message, error, now)
                tx.after_commit(self._delivery.wake)
            case Next.NOTHING | Next.LOOK_LATER | Next.UNHEARD:
                pass
        if step in _TOLD:
            contact = self._contacts.find(message.contact_id)
            why = error if step in (Next.FAILED, Next.ELSEWHERE) else None
            line = told_line(message, contact, step.value, why, now)
            details = {**(line.details or {}), "provider": newest.provider}
            alert_store.add_history(tx, [(message.alert_number, msgspec.structs.replace(line, details=details))])


def _needs_somebody(alert: Alert | None, message: Message) -> bool:
    return alert is not None and alert.status == Status.OPEN and alert.generation == message.generation and alert.muted_by is None


def _look_again(newest: Handover, step: Next, now: int) -> int | None:
    """When to look at the newest attempt again: its own outcome is being written, or its receipt may still come in time."""
    if step is Next.LOOK_LATER:
        return now + LOOK_AGAIN
    in_time = newest.created_at + RECEIPT_WITHIN
    return in_time if newest.stage == Stage.SENT and step in (Next.ACCEPTED, Next.NOTHING) and now < in_time else None


_TOLD = frozenset({Next.DELIVERED, Next.ACCEPTED, Next.FAILED, Next.ELSEWHERE, Next.UNHEARD})
