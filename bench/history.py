"""History: samples in, bytes on disk, and what questions cost, beside VictoriaMetrics where it is installed."""

import http.client
import shutil
import sqlite3
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.figures import Bound, Options, Part, Row
from bench.load import send_all
from bench.servers import Child, Target, Tocsin, free_port
from tocsin.bootstrap import Core, build_core
from tocsin.core.clock import DAY, HOUR, SECOND, SystemClock, monotonic
from tocsin.core.times import to_text
from tocsin.db.writer import Tx
from tocsin.metrics.model import NO_LABELS, Agg, Curve, Labels, Question, Sample, Series, SeriesFilter
from tocsin.metrics.packing import Packing
from tocsin.metrics.rolling import Rolling
from tocsin.metrics.rules import QUARTER
from tocsin.metrics.service import Piece
from tocsin.metrics.settling import Settling
from tocsin.metrics.trimming import Trimming
from tocsin.settings import Settings

SERIES, DAYS, A_DAY = 100, 90, 288
STEP = DAY // A_DAY
MANY_SERIES, YEARS = 10_000, 3
BATCH = 1_000
INTAKE = 300_000  # samples
RATE = Bound(100_000, at_least=True, unit="samples/s")
SIZE = Bound(1.3, at_least=False, unit="bytes")
BLOCKED = Bound(50, at_least=False, unit="ms")
READ, READ_API, MANY, HOURLY, P95 = (Bound(limit, at_least=False, unit="ms") for limit in (3, 20, 100, 0.5, 100))

Values = NDArray[np.float64]


def measure(tocsin: Tocsin, work: Path, options: Options) -> list[Part]:
    """Samples in over HTTP; then 90 days of a hundred series (a tenth as many days, quick)."""
    days = max(9, round(DAYS * options.scale))
    mix = _Mix(days)
    folder = work / "history"
    tocsin.copy_to(folder)
    ours = _Ours(folder, mix)
    try:
        stored = ours.fill()
        asked = ours.ask()
    finally:
        ours.close()
    with tocsin.on(folder) as target:
        asked |= _over_http(target, mix)
    with _victoria(work / "victoria") as victoria:
        peer = {} if victoria is None else victoria.measure(mix)
    shutil.rmtree(folder, ignore_errors=True)
    tocsin.copy_to(folder)
    years = _Years(folder, max(1_000, round(MANY_SERIES * min(1, options.scale))))
    try:
        aged = years.pass_by()
    finally:
        years.close()
        shutil.rmtree(folder, ignore_errors=True)
    return [_taking(tocsin, options), _keeping(stored, peer, days), _ageing(aged, years.series), _asking(asked, peer, days)]


class _Years:
    """Twelve days of very many series, and the years after them: everything that is ever done to keep history small."""

    def __init__(self, folder: Path, series: int) -> None:
        self.series = series
        self._core = build_core(Settings(data_dir=folder, database_url=f"sqlite:///{folder}/tocsin.db"))
        self._site = self._core.sites.get("main").id
        self._midnight = self._core.clock.now() // DAY * DAY

    def close(self) -> None:
        """Ends it."""
        self._core.close()

    def pass_by(self) -> dict[str, float]:
        """The most CPU (ms) that any piece of each kind took of the writer, and how many pieces there were."""
        self._fill()
        self._record()
        found: dict[str, float] = {}
        pieces = 0
        for day in range(4, YEARS * 365):  # the first days are sealed all at once, as after a pause
            for piece in self._pieces(self._midnight + day * DAY):
                took = self._core.writer.call(partial(_cpu_of, piece)) * 1_000
                name = _kind_of(piece)
                found[name] = max(found.get(name, 0.0), took)
                pieces += 1
        return {**found, "pieces": pieces}

    def _pieces(self, now: int) -> Iterator[Piece]:
        while True:
            with self._core.database.read() as connection:
                piece = self._core.history.next_piece(connection, DAYS, now)
            if piece is None:
                return
            yield piece

    def _fill(self) -> None:
        """Whole days, a span at a time: the packs and roll-ups that go later."""
        chance = np.random.default_rng(11)
        for begins in range(self._midnight - 15 * DAY, self._midnight - 3 * DAY, 3 * DAY):
            times = np.arange(begins, begins + 3 * DAY, STEP, dtype=np.int64)
            columns = {self._key(n): (times, np.round(chance.normal(50, 9, len(times)), 1)) for n in range(self.series)}
            self._core.writer.call(lambda tx, some=columns, ends=begins + 3 * DAY: self._core.history.fill(tx, some, ends))  # type: ignore[misc]  # lambdas with defaults have no type

    def _record(self) -> None:
        """Rows: two hours of all, and three days of some, of which each pack takes as many as it may at once; the last minutes of
        these every ten seconds, so that as many settle at once as may.
        """
        begins = self._midnight - 3 * DAY
        for number in range(self.series):
            times = [*range(begins, begins + 2 * HOUR, STEP)]
            if number < 160:
                times = [*range(begins, self._midnight, STEP), *range(self._midnight - QUARTER, self._midnight, 10 * SECOND)]
            samples = [self._sample(number, at) for at in times]
            self._core.writer.call(lambda tx, some=samples: self._core.history.record(tx, some, self._midnight))  # type: ignore[misc]  # lambdas with defaults have no type

    def _key(self, number: int) -> tuple[int, str, str, Labels]:
        return self._site, f"load{number % 16}_percent", f"host-{number // 16}", NO_LABELS

    def _sample(self, number: int, at: int) -> Sample:
        _, name, host, labels = self._key(number)
        return Sample(self._site, name, at, at % 997 / 10, host, labels)


