"""What texts and calls may cost in a month. Money in millionths of whatever the providers bill in; months are those of UTC."""

import enum

import msgspec

from tocsin.core.times import from_datetime, to_datetime

MILLION = 1_000_000
NEAR_PERCENT = 80


class Level(enum.IntEnum):
    """How much of the month's limit is used."""

    FINE = 0
    NEAR = NEAR_PERCENT
    REACHED = 100


class Standing(msgspec.Struct, frozen=True):
    """How a month stands: what was spent in it, and what may be. ``limit`` None: as much as it takes."""

    month: str
    spent: int
    limit: int | None


def month_of(now: int) -> str:
    """``2025-11``."""
    return f"{to_datetime(now):%Y-%m}"


def month_begins(now: int) -> int:
    """The first moment of the month of *now*."""
    return from_datetime(to_datetime(now).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def level(standing: Standing, price: int) -> Level:
    """How it stands if something for *price* is to be sent. `REACHED`: it must not."""
    if standing.limit is None:
        return Level.FINE
    wanted = standing.spent + price
    if wanted > standing.limit:
        return Level.REACHED
    return Level.NEAR if wanted * 100 >= standing.limit * NEAR_PERCENT else Level.FINE


def in_money(millionths: int) -> str:
    """``12.30``."""
    return f"{millionths / MILLION:.2f}"


def why_not(standing: Standing) -> str:
    """The sentence for the history."""
    limit = in_money(standing.limit or 0)
    return (
        f"the spend limit of {limit} for {standing.month} is reached ({in_money(standing.spent)} spent): others are told by push and mail"
    )
