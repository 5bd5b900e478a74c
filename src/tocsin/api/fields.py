"""The kinds of values that requests and answers are made of, with their limits.

``must`` is what the sender is told when a value does not fit.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from tocsin.alerts.model import MAX_NOTE

MAX_COMMENT = 4_000
DAY_SECONDS = 86_400

_STATUS = "(open|acknowledged|snoozed|resolved)"
_DELIVERY = "(pending|sending|sent|delivered|failed|unknown|cancelled)"

# In queries.
Limit = Annotated[int, Meta(ge=1, le=1000, description="How many at most.", extra={"must": "be a whole number from 1 to 1000"})]
Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="`next_cursor` of the page before.",
        extra={"must": "be the next_cursor of an earlier answer"},
    ),
]
Slug = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="The short name of a site.",
        examples=["main"],
        extra={"must": "be the short name of a site: lower-case letters, digits and dashes, such as main"},
    ),
]
Level = Annotated[int, Meta(ge=1, le=5, description="1 info to 5 critical.", extra={"must": "be a whole number from 1 to 5"})]
TypeFilter = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=101,
        pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*\.?$",
        description="A type, or with a `.` at its end all types that begin so: `invoice.`",
        examples=["invoice."],
        extra={"must": "be dotted lower case, such as invoice.payment_failed, or invoice. for all that begin so"},
    ),
]
Moment = Annotated[datetime, Meta(tz=True, extra={"must": "be a time such as 2026-01-01T00:00:00Z (write + as %2B in an address)"})]
Since = Annotated[Moment, Meta(description="From this moment on.")]
Until = Annotated[Moment, Meta(description="Before this moment.")]
Search = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="Text that must occur, in any case.",
        extra={"must": "have 1 to 200 characters"},
    ),
]
Host = Annotated[str, Meta(min_length=1, max_length=253, extra={"must": "be a host name"})]
AlertStatuses = Annotated[
    str,
    Meta(
        pattern=rf"^{_STATUS}(,{_STATUS})*$",
        max_length=200,
        description="Which states, with commas between.",
        examples=["open,acknowledged"],
        extra={"must": "be one or more of open, acknowledged, snoozed, resolved, with commas between"},
    ),
]
DeliveryStatuses = Annotated[
    str,
    Meta(
        pattern=rf"^{_DELIVERY}(,{_DELIVERY})*$",
        max_length=200,
        description="Which states, with commas between.",
        examples=["failed,unknown"],
        extra={"must": "be one or more of pending, sending, sent, delivered, failed, unknown, cancelled, with commas between"},
    ),
]
AlertRef = Annotated[
    str,
    Meta(
        pattern=r"^([0-9]{1,18}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$",
        description="An alert's `id` or its short `number`.",
        extra={"must": "be an alert's id or number"},
    ),
]

# In bodies.
Note = Annotated[
    str,
    Meta(max_length=MAX_NOTE, description="Kept in the history.", extra={"must": f"be text of at most {MAX_NOTE} characters"}),
]
Comment = Annotated[str, Meta(min_length=1, max_length=MAX_COMMENT, extra={"must": f"be text of 1 to {MAX_COMMENT} characters"})]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S", extra={"must": "have 1 to 100 characters"})]

# In answers.
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339 in UTC with milliseconds.")]
Id = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]


class Page(msgspec.Struct, frozen=True):
    """What every list answers: the items, and the cursor of the next page (null: there is none)."""

    next_cursor: str | None


def clean_name(text: str) -> bool:
    """Whether *text* can stand in an address as the name of something."""
    return 0 < len(text) <= 60 and all(c.isascii() and (c.isalnum() or c in "_.-") for c in text)
