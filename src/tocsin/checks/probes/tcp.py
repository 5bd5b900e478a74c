"""tcp: a port takes connections."""

from tocsin.checks.model import Finding, TcpTarget
from tocsin.checks.probes.kit import Kit


async def probe(target: TcpTarget, kit: Kit) -> Finding:
    """Connects, and leaves again. Raises `DialFault`."""
    line = await kit.connect(target.host, target.port)
    line.close()
    return kit.fine(f"port {target.port} takes connections")
