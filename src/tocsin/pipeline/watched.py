"""Checks and the events that follow from them, in one transaction: what people decide, and what looks find (M2, M3)."""

from collections.abc import Callable, Collection, Sequence

import msgspec

from tocsin.alerts import store as alert_store
from tocsin.audit.model import Who
from tocsin.checks import service, store, votes
from tocsin.checks.model import SERVER, Check, Definition, Errand, Finding, Level, Report, Tell
from tocsin.checks.service import Looked, Recorded, Sites
from tocsin.core.clock import Clock
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.core.text import cut
from tocsin.db.writer import Tx
from tocsin.events.model import EventInput, Incoming
from tocsin.events.sites import SiteBook
from tocsin.hosts import store as host_store
from tocsin.metrics.model import Sample
from tocsin.metrics.service import History
from tocsin.muting.book import MuteBook
from tocsin.muting.model import Labels, MuteKind
from tocsin.pipeline.ingest import Batch, Ingest

OWN_NETWORK = "tocsin.own_network"
OWN_SITE = "main"


class CheckDesk:
    """Everything about checks that is written. One instance serves all writer threads."""

    def __init__(self, clock: Clock, sites: SiteBook, mutes: MuteBook, ingest: Ingest, history: History, first_warning_days: int) -> None:
        self._clock, self._sites, self._mutes, self._ingest, self._history = clock, sites, mutes, ingest, history
        self._first_warning_days = first_warning_days

    # What people decide. Each is work for `Writer.run`.

    def add(self, who: Who, site_id: int, definition: Definition, *, is_paused: bool = False) -> Callable[[Tx], Check]:
        """A new check. Raises `InvalidInput`, `Conflict`."""

        def work(tx: Tx) -> Check:
            check_hosts(tx, site_id, definition, ())
            return service.add(tx, who, site_id, definition, self._clock.now(), is_paused=is_paused)

        return work

    def change(self, who: Who, check_id: str, sites: Sites, edit: Callable[[Check], tuple[Definition, bool]]) -> Callable[[Tx], Check]:
        """Another definition, or a pause: what *edit* makes of the check as it is. Raises `NotFound`, `InvalidInput`."""

        def work(tx: Tx) -> Check:
            check = service.find(tx.sql, check_id, sites, lock=True)
            definition, is_paused = edit(check)
            check_hosts(tx, check.site_id, definition, check.definition.hosts)
            new, tells = service.change(tx, who, check, definition, self._clock.now(), is_paused=is_paused)
            self._tell(tx, [(check, tell) for tell in tells])
            return new

        return work

    def remove(self, who: Who, check_id: str, sites: Sites) -> Callable[[Tx], None]:
        """Takes a check away. Raises `NotFound`."""

        def work(tx: Tx) -> None:
            check = service.find(tx.sql, check_id, sites, lock=True)
            self._tell(tx, [(check, tell) for tell in service.remove(tx, who, check, self._clock.now())])

        return work

    # What agents find.

    def take_reports(self, tx: Tx, site_id: int, host: str, found: Sequence[tuple[Report, Finding]]) -> list[Errand]:
        """Keeps what the agent of a host found; what it is to look at next. A report that nobody asked for counts for nothing."""
        now = self._clock.now()
        asked = {check.id: check for check, _ in store.asked_from(tx.sql, site_id, host)}
        # In the order of the checks' ids, as `record` goes, so that two transactions never wait for each other's rows.
        for report, finding in sorted(found, key=lambda pair: pair[0].check):
            check = asked.get(report.check)
            if check is not None:
                service.cast_vote(tx, check, host, report.mark, finding, now - report.age_ms)
        return [votes.errand(check.id, check.definition, vote, now) for check, vote in store.asked_from(tx.sql, site_id, host)]

    # What looks find.

    def claim(self, until: int, most: int) -> Callable[[Tx], list[Check]]:
        """The checks that this process is to look at."""
        return lambda tx: store.claim(tx, self._clock.now(), until, most)

    def record(self, tx: Tx, looks: Sequence[Looked]) -> list[Recorded | None]:
        """A group for `Writer.submit`: looks that have ended, each with the events that follow."""
        now = self._clock.now()
        # In the order of their ids, so that two transactions never wait for each other's rows.
        places = sorted(range(len(looks)), key=lambda place: looks[place].check.id)
        recorded: list[Recorded | None] = [None] * len(looks)
        told: list[tuple[Check, Tell]] = []
        samples: list[Sample] = []
        for place in places:
            look = msgspec.structs.replace(looks[place], in_maintenance=self._is_in_maintenance(looks[place].check, now))
            recorded[place] = one = service.record(tx, look, now, self._first_warning_days)
            if one is not None:
                told += [(one.check, tell) for tell in one.verdict.tells]
                samples += _samples(one.check, one.found)
        self._tell(tx, told)
        if samples:
            self._history.record(tx, samples, now)
        return recorded

    def _is_in_maintenance(self, check: Check, now: int) -> bool:
        labels = Labels(
            self._sites.slug_of(check.site_id), "check.down", check.definition.severity, check.definition.place, subject_of(check), None
        )
        reason = self._mutes.at(now).why(labels)
        return reason is not None and reason.kind is MuteKind.MAINTENANCE

    def _tell(self, tx: Tx, told: Sequence[tuple[Check, Tell]]) -> None:
        if told:
            now = self._clock.now()
            members: list[Incoming] = [Incoming(_event(check, tell), self._sites.slug_of(check.site_id), now) for check, tell in told]
            self._ingest.take(tx, [Batch(list(members), None, None)])

    def note_network(self, lost: str) -> Callable[[Tx], None]:
        """One alert about ourselves while something of our own network is *lost*, in words; its end when nothing is."""

        def work(tx: Tx) -> None:
            site = self._sites.get(OWN_SITE)
            if not lost and not alert_store.unresolved(tx, site.id, [OWN_NETWORK]):
                return
            event = EventInput(
                type=OWN_NETWORK,
                severity=4 if lost else 1,
                status="problem" if lost else "recovery",
                title="Tocsin's own network is down: checks say nothing" if lost else "Tocsin's own network works again",
                message=f"{cut(lost, 1_000)}. Checks are unknown meanwhile." if lost else None,
                subject="tocsin:network",
                dedup_key=OWN_NETWORK,
            )
            self._ingest.take(tx, [Batch([Incoming(event, site.slug, self._clock.now())], None, None)])

        return work


