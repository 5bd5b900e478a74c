"""Fixtures for all tests: an empty, migrated database of either kind within milliseconds, and a whole Tocsin on top of it."""

import gc
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import structlog
from hypothesis import HealthCheck, settings as hypothesis_settings

from tests import cluster
from tests.fakes import FakeClock
from tests.spares import Spares
from tests.standins.beside import Beside
from tests.world import World
from tocsin.db import schema
from tocsin.db.engine import Database

KINDS = ("sqlite", "postgresql")
FOLDER = pytest.StashKey[Path]()
MEMORY, ROOM = Path("/dev/shm"), 2 << 30  # noqa: S108 - only a folder of its own is made there
_names = count()

hypothesis_settings.register_profile(
    "tocsin",
    max_examples=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.register_profile("soak", hypothesis_settings.get_profile("tocsin"), max_examples=2_000)
hypothesis_settings.load_profile(os.environ.get("TOCSIN_HYPOTHESIS", "tocsin"))


def in_ci() -> bool:
    """Whether a missing program is a failure: with ``CI=true`` nothing is left out."""
    return os.environ.get("CI", "").lower() in ("1", "true")


def missing(reason: str) -> None:
    """Skips the test for want of a program, or fails it where everything has to run."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _is_roomy(folder: Path) -> bool:
    """Whether tests find enough room in *folder*, and may run programs there."""
    if not os.access(folder, os.W_OK):
        return False
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >= ROOM and not disk.f_flag & os.ST_NOEXEC


def pytest_configure(config: pytest.Config) -> None:
    """One folder for what all processes of this run share, and all their files in memory, if the machine has room for them there.

    Until all tests are known nothing is thrown away: to look for garbage meanwhile would be half of that work.
    """
    gc.disable()
    if "TMPDIR" not in os.environ and _is_roomy(MEMORY):
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
    shared = getattr(config, "workerinput", {}).get("tocsin_folder")
    config.stash[FOLDER] = Path(shared or tempfile.mkdtemp(prefix="tocsin-tests-"))


def pytest_collection_finish() -> None:
    """From now on there is garbage; what is there already stays to the end, and is not looked through again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a worker of xdist where that folder is."""
    node.workerinput["tocsin_folder"] = str(node.config.stash[FOLDER])
    node.workerinput["tocsin_owner"] = os.getpid()


# What takes longest, and about how many seconds of CPU one of each takes. Begun last, it would be all that one process does while
# the others have nothing left.
LONG = {
    "tests/crash/": 15,
    "tests/api/made_up/": 20,
    "tests/agent/test_restarts.py": 8,
    "tests/test_docs.py::test_every_command_of_the": 5,
    "tests/test_docs.py::test_the_five_minutes": 4,
    "tests/cli/test_faults": 4,
    "tests/web/test_in_a_browser.py": 3,
    "tests/web/test_access_in_a_browser.py": 3,
    "tests/escalation/test_promise.py": 10,
    "tests/metrics/test_keeping.py": 0.7,
    "tests/demo/": 0.4,
    "tests/api/test_sites_apart.py": 2,
    "tests/cli/test_cli_story.py": 1,
    "tests/stories/": 0.6,
    "tests/notify/test_delivery.py": 0.2,
    "tests/cli/": 0.1,
}
# Its tests share a site and a browser, which each process would start for itself.
TOGETHER = "tests/web/test_in_a_browser.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each process begins with its share of the long tests: xdist first gives each an equal, unbroken part of the list."""
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    if workers == 1:
        return
    long: dict[str, list[pytest.Item]] = {}
    seconds: dict[str, float] = {}
    rest = []
    for item in items:
        path = next((path for path in LONG if item.nodeid.startswith(path)), None)
        if path is None:
            rest.append(item)
        else:
            name = path if path == TOGETHER else item.nodeid
            long.setdefault(name, []).append(item)
            seconds[name] = seconds.get(name, 0) + LONG[path]
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for name in sorted(long, key=lambda name: -seconds[name]):
        idlest = loads.index(min(loads))
        shares[idlest] += long[name]
        loads[idlest] += seconds[name]
    ordered: list[pytest.Item] = []
    for worker, share in enumerate(shares):
        room = max(0, len(items) * (worker + 1) // workers - len(ordered) - len(share))
        ordered += [*share, *rest[:room]]
        del rest[:room]
    items[:] = [*ordered, *rest]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes the folder, unless the cluster's keeper has it: that removes it once this process has ended."""
    folder = config.stash.get(FOLDER, None)
    if folder is not None and not hasattr(config, "workerinput") and not (folder / "data").exists():
        shutil.rmtree(folder, ignore_errors=True)


class Databases:
    """Makes empty databases by copying one that was migrated once."""

    def __init__(self, folder: Path, owner: int, spares: Spares) -> None:
        self._folder, self._owner, self._spares = folder, owner, spares
        self._template = folder / "template.db"
        self._washed: list[str] = []
        self._schema = ""

    def sqlite(self, path: Path) -> str:
        """The address of a new database at *path*."""
        with cluster.locked(self._folder / "sqlite.lock"):
            if not self._template.exists():
                made = self._folder / "making.db"
                _migrate(f"sqlite:///{made}")
                with closing(sqlite3.connect(made)) as connection:
                    connection.execute(f"VACUUM INTO '{self._folder / 'ready.db'}'")
                (self._folder / "ready.db").rename(self._template)
        shutil.copy(self._template, path)
        return f"sqlite:///{path}"

    def server(self) -> str:
        """The address of the PostgreSQL server, without a database."""
        try:
            return f"postgresql://postgres@127.0.0.1:{cluster.port_of(self._folder, self._owner)}"
        except cluster.NoPostgres as error:
            missing(str(error))
            raise

    def postgresql(self) -> str:
        """The address of an empty, migrated database on the run's own server; give it back with `give_back`."""
        if self._washed:
            return self._washed.pop()
        server = self.server()
        with cluster.locked(self._folder / "postgresql.lock"):
            marker = self._folder / "template-is-made"
            if not marker.exists():
                with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
                    connection.execute("CREATE DATABASE template_tocsin")
                _migrate(f"{server}/template_tocsin")
                marker.touch()
        url = self._create("template_tocsin")
        with self._spares.open(url) as connection:
            self._schema = _schema_of(connection)
        return url

    def give_back(self, url: str) -> None:
        """Empties a database of `postgresql` for the next test, which costs a tenth of a new one; drops it if its schema was changed."""
        with self._spares.open(url) as connection:
            intact = _schema_of(connection) == self._schema
            if intact:
                _wash(connection, self._spares.processes(url))
        if intact:
            self._washed.append(url)
        else:
            self.drop(url)

    def empty_postgresql(self) -> str:
        """The address of a new database without any table."""
        return self._create("template0")

    def _create(self, template: str) -> str:
        server, name = self.server(), f"tocsin_{os.getpid()}_{next(_names)}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return f"{server}/{name}"

    def drop(self, url: str) -> None:
        """Removes a database of `postgresql`."""
        self._spares.forget(url)
        server, _, name = url.rpartition("/")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _schema_of(connection: psycopg.Connection[Any]) -> str:
    """All tables, columns, indexes and constraints as one fingerprint: how many there are, and which transactions wrote them.

    What the migrations left in tables is part of it.
    """
    found = connection.execute(
        "WITH classes AS (SELECT oid, xmin FROM pg_class WHERE relnamespace = 'public'::regnamespace), lines AS ("
        " SELECT xmin FROM classes"
        " UNION ALL SELECT xmin FROM pg_attribute WHERE attrelid IN (SELECT oid FROM classes)"
        " UNION ALL SELECT xmin FROM pg_constraint WHERE connamespace = 'public'::regnamespace)"
        " SELECT count(*), sum(xmin::text::bigint), (SELECT max(version_num) FROM alembic_version),"
        " (SELECT value FROM settings WHERE name = 'schema_oldest') FROM lines"
    ).fetchone()
    return str(found)


def _wash(connection: psycopg.Connection[Any], kept: list[int]) -> None:
    """Ends what a test left open, but for these processes, and takes out every row."""
    others = "datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL(%s)"
    connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}", (kept,))
    names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'").fetchall()
    deletes = "".join(f"DELETE FROM {name}{' WHERE name <> ' + repr('schema_oldest') if name == 'settings' else ''};" for (name,) in names)
    connection.execute(f"SET session_replication_role = replica; {deletes} SET session_replication_role = DEFAULT")
    connection.execute(
        "SELECT setval(format('%I', sequencename)::regclass, start_value, false) FROM pg_sequences WHERE schemaname = 'public'"
    )


def _migrate(url: str) -> None:
    database = Database(url)
    with database.writer_connection() as connection:
        schema.migrate(connection)
    database.close()


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Where the stand-ins of a test live that waits for programs."""
    beside = Beside()
    yield beside
    beside.close()


@pytest.fixture(scope="session")
def spares() -> Iterator[Spares]:
    spares = Spares()
    yield spares
    spares.close()


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(spares: Spares) -> Iterator[None]:
    """All engines of this process share what one of them has compiled: a third of the CPU that a `World` and a few requests need.

    The program makes two engines and keeps them; the tests make thousands, and each would compile every statement anew.
    """
    make, kin = sa.create_engine, dict[str, sa.Engine]()

    def make_akin(url: str, **options: Any) -> sa.Engine:
        kind = url.partition(":")[0]
        if kind not in kin:
            first = make("sqlite://" if kind == "sqlite" else url, isolation_level=options["isolation_level"], poolclass=sa.NullPool)
            try:
                first.connect().close()  # what the dialect asks the server once
            except sa.exc.OperationalError:
                return make(url, **options)
            kin[kind] = first
        engine = make(url, **options)
        if kind != "sqlite":
            sa.event.listen(engine, "do_connect", lambda _dialect, _record, _args, given: spares.connect(**given))
        vars(engine.dialect)["initialize"] = lambda _connection: None  # the first has asked
        engine.dialect, engine._compiled_cache = kin[kind].dialect, kin[kind]._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sa, "create_engine", make_akin)
        yield


@pytest.fixture(scope="session", autouse=True)
def _plain_log() -> None:
    """What is logged is plain text: to paint one traceback in colours costs more than many a test."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, spares: Spares) -> Databases:
    owner = getattr(request.config, "workerinput", {}).get("tocsin_owner", os.getpid())
    return Databases(request.config.stash[FOLDER], owner, spares)


@pytest.fixture
def sqlite_url(databases: Databases, tmp_path: Path) -> str:
    return databases.sqlite(tmp_path / "tocsin.db")


@pytest.fixture
def postgresql_url(databases: Databases) -> Iterator[str]:
    url = databases.postgresql()
    yield url
    databases.give_back(url)


@pytest.fixture
def own_connections(postgresql_url: str, spares: Spares) -> None:
    """Each connection to the database is a new one, and none is kept: for tests that change what a new one finds, or spoil them."""
    spares.forget(postgresql_url)


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty, migrated database; the test runs once on each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def unused_port() -> int:
    """A port of loopback where nobody listens."""
    return cluster.free_port()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A whole Tocsin with a fake clock and fake channels, on each kind of database."""
    world = World(database_url, tmp_path)
    yield world
    await world.close()


@pytest.fixture
async def sqlite_world(sqlite_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """The same on SQLite only, where the database makes no difference."""
    world = World(sqlite_url, tmp_path)
    yield world
    await world.close()
