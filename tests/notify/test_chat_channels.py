"""What is particular to each chat: Slack, Teams, Discord, Telegram."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.notify.letters import LINKS, NOW, a_letter, an_alert
from tests.standins import discord, slack, teams, telegram
from tests.standins.provider import Fault
from tocsin.core.clock import SECOND
from tocsin.net.http import HttpDoor
from tocsin.notify.channels.discord import Discord
from tocsin.notify.channels.slack import Slack
from tocsin.notify.channels.teams import Teams
from tocsin.notify.channels.telegram import Telegram
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


class TestSlack:
    @pytest.fixture
    async def server(self) -> AsyncIterator[slack.SlackStandIn]:
        async with slack.SlackStandIn() as server:
            yield server

    def hook(self, server: slack.SlackStandIn) -> Contact:
        return Contact("c", "slack", "#ops", secret=server.url + slack.HOOK)

    async def test_a_page_has_its_title_facts_and_three_links(self, server: slack.SlackStandIn, door: HttpDoor) -> None:
        await send(Slack(None, door), to(self.hook(server)))
        (message,) = server.taken
        assert message.text == "🚨 Service 77: creation failed (#12)"
        first, links = (block.text.text for block in message.blocks)
        assert first.startswith("*🚨 Service 77: creation failed (#12)*\nCritical: acme, on srv-12.")
        assert links == f"*<{LINKS.acknowledge}|Acknowledge>*   *<{LINKS.resolve}|Resolve>*   *<{LINKS.open}|Open>*"

    async def test_a_title_cannot_call_the_whole_channel(self, server: slack.SlackStandIn, door: HttpDoor) -> None:
        await send(Slack(None, door), to(self.hook(server), alert=an_alert(title="<!channel> & <@U123>")))
        assert server.taken[0].text == "🚨 &lt;!channel&gt; &amp; &lt;@U123&gt; (#12)"

    @pytest.mark.parametrize(
        ("status", "word", "result"),
        [
            (400, "invalid_payload", Result.PERMANENT),
            (403, "action_prohibited", Result.REFUSED),
            (404, "no_service", Result.REFUSED),
            (410, "channel_is_archived", Result.REFUSED),
            (500, "rollup_error", Result.TEMPORARY),
        ],
    )
    async def test_slack_says_in_a_word_what_is_wrong(
        self, server: slack.SlackStandIn, door: HttpDoor, status: int, word: str, result: Result
    ) -> None:
        server.fail_next(Fault(status, word))
        outcome = await send(Slack(None, door), to(self.hook(server)))
        assert outcome.result is result
        assert word in str(outcome.error)

    @pytest.mark.parametrize(
        ("error", "result"),
        [
            ("channel_not_found", Result.REFUSED),
            ("not_in_channel", Result.REFUSED),
            ("invalid_auth", Result.REFUSED),
            ("ratelimited", Result.TEMPORARY),
            ("fatal_error", Result.TEMPORARY),
            ("invalid_blocks", Result.PERMANENT),
            ("something_new", Result.REFUSED),
        ],
    )
    async def test_a_bot_is_refused_within_a_good_answer(
        self, server: slack.SlackStandIn, door: HttpDoor, error: str, result: Result
    ) -> None:
        server.fail_next(Fault(200, f'{{"ok":false,"error":"{error}"}}'))
        channel = Slack(slack.TOKEN, door, f"{server.url}/api")
        outcome = await send(channel, to(Contact("c", "slack", slack.CHANNEL)))
        assert outcome.result is result
        assert error in str(outcome.error)

    async def test_the_time_stamp_is_the_receipt(self, server: slack.SlackStandIn, door: HttpDoor) -> None:
        channel = Slack(slack.TOKEN, door, f"{server.url}/api")
        assert (await send(channel, to(Contact("c", "slack", slack.CHANNEL)))).receipt == "1764040320.000100"

    async def test_a_channel_by_name_without_a_token_is_refused_and_says_what_to_set(self, door: HttpDoor) -> None:
        channel, contact = Slack(None, door), Contact("c", "slack", "#ops")
        assert "TOCSIN_SLACK_TOKEN" in str((await send(channel, to(contact))).error)
        assert "TOCSIN_SLACK_TOKEN" in str(await channel.check(contact))

    async def test_a_dead_webhook_and_a_wrong_token_are_found_by_the_check(self, server: slack.SlackStandIn, door: HttpDoor) -> None:
        dead = Contact("c", "slack", "#ops", secret=f"{server.url}/services/T0/B0/gone")
        assert "404 no_service" in str(await Slack(None, door).check(dead))
        wrong = Slack("xoxb-wrong", door, f"{server.url}/api")
        assert "invalid_auth" in str(await wrong.check(Contact("c", "slack", "#ops")))


class TestTeams:
    @pytest.fixture
    async def server(self) -> AsyncIterator[teams.TeamsStandIn]:
        async with teams.TeamsStandIn() as server:
            yield server

    def workflow(self, server: teams.TeamsStandIn) -> Contact:
        return Contact("c", "teams", "logic.azure.com", secret=server.url + teams.PATH + teams.QUERY)

    async def test_a_card_has_its_title_facts_and_buttons(self, server: teams.TeamsStandIn, door: HttpDoor) -> None:
        await send(Teams(door), to(self.workflow(server)))
        card = server.taken[0].attachments[0].content
        texts = [run.text for block in card.body for run in block.inlines]
        assert texts[0] == "🚨 Service 77: creation failed (#12)"
        assert texts[1].startswith("Critical: acme, on srv-12.")
        assert [(a.title, a.url) for a in card.actions] == [
            ("Acknowledge", LINKS.acknowledge),
            ("Resolve", LINKS.resolve),
            ("Open", LINKS.open),
        ]

    async def test_the_code_of_a_refusal_is_told(self, server: teams.TeamsStandIn, door: HttpDoor) -> None:
        server.fail_next(Fault(400, '{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"Could not execute workflow"}}'))
        assert "WorkflowTriggerIsNotEnabled" in str((await send(Teams(door), to(self.workflow(server)))).error)

    @pytest.mark.parametrize(("relayed", "result"), [(429, Result.TEMPORARY), (413, Result.PERMANENT), (404, Result.REFUSED)])
    async def test_a_refusal_inside_a_good_answer_of_an_old_connector_is_seen(
        self, server: teams.TeamsStandIn, door: HttpDoor, relayed: int, result: Result
    ) -> None:
        text = f"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {relayed} with ContextId ..."
        server.fail_next(Fault(200, text))
        assert (await send(Teams(door), to(self.workflow(server)))).result is result


class TestDiscord:
    @pytest.fixture
    async def server(self) -> AsyncIterator[discord.DiscordStandIn]:
        async with discord.DiscordStandIn() as server:
            yield server

    def hook(self, server: discord.DiscordStandIn) -> Contact:
        return Contact("c", "discord", "discord.com", secret=server.url + discord.HOOK)

    async def test_a_message_has_its_colour_and_link_buttons_and_its_id_is_the_receipt(
        self, server: discord.DiscordStandIn, door: HttpDoor
    ) -> None:
        outcome = await send(Discord(door), to(self.hook(server)))
        (message,) = server.taken
        assert outcome.receipt == "998877665544332211"
        assert message.embeds[0].color == 0xC62828
        assert [button.label for button in message.components[0].components] == ["Acknowledge", "Resolve", "Open"]

    async def test_a_title_is_no_markdown_and_no_link(self, server: discord.DiscordStandIn, door: HttpDoor) -> None:
        await send(Discord(door), to(self.hook(server), alert=an_alert(title="[pay here](https://evil.example) **now** <@1>")))
        assert server.taken[0].content == r"🚨 **\[pay here\](https://evil.example) \*\*now\*\* \<@1\> (\#12)**"

    async def test_where_buttons_are_refused_the_links_go_into_the_text_within_the_same_attempt(
        self, server: discord.DiscordStandIn, door: HttpDoor
    ) -> None:
        server.refuses_buttons = True
        departures: list[int] = []
        outcome = await Discord(door).send(to(self.hook(server)), lambda: departures.append(1))
        assert outcome.result is Result.SENT
        assert f"[Acknowledge]({LINKS.acknowledge}) · [Resolve]({LINKS.resolve})" in server.taken[0].embeds[0].description
        assert departures == [1]

    async def test_the_wait_is_the_one_in_the_answer(self, server: discord.DiscordStandIn, door: HttpDoor) -> None:
        server.fail_next(Fault(429, '{"message": "You are being rate limited.", "retry_after": 64.57, "global": false}'))
        assert (await send(Discord(door), to(self.hook(server)))).retry_after == 64_570

    async def test_a_removed_webhook_is_found_by_the_check(self, server: discord.DiscordStandIn, door: HttpDoor) -> None:
        gone = Contact("c", "discord", "discord.com", secret=f"{server.url}/api/webhooks/1/gone")
        assert "does not know this webhook any more" in str(await Discord(door).check(gone))


class TestTelegram:
    @pytest.fixture
    async def server(self) -> AsyncIterator[telegram.TelegramStandIn]:
        async with telegram.TelegramStandIn() as server:
            yield server

    @pytest.fixture
    def channel(self, server: telegram.TelegramStandIn, door: HttpDoor) -> Telegram:
        return Telegram(telegram.TOKEN, door, server.url)

    CHAT = Contact("c", "telegram", telegram.CHAT)

    async def test_a_message_has_its_buttons_and_its_number_is_the_receipt(
        self, server: telegram.TelegramStandIn, channel: Telegram
    ) -> None:
        outcome = await send(channel, to(self.CHAT))
        (message,) = server.taken
        assert outcome.receipt == "41"
        assert message.text.startswith("🚨 <b>Service 77: creation failed (#12)</b>\nCritical: acme")
        assert [[button.text for button in row] for row in message.reply_markup.inline_keyboard] == [["Acknowledge", "Resolve", "Open"]]
        assert message.disable_notification is False

    async def test_good_news_make_no_sound(self, server: telegram.TelegramStandIn, channel: Telegram) -> None:
        await send(channel, to(self.CHAT, "resolved", alert=an_alert(status="resolved", resolved_at=NOW)))
        assert server.taken[0].disable_notification is True

    async def test_a_topic_of_a_group_is_written_behind_a_colon(self, server: telegram.TelegramStandIn, channel: Telegram) -> None:
        await send(channel, to(Contact("c", "telegram", f"{telegram.CHAT}:7")))
        assert server.taken[0].message_thread_id == 7

    async def test_where_the_buttons_are_refused_the_message_goes_without_them(
        self, server: telegram.TelegramStandIn, channel: Telegram
    ) -> None:
        server.refuses_buttons = True
        assert (await send(channel, to(self.CHAT))).result is Result.SENT
        assert server.taken[0].reply_markup is None

    @pytest.mark.parametrize(
        ("status", "body", "result", "words"),
        [
            (403, {"description": "Forbidden: bot was blocked by the user"}, Result.PERMANENT, "blocked by the user"),
            (400, {"description": "Bad Request: chat not found"}, Result.REFUSED, "write to the bot first"),
            (400, {"description": "upgraded", "parameters": {"migrate_to_chat_id": -100777}}, Result.REFUSED, "-100777"),
            (400, {"description": "Bad Request: message is too long"}, Result.PERMANENT, "too long"),
            (401, {"description": "Unauthorized"}, Result.REFUSED, "TOCSIN_TELEGRAM_TOKEN"),
        ],
    )
    async def test_each_refusal_has_its_class(
        self, server: telegram.TelegramStandIn, channel: Telegram, status: int, body: dict[str, Any], result: Result, words: str
    ) -> None:
        server.fail_next(Fault(status, msgspec.json.encode({"ok": False, "error_code": status, **body}).decode()))
        outcome = await send(channel, to(self.CHAT))
        assert outcome.result is result
        assert words in str(outcome.error)

    async def test_the_wait_is_the_one_in_the_answer(self, server: telegram.TelegramStandIn, channel: Telegram) -> None:
        server.fail_next(Fault(429, '{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":35}}'))
        assert (await send(channel, to(self.CHAT))).retry_after == 35 * SECOND

    async def test_a_wrong_token_and_a_chat_that_is_not_known_are_found_by_the_check(
        self, server: telegram.TelegramStandIn, channel: Telegram, door: HttpDoor
    ) -> None:
        assert "does not know this chat" in str(await channel.check(Contact("c", "telegram", "-1")))
        wrong = Telegram("1:wrong", door, server.url)
        assert "TOCSIN_TELEGRAM_TOKEN" in str(await wrong.check(self.CHAT))
