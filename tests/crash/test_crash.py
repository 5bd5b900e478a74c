"""SIGKILL at any moment changes nothing: what was acknowledged is there once, what was promised arrives."""

from pathlib import Path

import pytest

from tests.cli.program import Program, free_port
from tests.crash.ordeal import Ordeal
from tocsin.core import failpoints

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
        for _ in range(10):
            await ordeal.kill_at_random()
        await ordeal.settle()
        ordeal.check()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_hundreds_of_kills_lose_nothing(program: Program, seed: int) -> None:
    async with Ordeal.begin(program, seed=100 + seed) as ordeal:
        for _ in range(3):
            for boundary in failpoints.NAMES:
                await ordeal.kill_at(boundary)
            for _ in range(10):
                await ordeal.kill_at_random()
        await ordeal.settle()
        ordeal.check()
