"""What a part of the benchmark found: rows for the table, and the raw runs for the record."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Options:
    """How long and how often to measure."""

    seconds: float
    repeats: int
    quick: bool

    @property
    def tries(self) -> int:
        """How often one run is made at most when others disturb it."""
        return 1 if self.quick else 3

    @property
    def scale(self) -> float:
        """The share of the full content that is loaded where a content matters."""
        return 0.1 if self.quick else 1.0


@dataclass(frozen=True)
class Row:
    """One line of the table. ``met`` None: nothing was promised. ``ratio``: ours to the other's."""

    what: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Part:
    """The rows of one part, what a reader must know about them, and every run behind them."""

    title: str
    peer: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    record: Any = None


@dataclass(frozen=True)
class Bound:
    """A promise: at least or at most so much, absolutely or as a ratio to another's figure."""

    limit: float
    at_least: bool
    unit: str  # "x" for a ratio

    @property
    def text(self) -> str:
        """For the table: ``at most 2.5 x``, ``below 30 ms``."""
        words = "at least" if self.at_least else ("at most" if self.is_ratio else "below")
        return f"{words} {self.limit:,.10g} {self.unit}"

    @property
    def is_ratio(self) -> bool:
        """Whether it bounds ours divided by another's."""
        return self.unit == "x"

    def is_met(self, value: float) -> bool:
        """Whether *value* keeps it."""
        if self.at_least:
            return value >= self.limit
        return value <= self.limit if self.is_ratio else value < self.limit
