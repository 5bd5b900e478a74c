"""`tocsin checks`: what is asked from outside. A running server knows of what is made here within a second."""

import asyncio

import msgspec

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.bootstrap import Core, rounds_of
from tocsin.checks import service, store
from tocsin.checks.model import Check, Definition, Finding
from tocsin.checks.places import read_place
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, opened
from tocsin.core.errors import Conflict, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.text import cut
from tocsin.core.times import in_words, to_text, to_text_or_none
from tocsin.db.writer import Tx

MAX_NAME = 100


def show_checks(start: Start, site: str | None, *, as_json: bool) -> None:
    """All checks by name, or those of one site. Raises `NotFound`."""
    with opened(start) as core:
        now = core.clock.now()
        site_ids = None if site is None else {core.sites.get(site).id}
        with core.database.read() as connection:
            found = sorted(store.of_sites(connection, site_ids), key=lambda one: (one.definition.name.lower(), one.id))
        slugs = {check.id: core.sites.slug_of(check.site_id) for check in found}
    if as_json:
        show_json([_as_json(check, slugs[check.id]) for check in found])
        return
    rows = [
        (
            check.definition.name,
            check.status.value,
            in_words(now - check.status_since),
            None if check.last_ms is None else f"{check.last_ms:.0f} ms",
            check.definition.kind,
            slugs[check.id],
            cut(check.last_words or "", 60),
            check.id,
        )
        for check in found
    ]
    nothing = "There is no check. Example: tocsin checks add Shop https://www.example.com/"
    show_table(("NAME", "STATUS", "FOR", "TOOK", "KIND", "SITE", "FOUND", "ID"), rows, nothing)


class From(msgspec.Struct, frozen=True):
    """From where it is asked, and where that may lead."""

    locations: tuple[str, ...]
    agree: int | None
    private: bool


def add(
    start: Start, name: str, place: str, site: str, interval: int, keyword: str | None, group: str | None, where: From, *, as_json: bool
) -> None:
    """Makes a check, and prints its id. Raises `InvalidInput`, `NotFound`, `Conflict`."""
    definition = Definition(
        name=name.strip()[:MAX_NAME], target=read_place(place, keyword), group=group, interval=interval, **msgspec.structs.asdict(where)
    )
    definition = msgspec.structs.replace(  # both as usual, where the interval leaves them the room
        definition, timeout=min(definition.timeout, interval - 1), retry_after=min(definition.retry_after, interval)
    )
    with opened(start) as core:
        made = core.writer.call(core.checks.add(Who(actor()), core.sites.get(site).id, definition))
    if as_json:
        show_json(_as_json(made, site))
        return
    show(made.id)
    say(f"Looked at every {interval} s while Tocsin runs. To look now: tocsin checks run {made.id}")


def run(start: Start, which: str, *, as_json: bool) -> int:
    """Looks once, and shows what was done and found; 1 unless all is well. Raises `NotFound`, `Conflict`."""
    with opened(start) as core:
        check, found = asyncio.run(_run(core, _find(core, which)))
        slug = core.sites.slug_of(check.site_id)
    is_well = found.level == 0
    if as_json:
        finding = {
            "level": None if found.level is None else found.level.name.lower(),
            "cause": found.cause.value,
            "words": found.words,
            "ms": found.ms,
            "phases": found.phases,
            "evidence": found.evidence,
            "trace": found.trace,
        }
        show_json({"check": _as_json(check, slug), "finding": finding})
        return 0 if is_well else 1
    for ms, text in found.trace:
        show(f"{ms:8.1f} ms  {text}")
    for name, ms in found.phases.items():
        show(f"{name:>12}  {ms:.1f} ms")
    say(f"{check.definition.name} {found.cause.value}: {found.words}")
    return 0 if is_well else 1


async def _run(core: Core, check_id: str) -> tuple[Check, Finding]:
    def note(tx: Tx, check: Check) -> None:
        audit.record(tx, Who(actor()), "check.run", service.thing(check), core.clock.now(), site_id=check.site_id)

    return await rounds_of(core).run_now(check_id, None, note)


def _find(core: Core, which: str) -> str:
    """The id of the check with this id or name."""
    if is_uuid(which.lower()):
        return which.lower()
    with core.database.read() as connection:
        named = [check.id for check in store.of_sites(connection, None) if check.definition.name.lower() == which.lower()]
    if not named:
        raise NotFound(f"there is no check {which[:60]}; `tocsin checks list` shows all")
    if len(named) > 1:
        raise Conflict(f"{len(named)} checks are called {which[:60]}: name one by its id, which `tocsin checks list` shows")
    return named[0]


def _as_json(check: Check, slug: str) -> dict[str, object]:
    """A check in the words of the API."""
    one = service.masked(check.definition)
    return {
        "id": check.id,
        "name": one.name,
        "site": slug,
        "kind": one.kind,
        "target": msgspec.to_builtins(one.target),
        "host": one.place,
        "group": one.group,
        "interval_seconds": one.interval,
        "locations": list(one.locations),
        "agree": one.agree,
        "paused": check.is_paused,
        "status": check.status.value,
        "status_since": to_text(check.status_since),
        "cause": check.last_cause,
        "words": check.last_words,
        "ms": check.last_ms,
        "last_at": to_text_or_none(check.last_at),
        "next_at": to_text_or_none(check.due_at),
        "certificate_ends_at": to_text_or_none(check.expires_at),
    }
