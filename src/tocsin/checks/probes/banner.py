"""banner: a server greets as its protocol demands."""

from typing import Any

from tocsin.checks.model import BannerTarget, Cause, Expiry, Finding
from tocsin.checks.probes import certificates, talk
from tocsin.checks.probes.kit import Kit
from tocsin.checks.probes.talk import Misspoken, as_text, reply, said, say
from tocsin.core.text import cut
from tocsin.net.dial import DialFault, Fault, Line

_GREETS = {"smtp": "220", "imap": "* OK", "pop3": "+OK", "ftp": "220", "ssh": "SSH-2.0"}
_LEAVES = {"smtp": "QUIT", "imap": "a1 LOGOUT", "pop3": "QUIT", "ftp": "QUIT"}
MAX_LINES = 20  # that an SSH server may say before its version


async def probe(target: BannerTarget, kit: Kit) -> Finding:
    """Connects, reads the greeting, and takes leave. Raises `DialFault`."""
    line = await kit.connect(target.host, target.own_port)
    try:
        if target.tls:
            await kit.secure(line, target.host, trusted=True)
        evidence, expiry, _ = certificates.looked_at(kit, line.certificate()) if target.tls else ({}, None, None)
        with kit.trace.phase("greeting"):
            greeting = await _greeting(line, target.protocol, kit)
        if target.protocol in _LEAVES:
            say(line, _LEAVES[target.protocol], kit.trace)
        return judged(target, greeting, kit, evidence, expiry)
    except Misspoken as error:
        return kit.failed(Cause.PROTOCOL, str(error))
    except DialFault as fault:
        if fault.fault is not Fault.CERTIFICATE:
            raise
        return certificates.fault_of(kit, fault, None)
    finally:
        line.close()


def judged(target: BannerTarget, greeting: str, kit: Kit, evidence: dict[str, Any], expiry: Expiry | None) -> Finding:
    """What the line of a greeting that counts comes to."""
    evidence = {**evidence, "greeting": greeting}
    if not greeting.upper().startswith(_GREETS[target.protocol]):
        return kit.failed(Cause.PROTOCOL, f"it greets strangely: {cut(greeting, 80)!r}", evidence, expiry)
    if target.keyword is not None and target.keyword not in greeting:
        return kit.failed(Cause.KEYWORD, f"its greeting does not say {cut(target.keyword, 80)!r}", evidence, expiry)
    return kit.fine(cut(greeting, 200), evidence, expiry)


def greeting_in(raw: bytes, protocol: str) -> str:
    """The line that counts in what was said. Raises `Misspoken`, as reading it line by line would."""
    *lines, rest = raw.split(b"\n")
    text = ""
    for line in lines:
        text = as_text(line)
        if protocol in ("smtp", "ftp") and not text[:3].isdigit():
            raise Misspoken(f"it says {cut(text, 80)!r}, which is no answer of its protocol")
        if text.startswith("SSH-") if protocol == "ssh" else protocol not in ("smtp", "ftp") or text[3:4] != "-":
            return text
    if protocol == "ssh" and len(lines) > MAX_LINES:
        return text
    if len(lines) >= talk.MAX_LINES:
        raise Misspoken(talk.ENDLESS)
    raise Misspoken(talk.ENDED_IN_A_LINE if rest else talk.ENDED)


async def _greeting(line: Line, protocol: str, kit: Kit) -> str:
    if protocol in ("smtp", "ftp"):
        return await reply(line, kit.trace)
    text = await said(line, kit.trace)
    for _ in range(MAX_LINES):
        if protocol != "ssh" or text.startswith("SSH-"):
            break
        text = await said(line, kit.trace)
    return text
