"""Schedules, overrides and teams as people write them, and the way from there to the model: what is wrong is named by field.

What the API takes, what the database keeps and what an export holds is this one form.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time
from typing import Annotated

import msgspec
from msgspec import Meta

from tocsin.core.clock import DAY
from tocsin.core.errors import FieldError, InvalidInput
from tocsin.core.times import from_datetime
from tocsin.core.zones import is_zone
from tocsin.oncall.model import Layer, Override, OverrideKind, Restriction, Rotation, Schedule, Turn, Unit

EARLIEST = from_datetime(datetime.fromisoformat("1970-01-01T00:00:00Z"))
LATEST = from_datetime(datetime.fromisoformat("2200-01-01T00:00:00Z"))
LONGEST_TURN = {Unit.HOUR: 8_784, Unit.DAY: 366, Unit.WEEK: 52, Unit.MONTH: 12}
LONGEST_OVERRIDE = 366 * DAY
MAX_LAYERS, MAX_USERS, MAX_RESTRICTIONS = 20, 100, 50

_WALL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:00)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S", extra={"must": "have 1 to 100 characters"})]
ZoneName = Annotated[str, Meta(min_length=1, max_length=64, description="An IANA time zone.", examples=["Europe/Berlin"])]
UserRef = Annotated[str, Meta(min_length=1, max_length=254, description="A user's id; an address is taken too.")]
WallTime = Annotated[
    str, Meta(min_length=16, max_length=19, description="Wall-clock time in the schedule's zone.", examples=["2026-01-05T09:00"])
]
DayTime = Annotated[str, Meta(min_length=5, max_length=5, pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["09:00"])]
Weekday = Annotated[int, Meta(ge=1, le=7)]


class RotationText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose turn it is: turn k starts `k x length` units after `starts_at`, by the calendar (hours: by elapsed time)."""

    unit: Unit
    length: Annotated[int, Meta(ge=1, le=8_784, description="At most a year.")] = 1
    starts_at: WallTime
    users: Annotated[tuple[UserRef, ...], Meta(min_length=1, max_length=MAX_USERS, description="In the order of their turns.")]


class RestrictionText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a layer holds: between two times on these weekdays; `to` at or before `from` reaches into the next day."""

    weekdays: Annotated[tuple[Weekday, ...], Meta(min_length=1, max_length=7, description="1 is Monday. Absent: every day.")] | None = None
    begins: DayTime = msgspec.field(name="from")
    ends: DayTime = msgspec.field(name="to")


class LayerText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rotation and when it holds (any of the restrictions; none: always)."""

    name: Name
    rotation: RotationText
    restrictions: Annotated[tuple[RestrictionText, ...], Meta(max_length=MAX_RESTRICTIONS)] = ()


LayersText = Annotated[tuple[LayerText, ...], Meta(max_length=MAX_LAYERS, description="The last layer that has somebody at a moment wins.")]


class Person(msgspec.Struct, frozen=True):
    """What schedules need to know of a user."""

    id: str
    email: str
    name: str
    disabled: bool


