"""Wires everything from the settings: the only module that knows every concrete class.

In three storeys, each built on the one below: `Store` (the database), `Core` (the decisions on top of it), `Server`
(what serves and sends). Each storey loads its code when it is built, so that a command which needs the database alone
starts in half the time.
"""

import fcntl
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import sqlalchemy as sa

from tocsin.core.clock import MINUTE, SECOND, Clock, SystemClock
from tocsin.core.errors import TocsinError
from tocsin.core.ids import new_id
from tocsin.db import schema, tables
from tocsin.db.engine import Database
from tocsin.db.writer import Tx, Writer
from tocsin.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.alerts.model import Alert
    from tocsin.audit.refusals import Refusals
    from tocsin.db.checkpoint import Checkpointer
    from tocsin.escalation.service import PolicyBook
    from tocsin.events.sites import SiteBook
    from tocsin.identity.login import Porter
    from tocsin.identity.passwords import Passwords
    from tocsin.identity.service import KeyRing
    from tocsin.identity.sessions import SessionBook
    from tocsin.metrics.service import History
    from tocsin.muting.book import MuteBook
    from tocsin.net.http import HttpDoor
    from tocsin.notify.accounts import Courier, Writes
    from tocsin.notify.announce import Announcer
    from tocsin.notify.contacts import ContactBook
    from tocsin.notify.delivery import Delivery
    from tocsin.notify.departures import Departures
    from tocsin.notify.handovers import Till
    from tocsin.notify.model import Channel
    from tocsin.notify.providers.model import Provider
    from tocsin.notify.receipts import Receipts
    from tocsin.notify.trial import Trial
    from tocsin.notify.vapid import Vapid
    from tocsin.pipeline.actions import Actions
    from tocsin.pipeline.auditor import Mender
    from tocsin.pipeline.duty import DutyWatch
    from tocsin.pipeline.ingest import Ingest
    from tocsin.pipeline.muting import Sweep
    from tocsin.pipeline.prometheus import ExporterDesk, Receiver
    from tocsin.pipeline.pulse import Pulse
    from tocsin.pipeline.readiness import ReadinessWatch
    from tocsin.pipeline.reminders import Reminders
    from tocsin.pipeline.replies import Replies
    from tocsin.pipeline.roll import HostRoll
    from tocsin.pipeline.rounds import LooksBy, Rounds
    from tocsin.pipeline.scraping import Scraper
    from tocsin.pipeline.swaps import SwapDesk
    from tocsin.pipeline.thresholds import Judge
    from tocsin.pipeline.watched import CheckDesk
    from tocsin.pipeline.whmcs import WhmcsWatch
    from tocsin.ruling.book import RuleBook
    from tocsin.stream.news import News
    from tocsin.thresholds.book import ThresholdBook
    from tocsin.whmcs.book import ConnectionBook, ImpactBook
    from tocsin.whmcs.model import Connection

WRITERS_ON_POSTGRESQL = 2  # for whatever comes
INTAKES_ON_POSTGRESQL = 3  # more, which take turns with what is taken in; see docs/adr/0066-taking-turns.md
LOCK_FILE = "serve.lock"
LOCK_TRIES, LOCK_PAUSE = 3, 0.02


@dataclass(frozen=True)
class Store:
    """The database, ready to be read and written."""

    settings: Settings
    clock: Clock
    database: Database
    writer: Writer

    def close(self) -> None:
        """Finishes the writes that were handed in and closes the database."""
        self.writer.stop()
        self.database.close()


