"""What event rules come to: compiled once, then a pure function of an event and the time. And what is wrong with a rule."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tocsin.core.clock import DAY, SECOND
from tocsin.core.errors import FieldError, InvalidInput
from tocsin.core.severity import Severity
from tocsin.core.text import counted
from tocsin.core.zones import is_zone
from tocsin.events.model import Event
from tocsin.events.rules import fit_key
from tocsin.muting.matching import Conditions, predicate
from tocsin.muting.model import Labels
from tocsin.ruling.masks import Masks
from tocsin.ruling.model import MATCH_FIELDS, NO_FIGURES, Actions, Decision, EventLabels, EventRule, FiguresOf, Named, Ruling
from tocsin.ruling.templates import Template, compile_template, fault, key_of, title_of
from tocsin.ruling.week import Week
from tocsin.whmcs.model import IMPACT_FIELDS

MAX_RULES = 200
MAX_NAME = 100
MAX_TIMES = 20
MAX_DELAY = DAY // SECOND
MAX_COUNT = 100
MAX_WITHIN = DAY // SECOND
_REMEMBERED = 10_000  # different lists of rules that matched together
_RULED = ("problem", "recovery")  # what is only recorded tells nobody: there is nothing to decide
replace = msgspec.structs.replace


class Ready:
    """One rule, ready to be asked."""

    __slots__ = ("_week", "dedup_key", "rule", "title")

    def __init__(self, rule: EventRule) -> None:
        """Raises `InvalidInput` for one that cannot be used."""
        self.rule = rule
        Conditions(rule.matchers, "matchers", MATCH_FIELDS, may_be_wide=not rule.actions.mute)
        self._week = Week(rule.times, rule.time_zone) if rule.times else None
        self.title = None if rule.actions.title is None else compile_template(rule.actions.title)
        self.dedup_key = None if rule.actions.dedup_key is None else compile_template(rule.actions.dedup_key)

    def holds(self, at: int) -> bool:
        """Whether it is in force at the moment *at*."""
        return self._week is None or self._week.holds(at)

    def why_not(self, labels: Labels, at: int) -> str | None:
        """The first thing that keeps it from deciding, in words; None: it matches."""
        if not self.holds(at):
            return f"it holds at other times of the week ({self.rule.time_zone})"
        for m in self.rule.matchers:
            found = labels.get(m.field)
            if not predicate(m)(found):
                return f"{m.field} is {found[:100]!r}, not {m.op.value} {m.value!r}" if found else f"there is no {m.field}"
        return None


class Ruled(msgspec.Struct, frozen=True, gc=False):
    """An event as the rules made it, and what they came to; None: no rule matched."""

    event: Event
    ruling: Ruling | None = None


class Combined(msgspec.Struct, frozen=True):
    """What some rules, in order, come to together."""

    ruling: Ruling
    title: Template | None
    dedup_key: Template | None


class RuleSet:
    """All rules in order. Whoever holds one sees the same rules for as long; a change makes a new one."""

    def __init__(self, rules: Sequence[EventRule] = ()) -> None:
        """Raises `InvalidInput` for a rule that cannot be used."""
        self.rules = tuple(rules)
        self.ready = tuple(Ready(rule) for rule in rules if rule.enabled)
        self._by_id = {rule.id: rule for rule in rules}
        self._masks = Masks([one.rule for one in self.ready])
        self._asks_impact = any(field.name in IMPACT_FIELDS for field in self._masks.fields)
        self._matching: dict[int, tuple[Ready, ...]] = {0: ()}
        self._combined: dict[tuple[Ready, ...], Combined] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.ready)

    def find(self, rule_id: str) -> EventRule | None:
        """The rule with this id, if it is there."""
        return self._by_id.get(rule_id)

    def mutes(self, rule_id: str, at: int) -> bool:
        """Whether the rule with this id keeps things quiet at the moment *at*."""
        return any(one.rule.id == rule_id and one.rule.actions.mute and one.holds(at) for one in self.ready)

    def matching(self, labels: Labels, at: int) -> tuple[Ready, ...]:
        """The rules that decide about such an event, in order, up to the first that is the last to be asked."""
        mask = self._masks.of(labels.get, at)
        found = self._matching.get(mask)
        if found is None:
            if len(self._matching) >= _REMEMBERED:
                self._matching = {0: ()}
            found = self._matching[mask] = up_to_stop(one for place, one in enumerate(self.ready) if mask >> place & 1)
        return found

    def together(self, matching: tuple[Ready, ...]) -> Combined:
        """What these come to."""
        found = self._combined.get(matching)
        if found is None:
            if len(self._combined) >= _REMEMBERED:
                self._combined.clear()
            found = self._combined[matching] = combine(matching)
        return found

    def rule(self, event: Event, site: str, at: int, figures_of: FiguresOf | None = None) -> Ruled:
        """What becomes of *event*, which arrives at *at*. Each rule sees it as it came, not as another rule made it.

        *figures_of*: what is known of its impact; it is asked if a rule wants to know.
        """
        if event.status not in _RULED:
            return Ruled(event)
        labels = EventLabels(site, event, self.figures(event, figures_of))
        matching = self.matching(labels, at)
        return Ruled(event) if not matching else _applied(event, labels, self.together(matching))

    def figures(self, event: Event, figures_of: FiguresOf | None) -> Mapping[str, str]:
        """What is known of the impact of *event*, if any rule asks for it."""
        if figures_of is None or not self._asks_impact:
            return NO_FIGURES
        return figures_of(event.site_id, event.host, event.subject, event.attributes)


def up_to_stop(matching: Iterable[Ready]) -> tuple[Ready, ...]:
    """Those that match, up to the first with ``stop``."""
    found = []
    for one in matching:
        found.append(one)
        if one.rule.stop:
            break
    return tuple(found)


def combine(matching: Iterable[Ready]) -> Combined:
    """Of each thing, the first rule that decides it wins."""
    left = set(Actions.__struct_fields__)
    decisions: list[Decision] = []
    chosen: dict[str, Any] = {}
    title = dedup_key = None
    for one in matching:
        rule, actions = one.rule, one.rule.actions
        mine = [name for name in Actions.__struct_fields__ if name in left and getattr(actions, name) not in (None, False)]
        left.difference_update(mine)
        decisions.append(Decision(rule.id, rule.name, rule.version, tuple(_words(name, getattr(actions, name)) for name in mine)))
        named = Named(rule.id, rule.name)
        for name in mine:
            match name:
                case "delay_seconds":
                    chosen |= {"delay": (actions.delay_seconds or 0) * SECOND, "delayed_by": named}
                case "threshold":
                    chosen |= {"threshold": actions.threshold, "counted_by": named}
                case "mute":
                    chosen["muted_by"] = named
                case _:
                    chosen[name] = getattr(actions, name)
        title = one.title if "title" in mine else title
        dedup_key = one.dedup_key if "dedup_key" in mine else dedup_key
    return Combined(Ruling(tuple(decisions), **chosen), title, dedup_key)


def _applied(event: Event, labels: Labels, combined: Combined) -> Ruled:
    ruling = combined.ruling
    key = None if combined.dedup_key is None else key_of(combined.dedup_key, labels)
    key = None if key is None else fit_key(key)
    changed: dict[str, Any] = {}
    if event.status == "recovery":
        # It ends its own problems as well: they may have been opened before there was this rule.
        changed = {} if key is None or key in event.ends else {"ends": (*event.ends, key)}
    else:
        if ruling.severity is not None:
            changed["severity"] = ruling.severity
        if key is not None:
            changed["dedup_key"] = key
        if combined.title is not None:
            changed["title"] = title_of(combined.title, labels) or event.title
    return Ruled(replace(event, **changed) if changed else event, ruling)


def words_of(actions: Actions) -> list[str]:
    """What a rule decides, in words."""
    given = {name: getattr(actions, name) for name in Actions.__struct_fields__}
    return [_words(name, value) for name, value in given.items() if value not in (None, False)]


def _words(name: str, value: Any) -> str:
    match name:
        case "severity":
            return f"severity {value}"
        case "policy":
            return f"policy {value}"
        case "dedup_key":
            return f"dedup key {value}"
        case "title":
            return f"title {value}"
        case "delay_seconds":
            return f"nobody is told for the first {counted(value, 'second')}" if value else "people are told at once"
        case "threshold":
            return f"nobody is told before {counted(value.count, 'event')} within {counted(value.within_seconds, 'second')}"
    return "nobody is told"


def faults(rule: EventRule, policies: Collection[str]) -> tuple[FieldError, ...]:
    """Everything that is wrong with *rule*. *policies*: the ids of those that there are."""
    found = [*_own_faults(rule), *_action_faults(rule.actions, policies)]
    try:
        Conditions(rule.matchers, "matchers", MATCH_FIELDS, may_be_wide=not _is_sweeping(rule.actions))
    except InvalidInput as error:
        found += error.errors
    return tuple(found)


def _is_sweeping(actions: Actions) -> bool:
    """Whether a rule that means everything would keep all there is from being told: as nothing, as info, or as one and the same problem."""
    one_for_all = actions.dedup_key is not None and "{" not in actions.dedup_key
    return actions.mute or actions.severity == Severity.INFO or one_for_all


def _own_faults(rule: EventRule) -> Iterable[FieldError]:
    if not 0 < len(rule.name.strip()) <= MAX_NAME:
        yield FieldError("name", f"must have 1 to {MAX_NAME} characters")
    if not rule.name.isprintable():
        yield FieldError("name", "must be one line without control characters")
    if not is_zone(rule.time_zone):
        yield FieldError("time_zone", f"{rule.time_zone[:40]!r} is no time zone. Example: Europe/Berlin")
    if len(rule.times) > MAX_TIMES:
        yield FieldError("times", f"has {len(rule.times)} members; at most {MAX_TIMES} are taken")


def _action_faults(actions: Actions, policies: Collection[str]) -> Iterable[FieldError]:
    if actions == Actions():
        yield FieldError("actions", 'must decide something, such as {"severity": 2}')
    if actions.severity is not None and actions.severity not in range(1, 6):
        yield FieldError("actions.severity", "must be a whole number from 1 to 5")
    if actions.policy is not None and actions.policy not in policies:
        yield FieldError("actions.policy", f"there is no policy {actions.policy[:40]}")
    for name in ("title", "dedup_key"):
        text = getattr(actions, name)
        wrong = None if text is None else fault(text)
        if wrong is not None:
            yield FieldError(f"actions.{name}", wrong)
    if actions.delay_seconds is not None and not 0 <= actions.delay_seconds <= MAX_DELAY:
        yield FieldError("actions.delay_seconds", f"must be a whole number of seconds from 0 to {MAX_DELAY} (a day)")
    if actions.threshold is not None:
        if not 2 <= actions.threshold.count <= MAX_COUNT:
            yield FieldError("actions.threshold.count", f"must be a whole number from 2 to {MAX_COUNT}")
        if not 1 <= actions.threshold.within_seconds <= MAX_WITHIN:
            yield FieldError("actions.threshold.within_seconds", f"must be a whole number of seconds from 1 to {MAX_WITHIN} (a day)")
