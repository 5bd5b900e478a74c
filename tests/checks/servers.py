"""Real servers on loopback that say what a test wants, and certificates of every kind."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tocsin.checks.model import Definition, Finding, Target
from tocsin.checks.probes.kit import Means
from tocsin.checks.probes.run import look

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PEM = serialization.Encoding.PEM


@asynccontextmanager
async def serving(speak: Speak, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that speaks so; what still hangs at the end is cut off."""
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await speak(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    await asyncio.sleep(0.01)  # who knocked just now is let in: one who comes while the door closes is left standing, and complained about
    server.close()
    for _ in range(3):
        await asyncio.sleep(0)  # who was let in is served, and then cut off with the others
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(3):
        await asyncio.sleep(0)  # what was cut off is closed in the loop's next turns


def answering(raw: bytes) -> Speak:
    """Reads the head of a request, says *raw* and goes."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()

    return speak


def http(status: int = 200, body: bytes = b"ok", **headers: str) -> Speak:
    """An ordinary answer."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return answering(f"HTTP/1.1 {status} Some words\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)


async def asked(target: Target, means: Means | None = None, **more: Any) -> Finding:
    """What a look at *target* finds."""
    definition = Definition(name="x", target=target, **{"private": True, "timeout": 5, **more})
    return await look(definition, means or Means(), 3_000, 5_000)


@cache
def _key(bits: int = 0) -> Key:
    return rsa.generate_private_key(65_537, bits) if bits else ec.generate_private_key(ec.SECP256R1())


class Authority:
    """Signs certificates; *parent* makes it an intermediate one."""

    def __init__(self, folder: Path, name: str = "Root", parent: "Authority | None" = None) -> None:
        self.folder, self.key, self.parent = folder, ec.generate_private_key(ec.SECP256R1()), parent
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = parent or self
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        self.certificate = (
            _builder(self.name, signer.name, self.key.public_key(), 1_000)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(signer.key, hashes.SHA256())
        )

    @property
    def ca_file(self) -> Path:
        """What a client loads to trust it."""
        path = self.folder / f"ca-{id(self)}.pem"
        path.write_bytes(self.certificate.public_bytes(PEM))
        return path

    def context(self, *names: str, days: float = 90, bits: int = 0, chain: bool = True, self_signed: bool = False) -> ssl.SSLContext:
        """A server's context. *bits*: an RSA key; *chain* False: the intermediate certificate is not sent."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(self.signed(*names, days=days, bits=bits, chain=chain, self_signed=self_signed))
        return context

    def signed(self, *names: str, days: float = 90, bits: int = 0, chain: bool = True, self_signed: bool = False) -> Path:
        """The file of a certificate and its key."""
        key = _key(bits)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        issuer, signer = (subject, key) if self_signed else (self.name, self.key)
        leaf = (
            _builder(subject, issuer, key.public_key(), days)
            .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
            .sign(signer, hashes.SHA256())
        )
        path = self.folder / f"{leaf.serial_number:x}.pem"
        above = self.certificate.public_bytes(PEM) if chain and self.parent is not None else b""
        secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(leaf.public_bytes(PEM) + above + secret)
        return path


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, days: float) -> x509.CertificateBuilder:
    now = datetime.now(UTC)  # OpenSSL reads the machine's clock
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
