"""database: real PostgreSQL, MariaDB and Redis, and what speaks their protocols badly. One test for each starts its server once."""

import asyncio
from pathlib import Path

import pytest

from tests.checks.engines import mariadb, redis
from tests.checks.servers import asked, serving
from tests.conftest import Databases
from tocsin.checks.model import Cause, DatabaseTarget, Finding, Level

pytestmark = pytest.mark.claim("M2", "M13")
SECRET = "correct-horse"


def at(port: int, engine: str, **more: str) -> DatabaseTarget:
    return DatabaseTarget(host="127.0.0.1", port=port, engine=engine, **{"user": "watch", "password": SECRET, **more})  # type: ignore[arg-type]  # one of them


def outcome(found: Finding) -> tuple[Level | None, Cause]:
    return found.level, found.cause


@pytest.mark.claim("K3")
async def test_postgresql_takes_a_login_and_answers_a_query(databases: Databases) -> None:
    port = int(databases.server().rpartition(":")[2])
    target = at(port, "postgresql", user="postgres", password="")
    found = await asked(target)
    assert (found.level, found.words) == (Level.OK, "answers 1")
    assert {"connect", "login", "query"} <= set(found.phases)
    assert (await asked(at(port, "postgresql", user="postgres", query="SELECT count(*) FROM pg_roles"))).level is Level.OK
    wrong = await asked(at(port, "postgresql", user="postgres", query="SELECT nothing"))
    assert outcome(wrong) == (Level.FAILED, Cause.QUERY)
    assert "nothing" in wrong.words
    refused = await asked(at(port, "postgresql", user="nobody"))
    assert outcome(refused) == (Level.FAILED, Cause.LOGIN)
    assert refused.words == 'role "nobody" does not exist'
    assert outcome(await asked(at(port, "postgresql", user="postgres", query="CREATE TABLE x (y int)"))) == (Level.FAILED, Cause.QUERY)
    slow = await asked(at(port, "postgresql", user="postgres", query="SELECT pg_sleep(9)"), timeout=1)
    assert slow.level is Level.FAILED


async def test_mariadb_takes_a_login_and_answers_a_query(tmp_path: Path) -> None:
    with mariadb(tmp_path, SECRET) as port:
        found = await asked(at(port, "mysql", database="shop", query="SELECT count(*) FROM orders"))
        assert (found.level, found.words) == (Level.OK, "answers 3")
        assert found.evidence["version"].startswith(("10.", "11.", "12."))
        assert (await asked(at(port, "mysql"))).words == "answers 1"
        refused = await asked(at(port, "mysql", password="wrong"))
        assert outcome(refused) == (Level.FAILED, Cause.LOGIN)
        assert refused.words.startswith("Access denied for user 'watch'")
        assert SECRET not in str(found)
        wrong = await asked(at(port, "mysql", query="SELECT * FROM shop.nothing"))
        assert outcome(wrong) == (Level.FAILED, Cause.QUERY)
        assert "(1146)" in wrong.words
        assert outcome(await asked(at(port, "mysql", database="other"))) == (Level.FAILED, Cause.LOGIN)
        assert (await asked(at(port, "mysql", query="SELECT * FROM shop.orders WHERE id > 9"))).words == "answers"
        assert (await asked(at(port, "redis"))).cause in (Cause.PROTOCOL, Cause.BROKE_OFF)


async def test_redis_takes_a_password_and_answers_a_command(tmp_path: Path) -> None:
    with redis(tmp_path, SECRET) as port:
        assert (await asked(at(port, "redis", user=""))).words == "answers PONG"
        assert (await asked(at(port, "redis", user="", query="CONFIG GET maxmemory"))).words == "answers maxmemory, 0"
        refused = await asked(at(port, "redis", user="", password="wrong"))
        assert outcome(refused) == (Level.FAILED, Cause.LOGIN)
        assert outcome(await asked(at(port, "redis", user="", password=""))) == (Level.FAILED, Cause.QUERY)
        assert outcome(await asked(at(port, "redis", user="", query="NONSENSE"))) == (Level.FAILED, Cause.QUERY)
        assert outcome(await asked(at(port, "mysql"), timeout=0.3)) == (Level.FAILED, Cause.SILENT)


@pytest.mark.parametrize("engine", ["mysql", "postgresql", "redis"])
@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 5_000, b"*1000\r\n" * 500, b"\x05\x00\x00\x00\x0a5.7\x00\x01"]
)
async def test_what_speaks_another_protocol_is_down_by_what_it_said(engine: str, said: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        await reader.read(100)

    async with serving(speak) as port:
        found = await asked(at(port, engine), timeout=1)
    assert found.level is Level.FAILED
    assert found.cause in (Cause.PROTOCOL, Cause.BROKE_OFF, Cause.LOGIN, Cause.SILENT)
    assert SECRET not in str(found)
