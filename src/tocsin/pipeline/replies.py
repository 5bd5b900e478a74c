"""What people answer by text message and by the keys of their telephone: who it is, whether they may, and what is done."""

import msgspec
import sqlalchemy as sa

from tocsin.alerts import queries as alert_queries, rules
from tocsin.alerts.model import Alert, AlertChange, Status
from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.clock import DAY, Clock
from tocsin.core.errors import Conflict
from tocsin.core.text import cut, sentence
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import permissions
from tocsin.identity.model import Permission, Role
from tocsin.notify import store as outbox
from tocsin.notify.commands import KEYS, Command, Wish, read_command
from tocsin.notify.model import Kind
from tocsin.notify.providers.model import Incoming, Pressed
from tocsin.notify.render import clean_line
from tocsin.pipeline.actions import Actions, Decide

BY_TEXT = "asked for by text message"
BY_KEY = "asked for by a key of the telephone"
PHONES = ("sms", "voice")
LATELY = DAY

_CONTACTS, _USERS = tables.contacts, tables.users
STOPPED = "You get no more texts from Tocsin. Send START to get them again."
STARTED = "You get texts from Tocsin again. Send STOP to end them."
NOT_UNDERSTOOD = "Not understood. Send ack 12, resolve 12 or escalate 12, with the number of the alert. STOP ends these texts."
_VERBS = {Wish.ACKNOWLEDGE: "ack", Wish.RESOLVE: "resolve", Wish.ESCALATE: "escalate"}
_DONE = {Wish.ACKNOWLEDGE: "Acknowledged", Wish.RESOLVE: "Resolved"}


class Owner(msgspec.Struct, frozen=True):
    """Whose telephone it is. ``sites`` None: all. ``user_id`` None: a shared contact, which may act on what it was told."""

    contact_id: str
    kind: str
    number: str
    is_stopped: bool
    user_id: str | None
    name: str
    may_act: bool
    sites: frozenset[int] | None


class Heard(msgspec.Struct, frozen=True):
    """What goes on in a call: what is said, and whether the keys are asked for once more."""

    text: str
    again: bool = False


class Replies:
    """Each method is work for `Writer.run`."""

    def __init__(self, clock: Clock, actions: Actions) -> None:
        self._clock, self._actions = clock, actions

    def text(self, tx: Tx, provider: str, incoming: Incoming) -> str | None:
        """What to answer to a text, if anything. A stranger gets no answer; a text that is told of twice is acted on once."""
        now = self._clock.now()
        table = tables.phone_replies
        known = tx.sql.execute(sa.select(table.c.answer).where(table.c.provider == provider, table.c.id == incoming.id)).first()
        if known is not None:
            return None if known.answer is None else str(known.answer)
        answer = self._answer(tx, incoming, now)
        tx.sql.execute(table.insert().values(provider=provider, id=incoming.id, at=now, answer=answer))
        return answer

    def _answer(self, tx: Tx, incoming: Incoming, now: int) -> str | None:
        owners = _owners(tx, incoming.number)
        texted = [owner for owner in owners if owner.kind == "sms"]
        command = read_command(incoming.text)
        if not owners:
            return None
        if command is None:
            return NOT_UNDERSTOOD if any(not owner.is_stopped for owner in texted) else None
        match command.wish:
            case Wish.STOP:
                return _stop(tx, texted, now)
            case Wish.START:
                return _start(tx, texted, now)
            case Wish.HELP:
                return NOT_UNDERSTOOD.removeprefix("Not understood. ")
            case _:
                return self._act_by_text(tx, owners, command, now)

    def _act_by_text(self, tx: Tx, owners: list[Owner], command: Command, now: int) -> str | None:
        active = [owner for owner in owners if not owner.is_stopped]
        if not active:
            return None
        number = command.alert
        if number is None:
            waiting = _told_lately(tx, [owner.contact_id for owner in active], now)
            if len(waiting) != 1:
                return f"Which one? Send {_VERBS[command.wish]} and its number, such as 12."
            number = waiting[0]
        for owner in active:
            alert = self._visible(tx, owner, number)
            if alert is not None and owner.may_act:
                return self._act(tx, owner, alert, command.wish, BY_TEXT)
        return f"There is no alert {number} that you may act on."

    def keys(self, tx: Tx, message_id: str, pressed: Pressed) -> Heard | None:
        """What a call goes on to say; None: it is no call of ours."""
        message = outbox.find(tx, message_id)
        if message is None or message.kind in (Kind.DIGEST, Kind.NOTICE) or message.alert_number <= 0:
            return None
        owner = next((one for one in _owners(tx, pressed.number) if one.contact_id == message.contact_id), None)
        if owner is None:
            return None
        wish = KEYS.get(pressed.keys)
        if wish is None:
            return Heard("That key does nothing." if pressed.keys else "", again=True)
        alert = self._visible(tx, owner, message.alert_number)
        if alert is None or not owner.may_act:
            return Heard("You may not act on this alert. Goodbye.")
        return Heard(f"{self._act(tx, owner, alert, wish, BY_KEY)} Goodbye.")

    def _visible(self, tx: Tx, owner: Owner, number: int) -> Alert | None:
        alert = alert_queries.find(tx.sql, str(number), owner.sites)
        if alert is None or (owner.user_id is None and owner.contact_id not in outbox.told(tx, number)):
            return None
        return alert

    def _act(self, tx: Tx, owner: Owner, alert: Alert, wish: Wish, reason: str) -> str:
        """Does it, and says what is so now."""
        title = cut(clean_line(alert.title), 80)
        if alert.status == Status.RESOLVED:
            return f"Alert {alert.number} is resolved already: {title}."
        try:
            if wish is Wish.ESCALATE:
                return f"{self._escalate(tx, owner, alert, reason)} alert {alert.number}: {title}."
            decide = self._actions.acknowledge(owner.name) if wish is Wish.ACKNOWLEDGE else _resolve(owner.name)
            changed = self._actions.act(alert.id, _by(decide, reason))(tx)
        except Conflict as conflict:
            return sentence(conflict.message)
        by_other = wish is Wish.ACKNOWLEDGE and changed.acknowledged_by != owner.name and changed.status == Status.ACKNOWLEDGED
        lead = f"{clean_line(changed.acknowledged_by or '', 60)} has" if by_other else _DONE[wish]
        return f"{lead} alert {alert.number}: {title}."

    def _escalate(self, tx: Tx, owner: Owner, alert: Alert, reason: str) -> str:
        """Tells the next level, unless that was done since this person heard of the alert: two who ask mean one step."""
        level = outbox.level_told(tx, alert.number, owner.contact_id)
        before = _progress(tx, alert.number)
        self._actions.escalate(alert.id, Who(owner.name), level, how=reason)(tx)
        return "Escalated" if _progress(tx, alert.number) != before else "The next level has been told of"


