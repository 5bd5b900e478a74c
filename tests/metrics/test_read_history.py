"""The questions of docs/how-to/read-history.md are answered by the database itself."""

import re
from pathlib import Path

import pytest

from tests.metrics.history import keep, record, samples_of
from tests.world import World
from tocsin.core.clock import DAY, HOUR, SystemClock
from tocsin.metrics.model import Sample

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "read-history.md"


@pytest.mark.claim("H1")
async def test_the_questions_of_the_page_are_answered(world: World) -> None:
    world.clock.at = SystemClock().now()  # the questions ask for now
    now, site = world.clock.now(), world.core.sites.get("main").id
    start = now // DAY * DAY - 3 * DAY
    made = [Sample(site, name, at, 1_200.0, "web1") for name in ("cpu_percent", "response_ms") for at in range(start, now, HOUR)]
    await record(world, [*made, Sample(site, "disk_percent", now, 81.0, "web1"), *samples_of(world, 2, until=now, series=1)])
    await keep(world)
    kind = "sqlite3" if world.core.database.is_sqlite else "psql"
    section = PAGE.read_text().split(f"## {kind}\n")[1].split("\n## ")[0]
    questions = re.findall(r"```sql\n(.*?)```", section, flags=re.DOTALL)
    assert questions
    with world.core.database.read() as connection:
        for question in questions:
            rows = connection.exec_driver_sql(question).all()
            assert rows, question
            assert rows[0][0] == "web1"
