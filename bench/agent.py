"""What the server agent costs a server, beside node_exporter, which is asked as often."""

import base64
import gzip
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it comes without types
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.figures import Bound, Options, Part, Row
from bench.servers import BenchError, free_port

AGENT = Path(__file__).resolve().parent.parent / "agent" / "tocsin_agent.py"
SYSTEM_PYTHON = "/usr/bin/python3"  # what hosting servers have
EXPORTER = "prometheus-node-exporter"
SECONDS = 60
MEMORY = Bound(20, at_least=False, unit="MiB")
SHARE = Bound(0.2, at_least=False, unit="% of a core")
# The program as it is, but for how often it looks: a minute of rounds each ten seconds, in the sixth part of the time; what is slow
# to learn comes as often between them.
SLOWLY = (
    ("10 <= seconds <= 3600", "1 <= seconds <= 3600"),
    ("SLOW_EVERY, PANEL_EVERY = 60 * SECOND, 300 * SECOND", "SLOW_EVERY, PANEL_EVERY = 6 * SECOND, 30 * SECOND"),
)
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
ALSO = ("python3.6", "python3.13")  # the oldest and the newest that it is made for, where they are


class Cost:
    """What a process costs: milliseconds of processor for a round, the most MiB it had, and MiB with its share of what is shared."""

    def __init__(self, cpu_ms: float, most: float, pss: float) -> None:
        self.cpu_ms, self.most, self.pss = cpu_ms, most, pss


def measure(work: Path, options: Options) -> list[Part]:
    """The agent by HTTP and by HTTPS, and node_exporter; a round each second for a minute."""
    seconds = 10 if options.quick else SECONDS
    python = SYSTEM_PYTHON if Path(SYSTEM_PYTHON).exists() else sys.executable
    plain, secure = _agent(work / "plain", python, seconds, tls=False), _agent(work / "tls", python, seconds, tls=True)
    peer = _exporter(seconds) if shutil.which(EXPORTER) else None
    others = {name: path for name in ALSO if (path := _interpreter(name))}
    more = {name: _agent(work / name, path, min(seconds, 15), tls=True) for name, path in others.items()}
    looking = _agent(work / "looking", python, min(seconds, 30), tls=True, looks=True)
    rows = [
        _row("memory by HTTPS, MiB", secure.most, None if peer is None else peer.most, MEMORY),
        *(_row(f"the same on {name}", cost.most, None if peer is None else peer.most, MEMORY) for name, cost in more.items()),
        _row("memory by HTTPS, with checks made from there", looking.most, None, MEMORY),
        _row("memory by HTTP, MiB", plain.most, None if peer is None else peer.most),
        _row("memory by HTTPS that no other program shares in, MiB (PSS)", secure.pss, None if peer is None else peer.pss),
        _row("processor for a round, ms", secure.cpu_ms, None if peer is None else peer.cpu_ms),
        _row("processor with a round each 10 s, % of a core", secure.cpu_ms / 100, None if peer is None else peer.cpu_ms / 100, SHARE),
    ]
    note = (
        f"{seconds} rounds, one a second, on the system's own {_version(python)}, the program as it is installed; what is asked once"
        " a minute is asked every sixth round. A round ends with what was measured sent and answered. Memory is the most that it ever"
        " had (VmHWM), with all authorities of the system loaded, more than it does on Debian. Programs that it asks (systemctl) count."
        f" Checks from there: {len(_errands(1))} a second, one of each kind, eight at once."
    )
    record = [vars(cost) for cost in (plain, secure, looking, *more.values(), *([] if peer is None else [peer]))]
    return [Part("The server agent", "node_exporter", rows, [note], record)]


