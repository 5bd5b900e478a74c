"""What the pages of events say: ranges, buckets, gaps in words. Pure functions."""

from collections.abc import Mapping, Sequence

import msgspec

from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.text import counted
from tocsin.events.model import Gap
from tocsin.web.times import in_words

BUCKETS = 96
WIDTHS = (5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY)
FINE = (SECOND, 5 * SECOND, 15 * SECOND, MINUTE)
RANGES: tuple[tuple[str, int], ...] = (("1 h", HOUR), ("24 h", DAY), ("7 d", 7 * DAY), ("30 d", 30 * DAY))


def width_for(span: int, *, fine: bool = False) -> int:
    """How long a bar is, in ms, so that about a hundred of them make *span*. *fine*: shorter than five minutes, where rows are counted."""
    for width in (*FINE, *WIDTHS) if fine else WIDTHS:
        if span <= width * BUCKETS * 1.5:
            return width
    return -(-span // BUCKETS // DAY) * DAY


class Volume(msgspec.Struct, frozen=True):
    """How many events came in each bar: when each begins (ms), all events, problems among them. ``newest``: only so many were looked
    at, the newest of the time; 0: all.
    """

    width: int
    times: list[int]
    events: list[int]
    problems: list[int]
    newest: int = 0

    @property
    def filled(self) -> list[tuple[int, int, int]]:
        """The bars in which something came: when, events, problems."""
        return [one for one in zip(self.times, self.events, self.problems, strict=True) if one[1]]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.events)


def volume(counts: Mapping[int, tuple[int, int]], since: int, until: int, width: int, newest: int = 0) -> Volume:
    """The bars of a time, those in which nothing came too. *counts*: by beginning, events and problems."""
    first, last = since // width * width, max(since, until - 1) // width * width
    times = list(range(first, last + 1, width))
    found = dict.fromkeys(times, (0, 0))
    for at, (events, problems) in counts.items():
        place = at // width * width
        if place in found:
            before = found[place]
            found[place] = (before[0] + events, before[1] + problems)
    return Volume(width, times, [found[at][0] for at in times], [found[at][1] for at in times], newest)


def volume_says(found: Volume) -> str:
    """The chart in words, such as "1,204 events, 41 of them problems; at most 96 in 15 min"."""
    among = f"Among the newest {found.newest:,} events of this time: " if found.newest else ""
    if not found.total:
        return f"{among}nothing." if among else "Nothing came in this time."
    problems = sum(found.problems)
    of_them = f", {problems:,} of them {'a problem' if problems == 1 else 'problems'}" if problems else ", no problem among them"
    total = counted(found.total, "event") if found.total < 1000 else f"{found.total:,} events"
    return f"{among}{total}{of_them}; at most {max(found.events):,} in {in_words(found.width)}."


def gaps_say(gaps: Sequence[Gap], missing: int) -> str:
    """Which numbers never came: ``40,112; 40,170 to 40,172``."""
    if not missing:
        return ""
    shown = [f"{gap.first:,}" if gap.first == gap.last else f"{gap.first:,} to {gap.last:,}" for gap in gaps[-4:]]
    earlier = len(gaps) - len(shown)
    return (f"{earlier} earlier; " if earlier else "") + "; ".join(shown)


def skew_says(skew: int | None) -> str:
    """How a sender's clock goes: ``12 s ahead``."""
    if skew is None:
        return "not known"
    if abs(skew) < 2 * SECOND:
        return "right"
    return f"{in_words(abs(skew))} {'ahead' if skew > 0 else 'behind'}"
