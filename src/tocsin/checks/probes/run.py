"""One look at a target: within its time, and with a finding whatever happens."""

import asyncio

import structlog

from tocsin.checks import rules
from tocsin.checks.model import Cause, Definition, Finding
from tocsin.checks.probes import PROBES, dns
from tocsin.checks.probes.kit import Kit, Means
from tocsin.net.dial import DialFault

log = structlog.get_logger()
WITNESS = 2.0  # seconds for our own name server to say that it works


async def look(one: Definition, means: Means, warning_ms: int, critical_ms: int) -> Finding:
    """What is found now. Never raises, but for being cancelled."""
    kit = Kit(means, within=one.timeout, allow_private=one.private)
    try:
        async with asyncio.timeout(one.timeout):
            found = await PROBES[type(one.target)](one.target, kit)
    except TimeoutError:
        return await _resolved(kit.of_timeout(), kit)
    except DialFault as fault:
        return await _resolved(kit.of_fault(fault), kit)
    except Exception as error:
        log.exception("a probe failed", kind=one.kind)
        return kit.found(None, Cause.OUR_FAULT, f"a fault of Tocsin's own: {type(error).__name__}")
    return rules.timed(found, one.warning_ms or warning_ms, one.critical_ms or critical_ms)


async def _resolved(found: Finding, kit: Kit) -> Finding:
    """A name that cannot be resolved is our trouble, unless our own name server works: then it is that of the name's servers."""
    if found.cause is not Cause.OUR_RESOLVER or not await dns.own_works(WITNESS):
        return found
    return kit.failed(Cause.RESOLVING, f"{found.words}; it does answer for others")
