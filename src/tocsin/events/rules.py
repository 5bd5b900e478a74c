"""Decisions about events: what is acceptable, what a thing's key is, which numbers are missing."""

import re

import msgspec

from tocsin.core.clock import DAY
from tocsin.core.errors import FieldError
from tocsin.core.times import from_datetime, to_text
from tocsin.events.model import MAX_ATTRIBUTES, MAX_DEDUP_KEY, EventInput, Gap, Incoming, Sequence

EARLIEST = 946_684_800_000  # 2000-01-01: a clock that was never set says 1970
AHEAD = DAY
MAX_GAPS = 200

_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*", re.ASCII)
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", re.ASCII)
_HUGE = re.compile(rb"[0-9](?:[eE]\+?[0-9]{3}|[0-9]{199})")  # perhaps a number that is none of ours: then the attributes are read through
_good_types: set[str] = set()  # a cache: the same few types come all day


def is_slug(text: str) -> bool:
    """Whether *text* can name a site: lower-case letters, digits and dashes, at most 63."""
    return _SLUG.fullmatch(text) is not None


def is_type(text: str) -> bool:
    """Whether *text* is a dotted lower-case event type."""
    if text in _good_types:
        return True
    if _TYPE.fullmatch(text) is None:
        return False
    if len(_good_types) < 10_000:
        _good_types.add(text)
    return True


def check(event: EventInput, site: str | None, now: int, *, escapes: bool) -> Incoming | tuple[FieldError, ...]:
    r"""The event with its site and time filled in, or all that is wrong with it beyond its JSON types.

    *site* is the key's own site, if it has one. *escapes*: the body held ``\u`` escapes, so that text must be
    searched for what no database stores (NUL, half a surrogate pair).
    """
    wanted = event.site
    if wanted is None:
        wanted = site or "main"
    occurred_at = now if event.occurred_at is None else from_datetime(event.occurred_at)
    raw = bytes(event.attributes)
    if (
        (event.type in _good_types or is_type(event.type))
        and (event.id is None or _UUID.fullmatch(event.id))
        and (site is None or wanted == site)
        and (event.site is None or is_slug(wanted))
        and EARLIEST <= occurred_at <= now + AHEAD
        and (not raw or (len(raw) <= MAX_ATTRIBUTES and raw[:1] == b"{" and _HUGE.search(raw) is None))
        and not escapes
    ):
        return Incoming(event, wanted, occurred_at)
    errors = _all_errors(event, wanted, site, occurred_at, now)
    return errors or Incoming(event, wanted, occurred_at)


def _all_errors(event: EventInput, wanted: str, site: str | None, occurred_at: int, now: int) -> tuple[FieldError, ...]:
    errors: list[FieldError] = []
    if not is_type(event.type):
        errors.append(FieldError("type", "must be dotted lower case, such as invoice.payment_failed"))
    if event.id is not None and not _UUID.fullmatch(event.id):
        errors.append(FieldError("id", "must be a UUID, such as 0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"))
    if event.site is not None and not is_slug(wanted):
        errors.append(FieldError("site", "must be a short name of lower-case letters, digits and dashes, such as main"))
    elif site is not None and wanted != site:
        errors.append(FieldError("site", f"this key may report for {site} only, not for {wanted}"))
    if occurred_at < EARLIEST:
        errors.append(FieldError("occurred_at", f"is before {to_text(EARLIEST)}: the sender's clock is not set"))
    if occurred_at > now + AHEAD:
        errors.append(FieldError("occurred_at", f"is more than a day ahead of this server's clock, {to_text(now)}"))
    errors.extend(_attribute_errors(bytes(event.attributes)))
    errors.extend(FieldError(name, "must not hold NUL characters") for name in _TEXTS if "\0" in (getattr(event, name) or ""))
    return tuple(errors)


_TEXTS = ("title", "message", "subject", "host", "dedup_key", "source")


def _attribute_errors(body: bytes) -> list[FieldError]:
    if body in (b"", b"null"):
        return []
    if body[:1] != b"{":
        return [FieldError("attributes", "must be an object, such as {}")]
    if len(body) > MAX_ATTRIBUTES:
        return [FieldError("attributes", f"has {len(body)} bytes; at most {MAX_ATTRIBUTES} are taken")]
    try:
        values = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return [FieldError("attributes", f"cannot be read: {error}")]
    if "\0" in _all_text(values):
        return [FieldError("attributes", "must not hold NUL characters")]
    return []


def _all_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "".join(key + _all_text(item) for key, item in value.items())
    if isinstance(value, list):
        return "".join(map(_all_text, value))
    return ""


def dedup_key(problem: str, subject: str | None, host: str | None) -> str:
    """The key of a problem: its type, subject and host, never its text. ``service.provision_failed|service:77|``."""
    return fit_key(f"{problem}|{subject or ''}|{host or ''}")


def fit_key(key: str) -> str:
    """*key* in a length that is stored; two that differ stay different."""
    return key if len(key) <= MAX_DEDUP_KEY else f"{key[:190]}~{_digest(key)}"


def _digest(text: str) -> str:
    import hashlib  # noqa: PLC0415 - needed for over-long keys only

    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def note_sequence(known: Sequence | None, site_id: int, source: str, numbers: list[int], skew_ms: int | None, now: int) -> Sequence:
    """What is known of a source after *numbers* arrived (E4): gaps open when a number is skipped and close when it comes late."""
    if known is None:
        first = numbers[0]
        known = Sequence(site_id, source, first, first - 1, 0, 0, 0, (), skew_ms, now)
    state = _Numbering(known)
    for number in numbers:
        state.take(number)
    return Sequence(
        site_id=site_id,
        source=source,
        first_sequence=state.first,
        last_sequence=state.last,
        received=known.received + len(numbers),
        replayed=known.replayed + state.replayed,
        missing=state.missing,
        gaps=tuple(state.gaps[-MAX_GAPS:]),
        skew_ms=known.skew_ms if skew_ms is None else skew_ms,
        last_seen_at=now,
    )


class _Numbering:
    """The running state of `note_sequence`."""

    def __init__(self, known: Sequence) -> None:
        self.first, self.last = known.first_sequence, known.last_sequence
        self.gaps, self.missing, self.replayed = list(known.gaps), known.missing, 0

    def take(self, number: int) -> None:
        if number == self.last + 1:
            self.last = number
        elif number > self.last:
            self.gaps.append(Gap(self.last + 1, number - 1))
            self.missing += number - self.last - 1
            self.last = number
        elif number < self.first:
            self._arrived_before_the_first(number)
        else:
            self._fill(number)

    def _arrived_before_the_first(self, number: int) -> None:
        """The very first batches may arrive out of order: the start moves back, and what lies between is a gap."""
        if number + 1 < self.first:
            self.gaps.insert(0, Gap(number + 1, self.first - 1))
            self.missing += self.first - number - 1
        self.first = number

    def _fill(self, number: int) -> None:
        for place, gap in enumerate(self.gaps):
            if gap.first <= number <= gap.last:
                rest = [g for g in (Gap(gap.first, number - 1), Gap(number + 1, gap.last)) if g.first <= g.last]
                self.gaps[place : place + 1] = rest
                self.missing -= 1
                return
        self.replayed += 1
