"""Making, changing, ordering, removing and bringing back event rules: checked, stored and audited in one transaction."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.ids import new_id
from tocsin.db.writer import Tx
from tocsin.ruling import rules, store
from tocsin.ruling.model import EventRule
from tocsin.ruling.store import Kept

replace = msgspec.structs.replace


def make(tx: Tx, who: Who, wanted: EventRule, position: int | None, policies: Collection[str], now: int) -> Kept:
    """A new rule, at *position* (1 is asked first; None: last). Raises `InvalidInput`, `Conflict`."""
    store.hold(tx)
    there = store.every(tx.sql)
    if len(there) >= rules.MAX_RULES:
        raise Conflict(f"there are {rules.MAX_RULES} rules already; remove some that are no longer needed")
    made = _checked(replace(wanted, id=new_id(now), version=1), policies)
    _must_be_free(made, there)
    store.add(tx, made, who.name, now)
    audit.record(tx, who, "rule.made", thing(made.id), now, after=_seen(made))
    _place(tx, [one.rule.id for one in there], made.id, position)
    return store.find(tx.sql, made.id)


def change(
    tx: Tx,
    who: Who,
    rule_id: str,
    wanted: dict[str, Any],
    position: int | None,
    policies: Collection[str],
    now: int,
    version: int | None = None,
) -> Kept:
    """The next version of a rule, and its place. *version*: the one that the change was made from, if that matters.

    Raises `NotFound`, `InvalidInput`, `Conflict`.
    """
    store.hold(tx)
    old = store.find(tx.sql, rule_id).rule
    if version not in (None, old.version):
        raise Conflict(f"the rule {old.name} was changed by somebody else: its version is {old.version}, not {version}")
    _update(tx, who, old, replace(old, **wanted), policies, now)
    if position is not None:
        _move(tx, who, rule_id, position, now)
    return store.find(tx.sql, rule_id)


def restore(tx: Tx, who: Who, rule_id: str, version: int, policies: Collection[str], now: int) -> Kept:
    """What a rule said in an older *version* holds again, as its next one; a rule that was removed is there again.

    Raises `NotFound`, `InvalidInput` for what cannot be any more, `Conflict`.
    """
    store.hold(tx)
    known = store.versions(tx.sql, rule_id)
    if not known:
        raise NotFound(f"there is no rule {rule_id[:40]}")
    wanted = next((one.rule for one in known if one.rule.version == version), None)
    newest = known[0].rule
    if wanted is None:
        raise InvalidInput.of("version", f"there is no version {version} of this rule; the newest is {newest.version}")
    there = store.every(tx.sql)
    if any(one.rule.id == rule_id for one in there):
        _update(tx, who, newest, replace(wanted, version=newest.version), policies, now)
    else:
        if len(there) >= rules.MAX_RULES:
            raise Conflict(f"there are {rules.MAX_RULES} rules already; remove some that are no longer needed")
        again = _checked(replace(wanted, version=newest.version + 1), policies)
        _must_be_free(again, there)
        store.change(tx, again, who.name, now)
        audit.record(tx, who, "rule.restored", thing(rule_id), now, after=_seen(again))
    return store.find(tx.sql, rule_id)


def remove(tx: Tx, who: Who, rule_id: str, now: int) -> None:
    """Takes a rule away. What it kept quiet pages. Raises `NotFound`."""
    store.hold(tx)
    old = store.find(tx.sql, rule_id).rule
    store.remove(tx, rule_id, now)
    audit.record(tx, who, "rule.removed", thing(rule_id), now, before=_seen(old))


class Brought(msgspec.Struct, frozen=True):
    """What bringing in a list of rules came to: names."""

    made: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def bring_in(tx: Tx, who: Who, wanted: Sequence[EventRule], policies: Collection[str], now: int, *, alone: bool = False) -> Brought:
    """Has these rules hold, in this order, before all others; one with the name of one that is there is its next version.

    *alone*: the others are removed. Doing it twice changes nothing. Raises `InvalidInput`, `Conflict`.
    """
    store.hold(tx)
    there = {one.rule.name: one.rule for one in store.every(tx.sql)}
    names = [rule.name.strip() for rule in wanted]
    twice = next((place for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise InvalidInput.of(f"rules[{twice}].name", f"{names[twice][:60]!r} stands there twice")
    gone = [rule for name, rule in there.items() if alone and name not in names]
    for rule in gone:
        remove(tx, who, rule.id, now)
    made, changed = [], []
    for place, (name, rule) in enumerate(zip(names, wanted, strict=True), 1):
        try:
            old = there.get(name)
            if old is None:
                made.append(make(tx, who, rule, place, policies, now).rule.name)
            else:
                values = {field: getattr(rule, field) for field in EventRule.__struct_fields__ if field not in ("id", "name", "version")}
                new = change(tx, who, old.id, values, place, policies, now)
                changed += [name] if new.rule.version != old.version else []
        except InvalidInput as error:
            raise InvalidInput(tuple(replace(one, field=f"rules[{place - 1}].{one.field}") for one in error.errors)) from None
    return Brought(tuple(made), tuple(changed), tuple(rule.name for rule in gone))


def thing(rule_id: str) -> str:
    """How the audit log names a rule."""
    return f"rule:{rule_id}"


def _update(tx: Tx, who: Who, old: EventRule, new: EventRule, policies: Collection[str], now: int) -> None:
    if new == old:
        return
    new = _checked(replace(new, version=old.version + 1), policies)
    _must_be_free(new, store.every(tx.sql))
    store.change(tx, new, who.name, now)
    audit.record_change(tx, who, "rule.changed", thing(old.id), now, before=_seen(old), after=_seen(new))


def _move(tx: Tx, who: Who, rule_id: str, position: int, now: int) -> None:
    ids = [one.rule.id for one in store.every(tx.sql)]
    before = ids.index(rule_id) + 1
    after = _place(tx, [one for one in ids if one != rule_id], rule_id, position)
    audit.record_change(tx, who, "rule.moved", thing(rule_id), now, before={"position": before}, after={"position": after})


def _place(tx: Tx, others: list[str], rule_id: str, position: int | None) -> int:
    place = len(others) if position is None else min(max(position, 1) - 1, len(others))
    store.put_in_order(tx, [*others[:place], rule_id, *others[place:]])
    return place + 1


def _must_be_free(rule: EventRule, there: Collection[Kept]) -> None:
    if any(one.rule.name == rule.name and one.rule.id != rule.id for one in there):
        raise Conflict(f"there is already a rule named {rule.name}")


def _checked(rule: EventRule, policies: Collection[str]) -> EventRule:
    rule = replace(rule, name=rule.name.strip())
    found = rules.faults(rule, policies)
    if found:
        raise InvalidInput(found)
    return rule


def _seen(rule: EventRule) -> dict[str, Any]:
    seen: dict[str, Any] = msgspec.to_builtins(rule)
    return {name: value for name, value in seen.items() if name != "id"}
