"""The calendar's arithmetic, without a page."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tocsin.core.clock import DAY, HOUR
from tocsin.core.wall import moment
from tocsin.oncall.model import Gap, Layer, Rotation, Schedule, Shift, Shifts, Source, Unit
from tocsin.web.oncall import editing, rules
from tocsin.web.oncall.editing import LayerForm, RestrictionForm, ScheduleForm

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    return moment(datetime.fromisoformat(text), BERLIN)


def shift(user: str, begins: str, ends: str, source: Source = Source.LAYER) -> Shift:
    return Shift(user, at(begins), at(ends), source)


def test_a_week_begins_on_its_monday() -> None:
    shown = rules.span("week", date(2026, 11, 26))
    assert (shown.first, shown.before, shown.after) == (date(2026, 11, 23), date(2026, 11, 16), date(2026, 11, 30))
    assert shown.title == "23 to 29 November"
    assert rules.span("week", date(2026, 12, 1)).title == "30 November to 6 December"


def test_a_month_is_shown_in_whole_weeks() -> None:
    shown = rules.span("month", date(2026, 11, 24))
    assert (shown.first, shown.days) == (date(2026, 10, 26), 42)
    assert (shown.before, shown.after, shown.title) == (date(2026, 10, 1), date(2026, 12, 1), "November 2026")
    assert rules.span("month", date(2027, 2, 10)).days == 28


def test_the_week_of_a_change_of_clocks_has_an_hour_more() -> None:
    edges = rules.edges(rules.span("week", date(2026, 10, 25)), BERLIN)
    assert edges[-1] - edges[0] == 7 * DAY + HOUR
    assert edges[-1] - edges[-2] == 25 * HOUR


def test_blocks_are_cut_to_the_week_and_fill_it() -> None:
    edges = rules.edges(rules.span("week", date(2026, 11, 24)), BERLIN)
    now = at("2026-11-24T03:12")
    painter = rules.Painter(edges[0], edges[-1], now, {"m": "Marta Weiss"}, {"m": "p1"})
    found = Shifts(
        (shift("m", "2026-11-22T20:00", "2026-11-25T08:00"), shift("m", "2026-11-26T00:00", "2026-11-30T08:00", Source.OVERRIDE)),
        (Gap(at("2026-11-25T08:00"), at("2026-11-26T00:00")),),
    )
    blocks = painter.result(found)
    assert [(one.name, one.look, one.on) for one in blocks] == [
        ("Marta Weiss", "p1", True),
        ("Nobody", "hole", False),
        ("Marta Weiss", "over", False),
    ]
    assert blocks[0].x == 0
    assert sum(one.width for one in blocks) == pytest.approx(100, abs=0.01)


def test_a_gap_of_the_past_is_nothing_to_fill() -> None:
    edges = rules.edges(rules.span("week", date(2026, 11, 24)), BERLIN)
    painter = rules.Painter(edges[0], edges[-1], edges[3], {}, {})
    assert painter.result(Shifts((), (Gap(edges[0], edges[1]),)))[0].look == "past"


def test_a_shift_stands_on_the_day_on_which_it_begins_and_a_long_one_on_each() -> None:
    shown = rules.span("week", date(2026, 11, 24))
    edges = rules.edges(shown, BERLIN)
    painter = rules.Painter(edges[0], edges[-1], edges[0], {}, {})
    night = shift("a", "2026-11-23T20:00", "2026-11-24T08:00")
    days = shift("b", "2026-11-24T08:00", "2026-11-26T12:00")
    found = rules.days(shown, edges, painter.shifts([night, days]), date(2026, 11, 24), 0)
    said = [[(slot.block.user, slot.says) for slot in day.slots] for day in found]
    assert said[:5] == [[("a", "both")], [("b", "from")], [("b", "all")], [("b", "until")], []]
    assert [day.today for day in found] == [False, True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("begins", "ends", "says"),
    [
        ("2026-11-28T12:00", "2026-11-28T20:00", "Saturday 28 November from 12:00 to 20:00"),
        ("2026-11-28T12:00", "2026-11-29T00:00", "Saturday 28 November from 12:00 to 24:00"),
        ("2026-11-24T20:00", "2026-11-25T08:00", "Tuesday 24 November 20:00 to Wednesday 08:00"),
        ("2026-11-24T20:00", "2026-12-01T20:00", "Tuesday 24 November 20:00 to Tuesday 1 December 20:00"),
    ],
)
def test_a_stretch_is_said_as_people_say_it(begins: str, ends: str, says: str) -> None:
    assert rules.stretch(at(begins), at(ends), BERLIN) == says


def test_turns_that_touch_are_one_watch() -> None:
    found = [
        shift("m", "2026-11-24T08:00", "2026-11-24T20:00"),
        shift("m", "2026-11-24T20:00", "2026-11-25T08:00"),
        shift("a", "2026-11-25T08:00", "2026-11-25T20:00"),
        shift("m", "2026-11-26T08:00", "2026-11-26T20:00"),
    ]
    assert [(one.starts_at, one.ends_at) for one in rules.joined(found, "m")] == [
        (at("2026-11-24T08:00"), at("2026-11-25T08:00")),
        (at("2026-11-26T08:00"), at("2026-11-26T20:00")),
    ]


def test_next_is_somebody_else_where_there_is_somebody() -> None:
    now = at("2026-11-24T03:12")
    own, other = shift("m", "2026-11-24T08:00", "2026-11-24T20:00"), shift("a", "2026-11-25T08:00", "2026-11-25T20:00")
    assert rules.following([own, other], ["m"], now) == other
    assert rules.following([own], ["m"], now) == own
    assert rules.following([], ["m"], now) is None


@pytest.mark.parametrize("text", ["", "soon", "2026-11-28T20:00Z", "1960-01-01T00:00", "2026-13-01T00:00"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert rules.local(text, BERLIN) is None


def test_a_field_is_read_back_as_it_was_written() -> None:
    assert rules.local(rules.field(at("2026-11-28T20:00"), BERLIN), BERLIN) == at("2026-11-28T20:00")


FIELDS = {
    "name": ["Night watch"],
    "time_zone": ["Europe/Berlin"],
    "announce_gaps": ["1"],
    "version": ["3"],
    "do": ["save"],
    "l0.name": ["Watch"],
    "l0.unit": ["week"],
    "l0.length": ["1"],
    "l0.starts_at": ["2026-11-02T09:00"],
    "l0.user": ["u1", "", "u2"],
    "l0.r0.day": ["1", "5"],
    "l0.r0.from": ["09:00"],
    "l0.r0.to": ["17:00"],
}


def test_a_form_is_put_together_and_becomes_a_change() -> None:
    sent = editing.form_of(FIELDS)
    wanted = editing.change_of(sent)
    assert (wanted.name, wanted.time_zone, wanted.version) == ("Night watch", "Europe/Berlin", 3)
    assert (wanted.announce_gaps, wanted.announce_hand_offs) == (True, False)
    assert wanted.layers is not None
    (layer,) = wanted.layers
    assert (layer.name, layer.rotation.users, layer.rotation.length) == ("Watch", ("u1", "u2"), 1)
    assert [(one.weekdays, one.begins, one.ends) for one in layer.restrictions] == [((1, 5), "09:00", "17:00")]


def test_a_schedule_that_is_written_and_read_again_is_the_same() -> None:
    layer = Layer("Watch", Rotation(Unit.WEEK, 1, datetime(2026, 11, 2, 9), ("u1", "u2")))  # noqa: DTZ001 - wall clock
    form = editing.written(Schedule("s", "Night", "Europe/Berlin", (layer,), version=4))
    wanted = editing.change_of(form)
    assert wanted.version == 4
    assert wanted.layers is not None
    assert (wanted.layers[0].rotation.starts_at, wanted.layers[0].rotation.users) == ("2026-11-02T09:00", ("u1", "u2"))


@pytest.mark.parametrize(
    ("do", "layers", "restrictions", "places"),
    [("layer", 2, 0, 1), ("places 0", 1, 0, 4), ("hours 0", 1, 1, 1), ("drop 0", 0, 0, 0), ("drop 7", 1, 0, 1), ("nonsense", 1, 0, 1)],
)
def test_buttons_of_the_form_change_the_form(do: str, layers: int, restrictions: int, places: int) -> None:
    after = editing.pressed(ScheduleForm(layers=(LayerForm("Watch"),), do=do))
    assert len(after.layers) == layers
    if after.layers:
        assert (len(after.layers[0].restrictions), after.layers[0].places) == (restrictions, places)


def test_the_last_hours_can_be_taken_away_again() -> None:
    form = ScheduleForm(layers=(LayerForm(restrictions=(RestrictionForm((), "09:00", "17:00"),)),), do="always 0")
    assert editing.pressed(form).layers[0].restrictions == ()


def test_a_line_says_how_a_layer_turns() -> None:
    layer = editing.change_of(editing.form_of(FIELDS)).layers
    assert layer is not None
    stored = Layer("Watch", Rotation(Unit.DAY, 2, datetime(2026, 11, 2, 9), ("u1",)))  # noqa: DTZ001 - wall clock
    assert rules.turns_of(stored) == "every 2 days"
    assert rules.turns_of(msgspec.structs.replace(stored, rotation=msgspec.structs.replace(stored.rotation, length=1))) == "every day"
