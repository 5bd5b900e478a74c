"""Swaps: one shift against another, asked for and answered, or made at once."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api.context import Given
from tocsin.bootstrap import Server
from tocsin.core.clock import DAY
from tocsin.core.errors import Conflict, InvalidInput, NotAllowed
from tocsin.db.writer import Tx
from tocsin.identity.model import Permission, Viewer
from tocsin.oncall import service
from tocsin.oncall.model import Answer, Schedule, Shift, Speaker, Turn
from tocsin.oncall.service import MAX_NOTE
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.oncall import rules
from tocsin.web.oncall.covering import id_of, look
from tocsin.web.pages import screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.times import Times
from tocsin.web.viewer import TheViewer

SWAPPED_WITHIN = 28 * DAY

ShiftText = Annotated[str, Meta(max_length=80)]


class SwapQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which shift is given away, as `key` writes it."""

    mine: ShiftText | None = None


class SwapForm(msgspec.Struct, frozen=True, kw_only=True):
    """Two shifts, as `key` writes them; and whether the other one is asked first."""

    first: ShiftText = ""
    second: ShiftText = ""
    note: Annotated[str, Meta(max_length=MAX_NOTE)] = ""
    do: Literal["ask", "swap"] = "swap"


class SwapPages(Controller):
    """The form of a swap, and the answers to those that were asked for."""

    path = "/oncall"
    include_in_schema = False

    @get("/{schedule_id:str}/swap", sync_to_thread=True)
    def ask_swap(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath, asked: Given[SwapQuery]
    ) -> Response[bytes]:
        """The form of a swap: one shift against another."""
        schedule, _, names = look(server, schedule_id)
        return _swap_page(request, server, viewer, schedule, names, SwapForm(first=asked.mine or ""), Problems())

    @post("/{schedule_id:str}/swap", status_code=200)
    async def swap(self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath) -> Response[bytes]:
        """Asks the other person, or has the two take each other's shift at once."""
        sent = await form(request, SwapForm)
        schedule, _, names = await asyncio.to_thread(look, server, schedule_id)
        try:
            day = await _carry_out(server, viewer, address_of(request), schedule, sent)
        except (InvalidInput, NotAllowed, Conflict) as error:
            return await asyncio.to_thread(_swap_page, request, server, viewer, schedule, names, sent, _by_part(error))
        await asyncio.to_thread(server.core.refresh)
        return go(f"/oncall?schedule={schedule.id}&at={day}&done={'asked' if sent.do == 'ask' else 'swapped'}", depth=2)

    @post("/{schedule_id:str}/swaps/{swap_id:str}/accept", status_code=200)
    async def accept(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath, swap_id: InPath
    ) -> Response[bytes]:
        """The asked person takes the other's shift, and gives theirs."""
        return await _answer(request, server, viewer, (id_of(schedule_id), id_of(swap_id)), Answer.ACCEPTED)

    @post("/{schedule_id:str}/swaps/{swap_id:str}/refuse", status_code=200)
    async def refuse(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath, swap_id: InPath
    ) -> Response[bytes]:
        """Everything stays as it is."""
        return await _answer(request, server, viewer, (id_of(schedule_id), id_of(swap_id)), Answer.REFUSED)

    @post("/{schedule_id:str}/swaps/{swap_id:str}/withdraw", status_code=200)
    async def withdraw(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath, swap_id: InPath
    ) -> Response[bytes]:
        """Who asked takes the question back."""
        return await _answer(request, server, viewer, (id_of(schedule_id), id_of(swap_id)), Answer.WITHDRAWN)


def speaker(viewer: Viewer) -> Speaker:
    """For whom this person speaks."""
    return Speaker(viewer.user_id, viewer.may(Permission.CONFIGURE))


def key(one: Shift) -> str:
    """A shift as a form names it."""
    return f"{one.user}|{one.starts_at}|{one.ends_at}"


async def _carry_out(server: Server, viewer: Viewer, address: str, schedule: Schedule, sent: SwapForm) -> str:
    """Asks or swaps; the day of the first shift. Raises `InvalidInput`, `NotAllowed`, `Conflict`."""
    now, who = server.core.clock.now(), viewer.calling(address).who
    first, second = _turn("first", sent.first), _turn("second", sent.second)

    def work(tx: Tx) -> None:
        if sent.do == "ask":
            server.core.swaps.ask(tx, who, schedule.id, first, second, sent.note, speaker(viewer))
        else:
            service.swap(tx, who, schedule.id, first, second, now)

    await server.core.writer.run(work)
    return rules.field(first.starts_at, ZoneInfo(schedule.time_zone))[:10]


async def _answer(request: AnyRequest, server: Server, viewer: Viewer, place: tuple[str, str], answer: Answer) -> Response[bytes]:
    """Carries an answer out, and says what has become of it, also if somebody was quicker or it is too late."""
    await form(request, NoFields)
    schedule_id, swap_id = place
    who = viewer.calling(address_of(request)).who
    try:
        await server.core.writer.run(lambda tx: server.core.swaps.answer(tx, who, schedule_id, swap_id, answer, speaker(viewer)))
    except Conflict:
        return go(f"/oncall?schedule={schedule_id}&done=late", depth=4)
    except InvalidInput:
        return go(f"/oncall?schedule={schedule_id}&done=changed-since", depth=4)
    await asyncio.to_thread(server.core.refresh)
    return go(f"/oncall?schedule={schedule_id}&done={answer.value}", depth=4)


def _turn(part: str, text: str) -> Turn:
    user, _, times = text.partition("|")
    starts_at, _, ends_at = times.partition("|")
    if not (user and starts_at.isascii() and starts_at.isdigit() and ends_at.isascii() and ends_at.isdigit() and len(times) < 40):
        raise InvalidInput.of(f"{part}.user", "choose a shift")
    return Turn(user, int(starts_at), int(ends_at))


def _by_part(error: InvalidInput | NotAllowed | Conflict) -> Problems:
    """The two lists of the form are each one field; what concerns the whole stands above it."""
    match error:
        case InvalidInput():
            return Problems({field.partition(".")[0]: words for field, words in reversed(problems(error).items())})
        case NotAllowed():
            return Problems(first="Choose a watch of your own to ask for a swap. For others only an administrator asks.")
    return Problems({"": f"{error.message[:1].upper()}{error.message[1:]}."})


def _swap_page(
    request: AnyRequest, server: Server, viewer: Viewer, schedule: Schedule, names: dict[str, str], sent: SwapForm, wrong: Problems
) -> Response[bytes]:
    zone, now = ZoneInfo(schedule.time_zone), server.core.clock.now()
    with server.core.database.read() as connection:
        found = service.shifts(connection, schedule, now, now + SWAPPED_WITHIN).shifts
    says: Callable[[Shift], str] = lambda one: f"{names.get(one.user, 'Somebody')}: {rules.stretch(one.starts_at, one.ends_at, zone)}"  # noqa: E731
    mine = [one for one in found if one.user == viewer.user_id]
    return screen(
        request,
        viewer,
        "oncall/swap.html",
        status=422 if wrong else 200,
        here="oncall",
        schedule=schedule,
        given=[(key(one), says(one)) for one in [*mine, *(one for one in found if one.user != viewer.user_id)]],
        taken=[(key(one), says(one)) for one in found if one.user != viewer.user_id],
        sent=sent,
        wrong=wrong,
        longest_note=MAX_NOTE,
        local=Times(zone, now),
    )
