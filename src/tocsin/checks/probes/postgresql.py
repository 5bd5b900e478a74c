"""PostgreSQL, by its own driver; the address is looked at first, and the driver goes to that one."""

import asyncio
from typing import Any

from tocsin.checks.model import DatabaseTarget
from tocsin.checks.probes.kit import MARGIN, Kit
from tocsin.checks.probes.tell import Refused
from tocsin.core.text import one_line
from tocsin.net.dial import DialFault, Fault

PORT = 5432
_TLS = {"none": "disable", "encrypted": "require", "trusted": "verify-full"}


async def ask(target: DatabaseTarget, kit: Kit) -> tuple[str, str]:
    """The version and the first value of the answer. Raises `Refused`, `DialFault`."""
    import psycopg  # noqa: PLC0415 - loaded by who watches PostgreSQL

    port = target.port or PORT
    line = await kit.connect(target.host, port)  # whether anybody is there, and at an address that is allowed
    line.close()
    left = max(0.1, kit.within - MARGIN - kit.trace.ms / 1000)
    with kit.trace.phase("login"):
        try:
            connection: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(
                host=target.host,
                hostaddr=line.address,
                port=port,
                user=target.user or "postgres",
                password=target.password or "",
                dbname=target.database or target.user or "postgres",
                sslmode=_TLS[target.tls],
                sslrootcert=str(kit.means.ca_file or "system") if target.tls == "trusted" else None,
                connect_timeout=max(2, round(left)),
                options=f"-c statement_timeout={round(left * 1000)} -c default_transaction_read_only=on",
                application_name="tocsin",
            )
        except psycopg.OperationalError as error:
            raise _of_login(error) from None
    try:
        with kit.trace.phase("query"):
            cursor = await connection.execute((target.query or "SELECT 1").encode())
            row = await cursor.fetchone() if cursor.description else None
        return str(connection.info.server_version), "" if row is None else str(row[0])
    except psycopg.OperationalError as error:
        if connection.broken:
            raise DialFault(Fault.BROKE_OFF, "it closed the connection during the query") from None
        raise Refused(one_line(str(error)), at_query=True) from None
    except psycopg.Error as error:
        raise Refused(one_line(str(error)), at_query=True) from None
    finally:
        await asyncio.shield(connection.close())


def _of_login(error: Exception) -> Refused:
    text = one_line(str(error))
    is_answer = "FATAL" in text
    words = text.partition("FATAL:")[2].strip() if is_answer else text.rpartition("failed:")[2].strip()
    return Refused(words or "it refuses the login", is_answer=is_answer)