def _kind_of(piece: Piece) -> str:
    if isinstance(piece, Trimming):
        return "packs go" if piece.table == "blocks" else "roll-ups go"
    if isinstance(piece, Packing):
        return "sealing"
    if isinstance(piece, Settling):
        return "settling"
    return "hours" if isinstance(piece, Rolling) and piece.hourly else "days"


class _Mix:
    """Half noisy gauges with two decimals, a quarter slow gauges, a quarter counters; times that jitter by up to a second."""

    def __init__(self, days: int) -> None:
        self.days, self.count = days, days * A_DAY
        self.end = SystemClock().now() // DAY * DAY
        self.start = self.end - days * DAY
        chance, places = np.random.default_rng(7), np.arange(self.count)
        self.times = [self.start + places * STEP + chance.integers(0, SECOND, self.count) for _ in range(0, SERIES, 16)]
        self.values = [self._series(number, places, chance) for number in range(SERIES)]

    def _series(self, number: int, places: NDArray[np.int64], chance: np.random.Generator) -> Values:
        kind = number % 4
        if kind < 2:
            noise = chance.normal(0, 4, self.count)
            return np.asarray(np.round(40 + 20 * np.sin(2 * np.pi * places / A_DAY + number) + noise, 2).clip(0, 100))
        if kind == 2:
            steps = chance.normal(0, 0.05, self.count) * (chance.random(self.count) < 0.1)
            return np.asarray(np.round(50 + np.cumsum(steps), 2))
        return np.cumsum(chance.poisson(2_000, self.count)).astype(float)

    def times_of(self, number: int) -> NDArray[np.int64]:
        """Sixteen series are one host's, and are sent at once."""
        return self.times[number // 16]


class _Ours:
    """Tocsin's own history, in this process."""

    def __init__(self, folder: Path, mix: _Mix) -> None:
        self._mix = mix
        self._core: Core = build_core(Settings(data_dir=folder, database_url=f"sqlite:///{folder}/tocsin.db"))
        self._site = self._core.sites.get("main").id
        self._file = folder / "tocsin.db"

    def close(self) -> None:
        """Ends it."""
        self._core.close()

    def fill(self) -> dict[str, float]:
        """Records everything, has it rolled up and sealed, and says how large it is and how long others had to wait at most."""
        before = self._size()
        for day in range(self._mix.days):
            self._record(slice(day * A_DAY, (day + 1) * A_DAY))
        longest = self._keep()
        blocks, rollups = self._size_of("blocks"), self._size_of("rollups_hourly", "rollups_daily")
        sealed = self._one("SELECT sum(samples) FROM blocks")
        return {"sample": blocks / sealed, "rollup": rollups / sealed, "blocked": longest, "file": self._size() - before}

    def _record(self, part: slice) -> None:
        history, clock = self._core.history, self._core.clock
        for number, values in enumerate(self._mix.values):
            pairs = zip(self._mix.times_of(number)[part].tolist(), values[part].tolist(), strict=True)
            samples = [Sample(self._site, f"load{number}_percent", at, value, f"host-{number // 16}") for at, value in pairs]
            self._core.writer.call(lambda tx, samples=samples: history.record(tx, samples, clock.now()))  # type: ignore[misc]  # lambdas with defaults have no type

    def _keep(self) -> float:
        """The longest time (ms) that a piece of work held the writer."""
        longest = 0.0
        while True:
            with self._core.database.read() as connection:
                piece = self._core.history.next_piece(connection, 365, self._core.clock.now())
            if piece is None:
                return longest * 1_000
            longest = max(longest, self._core.writer.call(partial(_cpu_of, piece)))

    def ask(self) -> dict[str, float]:
        """Each question, in ms."""
        mix, week = self._mix, 7 * DAY
        with self._core.database.read() as connection:
            series = self._core.history.find(connection, SeriesFilter())
        return {
            "read": _timed(lambda: self._columns(series[:1])),
            "many": _timed(lambda: self._curves(series[:50], mix.end - week, None, Agg.AVG)),
            "hourly": _timed(lambda: self._curves(series[:1], mix.end - week, HOUR, Agg.AVG)),
            "p95": _timed(lambda: self._curves(series, mix.start, DAY, Agg.P95)),
        }

    def _columns(self, series: list[Series]) -> Any:
        with self._core.database.read() as connection:
            return self._core.history.columns(connection, series, self._mix.start, self._mix.end)

    def _curves(self, series: list[Series], start: int, step: int | None, agg: Agg) -> list[Curve]:
        with self._core.database.read() as connection:
            return self._core.history.curves(connection, series, Question(start, self._mix.end, step, 1_000, agg, 0))

    def _size(self) -> int:
        return self._file.stat().st_size

    def _one(self, question: str) -> Any:
        with closing(sqlite3.connect(self._file)) as connection:
            return connection.execute(question).fetchone()[0]

    def _size_of(self, *tables: str) -> int:
        """The pages that these tables and their indexes take."""
        with closing(sqlite3.connect(self._file)) as connection:
            names = [
                row[0] for table in tables for row in connection.execute("SELECT name FROM sqlite_master WHERE tbl_name = ?", (table,))
            ]
            try:
                return sum(
                    connection.execute("SELECT sum(pgsize) FROM dbstat WHERE name = ?", (name,)).fetchone()[0] or 0 for name in names
                )
            except sqlite3.OperationalError:  # built without dbstat: the packs themselves, and what is lost at the end of each
                return int(connection.execute("SELECT sum((length(pack) + 4095) / 4096 * 4096) FROM blocks").fetchone()[0])


def _cpu_of(piece: Piece, tx: Tx) -> float:
    """Writes a piece; how much of the writer's time that took."""
    begun = time.thread_time()
    piece.write(tx)
    return time.thread_time() - begun


def _timed(work: Callable[[], Any]) -> float:
    """The median of five, in ms, after one that is not counted."""
    work()
    took = []
    for _ in range(5):
        begun = monotonic()
        work()
        took.append((monotonic() - begun) * 1_000)
    return statistics.median(took)


def _over_http(target: Target, mix: _Mix) -> dict[str, float]:
    query = urlencode({"name": "load1_percent", "from": to_text(mix.start), "to": to_text(mix.end), "width": 1_000})
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)

    def ask() -> None:
        connection.request("GET", f"/api/v1/metrics/query?{query}", headers={"Authorization": target.auth or ""})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or b'"points":[[' not in body:
            raise RuntimeError(f"{answer.status} {body[:200]!r}")

    with closing(connection):
        return {"api": _timed(ask)}


