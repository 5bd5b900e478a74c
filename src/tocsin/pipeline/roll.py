"""Keeps the roll of servers that report, tells of those that fall silent, and lets new ones in. In one transaction with what they send."""

import hashlib
import secrets
from collections.abc import Callable

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.clock import SECOND, Clock
from tocsin.core.errors import NotFound
from tocsin.core.ids import new_id
from tocsin.core.text import cut
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.events.model import EventInput, Incoming
from tocsin.hosts import rules, store
from tocsin.hosts.model import LONGEST_PAUSE, MOST, TOKEN_LASTS, Card, Decision, Host, News, Status, Token
from tocsin.identity import service as identity
from tocsin.identity.model import Scope
from tocsin.identity.service import NewKey
from tocsin.pipeline.ingest import Batch, Ingest

AT_ONCE = 100
ABSENT = 10 * SECOND  # nobody looked for so long: then agents may have been sent away
SEVERITIES = {"host.silent": 4, "host.clock_off": 3, "host.renamed": 1}


class HostRoll:
    """All that can happen to hosts. Its methods run within a transaction of the writer."""

    def __init__(self, clock: Clock, ingest: Ingest, slug_of: Callable[[int], str]) -> None:
        self._clock, self._ingest, self._slug_of = clock, ingest, slug_of
        self._looked_at: int | None = None  # by this process

    # An agent sends something.

    def hear(self, tx: Tx, site_id: int, card: Card) -> None:
        """Notes that a host is there. One above the limit is not noted; what it sends is taken all the same."""
        now = self._clock.now()
        known = store.lock_name(tx, site_id, card.host)
        if known is None and store.count(tx.sql) >= MOST:
            return
        decision = rules.heard(known, new_id(now), site_id, card, now)
        if known is None and decision.host is not None:
            store.add(tx, decision.host)
            self._tell(tx, decision.host, decision.news, now)
        else:
            self._carry_out(tx, known, decision, now)

    # Time passes.

    def asks(self, now: int) -> Question | None:
        """What tells whether there is something to decide; None: there is."""
        if self._was_away(now) is not None:
            return None
        self.note_look(now)
        return store.is_any_due(now)

    def expire(self, tx: Tx) -> int:
        """Tells of hosts that are silent; how many were looked at. Called again until it is none."""
        now = self._clock.now()
        away = self._was_away(now)
        if away is not None:
            for host_id in store.expected(tx.sql):
                host = store.lock(tx, host_id)
                if host is not None:
                    store.save(tx, rules.after_absence(host, now, away))
        self.note_look(now)
        found = store.due(tx.sql, now, AT_ONCE)
        for host_id in found:
            host = store.lock(tx, host_id)
            if host is not None:
                self._carry_out(tx, host, rules.on_time(host, now, store.other_name(tx, host)), now)
        return len(found)

    def note_look(self, now: int) -> None:
        """Somebody looks, and whoever reports is heard."""
        self._looked_at = now

    def _was_away(self, now: int) -> int | None:
        """For how long nobody has looked, if it is too long; at the start of a process that is not known, and the longest counts."""
        if self._looked_at is None:
            return LONGEST_PAUSE
        gap = now - self._looked_at
        return gap if gap > ABSENT else None

    # Somebody changes something.

    def pause(self, tx: Tx, who: Who, host_id: str, *, paused: bool) -> Host:
        """Has nothing told of a host, or everything again. Raises `NotFound`."""
        now = self._clock.now()
        old = self._locked(tx, host_id)
        decision = (rules.pause if paused else rules.resume)(old, now)
        before, after = {"paused": old.status is Status.PAUSED}, {"paused": paused}
        audit.record_change(tx, who, "host.changed", f"host:{old.name}", now, before=before, after=after, site_id=old.site_id)
        self._carry_out(tx, old, decision, now)
        return decision.host or old

    def remove(self, tx: Tx, who: Who, host_id: str) -> None:
        """Takes a host from the roll; if its agent reports again, it is there again. Raises `NotFound`."""
        now = self._clock.now()
        old = self._locked(tx, host_id)
        self._carry_out(tx, old, rules.removed(old), now)
        audit.record(tx, who, "host.removed", f"host:{old.name}", now, before={"name": old.name}, site_id=old.site_id)

    def _locked(self, tx: Tx, host_id: str) -> Host:
        found = store.lock(tx, host_id)
        if found is None:
            raise NotFound(f"there is no host {host_id[:40]}")
        return found

    # New ones are let in.

    def make_token(self, tx: Tx, who: Who, site_id: int) -> tuple[Token, str]:
        """What a new server fetches a key with, once, within an hour: this is the only moment at which it is known."""
        now, secret = self._clock.now(), f"new_{secrets.token_urlsafe(24)}"
        store.tidy_tokens(tx, now - 24 * TOKEN_LASTS)
        token = Token(new_id(now), site_id, now, who.name, now + TOKEN_LASTS)
        store.add_token(tx, token, digest(secret))
        audit.record(tx, who, "host_token.made", f"host_token:{token.id}", now, site_id=site_id)
        return token, secret

    def register(self, tx: Tx, secret: str, host: str, address: str) -> NewKey:
        """A key of scope ingest for a new server, for the token's site. Raises `NotAllowed` if the token is not good."""
        now = self._clock.now()
        token = rules.check_token(store.find_token(tx, digest(secret)), now)
        store.use_token(tx, token.id, host, now)
        site = (token.site_id, self._slug_of(token.site_id))
        return identity.make_key(
            tx, Who(f"agent:{host}", address), cut(f"agent of {host}", 100), frozenset({Scope.INGEST}), site, None, now
        )

    # In the transaction of what was decided.

    def _carry_out(self, tx: Tx, before: Host | None, decision: Decision, now: int) -> None:
        if decision.host is not None:
            store.save(tx, decision.host)
        elif before is not None:
            store.remove(tx, before.id)
        host = decision.host or before
        if host is not None:
            self._tell(tx, host, decision.news, now)

    def _tell(self, tx: Tx, host: Host, told: tuple[News, ...], now: int) -> None:
        if told:
            site = self._slug_of(host.site_id)
            self._ingest.take(tx, [Batch([Incoming(_event(host, news), site, now) for news in told], None, None)])


def _event(host: Host, news: News) -> EventInput:
    return EventInput(
        type=news.told.value,
        status=news.status,  # type: ignore[arg-type]  # one of the three
        severity=SEVERITIES[news.told],
        title=cut(news.title, 200),
        message=news.message or None,
        host=host.name,
        dedup_key=None if news.status == "info" else f"{news.told.value}|host:{host.id}",
    )


def digest(secret: str) -> str:
    """What is stored of a token. Plain SHA-256 is enough: 192 random bits cannot be tried through."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
