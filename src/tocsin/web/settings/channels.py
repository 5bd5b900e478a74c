"""``/settings/channels``: the ways to reach people that are set up here, and the channels that belong to a team."""

import asyncio
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api import channels as api
from tocsin.api.context import Given
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.identity.model import Viewer
from tocsin.notify import queries, shared
from tocsin.notify.queries import Ended
from tocsin.notify.shared import Change, SharedContact
from tocsin.notify.targets import KINDS, MAX_TARGET
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.pages import screen
from tocsin.web.settings.contacts import KINDS as WORDS
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

LOOK_BACK = 7 * DAY
ALL_WORDS = {
    **WORDS,
    "webpush": ("Browser push", "i-bell", ""),
    "webhook": ("Webhook", "i-link", "the address that gets each message as JSON"),
    "pagerduty": ("PagerDuty", "i-call", "the integration key of a service"),
    "opsgenie": ("Opsgenie", "i-call", "the key of an API integration"),
}
# What a kind needs before it can be used; the settings' own reference says more.
NEEDS = {
    "ntfy": "NTFY_SERVER_URL",
    "email": "TOCSIN_SMTP_URL",
    "sms": "TOCSIN_TWILIO_... or TOCSIN_VONAGE_...",
    "voice": "TOCSIN_TWILIO_... or TOCSIN_VONAGE_...",
    "telegram": "TOCSIN_TELEGRAM_TOKEN",
}
STATES = {"sent": ("up", "Sent"), "delivered": ("up", "Delivered"), "failed": ("down", "Failed"), "unknown": ("unknown", "Not sure")}
DONE = {
    "made": "The channel is there. Policies can name it; send a test to see that it works.",
    "changed": "Changed.",
    "tested": "A test message has left. It should be there in a moment.",
    "removed": "Removed. What waited for it goes to the others.",
}


class ChannelsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was just done."""

    done: Literal["made", "changed", "tested", "removed"] | None = None


class NewForm(msgspec.Struct, frozen=True, kw_only=True):
    """A channel to be made."""

    name: Annotated[str, Meta(max_length=100)] = ""
    kind: Annotated[str, Meta(max_length=20)] = ""
    target: Annotated[str, Meta(max_length=MAX_TARGET)] = ""


class ChangeForm(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be different. An address that is left empty stays."""

    name: Annotated[str, Meta(max_length=100)] = ""
    target: Annotated[str, Meta(max_length=MAX_TARGET)] = ""
    enabled: Annotated[str, Meta(max_length=3)] = ""


class Way(msgspec.Struct, frozen=True):
    """One kind on the page. ``state`` is a sign: ``unknown`` where nobody uses it, ``paused`` (not set up) with what it needs."""

    kind: str
    word: str
    icon: str
    state: str
    says: str
    contacts: int
    faults: tuple[str, ...]
    last: Ended | None


class Channel(msgspec.Struct, frozen=True):
    """One team channel on the page, without its secret."""

    kept: SharedContact
    fault: str | None
    last: Ended | None


