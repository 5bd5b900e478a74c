"""The looks themselves: each brings back facts and judges nothing. What fails on the way is a fact, too."""

import asyncio
import os
import pwd
import shutil
import stat
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa

from tocsin.bootstrap import server_runs, wanted_contacts
from tocsin.cli import promises
from tocsin.cli.banner import is_loopback, where
from tocsin.cli.contacts import all_contacts, not_taken_up
from tocsin.cli.doctor.model import (
    Accounts,
    Arrivals,
    Base,
    Checked,
    Exporter,
    Folder,
    Outbox,
    Policies,
    Promised,
    Reach,
    Running,
    Times,
    Whmcs,
)
from tocsin.cli.schema import fault_of
from tocsin.core.clock import DAY, SystemClock
from tocsin.core.errors import TocsinError
from tocsin.db import tables
from tocsin.db.engine import Database, explain
from tocsin.escalation import rules as escalation_rules, store as policy_store
from tocsin.identity import store as identity_store
from tocsin.net.http import HttpDoor
from tocsin.notify.channels import channels
from tocsin.notify.contacts import ContactBook, read_directory
from tocsin.notify.model import Channel, Contact
from tocsin.notify.providers import providers
from tocsin.notify.reach import known as whom_policies_may_name
from tocsin.pipeline import promises as audited
from tocsin.pipeline.scraping import AT_ONCE, NoPage, look
from tocsin.prometheus import store as exporter_store
from tocsin.prometheus.model import Target
from tocsin.settings import Settings
from tocsin.whmcs import store as whmcs_store
from tocsin.whmcs.client import WhmcsApi
from tocsin.whmcs.model import Connection
from tocsin.whmcs.reading import WhmcsFault

ANSWER_WITHIN = 3.0
CHECK_WITHIN = 20.0


# --- The machine -------------------------------------------------------------------------------------------------------


def folder(path: Path) -> Folder:
    """The data folder; a file is made in it and taken away again."""
    path = path.resolve()
    try:
        found = path.stat()
    except OSError:
        return Folder(str(path), False, False, 0, "nobody", True, None, 0, 0)
    is_folder = stat.S_ISDIR(found.st_mode)
    space = shutil.disk_usage(path)
    mine = os.geteuid() in (0, found.st_uid)
    write_error = _write_error(path) if is_folder else None
    return Folder(str(path), True, is_folder, stat.S_IMODE(found.st_mode), _name(found.st_uid), mine, write_error, space.free, space.total)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _write_error(path: Path) -> str | None:
    probe = path / f".doctor-{os.getpid()}"
    try:
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        return error.strerror
    return None


def running(settings: Settings) -> Running:
    """Asks the server's own health address."""
    address = _address(settings)
    engine_runs = server_runs(settings.data_dir)
    status, error, timed_out = _ask(f"{address}/api/v1/health")
    return Running(address, engine_runs, status, error, timed_out, not settings.is_sqlite)


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.listen_host, settings.listen_host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{settings.listen_port}" if ":" in host else f"http://{host}:{settings.listen_port}"


