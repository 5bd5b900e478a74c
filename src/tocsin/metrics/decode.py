"""From a request body to checked samples: what is wrong with each is named, the others are taken."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from tocsin.core.errors import FieldError, InvalidInput, TooLarge
from tocsin.core.reading import read_body
from tocsin.core.times import from_datetime
from tocsin.metrics import rules
from tocsin.metrics.model import NO_LABELS, Sample

MAX_SAMPLES = 10_000

Member = TypeVar("Member")
FindSite = Callable[[str | None], "int | FieldError"]  # the site that a sample names, or why it cannot have it

_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_series_errors = lru_cache(20_000)(rules.check_series)  # the same few series come all day


class SampleInput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One sample on the wire."""

    name: Annotated[
        str,
        Meta(
            max_length=rules.MAX_NAME,
            pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)+$",
            description="What is measured; the last word is the unit.",
            examples=["cpu_percent"],
            extra={"must": "be lower-case words with _ between, the last one the unit, such as cpu_percent"},
        ),
    ]
    value: Annotated[float, Meta(extra={"must": "be a finite number, such as 12.5; leave out what was not measured"})]
    host: Annotated[str, Meta(max_length=rules.MAX_HOST, description="Of which host, if of one.")] | None = None
    site: Annotated[str, Meta(max_length=63, description="The key's own site if left out, else `main`.")] | None = None
    labels: Annotated[dict[str, str], Meta(max_length=rules.MAX_LABELS, examples=[{"mount": "/"}])] | None = None
    at: Annotated[datetime, Meta(tz=True, description="Default: now.", extra={"must": "be a time such as 2026-01-01T00:00:00Z"})] | None = (
        None
    )


class Samples(msgspec.Struct, forbid_unknown_fields=True):
    """The body."""

    samples: list[SampleInput]


class Refused(msgspec.Struct, frozen=True):
    """A sample that cannot be taken: its place, and what is wrong."""

    index: int
    errors: tuple[FieldError, ...]


class Decoded(msgspec.Struct, frozen=True):
    """The good samples with their places in the body, and the others."""

    samples: list[Sample]
    places: list[int]
    refused: list[Refused]


_all = msgspec.json.Decoder(Samples)
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


def decode(body: bytes, find_site: FindSite, now: int) -> Decoded:
    """Reads *body*. Raises `InvalidInput` if it is not readable as a whole, `TooLarge` for too many samples."""
    gate = _Gate(find_site, now)
    try:
        inputs = _all.decode(body).samples
    except _BROKEN:
        for index, raw in enumerate(_limited(_raw_samples(body))):
            gate.examine(index, bytes(raw))
    else:
        for index, one in enumerate(_limited(inputs)):
            gate.take(index, one)
    return gate.decoded


class _Gate:
    """What one request's samples are held against."""

    def __init__(self, find_site: FindSite, now: int) -> None:
        self._now, self._find_site = now, lru_cache(100)(find_site)
        self._times: dict[datetime | None, int] = {None: now}  # most samples of a body were measured at once
        self.decoded = Decoded([], [], [])

    def examine(self, index: int, raw: bytes) -> None:
        """The slow way for one member of a body in which something is wrong."""
        try:
            self.take(index, read_body(raw, SampleInput))
        except InvalidInput as error:
            self.decoded.refused.append(Refused(index, error.errors))

    def take(self, index: int, one: SampleInput) -> None:
        """The sample at *index*, taken or refused."""
        at = self._times.get(one.at)
        if at is None:
            at = self._times[one.at] = from_datetime(one.at)  # type: ignore[arg-type]  # None is known from the beginning
        labels = tuple(sorted(one.labels.items())) if one.labels else NO_LABELS
        site, host = self._find_site(one.site), one.host or ""
        errors = _series_errors(one.name, host, labels)
        if not rules.is_good_point(at, one.value, self._now):
            errors = (*errors, *rules.check_point(at, one.value, self._now))
        if not errors and isinstance(site, int):
            self.decoded.samples.append(Sample(site, one.name, at, one.value, host, labels))
            self.decoded.places.append(index)
            return
        wrong = (site, *errors) if isinstance(site, FieldError) else errors
        self.decoded.refused.append(Refused(index, wrong))


def _limited(members: list[Member]) -> list[Member]:
    if len(members) > MAX_SAMPLES:
        raise TooLarge(f"the body has {len(members)} samples; at most {MAX_SAMPLES} are taken in one request")
    return members


def _raw_samples(body: bytes) -> list[msgspec.Raw]:
    try:
        parts = _parts.decode(body)
    except msgspec.ValidationError:
        raise InvalidInput.of("body", 'must be an object such as {"samples": [{"name": "cpu_percent", "value": 12.5}]}') from None
    except _BROKEN as error:
        raise InvalidInput.of("body", f"is not JSON: {_words(error)}") from None
    unknown = [FieldError(name[:60], "is not known here; known is samples") for name in parts if name != "samples"]
    if unknown:
        raise InvalidInput(tuple(unknown[:10]))
    if "samples" not in parts:
        raise InvalidInput.of("samples", "is required")
    try:
        return _list.decode(bytes(parts["samples"]))
    except _BROKEN:
        raise InvalidInput.of("samples", "must be an array of samples") from None


def _words(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else re.sub(r" - at `\$.*`$", "", str(error)).replace("`", "")
