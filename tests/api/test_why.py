"""``/alerts/{ref}/why``: why somebody was paged, or not, in words."""

import pytest
import sqlalchemy as sa

from tests.api.service import Service
from tests.build import ONCALL_MAIL, ONCALL_PHONE, a_report
from tests.fakes import NO_SUCH_ADDRESS
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.times import to_text
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import service as identity
from tocsin.identity.model import Role

pytestmark = pytest.mark.claim("A9")
MARTA, KAI = "marta@example.com", "kai@example.com"


async def the_cast(service: Service) -> None:
    """Marta has the phone; Kai has nothing; the mail address is nobody's in particular."""
    await service.world.people(ONCALL_PHONE, ONCALL_MAIL)

    def work(tx: Tx) -> None:
        now = service.world.clock.now()
        marta = identity.add_user(tx, MARTA, "Marta Weiss", Role.RESPONDER, None, now)
        identity.add_user(tx, KAI, "Kai Brandt", Role.RESPONDER, None, now)
        tx.sql.execute(sa.update(tables.contacts).where(tables.contacts.c.id == ONCALL_PHONE.id).values(user_id=marta.id))

    await service.world.write(work)
    service.world.core.refresh()


async def test_each_person_gets_one_sentence_and_each_decision_its_reason(service: Service) -> None:
    await the_cast(service)
    await service.world.report(a_report(severity=5), a_report(severity=5))
    found = await service.reader.get("/alerts/1/why")
    said = {person["name"]: (person["paged"], person["summary"]) for person in found["people"]}
    assert said["Marta Weiss"][0]
    assert said["Marta Weiss"][1].startswith("Marta Weiss was paged at 2")
    assert "by ntfy oncall-phone" in said["Marta Weiss"][1]
    assert said["Kai Brandt"][1] == "Kai Brandt was not paged: they have no contact that messages can go to."
    texts = [step["text"] for step in found["steps"]]
    assert any(text.startswith("It opened as critical: first event of this problem") for text in texts)
    assert "Seen 2 times so far. Repeats are counted and tell nobody anew." in texts
    assert "Attempt 1 to ntfy oncall-phone: the provider took it." in texts
    assert [step["at"] for step in found["steps"]] == sorted(step["at"] for step in found["steps"])


async def test_asked_about_one_person_the_messages_are_theirs(service: Service) -> None:
    await the_cast(service)
    await service.world.report(a_report(severity=5))
    found = await service.reader.get("/alerts/1/why", user=MARTA.upper())
    assert [person["email"] for person in found["people"]] == [MARTA]
    assert {step["contact"] for step in found["steps"] if step["message"]} == {"ntfy oncall-phone"}
    await service.reader.refused("GET", "/alerts/1/why?user=nobody@example.com", 422)
    await service.reader.refused("GET", "/alerts/99/why", 404)
    await service.tenant.refused("GET", "/alerts/1/why", 404)


async def test_a_silence_is_named_as_the_reason(sqlite_service: Service) -> None:
    service = sqlite_service
    await the_cast(service)
    ends_at = to_text(service.world.clock.now() + HOUR)
    body = {"matchers": [{"field": "type", "op": "=", "value": "disk.full"}], "ends_at": ends_at, "comment": "disk swap"}
    await service.admin.post("/silences", body, status=201)
    await service.world.report(a_report(severity=5))
    (marta,) = (await service.reader.get("/alerts/1/why", user=MARTA))["people"]
    assert not marta["paged"]
    assert "muted by" in marta["summary"]
    assert "disk swap" in marta["summary"]


async def test_a_failure_and_a_cancelled_message_say_why(sqlite_service: Service) -> None:
    service = sqlite_service
    await the_cast(service)
    service.world.ntfy.outcome = NO_SUCH_ADDRESS
    await service.world.report(a_report(severity=5))
    (marta,) = (await service.reader.get("/alerts/1/why", user=MARTA))["people"]
    assert marta["summary"].startswith("Marta Weiss was not paged: ntfy oncall-phone: ")
    assert (NO_SUCH_ADDRESS.error or "") in marta["summary"]


async def test_info_is_only_recorded(sqlite_service: Service) -> None:
    await the_cast(sqlite_service)
    await sqlite_service.world.report(a_report(severity=1))
    sqlite_service.world.clock.at += MINUTE
    (marta,) = (await sqlite_service.reader.get("/alerts/1/why", user=MARTA))["people"]
    assert (marta["paged"], "was not paged" in marta["summary"]) == (False, True)
