"""Wires everything from the settings: the only module that knows every concrete class."""

import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from tocsin.alerts.model import Policy
from tocsin.core.clock import MINUTE, Clock, SystemClock
from tocsin.core.errors import TocsinError
from tocsin.core.ids import new_id
from tocsin.db import schema, tables
from tocsin.db.checkpoint import Checkpointer
from tocsin.db.engine import Database
from tocsin.db.writer import Tx, Writer
from tocsin.events import sites as site_store
from tocsin.events.sites import SiteBook
from tocsin.identity.service import KeyRing
from tocsin.net.http import HttpDoor
from tocsin.notify import contacts as contact_store
from tocsin.notify.announce import Announcer
from tocsin.notify.channels import channels
from tocsin.notify.contacts import ContactBook
from tocsin.notify.delivery import Delivery
from tocsin.notify.departures import Departures
from tocsin.notify.limits import Limits
from tocsin.notify.model import Channel
from tocsin.pipeline.actions import Actions
from tocsin.pipeline.ingest import Ingest
from tocsin.pipeline.trouble import ChannelTrouble
from tocsin.settings import Settings

WRITERS_ON_POSTGRESQL = 3


@dataclass(frozen=True)
class Core:
    """What every command needs: the database and the decisions on top of it. No network, no loop."""

    settings: Settings
    clock: Clock
    database: Database
    writer: Writer
    sites: SiteBook
    contacts: ContactBook
    ingest: Ingest
    actions: Actions
    announcer: Announcer

    def close(self) -> None:
        """Finishes the writes that were handed in and closes the database."""
        self.writer.stop()
        self.database.close()

    def refresh(self) -> None:
        """Reads again what is kept in memory: sites, catalogues, contacts."""
        with self.database.read() as connection:
            self.sites.load(connection)
            self.contacts.load(connection)


@dataclass(frozen=True)
class Server:
    """What `tocsin serve` needs on top."""

    core: Core
    keys: KeyRing
    delivery: Delivery
    channels: dict[str, Channel]
    door: HttpDoor
    checkpointer: Checkpointer
    departures: Departures
    secret: bytes
    lock: IO[str]

    async def close(self) -> None:
        """Ends everything in the opposite order of its making."""
        await self.delivery.drain()
        for channel in self.channels.values():
            await channel.close()
        await self.door.close()
        self.checkpointer.stop()
        self.core.close()
        self.departures.close()
        self.lock.close()


def build_core(settings: Settings, clock: Clock | None = None) -> Core:
    """Opens (and, where needed, makes or upgrades) the database. Raises `Unavailable` or another `TocsinError`."""
    clock = clock or SystemClock()
    _make_private(settings.data_dir)
    database = Database(settings.database_url)
    schema.upgrade(database)
    writer = Writer(database, threads=1 if database.is_sqlite else WRITERS_ON_POSTGRESQL)
    writer.start()
    sites, contacts = SiteBook(), ContactBook()
    announcer = Announcer(contacts)
    policy = Policy(flap_window=settings.flap_window_minutes * MINUTE, ack_expiry=settings.ack_expiry_minutes * MINUTE)
    ingest = Ingest(clock, sites, announcer, policy)
    core = Core(
        settings=settings,
        clock=clock,
        database=database,
        writer=writer,
        sites=sites,
        contacts=contacts,
        ingest=ingest,
        actions=Actions(clock, ingest, announcer, policy),
        announcer=announcer,
    )
    writer.call(lambda tx: site_store.ensure(tx, "main", clock.now()))
    core.refresh()
    return core


def build_server(settings: Settings, clock: Clock | None = None) -> Server:
    """Everything that serves. Raises `TocsinError` if another server already uses the data folder."""
    the_clock = clock or SystemClock()
    _make_private(settings.data_dir)
    lock = _lock(settings.data_dir)
    departures = Departures(settings.data_dir / "departures")
    door = HttpDoor(allow_private=True, ca_file=settings.tls_ca_file)
    the_channels = channels(settings, door)
    core = build_core(settings, the_clock)
    secret = core.writer.call(_instance_secret)
    core.writer.call(lambda tx: contact_store.follow_settings(tx, wanted_contacts(settings), the_clock.now()))
    core.refresh()
    delivery = Delivery(
        clock=the_clock,
        writer=core.writer,
        announcer=core.announcer,
        contacts=core.contacts,
        site_slug=core.sites.slug_of,
        channels=the_channels,
        limits=Limits(settings.message_burst, settings.messages_per_minute),
        departures=departures,
        secret=secret,
        public_url=settings.public_url,
        node=_node_id(settings.data_dir, the_clock),
        trouble=ChannelTrouble(core.ingest, the_clock),
    )
    core.announcer.use(delivery)
    checkpointer = Checkpointer(core.database)
    checkpointer.start()
    return Server(core, KeyRing(core.database, the_clock), delivery, the_channels, door, checkpointer, departures, secret, lock)


def wanted_contacts(settings: Settings) -> list[tuple[str, str]]:
    """The contacts that the settings name, by kind and target."""
    contacts = []
    if settings.ntfy_server_url:
        contacts.append(("ntfy", settings.ntfy_topic))
    if settings.notification_email:
        contacts.append(("email", settings.notification_email))
    return contacts


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise TocsinError(f"the data folder {folder} cannot be written: {error.strerror}. Set TOCSIN_DATA_DIR to a folder of your own.") from None


def _lock(folder: Path) -> IO[str]:
    lock = (folder / "serve.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise TocsinError(f"another `tocsin serve` already uses {folder}: stop it, or set TOCSIN_DATA_DIR") from None
    os.set_inheritable(lock.fileno(), False)
    return lock


def _node_id(folder: Path, clock: Clock) -> str:
    """The same over restarts, so that a node knows its own unfinished work."""
    path = folder / "node-id"
    if not path.exists():
        path.write_text(new_id(clock.now()))
        path.chmod(0o600)
    return path.read_text().strip()


def _instance_secret(tx: Tx) -> bytes:
    """The secret that seals action links: made once, shared by all nodes through the database."""
    table = tables.settings
    insert = "INSERT INTO settings(name, value) VALUES ('instance_secret', {}) ON CONFLICT DO NOTHING"
    tx.driver.execute(insert.format("?" if tx.is_sqlite else "%s"), (secrets.token_hex(32),))
    return bytes.fromhex(tx.sql.execute(sa.select(table.c.value).where(table.c.name == "instance_secret")).scalar_one())
