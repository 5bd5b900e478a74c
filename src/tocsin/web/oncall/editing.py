"""Making and changing a schedule by a form: name, zone, and layers of people who take turns.

The form works without script: its buttons for one more layer, person or restriction answer with the form as it then is.
"""

import asyncio
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.bootstrap import Server
from tocsin.core.clock import DAY
from tocsin.core.errors import Conflict, FieldError, InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.text import whole
from tocsin.core.times import to_datetime
from tocsin.identity.model import Viewer
from tocsin.oncall import definition, service, store
from tocsin.oncall.definition import LayerText
from tocsin.oncall.model import Schedule
from tocsin.oncall.service import ScheduleChange
from tocsin.web.access import AnyRequest, Problems, address_of, form, go, problems
from tocsin.web.groups import Fields, count, read_fields, several, single, small
from tocsin.web.oncall import rules
from tocsin.web.pages import screen
from tocsin.web.settings.zones import zones
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

FREE_PLACES = 1  # empty places for people that a layer has at least
UNITS = (("hour", "hours"), ("day", "days"), ("week", "weeks"), ("month", "months"))
WEEKDAYS = ((1, "Mon"), (2, "Tue"), (3, "Wed"), (4, "Thu"), (5, "Fri"), (6, "Sat"), (7, "Sun"))


class RestrictionForm(msgspec.Struct, frozen=True):
    """One restriction as the page has it."""

    weekdays: tuple[str, ...] = ()
    begins: str = ""
    ends: str = ""


class LayerForm(msgspec.Struct, frozen=True):
    """One layer as the page has it: whatever was typed."""

    name: str = ""
    unit: str = "week"
    length: str = "1"
    starts_at: str = ""
    users: tuple[str, ...] = ()
    restrictions: tuple[RestrictionForm, ...] = ()
    places: int = FREE_PLACES


class ScheduleForm(msgspec.Struct, frozen=True):
    """All of it."""

    name: str = ""
    time_zone: str = "UTC"
    announce_gaps: bool = True
    announce_hand_offs: bool = True
    layers: tuple[LayerForm, ...] = ()
    version: str = ""
    do: str = "save"


class RemoveForm(msgspec.Struct, frozen=True, kw_only=True):
    """The tick that removing needs."""

    sure: Annotated[str, Meta(max_length=3)] = ""


