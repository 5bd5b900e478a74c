"""The first day: every page without anything to show says what belongs there, and how to get it."""

import re
from html import unescape

import pytest

from tests.api.service import Service
from tests.web import every_page
from tests.web.browser import Browser, a_person
from tocsin.identity.model import Role

# What each page says while it is empty, and what can be done about it there.
SAYS = {
    "overview": ("Listening for the first event.", "Begin step by step"),
    "alerts": ("Nothing needs you", "Alerts that nobody has"),
    "events": ("Nothing has come in for 24 hours", "How to send events"),
    "sources": ("Nobody numbers their events yet", "tocsin key add bridge"),
    "quarantine": ("Nothing is held back", "can be tried again"),
    "analytics": ("Nothing happened in this time", "No alert began"),
    "checks": ("A customer would notice first", "Watch a website"),
    "availability": ("Nothing is watched from outside yet", "Watch a website"),
    "hosts": ("See a server from the inside", "A server of which site?"),
    "heartbeats": ("A job that does not run says nothing", "Watch a job"),
    "oncall": ("Nobody takes turns yet", "Make a schedule"),
    "teams": ("No teams yet", "Make a team"),
    "policies": ("Built-in policy", "Make a policy"),
    "rules": ("No rules yet, so events speak for themselves", "Make a rule"),
    "quiet": ("Every alert may ring", "Silence something"),
    "settings-health": ("Tocsin is well.", "tocsin doctor"),
    "settings-sites": ("Never heard", "Add a site"),
    "settings-exporters": ("No exporter is asked", "Ask it from now on"),
    "settings-thresholds": ("by the settings", "A new threshold"),
    "settings-channels": ("No channel of a team yet", "Add the channel"),
    "settings-people": ("You watch alone.", "Invite somebody"),
    "settings-keys": ("What bridges, agents and programs show at the door.", "Make the key"),
    "settings-audit": ("Who did what, and what was refused", "Check the chain"),
    "settings-contacts": ("No way to reach you yet", "Add it and send a code"),
}


@pytest.mark.claim("U1", "U7")
async def test_a_page_with_nothing_to_show_says_what_belongs_there_and_how_to_get_it(sqlite_service: Service) -> None:
    await a_person(sqlite_service, "marta@example.com", Role.ADMIN)
    marta = Browser(sqlite_service)
    await marta.log_in("marta@example.com")
    assert {f"empty-{name}" for name in SAYS} == set(every_page.EMPTY)
    for name, words in SAYS.items():
        answer = await marta.get(every_page.EMPTY[f"empty-{name}"])
        assert answer.status_code == 200, name
        main = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])))
        for said in words:
            assert said in main, (name, said)
