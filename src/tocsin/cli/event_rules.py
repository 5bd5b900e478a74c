"""`tocsin rules`: what is decided about events before they become alerts.

Writes go straight to the database, also while a server runs: it knows within five seconds.
"""

import sys
from pathlib import Path

import msgspec

from tocsin.api import event_rules as api
from tocsin.audit.model import Who
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, opened
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.reading import read_body
from tocsin.core.text import counted
from tocsin.ruling import backtest as tester, rules, service, store
from tocsin.ruling.backtest import MAX_DAYS
from tocsin.ruling.model import EventRule
from tocsin.ruling.service import Brought
from tocsin.ruling.store import Kept

MAX_FILE = 4 << 20
_LEFT_OUT = ("id", "version", "position", "created_at", "updated_at", "updated_by")  # of a rule in a file: what only holds here


class RulesFile(msgspec.Struct, frozen=True, kw_only=True):
    """Rules in a file, in the order in which they are asked."""

    rules: list[api.NewRule]


def show_rules(start: Start, *, as_json: bool) -> None:
    """All rules in the order in which they are asked."""
    with opened(start) as core, core.database.read() as connection:
        found = store.every(connection)
    if as_json:
        show_json([_as_json(kept, place) for place, kept in enumerate(found, 1)])
        return
    rows = [
        (place, kept.rule.name, _conditions(kept.rule), _decides(kept.rule), "yes" if kept.rule.enabled else "no", kept.rule.version)
        for place, kept in enumerate(found, 1)
    ]
    show_table(("NO", "NAME", "IF", "THEN", "ON", "VERSION"), rows, "There are no rules: events are taken as they come.")


def show_rule(start: Start, which: str, *, as_json: bool) -> None:
    """One rule and its versions. Raises `NotFound`."""
    with opened(start) as core, core.database.read() as connection:
        place, kept = _find(store.every(connection), which)
        versions = store.versions(connection, kept.rule.id)
    if as_json:
        show_json(_as_json(kept, place))
        return
    rule = kept.rule
    show(f"{place}. {rule.name}" + ("" if rule.enabled else " (off)"))
    show(f"if: {_conditions(rule)}")
    for part in rule.times:
        show(f"in: {part.begins:%H:%M} to {part.ends:%H:%M} {rule.time_zone}, days {', '.join(map(str, part.weekdays)) or 'all'}")
    show(f"then: {_decides(rule)}" + ("; it is the last that is asked" if rule.stop else ""))
    show(f"version {rule.version} by {versions[0].created_by}; id {rule.id}")


def try_event(start: Start, event: str, *, as_json: bool) -> None:
    """What would become of one event, given as JSON. Raises `InvalidInput`."""
    sent = read_body(b'{"event":' + _text(event, "EVENT") + b"}", api.Try)
    with opened(start) as core:
        now = core.clock.now()
        with core.database.read() as connection:
            there = [kept.rule for kept in store.every(connection)]
        found = api.tried_out(api.attempt_at(core, core.sites.get(sent.event.site or "main").slug, there, sent.event, now, now))
    if as_json:
        show_json(msgspec.to_builtins(found))
        return
    for verdict in found.verdicts:
        show(f"{verdict.name}: {', '.join(verdict.decided) or verdict.why}")
    show(f"becomes: severity {found.severity}, {found.title}")
    show(f"told: nobody at once, {found.held}" if found.held else f"told: from {found.told_from} on, by {found.policy}")


def backtest(start: Start, path: str | None, without: str | None, days: int, *, as_json: bool) -> None:
    """How often people would have been told under the rules of a file, or without one; else what the rules that hold save.

    Raises `InvalidInput`, `NotFound`.
    """
    if path is not None and without is not None:
        raise InvalidInput.of("without", "goes with the rules that hold, not with those of a file")
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput.of("days", f"must be a whole number from 1 to {MAX_DAYS}")
    with opened(start) as core:
        with core.database.read() as connection:
            every = store.every(connection)
        there = [kept.rule for kept in every]
        before, after = there, there
        if path is not None:
            after = _checked(_read(path), api.known_policies(core))
        elif without is not None:
            _, left_out = _find(every, without)
            after = [rule for rule in there if rule.id != left_out.rule.id]
        else:
            before = []
        with core.database.read() as connection:
            run = tester.run(connection, before, after, core.sites, core.clock.now(), days, figures_of=core.impacts.figures)
        found = api.backtest_out(run)
    if as_json:
        show_json(msgspec.to_builtins(found))
        return
    show(found.summary)
    for one in found.by_type:
        show(f"  {one.type}: {one.after} instead of {one.before}")
    say(f"Looked at {counted(found.events, 'event')} since {found.since}." + ("" if found.complete else f" Time was up at {found.until}."))


