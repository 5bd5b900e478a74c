"""The hot path: a batch of events becomes rows, alerts, history and messages, in one transaction (design: docs/explanation/hot-path.md)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import repeat

import msgspec

from tocsin.alerts import flaps, rules, store as alert_store
from tocsin.alerts.holds import ruled
from tocsin.alerts.model import Alert, AlertChange, Policy
from tocsin.core.clock import Clock
from tocsin.core.ids import new_ids
from tocsin.db.writer import Tx
from tocsin.events import sites, store as event_store
from tocsin.events.catalogue.model import Description
from tocsin.events.catalogue.rules import Catalogue
from tocsin.events.model import Event, Incoming, Rejected, Sequence as Numbering
from tocsin.events.rules import dedup_key, note_sequence
from tocsin.events.sites import Site, SiteBook
from tocsin.notify.announce import Announcer
from tocsin.ruling.book import RuleBook
from tocsin.ruling.model import FiguresOf, Ruling
from tocsin.ruling.rules import Ruled

Listener = Callable[[Tx, Sequence[Event], int], None]


class Batch(msgspec.Struct, frozen=True, gc=False):
    """One request's events: ``site`` is the key's own, ``skew`` the sender's clock minus ours in milliseconds, if known."""

    members: list[Incoming | Rejected]
    site: str | None
    key_id: str | None
    skew: int | None = None


class Taken(msgspec.Struct, frozen=True):
    """What became of a batch: an id for each input, None where it was rejected."""

    ids: list[str | None]
    accepted: int
    duplicates: int


class Ingest:
    """Takes batches. One instance serves all writer threads; it holds no state of its own."""

    def __init__(
        self, clock: Clock, site_book: SiteBook, rule_book: RuleBook, figures_of: FiguresOf, announcer: Announcer, policy: Policy
    ) -> None:
        self._clock = clock
        self._sites = site_book
        self._rules, self._figures_of = rule_book, figures_of
        self._announcer = announcer
        self._policy = policy
        self._listeners: dict[str, Listener] = {}

    def listen(self, event_type: str, listener: Listener) -> None:
        """Has *listener* hear of events of a type as they are stored, in the same transaction."""
        self._listeners[event_type] = listener

    def take(self, tx: Tx, batches: Sequence[Batch]) -> list[Taken]:
        """A group for `Writer.submit`: all *batches* together, each answered by itself."""
        now = self._clock.now()
        fresh = new_ids(now, sum(len(batch.members) for batch in batches))
        work = _Work(fresh, self._site_finder(tx, now), _known_ids(tx, batches))
        taken = [work.describe(batch) for batch in batches]
        changes = _Fold(tx, self._policy, now).apply(work.events, self._ruled(work, now))
        with tx.pipeline():
            event_store.add(tx, changes.rows)
            alert_store.save(tx, self._announcer.announce(tx, changes.decided, now))
        for event_type, listener in self._listeners.items():
            heard = [event for event in work.events if event.type == event_type]
            if heard:
                listener(tx, heard, now)
        _note_numbers(tx, work.numbers, work.skews, now)
        for batch, answer in zip(batches, taken, strict=True):
            if None in answer.ids:
                self._keep_rejected(tx, batch, now)
        return taken

    def _ruled(self, work: "_Work", now: int) -> list[Ruled] | None:
        """Each event as the rules made it; None if there are none."""
        rules = self._rules.current
        if not rules:
            return None
        return [rules.rule(event, site, now, self._figures_of) for event, site in zip(work.events, work.sites, strict=True)]

    def _site_finder(self, tx: Tx, now: int) -> Callable[[str], Site]:
        made = SiteBook()  # of this transaction: a site that is rolled back must not be remembered

        def find(slug: str) -> Site:
            site = self._sites.find(slug) or made.find(slug)
            if site is None:
                sites.ensure(tx, slug, now)
                made.load(tx.sql)
                tx.after_commit(lambda: self._sites.adopt(made))
                site = made.get(slug)
            return site

        return find

    def _keep_rejected(self, tx: Tx, batch: Batch, now: int) -> None:
        rejected = [member for member in batch.members if isinstance(member, Rejected)]
        site = self._sites.find(batch.site or "main")
        event_store.quarantine(tx, rejected, site.id if site else None, batch.key_id, now)


def _known_ids(tx: Tx, batches: Sequence[Batch]) -> set[str]:
    sent = [m.input.id.lower() for b in batches for m in b.members if isinstance(m, Incoming) and m.input.id is not None]
    return event_store.known_ids(tx, sent)