class People:
    """The users, found by id or by address."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.by_id: Mapping[str, Person] = {person.id: person for person in people}
        self._by_email = {person.email: person for person in people}

    def find(self, reference: str) -> Person | None:
        """The user with this id or address."""
        return self.by_id.get(reference.lower()) or self._by_email.get(reference.lower())


class _Reader:
    """Collects what is wrong, so that one answer names it all."""

    def __init__(self, people: People) -> None:
        self._people = people
        self.errors: list[FieldError] = []

    def wrong(self, field: str, message: str) -> None:
        self.errors.append(FieldError(field, message))

    def raise_if_wrong(self) -> None:
        if self.errors:
            raise InvalidInput(tuple(self.errors))

    def name(self, field: str, text: str) -> str:
        name = text.strip()
        if not 1 <= len(name) <= 100:
            self.wrong(field, "must have 1 to 100 characters")
        elif _CONTROL.search(name):
            self.wrong(field, "must not hold control characters")
        return name

    def zone(self, field: str, text: str) -> str:
        if not is_zone(text):
            self.wrong(field, f"{text!r} is no time zone. Example: Europe/Berlin")
        return text

    def user(self, field: str, reference: str) -> str:
        person = self._people.find(reference)
        if person is None:
            self.wrong(field, f"there is no user {reference!r}")
            return reference
        if person.disabled:
            self.wrong(field, f"{person.email} is disabled and cannot be on call")
        return person.id

    def layer(self, field: str, text: LayerText) -> Layer:
        name = self.name(f"{field}.name", text.name)
        rotation = self.rotation(f"{field}.rotation", text.rotation)
        restrictions = [self.restriction(f"{field}.restrictions[{n}]", one) for n, one in enumerate(text.restrictions)]
        return Layer(name, rotation, tuple(restrictions))

    def rotation(self, field: str, text: RotationText) -> Rotation:
        longest = LONGEST_TURN[text.unit]
        if not 1 <= text.length <= longest:
            self.wrong(f"{field}.length", f"must be a whole number from 1 to {longest} for the unit {text.unit}")
        starts_at = self.wall_time(f"{field}.starts_at", text.starts_at)
        users = [self.user(f"{field}.users[{n}]", user) for n, user in enumerate(text.users)]
        if not users:
            self.wrong(f"{field}.users", "must name at least one user")
        return Rotation(text.unit, text.length, starts_at, tuple(users))

    def wall_time(self, field: str, text: str) -> datetime:
        try:
            found = datetime.fromisoformat(text) if _WALL.fullmatch(text) else None
        except ValueError:
            found = None
        if found is None or not 1970 <= found.year < 2200:
            self.wrong(field, f"{text!r} is no wall-clock time of the schedule's zone. Example: 2026-01-05T09:00 (without Z or offset)")
            return datetime(1970, 1, 1)  # noqa: DTZ001 - wall clock; never used, since an error was noted
        return found

    def restriction(self, field: str, text: RestrictionText) -> Restriction:
        if text.weekdays is not None and not text.weekdays:
            self.wrong(f"{field}.weekdays", "must name at least one day; leave it out for every day")
        begins, ends = self.day_time(f"{field}.from", text.begins), self.day_time(f"{field}.to", text.ends)
        return Restriction(begins, ends, tuple(sorted(set(text.weekdays or ()))))

    def day_time(self, field: str, text: str) -> time:
        try:
            return time.fromisoformat(text)
        except ValueError:
            self.wrong(field, f"{text!r} is no time of day. Example: 09:00")
            return time()


# From text.


def read_name(text: str) -> str:
    """A name, trimmed. Raises `InvalidInput`."""
    reader = _Reader(People(()))
    name = reader.name("name", text)
    reader.raise_if_wrong()
    return name


def read_schedule(schedule: Schedule, text: Sequence[LayerText] | None, people: People) -> Schedule:
    """*schedule* with its name and zone checked and its layers replaced by those in *text* (None: as they are).

    Raises `InvalidInput` that names every field that is wrong, such as ``layers[0].rotation.users[1]``.
    """
    reader = _Reader(people)
    name, zone = reader.name("name", schedule.name), reader.zone("time_zone", schedule.time_zone)
    layers = schedule.layers if text is None else tuple([reader.layer(f"layers[{n}]", one) for n, one in enumerate(text)])
    reader.raise_if_wrong()
    return msgspec.structs.replace(schedule, name=name, time_zone=zone, layers=layers)


def read_override(override: Override, people: People) -> Override:
    """*override*, checked, with the people named by id. Raises `InvalidInput`."""
    reader = _Reader(people)
    user = None if override.user is None else reader.user("user", override.user)
    replaces = None if override.replaces is None else _known(reader, "replaces", override.replaces, people)
    for field, message in _misfits(override, user, replaces):
        reader.wrong(field, message)
    reader.raise_if_wrong()
    return msgspec.structs.replace(override, user=user, replaces=replaces)


def read_swap(first: Turn, second: Turn, people: People) -> tuple[Turn, Turn]:
    """Two turns that are to be swapped, checked, with the people named by id. Raises `InvalidInput`."""
    reader = _Reader(people)
    one, two = [_read_turn(reader, part, turn) for part, turn in (("first", first), ("second", second))]
    if one.user == two.user:
        reader.wrong("second.user", "names the same person as first.user")
    if max(one.starts_at, two.starts_at) < min(one.ends_at, two.ends_at):
        reader.wrong("second.starts_at", "must not lie within the first: nobody can take over a duty while giving it away")
    reader.raise_if_wrong()
    return one, two


def _read_turn(reader: _Reader, part: str, turn: Turn) -> Turn:
    for field, message in span_misfits(turn.starts_at, turn.ends_at, LONGEST_OVERRIDE):
        reader.wrong(f"{part}.{field}", message)
    return msgspec.structs.replace(turn, user=reader.user(f"{part}.user", turn.user))


def _known(reader: _Reader, field: str, reference: str, people: People) -> str:
    """Somebody to be replaced may be disabled by now."""
    person = people.find(reference)
    if person is None:
        reader.wrong(field, f"there is no user {reference!r}")
        return reference
    return person.id


def _misfits(override: Override, user: str | None, replaces: str | None) -> Iterator[tuple[str, str]]:
    if override.kind is not OverrideKind.REMOVE and user is None:
        yield "user", f"is required to {override.kind} somebody"
    if override.kind is not OverrideKind.REPLACE and replaces is not None:
        yield "replaces", f"belongs to the kind replace; to {override.kind} somebody, name them in user"
    if user is not None and user == replaces:
        yield "replaces", "names the same person as user"
    yield from span_misfits(override.starts_at, override.ends_at, LONGEST_OVERRIDE)


def span_misfits(
    starts_at: int, ends_at: int, longest: int, names: tuple[str, str] = ("starts_at", "ends_at")
) -> Iterator[tuple[str, str]]:
    """What is wrong with a stretch of time, by field."""
    for name, at in zip(names, (starts_at, ends_at), strict=True):
        if not EARLIEST <= at < LATEST:
            yield name, "must lie between 1970 and 2200"
    if ends_at <= starts_at:
        yield names[1], f"must be after {names[0]}"
    elif ends_at - starts_at > longest:
        yield names[1], f"must be at most {longest // DAY} days after {names[0]}"


def check_moment(field: str, at: int) -> int:
    """*at*, if the calendar can be asked about it. Raises `InvalidInput`."""
    if not EARLIEST <= at < LATEST:
        raise InvalidInput.of(field, "must lie between 1970 and 2200")
    return at


def read_user(reference: str, people: People) -> str:
    """The id of a user who is not disabled. Raises `InvalidInput`."""
    reader = _Reader(people)
    user = reader.user("user", reference)
    reader.raise_if_wrong()
    return user


def read_members(users: Sequence[str], people: People) -> tuple[str, ...]:
    """The ids of a team's members, each once. Raises `InvalidInput`."""
    reader = _Reader(people)
    found = [reader.user(f"users[{n}]", user) for n, user in enumerate(users)]
    reader.raise_if_wrong()
    return tuple(dict.fromkeys(found))


