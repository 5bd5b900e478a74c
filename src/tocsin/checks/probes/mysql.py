"""MySQL and MariaDB: handshake, login and one query, by the protocol as both have spoken it since version 4.1."""

import asyncio
import hashlib
import struct

from tocsin.checks.model import DatabaseTarget
from tocsin.checks.probes.kit import Kit
from tocsin.checks.probes.tell import Refused
from tocsin.net.dial import DialFault, Fault, Line

PORT = 3306
MAX_PACKET = 256 * 1024
MAX_COLUMNS = 250
_LONG_PASSWORD, _CONNECT_WITH_DB, _PROTOCOL_41, _SSL = 1, 1 << 3, 1 << 9, 1 << 11
_TRANSACTIONS, _SECURE, _PLUGIN_AUTH = 1 << 13, 1 << 15, 1 << 19
_UTF8 = 45
_NATIVE, _SHA2, _CLEAR = "mysql_native_password", "caching_sha2_password", "mysql_clear_password"
_OK, _ERROR, _END, _MORE, _AGAIN = 0x00, 0xFF, 0xFE, 0x01, 0xFE


async def ask(target: DatabaseTarget, kit: Kit) -> tuple[str, str]:
    """The version and the first value of the answer. Raises `Refused`, `DialFault`."""
    line = await kit.connect(target.host, target.port or PORT)
    talk = _Talk(line)
    try:
        with kit.trace.phase("login"):
            hello = _Hello(await talk.read())
            kit.trace.note(f"< {hello.version}, wants {hello.plugin}")
            await _log_in(talk, hello, target, kit)
        with kit.trace.phase("query"):
            kit.trace.note("> query")
            return hello.version, await _query(talk, target.query or "SELECT 1")
    except (struct.error, IndexError, UnicodeDecodeError):
        raise Refused("what answers there does not speak the protocol of MySQL", is_answer=False) from None
    except (OSError, asyncio.IncompleteReadError):
        raise DialFault(Fault.BROKE_OFF, "it closed the connection") from None
    finally:
        line.close()


class _Talk:
    """Packets over a line, numbered as the protocol wants."""

    def __init__(self, line: Line) -> None:
        self.line, self._number, self.is_secure = line, 0, False

    async def read(self) -> bytes:
        head = await self.line.reader.readexactly(4)
        size = int.from_bytes(head[:3], "little")
        if size > MAX_PACKET:
            raise Refused("what answers there does not speak the protocol of MySQL", is_answer=False)
        self._number = head[3] + 1
        packet = await self.line.reader.readexactly(size)
        if packet[:1] == bytes([_ERROR]):
            raise _error(packet)
        return packet

    def write(self, packet: bytes, *, begins: bool = False) -> None:
        self._number = 0 if begins else self._number
        self.line.writer.write(len(packet).to_bytes(3, "little") + bytes([self._number % 256]) + packet)
        self._number += 1


def _error(packet: bytes) -> Refused:
    number = int.from_bytes(packet[1:3], "little")
    text = packet[9:] if packet[3:4] == b"#" else packet[3:]
    return Refused(f"{text.decode('utf-8', 'replace')} ({number})")


class _Hello:
    """The first packet: version, what the server can do, and the salt of the login."""

    def __init__(self, packet: bytes) -> None:
        if packet[0] != 10:
            raise Refused("what answers there does not speak the protocol of MySQL", is_answer=False)
        end = packet.index(b"\0", 1)
        self.version = packet[1:end].decode("utf-8", "replace").removeprefix("5.5.5-")
        at = end + 5
        first = packet[at : at + 8]
        low, _, _, high, size = struct.unpack_from("<HBHHB", packet, at + 9)
        self.can = low | high << 16
        rest = packet[at + 27 :]
        length = max(13, size - 8)
        self.salt = (first + rest[:length])[:20]
        self.plugin = rest[length:].partition(b"\0")[0].decode() if self.can & _PLUGIN_AUTH else _NATIVE


async def _log_in(talk: _Talk, hello: _Hello, target: DatabaseTarget, kit: Kit) -> None:
    can = _LONG_PASSWORD | _PROTOCOL_41 | _TRANSACTIONS | _SECURE | _PLUGIN_AUTH
    can |= _CONNECT_WITH_DB if target.database else 0
    if target.tls != "none":
        if not hello.can & _SSL:
            raise Refused("it does not offer TLS")
        can |= _SSL
        talk.write(_head(can))
        await kit.secure(talk.line, target.host, trusted=target.tls == "trusted")
        talk.is_secure = True
    plugin = hello.plugin if hello.plugin in (_NATIVE, _SHA2) else _NATIVE
    proof = _proof(plugin, target.password, hello.salt)
    database = target.database.encode() + b"\0" if target.database else b""
    talk.write(_head(can) + target.user.encode() + b"\0" + bytes([len(proof)]) + proof + database + plugin.encode() + b"\0")
    await _prove(talk, target.password)


def _head(can: int) -> bytes:
    return struct.pack("<IIB", can, MAX_PACKET, _UTF8) + bytes(23)


async def _prove(talk: _Talk, password: str) -> None:
    """Goes on until the server says yes. A password is sent as it is over TLS only."""
    for _ in range(5):
        packet = await talk.read()
        kind = packet[0]
        if kind == _OK:
            return
        if kind == _AGAIN:
            plugin, _, salt = packet[1:].partition(b"\0")
            talk.write(_other(plugin.decode(), password, salt.rstrip(b"\0"), is_secure=talk.is_secure))
        elif kind == _MORE and packet[1:2] == b"\x04":
            if not talk.is_secure:
                raise Refused("it wants the whole password, which is sent over TLS only: set tls to encrypted")
            talk.write(password.encode() + b"\0")
        elif kind != _MORE:
            break
    raise Refused("what answers there does not speak the protocol of MySQL", is_answer=False)


def _other(plugin: str, password: str, salt: bytes, *, is_secure: bool) -> bytes:
    if plugin in (_NATIVE, _SHA2):
        return _proof(plugin, password, salt[:20])
    if plugin == _CLEAR and is_secure:
        return password.encode() + b"\0"
    raise Refused(f"it wants a login by {plugin}, which is not known here")


def _proof(plugin: str, password: str, salt: bytes) -> bytes:
    if not password:
        return b""
    if plugin == _SHA2:
        first = hashlib.sha256(password.encode()).digest()
        second = hashlib.sha256(hashlib.sha256(first).digest() + salt).digest()
    else:
        first = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the protocol's own
        second = hashlib.sha1(salt + hashlib.sha1(first).digest()).digest()  # noqa: S324 - the same
    return bytes(one ^ other for one, other in zip(first, second, strict=True))


async def _query(talk: _Talk, text: str) -> str:
    """The first value of the first row, or an empty text."""
    talk.write(b"\x03" + text.encode(), begins=True)
    try:
        columns = (await talk.read())[0]
        for _ in range(columns + 1 if 0 < columns <= MAX_COLUMNS else 0):  # what each is, and the end of that
            await talk.read()
        row = await talk.read() if 0 < columns <= MAX_COLUMNS else b"\xfe"
    except Refused as error:
        raise Refused(error.words, is_answer=error.is_answer, at_query=True) from None
    return "" if row[0] == _END and len(row) < 9 else _first(row)


def _first(row: bytes) -> str:
    """The first text of a row; NULL is an empty one."""
    length, at = row[0], 1
    if length == 0xFB:
        return ""
    if length == 0xFC:
        length, at = int.from_bytes(row[1:3], "little"), 3
    return row[at : at + length].decode("utf-8", "replace")
