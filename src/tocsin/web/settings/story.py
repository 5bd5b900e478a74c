"""An entry of the audit log as a person reads it: who did what to which thing, and what it changed."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tocsin.audit.model import Entry
from tocsin.core.clock import SECOND
from tocsin.core.times import from_datetime
from tocsin.web.devices import device
from tocsin.web.people import Name
from tocsin.web.quiet.rules import SAYS
from tocsin.web.times import in_words

VERBS: Mapping[str, str] = {
    "login": "signed in",
    "logout": "signed out",
    "login.refused": "was refused a login for",
    "refused": "was refused",
    "session.ended": "ended a session of",
    "user.made": "made an account for",
    "user.changed": "changed the account of",
    "user.disabled": "shut out",
    "user.enabled": "let in again",
    "user.removed": "removed the account of",
    "link.invite": "invited",
    "link.reset": "had a link for a new password made for",
    "link.setup": "made the link for the first account",
    "password.changed": "changed the password of",
    "password.invite": "chose a first password",
    "password.reset": "set a new password",
    "second_factor.added": "turned on the second factor of",
    "second_factor.removed": "turned off the second factor of",
    "recovery_codes.renewed": "made new recovery codes for",
    "site.policy_set": "chose the policy of the site",
    "catalogue.reset": "reset the catalogue row",
    "links.revoked": "revoked the links of the message",
    "alert.tested": "raised the test",
    "audit.exported": "exported",
    "channel.tested": "tried out the channel",
    "contact.made": "added the contact",
    "contact.code_sent": "had a code sent to",
    "contact.code_wrong": "typed a wrong code for",
    "contact.verified": "proved the contact",
    "contact.tested": "tried out the contact",
    "user.rules_changed": "changed what rings when for",
}
TARGETS = {
    "schedule": "who is on call in a schedule",
    "team": "a team",
    "channel": "a channel",
    "on_call": "who is on call",
    "admins": "the administrators",
    "shared": "all shared contacts",
}
OF_ONESELF = frozenset(("login", "logout", "password.invite", "password.reset"))
FIRST = frozenset(("reason", "role", "sites", "status", "scopes", "by", "times_more"))
LAST = frozenset(("created_at", "created_by", "due_at", "generation", "id", "until", "version"))  # what Tocsin keeps for itself
SHOWN = 5  # fields beside the sentence; the rest is behind a click


class Change(msgspec.Struct, frozen=True):
    """One field that an entry is about."""

    name: str
    before: str | None
    after: str | None


class Told(msgspec.Struct, frozen=True):
    """An entry in words. ``path``: where the thing itself can be looked at."""

    verb: str
    thing: str
    path: str | None
    changes: list[Change]
    more: list[Change]


def tell(entry: Entry, name: Name, when: Callable[[int], str]) -> Told:
    """The words for *entry*; *name* knows the people, *when* the reader's clock."""
    changes = [one for one in _changes(entry, name, when) if one.before is not None or one.after is not None]
    thing, path = _thing(entry, name)
    if entry.action in OF_ONESELF:
        thing, path = "", None
    return Told(_verb(entry), thing, path, changes[:SHOWN], changes[SHOWN:])


def _verb(entry: Entry) -> str:
    """From the table, else from the action itself: ``policy.made`` is "made the policy"."""
    known = VERBS.get(entry.action)
    if known is not None:
        return known
    kind, _, deed = entry.action.replace("_", " ").partition(".")
    if not deed:
        return kind
    return deed if kind == "alert" else f"{deed} the {kind}"


def _thing(entry: Entry, name: Name) -> tuple[str, str | None]:
    kind, _, rest = entry.object.partition(":")
    match kind:
        case "user":
            return name(entry.object), f"/settings/people/{rest}"
        case "alert":
            return f"alert {rest}", f"/alerts/{rest}"
        case "key":
            return _named(entry) or rest, "/settings/keys"
        case "contact":
            return _contact(entry) or rest, None
        case "account":
            return "an address that nobody has", None
        case _ if _ID.fullmatch(rest):
            return _named(entry) or "", None  # what it is about is in its fields
        case _:
            return _named(entry) or rest or entry.object, None


def _named(entry: Entry) -> str | None:
    for text in (entry.after, entry.before):
        found = _fields(text).get("name")
        if isinstance(found, str):
            return found
    return None


def _contact(entry: Entry) -> str | None:
    """``sms +4915123456789``, where the entry says so."""
    for text in (entry.after, entry.before):
        fields = _fields(text)
        if isinstance(fields.get("kind"), str) and isinstance(fields.get("target"), str):
            return f"{fields['kind']} {fields['target']}"
    return None


def _changes(entry: Entry, name: Name, when: Callable[[int], str]) -> list[Change]:
    before, after = _fields(entry.before), _fields(entry.after)
    left_out = {"name"} if entry.object.startswith("key:") else set()
    fields = sorted({**after, **before}.keys() - left_out, key=lambda field: (field not in FIRST, field in LAST, field))
    return [Change(_label(field), _text(before, field, name, when), _text(after, field, name, when)) for field in fields]


def _label(name: str) -> str:
    return name.removesuffix("_at").replace("_", " ")


def _fields(text: str | None) -> dict[str, Any]:
    found = None if text is None else msgspec.json.decode(text)
    return found if isinstance(found, dict) else {}


def _text(fields: dict[str, Any], field: str, name: Name, when: Callable[[int], str]) -> str | None:
    """A value in words; None for one that is not there, or empty."""
    match fields.get(field):
        case None | "":
            return None
        case str() as text if field == "agent":
            return device(text)
        case int() as number if field.endswith(("_at", "_until")) and not isinstance(number, bool):
            return when(number)
        case other:
            return _words(other, name, when)


def _words(value: Any, name: Name, when: Callable[[int], str]) -> str:
    """Moments on the reader's clock, people by their names, lists and tables without brackets."""
    match value:
        case str() as text:
            at = _moment(text)
            return when(at) if at is not None else name(text) if _PERSON.fullmatch(text) else text
        case bool() as yes:
            return "yes" if yes else "no"
        case list() as items:
            return ", ".join(_words(one, name, when) for one in items) or "none"
        case {"name": str() as called}:
            return called
        case {"field": str() as field, "op": str() as op, "value": str() as wanted} if op in SAYS:
            return f"{field} {SAYS[op]} {wanted}"
        case {"delay_seconds": int() as seconds, "targets": list() as targets}:
            whom = ", ".join(_words(one, name, when) for one in targets)
            return f"{f'after {in_words(seconds * SECOND)}' if seconds else 'at once'}: {whom or 'nobody'}"
        case {"kind": str() as kind, "id": str() as which}:
            return TARGETS.get(kind, kind) if not which or name(which) == which else name(which)
        case {"kind": str() as kind, **others} if not others and kind in TARGETS:
            return TARGETS[kind]
        case dict() as table:
            return ", ".join(f"{_label(key)} {_words(one, name, when)}" for key, one in table.items()) or "none"
        case other:
            return msgspec.json.encode(other).decode()


def _moment(text: str) -> int | None:
    """The moment that *text* writes down as the log does; None if it is none."""
    try:
        return from_datetime(datetime.fromisoformat(text)) if _MOMENT.fullmatch(text) else None
    except ValueError:
        return None


_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_PERSON = re.compile(rf"{_ID.pattern}|[^@\s]+@[^@\s]+")
