"""``/silences``: what is kept quiet for a while, and what that would be."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import Meta

from tocsin.alerts import queries as alert_queries
from tocsin.api import shapes
from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Id, Page, Time
from tocsin.api.muting import (
    Comment,
    ListQuery,
    LooseComment,
    MatcherOut,
    MatchersIn,
    Standing,
    When,
    list_page,
    matchers_out,
    read_matchers,
    sites_of,
    wanted_changes,
    write,
)
from tocsin.api.standing import standings
from tocsin.core.ids import new_id
from tocsin.core.times import from_datetime, to_text
from tocsin.muting import preview as previews, rules, service
from tocsin.muting.model import Silence
from tocsin.muting.preview import Muted, Preview, Scope


class NewSilence(msgspec.Struct, frozen=True, kw_only=True):
    """A silence to be made. It ends by itself, at most 90 days after it starts."""

    matchers: MatchersIn
    starts_at: Annotated[When, Meta(description="Default: now.")] | None = None
    ends_at: When
    comment: Comment


class SilenceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays as it is."""

    matchers: MatchersIn | None = None
    starts_at: When | None = None
    ends_at: When | None = None
    comment: Comment | None = None


class SilenceDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A silence as it might be made; only its matchers count."""

    matchers: MatchersIn
    starts_at: When | None = None
    ends_at: When | None = None
    comment: LooseComment | None = None


class SilenceOut(msgspec.Struct, frozen=True):
    """A silence."""

    id: Id
    matchers: list[MatcherOut]
    starts_at: Time
    ends_at: Time
    comment: str
    status: Standing
    created_by: str
    created_at: Time
    ended_by: Annotated[str | None, Meta(description="Who ended it before its time.")]


class SilenceDetail(SilenceOut, frozen=True):
    """A silence, and what it is good for."""

    mutes_now: Annotated[int, Meta(description="How many alerts that are not resolved it matches.")]


class SilencePage(Page, frozen=True):
    """A page of silences, the newest first."""

    items: list[SilenceOut]


class MutedOut(msgspec.Struct, frozen=True):
    """Alerts that would be quiet: how many, and the newest hundred of them."""

    alerts: int
    items: list[shapes.AlertOut]


class MutedWeekOut(MutedOut, frozen=True):
    """The same, with how many messages about them were made in that time."""

    messages: int


class PreviewOut(msgspec.Struct, frozen=True):
    """What a silence would mute."""

    now: Annotated[MutedOut, Meta(description="Of the alerts that are not resolved.")]
    last_seven_days: Annotated[MutedWeekOut, Meta(description="Of the alerts that were not resolved at some time in the last seven days.")]
    complete: Annotated[bool, Meta(description="False: there was more than could be looked at in two seconds; the figures are too low.")]


class SilencesApi(Controller):
    """Silences."""

    path = "/silences"
    tags = ("Silence",)

    @get(sync_to_thread=True)
    def list_silences(self, server: TheServer, caller: TheCaller, asked: Given[ListQuery]) -> SilencePage:
        """Lists the silences, the newest first."""
        items, cursor = list_page(server, caller, Silence, asked.status, asked.limit, asked.cursor)
        now = server.core.clock.now()
        return SilencePage(cursor, [SilenceOut(**_fields(one, now)) for one in items])

    @get("/{silence_id:str}", sync_to_thread=True)
    def show_silence(self, server: TheServer, caller: TheCaller, silence_id: InPath) -> SilenceDetail:
        """Shows one silence, and how much it keeps quiet."""
        with server.core.database.read() as connection:
            silence = service.find(connection, Silence, silence_id, sites_of(server, caller))
            mutes = previews.muted_now(
                connection, silence.matchers, Scope(caller.site_ids, server.core.sites.slug_of, server.core.sites.id_of)
            )
        return SilenceDetail(**_fields(silence, server.core.clock.now()), mutes_now=mutes)

    @post(status_code=201, opt={"conflict": True})
    async def add_silence(self, server: TheServer, caller: TheCaller, sent: Given[NewSilence]) -> SilenceOut:
        """Makes a silence: what it matches is recorded and tells nobody until it ends. What is still open then pages."""
        now = server.core.clock.now()
        start = now if sent.starts_at is None else from_datetime(sent.starts_at)
        end = from_datetime(sent.ends_at)
        silence = Silence(new_id(now), read_matchers(sent.matchers), start, end, sent.comment.strip(), caller.name, now)
        made = await write(server, lambda tx: service.add(tx, caller.who, silence, now, sites_of(server, caller)))
        return SilenceOut(**_fields(made, now))

    @patch("/{silence_id:str}", opt={"conflict": True})
    async def change_silence(self, server: TheServer, caller: TheCaller, silence_id: InPath, sent: Given[SilenceChange]) -> SilenceOut:
        """Changes a silence that is not over yet."""
        now = server.core.clock.now()
        wanted = wanted_changes(sent)
        if "ends_at" in wanted:
            wanted["reminded_at"] = None
        made = await write(server, lambda tx: service.change(tx, caller.who, Silence, silence_id, wanted, now, sites_of(server, caller)))
        return SilenceOut(**_fields(made, now))

    @post("/{silence_id:str}/expire", status_code=200)
    async def expire_silence(self, server: TheServer, caller: TheCaller, silence_id: InPath) -> SilenceOut:
        """Ends a silence now; what is still open pages at once. It stays in the list, as expired."""
        now = server.core.clock.now()
        made = await write(server, lambda tx: service.end(tx, caller.who, Silence, silence_id, now, sites_of(server, caller)))
        return SilenceOut(**_fields(made, now))

    @delete("/{silence_id:str}", status_code=204)
    async def remove_silence(self, server: TheServer, caller: TheCaller, silence_id: InPath) -> None:
        """Removes a silence from the list; one that has not ended yet ends."""
        now = server.core.clock.now()
        await write(server, lambda tx: service.remove(tx, caller.who, Silence, silence_id, now, sites_of(server, caller)))

    @post("/preview", status_code=200, sync_to_thread=True)
    def preview_silence(self, server: TheServer, caller: TheCaller, sent: Given[SilenceDraft]) -> PreviewOut:
        """Shows what a silence would mute now, and would have muted in the last seven days. Changes nothing."""
        matchers = read_matchers(sent.matchers)
        if (sites := sites_of(server, caller)) is not None:
            rules.expect_site(matchers, sites, "matchers")
        with server.core.database.read() as connection:
            found = previews.preview(
                connection, matchers, Scope(caller.site_ids, server.core.sites.slug_of, server.core.sites.id_of), server.core.clock.now()
            )
            numbers = {*found.now.newest, *found.week.newest}
            alerts = alert_queries.by_numbers(connection, numbers)
            escalations = standings(server.core, connection, alerts)
        slug_of, url = server.core.sites.slug_of, server.core.settings.public_url
        return _preview_out(found, {a.number: shapes.alert_out(a, slug_of, url, escalations.get(a.number)) for a in alerts})


def _fields(silence: Silence, now: int) -> dict[str, Any]:
    return {
        "id": silence.id,
        "matchers": matchers_out(silence.matchers),
        "starts_at": to_text(silence.starts_at),
        "ends_at": to_text(silence.ends_at),
        "comment": silence.comment,
        "status": rules.status_of(silence, now).value,
        "created_by": silence.created_by,
        "created_at": to_text(silence.created_at),
        "ended_by": silence.ended_by,
    }


def _preview_out(found: Preview, alerts: dict[int, shapes.AlertOut]) -> PreviewOut:
    def items(muted: Muted) -> list[shapes.AlertOut]:
        return [alerts[number] for number in muted.newest if number in alerts]

    week = MutedWeekOut(found.week.count, items(found.week), found.messages)
    return PreviewOut(MutedOut(found.now.count, items(found.now)), week, found.complete)
