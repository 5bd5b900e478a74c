"""``/schedules/{schedule_id}/swaps``: asking somebody to swap a duty, and their answer."""

from typing import Annotated

import msgspec
from litestar import Controller, get, post
from msgspec import Meta

from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Id, Page, Time
from tocsin.api.oncall import GivenTurn, ListQuery, id_in_path, turn_of
from tocsin.api.paging import cut_page, read_cursor
from tocsin.bootstrap import Server
from tocsin.core.times import to_text, to_text_or_none
from tocsin.db.writer import Tx
from tocsin.identity.model import Caller, Permission
from tocsin.oncall import store
from tocsin.oncall.model import Answer, Speaker, SwapRequest, SwapStatus
from tocsin.oncall.service import MAX_NOTE


class NewSwap(msgspec.Struct, frozen=True, kw_only=True):
    """The person of `first` asks the person of `second` to take each other's duty."""

    first: GivenTurn
    second: GivenTurn
    note: Annotated[str, Meta(max_length=MAX_NOTE, description="Why, for who is asked.")] = ""


class TurnOut(msgspec.Struct, frozen=True):
    """Somebody's duty between two moments."""

    user: Id
    starts_at: Time
    ends_at: Time


class SwapRequestOut(msgspec.Struct, frozen=True):
    """A swap that somebody was asked for. `expires_at`: until when it can be answered."""

    id: Id
    status: SwapStatus
    first: TurnOut
    second: TurnOut
    note: str
    created_at: Time
    created_by: str
    expires_at: Time
    answered_at: Time | None
    answered_by: str | None


class SwapRequestPage(Page, frozen=True):
    """A page of swaps, the newest first."""

    items: list[SwapRequestOut]


class SwapsApi(Controller):
    """Swaps that somebody is asked for."""

    path = "/schedules/{schedule_id:str}/swaps"
    tags = ("On call",)

    @get(sync_to_thread=True)
    def list_swaps(self, server: TheServer, schedule_id: InPath, asked: Given[ListQuery]) -> SwapRequestPage:
        """Lists the swaps of a schedule that people were asked for, the newest first."""
        after, where = read_cursor(asked.cursor, "swaps", (str,)), id_in_path(schedule_id, "schedule")
        with server.core.database.read() as connection:
            store.get_schedule(connection, where)
            found = store.swaps(connection, where, str(after[0]) if after else None, asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "swaps", lambda one: (one.id,))
        return SwapRequestPage(cursor, [_out(one, server.core.clock.now()) for one in items])

    @post(status_code=201, opt={"conflict": True})
    async def ask_for_swap(self, server: TheServer, caller: TheCaller, schedule_id: InPath, sent: Given[NewSwap]) -> SwapRequestOut:
        """Asks somebody to swap: they hear of it and accept or refuse. Nothing changes before they accept."""
        where, first, second = id_in_path(schedule_id, "schedule"), turn_of(sent.first), turn_of(sent.second)

        def work(tx: Tx) -> SwapRequest:
            return server.core.swaps.ask(tx, caller.who, where, first, second, sent.note, _speaker(caller))

        return _out(await server.core.writer.run(work), server.core.clock.now())

    @post("/{swap_id:str}/accept", status_code=200, opt={"conflict": True})
    async def accept_swap(self, server: TheServer, caller: TheCaller, schedule_id: InPath, swap_id: InPath) -> SwapRequestOut:
        """Accepts: writes both overrides, and tells both. For the person who was asked, or an administrator."""
        return await _answer(server, caller, schedule_id, swap_id, Answer.ACCEPTED)

    @post("/{swap_id:str}/refuse", status_code=200, opt={"conflict": True})
    async def refuse_swap(self, server: TheServer, caller: TheCaller, schedule_id: InPath, swap_id: InPath) -> SwapRequestOut:
        """Refuses: everything stays as it is. For the person who was asked, or an administrator."""
        return await _answer(server, caller, schedule_id, swap_id, Answer.REFUSED)

    @post("/{swap_id:str}/withdraw", status_code=200, opt={"conflict": True})
    async def withdraw_swap(self, server: TheServer, caller: TheCaller, schedule_id: InPath, swap_id: InPath) -> SwapRequestOut:
        """Takes the question back. For the person who asked, or an administrator."""
        return await _answer(server, caller, schedule_id, swap_id, Answer.WITHDRAWN)


async def _answer(server: Server, caller: Caller, schedule_id: str, swap_id: str, answer: Answer) -> SwapRequestOut:
    where, which = id_in_path(schedule_id, "schedule"), id_in_path(swap_id, "swap")

    def work(tx: Tx) -> SwapRequest:
        return server.core.swaps.answer(tx, caller.who, where, which, answer, _speaker(caller))

    return _out(await server.core.writer.run(work), server.core.clock.now())


def _speaker(caller: Caller) -> Speaker:
    return Speaker(caller.user_id, caller.may(Permission.CONFIGURE))


def _out(one: SwapRequest, now: int) -> SwapRequestOut:
    first, second = [TurnOut(turn.user, to_text(turn.starts_at), to_text(turn.ends_at)) for turn in (one.first, one.second)]
    times = (to_text(one.created_at), one.created_by, to_text(one.expires_at), to_text_or_none(one.answered_at), one.answered_by)
    return SwapRequestOut(one.id, one.status(now), first, second, one.note, *times)
