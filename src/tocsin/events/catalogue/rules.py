"""What the catalogue says of an event. All that depends on the rows alone is worked out once, for each site;
describing an event is then a look-up, a subject and a title.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

import msgspec

from tocsin.core.severity import Severity
from tocsin.core.text import cut
from tocsin.events.catalogue.conditions import PREDICATES, Fields, Predicate
from tocsin.events.catalogue.expressions import TEXT_LIMIT, compile_pattern
from tocsin.events.catalogue.model import (
    ActivityPattern,
    CatalogueRow,
    Category,
    Condition,
    Description,
    Override,
    Status,
    SubjectKey,
)
from tocsin.events.catalogue.rows import DEFAULT_PATTERNS, ROWS
from tocsin.events.catalogue.titles import TITLE_LIMIT, Template, compile_template, fill, printable, short_text

_UNKNOWN_SEVERITY = Severity.MEDIUM
_NAMES = frozenset(
    {
        "api",
        "cpu",
        "dns",
        "ftp",
        "http",
        "https",
        "imap",
        "ip",
        "php",
        "sms",
        "smtp",
        "sql",
        "ssh",
        "ssl",
        "tls",
        "url",
        "vps",
        "whmcs",
    }
)


# --- rows


def apply(row: CatalogueRow, override: Override) -> CatalogueRow:
    """*row* as the site wants it. The category alone moves the row to another drawer; it does not change how loud it is."""
    quiet = override.quiet_severity
    if quiet is None and row.when is None:
        quiet = override.severity
    return msgspec.structs.replace(
        row,
        severity=_chosen(override.severity, row.severity),
        quiet_severity=_chosen(quiet, row.quiet_severity),
        loud=override.loud or row.loud,
        title=override.title or row.title,
        title_when=override.title or row.title_when,
        category=override.category or row.category,
    )


def _chosen(wanted: int | None, otherwise: Severity) -> Severity:
    return otherwise if wanted is None else Severity(wanted)


def unknown_row(event_type: str) -> CatalogueRow:
    """The row that a type has which the catalogue does not know: a problem of severity 3, named after its type."""
    return CatalogueRow(
        type=event_type,
        hook=None,
        category=Category.SYSTEM,
        severity=_UNKNOWN_SEVERITY,
        quiet_severity=_UNKNOWN_SEVERITY,
        title=f"{_words(event_type)}[: {{subject}}][ on {{host}}]",
        problem=event_type,
    )


@lru_cache(maxsize=4096)
def _words(event_type: str) -> str:
    """``disk.full`` as a person says it: "Disk full"."""
    words = printable(event_type[:TITLE_LIMIT].replace(".", " ").replace("_", " ")).split()
    if not words:
        return "Event"
    first, *rest = [word.upper() if word in _NAMES else word for word in words]
    return " ".join([first[:1].upper() + first[1:], *rest])


# --- plans: a row with everything decided that can be decided beforehand


class _Outcome(msgspec.Struct, frozen=True):
    """What one answer of a row's condition leads to."""

    severity: int
    status: Status
    title: Template
    recovers: tuple[str, ...]


class _Plan(msgspec.Struct, frozen=True):
    """A row ready for use. ``subjects``: (kind, attributes that may hold it), the most telling first."""

    type: str
    problem: str
    kind: str
    subjects: tuple[tuple[str, tuple[str, ...]], ...]
    recovery_subjects: tuple[tuple[str, tuple[str, ...]], ...]
    predicate: Predicate | None
    becomes: str
    reads_log: bool
    yes: _Outcome
    no: _Outcome
    unclear: _Outcome


def _plan(row: CatalogueRow) -> _Plan:
    first = (SubjectKey(row.kind, row.keys[0]),) if row.kind and row.keys else ()
    return _Plan(
        type=row.type,
        problem=row.problem,
        kind=row.kind,
        subjects=_spelled(first + row.elsewhere),
        recovery_subjects=_spelled(row.recovers_on),
        predicate=PREDICATES[row.when] if row.when else None,
        becomes="" if row.loud == "never" else row.becomes,
        reads_log=row.when is Condition.LOG_MATCH and row.loud != "never",
        yes=_outcome(row, verdict=True),
        no=_outcome(row, verdict=False),
        unclear=_outcome(row, verdict=None),
    )


