"""Who is on call, asked at the terminal."""

import pytest

from tests.cli.program import Inside
from tocsin.audit.model import Who
from tocsin.bootstrap import build_store
from tocsin.db.writer import Tx
from tocsin.identity import service as identity
from tocsin.identity.model import Role
from tocsin.oncall import service
from tocsin.oncall.definition import LayerText, RotationText
from tocsin.oncall.model import Unit
from tocsin.settings import Settings

pytestmark = pytest.mark.claim("A5")


@pytest.fixture
def scheduled(ready: Inside) -> Inside:
    """With the schedule *First line*: Marta and Kai take turns by the week from Monday, 2026-01-05, 09:00 in Berlin."""
    store = build_store(Settings(data_dir=ready.folder, database_url=f"sqlite:///{ready.folder}/tocsin.db"))

    def work(tx: Tx) -> None:
        for email, name in (("marta@example.com", "Marta Weiss"), ("kai@example.com", "Kai Brandt")):
            identity.add_user(tx, email, name, Role.RESPONDER, None, 1)
        rotation = RotationText(unit=Unit.WEEK, starts_at="2026-01-05T09:00", users=("marta@example.com", "kai@example.com"))
        layers = (LayerText(name="Weeks", rotation=rotation),)
        service.add_schedule(tx, Who("test"), service.ScheduleChange("First line", "Europe/Berlin", layers), 1)

    store.writer.call(work)
    store.close()
    return ready


def test_it_says_who_is_on_call_and_until_when(scheduled: Inside) -> None:
    answer = scheduled.run("oncall", "--at", "2026-01-14T00:00:00Z")
    assert [line.split("  ") for line in answer.out.replace("   ", "  ").splitlines()][1][0].strip() == "First line"
    assert "Kai Brandt  kai@example.com  2026-01-19 09:00 CET  layer" in answer.out
    assert "nobody" in scheduled.run("oncall", "--at", "2025-12-31T00:00:00+01:00").out


def test_programs_get_it_in_the_words_of_the_api(scheduled: Inside) -> None:
    (schedule,) = scheduled.run("oncall", "--at", "2026-01-05T08:00:00Z", "--json").json["schedules"]
    (duty,) = schedule["on_call"]
    assert (schedule["name"], duty["email"], duty["source"]) == ("First line", "marta@example.com", "layer")
    assert (duty["since"], duty["until"]) == ("2026-01-05T08:00:00.000Z", "2026-01-12T08:00:00.000Z")


@pytest.mark.parametrize("at", ["tomorrow", "2026-01-05T09:00:00", "0001-01-01T00:00:00Z"])
def test_a_moment_that_is_none_is_a_complaint(scheduled: Inside, at: str) -> None:
    answer = scheduled.run("oncall", "--at", at)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith("tocsin: at: ")


def test_without_a_schedule_it_says_so(ready: Inside) -> None:
    answer = ready.run("oncall")
    assert (answer.code, answer.out) == (0, "")
    assert "There is no schedule yet" in answer.err