@dataclass(frozen=True)
class Core(Store):
    """The decisions on top of the database. No network, no loop."""

    sites: "SiteBook"
    contacts: "ContactBook"
    mutes: "MuteBook"
    policies: "PolicyBook"
    rules: "RuleBook"
    ingest: "Ingest"
    actions: "Actions"
    announcer: "Announcer"
    sweep: "Sweep"
    reminders: "Reminders"
    duty: "DutyWatch"
    readiness: "ReadinessWatch"
    swaps: "SwapDesk"
    impacts: "ImpactBook"
    connections: "ConnectionBook"
    mender: "Mender"
    checks: "CheckDesk"
    thresholds: "ThresholdBook"
    judge: "Judge"
    history: "History"
    receiver: "Receiver"
    exporters: "ExporterDesk"
    pulse: "Pulse"
    roll: "HostRoll"
    _refreshing: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self) -> None:
        """Reads again what is kept in memory: sites, catalogues, people, contacts, policies, rules, and what mutes.

        One after the other, so that whoever has read earlier cannot put older things in the place of newer ones.
        """
        with self._refreshing, self.database.read() as connection:
            self.sites.load(connection)
            self.contacts.load(connection, self.clock.now())
            self.policies.load(connection)
            self.rules.load(connection)
            self.mutes.load(connection, self.clock.now())
            self.impacts.load(connection)
            self.connections.load(connection)
            self.thresholds.load(connection)


@dataclass(frozen=True)
class Phone:
    """Texts and calls: who carries them, what becomes of them, what people answer."""

    providers: "list[Provider]"
    receipts: "Receipts"
    replies: "Replies"


@dataclass(frozen=True)
class Server:
    """What `tocsin serve` needs on top."""

    core: Core
    keys: "KeyRing"
    sessions: "SessionBook"
    passwords: "Passwords"
    refusals: "Refusals"
    porter: "Porter"
    courier: "Courier"
    delivery: "Delivery"
    channels: "dict[str, Channel]"
    door: "HttpDoor"
    checkpointer: "Checkpointer"
    departures: "Departures"
    secret: bytes
    lock: IO[str] | None  # None: this process sends nothing
    vapid: "Vapid"
    news: "News | None" = None  # PostgreSQL: what other processes commit
    phone: Phone | None = None  # None: no provider of texts and calls is set up
    whmcs: "WhmcsWatch | None" = None  # None: another process asks WHMCS
    scraper: "Scraper | None" = None  # None: another process asks exporters
    rounds: "Rounds | None" = None  # None: this one looks at no checks

    @property
    def mail(self) -> "Writes | None":
        """The mail channel, if a mail server is set up."""
        return self.channels.get("email")  # type: ignore[return-value]  # the registry has it under its kind

    @property
    def trial(self) -> "Trial":
        """What tries contacts out."""
        from tocsin.notify.trial import Trial

        return Trial(self.channels, self.core.writer, None if self.phone is None else self.phone.receipts.till, self.core.clock)

    async def close(self, drain: float = 5.0) -> None:
        """Ends everything in the opposite order of its making; messages under way get *drain* seconds."""
        if self.whmcs is not None:
            await self.whmcs.close()
        if self.scraper is not None:
            await self.scraper.close()
        if self.rounds is not None:
            await self.rounds.close()
        await self.courier.close()
        await self.refusals.close()
        await self.delivery.drain(drain)
        for channel in self.channels.values():
            await channel.close()
        await self.door.close()
        self.checkpointer.stop()
        self.passwords.close()
        self.core.close()
        self.departures.close()
        if self.lock is not None:
            self.lock.close()


def build_store(settings: Settings, clock: Clock | None = None) -> Store:
    """Opens (and, where needed, makes or upgrades) the database. Raises `Unavailable` or another `TocsinError`."""
    _make_private(settings.data_dir)
    database = Database(settings.database_url)
    schema.upgrade(database)
    database.is_in_use = True
    writers = {} if database.is_sqlite else {"threads": WRITERS_ON_POSTGRESQL, "in_turns": INTAKES_ON_POSTGRESQL}
    writer = Writer(database, **writers)
    writer.start()
    return Store(settings, clock or SystemClock(), database, writer)


