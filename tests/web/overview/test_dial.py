"""The geometry of the dial: now is at the top, the past runs back counter-clockwise, nothing leaves the frame."""

import re

from hypothesis import given, settings, strategies as st

from tests.fakes import NOW
from tocsin.core.clock import DAY, HOUR
from tocsin.web.overview import dial

KINDS = ("none", "up", "3", "4", "5")


@settings(max_examples=25)
@given(
    rows=st.lists(st.lists(st.sampled_from(KINDS), min_size=48, max_size=48), max_size=9),
    starts=st.lists(st.integers(-3 * DAY, 0), max_size=4),
)
def test_everything_stays_in_the_frame(rows: list[list[str]], starts: list[int]) -> None:
    shifts = [dial.Shift(NOW + start, NOW + start + 8 * HOUR, now=False) for start in starts]
    drawn = dial.draw([(f"site {n}", row) for n, row in enumerate(rows)], shifts, NOW, 0)
    assert len(drawn.rings) == min(len(rows), dial.RINGS) + bool(shifts)
    for mark in drawn.marks:
        numbers = re.findall(r"[ML]([-\d.]+) ([-\d.]+)", mark.path)
        for x, y in numbers:
            assert 8 <= float(x) <= 392
            assert 0 <= float(y) <= 392


def test_the_last_cell_ends_at_the_top() -> None:
    drawn = dial.draw([("Nordlicht", ["up"] * 47 + ["5"])], [], NOW, 0)
    last = drawn.marks[-1]
    assert last.css == "k-down"
    assert re.match(r"M18\d\.\d 4\d\.\dA158 158 0 0 1 198\.\d 42\.0", last.path), last.path


def test_the_hand_shows_the_readers_time() -> None:
    assert dial.draw([], [], NOW, HOUR).hand == "01:00"
    assert dial.draw([], [], NOW, -90 * 60_000).hand == "22:30"
    assert [tick.word for tick in dial.draw([], [], NOW, 0).ticks if tick.word] == ["21", "18", "15", "12", "09", "06", "03"]
