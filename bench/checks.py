"""What a thousand checks a minute cost, and how punctual they are. The servers that they ask run in a process of their own."""

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.figures import Bound, Options, Part, Row
from bench.noise import Run, Watch, in_words, median, undisturbed
from tocsin.audit.model import Who
from tocsin.bootstrap import Core, build_core, rounds_of
from tocsin.checks import rules, store
from tocsin.checks.model import Definition, HttpTarget, Target, TcpTarget
from tocsin.core.clock import SECOND, SystemClock
from tocsin.db.writer import Tx
from tocsin.settings import Settings

CHECKS, INTERVAL = 1_000, 60
CPU = Bound(15, at_least=False, unit="% of a core")
LATE = Bound(1_000, at_least=False, unit="ms")
BENCH = Who("bench")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2048\r\n\r\n" + b"all is well, and more of it " * 73 + b"well"


def measure(work: Path, options: Options) -> list[Part]:
    """One whole interval, after the first looks."""
    count, interval = (CHECKS, INTERVAL) if not options.quick else (CHECKS // 10, 10)
    runs: list[Run] = []

    def one() -> Run:
        folder = work / f"checks-{len(runs)}"
        with Watch() as watch, _servers(work) as ports:
            values = uvloop.run(_one(folder, ports, count, interval))
        runs.append(Run(values, watch.noise))
        return runs[-1]

    made = undisturbed(one, tries=min(2, options.tries))
    cpu, late = median(made, "cpu_percent"), median(made, "latest_ms")
    rows = [
        Row("processor", f"{cpu:.1f} % of a core", target=CPU.text, met=CPU.is_met(cpu)),
        Row("the latest start", f"{late:.0f} ms", target=LATE.text, met=LATE.is_met(late)),
    ]
    note = (
        f"{count:,} checks every {interval} s: six in ten by HTTP with a keyword, two by HTTPS with the certificate, two by TCP; each is"
        f" written down with its time. {in_words(made)}"
    )
    return [Part(f"{count:,} checks every {interval} s", "", rows, [note], [run.values for run in made])]


async def _one(folder: Path, ports: tuple[int, int], count: int, interval: int) -> dict[str, float]:
    core = await asyncio.to_thread(build_core, Settings(data_dir=folder, database_url=f"sqlite:///{folder}/tocsin.db"))
    rounds = rounds_of(core)
    try:
        await core.writer.run(lambda tx: _fill(tx, core, ports, count, interval))
        rounds.begin()
        await asyncio.sleep(interval)  # the first looks keep their evidence: they are not what it costs from then on
        rounds.latest_start, begun = 0, time.process_time()
        await asyncio.sleep(interval)
        cpu = time.process_time() - begun
        looked = await asyncio.to_thread(_looked, core, count)
        return {"cpu_percent": 100 * cpu / interval, "latest_ms": float(rounds.latest_start), "looked": float(looked)}
    finally:
        await rounds.close()
        await asyncio.to_thread(core.close)


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


def _target(number: int, ports: tuple[int, int]) -> Target:
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