def _ask(url: str) -> tuple[str | None, str | None, bool]:
    """The word on its health, or why there is none, and whether it hung."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # our own machine is not behind a proxy
    try:
        with opener.open(url, timeout=ANSWER_WITHIN) as answer:
            return _status(answer.read(65_536)), None, False
    except urllib.error.HTTPError as error:
        return _status(error.read(65_536)), None, False
    except urllib.error.URLError as error:
        reason = error.reason
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        return None, text.lower(), isinstance(reason, TimeoutError)
    except TimeoutError:
        return None, "timed out", True
    except (OSError, ValueError) as error:
        return None, type(error).__name__, False


def _status(body: bytes) -> str:
    with suppress(msgspec.DecodeError):
        found = msgspec.json.decode(body)
        if isinstance(found, dict) and found.get("status") in ("ok", "degraded", "down"):
            return str(found["status"])
    return "other"


# --- The database ------------------------------------------------------------------------------------------------------


def base(settings: Settings) -> Base:
    """The database: opened, compared, read through, and written in a transaction that is taken back."""
    place = where(settings)
    if settings.is_sqlite and not settings.sqlite_path.exists():
        return Base(place, True, None, None, (), 0, None)
    database = Database(settings.database_url)
    try:
        with database.read() as connection:
            fault = fault_of(connection)
            faults = promises.damage(connection)
            if fault is None and not faults:
                faults = [*promises.missing(connection), *promises.broken(connection)]
        write_error = None if fault or faults else _database_write_error(database)
        return Base(place, False, None, fault.text if fault else None, tuple(faults), _wal_bytes(settings), write_error)
    except TocsinError as error:
        return Base(place, False, error.message, None, (), 0, None)
    except sa.exc.SQLAlchemyError as error:
        return Base(place, False, explain(error), None, (), 0, None)
    finally:
        database.close()


def _wal_bytes(settings: Settings) -> int:
    with suppress(OSError):
        return Path(f"{settings.sqlite_path}-wal").stat().st_size if settings.is_sqlite else 0
    return 0


def _database_write_error(database: Database) -> str | None:
    try:
        connection = database.writer_connection(create=False)
    except sa.exc.SQLAlchemyError as error:
        return explain(error)
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if database.is_sqlite else "BEGIN")
        try:
            connection.execute(tables.settings.insert().values(name=f"doctor-{os.getpid()}", value="taken back"))
        finally:
            connection.exec_driver_sql("ROLLBACK")
    except sa.exc.SQLAlchemyError as error:
        return explain(error)
    finally:
        connection.close()
    return None


def times(connection: sa.Connection, now: int) -> Times:
    """What the database knows of time."""
    events, sequences = tables.events, tables.sequences
    newest = connection.execute(sa.select(events.c.received_at).order_by(events.c.number.desc()).limit(1)).scalar_one_or_none()
    rows = connection.execute(sa.select(sequences.c.source, sequences.c.skew_ms).where(sequences.c.skew_ms.is_not(None)))
    return Times(now, newest, {row.source: row.skew_ms for row in rows})


def accounts(connection: sa.Connection, now: int) -> Accounts:
    """Keys that are good now, and users who may log in."""
    keys = [k for k in identity_store.list_keys(connection) if k.revoked_at is None and (k.expires_at is None or k.expires_at > now)]
    return Accounts(len(keys), sum(1 for user in identity_store.list_users(connection) if user.disabled_at is None))


def policies(connection: sa.Connection, now: int) -> Policies:
    """The policies, asked once more what they were asked when they were saved: people leave, and contacts are taken away."""
    everybody = whom_policies_may_name(read_directory(connection, now))
    kept = [one.policy for one in policy_store.all_policies(connection)]
    found = {policy.name: escalation_rules.faults(policy, everybody) for policy in kept}
    return Policies(len(kept), {name: tuple(f"{one.field} {one.message}" for one in faults) for name, faults in found.items() if faults})


def outbox(connection: sa.Connection, now: int) -> Outbox:
    """What waits and what fails."""
    table, contacts = tables.outbox, tables.contacts
    waiting = sa.select(sa.func.count(), sa.func.min(table.c.created_at)).where(table.c.status == "pending")
    count, oldest = connection.execute(waiting).one()
    lately = sa.select(table.c.status, sa.func.count()).where(table.c.status.in_(("failed", "unknown")), table.c.created_at > now - DAY)
    ended: dict[str, int] = {row[0]: row[1] for row in connection.execute(lately.group_by(table.c.status))}
    failing = (
        sa.select(contacts.c.kind, contacts.c.target, sa.func.max(table.c.last_error))
        .select_from(table.join(contacts, table.c.contact_id == contacts.c.id))
        .where(table.c.status == "pending", table.c.attempts > 0, table.c.last_error.is_not(None))
        .group_by(contacts.c.kind, contacts.c.target)
    )
    errors = {f"{kind} {target}": error for kind, target, error in connection.execute(failing)}
    age = None if oldest is None else now - oldest
    return Outbox(count, age, errors, ended.get("failed", 0), ended.get("unknown", 0))


def promised(settings: Settings, connection: sa.Connection, now: int) -> Promised:
    """What does not come to something. Messages that wait are the outbox's: which contact is in trouble only the server knows."""
    broken = [one for one in audited.look(connection, now) if one.promise is not audited.Promise.MESSAGE_OVERDUE]
    return Promised(tuple(audited.in_words(broken)), audited.alone(connection), settings.heartbeat_url is not None)


def arrivals(connection: sa.Connection) -> Arrivals:
    """What lies in quarantine, and which running numbers never came."""
    quarantined = connection.execute(sa.select(sa.func.count()).select_from(tables.quarantine)).scalar_one()
    sequences, sites = tables.sequences, tables.sites
    query = (
        sa.select(sites.c.slug, sequences.c.source, sequences.c.missing)
        .select_from(sequences.join(sites, sequences.c.site_id == sites.c.id))
        .where(sequences.c.missing > 0)
    )
    return Arrivals(quarantined, {f"{row.source} (site {row.slug})": row.missing for row in connection.execute(query)})


