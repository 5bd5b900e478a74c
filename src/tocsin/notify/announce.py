"""From a decision about an alert to messages in the outbox, in the same transaction."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tocsin.alerts.model import Action, Alert, AlertChange, HistoryLine, Notice, Status
from tocsin.core.ids import new_ids
from tocsin.core.severity import Severity
from tocsin.db.writer import Tx
from tocsin.notify import store
from tocsin.notify.contacts import ContactBook
from tocsin.notify.model import Contact, Kind, Message
from tocsin.notify.quiet import PROBLEMS, Quiet
from tocsin.notify.rules import Pointless, audience

SYSTEM = "tocsin"


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

    def take(self, leased: Sequence[Leased]) -> Callable[[], None]:
        """What to call after the commit, to have *leased* sent; an empty list means that there is news in the outbox."""
        ...


class Announcer:
    """Plans messages for alert changes and puts them into the outbox."""

    def __init__(self, contacts: ContactBook, quiet: Quiet) -> None:
        self._contacts = contacts
        self.quiet = quiet
        self._dispatch: Dispatch | None = None

    def use(self, dispatch: Dispatch) -> None:
        """Hands new messages to *dispatch*. Without one (the command line) they wait for the server to find them."""
        self._dispatch = dispatch

    def announce(self, tx: Tx, changes: Sequence[AlertChange], now: int) -> list[AlertChange]:
        """Hard rules 1 and 7: cancels what has lost its point, then adds one message per contact that is to be told.

        Returns the changes to save; where there was nobody to tell, the history says so.
        """
        messages: list[Message] = []
        leased: list[Leased] = []
        noted: list[AlertChange] = []
        for change in self.quiet.judge(tx, changes, now):
            told = self._quieten(tx, change)
            if change.muted_by is not None and change.notice in PROBLEMS:
                noted.append(_nobody_told(change, f"muted by {change.muted_by}"))
                continue
            people = () if change.notice is None else audience(change.notice, change.alert, self._contacts.all, told)
            for message, contact in self._messages(change.alert, change.notice or Notice.OPENED, people, now) if people else ():
                messages.append(message)
                if message.lease_node is not None:
                    leased.append(Leased(message, change.alert, contact))
            lonely = not people and change.notice in PROBLEMS and change.alert.severity > Severity.INFO
            noted.append(_nobody_told(change, "no contact is set up") if lonely else change)
        if messages:
            store.add(tx, messages)
            self._wake(tx, leased)
        return noted

    def fall_back(self, tx: Tx, alert: Alert, failed: Message, contacts: Sequence[Contact], now: int) -> None:
        """Has *contacts* told what *failed* could not tell. Doing it twice adds nothing."""
        messages = [
            _message(new_id, alert, failed.kind, contact, now, generation=failed.generation)
            for new_id, contact in zip(new_ids(now, len(contacts)), contacts, strict=True)
        ]
        if messages:
            store.add(tx, messages, if_new=True)
            self._wake(tx, [])

    def tell(self, tx: Tx, notice: Alert, contacts: Sequence[Contact], now: int) -> None:
        """Has *contacts* told a notice, which is about no alert (see notices.py)."""
        made = self._messages(notice, Kind.NOTICE, contacts, now)
        if made:
            store.add(tx, [message for message, _ in made])
            self._wake(tx, [Leased(message, notice, contact) for message, contact in made if message.lease_node is not None])

    def _wake(self, tx: Tx, leased: Sequence[Leased]) -> None:
        if self._dispatch is not None:
            tx.after_commit(self._dispatch.take(leased))
        if not tx.is_sqlite:
            tx.driver.execute("NOTIFY tocsin_outbox")

    def _quieten(self, tx: Tx, change: AlertChange) -> set[str]:
        """Cancels what waits; returns who has heard of the trouble, which only good news needs to know.

        Of a muted alert, only those hear who were told before it became quiet: not of each time that it comes and goes.
        """
        alert = change.alert
        if change.silence_pending:
            store.cancel_pending(tx, alert.number, _why_pointless(alert))
        if change.notice not in _GOOD_NEWS:
            return set()
        return store.told(tx, alert.number, 0 if change.muted_by is None else alert.generation)

    def _messages(self, alert: Alert, kind: Notice | Kind, people: Sequence[Contact], now: int) -> list[tuple[Message, Contact]]:
        made = []
        for new_id, contact in zip(new_ids(now, len(people)), people, strict=True):
            message = _message(new_id, alert, kind.value, contact, now, generation=alert.generation)
            dispatch = self._dispatch
            if dispatch is not None and dispatch.may_send_now(contact.id, alert.site_id, alert.severity, now):
                message = msgspec.structs.replace(
                    message,
                    status="sending",
                    attempts=1,
                    fence=1,
                    lease_node=dispatch.node,
                    lease_until=now + store.LEASE,
                    next_attempt_at=None,
                )
            made.append((message, contact))
        return made


_GOOD_NEWS = (Notice.ACKNOWLEDGED, Notice.RESOLVED)


def _nobody_told(change: AlertChange, why: str) -> AlertChange:
    """The change with "nobody", and *why*, in the line that says what happened."""
    last = change.history[-1]
    line = HistoryLine(last.at, last.actor, last.action, last.reason, {**(last.details or {}), "told": f"nobody: {why}"})
    return msgspec.structs.replace(change, history=(*change.history[:-1], line))


def _message(message_id: str, alert: Alert, kind: str, contact: Contact, now: int, *, generation: int) -> Message:
    return Message(
        id=message_id,
        alert_number=alert.number,
        generation=generation,
        kind=kind,
        step=0,
        contact_id=contact.id,
        site_id=alert.site_id,
        severity=alert.severity,
        status="pending",
        attempts=0,
        fence=0,
        lease_node=None,
        lease_until=None,
        next_attempt_at=now,
        created_at=now,
    )


def _why_pointless(alert: Alert) -> str:
    match alert.status:
        case Status.RESOLVED:
            return Pointless.RESOLVED.value
        case Status.ACKNOWLEDGED:
            return Pointless.ACKNOWLEDGED.value
        case Status.SNOOZED:
            return Pointless.SNOOZED.value
        case _:
            return (Pointless.SUPERSEDED if alert.muted_by is None else Pointless.MUTED).value


def told_line(message: Message, contact: Contact | None, outcome: str, error: str | None, now: int) -> HistoryLine:
    """The history line for what became of a message."""
    target = f"{contact.kind} {contact.target}" if contact else message.contact_id
    details: dict[str, object] = {"message": message.id, "kind": message.kind, "contact": target, "outcome": outcome}
    if error:
        details["error"] = error
    return HistoryLine(now, SYSTEM, Action.NOTIFIED, f"{message.kind}: {outcome}", details)
