"""database: takes a login and answers a query; one small client for each engine."""

from tocsin.checks.model import Cause, DatabaseTarget, Finding
from tocsin.checks.probes import mysql, postgresql, redis
from tocsin.checks.probes.kit import Kit
from tocsin.checks.probes.tell import Refused
from tocsin.core.text import cut, one_line

_CLIENTS = {"mysql": mysql.ask, "postgresql": postgresql.ask, "redis": redis.ask}


async def probe(target: DatabaseTarget, kit: Kit) -> Finding:
    """Logs in, asks, and leaves. Raises `DialFault`."""
    try:
        version, value = await _CLIENTS[target.engine](target, kit)
    except Refused as error:
        cause = Cause.QUERY if error.at_query else Cause.LOGIN if error.is_answer else Cause.PROTOCOL
        return kit.failed(cause, cut(one_line(error.words), 300))
    kit.trace.heard = True
    shown = cut(one_line(value), 100)
    return kit.fine(f"answers {shown}" if shown else "answers", {"version": cut(one_line(version), 100), "value": shown})