class SchedulePages(Controller):
    """The form of a schedule."""

    path = "/oncall"
    include_in_schema = False

    @get("/new", sync_to_thread=True)
    def ask(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """The form of a new schedule, with one layer begun."""
        monday = to_datetime(server.core.clock.now() - 7 * DAY).date()
        monday -= timedelta(days=monday.weekday())
        first = LayerForm("Watch", users=(viewer.user_id,), starts_at=f"{monday.isoformat()}T09:00")
        return _page(request, server, viewer, None, ScheduleForm(time_zone=viewer.time_zone or "UTC", layers=(first,)), Problems(), "")

    @post("/new", status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes a schedule."""
        return await _save(request, server, viewer, None)

    @get("/{schedule_id:str}/edit", sync_to_thread=True)
    def edit(self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath) -> Response[bytes]:
        """The form of a schedule that there is."""
        schedule = _find(server, schedule_id)
        return _page(request, server, viewer, schedule, written(schedule), Problems(), "")

    @post("/{schedule_id:str}/edit", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath) -> Response[bytes]:
        """Changes a schedule, unless somebody else did meanwhile."""
        schedule = await asyncio.to_thread(_find, server, schedule_id)
        return await _save(request, server, viewer, schedule)

    @post("/{schedule_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, schedule_id: InPath) -> Response[bytes]:
        """Takes a schedule away, with its overrides and calendar addresses."""
        sent = await form(request, RemoveForm)
        schedule = await asyncio.to_thread(_find, server, schedule_id)
        if sent.sure != "yes":
            wrong = Problems(sure="Tick this first: overrides and calendar addresses go with it.")
            return await asyncio.to_thread(_page, request, server, viewer, schedule, written(schedule), wrong, "")
        now, who = server.core.clock.now(), viewer.calling(address_of(request)).who
        await server.core.writer.run(lambda tx: service.remove_schedule(tx, who, schedule.id, now))
        await asyncio.to_thread(server.core.refresh)
        return go("/oncall?done=gone", depth=2)


def _find(server: Server, schedule_id: str) -> Schedule:
    if not is_uuid(schedule_id.lower()):
        raise NotFound(f"there is no schedule {schedule_id[:40]}")
    with server.core.database.read() as connection:
        return store.get_schedule(connection, schedule_id.lower())


async def _save(request: AnyRequest, server: Server, viewer: Viewer, schedule: Schedule | None) -> Response[bytes]:
    sent = form_of(read_fields(await request.body()))
    if sent.do != "save":
        return await asyncio.to_thread(_page, request, server, viewer, schedule, pressed(sent), Problems(), "")
    now, who = server.core.clock.now(), viewer.calling(address_of(request)).who
    try:
        wanted = change_of(sent)
        if schedule is None:
            made = await server.core.writer.run(lambda tx: service.add_schedule(tx, who, wanted, now))
        else:
            schedule_id = schedule.id
            made = await server.core.writer.run(lambda tx: service.change_schedule(tx, who, schedule_id, wanted, now))
    except InvalidInput as error:
        return await asyncio.to_thread(_page, request, server, viewer, schedule, sent, problems(error, _on_page), "")
    except Conflict as error:
        present = schedule if schedule is None else await asyncio.to_thread(_find, server, schedule.id)
        return await asyncio.to_thread(_page, request, server, viewer, present, sent, Problems(), error.message)
    await asyncio.to_thread(server.core.refresh)
    return go(f"/oncall?schedule={made.id}&done={'made' if schedule is None else 'changed'}", depth=1 if schedule is None else 2)


# Reading.


def form_of(fields: Fields) -> ScheduleForm:
    """The fields ``name``, ``l0.name``, ``l0.user``, ``l0.r0.from`` ... put together."""
    most = min(count(fields, "l"), definition.MAX_LAYERS)
    return ScheduleForm(
        single(fields, "name"),
        single(fields, "time_zone"),
        bool(single(fields, "announce_gaps")),
        bool(single(fields, "announce_hand_offs")),
        tuple(_layer(fields, f"l{n}.") for n in range(most)),
        single(fields, "version"),
        single(fields, "do") or "save",
    )


def _layer(fields: Fields, at: str) -> LayerForm:
    most = min(count(fields, f"{at}r"), definition.MAX_RESTRICTIONS)
    return LayerForm(
        single(fields, f"{at}name"),
        single(fields, f"{at}unit"),
        single(fields, f"{at}length"),
        single(fields, f"{at}starts_at"),
        several(fields, f"{at}user")[: definition.MAX_USERS],
        tuple(_restriction(fields, f"{at}r{n}.") for n in range(most)),
    )


def _restriction(fields: Fields, at: str) -> RestrictionForm:
    return RestrictionForm(tuple(fields.get(f"{at}day", ())), single(fields, f"{at}from"), single(fields, f"{at}to"))


def pressed(sent: ScheduleForm) -> ScheduleForm:
    """The form after one of its buttons: ``layer`` (one more), ``drop 1``, ``places 1``, ``hours 1``, ``always 1``."""
    deed, _, which = sent.do.partition(" ")
    layers = list(sent.layers)
    if deed == "layer" and len(layers) < definition.MAX_LAYERS:
        layers.append(LayerForm(starts_at=layers[-1].starts_at if layers else ""))
    place = small(which)
    if place is not None and place < len(layers):
        layer = layers[place]
        match deed:
            case "drop":
                del layers[place]
            case "places":
                layers[place] = msgspec.structs.replace(layer, places=4)
            case "hours" if len(layer.restrictions) < definition.MAX_RESTRICTIONS:
                layers[place] = msgspec.structs.replace(layer, restrictions=(*layer.restrictions, RestrictionForm((), "09:00", "17:00")))
            case "always":
                layers[place] = msgspec.structs.replace(layer, restrictions=layer.restrictions[:-1])
    return msgspec.structs.replace(sent, layers=tuple(layers))


def change_of(sent: ScheduleForm) -> ScheduleChange:
    """The form as the service takes it. Raises `InvalidInput`, with the fields named as the service names them."""
    errors: list[FieldError] = []
    layers = [_text(f"layers[{n}]", layer, errors) for n, layer in enumerate(sent.layers)]
    if errors:
        raise InvalidInput(tuple(errors))
    version = whole(sent.version)
    return ScheduleChange(sent.name, sent.time_zone, [one for one in layers if one], sent.announce_gaps, sent.announce_hand_offs, version)


def _text(field: str, layer: LayerForm, errors: list[FieldError]) -> LayerText | None:
    try:
        return msgspec.convert(_raw(layer), LayerText, strict=False)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$")
        place = path.rstrip("`")
        if ".users" in place:
            words = "name at least one person"
        errors.append(FieldError(f"{field}{place}", words[:1].lower() + words[1:].replace("`", "")))
        return None


def _raw(layer: LayerForm) -> dict[str, Any]:
    rotation = {"unit": layer.unit, "length": layer.length, "starts_at": layer.starts_at[:16], "users": layer.users}
    restrictions = [{"weekdays": list(one.weekdays) or None, "from": one.begins[:5], "to": one.ends[:5]} for one in layer.restrictions]
    return {"name": layer.name, "rotation": rotation, "restrictions": restrictions}


def _on_page(field: str) -> str:
    """The name of the field on the page: ``layers[0].rotation.users[1]`` is ``l0.user``."""
    if not field.startswith("layers["):
        return field
    number, _, rest = field.removeprefix("layers[").partition("]")
    if rest.startswith(".restrictions["):
        return f"l{number}.r{rest.removeprefix('.restrictions[').partition(']')[0]}"
    name = rest.removeprefix(".rotation").removeprefix(".").partition("[")[0]
    return f"l{number}.{'user' if name == 'users' else name or 'name'}"


def written(schedule: Schedule) -> ScheduleForm:
    """A schedule as the page has it."""
    layers = tuple(
        LayerForm(
            text.name,
            text.rotation.unit.value,
            str(text.rotation.length),
            text.rotation.starts_at[:16],
            text.rotation.users,
            tuple(RestrictionForm(tuple(map(str, one.weekdays or ())), one.begins, one.ends) for one in text.restrictions),
        )
        for text in definition.layers_text(schedule.layers)
    )
    return ScheduleForm(
        schedule.name, schedule.time_zone, schedule.announce_gaps, schedule.announce_hand_offs, layers, str(schedule.version)
    )


def _page(
    request: AnyRequest, server: Server, viewer: Viewer, schedule: Schedule | None, sent: ScheduleForm, wrong: Problems, conflict: str
) -> Response[bytes]:
    with server.core.database.read() as connection:
        everybody = sorted(store.people(connection).by_id.values(), key=lambda person: person.name.lower())
    named = {user for layer in sent.layers for user in layer.users}
    offered = [(person.id, person.name) for person in everybody if not person.disabled or person.id in named]
    return screen(
        request,
        viewer,
        "oncall/schedule.html",
        status=409 if conflict else 422 if wrong else 200,
        here="oncall",
        schedule=schedule,
        sent=sent,
        wrong=wrong,
        conflict=conflict,
        offered=offered,
        names=dict(offered),
        zones=zones(),
        units=UNITS,
        weekdays=WEEKDAYS,
        turns_of=rules.turns_of,
    )
