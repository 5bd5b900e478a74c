"""``/channels`` from the outside: team channels, kinds, tests."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.service import Service
from tests.build import ONCALL_PHONE, OWNER_PHONE
from tests.fakes import NO_SUCH_ADDRESS, WRONG_TOKEN
from tests.standins.webhook import KEY, PATH, WebhookStandIn
from tocsin.net.http import HttpDoor
from tocsin.notify.channels.slack import Slack
from tocsin.notify.channels.webhook import Webhook
from tocsin.notify.model import Channel
from tocsin.settings import Settings

pytestmark = pytest.mark.claim("N4")

SLACK = "https://hooks.slack.com/services/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"
OPS = {"name": "#ops", "kind": "slack", "target": SLACK}


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


@pytest.fixture
def chats(service: Service, door: HttpDoor) -> Service:
    """With Slack and webhooks beside push and mail."""
    more: dict[str, Channel] = {"slack": Slack(None, door), "webhook": Webhook(door)}
    service.server.channels.update(more)
    service.world.delivery._channels = {**service.world.delivery._channels, **more}
    return service


@pytest.fixture
def allowing(chats: Service) -> Service:
    """Where addresses inside one's own network are allowed."""
    object.__setattr__(chats.server.core, "settings", Settings(private_targets=True))
    return chats


class TestChannels:
    async def test_a_channel_is_made_listed_changed_and_removed(self, chats: Service) -> None:
        made = await chats.admin.post("/channels", OPS, 201)
        assert {name: made[name] for name in ("name", "kind", "target", "disabled_at", "fault", "signing_key")} == {
            "name": "#ops",
            "kind": "slack",
            "target": "#ops",
            "disabled_at": None,
            "fault": None,
            "signing_key": None,
        }
        path = f"/channels/{made['id']}"
        assert [one["id"] for one in (await chats.reader.get("/channels"))["items"]] == [made["id"]]
        changed = (await chats.admin.ask("PATCH", path, json={"name": "#night", "enabled": False})).json()
        assert (changed["name"], changed["target"]) == ("#night", "#night")
        assert changed["disabled_at"] is not None
        assert (await chats.admin.ask("PATCH", path, json={"enabled": True})).json()["disabled_at"] is None
        assert (await chats.admin.ask("DELETE", path)).status_code == 204
        assert (await chats.reader.get("/channels"))["items"] == []
        await chats.reader.refused("GET", path, 404)

    async def test_an_address_that_is_a_secret_is_shown_by_no_call(self, chats: Service) -> None:
        made = await chats.admin.ask("POST", "/channels", json=OPS)
        channel = made.json()["id"]
        await chats.send({"type": "disk.full", "severity": 5})
        changed = await chats.admin.ask("PATCH", f"/channels/{channel}", json={"target": SLACK + "x"})
        said = [made.text, changed.text]
        paths = ("/channels", f"/channels/{channel}", "/contacts", "/notifications", "/alerts/1", "/audit")
        said += [(await chats.admin.ask("GET", path)).text for path in paths]
        assert not any("Zz9Yy8Xx" in text or "B0000BBBB" in text for text in said)

    async def test_each_change_stands_in_the_audit_log(self, chats: Service) -> None:
        made = await chats.admin.post("/channels", OPS, 201)
        path = f"/channels/{made['id']}"
        await chats.admin.ask("PATCH", path, json={"name": "#night", "target": SLACK})
        await chats.admin.ask("PATCH", path, json={"name": "#night"})
        await chats.admin.ask("DELETE", path)
        entries = (await chats.admin.get("/audit"))["items"]
        ours = [(e["action"], e["after"]) for e in reversed(entries) if e["object"] == f"channel:{made['id']}"]
        assert ours == [
            ("channel.made", {"name": "#ops", "kind": "slack", "target": "#ops", "enabled": True}),
            ("channel.changed", {"name": "#night", "target": "#night", "address": "a new one"}),
            ("channel.removed", None),
        ]

    async def test_a_webhook_gets_a_key_which_is_shown_once(self, chats: Service) -> None:
        made = await chats.admin.post("/channels", {"name": "n8n", "kind": "webhook", "target": "https://hooks.example.com/in"}, 201)
        assert made["signing_key"].startswith("whsec_")
        assert "signing_key" not in await chats.reader.get(f"/channels/{made['id']}")
        again = (await chats.admin.ask("PATCH", f"/channels/{made['id']}", json={"name": "n9n"})).json()
        assert again["signing_key"] is None

    async def test_two_channels_cannot_have_one_name(self, chats: Service) -> None:
        await chats.admin.post("/channels", OPS, 201)
        other = await chats.admin.post("/channels", {**OPS, "name": "#other"}, 201)
        await chats.admin.refused("POST", "/channels", 409, json=OPS)
        await chats.admin.refused("PATCH", f"/channels/{other['id']}", 409, json={"name": "#ops"})

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"name": "#ops", "kind": "slack"}, "target"),
            ({**OPS, "target": "https://example.com/"}, "target"),
            ({**OPS, "target": ""}, "target"),
            ({**OPS, "target": "x" * 2_001}, "target"),
            ({**OPS, "target": "a\x00b"}, "target"),
            ({**OPS, "kind": "fax"}, "kind"),
            ({**OPS, "kind": "telegram", "target": "-1"}, "kind"),
            ({**OPS, "kind": 5}, "kind"),
            ({**OPS, "name": " "}, "name"),
            ({**OPS, "name": "x" * 101}, "name"),
            ({**OPS, "secret": "x"}, "secret"),
            ({"name": "x", "kind": "webhook", "target": "http://10.0.0.1/in"}, "target"),
        ],
    )
    async def test_what_cannot_be_one_is_refused_by_the_field(self, chats: Service, body: dict[str, Any], field: str) -> None:
        problem = await chats.admin.refused("POST", "/channels", 422, json=body)
        assert problem["errors"][0]["field"] == field

    async def test_only_administrators_make_them_and_a_sites_key_does_not_even_see_them(self, chats: Service) -> None:
        await chats.writer.refused("POST", "/channels", 403, json=OPS)
        await chats.tenant.refused("POST", "/channels", 403, json=OPS)
        await chats.tenant.refused("GET", "/channels", 403)
        await chats.nobody.refused("GET", "/channels", 401)

    async def test_a_persons_contact_and_one_of_the_settings_are_no_channels(self, chats: Service) -> None:
        for method in ("GET", "PATCH", "DELETE"):
            await chats.admin.refused(method, f"/channels/{ONCALL_PHONE.id}", 404, json={})

    async def test_an_alert_reaches_a_team_channel_and_a_removed_one_no_more(self, allowing: Service) -> None:
        async with WebhookStandIn() as server:
            made = await allowing.admin.post("/channels", {"name": "n8n", "kind": "webhook", "target": f"{server.url}{PATH}#{KEY}"}, 201)
            await allowing.send({"type": "disk.full", "severity": 5, "title": "Disk full"})
            assert [document["headline"] for document in server.taken] == ["Disk full"]
            await allowing.admin.ask("DELETE", f"/channels/{made['id']}")
            await allowing.send({"type": "raid.broken", "severity": 5})
            assert len(server.taken) == 1

    async def test_a_new_address_sends_at_once_what_the_old_one_refused(self, allowing: Service) -> None:
        world = allowing.world
        made = await allowing.admin.post("/channels", {"name": "n8n", "kind": "webhook", "target": f"http://127.0.0.1:9/#{KEY}"}, 201)
        await allowing.send({"type": "disk.full", "severity": 5, "title": "Disk full"})
        assert [m.status for m in world.messages(contact_id=made["id"])] == ["pending"]
        async with WebhookStandIn() as good:
            await allowing.admin.ask("PATCH", f"/channels/{made['id']}", json={"target": f"{good.url}{PATH}#{KEY}"})
            await world.turn()
            assert [m.status for m in world.messages(contact_id=made["id"])] == ["sent"]


