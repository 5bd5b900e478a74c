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


def watches(scheduled: Inside) -> tuple[str, str]:
    """A watch of Kai's and one of Marta's, long after now."""
    found = []
    for email in ("kai@example.com", "marta@example.com"):
        for week in range(2):
            day = 7 + 7 * week
            shown = scheduled.run("oncall", "--at", f"2036-01-{day:02}T12:00:00Z", "--json").json
            if shown["schedules"][0]["on_call"][0]["email"] == email:
                found.append(f"{email}=2036-01-{day:02}T12:00Z/2036-01-{day:02}T18:00Z")
    return found[0], found[1]


def test_a_swap_is_asked_for_listed_and_accepted(scheduled: Inside) -> None:
    gives, takes = watches(scheduled)
    assert "No swap waits" in scheduled.run("swap", "list").err
    asked = scheduled.run("swap", "ask", "first line", "--give", gives, "--take", takes, "--note", "A wedding.")
    assert (asked.code, asked.err.startswith("Marta Weiss is asked.")) == (0, True)
    swap_id = asked.out.strip()
    listed = scheduled.run("swap", "list").out
    assert all(words in listed for words in (swap_id, "asked", "First line", "Kai Brandt", "Marta Weiss"))
    assert "was accepted" in scheduled.run("swap", "accept", swap_id).out
    (kept,) = scheduled.run("swap", "list", "--all", "--json").json
    assert (kept["status"], kept["note"], kept["answered_by"].partition(":")[0]) == ("accepted", "A wedding.", "cli")
    at = takes.partition("=")[2].partition("/")[0]
    (schedule,) = scheduled.run("oncall", "--at", at, "--json").json["schedules"]
    assert schedule["on_call"][0]["email"] == "kai@example.com"
    answer = scheduled.run("swap", "refuse", swap_id)
    assert (answer.is_one_complaint(), "was accepted already" in answer.err) == (True, True)


def test_a_swap_is_refused_and_taken_back(scheduled: Inside) -> None:
    gives, takes = watches(scheduled)
    for deed, word in (("refuse", "refused"), ("withdraw", "withdrawn")):
        asked = scheduled.run("swap", "ask", "First line", "--give", gives, "--take", takes, "--json").json
        assert scheduled.run("swap", deed, asked["id"], "--json").json["status"] == word


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("ask", "Second line"), "there is no schedule 'Second line'. The schedules: First line"),
        (("ask", "First line", "--give", "kai@example.com"), "give: must be PERSON=FROM/UNTIL, and is 'kai@example.com'. Example: anna@"),
        (("ask", "First line", "--take", "m@example.com=today/2036-01-01T00:00Z"), "take: 'today' is no time with a zone"),
        (("ask", "First line", "--take", "nobody@example.com=2036-01-14T09:00Z/2036-01-14T12:00Z"), "second.user: "),
        (("ask", "First line", "--note", "x" * 501), "note: must have at most 500 characters; it has 501"),
        (("accept", "nonsense"), "there is no swap nonsense: `tocsin swap list` shows their ids"),
        (("withdraw", "0190aaaa-0000-7000-8000-000000000000"), "there is no swap 0190aaaa"),
    ],
)
def test_a_swap_that_cannot_be_is_one_complaint(scheduled: Inside, words: tuple[str, ...], complaint: str) -> None:
    gives, takes = watches(scheduled)
    given = [] if words[0] != "ask" else [x for o, v in (("--give", gives), ("--take", takes)) if o not in words for x in (o, v)]
    answer = scheduled.run("swap", *words, *given)
    assert (answer.out, answer.err.count("\n")) == ("", 1)
    assert answer.err.startswith("tocsin: ")
    assert complaint in answer.err
