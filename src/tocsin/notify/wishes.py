"""What a person may wish for: rules by urgency with delays, and quiet hours. Pure; `reach` makes promises of them."""

from collections.abc import Iterator, Mapping

import msgspec

from tocsin.core.errors import FieldError, InvalidInput
from tocsin.notify.reach import PersonRule, QuietHours

MAX_RULES = 20
MAX_DELAY = 86_400  # seconds


class Wishes(msgspec.Struct, frozen=True):
    """How somebody wants to be told. No rule for an urgency: as the severity says. ``quiet`` None: no quiet hours."""

    rules: tuple[PersonRule, ...] = ()
    quiet: QuietHours | None = None


def check(wanted: Wishes, contacts: Mapping[str, bool]) -> None:
    """Raises `InvalidInput` for what cannot be kept. *contacts*: the person's own, and whether each is verified."""
    faults = [*_rule_faults(wanted.rules, contacts), *_quiet_faults(wanted.quiet)]
    if faults:
        raise InvalidInput(tuple(faults))


def _rule_faults(rules: tuple[PersonRule, ...], contacts: Mapping[str, bool]) -> Iterator[FieldError]:
    if len(rules) > MAX_RULES:
        yield FieldError("rules", f"must be at most {MAX_RULES}")
    seen: set[tuple[str, str]] = set()
    for number, rule in enumerate(rules[:MAX_RULES]):
        field = f"rules[{number}]"
        if rule.contact not in contacts:
            yield FieldError(f"{field}.contact", "is no contact of this person")
        elif not contacts[rule.contact]:
            yield FieldError(f"{field}.contact", "is not verified yet: type its code first")
        if (rule.urgency, rule.contact) in seen:
            yield FieldError(field, f"is there twice: one contact is told once of each {rule.urgency} alert")
        if not 0 <= rule.delay_seconds <= MAX_DELAY:
            yield FieldError(f"{field}.delay_seconds", f"must be a whole number of seconds from 0 to {MAX_DELAY} (one day)")
        seen.add((rule.urgency, rule.contact))


def _quiet_faults(quiet: QuietHours | None) -> Iterator[FieldError]:
    if quiet is not None and quiet.begins == quiet.ends:
        yield FieldError("quiet_hours.ends", "must be another time than the beginning. For no quiet hours send null")