def _taking(tocsin: Tocsin, options: Options) -> Part:
    """Samples of a thousand series, a thousand in a request, over four connections."""
    count, now = round(INTAKE * max(options.scale, 0.3)), SystemClock().now()
    bodies = [_body(now - (count // BATCH - place) * SECOND) for place in range(count // BATCH)]
    rates = []
    for _ in range(options.repeats):
        with tocsin.fresh() as target:
            begun = monotonic()
            send_all(replace(target, path="/api/v1/metrics"), bodies, "application/json")
            rates.append(count / (monotonic() - begun))
    rate = statistics.median(rates)
    row = Row("samples stored, 1,000 a request, 4 connections, samples/s", f"{rate:,.0f}", target=RATE.text, met=RATE.is_met(rate))
    return Part("Samples in", "", [row], ["Answered after a flushed commit. The sender runs on the same cores."], {"rates": rates})


def _body(at: int) -> bytes:
    names = ("cpu_percent", "memory_percent", "load_1m", "disk_percent", "network_connections")
    samples = [{"name": names[n % 5], "host": f"web-{n // 5}.example.com", "at": to_text(at), "value": n / 7} for n in range(BATCH)]
    return msgspec.json.encode({"samples": samples})


def _keeping(stored: dict[str, float], peer: dict[str, float], days: int) -> Part:
    size, blocked = stored["sample"], stored["blocked"]
    rows = [
        _row("a sealed sample on disk, its time included, bytes", size, SIZE, peer.get("sample"), ".2f"),
        Row("roll-ups of hours and days, by sample, bytes", f"{stored['rollup']:.2f}"),
        _row("the most CPU that one piece of rolling up or sealing took of the writer, ms", blocked, BLOCKED, None, ".1f"),
    ]
    note = (
        f"{SERIES} series, {days} days, every 5 minutes with a second's jitter: half noisy gauges, a quarter slow ones, a quarter counters."
    )
    return Part("History on disk", "VictoriaMetrics", rows, [note], stored)


def _ageing(aged: dict[str, float], series: int) -> Part:
    words = {
        "settling": "settling",
        "hours": "rolling up hours",
        "days": "rolling up days",
        "sealing": "sealing",
        "packs go": "letting go of packs",
        "roll-ups go": "letting go of roll-ups",
    }
    rows = [_row(f"{said}, ms", aged[name], BLOCKED, None, ".1f") for name, said in words.items() if name in aged]
    note = (
        f"The most CPU that one piece took of the writer, of {aged['pieces']:,.0f}, in {YEARS} years after 15 days of {series:,} series:"
        f" all that is done to any sample. The intake waits for one piece at most."
    )
    return Part(f"Years of keeping {series:,} series", "", rows, [note], aged)


def _asking(asked: dict[str, float], peer: dict[str, float], days: int) -> Part:
    rows = [
        _row(f"one series, {days} days, every sample, in process", asked["read"], READ, peer.get("read"), ".2f"),
        _row(f"one series, {days} days, 1,000 points wide, over the API", asked["api"], READ_API, None, ".1f"),
        _row("50 series, 7 days, in process", asked["many"], MANY, peer.get("many"), ".1f"),
        _row("mean and greatest of each hour, one series, 7 days, in process", asked["hourly"], HOURLY, peer.get("hourly"), ".2f"),
        _row(f"p95 of each day, {SERIES} series, {days} days, in process", asked["p95"], P95, peer.get("p95"), ".1f"),
    ]
    note = "VictoriaMetrics answers over HTTP, its caches off; the bytes of its answer are not parsed. Median of five."
    return Part("Questions to history, ms", "VictoriaMetrics", rows, [note], {"ours": asked, "peer": peer})


def _row(what: str, ours: float, bound: Bound, peer: float | None, form: str) -> Row:
    ratio = None if not peer else ours / peer
    return Row(what, format(ours, form), "" if peer is None else format(peer, form), ratio, bound.text, bound.is_met(ours))


class _Victoria:
    """VictoriaMetrics with the same samples."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port, self._folder = port, folder

    def measure(self, mix: _Mix) -> dict[str, float]:
        """The same figures."""
        for number, values in enumerate(mix.values):
            times, labels = mix.times_of(number).tolist(), {"__name__": "m", "series": f"s{number:03d}", "half": str(number // 50)}
            self._get("/api/v1/import", msgspec.json.encode({"metric": labels, "values": values.tolist(), "timestamps": times}))
        self._get("/internal/force_flush")
        self._get("/internal/force_merge")
        time.sleep(5)
        size = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        end, week = mix.end / 1_000 - 1, mix.end - 7 * DAY
        one = 'm{series="s001"}'
        return {
            "sample": size / (SERIES * mix.count),
            "read": _timed(lambda: self._ask("query", query=f"{one}[{mix.days}d]", time=end)),
            "many": _timed(lambda: self._range('m{half="0"}', week / 1_000, end, 600)),
            "hourly": _timed(lambda: [self._range(f"{f}_over_time({one}[1h])", week / 1_000, end, 3_600) for f in ("avg", "max")]),
            "p95": _timed(lambda: self._range("quantile_over_time(0.95, m[1d])", mix.start / 1_000, end, 86_400)),
        }

    def _range(self, query: str, start: float, end: float, step: int) -> bytes:
        return self._ask("query_range", query=query, start=start, end=end, step=step)

    def _ask(self, path: str, **query: Any) -> bytes:
        answer = self._get(f"/api/v1/{path}?{urlencode(query)}")
        if b'"result":[{' not in answer:
            raise RuntimeError(f"VictoriaMetrics answers {answer[:200]!r}")
        return answer

    def _get(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", body)
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - the same
            return bytes(answer.read())


@contextmanager
def _victoria(folder: Path) -> Iterator[_Victoria | None]:
    program = shutil.which("victoria-metrics")
    if program is None:
        print("  VictoriaMetrics is not measured: it is not installed (apt-get install victoria-metrics)")
        yield None
        return
    port = free_port()
    settings = ("retentionPeriod=100y", "search.latencyOffset=0s", "search.maxPointsPerTimeseries=100000", "search.disableCache")
    flags = [f"-storageDataPath={folder}", f"-httpListenAddr=127.0.0.1:{port}", *[f"-{one}" for one in settings], "-loggerLevel=ERROR"]
    child = Child([program, *flags], folder.parent, {})
    try:
        child.wait_for(lambda: _is_up(port))
        yield _Victoria(port, folder)
    finally:
        child.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
