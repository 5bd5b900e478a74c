"""SIGKILL at any moment changes nothing: what was acknowledged is there once, what was promised arrives."""

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.program import Program, free_port
from tests.conftest import Databases
from tests.crash import storm
from tests.crash.ordeal import Ordeal
from tocsin.core import failpoints
from tocsin.core.clock import HOUR, MINUTE
from tocsin.notify.rules import Pointless

# The sender's sockets to a killed server may be left to the garbage collector: the client's business, not ours.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CLAIMS = ("N5", "E8", "A1", "A2", "L3", "K27")


@pytest.fixture
def program(tmp_path: Path, database_url: str) -> Program:
    settings = {"TOCSIN_DATABASE_URL": database_url, "TOCSIN_LISTEN": f"127.0.0.1:{free_port()}"}
    return Program(tmp_path / "data", settings)


@pytest.mark.claim("K13")
async def test_a_kill_at_every_boundary_loses_nothing(program: Program) -> None:
    async with Ordeal.begin(program, seed=1) as ordeal:
        for boundary in failpoints.NAMES:
            await ordeal.kill_at(boundary)
        await ordeal.settle()
        ordeal.check()


@pytest.mark.claim(*CLAIMS)
async def test_kills_at_random_moments_lose_nothing(program: Program) -> None:
    async with Ordeal.begin(program, seed=2) as ordeal:
        for _ in range(20):
            await ordeal.kill_at_random()
        await ordeal.settle()
        ordeal.check()


@pytest.mark.claim("A8")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_a_contact_is_spared_in_a_storm_has_arrived_on_another_whatever_is_killed(
    kind: str, databases: Databases, tmp_path: Path
) -> None:
    lives = tmp_path / "lives"
    lives.mkdir()
    deaths = storm.DEATHS if kind == "sqlite" else storm.FEW_DEATHS
    names = [f"{boundary}-{times}" for boundary, times in deaths]
    urls = [databases.sqlite(tmp_path / f"{name}.db") if kind == "sqlite" else databases.postgresql() for name in names]
    try:
        given = [f"{boundary}={times}={url}" for (boundary, times), url in zip(deaths, urls, strict=True)]
        run = [sys.executable, "-m", "tests.crash.storm", str(lives), *given]
        died = subprocess.run(run, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False)
        assert died.returncode == 0, died.stderr
        spared = [asyncio.run(_reckon(url, lives / name)) for url, name in zip(urls, names, strict=True)]
    finally:
        for url in urls if kind == "postgresql" else ():
            databases.give_back(url)
    assert max(spared) > 0, "nothing was spared: the test tests nothing"


async def _reckon(url: str, folder: Path) -> int:
    """Begins again where a life has ended, without what was under way then. How often a contact was spared what another had carried."""
    crew = await storm.begin(url, folder)
    world = crew.world
    storm.break_off(world)
    world.clock.advance(MINUTE)
    await world.delivery.recover()
    await world.pass_until_quiet(HOUR)
    lines = (folder / "arrived").read_text().split("\n")
    assert len(set(lines)) == len(lines), f"{folder.name}: twice, and the second did not say so"
    arrived = {line.split(" ")[0] for line in lines}
    vera = next(one.id for one in world.core.contacts.directory.people.values() if one.email == "vera@example.com")  # only looks on
    owners = {contact.id: contact.user_id for contact in world.core.contacts.all if contact.user_id != vera}
    pages, spared = world.messages(kind="opened"), 0
    assert Counter(m.alert_number for m in pages) == dict.fromkeys(range(1, storm.COUNT + 1), len(owners)), folder.name
    for page in pages:
        others = [m for m in pages if m.alert_number == page.alert_number and owners[m.contact_id] == owners[page.contact_id]]
        heard = [m for m in others if (m.digest_id or m.id) in arrived]
        assert heard, f"{folder.name}: somebody was never told: {page}"
        if page.last_error == Pointless.TOLD_BESIDE:
            assert any(m.status == "sent" for m in heard), f"{folder.name}: spared what nobody has carried: {page}"
            spared += 1
        else:
            assert page in heard or page.status == "failed", f"{folder.name}: {page}"
    await world.close()
    return spared


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_hundreds_of_kills_lose_nothing(program: Program, seed: int) -> None:
    async with Ordeal.begin(program, seed=100 + seed) as ordeal:
        for turn in range(3):
            for boundary in failpoints.NAMES:
                await ordeal.kill_at(boundary, young=turn == 1)
            for _ in range(10):
                await ordeal.kill_at_random()
        await ordeal.settle()
        ordeal.check()
