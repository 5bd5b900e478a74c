"""Moments as a person reads them: in their own zone, short today and longer before."""

import re
from datetime import date, datetime, tzinfo
from functools import lru_cache

import msgspec

from tocsin.core import times
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.times import from_datetime, to_datetime, to_text


def in_words(ms: int) -> str:
    """A length of time as `core.times` says it; no line ends between a number and its unit."""
    return _BEFORE_A_UNIT.sub("\N{NO-BREAK SPACE}", times.in_words(ms))


_BEFORE_A_UNIT = re.compile(r"(?<=\d) ")


class Times(msgspec.Struct, frozen=True):
    """The words for moments, for somebody in ``zone`` who reads at ``now`` (ms)."""

    zone: tzinfo
    now: int

    def local(self, ms: int) -> datetime:
        """The moment on the reader's clock."""
        return to_datetime(ms).astimezone(self.zone)

    @property
    def today(self) -> date:
        """The reader's date."""
        return _date(self.zone, self.now // MINUTE)

    @property
    def midnight(self) -> int:
        """When the reader's day began (ms)."""
        return from_datetime(self.local(self.now).replace(hour=0, minute=0, second=0, microsecond=0))

    def clock(self, ms: int) -> str:
        """``03:12``, whichever day."""
        return f"{self.local(ms):%H:%M}"

    def when(self, ms: int) -> str:
        """``03:12`` today, ``Mon 03:12`` within six days, else ``24 Nov 03:12``, with the year if it is another one."""
        return _when(self.zone, ms // MINUTE, self.today)

    def precise(self, ms: int) -> str:
        """With seconds: ``03:12:45`` today, else ``Mon 03:12:45`` or ``24 Nov 03:12:45``."""
        return f"{self.when(ms)}:{self.local(ms):%S}"

    def day(self, ms: int) -> str:
        """``Tuesday 24 November 2026``."""
        return _day(self.local(ms))

    def date(self, ms: int) -> str:
        """``3 September``, with the year if it is another one."""
        moment = self.local(ms)
        return f"{moment.day} {moment:%B}" + ("" if moment.year == self.today.year else f" {moment.year}")

    def full(self, ms: int) -> str:
        """The whole moment, for whoever wants to know exactly: ``Tuesday 24 November 2026, 03:12:45 CET``."""
        return _full(self.zone, ms // SECOND)

    def iso(self, ms: int) -> str:
        """For machines."""
        return _iso(ms)

    def age(self, ms: int) -> str:
        """How long ago: ``14 min``, ``2 h 5 min``, ``3 d``."""
        gone = max(0, self.now - ms)
        return in_words(gone // DAY * DAY if gone >= 10 * DAY else gone)

    def rough(self, ms: int) -> str:
        """How long ago, in one unit: ``14 min``, ``2 h``, ``3 d``."""
        gone = max(0, self.now - ms)
        unit = DAY if gone >= 2 * DAY else HOUR if gone >= HOUR else MINUTE if gone >= MINUTE else SECOND
        return in_words(gone // unit * unit)

    def left(self, ms: int) -> str:
        """How long until then: ``4:12`` within the hour, else in words."""
        ahead = max(0, ms - self.now)
        if ahead < 60 * MINUTE:
            return f"{ahead // 60_000}:{ahead // 1000 % 60:02d}"
        return in_words(ahead)

    def span(self, start: int, end: int) -> str:
        """How long from *start* to *end*."""
        return in_words(end - start)

    @property
    def place(self) -> str:
        """``Berlin``, ``UTC``: whose time it is, in words."""
        return str(self.zone).rpartition("/")[2].replace("_", " ")

    @property
    def zone_name(self) -> str:
        """``CET``."""
        return self.local(self.now).tzname() or "UTC"


# A page says some hundred moments, most of them twice, and says them again whenever it renews itself.
_KEPT = 8_192


@lru_cache(maxsize=_KEPT)
def _date(zone: tzinfo, minute: int) -> date:
    return to_datetime(minute * MINUTE).astimezone(zone).date()


@lru_cache(maxsize=_KEPT)
def _when(zone: tzinfo, minute: int, today: date) -> str:
    moment = to_datetime(minute * MINUTE).astimezone(zone)
    days = abs((moment.date() - today).days)
    if days == 0:
        return f"{moment:%H:%M}"
    if days < 7:
        return f"{moment:%a %H:%M}"
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year} {moment:%H:%M}"


@lru_cache(maxsize=_KEPT)
def _full(zone: tzinfo, second: int) -> str:
    moment = to_datetime(second * SECOND).astimezone(zone)
    return f"{_day(moment)}, {moment:%H:%M:%S %Z}".strip()


def _day(moment: datetime) -> str:
    return f"{moment:%A} {moment.day} {moment:%B} {moment.year}"


_iso = lru_cache(maxsize=_KEPT)(to_text)
