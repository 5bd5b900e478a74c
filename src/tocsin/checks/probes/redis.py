"""Redis: RESP2, as much as a login and one command need."""

import asyncio
import shlex

from tocsin.checks.model import DatabaseTarget
from tocsin.checks.probes.kit import Kit
from tocsin.checks.probes.tell import Refused
from tocsin.net.dial import DialFault, Fault, Line

PORT = 6379
NOT_REDIS = "what answers there does not speak Redis"
MAX_BULK, MAX_ITEMS, MAX_DEPTH = 64 * 1024, 1_000, 4


async def ask(target: DatabaseTarget, kit: Kit) -> tuple[str, str]:
    """The version and what the command answers. Raises `Refused`, `DialFault`."""
    line = await kit.connect(target.host, target.port or PORT)
    try:
        if target.tls != "none":
            await kit.secure(line, target.host, trusted=target.tls == "trusted")
        with kit.trace.phase("login"):
            if target.password:
                kit.trace.note("> AUTH")
                await _command(line, ["AUTH", *([target.user] if target.user else []), target.password])
        with kit.trace.phase("query"):
            words = shlex.split(target.query or "PING")
            kit.trace.note(f"> {words[0].upper()}")
            return "", await _command(line, words, at_query=True)
    except ValueError as error:
        raise Refused(f"the command cannot be read: {error}", at_query=True) from None
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Refused(NOT_REDIS, is_answer=False) from None
        raise DialFault(Fault.BROKE_OFF, "it closed the connection") from None
    except OSError:
        raise DialFault(Fault.BROKE_OFF, "it closed the connection") from None
    finally:
        line.close()


async def _command(line: Line, words: list[str], *, at_query: bool = False) -> str:
    parts = [word.encode() for word in words]
    line.writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    return await _reply(line, at_query=at_query)


async def _reply(line: Line, depth: int = 0, *, at_query: bool) -> str:
    try:
        head = (await line.reader.readuntil(b"\r\n"))[:-2]
        kind, rest = head[:1], head[1:].decode("utf-8", "replace")
        match kind:
            case b"+" | b":":
                return rest
            case b"-":
                raise Refused(rest, at_query=at_query)
            case b"$" if int(rest) < 0:
                return ""
            case b"$" if int(rest) <= MAX_BULK:
                return (await line.reader.readexactly(int(rest) + 2))[:-2].decode("utf-8", "replace")
            case b"*" if int(rest) <= MAX_ITEMS and depth < MAX_DEPTH:
                return ", ".join([await _reply(line, depth + 1, at_query=at_query) for _ in range(max(0, int(rest)))])
    except (asyncio.LimitOverrunError, ValueError):
        pass
    raise Refused(NOT_REDIS, is_answer=False)
