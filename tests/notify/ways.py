"""Every channel with its stand-in: the table that the shared rules are tested over."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.notify.letters import a_letter
from tests.standins import discord, opsgenie, pagerduty, slack, teams, telegram, twilio, vonage, webhook
from tests.standins.provider import Provider, Seen
from tocsin.net.http import HttpDoor
from tocsin.notify.channels.discord import Discord
from tocsin.notify.channels.opsgenie import Opsgenie
from tocsin.notify.channels.pagerduty import PagerDuty
from tocsin.notify.channels.slack import Slack
from tocsin.notify.channels.sms import Sms
from tocsin.notify.channels.teams import Teams
from tocsin.notify.channels.telegram import Telegram
from tocsin.notify.channels.voice import Voice
from tocsin.notify.channels.webhook import Webhook
from tocsin.notify.model import Channel, Contact, Letter
from tocsin.notify.providers.twilio import Twilio
from tocsin.notify.providers.vonage import Vonage


@dataclass(frozen=True)
class Way:
    """One channel: its provider's stand-in, how it is made against one, whom it writes to, and which words must never be shown.

    ``identity``: what of a request tells the provider that two copies are the same message. ``strict``: not every 200 is
    an acceptance there.
    """

    name: str
    provider: Callable[[], Provider]
    channel: Callable[[str, HttpDoor], Channel]
    target: str
    secret: str | None
    hidden: tuple[str, ...]
    identity: Callable[[Seen], Any] = lambda seen: seen.body
    strict: bool = True

    def contact(self, url: str) -> Contact:
        """The contact, its address leading to *url*."""
        kind = self.name.partition(" ")[0]
        secret = None if self.secret is None else self.secret.replace("{url}", url)
        return Contact("contact-1", kind, self.target, secret=secret)

    def letter(self, url: str, kind: str = "opened", **changes: Any) -> Letter:
        """A letter to that contact."""
        return msgspec.structs.replace(a_letter(kind, **changes), contact=self.contact(url))


BACK = "https://alarm.example.com/api/v1/callbacks"
PHONE = "+4915123456789"


def a_twilio(url: str, door: HttpDoor) -> Twilio:
    """The stand-in's account."""
    return Twilio(twilio.ACCOUNT, door, BACK, f"{url}/2010-04-01")


def a_vonage(url: str, door: HttpDoor) -> Vonage:
    """The stand-in's application."""
    return Vonage(vonage.account(), door, BACK, url)


WAYS = (
    Way(
        "slack",
        slack.SlackStandIn,
        lambda _, door: Slack(None, door),
        "#ops",
        "{url}" + slack.HOOK,
        (slack.HOOK, "Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2"),
    ),
    Way(
        "slack by name",
        slack.SlackStandIn,
        lambda url, door: Slack(slack.TOKEN, door, f"{url}/api"),
        slack.CHANNEL,
        None,
        (slack.TOKEN,),
    ),
    Way(
        "teams",
        teams.TeamsStandIn,
        lambda _, door: Teams(door),
        "logic.azure.com",
        "{url}" + teams.PATH + teams.QUERY,
        ("Sig9Sig8", teams.PATH),
        strict=False,
    ),
    Way(
        "discord",
        discord.DiscordStandIn,
        lambda _, door: Discord(door),
        "discord.com",
        "{url}" + discord.HOOK,
        (discord.HOOK, "AbCdEfGhIjKl"),
    ),
    Way(
        "telegram",
        telegram.TelegramStandIn,
        lambda url, door: Telegram(telegram.TOKEN, door, url),
        telegram.CHAT,
        None,
        (telegram.TOKEN,),
    ),
    Way(
        "pagerduty",
        pagerduty.PagerDutyStandIn,
        lambda url, door: PagerDuty(door, url, url),
        "Events API",
        pagerduty.KEY,
        (pagerduty.KEY,),
        lambda seen: msgspec.json.decode(seen.body)["dedup_key"],
    ),
    Way(
        "opsgenie",
        opsgenie.OpsgenieStandIn,
        lambda url, door: Opsgenie(door, {"": url, "eu": url, "jsm": url}),
        "Alert API",
        opsgenie.KEY,
        (opsgenie.KEY,),
        lambda seen: (seen.path, msgspec.json.decode(seen.body)["alias"]),
    ),
    Way(
        "webhook",
        webhook.WebhookStandIn,
        lambda _, door: Webhook(door),
        "hooks.example.com",
        "{url}" + f"{webhook.PATH}#{webhook.KEY}",
        (webhook.KEY, webhook.PATH),
        lambda seen: seen.headers["X-Tocsin-Id"],
        strict=False,
    ),
    Way(
        "sms through twilio",
        twilio.TwilioStandIn,
        lambda url, door: Sms([a_twilio(url, door)], 100_000),
        PHONE,
        None,
        (twilio.TOKEN, twilio.SID),
    ),
    Way(
        "voice through twilio",
        twilio.TwilioStandIn,
        lambda url, door: Voice([a_twilio(url, door)], 200_000),
        PHONE,
        None,
        (twilio.TOKEN, twilio.SID),
    ),
    Way("sms through vonage", vonage.VonageStandIn, lambda url, door: Sms([a_vonage(url, door)], 100_000), PHONE, None, (vonage.SECRET,)),
    Way(
        "voice through vonage",
        vonage.VonageStandIn,
        lambda url, door: Voice([a_vonage(url, door)], 200_000),
        PHONE,
        None,
        (vonage.SECRET,),
    ),
)
