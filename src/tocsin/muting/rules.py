"""What may be made, and what is quiet: decisions about silences, maintenance windows and dependencies."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core import editions
from tocsin.core.clock import DAY, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.core.text import cut
from tocsin.core.times import to_datetime, to_text
from tocsin.core.zones import is_zone
from tocsin.muting.matching import TOGETHER, Conditions, Predicate, any_of, predicate
from tocsin.muting.model import Dependency, Labels, Maintenance, Matcher, Matchers, MuteKind, MuteReason, Op, Silence, Standing, Window
from tocsin.muting.recurrence import HORIZON, Recurring, next_windows, read_rule, windows

MAX_LENGTH = 90 * DAY  # no silence for ever
MAX_AHEAD = 366 * DAY
MIN_LENGTH = MINUTE
LONGEST_NOTICE = 30 * MINUTE  # before its end the maker of a silence is told, or a quarter of its length
REACH = 2_000 * DAY  # no moment farther away is looked at any closer

Planned = Silence | Maintenance


# --- What may be made ------------------------------------------------------------------------------------------------


def check_silence(silence: Silence, now: int) -> None:
    """Raises `InvalidInput` for one that matches all, never ends, or makes no sense at *now*."""
    Conditions(silence.matchers)
    _check_reach(silence, now)
    _check_times(silence, now)


def check_maintenance(maintenance: Maintenance, now: int) -> None:
    """The same for a maintenance; one with a rule must have a window to come, and a pause between any two."""
    Conditions(maintenance.matchers)
    if not is_zone(maintenance.time_zone):
        raise InvalidInput.of("time_zone", f"{maintenance.time_zone[:60]!r} is not known. Example: Europe/Berlin")
    _check_reach(maintenance, now)
    if maintenance.rrule is None:
        _check_times(maintenance, now)
        return
    _check_length(maintenance)
    if abs(maintenance.starts_at - now) > MAX_AHEAD:
        raise InvalidInput.of("starts_at", f"{to_text(maintenance.starts_at)} is more than a year away from now, {to_text(now)}")
    _check_pauses(Recurring(read_rule(maintenance.rrule), maintenance.time_zone, _first(maintenance)), now)


def _check_reach(planned: Planned, now: int) -> None:
    for name, moment in (("starts_at", planned.starts_at), ("ends_at", planned.ends_at)):
        if abs(moment - now) > REACH:
            raise InvalidInput.of(name, f"is years away from now, {to_text(now)}")


def _check_times(planned: Planned, now: int) -> None:
    _check_length(planned)
    if planned.ends_at <= now:
        raise InvalidInput.of("ends_at", f"{to_text(planned.ends_at)} is past; it is {to_text(now)}")
    if planned.starts_at > now + MAX_AHEAD:
        raise InvalidInput.of("starts_at", f"{to_text(planned.starts_at)} is more than a year ahead")


def _check_length(planned: Planned) -> None:
    length = planned.ends_at - planned.starts_at
    if length <= 0:
        raise InvalidInput.of("ends_at", f"{to_text(planned.ends_at)} is not after starts_at, {to_text(planned.starts_at)}")
    if length < MIN_LENGTH:
        raise InvalidInput.of("ends_at", "must be at least a minute after starts_at")
    if length > MAX_LENGTH:
        raise InvalidInput.of("ends_at", "is more than 90 days after starts_at; nothing is kept quiet for ever: extend it when it ends")


def _check_pauses(recurring: Recurring, now: int) -> None:
    coming = list(windows(recurring, now, now + 400 * DAY)) or next_windows(recurring, now, 1)
    if not coming:
        raise InvalidInput.of("rrule", f"has no window between {to_text(now)} and {to_text(now + HORIZON)}")
    for one, following in pairwise(coming):
        if following.starts_at <= one.ends_at:
            text = f"the window that starts at {to_text(one.starts_at)} would not be over when the next one starts"
            raise InvalidInput.of("ends_at", f"{text}, at {to_text(following.starts_at)}: that would be quiet for ever; make it shorter")


def shipped(dependency_id: str, now: int) -> Dependency:
    """The dependency that each installation begins with: what looks at the client area is quiet while WHMCS is in its maintenance mode.

    Cron and payments are not: they go on in that mode.
    """
    return Dependency(
        dependency_id,
        "client area while WHMCS is in maintenance mode",
        (Matcher("type", Op.EQUAL, "system.maintenance_started"),),
        (Matcher("type", Op.PREFIX, "check."), Matcher("attributes.area", Op.EQUAL, "client")),
        ("site",),
        "tocsin",
        now,
    )


def check_dependency(dependency: Dependency, others: Iterable[Dependency]) -> None:
    """Raises `InvalidInput` for matchers that say nothing, and for one that would close a circle with *others*."""
    Conditions(dependency.parent, "parent")
    Conditions(dependency.children, "children")
    unknown = [name for name in dependency.same if name not in ("site", "type", "host", "subject")]
    if unknown:
        raise InvalidInput.of("same", f"{unknown[0][:40]!r} is none of site, type, host, subject")
    circle = find_circle([*(d for d in others if d.id != dependency.id), dependency])
    if circle:
        links = ", ".join(
            f'"{cut(one.name, 60)}" may mute a parent of "{cut(following.name, 60)}"' for one, following in pairwise((*circle, circle[0]))
        )
        text = f"would close a circle, in which nobody might be told: {links}. Narrow parent or children, for example by a type"
        raise InvalidInput.of("children", text)


# --- Circles ---------------------------------------------------------------------------------------------------------


def find_circle(dependencies: Sequence[Dependency]) -> tuple[Dependency, ...]:
    """Dependencies of which each may quieten a parent of the next, round and round; empty if there are none.

    An alert that is a parent of a dependency is never its child, so that one alone makes no circle.
    """
    fits = {matcher: predicate(matcher) for d in dependencies for matcher in (*d.parent, *d.children)}
    leads = {d.id: [other for other in dependencies if other.id != d.id and _may_lead(d, other, fits)] for d in dependencies}
    done: set[str] = set()

    def walk(path: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
        for following in leads[path[-1].id]:
            for place, earlier in enumerate(path):
                if earlier.id == following.id:
                    return path[place:]
            if following.id not in done:
                found = walk((*path, following))
                if found:
                    return found
        done.add(path[-1].id)
        return ()

    for dependency in dependencies:
        if dependency.id not in done:
            found = walk((dependency,))
            if found:
                return found
    return ()


def _may_lead(first: Dependency, then: Dependency, fits: Mapping[Matcher, Predicate]) -> bool:
    """Whether some alert might be a child of *first* and a parent of *then*. Says no only if that is certain."""
    inherited = tuple(m for m in first.parent if m.field in first.same)
    pairs = ((one, other) for one in (*first.children, *inherited) for other in then.parent if one.field == other.field)
    return not any(_exclude(one, other, fits) for one, other in pairs)


def _exclude(one: Matcher, other: Matcher, fits: Mapping[Matcher, Predicate]) -> bool:
    """Whether no value can satisfy both, as far as that can be seen."""
    if one.op is Op.EQUAL:
        return not fits[other](one.value)
    if other.op is Op.EQUAL:
        return not fits[one](other.value)
    if one.op is Op.PREFIX and other.op is Op.PREFIX:
        return not (one.value.startswith(other.value) or other.value.startswith(one.value))
    return False


# --- When ------------------------------------------------------------------------------------------------------------


def _first(planned: Planned) -> Window:
    return Window(planned.starts_at, planned.ends_at)


def coming(planned: Planned, now: int, count: int) -> list[Window]:
    """The window that is open at *now*, if there is one, and those that follow: at most *count*."""
    if isinstance(planned, Silence):
        return [_first(planned)] if planned.ends_at > now else []
    end = planned.ended_at
    if end is not None and end <= now:
        return []
    if planned.rrule is None:
        found = [_first(planned)] if planned.ends_at > now else []
    else:
        found = next_windows(Recurring(read_rule(planned.rrule), planned.time_zone, _first(planned)), now, count)
    return found if end is None else [Window(w.starts_at, min(w.ends_at, end)) for w in found if w.starts_at < end]


MOST_WINDOWS = 200  # far more than a chart has room for


def between(maintenance: Maintenance, start: int, end: int) -> list[Window]:
    """The windows that have a part in the time from *start* up to *end*: at most `MOST_WINDOWS`, the earliest first."""
    return [window for window in coming(maintenance, start, MOST_WINDOWS) if window.starts_at < end]


# --- Why -------------------------------------------------------------------------------------------------------------


def is_to_be_reminded(silence: Silence, now: int) -> bool:
    """Whether it is time to tell the maker of *silence* that it is about to end."""
    notice = min(LONGEST_NOTICE, (silence.ends_at - silence.starts_at) // 4)
    return silence.reminded_at is None and silence.starts_at <= silence.ends_at - notice <= now < silence.ends_at


def status_of(planned: Planned, now: int) -> Standing:
    """Where *planned* stands at *now*."""
    found = coming(planned, now, 1)
    if not found:
        return Standing.EXPIRED
    return Standing.ACTIVE if found[0].starts_at <= now else Standing.UPCOMING


def reason_of(planned: Planned, until: int) -> MuteReason:
    """Why what *planned* matches is quiet until *until*."""
    if isinstance(planned, Silence):
        kind, name, zone = MuteKind.SILENCE, planned.comment, "UTC"
    else:
        kind, name, zone = MuteKind.MAINTENANCE, planned.name, planned.time_zone
    moment = to_datetime(until).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    return MuteReason(kind, planned.id, until, f'{kind} "{cut(name, 80)}" until {moment} {zone}')


class Parent(msgspec.Struct, frozen=True):
    """An alert that is not resolved and that others may depend on."""

    number: int
    labels: Labels


def reason_of_parent(dependency: Dependency, parent: Parent) -> MuteReason:
    """Why a child is quiet while *parent* is not resolved."""
    what = " ".join(text for text in (parent.labels.get("type"), parent.labels.get("host") or parent.labels.get("subject")) if text)
    words = f'dependency "{cut(dependency.name, 80)}" while alert {parent.number} ({cut(what, 80)}) is not resolved'
    return MuteReason(MuteKind.DEPENDENCY, dependency.id, None, words)


class Active:
    """A silence or maintenance with the window that is open, ready to be asked.

    Tocsin's own troubles are none of the site's or the host's: they are quiet only if their type is named.
    """

    __slots__ = ("conditions", "reason")

    def __init__(self, conditions: Conditions, reason: MuteReason) -> None:
        self.conditions, self.reason = conditions, reason

    def holds(self, labels: Labels) -> bool:
        """Whether it keeps such an alert quiet."""
        return self.conditions.holds(labels) and (self.conditions.names_type or not is_own(labels.get("type")))


class Index:
    """What is open at one moment, found by the values that it names: looking costs next to nothing for the rest."""

    def __init__(self, active: Collection[Active]) -> None:
        self._size = len(active)
        by_value: dict[tuple[str, str], list[Active]] = {}
        others: list[Active] = []
        for one in active:
            exact = one.conditions.exact
            (by_value.setdefault(exact[0], []) if exact else others).append(one)
        self._by_value = {value: _Screened(found) for value, found in by_value.items()}
        self._others = _Screened(others)
        self._fields = tuple(dict.fromkeys(field for field, _ in by_value))

    def why(self, labels: Labels) -> MuteReason | None:
        """Of all that matches, what lasts longest; None if nothing does."""
        found: MuteReason | None = None
        for field in self._fields:
            screened = self._by_value.get((field, labels.get(field)))
            if screened is not None:
                found = screened.longest(labels, found)
        return self._others.longest(labels, found)

    def __len__(self) -> int:
        return self._size


class _Screened:
    """Some of what is open, sorted by field: one look at all prefixes or expressions for a field tells whether any could match."""

    def __init__(self, active: Iterable[Active]) -> None:
        self._plain: list[Active] = []
        self._behind: list[tuple[str, Predicate, list[Active]]] = []
        kinds: dict[tuple[Op, str], list[Active]] = {}
        for one in active:
            screen = one.conditions.screen
            (self._plain if screen is None else kinds.setdefault((screen.op, screen.field), [])).append(one)
        for (op, field), members in kinds.items():
            for start in range(0, len(members), TOGETHER):
                self._put_behind(op, field, members[start : start + TOGETHER])

    def _put_behind(self, op: Op, field: str, members: list[Active]) -> None:
        fits = any_of(op, [one.conditions.screen.value for one in members if one.conditions.screen]) if len(members) > 1 else None
        if fits is None:
            self._plain.extend(members)
        else:
            self._behind.append((field, fits, members))

    def longest(self, labels: Labels, found: MuteReason | None) -> MuteReason | None:
        """What lasts longest of all that matches and *found*."""
        for one in self._plain:
            found = _longer(found, one, labels)
        for field, fits, members in self._behind:
            if fits(labels.get(field)):
                for one in members:
                    found = _longer(found, one, labels)
        return found


def _longer(found: MuteReason | None, one: Active, labels: Labels) -> MuteReason | None:
    reason = one.reason
    if found is not None and ((found.until or 0), found.id) >= ((reason.until or 0), reason.id):
        return found
    return reason if one.holds(labels) else found


def is_own(kind: str) -> bool:
    """Whether a type is that of a trouble of Tocsin itself; test alerts are like any other."""
    return kind.startswith("tocsin.") and kind != "tocsin.test"


class Chain:
    """A dependency, ready to be asked."""

    __slots__ = ("_children", "_parent", "dependency", "kinds")

    def __init__(self, dependency: Dependency) -> None:
        self.dependency = dependency
        self.kinds = tuple(_kind(matchers) for matchers in (dependency.parent, dependency.children))
        self._parent, self._children = Conditions(dependency.parent, "parent"), Conditions(dependency.children, "children")

    def is_parent(self, labels: Labels) -> bool:
        """Whether others depend on such an alert."""
        return self._parent.holds(labels)

    def is_child(self, labels: Labels) -> bool:
        """Whether such an alert may be kept quiet: a parent never is."""
        return self._children.holds(labels) and not self._parent.holds(labels)

    def joins(self, parent: Labels, child: Labels) -> bool:
        """Whether *child* depends on this very *parent*."""
        return self._parent.holds(parent) and all(parent.get(f) and parent.get(f) == child.get(f) for f in self.dependency.same)


def _kind(matchers: Matchers) -> Matcher | None:
    """The matcher that says which types are meant, if there is a plain one."""
    return next((m for m in matchers if m.field == "type" and m.op in (Op.EQUAL, Op.PREFIX)), None)


def kinds_of(chains: Iterable[Chain]) -> Predicate:
    """Whether alerts of a type can be on either side of any of *chains*. Says no only if that is certain, and says it soon."""
    kinds = [kind for chain in chains for kind in chain.kinds]
    if None in kinds:
        return lambda _: True
    whole = frozenset(kind.value for kind in kinds if kind and kind.op is Op.EQUAL)
    starts = tuple(kind.value for kind in kinds if kind and kind.op is Op.PREFIX)
    return lambda kind: kind in whole or kind.startswith(starts)


def why_quiet_by_parent(labels: Labels, chains: Sequence[Chain], parents: Sequence[Parent]) -> MuteReason | None:
    """The first dependency whose parent is down. *chains* are those of which the alert may be a child."""
    for chain in chains:
        for parent in parents:
            if chain.joins(parent.labels, labels):
                return reason_of_parent(chain.dependency, parent)
    return None


def pinned_site(matchers: Matchers) -> str | None:
    """The only site that *matchers* can match, if they say so in so many words."""
    return next((m.value for m in matchers if m.field == "site" and m.op is Op.EQUAL), None)


def expect_site(matchers: Matchers, sites: Collection[str], where: str) -> None:
    """Whoever sees *sites* only may quieten nothing else. Raises `InvalidInput` unless a matcher pins one of them."""
    if pinned_site(matchers) not in sites:
        known = " or ".join(sorted(sites)) or "none yet"
        raise InvalidInput.of(where, f'must hold {{"field": "site", "op": "=", "value": ...}} with a site that is yours: {known}')


# Two people who change one thing.

_OF_ITSELF = ("reminded_at",)  # what Tocsin notes down, and nobody types


def edition(kept: Silence | Maintenance | Dependency) -> str:
    """Which state of *kept* somebody had before their eyes: another one as soon as anybody has changed it."""
    fields = {name: value for name, value in msgspec.structs.asdict(kept).items() if name not in _OF_ITSELF}
    return editions.edition(fields)