def build_core(settings: Settings, clock: Clock | None = None) -> Core:
    """The database with the decisions on top. Raises what `build_store` raises."""
    from tocsin.alerts.model import Policy
    from tocsin.escalation.service import PolicyBook
    from tocsin.events import sites as site_store
    from tocsin.metrics.service import History
    from tocsin.metrics.store import SqlHistory
    from tocsin.muting import service as muting_service
    from tocsin.muting.book import MuteBook
    from tocsin.notify.announce import Announcer
    from tocsin.notify.contacts import ContactBook
    from tocsin.notify.quiet import Quiet
    from tocsin.pipeline.actions import Actions
    from tocsin.pipeline.auditor import Mender
    from tocsin.pipeline.bridge import BRIDGE_METRICS, BridgeFigures
    from tocsin.pipeline.duty import DutyWatch
    from tocsin.pipeline.ingest import Ingest
    from tocsin.pipeline.muting import Sweep
    from tocsin.pipeline.prometheus import ExporterDesk, Receiver
    from tocsin.pipeline.pulse import Pulse
    from tocsin.pipeline.readiness import ReadinessWatch
    from tocsin.pipeline.reminders import Reminders
    from tocsin.pipeline.roll import HostRoll
    from tocsin.pipeline.swaps import SwapDesk
    from tocsin.pipeline.thresholds import Judge
    from tocsin.pipeline.trouble import SeriesTrouble
    from tocsin.pipeline.watched import CheckDesk
    from tocsin.ruling.book import RuleBook
    from tocsin.whmcs.book import ConnectionBook, ImpactBook

    store = build_store(settings, clock)
    now = store.clock.now
    sites, contacts, policies, mutes = site_store.SiteBook(), ContactBook(), PolicyBook(), MuteBook()
    event_rules, impacts = RuleBook(), ImpactBook()
    announcer = Announcer(contacts, policies, Quiet(mutes, sites.slug_of, event_rules))
    policy = Policy(flap_window=settings.flap_window_minutes * MINUTE, ack_expiry=settings.ack_expiry_minutes * MINUTE)
    ingest = Ingest(store.clock, sites, event_rules, impacts.figures, announcer, policy)
    store.writer.take_turns(ingest.take)
    actions = Actions(store.clock, ingest, announcer, policy)
    sweep = Sweep(store.clock, mutes, event_rules, announcer)
    thresholds = _thresholds(settings)
    history = History(SqlHistory(), settings.series_limit, SeriesTrouble(ingest, sites.slug_of))
    core = Core(
        settings,
        store.clock,
        store.database,
        store.writer,
        sites,
        contacts,
        mutes,
        policies,
        event_rules,
        ingest,
        actions,
        announcer,
        sweep,
        Reminders(store.clock, sites, contacts, announcer),
        DutyWatch(store.clock, ingest, announcer, contacts, sites),
        ReadinessWatch(store.clock, ingest, announcer, contacts, sites),
        SwapDesk(store.clock, announcer, contacts, sites),
        impacts,
        ConnectionBook(lambda: connection_of(settings, sites)),
        Mender(store.clock, ingest, actions, announcer),
        CheckDesk(store.clock, sites, mutes, ingest, history, settings.ssl_expiry_warning_days),
        thresholds,
        Judge(store.clock, sites, thresholds, ingest),
        history,
        Receiver(store.writer, store.clock, history),
        ExporterDesk(store.clock, sites, history, ingest),
        Pulse(store.clock, ingest, history, sites.slug_of),
        HostRoll(store.clock, ingest, sites.slug_of),
    )
    core.history.follow(core.judge)
    ingest.listen(BRIDGE_METRICS, BridgeFigures(history).heard)

    def begin(tx: Tx) -> None:
        site_store.ensure(tx, "main", now())
        muting_service.ship(tx, now())

    core.writer.call(begin)
    core.refresh()
    return core


def _thresholds(settings: Settings) -> "ThresholdBook":
    from tocsin.thresholds import rules
    from tocsin.thresholds.book import ThresholdBook

    response = (settings.response_time_warning, settings.response_time_critical)
    return ThresholdBook(rules.defaults(settings.cpu_warning, settings.memory_warning, settings.disk_warning, response))