MOST_FROM = 200  # checks that one agent looks at


def check_hosts(tx: Tx, site_id: int, definition: Definition, known: Collection[str]) -> None:
    """Raises `InvalidInput` for a location that is no host of the site, and `Conflict` if its agent has too much to do already."""
    for place, name in enumerate(definition.locations):
        if name == SERVER or name in known:
            continue
        if host_store.lock_name(tx, site_id, name) is None:
            words = f"{cut(name, 60)!r} is no host of this site that an agent reports for; `tocsin hosts list` shows them"
            raise InvalidInput.of(f"locations[{place}]", words)
        if store.count_from(tx, site_id, name) >= MOST_FROM:
            raise Conflict(f"{name} looks at {MOST_FROM} checks already: choose another location")


def subject_of(check: Check) -> str:
    """What events of a check are about."""
    return f"check:{check.id}"


def _samples(check: Check, found: Finding) -> list[Sample]:
    """How long an answer took; what failed has no such time. A database's query has one of its own."""
    if found.level in (None, Level.FAILED) or found.ms is None:
        return []
    at, host, labels = check.last_at or 0, check.definition.place, (("check", check.id), ("kind", check.definition.kind))
    took = [Sample(check.site_id, "response_ms", at, found.ms, host, labels)]
    if check.definition.kind == "database" and "query" in found.phases:
        took.append(Sample(check.site_id, "db_query_ms", at, found.phases["query"], host, labels))
    return took


def _event(check: Check, tell: Tell) -> EventInput:
    definition = check.definition
    attributes = {
        "check": definition.name,
        "kind": definition.kind,
        "group": definition.group,
        "cause": check.last_cause,
        "ms": check.last_ms,
    }
    return EventInput(
        type=tell.type,
        severity=tell.severity,
        status=tell.status,
        title=tell.title,
        message=cut(tell.message, 4_000) or None,
        subject=subject_of(check),
        host=definition.place,
        attributes=msgspec.Raw(msgspec.json.encode({name: value for name, value in attributes.items() if value is not None})),
        dedup_key=f"{tell.about}|{check.id}",
    )