# --- The way to people -------------------------------------------------------------------------------------------------


def contacts(settings: Settings, connection: sa.Connection | None) -> list[Contact]:
    """The active contacts, and those of the settings that no server has taken up yet."""
    lines, book = all_contacts(connection) if connection is not None else [], ContactBook()
    if connection is not None:
        book.load(connection, SystemClock().now())
    return [*book.all] + [Contact("from the settings", kind, target) for kind, target in not_taken_up(lines, wanted_contacts(settings))]


def reach(settings: Settings, known: Sequence[Contact]) -> Reach:
    """What decides whether a person is reached."""
    return Reach(
        environment=settings.whmcs_env,
        public_url=settings.public_url,
        host_is_loopback=is_loopback(urlsplit(settings.public_url).hostname or ""),
        kinds=tuple(contact.kind for contact in known),
        mail_target=settings.notification_email,
        has_smtp=settings.smtp is not None,
    )


def whmcs(settings: Settings, connection: sa.Connection | None) -> list[Whmcs]:
    """Asks WHMCS of each site, as the settings and people say how it is reached, all at the same time."""
    return asyncio.run(_ask_all(settings, list(_reached(settings, connection).items())))


def _reached(settings: Settings, connection: sa.Connection | None) -> dict[str, Connection]:
    """By site. What people say takes the place of the settings."""
    found: dict[str, Connection] = {}
    if settings.whmcs_url is not None and settings.whmcs_api_id is not None and settings.whmcs_api_secret is not None:
        found["main"] = Connection(0, settings.whmcs_url, settings.whmcs_api_id, settings.whmcs_api_secret, from_settings=True)
    if connection is not None:
        slugs = {row.id: row.slug for row in connection.execute(sa.select(tables.sites.c.id, tables.sites.c.slug))}
        found |= {slugs[one.site_id]: one for one in whmcs_store.connections(connection)}
    return found


async def _ask_all(settings: Settings, reached: Sequence[tuple[str, Connection]]) -> list[Whmcs]:
    door = HttpDoor(allow_private=True, ca_file=settings.tls_ca_file)
    try:
        return list(await asyncio.gather(*[_ask_whmcs(door, site, one) for site, one in reached]))
    finally:
        await door.close()


async def _ask_whmcs(door: HttpDoor, site: str, reached: Connection) -> Whmcs:
    api = WhmcsApi(door, reached.url, reached.identifier, reached.secret)
    try:
        version = await api.version()
        await api.probe()
        return Whmcs(version, None, "", site)
    except WhmcsFault as fault:
        return Whmcs("", fault.reason, fault.cure, site)


def exporters(settings: Settings, connection: sa.Connection, now: int) -> list[Exporter]:
    """Asks each exporter that is to be asked, some at the same time."""
    return asyncio.run(_look_at(settings, [one for one in exporter_store.every(connection) if one.enabled], now))


async def _look_at(settings: Settings, targets: Sequence[Target], now: int) -> list[Exporter]:
    door = HttpDoor(allow_private=True, ca_file=settings.tls_ca_file)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(target: Target) -> Exporter:
        name = f"{target.name} of {target.host}"
        try:
            async with places:
                await look(door, target, now)
        except NoPage as fault:
            return Exporter(name, str(fault))
        return Exporter(name, None)

    try:
        return list(await asyncio.gather(*map(one, targets)))
    finally:
        await door.close()


def reachable(settings: Settings, known: Sequence[Contact]) -> list[Checked]:
    """Asks each contact's channel whether it could send to it now, all at the same time. Sends nothing."""
    return asyncio.run(_check_all(settings, known))


async def _check_all(settings: Settings, known: Sequence[Contact]) -> list[Checked]:
    door = HttpDoor(allow_private=True, ca_file=settings.tls_ca_file)
    ways = channels(settings, door, providers(settings, door))
    try:
        return list(await asyncio.gather(*[_check(ways.get(contact.kind), contact) for contact in known]))
    finally:
        for way in ways.values():
            await way.close()
        await door.close()


async def _check(way: Channel | None, contact: Contact) -> Checked:
    name = f"{contact.kind} {contact.target}"
    if way is None:
        return Checked(name, f"the channel {contact.kind} is not set up; see docs/reference/settings.md")
    try:
        async with asyncio.timeout(CHECK_WITHIN):
            return Checked(name, await way.check(contact))
    except TimeoutError:
        return Checked(name, f"no answer within {CHECK_WITHIN:g} s")