def _interpreter(name: str) -> str | None:
    """Where there is such a Python: of pyenv, or in the path."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{name.removeprefix('python')}.*/bin/python"))
    return str(kept[-1]) if kept else shutil.which(name)


def _version(python: str) -> str:
    return subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def _row(what: str, ours: float, peer: float | None, bound: Bound | None = None) -> Row:
    ratio = None if peer is None else ours / peer
    said = "" if peer is None else f"{peer:.2f}"
    return Row(what, f"{ours:.2f}", said, ratio, "" if bound is None else bound.text, None if bound is None else bound.is_met(ours))


def _agent(folder: Path, python: str, seconds: int, *, tls: bool, looks: bool = False) -> Cost:
    folder.mkdir()
    program = AGENT.read_text()
    for text, instead in SLOWLY:
        if text not in program:
            raise BenchError(f"the agent has no {text!r} any more")
        program = program.replace(text, instead)
    (folder / "agent.py").write_text(program)
    with _sink(folder, tls=tls) as (url, ca_file, taken, found):
        bundle = folder / "bundle"
        bundle.write_text("".join(Path(path).read_text() for path in (ca_file, AUTHORITIES) if path and Path(path).exists()))
        command = [python, str(folder / "agent.py"), "--server", url, "--interval", "1s", "--state", str(folder / "state")]
        environment = {**os.environ, "TOCSIN_AGENT_KEY": "tocsin_bench", "SSL_CERT_FILE": str(bundle), "MALLOC_ARENA_MAX": "1"}
        more = ["--checks", "all"] if looks else []
        process = subprocess.Popen([*command, "--config", "/nonexistent", *more], stdin=subprocess.DEVNULL, env=environment)
        try:
            cost = _cost(process, seconds, lambda: len(taken))
        finally:
            process.kill()
            process.wait()
    missing = {str(one["id"]) for one in _errands(1)} - {str(one["check"]) for one in found if one["heard"]}
    if looks and missing:
        raise BenchError(f"the agent has made {len(found)} checks, and none of these that reached anything: {sorted(missing)}")
    return cost


def _errands(port: int) -> list[dict[str, object]]:
    """What an agent is told to look at: the sink itself, as often as it asks."""
    kinds: dict[str, dict[str, object]] = {
        "http": {"url": f"https://127.0.0.1:{port}/", "method": "GET", "redirects": 2, "trusted": True},
        "tls": {"host": "127.0.0.1", "port": port, "name": "127.0.0.1"},
        "tcp": {"host": "127.0.0.1", "port": port},
        "ping": {"host": "127.0.0.1", "port": port, "count": 2},
        "banner": {"host": "127.0.0.1", "port": port, "protocol": "smtp", "secure": True},  # which never comes
        "dns": {"host": "127.0.0.1", "port": port, "asked": base64.b64encode(_QUESTION).decode()},
    }
    usual = {"mark": "1", "in_ms": 0, "timeout_seconds": 5, "private": True}
    return [{"id": kind, "kind": kind, **usual, **told} for kind, told in kinds.items()]


_QUESTION = struct.pack(">6H", 0, 0x100, 1, 0, 0, 0) + b"\x05bench\x07example\0\0\1\0\1"


def _answer_names(port: int) -> None:
    """Says of each name that it is not there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", port))
        while True:
            asked, sender = names.recvfrom(512)
            names.sendto(asked[:2] + b"\x81\x83" + asked[4:], sender)


def _exporter(seconds: int) -> Cost:
    port = free_port()
    command = [EXPORTER, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    asked = 0

    def ask() -> int:
        nonlocal asked
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            answer.read()
        asked += 1
        return asked

    try:
        _until(lambda: _answers(ask))
        return _cost(process, seconds, ask)
    finally:
        process.kill()
        process.wait()


def _answers(ask: Callable[[], int]) -> bool:
    try:
        return bool(ask())
    except OSError:
        return False


def _cost(process: "subprocess.Popen[bytes]", seconds: int, rounds: Callable[[], int]) -> Cost:
    """Over so many seconds, after the first rounds. *rounds* is called once a second and says how many there were."""
    counted: list[int] = []
    _until(lambda: rounds() >= 2)
    seen = psutil.Process(process.pid)
    before, first = _cpu(seen), rounds()
    for _ in range(seconds):
        time.sleep(1)
        counted.append(rounds())
    if process.poll() is not None:
        raise BenchError(f"{process.args!r} has ended")
    [most] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    return Cost((_cpu(seen) - before) * 1000 / max(1, counted[-1] - first), int(most) / 1024, seen.memory_full_info().pss / 2**20)


def _cpu(seen: psutil.Process) -> float:
    times = seen.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise BenchError("it did not begin within 30 s")


@contextmanager
def _sink(folder: Path, *, tls: bool) -> Iterator[tuple[str, str, list[int], list[dict[str, object]]]]:
    """A server that takes all and keeps nothing but the count, and what was found where it had the agent look."""
    taken: list[int] = []
    found: list[dict[str, object]] = []

    class Sink(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Takes it."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/agents/checks"):
                found.extend(json.loads(gzip.decompress(body))["looks"])
                self._say(200, json.dumps({"ask_again_ms": 1_000, "checks": _errands(port)}).encode())
                return
            if self.path.endswith("/metrics"):
                taken.append(1)
            self._say(202, json.dumps({"accepted": 1, "repeated": 0, "rejected": []}).encode())

        def do_GET(self) -> None:
            """It is alive."""
            self._say(200, b"{}")

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    port = server.server_port
    server.daemon_threads = True
    ca_file = ""
    if tls:
        ca_file = str(_certificate(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=_answer_names, args=(port,), daemon=True).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}", ca_file, taken, found
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path) -> Path:
    """A certificate for loopback with its key, which is trusted by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)  # noqa: TID251 - the certificate's, as OpenSSL reads it
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path
