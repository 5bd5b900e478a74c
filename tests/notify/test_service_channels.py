"""What is particular to each service for programs: PagerDuty, Opsgenie, webhooks."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.notify.letters import NOW, a_letter, an_alert
from tests.standins import opsgenie, pagerduty, webhook
from tests.standins.provider import Fault
from tocsin.core.errors import NotAuthenticated
from tocsin.events.signature import verify
from tocsin.net.http import HttpDoor
from tocsin.notify.channels.opsgenie import BASES, Opsgenie
from tocsin.notify.channels.pagerduty import EU, US, PagerDuty
from tocsin.notify.channels.webhook import Webhook
from tocsin.notify.model import Channel, Contact, Letter, Outcome, Result

pytestmark = pytest.mark.claim("N4")


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


async def send(channel: Channel, letter: Letter) -> Outcome:
    return await channel.send(letter, lambda: None)


def to(contact: Contact, kind: str = "opened", **changes: Any) -> Letter:
    return msgspec.structs.replace(a_letter(kind, **changes), contact=contact)


OVER = an_alert(status="resolved", resolved_at=NOW)


class TestPagerDuty:
    KEY = Contact("c", "pagerduty", "Events API", secret=pagerduty.KEY)

    @pytest.fixture
    async def server(self) -> AsyncIterator[pagerduty.PagerDutyStandIn]:
        async with pagerduty.PagerDutyStandIn() as server:
            yield server

    @pytest.fixture
    def channel(self, server: pagerduty.PagerDutyStandIn, door: HttpDoor) -> PagerDuty:
        return PagerDuty(door, server.url, server.url)

    async def test_one_alert_is_one_incident_from_its_opening_to_its_end(
        self, server: pagerduty.PagerDutyStandIn, channel: PagerDuty
    ) -> None:
        states = []
        for kind, alert in (("opened", an_alert()), ("escalated", an_alert()), ("acknowledged", an_alert()), ("resolved", OVER)):
            await send(channel, to(self.KEY, kind, alert=alert))
            states.append(dict(server.incidents))
        key = an_alert().id
        assert states == [{key: "triggered"}, {key: "triggered"}, {key: "acknowledged"}, {key: "resolved"}]

    async def test_an_incident_says_what_where_and_how_loud(self, server: pagerduty.PagerDutyStandIn, channel: PagerDuty) -> None:
        await send(channel, to(self.KEY))
        payload = server.taken[0].payload
        assert (payload.summary, payload.source, payload.severity) == ("Service 77: creation failed", "srv-12", "critical")
        assert (payload.group, payload.class_, payload.custom_details["alert"]) == ("acme", "servers.module_create_failed", 12)
        assert [link.text for link in server.taken[0].links] == ["Acknowledge in Tocsin", "Resolve in Tocsin"]

    async def test_a_notice_leaves_no_open_incident(self, server: pagerduty.PagerDutyStandIn, channel: PagerDuty) -> None:
        await send(channel, to(self.KEY, "notice", links=None))
        assert list(server.incidents.values()) == ["resolved"]

    async def test_a_wrong_key_is_refused_and_another_fault_of_the_event_is_not_the_keys(
        self, server: pagerduty.PagerDutyStandIn, channel: PagerDuty
    ) -> None:
        wrong = await send(channel, to(Contact("c", "pagerduty", "Events API", secret="x" * 32)))
        server.fail_next(Fault(400, '{"status":"invalid event","message":"Event object is invalid","errors":["\'payload\' is too big"]}'))
        other = await send(channel, to(self.KEY))
        assert (wrong.result, other.result) == (Result.REFUSED, Result.PERMANENT)
        assert "integration key" in str(wrong.error)

    async def test_each_region_has_its_address(self, server: pagerduty.PagerDutyStandIn, door: HttpDoor) -> None:
        assert (US, EU) == ("https://events.pagerduty.com", "https://events.eu.pagerduty.com")
        channel = PagerDuty(door, "http://127.0.0.1:9", server.url)
        assert (await send(channel, to(Contact("c", "pagerduty", "Europe", secret=f"eu:{pagerduty.KEY}")))).result is Result.SENT


class TestOpsgenie:
    KEY = Contact("c", "opsgenie", "Alert API", secret=opsgenie.KEY)

    @pytest.fixture
    async def server(self) -> AsyncIterator[opsgenie.OpsgenieStandIn]:
        async with opsgenie.OpsgenieStandIn() as server:
            yield server

    @pytest.fixture
    def channel(self, server: opsgenie.OpsgenieStandIn, door: HttpDoor) -> Opsgenie:
        return Opsgenie(door, dict.fromkeys(BASES, server.url))

    async def test_one_alert_is_one_alias_from_create_to_close(self, server: opsgenie.OpsgenieStandIn, channel: Opsgenie) -> None:
        states = []
        for kind, alert in (("opened", an_alert()), ("repeated", an_alert()), ("acknowledged", an_alert()), ("resolved", OVER)):
            await send(channel, to(self.KEY, kind, alert=alert))
            states.append(dict(server.alerts))
        alias = an_alert().id
        assert states == [{alias: "open"}, {alias: "open"}, {alias: "acknowledged"}, {alias: "closed"}]
        assert server.counts == {alias: 2}

    async def test_an_alert_has_its_priority_and_the_links(self, server: opsgenie.OpsgenieStandIn, channel: Opsgenie) -> None:
        await send(channel, to(self.KEY))
        alert = server.taken[0]
        assert (alert.message, alert.priority, alert.entity, alert.tags) == ("Service 77: creation failed", "P1", "srv-12", ["acme"])
        assert "Acknowledge: https://alarm.example.com/a/a-7f3k9q" in alert.description
        assert alert.details["number"] == "12"

    async def test_a_notice_leaves_no_open_alert(self, server: opsgenie.OpsgenieStandIn, channel: Opsgenie) -> None:
        await send(channel, to(self.KEY, "notice", links=None))
        assert list(server.alerts.values()) == ["closed"]

    @pytest.mark.parametrize("region", ["eu", "jsm"])
    async def test_each_region_has_its_address(self, server: opsgenie.OpsgenieStandIn, door: HttpDoor, region: str) -> None:
        channel = Opsgenie(door, {"": "http://127.0.0.1:9", region: server.url})
        contact = Contact("c", "opsgenie", "Europe", secret=f"{region}:{opsgenie.KEY}")
        assert (await send(channel, to(contact))).result is Result.SENT
        assert await channel.check(contact) is None

    async def test_a_wrong_key_is_found_by_the_check(self, channel: Opsgenie) -> None:
        assert "does not know this key" in str(await channel.check(Contact("c", "opsgenie", "Alert API", secret="0" * 8)))


class TestWebhook:
    @pytest.fixture
    async def server(self) -> AsyncIterator[webhook.WebhookStandIn]:
        async with webhook.WebhookStandIn() as server:
            yield server

    def hook(self, server: webhook.WebhookStandIn) -> Contact:
        return Contact("c", "webhook", "hooks.example.com", secret=f"{server.url}{webhook.PATH}#{webhook.KEY}")

    async def test_it_is_signed_as_the_bridge_signs_and_only_its_key_opens_it(self, server: webhook.WebhookStandIn, door: HttpDoor) -> None:
        await send(Webhook(door), to(self.hook(server)))
        (seen,) = server.requests
        assert verify(seen.headers["X-Tocsin-Signature"], webhook.KEY, seen.body, NOW) == 0
        with pytest.raises(NotAuthenticated):
            verify(seen.headers["X-Tocsin-Signature"], "another key", seen.body, NOW)

    async def test_a_receiver_that_looks_at_the_id_takes_two_copies_once(self, server: webhook.WebhookStandIn, door: HttpDoor) -> None:
        server.fail_next(Fault(drop=True, taken=True))
        outcomes = [await send(Webhook(door), to(self.hook(server), maybe_repeated=again)) for again in (False, True)]
        assert [outcome.result for outcome in outcomes] == [Result.UNKNOWN, Result.SENT]
        assert len(server.taken) == 1

    async def test_the_body_says_all_that_a_program_needs(self, server: webhook.WebhookStandIn, door: HttpDoor) -> None:
        await send(Webhook(door), to(self.hook(server), "digest", others=(an_alert(13), an_alert(14)), more=5))
        (document,) = server.taken
        assert document["alert"]["number"] == 12
        assert [other["number"] for other in document["others"]] == [13, 14]
        assert (document["more"], document["site"], document["links"]["open"]) == (5, "acme", "https://alarm.example.com/a/o-7f3k9q")

    async def test_an_address_inside_ones_own_network_is_not_reached_unless_that_is_allowed(self, server: webhook.WebhookStandIn) -> None:
        careful = Webhook(HttpDoor(allow_private=False))
        outcome = await send(careful, to(self.hook(server)))
        assert outcome.result is Result.TEMPORARY
        assert "private address" in str(outcome.error)
        assert server.requests == []
        await careful.close()
