"""Event rules, what they look at, and what they come to."""

from collections.abc import Callable, Mapping

import msgspec

from tocsin.events.model import Event
from tocsin.muting.model import FIELDS, Labels, Matchers
from tocsin.oncall.model import Restriction
from tocsin.whmcs.model import IMPACT_FIELDS

RULE_FIELDS = (*FIELDS, "title", "message", "source")
MATCH_FIELDS = (*RULE_FIELDS, *IMPACT_FIELDS)  # what an event costs changes from hour to hour: no key or title is made of it
DRAFT = "draft"  # the id of a rule that is only tried


NO_FIGURES: Mapping[str, str] = {}
# What is known of the impact of an event of this site, host, subject and attributes, by field.
FiguresOf = Callable[[int, str | None, str | None, str | None], Mapping[str, str]]


class Threshold(msgspec.Struct, frozen=True):
    """So many events within so many seconds, before anybody is told."""

    count: int
    within_seconds: int


class Actions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rule decides; None leaves a thing to later rules, and in the end to what the event brought along.

    ``policy`` is a policy's id, or ``default``. ``dedup_key`` and ``title`` are templates: ``{host}: {attributes.gateway}``.
    """

    severity: int | None = None
    policy: str | None = None
    dedup_key: str | None = None
    title: str | None = None
    delay_seconds: int | None = None
    threshold: Threshold | None = None
    mute: bool = False


class EventRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule. Of several that match, the first that decides a thing wins; one with ``stop`` is the last that is asked.

    ``times``: parts of the week in ``time_zone``, any of which must hold when the event arrives; none: always.
    A version never changes.
    """

    id: str
    name: str
    matchers: Matchers
    actions: Actions
    times: tuple[Restriction, ...] = ()
    time_zone: str = "UTC"
    stop: bool = False
    enabled: bool = True
    version: int = 1


class Decision(msgspec.Struct, frozen=True):
    """What one rule decided, in words."""

    rule_id: str
    name: str
    version: int
    set: tuple[str, ...]

    @property
    def words(self) -> str:
        """``rule "Nights" (version 3): severity 2``."""
        return f'rule "{self.name}" (version {self.version}): {", ".join(self.set)}'


class Named(msgspec.Struct, frozen=True):
    """Which rule decided something that lasts: a delay, a threshold, that nobody is told."""

    id: str
    name: str


class Ruling(msgspec.Struct, frozen=True):
    """What all rules together come to for an event. ``delay`` in milliseconds; the rules that decided what lasts stand beside it."""

    decisions: tuple[Decision, ...]
    severity: int | None = None
    policy: str | None = None
    dedup_key: str | None = None
    title: str | None = None
    delay: int = 0
    delayed_by: Named | None = None
    threshold: Threshold | None = None
    counted_by: Named | None = None
    muted_by: Named | None = None


class EventLabels(Labels):
    """What the matchers of rules see of an event: all that those of silences see, and its texts."""

    __slots__ = ()

    def __init__(self, site: str, event: Event, figures: Mapping[str, str] = NO_FIGURES) -> None:
        """*figures*: what is known of its impact, by field."""
        self._values = {
            "site": site,
            "type": event.type,
            "severity": str(event.severity),
            "host": event.host or "",
            "subject": event.subject or "",
            "title": event.title,
            "message": event.message or "",
            "source": event.source or "",
            **figures,
        }
        self._raw = event.attributes

    @classmethod
    def of(cls, texts: dict[str, str], attributes: str | None) -> "EventLabels":
        """Those of a stored event of which only these texts were read."""
        found = cls.__new__(cls)
        found._values, found._raw = texts, attributes  # noqa: SLF001 - its own
        return found