def _resolve(who: str) -> Decide:
    return lambda alert, now: rules.resolve(alert, who, None, now)


def _by(decide: Decide, reason: str) -> Decide:
    """The same decision, with a history that says how it was asked for."""

    def decided(alert: Alert, now: int) -> AlertChange:
        change = decide(alert, now)
        return msgspec.structs.replace(change, history=tuple(msgspec.structs.replace(line, reason=reason) for line in change.history))

    return decided


def _owners(tx: Tx, number: str) -> list[Owner]:
    """The verified contacts with this number, the oldest first, without those that somebody else has switched off."""
    joined = _CONTACTS.outerjoin(_USERS, _CONTACTS.c.user_id == _USERS.c.id)
    columns = (_CONTACTS, _USERS.c.name, _USERS.c.role, _USERS.c.every_site, _USERS.c.disabled_at.label("user_disabled_at"))
    query = sa.select(*columns).select_from(joined).where(_CONTACTS.c.kind.in_(PHONES), _CONTACTS.c.target == number)
    rows = tx.sql.execute(query.where(_CONTACTS.c.verified_at.is_not(None)).order_by(_CONTACTS.c.created_at, _CONTACTS.c.id)).all()
    usable = [row for row in rows if (row.disabled_at is None or row.stopped_at is not None) and row.user_disabled_at is None]
    return [_owner(tx, row) for row in usable]


def _owner(tx: Tx, row: sa.Row[tuple[object, ...]]) -> Owner:
    is_stopped = row.stopped_at is not None
    if row.user_id is None:
        return Owner(row.id, row.kind, row.target, is_stopped, None, f"{row.kind} {row.target}", may_act=True, sites=None)
    table = tables.user_sites
    sites = (
        None if row.every_site else frozenset(tx.sql.execute(sa.select(table.c.site_id).where(table.c.user_id == row.user_id)).scalars())
    )
    may_act = Permission.ACT in permissions.of_role(Role(row.role), whole=bool(row.every_site))
    return Owner(row.id, row.kind, row.target, is_stopped, row.user_id, row.name, may_act, sites)


def _told_lately(tx: Tx, contacts: list[str], now: int) -> list[int]:
    """The alerts that these contacts heard of in the last day and that nobody has resolved."""
    table, alerts = tables.outbox, tables.alerts
    query = (
        sa.select(alerts.c.number)
        .distinct()
        .select_from(table.join(alerts, table.c.alert_number == alerts.c.number))
        .where(table.c.contact_id.in_(contacts), table.c.created_at > now - LATELY, alerts.c.status != "resolved")
        .limit(2)
    )
    return list(tx.sql.execute(query).scalars())


def _progress(tx: Tx, alert_number: int) -> tuple[int, int]:
    """How far the alert's escalation has come: its cycle and level."""
    table = tables.escalations
    row = tx.sql.execute(sa.select(table.c.cycle, table.c.level).where(table.c.alert_number == alert_number)).first()
    return (-1, -1) if row is None else (row.cycle, row.level)


def _stop(tx: Tx, owners: list[Owner], now: int) -> str | None:
    active = [owner for owner in owners if not owner.is_stopped]
    for owner in active:
        tx.sql.execute(_CONTACTS.update().where(_CONTACTS.c.id == owner.contact_id).values(disabled_at=now, stopped_at=now))
        audit.record(tx, Who(owner.name), "contact.stopped", f"contact:{owner.contact_id}", now, after={"by": BY_TEXT})
    return STOPPED if owners else None


def _start(tx: Tx, owners: list[Owner], now: int) -> str | None:
    for owner in owners:
        if owner.is_stopped:
            tx.sql.execute(_CONTACTS.update().where(_CONTACTS.c.id == owner.contact_id).values(disabled_at=None, stopped_at=None))
            audit.record(tx, Who(owner.name), "contact.started", f"contact:{owner.contact_id}", now, after={"by": BY_TEXT})
    return STARTED if owners else None
