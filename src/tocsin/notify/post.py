"""What one transaction has to tell: messages for the outbox, alerts' progress and history, and what leaves at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from tocsin.alerts import store as alert_store
from tocsin.alerts.model import Alert, HistoryLine
from tocsin.core.ids import new_ids
from tocsin.db.writer import Tx
from tocsin.escalation import rules, store as progress_store
from tocsin.escalation.model import Progress, Standing
from tocsin.notify import store
from tocsin.notify.model import Contact, Kind, Message
from tocsin.notify.plan import Done
from tocsin.notify.reach import Promise
from tocsin.notify.rules import Pointless, cause_of
from tocsin.notify.store import Unsent

replace = msgspec.structs.replace


class Leased(msgspec.Struct, frozen=True):
    """A message that this node is to send at once, with what it is about."""

    message: Message
    alert: Alert
    contact: Contact


class Dispatch(Protocol):
    """The delivery of this node, as the transactions see it. Both calls come from the writer's thread."""

    node: str

    def may_send_now(self, contact_id: str, site_id: int, severity: int, now: int) -> bool:
        """Whether a message born now may be leased to this node at birth: there is room, and the contact's rate allows it."""
        ...

    def hold(self, contacts: Sequence[Contact], site_id: int, cause: str, now: int) -> dict[str, int]:
        """Which of one person's *contacts* wait for others of the same *cause*, and until when."""
        ...

    def take(self, leased: Sequence[Leased]) -> Callable[[], None]:
        """What to call after the commit, to have *leased* sent; an empty list means that there is news in the outbox."""
        ...


class Post:
    """Collects, then writes all of it at once. ``dispatch`` None (the command line): messages wait for the server to find them."""

    def __init__(self, tx: Tx, dispatch: Dispatch | None, now: int) -> None:
        self.tx, self.now, self._dispatch = tx, now, dispatch
        self.begun: list[Progress] = []  # of alerts that are opened in this transaction
        self.moved: list[Progress] = []
        self.stopped: list[int] = []  # somebody has the alert, or it is over
        self.muted: list[int] = []
        self.lines: list[tuple[int, HistoryLine]] = []
        self._messages: list[Message] = []
        self._leased: list[Leased] = []
        self._overtaken: list[str] = []

    def say(self, alert: Alert, kind: Kind, step: int, promises: Sequence[Promise]) -> None:
        """One message for each promise, outside of any policy."""
        ids = new_ids(self.now, len(promises))
        self._put_all(
            alert,
            [
                (a_message(new_id, alert, kind, step, promise, self.now, self.now), promise)
                for new_id, promise in zip(ids, promises, strict=True)
            ],
        )

    def carry_out(self, alert: Alert, steps: Sequence[tuple[Kind, Done]], waiting: Mapping[str, Sequence[Unsent]]) -> None:
        """One message for each promise of each step. Of several for one contact only the last is sent (hard rule 10).

        *waiting*: pages of this alert that have not left yet, by contact. A new one takes the place of the old one, and its
        moment if that comes earlier.
        """
        last = {promise.contact.id: step for _, step in steps for promise in step.reached.promises}
        if not last:
            return
        ids = self._ids(steps)
        wanted: list[tuple[Message, Promise]] = []
        for kind, step in steps:
            for promise in step.reached.promises:
                message = a_message(next(ids), alert, kind, step.progress.step, promise, self.now, step.due_at)
                if last[promise.contact.id] is step:
                    wanted.append(self._overtake(message, promise, waiting.get(promise.contact.id, ())))
                else:
                    self._messages.append(cancelled(message))
        self._put_all(alert, wanted)

    def _ids(self, steps: Sequence[tuple[Kind, Done]]) -> Iterator[str]:
        return iter(new_ids(self.now, sum(len(step.reached.promises) for _, step in steps)))

    def _overtake(self, message: Message, promise: Promise, old: Sequence[Unsent]) -> tuple[Message, Promise]:
        """The new page takes over the moment of the old one, if that is earlier, and how long the reader has been waiting."""
        if not old:
            return message, promise
        self._overtaken += [one.id for one in old]
        at = max(self.now, min(promise.at, *[one.at for one in old]))
        due_at = min(message.due_at or at, *[one.due_at for one in old])
        return replace(message, next_attempt_at=at, due_at=None if due_at == self.now else due_at), replace(promise, at=at)

    def _put_all(self, alert: Alert, wanted: Sequence[tuple[Message, Promise]]) -> None:
        waits = self._waits(alert, wanted)
        for message, promise in wanted:
            self._put(alert, message, promise, waits.get(promise.contact.id, self.now))

    def _waits(self, alert: Alert, wanted: Sequence[tuple[Message, Promise]]) -> dict[str, int]:
        """Until when contacts wait for others of the same cause, looked at person by person."""
        people: dict[tuple[str, str], list[Contact]] = {}
        for message, promise in wanted:
            cause = cause_of(message.kind, alert.type)
            if cause and promise.at <= self.now:
                people.setdefault((whose(promise.contact), cause), []).append(promise.contact)
        waits: dict[str, int] = {}
        if self._dispatch is not None:
            for (_, cause), contacts in people.items():
                waits |= self._dispatch.hold(contacts, alert.site_id, cause, self.now)
        return waits

    def _put(self, alert: Alert, message: Message, promise: Promise, until: int) -> None:
        dispatch = self._dispatch
        if promise.at > self.now or dispatch is None:
            self._messages.append(message)
            return
        if until > self.now:
            message = replace(message, next_attempt_at=until)
        elif dispatch.may_send_now(promise.contact.id, alert.site_id, alert.severity, self.now):
            message = replace(
                message,
                status="sending",
                attempts=1,
                fence=1,
                lease_node=dispatch.node,
                lease_until=self.now + store.LEASE,
                next_attempt_at=None,
            )
            self._leased.append(Leased(message, alert, promise.contact))
        self._messages.append(message)

    def write(self) -> None:
        """Writes what was collected; what may leave at once leaves after the commit."""
        tx = self.tx
        store.overtake(tx, self._overtaken)
        progress_store.add(tx, self.begun)
        progress_store.put(tx, self.moved)
        progress_store.stop(tx, self.stopped, Standing.STOPPED)
        progress_store.stop(tx, self.muted, Standing.MUTED)
        alert_store.add_history(tx, self.lines)
        if self._messages:
            store.add(tx, self._messages)
            wake(tx, self._dispatch, self._leased)