class TestKinds:
    async def test_each_kind_says_whether_it_is_set_up_and_healthy(self, chats: Service) -> None:
        kinds = {kind["kind"]: kind for kind in (await chats.reader.get("/channels"))["kinds"]}
        assert (kinds["ntfy"]["set_up"], kinds["ntfy"]["contacts"], kinds["ntfy"]["healthy"]) == (True, 2, True)
        assert (kinds["slack"]["set_up"], kinds["slack"]["contacts"], kinds["slack"]["healthy"]) == (True, 0, None)
        assert (kinds["telegram"]["set_up"], kinds["telegram"]["healthy"]) == (False, None)

    async def test_what_a_contact_suffers_from_is_told(self, chats: Service) -> None:
        chats.world.email.outcome = WRONG_TOKEN
        await chats.send({"type": "disk.full", "severity": 5})
        kinds = {kind["kind"]: kind for kind in (await chats.reader.get("/channels"))["kinds"]}
        assert kinds["email"]["healthy"] is False
        assert kinds["email"]["faults"] == ["email oncall@example.com: the token was refused (401)"]


class TestTests:
    async def test_a_test_says_how_it_ended_and_who_asked(self, chats: Service) -> None:
        answer = await chats.admin.post("/channels/ntfy/test")
        assert [(one["contact"], one["result"], one["error"]) for one in answer["items"]] == [
            (ONCALL_PHONE.id, "sent", None),
            (OWNER_PHONE.id, "sent", None),
        ]
        letter = chats.world.ntfy.letters[0]
        assert letter.alert.title == "Test message: Tocsin reaches you here"
        assert letter.alert.message == "key:admin asked for it. There is nothing to do."

    async def test_a_test_that_fails_says_why(self, chats: Service) -> None:
        chats.world.email.outcome = NO_SUCH_ADDRESS
        (one,) = (await chats.admin.post("/channels/email/test"))["items"]
        assert (one["result"], one["error"]) == ("permanent", "there is no such mailbox")

    async def test_a_team_channel_is_tried_by_its_id(self, allowing: Service) -> None:
        async with WebhookStandIn() as server:
            made = await allowing.admin.post("/channels", {"name": "n8n", "kind": "webhook", "target": f"{server.url}{PATH}#{KEY}"}, 201)
            (one,) = (await allowing.admin.post(f"/channels/{made['id']}/test"))["items"]
            assert (one["target"], one["result"]) == ("n8n", "sent")
            assert [document["kind"] for document in server.taken] == ["notice"]

    async def test_a_fault_of_a_channel_is_an_answer_too(self, chats: Service) -> None:
        def broken(_letter: object) -> None:
            raise RuntimeError

        chats.world.email.before_departure = broken
        (one,) = (await chats.admin.post("/channels/email/test"))["items"]
        assert one["error"] == "email failed: RuntimeError"

    async def test_a_kind_without_a_contact_has_nobody_to_write_to(self, chats: Service) -> None:
        assert await chats.admin.post("/channels/slack/test") == {"items": []}

    @pytest.mark.parametrize("channel", ["fax", "00000000-0000-7000-8000-000000000999", ONCALL_PHONE.id + "0"])
    async def test_what_is_not_there_is_not_found(self, chats: Service, channel: str) -> None:
        await chats.admin.refused("POST", f"/channels/{channel}/test", 404)
