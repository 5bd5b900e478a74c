"""`tocsin whmcs`: how WHMCS of each site is reached. A running server asks it within seconds."""

import asyncio

from tocsin.audit.model import Who
from tocsin.bootstrap import Core
from tocsin.cli.output import say, show_json, show_table
from tocsin.cli.start import Start, actor, first_line, opened
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.text import cut
from tocsin.net.http import HttpDoor
from tocsin.whmcs import service, store
from tocsin.whmcs.client import WhmcsApi
from tocsin.whmcs.model import Connection
from tocsin.whmcs.reading import WhmcsFault
from tocsin.whmcs.summary import summary

MAX_SECRET = 200


def show_connections(start: Start, *, as_json: bool) -> None:
    """All sites whose WHMCS is asked, and what was wrong the last time."""
    with opened(start) as core, core.database.read() as connection:
        found = []
        for one in core.connections.all():
            known = summary(store.looks(connection, one.site_id))
            fault = next((look.fault for look in known.actions if look.fault), None)
            origin = "settings" if one.from_settings else "user"
            found.append(
                {"site": core.sites.slug_of(one.site_id), "url": one.url, "origin": origin, "version": known.version, "fault": fault}
            )
    if as_json:
        show_json(found)
        return
    rows = [(one["site"], one["url"], one["origin"], one["version"] or "", cut(one["fault"], 60) if one["fault"] else "") for one in found]
    nothing = "No WHMCS is asked. Example: tocsin whmcs add https://billing.example.com --identifier kX7 --secret-stdin < secret.txt"
    show_table(("SITE", "ADDRESS", "FROM", "VERSION", "FAULT"), rows, nothing)


def add(start: Start, url: str, site: str, identifier: str, *, as_json: bool) -> None:
    """Says how WHMCS of a site is reached; the secret is the first line of standard input. Raises `InvalidInput`, `NotFound`."""
    secret = first_line("secret")
    if not 1 <= len(secret) <= MAX_SECRET or not 1 <= len(identifier) <= MAX_SECRET:
        raise InvalidInput.of("identifier", f"and the secret must have 1 to {MAX_SECRET} characters, as WHMCS shows them once")
    with opened(start) as core:
        wanted, now = Connection(core.sites.get(site).id, url.rstrip("/"), identifier, secret), core.clock.now()
        core.writer.call(lambda tx: service.connect(tx, Who(actor()), site, wanted, now))
    if as_json:
        show_json({"site": site, "url": wanted.url, "origin": "user"})
        return
    say(f"WHMCS of {site} is asked at {wanted.url} while Tocsin runs. To try it now: tocsin whmcs test {site}")


def test(start: Start, site: str, *, as_json: bool) -> int:
    """Asks WHMCS of a site each of our questions once; 1 if it does not answer. Raises `NotFound`."""
    with opened(start) as core:
        wanted = core.connections.of(core.sites.get(site).id)
        if wanted is None:
            raise NotFound(f"WHMCS of {site} is not asked: `tocsin whmcs add` says how it is reached")
        version, fault = asyncio.run(_ask(core, wanted))
    if as_json:
        wrong = {"fault": None, "cure": None} if fault is None else {"fault": fault.reason, "cure": fault.cure}
        show_json({"site": site, "version": version, **wrong})
    elif fault is not None:
        say(f"{fault.reason}. {fault.cure}")
    else:
        say(f"WHMCS {version} of {site} answers all of our questions.")
    return 0 if fault is None else 1


def remove(start: Start, site: str, *, as_json: bool) -> None:
    """Forgets how WHMCS of a site is reached; what the settings say counts again. Raises `NotFound`."""
    with opened(start) as core:
        now, site_id = core.clock.now(), core.sites.get(site).id
        core.writer.call(lambda tx: service.disconnect(tx, Who(actor()), site, site_id, now))
    if as_json:
        show_json({"site": site})
        return
    say(f"WHMCS of {site} is reached as the settings say, if they do.")


async def _ask(core: Core, wanted: Connection) -> tuple[str | None, WhmcsFault | None]:
    door = HttpDoor(allow_private=True, ca_file=core.settings.tls_ca_file)
    api = WhmcsApi(door, wanted.url, wanted.identifier, wanted.secret)
    try:
        version = await api.version()
        await api.probe()
    except WhmcsFault as fault:
        return None, fault
    finally:
        await door.close()
    return version, None
