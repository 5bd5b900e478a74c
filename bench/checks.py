"""What a thousand checks a minute cost, and how punctual they are. The servers that they ask run in a process of their own."""

import asyncio
import gzip
import http.client
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.figures import Bound, Options, Part, Row
from bench.noise import Run, Watch, in_words, median, undisturbed
from bench.servers import BenchError, Target, Tocsin
from tocsin.audit.model import Who
from tocsin.bootstrap import Core, build_core
from tocsin.checks import rules, store
from tocsin.checks.model import Definition, HttpTarget, Target as Asked, TcpTarget
from tocsin.core.clock import SECOND, SystemClock, monotonic
from tocsin.core.times import to_text
from tocsin.db.writer import Tx
from tocsin.metrics.model import SeriesFilter
from tocsin.settings import Settings

CHECKS, INTERVAL = 1_000, 60
SERIES, AGENTS, EVERY = 10_000, 200, 300
CPU = Bound(15, at_least=False, unit="% of a core")
LATE = Bound(1_000, at_least=False, unit="ms")
MEMORY = Bound(200, at_least=False, unit="MiB")
BENCH = Who("bench")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2048\r\n\r\n" + b"all is well, and more of it " * 73 + b"well"


def measure(tocsin: Tocsin, work: Path, options: Options) -> list[Part]:
    """One whole interval of a server that does both, after the first looks and the first values."""
    count, interval = (CHECKS, INTERVAL) if not options.quick else (CHECKS // 10, 10)
    runs: list[Run] = []

    def one() -> Run:
        with Watch() as watch, _servers(work) as ports:
            values = _one(tocsin, work / f"checks-{len(runs)}", ports, count, interval)
        runs.append(Run(values, watch.noise))
        return runs[-1]

    made = undisturbed(one, tries=min(2, options.tries))
    cpu, late, memory = (median(made, name) for name in ("cpu_percent", "latest_ms", "peak_mib"))
    rows = [
        Row("processor", f"{cpu:.1f} % of a core", target=CPU.text, met=CPU.is_met(cpu)),
        Row("the latest start", f"{late:.0f} ms", target=LATE.text, met=LATE.is_met(late)),
        Row("the most memory", f"{memory:.0f} MiB", target=MEMORY.text, met=MEMORY.is_met(memory)),
    ]
    note = (
        f"`tocsin serve` with {count:,} checks every {interval} s: six in ten by HTTP with a keyword, two by HTTPS with the"
        f" certificate, two by TCP; each is written down with its time. Meanwhile {AGENTS} agents send {SERIES:,} series every"
        f" {EVERY} s, packed. When a look began is reckoned from when it was written down and how long it took. {in_words(made)}"
    )
    return [Part(f"{count:,} checks every {interval} s and {SERIES:,} series", "", rows, [note], [run.values for run in made])]


def _one(tocsin: Tocsin, folder: Path, ports: tuple[int, int], count: int, interval: int) -> dict[str, float]:
    tocsin.copy_to(folder)
    settings = Settings(data_dir=folder, database_url=f"sqlite:///{folder}/tocsin.db")
    core = build_core(settings)
    core.writer.call(lambda tx: _fill(tx, core, ports, count, interval))
    core.close()
    with tocsin.on(folder) as target:
        begun = monotonic()
        for number in range(AGENTS):  # all series are there; and the first looks keep their evidence, which the later ones do not
            _send(target, number)
        time.sleep(max(0.0, interval - (monotonic() - begun)))
        since, cpu = SystemClock().now(), target.child.cpu_seconds()
        _send_in_turn(target, interval)
        cpu = target.child.cpu_seconds() - cpu
        peak = target.child.peak_mib()
    core = build_core(settings)
    try:
        late, looks = _latest(core, since, interval)
        return {
            "cpu_percent": 100 * cpu / interval,
            "latest_ms": late,
            "peak_mib": peak,
            "looked": float(_looked(core, count)),
            "timed": looks,
        }
    finally:
        core.close()


def _send_in_turn(target: Target, seconds: int) -> None:
    """One agent after the other, each every five minutes, for so long."""
    end, number = monotonic() + seconds, 0
    while (left := end - monotonic()) > 0:
        _send(target, number % AGENTS)
        number += 1
        time.sleep(max(0.0, min(left, EVERY / AGENTS)))


def _send(target: Target, agent: int) -> None:
    at = to_text(SystemClock().now())
    samples = [
        {"name": f"load{n}_percent", "host": f"agent-{agent}", "at": at, "value": (agent * n) % 997 / 10} for n in range(SERIES // AGENTS)
    ]
    body = gzip.compress(msgspec.json.encode({"samples": samples}))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Authorization": target.auth or ""}
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    with closing(connection):
        connection.request("POST", "/api/v1/metrics", body, headers)
        answer = connection.getresponse()
        if answer.status != 202:
            raise BenchError(f"{answer.status} {answer.read()[:200]!r}")


def _latest(core: Core, since: int, interval: int) -> tuple[float, float]:
    """By how much the latest look began too late, and how many looks that is reckoned from."""
    with core.database.read() as connection:
        phases = {check.id: rules.phase_of(check.id, interval * SECOND) for check in store.of_sites(connection, None)}
        series = core.history.find(connection, SeriesFilter(name="response_ms"))
        points = [
            (dict(one.labels)["check"], at, took) for one in series for at, took in core.history.points(connection, one.id, since, 1 << 45)
        ]
    every = interval * SECOND
    late = [(at - took - phases[name]) % every for name, at, took in points]
    return max(0.0 if one > every - SECOND else one for one in late), float(
        len(late)
    )  # a millisecond too soon is not a whole turn too late


def _fill(tx: Tx, core: Core, ports: tuple[int, int], count: int, interval: int) -> None:
    site, now = core.sites.get("main").id, SystemClock().now()
    for number in range(count):
        definition = Definition(
            name=f"Check {number}",
            target=_target(number, ports),
            interval=interval,
            timeout=5,
            retry_after=interval,
            private=True,
            host=f"host-{number}",
        )
        check = core.checks.add(BENCH, site, definition)(tx)
        due_at = rules.next_due(check.id, interval * SECOND, interval * SECOND, now, now)
        tx.driver.execute("UPDATE checks SET due_at = ? WHERE id = ?", (due_at, check.id))


def _target(number: int, ports: tuple[int, int]) -> Asked:
    plain, secure = ports
    if number % 10 < 6:
        return HttpTarget(url=f"http://127.0.0.1:{plain}/{number}", keyword="well")
    if number % 10 < 8:
        return HttpTarget(url=f"https://127.0.0.1:{secure}/{number}", trusted=False)
    return TcpTarget(host="127.0.0.1", port=plain)


def _looked(core: Core, count: int) -> int:
    with core.database.read() as connection:
        every = store.of_sites(connection, None)
    up = [check for check in every if check.status.value == "up"]
    if len(up) != count:
        raise RuntimeError(f"{count - len(up)} checks are not up: {every[0].last_words}")
    return len(up)


# --- What is asked ----------------------------------------------------------------------------------------------------


@contextmanager
def _servers(work: Path) -> Iterator[tuple[int, int]]:
    """The ports of an HTTP and an HTTPS server in a process of their own."""
    process = subprocess.Popen([sys.executable, "-m", "bench.checks", str(work)], stdout=subprocess.PIPE, text=True)
    try:
        plain, secure = process.stdout.readline().split() if process.stdout else ("0", "0")
        yield int(plain), int(secure)
    finally:
        process.kill()
        process.wait()


async def _serve(folder: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(4_096):
            writer.write(ANSWER)
        writer.close()

    plain = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1_024)
    secure = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1_024, ssl=_context(folder))
    print(plain.sockets[0].getsockname()[1], secure.sockets[0].getsockname()[1], flush=True)
    await plain.serve_forever()


def _context(folder: Path) -> ssl.SSLContext:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)  # noqa: TID251 - the certificate's, as OpenSSL reads it
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    made = builder.not_valid_before(now).not_valid_after(now + timedelta(days=90)).sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "bench.pem"
    path.write_bytes(made.public_bytes(encoding) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