def whose(contact: Contact) -> str:
    """Who is told on *contact*: a person, or those who share it."""
    return contact.user_id or contact.id


def wake(tx: Tx, dispatch: Dispatch | None, leased: Sequence[Leased]) -> None:
    """After the commit this node sends *leased*, or looks for news if there are none; other nodes look too."""
    if dispatch is not None:
        tx.after_commit(dispatch.take(leased))
    if not tx.is_sqlite:
        tx.driver.execute("NOTIFY tocsin_outbox")


def a_message(message_id: str, alert: Alert, kind: Kind, step: int, promise: Promise, now: int, due_at: int) -> Message:
    """A message that waits for its moment. *due_at*: when its step was due; it is kept if that is not about now."""
    wanted = promise.at - (now - due_at) if now - due_at >= rules.LATE else promise.at
    return Message(
        id=message_id,
        alert_number=alert.number,
        generation=alert.generation,
        kind=kind.value,
        step=step,
        contact_id=promise.contact.id,
        site_id=alert.site_id,
        severity=alert.severity,
        status="pending",
        attempts=0,
        fence=0,
        lease_node=None,
        lease_until=None,
        next_attempt_at=promise.at,
        created_at=now,
        due_at=None if wanted == now else wanted,
    )


def cancelled(message: Message) -> Message:
    """The same, overtaken at birth by a later one."""
    return replace(message, status="cancelled", next_attempt_at=None, last_error=Pointless.SUPERSEDED.value)


def contacts_of(promises: Iterable[Promise]) -> list[str]:
    """How the history names whom these promises are for."""
    return [name_of(promise.contact) for promise in promises]


def name_of(contact: Contact) -> str:
    """``ntfy oncall-phone``."""
    return f"{contact.kind} {contact.target}"