# Back to text.


def layers_text(layers: Sequence[Layer]) -> tuple[LayerText, ...]:
    """Layers as people write them."""
    return tuple([_layer_text(layer) for layer in layers])


def _layer_text(layer: Layer) -> LayerText:
    rotation = layer.rotation
    text = RotationText(
        unit=rotation.unit,
        length=rotation.length,
        starts_at=rotation.starts_at.isoformat(timespec="minutes"),
        users=rotation.users,
    )
    return LayerText(name=layer.name, rotation=text, restrictions=tuple([_restriction_text(one) for one in layer.restrictions]))


def _restriction_text(one: Restriction) -> RestrictionText:
    return RestrictionText(weekdays=one.weekdays or None, begins=f"{one.begins:%H:%M}", ends=f"{one.ends:%H:%M}")


def stored_layers(layers: Sequence[Layer]) -> str:
    """Layers as the database keeps them: the API's own JSON."""
    return msgspec.json.encode(layers_text(layers)).decode()


def layers_of(stored: str) -> tuple[Layer, ...]:
    """The layers of `stored_layers`; they were checked when they were stored."""
    return tuple([_stored_layer(text) for text in msgspec.json.decode(stored, type=tuple[LayerText, ...])])


def _stored_layer(text: LayerText) -> Layer:
    rotation = Rotation(text.rotation.unit, text.rotation.length, datetime.fromisoformat(text.rotation.starts_at), text.rotation.users)
    restrictions = [
        Restriction(time.fromisoformat(one.begins), time.fromisoformat(one.ends), one.weekdays or ()) for one in text.restrictions
    ]
    return Layer(text.name, rotation, tuple(restrictions))