def export(start: Start, *, as_json: bool) -> None:
    """All rules as a document that `tocsin rules import` takes; *as_json*: on one line."""
    with opened(start) as core, core.database.read() as connection:
        found = [_as_json(kept, place) for place, kept in enumerate(store.every(connection), 1)]
    kept = [{name: value for name, value in rule.items() if name not in _LEFT_OUT} for rule in found]
    if as_json:
        show_json({"rules": kept})
        return
    show(msgspec.json.format(msgspec.json.encode({"rules": kept}), indent=2).decode())


def bring_in(start: Start, path: str, *, alone: bool, as_json: bool) -> None:
    """Has the rules of a file hold. Raises `InvalidInput`, `Conflict`."""
    wanted = _read(path)
    with opened(start) as core:
        policies, now = api.known_policies(core), core.clock.now()
        found: Brought = core.writer.call(lambda tx: service.bring_in(tx, Who(actor()), wanted, policies, now, alone=alone))
    if as_json:
        show_json(msgspec.to_builtins(found))
        return
    for what in Brought.__struct_fields__:
        for name in getattr(found, what):
            show(f"{what}: {name}")
    if found == Brought((), (), ()):
        say("All of them hold already.")


def _read(path: str) -> list[EventRule]:
    return [api.rule_of(sent) for sent in read_body(_text(f"@{path}" if path != "-" else path, "FILE"), RulesFile).rules]


def _text(given: str, what: str) -> bytes:
    """What was given: itself, ``@FILE``, or ``-`` for the standard input. Raises `InvalidInput`."""
    if given != "-" and not given.startswith("@"):
        return given.encode(errors="replace")
    try:
        if given == "-":
            text = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with Path(given[1:]).open("rb") as file:
                text = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name cannot be one"
        raise InvalidInput.of(what, f"{given.removeprefix('@')[:200]} cannot be read: {reason}") from None
    if len(text) > MAX_FILE:
        raise InvalidInput.of(what, f"is longer than {MAX_FILE >> 20} MiB")
    return text


def _checked(wanted: list[EventRule], policies: frozenset[str]) -> list[EventRule]:
    for place, rule in enumerate(wanted):
        found = rules.faults(rule, policies)
        if found:
            raise InvalidInput(tuple(msgspec.structs.replace(one, field=f"rules[{place}].{one.field}") for one in found))
    return [msgspec.structs.replace(rule, id=f"{rule.id}-{place}") for place, rule in enumerate(wanted)]


def _find(found: list[Kept], which: str) -> tuple[int, Kept]:
    """By its place in the list, its id or its name."""
    for place, kept in enumerate(found, 1):
        if which in (str(place), kept.rule.name) or (is_uuid(which.lower()) and kept.rule.id == which.lower()):
            return place, kept
    raise NotFound(f"there is no rule {which[:100]}; see `tocsin rules list`")


def _as_json(kept: Kept, place: int) -> dict[str, object]:
    """A rule in the words of the API; what it does not decide is left out of its actions."""
    found: dict[str, object] = msgspec.to_builtins(api.rule_out(kept, place))
    found["actions"] = msgspec.to_builtins(kept.rule.actions)
    return found


def _conditions(rule: EventRule) -> str:
    found = " and ".join(f"{m.field} {m.op.value} {m.value}" for m in rule.matchers) or "any problem"
    return f"{found} (at times)" if rule.times else found


def _decides(rule: EventRule) -> str:
    return "; ".join(rules.words_of(rule.actions))
