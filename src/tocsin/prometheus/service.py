"""Making, changing and removing exporters that are asked: checked, stored and audited in one transaction."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.clock import HOUR, SECOND
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.db.writer import Tx
from tocsin.prometheus import store
from tocsin.prometheus.model import Target

MOST = 1_000
SHORTEST, LONGEST = 10 * SECOND, HOUR
Sites = Collection[int] | None  # those that the caller may see; None: all


def make(tx: Tx, who: Who, wanted: Target, now: int) -> Target:
    """A new one. Raises `InvalidInput`, and `Conflict` if its address is asked already, or there are too many."""
    check(wanted)
    there = store.every(tx.sql)
    if len(there) >= MOST:
        raise Conflict(f"there are {MOST} exporters already; remove some, or let Prometheus send what it has (remote write)")
    _must_be_free(wanted, there)
    store.add(tx, wanted)
    audit.record(tx, who, "exporter.made", thing(wanted), now, after=_seen(wanted), site_id=wanted.site_id)
    return wanted


def change(tx: Tx, who: Who, target_id: str, wanted: dict[str, Any], now: int) -> Target:
    """Changes the fields that *wanted* names; it is asked at once. Raises `NotFound`, `InvalidInput`, `Conflict`."""
    old = store.find(tx.sql, target_id, lock=True)
    new = msgspec.structs.replace(old, **wanted, next_at=now)
    check(new)
    check_token(old, new.url, is_anew="token" in wanted)
    _must_be_free(new, store.every(tx.sql))
    store.replace(tx, new, (*wanted, "next_at"))
    audit.record_change(tx, who, "exporter.changed", thing(old), now, before=_seen(old), after=_seen(new), site_id=old.site_id)
    return new


def remove(tx: Tx, who: Who, target_id: str, now: int) -> Target:
    """Takes one away; answers what it was. Raises `NotFound`."""
    old = store.find(tx.sql, target_id, lock=True)
    store.remove(tx, old.id)
    audit.record(tx, who, "exporter.removed", thing(old), now, before=_seen(old), site_id=old.site_id)
    return old


def find(connection: sa.Connection, target_id: str, sites: Sites) -> Target:
    """One that the caller may see. Raises `NotFound`."""
    found = store.find(connection, target_id)
    if sites is not None and found.site_id not in sites:
        raise NotFound(f"there is no exporter {target_id[:40]}")
    return found


def thing(target: Target) -> str:
    """How the audit log names it."""
    return f"exporter:{target.id}"


def _seen(target: Target) -> dict[str, Any]:
    """What the audit log may show."""
    names = ("name", "url", "host", "interval", "keep_all", "enabled")
    return {name: getattr(target, name) for name in names} | {"with_token": target.token is not None}


def host_in(url: str) -> str:
    """The host of an address; empty if it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def check(target: Target) -> None:
    """Raises `InvalidInput` if it cannot be asked as it is described."""
    try:
        parts = urlsplit(target.url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not target.url.isascii() or not target.url.isprintable() or " " in target.url:
        raise InvalidInput.of("url", "must be an address such as http://web01.example.com:9100/metrics")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput.of("url", "must not hold a user or password; give a token, which is sent as `Authorization: Bearer`")
    if target.token is not None and not (target.token.isascii() and target.token.isprintable() and " " not in target.token):
        raise InvalidInput.of("token", "must be printable ASCII without spaces")
    if not SHORTEST <= target.interval <= LONGEST:
        raise InvalidInput.of("interval_seconds", f"must be from {SHORTEST // SECOND} to {LONGEST // SECOND}")


def check_token(kept: Target, url: str, *, is_anew: bool) -> None:
    """Raises `InvalidInput` if the token of *kept* would go to another address than the one that it was given for."""
    if kept.token is not None and url != kept.url and not is_anew:
        raise InvalidInput.of("token", "must be given anew for another address: this one was meant for the address before")


def _must_be_free(target: Target, there: Collection[Target]) -> None:
    for other in there:
        if other.id != target.id and (other.site_id, other.url) == (target.site_id, target.url):
            raise Conflict(f"this address is asked already, by {other.name}")
