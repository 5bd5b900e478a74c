"""How fast one contact may be written to (N6). What is over the rate waits and is bundled, never dropped.

Three budgets for each contact: the ordinary one; one message a minute for each site, so that a quiet site's first
alert overtakes another's storm; a reserve for critical alerts.

Before that, what has one cause is grouped: of the messages of one kind about alerts of one type at one site, the first
leaves at once, and those that follow within a few seconds wait for each other and leave as one.

And what one person gets is counted over all their contacts: while much begins at once, a further cause is told on their
quickest contact alone, and then waits like one more of the same cause.

All of it is kept in memory; after a restart it is worked out from what the outbox says (`Limits.recall`).
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tocsin.core.clock import MINUTE
from tocsin.core.severity import Severity
from tocsin.notify.rules import Choice, Departure, Said, Waiting, cause_of

CRITICAL_RESERVE = 5
MAX_SITES = 10_000
MAX_GROUPS = 20_000
MAX_RUSHES = 20_000
AT_ONCE = 4  # messages to one person, on all contacts together, before what else begins has to wait
STORM = 5  # messages that waited for each other: if there were so many, more are likely, and the next group is longer
LONGER = (1, 6, 30)  # times the first wait
STORM_LASTS = MINUTE  # after the last group of a storm has left


class Bucket:
    """A token bucket: *capacity* at once, *per_minute* lasting. Time is handed in, in milliseconds."""

    __slots__ = ("at", "capacity", "per_minute", "tokens")

    def __init__(self, capacity: int, per_minute: float, now: int) -> None:
        self.capacity, self.per_minute = capacity, per_minute
        self.tokens, self.at = float(capacity), now

    def refill(self, now: int) -> float:
        """The tokens at *now*."""
        if now > self.at:
            self.tokens = min(self.capacity, self.tokens + (now - self.at) * self.per_minute / MINUTE)
            self.at = now
        return self.tokens

    def take(self, now: int) -> bool:
        """Takes one token if there is one."""
        if self.refill(now) < 1:
            return False
        self.tokens -= 1
        return True

    @classmethod
    def recalled(cls, capacity: int, per_minute: float, now: int) -> "Bucket":
        """One that is full at *now* if nothing is taken from it before: what it held earlier is not known, and taken to be nothing."""
        bucket = cls(capacity, per_minute, now - math.ceil(capacity * MINUTE / per_minute))
        bucket.tokens = 0.0
        return bucket

    def note(self, at: int) -> None:
        """Takes a token for something that left at the moment *at*, if there was one."""
        self.tokens = max(0.0, self.refill(at) - 1)


class Group:
    """Messages that wait for each other until ``until``: how many there are, and how long a group it is."""

    __slots__ = ("held", "length", "until")

    def __init__(self, until: int) -> None:
        self.until, self.held, self.length = until, 0, 0

    def goes_on(self, wait: int, now: int) -> bool:
        """Whether a message at *now* still belongs to it: it waits, or was so large that it is followed by a longer one."""
        if now < self.until:
            return True
        longer = wait * LONGER[min(self.length + 1, len(LONGER) - 1)]
        if self.held < STORM or now >= self.until + longer:
            return False
        self.until, self.held, self.length = now + longer, 0, self.length + 1
        return True


class Rush:
    """What one person was told at once of late, and how much waits: whether they are in a storm."""

    __slots__ = ("at_once", "held", "sites", "storm_until", "until")

    def __init__(self) -> None:
        self.until = self.storm_until = self.at_once = self.held = 0
        self.sites: set[int] = set()

    def at(self, wait: int, now: int) -> "Rush":
        """The same at *now*: counting begins anew when *wait* has passed since its beginning; in a storm there is less room."""
        if not self.until - wait <= now < self.until:
            self.until, self.at_once, self.held = now + wait, AT_ONCE - 1 if now < self.storm_until else 0, 0
            self.sites.clear()
        return self

    def admit(self, site_id: int, wanted: int) -> int:
        """On how many of the *wanted* contacts, the quickest first, the person is told now of something that begins.

        The first thing goes to all of them; so do others while there is room. Then one is told on the quickest contact, and
        a site of which nothing was heard yet always is: it must not stand behind another's storm.
        """
        if self.at_once and self.at_once + wanted > AT_ONCE:
            wanted = min(wanted, 1) if self.at_once < AT_ONCE or site_id not in self.sites else 0
        self.at_once += wanted
        self.sites.add(site_id)
        return wanted

    def hold(self, until: int) -> None:
        """One more thing waits until *until*; many are a storm."""
        self.held += 1
        if self.held >= STORM:
            self.storm_until = max(self.storm_until, until + STORM_LASTS)


class Limits:
    """The budgets of all contacts of this node. Used by the writer's thread and the event loop. *wait*: of a group, in milliseconds."""

    def __init__(self, burst: int, per_minute: int, wait: int = 0) -> None:
        self._burst, self._per_minute, self._wait = burst, per_minute, wait
        self._groups: dict[tuple[str, int, str], Group] = {}
        self._rushes: dict[str, Rush] = {}
        self._grouped: dict[tuple[str, int], int] = {}  # how many have been held and not chosen yet
        self._ordinary: dict[str, Bucket] = {}
        self._critical: dict[str, Bucket] = {}
        self._sites: dict[tuple[str, int], Bucket] = {}
        self._lock = threading.Lock()

    @property
    def reach(self) -> int:
        """How long what was said matters to what may be said, in milliseconds."""
        return max(CRITICAL_RESERVE * MINUTE, 2 * LONGER[-1] * self._wait)

    def recall(self, left: Iterable[Departure], said: Sequence[Said], whose: Callable[[str], str | None], now: int) -> None:
        """What an earlier life of this node had told and held back: a restart in a storm is no reason to tell it anew.

        *whose*: the person of a contact; None: a program's, or gone.
        """
        with self._lock:
            for one in left:
                self._recall_departure(one, now)
            if self._wait:
                self._recall_groups([(one, person) for one in said if (person := whose(one.contact_id))], now)

    def _recall_departure(self, one: Departure, now: int) -> None:
        """It is not known which budget it was taken from: it counts in each, so that there is never more than there was."""
        self._sites.setdefault((one.contact_id, one.site_id), Bucket.recalled(1, 1, now)).note(one.at)
        self._ordinary.setdefault(one.contact_id, Bucket.recalled(self._burst, self._per_minute, now)).note(one.at)
        if one.severity >= Severity.CRITICAL:
            self._critical.setdefault(one.contact_id, Bucket.recalled(CRITICAL_RESERVE, 1, now)).note(one.at)

    def _recall_groups(self, said: Sequence[tuple[Said, str]], now: int) -> None:
        together: Counter[tuple[str, str, str | None]] = Counter()
        for one, person in said:
            cause = cause_of(one.kind, one.type)
            if not cause:
                continue
            self._groups[one.contact_id, one.site_id, cause] = self._recalled(one)
            if one.waits:
                self._grouped[one.contact_id, one.site_id] = self._grouped.get((one.contact_id, one.site_id), 0) + one.count
            rush = self._rushes.setdefault(person, Rush())
            if not one.together and one.at > now - self._wait:
                rush.until = min(rush.until or now + self._wait, one.at + self._wait)
                rush.at_once += one.count
                rush.sites.add(one.site_id)
            elif one.together:
                together[person, one.contact_id, one.digest_id] += one.count
                if together[person, one.contact_id, one.digest_id] >= STORM:
                    rush.storm_until = max(rush.storm_until, one.at + STORM_LASTS)

    def _recalled(self, one: Said) -> Group:
        if not one.together:
            return Group(one.at + self._wait)
        group = Group(one.at)
        group.held = one.count
        group.length = min(range(len(LONGER)), key=lambda length: abs(one.at - one.born - self._wait * LONGER[length]))
        return group

    def take(self, contact_id: str, site_id: int, severity: int, now: int) -> bool:
        """Whether one message may leave now; if so it is counted."""
        with self._lock:
            return self._take(contact_id, site_id, severity, now)

    def hold(self, person: str, contacts: Sequence[str], site_id: int, cause: str, now: int) -> dict[str, int]:
        """Something is to be said to a *person*, on these *contacts*, the quickest first: which of them must wait for others
        of the same *cause*, and until when.
        """
        if not self._wait:
            return {}
        with self._lock:
            new, waits = [], {}
            for contact_id in contacts:
                place = (contact_id, site_id, cause)
                if self._begins(place, now):
                    new.append(place)
                else:
                    waits[contact_id] = self._join(place)
            rush = self._rush(person, now)
            for place in new[rush.admit(site_id, len(new)) if new else 0 :]:
                self._groups[place].until = rush.until
                waits[place[0]] = self._join(place)
            if waits:
                rush.hold(max(waits.values()))
            return waits

    def in_storm(self, person: str, now: int) -> bool:
        """Whether so much is said to *person* that each thing is said on one contact only."""
        with self._lock:
            rush = self._rushes.get(person)
            return rush is not None and now < rush.storm_until

    def _begins(self, place: tuple[str, int, str], now: int) -> bool:
        """Whether a message at *now* is the first of its group, which then begins."""
        group = self._groups.get(place)
        if group is not None and group.goes_on(self._wait, now):
            return False
        if len(self._groups) >= MAX_GROUPS:
            self._groups.clear()
        self._groups[place] = Group(now + self._wait)
        return True

    def _join(self, place: tuple[str, int, str]) -> int:
        """One more message waits for the end of a group; when that is."""
        group = self._groups[place]
        group.held += 1
        self._grouped[place[:2]] = self._grouped.get(place[:2], 0) + 1
        return group.until

    def _rush(self, person: str, now: int) -> Rush:
        rush = self._rushes.get(person)
        if rush is None:
            if len(self._rushes) >= MAX_RUSHES:
                self._rushes.clear()
            rush = self._rushes[person] = Rush()
        return rush.at(self._wait, now)

    def choose(self, waiting: Iterable[Waiting], now: int) -> list[Choice]:
        """What leaves now of all that is due, the loudest first. Each single and each digest is counted."""
        with self._lock:
            return [self._choose(group, now) for group in sorted(waiting, key=lambda w: -w.loudest)]

    def _choose(self, group: Waiting, now: int) -> Choice:
        if group.count > 1 and self._grouped.get((group.contact_id, group.site_id), 0) > 1:
            return self._choose_one(group, now)
        ordinary = self._bucket(group.contact_id, now)
        fits = group.count <= ordinary.refill(now)
        singles = 0
        while singles < group.count and self._take(group.contact_id, group.site_id, group.loudest, now, ordinary=fits):
            singles += 1
        rest = group.count - singles
        return Choice(group.contact_id, group.site_id, singles, digest=rest > 0 and ordinary.take(now))

    def _choose_one(self, group: Waiting, now: int) -> Choice:
        """What has waited for each other leaves as one."""
        leaves = self._take(group.contact_id, group.site_id, group.loudest, now)
        if leaves:
            del self._grouped[group.contact_id, group.site_id]
        return Choice(group.contact_id, group.site_id, 0, digest=leaves)

    def _take(self, contact_id: str, site_id: int, severity: int, now: int, *, ordinary: bool = True) -> bool:
        if self._site(contact_id, site_id, now).take(now):
            return True
        if ordinary and self._bucket(contact_id, now).take(now):
            return True
        return severity >= Severity.CRITICAL and self._reserve(contact_id, now).take(now)

    def _bucket(self, contact_id: str, now: int) -> Bucket:
        bucket = self._ordinary.get(contact_id)
        if bucket is None:
            bucket = self._ordinary[contact_id] = Bucket(self._burst, self._per_minute, now)
        return bucket

    def _reserve(self, contact_id: str, now: int) -> Bucket:
        bucket = self._critical.get(contact_id)
        if bucket is None:
            bucket = self._critical[contact_id] = Bucket(CRITICAL_RESERVE, 1, now)
        return bucket

    def _site(self, contact_id: str, site_id: int, now: int) -> Bucket:
        bucket = self._sites.get((contact_id, site_id))
        if bucket is None:
            if len(self._sites) >= MAX_SITES:
                self._sites.clear()
            bucket = self._sites[contact_id, site_id] = Bucket(1, 1, now)
        return bucket
