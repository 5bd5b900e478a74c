"""Times between the wire (RFC 3339 in UTC) and the inside (whole milliseconds since 1970)."""

from datetime import UTC, datetime


def to_text(ms: int) -> str:
    """``1767225600123`` -> ``2026-01-01T00:00:00.123Z``."""
    return to_datetime(ms).isoformat(timespec="milliseconds")[:-6] + "Z"


def to_text_or_none(ms: int | None) -> str | None:
    """Like `to_text`, for a column that may be empty."""
    return None if ms is None else to_text(ms)


def to_datetime(ms: int) -> datetime:
    """The aware UTC moment of *ms*, exact to the millisecond."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def from_datetime(moment: datetime) -> int:
    """Milliseconds of an aware *moment*; a naive one is a programming error."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return round(moment.timestamp() * 1000)


def in_utc(ms: int) -> str:
    """A moment for whoever has no time zone here: ``09:05 UTC on 3 January 2026``."""
    moment = to_datetime(ms)
    return f"{moment:%H:%M} UTC on {moment.day} {moment:%B %Y}"


def in_words(ms: int) -> str:
    """A length of time as a person says it: ``45 s``, ``12 min``, ``3 h 5 min``, ``2 d 4 h``."""
    seconds = max(0, ms) // 1000
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