class _Work:
    """Describes the events of all batches and sorts out what came before."""

    def __init__(self, fresh: Sequence[str], find_site: Callable[[str], Site], known: set[str]) -> None:
        """*fresh*: ids for all that was sent without one. *known*: ids that are stored already."""
        self._fresh, self._find_site, self._known = iter(fresh), find_site, known
        self.events: list[Event] = []
        self.sites: list[str] = []  # of each event
        self.numbers: dict[tuple[int, str], list[int]] = {}
        self.skews: dict[tuple[int, str], int] = {}

    def describe(self, batch: Batch) -> Taken:
        ids: list[str | None] = []
        duplicates = 0
        for member in batch.members:
            if isinstance(member, Rejected):
                ids.append(None)
                continue
            sent = member.input.id
            event_id = next(self._fresh) if sent is None else sent.lower()
            ids.append(event_id)
            if sent is not None:
                if event_id in self._known:
                    duplicates += 1
                    continue
                self._known.add(event_id)
            site = self._find_site(member.site)
            self.events.append(describe(member, event_id, site))
            self.sites.append(member.site)
            if member.input.source is not None and member.input.sequence is not None:
                self._note(site.id, member.input.source, member.input.sequence, batch.skew)
        return Taken(ids, len(batch.members) - duplicates - ids.count(None), duplicates)

    def _note(self, site_id: int, source: str, sequence: int, skew: int | None) -> None:
        self.numbers.setdefault((site_id, source), []).append(sequence)
        if skew is not None:
            self.skews[site_id, source] = skew


def describe(member: Incoming, event_id: str, site: Site) -> Event:
    """The event with everything that its sender left to the catalogue; what the sender said wins."""
    sent = member.input
    raw = bytes(sent.attributes)
    said = (sent.type, raw, sent.message, sent.host, sent.subject, sent.severity, sent.status, sent.title, sent.dedup_key)
    short = len(raw) + len(sent.message or "") <= _REMEMBERED_LENGTH
    found, key, ends = (_understood if short else _understand)(site.catalogue, *said)
    return Event(
        event_id,
        site.id,
        found.type,
        member.occurred_at,
        found.severity,
        found.status,
        found.title,
        sent.message,
        found.subject,
        sent.host,
        raw.decode() if raw and raw != b"null" else None,
        key,
        ends,
        sent.source,
        sent.sequence,
    )


def _understand(
    catalogue: Catalogue,
    event_type: str,
    raw: bytes,
    message: str | None,
    host: str | None,
    subject: str | None,
    severity: int | None,
    status: str | None,
    title: str | None,
    dedup_key: str | None,
) -> tuple[Description, str | None, tuple[str, ...]]:
    """What was sent, described; the key of its own problem, and the keys of those that it ends."""
    known = catalogue.get(event_type) is not None
    values = msgspec.json.decode(raw) if known and raw and raw != b"null" else None
    found = catalogue.describe(event_type, values, message, host, subject, title or None)
    if severity is not None or status is not None:
        found = found.given(severity, status)
    return found, *_keys(found, host, dedup_key)


_understood = lru_cache(maxsize=1024)(_understand)  # what repeats has been understood before
_REMEMBERED_LENGTH = 1024