class ChannelPages(Controller):
    """Channels."""

    path = "/settings/channels"
    include_in_schema = False

    @get(sync_to_thread=True)
    def show(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[ChannelsQuery]) -> Response[bytes]:
        """Every way with its state and last outcome, and the team's channels."""
        return _page(request, server, viewer, NewForm(), Problems(), done=DONE.get(asked.done or "", ""))

    @post(status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes a channel. A signing key that was made for it is shown, this once."""
        sent, who, now = NewForm(), viewer.calling(address_of(request)).who, server.core.clock.now()
        try:
            sent = await form(request, NewForm)
            name = _name(sent.name)
            target = api.target_of(server, sent.kind, sent.target.strip())
            made = await api.written(server, lambda tx: shared.add(tx, who, name, sent.kind, target, now))
        except InvalidInput as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, problems(error))
        except Conflict as error:
            return await asyncio.to_thread(_page, request, server, viewer, sent, Problems(name=_sentence(error.message)))
        return await _answer(request, server, viewer, made, target.made, "made")

    @post("/{channel_id:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, channel_id: InPath) -> Response[bytes]:
        """Changes a channel's name or address, or whether it is written to."""
        where, who, now = api.channel_id_of(channel_id), viewer.calling(address_of(request)).who, server.core.clock.now()
        kept = await asyncio.to_thread(_find, server, where)
        sent = ChangeForm()
        try:
            sent = await form(request, ChangeForm)
            target = api.target_of(server, kept.kind, sent.target.strip()) if sent.target.strip() else None
            wanted = Change(_name(sent.name), target, bool(sent.enabled))
            changed = await api.written(server, lambda tx: shared.change(tx, who, where, wanted, now))
        except InvalidInput as error:
            wrong = Problems({f"{field}-{where}": words for field, words in problems(error).items()})
            return await asyncio.to_thread(_page, request, server, viewer, NewForm(), wrong, typed={where: sent})
        except Conflict as error:
            wrong = Problems({f"name-{where}": _sentence(error.message)})
            return await asyncio.to_thread(_page, request, server, viewer, NewForm(), wrong, typed={where: sent})
        if target is not None:
            server.delivery.look_again(where)
        return await _answer(request, server, viewer, changed, None if target is None else target.made, "changed")

    @post("/{channel_id:str}/test", status_code=200)
    async def test(self, request: AnyRequest, server: TheServer, viewer: TheViewer, channel_id: InPath) -> Response[bytes]:
        """Sends a test message at once; `channel_id` may be a kind: then each contact of it gets one."""
        await form(request, NoFields)
        tried = await api.try_channel(server, viewer.calling(address_of(request)), channel_id)
        bad = [one for one in tried if one.result != "sent"]
        if not bad and tried:
            return go("/settings/channels?done=tested", depth=3)
        words = [f"{ALL_WORDS[one.kind][0]} {one.target} did not take it: {one.error or one.result}." for one in bad[:5]]
        wrong = Problems({"": " ".join(words) or "There is nobody who could be written to in this way."})
        return await asyncio.to_thread(_page, request, server, viewer, NewForm(), wrong, status=409)

    @post("/{channel_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, channel_id: InPath) -> Response[bytes]:
        """Forgets a channel, its secret included."""
        await form(request, NoFields)
        where, who, now = api.channel_id_of(channel_id), viewer.calling(address_of(request)).who, server.core.clock.now()
        await api.written(server, lambda tx: shared.remove(tx, who, where, now))
        return go("/settings/channels?done=removed", depth=3)


def _find(server: Server, channel_id: str) -> SharedContact:
    with server.core.database.read() as connection:
        return shared.find(connection, channel_id)


def _name(text: str) -> str:
    name = text.strip()
    if not name or not name.isprintable():
        raise InvalidInput.of("name", "must have 1 to 100 characters, on one line")
    return name


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


async def _answer(
    request: AnyRequest, server: Server, viewer: Viewer, channel: SharedContact, signing_key: str | None, done: str
) -> Response[bytes]:
    if signing_key is None:
        return go(f"/settings/channels?done={done}", depth=request.scope["path"].count("/") - 1)
    return await asyncio.to_thread(_page, request, server, viewer, NewForm(), Problems(), made=(channel, signing_key))


def _page(
    request: AnyRequest,
    server: Server,
    viewer: Viewer,
    sent: NewForm,
    wrong: Problems,
    *,
    done: str = "",
    typed: dict[str, ChangeForm] | None = None,
    made: tuple[SharedContact, str] | None = None,
    status: int = 422,
) -> Response[bytes]:
    faults = dict(server.delivery.faults)
    with server.core.database.read() as connection:
        kept = shared.every(connection)
        ended = {one.contact_id: one for one in queries.last_ended(connection, server.core.clock.now() - LOOK_BACK)}
    return screen(
        request,
        viewer,
        "settings/channels.html",
        status=status if wrong else 200,
        here="settings",
        tab="channels",
        ways=_ways(server, {contact: fault.error for contact, fault in faults.items()}, ended),
        channels=[Channel(one, faults[one.id].error if one.id in faults else None, ended.get(one.id)) for one in kept],
        words=ALL_WORDS,
        states=STATES,
        offered=[(kind, ALL_WORDS[kind][0]) for kind in KINDS if kind in server.channels and kind != "webpush"],
        sent=sent,
        typed=typed or {},
        wrong=wrong,
        done=done,
        made=made,
    )


def _ways(server: Server, faults: dict[str, str], ended: dict[str, Ended]) -> list[Way]:
    found = []
    for kind in KINDS:
        contacts = [contact for contact in server.core.contacts.all if contact.kind == kind]
        suffering = tuple(f"{contact.label or contact.target}: {faults[contact.id]}" for contact in contacts if contact.id in faults)
        lasts = [ended[contact.id] for contact in contacts if contact.id in ended]
        word, icon, _ = ALL_WORDS[kind]
        if kind not in server.channels:
            state, says = "paused", NEEDS.get(kind, "")
        elif suffering:
            state, says = "down" if len(suffering) == len(contacts) else "degraded", "Does not take messages"
        else:
            state, says = "up" if contacts else "unknown", "Works" if lasts else "Set up" if contacts else "Ready; nobody uses it"
        found.append(Way(kind, word, icon, state, says, len(contacts), suffering, max(lasts, key=_when, default=None)))
    return sorted(found, key=lambda way: ("down", "degraded", "up", "unknown", "paused").index(way.state))


def _when(one: Ended) -> int:
    return one.sent_at or one.decided_at