def build_server(
    settings: Settings,
    clock: Clock | None = None,
    *,
    delivers: bool = True,
    sends_by: "dict[str, Channel] | None" = None,
    looks_by: "LooksBy | None" = None,
) -> Server:
    """Everything that serves. Raises `TocsinError` if another process already sends for this data folder.

    *sends_by*: the channels, by the kind of contact; None: those of the settings. *looks_by*: who looks at checks; None: the
    probes. With *delivers* False (`serve
    --http-only`) no message is leased to this process: new ones wait in the outbox for the process that runs the engine, and
    no lock is taken, so that both can share a data folder.
    """
    from tocsin.audit.refusals import Refusals
    from tocsin.db.checkpoint import Checkpointer
    from tocsin.identity.login import Porter
    from tocsin.identity.passwords import Passwords
    from tocsin.identity.service import KeyRing
    from tocsin.identity.sessions import SessionBook
    from tocsin.net.http import HttpDoor
    from tocsin.notify import contacts as contact_store
    from tocsin.notify.accounts import Courier
    from tocsin.notify.channels import channels
    from tocsin.notify.delivery import Delivery
    from tocsin.notify.departures import Departures
    from tocsin.notify.handovers import Till
    from tocsin.notify.limits import Limits
    from tocsin.notify.providers import providers
    from tocsin.notify.vapid import Vapid
    from tocsin.pipeline.trouble import ChannelTrouble, SpendTrouble

    the_clock = clock or SystemClock()
    _make_private(settings.data_dir)
    lock = _lock(settings.data_dir) if delivers else None
    departures = Departures(settings.data_dir / "departures")
    door = HttpDoor(allow_private=True, ca_file=settings.tls_ca_file)
    carriers = providers(settings, door)
    core = build_core(settings, the_clock)
    vapid = Vapid(core.writer, _subject(settings))
    the_channels = channels(settings, door, carriers, vapid) if sends_by is None else sends_by
    secret = core.writer.call(_instance_secret)
    if delivers:  # who only takes requests may have other settings, or none: they are not what messages go by
        core.writer.call(lambda tx: contact_store.follow_settings(tx, wanted_contacts(settings), the_clock.now()))
        core.refresh()
    spend_trouble = SpendTrouble(core.ingest, the_clock)
    till = Till(settings.spend_limit, hears=any(carrier.is_reached for carrier in carriers), report=spend_trouble.report)
    delivery = Delivery(
        clock=the_clock,
        writer=core.writer,
        announcer=core.announcer,
        contacts=core.contacts,
        site_slug=core.sites.slug_of,
        channels=the_channels,
        limits=Limits(settings.message_burst, settings.messages_per_minute, settings.group_wait_seconds * SECOND),
        departures=departures,
        secret=secret,
        public_url=settings.public_url,
        node=_node_id(settings.data_dir, the_clock),
        trouble=ChannelTrouble(core.ingest, the_clock),
        till=till,
        impact=impact_of(core),
    )
    news = _news(core)
    if news is not None:
        core.writer.follow(news.committed)
    if delivers:
        core.announcer.use(delivery)
    passwords, refusals = Passwords(), Refusals(core.writer, the_clock)
    checkpointer = Checkpointer(core.database, core.writer)
    checkpointer.start()
    return Server(
        core=core,
        keys=KeyRing(core.database, the_clock),
        sessions=SessionBook(core.database, the_clock, settings.public_url),
        passwords=passwords,
        refusals=refusals,
        courier=Courier(core.writer, the_clock, the_channels.get("email"), settings.public_url),  # type: ignore[arg-type]  # see `mail`
        porter=Porter(core.database, core.writer, the_clock, passwords, refusals, secret),
        delivery=delivery,
        channels=the_channels,
        door=door,
        checkpointer=checkpointer,
        departures=departures,
        secret=secret,
        lock=lock,
        vapid=vapid,
        news=news,
        phone=_phone(core, delivery, till, carriers) if carriers else None,
        whmcs=whmcs_watch(core, door) if delivers else None,
        scraper=_scraper(core, door) if delivers else None,
        rounds=rounds_of(core, looks_by),
    )


def impact_of(core: Core) -> "Callable[[Alert, int], str]":
    """What says in one sentence what an alert costs; nothing where that is not known."""
    from tocsin.whmcs import rules

    def say(alert: "Alert", now: int) -> str:
        found = core.impacts.of(alert.site_id, alert.host, alert.subject, alert.attributes)
        return "" if found is None else rules.words(found, now)

    return say