def _spelled(places: tuple[SubjectKey, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each place with the spellings that senders use: ``invoiceid``, ``invoice_id``."""
    return tuple((place.kind, _spellings(place.key.lower())) for place in places)


def _spellings(key: str) -> tuple[str, ...]:
    if key == "id" or not key.endswith("id"):
        return (key,)
    stem = key[:-2].rstrip("_")
    return tuple(dict.fromkeys((key, f"{stem}_id", f"{stem}id")))


def _outcome(row: CatalogueRow, *, verdict: bool | None) -> _Outcome:
    loud = _is_loud(row, verdict=verdict)
    recovers = _recovers(row, verdict=verdict, loud=loud)
    title = row.title_when if verdict and row.title_when else row.title
    return _Outcome(
        severity=int(_severity(row, loud=loud)),
        status="problem" if loud else "recovery" if recovers else "info",
        title=compile_template(title),
        recovers=recovers,
    )


def _is_loud(row: CatalogueRow, *, verdict: bool | None) -> bool:
    if row.loud != "default":
        return row.loud == "always"
    return verdict is True if row.when else row.quiet_severity >= Severity.MEDIUM


def _severity(row: CatalogueRow, *, loud: bool) -> Severity:
    """A row without condition has its quiet severity even when that is loud, unless the site made it loud."""
    if not loud:
        return row.quiet_severity
    return row.severity if row.when or row.loud == "always" else row.quiet_severity


def _recovers(row: CatalogueRow, *, verdict: bool | None, loud: bool) -> tuple[str, ...]:
    """A failure, or an event that does not tell, resolves nothing; a problem never resolves itself."""
    if row.when and verdict is not False:
        return ()
    return tuple(name for name in row.recovers if not (loud and name == row.problem))


# --- activity log


class _Reader(msgspec.Struct, frozen=True):
    """The activity-log patterns: in order for a text, and by the names that a bridge may send (their own, or the type's)."""

    patterns: tuple[ActivityPattern, ...]
    by_name: dict[str, ActivityPattern]

    def read(self, fields: dict[str, object], message: str | None) -> str | None:
        """The type that the log line stands for; named groups of its pattern are added to *fields*."""
        text = _log_text(fields, message)
        named = self.by_name.get(_plain(fields.get("pattern")))
        if named is not None:
            _add_groups(named, text, fields)
            return named.type
        return next((pattern.type for pattern in self.patterns if _add_groups(pattern, text, fields)), None)


def _reader(patterns: tuple[ActivityPattern, ...]) -> _Reader:
    # Backwards, so that of several the first keeps its place.
    types = {_plain(pattern.type): pattern for pattern in reversed(patterns)}
    names = {_plain(pattern.name): pattern for pattern in reversed(patterns)}
    return _Reader(patterns, types | names)


def _log_text(fields: Fields, message: str | None) -> str:
    description = fields.get("description")
    text = description if isinstance(description, str) and description else message or ""
    return text[:TEXT_LIMIT]


def _plain(name: object) -> str:
    """``Admin.Login-Failed`` and ``admin_login_failed`` alike."""
    return name[:TITLE_LIMIT].casefold().translate(_PLAIN) if isinstance(name, str) else ""


_PLAIN = str.maketrans(".- ", "___")


def _add_groups(pattern: ActivityPattern, text: str, fields: dict[str, object]) -> bool:
    """Whether *text* matches; what its named groups found is read like attributes that were sent."""
    found = _compiled(pattern.pattern).search(text) if text else None
    if found is None:
        return False
    for name, value in found.groupdict().items():
        if value:
            fields.setdefault(name.lower(), value)
    return True


_compiled = lru_cache(maxsize=1024)(compile_pattern)


# --- the catalogue of a site


class Catalogue(msgspec.Struct, frozen=True, eq=False):
    """The rows of one site, with its changes. Immutable: built once, and again when the site changes something."""

    by_type: Mapping[str, CatalogueRow]
    reader: _Reader
    plans: dict[str, _Plan]

    @classmethod
    def default(cls) -> Catalogue:
        """The catalogue as shipped."""
        return cls.with_overrides()

    @classmethod
    def with_overrides(cls, overrides: Iterable[Override] = (), patterns: Iterable[ActivityPattern] = ()) -> Catalogue:
        """The shipped rows with a site's changes, of which the last for a type wins; types of its own may be among them.
        Its patterns are tried before the shipped ones, and replace those of the same name.
        """
        known = all_patterns(patterns)
        rows = {row.type: row for row in ROWS}
        for pattern in known:
            rows.setdefault(pattern.type, unknown_row(pattern.type))
        for override in overrides:
            rows[override.type] = apply(rows.get(override.type) or unknown_row(override.type), override)
        plans = {row.type: _plan(row) for row in rows.values()}
        return cls(by_type=MappingProxyType(rows), reader=_reader(known), plans=plans)

    def rows(self) -> tuple[CatalogueRow, ...]:
        """All rows, in the order of the reference page."""
        return tuple(self.by_type.values())

    def get(self, event_type: str) -> CatalogueRow | None:
        """The row of a type, or None where the catalogue does not know it."""
        return self.by_type.get(event_type)

    def reads(self, line: str) -> bool:
        """Whether a line of the activity log stands for something."""
        return self.reader.read({}, line) is not None

    def describe(
        self,
        type: str,  # noqa: A002 - the word of the API
        attributes: Mapping[str, object] | None = None,
        message: str | None = None,
        host: str | None = None,
        subject: str | None = None,
        title: str | None = None,
    ) -> Description:
        """What this event is: severity, status, title, subject, and what it resolves. Takes whatever attributes hold.

        *title*: how the sender calls it, which wins.
        """
        plan = self.plans.get(type)
        if plan is None:
            return _describe_unknown(type, host, subject, title)
        fields: dict[str, object] = {key.lower(): value for key, value in attributes.items()} if attributes else {}
        if plan.reads_log:
            plan = self.plans[self.reader.read(fields, message) or type]
        verdict = plan.predicate(fields) if plan.predicate else None
        if verdict and plan.becomes:
            plan, verdict = self.plans[plan.becomes], None
        return _describe(plan, fields, host, subject, title, verdict=verdict)


def all_patterns(patterns: Iterable[ActivityPattern]) -> tuple[ActivityPattern, ...]:
    """A site's *patterns*, then the shipped ones that it does not replace."""
    own = tuple(patterns)
    names = {pattern.name for pattern in own}
    return (*own, *(pattern for pattern in DEFAULT_PATTERNS if pattern.name not in names))


def _describe(
    plan: _Plan, fields: dict[str, object], host: str | None, subject: str | None, title: str | None, *, verdict: bool | None
) -> Description:
    outcome = plan.yes if verdict else plan.unclear if verdict is None else plan.no
    if subject is None:
        subject = _subject(plan.subjects, fields)
    # An attribute of these names would say something else than the template means.
    fields["id"] = subject[len(plan.kind) + 1 :] if subject and subject.startswith(plan.kind + ":") else None
    fields["subject"] = subject
    fields["host"] = host
    return Description(
        plan.type,
        outcome.severity,
        outcome.status,
        title or fill(outcome.title, fields) or _words(plan.type),
        subject,
        plan.problem,
        outcome.recovers,
        (_subject(plan.recovery_subjects, fields) if plan.recovery_subjects else None) or subject,
    )


def _subject(places: tuple[tuple[str, tuple[str, ...]], ...], fields: Fields) -> str | None:
    """The first place that names something; WHMCS writes 0 for "none"."""
    for kind, keys in places:
        for key in keys:
            value = fields.get(key)
            if value and (text := short_text(value)) and text != "0":
                return f"{kind}:{text}"
    return None


def _describe_unknown(event_type: str, host: str | None, subject: str | None, title: str | None) -> Description:
    """A type that is not in the catalogue: somebody thought it worth an event."""
    title = title or _title_of_unknown(event_type, host, subject)
    return Description(event_type, int(_UNKNOWN_SEVERITY), "problem", title, subject, event_type, (), subject)


def _title_of_unknown(event_type: str, host: str | None, subject: str | None) -> str:
    title = _words(event_type)
    if subject and (about := short_text(subject.replace(":", " ", 1))):
        title = f"{title}: {about}"
    if host and (where := short_text(host)):
        title = f"{title} on {where}"
    return cut(title, TITLE_LIMIT)
