"""The ways to reach people: one file each, and one line here."""

from collections.abc import Sequence

from tocsin.net.http import HttpDoor
from tocsin.notify.channels.apprise import AppriseChannel
from tocsin.notify.channels.discord import Discord
from tocsin.notify.channels.email import Email
from tocsin.notify.channels.ntfy import Ntfy
from tocsin.notify.channels.opsgenie import Opsgenie
from tocsin.notify.channels.pagerduty import PagerDuty
from tocsin.notify.channels.slack import Slack
from tocsin.notify.channels.sms import Sms
from tocsin.notify.channels.teams import Teams
from tocsin.notify.channels.telegram import Telegram
from tocsin.notify.channels.voice import Voice
from tocsin.notify.channels.webhook import Webhook
from tocsin.notify.channels.webpush import WebPush
from tocsin.notify.model import Channel
from tocsin.notify.providers.model import Provider
from tocsin.notify.vapid import Vapid
from tocsin.settings import Settings


def channels(settings: Settings, door: HttpDoor, phone: Sequence[Provider] = (), vapid: Vapid | None = None) -> dict[str, Channel]:
    """The channels that *settings* configure, by the kind of contact that they serve. What is not configured is missing.

    *phone*: the providers of texts and calls. *vapid*: the keys for web push.

    The addresses of webhooks and of browsers come from people, so that they get a door of their own, which leads to public
    addresses only.
    """
    abroad = HttpDoor(allow_private=settings.private_targets, ca_file=settings.tls_ca_file)
    known: dict[str, Channel | None] = {
        Ntfy.kind: Ntfy(settings.ntfy_server_url, settings.ntfy_token, door) if settings.ntfy_server_url else None,
        Email.kind: Email(settings.smtp, settings.mail_from, settings.tls_ca_file) if settings.smtp else None,
        Sms.kind: Sms(phone, settings.sms_price) if phone else None,
        Voice.kind: Voice(phone, settings.call_price) if any(provider.can_call for provider in phone) else None,
        Slack.kind: Slack(settings.slack_token, door),
        Teams.kind: Teams(door),
        Discord.kind: Discord(door),
        Telegram.kind: Telegram(settings.telegram_token, door) if settings.telegram_token else None,
        PagerDuty.kind: PagerDuty(door),
        Opsgenie.kind: Opsgenie(door),
        Webhook.kind: Webhook(abroad),
        AppriseChannel.kind: AppriseChannel(private=settings.private_targets),
        WebPush.kind: WebPush(abroad, vapid) if vapid is not None else None,
    }
    return {kind: channel for kind, channel in known.items() if channel is not None}