def whmcs_watch(core: Core, door: "HttpDoor") -> "WhmcsWatch":
    """What asks WHMCS of each site that is connected."""
    from tocsin.pipeline.lookout import Lookout
    from tocsin.pipeline.survey import Place, Surveyor
    from tocsin.pipeline.whmcs import Pair, WhmcsWatch
    from tocsin.whmcs.client import WhmcsApi

    def make(connection: "Connection") -> Pair:
        api = WhmcsApi(door, connection.url, connection.identifier, connection.secret)
        site = Place(connection.site_id, core.sites.slug_of(connection.site_id))

        def reads(line: str) -> bool:  # the catalogue of this moment
            return core.sites.get(site.slug).catalogue.reads(line)

        lookout = Lookout(api, core.writer, core.clock, core.ingest, core.history, site, reads)
        return Pair(lookout, Surveyor(api, core.writer, core.clock, core.ingest, site, core.refresh))

    return WhmcsWatch(core.connections, make)


def connection_of(settings: Settings, sites: "SiteBook") -> "Connection | None":
    """How WHMCS is reached by the settings: that of the first site."""
    from tocsin.whmcs.model import Connection

    site_id = sites.id_of("main")
    if site_id is None or settings.whmcs_url is None or settings.whmcs_api_id is None or settings.whmcs_api_secret is None:
        return None
    return Connection(site_id, settings.whmcs_url, settings.whmcs_api_id, settings.whmcs_api_secret, from_settings=True)


def _scraper(core: Core, door: "HttpDoor") -> "Scraper":
    from tocsin.pipeline.scraping import Scraper

    return Scraper(door, core.database, core.writer, core.clock, core.exporters)


def rounds_of(core: Core, looks_by: "LooksBy | None" = None) -> "Rounds":
    """What looks at checks; it goes round once it is begun."""
    from tocsin.checks.probes.kit import Means
    from tocsin.pipeline.rounds import Limits, Rounds

    settings = core.settings
    limits = Limits(settings.response_time_warning, settings.response_time_critical)
    return Rounds(core.database, core.writer, core.clock, core.checks, Means(settings.tls_ca_file, settings.scripts_dir), limits, looks_by)


def _news(core: Core) -> "News | None":
    """What is heard of other processes; one on SQLite has none to hear of, and need not load PostgreSQL's driver."""
    if core.database.is_sqlite:
        return None
    from tocsin.stream.news import News

    return News(core.database, core.settings.database_url)


def _phone(core: Core, delivery: "Delivery", till: "Till", carriers: "list[Provider]") -> Phone:
    from tocsin.notify.receipts import Receipts
    from tocsin.pipeline.replies import Replies

    counts = {"sms": len(carriers), "voice": sum(carrier.can_call for carrier in carriers)}
    receipts = Receipts(core.clock, core.writer, till, core.contacts, delivery, counts)
    return Phone(carriers, receipts, Replies(core.clock, core.actions))


def _subject(settings: Settings) -> str:
    """Whom a push service may ask about us: who gets the alerts, else this installation's address."""
    return f"mailto:{settings.notification_email}" if settings.notification_email else settings.public_url


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
        text = f"the data folder {folder} cannot be written: {error.strerror}. Set TOCSIN_DATA_DIR to a folder of your own."
        raise TocsinError(text) from None


def _lock(folder: Path) -> IO[str]:
    lock = (folder / LOCK_FILE).open("w")
    if not any(_try_lock(lock, fcntl.LOCK_EX) for _ in range(LOCK_TRIES)):
        lock.close()
        raise TocsinError(f"another `tocsin serve` already uses {folder}: stop it, or set TOCSIN_DATA_DIR")
    os.set_inheritable(lock.fileno(), False)
    return lock


def _try_lock(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except OSError:
        time.sleep(LOCK_PAUSE)  # `server_runs` of another process holds it for an instant
        return False
    return True


def server_runs(folder: Path) -> bool:
    """Whether a process that sends messages runs on this data folder."""
    try:
        with (folder / LOCK_FILE).open() as lock:
            return not _try_lock(lock, fcntl.LOCK_SH)
    except OSError:
        return False


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
