"""`tocsin exporters`: exporters of Prometheus that Tocsin asks itself. A running server knows of what is made here within seconds."""

import asyncio

import msgspec

from tocsin.audit.model import Who
from tocsin.bootstrap import Core
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, first_line, opened
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid, new_id
from tocsin.core.text import cut
from tocsin.core.times import to_text, to_text_or_none
from tocsin.net.http import HttpDoor
from tocsin.pipeline.scraping import NoPage, look
from tocsin.prometheus import service, store
from tocsin.prometheus.model import Target
from tocsin.prometheus.rules import Sorted

MAX_NAME, MAX_ADDRESS = 100, 500


class Asked(msgspec.Struct, frozen=True):
    """What was typed. With a ``token``, it is the first line of standard input."""

    url: str
    name: str
    site: str
    host: str | None
    interval: int
    with_token: bool
    keep_all: bool


def show_exporters(start: Start, *, as_json: bool) -> None:
    """All of them, the newest first."""
    with opened(start) as core, core.database.read() as connection:
        found = [(one, core.sites.slug_of(one.site_id)) for one in store.every(connection)]
    if as_json:
        show_json([_as_json(one, site) for one, site in found])
        return
    rows = [
        (
            one.id,
            one.name,
            site,
            one.host,
            f"{one.interval // SECOND} s",
            "never" if one.answered_at is None else to_text(one.answered_at),
            _state(one),
        )
        for one, site in found
    ]
    nothing = "No exporter is asked. Example: tocsin exporters add http://web01.example.com:9100/metrics"
    show_table(("ID", "NAME", "SITE", "HOST", "EVERY", "LAST ANSWER", "STATE"), rows, nothing)


def add(start: Start, asked: Asked, *, as_json: bool) -> None:
    """Has one asked from now on, and prints its id. Raises `InvalidInput`, `Conflict`, `NotFound`."""
    token = _token(asked)
    with opened(start) as core:
        wanted = _target(core, asked, token)
        made = core.writer.call(lambda tx: service.make(tx, Who(actor()), wanted, wanted.created_at))
    if as_json:
        show_json(_as_json(made, asked.site))
        return
    show(made.id)
    say(f"It is asked every {asked.interval} s while Tocsin runs, for {made.host}.")


def test(start: Start, asked: Asked, *, as_json: bool) -> int:
    """Asks once and keeps nothing; 1 if there is nothing to be had. Raises `InvalidInput`, `NotFound`."""
    token = _token(asked)
    with opened(start) as core:
        target = _target(core, asked, token)
        found, fault = asyncio.run(_look(core, target))
    samples, hosts, refused = (0, 0, 0) if found is None else (len(found.samples), len(found.looks), found.refused)
    if as_json:
        reasons = [] if found is None else list(found.reasons)
        show_json({"samples": samples, "of_hosts": hosts, "refused": refused, "reasons": reasons, "fault": fault})
    elif found is None:
        say(f"It shows nothing: {fault}.")
    else:
        say(f"It shows {samples} values to keep, says of {hosts} hosts how they are, and {refused} values are of no use.")
    return 0 if found is not None else 1


def remove(start: Start, which: str, *, as_json: bool) -> None:
    """Stops asking the one with this id or address; its series stay. Raises `NotFound`."""
    with opened(start) as core:
        with core.database.read() as connection:
            found = next((one for one in store.every(connection) if which in (one.id, one.url)), None)
            if found is None:
                kind = "exporter" if is_uuid(which) else "exporter with the address"
                raise NotFound(f"there is no {kind} {which[:60]}; `tocsin exporters list` shows all")
        removed, site = found, core.sites.slug_of(found.site_id)
        core.writer.call(lambda tx: core.exporters.remove(tx, Who(actor()), removed.id))
    if as_json:
        show_json(_as_json(removed, site))
        return
    say(f"{removed.name} of {removed.host} is not asked any more. What it showed is kept.")


async def _look(core: Core, target: Target) -> tuple[Sorted | None, str | None]:
    door = HttpDoor(allow_private=True, ca_file=core.settings.tls_ca_file)
    try:
        return await look(door, target, core.clock.now()), None
    except NoPage as fault:
        return None, str(fault)
    finally:
        await door.close()


def _token(asked: Asked) -> str | None:
    return first_line("token") if asked.with_token else None


def _target(core: Core, asked: Asked, token: str | None) -> Target:
    if not 1 <= len(asked.name.strip()) <= MAX_NAME:
        raise InvalidInput.of("name", f"must have 1 to {MAX_NAME} characters, such as node_exporter")
    if len(asked.url) > MAX_ADDRESS:
        raise InvalidInput.of(
            "url", f"must be an address of at most {MAX_ADDRESS} characters, such as http://web01.example.com:9100/metrics"
        )
    now, site_id = core.clock.now(), core.sites.get(asked.site).id
    host = (asked.host or service.host_in(asked.url)).lower()
    interval = asked.interval * SECOND
    wanted = Target(new_id(now), site_id, asked.name.strip(), asked.url, host, interval, token, asked.keep_all, True, actor(), now, now)
    service.check(wanted)
    return wanted


def _state(one: Target) -> str:
    if not one.enabled:
        return "not asked"
    return cut(one.fault, 60) if one.fault else "never asked" if one.asked_at is None else "answers"


def _as_json(one: Target, site: str) -> dict[str, object]:
    """An exporter in the words of the API."""
    return {
        "id": one.id,
        "name": one.name,
        "site": site,
        "host": one.host,
        "url": one.url,
        "interval_seconds": one.interval // SECOND,
        "with_token": one.token is not None,
        "keep_all": one.keep_all,
        "enabled": one.enabled,
        "asked_at": to_text_or_none(one.asked_at),
        "answered_at": to_text_or_none(one.answered_at),
        "samples": one.samples,
        "failures": one.failures,
        "fault": one.fault,
    }
