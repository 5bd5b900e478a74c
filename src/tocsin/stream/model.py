"""Places in the stream, and what is sent."""

import enum

import msgspec


class Topic(enum.StrEnum):
    """What one may listen to."""

    ALERT = "alert"  # an alert as it now is, whenever it changed
    EVENT = "event"  # an event that came in
    CHECK = "check"  # a check as it now is, whenever its status or its definition changed
    SUMMARY = "summary"  # how many alerts need somebody, when the last event came; how soon pages may ask for the rest


class Place(msgspec.Struct, frozen=True):
    """How far somebody has heard: the running numbers of the last event and the last line of history, and until when (ms)."""

    event: int
    line: int
    at: int = 0  # 0: not known

    def __str__(self) -> str:
        """As it travels in ``id:`` and ``Last-Event-ID``."""
        return f"{self.event}-{self.line}-{self.at}" if self.at else f"{self.event}-{self.line}"


class Reload(enum.StrEnum):
    """Why a listener is told to read everything anew."""

    TOO_MUCH = "more has happened than is sent one by one"
    TOO_SLOW = "you did not read as fast as things happened"
    UNKNOWN_PLACE = "this is no place in this stream"
    NOT_KEPT = "what changed while you did not listen is not kept"
