"""``/channels``: the ways to reach people that are set up here, and the channels that belong to a team."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from msgspec import Meta

from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Id, Name, Page, Time
from tocsin.audit import service as audit
from tocsin.bootstrap import Server
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.times import to_text, to_text_or_none
from tocsin.db.writer import Tx
from tocsin.identity.model import Caller
from tocsin.notify import shared
from tocsin.notify.delivery import Fault
from tocsin.notify.model import Contact
from tocsin.notify.shared import Change, SharedContact
from tocsin.notify.targets import KINDS, MAX_TARGET, Target, read_target

MAX_TRIED = 50

Result = TypeVar("Result")

ChannelKind = Annotated[
    str,
    Meta(
        max_length=20,
        pattern=rf"^({'|'.join(KINDS)})$",
        description="Which channel.",
        examples=["slack"],
        extra={"must": f"be one of {', '.join(KINDS)}"},
    ),
]
TargetText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TARGET,
        description="Where it leads: see docs/reference/channels.md. If it is a secret it is never shown again.",
        extra={"must": f"have 1 to {MAX_TARGET} characters"},
    ),
]


class NewChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel to be made."""

    name: Name
    kind: ChannelKind
    target: TargetText


class ChannelChange(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be different. `enabled` false: it is not written to."""

    name: Name | None = None
    target: TargetText | None = None
    enabled: bool | None = None


class ChannelOut(msgspec.Struct, frozen=True):
    """A channel that belongs to a team. Escalation policies name it by `id`."""

    id: Id
    name: str
    kind: str
    target: Annotated[str, Meta(description="Its address, or its name where the address is a secret.")]
    created_at: Time
    disabled_at: Time | None
    fault: Annotated[str | None, Meta(description="Why it cannot be written to at the moment; null: nothing is known against it.")]


class NewChannelOut(ChannelOut, frozen=True):
    """A channel just made or changed."""

    signing_key: Annotated[str | None, Meta(description="Of a webhook for which a key was made: shown this once.")]


class KindOut(msgspec.Struct, frozen=True):
    """One way to reach people, and how it is."""

    kind: str
    set_up: Annotated[bool, Meta(description="Whether the settings have what it needs.")]
    contacts: Annotated[int, Meta(description="How many contacts of this kind may be written to.")]
    healthy: Annotated[bool | None, Meta(description="Null where nothing can be told: it is not set up, or has no contact.")]
    faults: Annotated[list[str], Meta(description="What its contacts suffer from at the moment.")]


class ChannelList(Page, frozen=True):
    """The team channels, the oldest first, and all kinds."""

    items: list[ChannelOut]
    kinds: list[KindOut]


class Tried(msgspec.Struct, frozen=True):
    """How one test message ended."""

    contact: Id
    kind: str
    target: str
    result: Annotated[
        Literal["sent", "temporary", "permanent", "refused", "unknown"],
        Meta(description="`sent`: the provider has taken it. `unknown`: it left, and no answer came. The others: it was not sent."),
    ]
    error: str | None


class TrialOut(msgspec.Struct, frozen=True):
    """How each test message ended."""

    items: list[Tried]


class ChannelsApi(Controller):
    """Channels."""

    path = "/channels"
    tags = ("Channels",)

    @get(sync_to_thread=True)
    def list_channels(self, server: TheServer) -> ChannelList:
        """Lists the channels of the team, and every kind with whether it is set up and healthy."""
        with server.core.database.read() as connection:
            found = shared.every(connection)
        faults = dict(server.delivery.faults)
        return ChannelList(None, [_out(one, faults) for one in found], _kinds(server, faults))

    @post(status_code=201, opt={"conflict": True})
    async def add_channel(self, server: TheServer, caller: TheCaller, sent: Given[NewChannel]) -> Response[NewChannelOut]:
        """Makes a channel that belongs to no single person."""
        target, now = target_of(server, sent.kind, sent.target), server.core.clock.now()
        made = await written(server, lambda tx: shared.add(tx, caller.who, sent.name.strip(), sent.kind, target, now))
        return Response(_new(made, target, server))

    @get("/{channel:str}", sync_to_thread=True)
    def show_channel(self, server: TheServer, channel: InPath) -> ChannelOut:
        """Shows one channel; `channel` is its id."""
        with server.core.database.read() as connection:
            return _out(shared.find(connection, channel_id_of(channel)), dict(server.delivery.faults))

    @patch("/{channel:str}", opt={"conflict": True})
    async def change_channel(
        self, server: TheServer, caller: TheCaller, channel: InPath, sent: Given[ChannelChange]
    ) -> Response[NewChannelOut]:
        """Changes the name, the address or whether it is written to; `channel` is its id."""
        now, channel_id = server.core.clock.now(), channel_id_of(channel)

        def work(tx: Tx) -> tuple[SharedContact, Target | None]:
            kind = shared.find(tx.sql, channel_id).kind
            target = None if sent.target is None else target_of(server, kind, sent.target)
            wanted = Change(None if sent.name is None else sent.name.strip(), target, sent.enabled)
            return shared.change(tx, caller.who, channel_id, wanted, now), target

        changed, target = await written(server, work)
        if target is not None:
            server.delivery.look_again(channel_id)
        return Response(_new(changed, target, server))

    @delete("/{channel:str}", status_code=204)
    async def remove_channel(self, server: TheServer, caller: TheCaller, channel: InPath) -> None:
        """Removes a channel; what still waits for it is cancelled. `channel` is its id."""
        now, channel_id = server.core.clock.now(), channel_id_of(channel)
        await written(server, lambda tx: shared.remove(tx, caller.who, channel_id, now))

    @post("/{channel:str}/test", status_code=200)
    async def test_channel(self, server: TheServer, caller: TheCaller, channel: InPath) -> TrialOut:
        """Sends a test message at once, and says how that ended.

        `channel` is the id of a channel, or a kind: then each contact of that kind that may be written to gets one (at most 50).
        """
        return TrialOut(await try_channel(server, caller, channel))


async def try_channel(server: Server, caller: Caller, channel: str) -> list[Tried]:
    """Sends a test message to a channel, or to each contact of a kind, and says how each ended. Raises `NotFound`."""
    contacts = _chosen(server, channel)
    trial = server.trial
    outcomes = await asyncio.gather(*[trial(contact, caller.name) for contact in contacts])
    came_to, now = {contact.id: outcome.result for contact, outcome in zip(contacts, outcomes, strict=True)}, server.core.clock.now()
    await server.core.writer.run(lambda tx: audit.record(tx, caller.who, "channel.tested", f"channel:{channel}", now, after=came_to))
    return [Tried(c.id, c.kind, c.target, o.result.value, o.error) for c, o in zip(contacts, outcomes, strict=True)]


def channel_id_of(channel: str) -> str:
    """An id from an address. Raises `NotFound` for what can be none."""
    if not is_uuid(channel.lower()):
        raise NotFound(f"there is no channel {channel[:40]}")
    return channel.lower()


def target_of(server: Server, kind: str, text: str) -> Target:
    """An address as a target of a kind that is set up here. Raises `InvalidInput`."""
    if kind not in server.channels:
        raise InvalidInput.of("kind", f"{kind} is not set up here: docs/reference/channels.md says which setting it needs")
    return read_target(kind, text, private=server.core.settings.private_targets)


def _chosen(server: Server, channel: str) -> Sequence[Contact]:
    if channel in KINDS:
        return [contact for contact in server.core.contacts.all if contact.kind == channel][:MAX_TRIED]
    contact = server.core.contacts.find(channel_id_of(channel))
    if contact is None or contact.user_id is not None:
        raise NotFound(f"there is no channel {channel[:40]}, or it is switched off")
    return [contact]


def _out(one: SharedContact, faults: Mapping[str, Fault]) -> ChannelOut:
    return ChannelOut(*_fields(one, faults))


def _new(one: SharedContact, target: Target | None, server: Server) -> NewChannelOut:
    return NewChannelOut(*_fields(one, dict(server.delivery.faults)), None if target is None else target.made)


def _fields(one: SharedContact, faults: Mapping[str, Fault]) -> tuple[str, str, str, str, str, str | None, str | None]:
    fault = faults.get(one.id)
    times = (to_text(one.created_at), to_text_or_none(one.disabled_at))
    return (one.id, one.name, one.kind, one.target, *times, None if fault is None else fault.error)


def _kinds(server: Server, faults: Mapping[str, Fault]) -> list[KindOut]:
    return [_kind(kind, server, faults) for kind in KINDS]


def _kind(kind: str, server: Server, faults: Mapping[str, Fault]) -> KindOut:
    contacts = [contact for contact in server.core.contacts.all if contact.kind == kind]
    suffering = [f"{c.kind} {c.target}: {faults[c.id].error}" for c in contacts if c.id in faults]
    set_up = kind in server.channels
    return KindOut(kind, set_up, len(contacts), not suffering if set_up and contacts else None, suffering)


async def written(server: Server, work: Callable[[Tx], Result]) -> Result:
    """Does *work*, then has this node know it at once."""
    done = await server.core.writer.run(work)
    await asyncio.to_thread(server.core.refresh)
    return done
