"""banner: a server greets as its protocol demands."""

from tocsin.checks.model import BannerTarget, Cause, Finding
from tocsin.checks.probes import certificates
from tocsin.checks.probes.kit import Kit
from tocsin.checks.probes.talk import Misspoken, reply, said, say
from tocsin.core.text import cut
from tocsin.net.dial import DialFault, Fault, Line

_GREETS = {"smtp": "220", "imap": "* OK", "pop3": "+OK", "ftp": "220", "ssh": "SSH-2.0"}
_LEAVES = {"smtp": "QUIT", "imap": "a1 LOGOUT", "pop3": "QUIT", "ftp": "QUIT"}
_PORTS = {"smtp": (25, 465), "imap": (143, 993), "pop3": (110, 995), "ftp": (21, 990), "ssh": (22, 22)}
MAX_LINES = 20  # that an SSH server may say before its version


async def probe(target: BannerTarget, kit: Kit) -> Finding:
    """Connects, reads the greeting, and takes leave. Raises `DialFault`."""
    line = await kit.connect(target.host, target.port or _PORTS[target.protocol][target.tls])
    try:
        if target.tls:
            await kit.secure(line, target.host, trusted=True)
        evidence, expiry, _ = certificates.looked_at(kit, line.certificate()) if target.tls else ({}, None, None)
        with kit.trace.phase("greeting"):
            greeting = await _greeting(line, target.protocol, kit)
        evidence = {**evidence, "greeting": greeting}
        if not greeting.upper().startswith(_GREETS[target.protocol]):
            return kit.failed(Cause.PROTOCOL, f"it greets strangely: {cut(greeting, 80)!r}", evidence, expiry)
        if target.protocol in _LEAVES:
            say(line, _LEAVES[target.protocol], kit.trace)
        if target.keyword is not None and target.keyword not in greeting:
            return kit.failed(Cause.KEYWORD, f"its greeting does not say {cut(target.keyword, 80)!r}", evidence, expiry)
        return kit.fine(cut(greeting, 200), evidence, expiry)
    except Misspoken as error:
        return kit.failed(Cause.PROTOCOL, str(error))
    except DialFault as fault:
        if fault.fault is not Fault.CERTIFICATE:
            raise
        return certificates.fault_of(kit, fault, None)
    finally:
        line.close()


async def _greeting(line: Line, protocol: str, kit: Kit) -> str:
    if protocol in ("smtp", "ftp"):
        return await reply(line, kit.trace)
    text = await said(line, kit.trace)
    for _ in range(MAX_LINES):
        if protocol != "ssh" or text.startswith("SSH-"):
            break
        text = await said(line, kit.trace)
    return text
