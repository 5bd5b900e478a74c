"""tls: the certificate of a server, also behind STARTTLS."""

from tocsin.checks.model import Cause, Finding, TlsTarget
from tocsin.checks.probes import certificates
from tocsin.checks.probes.kit import Kit
from tocsin.checks.probes.talk import Misspoken, start_tls
from tocsin.net.dial import DialFault, Fault, Line


async def probe(target: TlsTarget, kit: Kit) -> Finding:
    """Connects as a browser would; if the certificate is refused, looks at it once more without judging. Raises `DialFault`."""
    name = target.name or target.host
    try:
        line = await _secured(target, name, kit, trusted=True)
    except Misspoken as error:
        return kit.failed(Cause.PROTOCOL, str(error))
    except DialFault as fault:
        if fault.fault is not Fault.CERTIFICATE:
            raise
        return certificates.fault_of(kit, fault, await _looked_at_anyway(target, name, kit))
    try:
        evidence, expiry, flaw = certificates.looked_at(kit, line.certificate())
        return flaw or kit.fine("its certificate is valid", {**evidence, "tls": line.protocol()}, expiry)
    finally:
        line.close()


async def _looked_at_anyway(target: TlsTarget, name: str, kit: Kit) -> bytes | None:
    try:
        line = await _secured(target, name, kit, trusted=False)
    except (DialFault, Misspoken):
        return None
    der = line.certificate()
    line.close()
    return der


async def _secured(target: TlsTarget, name: str, kit: Kit, *, trusted: bool) -> Line:
    line = await kit.connect(target.host, target.port)
    try:
        if target.starttls != "none":
            await start_tls(line, target.starttls, kit.trace)
        await kit.secure(line, name, trusted=trusted)
    except BaseException:
        line.close()
        raise
    return line