def _keys(found: Description, host: str | None, given: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The key of the event's own problem, and the keys of those that it ends."""
    ends = tuple([dedup_key(problem, found.recovery_subject, host) for problem in found.recovers]) if found.recovers else ()
    if given:
        return given, (given, *ends) if found.status == "recovery" else ends
    if found.status == "recovery":
        return ends[-1] if ends else None, ends
    return dedup_key(found.problem, found.subject, host), ends


class _Fold:
    """Applies events to alerts one after the other, in memory; every alert is read and written once."""

    def __init__(self, tx: Tx, policy: Policy, now: int) -> None:
        self._tx, self._policy, self._now = tx, policy, now
        self._open: dict[tuple[int, str], Alert] = {}
        self._previous: dict[tuple[int, str], Alert] = {}
        self._repeats: dict[tuple[int, str], list[Event]] = {}
        self._changes: dict[int, AlertChange] = {}
        self._numbers = _Numbers(tx, now)
        self.rows: list[tuple[object, ...]] = []

    @property
    def decided(self) -> list[AlertChange]:
        """One change per alert, all its steps together."""
        return list(self._changes.values())

    def apply(self, came: Sequence[Event], ruled: Sequence[Ruled] | None) -> "_Fold":
        """*ruled*: what the rules made of each event that *came*; None: there are none."""
        events = came if ruled is None else [one.event for one in ruled]
        rulings = repeat(None) if ruled is None else [one.ruling for one in ruled]
        self._load(events)
        if not self._open:
            self._tx.next_may_begin()  # nothing that is open changes: the next batch has none of these rows to wait for
        now = self._now
        for original, event, ruling in zip(came, events, rulings, strict=False):
            number = self._end(event) if event.ends else None
            if event.status == "problem":
                number = self._problem(event, ruling)
            self.rows.append(event_store.row_of(original, now, number))
        for place in list(self._repeats):
            self._count(place)
        return self

    def _load(self, events: Sequence[Event]) -> None:
        wanted: dict[int, set[str]] = {}
        for event in events:
            if event.status == "problem" and event.dedup_key is not None:
                wanted.setdefault(event.site_id, set()).add(event.dedup_key)
            if event.ends:
                wanted.setdefault(event.site_id, set()).update(event.ends)
        for site_id, keys in wanted.items():
            # In key order, so that two transactions never wait for each other's alerts.
            for alert in alert_store.unresolved(self._tx, site_id, sorted(keys)):
                self._open[site_id, alert.dedup_key] = alert
                keys.discard(alert.dedup_key)
            for alert in alert_store.last_resolved(self._tx, site_id, keys):
                self._previous[site_id, alert.dedup_key] = alert
            self._numbers.expect(len(keys))

    def _problem(self, event: Event, ruling: Ruling | None) -> int:
        place = (event.site_id, event.dedup_key or "")
        alert = self._open.get(place)
        if alert is not None and event.severity <= alert.severity and alert.hold is None and alert.flap is None:
            self._repeats.setdefault(place, []).append(event)
            return alert.number
        alert = self._count(place)
        if alert is not None:
            change = flaps.is_there(rules.apply_problem(alert, event, self._now), self._now)
        else:
            previous = self._previous.get(place)
            change = rules.open_alert(event, previous, self._numbers.next, self._policy, self._now)
            if previous is not None:
                change = flaps.came_back(change, previous, self._now)
        if ruling is not None or change.alert.hold is not None:
            change = ruled(change, alert, event, ruling, self._now)
        if change.alert.hold is not None or change.alert.flap is not None or change.alert.noise_at is not None:
            change = flaps.scheduled(change)
        self._open[place] = change.alert
        self._note(change)
        return change.alert.number

    def _count(self, place: tuple[int, str]) -> Alert | None:
        """The alert of *place*, if there is one, with the repeats that have not been counted yet."""
        events = self._repeats.pop(place, None)
        if events:
            change = rules.repeat(self._open[place], events)
            self._open[place] = change.alert
            self._note(change)
        return self._open.get(place)

    def _end(self, event: Event) -> int | None:
        """Resolves what *event* shows to be over; the number of an alert that it resolved."""
        number = None
        for key in event.ends:
            place = (event.site_id, key)
            alert = self._count(place)
            if alert is not None and flaps.is_flapping(alert):
                change = flaps.scheduled(flaps.went_away(alert, self._now))
                self._open[place] = change.alert
                self._note(change)
                number = alert.number
            elif alert is not None:
                del self._open[place]
                change = rules.apply_recovery(alert, event, self._now)
                self._previous[place] = change.alert
                self._note(change)
                number = alert.number
        return number

    def _note(self, change: AlertChange) -> None:
        number = change.alert.number
        earlier = self._changes.get(number)
        self._changes[number] = change if earlier is None else rules.merge(earlier, change)


class _Numbers:
    """New alerts' numbers and ids, fetched together for as many alerts as are likely to be opened."""

    def __init__(self, tx: Tx, now: int) -> None:
        self._tx, self._now = tx, now
        self._expected = 0
        self._fetched: Iterator[tuple[int, str]] = iter(())

    def expect(self, count: int) -> None:
        """So many more are likely."""
        self._expected += count

    def next(self) -> tuple[int, str]:
        """A number and an id never used before."""
        found = next(self._fetched, None)
        if found is None:
            count, self._expected = max(1, self._expected), 0
            self._fetched = iter(list(zip(alert_store.next_numbers(self._tx, count), new_ids(self._now, count), strict=True)))
            found = next(self._fetched)
        return found


def _note_numbers(tx: Tx, numbers: Mapping[tuple[int, str], list[int]], skews: Mapping[tuple[int, str], int], now: int) -> None:
    """Each source's numbering, brought up to date (E4)."""
    by_site: dict[int, list[str]] = {}
    for site_id, source in numbers:
        by_site.setdefault(site_id, []).append(source)
    noted: list[Numbering] = []
    for site_id, sources in by_site.items():
        known = event_store.numberings(tx, site_id, sorted(sources))
        for source in sources:
            place = (site_id, source)
            noted.append(note_sequence(known.get(source), site_id, source, numbers[place], skews.get(place), now))
    event_store.save_numberings(tx, noted)
