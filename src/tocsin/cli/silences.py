"""`tocsin silence`: keeping alerts quiet for a while.

Writes go straight to the database, also while a server runs: it knows within five seconds.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from tocsin.audit.model import Who
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, opened
from tocsin.core.errors import InvalidInput
from tocsin.core.ids import new_id
from tocsin.core.text import counted, cut
from tocsin.core.times import from_datetime, in_words, to_text
from tocsin.identity.rules import read_length
from tocsin.muting import preview, rules, service
from tocsin.muting.matching import read_matcher
from tocsin.muting.model import Matchers, Silence, Standing

MAX_COMMENT = 1_000


def add(start: Start, texts: Sequence[str], length: str | None, until: str | None, comment: str, *, as_json: bool) -> None:
    """Makes a silence. Raises `InvalidInput`, `Conflict`."""
    if (length is None) == (until is None):
        raise InvalidInput.of("for", "give exactly one of --for and --until. Example: --for 2h")
    if not 0 < len(comment.strip()) <= MAX_COMMENT:
        raise InvalidInput.of("comment", f"must say why, in 1 to {MAX_COMMENT} characters")
    matchers = tuple(read_matcher(text) for text in texts)
    with opened(start) as core:
        now = core.clock.now()
        ends_at = now + read_length(length, "for") if length is not None else _moment(until or "")
        silence = Silence(new_id(now), matchers, now, ends_at, comment.strip(), actor(), now)
        core.writer.call(lambda tx: service.add(tx, Who(actor()), silence, now))
        with core.database.read() as connection:
            mutes = preview.muted_now(connection, matchers, preview.Scope(None, core.sites.slug_of, core.sites.id_of))
    if as_json:
        show_json({**_as_json(silence, now), "mutes_now": mutes})
        return
    show(silence.id)
    say(f"Quiet until {to_text(ends_at)}, for {in_words(ends_at - now)}. It matches {counted(mutes, 'open alert')} now.")


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput.of("until", f"{text[:40]!r} is no time. Example: 2026-05-02T04:00Z") from None
    return from_datetime(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def show_silences(start: Start, *, ended: bool, as_json: bool) -> None:
    """The silences that have not ended, or all, the newest first."""
    with opened(start) as core:
        now = core.clock.now()
        with core.database.read() as connection:
            found = service.page(connection, Silence, lambda _: True, None, 1_000, unended_at=None if ended else now)
    if as_json:
        show_json([_as_json(one, now) for one in found])
        return
    rows = [
        (one.id, rules.status_of(one, now).value, to_text(one.ends_at), _in_one_line(one.matchers), one.created_by, cut(one.comment, 60))
        for one in found
    ]
    show_table(
        ("ID", "STATUS", "ENDS", "MATCHES", "BY", "WHY"), rows, "There is no silence." if ended else "No silence is open or planned."
    )


def end(start: Start, silence_id: str, *, as_json: bool) -> None:
    """Ends a silence now. Raises `NotFound`."""
    with opened(start) as core:
        now = core.clock.now()
        silence = core.writer.call(lambda tx: service.end(tx, Who(actor()), Silence, silence_id, now))
    if as_json:
        show_json(_as_json(silence, now))
    else:
        show(f"The silence {cut(silence.comment, 60)} ended at {to_text(silence.ends_at)}; what is still open pages.")


def _in_one_line(matchers: Matchers) -> str:
    return " ".join(f"{m.field}{m.op}{m.value}" for m in matchers)


def _as_json(silence: Silence, now: int) -> dict[str, object]:
    """A silence in the words of the API."""
    standing: Standing = rules.status_of(silence, now)
    return {
        "id": silence.id,
        "matchers": [{"field": m.field, "op": m.op.value, "value": m.value} for m in silence.matchers],
        "starts_at": to_text(silence.starts_at),
        "ends_at": to_text(silence.ends_at),
        "comment": silence.comment,
        "status": standing.value,
        "created_by": silence.created_by,
        "created_at": to_text(silence.created_at),
        "ended_by": silence.ended_by,
    }
